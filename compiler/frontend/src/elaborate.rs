//! Elaboration: from the syntax tree to IR. Names, types, shapes, instances.
//!
//! Invariants: a finding is reported once, where it is; its value is [`value::Val::Poison`], which fits
//! everywhere. Every (function, dtypes, ranks, compile-time arguments) becomes one IR function.
//! Shapes in the IR are normal forms under what `where` clauses say.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Module, Sym};

use crate::ast;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::span::{SourceMap, Span};

mod access;
mod bodies;
pub mod builtins;
mod calls;
pub mod context;
mod control;
mod entries;
mod exprs;
mod fit;
mod generics;
mod grad;
mod index;
mod instance;
mod literals;
mod names;
mod operators;
mod policies;
mod program;
mod ranges;
mod records;
mod rules;
mod schedules;
mod signatures;
mod sizes;
mod sketch;
mod slices;
mod sums;
pub mod types;
pub mod value;

pub use program::{Entry, Loader, Program, Shape, Signature, TestKind, check, rule_library};
pub use schedules::{ScheduleFile, library_schedules, read_schedules};
pub use types::{Leaf, Role};
pub use value::{GArg, Ty};

/// A module definition with what is known of its generic parameters.
pub(crate) struct ModuleInfo<'p> {
    pub def: &'p ast::Module,
    /// The parameters that stand for modules, not dimensions.
    pub type_params: HashSet<Sym>,
    /// Defined in the standard library.
    pub library: bool,
}

/// A function or a method.
#[derive(Clone, Copy)]
pub(crate) struct FnInfo<'p> {
    pub def: &'p ast::Function,
    /// The module that it is a method of.
    pub owner: Option<usize>,
    /// Defined in the standard library.
    pub library: bool,
}

/// What a name at the top level of a file means.
#[derive(Clone, Copy)]
pub(crate) enum ItemRef {
    Module(usize),
    Fn(usize),
}

/// The state of elaborating a program.
pub struct Elaborator<'p> {
    pub(crate) sources: &'p SourceMap,
    pub(crate) modules: Vec<ModuleInfo<'p>>,
    pub(crate) fns: Vec<FnInfo<'p>>,
    pub(crate) methods: HashMap<(usize, Sym), usize>,
    /// Per file, the items in sight.
    pub(crate) visible: Vec<HashMap<Sym, ItemRef>>,
    pub(crate) module: Module,
    /// Instances by key; `None` while one is being made, or where it failed.
    pub(crate) instances: HashMap<String, Option<instance::Instance>>,
    /// Functions being elaborated, outermost first.
    pub(crate) stack: Vec<usize>,
    pub(crate) diagnostics: Diagnostics,
    /// Counts outlined functions.
    pub(crate) outlined: usize,
    pub(crate) stand_in_module: Option<usize>,
    /// Definitions are being checked by themselves: lists of unknown length stand for one item.
    pub(crate) checking: bool,
    /// Functions, by where their names stand, with a dimension that nothing binds: that is reported.
    pub(crate) unbound: HashSet<Span>,
    /// How many written types are being resolved, one within the other.
    pub(crate) resolving: usize,
}

impl Elaborator<'_> {
    pub(crate) fn report(&mut self, mut diagnostic: Diagnostic) {
        // Two axes stand for any where a definition is checked by itself.
        let shown = |text: &mut String| *text = text.replace("_0, _1", "..");
        shown(&mut diagnostic.message);
        shown(&mut diagnostic.label);
        diagnostic.help.iter_mut().for_each(shown);
        diagnostic.related.iter_mut().for_each(|r| shown(&mut r.1));
        self.diagnostics.push(diagnostic);
    }

    /// Reports and gives the value that fits everywhere.
    pub(crate) fn fail(&mut self, diagnostic: Diagnostic) -> value::Val {
        self.report(diagnostic);
        value::Val::Poison
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
    ) -> value::Val {
        self.fail(Diagnostic::new(code, span, message))
    }

    /// A module with one leaf of unknown length: stands for `M` while generic code is checked.
    pub(crate) fn stand_in(&self) -> Ty {
        match self.stand_in_module {
            Some(module) => {
                let args = vec![GArg::Dim(aiai_ir::Dim::sym("_M"))];
                Ty::Record {
                    module,
                    args,
                    tangent: false,
                }
            }
            None => Ty::Error,
        }
    }
}
