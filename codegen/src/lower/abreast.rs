//! Rows side by side: each pass goes over all rows of a block before the next begins, and the partial results of the rows
//! are combined by a tree that transposes them, so that lane k of what comes out is the result of row k, modulo their number.
//!
//! What is a number of a row is computed for all of them in one vector. The passes behind read it from memory.

use aiai_ir::{BinaryKind, DType, Dim, Op, OpNode, ReduceKind, Value};

use super::rows::Rows;
use super::softmax::fold_of;
use super::vectors::Pending;
use super::{Lowerer, Place, reduction};

/// The rows that are done side by side.
pub struct Block {
    /// The number of the first, and how many there are: in the last block there may be fewer.
    pub first: Value,
    pub count: Value,
    /// How many there are in the others.
    pub by: i64,
    /// A vector of partial results for each row.
    pub partials: Value,
    numbers: Vec<Numbers>,
    /// Values that are kept from one pass to the next, and their buffers, from where they are defined.
    kept: Vec<(Value, Kept)>,
}

/// A number of each row: in the lanes of a vector, and in memory.
#[derive(Clone, Copy)]
struct Numbers {
    value: Value,
    lanes: Value,
    buffer: Value,
}

/// Where a value lies of which several passes read the rows.
#[derive(Clone, Copy)]
enum Kept {
    /// Among those of all rows.
    InTarget(Value),
    InScratch(Value),
}

/// Whether a block is filled by rows of which the number is known.
pub fn enough(rows: Dim, by: i64) -> Result<(), String> {
    match rows.as_const() {
        Some(n) if n < by => Err(format!("{n} are fewer than {by}")),
        _ => Ok(()),
    }
}

impl<'a> Lowerer<'a> {
    /// Whether a reduction can be done for several rows side by side; an error says why not.
    fn goes_abreast(
        &self,
        x: Value,
        kind: ReduceKind,
        axes: &[usize],
        acc: DType,
    ) -> Result<(), String> {
        let last = self.shape(x).len() - 1;
        if axes != [last] {
            return Err("several axes are reduced".into());
        }
        self.has_tree(x, kind, acc)?;
        if reduction::is_short(self.shape(x)[last..].iter().copied()) {
            return Err("rows so short are reduced element by element".into());
        }
        self.lanes_of(x)
    }

    /// Whether the partial results of several rows can be combined in vectors; an error says why not.
    pub fn has_tree(&self, x: Value, kind: ReduceKind, acc: DType) -> Result<(), String> {
        let acc = match kind {
            ReduceKind::Sum => acc,
            _ => self.dtype(x),
        };
        let is_known = matches!(kind, ReduceKind::Sum | ReduceKind::Max | ReduceKind::Min);
        match is_known && acc == DType::F32 && self.dtype(x) == DType::F32 {
            true => Ok(()),
            false => Err("only sums, maxima and minima of f32 are reduced in vectors".into()),
        }
    }

    /// Whether all passes of a group can go over several rows side by side.
    pub fn group_goes_abreast(&self, rows: &Rows, by: i64) -> Result<(), String> {
        enough(rows.count, by)?;
        for node in &rows.group.ops {
            if let Op::Reduce { kind, axes, acc } = &node.op {
                self.goes_abreast(node.operands[0], *kind, axes, *acc)?;
            }
        }
        let result = rows.group.yields[0];
        let stored = (self.shape(result) == rows.shape).then_some(result);
        let mut stored = rows.scratched.iter().chain(&rows.in_target).chain(&stored);
        stored.try_for_each(|&value| self.lanes_of(value))
    }

    /// Rows of a group, in blocks.
    pub fn all_abreast(&mut self, rows: &Rows<'a>, by: i64, of: (Value, Value)) {
        let lines = [Dim::from(by), rows.last()];
        let mut homes = Vec::new();
        for &value in &rows.scratched {
            let buffer = self.alloc(self.dtype(value), &lines);
            homes.push((value, Kept::InScratch(buffer)));
        }
        homes.extend(
            rows.in_target
                .map(|value| (value, Kept::InTarget(rows.target))),
        );
        let result = rows.group.yields[0];
        self.in_blocks(of, by, |this, block| {
            for node in &rows.group.ops {
                this.b.loc = node.loc;
                this.member_in_block(rows, node, &homes, block);
            }
            if this.shape(result) == rows.shape {
                this.each_row(rows, block, |this, at, [number, _]| {
                    this.fill_row(result, at, rows.last(), &[rows.target, number]);
                });
            } else {
                let lanes = this.numbers_of(rows, result, block);
                this.store_numbers(lanes, rows.target, block);
            }
            this.row = None;
        });
    }

