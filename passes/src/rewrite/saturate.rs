//! Equality saturation: all forms of a function that the rules give, up to the limits, and the cheapest of them.
//!
//! Each region is saturated alone, inner ones first. Ops with regions, and those that may stop the program, stay
//! where they are, in order; their results are leaves. What comes of it takes the place of the region only
//! where it costs less. The trace has the firings that put forms into classes of the result; which of them were
//! needed is not told apart.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aiai_ir::ops::Effect;
use aiai_ir::{Function, Literal, Op, OpNode, Region, Scalar, Type, Value};
use egg::Id;

use super::cost::Costs;
use super::egraph::{Forms, Kind, Node};
use super::extract::{Choice, extract};
use super::greedy::facts_of;
use super::text;
use super::unify::{Bindings, Bound, Known, Match};
use super::{Firing, Limit, Limits, Rules, Trace};
use crate::clone::captured;
use crate::{cse, dce};

/// Rewrites a function; see the module.
pub fn rewrite(rules: &Rules, function: &mut Function, limits: &Limits) -> Trace {
    cse::merge_common(function);
    dce::eliminate_dead_code(function);
    let mut trace = Trace::default();
    if rules.patterns.is_empty() {
        return trace;
    }
    let facts = facts_of(function);
    let costs = Costs::with(function, &limits.costs);
    let mut body = std::mem::take(&mut function.body);
    let mut work = Work {
        rules,
        limits,
        facts: &facts,
        costs: &costs,
        trace: &mut trace,
        splats: HashMap::new(),
    };
    work.region(function, &mut body);
    function.body = body;
    cse::merge_common(function);
    dce::eliminate_dead_code(function);
    trace
}

struct Work<'a> {
    rules: &'a Rules,
    limits: &'a Limits,
    facts: &'a Known,
    costs: &'a Costs,
    trace: &'a mut Trace,
    /// Values of regions around whose elements are all equal and known.
    splats: HashMap<Value, Scalar>,
}

/// A firing that may be told, with the class that it put a form into.
type Pending = (Id, Firing);

