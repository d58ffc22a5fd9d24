//! Type rules of the loop level.

use super::RegionTypes;
use super::infer::{ensure, exactly, index_scalar};
use super::movement::same_count;
use crate::{DType, Dim, Literal, Type};

fn buffer(ty: &Type) -> Result<(), String> {
    ensure(matches!(ty, Type::Buffer { .. }), || {
        format!("takes a buffer, got `{ty}`")
    })
}

pub fn alloc(operands: &[Type], dtype: DType, shape: &[Dim]) -> Result<Type, String> {
    exactly::<0>(operands)?;
    Ok(Type::buffer(dtype, shape))
}

pub fn free(operands: &[Type]) -> Result<Vec<Type>, String> {
    let [memory] = exactly(operands)?;
    buffer(memory)?;
    Ok(Vec::new())
}

pub fn data(operands: &[Type], value: &Literal) -> Result<Type, String> {
    exactly::<0>(operands)?;
    Ok(Type::buffer(value.dtype, value.ty().shape()))
}

pub fn view(operands: &[Type], shape: &[Dim]) -> Result<Type, String> {
    let [memory] = exactly(operands)?;
    buffer(memory)?;
    same_count(memory.shape(), shape)?;
    Ok(Type::buffer(memory.dtype(), shape))
}

fn address(memory: &Type, indices: &[Type]) -> Result<(), String> {
    buffer(memory)?;
    ensure(indices.len() == memory.rank(), || {
        format!(
            "addresses rank {} with {} indices",
            memory.rank(),
            indices.len()
        )
    })?;
    indices.iter().try_for_each(index_scalar)
}

pub fn load(operands: &[Type]) -> Result<Type, String> {
    let Some((memory, indices)) = operands.split_first() else {
        return Err("takes a buffer and indices".into());
    };
    address(memory, indices)?;
    Ok(Type::scalar(memory.dtype()))
}

pub fn store(operands: &[Type]) -> Result<Vec<Type>, String> {
    let [value, memory, indices @ ..] = operands else {
        return Err("takes a value, a buffer and indices".into());
    };
    address(memory, indices)?;
    let expected = Type::scalar(memory.dtype());
    ensure(*value == expected, || {
        format!("stores `{expected}`, got `{value}`")
    })?;
    Ok(Vec::new())
}

/// Lanes of a vector, at most.
const MOST_LANES: i64 = 1 << 12;

/// The lanes of a vector.
fn vector(ty: &Type) -> Result<i64, String> {
    let lanes = match ty {
        Type::Tensor { shape, .. } if shape.len() == 1 => shape[0].as_const(),
        _ => None,
    };
    lanes.ok_or_else(|| format!("takes a vector, got `{ty}`"))
}

pub fn load_vector(operands: &[Type], lanes: i64, stride: i64) -> Result<Type, String> {
    let [memory, indices @ .., count] = operands else {
        return Err("takes a buffer, indices and a count".into());
    };
    address(memory, indices)?;
    index_scalar(count)?;
    ensure(
        (1..=MOST_LANES).contains(&lanes) && stride >= 1 && !indices.is_empty(),
        || "lanes and stride start at 1, and there is an axis to go along".into(),
    )?;
    Ok(Type::tensor(memory.dtype(), [Dim::from(lanes)]))
}

pub fn store_vector(operands: &[Type]) -> Result<Vec<Type>, String> {
    let [value, memory, indices @ .., count] = operands else {
        return Err("takes a vector, a buffer, indices and a count".into());
    };
    address(memory, indices)?;
    index_scalar(count)?;
    vector(value)?;
    ensure(
        value.dtype() == memory.dtype() && !indices.is_empty(),
        || format!("stores `{}`, got `{value}`", memory.dtype()),
    )?;
    Ok(Vec::new())
}

pub fn fma(operands: &[Type]) -> Result<Type, String> {
    let [a, b, c] = exactly(operands)?;
    ensure(a == b && b == c && a.dtype().is_float(), || {
        format!("takes floats of one type, got `{a}`, `{b}` and `{c}`")
    })?;
    Ok(a.clone())
}

pub fn shuffle(operands: &[Type], lanes: &[usize]) -> Result<Type, String> {
    let [a, b] = exactly(operands)?;
    let count = vector(a)? as usize;
    ensure(a == b, || {
        format!("takes vectors of one type, got `{a}` and `{b}`")
    })?;
    ensure(
        lanes.len() == count && lanes.iter().all(|&lane| lane < 2 * count),
        || format!("takes {count} lanes of the {} that there are", 2 * count),
    )?;
    Ok(a.clone())
}

pub fn prefetch(operands: &[Type]) -> Result<Vec<Type>, String> {
    let [memory, position] = exactly(operands)?;
    buffer(memory)?;
    index_scalar(position)?;
    Ok(Vec::new())
}

fn body(regions: &[RegionTypes], carries: &[Type]) -> Result<(), String> {
    let [body] = regions else {
        return Err("has one region".into());
    };
    let index = Type::scalar(DType::I64);
    let args = body.args.split_first();
    ensure(
        args.is_some_and(|(i, rest)| *i == index && rest == carries),
        || "the body takes the index and the carries".into(),
    )?;
    ensure(body.yields == carries, || {
        "the body yields the carries".into()
    })
}

pub fn for_loop(
    operands: &[Type],
    regions: &[RegionTypes],
    step: i64,
    lanes: i64,
) -> Result<Vec<Type>, String> {
    let [low, high, carries @ ..] = operands else {
        return Err("takes a low and a high bound".into());
    };
    index_scalar(low)?;
    index_scalar(high)?;
    ensure(step >= 1 && lanes >= 1, || {
        "step and lanes start at 1".into()
    })?;
    body(regions, carries)?;
    Ok(carries.to_vec())
}

pub fn parallel(
    operands: &[Type],
    regions: &[RegionTypes],
    grain: i64,
) -> Result<Vec<Type>, String> {
    let [count] = exactly(operands)?;
    index_scalar(count)?;
    ensure(grain >= 1, || "grain starts at 1".into())?;
    body(regions, &[])?;
    Ok(Vec::new())
}
