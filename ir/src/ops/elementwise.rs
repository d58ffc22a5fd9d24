//! Type rules of elementwise ops: operands of one shape, no implicit broadcast.

use super::infer::{ensure, exactly, tensor};
use super::{BinaryKind, UnaryKind};
use crate::{DType, Type};

pub fn unary(operands: &[Type], kind: UnaryKind) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    let dtype = x.dtype();
    let fits = if kind.is_float_only() {
        dtype.is_float()
    } else if kind == UnaryKind::Not {
        !dtype.is_float()
    } else {
        dtype.is_numeric()
    };
    ensure(fits, || format!("is not defined for {dtype}"))?;
    let result = if kind.is_predicate() {
        DType::Bool
    } else {
        dtype
    };
    Ok(Type::tensor(result, x.shape()))
}

pub fn binary(operands: &[Type], kind: BinaryKind) -> Result<Type, String> {
    let [a, b] = exactly(operands)?;
    same(a, b)?;
    let dtype = a.dtype();
    let shifts = matches!(kind, BinaryKind::Shl | BinaryKind::Shr);
    let fits = match (kind.is_bitwise(), dtype) {
        (true, DType::Bool) => !shifts,
        (true, _) => !dtype.is_float(),
        (false, _) => dtype.is_numeric(),
    };
    ensure(fits, || format!("is not defined for {dtype}"))?;
    Ok(a.clone())
}

pub fn compare(operands: &[Type]) -> Result<Type, String> {
    let [a, b] = exactly(operands)?;
    same(a, b)?;
    Ok(Type::tensor(DType::Bool, a.shape()))
}

pub fn select(operands: &[Type]) -> Result<Type, String> {
    let [condition, a, b] = exactly(operands)?;
    same(a, b)?;
    let expected = Type::tensor(DType::Bool, a.shape());
    ensure(*condition == expected, || {
        format!("takes a condition `{expected}`, got `{condition}`")
    })?;
    Ok(a.clone())
}

pub fn cast(operands: &[Type], dtype: DType) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    Ok(Type::tensor(dtype, x.shape()))
}

fn same(a: &Type, b: &Type) -> Result<(), String> {
    tensor(a)?;
    ensure(a == b, || format!("operands differ: `{a}` and `{b}`"))
}

pub fn stop_gradient(operands: &[Type]) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    Ok(x.clone())
}
