//! Greedy rewriting: ops in order of definition, rules in order of definition, to a fixed point.
//!
//! One sweep walks the function; an op that a rule fits is replaced at once, and what replaces it is walked next.
//! A rule fires where the cost of the function falls: what its new ops cost is less than what ops that
//! nothing uses any more did; or where the two are equal and the right side is the smaller term (see `measure`).
//! Either way (cost, term) falls, so rewriting ends; the limits say when it ended before that.

use std::rc::Rc;

use aiai_ir::ops::Effect;
use aiai_ir::{Function, Op, OpNode, Region, Rule, Scalar, Type, Value};
use rustc_hash::FxHashMap;

use super::build::{Built, build};
use super::cost::Costs;
use super::single::Single;
use super::text;
use super::tree::{Assigned, Graph, Maker};
use super::unify::{Bindings, Known, Match};
use super::uses::{Uses, for_each_use};
use super::{Firing, Limit, Limits, Rules, Trace, measure};
use crate::dce;
use crate::simplify::constants;

/// Rewrites a function; see the module.
pub fn rewrite(rules: &Rules, function: &mut Function, limits: &Limits) -> Trace {
    let mut trace = Trace::default();
    if rules.patterns.is_empty() {
        return trace;
    }
    for _ in 0..limits.sweeps {
        let before = trace.firings.len();
        sweep(rules, function, limits, &mut trace);
        dce::eliminate_dead_code(function);
        if trace.firings.len() == before || ends(trace.limit_hit) {
            return trace;
        }
    }
    trace.limit_hit = Some(Limit::Sweeps(limits.sweeps));
    trace
}

/// Whether nothing fires any more once the limit is reached.
fn ends(limit: Option<Limit>) -> bool {
    match limit {
        Some(Limit::Firings(_) | Limit::Created(_) | Limit::Sweeps(_)) => true,
        Some(Limit::Tests(_) | Limit::Nodes(_) | Limit::Iterations(_) | Limit::Rounds(_))
        | None => false,
    }
}

fn sweep(rules: &Rules, function: &mut Function, limits: &Limits, trace: &mut Trace) {
    let mut body = std::mem::take(&mut function.body);
    let uses = Uses::of(function.value_count(), &body);
    let name = function.name;
    let taken = std::mem::replace(function, Function::new(name));
    let mut walk = Walk {
        costs: Costs::with(&taken, &limits.costs),
        uses,
        rules,
        limits,
        facts: facts_of(&taken),
        scope: Scope::new(taken),
        known: FxHashMap::default(),
        undo: Vec::new(),
        replaced: FxHashMap::default(),
        trace,
    };
    walk.region(&mut body, 1);
    *function = walk.scope.function;
    function.body = body;
}

/// What the requirements of a function say of its dimensions.
pub fn facts_of(function: &Function) -> Known {
    Known::new(function.requires.iter().map(|r| (r.dim, r.relation)))
}

/// The values in sight, as the graph that patterns are matched against.
pub struct Scope {
    pub function: Function,
    made: Vec<Option<Made>>,
    splats: Vec<Option<Scalar>>,
}

/// What makes a value.
#[derive(Clone)]
struct Made {
    node: Rc<OpNode>,
    key: u32,
    /// How often its region runs.
    times: u64,
}

impl Graph for Scope {
    type Id = Value;

    fn ty(&self, id: Value) -> &Type {
        self.function.ty(id)
    }

    fn splat(&self, id: Value) -> Option<Scalar> {
        self.splats.get(id.0 as usize).copied().flatten()
    }

    fn makers(&self, id: Value) -> usize {
        usize::from(self.made(id).is_some())
    }

    fn maker(&self, id: Value, _number: usize) -> Maker<'_, Value> {
        let made = self.made(id).expect("asked for after it was counted");
        Maker {
            key: made.key,
            op: &made.node.op,
            operands: &made.node.operands,
            regions: &made.node.regions,
        }
    }
}

impl Scope {
    pub fn new(function: Function) -> Scope {
        Scope {
            function,
            made: Vec::new(),
            splats: Vec::new(),
        }
    }

    fn made(&self, id: Value) -> Option<&Made> {
        self.made.get(id.0 as usize)?.as_ref()
    }

    /// Enters an op that stands in a region which runs so many times.
    pub fn define(&mut self, rules: &Rules, node: &Rc<OpNode>, times: u64) {
        for (number, &result) in node.results.iter().enumerate() {
            let at = result.0 as usize;
            if self.made.len() <= at {
                self.made.resize(at + 1, None);
                self.splats.resize(at + 1, None);
            }
            let ty = self.function.ty(result);
            self.splats[at] = match &node.op {
                Op::Constant { value } => value.splat(),
                Op::Broadcast { .. } => self.splat(node.operands[0]),
                _ => None,
            };
            self.made[at] = Some(Made {
                node: node.clone(),
                key: rules.keys.of(&node.op, node.operands.len(), number, ty),
                times,
            });
        }
    }

