//! Type rules of control flow, calls and checks.

use super::RegionTypes;
use super::infer::{ensure, exactly, index_scalar};
use crate::{DType, Dim, Type};

/// The number of iterations of a range: `ceil((to - from) / step)`, not clamped at 0.
pub fn trip_count(from: Dim, to: Dim, step: Dim) -> Dim {
    match step.as_const() {
        Some(s) if s < 0 => (from - to).ceil_div(-step),
        _ => (to - from).ceil_div(step),
    }
}

fn region_count(regions: &[RegionTypes], count: usize) -> Result<(), String> {
    ensure(regions.len() == count, || {
        format!("has {} regions, needs {count}", regions.len())
    })
}

fn same_types(what: &str, expected: &[Type], got: &[Type]) -> Result<(), String> {
    ensure(expected == got, || {
        format!("{what}: expected {}, got {}", list(expected), list(got))
    })
}

fn list(types: &[Type]) -> String {
    let names: Vec<String> = types.iter().map(|t| format!("`{t}`")).collect();
    format!("({})", names.join(", "))
}

fn condition(ty: &Type) -> Result<(), String> {
    ensure(*ty == Type::scalar(DType::Bool), || {
        format!("takes a bool scalar, got `{ty}`")
    })
}

pub fn branch(operands: &[Type], regions: &[RegionTypes]) -> Result<Vec<Type>, String> {
    let [cond] = exactly(operands)?;
    condition(cond)?;
    region_count(regions, 2)?;
    same_types("branch arguments", &[], &regions[0].args)?;
    same_types("branch arguments", &[], &regions[1].args)?;
    same_types("branches yield", &regions[0].yields, &regions[1].yields)?;
    Ok(regions[0].yields.clone())
}

pub fn while_loop(operands: &[Type], regions: &[RegionTypes]) -> Result<Vec<Type>, String> {
    region_count(regions, 2)?;
    same_types("condition arguments", operands, &regions[0].args)?;
    let [cond] = exactly(&regions[0].yields)?;
    condition(cond)?;
    same_types("body arguments", operands, &regions[1].args)?;
    same_types("body yields", operands, &regions[1].yields)?;
    Ok(operands.to_vec())
}

pub fn scan(
    operands: &[Type],
    regions: &[RegionTypes],
    from: Dim,
    to: Dim,
    step: Dim,
) -> Result<Vec<Type>, String> {
    region_count(regions, 1)?;
    ensure(!step.is_const(0), || "the step is 0".into())?;
    let body = &regions[0];
    let args: Vec<Type> = std::iter::once(Type::scalar(DType::I64))
        .chain(operands.iter().cloned())
        .collect();
    same_types("body arguments", &args, &body.args)?;
    let carries = operands.len();
    ensure(body.yields.len() >= carries, || {
        "the body yields too few values".into()
    })?;
    same_types("carries yielded", operands, &body.yields[..carries])?;
    let trips = trip_count(from, to, step);
    let stacked = body.yields[carries..].iter().map(|ty| {
        let shape: Vec<Dim> = std::iter::once(trips)
            .chain(ty.shape().iter().copied())
            .collect();
        Type::tensor(ty.dtype(), shape)
    });
    Ok(operands.iter().cloned().chain(stacked).collect())
}

pub fn grad(operands: &[Type], wrt: &[usize], results: &[Type]) -> Result<Vec<Type>, String> {
    super::infer::distinct_axes(wrt, operands.len())?;
    ensure(results.len() > wrt.len(), || {
        "returns the value and its gradients".into()
    })?;
    let loss = &results[0];
    ensure(loss.is_scalar() && loss.dtype().is_float(), || {
        format!("differentiates a float scalar, not `{loss}`")
    })?;
    let gradients = &results[results.len() - wrt.len()..];
    for (at, gradient) in wrt.iter().zip(gradients) {
        let operand = &operands[*at];
        ensure(operand.dtype().is_float(), || {
            format!("`{operand}` has no gradient")
        })?;
        same_types(
            "a gradient",
            std::slice::from_ref(operand),
            std::slice::from_ref(gradient),
        )?;
    }
    Ok(results.to_vec())
}

pub fn fused(operands: &[Type], regions: &[RegionTypes]) -> Result<Vec<Type>, String> {
    exactly::<0>(operands)?;
    region_count(regions, 1)?;
    same_types("group arguments", &[], &regions[0].args)?;
    Ok(regions[0].yields.clone())
}

pub fn assert(operands: &[Type]) -> Result<Vec<Type>, String> {
    let Some((cond, shown)) = operands.split_first() else {
        return Err("takes a condition".into());
    };
    condition(cond)?;
    ensure(shown.len() <= 2, || "shows at most two numbers".into())?;
    shown.iter().try_for_each(index_scalar)?;
    Ok(Vec::new())
}

/// The message of an assertion with its numbers in place of `{a}` and `{b}`.
pub fn shown_message(message: &str, shown: &[i64]) -> String {
    let mut text = message.to_owned();
    for (mark, number) in ["{a}", "{b}"].into_iter().zip(shown) {
        text = text.replace(mark, &number.to_string());
    }
    text
}

/// Whether the message of a failure tells of an access outside a tensor.
pub fn is_access(message: &str) -> bool {
    message.contains("out of range for an axis") || message.contains("leaves an axis")
}

pub fn assert_close(operands: &[Type]) -> Result<Vec<Type>, String> {
    let [a, b, rtol, atol] = exactly(operands)?;
    ensure(a == b, || format!("operands differ: `{a}` and `{b}`"))?;
    let tolerance = Type::scalar(DType::F64);
    ensure(*rtol == tolerance && *atol == tolerance, || {
        "tolerances are f64 scalars".into()
    })?;
    Ok(Vec::new())
}
