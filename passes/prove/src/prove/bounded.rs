//! Proofs at stated small sizes, for rules that have none for all sizes, and counterexamples from models.
//!
//! At sizes that are numbers both sides are finite terms ([`super::unroll`]). Equal at every size of a range that the
//! guard allows: bounded. A model of the solver that the reference evaluator confirms: refuted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiai_ir::{Dim, Rule, Sym, Value};

use super::decide::Decider;
use super::instance::{Checked, differs, domains, uniform_params};
use super::term::{Mode, Poly, Terms};
use super::unroll::{NoTerms, Ran, unroll};
use super::witness::reproduced;
use super::{InstanceProof, Outcome, claims_bits};
use crate::test::Counterexample;

/// The greatest size of a range; a range of fewer is stated where there are many dimensions or elements.
const MOST_SIZE: i64 = 3;
/// Steps of normal forms, and questions, of one instance.
const MOST_STEPS: u64 = 60_000;
const MOST_QUESTIONS: u64 = 30;
/// Combinations of sizes of one instance, at most.
const MOST_COMBINATIONS: usize = 256;
/// Elements that are not shown equal before an instance is given up.
const MOST_OPEN: usize = 2;
/// Questions about bits at stated sizes, of one instance.
const MOST_BITS: usize = 3;

/// How much is tried beyond the proof for all sizes; what is spent on one instance is not there for the next.
pub struct Effort {
    /// Whether stated sizes are tried.
    pub bounded: bool,
    /// Whether the solver is asked about bits of floats.
    pub floats: bool,
    /// Steps of normal forms at stated sizes, all instances together.
    steps: u64,
    /// Questions at stated sizes, the same.
    questions: u64,
}

impl Effort {
    pub fn full() -> Effort {
        Effort {
            bounded: true,
            floats: true,
            steps: 600_000,
            questions: 150,
        }
    }

    /// Proofs for all sizes alone.
    pub fn plain() -> Effort {
        Effort {
            bounded: false,
            ..Effort::full()
        }
    }
}

/// For which sizes: the greatest of every named dimension, from 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes(pub BTreeMap<Sym, i64>);

impl Sizes {
    /// What both say of their dimensions, the lesser where both speak.
    pub fn joined(mut self, other: &Sizes) -> Sizes {
        for (sym, most) in &other.0 {
            let own = self.0.entry(*sym).or_insert(*most);
            *own = (*own).min(*most);
        }
        self
    }
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut named: Vec<(&str, i64)> = self.0.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        named.sort_unstable();
        let ranges: Vec<String> = named
            .iter()
            .map(|(name, most)| format!("{name} in 0..={most}"))
            .collect();
        f.write_str(&ranges.join(", "))
    }
}

/// What came of one combination of sizes.
enum At {
    /// So many elements are equal; `None`: nothing is claimed there.
    Equal(Option<usize>),
    Refuted(Box<Counterexample>),
    Open(String),
}

/// What takes the place of a missing proof, and a counterexample if there is one.
pub fn instead(
    rule: &Rule,
    (algebra, float_proved): (InstanceProof, bool),
    decider: &mut Decider,
    effort: &mut Effort,
    steps: &mut Vec<String>,
) -> (InstanceProof, Option<Box<Counterexample>>) {
    if !effort.bounded {
        return (algebra, None);
    }
    let refuted = |found: Box<Counterexample>, steps: &mut Vec<String>| {
        let why = format!("refuted: {}", found.why);
        steps.push(why.clone());
        (InstanceProof::Refuted { why }, Some(found))
    };
    if claims_bits(rule)
        && decider.floats
        && !float_proved
        && let Some(found) = other_bits(rule, decider)
    {
        return refuted(found, steps);
    }
    let InstanceProof::Unknown { why } = algebra else {
        return (algebra, None);
    };
    let before = decider.floats;
    decider.floats = false;
    let outcome = small_sizes(rule, decider, effort);
    decider.floats = before;
    match outcome {
        Ok(Ok((sizes, said))) => {
            steps.push(format!("not for all sizes: {why}"));
            steps.push(said);
            (InstanceProof::Bounded { sizes }, None)
        }
        Ok(Err(found)) => refuted(found, steps),
        Err(at_small) => {
            if !at_small.is_empty() {
                steps.push(at_small);
            }
            (InstanceProof::Unknown { why }, None)
        }
    }
}

type Sized = HashMap<Sym, i64>;

