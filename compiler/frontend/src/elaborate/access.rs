//! Accesses in index equations: affine places become views, others gathers.

use aiai_ir::{AffineExpr, AffineMap, DType, Dim, Op, Relation, Truth, Value};

use super::Elaborator;
use super::context::Cx;
use super::index::Indexed;
use super::value::Val;
use crate::ast::{BinaryOp, Expr, ExprKind, IndexArg, UnaryOp};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// A factor of a product: a tensor and the place that each point of the index space reads. The map
/// counts index variables by their number in the function.
pub(crate) struct Factor {
    pub value: Value,
    pub map: AffineMap,
}

impl Factor {
    /// A tensor whose axes are index variables.
    pub fn of_indices(value: Value, axes: &[usize]) -> Factor {
        Factor {
            value,
            map: AffineMap::of_indices(axes.iter().copied()),
        }
    }

    /// The map with other numbers for the indices.
    pub fn renumbered(&self, place: &impl Fn(usize) -> usize) -> AffineMap {
        let coords = self.map.coords.iter().map(|c| {
            AffineExpr::new(
                c.terms
                    .iter()
                    .map(|(i, d)| (place(*i), *d))
                    .collect::<Vec<_>>(),
                c.offset,
            )
        });
        AffineMap {
            coords: coords.collect(),
        }
    }
}

