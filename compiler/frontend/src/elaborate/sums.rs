//! Reductions over indices: sums of products become contractions, the rest broadcasts and reduces.

use super::Elaborator;
use super::access::Factor;
use super::context::Cx;
use super::index::Indexed;
use super::operators::Operand;
use super::value::Val;
use crate::ast::{BinaryOp, Expr, ExprKind, Reduce, ReduceWord};
use crate::diagnostics::Diagnostic;
use crate::span::Span;
use aiai_ir::{AffineMap, ArgKind, DType, Op, ReduceKind, Value};

impl Elaborator<'_> {
    pub(super) fn reduce_indexed(
        &mut self,
        cx: &mut Cx,
        reduce: &Reduce,
        span: Span,
    ) -> Option<Indexed> {
        let base = cx.indices.len();
        if !self.open_indices(cx, &reduce.indices) {
            cx.indices.truncate(base);
            return None;
        }
        let own: Vec<usize> = (base..cx.indices.len()).collect();
        let result = self.reduce_body(cx, reduce, &own, span);
        for &i in &own {
            cx.indices[i].visible = false;
        }
        result
    }

    pub(super) fn reduce_body(
        &mut self,
        cx: &mut Cx,
        reduce: &Reduce,
        own: &[usize],
        span: Span,
    ) -> Option<Indexed> {
        if !self.infer_ranges(cx, &reduce.body) {
            return None;
        }
        for &i in own {
            self.extent(cx, i)?;
        }
        let acc = match reduce.accumulator {
            Some(name) => {
                let mut env = std::mem::take(&mut cx.env);
                let acc = self.dtype_named(name, &mut env);
                cx.env = env;
                Some(acc?)
            }
            None => None,
        };
        if reduce.word == ReduceWord::Sum {
            let mut factors = Vec::new();
            product(&reduce.body, &mut factors);
            return self.sum_of_product(cx, &factors, own, acc, span);
        }
        let body = self.indexed(cx, &reduce.body)?;
        self.reduce_axes(cx, reduce.word, body, own, acc, span)
    }

    /// `sum own: f1 * f2 * ...` as one contraction, or as a plain reduction of a single factor.
    pub(super) fn sum_of_product(
        &mut self,
        cx: &mut Cx,
        parts: &[&Expr],
        own: &[usize],
        acc: Option<DType>,
        span: Span,
    ) -> Option<Indexed> {
        let mut factors: Vec<Factor> = Vec::new();
        let mut scalars: Vec<(Val, Span)> = Vec::new();
        for part in parts {
            let peeled = part.peel();
            let factor = match &peeled.kind {
                ExprKind::Index { base, args } if self.mentions_index(cx, args) => {
                    self.access(cx, base, args, peeled.span)?
                }
                _ => {
                    let value = self.indexed(cx, part)?;
                    match value.val {
                        Val::Tensor(v) if !value.axes.is_empty() => {
                            Factor::of_indices(v, &value.axes)
                        }
                        val => {
                            scalars.push((val, part.span));
                            continue;
                        }
                    }
                }
            };
            factors.push(factor);
        }
        let simple = factors.len() == 1
            && factors[0]
                .map
                .as_indices()
                .is_some_and(|m| m.is_sorted_by(|a, b| a < b));
        let covered = own.iter().all(|i| factors.iter().any(|f| f.map.uses(*i)));
        let mut result = if factors.is_empty() || !covered || simple {
            let body = self.product_of(cx, factors, span)?;
            self.reduce_axes(cx, ReduceWord::Sum, body, own, acc, span)?
        } else {
            self.contract(cx, &factors, own, acc, span)?
        };
        for (val, at) in scalars {
            let a = Operand {
                val: result.val,
                span,
            };
            let b = Operand { val, span: at };
            let val = self.binary_op(cx, BinaryOp::Mul, a, b, span);
            if val.is_poison() {
                return None;
            }
            result.val = val;
        }
        Some(result)
    }

    /// The product of factors as an indexed value; of nothing 1.
    pub(super) fn product_of(
        &mut self,
        cx: &mut Cx,
        factors: Vec<Factor>,
        span: Span,
    ) -> Option<Indexed> {
        let mut result = Indexed {
            axes: Vec::new(),
            val: Val::Float(1.0),
        };
        for (k, factor) in factors.into_iter().enumerate() {
            let next = self.materialize(cx, factor, span)?;
            if k == 0 {
                result = next;
                continue;
            }
            let (axes, vals) = self.align(cx, &[result, next])?;
            let mut operands = vals.into_iter().map(|val| Operand { val, span });
            let (a, b) = (operands.next()?, operands.next()?);
            let val = self.binary_op(cx, BinaryOp::Mul, a, b, span);
            result = Indexed { axes, val };
        }
        Some(result)
    }

    pub(super) fn contract(
        &mut self,
        cx: &mut Cx,
        factors: &[Factor],
        own: &[usize],
        acc: Option<DType>,
        span: Span,
    ) -> Option<Indexed> {
        let count = cx.indices.len();
        let used: Vec<usize> = (0..count)
            .filter(|i| factors.iter().any(|f| f.map.uses(*i)))
            .collect();
        let free: Vec<usize> = used.iter().copied().filter(|i| !own.contains(i)).collect();
        // The space lists free indices first, then the summed ones.
        let order: Vec<usize> = free
            .iter()
            .chain(used.iter().filter(|i| own.contains(i)))
            .copied()
            .collect();
        let place = |i: usize| order.iter().position(|o| *o == i).unwrap_or(0);
        let mut space = Vec::new();
        for &i in &order {
            space.push(self.extent(cx, i)?);
        }
        let maps: Vec<AffineMap> = factors.iter().map(|f| f.renumbered(&place)).collect();
        let operands: Vec<Value> = factors.iter().map(|f| f.value).collect();
        let dtype = cx.b.ty(operands[0]).dtype();
        if let Some(other) = operands.iter().find(|&&v| cx.b.ty(v).dtype() != dtype) {
            let message = format!("a product joins {dtype} and {}", cx.b.ty(*other).dtype());
            self.report(Diagnostic::new("E0302", span, message));
            return None;
        }
        let out = AffineMap::of_indices(0..free.len());
        let shape = space[..free.len()].to_vec();
        let acc = acc.unwrap_or(dtype.default_accumulator());
        let op = Op::Contract {
            space,
            maps,
            out,
            shape,
            acc,
        };
        match self.apply(cx, op, &operands, span) {
            Val::Tensor(v) => Some(Indexed {
                axes: free,
                val: Val::Tensor(v),
            }),
            _ => None,
        }
    }

    pub(super) fn reduce_axes(
        &mut self,
        cx: &mut Cx,
        word: ReduceWord,
        body: Indexed,
        own: &[usize],
        acc: Option<DType>,
        span: Span,
    ) -> Option<Indexed> {
        let mut axes = body.axes.clone();
        axes.extend(own.iter().filter(|i| !body.axes.contains(i)));
        axes.sort_unstable();
        let value = self.as_tensor(cx, &body, None, span)?;
        let mut shape = Vec::new();
        for &axis in &axes {
            shape.push(self.extent(cx, axis)?);
        }
        let places: Vec<usize> = body
            .axes
            .iter()
            .filter_map(|a| axes.iter().position(|x| x == a))
            .collect();
        let value = self.spread_axes(cx, value, &shape, &places);
        let reduced: Vec<usize> = (0..axes.len())
            .filter(|k| own.contains(&axes[*k]))
            .collect();
        let kept: Vec<usize> = axes.iter().copied().filter(|a| !own.contains(a)).collect();
        let dtype = cx.b.ty(value).dtype();
        let acc = acc.unwrap_or(dtype.default_accumulator());
        let kind = match word {
            ReduceWord::Sum => ReduceKind::Sum,
            ReduceWord::Prod => ReduceKind::Prod,
            ReduceWord::Max => ReduceKind::Max,
            ReduceWord::Min => ReduceKind::Min,
            ReduceWord::Any => ReduceKind::Any,
            ReduceWord::All => ReduceKind::All,
            ReduceWord::ArgMax | ReduceWord::ArgMin => {
                let kind = if word == ReduceWord::ArgMax {
                    ArgKind::Max
                } else {
                    ArgKind::Min
                };
                let &[axis] = reduced.as_slice() else {
                    let message = format!("`{}` takes one index", word.word());
                    self.report(Diagnostic::new("E0303", span, message));
                    return None;
                };
                let val = self.apply(cx, Op::ArgReduce { kind, axis }, &[value], span);
                return (!val.is_poison()).then_some(Indexed { axes: kept, val });
            }
        };
        let val = self.apply(
            cx,
            Op::Reduce {
                kind,
                axes: reduced,
                acc,
            },
            &[value],
            span,
        );
        (!val.is_poison()).then_some(Indexed { axes: kept, val })
    }
}

/// The factors of a product, parentheses around products opened.
pub(super) fn product<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    match &expr.peel().kind {
        ExprKind::Binary {
            op: BinaryOp::Mul,
            lhs,
            rhs,
            ..
        } => {
            product(lhs, out);
            product(rhs, out);
        }
        _ => out.push(expr),
    }
}
