//! Steps 3 to 5: rewriting ends, the rule is no consequence of admitted ones, and what a firing leaves is well formed.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Dim, Function, Op, OpNode, Rule, Stage, Value, verify};
use aiai_passes::clone::Renaming;
use aiai_passes::rewrite::{Limits, Rules};
use aiai_passes::{cse, dce};

use super::candidate::{Candidate, ops};
use super::context::{Context, KINDS};
use super::{Bench, Outcome, fingerprint};
use crate::witness::alone;
use aiai_ir::random::{Random, derive};

/// How far step 4 saturates: a derivation of more steps than these is no longer obvious.
fn saturation() -> Limits {
    Limits {
        nodes: 1500,
        iterations: 4,
        ..Limits::default()
    }
}

/// Instances that steps 3 and 4 look at.
const LOOKED_AT: usize = 3;

/// Instances that are fired in every surrounding.
const FIRED: usize = 24;

/// Firings after which the left side is looked for again.
const MOST_STEPS_BACK: usize = 4;

/// Instances of the other rules of the file, of each.
const OTHERS: usize = 12;

/// The other rules of the file of a candidate.
pub fn others(candidate: &Candidate) -> Vec<Rule> {
    let file = candidate.file;
    let others = (0..file.infos.len()).filter(|k| *k != candidate.index);
    // A file of hundreds of rules is the library itself: its rules are among the admitted ones.
    if file.infos.len() > 24 {
        return Vec::new();
    }
    let made = others.filter_map(|k| file.candidate_with(k, OTHERS));
    made.flat_map(|c| c.instances).collect()
}

/// Step 3.
pub fn termination(bench: &Bench) -> Outcome {
    let instances = &bench.candidate.instances;
    if instances
        .iter()
        .all(|rule| fingerprint::of(&rule.lhs) == fingerprint::of(&rule.rhs))
    {
        return Outcome::failed("both sides are the same program: the rule changes nothing");
    }
    for rule in bench.candidate.spread(LOOKED_AT * 4) {
        let larger = ops(&rule.rhs) > ops(&rule.lhs);
        if let Some((again, same)) = occurrence(rule).filter(|_| larger) {
            let why = format!(
                "the left side stands in the right side again (at `{again}`), which is larger: rewriting would grow \
                 without end"
            );
            // Of other operands it may be the point, as where a maximum is taken away first.
            return match same {
                true => Outcome::failed(&why),
                false => Outcome::refused(&why),
            };
        }
    }
    for rule in bench.candidate.spread_low(LOOKED_AT) {
        let known = known(bench, rule, &rule.rhs);
        let mut back = rule.rhs.clone();
        if known.is_empty() {
            continue;
        }
        assume_guard(rule, &mut back);
        let mut left = rule.lhs.clone();
        tidy(&mut left);
        if leads_to(&Rules::new(known), &back, &fingerprint::of(&left)) {
            return Outcome::refused(
                "admitted rules turn the right side back into the left one: the two would play ping-pong",
            );
        }
    }
    let count = bench.candidate.spread_low(LOOKED_AT).len() as u64;
    let grows = bench
        .candidate
        .instances
        .iter()
        .map(|rule| (ops(&rule.lhs), ops(&rule.rhs)))
        .next();
    let (left, right) = grows.unwrap_or_default();
    Outcome::passed(
        &format!(
            "{left} operations become {right}; neither the rule nor admitted ones lead back to the left side"
        ),
        count,
    )
}

/// Whether rules bring a function to a form, whether that costs less or not, in a few firings.
fn leads_to(rules: &Rules, from: &Function, form: &str) -> bool {
    let reaches = |limits: &Limits| {
        let mut function = from.clone();
        rules.greedy(&mut function, limits);
        tidy(&mut function);
        fingerprint::of(&function) == form
    };
    let step = |firings| Limits {
        firings,
        must_pay: false,
        ..Limits::default()
    };
    reaches(&Limits::default()) || (1..=MOST_STEPS_BACK).any(|firings| reaches(&step(firings)))
}

