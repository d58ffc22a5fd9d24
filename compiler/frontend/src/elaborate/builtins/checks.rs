//! Assertions.

use aiai_ir::{DType, Op, ReduceKind};

use super::{Call, Elaborator};
use crate::diagnostics::Diagnostic;
use crate::elaborate::context::Cx;
use crate::elaborate::value::Val;

pub(super) fn assert(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let Some((val, span)) = call.take("condition") else {
        this.missing(call, "a condition");
        return None;
    };
    let mut value = this.tensor(cx, val, Some(DType::Bool), span)?;
    let ty = cx.b.ty(value).clone();
    if ty.dtype() != DType::Bool {
        this.report(Diagnostic::new(
            "E0302",
            span,
            format!("expected truth values, got `{ty}`"),
        ));
        return None;
    }
    if ty.rank() > 0 {
        let axes: Vec<usize> = (0..ty.rank()).collect();
        value = cx.b.reduce(ReduceKind::All, value, &axes);
    }
    let message = this.sources.text(span).to_owned();
    Some(this.apply(cx, Op::Assert { message }, &[value], call.span))
}

pub(super) fn assert_close(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let tol = match call.named("tol") {
        None => 1e-6,
        Some((Val::Float(tol), _)) => tol,
        Some((Val::Dim(d), _)) if d.as_const().is_some() => d.as_const().unwrap_or(0) as f64,
        Some((_, span)) => {
            this.report(Diagnostic::new("E0308", span, "`tol` is a known number"));
            return None;
        }
    };
    let a = this.operand_arg(call, "a")?;
    let b = this.operand_arg(call, "b")?;
    let message = format!(
        "{} is close to {}",
        this.sources.text(a.span),
        this.sources.text(b.span)
    );
    let (x, y) = this.meet(cx, a, b, "assert_close", call.span)?;
    let (rtol, atol) = (cx.b.scalar(DType::F64, tol), cx.b.scalar(DType::F64, tol));
    Some(this.apply(
        cx,
        Op::AssertClose { message },
        &[x, y, rtol, atol],
        call.span,
    ))
}