impl Work<'_> {
    fn region(&mut self, function: &mut Function, region: &mut Region) {
        for node in &region.ops {
            let splat = match &node.op {
                Op::Constant { value } => value.splat(),
                Op::Broadcast { .. } => self.splats.get(&node.operands[0]).copied(),
                _ => None,
            };
            if let Some(splat) = splat {
                self.splats.insert(node.results[0], splat);
            }
        }
        for node in &mut region.ops {
            for inner in &mut node.regions {
                self.region(function, inner);
            }
        }
        let inner = region
            .ops
            .iter()
            .filter(|node| is_looked_into(node))
            .count();
        if inner == 0 {
            return;
        }
        if inner > self.limits.nodes {
            self.trace.limit_hit = Some(Limit::Nodes(self.limits.nodes));
            return;
        }
        let (mut forms, classes) = self.read(function, region);
        let pending = self.saturate(&mut forms);
        let choice = extract(&forms, self.costs);
        let mut emitter = Emitter {
            forms: &forms,
            choice: &choice,
            function,
            out: Vec::new(),
            values: BTreeMap::new(),
            made: HashMap::new(),
        };
        let Some(emitted) = emitter.region(region, &classes) else {
            return;
        };
        let used: BTreeSet<Id> = emitter.values.keys().copied().collect();
        let (before, after) = (
            self.costs.region(function, region),
            self.costs.region(function, &emitted),
        );
        if after >= before {
            return;
        }
        *region = emitted;
        for (class, firing) in pending {
            if used.contains(&forms.graph.find(class)) {
                self.trace.firings.push(firing);
            }
        }
    }

    /// The ops of a region as a graph, and the classes of their results.
    fn read(&self, function: &Function, region: &Region) -> (Forms, HashMap<Value, Id>) {
        let mut forms = Forms::new();
        let mut classes: HashMap<Value, Id> = HashMap::new();
        for node in &region.ops {
            forms.graph.analysis.place = node.loc;
            if !is_looked_into(node) {
                for &result in &node.results {
                    let id = forms.leaf(result, function.ty(result), None);
                    classes.insert(result, id);
                }
                continue;
            }
            let mut operands = Vec::with_capacity(node.operands.len());
            for &value in &node.operands {
                operands.push(self.class(&mut forms, &mut classes, function, value));
            }
            for (number, &result) in node.results.iter().enumerate() {
                let ty = function.ty(result);
                let id = forms.op(&self.rules.keys, &node.op, number, ty, &operands);
                classes.insert(result, id);
            }
        }
        for &value in &region.yields {
            self.class(&mut forms, &mut classes, function, value);
        }
        forms.graph.rebuild();
        (forms, classes)
    }

    /// The class of a value; a leaf where it comes from elsewhere.
    fn class(
        &self,
        forms: &mut Forms,
        classes: &mut HashMap<Value, Id>,
        function: &Function,
        value: Value,
    ) -> Id {
        if let Some(&known) = classes.get(&value) {
            return known;
        }
        let splat = self.splats.get(&value).copied();
        let id = forms.leaf(value, function.ty(value), splat);
        classes.insert(value, id);
        id
    }

    /// Applies all rules everywhere, again and again; gives the firings that made two classes one.
    fn saturate(&mut self, forms: &mut Forms) -> Vec<Pending> {
        let mut pending = Vec::new();
        for _ in 0..self.limits.iterations {
            let found = self.search(forms);
            let before = pending.len();
            for (class, found) in &found {
                if forms.graph.total_number_of_nodes() > self.limits.nodes {
                    self.trace.limit_hit = Some(Limit::Nodes(self.limits.nodes));
                    break;
                }
                if pending.len() >= self.limits.firings {
                    self.trace.limit_hit = Some(Limit::Firings(self.limits.firings));
                    break;
                }
                pending.extend(self.apply(forms, *class, found));
            }
            forms.graph.rebuild();
            if pending.len() == before || self.trace.limit_hit.is_some() {
                return pending;
            }
        }
        self.trace.limit_hit = Some(Limit::Iterations(self.limits.iterations));
        pending
    }

    fn search(&mut self, forms: &Forms) -> Vec<(Id, Match<Id>)> {
        let mut matches = Vec::new();
        for class in forms.classes() {
            let (found, enough) = self.rules.tree.matches(forms, class, self.limits.tests);
            if !enough {
                self.trace
                    .limit_hit
                    .get_or_insert(Limit::Tests(self.limits.tests));
            }
            for (number, assigned) in found {
                let pattern = &self.rules.patterns[number];
                let rule = &self.rules.rules[pattern.rule];
                let regions = rule.rhs.body.ops.iter().any(|n| !n.regions.is_empty());
                if pattern.has_regions || regions || pattern.yields.len() != 1 {
                    continue;
                }
                let of = (&**rule, pattern, number);
                let complete = Bindings::of_spine(forms, self.facts, of, &assigned);
                matches.extend(complete.ok().map(|found| (class, found)));
            }
            if matches.len() > self.limits.nodes * MATCHES_PER_NODE {
                self.trace.limit_hit = Some(Limit::Nodes(self.limits.nodes));
                break;
            }
        }
        matches
    }

    /// Adds the right side of a match and says that it equals the left one; nothing where that was known.
    fn apply(&mut self, forms: &mut Forms, class: Id, found: &Match<Id>) -> Option<Pending> {
        let rules = self.rules;
        let rule = &rules.rules[rules.patterns[found.pattern].rule];
        let class = forms.graph.find(class);
        let place = forms.data(class).loc;
        forms.graph.analysis.place = place;
        let id = self.add(forms, rule, found)?;
        if forms.data(id).ty != forms.data(class).ty || !forms.graph.union(class, id) {
            return None;
        }
        let (before, after) = text::sides(rule, found);
        let firing = Firing {
            rule: rule.name,
            instance: rule.instance.clone(),
            place,
            before,
            after,
        };
        Some((class, firing))
    }

    fn add(&mut self, forms: &mut Forms, rule: &aiai_ir::Rule, found: &Match<Id>) -> Option<Id> {
        let keys = &self.rules.keys;
        let rhs = &rule.rhs;
        let mut ids: HashMap<Value, Id> = HashMap::new();
        for (&param, bound) in rhs.body.args.iter().zip(&found.params) {
            match bound {
                None => {}
                Some(Bound::Value(id)) => {
                    ids.insert(param, *id);
                }
                Some(Bound::Constant(scalar)) => {
                    let value = Literal::scalar(rhs.ty(param).dtype(), *scalar);
                    let ty = value.ty();
                    let id = forms.op(keys, &Op::Constant { value }, 0, &ty, &[]);
                    ids.insert(param, id);
                }
            }
        }
        for node in &rhs.body.ops {
            let mut op = node.op.clone();
            op.map_dims(&mut |dim| dim.substitute(&|sym| found.dims.get(&sym).copied()));
            let mut operands = Vec::with_capacity(node.operands.len());
            for value in &node.operands {
                operands.push(*ids.get(value)?);
            }
            let types = operands.iter().map(|&id| forms.data(id).ty.clone());
            let types: Vec<Type> = types.collect();
            let results = op.infer(&types, &[]).ok()?;
            self.trace.created += 1;
            for (number, (&value, ty)) in node.results.iter().zip(&results).enumerate() {
                ids.insert(value, forms.op(keys, &op, number, ty, &operands));
            }
        }
        ids.get(rhs.body.yields.first()?).copied()
    }
}

