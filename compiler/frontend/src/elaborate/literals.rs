//! Compile-time values as tensors, and array literals.

use aiai_ir::{DType, Dim, Literal, Op, Scalar, Value};

use super::Elaborator;
use super::context::Cx;
use super::value::Val;
use crate::ast::Expr;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elaborator<'_> {
    /// The value as a tensor. Numbers take the dtype that is wanted, or f32 and i64 by themselves.
    pub(crate) fn tensor(
        &mut self,
        cx: &mut Cx,
        val: Val,
        want: Option<DType>,
        span: Span,
    ) -> Option<Value> {
        match val {
            Val::Tensor(value) => Some(value),
            Val::Poison => None,
            Val::Dim(dim) => self.dim_tensor(cx, dim, want.unwrap_or(DType::I64), span),
            Val::Float(x) => {
                let dtype = want.unwrap_or(DType::F32);
                if !dtype.is_float() {
                    let message = format!("`{x}` is not a value of {dtype}");
                    let help =
                        format!("convert the other side: `f32(...)`, or this: `{dtype}({x})`");
                    self.report(Diagnostic::new("E0302", span, message).help(help));
                    return None;
                }
                if overflows(dtype, x) {
                    return self.too_large(&x.to_string(), dtype, span);
                }
                Some(cx.b.scalar(dtype, x))
            }
            Val::Bool(x) => {
                if want.is_some_and(|w| w != DType::Bool) {
                    let message = format!(
                        "a truth value where {} is expected",
                        want.unwrap_or(DType::F32)
                    );
                    self.report(Diagnostic::new("E0302", span, message));
                    return None;
                }
                Some(cx.b.literal(Literal::bool(x)))
            }
            other => {
                let message = format!("expected a tensor, found {}", other.kind());
                let mut diagnostic = Diagnostic::new("E0304", span, message);
                if let Val::Tuple(_) = other {
                    diagnostic = diagnostic.help("take it apart: `let (a, b) = ...`");
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// A static integer as a scalar of the dtype.
    fn dim_tensor(&mut self, cx: &mut Cx, dim: Dim, dtype: DType, span: Span) -> Option<Value> {
        if dtype == DType::Bool {
            let message = "a number where a truth value is expected";
            self.report(Diagnostic::new("E0302", span, message));
            return None;
        }
        match dim.as_const() {
            Some(n) if overflows(dtype, n as f64) => self.too_large(&n.to_string(), dtype, span),
            Some(n) if dtype.is_float() => Some(cx.b.scalar(dtype, n as f64)),
            Some(n) => {
                let literal = Literal::i64(dtype, n);
                if !holds(dtype, n) {
                    let message = format!("{n} is not a value of {dtype}");
                    self.report(Diagnostic::new("E0302", span, message));
                    return None;
                }
                Some(cx.b.literal(literal))
            }
            None if dim.is_overflow() => {
                let message = "a size that does not fit in 64 bits";
                self.report(Diagnostic::new("E0802", span, message));
                None
            }
            None => {
                let value = cx.b.dim(cx.facts.normalize(dim));
                Some(cx.b.cast(value, dtype))
            }
        }
    }

    fn too_large<T>(&mut self, number: &str, dtype: DType, span: Span) -> Option<T> {
        let message = format!("{number} is too large for {dtype}");
        let help = "write `inf` for an infinity, or compute in a wider dtype";
        self.report(Diagnostic::new("E0302", span, message).help(help));
        None
    }

    /// `[a, b, ...]`: elements of one shape stacked along a new first axis. All-number literals become
    /// one constant.
    pub(crate) fn array(
        &mut self,
        cx: &mut Cx,
        items: &[Expr],
        hint: Option<DType>,
        span: Span,
    ) -> Val {
        if let Some(literal) = constant_array(items, hint) {
            return Val::Tensor(cx.b.literal(literal));
        }
        if items.is_empty() {
            return self.error("E0305", span, "an empty array has no shape");
        }
        let vals: Vec<Val> = items.iter().map(|item| self.expr(cx, item, hint)).collect();
        let dtype = vals
            .iter()
            .find_map(|v| match v {
                Val::Tensor(t) => Some(cx.b.ty(*t).dtype()),
                Val::Float(_) => Some(hint.unwrap_or(DType::F32)),
                _ => None,
            })
            .or(hint);
        let mut parts = Vec::new();
        for (val, item) in vals.into_iter().zip(items) {
            let Some(value) = self.tensor(cx, val, dtype, item.span) else {
                return Val::Poison;
            };
            let ty = cx.b.ty(value).clone();
            if let Some(&first) = parts.first() {
                let expected = cx.b.ty(first).clone();
                if cx.b.ty(first).shape()[1..] != *ty.shape() || expected.dtype() != ty.dtype() {
                    let message = "the elements of an array differ in type";
                    let label = format!("`{ty}`");
                    let first_span = items[0].span;
                    let diagnostic = Diagnostic::new("E0301", item.span, message).label(label);
                    let help = "several tensors of other shapes are a tuple: `(a, b)`";
                    return self.fail(diagnostic.related(first_span, "unlike this one").help(help));
                }
            }
            let mut shape = vec![Dim::from(1)];
            shape.extend(ty.shape());
            parts.push(cx.b.reshape(value, &shape));
        }
        Val::Tensor(cx.b.value(Op::Concat { axis: 0 }, &parts))
    }
}

/// Whether an integer is a value of an integer dtype.
fn holds(dtype: DType, n: i64) -> bool {
    Literal::i64(dtype, n).element(0).as_i64() == n && (n >= 0 || dtype.is_signed())
}

/// Whether a finite number has no finite neighbour in a float dtype.
fn overflows(dtype: DType, x: f64) -> bool {
    let rounded = |x| Literal::scalar(dtype, Scalar::Float(x)).element(0).as_f64();
    dtype.is_float() && x.is_finite() && !rounded(x).is_finite()
}

/// The constant that nested arrays of plain numbers stand for.
fn constant_array(items: &[Expr], hint: Option<DType>) -> Option<Literal> {
    let mut elements = Vec::new();
    let mut shape = vec![items.len()];
    collect(items, 0, &mut shape, &mut elements)?;
    let any = |f: fn(&Scalar) -> bool| elements.iter().any(f);
    let truths = |e: &Scalar| matches!(e, Scalar::Bool(_));
    if any(truths) && !elements.iter().all(truths) {
        return None;
    }
    let natural = if any(|e| matches!(e, Scalar::Float(_))) {
        DType::F32
    } else if any(|e| matches!(e, Scalar::Bool(_))) {
        DType::Bool
    } else {
        DType::I64
    };
    let fits = |d: DType| match natural {
        DType::F32 => d.is_float(),
        DType::Bool => d == DType::Bool,
        _ => d.is_numeric(),
    };
    let dtype = hint.filter(|h| fits(*h)).unwrap_or(natural);
    let outside = |e: &Scalar| match e {
        Scalar::Int(n) if !dtype.is_float() => !holds(dtype, *n),
        Scalar::Int(n) => overflows(dtype, *n as f64),
        Scalar::Float(x) => overflows(dtype, *x),
        Scalar::UInt(_) | Scalar::Bool(_) => false,
    };
    if elements.iter().any(outside) {
        return None;
    }
    (!elements.is_empty()).then(|| Literal::from_elements(dtype, shape, &elements))
}

fn collect(
    items: &[Expr],
    depth: usize,
    shape: &mut Vec<usize>,
    out: &mut Vec<Scalar>,
) -> Option<()> {
    use crate::ast::{ExprKind, UnaryOp};
    for item in items {
        match &item.kind {
            ExprKind::Array(inner) => {
                match shape.get(depth + 1) {
                    None if out.is_empty() => shape.push(inner.len()),
                    Some(&n) if n == inner.len() => {}
                    _ => return None,
                }
                collect(inner, depth + 1, shape, out)?;
            }
            _ if shape.len() != depth + 1 => return None,
            ExprKind::Int { value, .. } => out.push(Scalar::Int(i64::try_from(*value).ok()?)),
            ExprKind::Float { value, .. } => out.push(Scalar::Float(*value)),
            ExprKind::Bool(value) => out.push(Scalar::Bool(*value)),
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => match &operand.kind {
                ExprKind::Int { value, .. } => out.push(Scalar::Int(-i64::try_from(*value).ok()?)),
                ExprKind::Float { value, .. } => out.push(Scalar::Float(-value)),
                ExprKind::Inf => out.push(Scalar::Float(f64::NEG_INFINITY)),
                _ => return None,
            },
            ExprKind::Inf => out.push(Scalar::Float(f64::INFINITY)),
            ExprKind::Nan => out.push(Scalar::Float(f64::NAN)),
            _ => return None,
        }
    }
    Some(())
}
