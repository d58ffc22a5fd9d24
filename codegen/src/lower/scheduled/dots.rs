//! `vectorize summed`: lanes are neighbours in a sum, where both operands have them next to each other.
//!
//! Every element of a register block has a vector of partial sums. Those of a row are combined by a tree that transposes
//! them, into one vector of neighbouring columns.

use aiai_ir::schedule::Axis;
use aiai_ir::{BinaryKind, CompareKind, DType, Dim, Op, Type, Value};

use super::super::Lowerer;
use super::emit::{At, Nest, Source};
use super::epilogue::Lanes;
use super::plan::Plan;
use super::problem::Problem;

/// Whether the steps of a plan suit lanes that are neighbours in a sum.
pub fn plan_fits(plan: &Plan, problem: &Problem) -> Result<(), String> {
    let neighbours = |strides: &[Dim]| problem.stride(strides, Axis::Summed).is_const(1);
    if !neighbours(&problem.left.strides) || !neighbours(&problem.right.strides) {
        return Err("neighbours in the sum are none in both operands".into());
    }
    if plan.pack_left || plan.pack_right || plan.tiles.iter().any(|t| t.0 == Axis::Summed) {
        return Err("sums in lanes are of operands as they are, and whole".into());
    }
    if plan.unroll > 1 || plan.balance || plan.transposed {
        return Err("sums in lanes are stored as rows, and neither unrolled nor balanced".into());
    }
    let is_power = |n: i64| n.count_ones() == 1;
    if !is_power(plan.lanes) || !is_power(plan.columns) || plan.columns > plan.lanes {
        return Err("the sums of a row make no tree that is one vector".into());
    }
    Ok(())
}

/// The positions of what a block reads, apart from the summed indices.
struct Bases {
    /// One for every row; a single one where they share their factors.
    left: Vec<Value>,
    /// One for every column of the first row, then of the others; those of one row where these read the same.
    right: Vec<Value>,
}

impl<'a> Lowerer<'a> {
    /// Computes and stores a block of so many rows, all of which exist or are the last one again.
    pub(super) fn dots_block(&mut self, nest: &Nest, at: &At, height: i64) {
        let (problem, width) = (&nest.problem, nest.plan.columns);
        let last = |this: &mut Self, axis| {
            let size = problem.last(axis) - Dim::from(1);
            this.dim(size)
        };
        let within = |this: &mut Self, axis, low: Value, step: i64, even: bool| {
            let step = this.int(step);
            let index = this.add(low, step);
            match even {
                true => index,
                false => {
                    let most = last(this, axis);
                    this.b.binary(BinaryKind::Min, index, most)
                }
            }
        };
        let rows: Vec<Value> = (0..height)
            .map(|i| within(self, Axis::Rows, at.rows.low, i, nest.even_rows))
            .collect();
        let columns: Vec<Value> = (0..width)
            .map(|i| within(self, Axis::Columns, at.columns.low, i, nest.even_columns))
            .collect();
        let base = self.position(&problem.left, at, &[]);
        let left = self.rows_from(nest, &rows, base);
        let line = problem.rows.last().copied();
        let shared = line.is_none_or(|i| problem.right.strides[i].is_const(0));
        let mut right = Vec::new();
        for &row in rows.iter().take(if shared { 1 } else { rows.len() }) {
            for &column in &columns {
                let others = [(problem.columns.last().copied(), column), (line, row)];
                right.push(self.position(&problem.right, at, &others));
            }
        }
        let bases = Bases { left, right };
        let zero = self.number(problem.acc, 0.0);
        let zero = self.splat(zero, nest.plan.lanes);
        let zeros = vec![zero; rows.len() * columns.len()];
        let sums = self.dots_over(nest, &bases, &mut Vec::new(), &zeros);
        for (i, parts) in sums.chunks(columns.len()).enumerate() {
            let product = self.sums_abreast(parts.to_vec(), nest.plan.lanes as usize);
            let count = self.dots_left(nest, at, i);
            let lanes = Lanes {
                product,
                row: rows[i],
                column: at.columns.low,
                count,
            };
            self.store_lanes(nest, at, &lanes, true);
        }
    }

