//! Rewriting by rules.
//!
//! A set of rule instances becomes a decision tree ([`Rules`]), which is matched against a function either
//! greedily or, by equality saturation, against all its equal forms at once. Whatever happens is bounded by
//! counts ([`Limits`]) and told ([`Trace`]); the same function and rules give the same result everywhere.

use std::sync::Arc;

use aiai_ir::policy::CostChoice;
use aiai_ir::rule::MOST_AXES;
use aiai_ir::{
    Function, Instance, Loc, Module, Rule, RuleSet, Stage, Sym, Value, VerifyError, verify,
};

use crate::{cse, dce, inline};

mod build;
pub mod cost;
mod egraph;
mod extract;
mod greedy;
mod keys;
mod library;
mod measure;
mod pattern;
mod profile;
mod saturate;
mod single;
mod sketch;
mod survey;
mod text;
mod tree;
mod unify;
mod uses;
mod why;

pub use library::{Float, Library, Source};
pub use profile::Profile;
pub use survey::{Fit, Survey};
pub use why::{Near, Nearest, why};

use keys::Keys;
use pattern::Pattern;
use tree::Tree;

/// The rules with sides of primitives only: calls become the bodies of what they call, as those of a program
/// do before rules are applied to it. Instances with more axes than their rule is judged at are left out.
pub fn prepare(set: RuleSet) -> Vec<Rule> {
    let RuleSet { rules, module } = set;
    let rules = rules.into_iter().map(|mut rule| {
        for side in [&mut rule.lhs, &mut rule.rhs] {
            *side = inline::inline_calls(&module, side);
            cse::merge_common(side);
            dce::eliminate_dead_code(side);
        }
        rule
    });
    rules.filter(judged).collect()
}

/// Whether an instance has as many axes as rules are judged at, where more might make a difference.
fn judged(rule: &Rule) -> bool {
    let instance = &rule.instance;
    let by_rank = instance.ranks.len() > 1 || !instance.attributes.is_empty();
    let low = |side: &Function| {
        let mut values = (0..side.value_count() as u32).map(Value);
        values.all(|value| side.ty(value).rank() <= MOST_AXES)
    };
    !by_rank || (low(&rule.lhs) && low(&rule.rhs))
}

/// A rule set, ready to be applied. Which rule fires where several fit is the order in which they are given.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    patterns: Vec<Pattern>,
    keys: Keys,
    tree: Tree,
    skipped: Vec<Skipped>,
    /// Rules of which not all instances that a function admits were made.
    cut: Vec<Sym>,
}

/// An instance that cannot be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    pub rule: Sym,
    pub instance: Instance,
    pub why: String,
}

/// How far rewriting may go. All are counts, so that limits do not depend on the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Firings.
    pub firings: usize,
    /// Ops that are made.
    pub created: usize,
    /// Walks over the function, when rewriting greedily.
    pub sweeps: usize,
    /// Tests to find the rules that fit one value.
    pub tests: usize,
    /// Whether a rule fires only where the cost falls, or stays and the term gets smaller. Without it a
    /// set of rules may run in circles, up to the other limits.
    pub must_pay: bool,
    /// Nodes of the e-graph of one region, when saturating.
    pub nodes: usize,
    /// Rounds of matching all rules, when saturating.
    pub iterations: usize,
    /// Costs that a program gives, before the default ones.
    pub costs: Arc<Vec<CostChoice>>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            firings: 10_000,
            created: 100_000,
            sweeps: 16,
            tests: 20_000,
            must_pay: true,
            nodes: 5_000,
            iterations: 8,
            costs: Arc::default(),
        }
    }
}

