//! Groups of rows: reductions along the last axis and what goes on from them, as softmax and layer norm
//! do, in one loop over the rows.
//!
//! Within a row, a reduction and what is computed from it alone is a scalar. What several loops over the
//! row read is kept in a scratch row; the rest is computed where it is used.

use std::collections::HashMap;

use aiai_ir::schedule::{Axis, Pattern};
use aiai_ir::{BinaryKind, DType, Dim, Op, OpNode, Region, Value};

use super::elementwise::row_kernel;
use super::vectors::Pending;
use super::{Lowerer, Place, whole};

/// Rows to a task, at most: they share the scratch rows.
const BLOCK: i64 = 8;
/// Elements to a task, about.
const TASK: i64 = 1 << 15;

/// The row that a group is at.
#[derive(Debug)]
pub struct Row {
    /// The shape of all rows.
    shape: Vec<Dim>,
    /// The index of the row, and its number in row-major order.
    at: Vec<Value>,
    pub number: Value,
    /// Buffers of that shape, seen as rows and columns.
    matrices: HashMap<Value, Value>,
    /// Values that several loops over the row read.
    pub kept: Vec<Value>,
    /// Where the row begins that is asked for ahead, in each buffer that is read, as one row.
    ahead: Vec<(Value, Value)>,
    /// Passes along the row so far.
    passes: u32,
}

/// The loops over the rows of a group.
struct RowLoops<'a> {
    group: &'a Region,
    /// The shape of all rows.
    shape: Vec<Dim>,
    /// Buffers of that shape, seen as rows and columns, and as one row each.
    matrices: HashMap<Value, Value>,
    flat: Vec<Value>,
    target: Value,
    /// Values that several loops over the row read, those of them that get a scratch row, and the one that lies where
    /// the result comes.
    kept: Vec<Value>,
    scratched: Vec<Value>,
    in_target: Option<Value>,
}

impl RowLoops<'_> {
    /// The length of a row.
    fn last(&self) -> Dim {
        self.shape[self.shape.len() - 1]
    }

    /// The number of rows.
    fn rows(&self) -> Dim {
        Dim::product(self.shape[..self.shape.len() - 1].iter().copied())
    }
}

impl Row {
    /// Whether an index of these axes is that of the row.
    pub fn is_at(&self, outer: &[Dim], index: &[Value]) -> bool {
        self.shape[..self.at.len()] == *outer && self.at == index
    }

    /// What the pass that begins asks for ahead: the first one waits for memory itself.
    pub fn ahead(&mut self) -> Vec<(Value, Value)> {
        self.passes += 1;
        match self.passes {
            2 => self.ahead.clone(),
            _ => Vec::new(),
        }
    }
}

/// The loop of a row that reads a value, from which it is seen whether several do.
#[derive(Clone, Copy, PartialEq)]
enum Readers {
    One(usize),
    Several,
}

/// The number of rows of a shape, and their length.
pub fn line_sizes(shape: &[Dim]) -> [(Axis, Dim); 2] {
    let (last, outer) = shape
        .split_last()
        .map_or((Dim::from(1), shape), |(l, o)| (*l, o));
    let rows = Dim::product(outer.iter().copied());
    [(Axis::Rows, rows), (Axis::Columns, last)]
}

/// What a group reduces row by row, where it goes on from the result.
pub fn reduced(group: &Region) -> Option<Value> {
    let inner = |node: &&OpNode| {
        matches!(node.op, Op::Reduce { .. }) && !group.yields.contains(&node.results[0])
    };
    group.ops.iter().find(inner).map(|node| node.operands[0])
}

/// Whether whole rows are read at the place that is computed only.
fn only_elementwise(group: &Region, lowerer: &Lowerer) -> bool {
    let repeats = |node: &OpNode| {
        matches!(node.op, Op::Broadcast { .. })
            && lowerer.shape(node.operands[0]) != lowerer.shape(node.results[0])
    };
    let fits = |node: &OpNode| !node.op.is_view() || node.operands.is_empty() || repeats(node);
    group.ops.iter().all(fits)
}

