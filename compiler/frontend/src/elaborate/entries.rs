//! Entries: functions, tests and properties of a program as IR modules with their signatures.

use super::context::{Cx, Env};
use super::program::{Entry, Program, Shape, Signature, test_name};
use super::types::Role;
use super::value::{GArg, Ty, Val};
use super::{Elaborator, FnInfo};
use crate::ast::{self, Item, TypeKind};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::span::Span;
use aiai_ir::{Builder, DType, Dim, Function, Module, Op, Sym};
use std::collections::{BTreeMap, BTreeSet};

impl Program {
    /// A function as IR. `generics` binds names of dimensions to sizes; others stay symbolic.
    pub fn entry(
        &self,
        name: &str,
        generics: &BTreeMap<String, i64>,
    ) -> Result<Entry, Diagnostics> {
        self.build(|e| {
            let id = self.find_entry(e, name)?;
            let def = e.fns[id].def;
            let mut env = Env {
                open: true,
                ..Env::default()
            };
            e.check_given(def, generics.keys())?;
            for (name, size) in generics {
                env.bound
                    .insert(Sym::new(name), GArg::Dim(Dim::from(*size)));
            }
            let consts = e.representative_consts(def, false)?;
            let (function, signature) = e.open_function(id, env, &consts, def.name.name.as_str());
            Some((function, signature))
        })
    }

    pub(super) fn find_entry(&self, e: &mut Elaborator, name: &str) -> Option<usize> {
        let root = self.files.get(self.library_files)?;
        let found = root.items.iter().find_map(|item| match item {
            Item::Fn(f) if f.name.name.as_str() == name => Some(f.name),
            _ => None,
        });
        match found {
            Some(ident) => e.find_fn(ident.name, ident.span),
            None => {
                let span = Span {
                    file: root.id,
                    start: 0,
                    end: 0,
                };
                let message = format!("the file has no function `{name}`");
                let mut diagnostic = Diagnostic::new("E0201", span, message);
                let names = self.functions();
                if let Some(near) = crate::suggest::nearest(name, names.iter().copied()) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                } else if !names.is_empty() {
                    diagnostic = diagnostic.help(format!("it has {}", names.join(", ")));
                }
                e.report(diagnostic);
                None
            }
        }
    }

    /// The test, property or benchmark at a place in [`Program::tests`], as IR. `rank` is the rank that
    /// packs get.
    pub fn test_entry(&self, index: usize, rank: usize) -> Result<Entry, Diagnostics> {
        self.build(|e| {
            let root = self.files.get(self.library_files)?;
            let item = root
                .items
                .iter()
                .filter(|i| test_name(i).is_some())
                .nth(index)?;
            e.test_function(item, rank)
        })
    }
}

impl<'p> Elaborator<'p> {
    /// Elaborates a function whose generic names are its own symbols.
    pub(super) fn open_function(
        &mut self,
        id: usize,
        env: Env,
        consts: &[(Sym, Val)],
        name: &str,
    ) -> (Function, Signature) {
        let FnInfo { def, owner, .. } = self.fns[id];
        let mut env = env;
        let mut receiver = None;
        if let Some(module) = owner {
            let args = self.open_args(module, &mut env);
            receiver = Some(Ty::Record {
                module,
                args,
                tangent: false,
            });
        }
        self.open_generics(&def.generics, &mut env);
        for (name, val) in consts {
            if let Val::Dim(dim) = val {
                env.bound.insert(*name, GArg::Dim(*dim));
            }
        }
        let signature = self.signature(def, &mut env);
        // The body can use what the signature names, and no more.
        env.open = false;
        let function = self.build(id, receiver, env, consts, name);
        (function, signature)
    }

    pub(super) fn open_args(&mut self, module: usize, env: &mut Env) -> Vec<GArg> {
        let def = self.modules[module].def;
        let mut args = Vec::new();
        for generic in &def.generics {
            let name = generic.name.name;
            let arg = if self.modules[module].type_params.contains(&name) {
                GArg::Ty(self.stand_in())
            } else {
                GArg::Dim(Dim::sym(name))
            };
            env.bound.insert(name, arg.clone());
            args.push(arg);
        }
        args
    }

