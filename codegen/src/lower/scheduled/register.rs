//! A register block: accumulators for rows and vectors of columns, the sum over them, and the store.

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{BinaryKind, CompareKind, Dim, Op, Type, Value};

use super::super::Lowerer;
use super::emit::{At, LINE, Nest, Source};
use super::epilogue::Lanes;
use super::problem::Elements;

/// Where a block is.
struct Block {
    /// Those that do not exist are the last one once more.
    rows: Vec<Value>,
    /// The first column of every vector.
    columns: Vec<Value>,
    /// How many rows exist, from the first of the block on.
    rows_left: Value,
    /// How many columns exist, from the first of every vector on.
    columns_left: Vec<Value>,
}

/// The positions of what a sum reads, apart from the summed indices.
struct Bases {
    /// One for every row; a single one where the rows share their factors.
    left: Vec<Value>,
    /// A single one; one for every row where those read other elements.
    right: Vec<Value>,
    /// How far ahead panels of the right operand are asked for.
    ahead: Vec<Value>,
}

impl<'a> Lowerer<'a> {
    /// Computes and stores a block; one of fewer rows or columns where no more are left.
    pub(super) fn register_block(&mut self, nest: &Nest, at: &At) {
        let (rows, columns) = (nest.plan.rows, nest.plan.columns);
        let by_rows = |this: &mut Self, columns: i64| {
            if !nest.heights.is_empty() {
                return this.balanced_block(nest, at, columns);
            }
            this.where_few(nest, Axis::Rows, at, nest.few_rows, &mut |this, few| {
                let rows = few.unwrap_or(rows);
                match nest.all_rows_exist(rows) {
                    true => this.block_of(&nest.with_even_rows(), at, (rows, columns)),
                    false => this.block_of(nest, at, (rows, columns)),
                }
            });
        };
        self.where_few(
            nest,
            Axis::Columns,
            at,
            nest.few_columns,
            &mut |this, few| {
                by_rows(this, few.unwrap_or(columns));
            },
        );
    }

    /// Does something once for the few that an axis may have left and once for all of a block, and lets the code choose.
    fn where_few(
        &mut self,
        nest: &Nest,
        axis: Axis,
        at: &At,
        few: Option<i64>,
        body: &mut dyn FnMut(&mut Self, Option<i64>),
    ) {
        let Some(number) = few else {
            return body(self, None);
        };
        let low = match axis {
            Axis::Rows => at.rows.low,
            _ => at.columns.low,
        };
        let size = self.dim(nest.problem.last(axis));
        let left = self.b.binary(BinaryKind::Sub, size, low);
        let most = self.int(number);
        let is_few = self.b.compare(CompareKind::Le, left, most);
        let branches = [few, None].map(|few| {
            self.b.begin_region(&[]);
            let memo = std::mem::take(&mut self.memo);
            body(self, few);
            self.memo = memo;
            self.b.end_region(&[])
        });
        self.b.op(Op::If, &[is_few], branches.into());
    }

    /// The sums of a block, for each row those of its vectors of columns.
    pub(super) fn block_sums(&mut self, nest: &Nest, at: &At, size: (i64, i64)) -> Vec<Value> {
        let block = self.block(nest, at, size);
        let zero = self.number(nest.problem.acc, 0.0);
        let zero = self.splat(zero, nest.plan.lanes);
        let zeros = vec![zero; block.rows.len() * block.columns.len()];
        let bases = self.bases(nest, at, &block);
        self.sum(nest, at, &bases, &block, &mut Vec::new(), &zeros)
    }