impl<'a> Lowerer<'a> {
    /// Lowers a group that reduces the rows of `x`.
    pub fn rows(&mut self, group: &'a Region, x: Value) {
        let mut tiled = None;
        for node in &group.ops {
            self.b.loc = node.loc;
            let result = node.results[0];
            self.nodes.insert(result, node);
            if matches!(node.op, Op::Contract { .. }) {
                if tiled.is_none() && only_elementwise(group, self) {
                    tiled = self.tiled_product(group, x);
                }
                if !matches!(self.places.get(&result), Some(Place::Buffer { .. })) {
                    self.node(node);
                }
            } else {
                self.check_sizes(node);
                self.places.insert(result, Place::Lazy);
            }
        }
        let result = group.yields[0];
        let buffer = self.destination(result);
        self.places.insert(result, Place::Lazy);
        self.by_schedule(Pattern::Rows, &line_sizes(self.shape(x)), |this| {
            let reason = this.lanes_of(x).err();
            let loops = this.row_loops(group, this.shape(x).to_vec(), buffer);
            match &tiled {
                None => this.all_rows(&loops),
                Some(tiled) => this.by_tiles(tiled, &mut |this, range| match range {
                    None => this.all_rows(&loops),
                    Some(range) => this.some_rows(&loops, range.low, range.count),
                }),
            }
            reason
        });
        self.memo.clear();
        // What was a number or a row is none any more.
        for node in &group.ops {
            self.places.remove(&node.results[0]);
        }
        self.places
            .insert(result, whole(buffer, self.shape(result).len()));
    }