/// The admitted rules and those of the file that could fire on a function.
fn known(bench: &Bench, rule: &Rule, function: &Function) -> Vec<Rule> {
    let mut known = bench.library.touching(function, bench.candidate.text());
    let of_library = bench.library.holds(bench.candidate.text());
    if !of_library {
        known.extend(bench.others.iter().cloned());
    }
    known.retain(|other| other.name != rule.name || of_library);
    known
}

/// The guard holds wherever the rule fires.
fn assume_guard(rule: &Rule, function: &mut Function) {
    for (dim, relation) in &rule.guard {
        function.requires.push(aiai_ir::Require {
            dim: *dim,
            relation: *relation,
            message: "the guard".to_owned(),
            loc: None,
        });
    }
}

fn tidy(function: &mut Function) {
    cse::merge_common(function);
    dce::eliminate_dead_code(function);
}

/// Step 4: admitted rules bring both sides to one form.
pub fn derivable(bench: &Bench) -> Outcome {
    if bench.library.is_empty() && bench.others.is_empty() {
        return Outcome::skipped("no rule is admitted yet");
    }
    if bench
        .library
        .differs(bench.candidate.name(), bench.candidate.text())
    {
        return Outcome::refused("another rule of this name is admitted");
    }
    let mut tried = 0;
    for rule in bench.candidate.spread_low(LOOKED_AT) {
        let mut known = known(bench, rule, &rule.lhs);
        known.extend(self::known(bench, rule, &rule.rhs));
        known.dedup();
        if known.is_empty() {
            tried += 1;
            continue;
        }
        let rules = Rules::new(known);
        let normal = |side: &Function| {
            let mut function = side.clone();
            assume_guard(rule, &mut function);
            rules.greedy(&mut function, &Limits::default());
            tidy(&mut function);
            fingerprint::of(&function)
        };
        let (left, right) = (normal(&rule.lhs), normal(&rule.rhs));
        if left != right && !saturate_to_one(&rules, rule) {
            return Outcome::passed(
                "admitted rules do not bring the two sides together",
                tried + 1,
            );
        }
        tried += 1;
    }
    if bench
        .candidate
        .spread_low(LOOKED_AT)
        .iter()
        .all(|rule| known(bench, rule, &rule.lhs).is_empty())
    {
        return Outcome::passed("no admitted rule touches the left side", tried);
    }
    Outcome::refused("admitted rules derive it already: they bring both sides to the same form")
}

/// Whether both sides, in one program, become one value by equality saturation.
fn saturate_to_one(rules: &Rules, rule: &Rule) -> bool {
    let mut both = rule.lhs.clone();
    let mut copy = Renaming::default();
    let params = rule.rhs.params().iter().zip(rule.lhs.params());
    copy.values
        .extend(params.map(|(&right, &left)| (right, left)));
    for node in &rule.rhs.body.ops {
        let node = copy.node(&rule.rhs, &mut both, node);
        both.body.ops.push(node);
    }
    let right = rule.rhs.body.yields.iter().map(|v| copy.value(*v));
    both.body.yields.extend(right);
    both.result_names
        .extend(rule.rhs.result_names.iter().cloned());
    assume_guard(rule, &mut both);
    rules.saturate(&mut both, &saturation());
    tidy(&mut both);
    let (left, right) = both.body.yields.split_at(rule.lhs.body.yields.len());
    left == right
}

/// Step 5: in every surrounding, before and after are well formed, by hand and by the engine.
pub fn firing(bench: &Bench) -> Outcome {
    let seed = derive(bench.seed, "firing");
    let mut random = Random::new(seed);
    let (mut by_hand, mut by_engine) = (0u64, 0u64);
    for rule in bench.candidate.spread(FIRED) {
        let rules = Rules::new(vec![rule.clone()]);
        for kind in KINDS {
            let Some(context) = Context::draw(rule, kind, &mut random, 0) else {
                continue;
            };
            let before = context.around(rule, &rule.lhs);
            if verify(&alone(&before), Stage::Primitive).is_err() {
                // These sizes are not those of a program; others are.
                continue;
            }
            let after = context.around(rule, &rule.rhs);
            if let Err(e) = verify(&alone(&after), Stage::Primitive) {
                return Outcome::failed(&format!(
                    "after a firing at {:?}: {}",
                    context.sizes, e.message
                ))
                .seeded(seed);
            }
            by_hand += 1;
            let mut fired = before;
            let trace = rules.greedy(&mut fired, &Limits::default());
            if let Err(e) = verify(&alone(&fired), Stage::Primitive) {
                return Outcome::failed(&format!("after the engine fired it: {}", e.message))
                    .seeded(seed);
            }
            by_engine += trace.firings.len() as u64;
        }
    }
    if by_hand == 0 {
        return Outcome::failed("no program was found in which the rule could fire").seeded(seed);
    }
    Outcome::passed(
        &format!("{by_hand} firings verified, {by_engine} more by the engine (which fires where cost falls)"),
        by_hand + by_engine,
    )
    .seeded(seed)
}

