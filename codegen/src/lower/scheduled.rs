//! Contractions by schedule: which one fits, and the loops that it asks for.
//!
//! What no schedule covers is lowered as it always is, and the reason is kept for whoever asks.

use std::collections::HashSet;
use std::rc::Rc;

use aiai_ir::schedule::Pattern;
use aiai_ir::{AffineMap, CompareKind, Dim, Op, OpNode, Region, Relation, Sym, Value};

use super::{Lowerer, Place};

mod across;
mod alone;
mod attention;
mod attention_loops;
mod balanced;
mod choose;
mod dots;
mod emit;
mod epilogue;
mod inlined;
mod margin;
mod maxima;
mod normalise;
mod numbers;
mod pack;
mod panels;
mod plan;
mod positions;
mod problem;
mod register;
mod rowwise;
mod tiled;

pub use alone::{Alone, Fit, Scheduled};
pub use choose::conditions;
use choose::{Choice, Chosen, choose};
use emit::Range;
use inlined::{not_inlined, storing};
pub use pack::Packed;
use problem::{Problem, Tensor};

/// What the loops of a problem are about: values of the source, buffers of the target.
struct Kernel<'k> {
    /// The contraction's own result.
    product: Value,
    /// What is stored: the product, or what is computed from it.
    result: Value,
    /// The access of the result.
    out_map: &'k AffineMap,
    /// The buffer of the result, as one row.
    out: Value,
    leaves: &'k [(Value, AffineMap)],
}

/// What a contraction gets.
pub struct Found {
    leaves: Vec<(Value, AffineMap)>,
    choices: Vec<Choice>,
    /// The order of the result's axes in memory.
    layout: Vec<usize>,
}

/// What is computed behind a contraction: within its tasks for the rows that one has finished, or else for all rows
/// when the contraction is done.
type Behind<'b, 'a> = &'b mut dyn FnMut(&mut Lowerer<'a>, Option<Range>);

impl<'a> Lowerer<'a> {
    /// Lowers a group that ends with what is elementwise behind a contraction. Whether it did.
    pub fn contract_with_epilogue(&mut self, group: &'a Region) -> bool {
        if self.schedules.is_empty() || self.check_nan {
            return false;
        }
        let Some((last, before)) = group.ops.split_last() else {
            return false;
        };
        let is_product =
            |node: &&OpNode| matches!(node.op, Op::Contract { .. }) && !node.op.is_view();
        let Some(product) = before.iter().rev().find(is_product) else {
            return false;
        };
        // Reductions of the product go on row by row, which is another kind of loop.
        let simple = |node: &OpNode| node.op.is_expression() || is_product(&node);
        if !before.iter().all(simple)
            || group.yields != last.results
            || !last.op.is_expression()
            || last.op.is_view()
        {
            return false;
        }
        for node in before {
            self.b.loc = node.loc;
            self.nodes.insert(node.results[0], node);
            if !std::ptr::eq(node, product) {
                self.node(node);
            }
        }
        self.nodes.insert(last.results[0], last);
        self.b.loc = product.loc;
        self.check_sizes(product);
        if !self.contract_by_schedule(product, last.results[0]) {
            self.node(product);
            self.b.loc = last.loc;
            self.node(last);
        }
        true
    }

    /// Lowers a contraction and the elementwise computation of `result` from it. Whether a schedule fits.
    pub fn contract_by_schedule(&mut self, node: &'a OpNode, result: Value) -> bool {
        if self.schedules.is_empty() || self.check_nan {
            return false;
        }
        let done = self.attention(node, result) || self.by_first_schedule(node, result);
        if !done && result == node.results[0] {
            self.store_postponed(&node.operands);
        }
        done
    }

