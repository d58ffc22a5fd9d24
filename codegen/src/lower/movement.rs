//! Ops that move elements and need memory: reshape, pad, concat, gather, scatter, windows, sort.

use aiai_ir::schedule::{Axis, Pattern};
use aiai_ir::{DType, Dim, Literal, Op, OpNode, ReduceKind, ScatterKind, Value};

use super::{Lowerer, whole};

/// Elements of a task.
const PIECE: i64 = 8192;
/// What a size is taken for that is known at run time only; as many tasks are enough.
const TYPICAL: i64 = 64;

impl<'a> Lowerer<'a> {
    /// The same memory under another shape.
    pub fn reshape(&mut self, node: &'a OpNode) {
        let result = node.results[0];
        let shape = self.shape(result).to_vec();
        if self.shape(node.operands[0]).is_empty() && !self.outputs.contains_key(&result) {
            let scalar = self.scalar(node.operands[0]);
            let buffer = self.alloc(self.dtype(result), &shape);
            let zeros: Vec<Value> = shape.iter().map(|_| self.int(0)).collect();
            let mut place = vec![scalar, buffer];
            place.extend(zeros);
            self.b.op(Op::Store, &place, Vec::new());
            self.places.insert(result, whole(buffer, shape.len()));
            return;
        }
        let buffer = self.dense_or_scalar(node.operands[0]);
        let view = self.b.value(
            Op::View {
                shape: shape.clone(),
            },
            &[buffer],
        );
        if shape.is_empty() {
            let scalar = self.b.value(Op::Load, &[view]);
            self.places.insert(result, super::Place::Scalar(scalar));
            return;
        }
        self.places.insert(result, whole(view, shape.len()));
    }

    fn dense_or_scalar(&mut self, value: Value) -> Value {
        if !self.shape(value).is_empty() {
            return self.dense(value);
        }
        let scalar = self.scalar(value);
        let buffer = self.alloc(self.dtype(value), &[]);
        self.b.op(Op::Store, &[scalar, buffer], Vec::new());
        buffer
    }

    /// A constant that is not one value repeated.
    pub fn constant(&mut self, result: Value, value: &Literal) {
        let buffer = self.b.value(
            Op::Data {
                value: value.clone(),
            },
            &[],
        );
        self.places.insert(result, whole(buffer, value.shape.len()));
    }

    /// Every row of a shape. A task is some planes of rows, where there are many: only the axes before are found by divisions.
    fn rows_of_planes(&mut self, shape: &[Dim], body: &mut dyn FnMut(&mut Self, &[Value])) {
        let size = |d: &Dim| d.as_const().unwrap_or(TYPICAL).max(1);
        let count = |axes: &[Dim]| axes.iter().map(size).fold(1, i64::saturating_mul);
        let outer = &shape[..shape.len() - 1];
        let planes = &outer[..outer.len().saturating_sub(1)];
        let leading = match count(planes) >= TYPICAL {
            true => planes,
            false => outer,
        };
        let tasks = self.product(leading);
        let grain = (PIECE / count(&shape[leading.len()..])).max(1);
        self.line_tasks(tasks, grain, |this, task| {
            let mut index = this.delinearize(leading, task);
            this.nest(outer, &mut index, body);
        });
    }

    /// Copies a value into a part of a buffer, each index moved by `shift`.
    fn copy_shifted(&mut self, value: Value, buffer: Value, shift: &[Value]) {
        let shape = self.shape(value).to_vec();
        let moved = |this: &mut Self, index: &[Value]| -> Vec<Value> {
            let pairs = index.iter().zip(shift);
            pairs.map(|(&i, &by)| this.add(i, by)).collect()
        };
        self.memo.clear();
        let last = shape.last().copied().unwrap_or(Dim::from(1));
        self.by_schedule(Pattern::Map, &[(Axis::Columns.name(), last)], |this| {
            let narrow = this
                .line
                .and_then(|line| last.as_const().filter(|&n| 2 * n < line.lanes));
            let few = || Some(format!("rows of {} fill no half of a vector", narrow?));
            let reason = this.lanes_of(value).err().or_else(few);
            if narrow.is_none() && this.in_vectors(value) {
                let end = this.dim(last);
                this.rows_of_planes(&shape, &mut |this, index| {
                    let (low, abreast) = (this.int(0), this.line().stores);
                    this.along((low, end), index, abreast, &[], &mut |this, at, _| {
                        let vector = this.vector(value, at);
                        let place = moved(this, at.index());
                        let operands = [&[vector, buffer], &place[..], &[at.count]].concat();
                        this.b.op(Op::StoreVector, &operands, Vec::new());
                        None
                    });
                });
            } else {
                this.tasks(&shape, &mut |this, index| {
                    let element = this.element(value, index);
                    let place = moved(this, index);
                    let operands = [&[element, buffer], &place[..]].concat();
                    this.b.op(Op::Store, &operands, Vec::new());
                });
            }
            reason
        });
        self.memo.clear();
    }

