//! What the left side of a rule looks like, whatever its ranks, dtypes and attributes are.

use crate::ops::{Op, Row};

/// An op as far as all its uses share it: its row in the table, and its kind where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpName {
    row: u8,
    kind: u8,
    commutative: bool,
}

impl OpName {
    pub fn of(op: &Op) -> OpName {
        let kind = match op {
            Op::Unary { kind } => *kind as u8,
            Op::Binary { kind } => *kind as u8,
            Op::Compare { kind } => *kind as u8,
            Op::Reduce { kind, .. } => *kind as u8,
            Op::Scatter { kind, .. } => *kind as u8,
            Op::ArgReduce { kind, .. } => *kind as u8,
            _ => 0,
        };
        OpName {
            row: op.row() as u8,
            kind,
            commutative: op.is_commutative(),
        }
    }

    pub fn is_commutative(self) -> bool {
        self.commutative
    }
}

impl From<Op> for OpName {
    fn from(op: Op) -> OpName {
        OpName::of(&op)
    }
}

/// The ops of a row that has no kinds.
impl From<Row> for OpName {
    fn from(row: Row) -> OpName {
        OpName {
            row: row as u8,
            kind: 0,
            commutative: false,
        }
    }
}

/// What the left side of a rule has in every instance: enough to see where it cannot match, without making one. Of
/// instances in which written movement does nothing it says nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Sketch {
    /// The parameter of this number.
    Param(usize),
    /// Elements that are all equal and known; the number, where it is one that f16 and bf16 hold.
    Splat(Option<f64>),
    Op(OpName, Vec<Sketch>),
    /// The elements of a value, or some of them, in other places, as this op says.
    Moved(OpName, Box<Sketch>),
    /// What depends on more than the text says. These are parts of it, whatever else it is.
    Other(Vec<Sketch>),
}

impl Sketch {
    /// How many parts it has, itself included.
    pub fn size(&self) -> usize {
        let parts = match self {
            Sketch::Param(_) | Sketch::Splat(_) => &[][..],
            Sketch::Op(_, parts) | Sketch::Other(parts) => parts,
            Sketch::Moved(_, of) => std::slice::from_ref(&**of),
        };
        1 + parts.iter().map(Sketch::size).sum::<usize>()
    }

    /// All elements equal to a number.
    pub fn number(value: f64) -> Sketch {
        let same = half::bf16::from_f64(value).to_f64() == value
            && half::f16::from_f64(value).to_f64() == value;
        Sketch::Splat(same.then_some(value))
    }
}
