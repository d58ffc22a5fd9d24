//! Index equations and reductions.
//!
//! Inside an equation a value is a tensor whose axes belong to index variables. A sum over a product
//! of accesses becomes one `contract`; anything else becomes broadcasts, elementwise ops and a reduce.

use aiai_ir::{DType, Dim, Op, Sym, Value};

use super::Elaborator;
use super::context::Cx;
use super::operators::Operand;
use super::value::Val;
use crate::ast::{BinaryOp, Binder, Expr, ExprKind, Reduce};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// An index variable. Its number is its place in [`Cx::indices`]; the variables of closed scopes stay
/// in the list, out of sight, so that numbers stay valid.
#[derive(Clone, Debug)]
pub struct IndexVar {
    pub name: Sym,
    pub span: Span,
    /// The first value; 0 unless a range says otherwise.
    pub from: Dim,
    /// How many values, once known, and the place that says so.
    pub extent: Option<(Dim, Span)>,
    /// A written range: uses need not cover the axis.
    pub written: bool,
    pub visible: bool,
}

/// A value inside an equation: axis k runs over index variable `axes[k]`; increasing.
#[derive(Clone)]
pub(crate) struct Indexed {
    pub axes: Vec<usize>,
    pub val: Val,
}

impl Elaborator<'_> {
    /// `let y[i, j] = value`
    pub(crate) fn equation(&mut self, cx: &mut Cx, binders: &[Binder], value: &Expr) -> Val {
        let base = cx.indices.len();
        if !self.open_indices(cx, binders) {
            cx.indices.truncate(base);
            return Val::Poison;
        }
        let own: Vec<usize> = (base..cx.indices.len()).collect();
        let result = self.closed_equation(cx, &own, value);
        cx.indices.truncate(base);
        result.map_or(Val::Poison, Val::Tensor)
    }

    pub(super) fn closed_equation(
        &mut self,
        cx: &mut Cx,
        own: &[usize],
        value: &Expr,
    ) -> Option<Value> {
        if !self.infer_ranges(cx, value) {
            return None;
        }
        for &i in own {
            self.extent(cx, i)?;
        }
        let result = self.indexed(cx, value)?;
        let value = self.as_tensor(cx, &result, None, value.span)?;
        let shape: Vec<Dim> = own
            .iter()
            .map(|&i| cx.indices[i].extent.map_or(Dim::from(0), |e| e.0))
            .collect();
        let places: Option<Vec<usize>> = result
            .axes
            .iter()
            .map(|a| own.iter().position(|o| o == a))
            .collect();
        Some(self.spread_axes(cx, value, &shape, &places?))
    }

    /// A reduction outside of any equation.
    pub(crate) fn reduction(&mut self, cx: &mut Cx, reduce: &Reduce, span: Span) -> Val {
        let base = cx.indices.len();
        let result = self.reduce_indexed(cx, reduce, span);
        let result = result.and_then(|r| match r.val {
            Val::Tensor(v) if r.axes.is_empty() => Some(Val::Tensor(v)),
            _ => None,
        });
        cx.indices.truncate(base);
        result.unwrap_or(Val::Poison)
    }

    /// An expression inside an equation.
    pub(crate) fn indexed(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Indexed> {
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(expr.span));
        let result = self.indexed_inner(cx, expr);
        cx.b.loc = outer;
        result
    }

    pub(super) fn indexed_inner(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Indexed> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.indexed(cx, inner),
            ExprKind::Reduce(reduce) => self.reduce_indexed(cx, reduce, expr.span),
            ExprKind::Index { base, args } if self.mentions_index(cx, args) => {
                let factor = self.access(cx, base, args, expr.span)?;
                self.materialize(cx, factor, expr.span)
            }
            ExprKind::Name(name) => {
                let index = cx
                    .indices
                    .iter()
                    .rposition(|i| i.visible && i.name == name.name);
                match index {
                    Some(i) => {
                        let val = self.index_value(cx, i, name.span);
                        (!val.is_poison()).then(|| Indexed { axes: vec![i], val })
                    }
                    None => self.plain(cx, expr),
                }
            }
            ExprKind::Unary { op, operand } => {
                let inner = self.indexed(cx, operand)?;
                let operand = Operand {
                    val: inner.val,
                    span: operand.span,
                };
                let val = self.unary_op(cx, *op, operand, expr.span);
                (!val.is_poison()).then_some(Indexed {
                    axes: inner.axes,
                    val,
                })
            }
            ExprKind::Binary {
                op: BinaryOp::MatMul,
                ..
            } => self.plain(cx, expr),
            ExprKind::Binary { op, lhs, rhs, .. } => {
                let a = self.indexed(cx, lhs)?;
                let b = self.indexed(cx, rhs)?;
                let (axes, vals) = self.align(cx, &[a, b])?;
                let mut vals = vals.into_iter();
                let a = Operand {
                    val: vals.next()?,
                    span: lhs.span,
                };
                let b = Operand {
                    val: vals.next()?,
                    span: rhs.span,
                };
                let val = self.binary_op(cx, *op, a, b, expr.span);
                (!val.is_poison()).then_some(Indexed { axes, val })
            }
            ExprKind::Call {
                function,
                generics,
                args,
            } if args.iter().any(|a| self.uses_index(cx, &a.value)) => {
                let mut parts = Vec::new();
                for arg in args {
                    parts.push(self.indexed(cx, &arg.value)?);
                }
                let (axes, vals) = self.align(cx, &parts)?;
                // The call sees its arguments as variables of names that no program can write.
                let mark = cx.enter();
                let mut renamed = args.clone();
                for (k, (arg, val)) in renamed.iter_mut().zip(vals).enumerate() {
                    let name = Sym::new(&format!("argument {k}"));
                    let span = arg.value.span;
                    cx.bind(name, val, span);
                    arg.value = Expr::new(ExprKind::Name(crate::ast::Ident { name, span }), span);
                }
                let val = self.call(cx, *function, generics, &renamed, None, expr.span);
                cx.leave(mark);
                self.same_axes(cx, axes, val, expr.span)
            }
            ExprKind::If(_) if self.uses_index(cx, expr) => {
                let message = "`if` chooses by one condition for all elements";
                self.report(
                    Diagnostic::new("E0304", expr.span, message)
                        .help("use `select(condition, a, b)`"),
                );
                None
            }
            _ => self.plain(cx, expr),
        }
    }

    /// A function of indexed values must keep their shape.
    pub(super) fn same_axes(
        &mut self,
        cx: &Cx,
        axes: Vec<usize>,
        val: Val,
        span: Span,
    ) -> Option<Indexed> {
        match val {
            Val::Tensor(v) if cx.b.ty(v).rank() == axes.len() => Some(Indexed {
                axes,
                val: Val::Tensor(v),
            }),
            Val::Poison => None,
            other => {
                let message = format!(
                    "in an equation a function must keep the shape; this gives {}",
                    other.kind()
                );
                self.report(Diagnostic::new("E0304", span, message));
                None
            }
        }
    }

    /// An expression without indices: a scalar.
    pub(super) fn plain(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Indexed> {
        let val = self.expr(cx, expr, None);
        match &val {
            Val::Poison => None,
            Val::Tensor(v) if cx.b.ty(*v).rank() > 0 => {
                let ty = cx.b.ty(*v).clone();
                let message = format!("`{ty}` is used without indices in an equation");
                let help = "name an element: `x[i]`";
                self.report(Diagnostic::new("E0401", expr.span, message).help(help));
                None
            }
            Val::Tensor(_) | Val::Dim(_) | Val::Float(_) | Val::Bool(_) => Some(Indexed {
                axes: Vec::new(),
                val,
            }),
            other => {
                let message = format!("{} in an equation", other.kind());
                self.report(Diagnostic::new("E0304", expr.span, message));
                None
            }
        }
    }

    /// Brings values to the union of their axes. Compile-time values stay as they are.
    pub(super) fn align(
        &mut self,
        cx: &mut Cx,
        parts: &[Indexed],
    ) -> Option<(Vec<usize>, Vec<Val>)> {
        let mut axes: Vec<usize> = parts.iter().flat_map(|p| p.axes.iter().copied()).collect();
        axes.sort_unstable();
        axes.dedup();
        let mut shape = Vec::new();
        for &axis in &axes {
            shape.push(self.extent(cx, axis)?);
        }
        let mut vals = Vec::new();
        for part in parts {
            vals.push(match &part.val {
                Val::Tensor(v) => {
                    let places: Vec<usize> = part
                        .axes
                        .iter()
                        .filter_map(|a| axes.iter().position(|x| x == a))
                        .collect();
                    Val::Tensor(self.spread_axes(cx, *v, &shape, &places))
                }
                other => other.clone(),
            });
        }
        Some((axes, vals))
    }

    pub(super) fn as_tensor(
        &mut self,
        cx: &mut Cx,
        indexed: &Indexed,
        want: Option<DType>,
        span: Span,
    ) -> Option<Value> {
        self.tensor(cx, indexed.val.clone(), want, span)
    }

    /// The values of an index variable, as `i64`.
    pub(crate) fn index_value(&mut self, cx: &mut Cx, i: usize, span: Span) -> Val {
        let Some(extent) = self.extent(cx, i) else {
            return Val::Poison;
        };
        let from = cx.indices[i].from;
        let op = Op::Iota {
            dtype: DType::I64,
            shape: vec![extent],
            axis: 0,
        };
        let count = self.apply(cx, op, &[], span);
        if from.is_const(0) {
            return count;
        }
        let (a, b) = (
            Operand { val: count, span },
            Operand {
                val: Val::Dim(from),
                span,
            },
        );
        self.binary_op(cx, BinaryOp::Add, a, b, span)
    }
}
