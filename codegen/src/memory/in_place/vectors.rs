//! Accesses by vectors: passes along a row, whose loops go on where the one before ended.

use std::collections::{HashMap, HashSet};

use aiai_ir::{BinaryKind, Op};

use super::{Access, Accesses, Place};

/// What is known of the numbers that are columns of vectors.
#[derive(Default)]
pub struct Columns {
    /// Vectors are written.
    pub are_used: bool,
    /// The most lanes that a vector has.
    pub lanes: i64,
    constants: HashMap<usize, i64>,
    /// The loop whose index a number is, so much added.
    offsets: HashMap<usize, (usize, i64)>,
    /// The bounds and the step of a loop.
    loops: HashMap<usize, (usize, usize, i64)>,
    /// Loops that come once more, after one with the same indices has written.
    again: HashSet<usize>,
}

impl Columns {
    pub fn enter(&mut self, index: usize, op: &Op, bounds: &[usize], writes: &[Access]) {
        if writes.iter().any(|write| write.loops.contains(&index)) {
            self.again.insert(index);
        }
        if let (Op::For { step, .. }, &[low, high, ..]) = (op, bounds) {
            self.offsets.insert(index, (index, 0));
            self.loops.insert(index, (low, high, *step));
        }
    }

    pub fn note(&mut self, op: &Op, operands: &[usize], number: usize) {
        match (op, operands) {
            (Op::Constant { value }, _) if !value.dtype.is_float() && value.shape.is_empty() => {
                self.constants.insert(number, value.element(0).as_i64());
            }
            (
                Op::Binary {
                    kind: BinaryKind::Add,
                },
                [index, offset],
            ) => {
                if let (Some(&(of, 0)), Some(&offset)) =
                    (self.offsets.get(index), self.constants.get(offset))
                {
                    self.offsets.insert(number, (of, offset));
                }
            }
            _ => {}
        }
    }

    /// Whether vectors at two columns of a row have no element in common, in whichever iterations.
    fn apart(&self, a: usize, b: usize) -> bool {
        let lanes = self.lanes;
        let (Some(&(a, x)), Some(&(b, y))) = (self.offsets.get(&a), self.offsets.get(&b)) else {
            return false;
        };
        let (Some(of_a), Some(of_b)) = (self.loops.get(&a), self.loops.get(&b)) else {
            return false;
        };
        let fits = |offset: i64, step: i64| offset >= 0 && offset + lanes <= step;
        match a == b {
            true => (x - y).abs() >= lanes && fits(x, of_a.2) && fits(y, of_a.2),
            false => (of_a.1 == of_b.0 || of_b.1 == of_a.0) && fits(x, of_a.2) && fits(y, of_b.2),
        }
    }
}

impl Accesses<'_> {
    /// A read behind a write must be of something else.
    pub fn read_vector(&mut self, access: Access, lanes: i64) {
        self.columns.lanes = self.columns.lanes.max(lanes);
        let apart = |write: &Access| self.same_row_apart(&access, write);
        let again = access.loops.iter().any(|l| self.columns.again.contains(l));
        self.spoiled |= again || !self.writes.iter().all(apart);
        self.reads.push(access);
    }

    /// Whether every read is of the vector that the same iteration writes, and apart from all else that is written
    /// in the row meanwhile.
    pub fn vectors_in_place(&self) -> bool {
        let is_own =
            |read: &Access, write: &Access| read.place == write.place && read.loops == write.loops;
        let reads = |read: &Access| {
            self.writes.iter().all(|write| {
                is_own(read, write) || self.in_row(read, write) || self.same_row_apart(read, write)
            })
        };
        self.reads.iter().all(reads)
    }

    fn same_row_apart(&self, a: &Access, b: &Access) -> bool {
        let (Place::Element(shape, at), Place::Element(other, to)) = (&a.place, &b.place) else {
            return false;
        };
        let (Some((column, row)), Some((other_column, other_row))) =
            (at.split_last(), to.split_last())
        else {
            return false;
        };
        shape == other && row == other_row && self.columns.apart(*column, *other_column)
    }
}
