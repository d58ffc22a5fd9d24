//! Elementwise functions.

use aiai_ir::{BinaryKind, DType, Dim, Op, UnaryKind};

use super::{Call, Elaborator};
use crate::diagnostics::Diagnostic;
use crate::elaborate::context::Cx;
use crate::elaborate::operators::Operand;
use crate::elaborate::value::Val;

pub(super) fn unary(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let kind = UnaryKind::from_name(call.name)?;
    let Operand { val, span } = this.operand_arg(call, "x")?;
    if let Some(folded) = fold(kind, &val) {
        return Some(folded);
    }
    let want = if kind.is_float_only() {
        call.hint.filter(|h| h.is_float()).or(Some(DType::F32))
    } else {
        None
    };
    let x = this.tensor(cx, val, want, span)?;
    Some(this.apply(cx, Op::Unary { kind }, &[x], call.span))
}

/// Functions of compile-time numbers, computed in f64.
fn fold(kind: UnaryKind, val: &Val) -> Option<Val> {
    let x = match val {
        Val::Float(x) => *x,
        _ => return None,
    };
    Some(Val::Float(match kind {
        UnaryKind::Exp => x.exp(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Abs => x.abs(),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        _ => return None,
    }))
}

pub(super) fn binary(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let kind = BinaryKind::from_name(call.name)?;
    let a = this.operand_arg(call, "x")?;
    let b = this.operand_arg(call, "y")?;
    if let (BinaryKind::Pow, Val::Float(x), Val::Float(y)) = (kind, &a.val, &b.val) {
        return Some(Val::Float(x.powf(*y)));
    }
    if let (BinaryKind::Shl, Val::Dim(x), Val::Dim(n)) = (kind, &a.val, &b.val)
        && let (Some(x), Some(n)) = (x.as_const(), n.as_const())
        && let Some(by) = u32::try_from(n).ok().filter(|n| *n < 63)
        && let Some(product) = x.checked_mul(1 << by)
    {
        return Some(Val::Dim(Dim::from(product)));
    }
    let (x, y) = this.meet(cx, a, b, call.name, call.span)?;
    Some(this.apply(cx, Op::Binary { kind }, &[x, y], call.span))
}

pub(super) fn select(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let condition = this.operand_arg(call, "condition")?;
    let a = this.operand_arg(call, "a")?;
    let b = this.operand_arg(call, "b")?;
    let span = call.span;
    if let Val::Bool(taken) = condition.val {
        return Some(if taken { a.val } else { b.val });
    }
    let c = this.tensor(cx, condition.val, Some(DType::Bool), condition.span)?;
    let dtype = cx.b.ty(c).dtype();
    if dtype != DType::Bool {
        let message = format!("the condition of `select` is {dtype}, not bool");
        let diagnostic = Diagnostic::new("E0302", condition.span, message);
        this.report(diagnostic.help("`select(condition, a, b)` gives a where the condition holds"));
        return None;
    }
    let (sa, sb) = (a.span, b.span);
    let (x, y) = this.meet(cx, a, b, "select", span)?;
    let operands = [(c, condition.span), (x, sa), (y, sb)];
    let shape = this.broadcast_shape(cx, &operands, "select", span)?;
    let parts = [c, x, y].map(|v| this.spread(cx, v, &shape));
    Some(this.apply(cx, Op::Select, &parts, span))
}

pub(super) fn clamp(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let x = this.operand_arg(call, "x")?;
    let low = this.operand_arg(call, "low")?;
    let high = this.operand_arg(call, "high")?;
    let span = call.span;
    let (a, b) = this.meet(cx, x, low, "clamp", span)?;
    let raised = this.apply(
        cx,
        Op::Binary {
            kind: BinaryKind::Max,
        },
        &[a, b],
        span,
    );
    let raised = Operand { val: raised, span };
    let (a, b) = this.meet(cx, raised, high, "clamp", span)?;
    Some(this.apply(
        cx,
        Op::Binary {
            kind: BinaryKind::Min,
        },
        &[a, b],
        span,
    ))
}

/// A value whose derivative is taken to be zero.
pub(super) fn stop_gradient(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, span) = this.tensor_arg(cx, call, "x")?;
    let ty = cx.b.ty(x).clone();
    if !ty.dtype().is_float() {
        return Some(Val::Tensor(x));
    }
    Some(this.apply(cx, Op::StopGradient, &[x], span))
}
