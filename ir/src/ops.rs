//! The op table: the only list of ops.
//!
//! Everything that must know every op is derived from [`Op`]: text form, verifier, reference pages.
//! Bodies of type rules live in `ops/<family>.rs`. Type inference matches ops without a wildcard arm.

use crate::mlir::{Encoded, Fields, Misfit, Schema};
use crate::text::{Attribute, ParseError, Parser};
use crate::{AffineMap, DType, Dim, Literal, Sym, Type};

mod contract;
mod control;
mod data;
mod elementwise;
mod infer;
mod kinds;
mod loops;
mod movement;
mod reduction;
mod signature;

pub use contract::SpaceRole;
pub use control::{is_access, shown_message, trip_count};
pub use infer::RegionTypes;
pub use kinds::{ArgKind, BinaryKind, CompareKind, FuseKind, ReduceKind, ScatterKind, UnaryKind};
pub use signature::{Class, Signature, Slot};

/// The levels at which an op may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    Tensor,
    Loop,
    /// Both: at the loop level on scalars and vectors, which are tensors of one constant axis.
    Both,
}

/// What an op does beside computing its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: equal ops on equal operands may be merged, unused ones dropped.
    Pure,
    /// May stop the program with an error: never moved out of a branch; without results, never dropped.
    Check,
    /// Allocates, reads or writes a buffer.
    Memory,
    /// That of its regions.
    Regions,
}

/// Facts of one row of the op table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// The name in the text form. Ops with a `kind` that names them print the kind instead.
    pub mnemonic: &'static str,
    pub family: &'static str,
    /// Names of the attributes, in the order of the text form.
    pub attributes: &'static [&'static str],
    pub levels: Levels,
    pub effect: Effect,
    /// Reference documentation.
    pub doc: &'static str,
}

macro_rules! ops {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident $({ $($attr:ident : $ty:ty),+ $(,)? })? = $mnemonic:literal,
        $family:ident, $levels:ident, $effect:ident;
    )+) => {
        /// An operation with its attributes. Operands, results and regions are in [`crate::OpNode`].
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Op {
            $( $(#[doc = $doc])+ $variant $({ $($attr: $ty),+ })? ),+
        }

        /// A row of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Row { $( $variant ),+ }

        impl Row {
            /// Every row, in order.
            pub const ALL: &'static [Row] = &[ $( Row::$variant ),+ ];

            /// What attributes of the row look like in MLIR, by name.
            pub fn schemas(self) -> Vec<(&'static str, Schema)> {
                match self {
                    $( Row::$variant => vec![$($( (stringify!($attr), <$ty as Encoded>::schema()) ),+)?] ),+
                }
            }
        }

        impl Op {
            /// Every row of the table, in order.
            pub const TABLE: &'static [OpInfo] = &[
                $( OpInfo {
                    mnemonic: $mnemonic,
                    family: stringify!($family),
                    attributes: &[$($(stringify!($attr)),+)?],
                    levels: Levels::$levels,
                    effect: Effect::$effect,
                    doc: concat!($($doc, "\n"),+),
                } ),+
            ];

            pub fn row(&self) -> Row {
                match self {
                    $( Op::$variant $({ $($attr: _),+ })? => Row::$variant ),+
                }
            }

            /// The table row of this op.
            pub fn info(&self) -> &'static OpInfo {
                self.row().info()
            }

            /// Calls `visit` with the name and the text of every attribute, in order.
            #[allow(unused_variables)]
            pub fn for_each_attribute(&self, mut visit: impl FnMut(&'static str, &dyn Attribute)) {
                match self {
                    $( Op::$variant $({ $($attr),+ })? => { $($( visit(stringify!($attr), $attr); )+)? } ),+
                }
            }

            /// Rewrites every dimension among the attributes.
            #[allow(unused_variables)]
            pub fn map_dims(&mut self, f: &mut dyn FnMut(Dim) -> Dim) {
                match self {
                    $( Op::$variant $({ $($attr),+ })? => { $($( $attr.map_dims(f); )+)? } ),+
                }
            }

            /// Reads the attributes of the op called `mnemonic`; `None` for an unknown name.
            pub(crate) fn parse(mnemonic: &str, parser: &mut Parser) -> Result<Option<Op>, ParseError> {
                let op = match mnemonic {
                    $( $mnemonic => Op::$variant $({
                        $($attr: parser.attribute(stringify!($attr))?),+
                    })?, )+
                    _ => return Ok(None),
                };
                Ok(Some(op))
            }

            /// Takes the attributes of the op called `mnemonic` from those of an MLIR op; `None` for an
            /// unknown name.
            #[allow(unused_variables)]
            pub(crate) fn decode(mnemonic: &str, fields: &mut Fields) -> Result<Option<Op>, Misfit> {
                let op = match mnemonic {
                    $( $mnemonic => Op::$variant $({
                        $($attr: fields.take(stringify!($attr))?),+
                    })?, )+
                    _ => return Ok(None),
                };
                Ok(Some(op))
            }
        }
    };
}

