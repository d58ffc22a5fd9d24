//! Part of step 8: what the right side decides must be seen both ways.
//!
//! A comparison that the left side does not make and that no drawn input turns true hides whatever stands behind it:
//! one value of 2^32, one size of thousands. Without a proof such a rule is not tested.

use std::collections::BTreeSet;

use aiai_ir::dim::Atom;
use aiai_ir::eval;
use aiai_ir::{DType, Dim, Function, Op, ReduceKind, Rule, Value};
use aiai_passes::dce;

use super::candidate::each_op;
use super::{Bench, fingerprint, idle};
use crate::witness;
use aiai_ir::random::{Random, derive};

const INSTANCES: usize = 6;
const DRAWS: usize = 60;

/// Numbers in sizes, at most: those that are drawn because a rule names them.
const FARTHEST: u64 = 1 << 14;
/// Divisors of sizes, at most: sizes up to twice as many are drawn.
const LONGEST_STEP: i64 = 64;
/// Powers of a size.
const MOST_POWER: u32 = 4;

/// What is not covered, in words; `None` where everything is.
pub fn missing(bench: &Bench) -> Option<String> {
    let mut random = Random::new(derive(bench.seed, "coverage"));
    // Instances where it is seen both ways speak for the others: the text is the same.
    let mut open: Option<String> = None;
    for rule in bench.candidate.spread(INSTANCES) {
        let why = narrowing(rule).or_else(|| counting(rule));
        if let Some(why) = why.or_else(|| far_sizes(rule)) {
            return Some(why);
        }
    }
    // Where a part matters in one instance it is no hiding place in the others.
    let mut idle = bench.candidate.spread(INSTANCES).into_iter();
    let idle: Option<Vec<String>> = idle
        .by_ref()
        .map(|rule| idle::part(rule, &mut random))
        .collect();
    if let Some(why) = idle.and_then(|all| all.into_iter().next()) {
        return Some(why);
    }
    for rule in bench.candidate.spread(INSTANCES) {
        let decisions = decisions(rule);
        if decisions.is_empty() {
            return None;
        }
        match one_sided(rule, &decisions, &mut random) {
            Some(why) => open = Some(why),
            None => return None,
        }
    }
    open
}

/// A function alone that computes one value of another.
fn part(function: &Function, value: Value) -> Function {
    let mut part = function.clone();
    part.body.yields = vec![value];
    part.result_names = vec!["decision".into()];
    dce::eliminate_dead_code(&mut part);
    part
}

/// What the right side compares and the left side does not.
fn decisions(rule: &Rule) -> Vec<Function> {
    let compared = |side: &Function| -> Vec<Function> {
        let nodes = side
            .body
            .ops
            .iter()
            .filter(|node| matches!(node.op, Op::Compare { .. }));
        nodes
            .filter_map(|node| node.results.first().map(|value| part(side, *value)))
            .collect()
    };
    let known: BTreeSet<String> = compared(&rule.lhs).iter().map(fingerprint::of).collect();
    let mut new = compared(&rule.rhs);
    new.retain(|decision| !known.contains(&fingerprint::of(decision)));
    new
}

/// A decision that came out one way in every draw.
fn one_sided(rule: &Rule, decisions: &[Function], random: &mut Random) -> Option<String> {
    let mut seen = vec![[false; 2]; decisions.len()];
    for at in 0..DRAWS {
        let Some(sizes) = witness::sizes(rule, random, at) else {
            continue;
        };
        let Some(inputs) = witness::inputs(rule, &sizes, random, at % 5) else {
            continue;
        };
        let dims = sizes.iter().map(|(sym, size)| (*sym, *size)).collect();
        for (decision, seen) in decisions.iter().zip(&mut seen) {
            let options = eval::Options {
                max_elements: 1 << 16,
                max_steps: 1 << 18,
                ..eval::Options::default()
            };
            let Ok(results) = eval::run_function(decision, &inputs, &dims, &options) else {
                continue;
            };
            for value in results.iter().flat_map(|r| r.as_ints()) {
                seen[usize::from(*value != 0)] = true;
            }
        }
    }
    let odd = seen.iter().find(|both| both.contains(&false))?;
    let way = if odd[1] { "true" } else { "false" };
    Some(format!(
        "the right side makes a decision that the left one does not, and it came out {way} in every draw: what stands \
         behind the other way is not tested, and nothing is proved"
    ))
}

