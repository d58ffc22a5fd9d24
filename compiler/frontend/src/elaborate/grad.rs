//! `grad net { ... }`: the block becomes a function of its own, named by a `grad` op.

use std::collections::{BTreeSet, HashMap};

use aiai_ir::{Builder, Function, Op, Sym, Type, Value};

use super::Elaborator;
use super::context::Cx;
use super::types::is_differentiable;
use super::value::{Record, Ty, Val};
use crate::ast::{Block, Expr, ExprKind, Grad, IndexArg, StmtKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elaborator<'_> {
    pub(crate) fn grad(&mut self, cx: &mut Cx, grad: &Grad, span: Span) -> Val {
        let mut targets = Vec::new();
        for target in &grad.targets {
            let Some(name) = target.as_name() else {
                return self.error(
                    "E0601",
                    target.span,
                    "`grad` differentiates by variables, by name",
                );
            };
            let mut val = self.expr(cx, target, None);
            if let Val::Float(_) = val {
                // A number becomes a tensor here: it is differentiated in one dtype.
                val = self.settle(cx, val, None);
                cx.bind(name.name, val.clone(), target.span);
            }
            match val {
                Val::Poison => return Val::Poison,
                Val::Tensor(v) if !cx.b.ty(v).dtype().is_float() => {
                    let message = format!(
                        "`{}` is `{}`: only floats have gradients",
                        name.name,
                        cx.b.ty(v)
                    );
                    return self.error("E0601", target.span, message);
                }
                Val::Tensor(_) | Val::Record(_) | Val::List(_) => targets.push((name, val)),
                other => {
                    let message = format!("{} has no gradient", other.kind());
                    return self.error("E0601", target.span, message);
                }
            }
        }
        let mut names = BTreeSet::new();
        mentioned(&grad.body, &mut names);
        self.outline(cx, grad, &targets, &names, span)
    }

    /// Elaborates the block in a function whose parameters are the tensors that it mentions.
    fn outline(
        &mut self,
        cx: &mut Cx,
        grad: &Grad,
        targets: &[(crate::ast::Ident, Val)],
        names: &BTreeSet<Sym>,
        span: Span,
    ) -> Val {
        self.outlined += 1;
        let name = format!("grad#{}", self.outlined);
        let mut function = Function::new(name.as_str());
        function.loc = Some(self.sources.loc(span));
        let mut inner = Cx::new(Builder::new(&mut function), cx.env.clone());
        inner.facts = cx.facts.clone();
        let mut captured: Vec<Value> = Vec::new();
        let mut inside: HashMap<Value, Value> = HashMap::new();
        let visible: Vec<Sym> = names
            .iter()
            .copied()
            .filter(|n| cx.lookup(*n).is_some())
            .collect();
        for name in visible {
            let Some(variable) = cx.lookup(name).cloned() else {
                continue;
            };
            let val = variable.val.map_leaves(&mut |outer| {
                *inside.entry(outer).or_insert_with(|| {
                    captured.push(outer);
                    let path = format!("{name}.{}", captured.len());
                    inner.b.add_param(&path, cx.b.ty(outer).clone(), false)
                })
            });
            let spent = variable
                .val
                .leaves()
                .iter()
                .find_map(|leaf| cx.spent.get(leaf).copied());
            if let Some(place) = spent {
                val.for_each_leaf(&mut |leaf| {
                    inner.spent.insert(leaf, place);
                });
            }
            inner.bind(name, val, variable.span);
        }
        let val = self.block(&mut inner, &grad.body, None);
        let val = self.settle(&mut inner, val, None);
        let spent: Vec<(Value, Span)> = inside
            .iter()
            .filter_map(|(outer, value)| Some((*outer, *inner.spent.get(value)?)))
            .collect();
        cx.spent.extend(spent);
        let result = self.check_loss(&inner, &val, grad);
        let ty = self.type_of(&inner, &val);
        for require in std::mem::take(&mut inner.requires) {
            if !cx.requires.contains(&require) {
                cx.requires.push(require);
            }
        }
        self.finish(inner, &val, &ty);
        if result.is_none() {
            return Val::Poison;
        }
        self.emit_grad(cx, grad, targets, function, captured, &ty, span)
    }

    /// The block's value, or the first part of it, must be a float scalar.
    fn check_loss(&mut self, cx: &Cx, val: &Val, grad: &Grad) -> Option<()> {
        let loss = match val {
            Val::Poison => return None,
            Val::Tuple(parts) if !parts.is_empty() => &parts[0],
            other => other,
        };
        if let Val::Tensor(v) = loss {
            let ty = cx.b.ty(*v);
            if ty.is_scalar() && ty.dtype().is_float() {
                return Some(());
            }
        }
        let found = self.show(&self.type_of(cx, loss));
        let at = grad
            .body
            .tail
            .as_ref()
            .map_or(grad.body.span, |tail| tail.span);
        let message = format!("`grad` differentiates a float scalar, not `{found}`");
        self.report(Diagnostic::new("E0601", at, message).help("take a mean or a sum of it"));
        None
    }

    fn emit_grad(
        &mut self,
        cx: &mut Cx,
        grad: &Grad,
        targets: &[(crate::ast::Ident, Val)],
        function: Function,
        captured: Vec<Value>,
        ty: &Ty,
        span: Span,
    ) -> Val {
        let mut wrt: Vec<usize> = Vec::new();
        let operands = captured;
        for (_, val) in targets {
            self.for_each_differentiable(cx, val, &mut |value| {
                // A leaf that the block does not use has a zero gradient, made below.
                if let Some(at) = operands.iter().position(|v| *v == value)
                    && !wrt.contains(&at)
                {
                    wrt.push(at);
                }
            });
        }
        let callee = function.name;
        let types: Vec<Type> = operands.iter().map(|&v| cx.b.ty(v).clone()).collect();
        let mut results = function.result_types();
        let count = results.len();
        results.extend(wrt.iter().map(|&at| types[at].clone()));
        self.module.insert(function);
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(span));
        let op = if wrt.is_empty() {
            Op::Call { callee, results }
        } else {
            Op::Grad {
                callee,
                wrt: wrt.clone(),
                results,
            }
        };
        let values = cx.b.try_op(op, &operands, Vec::new());
        cx.b.loc = outer;
        let values = match values {
            Ok(values) => values,
            Err(sentence) => return self.error("E0601", span, sentence),
        };
        let value = self.rebuild(ty, &mut values[..count].iter().copied());
        let of: HashMap<Value, Value> = wrt
            .iter()
            .zip(&values[count..])
            .map(|(at, g)| (operands[*at], *g))
            .collect();
        let mut gradients: Vec<Val> = targets
            .iter()
            .map(|(_, val)| self.gradient_of(cx, val, &of))
            .collect();
        let gradient = if grad.tuple {
            Val::Tuple(gradients)
        } else {
            gradients.remove(0)
        };
        Val::Tuple(vec![value, gradient])
    }

    fn for_each_differentiable(&mut self, cx: &Cx, val: &Val, visit: &mut impl FnMut(Value)) {
        match val {
            Val::Tensor(v) if cx.b.ty(*v).dtype().is_float() => visit(*v),
            Val::List(items) => items
                .iter()
                .for_each(|i| self.for_each_differentiable(cx, i, visit)),
            Val::Record(record) => {
                let fields = self.fields(record.module, &record.args, record.tangent);
                for ((_, ty, role), (_, val)) in fields.iter().zip(&record.fields) {
                    if is_differentiable(ty, *role) {
                        self.for_each_differentiable(cx, val, visit);
                    }
                }
            }
            _ => {}
        }
    }

    /// The gradient in the structure of its target; zeros where the block does not use a leaf.
    fn gradient_of(&mut self, cx: &mut Cx, val: &Val, of: &HashMap<Value, Value>) -> Val {
        match val {
            Val::Tensor(v) => match of.get(v) {
                Some(gradient) => Val::Tensor(*gradient),
                None => {
                    let ty = cx.b.ty(*v).clone();
                    Val::Tensor(cx.b.splat(ty.dtype(), 0.0, ty.shape()))
                }
            },
            Val::List(items) => {
                Val::List(items.iter().map(|i| self.gradient_of(cx, i, of)).collect())
            }
            Val::Record(record) => {
                let declared = self.fields(record.module, &record.args, record.tangent);
                let mut fields = Vec::new();
                for ((name, ty, role), (_, val)) in declared.iter().zip(&record.fields) {
                    let gradient = if is_differentiable(ty, *role) {
                        self.gradient_of(cx, val, of)
                    } else {
                        Val::Absent
                    };
                    fields.push((*name, gradient));
                }
                let (module, args) = (record.module, record.args.clone());
                Val::Record(Box::new(Record {
                    module,
                    args,
                    tangent: true,
                    fields,
                }))
            }
            other => other.clone(),
        }
    }
}