    pub(super) fn block_of(&mut self, nest: &Nest, at: &At, size: (i64, i64)) {
        if nest.plan.dots {
            return self.dots_block(nest, at, size.0);
        }
        let block = self.block(nest, at, size);
        let vectors = block.columns.len();
        let lanes = nest.plan.lanes;
        let mut sums = Vec::new();
        match at.ends {
            None => {
                let zero = self.number(nest.problem.acc, 0.0);
                let zero = self.splat(zero, lanes);
                sums.resize(block.rows.len() * vectors, zero);
            }
            // The blocks before are in the result; none are before the first.
            Some((first, _)) => {
                let zero = self.int(0);
                for row in 0..block.rows.len() {
                    for vector in 0..vectors {
                        let count = self.count(nest, &block, row, vector);
                        let count = self.b.select(first, zero, count);
                        let place =
                            self.out_position(nest, at, block.rows[row], block.columns[vector]);
                        let (out, acc) = (nest.kernel.out, nest.problem.acc);
                        sums.push(self.load_lanes(out, place, (lanes, 1), count, acc));
                    }
                }
            }
        }
        let bases = self.bases(nest, at, &block);
        let sums = self.sum(nest, at, &bases, &block, &mut Vec::new(), &sums);
        match at.ends {
            None => self.store_block(nest, at, &block, &sums, true),
            Some((_, last)) => {
                self.b.begin_region(&[]);
                self.store_block(nest, at, &block, &sums, true);
                let then = self.b.end_region(&[]);
                self.b.begin_region(&[]);
                self.store_block(nest, at, &block, &sums, false);
                let otherwise = self.b.end_region(&[]);
                self.b.op(Op::If, &[last], vec![then, otherwise]);
            }
        }
    }

    fn block(&mut self, nest: &Nest, at: &At, (count, width): (i64, i64)) -> Block {
        let lanes = nest.plan.lanes;
        let last = |this: &mut Self, axis| {
            let size = nest.problem.last(axis) - Dim::from(1);
            this.dim(size)
        };
        let mut rows = Vec::new();
        for i in 0..count {
            let step = self.int(i);
            let mut row = self.add(at.rows.low, step);
            if !nest.even_rows && i > 0 {
                let most = last(self, Axis::Rows);
                row = self.b.binary(BinaryKind::Min, row, most);
            }
            rows.push(row);
        }
        let (mut columns, mut columns_left) = (Vec::new(), Vec::new());
        for first in (0..width).step_by(lanes as usize) {
            let step = self.int(first);
            let column = self.add(at.columns.low, step);
            columns_left.push(match nest.even_columns {
                true => self.int(lanes),
                false => {
                    let size = self.dim(nest.problem.last(Axis::Columns));
                    self.b.binary(BinaryKind::Sub, size, column)
                }
            });
            columns.push(column);
        }
        let rows_left = match nest.even_rows {
            true => self.int(nest.plan.rows),
            false => {
                let size = self.dim(nest.problem.last(Axis::Rows));
                self.b.binary(BinaryKind::Sub, size, at.rows.low)
            }
        };
        Block {
            rows,
            columns,
            rows_left,
            columns_left,
        }
    }

    /// Whether a row of a block counts even if it does not exist. What is computed for it is what is computed for the last
    /// one, and may be stored there once more, unless its panel has zeros, or the epilogue reads something: that may lie
    /// where the result goes.
    fn counts(nest: &Nest, row: usize) -> bool {
        let again = matches!(nest.left, Source::Strided(_)) && nest.leaves.is_empty();
        nest.even_rows || row == 0 || again
    }

    /// How many lanes of a row's vector exist.
    fn count(&mut self, nest: &Nest, block: &Block, row: usize, vector: usize) -> Value {
        let count = block.columns_left[vector];
        if Self::counts(nest, row) {
            return count;
        }
        let (row, zero) = (self.int(row as i64), self.int(0));
        let exists = self.b.compare(CompareKind::Lt, row, block.rows_left);
        self.b.select(exists, count, zero)
    }

