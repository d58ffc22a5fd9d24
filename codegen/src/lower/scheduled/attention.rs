//! Attention by schedule: a product, what is done to its rows, and a product with the rows, block by block of rows.
//!
//! The scores of a block lie in scratch memory that fits the cache; those of all rows are never in memory. Rows
//! are normalised where they lie, in passes of vectors, and are then the left operand of the second product. Where the
//! last thing done to a row is a division by one number, the results of the second product are divided instead:
//! fewer divisions, and fewer roundings in the sum.

use std::collections::HashMap;

use aiai_ir::schedule::{Axis, Pattern};
use aiai_ir::{AffineMap, Dim, FuseKind, Op, OpNode, Region, Value};

use super::super::softmax::Softmax;
use super::super::{Lowerer, rows, whole};
use super::Shared;
use super::numbers::Form;
use super::problem::Problem;

/// Two products and the rows in between.
pub(super) struct Attention<'a> {
    /// The group that makes the rows, its product, and what the product's epilogue leaves in scratch memory.
    pub group: &'a Region,
    pub scores: &'a OpNode,
    pub scaled: Value,
    /// What is elementwise behind the scores, and its accesses.
    pub leaves: Vec<(Value, AffineMap)>,
    /// The rows that the second product reads: those of the group, or what they are before the division by a
    /// number of the row.
    pub rows: Value,
    pub divisor: Option<Value>,
    /// Where they are divided by their sum.
    pub softmax: Option<Softmax>,
    /// The second product.
    pub node: &'a OpNode,
    pub problems: [Shared; 2],
    /// What schedules make of it, in the order in which they are tried.
    pub forms: Vec<Form>,
}

/// The second product's result and what its epilogue reads.
pub(super) struct OwnKernel {
    pub result: Value,
    pub leaves: Vec<(Value, AffineMap)>,
    /// The order of the result's axes in memory.
    pub layout: Vec<usize>,
}

impl<'a> Lowerer<'a> {
    /// Groups of rows that one product behind them alone reads: they wait for it.
    pub fn waiting_rows(&mut self, region: &'a Region) {
        if !self
            .schedules
            .iter()
            .any(|s| s.pattern == Pattern::Attention)
            || self.check_nan
        {
            return;
        }
        let mut uses: HashMap<Value, usize> = HashMap::new();
        region.walk(&mut |node| {
            let inner = node.regions.iter().flat_map(|r| &r.yields);
            for &value in node.operands.iter().chain(inner) {
                *uses.entry(value).or_default() += 1;
            }
        });
        for &value in &region.yields {
            *uses.entry(value).or_default() += 1;
        }
        let is_product =
            |node: &OpNode| matches!(node.op, Op::Contract { .. }) && !node.op.is_view();
        let read_by_product = |value: Value| {
            region.ops.iter().any(|node| {
                let inner = match node.op {
                    Op::Fused { .. } => node.regions[0].ops.as_slice(),
                    _ => std::slice::from_ref(node),
                };
                inner
                    .iter()
                    .any(|n| is_product(n) && n.operands.contains(&value))
            })
        };
        for node in &region.ops {
            let Op::Fused {
                kind: FuseKind::Contract,
            } = node.op
            else {
                continue;
            };
            let Some(&result) = node.results.first() else {
                continue;
            };
            let is_rows = rows::reduced(&node.regions[0]).is_some();
            if is_rows && uses.get(&result) == Some(&1) && read_by_product(result) {
                self.waiting.insert(result, node);
            }
        }
    }

    /// Lowers a product of rows that wait for it, rows and all; rows that cannot be are lowered on their own.
    pub(super) fn attention(&mut self, node: &'a OpNode, result: Value) -> bool {
        let found = node.operands.iter().find_map(|v| self.waiting.remove(v));
        let Some(rows_node) = found else {
            return false;
        };
        let group = &rows_node.regions[0];
        for inner in &group.ops {
            self.nodes.insert(inner.results[0], inner);
            self.check_sizes(inner);
        }
        // Other rows that wait, for the same product or for that of these rows, are lowered on their own.
        let inner = group.ops.iter().flat_map(|n| &n.operands);
        for value in node.operands.iter().chain(inner) {
            if let Some(other) = self.waiting.remove(value) {
                self.fused(other, FuseKind::Contract);
            }
        }
        match self.attention_of(rows_node, node, result) {
            Ok((attention, kernel)) => {
                let names: Vec<_> = attention.forms.iter().map(|f| f.name()).collect();
                let alone = attention.forms.iter().find_map(|form| {
                    let reason = self.side_by_side(&attention, form).err()?;
                    Some(format!(", one row at a time: {reason}"))
                });
                let (names, alone) = (names.join(" or "), alone.unwrap_or_default());
                let what = format!("schedule {names} for attention{alone}");
                self.note(node, Pattern::Attention, what);
                self.attention_loops(&attention, kernel);
                true
            }
            Err(reason) => {
                let what = format!("rows in memory: {reason}");
                self.note(node, Pattern::Attention, what);
                self.fused(rows_node, FuseKind::Contract);
                false
            }
        }
    }

