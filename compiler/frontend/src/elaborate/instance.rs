//! Calls: arguments to parameters, generic names to what they stand for, and one IR function for
//! every distinct instance.

use std::collections::{BTreeMap, HashSet};

use aiai_ir::{Dim, Sym};

use super::Elaborator;
use super::context::Env;
use super::types::Role;
use super::value::{GArg, Record, Ty, Val};
use crate::ast::Param;
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
    /// The IR function for a call with the given bindings.
    pub(super) fn instance(
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
    pub(super) fn blame_call(&mut self, id: usize, before: usize, span: Span) {
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
    pub(super) fn callee_env(
        &mut self,
        env: &Env,
        params: &[Param],
        receiver: Option<&Record>,
    ) -> Env {
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

    pub(super) fn own_env(&self, env: &Env) -> Env {
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
    pub(super) fn instance_key(&self, id: usize, env: &Env, consts: &[(Sym, Val)]) -> String {
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