/// The named dimensions of both sides, whether they stand in types or in ops, and of the guard.
fn named(rule: &Rule) -> Vec<Sym> {
    let mut found = BTreeSet::new();
    let mut note = |dim: Dim| {
        dim.for_each_sym(&mut |sym| {
            found.insert(sym);
        });
    };
    rule.guard.iter().for_each(|(dim, _)| note(*dim));
    for side in [&rule.lhs, &rule.rhs] {
        side.requires.iter().for_each(|r| note(r.dim));
        for value in 0..side.value_count() as u32 {
            side.ty(Value(value)).shape().iter().for_each(|n| note(*n));
        }
        side.body.walk(&mut |node| {
            node.op.clone().map_dims(&mut |dim| {
                note(dim);
                dim
            });
        });
    }
    found.into_iter().collect()
}

/// All combinations of sizes up to `most` that the guard allows; those with a greater largest size come later.
fn combinations(rule: &Rule, dims: &[Sym], most: i64) -> Vec<Sized> {
    let mut all = vec![Sized::new()];
    for sym in dims {
        let longer = all.iter().flat_map(|sizes| {
            (0..=most).map(|n| {
                let mut next = sizes.clone();
                next.insert(*sym, n);
                next
            })
        });
        all = longer.collect();
    }
    let allowed = |sizes: &Sized| {
        rule.guard.iter().all(|(dim, relation)| {
            let value = dim.eval(&|sym| sizes.get(&sym).copied());
            value.is_some_and(|value| relation.holds(value))
        })
    };
    all.retain(allowed);
    all.sort_by_key(largest);
    all
}

fn largest(sizes: &Sized) -> i64 {
    sizes.values().copied().max().unwrap_or(0)
}

/// The greatest size of so many dimensions, and the least that is worth a claim; `None` where there are too many.
fn range(dims: usize) -> Option<(i64, i64)> {
    let fits = |most: &i64| {
        let count = (*most as usize + 1).checked_pow(dims as u32);
        count.is_some_and(|count| count <= MOST_COMBINATIONS)
    };
    let most = (1..=MOST_SIZE).rev().find(fits)?;
    Some((most, if dims > 4 { 1 } else { 2 }))
}

/// Every combination in turn: for which sizes both sides are equal with a line that says so, or where they differ.
fn small_sizes(
    rule: &Rule,
    decider: &mut Decider,
    effort: &mut Effort,
) -> Result<Result<(Sizes, String), Box<Counterexample>>, String> {
    let dims = named(rule);
    let Some((most, least)) = range(dims.len()) else {
        return Err("too many dimensions for stated sizes".into());
    };
    let (mut steps, mut questions) = (
        MOST_STEPS.min(effort.steps),
        MOST_QUESTIONS.min(effort.questions),
    );
    let (mut open, mut tally, mut whole) = (Vec::new(), (0, 0), None);
    // The largest size below which everything is equal.
    let mut reached = -1;
    let all = combinations(rule, &dims, most);
    for (at, sizes) in all.iter().enumerate() {
        let before = spent_on(decider);
        let (found, spent) = at_sizes(rule, sizes, decider);
        let asked = spent_on(decider) - before;
        effort.steps = effort.steps.saturating_sub(spent);
        effort.questions = effort.questions.saturating_sub(asked);
        (steps, questions) = (steps.saturating_sub(spent), questions.saturating_sub(asked));
        match found {
            At::Refuted(found) => return Ok(Err(found)),
            At::Equal(Some(count)) => {
                tally.0 += 1;
                tally.1 += count;
            }
            At::Equal(None) => {}
            At::Open(why) => open.push(format!("at {}: {why}", shown(sizes))),
        }
        let last = all
            .get(at + 1)
            .is_none_or(|next| largest(next) > largest(sizes));
        if open.is_empty() && last {
            reached = all.get(at + 1).map_or(most, |next| largest(next) - 1);
            whole = Some(tally);
        }
        if open.len() >= MOST_OPEN || steps == 0 || questions == 0 {
            break;
        }
    }
    let (combinations, elements) = whole.unwrap_or_default();
    // Without sizes there is no range to state, and a range in which nothing was compared says nothing.
    if dims.is_empty() || elements == 0 || reached < least {
        return Err(open
            .into_iter()
            .next()
            .unwrap_or_else(|| "nothing is shown at stated sizes".into()));
    }
    let sizes = Sizes(dims.iter().map(|sym| (*sym, reached)).collect());
    let said = format!("equal where {sizes}: {combinations} combinations, {elements} elements");
    Ok(Ok((sizes, said)))
}

/// Questions so far; one that the solver gives up takes as long as many that it answers.
fn spent_on(decider: &Decider) -> u64 {
    decider.usage.asked + 29 * decider.usage.unknown
}

