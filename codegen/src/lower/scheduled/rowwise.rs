//! Rows in scratch memory: reductions and elementwise work on them, by vectors, where they lie.

use std::collections::HashMap;

use aiai_ir::{CompareKind, DType, Dim, Op, OpNode, ReduceKind, Region, Type, Value};

use super::super::Lowerer;

/// Vectors that are reduced side by side, so that none waits for the one before.
const SIDE_BY_SIDE: i64 = 4;

/// A row that is worked on.
pub struct Rows {
    pub scratch: Value,
    /// Where the row begins, and its length.
    pub begin: Value,
    pub width: Value,
    pub lanes: i64,
    /// The value whose elements are there.
    pub stored: Value,
    /// Numbers of the row: what reductions gave.
    pub numbers: HashMap<Value, Value>,
    /// The shape of all rows.
    pub shape: Vec<Dim>,
}

/// Elements of a row: the first, and how many lanes exist; `None` means all.
#[derive(Clone, Copy)]
struct Piece {
    column: Value,
    count: Option<Value>,
}

impl<'a> Lowerer<'a> {
    /// Reduces a value of the row. What is computed on the way and read again is kept in place of the row.
    pub(super) fn reduce_scratch(
        &mut self,
        rows: &mut Rows,
        group: &'a Region,
        result: Value,
        node: &'a OpNode,
        (kind, acc): (ReduceKind, DType),
    ) {
        let x = node.operands[0];
        let keeps = x != rows.stored && !self.reaches(rows, group, result, x);
        let dtype = match kind {
            ReduceKind::Sum | ReduceKind::Prod => acc,
            _ => self.dtype(x),
        };
        let identity = self.identity(kind, dtype);
        let empty = self.splat(identity, rows.lanes);
        let init = vec![empty; SIDE_BY_SIDE as usize];
        let step = SIDE_BY_SIDE * rows.lanes;
        // Whole pieces side by side, then what is left.
        let (by, zero) = (self.int(step), self.int(0));
        let whole = self.b.binary(aiai_ir::BinaryKind::Div, rows.width, by);
        let whole = self.mul(whole, by);
        let sums = self.vector_loop((zero, whole, step), &init, |this, column, sums| {
            let mut next = Vec::new();
            for (k, &sum) in sums.iter().enumerate() {
                let shift = this.int(k as i64 * rows.lanes);
                let column = this.add(column, shift);
                let piece = Piece {
                    column,
                    count: None,
                };
                next.push(this.combined(rows, (x, keeps), piece, (kind, dtype), sum, empty));
            }
            next
        });
        let mut sum = sums[0];
        for &other in &sums[1..] {
            sum = self.combine(kind, sum, other);
        }
        let sum = self.vector_loop(
            (whole, rows.width, rows.lanes),
            &[sum],
            |this, column, sums| {
                let left = this.b.binary(aiai_ir::BinaryKind::Sub, rows.width, column);
                let piece = Piece {
                    column,
                    count: Some(left),
                };
                vec![this.combined(rows, (x, keeps), piece, (kind, dtype), sums[0], empty)]
            },
        )[0];
        let reduce = Op::Reduce {
            kind,
            axes: vec![0],
            acc: dtype,
        };
        let number = self.b.value(reduce, &[sum]);
        let number = self.b.cast(number, self.dtype(x));
        rows.numbers.insert(node.results[0], number);
        if keeps {
            rows.stored = x;
        }
    }

    /// A piece of a value combined into a vector; kept in place of the row where asked for.
    fn combined(
        &mut self,
        rows: &Rows,
        (x, keeps): (Value, bool),
        piece: Piece,
        (kind, dtype): (ReduceKind, DType),
        sum: Value,
        empty: Value,
    ) -> Value {
        let lanes = self.row_lanes(rows, piece, x, &mut HashMap::new());
        if keeps {
            self.store_piece(rows, piece, lanes);
        }
        let mut lanes = self.b.cast(lanes, dtype);
        if let Some(count) = piece.count {
            let numbers = Op::Iota {
                dtype: DType::I64,
                shape: vec![Dim::from(rows.lanes)],
                axis: 0,
            };
            let numbers = self.b.value(numbers, &[]);
            let count = self.splat(count, rows.lanes);
            let exists = self.b.compare(CompareKind::Lt, numbers, count);
            lanes = self.b.select(exists, lanes, empty);
        }
        self.combine(kind, sum, lanes)
    }

