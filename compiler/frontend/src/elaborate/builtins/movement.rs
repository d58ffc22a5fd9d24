//! Functions that move elements.

use aiai_ir::{DType, Dim, Op, ScatterKind, Value};

use super::{Call, Elaborator};
use crate::diagnostics::Diagnostic;
use crate::elaborate::context::Cx;
use crate::elaborate::value::Val;

pub(super) fn reshape(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let (shape, at) = this.shape_arg(cx, call, "shape")?;
    let have = Dim::product(cx.shape(x));
    let want = Dim::product(shape.iter().copied());
    let loc = this.sources.loc(at);
    let same = "both shapes have as many elements";
    let equal = cx.equal(have, want)
        || (cx.in_rule && cx.require(aiai_ir::Relation::Zero, have - want, same, loc));
    if !equal {
        let ty = cx.b.ty(x).clone();
        let message = format!("`{ty}` has `{have}` elements, the shape `{want}`");
        let mut diagnostic = Diagnostic::new("E0301", at, message);
        if shape.iter().any(|d| d.as_const().is_some_and(|d| d < 0)) {
            diagnostic =
                diagnostic.help("every size of the new shape is written out; `-1` is none");
        } else if have.as_const().is_none() || want.as_const().is_none() {
            diagnostic = diagnostic.help(
                "say in a `where` clause that they are equal, or split axes so that they are",
            );
        }
        this.report(diagnostic);
        return None;
    }
    Some(Val::Tensor(cx.b.reshape(x, &shape)))
}

pub(super) fn transpose(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, at) = this.tensor_arg(cx, call, "x")?;
    let rank = cx.b.ty(x).rank();
    if rank < 2 {
        let message = format!("`transpose` exchanges the last two axes; this has rank {rank}");
        this.report(Diagnostic::new("E0307", at, message));
        return None;
    }
    let mut axes: Vec<usize> = (0..rank).collect();
    axes.swap(rank - 1, rank - 2);
    Some(Val::Tensor(cx.b.permute(x, &axes)))
}

pub(super) fn permute(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    if let Some((_, Val::Tuple(parts), _)) = call.args.first() {
        let parts = parts.clone();
        call.args.remove(0);
        let (dims, at) = this.shape_arg(cx, call, "axes")?;
        let mut picked = Vec::new();
        for dim in dims {
            picked.push(parts[this.axis(dim, parts.len(), at)?].clone());
        }
        return Some(Val::Tuple(picked));
    }
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let (dims, at) = this.shape_arg(cx, call, "axes")?;
    let rank = cx.b.ty(x).rank();
    let mut axes = Vec::new();
    for dim in dims {
        axes.push(this.axis(dim, rank, at)?);
    }
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        let message = format!("a permutation names each of the {rank} axes once");
        this.report(Diagnostic::new("E0307", at, message));
        return None;
    }
    Some(Val::Tensor(cx.b.permute(x, &axes)))
}

pub(super) fn broadcast(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let (shape, at) = this.shape_arg(cx, call, "shape")?;
    let own = cx.shape(x);
    let skip = shape.len().checked_sub(own.len());
    let fits = skip.is_some_and(|skip| {
        own.iter()
            .zip(&shape[skip..])
            .all(|(a, b)| a.is_const(1) || cx.equal(*a, *b))
    });
    if !fits {
        let message = format!("`{}` does not broadcast to {shape:?}", cx.b.ty(x));
        this.report(Diagnostic::new("E0301", at, message));
        return None;
    }
    Some(Val::Tensor(this.spread(cx, x, &shape)))
}

pub(super) fn pad(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let rank = cx.b.ty(x).rank();
    let axes = this
        .axes_arg(call, rank)?
        .unwrap_or_else(|| (0..rank).collect());
    let zero = Dim::from(0);
    let before = this.dim_arg(cx, call, "before")?.unwrap_or(zero);
    let after = this.dim_arg(cx, call, "after")?.unwrap_or(zero);
    for amount in [before, after] {
        if amount.as_const().is_some_and(|n| n < 0) {
            let message = format!("padding by {amount}");
            this.report(
                Diagnostic::new("E0404", call.span, message).help("slices take elements away"),
            );
            return None;
        }
    }
    let dtype = cx.b.ty(x).dtype();
    let value = match call.named("value") {
        Some((val, span)) => this.scalar_of(cx, val, dtype, span)?,
        None if dtype == DType::Bool => cx.b.literal(aiai_ir::Literal::bool(false)),
        None => cx.b.scalar(dtype, 0.0),
    };
    if before == zero && after == zero {
        return Some(Val::Tensor(x));
    }
    let amount = |by: Dim| {
        (0..rank)
            .map(|k| if axes.contains(&k) { by } else { zero })
            .collect()
    };
    let op = Op::Pad {
        low: amount(before),
        high: amount(after),
    };
    Some(this.apply(cx, op, &[x, value], call.span))
}