fn shown(sizes: &Sized) -> String {
    let mut named: Vec<String> = sizes.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    named.sort();
    named.join(", ")
}

/// Both sides at sizes that are numbers; the steps that it took.
fn at_sizes(rule: &Rule, sizes: &Sized, decider: &mut Decider) -> (At, u64) {
    let mut terms = Terms::new(Mode::Real);
    domains(&mut terms, rule);
    terms.known.settle();
    decider.satisfied.clear();
    let compared = compare(rule, sizes, &mut terms, decider);
    let spent = terms.steps;
    let why = match compared {
        Ok(count) => return (At::Equal(count), spent),
        Err(why) => why,
    };
    let models = std::mem::take(&mut decider.satisfied);
    let tries = models.iter().map(Some).chain(std::iter::once(None));
    for asked in tries {
        if let Some(found) = reproduced(rule, &terms, sizes, asked, decider.solver) {
            return (At::Refuted(Box::new(found)), spent);
        }
    }
    (At::Open(why), spent)
}

/// How many elements are equal; `None` where the left side stops.
fn compare(
    rule: &Rule,
    sizes: &Sized,
    terms: &mut Terms,
    decider: &mut Decider,
) -> Result<Option<usize>, String> {
    let left = match unroll(terms, &rule.lhs, sizes, &uniform_params(rule)) {
        Ok(left) => left,
        Err(NoTerms::Stops) => return Ok(None),
        Err(NoTerms::Unknown(stop)) => return Err(stop.to_string()),
    };
    if left.checks.iter().any(Poly::is_zero) {
        return Ok(None);
    }
    let right = match unroll(terms, &rule.rhs, sizes, &uniform_params(rule)) {
        Ok(right) => right,
        Err(NoTerms::Stops) => return Err("the right side stops".into()),
        Err(NoTerms::Unknown(stop)) => return Err(stop.to_string()),
    };
    match results(terms, (left, right), decider) {
        Ok(Ok(count)) => Ok(Some(count)),
        Ok(Err(why)) => Err(why),
        Err(stop) => Err(stop.to_string()),
    }
}

fn results(
    terms: &mut Terms,
    (left, right): (Ran, Ran),
    decider: &mut Decider,
) -> Outcome<Result<usize, String>> {
    for check in &right.checks {
        if !decider.follows(terms, check, &left.checks)? {
            let check = terms.show(check);
            return Ok(Err(format!("the right side stops unless {check}")));
        }
    }
    if left.results.len() != right.results.len() {
        return Ok(Err("the sides have different results".into()));
    }
    let mut count = 0;
    for (l, r) in left.results.iter().zip(&right.results) {
        if l.shape != r.shape || l.elements.len() != r.elements.len() {
            return Ok(Err("the sides have different shapes".into()));
        }
        for (a, b) in l.elements.iter().zip(&r.elements) {
            let a: Checked = (a.clone(), left.checks.clone());
            let b: Checked = (b.clone(), right.checks.clone());
            if let Some(why) = differs(terms, (&a, &b), l.dtype, decider, &mut Vec::new())? {
                return Ok(Err(why));
            }
            count += 1;
        }
    }
    Ok(Ok(count))
}

/// A counterexample to equal bits: a model of the theory of floats that the evaluator confirms.
fn other_bits(rule: &Rule, decider: &mut Decider) -> Option<Box<Counterexample>> {
    let mut asked = 0;
    let positive = |sizes: &Sized| sizes.values().all(|n| *n > 0);
    let all = combinations(rule, &named(rule), range(named(rule).len())?.0);
    for sizes in all.into_iter().filter(positive).take(MOST_BITS) {
        let mut terms = Terms::new(Mode::Free);
        domains(&mut terms, rule);
        let uniform = uniform_params(rule);
        let mut side = |side| unroll(&mut terms, side, &sizes, &uniform).ok();
        let (Some(left), Some(right)) = (side(&rule.lhs), side(&rule.rhs)) else {
            continue;
        };
        for (l, r) in left.results.iter().zip(&right.results) {
            for (a, b) in l.elements.iter().zip(&r.elements) {
                if a.term == b.term || asked == MOST_BITS {
                    continue;
                }
                asked += 1;
                decider.satisfied.clear();
                let sides = (&a.term, &b.term);
                let same = decider.same_bits(&mut terms, sides, l.dtype);
                if same.is_ok_and(|same| !same)
                    && let Some(model) = decider.satisfied.pop()
                    && let Some(found) =
                        reproduced(rule, &terms, &sizes, Some(&model), decider.solver)
                {
                    return Some(Box::new(found));
                }
            }
        }
    }
    None
}
