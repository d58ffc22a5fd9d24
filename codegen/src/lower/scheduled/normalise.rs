//! What attention does to a block of rows of scores, where they lie in scratch memory: one row after another, or several
//! side by side.

use std::collections::HashMap;

use aiai_ir::schedule::Axis;
use aiai_ir::{BinaryKind, CompareKind, DType, Dim, Op, OpNode, ReduceKind, Value};

use super::super::Lowerer;
use super::super::abreast::enough;
use super::super::softmax::fold_of;
use super::attention::{Attention, pitch};
use super::attention_loops::{Ahead, Block};
use super::emit::Range;
use super::numbers::Form;
use super::rowwise::Rows;

/// A block of rows of scores.
pub(super) struct Scores {
    pub scratch: Value,
    /// Where the numbers go by which the results of the second product are divided, or of softmax their inverses.
    pub divisors: Option<Value>,
    /// The largest of each row, in the lanes of a vector.
    pub maxima: Option<Value>,
    /// The rows, counted in their batch.
    pub range: Range,
    /// The length of a row.
    pub columns: Dim,
}

impl<'a> Lowerer<'a> {
    /// What the group does to the rows of a block, in place.
    pub(super) fn normalise_rows(&mut self, block: &Block<'_, 'a>, scores: &Scores) {
        let attention = block.attention;
        let line = block.form.line(scores.columns);
        let outer = self.line.replace(line);
        match self.side_by_side(attention, block.form).unwrap_or(None) {
            Some(by) => self.scores_abreast(block, scores, by),
            None => self.for_loop(scores.range.count, 1, |this, row| {
                this.ask_for(&block.ahead, scores.range.low, row);
                let mut rows = this.scores_of_row(attention, scores, row);
                for (node, kind) in reductions(attention) {
                    if let Some(part) = this.maxima_of_row(attention, scores, node, row) {
                        let number = this.fold_lanes(part, kind, DType::F32);
                        rows.numbers.insert(node.results[0], number);
                        continue;
                    }
                    this.reduce_scratch(&mut rows, attention.group, attention.rows, (node, kind));
                }
                this.finish_row(attention, scores, &rows, row);
            }),
        }
        self.line = outer;
    }

    /// How many rows are reduced side by side, where a form asks for it; an error says why it is one at a time then.
    pub(super) fn side_by_side(
        &self,
        attention: &Attention<'a>,
        form: &Form,
    ) -> Result<Option<i64>, String> {
        let Some(by) = form.abreast else {
            return Ok(None);
        };
        enough(attention.problems[0].last(Axis::Rows), by)?;
        for (node, kind) in reductions(attention) {
            self.has_tree(node.operands[0], kind, self.reduced_in(node))?;
        }
        let lanes = form.plans[0].lanes;
        match by <= lanes {
            true => Ok(Some(by)),
            false => Err(format!("vectors of the product have {lanes} lanes")),
        }
    }