impl Elaborator<'_> {
    /// `x[places]` with at least one index variable among the places.
    pub(crate) fn access(
        &mut self,
        cx: &mut Cx,
        base: &Expr,
        args: &[IndexArg],
        span: Span,
    ) -> Option<Factor> {
        let val = self.expr(cx, base, None);
        let value = self.tensor(cx, val, None, base.span)?;
        let ty = cx.b.ty(value).clone();
        if ty.rank() != args.len() {
            let message = format!("`{ty}` has {} axes, accessed by {}", ty.rank(), args.len());
            self.report(Diagnostic::new("E0301", span, message));
            return None;
        }
        let mut places = Vec::new();
        for arg in args {
            let IndexArg::At(place) = arg else {
                let message = "an access in an equation names one element";
                let diagnostic = Diagnostic::new("E0304", arg.span(), message);
                self.report(diagnostic.help("take the slice before, in a `let` of its own"));
                return None;
            };
            places.push(place);
        }
        let affine: Vec<Option<AffineExpr>> =
            places.iter().map(|place| self.affine(cx, place)).collect();
        if affine.iter().all(Option::is_some) {
            let coords: Vec<AffineExpr> = affine.into_iter().flatten().collect();
            for ((coord, place), dim) in coords.iter().zip(&places).zip(ty.shape()) {
                self.in_bounds(cx, coord, *dim, place)?;
            }
            return Some(Factor {
                value,
                map: AffineMap { coords },
            });
        }
        self.gather(cx, value, &places, affine, span)
    }

    /// The expression as a sum of multiples of index variables and a dimension, if it is one.
    fn affine(&mut self, cx: &mut Cx, expr: &Expr) -> Option<AffineExpr> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.affine(cx, inner),
            ExprKind::Int { value, .. } => {
                Some(AffineExpr::constant(Dim::from(i64::try_from(*value).ok()?)))
            }
            ExprKind::Name(name) => {
                if let Some(i) = cx
                    .indices
                    .iter()
                    .rposition(|v| v.visible && v.name == name.name)
                {
                    let from = cx.indices[i].from;
                    return Some(AffineExpr::new([(i, Dim::from(1))], from));
                }
                if let Some(variable) = cx.lookup(name.name) {
                    return match variable.val {
                        Val::Dim(dim) => Some(AffineExpr::constant(dim)),
                        _ => None,
                    };
                }
                match cx.env.bound.get(&name.name) {
                    Some(super::value::GArg::Dim(dim)) => {
                        Some(AffineExpr::constant(cx.facts.normalize(*dim)))
                    }
                    _ => None,
                }
            }
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => Some(scaled(&self.affine(cx, operand)?, Dim::from(-1))),
            ExprKind::Binary { op, lhs, rhs, .. } => {
                let (a, b) = (self.affine(cx, lhs)?, self.affine(cx, rhs)?);
                match op {
                    BinaryOp::Add => Some(sum(&a, &b)),
                    BinaryOp::Sub => Some(sum(&a, &scaled(&b, Dim::from(-1)))),
                    BinaryOp::Mul if a.terms.is_empty() => Some(scaled(&b, a.offset)),
                    BinaryOp::Mul if b.terms.is_empty() => Some(scaled(&a, b.offset)),
                    BinaryOp::Div
                        if a.terms.is_empty() && b.terms.is_empty() && !b.offset.is_const(0) =>
                    {
                        Some(AffineExpr::constant(a.offset.floor_div(b.offset)))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Proves that a place stays on its axis, or makes it a condition at entry.
    fn in_bounds(&mut self, cx: &mut Cx, coord: &AffineExpr, dim: Dim, place: &Expr) -> Option<()> {
        let bare = coord.as_index().and_then(|i| cx.indices[i].extent);
        if bare.is_some_and(|(extent, _)| cx.equal(extent, dim)) {
            return Some(());
        }
        let extents: Vec<Dim> = cx
            .indices
            .iter()
            .map(|i| i.extent.map_or(Dim::from(0), |e| e.0))
            .collect();
        // Where an index has no values, nothing is read.
        let empty = coord.terms.iter().any(|(i, _)| extents[*i].is_const(0));
        if empty {
            return Some(());
        }
        let Some((low, high)) = coord.bounds(&extents) else {
            let message = "the sign of a factor of this place is not known";
            self.report(
                Diagnostic::new("E0404", place.span, message).help("constrain it with `where`"),
            );
            return None;
        };
        let text = self.sources.text(place.span).to_owned();
        let loc = self.sources.loc(place.span);
        let one = Dim::from(1);
        for (dim_left, message) in [
            (low, format!("`{text}` reaches below 0")),
            (
                dim - one - high,
                format!("`{text}` reaches beyond the axis of size `{dim}`"),
            ),
        ] {
            let left = cx.facts.normalize(dim_left);
            if cx.facts.check(Relation::NonNegative, left) == Truth::True {
                continue;
            }
            if !cx.require(Relation::NonNegative, left, &message, loc) {
                let diagnostic = Diagnostic::new("E0404", place.span, message);
                self.report(
                    diagnostic.label(format!("from `{low}` to `{high}`, the axis has `{dim}`")),
                );
                return None;
            }
        }
        Some(())
    }

    /// A factor as a value whose axes are its indices, in increasing order.
    pub(crate) fn materialize(
        &mut self,
        cx: &mut Cx,
        factor: Factor,
        span: Span,
    ) -> Option<Indexed> {
        let count = cx.indices.len();
        let axes: Vec<usize> = (0..count).filter(|i| factor.map.uses(*i)).collect();
        let extents: Vec<Dim> = axes
            .iter()
            .map(|&i| cx.indices[i].extent.map_or(Dim::from(0), |e| e.0))
            .collect();
        let place = |i: usize| axes.iter().position(|a| *a == i).unwrap_or(0);
        let map = factor.renumbered(&place);
        let whole = |indices: &[usize], cx: &Cx| {
            let mut sorted = indices.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            sorted.len() == indices.len()
                && indices
                    .iter()
                    .zip(cx.shape(factor.value))
                    .all(|(i, d)| cx.equal(extents[*i], d))
        };
        if let Some(indices) = map.as_indices().filter(|i| whole(i, cx)) {
            let mut perm = vec![0; indices.len()];
            for (from, to) in indices.iter().enumerate() {
                perm[*to] = from;
            }
            let value = cx.b.permute(factor.value, &perm);
            return Some(Indexed {
                axes,
                val: Val::Tensor(value),
            });
        }
        if let Some(val) = self.view(cx, factor.value, &map, &extents, span) {
            return (!val.is_poison()).then_some(Indexed { axes, val });
        }
        let dtype = cx.b.ty(factor.value).dtype();
        if dtype == DType::Bool {
            // Contractions do not move truth values.
            let wide = self.apply(cx, Op::Cast { dtype: DType::U8 }, &[factor.value], span);
            let Val::Tensor(value) = wide else {
                return None;
            };
            let moved = self.materialize(
                cx,
                Factor {
                    value,
                    map: factor.map,
                },
                span,
            )?;
            let Val::Tensor(value) = moved.val else {
                return None;
            };
            let val = self.apply(cx, Op::Cast { dtype: DType::Bool }, &[value], span);
            return Some(Indexed {
                axes: moved.axes,
                val,
            });
        }
        let out = AffineMap::of_indices(0..axes.len());
        let op = Op::Contract {
            space: extents.clone(),
            maps: vec![map],
            out,
            shape: extents,
            acc: dtype,
        };
        let val = self.apply(cx, op, &[factor.value], span);
        (!val.is_poison()).then_some(Indexed { axes, val })
    }

    /// Part of a tensor, where every index counts the places of one axis up or down, as the ops that say so.
    fn view(
        &mut self,
        cx: &mut Cx,
        x: Value,
        map: &AffineMap,
        extents: &[Dim],
        span: Span,
    ) -> Option<Val> {
        if extents.iter().any(|n| n.is_const(0)) {
            return None;
        }
        let one = Dim::from(1);
        let (mut starts, mut limits) = (Vec::new(), Vec::new());
        let (mut turned, mut order) = (Vec::new(), Vec::new());
        for (axis, coord) in map.coords.iter().enumerate() {
            let (start, count) = match coord.terms.as_slice() {
                [] => (coord.offset, one),
                [(i, by)] if order.contains(i) || !(by.is_const(1) || by.is_const(-1)) => {
                    return None;
                }
                [(i, by)] => {
                    order.push(*i);
                    if by.is_const(1) {
                        (coord.offset, extents[*i])
                    } else {
                        turned.push(axis);
                        (coord.offset - (extents[*i] - one), extents[*i])
                    }
                }
                _ => return None,
            };
            starts.push(start);
            limits.push(start + count);
        }
        let mut ends = limits.iter().zip(cx.shape(x));
        let whole = starts.iter().all(|s| s.is_const(0)) && ends.all(|(a, b)| cx.equal(*a, b));
        let strides = vec![one; starts.len()];
        let slice = Op::Slice {
            starts,
            limits,
            strides,
        };
        let mut steps = Vec::new();
        if !whole {
            steps.push(slice);
        }
        if !turned.is_empty() {
            steps.push(Op::Reverse { axes: turned });
        }
        if order.len() < map.coords.len() {
            let shape = order.iter().map(|i| extents[*i]).collect();
            steps.push(Op::Reshape { shape });
        }
        let axes: Vec<usize> = (0..order.len())
            .filter_map(|i| order.iter().position(|o| *o == i))
            .collect();
        if !axes.iter().copied().eq(0..axes.len()) {
            steps.push(Op::Permute { axes });
        }
        let mut val = Val::Tensor(x);
        for op in steps {
            let Val::Tensor(value) = val else { break };
            val = self.apply(cx, op, &[value], span);
        }
        Some(val)
    }

    /// Places that are values: the axes that they address are gathered; the others follow as they are.
    fn gather(
        &mut self,
        cx: &mut Cx,
        value: Value,
        places: &[&Expr],
        affine: Vec<Option<AffineExpr>>,
        span: Span,
    ) -> Option<Factor> {
        // Which index variables take part in the gathered places.
        let mut gathered: Vec<(usize, Indexed)> = Vec::new();
        for (axis, place) in places.iter().enumerate() {
            if affine[axis].is_none() {
                gathered.push((axis, self.indexed(cx, place)?));
            }
        }
        let mut axes: Vec<usize> = gathered
            .iter()
            .flat_map(|g| g.1.axes.iter().copied())
            .collect();
        axes.sort_unstable();
        axes.dedup();
        // Affine places that share an index with them must be gathered too.
        for (axis, place) in places.iter().enumerate() {
            let shares = |coord: &AffineExpr| coord.terms.iter().any(|t| axes.contains(&t.0));
            if affine[axis].as_ref().is_some_and(shares) {
                gathered.push((axis, self.indexed(cx, place)?));
            }
        }
        gathered.sort_by_key(|g| g.0);
        axes = gathered
            .iter()
            .flat_map(|g| g.1.axes.iter().copied())
            .collect();
        axes.sort_unstable();
        axes.dedup();
        let shape: Vec<Dim> = axes
            .iter()
            .map(|&i| cx.indices[i].extent.map_or(Dim::from(0), |e| e.0))
            .collect();
        let mut operands = vec![value];
        let numbers: Vec<usize> = gathered.iter().map(|g| g.0).collect();
        for (axis, part) in gathered {
            let at = places[axis].span;
            let index = self.tensor(cx, part.val, Some(DType::I64), at)?;
            if !cx.b.ty(index).dtype().is_integer() {
                let message = format!(
                    "a place must be a whole number, not {}",
                    cx.b.ty(index).dtype()
                );
                self.report(Diagnostic::new("E0302", at, message));
                return None;
            }
            let index = cx.b.cast(index, DType::I64);
            let own: Vec<usize> = part
                .axes
                .iter()
                .filter_map(|a| axes.iter().position(|x| x == a))
                .collect();
            operands.push(self.spread_axes(cx, index, &shape, &own));
        }
        let Val::Tensor(picked) = self.apply(
            cx,
            Op::Gather {
                axes: numbers.clone(),
            },
            &operands,
            span,
        ) else {
            return None;
        };
        let mut coords: Vec<AffineExpr> = axes.iter().map(|&i| AffineExpr::index(i)).collect();
        let dims = cx.shape(value);
        for (axis, coord) in affine.into_iter().enumerate() {
            if let (Some(coord), false) = (coord, numbers.contains(&axis)) {
                self.in_bounds(cx, &coord, dims[axis], places[axis])?;
                coords.push(coord);
            }
        }
        Some(Factor {
            value: picked,
            map: AffineMap { coords },
        })
    }

    /// A place of `update` or of a slice, as an `i64` scalar.
    pub(crate) fn position(&mut self, cx: &mut Cx, val: Val, span: Span) -> Option<Value> {
        let value = self.tensor(cx, val, Some(DType::I64), span)?;
        let ty = cx.b.ty(value).clone();
        if !ty.is_scalar() || !ty.dtype().is_integer() {
            let message = format!("a position is a whole scalar, not `{ty}`");
            let diagnostic = Diagnostic::new("E0304", span, message);
            self.report(
                diagnostic.help(
                    "to pick many elements, write an index equation: `let y[i] = x[place[i]]`",
                ),
            );
            return None;
        }
        Some(cx.b.cast(value, DType::I64))
    }
}

fn sum(a: &AffineExpr, b: &AffineExpr) -> AffineExpr {
    AffineExpr::new(a.terms.iter().chain(&b.terms).copied(), a.offset + b.offset)
}

fn scaled(a: &AffineExpr, by: Dim) -> AffineExpr {
    AffineExpr::new(a.terms.iter().map(|(i, d)| (*i, *d * by)), a.offset * by)
}
