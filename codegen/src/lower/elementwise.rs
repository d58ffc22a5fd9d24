//! Loops that fill a buffer element by element.
//!
//! A row is done in chunks. Functions such as exp are taken out of the element loop: their arguments
//! go to a scratch row, a vectorised micro-kernel maps the row, and the loop that follows reads it.

use std::collections::HashSet;

use aiai_ir::schedule::{Axis, Pattern};
use aiai_ir::{BinaryKind, DType, Dim, Op, UnaryKind, Value};

use super::usage::is_expensive;
use super::{Lowerer, Place};

/// Where the element of a value at an index lies in a scratch buffer.
#[derive(Clone, Debug)]
pub struct Staged {
    pub scratch: Value,
    pub place: Value,
    pub index: Vec<Value>,
}

/// Elements of a chunk of a row.
pub const CHUNK: i64 = 256;
/// Rows to a task, and chunks to a task where a value is one long row.
const GRAIN: i64 = 8;
/// Elements that are a task where they are done in vectors, and no schedule says how many.
const PIECE: i64 = 8192;
/// What the length of a row is taken for that is known at run time only.
const TYPICAL: i64 = 512;

impl Lowerer<'_> {
    /// Gives a value that is an expression a buffer, and fills it.
    pub fn materialize(&mut self, value: Value) {
        self.places.insert(value, Place::Lazy);
        let shape = self.shape(value).to_vec();
        if let Some(&buffer) = self.outputs.get(&value) {
            self.fill(value, buffer);
            self.places.insert(value, super::whole(buffer, shape.len()));
            return;
        }
        let axes = self.layout(value);
        if axes.iter().copied().eq(0..shape.len()) {
            let buffer = self.alloc(self.dtype(value), &shape);
            self.fill(value, buffer);
            self.places.insert(value, super::whole(buffer, shape.len()));
            return;
        }
        let mut physical = shape.clone();
        for (k, &axis) in axes.iter().enumerate() {
            physical[axis] = shape[k];
        }
        let buffer = self.alloc(self.dtype(value), &physical);
        self.memo.clear();
        self.by_schedule(
            Pattern::Map,
            &[(Axis::Columns.name(), physical[axes.len() - 1])],
            |this| {
                this.tasks(&physical, &mut |this, place| {
                    let index: Vec<Value> = axes.iter().map(|&axis| place[axis]).collect();
                    let element = this.element(value, &index);
                    let mut operands = vec![element, buffer];
                    operands.extend(place);
                    this.b.op(Op::Store, &operands, Vec::new());
                });
                Some("the axes lie in another order in memory".into())
            },
        );
        self.places.insert(value, Place::Buffer { buffer, axes });
    }

    /// The order of axes in memory that suits a value: that of the first tensor it is computed from, so
    /// that both are walked alike. Row-major where someone wants it so, or rows go through kernels.
    fn layout(&self, value: Value) -> Vec<usize> {
        let shape = self.shape(value);
        let in_order = (0..shape.len()).collect();
        if self.row_major.contains(&value) || !self.stages(value).is_empty() {
            return in_order;
        }
        let (mut work, mut seen) = (vec![value], HashSet::new());
        while let Some(next) = work.pop() {
            if !seen.insert(next) {
                continue;
            }
            match self.places.get(&next) {
                Some(Place::Buffer { axes, .. }) if self.shape(next) == shape => {
                    return axes.clone();
                }
                Some(Place::Lazy) | None => {
                    let node = self.nodes.get(&next);
                    let same_index = node.filter(|n| !n.op.is_view() && n.op.is_expression());
                    work.extend(same_index.iter().flat_map(|n| n.operands.iter().rev()));
                }
                _ => {}
            }
        }
        in_order
    }

    /// Copies a value to a buffer of its type, unless it lies there.
    pub fn write_to(&mut self, value: Value, buffer: Value) {
        if !self.lies_in(value, buffer) {
            self.fill(value, buffer);
        }
    }

    fn fill(&mut self, value: Value, buffer: Value) {
        let shape = self.shape(value).to_vec();
        self.memo.clear();
        if shape.is_empty() {
            let scalar = self.element(value, &[]);
            self.b.op(Op::Store, &[scalar, buffer], Vec::new());
            return;
        }
        let (flat, last) = (self.is_flat(value, &shape), shape[shape.len() - 1]);
        let columns = match flat {
            true => Dim::product(shape.iter().copied()),
            false => last,
        };
        self.by_schedule(Pattern::Map, &[(Axis::Columns.name(), columns)], |this| {
            let reason = this.lanes_of(value).err();
            let narrow = this
                .line
                .and_then(|l| last.as_const().filter(|&n| n < l.lanes));
            if flat {
                this.fill_flat(value, buffer, &shape);
            } else if narrow.is_none() && this.in_vectors(value) {
                this.fill_rows(value, buffer, &shape);
            } else {
                this.fill_elements(value, buffer, &shape);
            }
            reason.or_else(|| Some(format!("rows of {} fill no vector", narrow?)))
        });
    }

    /// Fills a buffer element by element.
    fn fill_elements(&mut self, value: Value, buffer: Value, shape: &[Dim]) {
        let (last, outer) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
        if self.stages(value).is_empty() {
            let mut store = |this: &mut Self, index: &[Value]| {
                let element = this.element(value, index);
                let mut place = vec![element, buffer];
                place.extend(index);
                this.b.op(Op::Store, &place, Vec::new());
            };
            if let Some(axis) = self.across(value) {
                return self.tiles(shape, axis, &mut store);
            }
            return self.tasks(shape, &mut store);
        }
        let rows = self.product(outer);
        self.parallel(rows, GRAIN, |this, row| {
            let index = this.delinearize(outer, row);
            let stages = this.stages(value);
            let n = this.dim(last);
            this.chunks(
                n,
                value,
                &stages,
                &mut |this, at, element| {
                    let mut place = vec![element, buffer];
                    place.extend(&index);
                    place.push(at);
                    this.b.op(Op::Store, &place, Vec::new());
                },
                &index,
            );
        });
    }

    /// Fills a buffer in vectors: a task is some rows, or a piece of a long one.
    fn fill_rows(&mut self, value: Value, buffer: Value, shape: &[Dim]) {
        let Some((&last, outer)) = shape.split_last() else {
            return;
        };
        let rows = Dim::product(outer.iter().copied());
        let piece = self.line().tile.unwrap_or(PIECE);
        let pieces = match last.as_const() {
            Some(n) if n <= piece => Dim::from(1),
            _ => last.ceil_div(Dim::from(piece)),
        };
        let tasks = self.dim(rows * pieces);
        let grain = (piece / last.as_const().unwrap_or(TYPICAL).max(1)).max(1);
        self.line_tasks(tasks, grain, |this, task| {
            let (mut row, mut low, mut high) = (task, this.int(0), this.dim(last));
            if !pieces.is_const(1) {
                let pieces = this.dim(pieces);
                row = this.b.binary(BinaryKind::Div, task, pieces);
                let number = this.b.binary(BinaryKind::Rem, task, pieces);
                let size = this.int(piece);
                low = this.mul(number, size);
                let end = this.add(low, size);
                high = this.b.binary(BinaryKind::Min, high, end);
            }
            let index = this.delinearize(outer, row);
            let target = [&[buffer], index.as_slice()].concat();
            this.fill_vectors(value, (low, high), &index, &target);
        });
    }

    /// The axis that runs along the memory of a tensor that a value is computed from, where that is not
    /// the last one: then rows are written and columns read.
    fn across(&self, value: Value) -> Option<usize> {
        let rank = self.shape(value).len();
        let mut work = vec![(value, (0..rank).collect::<Vec<usize>>())];
        let mut seen = HashSet::new();
        while let Some((value, axes)) = work.pop() {
            if !seen.insert(value) {
                continue;
            }
            match self.places.get(&value) {
                Some(Place::Buffer { axes: order, .. }) if order.len() == rank => {
                    let along = order.iter().position(|&axis| axis + 1 == rank)?;
                    let short = |d: &Dim| d.as_const().is_some_and(|n| n < 8);
                    let shape = self.shape(value);
                    let last = axes.iter().position(|&axis| axis + 1 == rank)?;
                    if along != last && !short(&shape[along]) && !short(&shape[last]) {
                        return Some(axes[along]);
                    }
                }
                Some(Place::Lazy) | None => {
                    let Some(node) = self.nodes.get(&value) else {
                        continue;
                    };
                    match &node.op {
                        Op::Permute { axes: order } => {
                            let mut inner = axes.clone();
                            for (k, &axis) in order.iter().enumerate() {
                                inner[axis] = axes[k];
                            }
                            work.push((node.operands[0], inner));
                        }
                        op if op.is_expression() && !op.is_view() => {
                            work.extend(node.operands.iter().map(|&v| (v, axes.clone())));
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Whether every element depends on the elements at the same position only: then the axes are one.
    fn is_flat(&self, value: Value, shape: &[Dim]) -> bool {
        if shape.len() < 2 {
            return false;
        }
        let (mut work, mut seen) = (vec![value], HashSet::new());
        while let Some(value) = work.pop() {
            if !seen.insert(value) {
                continue;
            }
            match self.places.get(&value) {
                Some(Place::Scalar(_)) => {}
                Some(Place::Buffer { axes, .. }) => {
                    let same = self.shape(value) == shape && axes.iter().copied().eq(0..axes.len());
                    if !same && !axes.is_empty() {
                        return false;
                    }
                }
                _ => {
                    let Some(node) = self.nodes.get(&value) else {
                        return false;
                    };
                    match &node.op {
                        Op::Unary { .. }
                        | Op::Binary { .. }
                        | Op::Compare { .. }
                        | Op::Select
                        | Op::Cast { .. }
                        | Op::StopGradient => work.extend(&node.operands),
                        Op::Constant { .. } | Op::DimValue { .. } => {}
                        Op::Broadcast { axes, .. } if axes.is_empty() => {
                            work.extend(&node.operands)
                        }
                        _ => return false,
                    }
                }
            }
        }
        true
    }

    /// One loop over all elements; every buffer is seen as one row.
    fn fill_flat(&mut self, value: Value, buffer: Value, shape: &[Dim]) {
        let total = Dim::product(shape.iter().copied());
        let flat = self.b.value(Op::View { shape: vec![total] }, &[buffer]);
        let in_vectors = self.in_vectors(value);
        let views = self.flatten_leaves(value, total);
        if in_vectors {
            let piece = self.line().tile.unwrap_or(PIECE);
            let chunks = self.dim(total.ceil_div(Dim::from(piece)));
            self.line_tasks(chunks, 1, |this, chunk| {
                let size = this.int(piece);
                let low = this.mul(chunk, size);
                let (end, n) = (this.add(low, size), this.dim(total));
                let high = this.b.binary(BinaryKind::Min, n, end);
                this.fill_vectors(value, (low, high), &[], &[flat]);
            });
            return self.places.extend(views);
        }
        let chunks = self.dim(total.ceil_div(Dim::from(CHUNK)));
        self.parallel(chunks, GRAIN, |this, chunk| {
            let stages = this.stages(value);
            let width = this.int(CHUNK);
            let from = this.mul(chunk, width);
            let n = this.dim(total);
            let left = this.b.binary(BinaryKind::Sub, n, from);
            let n = this.b.binary(BinaryKind::Min, left, width);
            this.staged_chunk(value, &stages, from, n, &[], &mut |this, at, element| {
                this.b.op(Op::Store, &[element, flat, at], Vec::new());
            });
        });
        self.places.extend(views);
    }

    /// Replaces the buffers that a flat value reads by views of one axis. Returns what to put back.
    fn flatten_leaves(&mut self, value: Value, total: Dim) -> Vec<(Value, Place)> {
        let mut replaced = Vec::new();
        let mut seen = HashSet::new();
        let mut work = vec![value];
        while let Some(value) = work.pop() {
            if !seen.insert(value) {
                continue;
            }
            match self.places.get(&value).cloned() {
                Some(Place::Buffer { buffer, axes }) => {
                    if axes.is_empty() {
                        let scalar = self.b.value(Op::Load, &[buffer]);
                        self.places.insert(value, Place::Scalar(scalar));
                    } else {
                        let view = self.b.value(Op::View { shape: vec![total] }, &[buffer]);
                        self.places.insert(value, super::whole(view, 1));
                    }
                    replaced.push((value, Place::Buffer { buffer, axes }));
                }
                Some(Place::Scalar(_)) => {}
                _ => {
                    if let Some(node) = self.nodes.get(&value) {
                        work.extend(&node.operands);
                    }
                }
            }
        }
        replaced
    }

    /// The expensive functions on the way from the operands to a value, inner ones first. Only those
    /// that vary along the row and sit at the same index are staged.
    pub fn stages(&self, value: Value) -> Vec<Value> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        self.collect_stages(value, &mut seen, &mut order);
        order
    }

    /// Whether a value is a function that a micro-kernel maps rows by.
    pub fn is_staged(&self, value: Value) -> bool {
        self.nodes.get(&value).is_some_and(|node| {
            let is_inlined = match node.op {
                Op::Unary { kind } => self.inlined.contains(&kind),
                _ => false,
            };
            is_expensive(&node.op) && self.dtype(value) == DType::F32 && !is_inlined
        })
    }

    fn collect_stages(&self, value: Value, seen: &mut HashSet<Value>, order: &mut Vec<Value>) {
        if !seen.insert(value) || !matches!(self.places.get(&value), Some(Place::Lazy) | None) {
            return;
        }
        let Some(node) = self.nodes.get(&value) else {
            return;
        };
        match &node.op {
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. }
            | Op::StopGradient => {
                for &operand in &node.operands {
                    self.collect_stages(operand, seen, order);
                }
                if self.is_staged(value) && order.len() < 8 {
                    order.push(value);
                }
            }
            _ => {}
        }
    }

    /// The elements of a row of `n`, chunk by chunk, each handed to `sink` with its place.
    pub fn chunks(
        &mut self,
        n: Value,
        value: Value,
        stages: &[Value],
        sink: &mut dyn FnMut(&mut Self, Value, Value),
        index: &[Value],
    ) {
        if stages.is_empty() {
            self.for_loop(n, 4, |this, i| {
                let mut at = index.to_vec();
                at.push(i);
                let element = this.element(value, &at);
                sink(this, i, element);
            });
            return;
        }
        let width = self.int(CHUNK);
        let one = self.int(CHUNK - 1);
        let padded = self.add(n, one);
        let count = self.b.binary(BinaryKind::Div, padded, width);
        self.for_loop(count, 1, |this, chunk| {
            let from = this.mul(chunk, width);
            let left = this.b.binary(BinaryKind::Sub, n, from);
            let size = this.b.binary(BinaryKind::Min, left, width);
            this.staged_chunk(value, stages, from, size, index, sink);
        });
    }

    /// One chunk: stage by stage, then the elements.
    pub fn staged_chunk(
        &mut self,
        value: Value,
        stages: &[Value],
        from: Value,
        n: Value,
        index: &[Value],
        sink: &mut dyn FnMut(&mut Self, Value, Value),
    ) {
        let outer = self.staged.clone();
        let scratches = self.fill_stages(stages, from, n, index);
        self.for_loop(n, 4, |this, i| {
            let at = this.offset(index, from, i);
            this.enter_staged(&scratches, i, &at);
            let element = this.element(value, &at);
            let place = at[at.len() - 1];
            sink(this, place, element);
        });
        self.staged = outer;
    }

    /// The functions of a chunk, each in a scratch buffer.
    pub fn fill_stages(
        &mut self,
        stages: &[Value],
        from: Value,
        n: Value,
        index: &[Value],
    ) -> Vec<(Value, Value)> {
        let zero = self.int(0);
        let outer = self.staged.clone();
        let mut scratches = Vec::new();
        for &stage in stages {
            let node = self.nodes[&stage];
            let Op::Unary { kind } = node.op else {
                continue;
            };
            let scratch = self.alloc(DType::F32, &[Dim::from(CHUNK)]);
            let name = row_kernel(kind);
            if let Some(&Place::Row(buffer)) = self.places.get(&node.operands[0]) {
                self.kernel(&name, &[buffer, from, scratch, zero, n], &[]);
            } else {
                let ready = scratches.clone();
                self.for_loop(n, 4, |this, i| {
                    let at = this.offset(index, from, i);
                    this.enter_staged(&ready, i, &at);
                    let argument = this.element(node.operands[0], &at);
                    this.b.op(Op::Store, &[argument, scratch, i], Vec::new());
                });
                self.kernel(&name, &[scratch, zero, scratch, zero, n], &[]);
            }
            scratches.push((stage, scratch));
        }
        self.staged = outer;
        scratches
    }

    fn enter_staged(&mut self, ready: &[(Value, Value)], i: Value, at: &[Value]) {
        for &(stage, scratch) in ready {
            let place = i;
            let index = at.to_vec();
            let staged = Staged {
                scratch,
                place,
                index,
            };
            self.staged.insert(stage, staged);
        }
    }

    fn offset(&mut self, index: &[Value], from: Value, i: Value) -> Vec<Value> {
        let mut at = index.to_vec();
        at.push(self.add(from, i));
        at
    }
}

/// The micro-kernel that maps a row of f32.
pub fn row_kernel(kind: UnaryKind) -> String {
    format!("aiai_row_{}_f32", kind.name())
}
