//! Part of step 8: what one side does with positions and counts of elements, far from all that are drawn.
//!
//! `min(n, 50000)` as a position, a mask `k < 20000`, a place held in f16: for tensors that are drawn they do nothing,
//! so a rule that drops them looks right. Without a proof it is not tested.

use std::collections::{BTreeMap, BTreeSet};

use aiai_ir::{BinaryKind, DType, Function, Op, OpNode, Rule, Scalar, Value};

use super::candidate::each_op;

/// Numbers that positions are held against, at most: as many elements have the axes that are drawn.
const FARTHEST: i64 = 256;

/// Sizes whose product fits into 64 bits, whatever tensors fit into memory.
const MOST_POWER: u32 = 2;

/// What the sides do differently with positions that cannot be drawn, in words.
pub fn far(rule: &Rule) -> Option<String> {
    let (left, right) = (Uses::of(&rule.lhs), Uses::of(&rule.rhs));
    if let Some(number) = left.numbers.symmetric_difference(&right.numbers).next() {
        return Some(format!(
            "one side holds positions against {number}: where that makes a difference cannot be drawn, and nothing is \
             proved"
        ));
    }
    let (one, other) = (left.power.max(right.power), left.power.min(right.power));
    if one != other && one > MOST_POWER {
        return Some(format!(
            "one side has the product of {one} sizes or positions: the sizes at which that wraps cannot be drawn, and \
             nothing is proved"
        ));
    }
    let dtype = left.narrow.symmetric_difference(&right.narrow).next()?;
    Some(format!(
        "one side holds positions or counts of elements in {dtype}, the other does not: where they no longer fit cannot be \
         drawn, and nothing is proved"
    ))
}

/// What is done with positions.
#[derive(Default)]
struct Uses {
    /// Large numbers that they are compared or computed with.
    numbers: BTreeSet<i64>,
    /// Narrow floats that hold them.
    narrow: BTreeSet<&'static str>,
    /// How many of them are multiplied with one another, at most.
    power: u32,
}

impl Uses {
    fn of(function: &Function) -> Uses {
        let mut uses = Uses::default();
        let all = positions(function);
        let numbers = numbers(function);
        uses.power = power(function);
        each_op(function, &mut |node| {
            if !node.operands.iter().any(|v| all.contains(v)) {
                return;
            }
            match &node.op {
                Op::Compare { .. } => uses.note(node, &numbers),
                Op::Binary { kind } if far_reaching(*kind) => uses.note(node, &numbers),
                Op::Cast {
                    dtype: dtype @ (DType::F16 | DType::BF16),
                } => {
                    uses.narrow.insert(dtype.name());
                }
                _ => {}
            }
        });
        uses
    }

    fn note(&mut self, node: &OpNode, numbers: &[(Value, i64)]) {
        let found = numbers.iter().filter(|n| node.operands.contains(&n.0));
        let far = found
            .map(|n| n.1)
            .filter(|n| n.unsigned_abs() > FARTHEST as u64);
        self.numbers.extend(far);
    }
}

/// Whether a large number as the other operand makes a difference for large positions alone.
fn far_reaching(kind: BinaryKind) -> bool {
    match kind {
        BinaryKind::Add
        | BinaryKind::Sub
        | BinaryKind::Div
        | BinaryKind::Rem
        | BinaryKind::Max
        | BinaryKind::Min => true,
        BinaryKind::Mul
        | BinaryKind::Pow
        | BinaryKind::And
        | BinaryKind::Or
        | BinaryKind::Xor
        | BinaryKind::Shl
        | BinaryKind::Shr => false,
    }
}

/// How many sizes and places are multiplied with one another, at most, in integers.
fn power(function: &Function) -> u32 {
    let mut powers: BTreeMap<Value, u32> = BTreeMap::new();
    each_op(function, &mut |node| {
        let of = |v: &Value| powers.get(v).copied().unwrap_or(0);
        let operands = node.operands.iter().map(of);
        let own = match &node.op {
            Op::DimValue { dim } => degree(*dim),
            Op::Iota { .. } | Op::ArgReduce { .. } => 1,
            Op::Binary {
                kind: BinaryKind::Mul,
            } => operands.sum(),
            op if computes(op) => operands.max().unwrap_or(0),
            _ => 0,
        };
        for &result in &node.results {
            let whole = function.ty(result).dtype().is_integer();
            powers.insert(result, if whole { own } else { 0 });
        }
    });
    powers.into_values().max().unwrap_or(0)
}

/// The largest number of sizes in a product of a dimension.
fn degree(dim: aiai_ir::Dim) -> u32 {
    let terms = dim.terms().iter();
    let degrees = terms.map(|(factors, _)| factors.iter().map(|f| f.1).sum());
    degrees.max().unwrap_or(0)
}

/// Values that are places or numbers of elements, or that are used as places.
fn positions(function: &Function) -> BTreeSet<Value> {
    let mut found = BTreeSet::new();
    each_op(function, &mut |node| {
        let made = match &node.op {
            Op::Iota { .. } | Op::ArgReduce { .. } | Op::DimValue { .. } => true,
            // What is compared is no position any more.
            Op::Compare { .. } => false,
            _ => node.operands.iter().any(|v| found.contains(v)) && computes(&node.op),
        };
        if made {
            found.extend(node.results.iter().copied());
        }
    });
    let mut used: BTreeSet<Value> = BTreeSet::new();
    let mut nodes = Vec::new();
    each_op(function, &mut |node| nodes.push(node));
    for node in nodes.into_iter().rev() {
        match &node.op {
            Op::Gather { .. } | Op::DynamicSlice { .. } => used.extend(&node.operands[1..]),
            Op::Scatter { .. } => used.extend(&node.operands[1..node.operands.len() - 1]),
            Op::DynamicUpdate => used.extend(&node.operands[2..]),
            op if computes(op) && node.results.iter().any(|v| used.contains(v)) => {
                used.extend(&node.operands);
            }
            _ => {}
        }
    }
    found.extend(used);
    found
}

/// Whether an operation makes a position of a position.
fn computes(op: &Op) -> bool {
    matches!(op, Op::Unary { .. } | Op::Binary { .. } | Op::Cast { .. }) || op.is_view()
}

/// Integers, and floats that are whole, that are the same everywhere.
pub fn numbers(function: &Function) -> Vec<(Value, i64)> {
    let mut found: Vec<(Value, i64)> = Vec::new();
    each_op(function, &mut |node| {
        let number = match &node.op {
            Op::Constant { value } => match value.splat() {
                Some(Scalar::Int(n)) => Some(n),
                Some(Scalar::UInt(n)) => i64::try_from(n).ok(),
                Some(Scalar::Float(x)) if x.fract() == 0.0 => Some(x as i64),
                Some(Scalar::Float(_) | Scalar::Bool(_)) | None => None,
            },
            op if op.is_view() || matches!(op, Op::Cast { .. }) => {
                let operand = node.operands.first();
                let of = |v: &Value| found.iter().find(|n| n.0 == *v).map(|n| n.1);
                operand.and_then(of)
            }
            _ => None,
        };
        if let (Some(number), Some(&result)) = (number, node.results.first()) {
            found.push((result, number));
        }
    });
    found
}