    /// Goes over rows block by block.
    pub fn in_blocks(
        &mut self,
        (from, count): (Value, Value),
        by: i64,
        body: impl FnOnce(&mut Self, &mut Block),
    ) {
        let partials = self.alloc(DType::F32, &[by, self.line().lanes].map(Dim::from));
        let (size, most) = (self.int(by), self.int(by - 1));
        let rounded = self.add(count, most);
        let blocks = self.b.binary(BinaryKind::Div, rounded, size);
        self.for_loop(blocks, 1, |this, number| {
            let before = this.mul(number, size);
            let left = this.b.binary(BinaryKind::Sub, count, before);
            let mut block = Block {
                first: this.add(from, before),
                count: this.b.binary(BinaryKind::Min, left, size),
                by,
                partials,
                numbers: Vec::new(),
                kept: Vec::new(),
            };
            // Rows that do not exist are combined with the others, into lanes that nobody reads.
            let zero = this.number(DType::F32, 0.0);
            let zeros = this.in_all_lanes(zero);
            this.steps((block.count, size), 1, &[], |this, row, _| {
                this.store_part(zeros, row, &block);
                Vec::new()
            });
            body(this, &mut block);
        });
    }

    /// What has to be done for a member of the group once in a block.
    fn member_in_block(
        &mut self,
        rows: &Rows,
        node: &'a OpNode,
        homes: &[(Value, Kept)],
        block: &mut Block,
    ) {
        let result = node.results[0];
        if let Op::Reduce { kind, .. } = node.op {
            let (x, fold) = (node.operands[0], fold_of(rows.softmax.as_ref(), node, kind));
            self.each_row(rows, block, |this, at, [_, row]| {
                let part = this.row_part(x, fold, at);
                this.store_part(part, row, block);
            });
            let lanes = self.fold_abreast(block, fold);
            self.keep_numbers(result, lanes, block);
        } else if let Some(home) = homes.iter().find(|home| home.0 == result) {
            block.kept.push(*home);
        } else if self.shape(result) != rows.shape && self.is_per_row(node) {
            self.numbers_of(rows, result, block);
        }
    }

    /// A pass over the rows of a block; `body` has the index of a row, its number, and that in the block.
    fn each_row(
        &mut self,
        rows: &Rows,
        block: &Block,
        body: impl FnOnce(&mut Self, &[Value], [Value; 2]),
    ) {
        self.for_loop(block.count, 1, |this, row| {
            let number = this.add(block.first, row);
            let at = this.enter_row(rows, number, row);
            for numbers in &block.numbers {
                let number = this.b.value(Op::Load, &[numbers.buffer, row]);
                this.places.insert(numbers.value, Place::Scalar(number));
            }
            for &(value, kept) in &block.kept {
                let target = match kept {
                    Kept::InTarget(buffer) => vec![buffer, number],
                    Kept::InScratch(buffer) => vec![buffer, row],
                };
                let is_stored = false;
                if !this.row.as_ref().is_some_and(|row| row.has(value)) {
                    this.pending.insert(value, Pending { target, is_stored });
                }
            }
            body(this, &at, [number, row]);
            this.pending.clear();
        });
    }

    pub fn store_part(&mut self, part: Value, row: Value, block: &Block) {
        let (zero, all) = (self.int(0), self.int(self.line().lanes));
        let operands = [part, block.partials, row, zero, all];
        self.b.op(Op::StoreVector, &operands, Vec::new());
    }

    /// Stores a number of each row of a block where those of all rows lie.
    fn store_numbers(&mut self, lanes: Value, target: Value, block: &Block) {
        let flat = self.flat(target);
        let operands = [lanes, flat, block.first, block.count];
        self.b.op(Op::StoreVector, &operands, Vec::new());
    }

