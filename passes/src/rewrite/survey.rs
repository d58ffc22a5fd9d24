//! Surveys: which rules fit where in a function as it stands, without rewriting anything.
//!
//! There are two ways to find out, by the decision tree and rule by rule; that they agree is tested, and how much
//! faster the first one is, is measured.

use std::rc::Rc;

use aiai_ir::{Facts, Function, OpNode, Region, Value};

use super::greedy::{Scope, facts_of};
use super::single::{Nearest, Single};
use super::tree::Graph;
use super::unify::Bindings;
use super::{Limits, Rules};

/// A function, ready to be asked about.
pub struct Survey<'a> {
    rules: &'a Rules,
    facts: Facts,
    scope: Scope,
    nodes: Vec<Rc<OpNode>>,
}

/// A place where a rule fits: the value that its right side would take the place of, and the number of the
/// instance among [`Rules::instances`].
pub type Fit = (Value, usize);

impl<'a> Survey<'a> {
    pub fn new(rules: &'a Rules, function: &Function) -> Survey<'a> {
        let mut survey = Survey {
            rules,
            facts: facts_of(function),
            scope: Scope::new(function.clone()),
            nodes: Vec::new(),
        };
        survey.region(&function.body);
        survey
    }

    fn region(&mut self, region: &Region) {
        for node in &region.ops {
            let shared = Rc::new(node.clone());
            self.scope.define(self.rules, &shared, 1);
            self.nodes.push(shared);
            for inner in &node.regions {
                self.region(inner);
            }
        }
    }

    /// Asks the decision tree.
    pub fn compiled(&self) -> Vec<Fit> {
        let mut fits = Vec::new();
        let tests = Limits::default().tests;
        for value in self.values() {
            let (found, _) = self.rules.tree.matches(&self.scope, value, tests);
            let mut last = None;
            for (number, assigned) in found {
                if last == Some(number) {
                    continue;
                }
                let pattern = &self.rules.patterns[number];
                let rule = &self.rules.rules[pattern.rule];
                let of = (&**rule, pattern, number);
                let fit = match pattern.has_regions {
                    true => self.single(number).run(value).is_some(),
                    false => Bindings::of_spine(&self.scope, &self.facts, of, &assigned).is_ok(),
                };
                if fit {
                    last = Some(number);
                    fits.push((value, pattern.rule));
                }
            }
        }
        fits
    }

    /// Tries rule by rule.
    pub fn one_by_one(&self) -> Vec<Fit> {
        let mut fits = Vec::new();
        for value in self.values() {
            let makers = self.scope.makers(value);
            let key = (0..makers)
                .map(|number| self.scope.maker(value, number).key)
                .next();
            for (number, pattern) in self.rules.patterns.iter().enumerate() {
                if key != Some(pattern.root_key()) {
                    continue;
                }
                if self.single(number).run(value).is_some() {
                    fits.push((value, pattern.rule));
                }
            }
        }
        fits
    }

    /// How near a value comes to a pattern; `None` where it fits.
    pub(super) fn nearest(&self, pattern: usize, value: Value) -> Option<Nearest> {
        let mut single = self.single(pattern);
        match single.run(value) {
            Some(_) => None,
            None => single.nearest,
        }
    }

    pub(super) fn single(&self, pattern: usize) -> Single<'_, Scope> {
        let of = &self.rules.patterns[pattern];
        let rule = &self.rules.rules[of.rule];
        let parts = (&**rule, of, pattern);
        Single::new(&self.scope, &self.rules.keys, &self.facts, parts)
    }

    pub(super) fn nodes(&self) -> &[Rc<OpNode>] {
        &self.nodes
    }

    /// The op that makes a value.
    pub(super) fn maker(&self, value: Value) -> Option<&OpNode> {
        let found = self.nodes.iter().find(|node| node.results.contains(&value));
        found.map(|node| &**node)
    }

    pub(super) fn ty(&self, value: Value) -> &aiai_ir::Type {
        self.scope.ty(value)
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        self.nodes
            .iter()
            .flat_map(|node| node.results.iter().copied())
    }
}
