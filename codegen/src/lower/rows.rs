//! Groups of rows: reductions along the last axis and what goes on from them, as softmax and layer norm
//! do, in one loop over the rows.
//!
//! Within a row, a reduction and what is computed from it alone is a scalar. What several loops over the
//! row read is kept in a scratch row; the rest is computed where it is used.

use std::collections::HashMap;

use aiai_ir::schedule::Pattern;
use aiai_ir::{BinaryKind, DType, Dim, Op, OpNode, Region, Value};

use super::elementwise::row_kernel;
use super::softmax::{Softmax, fold_of};
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
    /// Its number among the rows that are done side by side; the same where they are not.
    in_block: Value,
    /// Buffers of that shape, seen as rows and columns.
    matrices: HashMap<Value, Matrix>,
    /// Values that several loops over the row read.
    pub kept: Vec<Value>,
    /// Where the rows begin that the first and the second pass ask for, in buffers as one row.
    asked: [Vec<(Value, Value)>; 2],
    /// Passes along the row so far.
    passes: usize,
}

/// Rows and columns in memory.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    buffer: Value,
    /// Whether it has the rows alone that are done side by side.
    of_block: bool,
}

impl Matrix {
    fn of_all(buffer: Value) -> Matrix {
        Matrix {
            buffer,
            of_block: false,
        }
    }
}

/// What the loop over the rows of a group goes over.
pub struct Rows<'a> {
    pub group: &'a Region,
    /// The shape of all rows, and their number.
    pub shape: Vec<Dim>,
    pub count: Dim,
    /// Buffers of that shape that are read, seen as rows and columns.
    matrices: HashMap<Value, Matrix>,
    /// What is asked for before it is used, as one row: the buffer of the result, and those that are read.
    asked: [Vec<Value>; 2],
    /// Where the result comes: rows and columns, or a number for each row.
    pub target: Value,
    /// Values that several loops over a row read: all, those in scratch rows, and the one that lies in the target.
    kept: Vec<Value>,
    pub scratched: Vec<Value>,
    pub in_target: Option<Value>,
    /// What becomes of the rows, if that.
    pub softmax: Option<Softmax>,
}

impl Rows<'_> {
    /// The length of a row.
    pub fn last(&self) -> Dim {
        self.shape[self.shape.len() - 1]
    }
}

impl Row {
    /// Whether the current row of a value lies in a buffer of several.
    pub fn has(&self, value: Value) -> bool {
        self.matrices.contains_key(&value)
    }

    /// Whether an index of these axes is that of the row.
    pub fn is_at(&self, outer: &[Dim], index: &[Value]) -> bool {
        self.shape[..self.at.len()] == *outer && self.at == index
    }

    /// What the next pass asks for.
    pub fn asked(&self) -> Vec<(Value, Value)> {
        self.asked.get(self.passes).cloned().unwrap_or_default()
    }

    /// What the pass that begins asks for.
    pub fn pass(&mut self) -> Vec<(Value, Value)> {
        let asked = self.asked();
        self.passes += 1;
        asked
    }
}

