//! Index equations and reductions.
//!
//! Inside an equation a value is a tensor whose axes belong to index variables. A sum over a product
//! of accesses becomes one `contract`; anything else becomes broadcasts, elementwise ops and a reduce.

use aiai_ir::{AffineMap, ArgKind, DType, Dim, Op, ReduceKind, Sym, Value};

use super::Elaborator;
use super::access::Factor;
use super::context::Cx;
use super::operators::Operand;
use super::value::Val;
use crate::ast::{BinaryOp, Binder, Expr, ExprKind, IndexArg, Reduce, ReduceWord};
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

    fn closed_equation(&mut self, cx: &mut Cx, own: &[usize], value: &Expr) -> Option<Value> {
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

    fn open_indices(&mut self, cx: &mut Cx, binders: &[Binder]) -> bool {
        for binder in binders {
            let name = binder.name;
            if let Some(other) = cx.indices.iter().find(|i| i.visible && i.name == name.name) {
                let message = format!("the index `{}` is bound twice", name.name);
                let diagnostic = Diagnostic::new("E0405", name.span, message);
                self.report(diagnostic.related(other.span, "first bound here"));
                return false;
            }
            let mut variable = IndexVar {
                name: name.name,
                span: name.span,
                from: Dim::from(0),
                extent: None,
                written: false,
                visible: true,
            };
            if let Some((from, to)) = &binder.range {
                let mut env = std::mem::take(&mut cx.env);
                let bounds = self
                    .static_dim(from, &mut env)
                    .zip(self.static_dim(to, &mut env));
                cx.env = env;
                let Some((from, to)) = bounds else {
                    return false;
                };
                let extent = cx.facts.normalize(to - from);
                if cx.facts.check(aiai_ir::Relation::NonNegative, extent) == aiai_ir::Truth::False {
                    let message = format!("the range of `{}` ends before it starts", name.name);
                    self.report(Diagnostic::new("E0403", binder.span, message));
                    return false;
                }
                variable.from = cx.facts.normalize(from);
                variable.extent = Some((extent, binder.span));
                variable.written = true;
            }
            cx.indices.push(variable);
        }
        true
    }

    /// The extent of an index variable, which must be known by now.
    fn extent(&mut self, cx: &Cx, i: usize) -> Option<Dim> {
        let variable = &cx.indices[i];
        if let Some((extent, _)) = variable.extent {
            return Some(extent);
        }
        let name = variable.name;
        let message = format!("the range of the index `{name}` is not known");
        let help = format!("no bare use such as `x[{name}]` tells it: write `{name} in 0..N`");
        self.report(Diagnostic::new("E0403", variable.span, message).help(help));
        None
    }

    /// Finds ranges from bare uses, `x[i]`, which must agree.
    fn infer_ranges(&mut self, cx: &mut Cx, expr: &Expr) -> bool {
        let mut ok = true;
        let mut work = vec![expr];
        while let Some(expr) = work.pop() {
            if let ExprKind::Index { base, args } = &expr.kind {
                ok &= self.infer_from_access(cx, base, args);
            }
            // Reductions infer the ranges of their own indices later; those of the outer ones count.
            children(expr, &mut work);
        }
        ok
    }

    fn infer_from_access(&mut self, cx: &mut Cx, base: &Expr, args: &[IndexArg]) -> bool {
        let bare: Vec<Option<usize>> = args
            .iter()
            .map(|arg| match arg {
                IndexArg::At(e) => {
                    let name = e.as_name()?;
                    cx.indices
                        .iter()
                        .rposition(|i| i.visible && i.name == name.name)
                }
                _ => None,
            })
            .collect();
        if bare.iter().all(Option::is_none) {
            return true;
        }
        let before = self.diagnostics.count();
        let val = self.quiet_base(cx, base);
        if self.diagnostics.count() > before {
            return false;
        }
        let Some(Val::Tensor(value)) = val else {
            return !matches!(val, Some(Val::Poison));
        };
        let shape = cx.shape(value);
        let whole = args.iter().all(|arg| matches!(arg, IndexArg::At(_)));
        if shape.len() != args.len() && whole {
            let ty = cx.b.ty(value).clone();
            let span = base.span.to(args.last().map_or(base.span, IndexArg::span));
            let message = format!("`{ty}` has {} axes, accessed by {}", shape.len(), args.len());
            self.report(Diagnostic::new("E0301", span, message));
            return false;
        }
        if shape.len() != args.len() {
            return true;
        }
        let mut ok = true;
        for ((arg, index), dim) in args.iter().zip(bare).zip(shape) {
            let Some(index) = index else { continue };
            let span = arg.span();
            let variable = &mut cx.indices[index];
            match variable.extent {
                None => variable.extent = Some((dim, span)),
                Some(_) if variable.written => {}
                Some((known, place)) => {
                    let name = variable.name;
                    if !cx.equal(known, dim) {
                        let message =
                            format!("the index `{name}` ranges over `{known}` and over `{dim}`");
                        let diagnostic = Diagnostic::new("E0402", span, message)
                            .label(format!("`{dim}` here"))
                            .related(place, format!("`{known}` here"));
                        self.report(diagnostic);
                        ok = false;
                    }
                }
            }
        }
        ok
    }

    /// The tensor that is accessed. Only names and fields are accessed in equations, so that nothing is
    /// computed twice.
    fn quiet_base(&mut self, cx: &mut Cx, base: &Expr) -> Option<Val> {
        match &base.peel().kind {
            ExprKind::Name(_) | ExprKind::Field { .. } => Some(self.expr(cx, base, None)),
            _ => None,
        }
    }

    /// An expression inside an equation.
    pub(crate) fn indexed(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Indexed> {
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(expr.span));
        let result = self.indexed_inner(cx, expr);
        cx.b.loc = outer;
        result
    }

    fn indexed_inner(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Indexed> {
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
    fn same_axes(&mut self, cx: &Cx, axes: Vec<usize>, val: Val, span: Span) -> Option<Indexed> {
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
    fn plain(&mut self, cx: &mut Cx, expr: &Expr) -> Option<Indexed> {
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
    fn align(&mut self, cx: &mut Cx, parts: &[Indexed]) -> Option<(Vec<usize>, Vec<Val>)> {
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

    fn as_tensor(
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

    fn reduce_indexed(&mut self, cx: &mut Cx, reduce: &Reduce, span: Span) -> Option<Indexed> {
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

    fn reduce_body(
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
    fn sum_of_product(
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
    fn product_of(&mut self, cx: &mut Cx, factors: Vec<Factor>, span: Span) -> Option<Indexed> {
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

    fn contract(
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

    fn reduce_axes(
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

    /// Whether any place of an access depends on an index variable.
    fn mentions_index(&self, cx: &Cx, args: &[IndexArg]) -> bool {
        args.iter().any(|arg| match arg {
            IndexArg::At(e) => self.uses_index(cx, e),
            IndexArg::Range { lo, hi, .. } => self.uses_index(cx, lo) || self.uses_index(cx, hi),
            IndexArg::All(_) | IndexArg::Rest(_) => false,
        })
    }

    /// Whether an expression depends on an index variable in sight, or reduces over one of its own.
    pub(crate) fn uses_index(&self, cx: &Cx, expr: &Expr) -> bool {
        let mut work = vec![expr];
        while let Some(expr) = work.pop() {
            match &expr.kind {
                ExprKind::Name(name)
                    if cx.indices.iter().any(|i| i.visible && i.name == name.name) =>
                {
                    return true;
                }
                ExprKind::Reduce(_) => return true,
                _ => {}
            }
            children(expr, &mut work);
        }
        false
    }
}

/// The factors of a product, parentheses around products opened.
fn product<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
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

/// The direct parts of an expression that can stand in an equation.
fn children<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::Paren(inner) => out.push(inner),
        ExprKind::Unary { operand, .. } => out.push(operand),
        ExprKind::Binary { lhs, rhs, .. } => out.extend([&**rhs, &**lhs]),
        ExprKind::Call { args, .. } => out.extend(args.iter().rev().map(|a| &a.value)),
        ExprKind::Method { receiver, args, .. } => {
            out.extend(args.iter().rev().map(|a| &a.value));
            out.push(receiver);
        }
        ExprKind::Field { base, .. } => out.push(base),
        ExprKind::Index { base, args } => {
            for arg in args.iter().rev() {
                match arg {
                    IndexArg::At(e) => out.push(e),
                    IndexArg::Range { lo, hi, .. } => out.extend([hi, lo]),
                    IndexArg::All(_) | IndexArg::Rest(_) => {}
                }
            }
            out.push(base);
        }
        ExprKind::Tuple(parts) | ExprKind::Array(parts) => out.extend(parts.iter().rev()),
        ExprKind::Reduce(reduce) => out.push(&reduce.body),
        ExprKind::If(branch) => {
            out.push(&branch.otherwise);
            out.extend(&branch.then.tail);
            out.push(&branch.condition);
        }
        _ => {}
    }
}
