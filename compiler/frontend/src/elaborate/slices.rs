//! Slices, `x[t, 0..n, .., 0..H by S, ...]`, and updates in place.

use aiai_ir::{Dim, Op, Relation, Truth, Value};

use super::Elaborator;
use super::context::Cx;
use super::value::Val;
use crate::ast::{Expr, IndexArg};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// One axis of a slice.
enum Part {
    All,
    /// `start`, `limit`, `stride`
    Range(Dim, Dim, Dim),
    /// A position known at compile time: the axis goes away.
    At(Dim),
    /// A position known at run time: the axis goes away.
    Dynamic(Value),
}

impl Elaborator<'_> {
    pub(crate) fn slice(&mut self, cx: &mut Cx, base: &Expr, args: &[IndexArg], span: Span) -> Val {
        let base_val = self.expr(cx, base, None);
        if let Val::List(items) = &base_val {
            return self.list_item(cx, items, args, span);
        }
        // Attributes of rules are tuples of numbers, and their elements numbers.
        if let (Val::Tuple(parts), [IndexArg::At(place)]) = (&base_val, args)
            && cx.in_rule
            && let Val::Dim(at) = self.expr(cx, place, None)
            && let Some(part) = at
                .as_const()
                .and_then(|n| parts.get(usize::try_from(n).ok()?))
        {
            return part.clone();
        }
        let Some(value) = self.tensor(cx, base_val, None, base.span) else {
            return Val::Poison;
        };
        let shape = cx.shape(value);
        let Some(args) = self.one_per_axis(args, shape.len(), span) else {
            return Val::Poison;
        };
        let mut parts = Vec::new();
        for (arg, dim) in args.iter().zip(&shape) {
            match self.part(cx, arg, *dim) {
                Some(part) => parts.push(part),
                None => return Val::Poison,
            }
        }
        self.take(cx, value, &shape, &parts, span)
    }

    fn list_item(&mut self, cx: &mut Cx, items: &[Val], args: &[IndexArg], span: Span) -> Val {
        if let [IndexArg::At(place)] = args
            && let Val::Dim(dim) = self.expr(cx, place, None)
            && let Some(at) = dim.as_const().and_then(|n| usize::try_from(n).ok())
            && let Some(item) = items.get(at)
        {
            return item.clone();
        }
        let message = format!(
            "a list of {} modules is indexed by a known number below {}",
            items.len(),
            items.len()
        );
        self.error("E0308", span, message)
    }

    /// `slice(x, axis = k, from = a, to = b, stride = s)`: `x[a..b by s]` along an axis given by number.
    pub(crate) fn slice_axis(
        &mut self,
        cx: &mut Cx,
        x: Value,
        axis: usize,
        (lo, hi, stride): (Dim, Dim, Dim),
        span: Span,
    ) -> Option<Val> {
        let shape = cx.shape(x);
        if stride.as_const().is_some_and(|s| s < 1) {
            self.report(Diagnostic::new("E0404", span, "strides start at 1"));
            return None;
        }
        self.slice_bounds(cx, lo, hi, shape[axis], span)?;
        let part = |k: usize| match k == axis {
            true => Part::Range(lo, hi, stride),
            false => Part::All,
        };
        let parts: Vec<Part> = (0..shape.len()).map(part).collect();
        Some(self.take(cx, x, &shape, &parts, span))
    }

    /// One argument per axis, `...` replaced by as many `..` as are missing.
    fn one_per_axis<'a>(
        &mut self,
        args: &'a [IndexArg],
        rank: usize,
        span: Span,
    ) -> Option<Vec<&'a IndexArg>> {
        const ALL: &IndexArg = &IndexArg::All(Span {
            file: crate::span::FileId(0),
            start: 0,
            end: 0,
        });
        let rests = args
            .iter()
            .filter(|a| matches!(a, IndexArg::Rest(_)))
            .count();
        let named = args.len() - rests;
        if rests > 1 || named > rank || (rests == 0 && named != rank) {
            let places = if named == 1 {
                "1 place"
            } else {
                &format!("{named} places")
            };
            let message = format!("{places} for a tensor of rank {rank}");
            let diagnostic = Diagnostic::new("E0301", span, message);
            self.report(diagnostic.help("`..` takes a whole axis, `...` all axes not named"));
            return None;
        }
        let mut out = Vec::with_capacity(rank);
        for arg in args {
            match arg {
                IndexArg::Rest(_) => out.extend(std::iter::repeat_n(ALL, rank - named)),
                arg => out.push(arg),
            }
        }
        Some(out)
    }

    fn part(&mut self, cx: &mut Cx, arg: &IndexArg, dim: Dim) -> Option<Part> {
        match arg {
            IndexArg::All(_) | IndexArg::Rest(_) => Some(Part::All),
            IndexArg::At(place) => match self.expr(cx, place, None) {
                Val::Poison => None,
                Val::Dim(at) => {
                    let written = at;
                    let at = match at.as_const() {
                        Some(n) if n < 0 => at + dim,
                        _ => at,
                    };
                    if at.as_const().is_some_and(|n| n < 0) {
                        let message =
                            format!("position `{written}` is beyond the axis of size `{dim}`");
                        self.report(Diagnostic::new("E0404", place.span, message));
                        return None;
                    }
                    let at = cx.facts.normalize(at);
                    self.slice_bounds(cx, at, at + Dim::from(1), dim, place.span)?;
                    Some(Part::At(at))
                }
                val => self.position(cx, val, place.span).map(Part::Dynamic),
            },
            IndexArg::Range { lo, hi, step, span } => {
                let lo = self.slice_end(cx, lo)?;
                let hi = self.slice_end(cx, hi)?;
                let stride = match step {
                    Some(step) => self.slice_end(cx, step)?,
                    None => Dim::from(1),
                };
                if stride.as_const().is_some_and(|s| s < 1) {
                    let help = "`reverse(x, axis = 0)` turns an axis round";
                    self.report(Diagnostic::new("E0404", *span, "strides start at 1").help(help));
                    return None;
                }
                self.slice_bounds(cx, lo, hi, dim, *span)?;
                Some(Part::Range(lo, hi, stride))
            }
        }
    }

    fn slice_end(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Dim> {
        match self.expr(cx, expr, None) {
            Val::Dim(dim) => Some(cx.facts.normalize(dim)),
            Val::Poison => None,
            other => {
                let message = format!("the ends of a range are dimensions, not {}", other.kind());
                let help =
                    "the size of a slice must be known; a single position may be a run-time value";
                self.report(Diagnostic::new("E0308", expr.span, message).help(help));
                None
            }
        }
    }

    /// `0 <= lo <= hi <= dim`, proved or made a condition at entry.
    fn slice_bounds(&mut self, cx: &mut Cx, lo: Dim, hi: Dim, dim: Dim, span: Span) -> Option<()> {
        let loc = self.sources.loc(span);
        let conditions = [
            (lo, format!("the slice starts below 0 (at `{lo}`)")),
            (
                hi - lo,
                format!("the slice ends (`{hi}`) before it starts (`{lo}`)"),
            ),
            (
                dim - hi,
                if hi - lo == Dim::from(1) {
                    format!("position `{lo}` is beyond the axis of size `{dim}`")
                } else {
                    format!("the slice ends at `{hi}`, beyond the axis of size `{dim}`")
                },
            ),
        ];
        for (left, message) in conditions {
            let known = cx.facts.check(Relation::NonNegative, left);
            if known != Truth::True && !cx.require(Relation::NonNegative, left, &message, loc) {
                self.report(Diagnostic::new("E0404", span, message));
                return None;
            }
        }
        Some(())
    }

    fn take(
        &mut self,
        cx: &mut Cx,
        value: Value,
        shape: &[Dim],
        parts: &[Part],
        span: Span,
    ) -> Val {
        let (zero, one) = (Dim::from(0), Dim::from(1));
        let mut value = value;
        let mut sizes = shape.to_vec();
        if parts.iter().any(|p| matches!(p, Part::Dynamic(_))) {
            let mut operands = vec![value];
            for (part, size) in parts.iter().zip(&mut sizes) {
                operands.push(match part {
                    Part::Dynamic(at) => {
                        *size = one;
                        *at
                    }
                    _ => cx.b.dim(zero),
                });
            }
            match self.apply(
                cx,
                Op::DynamicSlice {
                    sizes: sizes.clone(),
                },
                &operands,
                span,
            ) {
                Val::Tensor(v) => value = v,
                other => return other,
            }
        }
        let (mut starts, mut limits, mut strides) = (Vec::new(), Vec::new(), Vec::new());
        for (part, size) in parts.iter().zip(&sizes) {
            let (start, limit, stride) = match part {
                Part::All | Part::Dynamic(_) => (zero, *size, one),
                Part::Range(lo, hi, stride) => (*lo, *hi, *stride),
                Part::At(at) => (*at, *at + one, one),
            };
            starts.push(start);
            limits.push(limit);
            strides.push(stride);
        }
        let whole = starts.iter().all(|s| s.is_const(0))
            && limits == sizes
            && strides.iter().all(|s| s.is_const(1));
        if !whole {
            match self.apply(
                cx,
                Op::Slice {
                    starts,
                    limits,
                    strides,
                },
                &[value],
                span,
            ) {
                Val::Tensor(v) => value = v,
                other => return other,
            }
        }
        let kept: Vec<Dim> = cx
            .shape(value)
            .into_iter()
            .zip(parts)
            .filter(|(_, part)| !matches!(part, Part::At(_) | Part::Dynamic(_)))
            .map(|(dim, _)| cx.facts.normalize(dim))
            .collect();
        Val::Tensor(cx.b.reshape(value, &kept))
    }

    /// `update(x, value, at = (n, .., pos))`: x with `value` written at a place; `..` is a whole axis.
    pub(crate) fn update(
        &mut self,
        cx: &mut Cx,
        x: Value,
        (window, value_span): (Value, Span),
        at: &[(Val, Span)],
        span: Span,
    ) -> Val {
        let shape = cx.shape(x);
        if at.len() != shape.len() {
            let message = format!("{} places for a tensor of rank {}", at.len(), shape.len());
            return self.error("E0301", span, message);
        }
        let (mut sizes, mut operands) = (Vec::new(), vec![x, window]);
        let mut kept = Vec::new();
        for ((val, place), dim) in at.iter().zip(&shape) {
            if matches!(val, Val::All) {
                sizes.push(*dim);
                kept.push(*dim);
                operands.push(cx.b.dim(Dim::from(0)));
            } else {
                sizes.push(Dim::from(1));
                match self.position(cx, val.clone(), *place) {
                    Some(position) => operands.push(position),
                    None => return Val::Poison,
                }
            }
        }
        let theirs = cx.shape(window);
        let fits =
            theirs.len() == kept.len() && theirs.iter().zip(&kept).all(|(a, b)| cx.equal(*a, *b));
        if !fits {
            let message = format!("the place has shape {kept:?}, the value {theirs:?}");
            return self.error("E0301", value_span, message);
        }
        operands[1] = cx.b.reshape(window, &sizes);
        self.apply(cx, Op::DynamicUpdate, &operands, span)
    }
}