    /// How many columns of a row of a block exist.
    fn dots_left(&mut self, nest: &Nest, at: &At, row: usize) -> Value {
        let mut count = self.int(nest.plan.columns);
        if !nest.even_columns {
            let size = self.dim(nest.problem.last(Axis::Columns));
            let left = self.b.binary(BinaryKind::Sub, size, at.columns.low);
            count = self.b.binary(BinaryKind::Min, count, left);
        }
        if nest.even_rows || row == 0 {
            return count;
        }
        let size = self.dim(nest.problem.last(Axis::Rows));
        let left = self.b.binary(BinaryKind::Sub, size, at.rows.low);
        let (row, zero) = (self.int(row as i64), self.int(0));
        let exists = self.b.compare(CompareKind::Lt, row, left);
        self.b.select(exists, count, zero)
    }

    /// Adds up over the summed indices, of which the outer ones are given.
    fn dots_over(
        &mut self,
        nest: &Nest,
        bases: &Bases,
        outer: &mut Vec<Value>,
        sums: &[Value],
    ) -> Vec<Value> {
        let summed = &nest.problem.summed;
        let size = nest.problem.sizes[summed[outer.len()]];
        if outer.len() + 1 < summed.len() {
            let size = self.dim(size);
            return self.fold_loop(size, sums, |this, i, sums| {
                outer.push(i);
                let next = this.dots_over(nest, bases, outer, sums);
                outer.pop();
                next
            });
        }
        let lanes = nest.plan.lanes;
        let (zero, all) = (self.int(0), self.int(lanes));
        let count = self.dim(size);
        let whole = self.b.binary(BinaryKind::Div, count, all);
        let end = self.mul(whole, all);
        let mut types = vec![Type::scalar(DType::I64)];
        types.extend(sums.iter().map(|&v| self.b.ty(v).clone()));
        let args = self.b.begin_region(&types);
        let memo = std::mem::take(&mut self.memo);
        let next = self.dots_step(nest, bases, outer, (args[0], all), &args[1..]);
        self.memo = memo;
        let region = self.b.end_region(&next);
        let operands = [&[zero, end], sums].concat();
        let steps = Op::For {
            step: lanes,
            lanes: 1,
        };
        let sums = self.b.op(steps, &operands, vec![region]);
        if size.as_const().is_some_and(|n| n % lanes == 0) {
            return sums;
        }
        let rest = self.b.binary(BinaryKind::Sub, count, end);
        self.dots_step(nest, bases, outer, (end, rest), &sums)
    }

    /// One vector of the sum in all accumulators; from `count` on there is nothing in it.
    fn dots_step(
        &mut self,
        nest: &Nest,
        bases: &Bases,
        outer: &[Value],
        (from, count): (Value, Value),
        sums: &[Value],
    ) -> Vec<Value> {
        let problem = &nest.problem;
        let (Source::Strided(left), Source::Strided(right)) = (nest.left, nest.right) else {
            unreachable!("sums in lanes are of operands as they are");
        };
        let index = [outer, &[from]].concat();
        let load = |this: &mut Self, buffer, strides: &[Dim], bases: &[Value]| -> Vec<Value> {
            let mut step = this.int(0);
            for (&i, &value) in problem.summed.iter().zip(&index) {
                let stride = this.dim(strides[i]);
                let way = this.mul(value, stride);
                step = this.add(step, way);
            }
            let load = |&base: &Value| {
                let place = this.add(base, step);
                let size = (nest.plan.lanes, 1);
                this.load_lanes(buffer, place, size, count, problem.acc)
            };
            bases.iter().map(load).collect()
        };
        let rows = load(self, left, &problem.left.strides, &bases.left);
        let columns = load(self, right, &problem.right.strides, &bases.right);
        let width = nest.plan.columns as usize;
        let mut next = Vec::new();
        for (k, &sum) in sums.iter().enumerate() {
            let row = rows[(k / width).min(rows.len() - 1)];
            let column = columns[k % columns.len()];
            next.push(self.b.value(Op::Fma, &[row, column, sum]));
        }
        next
    }
}
