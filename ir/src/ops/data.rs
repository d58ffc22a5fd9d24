//! Type rules of constants, counters and random bits.

use super::infer::{ensure, exactly};
use crate::{DType, Dim, Literal, Type};

pub fn constant(operands: &[Type], value: &Literal) -> Result<Type, String> {
    exactly::<0>(operands)?;
    Ok(value.ty())
}

pub fn dim_value(operands: &[Type], dim: Dim) -> Result<Type, String> {
    exactly::<0>(operands)?;
    ensure(!dim.is_overflow(), || {
        "the dimension leaves the range of i64".into()
    })?;
    Ok(Type::scalar(DType::I64))
}

pub fn iota(operands: &[Type], dtype: DType, shape: &[Dim], axis: usize) -> Result<Type, String> {
    exactly::<0>(operands)?;
    ensure(axis < shape.len(), || {
        format!("axis {axis} is out of range for rank {}", shape.len())
    })?;
    ensure(dtype.is_numeric(), || "does not count in bool".into())?;
    Ok(Type::tensor(dtype, shape))
}

pub fn random_bits(operands: &[Type], shape: &[Dim]) -> Result<Type, String> {
    let [key] = exactly(operands)?;
    let expected = Type::tensor(DType::U32, [Dim::from(2)]);
    ensure(*key == expected, || {
        format!("takes a key `{expected}`, got `{key}`")
    })?;
    Ok(Type::tensor(DType::U32, shape))
}