/// Where the left side of a rule stands in its right side, sizes aside: the name of the op there, and whether it is of
/// the parameters themselves. What is computed from constants alone is folded, and does not count.
fn occurrence(rule: &Rule) -> Option<(&'static str, bool)> {
    let matcher = Matcher {
        pattern: &makers(&rule.lhs),
        subject: &makers(&rule.rhs),
        left: &rule.lhs,
        right: &rule.rhs,
    };
    let mut folded: HashSet<Value> = HashSet::new();
    for (&value, param) in rule.rhs.params().iter().zip(&rule.params) {
        if param.constant {
            folded.insert(value);
        }
    }
    let root = *rule.lhs.body.yields.first()?;
    let mut found = None;
    for node in &rule.rhs.body.ops {
        if node.operands.iter().all(|v| folded.contains(v)) && node.regions.is_empty() {
            folded.extend(&node.results);
            continue;
        }
        for &value in &node.results {
            let mut bound = HashMap::new();
            if matcher.fits(root, value, &mut bound) {
                let left = rule.lhs.params().iter().filter_map(|p| bound.get(p));
                let same = left.clone().all(|v| rule.rhs.params().contains(v));
                found = match found {
                    Some((_, true)) => found,
                    _ => Some((node.op.name(), same)),
                };
            }
        }
    }
    found
}

fn makers(function: &Function) -> HashMap<Value, &OpNode> {
    let ops = function.body.ops.iter();
    ops.flat_map(|node| node.results.iter().map(move |value| (*value, node)))
        .collect()
}

struct Matcher<'a> {
    pattern: &'a HashMap<Value, &'a OpNode>,
    subject: &'a HashMap<Value, &'a OpNode>,
    left: &'a Function,
    right: &'a Function,
}

impl Matcher<'_> {
    fn fits(&self, at: Value, value: Value, bound: &mut HashMap<Value, Value>) -> bool {
        if let Some(known) = bound.get(&at) {
            return *known == value;
        }
        let (a, b) = (self.left.ty(at), self.right.ty(value));
        if a.dtype() != b.dtype() || a.rank() != b.rank() {
            return false;
        }
        let Some(node) = self.pattern.get(&at) else {
            bound.insert(at, value);
            return true;
        };
        let Some(other) = self.subject.get(&value) else {
            return false;
        };
        if !node.regions.is_empty() || !alike(&node.op, &other.op) {
            return false;
        }
        if node.operands.len() != other.operands.len() {
            return false;
        }
        let pairs = node.operands.iter().zip(&other.operands);
        let fits = pairs.clone().all(|(a, b)| self.fits(*a, *b, bound));
        if fits {
            bound.insert(at, value);
        }
        fits
    }
}

/// Whether the ops differ in sizes alone: a number in the pattern, such as a stride, stands for itself.
fn alike(pattern: &Op, subject: &Op) -> bool {
    let (mut pattern, mut subject) = (pattern.clone(), subject.clone());
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    for (op, dims) in [(&mut pattern, &mut wanted), (&mut subject, &mut found)] {
        op.map_dims(&mut |dim| {
            dims.push(dim);
            Dim::from(1)
        });
    }
    let pairs = wanted.iter().zip(&found);
    pattern == subject && {
        let mut pairs = pairs;
        pairs.all(|(a, b)| a.as_const().is_none() || a == b)
    }
}
