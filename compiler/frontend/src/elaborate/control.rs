//! Branches and loops.

use aiai_ir::{DType, Dim, Literal, Op, Relation, Truth, Type};

use super::Elaborator;
use super::context::Cx;
use super::types::Role;
use super::value::{Record, Val};
use crate::ast::{Block, Expr, For, ForEach, ForSource, If, While};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elaborator<'_> {
    pub(crate) fn if_expr(
        &mut self,
        cx: &mut Cx,
        branch: &If,
        hint: Option<DType>,
        span: Span,
    ) -> Val {
        let condition = match self.expr(cx, &branch.condition, None) {
            Val::Poison => return Val::Poison,
            // Known at compile time: only the branch taken is elaborated.
            Val::Bool(true) => return self.block(cx, &branch.then, hint),
            Val::Bool(false) => return self.expr(cx, &branch.otherwise, hint),
            val => self.tensor(cx, val, Some(DType::Bool), branch.condition.span),
        };
        let Some(condition) = condition else {
            return Val::Poison;
        };
        let ty = cx.b.ty(condition).clone();
        if ty != Type::scalar(DType::Bool) {
            let message = format!("`if` takes a scalar truth value, got `{ty}`");
            let diagnostic = Diagnostic::new("E0304", branch.condition.span, message);
            let help = if ty.rank() == 0 {
                "compare it: `n != 0`"
            } else {
                "to choose per element, write `select(condition, a, b)`"
            };
            return self.fail(diagnostic.help(help));
        }
        cx.b.begin_region(&[]);
        let then = self.block(cx, &branch.then, hint);
        let then = self.settle(cx, then, hint);
        let then_region = cx.b.end_region(&then.leaves());
        cx.b.begin_region(&[]);
        let otherwise = self.expr(cx, &branch.otherwise, hint);
        let want = match &then {
            Val::Tensor(v) => Some(cx.b.ty(*v).dtype()),
            _ => hint,
        };
        let otherwise = self.settle(cx, otherwise, want);
        let other_region = cx.b.end_region(&otherwise.leaves());
        if then.is_poison() || otherwise.is_poison() {
            return Val::Poison;
        }
        let (a, b) = (self.type_of(cx, &then), self.type_of(cx, &otherwise));
        if a != b {
            let message = format!(
                "the branches differ: `{}` and `{}`",
                self.show(&a),
                self.show(&b)
            );
            let diagnostic = Diagnostic::new("E0304", span, message)
                .related(branch.then.span, format!("`{}`", self.show(&a)))
                .related(branch.otherwise.span, format!("`{}`", self.show(&b)));
            return self.fail(diagnostic);
        }
        match cx
            .b
            .try_op(Op::If, &[condition], vec![then_region, other_region])
        {
            Ok(values) => self.rebuild(&a, &mut values.into_iter()),
            Err(sentence) => self.error("E0304", span, sentence),
        }
    }

    /// Compile-time numbers as tensors, so that the value can leave a region or run through a loop.
    pub(crate) fn settle(&mut self, cx: &mut Cx, val: Val, want: Option<DType>) -> Val {
        match val {
            Val::Dim(dim) => {
                let value = cx.b.dim(cx.facts.normalize(dim));
                let dtype = want.filter(|d| *d != DType::Bool).unwrap_or(DType::I64);
                let value = match dim.as_const() {
                    Some(n) => cx.b.literal(if dtype.is_float() {
                        Literal::f64(dtype, n as f64)
                    } else {
                        Literal::i64(dtype, n)
                    }),
                    None => cx.b.cast(value, dtype),
                };
                Val::Tensor(value)
            }
            Val::Float(x) => {
                let dtype = want.filter(|d| d.is_float()).unwrap_or(DType::F32);
                Val::Tensor(cx.b.scalar(dtype, x))
            }
            Val::Bool(b) => Val::Tensor(cx.b.literal(Literal::bool(b))),
            Val::Tuple(parts) => Val::Tuple(
                parts
                    .into_iter()
                    .map(|p| self.settle(cx, p, want))
                    .collect(),
            ),
            other => other,
        }
    }

    pub(crate) fn emit(&mut self, cx: &mut Cx, val: Val, span: Span) {
        let val = self.settle(cx, val, None);
        match cx.emits.last_mut() {
            None => {
                let message = "`emit` stands outside of a `for` over a range";
                self.report(Diagnostic::new("E0504", span, message));
            }
            Some(Some((_, first))) => {
                let first = *first;
                let diagnostic = Diagnostic::new("E0504", span, "a loop emits once per iteration");
                self.report(diagnostic.related(first, "first here").help("emit a tuple"));
            }
            Some(slot) => *slot = Some((val, span)),
        }
    }

    pub(crate) fn for_expr(&mut self, cx: &mut Cx, scan: &For, span: Span) -> Val {
        match &scan.source {
            ForSource::List(list) => self.for_list(cx, scan, list, span),
            ForSource::Range { lo, hi, step } => {
                self.for_range(cx, scan, (lo, hi, step.as_ref()), span)
            }
        }
    }

    /// Over a list of modules: unrolled.
    fn for_list(&mut self, cx: &mut Cx, scan: &For, list: &Expr, span: Span) -> Val {
        let items = match self.expr(cx, list, None) {
            Val::List(items) => items,
            Val::Poison => return Val::Poison,
            other => {
                let message = format!(
                    "`for` runs over a range or a list of modules, not {}",
                    other.kind()
                );
                return self.error("E0304", list.span, message);
            }
        };
        let mut carry = match &scan.carry {
            Some(carry) => self.expr(cx, &carry.init, None),
            None => Val::unit(),
        };
        for item in items {
            let mark = cx.enter();
            cx.bind(scan.var.name, item, scan.var.span);
            if let Some(pattern) = scan.carry.as_ref().map(|c| &c.pattern) {
                self.bind_pattern(cx, pattern, carry, span);
            }
            // `emit` has no meaning here: nothing is stacked.
            let emits = std::mem::take(&mut cx.emits);
            carry = self.block(cx, &scan.body, None);
            cx.emits = emits;
            cx.leave(mark);
            if carry.is_poison() {
                return Val::Poison;
            }
        }
        carry
    }

    /// Where a loop starts, before what it ends, and its step; the range is not negative at entry.
    fn loop_range(
        &mut self,
        cx: &mut Cx,
        range: (&Expr, &Expr, Option<&Expr>),
        span: Span,
    ) -> Option<(Dim, Dim, Dim)> {
        let mut end = |e: &Expr, this: &mut Self| match this.expr(cx, e, None) {
            Val::Dim(dim) => Some(cx.facts.normalize(dim)),
            Val::Poison => None,
            other => {
                let message = format!("the ends of a loop are dimensions, not {}", other.kind());
                let help = "a loop whose length is known at run time only is a `while`";
                this.report(Diagnostic::new("E0308", e.span, message).help(help));
                None
            }
        };
        let (Some(from), Some(to)) = (end(range.0, self), end(range.1, self)) else {
            return None;
        };
        let step = match range.2 {
            Some(step) => end(step, self)?,
            None => Dim::from(1),
        };
        if step.is_const(0) {
            let at = range.2.map_or(span, |e| e.span);
            self.report(Diagnostic::new(
                "E0404",
                at,
                "a loop with step 0 never ends",
            ));
            return None;
        }
        let trips = aiai_ir::ops::trip_count(from, to, step);
        if cx.facts.check(Relation::NonNegative, trips) != Truth::True {
            let loc = self.sources.loc(span);
            cx.require(
                Relation::NonNegative,
                trips,
                "the range of a loop ends before it starts",
                loc,
            );
        }
        Some((from, to, step))
    }

    fn for_range(
        &mut self,
        cx: &mut Cx,
        scan: &For,
        range: (&Expr, &Expr, Option<&Expr>),
        span: Span,
    ) -> Val {
        let Some((from, to, step)) = self.loop_range(cx, range, span) else {
            return Val::Poison;
        };
        let init = match &scan.carry {
            Some(carry) => self.expr(cx, &carry.init, None),
            None => Val::unit(),
        };
        let init = self.settle(cx, init, None);
        if init.is_poison() {
            return Val::Poison;
        }
        let ty = self.type_of(cx, &init);
        let mut args = vec![Type::scalar(DType::I64)];
        args.extend(init.leaves().iter().map(|&v| cx.b.ty(v).clone()));
        cx.floors.push(cx.b.function.value_count() as u32);
        let values = cx.b.begin_region(&args);
        let mark = cx.enter();
        cx.bind(scan.var.name, Val::Tensor(values[0]), scan.var.span);
        let state = self.rebuild(&ty, &mut values[1..].iter().copied());
        if let Some(carry) = &scan.carry {
            self.bind_pattern(cx, &carry.pattern, state, span);
        }
        cx.emits.push(None);
        let next = self.loop_body(cx, &scan.body, &init, scan.carry.is_some());
        let emitted = cx.emits.pop().flatten();
        cx.floors.pop();
        cx.leave(mark);
        let mut yields = next.leaves();
        if let Some((val, _)) = &emitted {
            yields.extend(val.leaves());
        }
        let region = cx.b.end_region(&yields);
        let carried = next.is_poison() || self.same_state(cx, &init, &next, &scan.body);
        if next.is_poison() || !carried || emitted.as_ref().is_some_and(|e| e.0.is_poison()) {
            return Val::Poison;
        }
        let op = Op::Scan { from, to, step };
        let results = match cx.b.try_op(op, &init.leaves(), vec![region]) {
            Ok(results) => results,
            Err(sentence) => return self.error("E0503", span, sentence),
        };
        let mut results = results.into_iter();
        let last = self.rebuild(&ty, &mut results);
        match (emitted, scan.carry.is_some()) {
            (Some((val, _)), true) => Val::Tuple(vec![
                last,
                val.map_leaves(&mut |v| results.next().unwrap_or(v)),
            ]),
            (Some((val, _)), false) => val.map_leaves(&mut |v| results.next().unwrap_or(v)),
            (None, _) => last,
        }
    }

    fn loop_body(&mut self, cx: &mut Cx, body: &Block, init: &Val, carries: bool) -> Val {
        let val = self.block(cx, body, None);
        if !carries {
            return if val.is_poison() { val } else { Val::unit() };
        }
        self.settle_like(cx, val, init)
    }

    /// Compile-time numbers in the dtypes that the state has.
    fn settle_like(&mut self, cx: &mut Cx, val: Val, like: &Val) -> Val {
        match (val, like) {
            (Val::Tuple(vals), Val::Tuple(likes)) if vals.len() == likes.len() => {
                let pairs = vals.into_iter().zip(likes);
                Val::Tuple(pairs.map(|(v, l)| self.settle_like(cx, v, l)).collect())
            }
            (val, Val::Tensor(v)) => {
                let dtype = cx.b.ty(*v).dtype();
                self.settle(cx, val, Some(dtype))
            }
            (val, _) => self.settle(cx, val, None),
        }
    }

    /// The state must keep its type from one iteration to the next.
    fn same_state(&mut self, cx: &Cx, init: &Val, next: &Val, body: &Block) -> bool {
        if next.has_poison() {
            return false;
        }
        let (before, after) = (self.type_of(cx, init), self.type_of(cx, next));
        if before == after {
            return true;
        }
        let at = body.tail.as_ref().map_or(body.span, |tail| tail.span);
        let (before, after) = (self.show(&before), self.show(&after));
        let message =
            format!("the state of the loop starts as `{before}` and goes on as `{after}`");
        self.report(Diagnostic::new("E0503", at, message).label(format!("`{after}`")));
        false
    }

    pub(crate) fn while_expr(&mut self, cx: &mut Cx, looped: &While, span: Span) -> Val {
        let init = self.expr(cx, &looped.carry.init, None);
        let init = self.settle(cx, init, None);
        if init.is_poison() {
            return Val::Poison;
        }
        let max = match &looped.max {
            None => None,
            Some(max) => match self.expr(cx, max, None) {
                Val::Dim(dim) => Some(cx.facts.normalize(dim)),
                Val::Poison => return Val::Poison,
                other => {
                    let message = format!("`max` takes a dimension, not {}", other.kind());
                    return self.error("E0308", max.span, message);
                }
            },
        };
        let ty = self.type_of(cx, &init);
        let types: Vec<Type> = init.leaves().iter().map(|&v| cx.b.ty(v).clone()).collect();
        let values = cx.b.begin_region(&types);
        let mark = cx.enter();
        let state = self.rebuild(&ty, &mut values.into_iter());
        self.bind_pattern(cx, &looped.carry.pattern, state, span);
        let condition = self.expr(cx, &looped.condition, None);
        let condition = self.tensor(cx, condition, Some(DType::Bool), looped.condition.span);
        cx.leave(mark);
        let test = cx.b.end_region(condition.as_slice());
        let values = cx.b.begin_region(&types);
        let mark = cx.enter();
        let state = self.rebuild(&ty, &mut values.into_iter());
        self.bind_pattern(cx, &looped.carry.pattern, state, span);
        cx.emits.push(None);
        let next = self.loop_body(cx, &looped.body, &init, true);
        let emitted = cx.emits.pop().flatten();
        cx.leave(mark);
        let body = cx.b.end_region(&next.leaves());
        if let Some((_, place)) = emitted {
            return self.error(
                "E0504",
                place,
                "a `while` emits nothing: its length is not known",
            );
        }
        let Some(condition) = condition else {
            return Val::Poison;
        };
        if next.is_poison() || !self.same_state(cx, &init, &next, &looped.body) {
            return Val::Poison;
        }
        let condition_ty = cx.b.ty(condition).clone();
        if condition_ty != Type::scalar(DType::Bool) {
            let message = format!("`while` takes a scalar truth value, got `{condition_ty}`");
            return self.error("E0304", looped.condition.span, message);
        }
        match cx
            .b
            .try_op(Op::While { max }, &init.leaves(), vec![test, body])
        {
            Ok(values) => self.rebuild(&ty, &mut values.into_iter()),
            Err(sentence) => self.error("E0503", span, sentence),
        }
    }

    /// `for each p, g in (net, grads)`: the body once per differentiated leaf of the first value.
    pub(crate) fn for_each(&mut self, cx: &mut Cx, each: &ForEach, span: Span) -> Val {
        let vals: Vec<Val> = each.over.iter().map(|e| self.expr(cx, e, None)).collect();
        if vals.iter().any(Val::is_poison) {
            return Val::Poison;
        }
        self.each_leaf(cx, each, &vals, true, span)
    }

    fn each_leaf(
        &mut self,
        cx: &mut Cx,
        each: &ForEach,
        vals: &[Val],
        active: bool,
        span: Span,
    ) -> Val {
        match &vals[0] {
            Val::Record(first) => {
                let fields = self.fields(first.module, &first.args, first.tangent);
                let mut results: Vec<(aiai_ir::Sym, Val)> = Vec::new();
                for (k, (name, ty, role)) in fields.iter().enumerate() {
                    let mut parts = Vec::new();
                    for val in vals {
                        match val {
                            Val::Record(r) if r.module == first.module && k < r.fields.len() => {
                                parts.push(r.fields[k].1.clone());
                            }
                            _ => return self.unlike(each, span),
                        }
                    }
                    let inner = active && super::types::is_differentiable(ty, *role);
                    let val = if inner {
                        self.each_leaf(cx, each, &parts, *role == Role::Param, span)
                    } else {
                        Val::Absent
                    };
                    if val.is_poison() {
                        return Val::Poison;
                    }
                    results.push((*name, val));
                }
                transpose(&results, first)
            }
            Val::List(items) => {
                let mut results = Vec::new();
                for k in 0..items.len() {
                    let mut parts = Vec::new();
                    for val in vals {
                        match val {
                            Val::List(other) if other.len() == items.len() => {
                                parts.push(other[k].clone())
                            }
                            _ => return self.unlike(each, span),
                        }
                    }
                    results.push(self.each_leaf(cx, each, &parts, active, span));
                }
                if results.iter().any(Val::is_poison) {
                    return Val::Poison;
                }
                transpose_list(results)
            }
            Val::Tensor(_) => {
                let mark = cx.enter();
                for (name, val) in each.vars.iter().zip(vals) {
                    cx.bind(name.name, val.clone(), name.span);
                }
                let val = self.block(cx, &each.body, None);
                cx.leave(mark);
                self.like_leaf(cx, each, val, &vals[0])
            }
            other => {
                let message = format!(
                    "`for each` runs over the leaves of modules, not {}",
                    other.kind()
                );
                self.error("E0304", each.over[0].span, message)
            }
        }
    }

    /// What the body gives for a leaf, or each part of it, is of the type of the leaf.
    fn like_leaf(&mut self, cx: &mut Cx, each: &ForEach, val: Val, leaf: &Val) -> Val {
        let ty = self.type_of(cx, leaf);
        let at = each.body.tail.as_ref().map_or(each.body.span, |t| t.span);
        let what = "the leaf that the body of `for each` replaces";
        let fitted = match val {
            Val::Tuple(parts) => {
                let parts = parts.into_iter();
                let mut fit = |part| self.fit(cx, part, &ty, at, what, each.over[0].span);
                parts.map(&mut fit).collect::<Option<_>>().map(Val::Tuple)
            }
            val => self.fit(cx, val, &ty, at, what, each.over[0].span),
        };
        fitted.unwrap_or(Val::Poison)
    }

    fn unlike(&mut self, each: &ForEach, span: Span) -> Val {
        let at = each.over.last().map_or(span, |e| e.span);
        self.error(
            "E0304",
            at,
            "`for each` runs over values of the same module",
        )
    }
}

