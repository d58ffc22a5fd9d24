//! Rows in scratch memory: reductions and elementwise work on them, by vectors, where they lie.

use std::collections::HashMap;

use aiai_ir::{BinaryKind, DType, Dim, Op, OpNode, ReduceKind, Region, UnaryKind, Value};

use super::super::Lowerer;
use super::super::softmax::Softmax;
use super::super::vectors::At;

/// A row that is worked on.
pub struct Rows {
    pub scratch: Value,
    /// Where the row begins, and its length.
    pub begin: Value,
    pub width: Value,
    /// The value whose elements are there.
    pub stored: Value,
    /// Numbers of the row: what reductions gave.
    pub numbers: HashMap<Value, Value>,
    /// The shape of all rows.
    pub shape: Vec<Dim>,
    /// What they are to become, if that: then the largest of the row is known, as it is before scaling.
    pub softmax: Option<Softmax>,
}

impl<'a> Lowerer<'a> {
    /// Reduces a value of the row to a number.
    pub(super) fn reduce_scratch(
        &mut self,
        rows: &mut Rows,
        group: &'a Region,
        result: Value,
        (node, kind): (&'a OpNode, ReduceKind),
    ) {
        let (part, dtype) = self.part_of_row(rows, group, result, (node, kind));
        let number = self.fold_lanes(part, kind, dtype);
        let number = self.b.cast(number, self.dtype(node.operands[0]));
        rows.numbers.insert(node.results[0], number);
    }

    /// Reduces a value of the row to one in each lane of a vector, in the dtype that is given too. What is computed on the
    /// way and read again is kept in place of the row.
    pub(super) fn part_of_row(
        &mut self,
        rows: &mut Rows,
        group: &'a Region,
        result: Value,
        (node, kind): (&'a OpNode, ReduceKind),
    ) -> (Value, DType) {
        let x = node.operands[0];
        let keeps = x != rows.stored && !self.reaches(rows, group, result, x);
        let dtype = self.reduced_in(node);
        let (zero, start) = (self.int(0), self.partial_results(kind, dtype));
        let range = (zero, rows.width);
        let part = self.part_along(range, &[], kind.into(), &start, &mut |this, at, sum| {
            let sum = sum?;
            let lanes = this.row_lanes(rows, at, x, &mut HashMap::new());
            if keeps {
                this.store_in_row(rows, at, lanes);
            }
            let lanes = this.b.cast(lanes, dtype);
            let next = this.combine(kind, sum, lanes);
            Some(this.where_existing(at, next, sum))
        });
        if keeps {
            rows.stored = x;
        }
        (part, dtype)
    }

    /// The dtype in which a reduction is done.
    pub(super) fn reduced_in(&self, node: &OpNode) -> DType {
        match node.op {
            Op::Reduce {
                kind: ReduceKind::Sum | ReduceKind::Prod,
                acc,
                ..
            } => acc,
            _ => self.dtype(node.operands[0]),
        }
    }

    /// Computes a value of the row in place of it.
    pub(super) fn store_rows(&mut self, rows: &Rows, value: Value) {
        if value == rows.stored {
            return;
        }
        let (zero, abreast) = (self.int(0), self.line().stores);
        self.along((zero, rows.width), &[], abreast, &[], &mut |this, at, _| {
            let lanes = this.row_lanes(rows, at, value, &mut HashMap::new());
            this.store_in_row(rows, at, lanes);
            None
        });
    }

    fn store_in_row(&mut self, rows: &Rows, at: &At, lanes: Value) {
        let place = self.add(rows.begin, at.column());
        let operands = [lanes, rows.scratch, place, at.count];
        self.b.op(Op::StoreVector, &operands, Vec::new());
    }

    /// A vector of a value that is computed elementwise from the row.
    fn row_lanes(
        &mut self,
        rows: &Rows,
        at: &At,
        value: Value,
        known: &mut HashMap<Value, Value>,
    ) -> Value {
        if let Some(&found) = known.get(&value) {
            return found;
        }
        let softmax = rows
            .softmax
            .filter(|s| s.exponentials == value && value != rows.stored);
        let found = if let Some(softmax) = softmax {
            self.exponentials(rows, at, &softmax, known)
        } else if value == rows.stored {
            let place = self.add(rows.begin, at.column());
            let size = (self.line().lanes, 1);
            self.load_lanes(rows.scratch, place, size, at.count, self.dtype(value))
        } else if self.shape(value) != rows.shape.as_slice() {
            let number = self.row_number(rows, value);
            self.in_all_lanes(number)
        } else {
            let node = self.nodes[&value];
            match &node.op {
                Op::Broadcast { .. } | Op::Reshape { .. } => {
                    let number = self.row_number(rows, node.operands[0]);
                    self.in_all_lanes(number)
                }
                Op::Constant { .. } => {
                    let number = self.constant_number(value);
                    self.in_all_lanes(number)
                }
                op => {
                    let operands: Vec<Value> = node
                        .operands
                        .iter()
                        .map(|&v| self.row_lanes(rows, at, v, known))
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

    /// The exponentials of softmax, as powers of 2 of what is stored.
    fn exponentials(
        &mut self,
        rows: &Rows,
        at: &At,
        softmax: &Softmax,
        known: &mut HashMap<Value, Value>,
    ) -> Value {
        let x = self.row_lanes(rows, at, softmax.unscaled, known);
        let most = self.row_number(rows, softmax.most);
        let factor = self.number(DType::F32, softmax.factor);
        let [most, factor] = [most, factor].map(|number| self.in_all_lanes(number));
        let below = self.b.binary(BinaryKind::Sub, x, most);
        let power = self.b.binary(BinaryKind::Mul, below, factor);
        self.b.unary(UnaryKind::Exp2, power)
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