    fn bases(&mut self, nest: &Nest, at: &At, block: &Block) -> Bases {
        let problem = &nest.problem;
        let left = match nest.left {
            Source::Strided(_) => {
                let mut base = self.position(&problem.left, at, &[]);
                if let Some(shift) = nest.left_shift {
                    base = self.add(base, shift);
                }
                self.rows_from(nest, &block.rows, base)
            }
            Source::Panels(_) => {
                let base = self.panel(nest, at, Part::Left);
                let step = |i: i64| {
                    let i = self.int(i);
                    self.add(base, i)
                };
                (0..block.rows.len() as i64).map(step).collect()
            }
        };
        let right = match nest.right {
            Source::Strided(_) => {
                let column = (problem.columns.last().copied(), block.columns[0]);
                let line = problem.rows.last().copied();
                let shared = line.is_none_or(|i| problem.right.strides[i].is_const(0));
                let rows = block
                    .rows
                    .iter()
                    .take(if shared { 1 } else { block.rows.len() });
                rows.map(|&row| self.position(&problem.right, at, &[column, (line, row)]))
                    .collect()
            }
            Source::Panels(_) => vec![self.panel(nest, at, Part::Right)],
        };
        let ahead = self.distances(nest, at);
        Bases { left, right, ahead }
    }

    /// How far ahead of what is read panels of the right operand are asked for.
    fn distances(&mut self, nest: &Nest, at: &At) -> Vec<Value> {
        let block = Dim::from(nest.plan.columns);
        let panel = nest.problem.count(Axis::Summed) * block;
        let mut distances = Vec::new();
        for &(axis, by) in &nest.plan.ahead {
            let step = if axis == Axis::Columns { panel } else { block };
            let mut distance = self.dim(step * Dim::from(by));
            // Elsewhere what is asked for is there already.
            if let Some(asks) = at.asks.filter(|_| axis == Axis::Columns) {
                let zero = self.int(0);
                distance = self.b.select(asks, distance, zero);
            }
            distances.push(distance);
        }
        distances
    }

    /// Adds up over the summed indices, of which the outer ones are given.
    fn sum(
        &mut self,
        nest: &Nest,
        at: &At,
        bases: &Bases,
        block: &Block,
        outer: &mut Vec<Value>,
        sums: &[Value],
    ) -> Vec<Value> {
        let summed = &nest.problem.summed;
        if outer.len() == summed.len() {
            return self.accumulate(nest, bases, block, outer, sums);
        }
        if outer.len() + 1 < summed.len() {
            let size = self.dim(nest.problem.sizes[summed[outer.len()]]);
            return self.fold_loop(size, sums, |this, i, sums| {
                outer.push(i);
                let next = this.sum(nest, at, bases, block, outer, sums);
                outer.pop();
                next
            });
        }
        let step = nest.plan.unroll;
        let whole = nest.problem.last(Axis::Summed).is_const(step);
        let body = |this: &mut Self, i: Value, sums: &[Value], outer: &mut Vec<Value>| {
            let mut sums = sums.to_vec();
            for u in 0..step {
                let next = match u {
                    0 => i,
                    _ => {
                        let u = this.int(u);
                        this.add(i, u)
                    }
                };
                outer.push(next);
                sums = this.accumulate(nest, bases, block, outer, &sums);
                outer.pop();
            }
            sums
        };
        if whole && at.ends.is_none() {
            let zero = self.int(0);
            return body(self, zero, sums, outer);
        }
        let high = self.add(at.summed.low, at.summed.count);
        let mut types = vec![Type::scalar(aiai_ir::DType::I64)];
        types.extend(sums.iter().map(|&v| self.b.ty(v).clone()));
        let args = self.b.begin_region(&types);
        let memo = std::mem::take(&mut self.memo);
        let next = body(self, args[0], &args[1..], outer);
        self.memo = memo;
        let region = self.b.end_region(&next);
        let mut operands = vec![at.summed.low, high];
        operands.extend(sums);
        self.b
            .op(Op::For { step, lanes: 1 }, &operands, vec![region])
    }

