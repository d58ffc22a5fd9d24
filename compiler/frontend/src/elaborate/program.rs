//! Programs: files and what they use, checked as a whole; entries as IR modules.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use aiai_ir::policy::Policies;
use aiai_ir::{Dim, Function, Module, Sym};

use super::context::Env;
use super::types::Leaf;
use super::value::Val;
use super::{Elaborator, FnInfo, ItemRef, ModuleInfo};
use crate::ast::{self, Item, Member, TypeKind};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::parse::parse;
use crate::span::{FileId, SourceMap, Span};
use crate::stdlib;

/// Hands out the text of files: the only way in.
pub trait Loader {
    /// The name and text of the file that `path` names from the file called `from`, or why not.
    fn load(&self, from: &str, path: &[&str]) -> Result<(String, String), String>;
}

/// A program that has been parsed, with what was found wrong so far.
pub struct Program {
    pub sources: SourceMap,
    pub files: Vec<ast::File>,
    /// Files of the standard library come first.
    pub(super) library_files: usize,
    /// How many files after those are what the program is about: one, or the files of a library of rules.
    pub(super) roots: usize,
    /// Per file, the files that it uses, with the names where not all.
    uses: Vec<Vec<(usize, Option<Vec<ast::UseName>>)>>,
    pub diagnostics: Diagnostics,
}

/// What kind of item a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestKind {
    Test,
    Prop,
    Bench,
}

/// A function as IR, with all that it calls.
#[derive(Clone, Debug)]
pub struct Entry {
    pub module: Module,
    pub name: Sym,
    pub signature: Signature,
    /// What the program chooses of passes.
    pub policies: Policies,
}

/// Parameters and result of an entry, as leaves and as structure.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Name, structure, and leaves with paths that start with the name.
    pub params: Vec<(String, Shape, Vec<Leaf>)>,
    pub result: Shape,
    pub result_leaves: Vec<Leaf>,
    /// Of properties: the range of each parameter.
    pub domains: Vec<Option<(f64, f64)>>,
    /// `where` clauses, as `dim relation 0`.
    pub constraints: Vec<(Dim, aiai_ir::Relation)>,
}

/// The structure of a value, for reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Tensor,
    Key,
    Tuple(Vec<Shape>),
    List(Vec<Shape>),
    Record {
        module: String,
        fields: Vec<(String, Shape)>,
    },
}

/// Parses `text` and the files that it uses, and checks everything in them.
pub fn check(name: &str, text: &str, loader: &dyn Loader) -> Program {
    let mut program = Program::parse(name, text, loader);
    if !program.diagnostics.is_empty() {
        // What does not parse would only bring about further findings.
        program.diagnostics.sort();
        return program;
    }
    let found = program.elaborated(|elaborator| {
        if !elaborator.check_containment() {
            return;
        }
        for file in program.own_files() {
            elaborator.check_signatures(&file.items);
            elaborator.check_modules(file);
        }
        elaborator.check_all();
        for file in program.own_files() {
            elaborator.check_rules(&file.items);
            elaborator.policies_of(&file.items);
            elaborator.check_tests(file);
        }
    });
    program.diagnostics.extend(found);
    let mut found = Diagnostics::default();
    program.own_schedules(&mut found);
    program.diagnostics.extend(found);
    program.diagnostics.sort();
    program.diagnostics.drop_repeats();
    program
}

/// Parses files of rules, given by name and text, as one library. They use no other files and are not checked
/// beyond their syntax: for files that were checked before.
pub fn rule_library(files: &[(&str, &str)]) -> Program {
    let mut program = Program {
        sources: SourceMap::default(),
        files: Vec::new(),
        library_files: 0,
        roots: files.len(),
        uses: Vec::new(),
        diagnostics: Diagnostics::default(),
    };
    for (name, text) in stdlib::FILES {
        program.add(name, text);
    }
    program.library_files = program.files.len();
    for (name, text) in files {
        program.add(name, text);
    }
    program
}

impl Program {
    pub(super) fn parse(name: &str, text: &str, loader: &dyn Loader) -> Program {
        let mut program = Program {
            sources: SourceMap::default(),
            files: Vec::new(),
            library_files: 0,
            roots: 1,
            uses: Vec::new(),
            diagnostics: Diagnostics::default(),
        };
        for (name, text) in stdlib::FILES {
            program.add(name, text);
        }
        program.library_files = program.files.len();
        let root = program.add(name, text);
        program.load_uses(root, loader);
        program
    }

