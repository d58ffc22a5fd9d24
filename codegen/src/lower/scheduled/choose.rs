//! Which schedule a contraction gets: the first whose target and guard fit.

use std::rc::Rc;

use aiai_ir::schedule::{Axis, COPIED, Condition, Fact, Part, Pattern, Step, WEIGHTS};
use aiai_ir::{Dim, Facts, Relation, Schedule, Sym, Truth};

use super::plan::Plan;
use super::problem::Problem;

/// Guarded variants of one kernel, at most; the last one has no guard.
const MOST_VARIANTS: usize = 4;

/// A schedule that fits where its conditions hold when the code runs.
pub struct Choice {
    pub name: Sym,
    pub problem: Rc<Problem>,
    pub plan: Plan,
    /// Of sizes; none for the last choice.
    pub conditions: Vec<(Relation, Dim)>,
}

/// What was chosen, or why nothing was.
pub enum Chosen {
    Variants(Vec<Choice>),
    Nothing(String),
}

/// The schedules for a problem: guarded ones, then one that always fits.
///
/// `weights` is the number of bytes of all weights of the program.
pub fn choose<'s>(
    problem: &Problem,
    schedules: impl Iterator<Item = &'s Schedule>,
    facts: &Facts,
    weights: Dim,
) -> Chosen {
    let both = [false, true].map(|exchanged| Rc::new(problem.oriented(exchanged)));
    let across = problem.across().map(Rc::new);
    let mut found: Vec<Choice> = Vec::new();
    let mut reasons = Vec::new();
    // Where a schedule is reached, the conditions of those before it do not hold.
    let mut facts = facts.clone();
    for schedule in schedules.filter(|s| s.pattern == Pattern::Contract) {
        let before = found.len();
        let name = schedule.name;
        let problems = match schedule.steps.iter().any(is_across) {
            true => across.as_slice(),
            false => &both,
        };
        if problems.is_empty() {
            reasons.push(format!(
                "`{name}`: there are no batches or no rows, or both operands have indices of their own"
            ));
        }
        for problem in problems {
            let conditions = match guard(schedule, problem, &facts, weights) {
                Ok(conditions) => conditions,
                Err(reason) => {
                    reasons.push(format!("`{name}`: {reason}"));
                    continue;
                }
            };
            let plan = match Plan::new(schedule, problem, &facts) {
                Ok(plan) => plan,
                Err(reason) => {
                    reasons.push(format!("`{name}`: {reason}"));
                    continue;
                }
            };
            // A second orientation of the same schedule under the same conditions is never reached.
            if found[before..].iter().any(|c| c.conditions == conditions) {
                continue;
            }
            let last = conditions.is_empty();
            if last || found.len() + 1 < MOST_VARIANTS {
                pass_over(&mut facts, &conditions);
                found.push(Choice {
                    name,
                    problem: Rc::clone(problem),
                    plan,
                    conditions,
                });
            }
            if last {
                return Chosen::Variants(found);
            }
        }
    }
    if !found.is_empty() {
        reasons.push("no schedule fits all sizes".into());
    }
    if reasons.is_empty() {
        reasons.push("there is no schedule for contractions".into());
    }
    Chosen::Nothing(reasons.join("; "))
}

/// Whether a step asks for lanes that are batches.
pub fn is_across(step: &Step) -> bool {
    matches!(
        step,
        Step::Vectorize {
            axis: Axis::Batch,
            ..
        }
    )
}

/// Assumes what holds where the conditions of a schedule do not, as far as one relation says it.
pub fn pass_over(facts: &mut Facts, conditions: &[(Relation, Dim)]) {
    if let [(Relation::NonNegative, dim)] = *conditions {
        facts.assume(Relation::NonNegative, -dim - Dim::from(1));
    }
}

/// The conditions of a guard that are open until the code runs; an error says which one does not hold.
fn guard(
    schedule: &Schedule,
    problem: &Problem,
    facts: &Facts,
    weights: Dim,
) -> Result<Vec<(Relation, Dim)>, String> {
    let size = |name: &str| match Axis::from_name(name) {
        Some(axis) => Some(guarded_size(problem, axis)),
        None if name == COPIED => Some(problem.copied(&schedule.steps)),
        None => (name == WEIGHTS).then_some(weights),
    };
    conditions(schedule, facts, &size, &|fact, part| {
        fact_holds(problem, fact, part)
    })
}

/// The same, where the sizes that names stand for and the facts about parts are given.
pub fn conditions(
    schedule: &Schedule,
    facts: &Facts,
    size: &dyn Fn(&str) -> Option<Dim>,
    fact_holds: &dyn Fn(Fact, Part) -> bool,
) -> Result<Vec<(Relation, Dim)>, String> {
    let mut open = Vec::new();
    for condition in &schedule.guard {
        match *condition {
            Condition::Size { dim, relation } => {
                let size = dim.substitute(&|symbol: Sym| size(symbol.as_str()));
                match facts.check(relation, size) {
                    Truth::True => {}
                    Truth::False => return Err(format!("`{dim}` is `{size}`")),
                    Truth::Unknown if size.is_overflow() || !is_small(dim) => {
                        return Err(format!("`{dim}` may be too large to compare"));
                    }
                    Truth::Unknown => open.push((relation, size)),
                }
            }
            Condition::Fact { fact, part, holds } => {
                if fact_holds(fact, part) != holds {
                    let not = if holds { "not " } else { "" };
                    return Err(format!("{} is {not}{}", part.name(), fact.name()));
                }
            }
        }
    }
    Ok(open)
}

/// Whether a condition has a value for all sizes of tensors that fit in memory: sums of sizes with small factors.
fn is_small(dim: Dim) -> bool {
    dim.terms().iter().all(|(factors, coefficient)| {
        let degree: u32 = factors.iter().map(|f| f.1).sum();
        degree <= 1 && coefficient.unsigned_abs() <= 1 << 12
            || degree == 0 && coefficient.unsigned_abs() <= 1 << 48
    })
}

/// What a guard compares when it names an axis: the last index of rows and columns, all of the others.
pub fn guarded_size(problem: &Problem, axis: Axis) -> Dim {
    match axis {
        Axis::Rows | Axis::Columns => problem.last(axis),
        Axis::Batch | Axis::Summed => problem.count(axis),
    }
}

pub fn fact_holds(problem: &Problem, fact: Fact, part: Part) -> bool {
    let tensor = problem.tensor(part);
    match fact {
        Fact::Constant => tensor.is_some_and(|t| t.constant),
        Fact::Bare => tensor.is_none_or(|t| t.bare),
        Fact::Dense => match tensor {
            Some(t) if part == Part::Left => problem.stride(&t.strides, Axis::Summed).is_const(1),
            Some(t) => problem.stride(&t.strides, Axis::Columns).is_const(1),
            None => problem.stride(&problem.out, Axis::Columns).is_const(1),
        },
    }
}
