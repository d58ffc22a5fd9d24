//! What a signature must keep before anything is elaborated: names given once, and every dimension of
//! the result and of the constraints bound by a parameter or by the caller.

use std::collections::{HashMap, HashSet};

use aiai_ir::Sym;

use super::Elaborator;
use super::value::GArg;
use crate::ast::{
    BinaryOp, Expr, ExprKind, Function, GenericArg, GenericParam, Ident, Item, Member, Module,
    Param, TypeDim, TypeExpr, TypeKind,
};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// What a generic parameter can be declared as: an element type, or a module.
const BOUNDS: &[&str] = &["float", "int", "number", "signed", "unsigned", "module"];

impl Elaborator<'_> {
    /// Checks the signatures of the items of a file.
    pub(crate) fn check_signatures(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Fn(def) => self.check_signature(def, &[]),
                Item::Module(def) => {
                    self.check_members(def);
                    for member in &def.members {
                        if let Member::Fn(method) = member {
                            self.check_signature(method, &def.generics);
                        }
                    }
                }
                Item::Prop(def) | Item::Bench(def) => self.distinct_params(&def.params),
                Item::Rule(def) => self.distinct_params(&def.params),
                Item::Rules(group) => {
                    group
                        .rules
                        .iter()
                        .for_each(|rule| self.distinct_params(&rule.params));
                }
                Item::Cost(def) | Item::Derivative(def) => self.check_signature(def, &[]),
                Item::Use(_)
                | Item::Schedule(_)
                | Item::Fuse(_)
                | Item::Layout(_)
                | Item::Test(_) => {}
            }
        }
    }

    /// Leaves and submodules have distinct names.
    fn check_members(&mut self, def: &Module) {
        let names = def.members.iter().flat_map(|member| match member {
            Member::Leaf(leaf) => leaf.names.as_slice(),
            Member::Submodule(sub) => sub.names.as_slice(),
            Member::Fn(_) => &[],
        });
        self.distinct(names.copied());
        for member in &def.members {
            if let Member::Submodule(sub) = member
                && matches!(sub.ty.kind, TypeKind::Tensor { .. })
            {
                let name = sub.names[0];
                let message = format!("`{}` is a tensor, not a module", name.name);
                let help = format!("write `param {}: ...`", name.name);
                self.report(Diagnostic::new("E0304", name.span, message).help(help));
            }
        }
    }

    /// What stands behind the colon of a generic parameter is a bound.
    pub(super) fn check_bounds(&mut self, generics: &[GenericParam]) {
        for bound in generics.iter().filter_map(|generic| generic.bound) {
            let text = bound.name.as_str();
            if !BOUNDS.contains(&text) {
                let message = format!("unknown bound `{text}`");
                let help = match crate::suggest::nearest(text, BOUNDS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("bounds are `{}`", BOUNDS.join("`, `")),
                };
                self.report(Diagnostic::new("E0201", bound.span, message).help(help));
            }
        }
    }

    fn distinct_params(&mut self, params: &[Param]) {
        self.distinct(params.iter().map(|param| param.name));
    }

    fn distinct(&mut self, names: impl Iterator<Item = Ident>) {
        let mut seen: HashMap<Sym, Span> = HashMap::new();
        for name in names {
            if let Some(first) = seen.insert(name.name, name.span) {
                let message = format!("`{}` is defined twice", name.name);
                let diagnostic = Diagnostic::new("E0202", name.span, message);
                self.report(diagnostic.related(first, "first defined here"));
            }
        }
    }

    fn check_signature(&mut self, def: &Function, owner: &[GenericParam]) {
        self.distinct_params(&def.params);
        self.check_bounds(&def.generics);
        for domain in def.params.iter().filter_map(|param| param.domain.as_ref()) {
            let at = domain.lo.span.to(domain.hi.span);
            let message = "a domain stands in `prop` and `bench` only";
            self.report(Diagnostic::new("E0308", at, message));
        }
        let mut bound: HashSet<Sym> = HashSet::new();
        bound.extend(
            owner
                .iter()
                .chain(&def.generics)
                .map(|generic| generic.name.name),
        );
        for param in &def.params {
            if param.constant {
                bound.insert(param.name.name);
            }
            binds(&param.ty, &mut bound);
        }
        let used = names_used(def);
        let mut told = HashSet::new();
        for name in used {
            if bound.contains(&name.name) || self.is_module(name.name) || !told.insert(name.name) {
                continue;
            }
            if name.name.as_str().parse::<aiai_ir::DType>().is_ok() {
                continue;
            }
            let message = format!("the dimension `{}` is bound by no parameter", name.name);
            let help = format!(
                "let the caller give it, `fn {}<{}>(...)`, or name it in the type of a parameter",
                def.name.name, name.name
            );
            self.report(Diagnostic::new("E0305", name.span, message).help(help));
            self.unbound.insert(def.name.span);
        }
    }

    /// Whether sizes are given to dimensions that the function has; reported if not.
    pub(crate) fn check_given<'n>(
        &mut self,
        def: &Function,
        given: impl Iterator<Item = &'n String>,
    ) -> Option<()> {
        let generics = def.generics.iter().map(|generic| generic.name);
        let used = names_used(def).into_iter().chain(generics);
        let mut known: Vec<&str> = used
            .filter(|name| !self.is_module(name.name))
            .map(|name| name.name.as_str())
            .filter(|name| name.parse::<aiai_ir::DType>().is_err())
            .collect();
        known.sort_unstable();
        known.dedup();
        for name in given {
            if known.contains(&name.as_str()) {
                continue;
            }
            let message = format!("`{}` has no dimension `{name}`", def.name.name);
            let mut diagnostic = Diagnostic::new("E0305", def.name.span, message);
            if !known.is_empty() {
                diagnostic = diagnostic.help(format!("it has {}", known.join(", ")));
            }
            self.report(diagnostic);
            return None;
        }
        Some(())
    }

    /// Whether the `where` of a module holds for these arguments, as far as they are numbers.
    pub(crate) fn check_module_constraints(
        &mut self,
        module: usize,
        args: &[GArg],
        span: Span,
    ) -> bool {
        let def = self.modules[module].def;
        let mut env = self.module_env(module, args);
        for clause in &def.constraints {
            let Some((relation, dim, text)) = self.constraint(clause, &mut env) else {
                continue;
            };
            if dim.as_const().is_some_and(|value| !relation.holds(value)) {
                let message = format!("`{text}` does not hold for this `{}`", def.name.name);
                let diagnostic = Diagnostic::new("E0306", span, message);
                self.report(diagnostic.related(clause.span, "required here"));
                return false;
            }
        }
        true
    }
}

