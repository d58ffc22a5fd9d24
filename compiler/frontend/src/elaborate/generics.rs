//! Generic names and compile-time parameters: what a call says they stand for.

use super::Elaborator;
use super::context::{Cx, Env};
use super::value::{GArg, Ty, Val};
use crate::ast::{self, GenericArg, Param, TypeDim, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;
use aiai_ir::{DType, DTypeBound, Dim};

impl Elaborator<'_> {
    pub(super) fn bind_generics(
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
                "`{}` takes {} generic arguments, not {}",
                def.name.name,
                def.generics.len(),
                generics.len()
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
    pub(super) fn default_dtypes(&mut self, def: &ast::Function, env: &mut Env) {
        for param in &def.generics {
            let is_dtype = param.bound.is_some_and(|b| b.name.as_str() != "module");
            if is_dtype && !env.bound.contains_key(&param.name.name) {
                env.bound.insert(param.name.name, GArg::DType(DType::F32));
            }
        }
    }

    /// Whether generic dtypes are what their bounds say.
    pub(super) fn bounds_hold(
        &mut self,
        def: &ast::Function,
        env: &Env,
        vals: &[(Val, Span)],
        span: Span,
    ) -> bool {
        for param in &def.generics {
            let Some(bound) = param.bound else { continue };
            let Some(GArg::DType(dtype)) = env.bound.get(&param.name.name) else {
                continue;
            };
            let known = DTypeBound::from_name(bound.name.as_str());
            if known.is_none_or(|known| known.holds(*dtype)) {
                continue;
            }
            let is_of = |p: &Param| match &p.ty.kind {
                TypeKind::Tensor { elem, .. } => elem.name == param.name.name,
                TypeKind::Named { name, .. } => name.name == param.name.name,
                _ => false,
            };
            let at = def.params.iter().position(is_of).and_then(|k| vals.get(k));
            let at = at.map_or(span, |val| val.1);
            let (name, bound_name) = (param.name.name, bound.name);
            let message = format!(
                "`{}` takes `{name}: {bound_name}`, got {dtype}",
                def.name.name
            );
            let diagnostic = Diagnostic::new("E0302", at, message)
                .related(param.span, "declared here")
                .help(format!(
                    "convert it: `{}(...)`",
                    match bound_name.as_str() {
                        "int" | "signed" => "i32",
                        "unsigned" => "u32",
                        _ => "f32",
                    }
                ));
            self.report(diagnostic);
            return false;
        }
        true
    }

    /// The dtype that a parameter wants, where that is known already.
    pub(super) fn param_dtype(&self, param: &Param, env: &Env) -> Option<DType> {
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
    pub(crate) fn constant_default(&mut self, default: &ast::Expr) -> Val {
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
    pub(super) fn constant_arg(
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
                let name = param.name.name;
                let known = matches!(val, Val::Dim(_) | Val::Float(_) | Val::Bool(_));
                let message = match known && !wanted.is_empty() {
                    true => format!("`{name}` is of type {wanted}"),
                    false => format!("`{name}` must be known at compile time"),
                };
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
                return self.no_axis(axis, rank, at);
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

    pub(super) fn unify_args(&mut self, written: &[GenericArg], actual: &[GArg], env: &mut Env) {
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
}

pub(super) fn bind_dims(dims: &[TypeDim], shape: &[Dim], env: &mut Env) {
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