/// Matches of one round per node that a graph may have, at most.
const MATCHES_PER_NODE: usize = 4;

/// Whether an op becomes a node.
fn is_looked_into(node: &OpNode) -> bool {
    let effect = node.op.info().effect;
    let plain = matches!(effect, Effect::Pure | Effect::Check);
    plain && node.regions.is_empty() && !node.results.is_empty()
}

/// Writes the chosen nodes as ops.
struct Emitter<'a> {
    forms: &'a Forms,
    choice: &'a Choice,
    function: &'a mut Function,
    out: Vec<OpNode>,
    /// The value of each class that was written.
    values: BTreeMap<Id, Value>,
    /// The results of each op that was written: ops may have several.
    made: HashMap<(Op, Vec<Id>), Vec<Value>>,
}

impl Emitter<'_> {
    /// The region anew; `None` where values would be needed before they are there.
    fn region(&mut self, region: &Region, classes: &HashMap<Value, Id>) -> Option<Region> {
        let own = region.ops.iter().filter(|node| !is_looked_into(node));
        let mut late: HashSet<Value> = own.flat_map(|node| node.results.iter().copied()).collect();
        for node in &region.ops {
            if is_looked_into(node) {
                continue;
            }
            let mut copy = node.clone();
            for value in &mut copy.operands {
                *value = self.value(classes, &late, *value)?;
            }
            for inner in &mut copy.regions {
                let mut renamed: HashMap<Value, Value> = HashMap::new();
                for value in captured(inner) {
                    renamed.insert(value, self.value(classes, &late, value)?);
                }
                inner.map_uses(&mut |value| renamed.get(&value).copied().unwrap_or(value));
            }
            for result in &copy.results {
                late.remove(result);
            }
            self.out.push(copy);
        }
        let mut yields = Vec::with_capacity(region.yields.len());
        for &value in &region.yields {
            yields.push(self.value(classes, &late, value)?);
        }
        Some(Region {
            args: region.args.clone(),
            ops: std::mem::take(&mut self.out),
            yields,
        })
    }

    /// What a value of the old region is in the new one.
    fn value(
        &mut self,
        classes: &HashMap<Value, Id>,
        late: &HashSet<Value>,
        value: Value,
    ) -> Option<Value> {
        match classes.get(&value) {
            Some(&id) => self.class(self.forms.graph.find(id), late),
            // Of a region around, and used within another only.
            None => Some(value),
        }
    }

    fn class(&mut self, root: Id, late: &HashSet<Value>) -> Option<Value> {
        let mut work = vec![root];
        let mut open: HashSet<Id> = HashSet::new();
        while let Some(&id) = work.last() {
            if self.values.contains_key(&id) {
                work.pop();
                continue;
            }
            let node = self.choice.get(&id)?;
            let waiting: Vec<Id> = node
                .children
                .iter()
                .rev()
                .map(|&child| self.forms.graph.find(child))
                .filter(|child| !self.values.contains_key(child))
                .collect();
            if waiting.is_empty() {
                let value = self.node(id, node, late)?;
                self.values.insert(id, value);
                work.pop();
                continue;
            }
            // Seen before and still waiting: the choices run in a circle.
            if !open.insert(id) {
                return None;
            }
            work.extend(waiting);
        }
        self.values.get(&root).copied()
    }

    fn node(&mut self, id: Id, node: &Node, late: &HashSet<Value>) -> Option<Value> {
        let head = self.forms.graph.analysis.get(node.head);
        let (op, result) = match &head.kind {
            Kind::Leaf(value) if late.contains(value) => return None,
            Kind::Leaf(value) => return Some(*value),
            Kind::Op(op, result) => (op, *result),
        };
        let children: Vec<Id> = node
            .children
            .iter()
            .map(|&child| self.forms.graph.find(child))
            .collect();
        let key = (op.clone(), children);
        if let Some(known) = self.made.get(&key) {
            return known.get(result).copied();
        }
        let children = &key.1;
        let operands: Vec<Value> = children.iter().map(|child| self.values[child]).collect();
        let types = operands.iter().map(|&v| self.function.ty(v).clone());
        let types: Vec<Type> = types.collect();
        let inferred = op.infer(&types, &[]).ok()?;
        let results = inferred.into_iter().map(|ty| self.function.new_value(ty));
        let results: Vec<Value> = results.collect();
        self.out.push(OpNode {
            op: op.clone(),
            operands,
            results: results.clone(),
            regions: Vec::new(),
            loc: self.forms.data(id).loc,
        });
        self.made.insert(key, results.clone());
        results.get(result).copied()
    }
}