    /// What the loops over the rows of a group need.
    fn row_loops(&mut self, group: &'a Region, shape: Vec<Dim>, buffer: Value) -> RowLoops<'a> {
        let result = group.yields[0];
        let (last, outer) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
        let rows = Dim::product(outer.iter().copied());
        let matrix = Op::View {
            shape: vec![rows, last],
        };
        let mut matrices = HashMap::new();
        let mut flat = Vec::new();
        for &operand in group.ops.iter().flat_map(|node| &node.operands) {
            if let Some(Place::Buffer { buffer, axes }) = self.places.get(&operand).cloned()
                && axes.iter().copied().eq(0..axes.len())
                && self.shape(operand) == shape
                && !matrices.contains_key(&operand)
            {
                matrices.insert(operand, self.b.value(matrix.clone(), &[buffer]));
                if self.line.is_some_and(|line| line.ahead.is_some()) {
                    flat.push(self.flat(buffer));
                }
            }
        }
        let is_row = self.shape(result) == shape;
        let target = match is_row {
            true => self.b.value(matrix, &[buffer]),
            false => buffer,
        };
        let kept = self.kept(group, &shape);
        let (scratched, in_target) = self.homes(group, &kept);
        RowLoops {
            group,
            shape,
            matrices,
            flat,
            target,
            kept,
            scratched,
            in_target,
        }
    }

    /// The loop over all rows of a group, block by block.
    fn all_rows(&mut self, loops: &RowLoops<'a>) {
        let (last, rows) = (loops.last(), loops.rows());
        let few = (TASK / last.as_const().unwrap_or(TASK / BLOCK).max(1)).clamp(1, BLOCK);
        let block_size = match self.line {
            Some(line) => line.tile.unwrap_or(few),
            None => BLOCK,
        };
        let blocks = self.dim(rows.ceil_div(Dim::from(block_size)));
        let grain = TASK / block_size / last.as_const().unwrap_or(TASK).clamp(1, TASK);
        self.line_tasks(blocks, grain.max(1), |this, block| {
            let (size, total) = (this.int(block_size), this.dim(rows));
            let from = this.mul(block, size);
            let left = this.b.binary(BinaryKind::Sub, total, from);
            let count = this.b.binary(BinaryKind::Min, left, size);
            this.some_rows(loops, from, count);
        });
    }

    /// The loop over so many rows of a group.
    fn some_rows(&mut self, loops: &RowLoops<'a>, from: Value, count: Value) {
        let (group, last) = (loops.group, loops.last());
        let result = group.yields[0];
        let scratch: HashMap<Value, Value> = loops
            .scratched
            .iter()
            .map(|&value| (value, self.alloc(self.dtype(value), &[last])))
            .collect();
        // Other loops over the rows may have left numbers of theirs.
        for node in &group.ops {
            if !matches!(node.op, Op::Contract { .. }) {
                self.places.insert(node.results[0], Place::Lazy);
            }
        }
        self.for_loop(count, 1, |this, i| {
            let number = this.add(from, i);
            let at = this.delinearize(&loops.shape[..loops.shape.len() - 1], number);
            let ahead = this.ahead(&loops.flat, number, last);
            this.row = Some(Row {
                shape: loops.shape.clone(),
                at: at.clone(),
                number,
                matrices: loops.matrices.clone(),
                kept: loops.kept.clone(),
                ahead,
                passes: 0,
            });
            let in_scratch = scratch.iter().map(|(&v, &buffer)| (v, vec![buffer]));
            let in_target = loops.in_target.map(|v| (v, vec![loops.target, number]));
            let targets = in_scratch.chain(in_target).collect();
            for node in &group.ops {
                this.b.loc = node.loc;
                this.in_group(node, &at, &loops.shape, &targets);
            }
            match this.places.get(&result) {
                Some(Place::Scalar(scalar)) => {
                    let mut operands = vec![*scalar, loops.target];
                    operands.extend(this.one_per_row(result, &at));
                    this.b.op(Op::Store, &operands, Vec::new());
                }
                _ => this.fill_row(result, &at, last, &[loops.target, number]),
            }
            this.row = None;
            this.pending.clear();
        });
    }

    /// Where the row begins that the schedule asks for ahead.
    fn ahead(&mut self, buffers: &[Value], number: Value, last: Dim) -> Vec<(Value, Value)> {
        let Some(by) = self.line.and_then(|line| line.ahead) else {
            return Vec::new();
        };
        let (by, length) = (self.int(by), self.dim(last));
        let later = self.add(number, by);
        let position = self.mul(later, length);
        buffers.iter().map(|&buffer| (buffer, position)).collect()
    }

    /// Which of the kept values need a scratch row, and which one lies where the result comes.
    fn homes(&self, group: &Region, kept: &[Value]) -> (Vec<Value>, Option<Value>) {
        if self.line.is_none() {
            return (kept.to_vec(), None);
        }
        let mut scratched = kept.to_vec();
        scratched.retain(|&v| !self.is_cheap(v));
        // The result is written in the last loop, over what it is computed from.
        let result = group.yields[0];
        let fits = |v: &Value| {
            self.dtype(*v) == self.dtype(result)
                && self.shape(*v) == self.shape(result)
                && only_elementwise(group, self)
        };
        let in_target = scratched.iter().position(fits);
        let in_target = in_target.map(|k| scratched.remove(k));
        (scratched, in_target)
    }

    /// What has to be done for a member of the group once in a row.
    fn in_group(
        &mut self,
        node: &'a OpNode,
        at: &[Value],
        shape: &[Dim],
        targets: &HashMap<Value, Vec<Value>>,
    ) {
        let result = node.results[0];
        if let Op::Reduce { kind, acc, .. } = node.op {
            let kept: Vec<usize> = (0..at.len()).collect();
            let x = node.operands[0];
            let total = self.reduce_one(x, kind, (&[at.len()], &kept), acc, at);
            let total = self.b.cast(total, self.dtype(x));
            self.places.insert(result, Place::Scalar(total));
        } else if let Some(target) = targets.get(&result) {
            let target = target.clone();
            if self.in_vectors(result) {
                let is_stored = false;
                self.pending.insert(result, Pending { target, is_stored });
            } else {
                self.fill_row(result, at, shape[at.len()], &target);
                self.settle_row(result, &target);
            }
        } else if self.shape(result) != shape && self.is_per_row(node) {
            let index = self.one_per_row(result, at);
            let scalar = self.element(result, &index);
            self.places.insert(result, Place::Scalar(scalar));
        }
    }

    /// Says that the current row of a value lies in a buffer, which may be of all rows.
    fn settle_row(&mut self, value: Value, target: &[Value]) {
        match (target, &mut self.row) {
            (&[buffer, _], Some(row)) => {
                row.matrices.insert(value, buffer);
                let rank = self.shape(value).len();
                self.places.insert(value, whole(buffer, rank));
            }
            _ => {
                self.places.insert(value, Place::Row(target[0]));
            }
        }
    }

    /// From here on what has been stored on the way is read from memory.
    pub fn settle_pending(&mut self) {
        let is_stored =
            |(value, p): (&Value, &Pending)| p.is_stored.then(|| (*value, p.target.clone()));
        let stored: Vec<(Value, Vec<Value>)> = self.pending.iter().filter_map(is_stored).collect();
        for (value, target) in stored {
            self.pending.remove(&value);
            self.settle_row(value, &target);
        }
    }

    /// Whether a value of a row is sooner computed again than kept: a sum or two of what is in memory.
    fn is_cheap(&self, value: Value) -> bool {
        let is_simple = |v: Value| match self.nodes.get(&v) {
            Some(node) => match node.op {
                Op::Binary { kind } => {
                    matches!(kind, BinaryKind::Add | BinaryKind::Sub | BinaryKind::Mul)
                }
                _ => false,
            },
            None => false,
        };
        let is_leaf = |v: &Value| match self.places.get(v) {
            Some(Place::Buffer { .. } | Place::Scalar(_)) => true,
            _ => self.nodes.get(v).is_none_or(|n| n.op.is_view()),
        };
        let node = self.nodes.get(&value);
        is_simple(value)
            && self.in_vectors(value)
            && node.is_some_and(|n| n.operands.iter().all(is_leaf))
    }

    /// Whether an op computes its result from a number of the row.
    fn is_per_row(&self, node: &OpNode) -> bool {
        let is_scalar = |v: &Value| {
            !self.shape(*v).is_empty() && matches!(self.places.get(v), Some(Place::Scalar(_)))
        };
        node.op.is_expression() && node.operands.iter().any(is_scalar)
    }

    /// The index of the one element that a value has in a row.
    fn one_per_row(&mut self, value: Value, at: &[Value]) -> Vec<Value> {
        let mut index = at.to_vec();
        if self.shape(value).len() > at.len() {
            index.push(self.int(0));
        }
        index
    }

    /// Computes a row: the target is a buffer and the index of the row in it.
    fn fill_row(&mut self, value: Value, at: &[Value], last: Dim, target: &[Value]) {
        let n = self.dim(last);
        if self.in_vectors(value) {
            let zero = self.int(0);
            self.fill_vectors(value, (zero, n), at, target);
            return self.settle_pending();
        }
        if self.with_number(value, at, n, target) {
            return;
        }
        let node = self.nodes[&value];
        // A function of a row that lies in one piece needs no other scratch.
        let (value, kernel) = match (&node.op, target) {
            (Op::Unary { kind }, [_]) if self.is_staged(value) => {
                (node.operands[0], Some(row_kernel(*kind)))
            }
            _ => (value, None),
        };
        let stages = self.stages(value);
        self.chunks(
            n,
            value,
            &stages,
            &mut |this, i, element| {
                let operands = [&[element], target, &[i]].concat();
                this.b.op(Op::Store, &operands, Vec::new());
            },
            at,
        );
        if let Some(kernel) = kernel {
            let zero = self.int(0);
            self.kernel(&kernel, &[target[0], zero, target[0], zero, n], &[]);
        }
    }

    /// Computes a row from one that lies in one piece and a number of it, where the value is that.
    fn with_number(&mut self, value: Value, at: &[Value], n: Value, target: &[Value]) -> bool {
        let node = self.nodes[&value];
        let Op::Binary { kind } = node.op else {
            return false;
        };
        let [x, y] = node.operands[..] else {
            return false;
        };
        let name = match kind {
            BinaryKind::Add => "add",
            BinaryKind::Sub => "sub",
            BinaryKind::Mul => "mul",
            BinaryKind::Div => "div",
            _ => return false,
        };
        let (x, number) = match (self.number_of_row(x), self.number_of_row(y)) {
            (None, Some(number)) => (x, number),
            (Some(number), None) if kind.is_commutative() => (y, number),
            _ => return false,
        };
        if self.dtype(value) != DType::F32 {
            return false;
        }
        let Some((source, from)) = self.row_in_memory(x, at) else {
            return false;
        };
        let to = match target {
            [_, row] => self.mul(*row, n),
            _ => self.int(0),
        };
        let name = format!("aiai_row_{name}_number_f32");
        self.kernel(&name, &[source, from, number, target[0], to, n], &[]);
        true
    }

    /// The scalar that a value repeats along the current row.
    fn number_of_row(&self, value: Value) -> Option<Value> {
        if !matches!(self.places.get(&value), Some(Place::Lazy)) {
            return None;
        }
        let node = self.nodes.get(&value)?;
        match (&node.op, self.places.get(node.operands.first()?)) {
            (Op::Broadcast { .. }, Some(Place::Scalar(scalar))) => Some(*scalar),
            _ => None,
        }
    }

    /// Whether the element at an index lies in the current row of a buffer of all rows.
    pub fn in_row(&self, value: Value, index: &[Value]) -> bool {
        self.row.as_ref().is_some_and(|row| {
            row.matrices.contains_key(&value) && row.at == index[..index.len() - 1]
        })
    }

    /// The buffer of all rows and the number of the current one.
    pub fn row_of_matrix(&self, value: Value) -> [Value; 2] {
        let row = self.row.as_ref().expect("a row is current");
        [row.matrices[&value], row.number]
    }

    pub fn load_in_row(&mut self, value: Value, column: Value) -> Value {
        let [matrix, row] = self.row_of_matrix(value);
        self.b.value(Op::Load, &[matrix, row, column])
    }

    /// The values of whole rows that several loops over a row read.
    fn kept(&self, group: &Region, shape: &[Dim]) -> Vec<Value> {
        let mut readers: HashMap<Value, Readers> = HashMap::new();
        let mut kept = Vec::new();
        for (at, node) in group.ops.iter().enumerate().rev() {
            let result = node.results[0];
            let is_elementwise = node.op.is_expression() && !node.op.is_view();
            let several = readers.get(&result) == Some(&Readers::Several);
            let keep = several && is_elementwise && self.shape(result) == shape;
            if keep {
                kept.push(result);
            }
            // What is computed where it is used is read by the loops that use it.
            let reader = match readers.get(&result) {
                Some(&reader) if is_elementwise && !keep && self.shape(result) == shape => reader,
                _ => Readers::One(at),
            };
            for &operand in &node.operands {
                readers
                    .entry(operand)
                    .and_modify(|known| {
                        if *known != reader {
                            *known = Readers::Several;
                        }
                    })
                    .or_insert(reader);
            }
        }
        kept
    }
}