/// An integer of 16 bits or more that counts elements on one side, and a wider one or none on the other: it wraps where
/// there are more elements than are drawn.
fn counting(rule: &Rule) -> Option<String> {
    let [left, right] = [&rule.lhs, &rule.rhs].map(narrowest_count);
    let (narrow, other) = match (left, right) {
        (Some(a), Some(b)) if a.bytes() != b.bytes() => match a.bytes() < b.bytes() {
            true => (a, format!("{b}")),
            false => (b, format!("{a}")),
        },
        (Some(a), None) | (None, Some(a)) => (a, "nothing of the kind".to_owned()),
        _ => return None,
    };
    matches!(narrow.bytes(), 2 | 4).then(|| {
        format!(
            "one side counts in {narrow}, the other in {other}: the sizes at which that wraps cannot be drawn, and nothing \
             is proved"
        )
    })
}

/// The narrowest integer below 64 bits in which sums, counts or places of elements are held.
fn narrowest_count(function: &Function) -> Option<DType> {
    let mut counts: BTreeSet<Value> = BTreeSet::new();
    let mut narrowest: Option<DType> = None;
    each_op(function, &mut |node| {
        let makes = match &node.op {
            Op::Reduce { kind, .. } => matches!(kind, ReduceKind::Sum | ReduceKind::Prod),
            Op::Contract { .. } | Op::Iota { .. } | Op::ArgReduce { .. } | Op::DimValue { .. } => {
                true
            }
            Op::Cast { .. } => counts.contains(&node.operands[0]),
            _ => false,
        };
        for &result in node.results.iter().filter(|_| makes) {
            counts.insert(result);
            let dtype = function.ty(result).dtype();
            if dtype.is_integer() && dtype.bytes() < 8 {
                let narrower = narrowest.is_none_or(|known| dtype.bytes() < known.bytes());
                narrowest = if narrower { Some(dtype) } else { narrowest };
            }
        }
    });
    narrowest
}

/// A size on the right side that differs from what it is for small sizes only where no tensor is drawn.
fn far_sizes(rule: &Rule) -> Option<String> {
    let dims = |function: &Function| -> BTreeSet<Dim> {
        let mut found = BTreeSet::new();
        each_op(function, &mut |node| {
            node.op.clone().map_dims(&mut |dim| {
                found.insert(dim);
                dim
            });
        });
        found
    };
    let known = dims(&rule.lhs);
    let mut new = dims(&rule.rhs)
        .into_iter()
        .filter(|dim| !known.contains(dim));
    let far = new.find(|dim| is_far(*dim, 1))?;
    Some(format!(
        "the right side has the size `{far}`, which stays the same up to sizes that cannot be drawn, and nothing is proved"
    ))
}

/// Whether a size has numbers, or steps that are this many times as long, beyond the sizes that are drawn.
fn is_far(dim: Dim, times: i64) -> bool {
    dim.terms().iter().any(|(factors, coefficient)| {
        coefficient.unsigned_abs() > FARTHEST
            || factors.iter().any(|(atom, power)| match *atom {
                Atom::Sym(_) => *power > MOST_POWER,
                Atom::Div(a, b) => {
                    let step = b.as_const().map(|b| b.saturating_mul(times));
                    let stays = match step {
                        Some(step) => step > LONGEST_STEP,
                        None => a.as_const().is_some(),
                    };
                    stays || is_far(a, step.unwrap_or(times)) || is_far(b, times)
                }
            })
    })
}

/// An integer dtype of the right side, narrower than all of the left side: what wraps in it only for sizes or
/// values that cannot be drawn is not tested.
fn narrowing(rule: &Rule) -> Option<String> {
    let narrowest = |function: &Function| -> Option<DType> {
        let mut dtypes: Vec<DType> = function.param_types().iter().map(|ty| ty.dtype()).collect();
        each_op(function, &mut |node| {
            dtypes.extend(node.results.iter().map(|v| function.ty(*v).dtype()));
        });
        dtypes
            .into_iter()
            .filter(|d| d.is_integer())
            .min_by_key(|d| d.bytes())
    };
    let (left, right) = (narrowest(&rule.lhs)?, narrowest(&rule.rhs)?);
    (right.bytes() < left.bytes()).then(|| {
        format!(
            "the right side computes in {right}, the left side in nothing below {left}: where that wraps cannot be \
             drawn, and nothing is proved"
        )
    })
}
