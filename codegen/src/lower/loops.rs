//! Loops of the target: sequential, carrying scalars, parallel, nested.

use aiai_ir::{BinaryKind, DType, Dim, Op, Type, Value};

use super::Lowerer;

/// Elements to a task, about.
const TASK: i64 = 2048;
/// Elements of a tile along each of its axes: its rows and its columns fit the first cache.
const TILE: i64 = 32;
/// Points of a fold that are written out, so that several folds can be done at a time.
pub const UNROLLED: i64 = 64;
/// What a size is taken for that is known at run time only.
const TYPICAL: i64 = 16;

/// What a fold does at a point: from the index and the carries to the next carries.
type FoldBody<'a, 'b> = dyn FnMut(&mut Lowerer<'a>, &[Value], &[Value]) -> Vec<Value> + 'b;

impl<'a> Lowerer<'a> {
    /// `for i in 0..n`, the body filled in by `body`.
    pub fn for_loop(&mut self, n: Value, lanes: i64, body: impl FnOnce(&mut Self, Value)) {
        let zero = self.int(0);
        let args = self.b.begin_region(&[Type::scalar(DType::I64)]);
        let outer = std::mem::take(&mut self.memo);
        body(self, args[0]);
        self.memo = outer;
        let region = self.b.end_region(&[]);
        self.b
            .op(Op::For { step: 1, lanes }, &[zero, n], vec![region]);
    }

    /// `for i in 0..n` with carried scalars.
    pub fn fold_loop(
        &mut self,
        n: Value,
        init: &[Value],
        body: impl FnOnce(&mut Self, Value, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let zero = self.int(0);
        let mut types = vec![Type::scalar(DType::I64)];
        types.extend(init.iter().map(|&v| self.b.ty(v).clone()));
        let args = self.b.begin_region(&types);
        let outer = std::mem::take(&mut self.memo);
        let next = body(self, args[0], &args[1..]);
        self.memo = outer;
        let region = self.b.end_region(&next);
        let mut operands = vec![zero, n];
        operands.extend(init);
        self.b
            .op(Op::For { step: 1, lanes: 1 }, &operands, vec![region])
    }

    /// `parallel(n)`, the body filled in by `body`.
    pub fn parallel(&mut self, n: Value, grain: i64, body: impl FnOnce(&mut Self, Value)) {
        let args = self.b.begin_region(&[Type::scalar(DType::I64)]);
        let outer = std::mem::take(&mut self.memo);
        let staged = std::mem::take(&mut self.staged);
        body(self, args[0]);
        self.memo = outer;
        self.staged = staged;
        let region = self.b.end_region(&[]);
        self.b.op(Op::Parallel { grain }, &[n], vec![region]);
    }

    /// Loops over a shape, innermost last.
    pub fn nest(
        &mut self,
        shape: &[Dim],
        index: &mut Vec<Value>,
        body: &mut dyn FnMut(&mut Self, &[Value]),
    ) {
        match shape.get(index.len()) {
            None => body(self, index),
            Some(&dim) => {
                let n = self.dim(dim);
                self.for_loop(n, 1, |this, i| {
                    index.push(i);
                    this.nest(shape, index, body);
                    index.pop();
                });
            }
        }
    }

    /// Stores a scalar everywhere in a buffer of a shape.
    pub fn fill_with(&mut self, buffer: Value, shape: &[Dim], scalar: Value) {
        let total = Dim::product(shape.iter().copied());
        let flat = self.b.value(Op::View { shape: vec![total] }, &[buffer]);
        let chunks = self.dim(total.ceil_div(Dim::from(TASK)));
        self.parallel(chunks, 4, |this, chunk| {
            let (size, n) = (this.int(TASK), this.dim(total));
            let from = this.mul(chunk, size);
            let left = this.b.binary(BinaryKind::Sub, n, from);
            let count = this.b.binary(BinaryKind::Min, left, size);
            this.for_loop(count, 4, |this, i| {
                let at = this.add(from, i);
                this.b.op(Op::Store, &[scalar, flat, at], Vec::new());
            });
        });
    }

    /// Every point of a shape, in tiles of two axes: the last, and another that memory is read along.
    /// `body` must touch other memory at every point.
    pub fn tiles(&mut self, shape: &[Dim], axis: usize, body: &mut dyn FnMut(&mut Self, &[Value])) {
        let last = shape.len() - 1;
        let outer: Vec<usize> = (0..last).filter(|&k| k != axis).collect();
        let mut sizes: Vec<Dim> = outer.iter().map(|&k| shape[k]).collect();
        sizes.push(shape[axis].ceil_div(Dim::from(TILE)));
        let tasks = self.product(&sizes);
        self.parallel(tasks, 1, |this, task| {
            let at = this.delinearize(&sizes, task);
            let width = this.int(TILE);
            let (row, rows) = this.tile(at[outer.len()], shape[axis]);
            let columns = this.dim(shape[last].ceil_div(Dim::from(TILE)));
            this.for_loop(columns, 1, |this, column| {
                let (column, count) = this.tile(column, shape[last]);
                this.for_loop(rows, 1, |this, i| {
                    let i = this.add(row, i);
                    this.for_loop(count, 4, |this, j| {
                        let mut index = vec![width; shape.len()];
                        for (&k, &value) in outer.iter().zip(&at) {
                            index[k] = value;
                        }
                        index[axis] = i;
                        index[last] = this.add(column, j);
                        body(this, &index);
                    });
                });
            });
        });
    }

    /// Where a tile begins along an axis, and how far it goes.
    fn tile(&mut self, number: Value, size: Dim) -> (Value, Value) {
        let (width, size) = (self.int(TILE), self.dim(size));
        let from = self.mul(number, width);
        let left = self.b.binary(BinaryKind::Sub, size, from);
        (from, self.b.binary(BinaryKind::Min, left, width))
    }

    /// Every point of a shape: leading axes in parallel, the others in loops whose last may be done
    /// several iterations at a time. `body` must touch other memory at every point.
    pub fn tasks(&mut self, shape: &[Dim], body: &mut dyn FnMut(&mut Self, &[Value])) {
        let size = |d: &Dim| d.as_const().unwrap_or(TYPICAL).clamp(1, TASK);
        let Some(inner_most) = shape.len().checked_sub(1) else {
            return body(self, &[]);
        };
        // As few leading axes as give enough tasks: each is found by a division.
        let (mut outer, mut count) = (0, 1);
        while outer < inner_most && (outer == 0 || count < 4 * TYPICAL) {
            count *= size(&shape[outer]);
            outer += 1;
        }
        if outer == 0 {
            let n = self.dim(shape[0]);
            return self.parallel(n, 64, |this, i| body(this, &[i]));
        }
        let work: i64 = shape[outer..].iter().map(size).fold(1, i64::saturating_mul);
        let (leading, rest) = shape.split_at(outer);
        let n = self.product(leading);
        self.parallel(n, (TASK / work).max(1), |this, task| {
            let mut index = this.delinearize(leading, task);
            this.inner_loops(rest, &mut index, body);
        });
    }

    /// Loops over a shape, the innermost several iterations at a time.
    pub fn inner_loops(
        &mut self,
        shape: &[Dim],
        index: &mut Vec<Value>,
        body: &mut dyn FnMut(&mut Self, &[Value]),
    ) {
        let Some((&dim, rest)) = shape.split_first() else {
            return body(self, index);
        };
        let n = self.dim(dim);
        let lanes = if rest.is_empty() { 4 } else { 1 };
        self.for_loop(n, lanes, |this, i| {
            index.push(i);
            this.inner_loops(rest, index, body);
            index.pop();
        });
    }

    /// Folds over every point of a shape in row-major order.
    pub fn fold_nest(
        &mut self,
        shape: &[Dim],
        init: &[Value],
        body: &mut FoldBody<'a, '_>,
    ) -> Vec<Value> {
        let sizes: Option<Vec<i64>> = shape.iter().map(|d| d.as_const()).collect();
        if let Some(sizes) = sizes
            && sizes.iter().try_fold(1, |n: i64, d| n.checked_mul(*d)) <= Some(UNROLLED)
        {
            return self.unrolled(&sizes, &mut Vec::new(), init, body);
        }
        self.fold_axes(shape, &mut Vec::new(), init, body)
    }

    /// A fold whose points stand one after the other.
    fn unrolled(
        &mut self,
        sizes: &[i64],
        index: &mut Vec<Value>,
        carry: &[Value],
        body: &mut FoldBody<'a, '_>,
    ) -> Vec<Value> {
        let Some((&size, rest)) = sizes.split_first() else {
            return body(self, index, carry);
        };
        let mut carry = carry.to_vec();
        for i in 0..size {
            index.push(self.int(i));
            carry = self.unrolled(rest, index, &carry, body);
            index.pop();
        }
        carry
    }

    fn fold_axes(
        &mut self,
        shape: &[Dim],
        index: &mut Vec<Value>,
        init: &[Value],
        body: &mut FoldBody<'a, '_>,
    ) -> Vec<Value> {
        let Some((&dim, rest)) = shape.split_first() else {
            return body(self, index, init);
        };
        let n = self.dim(dim);
        self.fold_loop(n, init, |this, i, carry| {
            index.push(i);
            let next = this.fold_axes(rest, index, carry, body);
            index.pop();
            next
        })
    }
}