    pub(crate) fn open_generics(&mut self, generics: &[ast::GenericParam], env: &mut Env) {
        for generic in generics {
            let name = generic.name.name;
            if env.bound.contains_key(&name) {
                continue;
            }
            let arg = match generic.bound.map(|b| b.name.as_str()) {
                Some("module") => GArg::Ty(self.stand_in()),
                Some("int" | "signed") => GArg::DType(DType::I32),
                Some("unsigned") => GArg::DType(DType::U32),
                Some(_) => GArg::DType(DType::F32),
                None if generic.pack => GArg::Pack(vec![
                    Dim::sym(format!("{name}0").as_str()),
                    Dim::sym(format!("{name}1").as_str()),
                ]),
                None => GArg::Dim(Dim::sym(name)),
            };
            env.bound.insert(name, arg);
        }
    }

    pub(super) fn signature(&mut self, def: &ast::Function, env: &mut Env) -> Signature {
        let params = def.params.iter().filter(|p| !p.constant);
        let mut described = Vec::new();
        for param in params {
            let ty = self.resolve(&param.ty, env);
            let mut leaves = Vec::new();
            self.leaves(&ty, param.name.name.as_str(), Role::Param, &mut leaves);
            described.push((param.name.name.to_string(), self.shape_of(&ty), leaves));
        }
        let result = match &def.ret {
            Some(ret) => self.resolve(ret, env),
            None => Ty::unit(),
        };
        let mut result_leaves = Vec::new();
        self.leaves(&result, "", Role::Param, &mut result_leaves);
        let domains = vec![None; described.len()];
        let constraints = def
            .constraints
            .iter()
            .filter_map(|c| self.constraint(c, env));
        let constraints = constraints
            .map(|(relation, dim, _)| (dim, relation))
            .collect();
        Signature {
            params: described,
            result: self.shape_of(&result),
            result_leaves,
            domains,
            constraints,
        }
    }

    pub(super) fn shape_of(&mut self, ty: &Ty) -> Shape {
        match ty {
            Ty::Tensor { .. } | Ty::Error => Shape::Tensor,
            Ty::Key => Shape::Key,
            Ty::Tuple(parts) => Shape::Tuple(parts.iter().map(|p| self.shape_of(p)).collect()),
            Ty::List(element, count) => {
                let element = self.shape_of(element);
                Shape::List(vec![element; *count])
            }
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let fields = self.fields(*module, args, *tangent);
                let module = self.modules[*module].def.name.name.to_string();
                let fields = fields
                    .iter()
                    .map(|(name, ty, _)| (name.to_string(), self.shape_of(ty)))
                    .collect();
                Shape::Record { module, fields }
            }
        }
    }

    /// An input of a test: a parameter with the range that it is drawn from.
    fn add_test_param(
        &mut self,
        cx: &mut Cx,
        param: &ast::Param,
        env: &mut Env,
        signature: &mut Signature,
    ) {
        let ty = self.resolve(&param.ty, env);
        let name = param.name.name.as_str();
        let val = self.add_param(cx, name, &ty, param.own);
        let mut leaves = Vec::new();
        self.leaves(&ty, name, Role::Param, &mut leaves);
        let shape = self.shape_of(&ty);
        signature.params.push((name.to_owned(), shape, leaves));
        let domain = param.domain.as_ref();
        let domain = domain.and_then(|d| {
            let (low, high) = (self.number(&d.lo)?, self.number(&d.hi)?);
            if low > high {
                let message = format!("there are no values from {low} to {high}");
                let at = d.lo.span.to(d.hi.span);
                self.report(Diagnostic::new("E0308", at, message));
                return None;
            }
            Some((low, high))
        });
        signature.domains.push(domain);
        cx.bind(param.name.name, val, param.name.span);
    }

    /// A test, property or benchmark as a function.
    pub(super) fn test_function(
        &mut self,
        item: &ast::Item,
        rank: usize,
    ) -> Option<(Function, Signature)> {
        let TestParts {
            name,
            generics,
            params,
            constraints,
            body,
        } = test_parts(item)?;
        let mut env = pack_env(params, rank);
        self.open_generics(generics, &mut env);
        let mut function = Function::new(format!("test {name}").as_str());
        function.loc = Some(self.sources.loc(item.span()));
        let mut cx = Cx::new(Builder::new(&mut function), Env::default());
        let mut signature = Signature {
            params: Vec::new(),
            result: Shape::Tuple(Vec::new()),
            result_leaves: Vec::new(),
            domains: Vec::new(),
            constraints: Vec::new(),
        };
        for param in params {
            self.add_test_param(&mut cx, param, &mut env, &mut signature);
        }
        for constraint in constraints {
            if let Some((relation, dim, _)) = self.constraint(constraint, &mut env) {
                cx.facts.assume(relation, dim);
                signature.constraints.push((dim, relation));
            }
        }
        env.open = false;
        cx.env = env;
        let val = self.block(&mut cx, body, None);
        if !val.is_poison()
            && !matches!(&val, Val::Tuple(parts) if parts.is_empty())
            && matches!(item, Item::Test(_) | Item::Prop(_))
        {
            let at = body.tail.as_ref().map_or(body.span, |t| t.span);
            self.report(Diagnostic::new(
                "E0304",
                at,
                "a test ends in a check, not in a value",
            ));
        }
        let ty = self.type_of(&cx, &val);
        self.finish(cx, &val, &ty);
        Some((function, signature))
    }

    pub(super) fn number(&mut self, expr: &ast::Expr) -> Option<f64> {
        match self.constant_default(expr) {
            Val::Dim(d) => d.as_const().map(|n| n as f64),
            Val::Float(x) => Some(x),
            _ => None,
        }
    }
}

