//! Reductions of rows in vectors: element i of a row is added to partial result i modulo their number, which the
//! schedule gives, and then the upper half of these to the lower half until one is left. With 64 of them this is the order
//! of the micro-kernels.

use aiai_ir::{BinaryKind, DType, Dim, Op, ReduceKind, Value};

use super::abreast::Block;
use super::reduction::{Fold, merge};
use super::vectors::{At, Pass, place};
use super::{Lowerer, Place};

/// What is reduced.
#[derive(Clone, Copy)]
enum Terms {
    Of(Value),
    /// Products of two values, each rounded with its addition only.
    Products(Value, Value),
    /// What lies in a buffer of one axis.
    In(Value),
}

impl<'a> Lowerer<'a> {
    /// The reduction of a value that can be computed in vectors, over its last axis and the axes `before`.
    pub fn fold_rows(
        &mut self,
        x: Value,
        fold: Fold,
        (before, kept): (&[usize], &[usize]),
        at: &[Value],
        init: Value,
    ) -> Value {
        let shape = self.shape(x).to_vec();
        if before.is_empty() {
            let part = self.row_part(x, fold, at);
            return self.fold_lanes(part, fold.kind, DType::F32);
        }
        let n = self.dim(shape[shape.len() - 1]);
        let zero = self.int(0);
        let sizes: Vec<Dim> = before.iter().map(|&a| shape[a]).collect();
        let rows = self.product(&sizes);
        self.fold_loop(rows, &[init], |this, row, carry| {
            let inner = this.delinearize(&sizes, row);
            let outer = merge(shape.len() - 1, (kept, at), (before, &inner));
            let part = this.fold_vectors(Terms::Of(x), fold, (zero, n), &outer);
            vec![this.combine(fold, carry[0], part)]
        })[0]
    }

    /// The partial results of a row of a value that can be computed in vectors, in the lanes of one.
    pub fn row_part(&mut self, x: Value, fold: Fold, at: &[Value]) -> Value {
        let n = self.dim(self.shape(x)[at.len()]);
        let zero = self.int(0);
        let terms = match self.factors(x) {
            Some((a, b)) if fold.kind == ReduceKind::Sum => Terms::Products(a, b),
            _ => Terms::Of(x),
        };
        self.fold_part(terms, fold, (zero, n), at)
    }

    /// The reduction of `n` elements of a buffer from a position on.
    pub fn fold_memory(&mut self, fold: Fold, buffer: Value, from: Value, n: Value) -> Value {
        let total = Dim::product(self.b.ty(buffer).shape().iter().copied());
        let flat = self.b.value(Op::View { shape: vec![total] }, &[buffer]);
        let high = self.add(from, n);
        self.fold_vectors(Terms::In(flat), fold, (from, high), &[])
    }

    fn fold_vectors(
        &mut self,
        terms: Terms,
        fold: Fold,
        range: (Value, Value),
        outer: &[Value],
    ) -> Value {
        let part = self.fold_part(terms, fold, range, outer);
        self.fold_lanes(part, fold.kind, DType::F32)
    }

    fn fold_part(
        &mut self,
        terms: Terms,
        fold: Fold,
        range: (Value, Value),
        outer: &[Value],
    ) -> Value {
        let ((low, high), line) = (range, self.line());
        let (start, low) = match self.first_vectors(terms, fold.kind, low, outer) {
            Some(first) => (first, self.int(line.sums * line.lanes)),
            None => (self.partial_results(fold.kind, DType::F32), low),
        };
        let part = self.part_along((low, high), outer, fold, &start, &mut |this, at, part| {
            let part = part?;
            let next = this.fold_step(terms, fold, at, part);
            Some(this.where_existing(at, next, part))
        });
        self.settle_pending();
        part
    }

    /// As many vectors to begin with as are done side by side: what the first elements leave as they are. Sums begin with
    /// -0, to which adding costs nothing; the reduction of the lanes begins with 0.
    pub fn partial_results(&mut self, kind: ReduceKind, dtype: DType) -> Vec<Value> {
        let init = match kind {
            ReduceKind::Sum if dtype.is_float() => self.number(dtype, -0.0),
            _ => self.identity(kind, dtype),
        };
        vec![self.in_all_lanes(init); self.line().sums as usize]
    }

    /// Goes along a line and combines the vectors of partial results that the pass gives to one.
    pub fn part_along(
        &mut self,
        range: (Value, Value),
        outer: &[Value],
        fold: Fold,
        start: &[Value],
        pass: &mut Pass<'a, '_>,
    ) -> Value {
        let mut parts = self.along(range, outer, start.len() as i64, start, pass);
        // In whichever turn an even number of parts comes back, these are the same pairs.
        while parts.len() > 1 {
            let upper = parts.split_off(parts.len().div_ceil(2));
            for (lower, upper) in parts.iter_mut().zip(upper) {
                *lower = self.combine(fold, *lower, upper);
            }
        }
        parts[0]
    }