    /// What the loops need, or why there are none.
    fn attention_of(
        &mut self,
        rows_node: &'a OpNode,
        node: &'a OpNode,
        result: Value,
    ) -> Result<(Attention<'a>, OwnKernel), String> {
        let group = &rows_node.regions[0];
        let (scores, scaled) = self.scores_of(group)?;
        let shape = self.shape(scaled).to_vec();
        self.rows_are_simple(group, scaled, &shape)?;
        let (rows, divisor) = match self.row_quotient(group.yields[0], &shape) {
            Some((rows, divisor)) => (rows, Some(divisor)),
            None => (group.yields[0], None),
        };
        let softmax = divisor.and_then(|divisor| self.softmax(rows, divisor));
        let softmax = softmax.filter(|softmax| softmax.scores == scaled);
        let scaled = softmax.map_or(scaled, |softmax| softmax.unscaled);
        let (first, leaves) = self.first_problem(scores, scaled)?;
        let (second, own) = self.second_problem(rows_node.results[0], node, result, &first)?;
        let forms = Form::choose(self.schedules, [&first, &second], &self.facts)?;
        let attention = Attention {
            rows,
            divisor,
            softmax,
            group,
            scores,
            scaled,
            leaves,
            node,
            problems: [first, second].map(Shared::new),
            forms,
        };
        Ok((attention, own))
    }

    /// The product of a group of rows, and what is reduced first.
    fn scores_of(&self, group: &'a Region) -> Result<(&'a OpNode, Value), String> {
        let is_product = |n: &&OpNode| matches!(n.op, Op::Contract { .. }) && !n.op.is_view();
        let mut products = group.ops.iter().filter(is_product);
        let (Some(scores), None) = (products.next(), products.next()) else {
            return Err("the rows are of several products".into());
        };
        let scaled = rows::reduced(group).ok_or("nothing is reduced")?;
        let shape = self.shape(scaled);
        if group.yields.len() != 1 || self.shape(group.yields[0]) != shape {
            return Err("the rows have another shape".into());
        }
        if self.shape(scores.results[0]) != shape || shape.len() < 2 {
            return Err("the scores have another shape than the rows".into());
        }
        Ok((scores, scaled))
    }

    /// The product of the scores, its result in scratch memory.
    fn first_problem(
        &mut self,
        scores: &'a OpNode,
        scaled: Value,
    ) -> Result<(Problem, Vec<(Value, AffineMap)>), String> {
        let Op::Contract { out, .. } = &scores.op else {
            return Err("the scores are no product".into());
        };
        let leaves = self.leaves(scaled, scores.results[0], out)?;
        let natural: Vec<usize> = (0..self.shape(scaled).len()).collect();
        let problem = self.problem(scores, &leaves, &natural);
        let problem = problem.ok_or("operands are no dense floats")?;
        let mut problem = oriented(problem, out)?;
        // Scratch memory has the rows of one block alone.
        for &i in &problem.batch {
            problem.out[i] = Dim::from(0);
        }
        for &i in &problem.rows {
            problem.out[i] = pitch(problem.last(Axis::Columns));
        }
        Ok((problem, leaves))
    }

    /// The product of the rows `p`, which lie in scratch memory. Where nobody cares how the result lies, the columns of
    /// all heads of a row are neighbours, as the product behind sums over them.
    fn second_problem(
        &mut self,
        p: Value,
        node: &'a OpNode,
        result: Value,
        first: &Problem,
    ) -> Result<(Problem, OwnKernel), String> {
        let natural: Vec<usize> = (0..self.shape(result).len()).collect();
        let fixed = self.outputs.contains_key(&result) || self.row_major.contains(&result);
        if let [batches @ .., head, row, column] = natural.as_slice()
            && !fixed
        {
            let by_rows = [batches, &[*row, *head, *column]].concat();
            if let Ok(found) = self.second_by_layout(p, node, result, first, by_rows) {
                return Ok(found);
            }
        }
        self.second_by_layout(p, node, result, first, natural)
    }

