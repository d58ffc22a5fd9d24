//! Functions that make tensors, and random keys.

use aiai_ir::{DType, Dim, Op, Value};

use super::{Call, Elaborator};
use crate::diagnostics::Diagnostic;
use crate::elaborate::context::Cx;
use crate::elaborate::value::Val;
use crate::span::Span;

pub(super) fn filled(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (dtype, shape) = this.generic_shape(cx, call)?;
    let fill = if call.name == "ones" { 1.0 } else { 0.0 };
    let dtype = dtype.or(call.hint).unwrap_or(DType::F32);
    if !this.size_fits(dtype, &shape, call.span) {
        return None;
    }
    Some(Val::Tensor(splat(cx, dtype, fill, &shape)))
}

fn splat(cx: &mut Cx, dtype: DType, fill: f64, shape: &[Dim]) -> Value {
    if dtype == DType::Bool {
        let scalar = cx.b.literal(aiai_ir::Literal::bool(fill != 0.0));
        return cx.b.broadcast(scalar, shape, &[]);
    }
    cx.b.splat(dtype, fill, shape)
}

pub(super) fn full(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (dtype, shape) = this.generic_shape(cx, call)?;
    let Some((val, span)) = call.take("value") else {
        this.missing(call, "the value");
        return None;
    };
    let value = this.tensor(cx, val, dtype.or(call.hint), span)?;
    if cx.b.ty(value).rank() != 0 {
        this.report(Diagnostic::new("E0301", span, "the value is a scalar"));
        return None;
    }
    Some(Val::Tensor(cx.b.broadcast(value, &shape, &[])))
}

pub(super) fn like(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let fill = if call.name == "ones_like" { 1.0 } else { 0.0 };
    let Some((val, span)) = call.take("x") else {
        this.missing(call, "the argument `x`");
        return None;
    };
    match val {
        Val::Record(_) | Val::Tuple(_) | Val::List(_) => {
            let ty = this.type_of(cx, &val);
            Some(this.filled(cx, &ty, fill))
        }
        val => {
            let x = this.tensor(cx, val, call.hint, span)?;
            let ty = cx.b.ty(x).clone();
            Some(Val::Tensor(splat(cx, ty.dtype(), fill, ty.shape())))
        }
    }
}

pub(super) fn iota(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (dtype, shape) = this.generic_shape(cx, call)?;
    if shape.len() != 1 {
        this.missing(call, "one dimension, `iota::<N>()`");
        return None;
    }
    let op = Op::Iota {
        dtype: dtype.unwrap_or(DType::I64),
        shape,
        axis: 0,
    };
    Some(this.apply(cx, op, &[], call.span))
}

/// The number of dimensions, which is known when compiling.
pub(super) fn rank(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (_, shape) = this.generic_shape(cx, call)?;
    Some(Val::Dim(Dim::from(shape.len() as i64)))
}

/// The two words of the seed.
pub(super) fn key(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let Some((val, span)) = call.take("seed") else {
        this.missing(call, "a seed");
        return None;
    };
    let seed = this.tensor(cx, val, Some(DType::U64), span)?;
    if cx.b.ty(seed).rank() != 0 || !cx.b.ty(seed).dtype().is_integer() {
        this.report(Diagnostic::new("E0304", span, "a seed is a whole number"));
        return None;
    }
    let wide = cx.b.cast(seed, DType::U64);
    let low = cx.b.cast(wide, DType::U32);
    let shift = cx.b.scalar(DType::U64, 32.0);
    let high = cx.b.binary(aiai_ir::BinaryKind::Shr, wide, shift);
    let high = cx.b.cast(high, DType::U32);
    let one = [Dim::from(1)];
    let parts = [low, high].map(|v| cx.b.reshape(v, &one));
    Some(Val::Key(cx.b.value(Op::Concat { axis: 0 }, &parts)))
}

fn key_arg(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Value> {
    match call.take("key") {
        Some((Val::Key(value), span)) => {
            cx.spent.insert(value, span);
            Some(value)
        }
        Some((other, span)) => {
            let message = format!("expected a key, found {}", other.kind());
            this.report(Diagnostic::new("E0304", span, message));
            None
        }
        None => {
            this.missing(call, "a key");
            None
        }
    }
}

pub(super) fn split(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let key = key_arg(this, cx, call)?;
    let (a, b) = this.split_key(cx, key, call.span);
    Some(Val::Tuple(vec![Val::Key(a), Val::Key(b)]))
}

pub(super) fn random_bits(this: &mut Elaborator, cx: &mut Cx, call: &mut Call) -> Option<Val> {
    let (_, shape) = this.generic_shape(cx, call)?;
    let key = key_arg(this, cx, call)?;
    Some(this.apply(cx, Op::RandomBits { shape }, &[key], call.span))
}

impl Elaborator<'_> {
    /// Two keys from one: the first four random words of it.
    pub(crate) fn split_key(&mut self, cx: &mut Cx, key: Value, span: Span) -> (Value, Value) {
        let (zero, one, two) = (Dim::from(0), Dim::from(1), Dim::from(2));
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(span));
        let words = cx.b.value(
            Op::RandomBits {
                shape: vec![two, two],
            },
            &[key],
        );
        let row = |at: Dim, cx: &mut Cx| {
            let op = Op::Slice {
                starts: vec![at, zero],
                limits: vec![at + one, two],
                strides: vec![one; 2],
            };
            let row = cx.b.value(op, &[words]);
            cx.b.reshape(row, &[two])
        };
        let pair = (row(zero, cx), row(one, cx));
        cx.b.loc = outer;
        pair
    }
}