    /// Asks for what is so far ahead of a place in panels.
    fn ask_ahead(&mut self, nest: &Nest, buffer: Value, place: Value, distances: &[Value]) {
        let line = LINE / nest.problem.right.dtype.bytes() as i64;
        for &distance in distances {
            let far = self.add(place, distance);
            for column in (0..nest.plan.columns).step_by(line as usize) {
                let column = self.int(column);
                let far = self.add(far, column);
                self.b.op(Op::Prefetch, &[buffer, far], Vec::new());
            }
        }
    }

    /// One step of the sum in all accumulators.
    fn accumulate(
        &mut self,
        nest: &Nest,
        bases: &Bases,
        block: &Block,
        index: &[Value],
        sums: &[Value],
    ) -> Vec<Value> {
        let (problem, plan) = (&nest.problem, &nest.plan);
        let vectors = block.columns.len();
        let left_step = self.step(nest, index, &nest.left, &problem.left.strides, plan.rows);
        let right_step = self.step(
            nest,
            index,
            &nest.right,
            &problem.right.strides,
            plan.columns,
        );
        let right: Vec<Value> = bases
            .right
            .iter()
            .map(|&base| self.add(base, right_step))
            .collect();
        if let Source::Panels(buffer) = nest.right {
            self.ask_ahead(nest, buffer, right[0], &bases.ahead);
        }
        let (source, stride, masked) = match nest.right {
            Source::Panels(buffer) => (buffer, 1, false),
            Source::Strided(buffer) => {
                let step = problem.stride(&problem.right.strides, Axis::Columns);
                (buffer, step.as_const().unwrap_or(1), !nest.even_columns)
            }
        };
        let load = |this: &mut Self, right: Value| -> Vec<Value> {
            let lanes_of = |vector: usize| {
                let from = this.int(vector as i64 * plan.lanes * stride);
                let place = this.add(right, from);
                let count = match masked {
                    true => block.columns_left[vector],
                    false => this.int(plan.lanes),
                };
                this.load_lanes(source, place, (plan.lanes, stride), count, problem.acc)
            };
            (0..vectors).map(lanes_of).collect()
        };
        let (Source::Strided(left) | Source::Panels(left)) = nest.left;
        let (mut next, mut factor, mut lanes) = (Vec::new(), None, Vec::new());
        for row in 0..block.rows.len() {
            if let Some(&right) = right.get(row) {
                lanes = load(self, right);
            }
            let factor = match (bases.left.get(row), factor) {
                (None, Some(shared)) => shared,
                (base, _) => {
                    let place = self.add(*base.unwrap_or(&bases.left[0]), left_step);
                    let found = match plan.across {
                        true => {
                            let all = self.int(plan.lanes);
                            self.load_lanes(left, place, (plan.lanes, 1), all, problem.acc)
                        }
                        false => {
                            let number = self.b.value(Op::Load, &[left, place]);
                            let number = self.b.cast(number, problem.acc);
                            self.splat(number, plan.lanes)
                        }
                    };
                    *factor.insert(found)
                }
            };
            for (vector, &lanes) in lanes.iter().enumerate() {
                let sum = sums[row * vectors + vector];
                next.push(self.b.value(Op::Fma, &[factor, lanes, sum]));
            }
        }
        next
    }

    /// How far the summed indices move in an operand.
    fn step(
        &mut self,
        nest: &Nest,
        index: &[Value],
        source: &Source,
        strides: &[Dim],
        width: i64,
    ) -> Value {
        let summed = &nest.problem.summed;
        let mut position = self.int(0);
        let mut panel = Dim::from(width);
        for (k, &i) in index.iter().zip(summed).rev() {
            let stride = match source {
                Source::Strided(_) => strides[i],
                Source::Panels(_) => {
                    let own = panel;
                    panel = panel * nest.problem.sizes[i];
                    own
                }
            };
            let stride = self.dim(stride);
            let step = self.mul(*k, stride);
            position = self.add(position, step);
        }
        position
    }

