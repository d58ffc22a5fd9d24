//! The type rule of `contract`, and the roles of its indices.

use super::infer::{ensure, tensor};
use crate::{AffineMap, DType, Dim, Type};

/// The part that an index of a two-operand contraction plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpaceRole {
    /// Moves both operands and the output.
    Batch,
    /// Moves the left operand and the output.
    FreeLeft,
    /// Moves the right operand and the output.
    FreeRight,
    /// Moves both operands, not the output.
    Summed,
    /// Moves the output alone, one operand alone, or nothing.
    Other,
}

impl SpaceRole {
    /// The role of index `i` in a contraction of two operands.
    pub fn of(i: usize, left: &AffineMap, right: &AffineMap, out: &AffineMap) -> SpaceRole {
        match (left.uses(i), right.uses(i), out.uses(i)) {
            (true, true, true) => SpaceRole::Batch,
            (true, false, true) => SpaceRole::FreeLeft,
            (false, true, true) => SpaceRole::FreeRight,
            (true, true, false) => SpaceRole::Summed,
            _ => SpaceRole::Other,
        }
    }
}

pub fn contract(
    operands: &[Type],
    space: &[Dim],
    maps: &[AffineMap],
    out: &AffineMap,
    shape: &[Dim],
    acc: DType,
) -> Result<Type, String> {
    let Some(first) = operands.first() else {
        return Err("takes at least one operand".into());
    };
    ensure(maps.len() == operands.len(), || {
        format!("has {} maps for {} operands", maps.len(), operands.len())
    })?;
    let dtype = first.dtype();
    ensure(dtype.is_numeric(), || "does not multiply bool".into())?;
    ensure(
        acc.is_float() == dtype.is_float() && acc.is_numeric(),
        || format!("does not accumulate {dtype} in {acc}"),
    )?;
    for (operand, map) in operands.iter().zip(maps) {
        tensor(operand)?;
        ensure(operand.dtype() == dtype, || {
            format!("dtypes differ: {dtype} and {}", operand.dtype())
        })?;
        access(map, operand.shape(), space)?;
    }
    access(out, shape, space)?;
    Ok(Type::tensor(dtype, shape))
}

/// Bare indices must range over exactly their axis; other coordinates are checked by the front end
/// or at entry.
fn access(map: &AffineMap, shape: &[Dim], space: &[Dim]) -> Result<(), String> {
    ensure(map.coords.len() == shape.len(), || {
        format!(
            "a map of {} coordinates addresses rank {}",
            map.coords.len(),
            shape.len()
        )
    })?;
    for coord in &map.coords {
        for (index, _) in &coord.terms {
            ensure(*index < space.len(), || {
                format!("i{index} is not in the index space")
            })?;
        }
    }
    Ok(())
}
