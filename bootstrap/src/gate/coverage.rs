//! Part of step 8: what a side decides must be seen both ways.
//!
//! A comparison that the other side does not make and that no drawn input turns true hides whatever stands behind it:
//! one value of 2^32, one size of thousands. Without a proof such a rule is not tested.

use std::collections::BTreeSet;

use aiai_ir::dim::Atom;
use aiai_ir::eval;
use aiai_ir::{
    DType, Dim, Facts, FloatClass, Function, Op, ReduceKind, Relation, Rule, Truth, Value,
};
use aiai_passes::dce;

use super::candidate::each_op;
use super::{Bench, fingerprint, idle, positions};
use crate::witness;
use aiai_ir::random::{Random, derive};

const INSTANCES: usize = 6;
const DRAWS: usize = 60;

/// Numbers in sizes, at most: those that are drawn because a rule names them.
const FARTHEST: u64 = 1 << 14;
/// Divisors of sizes, at most: sizes up to twice as many are drawn.
const LONGEST_STEP: i64 = 64;
/// Terms of a sum, of which so many are drawn where a rule names the number.
const MOST_COUNTED: i64 = 1024;
/// Powers of a size.
const MOST_POWER: u32 = 4;

/// What no proof speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// How the sides round and overflow; over the reals they are equal.
    Rounding,
    All,
}