    /// The reduction of the lanes of a vector.
    pub fn fold_lanes(&mut self, part: Value, kind: ReduceKind, acc: DType) -> Value {
        let op = Op::Reduce {
            kind,
            axes: vec![0],
            acc,
        };
        self.b.value(op, &[part])
    }

    /// The reductions of several rows in one vector: lane k is that of the partial results in line k of a buffer, modulo
    /// the number of lines. They are added up in the order in which those of one row are.
    pub fn fold_abreast(&mut self, block: &Block, fold: Fold) -> Value {
        let lanes = self.line().lanes;
        let (zero, all) = (self.int(0), self.int(lanes));
        let mut parts = Vec::new();
        for k in 0..block.by {
            let row = self.int(k);
            parts.push(self.load_vector(&[block.partials, row, zero, all]));
        }
        let combined = self.tree(parts, lanes as usize, &mut |this, low, high| {
            this.combine(fold, low, high)
        });
        // As one row's, a sum begins with 0.
        let init = self.identity(fold.kind, DType::F32);
        let init = self.in_all_lanes(init);
        match fold.kind {
            ReduceKind::Sum => self.combine(fold, init, combined),
            _ => combined,
        }
    }

    /// The sums of the lanes of several vectors in one: lane k is that of vector k, modulo their number.
    pub fn sums_abreast(&mut self, parts: Vec<Value>, lanes: usize) -> Value {
        self.tree(parts, lanes, &mut |this, low, high| {
            this.b.binary(BinaryKind::Add, low, high)
        })
    }

    fn tree(
        &mut self,
        mut parts: Vec<Value>,
        lanes: usize,
        combine: &mut dyn FnMut(&mut Self, Value, Value) -> Value,
    ) -> Value {
        let mut half = lanes / 2;
        while half > 0 {
            let upper = match parts.len() > half {
                true => parts.split_off(half),
                false => parts.clone(),
            };
            for (lower, upper) in parts.iter_mut().zip(upper) {
                let pair = [*lower, upper];
                let halves = [false, true];
                let [low, high] = halves.map(|high| self.in_turns(pair, high));
                *lower = combine(self, low, high);
            }
            half /= 2;
        }
        parts[0]
    }

    /// The first vectors of a row that is known to have as many, for extremes, which need not begin with an identity.
    fn first_vectors(
        &mut self,
        terms: Terms,
        kind: ReduceKind,
        low: Value,
        outer: &[Value],
    ) -> Option<Vec<Value>> {
        let Terms::Of(x) = terms else {
            return None;
        };
        let length = self.shape(x).last()?.as_const()?;
        let is_extreme = matches!(kind, ReduceKind::Max | ReduceKind::Min);
        let line = self.line();
        if !is_extreme || length < line.sums * line.lanes {
            return None;
        }
        let mut first = Vec::new();
        let asked = self.row.as_ref().map_or_else(Vec::new, |row| row.asked());
        for k in 0..line.sums {
            let offset = self.int(k * line.lanes);
            let column = self.add(low, offset);
            for &(buffer, from) in &asked {
                let position = self.add(from, column);
                self.b.op(Op::Prefetch, &[buffer, position], Vec::new());
            }
            let lanes = self.int(line.lanes);
            let mut at = place(outer, column, lanes, true);
            first.push(self.vector(x, &mut at));
        }
        Some(first)
    }

    fn fold_step(&mut self, terms: Terms, fold: Fold, at: &mut At, part: Value) -> Value {
        let term = match terms {
            Terms::Products(a, b) => {
                let [a, b] = [a, b].map(|v| self.vector(v, at));
                return self.b.value(Op::Fma, &[a, b, part]);
            }
            Terms::Of(x) => self.vector(x, at),
            Terms::In(buffer) => self.vector_in(buffer, at),
        };
        self.combine(fold, part, term)
    }

    /// The values whose elementwise product a value is, where micro-kernels would find both in memory.
    fn factors(&self, value: Value) -> Option<(Value, Value)> {
        let node = *self.nodes.get(&value)?;
        let product = Op::Binary {
            kind: aiai_ir::BinaryKind::Mul,
        };
        if node.op != product || !matches!(self.places.get(&value), Some(Place::Lazy) | None) {
            return None;
        }
        let is_kept = |v: &Value| match self.places.get(v) {
            Some(Place::Row(_)) => true,
            Some(Place::Buffer { axes, .. }) => axes.iter().copied().eq(0..axes.len()),
            _ => self.row.as_ref().is_some_and(|row| row.kept.contains(v)),
        };
        let factors = (node.operands[0], node.operands[1]);
        (is_kept(&factors.0) && is_kept(&factors.1)).then_some(factors)
    }
}