    /// Each pass goes over `by` rows before the next begins.
    fn scores_abreast(&mut self, block: &Block<'_, 'a>, scores: &Scores, by: i64) {
        let attention = block.attention;
        // The last pass has exponentials in most cases, which leave time for what is asked for.
        let last = reductions(attention).count().saturating_sub(1);
        let from = self.int(0);
        self.in_blocks((from, scores.range.count), by, |this, abreast| {
            let mut stored = attention.scaled;
            let mut numbers: Vec<(Value, Value)> = Vec::new();
            let row_at = |this: &mut Self, stored, numbers: &[(Value, Value)], k| {
                let row = this.add(abreast.first, k);
                let mut rows = this.scores_of_row(attention, scores, row);
                rows.stored = stored;
                for &(value, buffer) in numbers {
                    let number = this.b.value(Op::Load, &[buffer, k]);
                    rows.numbers.insert(value, number);
                }
                (rows, row)
            };
            for (node, kind) in reductions(attention) {
                let mut after = stored;
                this.for_loop(abreast.count, 1, |this, k| {
                    let (mut rows, row) = row_at(this, stored, &numbers, k);
                    if numbers.len() == last {
                        this.ask_for(&block.ahead, scores.range.low, row);
                    }
                    let part = this.maxima_of_row(attention, scores, node, row);
                    let part = part.unwrap_or_else(|| {
                        let (group, result) = (attention.group, attention.rows);
                        this.part_of_row(&mut rows, group, result, (node, kind)).0
                    });
                    after = rows.stored;
                    this.store_part(part, k, abreast);
                });
                stored = after;
                let fold = fold_of(attention.softmax.as_ref(), node, kind);
                let lanes = this.fold_abreast(abreast, fold);
                let all = this.line().lanes;
                let buffer = this.alloc(DType::F32, &[Dim::from(all)]);
                let (zero, all) = (this.int(0), this.int(all));
                let operands = [lanes, buffer, zero, all];
                this.b.op(Op::StoreVector, &operands, Vec::new());
                numbers.push((node.results[0], buffer));
            }
            this.for_loop(abreast.count, 1, |this, k| {
                let (rows, row) = row_at(this, stored, &numbers, k);
                this.finish_row(attention, scores, &rows, row);
            });
        });
    }

    /// The largest of a row in each lane, where the product has kept it for this reduction.
    fn maxima_of_row(
        &mut self,
        attention: &Attention<'a>,
        scores: &Scores,
        node: &OpNode,
        row: Value,
    ) -> Option<Value> {
        let (buffer, softmax) = (scores.maxima?, attention.softmax?);
        (node.results[0] == softmax.most).then(|| {
            let (zero, all) = (self.int(0), self.int(self.line().lanes));
            self.load_vector(&[buffer, row, zero, all])
        })
    }

    /// A row as the product leaves it.
    fn scores_of_row(&mut self, attention: &Attention<'a>, scores: &Scores, row: Value) -> Rows {
        let pitch = self.dim(pitch(scores.columns));
        Rows {
            scratch: scores.scratch,
            begin: self.mul(row, pitch),
            width: self.dim(scores.columns),
            stored: attention.scaled,
            numbers: HashMap::new(),
            shape: self.shape(attention.scaled).to_vec(),
            softmax: attention.softmax,
        }
    }

    /// Stores what the second product reads of a row, once its numbers are known.
    fn finish_row(&mut self, attention: &Attention<'a>, scores: &Scores, rows: &Rows, row: Value) {
        self.store_rows(rows, attention.rows);
        if let (Some(value), Some(buffer)) = (attention.divisor, scores.divisors) {
            // Of no elements the sum is 0, and so is what it would divide.
            let (zero, one) = (self.int(0), self.number(self.dtype(value), 1.0));
            let empty = self.b.compare(CompareKind::Eq, rows.width, zero);
            let number = self.row_number(rows, value);
            let mut number = self.b.select(empty, one, number);
            if attention.softmax.is_some() {
                // The sum is at least 1, since that is the largest exponential.
                number = self.b.binary(BinaryKind::Div, one, number);
            }
            self.b.op(Op::Store, &[number, buffer, row], Vec::new());
        }
    }

    /// Asks for one row of each.
    fn ask_for(&mut self, ahead: &[Ahead], low: Value, row: Value) {
        let row = self.add(low, row);
        for rows in ahead {
            let stride = self.dim(rows.stride);
            let step = self.mul(row, stride);
            let begin = self.add(rows.begin, step);
            for &place in &rows.places {
                let place = self.int(place);
                let place = self.add(begin, place);
                self.b.op(Op::Prefetch, &[rows.buffer, place], Vec::new());
            }
        }
    }
}

/// What is reduced along the rows, in order.
fn reductions<'a>(attention: &Attention<'a>) -> impl Iterator<Item = (&'a OpNode, ReduceKind)> {
    let group = attention.group;
    group.ops.iter().filter_map(|node| match node.op {
        Op::Reduce { kind, .. } => Some((node, kind)),
        _ => None,
    })
}