    fn second_by_layout(
        &mut self,
        p: Value,
        node: &'a OpNode,
        result: Value,
        first: &Problem,
        layout: Vec<usize>,
    ) -> Result<(Problem, OwnKernel), String> {
        let Op::Contract { out, maps, .. } = &node.op else {
            return Err("the rows are read by no product".into());
        };
        let place = node.operands.iter().position(|&v| v == p);
        let place = place.ok_or("the rows are not read")?;
        let indices = maps[place]
            .as_indices()
            .ok_or("the rows are read elsewhere")?;
        let leaves = self.leaves(result, node.results[0], out)?;
        // Any buffer stands for the rows while their accesses are looked at.
        let rank = self.shape(p).len();
        self.places.insert(p, whole(first.left.buffer(), rank));
        let problem = self.problem(node, &leaves, &layout);
        self.places.remove(&p);
        let problem = problem.ok_or("operands are no dense floats")?;
        let mut problem = problem.oriented(place == 1);
        problem.stored = self.dtype(result);
        let (&[row], &[summed]) = (problem.rows.as_slice(), problem.summed.as_slice()) else {
            return Err("the rows are several indices".into());
        };
        if problem.columns.len() > 1 {
            return Err("the columns are several indices".into());
        }
        let (last, before) = indices.split_last().ok_or("the rows have no axes")?;
        if summed != *last || before.last() != Some(&row) {
            return Err("the rows are not summed along".into());
        }
        // Both products go through the same batches in the same order.
        let sizes = |p: &Problem| -> Vec<Dim> { p.batch.iter().map(|&i| p.sizes[i]).collect() };
        let in_order = before.iter().filter(|i| problem.batch.contains(i));
        let same_rows = problem.sizes[row] == first.last(Axis::Rows);
        if sizes(&problem) != sizes(first) || !in_order.eq(&problem.batch) || !same_rows {
            return Err("the two products have other batches".into());
        }
        let pitch = pitch(first.last(Axis::Columns));
        problem.left.offset = Dim::from(0);
        problem.left.strides.fill(Dim::from(0));
        problem.left.strides[row] = pitch;
        problem.left.strides[summed] = Dim::from(1);
        problem.row_parts = vec![(problem.sizes[row], pitch)];
        let own = OwnKernel {
            result,
            leaves,
            layout,
        };
        Ok((problem, own))
    }

    /// Whether all that is done to the rows behind the scores is reductions and elementwise work.
    fn rows_are_simple(&self, group: &Region, scaled: Value, shape: &[Dim]) -> Result<(), String> {
        let mut work = group.yields.clone();
        let mut seen = Vec::new();
        while let Some(value) = work.pop() {
            if value == scaled || seen.contains(&value) {
                continue;
            }
            seen.push(value);
            let Some(node) = self.nodes.get(&value) else {
                return Err("something else is read in the rows".into());
            };
            let last = shape.len() - 1;
            let fits = match &node.op {
                Op::Reduce { axes, .. } => {
                    axes.as_slice() == [last] && self.shape(node.operands[0]) == shape
                }
                Op::Unary { .. }
                | Op::Binary { .. }
                | Op::Compare { .. }
                | Op::Select
                | Op::Cast { .. }
                | Op::StopGradient => true,
                Op::Constant { value } => value.splat().is_some(),
                Op::Broadcast { .. } | Op::Reshape { .. } => {
                    self.shape(node.operands[0]) != shape && self.gives_numbers(node, shape)
                }
                _ => false,
            };
            if !fits || self.dtype(value) != self.dtype(scaled) {
                return Err(format!("`{}` in the rows", node.op.name()));
            }
            work.extend(&node.operands);
        }
        Ok(())
    }

    /// Whether a view gives one number to every row, or the numbers of the rows to their elements.
    fn gives_numbers(&self, node: &OpNode, shape: &[Dim]) -> bool {
        let outer = &shape[..shape.len() - 1];
        let kept = |s: &[Dim]| {
            s == outer
                || (s.len() == shape.len()
                    && s[..outer.len()] == *outer
                    && s[outer.len()].is_const(1))
        };
        let from = self.shape(node.operands[0]);
        let to = self.shape(node.results[0]);
        match &node.op {
            Op::Broadcast { axes, .. } => {
                let in_order = axes.iter().copied().eq(0..axes.len());
                from.is_empty() || (kept(from) && in_order && (to == shape || kept(to)))
            }
            _ => kept(from) && kept(to),
        }
    }
}

/// Scores are a multiple of so many to a row of scratch memory, so that blocks need no masks.
pub(super) const WIDTH: i64 = 64;

/// The way from a row of scores to the next in scratch memory: an odd number of 16 elements, so that the same column of
/// rows that are worked on together lies in different sets of a cache, whatever the length (of f64, in every other set).
pub(super) fn pitch(columns: Dim) -> Dim {
    columns.ceil_div(Dim::from(WIDTH)) * Dim::from(WIDTH) + Dim::from(16)
}

/// The first product with the rows of the result as its rows.
fn oriented(problem: Problem, out: &AffineMap) -> Result<Problem, String> {
    let indices = out.as_indices().ok_or("the scores have computed places")?;
    let [.., row, column] = indices.as_slice() else {
        return Err("the scores have no rows".into());
    };
    for exchanged in [false, true] {
        let found = problem.oriented(exchanged);
        if found.rows == [*row] && found.columns == [*column] {
            return Ok(found);
        }
    }
    Err("rows and columns of the scores are several indices".into())
}
