//! Type inference of ops: dispatch by family.

use super::{Op, contract, control, data, elementwise, loops, movement, reduction};
use crate::Type;

/// The types at the rim of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionTypes {
    pub args: Vec<Type>,
    pub yields: Vec<Type>,
}

impl Op {
    /// The result types, or a sentence that says which rule of the op the operands break.
    pub fn infer(&self, operands: &[Type], regions: &[RegionTypes]) -> Result<Vec<Type>, String> {
        let one = |ty: Result<Type, String>| ty.map(|ty| vec![ty]);
        match self {
            Op::Constant { value } => one(data::constant(operands, value)),
            Op::DimValue { dim } => one(data::dim_value(operands, *dim)),
            Op::Iota { dtype, shape, axis } => one(data::iota(operands, *dtype, shape, *axis)),
            Op::RandomBits { shape } => one(data::random_bits(operands, shape)),
            Op::Unary { kind } => one(elementwise::unary(operands, *kind)),
            Op::Binary { kind } => one(elementwise::binary(operands, *kind)),
            Op::Compare { kind: _ } => one(elementwise::compare(operands)),
            Op::Select => one(elementwise::select(operands)),
            Op::Cast { dtype } => one(elementwise::cast(operands, *dtype)),
            Op::StopGradient => one(elementwise::stop_gradient(operands)),
            Op::Broadcast { shape, axes } => one(movement::broadcast(operands, shape, axes)),
            Op::Reshape { shape } => one(movement::reshape(operands, shape)),
            Op::Permute { axes } => one(movement::permute(operands, axes)),
            Op::Slice {
                starts,
                limits,
                strides,
            } => one(movement::slice(operands, starts, limits, strides)),
            Op::Pad { low, high } => one(movement::pad(operands, low, high)),
            Op::Concat { axis } => one(movement::concat(operands, *axis)),
            Op::Reverse { axes } => one(movement::reverse(operands, axes)),
            Op::Gather { axes } => one(movement::gather(operands, axes)),
            Op::Scatter { axes, kind: _ } => one(movement::scatter(operands, axes)),
            Op::DynamicSlice { sizes } => one(movement::dynamic_slice(operands, sizes)),
            Op::DynamicUpdate => one(movement::dynamic_update(operands)),
            Op::Reduce { kind, axes, acc } => one(reduction::reduce(operands, *kind, axes, *acc)),
            Op::ArgReduce { kind: _, axis } => one(reduction::arg_reduce(operands, *axis)),
            Op::Sort {
                axis,
                descending: _,
            } => reduction::sort(operands, *axis),
            Op::Contract {
                space,
                maps,
                out,
                shape,
                acc,
            } => one(contract::contract(operands, space, maps, out, shape, *acc)),
            Op::If => control::branch(operands, regions),
            Op::While { max: _ } => control::while_loop(operands, regions),
            Op::Scan { from, to, step } => control::scan(operands, regions, *from, *to, *step),
            Op::Call { callee: _, results } => Ok(results.clone()),
            Op::Grad {
                callee: _,
                wrt,
                results,
            } => control::grad(operands, wrt, results),
            Op::Fused { kind: _ } => control::fused(operands, regions),
            Op::Assert { message: _ } => control::assert(operands),
            Op::AssertClose { message: _ } => control::assert_close(operands),
            Op::Alloc { dtype, shape } => one(loops::alloc(operands, *dtype, shape)),
            Op::Free => loops::free(operands),
            Op::Data { value } => one(loops::data(operands, value)),
            Op::View { shape } => one(loops::view(operands, shape)),
            Op::Load => one(loops::load(operands)),
            Op::Store => loops::store(operands),
            Op::LoadVector { lanes, stride } => one(loops::load_vector(operands, *lanes, *stride)),
            Op::StoreVector => loops::store_vector(operands),
            Op::Fma => one(loops::fma(operands)),
            Op::Shuffle { lanes } => one(loops::shuffle(operands, lanes)),
            Op::Prefetch => loops::prefetch(operands),
            Op::For { step, lanes } => loops::for_loop(operands, regions, *step, *lanes),
            Op::Parallel { grain } => loops::parallel(operands, regions, *grain),
            Op::Kernel { name: _, results } => Ok(results.clone()),
        }
    }
}

/// `Ok(&operands[..N])` as an array, or a sentence that counts.
pub fn exactly<const N: usize>(operands: &[Type]) -> Result<&[Type; N], String> {
    operands
        .try_into()
        .map_err(|_| format!("takes {N} operands, got {}", operands.len()))
}

/// A check with its sentence.
pub fn ensure(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(sentence()) }
}

/// Operand must be a tensor value.
pub fn tensor(ty: &Type) -> Result<(), String> {
    ensure(matches!(ty, Type::Tensor { .. }), || {
        format!("takes a tensor, got `{ty}`")
    })
}

/// Operand must be an `i64` scalar.
pub fn index_scalar(ty: &Type) -> Result<(), String> {
    ensure(*ty == Type::scalar(crate::DType::I64), || {
        format!("takes an i64 scalar, got `{ty}`")
    })
}

/// Axes must be distinct and below the rank.
pub fn distinct_axes(axes: &[usize], rank: usize) -> Result<(), String> {
    for (i, axis) in axes.iter().enumerate() {
        ensure(*axis < rank, || {
            format!("axis {axis} is out of range for rank {rank}")
        })?;
        ensure(!axes[..i].contains(axis), || {
            format!("axis {axis} is named twice")
        })?;
    }
    Ok(())
}