    pub fn pad(&mut self, node: &'a OpNode, low: &[Dim]) {
        let result = node.results[0];
        let fill = self.scalar(node.operands[1]);
        let buffer = self.destination(result);
        let shape = self.shape(result).to_vec();
        self.fill_with(buffer, &shape, fill);
        let shift: Vec<Value> = low.iter().map(|&d| self.dim(d)).collect();
        self.copy_shifted(node.operands[0], buffer, &shift);
    }

    pub fn concat(&mut self, node: &'a OpNode, axis: usize) {
        let buffer = self.destination(node.results[0]);
        let mut start = Dim::from(0);
        for &part in &node.operands {
            let rank = self.shape(part).len();
            let mut shift: Vec<Value> = (0..rank).map(|_| self.int(0)).collect();
            shift[axis] = self.dim(start);
            self.copy_shifted(part, buffer, &shift);
            start = start + self.shape(part)[axis];
        }
    }

    /// The checked places that index tensors name for a point of their shape.
    fn addressed(
        &mut self,
        x: Value,
        indices: &[Value],
        axes: &[usize],
        at: &[Value],
    ) -> Vec<Value> {
        let shape = self.shape(x).to_vec();
        let mut found = Vec::new();
        for (&index, &axis) in indices.iter().zip(axes) {
            let place = self.element(index, at);
            let message = "index {a} is out of range for an axis of size {b}";
            self.check_index(place, shape[axis], shape[axis], message);
            found.push(place);
        }
        found
    }

    pub fn gather(&mut self, node: &'a OpNode, axes: &[usize]) {
        let (x, indices) = (node.operands[0], &node.operands[1..]);
        let points = self.shape(indices[0]).to_vec();
        let rank = self.shape(x).len();
        let rest: Vec<usize> = (0..rank).filter(|k| !axes.contains(k)).collect();
        let window: Vec<Dim> = rest.iter().map(|&k| self.shape(x)[k]).collect();
        let buffer = self.destination(node.results[0]);
        self.memo.clear();
        let count = self.product(&points);
        self.parallel(count, 32, |this, point| {
            let at = this.delinearize(&points, point);
            let found = this.addressed(x, indices, axes, &at);
            this.inner_loops(&window, &mut Vec::new(), &mut |this, inner| {
                let index = super::reduction::merge(rank, (axes, &found), (&rest, inner));
                let element = this.element(x, &index);
                let mut place = vec![element, buffer];
                place.extend(&at);
                place.extend(inner);
                this.b.op(Op::Store, &place, Vec::new());
            });
        });
        self.memo.clear();
    }

    pub fn scatter(&mut self, node: &'a OpNode, axes: &[usize], kind: ScatterKind) {
        let [x, indices @ .., updates] = node.operands.as_slice() else {
            return;
        };
        let (x, updates) = (*x, *updates);
        let points = self.shape(indices[0]).to_vec();
        let rank = self.shape(x).len();
        let rest: Vec<usize> = (0..rank).filter(|k| !axes.contains(k)).collect();
        let window: Vec<Dim> = rest.iter().map(|&k| self.shape(x)[k]).collect();
        let buffer = self.copy_of(x, node.results[0]);
        // In order: several updates of one place combine in row-major order.
        let count = self.product(&points);
        self.for_loop(count, 1, |this, point| {
            let at = this.delinearize(&points, point);
            let found = this.addressed(x, indices, axes, &at);
            this.inner_loops(&window, &mut Vec::new(), &mut |this, inner| {
                let index = super::reduction::merge(rank, (axes, &found), (&rest, inner));
                let mut from = at.clone();
                from.extend(inner);
                let update = this.element(updates, &from);
                let mut place = vec![buffer];
                place.extend(&index);
                let value = match kind {
                    ScatterKind::Set => update,
                    ScatterKind::Add | ScatterKind::Max | ScatterKind::Min => {
                        let known = this.b.value(Op::Load, &place);
                        let reduce = match kind {
                            ScatterKind::Max => ReduceKind::Max,
                            ScatterKind::Min => ReduceKind::Min,
                            ScatterKind::Add | ScatterKind::Set => ReduceKind::Sum,
                        };
                        this.combine(reduce, known, update)
                    }
                };
                place.insert(0, value);
                this.b.op(Op::Store, &place, Vec::new());
            });
        });
        self.memo.clear();
    }

