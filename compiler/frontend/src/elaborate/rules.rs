//! Rules: both sides as functions of the same parameters, for one rank of packs and one dtype.

use std::collections::HashSet;

use aiai_ir::{Builder, Dim, FloatClass, Function, Module, Relation, Rule, Sym};

use super::Elaborator;
use super::context::{Cx, Env};
use super::entries::pack_env;
use super::program::Program;
use super::value::{Ty, Val};
use crate::ast::{self, Expr, ExprKind, Item, RuleClassKind};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::span::Span;

/// Rules with the functions that their sides call.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// In the order of the text.
    pub rules: Vec<Rule>,
    pub module: Module,
}

/// One side, built.
struct Side {
    function: Function,
    ty: Ty,
    guard: Vec<(Dim, Relation)>,
}

impl Program {
    /// The rules of the root file. Packs of dimensions stand for `rank` dimensions each; rules are
    /// checked with one, and may not have a type with others (`@` with several row axes).
    pub fn rules(&self, rank: usize) -> Result<RuleSet, Diagnostics> {
        let mut set = RuleSet::default();
        let found = self.elaborated(|e| {
            let Some(root) = self.own_files().next() else {
                return;
            };
            set.rules = e.rules_of(&root.items, rank);
            set.module = std::mem::take(&mut e.module);
        });
        if found.is_empty() {
            Ok(set)
        } else {
            Err(found)
        }
    }
}

impl Elaborator<'_> {
    /// Every rule among the items that elaborates.
    pub(crate) fn rules_of(&mut self, items: &[Item], rank: usize) -> Vec<Rule> {
        let mut rules = Vec::new();
        for item in items {
            let group = match item {
                Item::Rule(rule) => std::slice::from_ref(rule),
                Item::Rules(group) => group.rules.as_slice(),
                Item::Use(_)
                | Item::Module(_)
                | Item::Fn(_)
                | Item::Schedule(_)
                | Item::Test(_)
                | Item::Prop(_)
                | Item::Bench(_) => &[],
            };
            rules.extend(group.iter().filter_map(|rule| self.rule(rule, rank)));
        }
        rules
    }

    fn rule(&mut self, rule: &ast::Rule, rank: usize) -> Option<Rule> {
        let lhs = self.side(rule, &rule.lhs, "lhs", rank)?;
        if !self.all_bound(rule) {
            return None;
        }
        let rhs = self.side(rule, &rule.rhs, "rhs", rank)?;
        if lhs.ty != rhs.ty {
            let (left, right) = (self.show(&lhs.ty), self.show(&rhs.ty));
            let message = format!("the left side is `{left}`, the right side `{right}`");
            let diagnostic = Diagnostic::new("E0701", rule.rhs.span, message)
                .label(format!("`{right}`"))
                .related(rule.lhs.span, format!("`{left}`"));
            self.report(diagnostic.help("both sides of a rule have the same type"));
            return None;
        }
        let class = match rule.class.kind {
            RuleClassKind::Exact => FloatClass::Exact,
            RuleClassKind::Real => FloatClass::Real {
                finite: rule.class.finite,
            },
            RuleClassKind::Approx(ulp) => FloatClass::Approx { ulp },
        };
        Some(Rule {
            name: rule.name.name,
            class,
            guard: lhs.guard,
            lhs: lhs.function,
            rhs: rhs.function,
            doc: rule.doc.text(),
            loc: Some(self.sources.loc(rule.name.span)),
        })
    }

    /// One side as a function of all parameters of the rule.
    fn side(&mut self, rule: &ast::Rule, expr: &Expr, side: &str, rank: usize) -> Option<Side> {
        let mut env = pack_env(&rule.params, rank);
        self.open_generics(&rule.generics, &mut env);
        let mut function = Function::new(format!("{}.{side}", rule.name.name).as_str());
        function.loc = Some(self.sources.loc(expr.span));
        let mut cx = Cx::new(Builder::new(&mut function), Env::default());
        for param in &rule.params {
            if param.constant {
                let message = "a rule for every value of an attribute is not part of this version";
                self.report(Diagnostic::new("E0308", param.span, message));
                return None;
            }
            let ty = self.resolve(&param.ty, &mut env);
            if ty == Ty::Error {
                return None;
            }
            let val = self.add_param(&mut cx, param.name.name.as_str(), &ty, false);
            cx.bind(param.name.name, val, param.name.span);
        }
        let mut guard = Vec::new();
        for constraint in &rule.constraints {
            if let Some((relation, dim, _)) = self.constraint(constraint, &mut env) {
                cx.facts.assume(relation, dim);
                guard.push((dim, relation));
            }
        }
        env.open = false;
        cx.env = env;
        let val = self.expr(&mut cx, expr, None);
        let val = match val {
            Val::Poison => return None,
            // A side that is nothing but a number.
            Val::Dim(_) | Val::Float(_) | Val::Bool(_) => {
                Val::Tensor(self.tensor(&mut cx, val, None, expr.span)?)
            }
            val => val,
        };
        let ty = self.type_of(&cx, &val);
        self.finish(cx, &val, &ty);
        Some(Side {
            function,
            ty,
            guard,
        })
    }

    /// Whether the left side has every parameter that the right side uses.
    fn all_bound(&mut self, rule: &ast::Rule) -> bool {
        let mut left = HashSet::new();
        names(&rule.lhs, &mut |name, _| {
            left.insert(name);
        });
        let mut unbound: Option<(Sym, Span)> = None;
        names(&rule.rhs, &mut |name, span| {
            let is_param = rule.params.iter().any(|param| param.name.name == name);
            if is_param && !left.contains(&name) && unbound.is_none() {
                unbound = Some((name, span));
            }
        });
        let Some((name, span)) = unbound else {
            return true;
        };
        let message = format!("`{name}` does not stand on the left side");
        let diagnostic =
            Diagnostic::new("E0702", span, message).related(rule.lhs.span, "the left side");
        self.report(diagnostic.help("a match of the left side must say what every parameter is"));
        false
    }
}

/// Calls `visit` on every name that stands for a value in an expression without blocks.
fn names(expr: &Expr, visit: &mut impl FnMut(Sym, Span)) {
    match &expr.kind {
        ExprKind::Name(name) => visit(name.name, name.span),
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| names(&arg.value, visit)),
        ExprKind::Method { receiver, args, .. } => {
            names(receiver, visit);
            args.iter().for_each(|arg| names(&arg.value, visit));
        }
        ExprKind::Field { base, .. } => names(base, visit),
        ExprKind::Index { base, args } => {
            names(base, visit);
            for arg in args {
                match arg {
                    ast::IndexArg::At(at) => names(at, visit),
                    ast::IndexArg::Range { lo, hi, .. } => {
                        names(lo, visit);
                        names(hi, visit);
                    }
                    ast::IndexArg::All(_) | ast::IndexArg::Rest(_) => {}
                }
            }
        }
        ExprKind::Unary { operand, .. } => names(operand, visit),
        ExprKind::Binary { lhs, rhs, .. } => {
            names(lhs, visit);
            names(rhs, visit);
        }
        ExprKind::Tuple(parts) | ExprKind::Array(parts) => {
            parts.iter().for_each(|part| names(part, visit))
        }
        ExprKind::Paren(inner) => names(inner, visit),
        ExprKind::Reduce(reduce) => names(&reduce.body, visit),
        _ => {}
    }
}