/// The names that a parameter of this type binds: those that stand bare.
fn binds(ty: &TypeExpr, bound: &mut HashSet<Sym>) {
    match &ty.kind {
        TypeKind::Tensor { elem, dims } => {
            bound.insert(elem.name);
            for dim in dims {
                match dim {
                    TypeDim::Dim(dim) => bound.extend(dim.as_name().map(|name| name.name)),
                    TypeDim::Pack(name) => {
                        bound.insert(name.name);
                    }
                    TypeDim::Rest(_) => {}
                }
            }
        }
        TypeKind::Named { name, args } => {
            bound.insert(name.name);
            for arg in args {
                match arg {
                    GenericArg::Name(name) | GenericArg::Pack(name) => {
                        bound.insert(name.name);
                    }
                    GenericArg::Type(ty) => binds(ty, bound),
                    GenericArg::Dim(_) => {}
                }
            }
        }
        TypeKind::Tuple(parts) => parts.iter().for_each(|part| binds(part, bound)),
        TypeKind::List { elem, len } => {
            binds(elem, bound);
            bound.extend(len.as_name().map(|name| name.name));
        }
        TypeKind::Error => {}
    }
}

/// The dimensions that a type uses.
/// The names in the dimensions of a signature.
fn names_used(def: &Function) -> Vec<Ident> {
    let mut used = Vec::new();
    let types = def.params.iter().map(|param| &param.ty).chain(&def.ret);
    types.for_each(|ty| uses(ty, &mut used));
    for constraint in &def.constraints {
        dim_names(&constraint.lhs, &mut used);
        dim_names(&constraint.rhs, &mut used);
    }
    used
}

fn uses(ty: &TypeExpr, used: &mut Vec<Ident>) {
    match &ty.kind {
        TypeKind::Tensor { dims, .. } => {
            for dim in dims {
                match dim {
                    TypeDim::Dim(dim) => dim_names(dim, used),
                    TypeDim::Pack(name) => used.push(*name),
                    TypeDim::Rest(_) => {}
                }
            }
        }
        TypeKind::Named { args, .. } => {
            for arg in args {
                match arg {
                    GenericArg::Dim(dim) => dim_names(dim, used),
                    GenericArg::Name(name) | GenericArg::Pack(name) => used.push(*name),
                    GenericArg::Type(ty) => uses(ty, used),
                }
            }
        }
        TypeKind::Tuple(parts) => parts.iter().for_each(|part| uses(part, used)),
        TypeKind::List { elem, len } => {
            uses(elem, used);
            dim_names(len, used);
        }
        TypeKind::Error => {}
    }
}

/// The names in a dimension expression; anything else in it is reported where it is elaborated.
fn dim_names(dim: &Expr, used: &mut Vec<Ident>) {
    match &dim.kind {
        ExprKind::Name(name) => used.push(*name),
        ExprKind::Paren(inner) => dim_names(inner, used),
        ExprKind::Unary { operand, .. } => dim_names(operand, used),
        ExprKind::Binary {
            op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem,
            lhs,
            rhs,
            ..
        } => {
            dim_names(lhs, used);
            dim_names(rhs, used);
        }
        _ => {}
    }
}