/// The function and all that it calls.
pub(super) fn reachable(mut module: Module, root: Sym) -> Module {
    let mut keep = BTreeSet::new();
    let mut work = vec![root];
    while let Some(name) = work.pop() {
        if !keep.insert(name) {
            continue;
        }
        if let Some(function) = module.get(name) {
            function.body.walk(&mut |node| {
                if let Op::Call { callee, .. } | Op::Grad { callee, .. } = &node.op {
                    work.push(*callee);
                }
            });
        }
    }
    module.functions.retain(|name, _| keep.contains(name));
    module
}

/// What tests, properties and benchmarks have in common.
struct TestParts<'a> {
    name: String,
    generics: &'a [ast::GenericParam],
    params: &'a [ast::Param],
    constraints: &'a [ast::Constraint],
    body: &'a ast::Block,
}

fn test_parts(item: &ast::Item) -> Option<TestParts<'_>> {
    match item {
        Item::Test(test) => Some(TestParts {
            name: test.name.value.clone(),
            generics: &[],
            params: &[],
            constraints: &[],
            body: &test.body,
        }),
        Item::Prop(prop) | Item::Bench(prop) => Some(TestParts {
            name: prop.name.name.to_string(),
            generics: &prop.generics,
            params: &prop.params,
            constraints: &prop.constraints,
            body: &prop.body,
        }),
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

/// An open environment in which packs and `..` stand for `rank` dimensions.
pub(super) fn pack_env(params: &[ast::Param], rank: usize) -> Env {
    let shape = |name: &str| -> Vec<Dim> {
        let names = (0..rank).map(|i| format!("{name}{i}"));
        names.map(|name| Dim::sym(name.as_str())).collect()
    };
    let mut env = Env {
        open: true,
        rest: Some(shape("_")),
        ..Env::default()
    };
    for param in params {
        let TypeKind::Tensor { dims, .. } = &param.ty.kind else {
            continue;
        };
        for dim in dims {
            if let ast::TypeDim::Pack(name) = dim {
                let pack = GArg::Pack(shape(name.name.as_str()));
                env.bound.insert(name.name, pack);
            }
        }
    }
    env
}