/// What is not covered, in words; `None` where everything is.
pub fn missing(bench: &Bench, open: Open) -> Option<String> {
    let mut random = Random::new(derive(bench.seed, "coverage"));
    if open == Open::All {
        // A pack without axes leaves nothing to count.
        let with_axes = |rule: &&Rule| rule.instance.ranks.values().all(|rank| *rank > 0);
        for rule in bench
            .candidate
            .spread(4 * INSTANCES)
            .into_iter()
            .filter(with_axes)
        {
            let why = narrowing(rule).or_else(|| counting(rule));
            let why = why.or_else(|| other_rounding(rule));
            let why = why.or_else(|| far_sizes(rule));
            if let Some(why) = why.or_else(|| positions::far(rule)) {
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
    }
    let sides = match open {
        Open::All => &[Side::Right, Side::Left][..],
        Open::Rounding => &[Side::Right],
    };
    sides
        .iter()
        .find_map(|side| undecided(bench, *side, &mut random))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A decision of one side that came out one way. Instances where it is seen both ways speak for the others: the text
/// is the same.
fn undecided(bench: &Bench, side: Side, random: &mut Random) -> Option<String> {
    let mut open = None;
    for rule in bench.candidate.spread(INSTANCES) {
        let decisions = decisions(rule, side);
        if decisions.is_empty() {
            return None;
        }
        match one_sided(rule, &decisions, side, random) {
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

/// What one side compares and the other does not. On the left only what chooses: a comparison that always holds may be
/// what the rule says.
fn decisions(rule: &Rule, side: Side) -> Vec<Function> {
    let compared = |side: &Function, only: Option<&BTreeSet<Value>>| -> Vec<Function> {
        let nodes = side.body.ops.iter().filter(|node| {
            let result = node.results.first();
            matches!(node.op, Op::Compare { .. })
                && only.is_none_or(|only| result.is_some_and(|v| only.contains(v)))
        });
        nodes
            .filter_map(|node| node.results.first().map(|value| part(side, *value)))
            .collect()
    };
    let (own, other) = match side {
        Side::Right => (compared(&rule.rhs, None), &rule.lhs),
        Side::Left => (compared(&rule.lhs, Some(&choosing(&rule.lhs))), &rule.rhs),
    };
    let known: BTreeSet<String> = compared(other, None).iter().map(fingerprint::of).collect();
    let mut new = own;
    new.retain(|decision| !known.contains(&fingerprint::of(decision)));
    new
}

/// The truth values that a choice hangs on.
fn choosing(function: &Function) -> BTreeSet<Value> {
    let mut found = BTreeSet::new();
    for node in function.body.ops.iter().rev() {
        let chooses = matches!(node.op, Op::Select | Op::If);
        let carries = node.results.iter().any(|v| found.contains(v));
        let operands = match (chooses, carries) {
            (true, _) => &node.operands[..1],
            (false, true) => &node.operands[..],
            (false, false) => &[],
        };
        found.extend(operands.iter().copied());
    }
    found
}

/// A decision that came out one way in every draw.
fn one_sided(
    rule: &Rule,
    decisions: &[Function],
    side: Side,
    random: &mut Random,
) -> Option<String> {
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
    let (one, other) = match side {
        Side::Left => ("left", "right"),
        Side::Right => ("right", "left"),
    };
    Some(format!(
        "the {one} side makes a decision that the {other} one does not, and it came out {way} in every draw: what stands \
         behind the other way is not tested, and no proof speaks of it"
    ))
}

/// Under `exact`, a function that is not correctly rounded, or a sum, in a dtype in which the other side has none: they
/// may differ on one input of thousands, or beyond so many terms.
fn other_rounding(rule: &Rule) -> Option<String> {
    if rule.class != FloatClass::Exact {
        return None;
    }
    let (left, right) = (roundings(&rule.lhs), roundings(&rule.rhs));
    let odd = left.symmetric_difference(&right).next()?;
    Some(format!(
        "one side has {odd}, the other has not: where their bits differ may not be drawn, and no bits are proved"
    ))
}

/// The operations of which the order or the function decides bits, with their dtypes.
fn roundings(function: &Function) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let numbers = positions::numbers(function);
    // Powers of 1, and those with the exponents 0, 1 and 2, are exact or a product.
    let number = |v: Value| numbers.iter().find(|n| n.0 == v).map(|n| n.1);
    let plain = |x: &[Value]| number(x[0]) == Some(1) || matches!(number(x[1]), Some(0..=2));
    each_op(function, &mut |node| {
        let Some(&result) = node.results.first() else {
            return;
        };
        let dtype = function.ty(result).dtype();
        let name = match &node.op {
            Op::Unary { kind } if kind.ulp() > 0.5 => kind.name(),
            Op::Binary { kind } if kind.ulp() > 0.5 && !plain(&node.operands) => kind.name(),
            Op::Reduce { kind, .. } if matches!(kind, ReduceKind::Sum | ReduceKind::Prod) => {
                kind.name()
            }
            Op::Contract { space, out, .. } if space.len() > out.coords.len() => "sum",
            _ => return,
        };
        if dtype.is_float() {
            found.insert(format!("`{name}` in {dtype}"));
        }
    });
    found
}

/// An integer of 16 bits or more that counts elements on one side, and a wider one or none on the other: it wraps where
/// there are more elements than are drawn.
fn counting(rule: &Rule) -> Option<String> {
    let mut facts = Facts::default();
    rule.guard
        .iter()
        .for_each(|(dim, relation)| facts.assume(*relation, *dim));
    let few =
        |dim: Dim| facts.check(Relation::NonNegative, Dim::from(MOST_COUNTED) - dim) == Truth::True;
    let many = [&rule.lhs, &rule.rhs].map(|side| narrowest_count(side, &few));
    let any = [&rule.lhs, &rule.rhs].map(|side| narrowest_count(side, &|_| false));
    let unlike = |side: usize| {
        let (narrow, other) = (many[side]?, any[1 - side]);
        let wider = other.is_none_or(|other| other.bytes() > narrow.bytes());
        wider.then(|| {
            (
                narrow,
                other.map_or("nothing of the kind".to_owned(), |d| d.to_string()),
            )
        })
    };
    let (narrow, other) = unlike(0).or_else(|| unlike(1))?;
    matches!(narrow.bytes(), 2 | 4).then(|| {
        format!(
            "one side counts in {narrow}, the other in {other}: the sizes at which that wraps cannot be drawn, and nothing \
             is proved"
        )
    })
}

/// The narrowest integer below 64 bits in which sums, counts or places of elements are held, but for those of few
/// elements, whatever the sizes are.
fn narrowest_count(function: &Function, few: &dyn Fn(Dim) -> bool) -> Option<DType> {
    let mut counts: BTreeSet<Value> = BTreeSet::new();
    let mut narrowest: Option<DType> = None;
    each_op(function, &mut |node| {
        let makes = match &node.op {
            Op::Reduce { kind, axes, .. } => {
                let shape = function.ty(node.operands[0]).shape();
                let adds = matches!(kind, ReduceKind::Sum | ReduceKind::Prod);
                adds && !axes.iter().all(|&axis| few(shape[axis]))
            }
            Op::Contract { space, out, .. } => {
                let kept = |i: &usize| out.coords.iter().any(|c| c.terms.iter().any(|t| t.0 == *i));
                !(0..space.len()).filter(|i| !kept(i)).all(|i| few(space[i]))
            }
            Op::Iota { .. } | Op::ArgReduce { .. } | Op::DimValue { .. } => true,
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

/// A size on one side that differs from what it is for small sizes only where no tensor is drawn.
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
    let (left, right) = (dims(&rule.lhs), dims(&rule.rhs));
    let mut new = left.symmetric_difference(&right);
    let far = new.find(|dim| is_far(**dim, 1))?;
    Some(format!(
        "one side has the size `{far}`, which stays the same up to sizes that cannot be drawn, and nothing is proved"
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