/// Every name that a block mentions.
fn mentioned(block: &Block, names: &mut BTreeSet<Sym>) {
    for stmt in &block.stmts {
        match &stmt.kind {
            StmtKind::Let { value, .. } | StmtKind::IndexLet { value, .. } => walk(value, names),
            StmtKind::Emit(value) | StmtKind::Expr(value) => walk(value, names),
            StmtKind::Error { .. } => {}
        }
    }
    if let Some(tail) = &block.tail {
        walk(tail, names);
    }
}

fn walk(expr: &Expr, names: &mut BTreeSet<Sym>) {
    match &expr.kind {
        ExprKind::Name(name) => {
            names.insert(name.name);
        }
        ExprKind::Call { function, args, .. } => {
            names.insert(function.name);
            args.iter().for_each(|arg| walk(&arg.value, names));
        }
        ExprKind::Method { receiver, args, .. } => {
            walk(receiver, names);
            args.iter().for_each(|arg| walk(&arg.value, names));
        }
        ExprKind::Field { base, .. } => walk(base, names),
        ExprKind::Index { base, args } => {
            walk(base, names);
            for arg in args {
                match arg {
                    IndexArg::At(e) => walk(e, names),
                    IndexArg::Range { lo, hi, step, .. } => {
                        walk(lo, names);
                        walk(hi, names);
                        step.iter().for_each(|s| walk(s, names));
                    }
                    IndexArg::All(_) | IndexArg::Rest(_) => {}
                }
            }
        }
        ExprKind::Unary { operand, .. } => walk(operand, names),
        ExprKind::Binary { lhs, rhs, .. } => {
            walk(lhs, names);
            walk(rhs, names);
        }
        ExprKind::Tuple(parts) | ExprKind::Array(parts) => {
            parts.iter().for_each(|part| walk(part, names));
        }
        ExprKind::Paren(inner) => walk(inner, names),
        ExprKind::Reduce(reduce) => walk(&reduce.body, names),
        ExprKind::If(branch) => {
            walk(&branch.condition, names);
            mentioned(&branch.then, names);
            walk(&branch.otherwise, names);
        }
        ExprKind::For(scan) => {
            if let crate::ast::ForSource::List(list) = &scan.source {
                walk(list, names);
            }
            scan.carry.iter().for_each(|c| walk(&c.init, names));
            mentioned(&scan.body, names);
        }
        ExprKind::ForEach(each) => {
            each.over.iter().for_each(|e| walk(e, names));
            mentioned(&each.body, names);
        }
        ExprKind::While(looped) => {
            walk(&looped.condition, names);
            walk(&looped.carry.init, names);
            mentioned(&looped.body, names);
        }
        ExprKind::Grad(grad) => {
            grad.targets.iter().for_each(|e| walk(e, names));
            mentioned(&grad.body, names);
        }
        ExprKind::Block(block) => mentioned(block, names),
        ExprKind::Int { .. } | ExprKind::Float { .. } | ExprKind::Inf | ExprKind::Nan => {}
        ExprKind::Bool(_) | ExprKind::Str(_) | ExprKind::Instance { .. } => {}
        ExprKind::All | ExprKind::Pack(_) | ExprKind::Error => {}
    }
}
