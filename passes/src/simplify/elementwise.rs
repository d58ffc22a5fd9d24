//! Identities of elementwise ops.

use aiai_ir::{BinaryKind, DType, Op, OpNode, UnaryKind, Value};

use super::{Rewrite, Scope};

pub fn rewrite(scope: &Scope, node: &OpNode) -> Option<Rewrite> {
    let x = &node.operands;
    match &node.op {
        Op::Unary { kind } => unary(scope, *kind, x[0]),
        Op::Binary { kind } => {
            let dtype = scope.function.ty(x[0]).dtype();
            if dtype.is_float() {
                float_binary(scope, *kind, x)
            } else {
                int_binary(scope, *kind, dtype, x)
            }
        }
        Op::Select => select(scope, x),
        Op::Cast { dtype } => cast(scope, *dtype, x[0]),
        // Behind differentiation it says nothing any more.
        Op::StopGradient => Some(Rewrite::Value(x[0])),
        _ => None,
    }
}

fn unary(scope: &Scope, kind: UnaryKind, x: Value) -> Option<Rewrite> {
    let maker = scope.maker(x)?;
    let Op::Unary { kind: inner } = maker.op else {
        return None;
    };
    let y = maker.operands[0];
    match (kind, inner) {
        (UnaryKind::Neg, UnaryKind::Neg) | (UnaryKind::Not, UnaryKind::Not) => {
            Some(Rewrite::Value(y))
        }
        // Unsigned integers wrap below 0.
        (UnaryKind::Abs, UnaryKind::Neg) if negates(scope.function.ty(y).dtype()) => {
            Some(Rewrite::Op(Op::Unary { kind }, vec![y]))
        }
        (UnaryKind::Abs, UnaryKind::Abs) | (UnaryKind::Floor, UnaryKind::Floor) => {
            Some(Rewrite::Value(x))
        }
        _ => None,
    }
}

fn negates(dtype: DType) -> bool {
    dtype.is_float() || dtype.is_signed()
}

fn float_binary(scope: &Scope, kind: BinaryKind, x: &[Value]) -> Option<Rewrite> {
    let (a, b) = (x[0], x[1]);
    match kind {
        BinaryKind::Mul if scope.is_splat(b, 1.0) => Some(Rewrite::Value(a)),
        BinaryKind::Mul if scope.is_splat(a, 1.0) => Some(Rewrite::Value(b)),
        BinaryKind::Div | BinaryKind::Pow if scope.is_splat(b, 1.0) => Some(Rewrite::Value(a)),
        // -0 - 0 is -0 and x + -0 is x, while -0 + 0 is +0.
        BinaryKind::Sub if scope.is_splat(b, 0.0) => Some(Rewrite::Value(a)),
        BinaryKind::Add if scope.is_splat(b, -0.0) => Some(Rewrite::Value(a)),
        BinaryKind::Add if scope.is_splat(a, -0.0) => Some(Rewrite::Value(b)),
        BinaryKind::Pow if scope.is_splat(b, 2.0) => {
            let kind = BinaryKind::Mul;
            Some(Rewrite::Op(Op::Binary { kind }, vec![a, a]))
        }
        BinaryKind::Max | BinaryKind::Min if a == b => Some(Rewrite::Value(a)),
        _ => None,
    }
}

fn int_binary(scope: &Scope, kind: BinaryKind, dtype: DType, x: &[Value]) -> Option<Rewrite> {
    let (a, b) = (x[0], x[1]);
    let is = |v: Value, wanted: i64| scope.splat(v).is_some_and(|s| s.as_i64() == wanted);
    let first = Some(Rewrite::Value(a));
    match kind {
        BinaryKind::Add | BinaryKind::Or | BinaryKind::Xor if is(a, 0) => Some(Rewrite::Value(b)),
        BinaryKind::Add | BinaryKind::Sub | BinaryKind::Or | BinaryKind::Xor if is(b, 0) => first,
        BinaryKind::Shl | BinaryKind::Shr if is(b, 0) => first,
        BinaryKind::Mul if is(a, 1) => Some(Rewrite::Value(b)),
        BinaryKind::Mul | BinaryKind::Div | BinaryKind::Pow if is(b, 1) => first,
        BinaryKind::Mul | BinaryKind::And if is(b, 0) => Some(Rewrite::Value(b)),
        BinaryKind::Mul | BinaryKind::And if is(a, 0) => first,
        BinaryKind::And if dtype == DType::Bool && is(b, 1) => first,
        BinaryKind::And if dtype == DType::Bool && is(a, 1) => Some(Rewrite::Value(b)),
        BinaryKind::Or if dtype == DType::Bool && is(b, 1) => Some(Rewrite::Value(b)),
        BinaryKind::Or if dtype == DType::Bool && is(a, 1) => first,
        BinaryKind::Max | BinaryKind::Min | BinaryKind::And | BinaryKind::Or if a == b => first,
        _ => None,
    }
}

fn select(scope: &Scope, x: &[Value]) -> Option<Rewrite> {
    let (condition, a, b) = (x[0], x[1], x[2]);
    if a == b {
        return Some(Rewrite::Value(a));
    }
    if let Some(known) = scope.splat(condition) {
        return Some(Rewrite::Value(if known.as_i64() != 0 { a } else { b }));
    }
    let maker = scope.maker(condition)?;
    match maker.op {
        Op::Unary {
            kind: UnaryKind::Not,
        } => Some(Rewrite::Op(Op::Select, vec![maker.operands[0], b, a])),
        _ => None,
    }
}

fn cast(scope: &Scope, to: DType, x: Value) -> Option<Rewrite> {
    let from = scope.function.ty(x).dtype();
    if from == to {
        return Some(Rewrite::Value(x));
    }
    if let Some(maker) = scope.maker(x)
        && let Op::Cast { dtype: between } = maker.op
    {
        let y = maker.operands[0];
        if holds_all(between, scope.function.ty(y).dtype()) {
            return Some(Rewrite::Op(Op::Cast { dtype: to }, vec![y]));
        }
    }
    None
}

/// Whether every value of `narrow` is one of `wide`, and casts from either give the same.
fn holds_all(wide: DType, narrow: DType) -> bool {
    match (narrow.is_float(), wide.is_float()) {
        (true, true) => {
            let halves = [DType::F16, DType::BF16];
            wide == DType::F64 || (wide == DType::F32 && halves.contains(&narrow))
        }
        (false, false) => {
            narrow != DType::Bool
                && wide != DType::Bool
                && narrow.is_signed() == wide.is_signed()
                && narrow.bytes() < wide.bytes()
        }
        _ => false,
    }
}
