//! Reductions, sorting.

use aiai_ir::{ArgKind, BinaryKind, DType, Dim, Op, ReduceKind, Value};

use super::{Call, Elaborator};
use crate::ast::BinaryOp;
use crate::diagnostics::Diagnostic;
use crate::elaborate::context::Cx;
use crate::elaborate::operators::Operand;
use crate::elaborate::value::Val;
use crate::span::Span;

pub(super) fn reduce(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let kind = ReduceKind::from_name(call.name)?;
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    reduce_axes(this, cx, call, kind, x).map(|r| r.0)
}

/// The reduced value, and how many elements went into each.
fn reduce_axes(
    this: &mut Elaborator,
    cx: &mut Cx,
    call: &mut Call,
    kind: ReduceKind,
    x: Value,
) -> Option<(Val, Dim)> {
    let shape = cx.shape(x);
    let axes = this
        .axes_arg(call, shape.len())?
        .unwrap_or_else(|| (0..shape.len()).collect());
    let keep = this.bool_arg(call, "keep")?;
    let count = Dim::product(axes.iter().map(|&a| shape[a]));
    let acc = cx.b.ty(x).dtype().default_accumulator();
    let val = this.apply(
        cx,
        Op::Reduce {
            kind,
            axes: axes.clone(),
            acc,
        },
        &[x],
        call.span,
    );
    Some((kept(this, cx, val, &shape, &axes, keep), count))
}

/// Puts axes of size 1 back in the places of those that vanished.
fn kept(
    _: &mut Elaborator,
    cx: &mut Cx,
    val: Val,
    shape: &[Dim],
    axes: &[usize],
    keep: bool,
) -> Val {
    match (val, keep) {
        (Val::Tensor(v), true) => {
            let mut shape = shape.to_vec();
            axes.iter().for_each(|&a| shape[a] = Dim::from(1));
            Val::Tensor(cx.b.reshape(v, &shape))
        }
        (val, _) => val,
    }
}

/// `max(x, y)` of two values, or `max(x, axis = k)` along axes.
pub(super) fn extreme(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let unnamed = call.args.iter().filter(|a| a.0.is_none()).count();
    if unnamed < 2 {
        return reduce(this, cx, call);
    }
    let kind = BinaryKind::from_name(call.name)?;
    let a = this.operand_arg(call, "x")?;
    let b = this.operand_arg(call, "y")?;
    if let (Val::Float(x), Val::Float(y)) = (&a.val, &b.val) {
        return Some(Val::Float(if kind == BinaryKind::Max {
            x.max(*y)
        } else {
            x.min(*y)
        }));
    }
    let (x, y) = this.meet(cx, a, b, call.name, call.span)?;
    Some(this.apply(cx, Op::Binary { kind }, &[x, y], call.span))
}

pub(super) fn mean(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, at) = this.tensor_arg(cx, call, "x")?;
    let dtype = cx.b.ty(x).dtype();
    if !dtype.is_float() {
        let message = format!("the mean of {dtype} is not a value of {dtype}");
        this.report(Diagnostic::new("E0302", at, message).help("convert first: `mean(f32(x))`"));
        return None;
    }
    let (total, count) = reduce_axes(this, cx, call, ReduceKind::Sum, x)?;
    let span = call.span;
    let (a, b) = (
        Operand { val: total, span },
        Operand {
            val: Val::Dim(count),
            span,
        },
    );
    Some(this.binary_op(cx, BinaryOp::Div, a, b, span))
}

pub(super) fn arg_reduce(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let kind = if call.name == "argmax" {
        ArgKind::Max
    } else {
        ArgKind::Min
    };
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let shape = cx.shape(x);
    let axis = one_axis(this, call, shape.len(), call.span)?;
    let keep = this.bool_arg(call, "keep")?;
    let val = this.apply(cx, Op::ArgReduce { kind, axis }, &[x], call.span);
    Some(kept(this, cx, val, &shape, &[axis], keep))
}

/// The axis that is named; the last one otherwise.
fn one_axis(this: &mut Elaborator, call: &mut Call, rank: usize, span: Span) -> Option<usize> {
    match this.axes_arg(call, rank)? {
        Some(axes) if axes.len() == 1 => Some(axes[0]),
        None if rank > 0 => Some(rank - 1),
        _ => {
            this.report(Diagnostic::new("E0307", span, "takes one axis of a tensor"));
            None
        }
    }
}

pub(super) fn sort(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let shape = cx.shape(x);
    let axis = one_axis(this, call, shape.len(), call.span)?;
    let descending = this.bool_arg(call, "descending")?;
    let mut sorted = sorted(this, cx, x, axis, descending, call.span)?;
    Some(Val::Tensor(
        sorted.swap_remove(usize::from(call.name == "argsort")),
    ))
}

/// The sorted values and the places that they come from.
fn sorted(
    this: &mut Elaborator,
    cx: &mut Cx,
    x: Value,
    axis: usize,
    descending: bool,
    span: Span,
) -> Option<Vec<Value>> {
    let op = Op::Iota {
        dtype: DType::I64,
        shape: cx.shape(x),
        axis,
    };
    let Val::Tensor(places) = this.apply(cx, op, &[], span) else {
        return None;
    };
    match this.apply(cx, Op::Sort { axis, descending }, &[x, places], span) {
        Val::Tuple(parts) => Some(parts.iter().flat_map(Val::leaves).collect()),
        _ => None,
    }
}

pub(super) fn top_k(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, at) = this.tensor_arg(cx, call, "x")?;
    let Some((Val::Dim(k), k_span)) = call.take("k") else {
        this.missing(call, "the compile-time number `k`");
        return None;
    };
    let k = cx.facts.normalize(k);
    let shape = cx.shape(x);
    let Some(axis) = shape.len().checked_sub(1) else {
        this.report(Diagnostic::new(
            "E0307",
            at,
            "`top_k` takes a tensor of rank 1 or more",
        ));
        return None;
    };
    let loc = this.sources.loc(k_span);
    let left = shape[axis] - k;
    if !cx.require(
        aiai_ir::Relation::NonNegative,
        left,
        "`top_k` asks for more than there are",
        loc,
    ) {
        let message = format!("`top_k` asks for {k} of {}", shape[axis]);
        this.report(Diagnostic::new("E0404", k_span, message));
        return None;
    }
    let parts = sorted(this, cx, x, axis, true, call.span)?;
    let mut limits = shape.clone();
    limits[axis] = k;
    let (starts, strides) = (
        vec![Dim::from(0); shape.len()],
        vec![Dim::from(1); shape.len()],
    );
    let first = |part: Value, this: &mut Elaborator, cx: &mut Cx| {
        let op = Op::Slice {
            starts: starts.clone(),
            limits: limits.clone(),
            strides: strides.clone(),
        };
        this.apply(cx, op, &[part], call.span)
    };
    Some(Val::Tuple(
        parts.into_iter().map(|p| first(p, this, cx)).collect(),
    ))
}
