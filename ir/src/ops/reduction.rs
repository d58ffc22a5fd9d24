//! Type rules of reductions and sorts.

use super::ReduceKind;
use super::infer::{distinct_axes, ensure, exactly, tensor};
use crate::{DType, Dim, Type};

pub fn reduce(
    operands: &[Type],
    kind: ReduceKind,
    axes: &[usize],
    acc: DType,
) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    distinct_axes(axes, x.rank())?;
    let logical = matches!(kind, ReduceKind::Any | ReduceKind::All);
    ensure(logical == (x.dtype() == DType::Bool), || {
        format!("`{}` is not defined for {}", kind.name(), x.dtype())
    })?;
    ensure(
        acc.kind() == x.dtype().kind() || (acc.is_integer() && x.dtype().is_integer()),
        || format!("does not accumulate {} in {acc}", x.dtype()),
    )?;
    Ok(Type::tensor(x.dtype(), without(x.shape(), axes)))
}

pub fn arg_reduce(operands: &[Type], axis: usize) -> Result<Type, String> {
    let [x] = exactly(operands)?;
    tensor(x)?;
    distinct_axes(&[axis], x.rank())?;
    Ok(Type::tensor(DType::I64, without(x.shape(), &[axis])))
}

pub fn sort(operands: &[Type], axis: usize) -> Result<Vec<Type>, String> {
    let Some(keys) = operands.first() else {
        return Err("takes at least one operand".into());
    };
    tensor(keys)?;
    distinct_axes(&[axis], keys.rank())?;
    for other in operands {
        ensure(other.shape() == keys.shape(), || {
            format!("shapes differ: `{keys}` and `{other}`")
        })?;
    }
    Ok(operands.to_vec())
}

fn without(shape: &[Dim], axes: &[usize]) -> Vec<Dim> {
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    kept.map(|axis| shape[axis]).collect()
}