    fn forget(&mut self, node: &OpNode) {
        for result in &node.results {
            if let Some(made) = self.made.get_mut(result.0 as usize) {
                *made = None;
            }
        }
    }
}

type Key = (Op, Vec<Value>);

struct Walk<'a> {
    rules: &'a Rules,
    limits: &'a Limits,
    facts: Known,
    costs: Costs,
    scope: Scope,
    uses: Uses,
    /// Pure ops in sight, and their results.
    known: FxHashMap<Key, Vec<Value>>,
    /// What was entered in `known`, in order, to be taken out where a region ends.
    undo: Vec<Key>,
    replaced: FxHashMap<Value, Value>,
    trace: &'a mut Trace,
}

impl Walk<'_> {
    fn current(&self, mut value: Value) -> Value {
        while let Some(&next) = self.replaced.get(&value) {
            value = next;
        }
        value
    }

    fn region(&mut self, region: &mut Region, times: u64) {
        let mark = self.undo.len();
        let mut work = std::mem::take(&mut region.ops);
        work.reverse();
        let mut kept: Vec<Rc<OpNode>> = Vec::with_capacity(work.len());
        while let Some(mut node) = work.pop() {
            for operand in &mut node.operands {
                *operand = self.current(*operand);
            }
            let inner = times.saturating_mul(self.costs.times(&node.op));
            for region in &mut node.regions {
                self.region(region, inner);
            }
            self.fold(&mut node);
            if self.merged(&node) {
                continue;
            }
            let node = Rc::new(node);
            self.scope.define(self.rules, &node, times);
            match self.fire(&node, times) {
                Some((built, stays)) => {
                    work.extend(built.into_iter().rev());
                    if stays {
                        kept.push(node);
                    } else {
                        self.scope.forget(&node);
                    }
                }
                None => {
                    self.enter(&node);
                    kept.push(node);
                }
            }
        }
        for value in &mut region.yields {
            *value = self.current(*value);
        }
        for key in self.undo.split_off(mark) {
            self.known.remove(&key);
        }
        for node in &kept {
            self.scope.forget(node);
        }
        let owned = kept.into_iter().map(Rc::unwrap_or_clone);
        region.ops = owned.collect();
    }

    /// Makes a constant of an op on constants: rules compute with the constants that they match.
    fn fold(&mut self, node: &mut OpNode) {
        if node.results.len() != 1 || !node.regions.is_empty() {
            return;
        }
        let scope = &self.scope;
        let maker = |value| scope.made(value).map(|made| &*made.node);
        let Some(value) = constants::folded(&scope.function, node, &maker) else {
            return;
        };
        for_each_use(node, &mut |value| self.uses.drop_one(value));
        node.op = Op::Constant { value };
        node.operands.clear();
    }

    /// Whether an op is one that is in sight already, which then takes its place.
    fn merged(&mut self, node: &OpNode) -> bool {
        let Some(key) = key_of(&node.op, &node.operands, !node.regions.is_empty()) else {
            return false;
        };
        let Some(earlier) = self.known.get(&key).cloned() else {
            return false;
        };
        for (&result, &value) in node.results.iter().zip(&earlier) {
            self.uses.moved(result, value);
            self.replaced.insert(result, value);
        }
        for_each_use(node, &mut |value| self.uses.drop_one(value));
        true
    }

    fn enter(&mut self, node: &OpNode) {
        if let Some(key) = key_of(&node.op, &node.operands, !node.regions.is_empty()) {
            self.known.insert(key.clone(), node.results.clone());
            self.undo.push(key);
        }
    }

    /// Tries the rules that fit an op. Where one fires, gives the ops that take the place of the old one,
    /// and whether the old one stays, for results that still have uses.
    fn fire(&mut self, node: &OpNode, times: u64) -> Option<(Vec<OpNode>, bool)> {
        let unused = node.results.iter().all(|&v| self.uses.count(v) == 0);
        if unused || ends(self.trace.limit_hit) {
            return None;
        }
        for &result in &node.results {
            let budget = self.limits.tests;
            let (found, enough) = self.rules.tree.matches(&self.scope, result, budget);
            if !enough {
                self.trace.limit_hit.get_or_insert(Limit::Tests(budget));
            }
            let mut tried = usize::MAX;
            for (number, assigned) in found {
                // Of a pattern with regions one attempt sees every order of operands.
                let pattern = &self.rules.patterns[number];
                if pattern.has_regions && tried == number {
                    continue;
                }
                tried = number;
                let Some(found) = self.complete(number, &assigned) else {
                    continue;
                };
                if let Some(done) = self.apply(node, &found, times) {
                    return Some(done);
                }
            }
        }
        None
    }

    /// The match that values at the places of a pattern make, if they do.
    fn complete(&self, number: usize, assigned: &Assigned<Value>) -> Option<Match<Value>> {
        let rules = self.rules;
        let pattern = &rules.patterns[number];
        let rule = &rules.rules[pattern.rule];
        if pattern.has_regions {
            let mut single = Single::new(
                &self.scope,
                &rules.keys,
                &self.facts,
                (rule, pattern, number),
            );
            return single.run(assigned[0].0);
        }
        Bindings::of_spine(&self.scope, &self.facts, (rule, pattern, number), assigned).ok()
    }

    fn apply(
        &mut self,
        node: &OpNode,
        found: &Match<Value>,
        times: u64,
    ) -> Option<(Vec<OpNode>, bool)> {
        let rules = self.rules;
        let pattern = &rules.patterns[found.pattern];
        let rule = &rules.rules[pattern.rule];
        let known = &self.known;
        let lookup = |op: &Op, operands: &[Value]| {
            let key = key_of(op, operands, false)?;
            known.get(&key).cloned()
        };
        let built = build(&mut self.scope.function, rule, found, node.loc, &lookup)?;
        let old: Vec<Value> = pattern.yields.iter().map(|&at| node.results[at]).collect();
        let fits = |(&old, &new): (&Value, &Value)| {
            old != new && self.scope.function.ty(old) == self.scope.function.ty(new)
        };
        if !old.iter().zip(&built.yields).all(fits) {
            return None;
        }
        let stays = node
            .results
            .iter()
            .any(|v| !old.contains(v) && self.uses.count(*v) > 0);
        if !self.pays(node, &old, &built, (times, stays), rule) {
            return None;
        }
        if let Some(limit) = self.limit(built.ops.len()) {
            self.trace.limit_hit = Some(limit);
            self.uses.roll_back();
            return None;
        }
        for dead in self.uses.commit() {
            if let Some(made) = self.scope.made(dead)
                && let Some(key) = key_of(&made.node.op, &made.node.operands, false)
            {
                self.known.remove(&key);
            }
        }
        let (before, after) = text::sides(rule, found);
        self.trace.created += built.ops.len();
        self.trace.firings.push(Firing {
            rule: rule.name,
            instance: rule.instance.clone(),
            place: node.loc,
            before,
            after,
        });
        self.replaced.extend(old.into_iter().zip(built.yields));
        Some((built.ops, stays))
    }

    /// Whether a firing may happen. What it does to the uses stays pending where it may.
    fn pays(
        &mut self,
        node: &OpNode,
        old: &[Value],
        built: &Built,
        (times, stays): (u64, bool),
        rule: &Rule,
    ) -> bool {
        let mut added = 0u64;
        for op in &built.ops {
            let cost = self.costs.node(&self.scope.function, op);
            added = added.saturating_add(cost.saturating_mul(times));
            for_each_use(op, &mut |value| self.uses.pend(value, 1));
        }
        for (&old, &new) in old.iter().zip(&built.yields) {
            let count = i64::from(self.uses.count(old));
            self.uses.pend(new, count);
            self.uses.pend(old, -count);
        }
        let mut saved = 0u64;
        if !stays {
            let cost = self.costs.node(&self.scope.function, node);
            saved = cost.saturating_mul(times);
            let mut work: Vec<Value> = Vec::new();
            for_each_use(node, &mut |value| work.push(value));
            saved = saved.saturating_add(self.release(work));
        }
        let pays = !self.limits.must_pay
            || added < saved
            || (added == saved && measure::right_is_smaller(rule));
        if !pays {
            self.trace.unpaid.get_or_insert((saved, added));
            self.uses.roll_back();
        }
        pays
    }

    /// Takes one use each from values; gives the cost of the ops that nothing uses any more.
    fn release(&mut self, mut work: Vec<Value>) -> u64 {
        let mut saved = 0u64;
        while let Some(value) = work.pop() {
            self.uses.pend(value, -1);
            let Some(made) = self.scope.made(value) else {
                continue;
            };
            let unused = made.node.results.iter().all(|&v| self.uses.after(v) == 0);
            if !unused || dce::has_effect(&made.node) || !self.uses.kill(&made.node.results) {
                continue;
            }
            let cost = self.costs.node(&self.scope.function, &made.node);
            saved = saved.saturating_add(cost.saturating_mul(made.times));
            for_each_use(&made.node, &mut |value| work.push(value));
        }
        saved
    }

    fn limit(&self, more: usize) -> Option<Limit> {
        if self.trace.firings.len() >= self.limits.firings {
            return Some(Limit::Firings(self.limits.firings));
        }
        let created = self.trace.created + more;
        (created > self.limits.created).then_some(Limit::Created(self.limits.created))
    }
}

/// What equal pure ops have in common.
fn key_of(op: &Op, operands: &[Value], regions: bool) -> Option<Key> {
    if regions || op.info().effect != Effect::Pure {
        return None;
    }
    let mut operands = operands.to_vec();
    if op.is_commutative() {
        operands.sort_unstable();
    }
    Some((op.clone(), operands))
}
