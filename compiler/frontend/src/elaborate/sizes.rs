//! Bounds on what types and values hold: a short program cannot ask for endless work.

use aiai_ir::Sym;

use super::Elaborator;
use super::context::Env;
use super::value::{Ty, Val};
use crate::ast::{File, GenericArg, Ident, Member, Module, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Tensors, tuples, lists and modules within one type or value.
pub(crate) const MAX_PARTS: usize = 65_536;

/// Dimensions of one tensor.
pub(crate) const MAX_RANK: usize = 64;

impl Elaborator<'_> {
    /// No module contains itself, directly or through others; reported if one does.
    pub(crate) fn check_containment(&mut self) -> bool {
        let uses: Vec<Vec<(usize, Span)>> =
            self.modules.iter().map(|m| self.contained(m.def)).collect();
        // False while a module is being visited, true when nothing below it leads back.
        let mut done: Vec<Option<bool>> = vec![None; uses.len()];
        let before = self.diagnostics.count();
        for root in 0..uses.len() {
            if done[root].is_some() {
                continue;
            }
            done[root] = Some(false);
            let mut path = vec![(root, 0)];
            while let Some((module, next)) = path.last_mut() {
                let Some(&(used, span)) = uses[*module].get(*next) else {
                    done[*module] = Some(true);
                    path.pop();
                    continue;
                };
                *next += 1;
                match done[used] {
                    Some(true) => {}
                    Some(false) => self.contains_itself(used, span),
                    None => {
                        done[used] = Some(false);
                        path.push((used, 0));
                    }
                }
            }
        }
        self.diagnostics.count() == before
    }

    fn contains_itself(&mut self, module: usize, span: Span) {
        let name = self.modules[module].def.name;
        let message = format!("`{}` contains itself", name.name);
        let diagnostic =
            Diagnostic::new("E0204", span, message).related(name.span, "declared here");
        self.report(diagnostic.help("for several layers write a list: `layers: [Layer; 4]`"));
    }

    /// The modules that the types of the fields name.
    fn contained(&self, def: &Module) -> Vec<(usize, Span)> {
        let mut names = Vec::new();
        for member in &def.members {
            match member {
                Member::Leaf(leaf) => named(&leaf.ty, &mut names),
                Member::Submodule(sub) => named(&sub.ty, &mut names),
                Member::Fn(_) => {}
            }
        }
        let own = |name: Sym| def.generics.iter().any(|g| g.name.name == name);
        let names = names.into_iter().filter(|id| !own(id.name));
        names
            .filter_map(|id| Some((self.find_module(id.name, id.span)?, id.span)))
            .collect()
    }

    /// The types of the fields of every module exist, and are small enough together.
    pub(crate) fn check_modules(&mut self, file: &File) {
        self.checking = true;
        for module in 0..self.modules.len() {
            let def = self.modules[module].def;
            if def.name.span.file == file.id {
                let args = self.open_args(module, &mut Env::default());
                let ty = Ty::Record {
                    module,
                    args,
                    tangent: false,
                };
                self.type_is_small(&ty, def.name.span);
            }
        }
        self.checking = false;
    }

    /// Whether a type has few enough parts; reported if not.
    pub(crate) fn type_is_small(&mut self, ty: &Ty, span: Span) -> bool {
        let mut left = MAX_PARTS;
        let small = self.count_type(ty, &mut left);
        if !small {
            let message = format!("a type of more than {MAX_PARTS} parts");
            self.report(Diagnostic::new("E0802", span, message));
        }
        small
    }

    fn count_type(&mut self, ty: &Ty, left: &mut usize) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match ty {
            Ty::Tensor { .. } | Ty::Key | Ty::Error => true,
            Ty::Tuple(parts) => parts.iter().all(|part| self.count_type(part, left)),
            Ty::List(element, count) => (0..*count).all(|_| self.count_type(element, left)),
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let fields = self.fields(*module, args, *tangent);
                fields.iter().all(|(_, ty, _)| self.count_type(ty, left))
            }
        }
    }

    /// The value, if it has few enough parts; reported if not.
    pub(crate) fn small(&mut self, val: Val, span: Span) -> Val {
        if count_val(&val, &mut MAX_PARTS.clone()) {
            return val;
        }
        self.error(
            "E0802",
            span,
            format!("a value of more than {MAX_PARTS} parts"),
        )
    }
}

fn count_val(val: &Val, left: &mut usize) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    match val {
        Val::Tuple(parts) | Val::List(parts) => parts.iter().all(|part| count_val(part, left)),
        Val::Record(record) => record.fields.iter().all(|field| count_val(&field.1, left)),
        _ => true,
    }
}

/// The names in a type that may be modules.
fn named(ty: &TypeExpr, out: &mut Vec<Ident>) {
    match &ty.kind {
        TypeKind::Tensor { .. } | TypeKind::Error => {}
        TypeKind::Tuple(parts) => parts.iter().for_each(|part| named(part, out)),
        TypeKind::List { elem, .. } => named(elem, out),
        TypeKind::Named { name, args } => {
            out.push(*name);
            for arg in args {
                match arg {
                    GenericArg::Name(name) => out.push(*name),
                    GenericArg::Type(ty) => named(ty, out),
                    GenericArg::Dim(_) | GenericArg::Pack(_) => {}
                }
            }
        }
    }
}