    /// Says that numbers are known, and has them ready for the passes to come.
    fn keep_numbers(&mut self, value: Value, lanes: Value, block: &mut Block) {
        let count = self.line().lanes;
        let buffer = self.alloc(self.dtype(value), &[Dim::from(count)]);
        let (zero, all) = (self.int(0), self.int(count));
        let operands = [lanes, buffer, zero, all];
        self.b.op(Op::StoreVector, &operands, Vec::new());
        self.places.insert(value, Place::Scalar(lanes));
        block.numbers.push(Numbers {
            value,
            lanes,
            buffer,
        });
    }

    /// A value that is a number of each row, in the lanes of a vector.
    fn numbers_of(&mut self, rows: &Rows, value: Value, block: &mut Block) -> Value {
        if let Some(known) = block.numbers.iter().find(|n| n.value == value) {
            return known.lanes;
        }
        if self.is_of_numbers(value, block) {
            let lanes = self.lanes_of_numbers(value, block);
            self.keep_numbers(value, lanes, block);
            return lanes;
        }
        // Row by row.
        let lanes = self.line().lanes;
        let buffer = self.alloc(self.dtype(value), &[Dim::from(lanes)]);
        self.each_row(rows, block, |this, at, [_, row]| {
            let index = this.one_per_row(value, at);
            let number = this.element(value, &index);
            this.b.op(Op::Store, &[number, buffer, row], Vec::new());
        });
        let zero = self.int(0);
        let loaded = self.load_vector(&[buffer, zero, block.count]);
        self.places.insert(value, Place::Scalar(loaded));
        block.numbers.push(Numbers {
            value,
            lanes: loaded,
            buffer,
        });
        loaded
    }

    /// Whether a value is computed, in ways that vectors have, from numbers that are known and constants alone.
    fn is_of_numbers(&self, value: Value, block: &Block) -> bool {
        if block.numbers.iter().any(|n| n.value == value) {
            return true;
        }
        let dtype = self.dtype(value);
        if self.is_one_number(value) {
            return !matches!(dtype, DType::F16 | DType::BF16);
        }
        let Some(node) = self.nodes.get(&value) else {
            return false;
        };
        let in_vectors = match &node.op {
            // In lanes of rows that do not exist a divisor may be 0.
            Op::Binary {
                kind: BinaryKind::Div,
            } => dtype.is_float(),
            Op::Binary { kind } => !matches!(kind, BinaryKind::Pow | BinaryKind::Rem),
            Op::Unary { .. } | Op::Compare { .. } | Op::Select | Op::Cast { .. } => true,
            Op::Broadcast { .. } | Op::StopGradient => true,
            _ => false,
        };
        in_vectors
            && !matches!(dtype, DType::F16 | DType::BF16)
            && !self.is_staged(value)
            && node.operands.iter().all(|&v| self.is_of_numbers(v, block))
    }

    /// Whether a value is the same number for all rows.
    fn is_one_number(&self, value: Value) -> bool {
        let is_constant = match self.nodes.get(&value).map(|node| &node.op) {
            Some(Op::Constant { value }) => value.splat().is_some(),
            Some(Op::DimValue { .. }) => true,
            _ => false,
        };
        let is_computed = !matches!(self.places.get(&value), Some(Place::Lazy) | None);
        is_constant || (is_computed && self.shape(value).is_empty())
    }

    fn lanes_of_numbers(&mut self, value: Value, block: &Block) -> Value {
        if let Some(known) = block.numbers.iter().find(|n| n.value == value) {
            return known.lanes;
        }
        if self.is_one_number(value) {
            let number = self.element(value, &[]);
            return self.in_all_lanes(number);
        }
        let node = self.nodes[&value];
        let operands: Vec<Value> = node
            .operands
            .iter()
            .map(|&v| self.lanes_of_numbers(v, block))
            .collect();
        match &node.op {
            Op::Broadcast { .. } | Op::StopGradient => operands[0],
            op => self.b.value(op.clone(), &operands),
        }
    }
}
