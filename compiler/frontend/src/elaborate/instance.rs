//! Calls: arguments to parameters, generic names to what they stand for, and one IR function for
//! every distinct instance.

use std::collections::{BTreeMap, HashSet};

use aiai_ir::{
    Builder, DType, Dim, Function, Library, Literal, Op, Relation, Require, Scalar, Sym, Truth,
    Type, Value,
};

use super::Elaborator;
use super::context::{Cx, Env};
use super::types::Role;
use super::value::{GArg, Record, Ty, Val};
use crate::ast::{self, Arg, Constraint, GenericArg, Ident, Param, TypeDim, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Functions may call one another this deep.
const MAX_CALL_DEPTH: usize = 64;

/// An IR function that exists.
#[derive(Clone)]
pub(crate) struct Instance {
    pub name: Sym,
}

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
        self.unknown_function(function)
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
                let message = format!("{} has no method `{}`", other.kind(), method.name);
                return self.error("E0206", method.span, message);
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
        let names: Vec<&str> = self
            .methods
            .keys()
            .filter(|k| k.0 == record.module)
            .map(|k| k.1.as_str())
            .chain(["set"])
            .collect();
        let mut diagnostic = Diagnostic::new("E0206", method.span, message);
        if let Some(near) = super::suggest::nearest(method.name.as_str(), names) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.fail(diagnostic.related(module.span, "declared here"))
    }

    fn module_receiver<'a>(
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
        let mut vals: Vec<(Val, Span)> = Vec::new();
        let mut poisoned = false;
        for (param, place) in def.params.iter().zip(&places) {
            let (val, at) = match place {
                Some(at) => {
                    let hint = self.param_dtype(param, &env);
                    (self.expr(cx, &args[*at].value, hint), args[*at].value.span)
                }
                None => match &param.default {
                    Some(default) => (self.constant_default(default), span),
                    None => (Val::Poison, span),
                },
            };
            if !self.rank_fits(cx, param, &val, at, def.name) {
                poisoned = true;
            }
            poisoned |= val.is_poison();
            if !param.constant && !val.is_poison() {
                self.unify(cx, &param.ty, &val, &mut env);
            }
            vals.push((val, at));
        }
        if poisoned {
            return Val::Poison;
        }
        self.default_dtypes(def, &mut env);
        let mut operands = Vec::new();
        let mut consts: Vec<(Sym, Val)> = Vec::new();
        for (param, (val, at)) in def.params.iter().zip(&vals) {
            if param.constant {
                let rank = first_rank(cx, &vals);
                match self.constant_arg(cx, param, val.clone(), *at, rank) {
                    Some(val) => {
                        if let Val::Dim(dim) = val {
                            env.bound.insert(param.name.name, GArg::Dim(dim));
                        }
                        consts.push((param.name.name, val));
                    }
                    None => return Val::Poison,
                }
            }
        }
        let mut actuals = Vec::new();
        for (param, (val, at)) in def.params.iter().zip(vals) {
            if param.constant {
                continue;
            }
            let ty = self.resolve_for_call(&param.ty, &mut env, def, at);
            let what = format!("parameter `{}` of `{}`", param.name.name, def.name.name);
            let Some(val) = self.fit(cx, val, &ty, at, &what, param.span) else {
                return Val::Poison;
            };
            if param.own {
                val.for_each_leaf(&mut |leaf| {
                    cx.spent.insert(leaf, at);
                });
            }
            self.spend_keys(cx, &val, at);
            operands.extend(val.leaves());
            actuals.push(val);
        }
        if let Some(record) = &receiver {
            let all = Val::Record(Box::new(record.clone())).leaves();
            operands.splice(0..0, all);
        }
        let result = match &def.ret {
            Some(ret) => self.resolve_for_call(ret, &mut env, def, span),
            None => Ty::unit(),
        };
        if result == Ty::Error {
            return Val::Poison;
        }
        if !self.constraints_hold(cx, &def.constraints, &mut env, def, span) {
            return Val::Poison;
        }
        let Some(instance) = self.instance(id, receiver.as_ref(), &env, &consts, span) else {
            return Val::Poison;
        };
        self.emit_call(cx, instance.name, &operands, &result, span)
    }

    /// Appends the call and gives its results the structure of the declared type.
    fn emit_call(
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

    /// A value of the type, its tensors taken in the order of leaves.
    pub(crate) fn rebuild(&mut self, ty: &Ty, values: &mut impl Iterator<Item = Value>) -> Val {
        match ty {
            Ty::Tensor { .. } => values.next().map_or(Val::Poison, Val::Tensor),
            Ty::Key => values.next().map_or(Val::Poison, Val::Key),
            Ty::Tuple(parts) => Val::Tuple(
                parts
                    .iter()
                    .map(|part| self.rebuild(part, values))
                    .collect(),
            ),
            Ty::List(element, count) => {
                Val::List((0..*count).map(|_| self.rebuild(element, values)).collect())
            }
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let mut fields = Vec::new();
                for (name, ty, role) in self.fields(*module, args, *tangent) {
                    let absent = *tangent && !super::types::is_differentiable(&ty, role);
                    let val = if absent {
                        Val::Absent
                    } else {
                        self.rebuild(&ty, values)
                    };
                    fields.push((name, val));
                }
                let (module, args, tangent) = (*module, args.clone(), *tangent);
                Val::Record(Box::new(Record {
                    module,
                    args,
                    tangent,
                    fields,
                }))
            }
            Ty::Error => Val::Poison,
        }
    }

    /// The type of a value.
    pub(crate) fn type_of(&self, cx: &Cx, val: &Val) -> Ty {
        match val {
            Val::Tensor(v) => {
                let ty = cx.b.ty(*v);
                Ty::Tensor {
                    dtype: ty.dtype(),
                    shape: ty.shape().to_vec(),
                }
            }
            Val::Key(_) => Ty::Key,
            Val::Tuple(parts) => Ty::Tuple(parts.iter().map(|p| self.type_of(cx, p)).collect()),
            Val::List(parts) => {
                let element = parts.first().map_or(Ty::Error, |p| self.type_of(cx, p));
                Ty::List(Box::new(element), parts.len())
            }
            Val::Record(r) => Ty::Record {
                module: r.module,
                args: r.args.clone(),
                tangent: r.tangent,
            },
            Val::Dim(_) => Ty::Tensor {
                dtype: DType::I64,
                shape: Vec::new(),
            },
            Val::Float(_) => Ty::Tensor {
                dtype: DType::F32,
                shape: Vec::new(),
            },
            Val::Bool(_) => Ty::Tensor {
                dtype: DType::Bool,
                shape: Vec::new(),
            },
            Val::Str(_) | Val::Absent | Val::All | Val::Poison => Ty::Error,
        }
    }

    /// For each parameter, the argument that it gets.
    fn place_args(
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
                        if let Some(near) = super::suggest::nearest(label.name.as_str(), names) {
                            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                        }
                        self.report(diagnostic.related(name.span, "declared here"));
                        return None;
                    }
                },
                None => next,
            };
            if place >= params.len() {
                let message = format!(
                    "`{}` takes {} arguments, got {}",
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
    fn rank_fits(&mut self, cx: &Cx, param: &Param, val: &Val, at: Span, function: Ident) -> bool {
        let (TypeKind::Tensor { elem, dims }, Val::Tensor(value)) = (&param.ty.kind, val) else {
            return true;
        };
        let found = cx.b.ty(*value).clone();
        let fixed = dims.iter().filter(|dim| matches!(dim, TypeDim::Dim(_))).count();
        let fits = if fixed == dims.len() { found.rank() == fixed } else { found.rank() >= fixed };
        if !fits {
            let written = self.sources.text(param.ty.span).to_owned();
            let message = format!("parameter `{}` of `{}` is `{written}`, got `{found}`", param.name.name, function.name);
            let axes = |n: usize| format!("{n} {}", if n == 1 { "axis" } else { "axes" });
            let least = if fixed == dims.len() { "" } else { "at least " };
            let diagnostic = Diagnostic::new("E0301", at, message)
                .label(format!("this has {}", axes(found.rank())))
                .related(param.span, format!("declared with {least}{} of `{}`", axes(fixed), elem.name));
            self.report(diagnostic);
        }
        fits
    }

    fn bind_generics(
        &mut self,
        cx: &mut Cx,
        def: &ast::Function,
        generics: &[GenericArg],
        env: &mut Env,
        span: Span,
    ) -> bool {
        if generics.is_empty() {
            return true;
        }
        let has_pack = def.generics.iter().any(|generic| generic.pack);
        if def.generics.len() < generics.len() && !has_pack {
            let message = format!(
                "`{}` takes {} generic arguments",
                def.name.name,
                def.generics.len()
            );
            self.report(
                Diagnostic::new("E0303", span, message).related(def.name.span, "declared here"),
            );
            return false;
        }
        let mut caller = std::mem::take(&mut cx.env);
        let mut given = generics.iter();
        let mut ok = true;
        for param in &def.generics {
            let arg = if param.pack {
                let dims: Option<Vec<Dim>> = given
                    .by_ref()
                    .map(|g| match self.generic_arg(g, false, &mut caller) {
                        Some(GArg::Dim(dim)) => Some(vec![dim]),
                        Some(GArg::Pack(pack)) => Some(pack),
                        _ => None,
                    })
                    .collect::<Option<Vec<_>>>()
                    .map(|parts| parts.concat());
                dims.map(GArg::Pack)
            } else {
                match given.next() {
                    Some(arg) => {
                        let is_type = param.bound.is_some_and(|b| b.name.as_str() == "module");
                        self.generic_arg(arg, is_type, &mut caller)
                    }
                    None => continue,
                }
            };
            match arg {
                Some(arg) => {
                    env.bound.insert(param.name.name, arg);
                }
                None => ok = false,
            }
        }
        cx.env = caller;
        ok
    }

    /// Generic dtypes that no argument binds are f32.
    fn default_dtypes(&mut self, def: &ast::Function, env: &mut Env) {
        for param in &def.generics {
            let is_dtype = param.bound.is_some_and(|b| b.name.as_str() != "module");
            if is_dtype && !env.bound.contains_key(&param.name.name) {
                env.bound.insert(param.name.name, GArg::DType(DType::F32));
            }
        }
    }

    /// The dtype that a parameter wants, where that is known already.
    fn param_dtype(&self, param: &Param, env: &Env) -> Option<DType> {
        let name = match &param.ty.kind {
            TypeKind::Tensor { elem, .. } => elem.name,
            TypeKind::Named { name, args } if args.is_empty() => name.name,
            _ => return None,
        };
        match env.bound.get(&name) {
            Some(GArg::DType(dtype)) => Some(*dtype),
            _ => name.as_str().parse().ok(),
        }
    }

    /// A default: a literal.
    pub(crate) fn default_value(&mut self, default: &ast::Expr) -> Val {
        self.constant_default(default)
    }

    fn constant_default(&mut self, default: &ast::Expr) -> Val {
        use crate::ast::{ExprKind, UnaryOp};
        match &default.peel().kind {
            ExprKind::Int { value, .. } => Val::Dim(Dim::from(*value as i64)),
            ExprKind::Float { value, .. } => Val::Float(*value),
            ExprKind::Inf => Val::Float(f64::INFINITY),
            ExprKind::Bool(value) => Val::Bool(*value),
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => match self.constant_default(operand) {
                Val::Dim(d) => Val::Dim(-d),
                Val::Float(x) => Val::Float(-x),
                _ => Val::Poison,
            },
            _ => self.error("E0308", default.span, "a default must be a literal"),
        }
    }

    /// The compile-time argument of a `const` parameter.
    fn constant_arg(
        &mut self,
        cx: &Cx,
        param: &Param,
        val: Val,
        at: Span,
        rank: Option<usize>,
    ) -> Option<Val> {
        let wanted = match &param.ty.kind {
            TypeKind::Named { name, .. } => name.name.as_str(),
            _ => "",
        };
        let val = match (wanted, val) {
            ("f64" | "f32", Val::Dim(d)) => Val::Float(d.as_const()? as f64),
            ("f64" | "f32", val @ Val::Float(_)) | ("bool", val @ Val::Bool(_)) => val,
            ("i64" | "i32", Val::Dim(d)) => Val::Dim(cx.facts.normalize(d)),
            (_, val @ Val::Tuple(_)) if wanted.is_empty() => val,
            (_, val) => {
                let message = format!("`{}` must be known at compile time", param.name.name);
                let label = format!("this is {}", val.kind());
                let diagnostic = Diagnostic::new("E0308", at, message).label(label);
                self.report(diagnostic.related(param.span, "declared `const` here"));
                return None;
            }
        };
        // An axis counts from the front or, if negative, from the back of the first tensor.
        if let (Val::Dim(d), Some(rank), "axis") = (&val, rank, param.name.name.as_str()) {
            let axis = d.as_const()?;
            let rank = rank as i64;
            if axis < -rank || axis >= rank {
                let message = format!("axis {axis} is out of range for rank {rank}");
                self.report(Diagnostic::new("E0307", at, message));
                return None;
            }
            return Some(Val::Dim(Dim::from(axis.rem_euclid(rank))));
        }
        Some(val)
    }

    /// Binds the generic names of a written type to what the value has in their places.
    pub(crate) fn unify(&mut self, cx: &Cx, written: &TypeExpr, val: &Val, env: &mut Env) {
        match (&written.kind, val) {
            (TypeKind::Tensor { elem, dims }, Val::Tensor(value)) => {
                let ty = cx.b.ty(*value);
                if elem.name.as_str().parse::<DType>().is_err() {
                    env.bound
                        .entry(elem.name)
                        .or_insert(GArg::DType(ty.dtype()));
                }
                bind_dims(dims, ty.shape(), env);
            }
            (TypeKind::Named { name, args }, val) => {
                if let (Val::Record(record), true) = (val, !args.is_empty()) {
                    let args = match (name.name.as_str(), &args[..]) {
                        // `Grad<M>`
                        ("Grad", [GenericArg::Name(inner)]) => {
                            let (module, args) = (record.module, record.args.clone());
                            let ty = Ty::Record {
                                module,
                                args,
                                tangent: false,
                            };
                            env.bound.entry(inner.name).or_insert(GArg::Ty(ty));
                            return;
                        }
                        ("Grad", [GenericArg::Type(inner)]) => {
                            return self.unify(cx, inner, val, env);
                        }
                        _ => args,
                    };
                    self.unify_args(args, &record.args, env);
                } else if args.is_empty()
                    && name.name.as_str().parse::<DType>().is_err()
                    && !self.is_module(name.name)
                    && name.name.as_str() != "Key"
                {
                    let bound = match self.type_of(cx, val) {
                        Ty::Tensor { dtype, shape } if shape.is_empty() => GArg::DType(dtype),
                        ty => GArg::Ty(ty),
                    };
                    env.bound.entry(name.name).or_insert(bound);
                }
            }
            (TypeKind::Tuple(parts), Val::Tuple(vals)) => {
                for (part, val) in parts.iter().zip(vals) {
                    self.unify(cx, part, val, env);
                }
            }
            (TypeKind::List { elem, len }, Val::List(vals)) => {
                if let Some(first) = vals.first() {
                    self.unify(cx, elem, first, env);
                }
                if let Some(name) = len.as_name() {
                    env.bound
                        .entry(name.name)
                        .or_insert(GArg::Dim(Dim::from(vals.len())));
                }
            }
            _ => {}
        }
    }

    fn unify_args(&mut self, written: &[GenericArg], actual: &[GArg], env: &mut Env) {
        for (written, actual) in written.iter().zip(actual) {
            match (written, actual) {
                (GenericArg::Name(name), actual) if !self.is_module(name.name) => {
                    env.bound.entry(name.name).or_insert(actual.clone());
                }
                (GenericArg::Type(ty), GArg::Ty(Ty::Record { args: actual, .. })) => {
                    if let TypeKind::Named { args, .. } = &ty.kind {
                        self.unify_args(args, actual, env);
                    }
                }
                _ => {}
            }
        }
    }

    /// A type of the signature, in the caller's dimensions.
    fn resolve_for_call(
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

    /// The value as one of the type: literals converted, shapes checked against what is known.
    pub(crate) fn fit(
        &mut self,
        cx: &mut Cx,
        val: Val,
        ty: &Ty,
        at: Span,
        what: &str,
        declared: Span,
    ) -> Option<Val> {
        match (val, ty) {
            (Val::Poison, _) | (_, Ty::Error) => None,
            (val @ (Val::Dim(_) | Val::Float(_) | Val::Bool(_)), Ty::Tensor { dtype, shape }) => {
                let value = self.tensor(cx, val, Some(*dtype), at)?;
                if !shape.is_empty() {
                    return self.misfit(cx, Val::Tensor(value), ty, at, what, declared);
                }
                Some(Val::Tensor(value))
            }
            (Val::Tensor(value), Ty::Tensor { dtype, shape }) => {
                let actual = cx.b.ty(value).clone();
                let fits = actual.dtype() == *dtype
                    && actual.rank() == shape.len()
                    && actual
                        .shape()
                        .iter()
                        .zip(shape)
                        .all(|(a, b)| cx.equal(*a, *b));
                if !fits {
                    return self.misfit(cx, Val::Tensor(value), ty, at, what, declared);
                }
                // Into the declared form, where it is only known to be equal.
                let shape: Vec<Dim> = shape.iter().map(|d| cx.facts.normalize(*d)).collect();
                Some(Val::Tensor(cx.b.reshape(value, &shape)))
            }
            (val @ Val::Key(_), Ty::Key) => Some(val),
            (Val::Tensor(value), Ty::Key)
                if *cx.b.ty(value) == Type::tensor(DType::U32, [Dim::from(2)]) =>
            {
                Some(Val::Key(value))
            }
            (Val::Tuple(vals), Ty::Tuple(parts)) if vals.len() == parts.len() => {
                let pairs = vals.into_iter().zip(parts);
                let fitted: Option<Vec<Val>> = pairs
                    .map(|(v, t)| self.fit(cx, v, t, at, what, declared))
                    .collect();
                fitted.map(Val::Tuple)
            }
            (Val::List(vals), Ty::List(element, count)) if vals.len() == *count => {
                let fitted: Option<Vec<Val>> = vals
                    .into_iter()
                    .map(|v| self.fit(cx, v, element, at, what, declared))
                    .collect();
                fitted.map(Val::List)
            }
            (
                Val::Record(record),
                Ty::Record {
                    module,
                    args,
                    tangent,
                },
            ) => {
                let same = record.module == *module
                    && record.tangent == *tangent
                    && record
                        .args
                        .iter()
                        .zip(args)
                        .all(|(a, b)| same_arg(cx, a, b));
                if !same {
                    return self.misfit(cx, Val::Record(record), ty, at, what, declared);
                }
                Some(Val::Record(Box::new(Record {
                    args: args.clone(),
                    ..*record
                })))
            }
            (val, ty) => self.misfit(cx, val, ty, at, what, declared),
        }
    }

    fn misfit(
        &mut self,
        cx: &Cx,
        val: Val,
        ty: &Ty,
        at: Span,
        what: &str,
        declared: Span,
    ) -> Option<Val> {
        let wanted = self.show(ty);
        let found = match &val {
            Val::Str(_) | Val::All | Val::Absent => val.kind().to_owned(),
            val => format!("`{}`", self.show(&self.type_of(cx, val))),
        };
        let code = match (&val, ty) {
            (Val::Tensor(v), Ty::Tensor { dtype, .. }) if cx.b.ty(*v).dtype() != *dtype => "E0302",
            (Val::Tensor(_), Ty::Tensor { .. }) => "E0301",
            _ => "E0304",
        };
        let message = format!("{what} is `{wanted}`, got {found}");
        let mut diagnostic = Diagnostic::new(code, at, message).label(format!("this is {found}"));
        if let (Val::Tensor(v), Ty::Tensor { shape, dtype }) = (&val, ty) {
            let actual = cx.b.ty(*v);
            let differ = actual
                .shape()
                .iter()
                .zip(shape)
                .find(|(a, b)| !cx.equal(**a, **b));
            if actual.dtype() != *dtype {
                diagnostic = diagnostic.help(format!("convert it: `{dtype}(...)`"));
            } else if let (Some((a, b)), true) = (differ, actual.rank() == shape.len()) {
                diagnostic = diagnostic.help(format!("`{a}` here is not known to be `{b}`"));
            }
        }
        self.report(diagnostic.related(declared, format!("declared `{wanted}` here")));
        None
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

    /// Whether a call keeps the `where` clause; what is not known becomes a condition of the caller.
    fn constraints_hold(
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
                let diagnostic = Diagnostic::new("E0306", span, message);
                self.report(diagnostic.related(constraint.span(), "required here"));
                return false;
            }
            let loc = self.sources.loc(constraint.span());
            cx.require(relation, dim, &text, loc);
        }
        true
    }

    /// A clause as `dim relation 0`, and its text.
    pub(crate) fn constraint(
        &mut self,
        constraint: &Constraint,
        env: &mut Env,
    ) -> Option<(Relation, Dim, String)> {
        let Constraint::Compare { op, lhs, rhs, span } = constraint else {
            return None;
        };
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

    /// The IR function for a call with the given bindings.
    fn instance(
        &mut self,
        id: usize,
        receiver: Option<&Record>,
        env: &Env,
        consts: &[(Sym, Val)],
        span: Span,
    ) -> Option<Instance> {
        let inner = self.callee_env(env, &self.fns[id].def.params, receiver);
        let key = self.instance_key(id, &inner, consts);
        if let Some(known) = self.instances.get(&key) {
            return known.clone();
        }
        if self.stack.contains(&id) {
            let name = self.fns[id].def.name;
            let message = format!("`{}` calls itself", name.name);
            let diagnostic =
                Diagnostic::new("E0204", span, message).related(name.span, "declared here");
            self.report(diagnostic.help("use `for` or `while`: functions do not recurse"));
            return None;
        }
        if self.stack.len() >= MAX_CALL_DEPTH {
            let message = format!("calls nest more than {MAX_CALL_DEPTH} deep");
            self.report(Diagnostic::new("E0801", span, message));
            return None;
        }
        self.instances.insert(key.clone(), None);
        let before = self.diagnostics.count();
        let receiver_ty = receiver.map(|r| {
            let names = self.modules[r.module]
                .def
                .generics
                .iter()
                .map(|g| g.name.name);
            let args = names.map(|n| {
                inner
                    .bound
                    .get(&n)
                    .cloned()
                    .unwrap_or(GArg::Dim(Dim::from(0)))
            });
            Ty::Record {
                module: r.module,
                args: args.collect(),
                tangent: r.tangent,
            }
        });
        let function = self.build(id, receiver_ty, inner, consts, &key);
        self.blame_call(id, before, span);
        let instance = Instance {
            name: function.name,
        };
        if self.diagnostics.count() > before {
            return None;
        }
        self.module.insert(function);
        self.instances.insert(key, Some(instance.clone()));
        Some(instance)
    }

    /// Findings inside a library function are about the call that brought them about.
    fn blame_call(&mut self, id: usize, before: usize, span: Span) {
        if !self.fns[id].library || self.diagnostics.count() == before {
            return;
        }
        let name = self.fns[id].def.name.name;
        let found = self.diagnostics.take_from(before);
        if let Some(first) = found.into_iter().next() {
            let diagnostic =
                Diagnostic::new(first.code, span, format!("in `{name}`: {}", first.message))
                    .related(first.span, first.label);
            self.report(diagnostic);
        }
    }

    /// The environment inside the callee: constants stay, other dimensions become symbols of its own,
    /// bound by the shapes of arguments. Those that no argument binds stay as the caller has them.
    fn callee_env(&mut self, env: &Env, params: &[Param], receiver: Option<&Record>) -> Env {
        let mut inner = self.own_env(env);
        let mut bare: HashSet<Sym> = HashSet::new();
        let mut leaves = Vec::new();
        for param in params.iter().filter(|p| !p.constant) {
            let ty = self.resolve(&param.ty, &mut inner);
            self.leaves(&ty, "", Role::Param, &mut leaves);
        }
        if let Some(record) = receiver {
            let names = self.modules[record.module]
                .def
                .generics
                .iter()
                .map(|g| g.name.name);
            let args = names.filter_map(|n| inner.bound.get(&n).cloned()).collect();
            let ty = Ty::Record {
                module: record.module,
                args,
                tangent: record.tangent,
            };
            self.leaves(&ty, "", Role::Param, &mut leaves);
        }
        bare.extend(
            leaves
                .iter()
                .flat_map(|l| &l.shape)
                .filter_map(|d| d.as_sym()),
        );
        let bound =
            |dim: Dim| dim.as_const().is_some() || dim.as_sym().is_some_and(|s| bare.contains(&s));
        for (name, arg) in &mut inner.bound {
            match (arg, env.bound.get(name)) {
                (GArg::Dim(mine), Some(GArg::Dim(theirs))) if !bound(*mine) => *mine = *theirs,
                (GArg::Pack(mine), Some(GArg::Pack(theirs))) => {
                    for (mine, theirs) in mine.iter_mut().zip(theirs) {
                        if !bound(*mine) {
                            *mine = *theirs;
                        }
                    }
                }
                _ => {}
            }
        }
        inner
    }

    fn own_env(&self, env: &Env) -> Env {
        let mut inner = Env::default();
        for (name, arg) in &env.bound {
            let arg = match arg {
                GArg::Dim(dim) => GArg::Dim(own_symbol(*dim, name.as_str())),
                GArg::Pack(pack) => GArg::Pack(
                    (0..pack.len())
                        .map(|i| Dim::sym(format!("{name}{i}").as_str()))
                        .collect(),
                ),
                GArg::DType(dtype) => GArg::DType(*dtype),
                GArg::Ty(ty) => GArg::Ty(own_type(ty, name.as_str())),
            };
            inner.bound.insert(*name, arg);
        }
        let rest = env.rest.as_ref();
        inner.rest = rest.map(|rest| {
            (0..rest.len())
                .map(|i| Dim::sym(format!("_{i}").as_str()))
                .collect()
        });
        inner
    }

    /// A name that tells instances apart and can be read.
    fn instance_key(&self, id: usize, env: &Env, consts: &[(Sym, Val)]) -> String {
        let info = &self.fns[id];
        let mut key = match info.owner {
            Some(owner) => format!(
                "{}.{}",
                self.modules[owner].def.name.name, info.def.name.name
            ),
            None => info.def.name.name.to_string(),
        };
        if !info.library {
            key = format!("{key}#{id}");
        }
        let sorted: BTreeMap<Sym, &GArg> = env.bound.iter().map(|(n, a)| (*n, a)).collect();
        let mut parts = Vec::new();
        for (name, arg) in sorted {
            match arg {
                GArg::Dim(dim) if *dim == Dim::sym(name) => {}
                GArg::Dim(dim) => parts.push(format!("{name}={dim}")),
                GArg::Pack(pack) => {
                    let own = (0..pack.len()).map(|i| Dim::sym(format!("{name}{i}").as_str()));
                    if own.eq(pack.iter().copied()) {
                        parts.push(format!("{name}:{}", pack.len()));
                    } else {
                        parts.push(format!("{name}={pack:?}"));
                    }
                }
                other => parts.push(format!("{name}={}", self.show_arg(other))),
            }
        }
        if let Some(rest) = &env.rest {
            parts.push(format!("..:{}", rest.len()));
        }
        for (name, val) in consts {
            if !matches!(val, Val::Dim(_)) {
                parts.push(format!("{name}={val:?}"));
            }
        }
        if parts.is_empty() {
            key
        } else {
            format!("{key}<{}>", parts.join(", "))
        }
    }

    /// Elaborates a function in an environment where every name of its signature is bound, or open.
    pub(crate) fn build(
        &mut self,
        id: usize,
        receiver: Option<Ty>,
        env: Env,
        consts: &[(Sym, Val)],
        name: &str,
    ) -> Function {
        let FnInfo {
            def,
            library,
            owner,
        } = self.fns[id];
        self.stack.push(id);
        let mut function = Function::new(name);
        function.loc = Some(self.sources.loc(def.name.span));
        if library {
            function.library = Some(library_of(self, def.name.name, owner, consts));
        }
        let mut cx = Cx::new(Builder::new(&mut function), env);
        self.assume_constraints(&mut cx, def, owner);
        if let Some(ty) = receiver {
            let val = self.add_param(&mut cx, "self", &ty, false);
            if let Val::Record(record) = &val {
                for (name, val) in &record.fields {
                    cx.bind(*name, val.clone(), def.name.span);
                }
            }
            cx.bind(Sym::new("self"), val, def.name.span);
        }
        for param in &def.params {
            let val = if param.constant {
                let given = consts.iter().find(|c| c.0 == param.name.name);
                given.map_or(Val::Poison, |c| c.1.clone())
            } else {
                let mut env = std::mem::take(&mut cx.env);
                let ty = self.resolve(&param.ty, &mut env);
                cx.env = env;
                self.add_param(&mut cx, param.name.name.as_str(), &ty, param.own)
            };
            cx.bind(param.name.name, val, param.name.span);
        }
        self.finish_body(cx, def);
        self.stack.pop();
        function
    }

    fn finish_body(&mut self, mut cx: Cx, def: &ast::Function) {
        let mut env = std::mem::take(&mut cx.env);
        let ret = match &def.ret {
            Some(ret) => self.resolve(ret, &mut env),
            None => Ty::unit(),
        };
        cx.env = env;
        let hint = match &ret {
            Ty::Tensor { dtype, .. } => Some(*dtype),
            _ => None,
        };
        let val = self.block(&mut cx, &def.body, hint);
        let at = def
            .body
            .tail
            .as_ref()
            .map_or(def.body.span, |tail| tail.span);
        let declared = def.ret.as_ref().map_or(def.name.span, |ret| ret.span);
        let what = format!("the result of `{}`", def.name.name);
        let val = self
            .fit(&mut cx, val, &ret, at, &what, declared)
            .unwrap_or(Val::Poison);
        self.finish(cx, &val, &ret);
    }

    /// Closes the function with a value of the type as its results.
    pub(crate) fn finish(&mut self, mut cx: Cx, val: &Val, ty: &Ty) {
        let mut leaves = Vec::new();
        self.leaves(ty, "", Role::Param, &mut leaves);
        let values = val.leaves();
        let paths: Vec<String> = if leaves.len() == values.len() {
            leaves
                .into_iter()
                .map(|l| {
                    if l.path.is_empty() {
                        "result".into()
                    } else {
                        l.path
                    }
                })
                .collect()
        } else {
            (0..values.len()).map(|i| i.to_string()).collect()
        };
        let names: Vec<&str> = paths.iter().map(String::as_str).collect();
        cx.b.function.requires = std::mem::take(&mut cx.requires);
        cx.b.finish(&values, &names);
    }

    /// A parameter of a type: one IR parameter per leaf, named by path.
    pub(crate) fn add_param(&mut self, cx: &mut Cx, name: &str, ty: &Ty, own: bool) -> Val {
        let mut leaves = Vec::new();
        self.leaves(ty, name, Role::Param, &mut leaves);
        let mut values = Vec::new();
        for leaf in leaves {
            let shape: Vec<Dim> = leaf.shape.iter().map(|d| cx.facts.normalize(*d)).collect();
            let value =
                cx.b.add_param(&leaf.path, Type::tensor(leaf.dtype, shape), own);
            if own {
                cx.owned.insert(value);
            }
            values.push(value);
        }
        self.rebuild(ty, &mut values.into_iter())
    }

    /// Takes the `where` clauses of the definition and of its module as facts, and as requirements.
    pub(crate) fn assume_constraints(
        &mut self,
        cx: &mut Cx,
        def: &ast::Function,
        owner: Option<usize>,
    ) {
        let owner = owner.map(|m| self.modules[m].def);
        let clauses: Vec<&Constraint> = owner
            .into_iter()
            .flat_map(|m| &m.constraints)
            .chain(&def.constraints)
            .collect();
        for clause in clauses {
            let mut env = std::mem::take(&mut cx.env);
            let found = self.constraint(clause, &mut env);
            cx.env = env;
            let Some((relation, dim, text)) = found else {
                continue;
            };
            if dim.as_const().is_some_and(|value| !relation.holds(value)) {
                let message = format!("`{text}` does not hold");
                self.report(Diagnostic::new("E0306", clause.span(), message));
                continue;
            }
            cx.facts.assume(relation, dim);
            if relation != Relation::Zero && dim.as_const().is_none() {
                let loc = Some(self.sources.loc(clause.span()));
                cx.requires.push(Require {
                    dim,
                    relation,
                    message: text,
                    loc,
                });
            }
        }
    }
}

use super::FnInfo;

/// The rank of the first tensor among the arguments.
fn first_rank(cx: &Cx, vals: &[(Val, Span)]) -> Option<usize> {
    vals.iter().find_map(|(val, _)| match val {
        Val::Tensor(value) => Some(cx.b.ty(*value).rank()),
        _ => None,
    })
}

fn bind_dims(dims: &[TypeDim], shape: &[Dim], env: &mut Env) {
    let known = |dim: &TypeDim, env: &Env| match dim {
        TypeDim::Dim(_) => Some(1),
        TypeDim::Rest(_) => env.rest.as_ref().map(Vec::len),
        TypeDim::Pack(name) => match env.bound.get(&name.name) {
            Some(GArg::Pack(pack)) => Some(pack.len()),
            _ => None,
        },
    };
    let fixed: usize = dims.iter().filter_map(|d| known(d, env)).sum();
    let open = dims.iter().filter(|d| known(d, env).is_none()).count();
    let Some(free) = shape.len().checked_sub(fixed) else {
        return;
    };
    if open > 1 {
        return;
    }
    let mut at = 0;
    for dim in dims {
        let len = known(dim, env).unwrap_or(free);
        let Some(part) = shape.get(at..at + len) else {
            return;
        };
        at += len;
        match dim {
            TypeDim::Dim(expr) => {
                if let Some(name) = expr.as_name() {
                    env.bound.entry(name.name).or_insert(GArg::Dim(part[0]));
                }
            }
            TypeDim::Rest(_) => {
                env.rest.get_or_insert_with(|| part.to_vec());
            }
            TypeDim::Pack(name) => {
                env.bound
                    .entry(name.name)
                    .or_insert(GArg::Pack(part.to_vec()));
            }
        }
    }
}

fn same_arg(cx: &Cx, a: &GArg, b: &GArg) -> bool {
    match (a, b) {
        (GArg::Dim(a), GArg::Dim(b)) => cx.equal(*a, *b),
        (a, b) => a == b,
    }
}

fn own_symbol(dim: Dim, name: &str) -> Dim {
    if dim.as_const().is_some() {
        dim
    } else {
        Dim::sym(name)
    }
}

/// The type with its dimensions renamed after the parameter, so that they cannot meet others by chance.
fn own_type(ty: &Ty, name: &str) -> Ty {
    let rename = |dim: Dim| dim.substitute(&|sym| Some(Dim::sym(format!("{name}.{sym}").as_str())));
    match ty {
        Ty::Tensor { dtype, shape } => Ty::Tensor {
            dtype: *dtype,
            shape: shape.iter().map(|d| rename(*d)).collect(),
        },
        Ty::Record {
            module,
            args,
            tangent,
        } => {
            let args = args.iter().map(|arg| match arg {
                GArg::Dim(dim) => GArg::Dim(rename(*dim)),
                GArg::Pack(pack) => GArg::Pack(pack.iter().map(|d| rename(*d)).collect()),
                GArg::DType(dtype) => GArg::DType(*dtype),
                GArg::Ty(ty) => GArg::Ty(own_type(ty, name)),
            });
            Ty::Record {
                module: *module,
                args: args.collect(),
                tangent: *tangent,
            }
        }
        Ty::Tuple(parts) => Ty::Tuple(parts.iter().map(|p| own_type(p, name)).collect()),
        Ty::List(element, count) => Ty::List(Box::new(own_type(element, name)), *count),
        Ty::Key => Ty::Key,
        Ty::Error => Ty::Error,
    }
}

fn library_of(
    elaborator: &Elaborator,
    name: Sym,
    owner: Option<usize>,
    consts: &[(Sym, Val)],
) -> Library {
    let symbol = match owner {
        Some(module) => Sym::new(&format!(
            "{}.{name}",
            elaborator.modules[module].def.name.name
        )),
        None => name,
    };
    let attributes = consts.iter().filter_map(|(name, val)| {
        let literal = match val {
            Val::Dim(dim) => Literal::i64(DType::I64, dim.as_const()?),
            Val::Float(x) => Literal::scalar(DType::F64, Scalar::Float(*x)),
            Val::Bool(b) => Literal::bool(*b),
            _ => return None,
        };
        Some((*name, literal))
    });
    Library {
        symbol,
        attributes: attributes.collect(),
    }
}
