//! Names: variables, dimensions, items.

use aiai_ir::Sym;

use super::context::Cx;
use super::value::{GArg, Val};
use super::{Elaborator, ItemRef, builtins};
use crate::ast::{self, Ident};
use crate::diagnostics::Diagnostic;
use crate::span::Span;
use crate::suggest::{foreign_function, foreign_name, nearest};

impl Elaborator<'_> {
    fn item(&self, name: Sym, at: Span) -> Option<ItemRef> {
        self.visible.get(at.file.0 as usize)?.get(&name).copied()
    }

    pub(crate) fn find_module(&self, name: Sym, at: Span) -> Option<usize> {
        match self.item(name, at) {
            Some(ItemRef::Module(module)) => Some(module),
            _ => None,
        }
    }

    pub(crate) fn is_module(&self, name: Sym) -> bool {
        self.modules.iter().any(|m| m.def.name.name == name)
    }

    pub(crate) fn find_fn(&self, name: Sym, at: Span) -> Option<usize> {
        match self.item(name, at) {
            Some(ItemRef::Fn(function)) => Some(function),
            _ => None,
        }
    }

    pub(crate) fn module_names(&self) -> Vec<Sym> {
        self.modules.iter().map(|m| m.def.name.name).collect()
    }

    /// The value of a name.
    pub(crate) fn name(&mut self, cx: &mut Cx, name: Ident) -> Val {
        if let Some(index) = cx
            .indices
            .iter()
            .rposition(|i| i.visible && i.name == name.name)
        {
            return self.index_value(cx, index, name.span);
        }
        if let Some(variable) = cx.lookup(name.name) {
            let val = variable.val.clone();
            return self.check_spent(cx, val, name);
        }
        match cx.env.bound.get(&name.name) {
            Some(GArg::Dim(dim)) => return Val::Dim(cx.facts.normalize(*dim)),
            Some(GArg::Pack(pack)) => {
                return Val::Tuple(pack.iter().map(|d| Val::Dim(*d)).collect());
            }
            _ => {}
        }
        self.unknown_name(cx, name)
    }

    fn check_spent(&mut self, cx: &Cx, val: Val, name: Ident) -> Val {
        let spent = val
            .leaves()
            .into_iter()
            .find_map(|leaf| cx.spent.get(&leaf).copied());
        let Some(place) = spent else { return val };
        let diagnostic = if matches!(val, Val::Key(_)) {
            Diagnostic::new(
                "E0502",
                name.span,
                format!("the key `{}` is used twice", name.name),
            )
            .related(place, "first used here")
            .help(format!(
                "make two of it: `let (a, b) = split({})`",
                name.name
            ))
        } else {
            let message = format!("`{}` is used after it was given away", name.name);
            Diagnostic::new("E0501", name.span, message)
                .related(place, "given to an `own` parameter here")
        };
        self.fail(diagnostic)
    }

    fn unknown_name(&mut self, cx: &Cx, name: Ident) -> Val {
        let text = name.name.as_str();
        if self.find_fn(name.name, name.span).is_some() || builtins::find(text).is_some() {
            let message = format!("`{text}` is a function; call it with `(...)`");
            let mut diagnostic = Diagnostic::new("E0304", name.span, message);
            let found = self.find_fn(name.name, name.span);
            let first = found.and_then(|id| self.fns[id].def.params.first());
            let draws = |p: &ast::Param| matches!(&p.ty.kind, ast::TypeKind::Named { name, .. } if name.name.as_str() == "Key");
            if first.is_some_and(draws) {
                diagnostic = diagnostic.help(format!("a parameter starts as `~ {text}`"));
            }
            return self.fail(diagnostic);
        }
        let mut known: Vec<&str> = cx.names().map(|n| n.as_str()).collect();
        known.extend(cx.env.bound.keys().map(|n| n.as_str()));
        known.extend(
            cx.indices
                .iter()
                .filter(|i| i.visible)
                .map(|i| i.name.as_str()),
        );
        known.sort_unstable();
        let mut diagnostic = Diagnostic::new("E0201", name.span, format!("unknown name `{text}`"));
        // Inside an equation, or by its looks, an index.
        let is_letter = text.len() == 1
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && (!cx.indices.is_empty() || matches!(text, "i" | "j" | "k" | "l" | "m" | "n"));
        let near = nearest(text, known).filter(|_| !is_letter);
        if let Some(help) = foreign_name(text) {
            diagnostic = diagnostic.help(help);
        } else if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if is_letter {
            diagnostic.code = "E0401";
            diagnostic.message = format!("`{text}` is not bound");
            diagnostic = diagnostic.help(
                "an index is bound on the left, `let y[i] = ...`, or by a reduction, `sum i: ...`",
            );
        }
        self.fail(diagnostic)
    }

    /// A finding for a call of what is no function.
    pub(crate) fn not_a_function(&mut self, cx: &Cx, name: Ident) -> Val {
        let Some(variable) = cx.lookup(name.name) else {
            return self.unknown_function(name);
        };
        if variable.val.is_poison() {
            return Val::Poison;
        }
        let text = name.name.as_str();
        let message = format!("`{text}` is {}, not a function", variable.val.kind());
        let mut diagnostic = Diagnostic::new("E0304", name.span, message);
        if let Val::Record(record) = &variable.val {
            let mut methods: Vec<&str> = self
                .methods
                .keys()
                .filter(|k| k.0 == record.module)
                .map(|k| k.1.as_str())
                .collect();
            methods.sort_unstable();
            if let Some(first) = methods.first() {
                diagnostic = diagnostic.help(format!("call a method of it: `{text}.{first}(...)`"));
            }
        } else {
            diagnostic = diagnostic.help(format!("multiplication is `*`, an element `{text}[i]`"));
        }
        self.fail(diagnostic)
    }

    /// A finding for a function that is nowhere, with a suggestion.
    pub(crate) fn unknown_function(&mut self, name: Ident) -> Val {
        let text = name.name.as_str();
        let message = format!("unknown function `{text}`");
        let mut diagnostic = Diagnostic::new("E0201", name.span, message);
        let mut known: Vec<&str> = builtins::names().collect();
        if let Some(visible) = self.visible.get(name.span.file.0 as usize) {
            known.extend(visible.keys().map(|n| n.as_str()));
        }
        known.sort_unstable();
        if let Some(help) = foreign_function(text) {
            diagnostic = diagnostic.help(help);
        } else if let Some(near) = nearest(text, known) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.fail(diagnostic)
    }
}
