//! Part of step 8: every part of the right side must matter in some draw.
//!
//! A term that adds nothing, a choice that always falls the same way, a maximum of which one operand always is the
//! larger: whatever is hidden behind it shows for inputs that nobody draws. Without a proof such a rule is not tested.

use std::collections::BTreeSet;

use aiai_ir::{BinaryKind, CompareKind, FloatClass, Function, Op, OpNode, Region, Rule, Value};

use super::candidate::each_op;
use super::fingerprint;
use crate::witness;
use aiai_ir::random::Random;

/// Inputs on which a part may show what it does, at most: positions that are drawn seldom lie within a tensor.
const DRAWS: usize = 600;

/// Parts of one side that are looked at.
const MOST_PARTS: usize = 24;

/// What is done to a part to see whether it matters.
#[derive(Clone, Copy)]
enum Change {
    /// Its result is another value.
    Instead(Value),
    /// A comparison always holds, or never.
    Fixed(bool),
}

/// The first part of the right side that no draw needs, in words.
pub fn part(rule: &Rule, random: &mut Random) -> Option<String> {
    let parts = parts(rule);
    let mut left: Vec<(usize, Function)> = Vec::new();
    for (number, &(_, value, change)) in parts.iter().enumerate() {
        left.push((number, changed(&rule.rhs, value, change)));
    }
    let class = match rule.class {
        FloatClass::Exact => FloatClass::Exact,
        _ => FloatClass::Real { finite: true },
    };
    for at in 0..DRAWS {
        if left.is_empty() {
            return None;
        }
        let Some(sizes) = witness::sizes(rule, random, at) else {
            continue;
        };
        let Some(inputs) = witness::inputs(rule, &sizes, random, at % 5) else {
            continue;
        };
        left.retain(|(_, other)| {
            witness::compare(class, [&rule.rhs, other], &sizes, &inputs).is_none()
        });
    }
    let (number, _) = left.first()?;
    let name = parts[*number].0;
    Some(format!(
        "the `{name}` of the right side changes nothing in any draw, or comes out one way: what it is for is not tested, \
         and nothing is proved"
    ))
}

/// The ops of the right side that may hide something, each with a change, but for those that the left side has as well.
fn parts(rule: &Rule) -> Vec<(&'static str, Value, Change)> {
    let known: BTreeSet<String> = values(&rule.lhs)
        .map(|value| fingerprint::of(&alone(&rule.lhs, value)))
        .collect();
    let outside: BTreeSet<Value> = values(&rule.rhs)
        .filter(|value| known.contains(&fingerprint::of(&alone(&rule.rhs, *value))))
        .collect();
    let mut parts = Vec::new();
    each_op(&rule.rhs, &mut |node| {
        let Some(&result) = node.results.first() else {
            return;
        };
        if outside.contains(&result) {
            return;
        }
        let instead = |at: usize| {
            let operand = node.operands[at];
            let fits = rule.rhs.ty(operand) == rule.rhs.ty(result);
            fits.then_some((node.op.name(), result, Change::Instead(operand)))
        };
        match &node.op {
            Op::Binary { kind } => {
                parts.extend(instead(0));
                if commutes(*kind) {
                    parts.extend(instead(1));
                }
            }
            Op::Select => parts.extend([instead(1), instead(2)].into_iter().flatten()),
            Op::Compare { .. } => parts
                .extend([false, true].map(|holds| (node.op.name(), result, Change::Fixed(holds)))),
            _ => {}
        }
    });
    parts.truncate(MOST_PARTS);
    parts
}

fn commutes(kind: BinaryKind) -> bool {
    Op::Binary { kind }.is_commutative()
}

/// The values that ops outside of regions make.
fn values(function: &Function) -> impl Iterator<Item = Value> + '_ {
    let ops = function.body.ops.iter();
    ops.filter_map(|node| node.results.first().copied())
}

/// A function that computes one value of another.
fn alone(function: &Function, value: Value) -> Function {
    let mut alone = function.clone();
    alone.body.yields = vec![value];
    alone
}

fn changed(function: &Function, value: Value, change: Change) -> Function {
    let mut function = function.clone();
    let mut body = std::mem::take(&mut function.body);
    region(&mut body, value, change);
    function.body = body;
    function
}

fn region(body: &mut Region, value: Value, change: Change) {
    let renamed = |v: &mut Value| {
        if let Change::Instead(other) = change
            && *v == value
        {
            *v = other;
        }
    };
    for node in &mut body.ops {
        node.operands.iter_mut().for_each(renamed);
        if let Change::Fixed(holds) = change
            && node.results.first() == Some(&value)
        {
            fix(node, holds);
        }
        for inner in &mut node.regions {
            region(inner, value, change);
        }
    }
    body.yields.iter_mut().for_each(renamed);
}

/// A comparison of a value with itself.
fn fix(node: &mut OpNode, holds: bool) {
    let kind = if holds {
        CompareKind::Eq
    } else {
        CompareKind::Ne
    };
    node.op = Op::Compare { kind };
    node.operands[1] = node.operands[0];
}
