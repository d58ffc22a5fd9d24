//! Operands, results and regions of every row of the table: how many, and of which class.
//!
//! A signature says less than the type rule of its op. It is what can be said without looking at types
//! closely, and what other tools are told of the ops.

use super::Row;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A tensor; a scalar is one.
    Tensor,
    /// A tensor of the same type as all others of this class at the op.
    Same,
    /// An `i64` scalar.
    Index,
    /// A `bool` scalar.
    Flag,
    Buffer,
    Any,
}

/// One operand or result, or any number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub name: &'static str,
    pub class: Class,
    /// Any number, none included. At most one slot of a list is such.
    pub many: bool,
}

/// The rim of an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub operands: &'static [Slot],
    pub results: &'static [Slot],
    /// Names of the regions.
    pub regions: &'static [&'static str],
}

/// `name: Class` and `name: many Class` as slots.
macro_rules! slots {
    ($($name:ident : $first:ident $($second:ident)?),* $(,)?) => {
        &[$( slots!(@slot $name $first $($second)?) ),*]
    };
    (@slot $name:ident many $class:ident) => {
        Slot { name: stringify!($name), class: Class::$class, many: true }
    };
    (@slot $name:ident $class:ident) => {
        Slot { name: stringify!($name), class: Class::$class, many: false }
    };
}

macro_rules! signature {
    (($($operands:tt)*) -> ($($results:tt)*)) => {
        signature!(($($operands)*) -> ($($results)*), [])
    };
    (($($operands:tt)*) -> ($($results:tt)*), [$($region:ident),*]) => {
        Signature {
            operands: slots!($($operands)*),
            results: slots!($($results)*),
            regions: &[$(stringify!($region)),*],
        }
    };
}

impl Row {
    pub fn signature(self) -> Signature {
        match self {
            Row::Constant | Row::Iota => signature!(() -> (result: Tensor)),
            Row::DimValue => signature!(() -> (result: Index)),
            Row::RandomBits => signature!((key: Tensor) -> (result: Tensor)),
            Row::Unary | Row::Cast => signature!((x: Tensor) -> (result: Tensor)),
            Row::Binary => signature!((a: Same, b: Same) -> (result: Same)),
            Row::Compare => signature!((a: Same, b: Same) -> (result: Tensor)),
            Row::Select => {
                signature!((condition: Tensor, a: Same, b: Same) -> (result: Same))
            }
            Row::StopGradient | Row::Reverse => signature!((x: Same) -> (result: Same)),
            Row::Broadcast
            | Row::Reshape
            | Row::Permute
            | Row::Slice
            | Row::Reduce
            | Row::ArgReduce => signature!((x: Tensor) -> (result: Tensor)),
            Row::Pad => signature!((x: Tensor, value: Tensor) -> (result: Tensor)),
            Row::Concat => signature!((first: Tensor, rest: many Tensor) -> (result: Tensor)),
            Row::Gather => signature!((x: Tensor, indices: many Tensor) -> (result: Tensor)),
            Row::Scatter => {
                signature!((x: Same, indices: many Tensor, updates: Tensor) -> (result: Same))
            }
            Row::DynamicSlice => signature!((x: Tensor, starts: many Index) -> (result: Tensor)),
            Row::DynamicUpdate => {
                signature!((x: Same, window: Tensor, starts: many Index) -> (result: Same))
            }
            Row::Sort => signature!((operands: many Tensor) -> (results: many Tensor)),
            Row::Contract => signature!((first: Tensor, rest: many Tensor) -> (result: Tensor)),
            Row::If => {
                signature!((condition: Flag) -> (results: many Any), [then_branch, else_branch])
            }
            Row::While => {
                signature!((carries: many Any) -> (results: many Any), [condition, body])
            }
            Row::Scan => signature!((carries: many Any) -> (results: many Any), [body]),
            Row::Call | Row::Grad | Row::Kernel => {
                signature!((operands: many Any) -> (results: many Any))
            }
            Row::Fused => signature!(() -> (results: many Any), [body]),
            Row::Assert => signature!((condition: Flag, shown: many Index) -> ()),
            Row::AssertClose => {
                signature!((a: Same, b: Same, rtol: Tensor, atol: Tensor) -> ())
            }
            Row::Alloc | Row::Data => signature!(() -> (result: Buffer)),
            Row::Free => signature!((buffer: Buffer) -> ()),
            Row::View => signature!((buffer: Buffer) -> (result: Buffer)),
            Row::Load => signature!((buffer: Buffer, indices: many Index) -> (result: Tensor)),
            Row::Store => {
                signature!((value: Tensor, buffer: Buffer, indices: many Index) -> ())
            }
            Row::LoadVector => {
                signature!((buffer: Buffer, indices: many Index, count: Index) -> (result: Tensor))
            }
            Row::StoreVector => {
                signature!((vector: Tensor, buffer: Buffer, indices: many Index, count: Index) -> ())
            }
            Row::Fma => signature!((a: Same, b: Same, c: Same) -> (result: Same)),
            Row::Shuffle => signature!((a: Same, b: Same) -> (result: Same)),
            Row::Prefetch => signature!((buffer: Buffer, position: Index) -> ()),
            Row::For => {
                signature!((low: Index, high: Index, carries: many Any) -> (results: many Any), [body])
            }
            Row::Parallel => signature!((count: Index) -> (), [body]),
        }
    }
}