    /// A buffer for the result that starts as a copy of x.
    fn copy_of(&mut self, x: Value, result: Value) -> Value {
        let buffer = match self.outputs.get(&result) {
            Some(&buffer) => buffer,
            None => self.alloc(self.dtype(result), self.shape(result)),
        };
        self.write_to(x, buffer);
        self.places
            .insert(result, whole(buffer, self.shape(result).len()));
        buffer
    }

    /// Run-time positions, checked to leave room for a window.
    fn window_start(&mut self, positions: &[Value], sizes: &[Dim], shape: &[Dim]) -> Vec<Value> {
        let mut starts = Vec::new();
        for (k, &position) in positions.iter().enumerate() {
            let start = self.scalar(position);
            let room = shape[k] - sizes[k] + Dim::from(1);
            let message = format!(
                "position {{a}} with size {} leaves an axis of {{b}}",
                sizes[k]
            );
            self.check_index(start, room, shape[k], &message);
            starts.push(start);
        }
        starts
    }

    pub fn dynamic_slice(&mut self, node: &'a OpNode) {
        let result = node.results[0];
        let x = node.operands[0];
        let sizes = self.shape(result).to_vec();
        let shape = self.shape(x).to_vec();
        let starts = self.window_start(&node.operands[1..], &sizes, &shape);
        let buffer = self.destination(result);
        self.memo.clear();
        self.tasks(&sizes, &mut |this, index| {
            let mut from = Vec::new();
            for (&i, &start) in index.iter().zip(&starts) {
                from.push(this.add(i, start));
            }
            let element = this.element(x, &from);
            let mut place = vec![element, buffer];
            place.extend(index);
            this.b.op(Op::Store, &place, Vec::new());
        });
        self.memo.clear();
    }

    pub fn dynamic_update(&mut self, node: &'a OpNode) {
        let (x, window) = (node.operands[0], node.operands[1]);
        let shape = self.shape(x).to_vec();
        let sizes = self.shape(window).to_vec();
        let starts = self.window_start(&node.operands[2..], &sizes, &shape);
        let buffer = self.copy_of(x, node.results[0]);
        self.copy_shifted(window, buffer, &starts);
    }

    pub fn random_bits(&mut self, node: &'a OpNode) {
        let result = node.results[0];
        let key = self.dense(node.operands[0]);
        let buffer = self.destination(result);
        let n = self.product(self.source.ty(result).shape());
        let zero = self.int(0);
        self.kernel("aiai_random_bits", &[key, zero, zero, buffer, zero, n], &[]);
    }

    /// Sorts rows one at a time: insertion into a run of places, keys compared through the places.
    pub fn sort(&mut self, node: &'a OpNode, axis: usize, descending: bool) {
        let keys = node.operands[0];
        let shape = self.shape(keys).to_vec();
        let kept: Vec<usize> = (0..shape.len()).filter(|k| *k != axis).collect();
        let outer: Vec<Dim> = kept.iter().map(|&k| shape[k]).collect();
        let sources: Vec<Value> = node.operands.iter().map(|&v| self.dense(v)).collect();
        let targets: Vec<Value> = node.results.iter().map(|&v| self.destination(v)).collect();
        let places = self.alloc(DType::I64, &shape);
        let rows = self.product(&outer);
        let n = self.dim(shape[axis]);
        let stride = self.product(&shape[axis + 1..]);
        let dtype = self.int(
            DType::ALL
                .iter()
                .position(|d| *d == self.dtype(keys))
                .unwrap_or(0) as i64,
        );
        let order = self.int(i64::from(descending));
        self.parallel(rows, 1, |this, row| {
            let at = this.delinearize(&outer, row);
            let zero = this.int(0);
            let first = super::reduction::merge(shape.len(), (&kept, &at), (&[axis], &[zero]));
            let from = this.linear(&shape, &first);
            this.kernel(
                "aiai_argsort",
                &[dtype, sources[0], from, stride, n, order, places, from],
                &[],
            );
            this.for_loop(n, 1, |this, i| {
                let index = super::reduction::merge(shape.len(), (&kept, &at), (&[axis], &[i]));
                let mut load = vec![places];
                load.extend(&index);
                let place = this.b.value(Op::Load, &load);
                let taken = super::reduction::merge(shape.len(), (&kept, &at), (&[axis], &[place]));
                for (&source, &target) in sources.iter().zip(&targets) {
                    let mut load = vec![source];
                    load.extend(&taken);
                    let element = this.b.value(Op::Load, &load);
                    let mut store = vec![element, target];
                    store.extend(&index);
                    this.b.op(Op::Store, &store, Vec::new());
                }
            });
        });
    }
}