    /// Lowers a contraction by the first schedule that fits, and what is elementwise behind it. Whether there is one.
    fn by_first_schedule(&mut self, node: &'a OpNode, result: Value) -> bool {
        let mut found = match self.first_schedule(node, result, &[]) {
            Ok(found) => found,
            Err(reason) => return self.unscheduled(node, &reason),
        };
        // Schedules for certain sizes alone are no reason to store what the one for all others computes on the way.
        let passed_over = storing(&found.choices);
        if let [.., last] = found.choices.as_slice()
            && !passed_over.is_empty()
            && !passed_over.contains(&last.name)
            && let Ok(other) = self.first_schedule(node, result, &passed_over)
        {
            found = other;
        }
        // Nothing reduces rows behind it.
        for choice in &mut found.choices {
            choice.plan.fuse_rows = false;
        }
        let stored = not_inlined(&found.choices);
        if !stored.is_empty() {
            self.store_postponed(&stored);
            return self.by_first_schedule(node, result);
        }
        if result != node.results[0] && !found.choices.iter().all(|c| c.plan.fuse) {
            // The product alone gets the schedule; what is behind it is a loop of its own.
            return false;
        }
        self.note_schedules(node, &found.choices, &found.layout);
        let (flat, place) = self.memory_of(result, &found.layout);
        self.emit(node, result, flat, &found, &mut |_, _| {});
        self.places.insert(result, place);
        true
    }