    pub(super) fn add(&mut self, name: &str, text: &str) -> usize {
        let id = self.sources.add(name, text);
        let file = parse(text, id, &mut self.diagnostics);
        self.files.push(file);
        self.uses.push(Vec::new());
        self.files.len() - 1
    }

    pub(super) fn load_uses(&mut self, root: usize, loader: &dyn Loader) {
        let mut by_name: HashMap<String, usize> = HashMap::new();
        by_name.insert(
            self.sources.file(FileId(root as u32)).name.to_string(),
            root,
        );
        let mut work = vec![root];
        while let Some(file) = work.pop() {
            let items: Vec<ast::Use> = self.files[file]
                .items
                .iter()
                .filter_map(|item| {
                    if let Item::Use(u) = item {
                        Some(u.clone())
                    } else {
                        None
                    }
                })
                .collect();
            let from = self.sources.file(FileId(file as u32)).name.to_string();
            for item in items {
                let path: Vec<&str> = item.path.iter().map(|p| p.name.as_str()).collect();
                match loader.load(&from, &path) {
                    Ok((name, text)) => {
                        let used = match by_name.get(&name) {
                            Some(&known) => known,
                            None => {
                                let added = self.add(&name, &text);
                                by_name.insert(name, added);
                                work.push(added);
                                added
                            }
                        };
                        self.uses[file].push((used, item.names));
                    }
                    Err(reason) => {
                        let message = format!("`{}` cannot be used: {reason}", path.join("."));
                        self.diagnostics
                            .push(Diagnostic::new("E0203", item.span, message));
                    }
                }
            }
        }
        self.report_cycles(root);
    }

    /// Files that use one another in a circle.
    pub(super) fn report_cycles(&mut self, root: usize) {
        let mut state: HashMap<usize, bool> = HashMap::new();
        let mut path = vec![(root, 0usize)];
        state.insert(root, true);
        while let Some(&mut (file, ref mut next)) = path.last_mut() {
            let Some((used, _)) = self.uses[file].get(*next).cloned() else {
                state.insert(file, false);
                path.pop();
                continue;
            };
            *next += 1;
            match state.get(&used) {
                Some(true) => {
                    let uses = self.files[file].items.iter().filter_map(|i| {
                        if let Item::Use(u) = i {
                            Some(u.span)
                        } else {
                            None
                        }
                    });
                    let names: Vec<String> = path
                        .iter()
                        .skip_while(|p| p.0 != used)
                        .map(|p| self.sources.file(FileId(p.0 as u32)).name.to_string())
                        .collect();
                    let message = format!("files use each other in a circle: {}", names.join(", "));
                    if let Some(span) = uses.collect::<Vec<_>>().last().copied() {
                        self.diagnostics
                            .push(Diagnostic::new("E0203", span, message));
                    }
                }
                Some(false) => {}
                None => {
                    state.insert(used, true);
                    path.push((used, 0));
                }
            }
        }
    }

    /// The files of the program itself: the root first.
    pub(crate) fn own_files(&self) -> impl Iterator<Item = &ast::File> {
        self.files[self.library_files..].iter()
    }

    /// The files that the program is about.
    pub(crate) fn root_files(&self) -> impl Iterator<Item = &ast::File> {
        self.own_files().take(self.roots)
    }

