//! Keys: what can be said of an op without its sizes, as a small number.
//!
//! Two ops with the same key are the same function of operands of the same dtypes and ranks, but for the
//! dimensions among their attributes. Matching compares keys first, dimensions afterwards.

use aiai_ir::{Dim, Op, Type};
use rustc_hash::FxHashMap;

/// The key of an op that no pattern mentions.
pub const UNKNOWN: u32 = u32::MAX;

/// Bytes of a constant that is compared, at most: larger ones stand in no pattern.
pub const CONSTANT_BYTES: usize = 256;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shape {
    /// With every dimension replaced by 1.
    op: Op,
    /// The type of the result in question, without its sizes.
    dtype: aiai_ir::DType,
    rank: usize,
    /// Which result.
    result: usize,
    operands: usize,
}

/// The keys of a rule set.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    known: FxHashMap<Shape, u32>,
}

impl Keys {
    /// The key of a pattern's op; a new one where it is not known.
    pub fn intern(&mut self, op: &Op, operands: usize, result: usize, ty: &Type) -> u32 {
        let next = self.known.len() as u32;
        let shape = shape_of(op, operands, result, ty);
        *self.known.entry(shape).or_insert(next)
    }

    /// The key of an op of a program; [`UNKNOWN`] where no pattern has it.
    pub fn of(&self, op: &Op, operands: usize, result: usize, ty: &Type) -> u32 {
        if let Op::Constant { value } = op
            && value.bytes.len() > CONSTANT_BYTES
        {
            return UNKNOWN;
        }
        let shape = shape_of(op, operands, result, ty);
        self.known.get(&shape).copied().unwrap_or(UNKNOWN)
    }
}

fn shape_of(op: &Op, operands: usize, result: usize, ty: &Type) -> Shape {
    let mut op = op.clone();
    op.map_dims(&mut |_| Dim::from(1));
    Shape {
        op,
        dtype: ty.dtype(),
        rank: ty.rank(),
        result,
        operands,
    }
}

/// The dimensions among the attributes of an op, in order. Ops of one key have as many.
pub fn dims_of(op: &Op) -> Vec<Dim> {
    let mut dims = Vec::new();
    // Reading is rewriting without a change; ops without dimensions clone cheaply.
    op.clone().map_dims(&mut |dim| {
        dims.push(dim);
        dim
    });
    dims
}