ops! {
    // ---- data ----
    /// A constant tensor.
    Constant { value: Literal } = "constant", data, Both, Pure;
    /// The value of a dimension expression, as an `i64` scalar.
    DimValue { dim: Dim } = "dim", data, Both, Pure;
    /// Counts 0, 1, 2, ... along `axis` of a tensor of the given shape; wraps in narrow dtypes.
    Iota { dtype: DType, shape: Vec<Dim>, axis: usize } = "iota", data, Both, Pure;
    /// Uniform `u32` words from a key (`u32[2]`): word i is Philox4x32-10 of counter i / 4, lane i % 4.
    RandomBits { shape: Vec<Dim> } = "random_bits", data, Tensor, Pure;

    // ---- elementwise: operands of one shape; the kind is the name ----
    /// An elementwise function of one operand.
    Unary { kind: UnaryKind } = "unary", elementwise, Both, Pure;
    /// An elementwise function of two operands of the same type.
    Binary { kind: BinaryKind } = "binary", elementwise, Both, Pure;
    /// An elementwise comparison with a `bool` result. IEEE 754: NaN is unequal to everything.
    Compare { kind: CompareKind } = "compare", elementwise, Both, Pure;
    /// `select(condition, a, b)`: a where the condition holds, b elsewhere.
    Select = "select", elementwise, Both, Pure;
    /// Conversion to another dtype. Float to integer truncates and saturates, NaN gives 0; integer to
    /// integer wraps; to `bool` tests for non-zero; to a narrower float rounds to nearest even.
    Cast { dtype: DType } = "cast", elementwise, Both, Pure;
    /// The operand; its derivative is zero.
    StopGradient = "stop_gradient", elementwise, Tensor, Pure;

    // ---- movement ----
    /// Operand axis `k` becomes result axis `axes[k]` (increasing); size 1 is repeated, others must agree.
    Broadcast { shape: Vec<Dim>, axes: Vec<usize> } = "broadcast", movement, Both, Pure;
    /// The same elements in row-major order under another shape.
    Reshape { shape: Vec<Dim> } = "reshape", movement, Tensor, Pure;
    /// Result axis `k` is operand axis `axes[k]`.
    Permute { axes: Vec<usize> } = "permute", movement, Tensor, Pure;
    /// Per axis the elements `start, start + stride, ...` below `limit`; strides are at least 1.
    Slice { starts: Vec<Dim>, limits: Vec<Dim>, strides: Vec<Dim> } = "slice", movement, Tensor, Pure;
    /// `pad(x, value)`: `low[k]` copies of the scalar before and `high[k]` after axis k.
    Pad { low: Vec<Dim>, high: Vec<Dim> } = "pad", movement, Tensor, Pure;
    /// One or more operands laid end to end along `axis`.
    Concat { axis: usize } = "concat", movement, Tensor, Pure;
    /// Reverses the order of elements along the axes.
    Reverse { axes: Vec<usize> } = "reverse", movement, Tensor, Pure;
    /// `gather(x, i_1, ..., i_n)`: the `i64` index tensors, all of one shape I, address the n listed
    /// axes; the result has shape I followed by the other axes of x. Out of range is an error.
    Gather { axes: Vec<usize> } = "gather", movement, Tensor, Check;
    /// `scatter(x, i_1, ..., i_n, updates)`: x with `updates` (shape I, then the other axes of x)
    /// combined into the addressed places, in row-major order of I. Out of range is an error.
    Scatter { axes: Vec<usize>, kind: ScatterKind } = "scatter", movement, Tensor, Check;
    /// `dynamic_slice(x, start_1, ..., start_rank)`: a window of the given sizes at run-time `i64`
    /// positions. Out of range is an error.
    DynamicSlice { sizes: Vec<Dim> } = "dynamic_slice", movement, Tensor, Check;
    /// `dynamic_update(x, window, start_1, ..., start_rank)`: x with the window written at run-time
    /// `i64` positions. Out of range is an error.
    DynamicUpdate = "dynamic_update", movement, Tensor, Check;

    // ---- reduction ----
    /// Combines along `axes`, which vanish. Of nothing: the identity (max: -inf or the least integer).
    /// `acc` is the accumulator of sum and prod; the result has the operand's dtype. NaN wins in max and min.
    Reduce { kind: ReduceKind, axes: Vec<usize>, acc: DType } = "reduce", reduction, Both, Pure;
    /// The `i64` position of the extreme along `axis`: lowest on ties, the first NaN if any, -1 of nothing.
    ArgReduce { kind: ArgKind, axis: usize } = "arg_reduce", reduction, Tensor, Pure;
    /// Sorts the first operand along `axis` and moves the others with it. Stable; -0 before +0, NaN last
    /// (first if descending).
    Sort { axis: usize, descending: bool } = "sort", reduction, Tensor, Pure;

    // ---- contraction ----
    /// Over all points of `space`: `out[out map] += product of operand[its map]`, into zeros, computed in
    /// `acc` and rounded once. Indices absent from the output map are summed. `shape` is the result's. Of one
    /// operand, with the whole space as result, it moves elements as they are.
    Contract { space: Vec<Dim>, maps: Vec<AffineMap>, out: AffineMap, shape: Vec<Dim>, acc: DType } = "contract", contract, Tensor, Pure;

    // ---- control ----
    /// `if(condition)` on a scalar `bool`; two regions without arguments.
    If = "if", control, Both, Regions;
    /// Carries as operands; regions `condition(carries) -> bool` and `body(carries) -> carries`.
    /// More than `max` iterations, where given, is an error.
    While { max: Option<Dim> } = "while", control, Both, Regions;
    /// For t = from, from + step, ... before `to`: `body(t, carries) -> (carries, emits)`. Results are
    /// the last carries, then every emit stacked along a new first axis in iteration order.
    Scan { from: Dim, to: Dim, step: Dim } = "scan", control, Tensor, Regions;
    /// A call of another function of the module. `results` are its result types at this call.
    Call { callee: Sym, results: Vec<Type> } = "call", control, Tensor, Regions;
    /// Calls `callee`, whose first result is a scalar float, and also returns that result's gradients
    /// with respect to the operands listed in `wrt`: results are the callee's, then the gradients.
    Grad { callee: Sym, wrt: Vec<usize>, results: Vec<Type> } = "grad", control, Tensor, Regions;
    /// A group of primitives that becomes one loop nest; a region without arguments.
    Fused { kind: FuseKind } = "fused", control, Tensor, Regions;

    // ---- checks ----
    /// `assert(condition, a, b)`: stops with `message` unless the scalar `bool` holds. The numbers, at most
    /// two `i64` scalars, stand in the message for `{a}` and `{b}`.
    Assert { message: String } = "assert", control, Both, Check;
    /// `assert_close(a, b, rtol, atol)`, tolerances `f64` scalars: stops unless everywhere
    /// `|a - b| <= atol + rtol * |b|`, or both are NaN, or both the same infinity.
    AssertClose { message: String } = "assert_close", control, Tensor, Check;

    // ---- loop level ----
    /// A buffer of uninitialised memory that lives until the function ends.
    Alloc { dtype: DType, shape: Vec<Dim> } = "alloc", loops, Loop, Memory;
    /// Ends the life of a buffer: nothing reads or writes it from here on.
    Free = "free", loops, Loop, Memory;
    /// A buffer that holds a constant; nothing writes it.
    Data { value: Literal } = "data", loops, Loop, Pure;
    /// The same memory under another shape with as many elements.
    View { shape: Vec<Dim> } = "view", loops, Loop, Pure;
    /// `load(buffer, index_1, ..., index_rank)`.
    Load = "load", loops, Loop, Memory;
    /// `store(value, buffer, index_1, ..., index_rank)`.
    Store = "store", loops, Loop, Memory;
    /// `load_vector(buffer, index_1, ..., index_rank, count)`: `lanes` elements from the index on, `stride`
    /// apart along the last axis. Lanes from `count` on are 0 and not read.
    LoadVector { lanes: i64, stride: i64 } = "load_vector", loops, Loop, Memory;
    /// `store_vector(vector, buffer, index_1, ..., index_rank, count)`: lanes below `count` go to neighbours
    /// along the last axis, the others nowhere.
    StoreVector = "store_vector", loops, Loop, Memory;
    /// `a * b + c` on floats, rounded once.
    Fma = "fma", loops, Loop, Pure;
    /// Of the lanes of two vectors, those of the first counted before those of the second, as many as one has, by number.
    Shuffle { lanes: Vec<usize> } = "shuffle", loops, Loop, Pure;
    /// `prefetch(buffer, position)`: says that memory around the row-major position will be read. The
    /// position may lie outside.
    Prefetch = "prefetch", loops, Loop, Memory;
    /// `for(low, high, carries...)`: `body(i, carries) -> carries` for i = low, low + step, ... below
    /// high. With `lanes` above 1 the iterations may run that many at a time.
    For { step: i64, lanes: i64 } = "for", loops, Loop, Regions;
    /// `parallel(n)`: `body(i)` for i in 0..n in any order, about `grain` iterations to a task.
    Parallel { grain: i64 } = "parallel", loops, Loop, Regions;
    /// A micro-kernel of the runtime, by name. Each address that it takes is two operands: a buffer and
    /// the row-major position of its first element.
    Kernel { name: Sym, results: Vec<Type> } = "kernel", loops, Loop, Memory;
}

