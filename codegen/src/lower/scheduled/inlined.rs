//! `inline`: what is elementwise in front of a contraction, computed while the operand is packed.
//!
//! Such values are postponed: nothing is done where they stand. The contraction that reads them computes them on
//! the way into its panels, where its schedule says so, and has them stored first otherwise.

use std::collections::{HashMap, HashSet};

use aiai_ir::schedule::{Part, Step};
use aiai_ir::{Op, OpNode, Region, Schedule, Sym, Value};

use super::super::{Lowerer, Place};
use super::choose::{Choice, is_across};

impl<'a> Lowerer<'a> {
    /// The values of a region that only a contraction of it reads, and that some schedule may compute on the way: margins
    /// where it copies for lanes that are batches. Within
    /// loops and branches none: what they are computed from may be overwritten in place before the contraction.
    pub fn postponed(&self, region: &'a Region) -> HashSet<Value> {
        let is_inline = |step: &Step| matches!(step, Step::Inline { .. });
        let is_margin = |step: &Step, schedule: &Schedule| {
            let left = Step::Inline { part: Part::Left };
            *step == left && schedule.steps.iter().any(is_across)
        };
        let inlining = |margin: bool| {
            self.schedules.iter().any(|schedule| {
                let mut steps = schedule.steps.iter().filter(|step| is_inline(step));
                steps.any(|step| is_margin(step, schedule) == margin)
            })
        };
        let [elementwise, margins] = [false, true].map(inlining);
        let is_inner = !std::ptr::eq(region, &self.source.body);
        if self.check_nan || is_inner || !(elementwise || margins) {
            return HashSet::new();
        }
        let is_made = |node: &&OpNode| {
            elementwise && is_elementwise(node) || margins && matches!(node.op, Op::Pad { .. })
        };
        let mut uses: HashMap<Value, usize> = HashMap::new();
        let mut count = |values: &[Value]| {
            values
                .iter()
                .for_each(|&v| *uses.entry(v).or_default() += 1);
        };
        count(&region.yields);
        region.walk(&mut |node| {
            count(&node.operands);
            node.regions.iter().for_each(|inner| count(&inner.yields));
        });
        let made: HashSet<Value> = region
            .ops
            .iter()
            .filter(is_made)
            .map(|node| node.results[0])
            .filter(|&v| !self.shape(v).is_empty() && self.dtype(v).is_float())
            .collect();
        let of_node = |node: &'a OpNode| match node.op {
            Op::Fused { .. } => node.regions[0].ops.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let read = region.ops.iter().flat_map(of_node);
        read.filter(|node| matches!(node.op, Op::Contract { .. }) && !node.op.is_view())
            .flat_map(|node| &node.operands)
            .copied()
            .filter(|v| made.contains(v) && uses.get(v) == Some(&1))
            .collect()
    }

    /// Leaves what a node computes to the contraction that reads it.
    pub fn postpone(&mut self, node: &'a OpNode) {
        let members = match node.op {
            Op::Fused { .. } => node.regions[0].ops.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for member in members {
            self.check_sizes(member);
            self.nodes.insert(member.results[0], member);
            self.places.insert(member.results[0], Place::Lazy);
        }
        let result = node.results[0];
        if let Some(last) = members.last() {
            self.nodes.insert(result, last);
        }
        self.places.insert(result, Place::Lazy);
        self.waiting_values.insert(result);
    }

    /// Whether nothing has computed a value yet: the contraction that reads it may do so.
    pub(super) fn waits(&self, value: Value) -> bool {
        self.waiting_values.contains(&value)
    }

    /// Stores those of some values that nothing has computed yet.
    pub(super) fn store_postponed(&mut self, values: &[Value]) {
        for value in values {
            if self.waiting_values.remove(value) {
                match self.nodes.get(value).copied() {
                    Some(node) if matches!(node.op, Op::Pad { .. }) => self.node(node),
                    _ => self.materialize(*value),
                }
            }
        }
    }
}

/// The operands that nothing has computed yet and that not every choice computes on the way.
pub(super) fn not_inlined(choices: &[Choice]) -> Vec<Value> {
    choices.iter().flat_map(stored_for).collect()
}

/// The schedules for which operands must be stored that others compute on the way.
pub(super) fn storing(choices: &[Choice]) -> Vec<Sym> {
    let stores = |choice: &&Choice| !stored_for(choice).is_empty();
    choices
        .iter()
        .filter(stores)
        .map(|choice| choice.name)
        .collect()
}

fn stored_for(choice: &Choice) -> Vec<Value> {
    let parts = [Part::Left, Part::Right].into_iter();
    let stored = parts.filter(|part| !choice.plan.inlines(*part));
    let computed = stored.filter_map(|part| choice.problem.tensor(part)?.computed());
    computed.collect()
}

fn is_elementwise(node: &OpNode) -> bool {
    let computes = |op: &Op| op.is_expression() && !op.is_view();
    match &node.op {
        Op::Fused { .. } => {
            let group = &node.regions[0];
            let last = group.ops.last();
            node.results.len() == 1
                && group.ops.iter().all(|inner| inner.op.is_expression())
                && last.is_some_and(|inner| computes(&inner.op) && inner.results == group.yields)
        }
        op => computes(op),
    }
}
