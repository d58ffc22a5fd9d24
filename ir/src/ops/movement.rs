//! Type rules of ops that move elements without computing.

use super::infer::{distinct_axes, ensure, exactly, index_scalar, tensor};
use crate::{DType, Dim, Facts, Truth, Type};

pub fn broadcast(operands: &[Type], shape: &[Dim], axes: &[usize]) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    ensure(axes.len() == x.rank(), || {
        format!("maps {} axes of rank {}", axes.len(), x.rank())
    })?;
    ensure(axes.is_sorted(), || "axes must increase".into())?;
    distinct_axes(axes, shape.len())?;
    for (from, axis) in x.shape().iter().zip(axes) {
        let to = shape[*axis];
        ensure(*from == to || from.is_const(1), || {
            format!("`{from}` does not broadcast to `{to}`")
        })?;
    }
    Ok(Type::tensor(x.dtype(), shape))
}

pub fn reshape(operands: &[Type], shape: &[Dim]) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    same_count(x.shape(), shape)?;
    Ok(Type::tensor(x.dtype(), shape))
}

/// Whether the element counts may agree. Where they are equal by a `where` clause only, or unknown,
/// execution stops if they differ.
pub fn same_count(from: &[Dim], to: &[Dim]) -> Result<(), String> {
    let (a, b) = (
        Dim::product(from.iter().copied()),
        Dim::product(to.iter().copied()),
    );
    ensure(!a.is_overflow() && !b.is_overflow(), || {
        "the element count leaves the range of i64".into()
    })?;
    let differ = Facts::default().equal(a, b) == Truth::False;
    ensure(!differ, || format!("`{a}` elements cannot become `{b}`"))
}

pub fn permute(operands: &[Type], axes: &[usize]) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    ensure(axes.len() == x.rank(), || {
        format!("permutes {} axes of rank {}", axes.len(), x.rank())
    })?;
    distinct_axes(axes, x.rank())?;
    Ok(Type::tensor(
        x.dtype(),
        axes.iter().map(|&a| x.shape()[a]).collect::<Vec<_>>(),
    ))
}

pub fn slice(
    operands: &[Type],
    starts: &[Dim],
    limits: &[Dim],
    strides: &[Dim],
) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    let rank = x.rank();
    let counts = [starts.len(), limits.len(), strides.len()];
    ensure(counts == [rank; 3], || {
        format!("needs {rank} starts, limits and strides")
    })?;
    let mut shape = Vec::with_capacity(rank);
    for k in 0..rank {
        ensure(strides[k].as_const().is_none_or(|s| s >= 1), || {
            "strides start at 1".into()
        })?;
        shape.push((limits[k] - starts[k]).ceil_div(strides[k]));
    }
    Ok(Type::tensor(x.dtype(), shape))
}

pub fn pad(operands: &[Type], low: &[Dim], high: &[Dim]) -> Result<Type, String> {
    let [x, value] = exactly(operands)?;
    tensor(x)?;
    let scalar = Type::scalar(x.dtype());
    ensure(*value == scalar, || {
        format!("pads with `{scalar}`, got `{value}`")
    })?;
    let rank = x.rank();
    ensure(low.len() == rank && high.len() == rank, || {
        format!("needs {rank} low and high")
    })?;
    let shape: Vec<Dim> = (0..rank).map(|k| x.shape()[k] + low[k] + high[k]).collect();
    Ok(Type::tensor(x.dtype(), shape))
}

pub fn concat(operands: &[Type], axis: usize) -> Result<Type, String> {
    let Some((first, rest)) = operands.split_first() else {
        return Err("takes at least one operand".into());
    };
    tensor(first)?;
    distinct_axes(&[axis], first.rank())?;
    let mut shape = first.shape().to_vec();
    for other in rest {
        let mut expected = first.shape().to_vec();
        expected[axis] = other.shape().get(axis).copied().unwrap_or(Dim::from(0));
        let expected = Type::tensor(first.dtype(), expected);
        ensure(*other == expected, || {
            format!("takes `{expected}` here, got `{other}`")
        })?;
        shape[axis] = shape[axis] + other.shape()[axis];
    }
    Ok(Type::tensor(first.dtype(), shape))
}

pub fn reverse(operands: &[Type], axes: &[usize]) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    distinct_axes(axes, x.rank())?;
    Ok(x.clone())
}

/// The shape of gathered windows: the index shape, then the axes that are not addressed.
fn gathered(x: &Type, indices: &[Type], axes: &[usize]) -> Result<Vec<Dim>, String> {
    tensor(x)?;
    distinct_axes(axes, x.rank())?;
    ensure(!axes.is_empty() && indices.len() == axes.len(), || {
        format!(
            "addresses {} axes with {} index tensors",
            axes.len(),
            indices.len()
        )
    })?;
    let expected = Type::tensor(DType::I64, indices[0].shape());
    for index in indices {
        ensure(*index == expected, || {
            format!("takes indices `{expected}`, got `{index}`")
        })?;
    }
    let rest = (0..x.rank())
        .filter(|axis| !axes.contains(axis))
        .map(|axis| x.shape()[axis]);
    Ok(indices[0].shape().iter().copied().chain(rest).collect())
}

pub fn gather(operands: &[Type], axes: &[usize]) -> Result<Type, String> {
    let Some((x, indices)) = operands.split_first() else {
        return Err("takes a tensor and index tensors".into());
    };
    Ok(Type::tensor(x.dtype(), gathered(x, indices, axes)?))
}

pub fn scatter(operands: &[Type], axes: &[usize]) -> Result<Type, String> {
    let [x, indices @ .., updates] = operands else {
        return Err("takes a tensor, index tensors and updates".into());
    };
    let expected = Type::tensor(x.dtype(), gathered(x, indices, axes)?);
    ensure(*updates == expected, || {
        format!("takes updates `{expected}`, got `{updates}`")
    })?;
    Ok(x.clone())
}

fn positions(x: &Type, starts: &[Type]) -> Result<(), String> {
    tensor(x)?;
    ensure(starts.len() == x.rank(), || {
        format!("takes {} positions, got {}", x.rank(), starts.len())
    })?;
    starts.iter().try_for_each(index_scalar)
}

pub fn dynamic_slice(operands: &[Type], sizes: &[Dim]) -> Result<Type, String> {
    let Some((x, starts)) = operands.split_first() else {
        return Err("takes a tensor and positions".into());
    };
    positions(x, starts)?;
    ensure(sizes.len() == x.rank(), || {
        format!("needs {} sizes", x.rank())
    })?;
    Ok(Type::tensor(x.dtype(), sizes))
}

pub fn dynamic_update(operands: &[Type]) -> Result<Type, String> {
    let [x, window, starts @ ..] = operands else {
        return Err("takes a tensor, a window and positions".into());
    };
    positions(x, starts)?;
    ensure(
        window.dtype() == x.dtype() && window.rank() == x.rank(),
        || format!("a window `{window}` does not fit in `{x}`"),
    )?;
    Ok(x.clone())
}