    /// The schedules for a contraction and what is elementwise behind it, or why there are none.
    fn first_schedule(
        &mut self,
        node: &'a OpNode,
        result: Value,
        passed_over: &[Sym],
    ) -> Result<Found, String> {
        let Op::Contract {
            space, maps, out, ..
        } = &node.op
        else {
            return Err("it is no contraction".into());
        };
        let leaves = self.leaves(result, node.results[0], out)?;
        let (Some(roles), Some(free)) = (self.roles(space, maps, out), out.as_indices()) else {
            return Err("it is no product of rows and columns".into());
        };
        // In memory the result lies in its own order, or where nobody cares, by rows and columns.
        let natural: Vec<usize> = (0..free.len()).collect();
        let fixed = self.outputs.contains_key(&result) || self.row_major.contains(&result);
        let axes_of = |indices: Vec<usize>| -> Vec<usize> {
            let axis = |i: usize| free.iter().position(|f| *f == i);
            indices.into_iter().filter_map(axis).collect()
        };
        let layouts = match fixed {
            true => vec![natural],
            false => vec![
                axes_of([&roles.batch[..], &roles.rows, &roles.columns].concat()),
                axes_of([&roles.batch[..], &roles.columns, &roles.rows].concat()),
            ],
        };
        let mut reasons = Vec::new();
        for layout in layouts {
            self.on_the_way = true;
            let problem = self.problem(node, &leaves, &layout);
            self.on_the_way = false;
            let mut problem = problem.ok_or("its operands are no dense floats")?;
            problem.stored = self.dtype(result);
            let schedules = self.schedules.iter();
            let schedules = schedules.filter(|schedule| !passed_over.contains(&schedule.name));
            match choose(&problem, schedules, &self.facts, self.weight_bytes) {
                Chosen::Variants(choices) => {
                    return Ok(Found {
                        leaves,
                        choices,
                        layout,
                    });
                }
                Chosen::Nothing(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    fn unscheduled(&mut self, node: &OpNode, reason: &str) -> bool {
        self.note(node, Pattern::Contract, format!("plain loops: {reason}"));
        false
    }

    fn note(&mut self, node: &OpNode, pattern: Pattern, what: String) {
        self.notes.push(super::Note {
            pattern,
            what,
            loc: node.loc,
            scheduled: None,
        });
    }

    /// Memory for the result of a contraction: as one row, and where the result lies from then on.
    fn memory_of(&mut self, result: Value, layout: &[usize]) -> (Value, Place) {
        let shape = self.shape(result).to_vec();
        let physical: Vec<_> = layout.iter().map(|&axis| shape[axis]).collect();
        let buffer = match self.outputs.get(&result) {
            Some(&buffer) => buffer,
            None => self.alloc(self.dtype(result), &physical),
        };
        let axes = (0..layout.len())
            .map(|k| layout.iter().position(|&axis| axis == k).unwrap_or(k))
            .collect();
        (self.flat(buffer), Place::Buffer { buffer, axes })
    }

    fn emit(
        &mut self,
        node: &'a OpNode,
        result: Value,
        flat: Value,
        found: &Found,
        behind: Behind<'_, 'a>,
    ) {
        let Op::Contract { out, .. } = &node.op else {
            return;
        };
        let kernel = Kernel {
            product: node.results[0],
            result,
            out_map: out,
            out: flat,
            leaves: &found.leaves,
        };
        self.memo.clear();
        let fuses = |choice: &Choice| choice.plan.fuse_rows;
        let [all, any] = [
            found.choices.iter().all(fuses),
            found.choices.iter().any(fuses),
        ];
        match self.variants(&kernel, &found.choices, behind, any && !all) {
            Some(finished) => {
                let zero = self.int(0);
                let left = self.b.compare(CompareKind::Eq, finished, zero);
                self.b.begin_region(&[]);
                behind(self, None);
                let then = self.b.end_region(&[]);
                self.b.begin_region(&[]);
                let otherwise = self.b.end_region(&[]);
                self.b.op(Op::If, &[left], vec![then, otherwise]);
            }
            None if all => {}
            None => behind(self, None),
        }
        self.memo.clear();
    }

    /// The first variant whose conditions hold. Where some compute what is behind them and some do not, whether this
    /// one did, as 1 or 0.
    fn variants(
        &mut self,
        kernel: &Kernel,
        choices: &[Choice],
        behind: Behind<'_, 'a>,
        mixed: bool,
    ) -> Option<Value> {
        let (choice, others) = choices.split_first()?;
        let finished = |this: &mut Self, behind: Behind<'_, 'a>| {
            this.nest_of(kernel, choice, behind);
            mixed.then(|| this.int(i64::from(choice.plan.fuse_rows)))
        };
        if others.is_empty() {
            return finished(self, behind);
        }
        let Some(holds) = self.all_hold(&choice.conditions) else {
            return finished(self, behind);
        };
        self.b.begin_region(&[]);
        let done = finished(self, behind);
        let then = self.b.end_region(done.as_slice());
        self.b.begin_region(&[]);
        let done = self.variants(kernel, others, behind, mixed);
        let otherwise = self.b.end_region(done.as_slice());
        let results = self.b.op(Op::If, &[holds], vec![then, otherwise]);
        results.first().copied()
    }

    /// Whether all conditions hold; `None` where there are none.
    fn all_hold(&mut self, conditions: &[(Relation, Dim)]) -> Option<Value> {
        let mut holds = None;
        for &(relation, dim) in conditions {
            let (value, zero) = (self.dim(dim), self.int(0));
            let kind = match relation {
                Relation::Zero => CompareKind::Eq,
                Relation::NonZero => CompareKind::Ne,
                Relation::NonNegative => CompareKind::Ge,
            };
            let one = self.b.compare(kind, value, zero);
            holds = Some(match holds {
                None => one,
                Some(all) => self.b.binary(aiai_ir::BinaryKind::And, all, one),
            });
        }
        holds
    }

    /// A buffer as one row.
    pub(super) fn flat(&mut self, buffer: Value) -> Value {
        let shape = self.b.ty(buffer).shape();
        let total = aiai_ir::Dim::product(shape.iter().copied());
        self.b.value(Op::View { shape: vec![total] }, &[buffer])
    }
}

fn names(choices: &[Choice]) -> String {
    let mut seen = HashSet::new();
    let names = choices.iter().map(|c| format!("`{}`", c.name));
    let names: Vec<String> = names.filter(|n| seen.insert(n.clone())).collect();
    names.join(" or ")
}

/// The problem of a choice, shared.
type Shared = Rc<Problem>;