/// `concat` along an axis, or `stack` along a new one.
pub(super) fn concat(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let Some((val, at)) = call.take("parts") else {
        this.missing(call, "a tuple of tensors");
        return None;
    };
    let parts = match val {
        Val::Tuple(parts) if !parts.is_empty() => parts,
        other => {
            let message = format!(
                "`{}` takes a tuple of tensors, got {}",
                call.name,
                other.kind()
            );
            let diagnostic = Diagnostic::new("E0304", at, message);
            this.report(diagnostic.help("a tuple is written `(a, b)`"));
            return None;
        }
    };
    let mut values: Vec<Value> = Vec::new();
    for part in parts {
        let want = values.first().map(|&v| cx.b.ty(v).dtype());
        values.push(this.tensor(cx, part, want, at)?);
    }
    let stack = call.name == "stack";
    let rank = cx.b.ty(values[0]).rank() + usize::from(stack);
    let axis = match this.axes_arg(call, rank)? {
        Some(axes) if axes.len() == 1 => axes[0],
        None if rank > 0 => 0,
        _ => {
            this.report(Diagnostic::new("E0307", call.span, "takes one axis"));
            return None;
        }
    };
    if stack {
        for value in &mut values {
            let mut shape = cx.shape(*value);
            if axis > shape.len() {
                this.report(Diagnostic::new("E0301", at, "the parts differ in rank"));
                return None;
            }
            shape.insert(axis, Dim::from(1));
            *value = cx.b.reshape(*value, &shape);
        }
    }
    let first = cx.b.ty(values[0]).clone();
    for value in &mut values[1..] {
        let ty = cx.b.ty(*value).clone();
        let fits = ty.dtype() == first.dtype()
            && ty.rank() == first.rank()
            && (0..rank).all(|k| k == axis || cx.equal(ty.shape()[k], first.shape()[k]));
        if !fits {
            let message = format!("`{first}` and `{ty}` do not join along axis {axis}");
            this.report(Diagnostic::new("E0301", at, message));
            return None;
        }
        let mut shape = first.shape().to_vec();
        shape[axis] = ty.shape()[axis];
        *value = cx.b.reshape(*value, &shape);
    }
    Some(this.apply(cx, Op::Concat { axis }, &values, call.span))
}

pub(super) fn slice(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let rank = cx.b.ty(x).rank();
    let Some(axes) = this.axes_arg(call, rank)?.filter(|axes| axes.len() == 1) else {
        this.missing(call, "one axis");
        return None;
    };
    let size = cx.shape(x)[axes[0]];
    let from = this.dim_arg(cx, call, "from")?.unwrap_or(Dim::from(0));
    let to = this.dim_arg(cx, call, "to")?.unwrap_or(size);
    let stride = this.dim_arg(cx, call, "stride")?.unwrap_or(Dim::from(1));
    this.slice_axis(cx, x, axes[0], (from, to, stride), call.span)
}

pub(super) fn reverse(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let rank = cx.b.ty(x).rank();
    let Some(axes) = this.axes_arg(call, rank)? else {
        this.missing(call, "an axis");
        return None;
    };
    Some(this.apply(cx, Op::Reverse { axes }, &[x], call.span))
}

pub(super) fn update(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (x, _) = this.tensor_arg(cx, call, "x")?;
    let dtype = cx.b.ty(x).dtype();
    let Some((at, at_span)) = call.named("at") else {
        this.missing(call, "the place, `at = (...)`");
        return None;
    };
    let Some((window, window_span)) = call.take("value") else {
        this.missing(call, "the value");
        return None;
    };
    let window = this.tensor(cx, window, Some(dtype), window_span)?;
    if cx.b.ty(window).dtype() != dtype {
        let message = format!(
            "a window of {} in a tensor of {dtype}",
            cx.b.ty(window).dtype()
        );
        this.report(Diagnostic::new("E0302", window_span, message));
        return None;
    }
    let places = match at {
        Val::Tuple(parts) => parts.into_iter().map(|p| (p, at_span)).collect(),
        other => vec![(other, at_span)],
    };
    Some(this.update(cx, x, (window, window_span), &places, call.span))
}

/// `scatter_add(x, index, updates)` along the first axis of x.
pub(super) fn scatter(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let kind = ScatterKind::from_name(call.name.strip_prefix("scatter_")?)?;
    let (x, at) = this.tensor_arg(cx, call, "x")?;
    let (index, index_span) = this.tensor_arg(cx, call, "index")?;
    let (updates, updates_span) = this.tensor_arg(cx, call, "updates")?;
    if !cx.b.ty(index).dtype().is_integer() {
        let message = format!("places are whole numbers, not {}", cx.b.ty(index).dtype());
        this.report(Diagnostic::new("E0302", index_span, message));
        return None;
    }
    let shape = cx.shape(x);
    if shape.is_empty() {
        this.report(Diagnostic::new("E0301", at, "a scalar has no places"));
        return None;
    }
    let mut expected = cx.shape(index);
    expected.extend(&shape[1..]);
    let got = cx.shape(updates);
    let fits = got.len() == expected.len()
        && got.iter().zip(&expected).all(|(a, b)| cx.equal(*a, *b))
        && cx.b.ty(updates).dtype() == cx.b.ty(x).dtype();
    if !fits {
        let message = format!(
            "the updates have type `{}`, expected {} {expected:?}",
            cx.b.ty(updates),
            cx.b.ty(x).dtype()
        );
        this.report(Diagnostic::new("E0301", updates_span, message));
        return None;
    }
    let index = cx.b.cast(index, DType::I64);
    let updates = cx.b.reshape(updates, &expected);
    Some(this.apply(
        cx,
        Op::Scatter {
            axes: vec![0],
            kind,
        },
        &[x, index, updates],
        call.span,
    ))
}
