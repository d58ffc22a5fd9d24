//! Bodies: a function elaborated in an environment, from parameters to results.

use super::Elaborator;
use super::FnInfo;
use super::context::{Cx, Env};
use super::types::Role;
use super::value::{Ty, Val};
use crate::ast::{self, Constraint};
use crate::diagnostics::Diagnostic;
use aiai_ir::{Builder, DType, Dim, Function, Library, Literal, Require, Scalar, Sym, Type};

impl Elaborator<'_> {
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
                let given = given.map_or(Val::Poison, |c| c.1.clone());
                match &param.default {
                    Some(default) if self.checking => {
                        let val = self.constant_default(default);
                        let fits = self.constant_arg(&cx, param, val, default.span, None);
                        fits.map_or(Val::Poison, |_| given)
                    }
                    _ => given,
                }
            } else {
                let mut env = std::mem::take(&mut cx.env);
                let ty = self.resolve(&param.ty, &mut env);
                cx.env = env;
                if self.checking {
                    self.check_default(&mut cx, param, &ty);
                }
                self.add_param(&mut cx, param.name.name.as_str(), &ty, param.own)
            };
            cx.bind(param.name.name, val, param.name.span);
        }
        self.finish_body(cx, def);
        self.stack.pop();
        function
    }

    /// A default must be a value of its parameter, whether or not a call leaves it out.
    fn check_default(&mut self, cx: &mut Cx, param: &ast::Param, ty: &Ty) {
        if let Some(default) = &param.default {
            let val = self.constant_default(default);
            let what = format!("`{}`", param.name.name);
            self.fit(cx, val, ty, default.span, &what, param.ty.span);
        }
    }

    pub(super) fn finish_body(&mut self, mut cx: Cx, def: &ast::Function) {
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
        if self.unbound.contains(&def.name.span) {
            return self.finish(cx, &Val::Poison, &ret);
        }
        let last = def.body.stmts.last().map(|stmt| stmt.span);
        let at = match &def.body.tail {
            Some(tail) => tail.span,
            None => last.unwrap_or(def.body.span),
        };
        if let (None, Some(written)) = (&def.body.tail, &def.ret)
            && ret != Ty::unit()
            && !val.is_poison()
        {
            let message = format!("`{}` has no result", def.name.name);
            let diagnostic = Diagnostic::new("E0304", at, message)
                .label("the last line, a statement")
                .related(written.span, "declared here")
                .help("the last line of a block is its result: write an expression there");
            self.report(diagnostic);
            return self.finish(cx, &Val::Poison, &ret);
        }
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
                self.report(Diagnostic::new("E0306", clause.span, message));
                continue;
            }
            cx.facts.assume(relation, dim);
            let dim = cx.facts.normalize(dim);
            if dim.as_const().is_none() {
                let loc = Some(self.sources.loc(clause.span));
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

pub(super) fn library_of(
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