    fn out_position(&mut self, nest: &Nest, at: &At, row: Value, column: Value) -> Value {
        let problem = &nest.problem;
        let out = super::Tensor {
            elements: Elements::Stored(nest.kernel.out),
            offset: Dim::from(0),
            strides: problem.out.clone(),
            dtype: problem.acc,
            param: None,
            bare: true,
            constant: false,
            margin: None,
        };
        let others = [
            (problem.rows.last().copied(), row),
            (problem.columns.last().copied(), column),
        ];
        let position = self.position(&out, at, &others);
        match nest.out_shift {
            Some(shift) => self.add(position, shift),
            None => position,
        }
    }

    /// Stores the sums; finished ones go through the epilogue.
    fn store_block(&mut self, nest: &Nest, at: &At, block: &Block, sums: &[Value], done: bool) {
        if nest.plan.transposed {
            return self.store_transposed(nest, at, block, sums);
        }
        let vectors = block.columns.len();
        for (row, &index) in block.rows.iter().enumerate() {
            let mut stored = Vec::new();
            for vector in 0..vectors {
                let count = self.count(nest, block, row, vector);
                let room = match nest.padded {
                    true => self.int(nest.plan.lanes),
                    false => count,
                };
                let lanes = Lanes {
                    product: sums[row * vectors + vector],
                    row: index,
                    column: block.columns[vector],
                    count: room,
                };
                stored.push((self.store_lanes(nest, at, &lanes, done), count));
            }
            if done {
                let all = nest.even_columns && Self::counts(nest, row);
                self.take_maxima(nest, index, (&stored, all));
            }
        }
    }

    /// Stores a vector of the product, or where its sum is done what is computed from it, and gives it back.
    pub(super) fn store_lanes(&mut self, nest: &Nest, at: &At, lanes: &Lanes, done: bool) -> Value {
        let value = match done {
            true => self.finished(nest, at, lanes),
            false => lanes.product,
        };
        let value = self.b.cast(value, self.dtype(nest.kernel.result));
        let place = self.out_position(nest, at, lanes.row, lanes.column);
        let operands = [value, nest.kernel.out, place, lanes.count];
        self.b.op(Op::StoreVector, &operands, Vec::new());
        value
    }

    /// The same where rows are neighbours in the result: vectors of rows are stored, one for each column.
    fn store_transposed(&mut self, nest: &Nest, at: &At, block: &Block, sums: &[Value]) {
        let (vectors, lanes) = (block.columns.len(), nest.plan.lanes as usize);
        let size = self.dim(nest.problem.last(Axis::Columns));
        let one = self.int(1);
        let most = self.b.binary(BinaryKind::Sub, size, one);
        for vector in 0..vectors {
            let mut part: Vec<Value> = (0..block.rows.len())
                .map(|row| sums[row * vectors + vector])
                .collect();
            let zero = self.number(nest.problem.acc, 0.0);
            let zero = self.splat(zero, nest.plan.lanes);
            part.resize(lanes, zero);
            for (lane, product) in self.transpose(part).into_iter().enumerate() {
                let step = self.int(lane as i64);
                let column = self.add(block.columns[vector], step);
                let (mut count, mut inside) = (block.rows_left, column);
                if nest.even_rows {
                    count = self.int(block.rows.len() as i64);
                }
                let width = self.int(block.rows.len() as i64);
                count = self.b.binary(BinaryKind::Min, count, width);
                if !nest.even_columns {
                    let none = self.int(0);
                    let exists = self.b.compare(CompareKind::Lt, column, size);
                    count = self.b.select(exists, count, none);
                    inside = self.b.binary(BinaryKind::Min, column, most);
                }
                let lanes = Lanes {
                    product,
                    row: block.rows[0],
                    column: inside,
                    count,
                };
                let value = self.finished(nest, at, &lanes);
                let value = self.b.cast(value, self.dtype(nest.kernel.result));
                let place = self.out_position(nest, at, block.rows[0], inside);
                let operands = [value, nest.kernel.out, place, count];
                self.b.op(Op::StoreVector, &operands, Vec::new());
            }
        }
    }
}