    /// Computes a value of the row in place of it.
    pub(super) fn store_rows(&mut self, rows: &Rows, value: Value) {
        if value == rows.stored {
            return;
        }
        let (by, zero) = (self.int(rows.lanes), self.int(0));
        let whole = self.b.binary(aiai_ir::BinaryKind::Div, rows.width, by);
        let whole = self.mul(whole, by);
        self.vector_loop((zero, whole, rows.lanes), &[], |this, column, _| {
            let piece = Piece {
                column,
                count: None,
            };
            let lanes = this.row_lanes(rows, piece, value, &mut HashMap::new());
            this.store_piece(rows, piece, lanes);
            Vec::new()
        });
        self.vector_loop((whole, rows.width, rows.lanes), &[], |this, column, _| {
            let left = this.b.binary(aiai_ir::BinaryKind::Sub, rows.width, column);
            let piece = Piece {
                column,
                count: Some(left),
            };
            let lanes = this.row_lanes(rows, piece, value, &mut HashMap::new());
            this.store_piece(rows, piece, lanes);
            Vec::new()
        });
    }

    fn store_piece(&mut self, rows: &Rows, piece: Piece, lanes: Value) {
        let place = self.add(rows.begin, piece.column);
        let count = match piece.count {
            Some(count) => count,
            None => self.int(rows.lanes),
        };
        let operands = [lanes, rows.scratch, place, count];
        self.b.op(Op::StoreVector, &operands, Vec::new());
    }

    /// `for column in low..high by step` with carried vectors.
    fn vector_loop(
        &mut self,
        (low, high, step): (Value, Value, i64),
        init: &[Value],
        body: impl FnOnce(&mut Self, Value, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let mut types = vec![Type::scalar(DType::I64)];
        types.extend(init.iter().map(|&v| self.b.ty(v).clone()));
        let args = self.b.begin_region(&types);
        let next = body(self, args[0], &args[1..]);
        let region = self.b.end_region(&next);
        let mut operands = vec![low, high];
        operands.extend(init);
        self.b
            .op(Op::For { step, lanes: 1 }, &operands, vec![region])
    }

    /// A piece of a value that is computed elementwise from the row.
    fn row_lanes(
        &mut self,
        rows: &Rows,
        piece: Piece,
        value: Value,
        known: &mut HashMap<Value, Value>,
    ) -> Value {
        if let Some(&found) = known.get(&value) {
            return found;
        }
        let found = if value == rows.stored {
            let place = self.add(rows.begin, piece.column);
            let count = match piece.count {
                Some(count) => count,
                None => self.int(rows.lanes),
            };
            let dtype = self.dtype(value);
            self.load_lanes(rows.scratch, place, (rows.lanes, 1), count, dtype)
        } else if self.shape(value) != rows.shape.as_slice() {
            let number = self.row_number(rows, value);
            self.splat(number, rows.lanes)
        } else {
            let node = self.nodes[&value];
            match &node.op {
                Op::Broadcast { .. } | Op::Reshape { .. } => {
                    let number = self.row_number(rows, node.operands[0]);
                    self.splat(number, rows.lanes)
                }
                Op::Constant { .. } => {
                    let number = self.constant_number(value);
                    self.splat(number, rows.lanes)
                }
                op => {
                    let operands: Vec<Value> = node
                        .operands
                        .iter()
                        .map(|&v| self.row_lanes(rows, piece, v, known))
                        .collect();
                    match op {
                        Op::StopGradient => operands[0],
                        op => self.b.value(op.clone(), &operands),
                    }
                }
            }
        };
        known.insert(value, found);
        found
    }

    /// A number of the row.
    pub(super) fn row_number(&mut self, rows: &Rows, value: Value) -> Value {
        if let Some(&number) = rows.numbers.get(&value) {
            return number;
        }
        let Some(&node) = self.nodes.get(&value) else {
            return self.constant_number(value);
        };
        match &node.op {
            Op::Broadcast { .. } | Op::Reshape { .. } => self.row_number(rows, node.operands[0]),
            Op::Constant { .. } | Op::DimValue { .. } => self.constant_number(value),
            op => {
                let operands: Vec<Value> = node
                    .operands
                    .iter()
                    .map(|&v| self.row_number(rows, v))
                    .collect();
                match op {
                    Op::StopGradient => operands[0],
                    op => self.b.value(op.clone(), &operands),
                }
            }
        }
    }

    /// Whether a value needs the stored row by a way that does not lead over `kept`, or over a number that is known
    /// then.
    fn reaches(&self, rows: &Rows, group: &Region, from: Value, kept: Value) -> bool {
        let reductions = group.ops.iter().filter_map(|node| match node.op {
            Op::Reduce { .. } if !rows.numbers.contains_key(&node.results[0]) => {
                Some(node.operands[0])
            }
            _ => None,
        });
        let mut work: Vec<Value> = reductions.chain([from]).collect();
        let mut seen = Vec::new();
        while let Some(value) = work.pop() {
            if value == kept || seen.contains(&value) {
                continue;
            }
            if value == rows.stored {
                return true;
            }
            seen.push(value);
            if let Some(node) = self.nodes.get(&value)
                && !matches!(node.op, Op::Reduce { .. })
            {
                work.extend(&node.operands);
            }
        }
        false
    }
}