impl Row {
    pub fn info(self) -> &'static OpInfo {
        &Op::TABLE[self as usize]
    }

    /// What ops of the row are called: the kinds where the kind names the op.
    pub fn names(self) -> Vec<&'static str> {
        if self == Row::Unary {
            UnaryKind::ALL.iter().map(|kind| kind.name()).collect()
        } else if self == Row::Binary {
            BinaryKind::ALL.iter().map(|kind| kind.name()).collect()
        } else if self == Row::Compare {
            CompareKind::ALL.iter().map(|kind| kind.name()).collect()
        } else {
            vec![self.info().mnemonic]
        }
    }
}

impl Op {
    /// The op that a kind names.
    pub(crate) fn named_by_kind(name: &str) -> Option<Op> {
        let unary = UnaryKind::from_name(name).map(|kind| Op::Unary { kind });
        let binary = || BinaryKind::from_name(name).map(|kind| Op::Binary { kind });
        let compare = || CompareKind::from_name(name).map(|kind| Op::Compare { kind });
        unary.or_else(binary).or_else(compare)
    }

    /// The name in the text form: the kind where the kind names the op.
    pub fn name(&self) -> &'static str {
        if let Op::Unary { kind } = self {
            kind.name()
        } else if let Op::Binary { kind } = self {
            kind.name()
        } else if let Op::Compare { kind } = self {
            kind.name()
        } else {
            self.info().mnemonic
        }
    }

    /// Whether every element of the result is computed from an element of each operand, or from none.
    pub fn is_expression(&self) -> bool {
        match self {
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. }
            | Op::StopGradient => true,
            Op::Constant { value } => value.splat().is_some(),
            op => op.is_view(),
        }
    }

    /// Whether the op only says where elements come from, or counts.
    pub fn is_view(&self) -> bool {
        match self {
            Op::DimValue { .. }
            | Op::Iota { .. }
            | Op::Broadcast { .. }
            | Op::Permute { .. }
            | Op::Slice { .. }
            | Op::Reverse { .. } => true,
            Op::Constant { value } => value.shape.is_empty(),
            _ => self.is_window(),
        }
    }

    /// Whether the op is a contraction that takes every element from a place of its one operand, as
    /// pooling takes its windows: nothing is summed, elements move as they are.
    pub fn is_window(&self) -> bool {
        match self {
            Op::Contract {
                space,
                maps,
                out,
                shape,
                ..
            } => {
                let indices = out.as_indices();
                let all = |indices: Vec<usize>| indices.into_iter().eq(0..space.len());
                maps.len() == 1 && shape == space && indices.is_some_and(all)
            }
            _ => false,
        }
    }

    /// Whether the operands must lie in memory: read by kernels, at computed places, or reinterpreted.
    pub fn reads_memory(&self) -> bool {
        matches!(
            self,
            Op::Contract { .. }
                | Op::Reshape { .. }
                | Op::Sort { .. }
                | Op::RandomBits { .. }
                | Op::DynamicUpdate
                | Op::Scatter { .. }
        )
    }

    /// Whether the two operands may be exchanged.
    pub fn is_commutative(&self) -> bool {
        match self {
            Op::Binary { kind } => kind.is_commutative(),
            Op::Compare { kind } => matches!(kind, CompareKind::Eq | CompareKind::Ne),
            other => {
                debug_assert!(!matches!(other, Op::Binary { .. } | Op::Compare { .. }));
                false
            }
        }
    }
}
