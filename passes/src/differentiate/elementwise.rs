//! Derivatives of elementwise functions.

use aiai_ir::policy::Policies;
use aiai_ir::{BinaryKind, Builder, CompareKind, Op, OpNode, UnaryKind, Value};

use super::{Parts, constant, zeros};
use crate::clone::Renaming;
use crate::inline::inline_calls;

/// What an elementwise op hands to its operands by a derivative that the program gives.
pub fn given(b: &mut Builder, node: &OpNode, g: Value, policies: &Policies) -> Option<Parts> {
    let ty = b.ty(node.results[0]).clone();
    let mut fitting = policies.derivatives.iter();
    let given = fitting.find(|given| given.op.as_str() == node.op.name())?;
    let function = given.function(ty.dtype(), ty.rank())?;
    let function = inline_calls(&policies.module, function);
    let mut operands = node.operands.clone();
    operands.extend([node.results[0], g]);
    let types: Vec<_> = operands.iter().map(|&v| b.ty(v).clone()).collect();
    let mut renaming = Renaming {
        dims: function.bind(&types).ok()?,
        ..Renaming::default()
    };
    let params = function.params().iter().copied();
    renaming.values.extend(params.zip(operands));
    for op in &function.body.ops {
        let copy = renaming.node(&function, b.function, op);
        b.push_node(copy);
    }
    let cotangents = function.body.yields.iter().map(|&v| renaming.value(v));
    Some(node.operands.iter().copied().zip(cotangents).collect())
}

/// What an elementwise op hands to its operands.
pub fn back(b: &mut Builder, node: &OpNode, g: Value, active: &dyn Fn(Value) -> bool) -> Parts {
    let (x, y) = (&node.operands, node.results[0]);
    let mut parts = Parts::new();
    match &node.op {
        Op::Unary { kind } => parts.extend(unary(b, *kind, x[0], y, g).map(|part| (x[0], part))),
        Op::Binary { kind } => {
            for k in (0..2).filter(|&k| active(x[k])) {
                let part = binary(b, *kind, k, (x[0], x[1]), y, g);
                parts.extend(part.map(|part| (x[k], part)));
            }
        }
        Op::Select => {
            let zero = zeros(b, y);
            if active(x[1]) {
                parts.push((x[1], b.select(x[0], g, zero)));
            }
            if active(x[2]) {
                parts.push((x[2], b.select(x[0], zero, g)));
            }
        }
        Op::Cast { .. } => {
            let dtype = b.ty(x[0]).dtype();
            if dtype.is_float() {
                parts.push((x[0], b.cast(g, dtype)));
            }
        }
        // Comparisons are constant almost everywhere.
        _ => {}
    }
    parts
}

/// The cotangent of x, for `y = kind(x)` with cotangent g; `None` where it is zero.
fn unary(b: &mut Builder, kind: UnaryKind, x: Value, y: Value, g: Value) -> Option<Value> {
    let mul = |b: &mut Builder, p: Value, q: Value| b.binary(BinaryKind::Mul, p, q);
    Some(match kind {
        UnaryKind::Neg => b.unary(UnaryKind::Neg, g),
        UnaryKind::Abs => {
            let sign = b.unary(UnaryKind::Sign, x);
            mul(b, g, sign)
        }
        UnaryKind::Exp => mul(b, g, y),
        UnaryKind::Expm1 => {
            let one = constant(b, y, 1.0);
            let slope = b.binary(BinaryKind::Add, y, one);
            mul(b, g, slope)
        }
        UnaryKind::Exp2 => {
            let factor = constant(b, y, std::f64::consts::LN_2);
            let slope = mul(b, y, factor);
            mul(b, g, slope)
        }
        UnaryKind::Log => b.binary(BinaryKind::Div, g, x),
        UnaryKind::Log1p => {
            let one = constant(b, x, 1.0);
            let shifted = b.binary(BinaryKind::Add, x, one);
            b.binary(BinaryKind::Div, g, shifted)
        }
        UnaryKind::Sqrt => {
            let half = constant(b, y, 0.5);
            let part = mul(b, g, half);
            b.binary(BinaryKind::Div, part, y)
        }
        UnaryKind::Rsqrt => {
            let factor = constant(b, y, -0.5);
            let squared = mul(b, y, y);
            let cubed = mul(b, squared, y);
            let slope = mul(b, cubed, factor);
            mul(b, g, slope)
        }
        UnaryKind::Tanh => {
            let one = constant(b, y, 1.0);
            let squared = mul(b, y, y);
            let slope = b.binary(BinaryKind::Sub, one, squared);
            mul(b, g, slope)
        }
        UnaryKind::Sin => {
            let slope = b.unary(UnaryKind::Cos, x);
            mul(b, g, slope)
        }
        UnaryKind::Cos => {
            let sine = b.unary(UnaryKind::Sin, x);
            let slope = b.unary(UnaryKind::Neg, sine);
            mul(b, g, slope)
        }
        UnaryKind::Erf => {
            let factor = constant(b, x, std::f64::consts::FRAC_2_SQRT_PI);
            let squared = mul(b, x, x);
            let negated = b.unary(UnaryKind::Neg, squared);
            let bell = b.unary(UnaryKind::Exp, negated);
            let slope = mul(b, bell, factor);
            mul(b, g, slope)
        }
        UnaryKind::Sign
        | UnaryKind::Floor
        | UnaryKind::Ceil
        | UnaryKind::Round
        | UnaryKind::Not
        | UnaryKind::IsNan
        | UnaryKind::IsFinite => return None,
    })
}