/// The loop of a row that reads a value, from which it is seen whether several do.
#[derive(Clone, Copy, PartialEq)]
enum Readers {
    One(usize),
    Several,
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
                    tiled = self.tiled_product(group, node, x);
                }
                if !tiled.as_ref().is_some_and(|tiled| tiled.is_of(node)) {
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
        let sizes = self.sizes_of_rows(self.shape(x), result, None);
        self.by_schedule(Pattern::Rows, &sizes, |this| {
            let reason = this.lanes_of(x).err();
            let rows = this.loop_over(group, this.shape(x).to_vec(), buffer);
            match &tiled {
                None => this.all_rows(&rows),
                Some(tiled) => this.by_tiles(tiled, &mut |this, range| match range {
                    None => this.all_rows(&rows),
                    Some(range) => {
                        let abreast =
                            this.rows_abreast(|this, by| this.group_goes_abreast(&rows, by));
                        this.some_rows(&rows, abreast, (range.low, range.count));
                    }
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

    /// All rows of a group, task by task.
    fn all_rows(&mut self, rows: &Rows<'a>) {
        let last = rows.last();
        let abreast = self.rows_abreast(|this, by| this.group_goes_abreast(rows, by));
        let few = (TASK / last.as_const().unwrap_or(TASK / BLOCK).max(1)).clamp(1, BLOCK);
        let block_size = match self.line {
            Some(line) => line.tile.or(abreast).unwrap_or(few),
            None => BLOCK,
        };
        let blocks = self.dim(rows.count.ceil_div(Dim::from(block_size)));
        let grain = TASK / block_size / last.as_const().unwrap_or(TASK).clamp(1, TASK);
        self.line_tasks(blocks, grain.max(1), |this, block| {
            let of = this.rows_of_task(block, block_size, rows.count);
            this.some_rows(rows, abreast, of);
        });
    }

    /// So many rows of a group, from one of them on.
    fn some_rows(&mut self, rows: &Rows<'a>, abreast: Option<i64>, of: (Value, Value)) {
        // Other loops over rows of the group may have left numbers of theirs.
        for node in &rows.group.ops {
            if !matches!(node.op, Op::Contract { .. }) {
                self.places.insert(node.results[0], Place::Lazy);
            }
        }
        match abreast {
            Some(by) => self.all_abreast(rows, by, of),
            None => self.one_by_one(rows, of),
        }
    }

    /// What the loop over the rows of a group goes over.
    fn loop_over(&mut self, group: &'a Region, shape: Vec<Dim>, buffer: Value) -> Rows<'a> {
        let result = group.yields[0];
        let (last, outer) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
        let count = Dim::product(outer.iter().copied());
        let matrix = Op::View {
            shape: vec![count, last],
        };
        let mut matrices = HashMap::new();
        let asks = self.line.is_some_and(|line| line.ahead.is_some());
        let mut asked = [Vec::new(), Vec::new()];
        for &operand in group.ops.iter().flat_map(|node| &node.operands) {
            if let Some(Place::Buffer { buffer, axes }) = self.places.get(&operand).cloned()
                && axes.iter().copied().eq(0..axes.len())
                && self.shape(operand) == shape
                && !matrices.contains_key(&operand)
            {
                let rows = self.b.value(matrix.clone(), &[buffer]);
                matrices.insert(operand, Matrix::of_all(rows));
                if asks {
                    asked[1].push(self.flat(buffer));
                }
            }
        }
        let is_row = self.shape(result) == shape;
        if asks && is_row {
            asked[0].push(self.flat(buffer));
        }
        let target = match is_row {
            true => self.b.value(matrix, &[buffer]),
            false => buffer,
        };
        let kept = self.kept(group, &shape);
        let (scratched, in_target) = self.homes(group, &kept);
        let quotient = self.row_quotient(group.yields[0], &shape);
        let softmax = quotient.and_then(|(rows, divisor)| self.softmax(rows, divisor));
        Rows {
            group,
            shape,
            count,
            matrices,
            asked,
            target,
            kept,
            scratched,
            in_target,
            softmax,
        }
    }

    /// Where the rows of a task begin, and how many there are.
    pub fn rows_of_task(&mut self, task: Value, size: i64, rows: Dim) -> (Value, Value) {
        let (size, total) = (self.int(size), self.dim(rows));
        let from = self.mul(task, size);
        let left = self.b.binary(BinaryKind::Sub, total, from);
        (from, self.b.binary(BinaryKind::Min, left, size))
    }

    /// A block of rows, each of which is finished before the next begins.
    fn one_by_one(&mut self, rows: &Rows<'a>, (from, count): (Value, Value)) {
        let (result, last) = (rows.group.yields[0], rows.last());
        let scratch: HashMap<Value, Value> = rows
            .scratched
            .iter()
            .map(|&value| (value, self.alloc(self.dtype(value), &[last])))
            .collect();
        self.for_loop(count, 1, |this, i| {
            let number = this.add(from, i);
            let at = this.enter_row(rows, number, number);
            let in_scratch = scratch.iter().map(|(&v, &buffer)| (v, vec![buffer]));
            let in_target = rows.in_target.map(|v| (v, vec![rows.target, number]));
            let targets = in_scratch.chain(in_target).collect();
            for node in &rows.group.ops {
                this.b.loc = node.loc;
                this.in_group(rows, node, &at, &targets);
            }
            match this.places.get(&result) {
                Some(Place::Scalar(scalar)) => {
                    let mut operands = vec![*scalar, rows.target];
                    operands.extend(this.one_per_row(result, &at));
                    this.b.op(Op::Store, &operands, Vec::new());
                }
                _ => this.fill_row(result, &at, last, &[rows.target, number]),
            }
            this.row = None;
            this.pending.clear();
        });
    }

    /// Makes a row the current one. Returns its index.
    pub fn enter_row(&mut self, rows: &Rows, number: Value, in_block: Value) -> Vec<Value> {
        let outer = &rows.shape[..rows.shape.len() - 1];
        let at = self.delinearize(outer, number);
        let asked = self.asked(rows, number, number != in_block);
        let before = self.row.take();
        let (matrices, passes) = match before {
            Some(row) => (row.matrices, row.passes),
            None => (rows.matrices.clone(), 0),
        };
        self.row = Some(Row {
            shape: rows.shape.clone(),
            at: at.clone(),
            number,
            in_block,
            matrices,
            kept: rows.kept.clone(),
            asked,
            passes,
        });
        at
    }

    /// Where the rows begin that the schedule asks for. Rows side by side are stored so fast one after the other that their
    /// result is worth asking for, too.
    fn asked(&mut self, rows: &Rows, number: Value, is_abreast: bool) -> [Vec<(Value, Value)>; 2] {
        let Some(by) = self.line.and_then(|line| line.ahead) else {
            return [Vec::new(), Vec::new()];
        };
        let (by, length) = (self.int(by), self.dim(rows.last()));
        let later = self.add(number, by);
        let (own, later) = (self.mul(number, length), self.mul(later, length));
        let [target, read] = &rows.asked;
        let target = target.iter().filter(|_| is_abreast);
        [
            target.map(|&buffer| (buffer, own)).collect(),
            read.iter().map(|&buffer| (buffer, later)).collect(),
        ]
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
        rows: &Rows,
        node: &'a OpNode,
        at: &[Value],
        targets: &HashMap<Value, Vec<Value>>,
    ) {
        let (result, shape) = (node.results[0], rows.shape.as_slice());
        if let Op::Reduce { kind, acc, .. } = node.op {
            let kept: Vec<usize> = (0..at.len()).collect();
            let x = node.operands[0];
            let total = self.reduce_one(
                x,
                fold_of(rows.softmax.as_ref(), node, kind),
                (&[at.len()], &kept),
                acc,
                at,
            );
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
            (&[buffer, at], Some(row)) => {
                let of_block = at != row.number;
                row.matrices.insert(value, Matrix { buffer, of_block });
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
    pub fn is_per_row(&self, node: &OpNode) -> bool {
        let is_scalar = |v: &Value| {
            !self.shape(*v).is_empty() && matches!(self.places.get(v), Some(Place::Scalar(_)))
        };
        node.op.is_expression() && node.operands.iter().any(is_scalar)
    }

    /// The index of the one element that a value has in a row.
    pub fn one_per_row(&mut self, value: Value, at: &[Value]) -> Vec<Value> {
        let mut index = at.to_vec();
        if self.shape(value).len() > at.len() {
            index.push(self.int(0));
        }
        index
    }

    /// Computes a row: the target is a buffer and the index of the row in it.
    pub fn fill_row(&mut self, value: Value, at: &[Value], last: Dim, target: &[Value]) {
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
        self.row
            .as_ref()
            .is_some_and(|row| row.has(value) && row.at == index[..index.len() - 1])
    }

    /// The buffer of all rows, or of those side by side, and the number of the current one in it.
    pub fn row_of_matrix(&self, value: Value) -> [Value; 2] {
        let row = self.row.as_ref().expect("a row is current");
        let matrix = row.matrices[&value];
        match matrix.of_block {
            true => [matrix.buffer, row.in_block],
            false => [matrix.buffer, row.number],
        }
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
