//! Ranges of indices: written, or inferred from bare uses, which must agree.

use super::Elaborator;
use super::context::Cx;
use super::index::IndexVar;
use super::value::Val;
use crate::ast::{Binder, Expr, ExprKind, IndexArg};
use crate::diagnostics::Diagnostic;
use aiai_ir::Dim;

impl Elaborator<'_> {
    pub(super) fn open_indices(&mut self, cx: &mut Cx, binders: &[Binder]) -> bool {
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
    pub(super) fn extent(&mut self, cx: &Cx, i: usize) -> Option<Dim> {
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
    pub(super) fn infer_ranges(&mut self, cx: &mut Cx, expr: &Expr) -> bool {
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

    pub(super) fn infer_from_access(
        &mut self,
        cx: &mut Cx,
        base: &Expr,
        args: &[IndexArg],
    ) -> bool {
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
            let message = format!(
                "`{ty}` has {} axes, accessed by {}",
                shape.len(),
                args.len()
            );
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
    pub(super) fn quiet_base(&mut self, cx: &mut Cx, base: &Expr) -> Option<Val> {
        match &base.peel().kind {
            ExprKind::Name(_) | ExprKind::Field { .. } => Some(self.expr(cx, base, None)),
            _ => None,
        }
    }

    /// Whether any place of an access depends on an index variable.
    pub(super) fn mentions_index(&self, cx: &Cx, args: &[IndexArg]) -> bool {
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

/// The direct parts of an expression that can stand in an equation.
pub(super) fn children<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
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