/// The cotangent of operand k of `y = kind(p, q)`; `None` where it is zero.
fn binary(
    b: &mut Builder,
    kind: BinaryKind,
    k: usize,
    x: (Value, Value),
    y: Value,
    g: Value,
) -> Option<Value> {
    let (p, q) = x;
    Some(match (kind, k) {
        (BinaryKind::Add, _) | (BinaryKind::Sub | BinaryKind::Rem, 0) => g,
        (BinaryKind::Sub, _) => b.unary(UnaryKind::Neg, g),
        (BinaryKind::Mul, 0) => b.binary(BinaryKind::Mul, g, q),
        (BinaryKind::Mul, _) => b.binary(BinaryKind::Mul, g, p),
        (BinaryKind::Div, 0) => b.binary(BinaryKind::Div, g, q),
        (BinaryKind::Div, _) => {
            let part = b.binary(BinaryKind::Mul, g, y);
            let ratio = b.binary(BinaryKind::Div, part, q);
            b.unary(UnaryKind::Neg, ratio)
        }
        (BinaryKind::Rem, _) => {
            let ratio = b.binary(BinaryKind::Div, p, q);
            let whole = b.unary(UnaryKind::Floor, ratio);
            let part = b.binary(BinaryKind::Mul, g, whole);
            b.unary(UnaryKind::Neg, part)
        }
        (BinaryKind::Pow, 0) => {
            // q * p^(q - 1), and 0 where q is 0, whatever p.
            let one = constant(b, q, 1.0);
            let zero = zeros(b, q);
            let lower = b.binary(BinaryKind::Sub, q, one);
            let power = b.binary(BinaryKind::Pow, p, lower);
            let slope = b.binary(BinaryKind::Mul, q, power);
            let flat = b.compare(CompareKind::Eq, q, zero);
            let slope = b.select(flat, zero, slope);
            b.binary(BinaryKind::Mul, g, slope)
        }
        (BinaryKind::Pow, _) => {
            // y * log(p), and 0 where p is not positive.
            let (zero, one) = (zeros(b, p), constant(b, p, 1.0));
            let positive = b.compare(CompareKind::Gt, p, zero);
            let safe = b.select(positive, p, one);
            let log = b.unary(UnaryKind::Log, safe);
            let slope = b.binary(BinaryKind::Mul, y, log);
            b.binary(BinaryKind::Mul, g, slope)
        }
        (BinaryKind::Max | BinaryKind::Min, k) => {
            let order = if kind == BinaryKind::Max {
                CompareKind::Ge
            } else {
                CompareKind::Le
            };
            let first = b.compare(order, p, q);
            let zero = zeros(b, g);
            if k == 0 {
                b.select(first, g, zero)
            } else {
                b.select(first, zero, g)
            }
        }
        (
            BinaryKind::And | BinaryKind::Or | BinaryKind::Xor | BinaryKind::Shl | BinaryKind::Shr,
            _,
        ) => {
            return None;
        }
    })
}
