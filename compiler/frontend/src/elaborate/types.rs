//! From written types to resolved ones, and the flattening of types to leaves.

use aiai_ir::{DType, Dim, Sym};

use super::Elaborator;
use super::context::Env;
use super::sizes::{MAX_PARTS, MAX_RANK};
use super::value::{GArg, Ty};
use crate::ast::{self, ExprKind, GenericArg, LeafKind, Member, TypeDim, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;
use crate::suggest::nearest;

/// How a module treats a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Param,
    State,
    Field,
}

/// A leaf of a type: a tensor with its path.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub path: String,
    pub dtype: DType,
    pub shape: Vec<Dim>,
    pub role: Role,
}

impl Elaborator<'_> {
    /// The type that is written, with names resolved in `env`.
    pub fn resolve(&mut self, written: &TypeExpr, env: &mut Env) -> Ty {
        self.resolving += 1;
        let ty = self.resolve_parts(written, env);
        self.resolving -= 1;
        // A part of a type is smaller than the whole.
        if self.resolving == 0 && !self.type_is_small(&ty, written.span) {
            return Ty::Error;
        }
        ty
    }

    fn resolve_parts(&mut self, written: &TypeExpr, env: &mut Env) -> Ty {
        match &written.kind {
            TypeKind::Error => Ty::Error,
            TypeKind::Tuple(parts) => {
                Ty::Tuple(parts.iter().map(|part| self.resolve(part, env)).collect())
            }
            TypeKind::List { elem, len } => {
                let elem = self.resolve(elem, env);
                match self.static_dim(len, env).map(|d| d.as_const()) {
                    Some(Some(count)) if (0..=MAX_PARTS as i64).contains(&count) => {
                        Ty::List(Box::new(elem), count as usize)
                    }
                    Some(Some(count)) => {
                        let message =
                            format!("a list of {count} modules; 0 to {MAX_PARTS} are possible");
                        self.report(Diagnostic::new("E0802", len.span, message));
                        Ty::Error
                    }
                    Some(None) if self.checking => Ty::List(Box::new(elem), 1),
                    Some(None) => {
                        let message = "the length of a list of modules must be a known number";
                        self.report(Diagnostic::new("E0308", len.span, message));
                        Ty::Error
                    }
                    None => Ty::Error,
                }
            }
            TypeKind::Tensor { elem, dims } => {
                let Some(dtype) = self.dtype_named(*elem, env) else {
                    return Ty::Error;
                };
                match self.resolve_dims(dims, env) {
                    Some(shape) if shape.len() > MAX_RANK => {
                        let message = format!(
                            "a tensor of rank {}; at most {MAX_RANK} is possible",
                            shape.len()
                        );
                        self.report(Diagnostic::new("E0802", written.span, message));
                        Ty::Error
                    }
                    Some(shape) if !self.size_fits(dtype, &shape, written.span) => Ty::Error,
                    Some(shape) if shape.iter().any(|d| d.as_const().is_some_and(|n| n < 0)) => {
                        let message = "a dimension is not negative";
                        let help = "a size that is known at run time only has a name: `N`";
                        self.report(Diagnostic::new("E0308", written.span, message).help(help));
                        Ty::Error
                    }
                    Some(shape) => Ty::Tensor { dtype, shape },
                    None => Ty::Error,
                }
            }
            TypeKind::Named { name, args } => self.resolve_named(*name, args, written.span, env),
        }
    }

    /// Whether a tensor of this shape can be counted in bytes; reported if not.
    pub(crate) fn size_fits(&mut self, dtype: DType, shape: &[Dim], span: Span) -> bool {
        let sizes = shape
            .iter()
            .filter_map(|dim| dim.as_const())
            .map(|size| size.max(0));
        let fits = if shape.iter().any(|dim| dim.as_const() == Some(0)) {
            true
        } else {
            let bytes = i64::try_from(dtype.bytes()).unwrap_or(i64::MAX);
            let total = sizes.into_iter().try_fold(bytes, i64::checked_mul);
            total.is_some()
        };
        if !fits {
            let sizes: Vec<String> = shape.iter().map(Dim::to_string).collect();
            let message = format!("`{dtype}[{}]` has more than 2^63 bytes", sizes.join(", "));
            self.report(Diagnostic::new("E0802", span, message));
        }
        fits
    }

    fn resolve_dims(&mut self, dims: &[TypeDim], env: &mut Env) -> Option<Vec<Dim>> {
        let mut shape = Vec::new();
        for dim in dims {
            match dim {
                TypeDim::Rest(span) => match (&env.rest, env.open) {
                    (Some(rest), _) => shape.extend(rest),
                    (None, true) => {
                        let rest = vec![Dim::sym("_0"), Dim::sym("_1")];
                        shape.extend(&rest);
                        env.rest = Some(rest);
                    }
                    (None, false) => {
                        let message = "`..` stands for nothing here";
                        let help = "it must also stand in a parameter's type";
                        self.report(Diagnostic::new("E0305", *span, message).help(help));
                        return None;
                    }
                },
                TypeDim::Pack(name) => match env.bound.get(&name.name) {
                    Some(GArg::Pack(pack)) => shape.extend(pack),
                    None if env.open => {
                        let pack: Vec<Dim> = (0..2)
                            .map(|i| Dim::sym(format!("{}{i}", name.name).as_str()))
                            .collect();
                        shape.extend(&pack);
                        env.bound.insert(name.name, GArg::Pack(pack));
                    }
                    _ => {
                        let message = format!("`..{}` cannot be found out here", name.name);
                        self.report(Diagnostic::new("E0305", name.span, message));
                        return None;
                    }
                },
                TypeDim::Dim(expr) => shape.push(self.static_dim(expr, env)?),
            }
        }
        Some(shape)
    }

    /// The dtype that a name in element position stands for.
    pub fn dtype_named(&mut self, name: ast::Ident, env: &mut Env) -> Option<DType> {
        if let Ok(dtype) = name.name.as_str().parse() {
            return Some(dtype);
        }
        match env.bound.get(&name.name) {
            Some(GArg::DType(dtype)) => return Some(*dtype),
            None if env.open && name.name.as_str().len() <= 2 => {
                env.bound.insert(name.name, GArg::DType(DType::F32));
                return Some(DType::F32);
            }
            _ => {}
        }
        let mut diagnostic = Diagnostic::new(
            "E0205",
            name.span,
            format!("unknown element type `{}`", name.name),
        );
        let text = name.name.as_str();
        let near = nearest(text, DType::ALL.iter().map(|d| d.name()));
        if let Some(near) = crate::suggest::foreign_type(text).or(near) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic);
        None
    }

    fn resolve_named(
        &mut self,
        name: ast::Ident,
        args: &[GenericArg],
        span: Span,
        env: &mut Env,
    ) -> Ty {
        let text = name.name.as_str();
        if args.is_empty() {
            if let Ok(dtype) = text.parse() {
                return Ty::Tensor {
                    dtype,
                    shape: Vec::new(),
                };
            }
            match env.bound.get(&name.name) {
                Some(GArg::Ty(ty)) => return ty.clone(),
                Some(GArg::DType(dtype)) => {
                    return Ty::Tensor {
                        dtype: *dtype,
                        shape: Vec::new(),
                    };
                }
                Some(GArg::Dim(_)) if env.open => {
                    // A generic module parameter that was taken for a dimension at first.
                    let ty = self.stand_in();
                    env.bound.insert(name.name, GArg::Ty(ty.clone()));
                    return ty;
                }
                _ => {}
            }
        }
        if text == "Key" && args.is_empty() {
            return Ty::Key;
        }
        if text == "Grad" && args.len() == 1 {
            let inner = match &args[0] {
                GenericArg::Type(ty) => self.resolve(ty, env),
                GenericArg::Name(id) => self.resolve_named(*id, &[], id.span, env),
                other => {
                    let message = "`Grad` takes a type";
                    self.report(Diagnostic::new("E0205", other.span(), message));
                    return Ty::Error;
                }
            };
            return tangent_of(inner);
        }
        if let Some(module) = self.find_module(name.name, name.span) {
            return match self.module_args(module, args, span, env) {
                Some(args) if self.check_module_constraints(module, &args, span) => Ty::Record {
                    module,
                    args,
                    tangent: false,
                },
                _ => Ty::Error,
            };
        }
        let mut diagnostic = Diagnostic::new("E0205", name.span, format!("unknown type `{text}`"));
        let known = self.module_names();
        let names = known
            .iter()
            .map(|s| s.as_str())
            .chain(DType::ALL.iter().map(|d| d.name()));
        if let Some(near) = crate::suggest::foreign_type(text).or(nearest(text, names)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic);
        Ty::Error
    }

    /// The arguments of a module's generic parameters.
    pub fn module_args(
        &mut self,
        module: usize,
        args: &[GenericArg],
        span: Span,
        env: &mut Env,
    ) -> Option<Vec<GArg>> {
        let def = self.modules[module].def;
        if def.generics.len() != args.len() {
            let message = format!(
                "`{}` takes {} generic arguments, got {}",
                def.name.name,
                def.generics.len(),
                args.len()
            );
            self.report(
                Diagnostic::new("E0303", span, message).related(def.name.span, "declared here"),
            );
            return None;
        }
        let mut resolved = Vec::new();
        for (param, arg) in def.generics.iter().zip(args) {
            let is_type = self.modules[module].type_params.contains(&param.name.name);
            resolved.push(self.generic_arg(arg, is_type, env)?);
        }
        Some(resolved)
    }

    /// One generic argument; `is_type` where a module is expected.
    pub fn generic_arg(&mut self, arg: &GenericArg, is_type: bool, env: &mut Env) -> Option<GArg> {
        match arg {
            GenericArg::Type(ty) => match self.resolve(ty, env) {
                Ty::Error => None,
                ty => Some(GArg::Ty(ty)),
            },
            GenericArg::Name(name) => {
                if let Ok(dtype) = name.name.as_str().parse() {
                    return Some(GArg::DType(dtype));
                }
                if is_type || (!env.bound.contains_key(&name.name) && self.is_module(name.name)) {
                    return match self.resolve_named(*name, &[], name.span, env) {
                        Ty::Error => None,
                        ty => Some(GArg::Ty(ty)),
                    };
                }
                match env.bound.get(&name.name) {
                    Some(bound) => Some(bound.clone()),
                    None => self.dim_named(*name, env).map(GArg::Dim),
                }
            }
            GenericArg::Dim(expr) => self.static_dim(expr, env).map(GArg::Dim),
            GenericArg::Pack(name) => match env.bound.get(&name.name) {
                Some(GArg::Pack(pack)) => Some(GArg::Pack(pack.clone())),
                _ => {
                    let message = format!("`..{}` is not a pack in scope", name.name);
                    self.report(Diagnostic::new("E0201", name.span, message));
                    None
                }
            },
        }
    }

    /// A dimension expression, as types have them.
    pub fn static_dim(&mut self, expr: &ast::Expr, env: &mut Env) -> Option<Dim> {
        let mut many_terms = false;
        let result = match &expr.kind {
            ExprKind::Int { value, .. } => match i64::try_from(*value) {
                Ok(value) => Dim::from(value),
                Err(_) => Dim::overflow(),
            },
            ExprKind::Paren(inner) => return self.static_dim(inner, env),
            ExprKind::Name(name) => return self.dim_named(*name, env),
            ExprKind::Unary {
                op: ast::UnaryOp::Neg,
                operand,
            } => -self.static_dim(operand, env)?,
            ExprKind::Binary { op, lhs, rhs, .. } => {
                let (a, b) = (self.static_dim(lhs, env)?, self.static_dim(rhs, env)?);
                let (m, n) = (a.terms().len(), b.terms().len());
                many_terms = (m * n).max(m + n) > aiai_ir::MAX_TERMS;
                match op {
                    ast::BinaryOp::Add => a + b,
                    ast::BinaryOp::Sub => a - b,
                    ast::BinaryOp::Mul => a * b,
                    ast::BinaryOp::Div if b.is_const(0) => {
                        self.report(Diagnostic::new("E0305", expr.span, "a division by zero"));
                        return None;
                    }
                    ast::BinaryOp::Div => a.floor_div(b),
                    ast::BinaryOp::Rem if !b.is_const(0) => a - a.floor_div(b) * b,
                    _ => return self.not_a_dim(expr),
                }
            }
            ExprKind::Error => return None,
            _ => return self.not_a_dim(expr),
        };
        if result.is_overflow() {
            let message = if many_terms {
                format!("a dimension of more than {} terms", aiai_ir::MAX_TERMS)
            } else {
                "a dimension that does not fit in 64 bits".to_owned()
            };
            self.report(Diagnostic::new("E0802", expr.span, message));
            return None;
        }
        Some(result)
    }

    fn not_a_dim(&mut self, expr: &ast::Expr) -> Option<Dim> {
        let help = "dimensions are made of names, whole numbers, `+`, `-`, `*` and `/`";
        self.report(Diagnostic::new("E0308", expr.span, "not a dimension").help(help));
        None
    }

    fn dim_named(&mut self, name: ast::Ident, env: &mut Env) -> Option<Dim> {
        match env.bound.get(&name.name) {
            Some(GArg::Dim(dim)) => return Some(*dim),
            Some(_) => {
                let message = format!("`{}` is not a dimension", name.name);
                self.report(Diagnostic::new("E0308", name.span, message));
                return None;
            }
            None => {}
        }
        if env.open
            && name
                .name
                .as_str()
                .starts_with(|c: char| c.is_ascii_uppercase())
        {
            let dim = Dim::sym(name.name);
            env.bound.insert(name.name, GArg::Dim(dim));
            return Some(dim);
        }
        let message = format!("unknown dimension `{}`", name.name);
        let mut diagnostic = Diagnostic::new("E0201", name.span, message);
        let text = name.name.as_str();
        let mut known: Vec<&str> = env.bound.keys().map(|s| s.as_str()).collect();
        known.sort_unstable();
        if let Some(near) = nearest(text, known) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if env.open && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            let capital = text[..1].to_ascii_uppercase() + &text[1..];
            diagnostic = diagnostic.help(format!(
                "a dimension that a parameter names begins with a capital letter: `{capital}`"
            ));
        }
        self.report(diagnostic);
        None
    }

    /// The environment inside a module with the given arguments.
    pub fn module_env(&self, module: usize, args: &[GArg]) -> Env {
        let names = self.modules[module]
            .def
            .generics
            .iter()
            .map(|g| g.name.name);
        Env {
            bound: names.zip(args.iter().cloned()).collect(),
            ..Env::default()
        }
    }

    /// The fields of a module instance, in order, with their types and roles.
    pub fn fields(&mut self, module: usize, args: &[GArg], tangent: bool) -> Vec<(Sym, Ty, Role)> {
        let def = self.modules[module].def;
        let mut env = self.module_env(module, args);
        let mut fields = Vec::new();
        self.resolving += 1;
        for member in &def.members {
            let (names, ty, role) = match member {
                Member::Leaf(leaf) => {
                    let role = match leaf.kind {
                        LeafKind::Param => Role::Param,
                        LeafKind::State => Role::State,
                        LeafKind::Field => Role::Field,
                    };
                    (&leaf.names, &leaf.ty, role)
                }
                Member::Submodule(sub) => (&sub.names, &sub.ty, Role::Param),
                Member::Fn(_) => continue,
            };
            let ty = self.resolve(ty, &mut env);
            let ty = if tangent { tangent_of(ty) } else { ty };
            fields.extend(names.iter().map(|name| (name.name, ty.clone(), role)));
        }
        self.resolving -= 1;
        fields
    }

    /// Every leaf of a type, with its path below `path`.
    pub fn leaves(&mut self, ty: &Ty, path: &str, role: Role, out: &mut Vec<Leaf>) {
        match ty {
            Ty::Tensor { dtype, shape } => {
                out.push(Leaf {
                    path: path.into(),
                    dtype: *dtype,
                    shape: shape.clone(),
                    role,
                });
            }
            Ty::Key => {
                let shape = vec![Dim::from(2)];
                out.push(Leaf {
                    path: path.into(),
                    dtype: DType::U32,
                    shape,
                    role: Role::State,
                });
            }
            Ty::Tuple(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    self.leaves(part, &join(path, &i.to_string()), role, out);
                }
            }
            Ty::List(element, count) => {
                for i in 0..*count {
                    self.leaves(element, &join(path, &i.to_string()), role, out);
                }
            }
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                for (name, ty, field_role) in self.fields(*module, args, *tangent) {
                    let inner = if role == Role::Param {
                        field_role
                    } else {
                        role
                    };
                    if *tangent && !is_differentiable(&ty, inner) {
                        continue;
                    }
                    self.leaves(&ty, &join(path, name.as_str()), inner, out);
                }
            }
            Ty::Error => {}
        }
    }

    /// A type as a message shows it.
    pub fn show(&self, ty: &Ty) -> String {
        match ty {
            Ty::Tensor { dtype, shape } => aiai_ir::Type::tensor(*dtype, shape.clone()).to_string(),
            Ty::Key => "Key".into(),
            Ty::Tuple(parts) => {
                let parts: Vec<String> = parts.iter().map(|p| self.show(p)).collect();
                format!("({})", parts.join(", "))
            }
            Ty::List(element, count) => format!("[{}; {count}]", self.show(element)),
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let name = self.modules[*module].def.name.name;
                let args: Vec<String> = args.iter().map(|a| self.show_arg(a)).collect();
                let args = if args.is_empty() {
                    String::new()
                } else {
                    format!("<{}>", args.join(", "))
                };
                if *tangent {
                    format!("Grad<{name}{args}>")
                } else {
                    format!("{name}{args}")
                }
            }
            Ty::Error => "?".into(),
        }
    }

    pub fn show_arg(&self, arg: &GArg) -> String {
        match arg {
            GArg::Dim(dim) => dim.to_string(),
            GArg::Pack(pack) => format!("{pack:?}"),
            GArg::DType(dtype) => dtype.to_string(),
            GArg::Ty(ty) => self.show(ty),
        }
    }
}

/// A name below a path; either may be empty.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The type of gradients with respect to values of a type.
pub fn tangent_of(ty: Ty) -> Ty {
    match ty {
        Ty::Record { module, args, .. } => Ty::Record {
            module,
            args,
            tangent: true,
        },
        Ty::Tuple(parts) => Ty::Tuple(parts.into_iter().map(tangent_of).collect()),
        Ty::List(element, count) => Ty::List(Box::new(tangent_of(*element)), count),
        other => other,
    }
}

/// Whether a field has a place in the gradient of its module.
pub fn is_differentiable(ty: &Ty, role: Role) -> bool {
    role == Role::Param
        && match ty {
            Ty::Tensor { dtype, .. } => dtype.is_float(),
            Ty::Key | Ty::Error => false,
            Ty::Tuple(_) | Ty::Record { .. } | Ty::List(..) => true,
        }
}