/// Which limit ended rewriting before there was nothing left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Firings(usize),
    Created(usize),
    Sweeps(usize),
    Tests(usize),
    Nodes(usize),
    Iterations(usize),
    /// Rounds of making instances for types that firings brought about.
    Rounds(usize),
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Firings(n) => write!(f, "{n} firings"),
            Limit::Created(n) => write!(f, "{n} new operations"),
            Limit::Sweeps(n) => write!(f, "{n} walks over the function"),
            Limit::Tests(n) => write!(f, "{n} tests for one value"),
            Limit::Nodes(n) => write!(f, "{n} nodes of an e-graph"),
            Limit::Rounds(n) => write!(f, "{n} rounds of making instances"),
            Limit::Iterations(n) => write!(f, "{n} rounds of saturation"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// In order.
    pub firings: Vec<Firing>,
    /// Ops that were made.
    pub created: usize,
    pub limit_hit: Option<Limit>,
    /// Rules with more instances for the function than are made: only the first of them were tried.
    pub cut: Vec<Sym>,
    /// What the first match that did not pay would have saved and added, in units of cost.
    pub unpaid: Option<(u64, u64)>,
}

/// One application of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    pub rule: Sym,
    pub instance: Instance,
    /// Where the replaced op comes from.
    pub place: Option<Loc>,
    /// The left side as it was met, with the names of the rule's parameters.
    pub before: String,
    pub after: String,
}

impl Rules {
    /// Compiles prepared instances (see [`prepare`]). Those that cannot be applied are in
    /// [`Rules::skipped`].
    pub fn new(instances: Vec<Rule>) -> Rules {
        Rules::shared(instances.into_iter().map(Arc::new).collect())
    }

    /// The same, of instances that others hold too.
    pub fn shared(instances: Vec<Arc<Rule>>) -> Rules {
        let mut rules = Rules::default();
        for (number, rule) in instances.iter().enumerate() {
            match Pattern::all(number, rule, &mut rules.keys) {
                Ok(patterns) => {
                    for pattern in patterns {
                        rules.tree.insert(rules.patterns.len(), &pattern);
                        rules.patterns.push(pattern);
                    }
                }
                Err(why) => rules.skipped.push(Skipped {
                    rule: rule.name,
                    instance: rule.instance.clone(),
                    why,
                }),
            }
        }
        rules.rules = instances;
        rules
    }

    /// The instances, in the order given.
    pub fn instances(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Instances that are never applied, with the reason.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Rewrites to a fixed point; see `greedy`.
    pub fn greedy(&self, function: &mut Function, limits: &Limits) -> Trace {
        greedy::rewrite(self, function, limits)
    }

    /// Finds all forms of the function that the rules give, and takes the cheapest; see `saturate`.
    pub fn saturate(&self, function: &mut Function, limits: &Limits) -> Trace {
        saturate::rewrite(self, function, limits)
    }
}

/// Firings of one function behind which it is verified, at most.
pub const MOST_VERIFIED: usize = 256;

/// What rewrites functions: instances as they are, or a library of rules.
pub trait Rewriter: Send + Sync + std::fmt::Debug {
    fn greedy(&self, function: &mut Function, limits: &Limits) -> Trace;
    fn saturate(&self, function: &mut Function, limits: &Limits) -> Trace;
}

impl Rewriter for Rules {
    fn greedy(&self, function: &mut Function, limits: &Limits) -> Trace {
        Rules::greedy(self, function, limits)
    }

    fn saturate(&self, function: &mut Function, limits: &Limits) -> Trace {
        Rules::saturate(self, function, limits)
    }
}

/// Rewrites greedily, with the function verified as it is behind every single firing; behind [`MOST_VERIFIED`]
/// of them, evenly spread, where there are more: each takes a run of its own.
///
/// # Errors
/// Where a firing leaves invalid IR: the name of the rule, and what is wrong.
pub fn greedy_verified(
    rules: &dyn Rewriter,
    function: &mut Function,
    limits: &Limits,
) -> Result<Trace, (Sym, VerifyError)> {
    let start = function.clone();
    let trace = rules.greedy(function, limits);
    let every = trace.firings.len().div_ceil(MOST_VERIFIED).max(1);
    for (number, firing) in trace.firings.iter().enumerate().step_by(every) {
        let mut partly = start.clone();
        let firings = number + 1;
        rules.greedy(
            &mut partly,
            &Limits {
                firings,
                ..limits.clone()
            },
        );
        let mut module = Module::default();
        module.insert(partly);
        verify(&module, Stage::Primitive).map_err(|error| (firing.rule, error))?;
    }
    Ok(trace)
}