    /// Runs `work` on a fresh elaborator, on a stack that nested programs fit on.
    pub(crate) fn elaborated<'p>(
        &'p self,
        work: impl FnOnce(&mut Elaborator<'p>) + Send,
    ) -> Diagnostics {
        const STACK: usize = 1 << 30;
        let work = Mutex::new(Some(work));
        let run = || {
            let mut elaborator = self.elaborator();
            let work = work.lock().unwrap_or_else(|e| e.into_inner()).take();
            if let Some(work) = work {
                work(&mut elaborator);
            }
            elaborator.diagnostics
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, run);
            match thread.map(|t| t.join()) {
                Ok(Ok(diagnostics)) => diagnostics,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // No thread to be had: the caller's stack must do.
                Err(_) => run(),
            }
        })
    }

    pub(super) fn elaborator(&self) -> Elaborator<'_> {
        let mut e = Elaborator {
            sources: &self.sources,
            modules: Vec::new(),
            fns: Vec::new(),
            methods: HashMap::new(),
            visible: Vec::new(),
            module: Module::default(),
            instances: HashMap::new(),
            stack: Vec::new(),
            diagnostics: Diagnostics::default(),
            outlined: 0,
            stand_in_module: None,
            checking: false,
            unbound: HashSet::new(),
            resolving: 0,
        };
        let mut own: Vec<HashMap<Sym, (ItemRef, Span)>> = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            own.push(collect(&mut e, file, number < self.library_files));
        }
        e.stand_in_module = e
            .modules
            .iter()
            .position(|m| m.def.name.name.as_str() == "AnyModule");
        for number in 0..self.files.len() {
            let mut seen: HashMap<Sym, ItemRef> = HashMap::new();
            for library in &own[..self.library_files] {
                seen.extend(library.iter().map(|(name, item)| (*name, item.0)));
            }
            for (used, names) in &self.uses[number] {
                match names {
                    None => seen.extend(own[*used].iter().map(|(name, item)| (*name, item.0))),
                    Some(names) => {
                        for name in names {
                            match own[*used].get(&name.name.name) {
                                Some(item) => {
                                    seen.insert(name.alias.unwrap_or(name.name).name, item.0);
                                }
                                None => {
                                    let message =
                                        format!("the file has no item `{}`", name.name.name);
                                    e.report(Diagnostic::new("E0201", name.name.span, message));
                                }
                            }
                        }
                    }
                }
            }
            seen.extend(own[number].iter().map(|(name, item)| (*name, item.0)));
            e.visible.push(seen);
        }
        e
    }

    /// Names of functions that can be entries: those of the root file, in order.
    pub fn functions(&self) -> Vec<&str> {
        let root = self.files.get(self.library_files);
        let items = root.iter().flat_map(|f| &f.items);
        items
            .filter_map(|item| match item {
                Item::Fn(f) => Some(f.name.name.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Titles of tests, properties and benchmarks of the root file, in order.
    pub fn tests(&self) -> Vec<(TestKind, String)> {
        let Some(root) = self.files.get(self.library_files) else {
            return Vec::new();
        };
        root.items.iter().filter_map(test_name).collect()
    }

    pub(super) fn build(
        &self,
        work: impl FnOnce(&mut Elaborator<'_>) -> Option<(Function, Signature)> + Send,
    ) -> Result<Entry, Diagnostics> {
        let policies = self.policies()?;
        let mut built = None;
        let found = self.elaborated(|e| {
            if let Some((function, signature)) = work(e) {
                let name = function.name;
                e.module.insert(function);
                let module = super::entries::reachable(std::mem::take(&mut e.module), name);
                built = Some(Entry {
                    module,
                    name,
                    signature,
                    policies,
                });
            }
        });
        match built {
            Some(entry) if found.is_empty() => Ok(entry),
            _ => Err(found),
        }
    }
}

pub(super) fn test_name(item: &Item) -> Option<(TestKind, String)> {
    match item {
        Item::Test(t) => Some((TestKind::Test, t.name.value.clone())),
        Item::Prop(p) => Some((TestKind::Prop, p.name.name.to_string())),
        Item::Bench(p) => Some((TestKind::Bench, p.name.name.to_string())),
        Item::Use(_)
        | Item::Module(_)
        | Item::Fn(_)
        | Item::Rule(_)
        | Item::Rules(_)
        | Item::Schedule(_)
        | Item::Fuse(_)
        | Item::Layout(_)
        | Item::Cost(_)
        | Item::Derivative(_) => None,
    }
}

/// Where the name of a test, property or benchmark stands.
fn test_title(item: &Item) -> Span {
    match item {
        Item::Test(test) => test.name.span,
        Item::Prop(prop) | Item::Bench(prop) => prop.name.span,
        other => other.span(),
    }
}

/// Enters the items of a file; names must be distinct within it.
fn collect<'p>(
    e: &mut Elaborator<'p>,
    file: &'p ast::File,
    library: bool,
) -> HashMap<Sym, (ItemRef, Span)> {
    let mut own: HashMap<Sym, (ItemRef, Span)> = HashMap::new();
    for item in &file.items {
        let (name, reference) = match item {
            Item::Fn(def) => {
                e.fns.push(FnInfo {
                    def,
                    owner: None,
                    library,
                });
                (def.name, ItemRef::Fn(e.fns.len() - 1))
            }
            Item::Module(def) => {
                let number = e.modules.len();
                e.modules.push(ModuleInfo {
                    def,
                    type_params: type_params(def),
                    library,
                });
                for member in &def.members {
                    if let Member::Fn(method) = member {
                        e.fns.push(FnInfo {
                            def: method,
                            owner: Some(number),
                            library,
                        });
                        let known = e
                            .methods
                            .insert((number, method.name.name), e.fns.len() - 1);
                        if known.is_some() {
                            let message = format!("`{}` is defined twice", method.name.name);
                            e.report(Diagnostic::new("E0202", method.name.span, message));
                        }
                    }
                }
                (def.name, ItemRef::Module(number))
            }
            _ => continue,
        };
        if let Some((_, first)) = own.get(&name.name) {
            let message = format!("`{}` is defined twice", name.name);
            let diagnostic = Diagnostic::new("E0202", name.span, message);
            e.report(diagnostic.related(*first, "first defined here"));
            continue;
        }
        own.insert(name.name, (reference, name.span));
    }
    own
}

/// The generic parameters of a module that stand where types do.
fn type_params(def: &ast::Module) -> HashSet<Sym> {
    let mut found = HashSet::new();
    let mut visit = |ty: &ast::TypeExpr| {
        for generic in &def.generics {
            if super::records::is_bare(ty, generic.name.name) {
                found.insert(generic.name.name);
            }
        }
    };
    for member in &def.members {
        match member {
            Member::Leaf(leaf) => visit(&leaf.ty),
            Member::Submodule(sub) => {
                visit(&sub.ty);
                if let TypeKind::List { elem, .. } = &sub.ty.kind {
                    visit(elem);
                }
            }
            Member::Fn(_) => {}
        }
    }
    found
}

impl<'p> Elaborator<'p> {
    /// Checks every function of every file by itself, then tests.
    pub(super) fn check_all(&mut self) {
        self.checking = true;
        for id in 0..self.fns.len() {
            if self.fns[id].library {
                continue;
            }
            self.check_function(id);
        }
        for module in 0..self.modules.len() {
            if !self.modules[module].library {
                self.check_initial_values(module);
            }
        }
        self.checking = false;
    }

    pub(super) fn check_function(&mut self, id: usize) {
        let def = self.fns[id].def;
        let Some(consts) = self.representative_consts(def, true) else {
            return;
        };
        let env = Env {
            open: true,
            ..Env::default()
        };
        self.open_function(id, env, &consts, "check");
    }

    /// Compile-time arguments for a function that is checked by itself: the defaults.
    pub(super) fn representative_consts(
        &mut self,
        def: &ast::Function,
        invent: bool,
    ) -> Option<Vec<(Sym, Val)>> {
        let mut consts = Vec::new();
        for param in def.params.iter().filter(|p| p.constant) {
            let wanted = match &param.ty.kind {
                TypeKind::Named { name, .. } => name.name.as_str(),
                _ => "",
            };
            let val = match &param.default {
                Some(default) => match (self.constant_default(default), wanted) {
                    (Val::Dim(d), "f64" | "f32") => Val::Float(d.as_const().unwrap_or(0) as f64),
                    (val, _) => val,
                },
                None if invent => match wanted {
                    "f64" | "f32" => Val::Float(0.5),
                    "bool" => Val::Bool(false),
                    _ => Val::Dim(Dim::from(1)),
                },
                None => {
                    let message = format!("`{}` of an entry needs a default", param.name.name);
                    self.report(Diagnostic::new("E0308", param.span, message));
                    return None;
                }
            };
            consts.push((param.name.name, val));
        }
        Some(consts)
    }

    /// Every test of a file, checked. Two of a kind cannot have one name.
    pub(crate) fn check_tests(&mut self, file: &'p ast::File) {
        let mut known: HashMap<(TestKind, String), Span> = HashMap::new();
        for item in &file.items {
            let Some(name) = test_name(item) else {
                continue;
            };
            let at = test_title(item);
            if let Some(&first) = known.get(&name) {
                let message = format!("`{}` is defined twice", name.1);
                let diagnostic = Diagnostic::new("E0202", at, message);
                self.report(diagnostic.related(first, "first defined here"));
            } else {
                known.insert(name, at);
            }
            self.test_function(item, 2);
        }
    }
}