/// From results per field to one record per result; fields without a result keep the first source's.
fn transpose(results: &[(aiai_ir::Sym, Val)], first: &Record) -> Val {
    let width = results.iter().find_map(|(_, val)| match val {
        Val::Tuple(parts) => Some(parts.len()),
        _ => None,
    });
    let record = |pick: &dyn Fn(&Val) -> Option<Val>| {
        let fields = results
            .iter()
            .zip(&first.fields)
            .map(|((name, val), (_, old))| (*name, pick(val).unwrap_or_else(|| old.clone())));
        let (module, args, tangent) = (first.module, first.args.clone(), first.tangent);
        Val::Record(Box::new(Record {
            module,
            args,
            tangent,
            fields: fields.collect(),
        }))
    };
    let present = |val: &Val| (!matches!(val, Val::Absent)).then(|| val.clone());
    match width {
        None => record(&present),
        Some(width) => Val::Tuple(
            (0..width)
                .map(|k| {
                    record(&|val: &Val| match val {
                        Val::Tuple(parts) => parts.get(k).and_then(|p| match p {
                            Val::Absent => None,
                            p => Some(p.clone()),
                        }),
                        other => present(other),
                    })
                })
                .collect(),
        ),
    }
}

fn transpose_list(results: Vec<Val>) -> Val {
    match results.first() {
        Some(Val::Tuple(parts)) => {
            let width = parts.len();
            let part = |k: usize| {
                let items = results.iter().map(|r| match r {
                    Val::Tuple(parts) => parts.get(k).cloned().unwrap_or(Val::Poison),
                    other => other.clone(),
                });
                Val::List(items.collect())
            };
            Val::Tuple((0..width).map(part).collect())
        }
        _ => Val::List(results),
    }
}
