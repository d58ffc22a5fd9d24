//! Calls: which function is meant, its arguments in their places, and the call itself.

use super::Elaborator;
use super::context::{Cx, Env};
use super::value::{GArg, Record, Ty, Val};
use crate::ast::{self, Arg, Constraint, GenericArg, Ident, Param, TypeDim, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;
use aiai_ir::{DType, Dim, Op, Relation, Sym, Truth, Type, Value};

impl Elaborator<'_> {
    /// `f(args)`: a builtin, a function, a module's constructor, or a conversion.
    pub(crate) fn call(
        &mut self,
        cx: &mut Cx,
        function: Ident,
        generics: &[GenericArg],
        args: &[Arg],
        hint: Option<DType>,
        span: Span,
    ) -> Val {
        let name = function.name;
        if let Some(id) = self.find_fn(name, function.span) {
            return self.call_fn(cx, id, None, generics, args, span);
        }
        if let Some(module) = self.find_module(name, function.span) {
            return self.construct(cx, module, generics, args, span);
        }
        if name.as_str().parse::<DType>().is_ok()
            || matches!(cx.env.bound.get(&name), Some(GArg::DType(_)))
        {
            let mut env = std::mem::take(&mut cx.env);
            let dtype = self.dtype_named(function, &mut env);
            cx.env = env;
            return match dtype {
                Some(dtype) => self.convert(cx, dtype, args, span),
                None => Val::Poison,
            };
        }
        if let Some(builtin) = super::builtins::find(name.as_str()) {
            return self.builtin(cx, builtin, generics, args, hint, span);
        }
        for arg in args {
            self.expr(cx, &arg.value, None);
        }
        self.not_a_function(cx, function)
    }

    /// `receiver.method(args)`, also `Module::<...>.init(...)`.
    pub(crate) fn method(
        &mut self,
        cx: &mut Cx,
        receiver: &ast::Expr,
        method: Ident,
        generics: &[GenericArg],
        args: &[Arg],
        span: Span,
    ) -> Val {
        if let Some((module, module_generics)) = self.module_receiver(cx, receiver) {
            return self.init(cx, module, module_generics, method, args, span);
        }
        let val = self.expr(cx, receiver, None);
        let record = match val {
            Val::Poison => return Val::Poison,
            Val::Record(record) => record,
            other => {
                let name = method.name.as_str();
                let message = format!("{} has no method `{name}`", other.kind());
                let mut diagnostic = Diagnostic::new("E0206", method.span, message);
                let is_function = self.find_fn(method.name, method.span).is_some()
                    || super::builtins::find(name).is_some();
                if is_function {
                    diagnostic = diagnostic.help(format!("call the function: `{name}(x)`"));
                } else if let Some(help) = crate::suggest::foreign_function(name) {
                    diagnostic = diagnostic.help(help);
                }
                return self.fail(diagnostic);
            }
        };
        if let Some(&id) = self.methods.get(&(record.module, method.name)) {
            return self.call_fn(cx, id, Some(*record), generics, args, span);
        }
        if method.name.as_str() == "set" {
            return self.set_fields(cx, *record, args, span);
        }
        let module = self.modules[record.module].def.name;
        let message = format!("`{}` has no method `{}`", module.name, method.name);
        let keys = self.methods.keys().filter(|k| k.0 == record.module);
        let names: Vec<&str> = keys.map(|k| k.1.as_str()).chain(["set"]).collect();
        let members = self.modules[record.module].def.members.iter();
        let own: Vec<String> = members
            .filter_map(|member| match member {
                ast::Member::Fn(method) => Some(format!("`{}`", method.name.name)),
                _ => None,
            })
            .take(6)
            .collect();
        let mut diagnostic = Diagnostic::new("E0206", method.span, message);
        if let Some(near) = crate::suggest::nearest(method.name.as_str(), names) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if !own.is_empty() {
            diagnostic = diagnostic.help(format!("it has {}", own.join(", ")));
        }
        self.fail(diagnostic.related(module.span, "declared here"))
    }

    pub(super) fn module_receiver<'a>(
        &self,
        cx: &Cx,
        receiver: &'a ast::Expr,
    ) -> Option<(usize, &'a [GenericArg])> {
        match &receiver.peel().kind {
            ast::ExprKind::Instance { name, generics } => {
                Some((self.find_module(name.name, name.span)?, generics))
            }
            ast::ExprKind::Name(name) if cx.lookup(name.name).is_none() => {
                Some((self.find_module(name.name, name.span)?, &[]))
            }
            _ => None,
        }
    }

    /// A call of a function or method of the program or the library.
    pub(crate) fn call_fn(
        &mut self,
        cx: &mut Cx,
        id: usize,
        receiver: Option<Record>,
        generics: &[GenericArg],
        args: &[Arg],
        span: Span,
    ) -> Val {
        let def = self.fns[id].def;
        let mut env = match &receiver {
            Some(record) => self.module_env(record.module, &record.args),
            None => Env::default(),
        };
        if !self.bind_generics(cx, def, generics, &mut env, span) {
            return Val::Poison;
        }
        let Some(places) = self.place_args(&def.params, args, def.name, span) else {
            for arg in args {
                self.expr(cx, &arg.value, None);
            }
            return Val::Poison;
        };
        let Some(vals) = self.evaluate_args(cx, def, args, &places, &mut env, span) else {
            return Val::Poison;
        };
        self.default_dtypes(def, &mut env);
        if !self.bounds_hold(def, &env, &vals, span) {
            return Val::Poison;
        }
        let Some(consts) = self.constant_args(cx, def, &vals, &mut env) else {
            return Val::Poison;
        };
        let mut operands = receiver
            .as_ref()
            .map(|record| Val::Record(Box::new(record.clone())).leaves())
            .unwrap_or_default();
        if !self.fit_args(cx, def, vals, &mut env, &mut operands) {
            return Val::Poison;
        }
        let result = match &def.ret {
            Some(ret) => self.resolve_for_call(ret, &mut env, def, span),
            None => Ty::unit(),
        };
        if result == Ty::Error || !self.constraints_hold(cx, &def.constraints, &mut env, def, span)
        {
            return Val::Poison;
        }
        let Some(instance) = self.instance(id, receiver.as_ref(), &env, &consts, span) else {
            return Val::Poison;
        };
        self.emit_call(cx, instance.name, &operands, &result, span)
    }

    /// The arguments in the order of parameters, each with its place; what they bind goes to `env`.
    fn evaluate_args(
        &mut self,
        cx: &mut Cx,
        def: &ast::Function,
        args: &[Arg],
        places: &[Option<usize>],
        env: &mut Env,
        span: Span,
    ) -> Option<Vec<(Val, Span)>> {
        let mut vals = Vec::new();
        let mut poisoned = false;
        for (param, place) in def.params.iter().zip(places) {
            let (val, at) = match (place, &param.default) {
                (Some(at), _) => {
                    let hint = self.param_dtype(param, env);
                    (self.expr(cx, &args[*at].value, hint), args[*at].value.span)
                }
                (None, Some(default)) => (self.constant_default(default), span),
                (None, None) => (Val::Poison, span),
            };
            poisoned |= val.is_poison() || !self.rank_fits(cx, param, &val, at, def.name);
            if !param.constant && !val.is_poison() {
                self.unify(cx, &param.ty, &val, env);
            }
            vals.push((val, at));
        }
        (!poisoned).then_some(vals)
    }

    /// The values of `const` parameters; dimensions among them can be used in types.
    fn constant_args(
        &mut self,
        cx: &Cx,
        def: &ast::Function,
        vals: &[(Val, Span)],
        env: &mut Env,
    ) -> Option<Vec<(Sym, Val)>> {
        let mut consts = Vec::new();
        let rank = first_rank(cx, vals);
        for (param, (val, at)) in def.params.iter().zip(vals).filter(|pair| pair.0.constant) {
            let val = self.constant_arg(cx, param, val.clone(), *at, rank)?;
            if let Val::Dim(dim) = val {
                env.bound.insert(param.name.name, GArg::Dim(dim));
            }
            consts.push((param.name.name, val));
        }
        Some(consts)
    }

    /// Appends the leaves of the other arguments, converted to what the parameters ask for.
    fn fit_args(
        &mut self,
        cx: &mut Cx,
        def: &ast::Function,
        vals: Vec<(Val, Span)>,
        env: &mut Env,
        operands: &mut Vec<Value>,
    ) -> bool {
        for (param, (val, at)) in def.params.iter().zip(vals).filter(|pair| !pair.0.constant) {
            let ty = self.resolve_for_call(&param.ty, env, def, at);
            let what = format!("parameter `{}` of `{}`", param.name.name, def.name.name);
            let Some(val) = self.fit(cx, val, &ty, at, &what, param.span) else {
                return false;
            };
            if param.own {
                val.for_each_leaf(&mut |leaf| {
                    cx.spent.insert(leaf, at);
                });
            }
            self.spend_keys(cx, &val, at);
            operands.extend(val.leaves());
        }
        true
    }

    /// Appends the call and gives its results the structure of the declared type.
    pub(super) fn emit_call(
        &mut self,
        cx: &mut Cx,
        callee: Sym,
        operands: &[Value],
        result: &Ty,
        span: Span,
    ) -> Val {
        let types: Vec<Type> = operands.iter().map(|&v| cx.b.ty(v).clone()).collect();
        let Some(function) = self.module.get(callee) else {
            return Val::Poison;
        };
        let results = match function.call_types(&types) {
            Ok(results) => results,
            // The callee is not what it says, which is reported there.
            Err(_) if self.diagnostics.count() > 0 => return Val::Poison,
            Err(sentence) => return self.error("E0301", span, format!("`{callee}` {sentence}")),
        };
        let binding = function.bind(&types).unwrap_or_default();
        for require in function.requires.clone() {
            let dim = require.dim.substitute(&|sym| binding.get(&sym).copied());
            let loc = self.sources.loc(span);
            if !cx.require(require.relation, dim, &require.message, loc) {
                let message = format!("this call breaks a condition: {}", require.message);
                return self.error("E0306", span, message);
            }
        }
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(span));
        let values =
            cx.b.try_op(Op::Call { callee, results }, operands, Vec::new());
        cx.b.loc = outer;
        match values {
            Ok(values) => self.rebuild(result, &mut values.into_iter()),
            Err(sentence) => self.error("E0301", span, sentence),
        }
    }

    /// For each parameter, the argument that it gets.
    pub(super) fn place_args(
        &mut self,
        params: &[Param],
        args: &[Arg],
        name: Ident,
        span: Span,
    ) -> Option<Vec<Option<usize>>> {
        let mut places = vec![None; params.len()];
        let mut next = 0;
        for (at, arg) in args.iter().enumerate() {
            let place = match arg.name {
                Some(label) => match params.iter().position(|p| p.name.name == label.name) {
                    Some(place) => place,
                    None => {
                        let message = format!("`{}` has no parameter `{}`", name.name, label.name);
                        let mut diagnostic = Diagnostic::new("E0303", label.span, message);
                        let names = params.iter().map(|p| p.name.name.as_str());
                        if let Some(near) = crate::suggest::nearest(label.name.as_str(), names) {
                            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                        }
                        self.report(diagnostic.related(name.span, "declared here"));
                        return None;
                    }
                },
                None if args[..at].iter().any(|before| before.name.is_some()) => {
                    let message = "an argument by position behind one by name";
                    let diagnostic = Diagnostic::new("E0303", arg.value.span, message);
                    self.report(diagnostic.help("give it by name too, or before the others"));
                    return None;
                }
                None => next,
            };
            if place >= params.len() {
                let plural = if params.len() == 1 { "" } else { "s" };
                let message = format!(
                    "`{}` takes {} argument{plural}, got {}",
                    name.name,
                    params.len(),
                    args.len()
                );
                self.report(
                    Diagnostic::new("E0303", arg.value.span, message)
                        .related(name.span, "declared here"),
                );
                return None;
            }
            if places[place].is_some() {
                let message = format!("`{}` is given twice", params[place].name.name);
                self.report(Diagnostic::new("E0303", arg.span(), message));
                return None;
            }
            places[place] = Some(at);
            next = place + 1;
        }
        for (param, place) in params.iter().zip(&places) {
            if place.is_none() && param.default.is_none() {
                let message = format!("`{}` misses its argument `{}`", name.name, param.name.name);
                self.report(
                    Diagnostic::new("E0303", span, message).related(param.span, "declared here"),
                );
                return None;
            }
        }
        Some(places)
    }

    /// Whether a tensor has as many axes as the parameter asks for; reported if not.
    pub(super) fn rank_fits(
        &mut self,
        cx: &Cx,
        param: &Param,
        val: &Val,
        at: Span,
        function: Ident,
    ) -> bool {
        let (TypeKind::Tensor { elem, dims }, Val::Tensor(value)) = (&param.ty.kind, val) else {
            return true;
        };
        let found = cx.b.ty(*value).clone();
        let fixed = dims
            .iter()
            .filter(|dim| matches!(dim, TypeDim::Dim(_)))
            .count();
        let fits = if fixed == dims.len() {
            found.rank() == fixed
        } else {
            found.rank() >= fixed
        };
        if !fits {
            let written = self.sources.text(param.ty.span).to_owned();
            let message = format!(
                "parameter `{}` of `{}` is `{written}`, got `{found}`",
                param.name.name, function.name
            );
            let axes = |n: usize| format!("{n} {}", if n == 1 { "axis" } else { "axes" });
            let least = if fixed == dims.len() { "" } else { "at least " };
            let diagnostic = Diagnostic::new("E0301", at, message)
                .label(format!("this has {}", axes(found.rank())))
                .related(
                    param.span,
                    format!("declared with {least}{} of `{}`", axes(fixed), elem.name),
                );
            self.report(diagnostic);
        }
        fits
    }

    /// A type of the signature, in the caller's dimensions.
    pub(super) fn resolve_for_call(
        &mut self,
        written: &TypeExpr,
        env: &mut Env,
        def: &ast::Function,
        at: Span,
    ) -> Ty {
        let before = self.diagnostics.count();
        let ty = self.resolve(written, env);
        if self.diagnostics.count() > before {
            // What cannot be found out depends on this call.
            let found = self.diagnostics.take_from(before);
            for diagnostic in found {
                let moved = Diagnostic::new(diagnostic.code, at, diagnostic.message).related(
                    diagnostic.span,
                    format!("in the signature of `{}`", def.name.name),
                );
                self.report(moved.help("name it at the call: `f::<...>(...)`"));
            }
        }
        ty
    }

    /// Whether a call keeps the `where` clause; what is not known becomes a condition of the caller.
    pub(super) fn constraints_hold(
        &mut self,
        cx: &mut Cx,
        constraints: &[Constraint],
        env: &mut Env,
        def: &ast::Function,
        span: Span,
    ) -> bool {
        for constraint in constraints {
            let Some((relation, dim, text)) = self.constraint(constraint, env) else {
                continue;
            };
            let known = cx.facts.check(relation, dim);
            if known == Truth::True {
                continue;
            }
            let equality = relation == Relation::Zero;
            if known == Truth::False
                || (equality && known == Truth::Unknown && dim.as_const().is_none() && !cx.env.open)
            {
                let verb = if known == Truth::False {
                    "does not hold"
                } else {
                    "is not known to hold"
                };
                let message = format!("`{text}` {verb} at this call of `{}`", def.name.name);
                let mut diagnostic = Diagnostic::new("E0306", span, message);
                if let Some(here) = self.with_values(constraint, env) {
                    diagnostic = diagnostic.label(format!("here `{here}`"));
                } else if known == Truth::Unknown {
                    diagnostic = diagnostic
                        .help("say so in a `where` clause of this function or its module");
                }
                self.report(diagnostic.related(constraint.span, "required here"));
                return false;
            }
            let loc = self.sources.loc(constraint.span);
            cx.require(relation, dim, &text, loc);
        }
        true
    }

    /// A clause with the values of its sides, where they are numbers.
    fn with_values(&mut self, constraint: &Constraint, env: &mut Env) -> Option<String> {
        let Constraint { op, lhs, rhs, .. } = constraint;
        let (a, b) = (self.static_dim(lhs, env)?, self.static_dim(rhs, env)?);
        let (a, b) = (a.as_const()?, b.as_const()?);
        let sign = match op {
            ast::CompareOp::Eq => "==",
            ast::CompareOp::Ne => "!=",
            ast::CompareOp::Ge => ">=",
            ast::CompareOp::Gt => ">",
            ast::CompareOp::Le => "<=",
            ast::CompareOp::Lt => "<",
        };
        Some(format!("{a} {sign} {b}"))
    }

    /// A clause as `dim relation 0`, and its text.
    pub(crate) fn constraint(
        &mut self,
        constraint: &Constraint,
        env: &mut Env,
    ) -> Option<(Relation, Dim, String)> {
        let Constraint { op, lhs, rhs, span } = constraint;
        let (a, b) = (self.static_dim(lhs, env)?, self.static_dim(rhs, env)?);
        let one = Dim::from(1);
        let (relation, dim) = match op {
            ast::CompareOp::Eq => (Relation::Zero, a - b),
            ast::CompareOp::Ne => (Relation::NonZero, a - b),
            ast::CompareOp::Ge => (Relation::NonNegative, a - b),
            ast::CompareOp::Gt => (Relation::NonNegative, a - b - one),
            ast::CompareOp::Le => (Relation::NonNegative, b - a),
            ast::CompareOp::Lt => (Relation::NonNegative, b - a - one),
        };
        Some((relation, dim, self.sources.text(*span).to_owned()))
    }

    pub(crate) fn spend_keys(&mut self, cx: &mut Cx, val: &Val, at: Span) {
        match val {
            Val::Key(value) => {
                let outside = cx.floors.last().is_some_and(|&floor| value.0 < floor);
                if outside && !cx.spent.contains_key(value) {
                    let message = "a key from outside of the loop is used in every iteration";
                    let help = "carry it: `with (x, key) = (x0, key)`, and split it in the body";
                    self.report(Diagnostic::new("E0502", at, message).help(help));
                }
                cx.spent.insert(*value, at);
            }
            Val::Tuple(parts) | Val::List(parts) => {
                parts.iter().for_each(|part| self.spend_keys(cx, part, at));
            }
            _ => {}
        }
    }
}

/// The rank of the first tensor among the arguments.
pub(super) fn first_rank(cx: &Cx, vals: &[(Val, Span)]) -> Option<usize> {
    vals.iter().find_map(|(val, _)| match val {
        Val::Tensor(value) => Some(cx.b.ty(*value).rank()),
        _ => None,
    })
}
