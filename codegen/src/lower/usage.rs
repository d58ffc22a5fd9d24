//! Which values are computed where they are used.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Function, Op, OpNode, Region, UnaryKind, Value};

use super::expression::{is_expression, is_view};

/// Finds the values that are computed where they are used.
pub fn plan(source: &Function) -> HashSet<Value> {
    let mut lazy = HashSet::new();
    let mut uses: HashMap<Value, usize> = HashMap::new();
    count(&source.body, &mut uses);
    let mut nodes: HashMap<Value, &OpNode> = HashMap::new();
    source.body.walk(&mut |node| {
        for &result in &node.results {
            nodes.insert(result, node);
        }
    });
    let mut dense = HashSet::new();
    source
        .body
        .walk(&mut |node| require_memory(node, &nodes, source, &mut dense));
    let captured = captured_by_regions(&source.body);
    source.body.walk(&mut |node| {
        let Some(&result) = node.results.first() else {
            return;
        };
        if node.results.len() == 1 && is_expression(&node.op) {
            let cheap = is_view(&node.op);
            let once = uses.get(&result).copied().unwrap_or(0) <= 1;
            let scalar = source.ty(result).rank() == 0;
            if !dense.contains(&result)
                && !scalar
                && (cheap || (once && !captured.contains(&result)))
            {
                lazy.insert(result);
            }
        }
    });
    lazy
}

fn count(region: &Region, uses: &mut HashMap<Value, usize>) {
    for node in &region.ops {
        for &operand in &node.operands {
            *uses.entry(operand).or_default() += 1;
        }
        node.regions.iter().for_each(|r| count(r, uses));
    }
    for &value in &region.yields {
        *uses.entry(value).or_default() += 1;
    }
}

/// Values used within a loop or branch but made outside of it.
fn captured_by_regions(region: &Region) -> HashSet<Value> {
    let mut found = HashSet::new();
    let mut visit = |node: &OpNode| {
        if matches!(node.op, Op::Fused { .. }) {
            return;
        }
        for inner in &node.regions {
            let mut defined: HashSet<Value> = inner.args.iter().copied().collect();
            inner.walk(&mut |n| {
                defined.extend(&n.results);
                n.regions.iter().for_each(|r| defined.extend(&r.args));
            });
            let mut used = Vec::new();
            inner.walk(&mut |n| {
                used.extend(&n.operands);
                n.regions.iter().for_each(|r| used.extend(&r.yields));
            });
            used.extend(&inner.yields);
            found.extend(used.into_iter().filter(|v| !defined.contains(v)));
        }
    };
    region.walk(&mut visit);
    found
}

/// Marks operands that must lie in memory: what kernels read, and what a broadcast would compute over
/// and over.
fn require_memory(
    node: &OpNode,
    nodes: &HashMap<Value, &OpNode>,
    source: &Function,
    dense: &mut HashSet<Value>,
) {
    let mut mark = |value: Value| {
        dense.insert(value);
    };
    match &node.op {
        Op::Contract { .. } => node.operands.iter().for_each(|&v| {
            if !nodes
                .get(&v)
                .is_some_and(|n| matches!(n.op, Op::Permute { .. }))
            {
                mark(v);
            }
        }),
        Op::Reshape { .. }
        | Op::Sort { .. }
        | Op::RandomBits { .. }
        | Op::DynamicUpdate
        | Op::Scatter { .. } => {
            node.operands.iter().for_each(|&v| mark(v));
        }
        Op::Broadcast { .. } => {
            let operand = node.operands[0];
            let repeats = source.ty(node.results[0]).shape() != source.ty(operand).shape();
            let costly = nodes.get(&operand).is_some_and(|n| !is_view(&n.op));
            if repeats && costly {
                mark(operand);
            }
        }
        // A reduction reads each element once; a long chain of expensive functions is fine there.
        _ => {}
    }
}

/// Whether an elementwise function costs many times an addition.
pub fn is_expensive(op: &Op) -> bool {
    match op {
        Op::Unary { kind } => matches!(
            kind,
            UnaryKind::Exp
                | UnaryKind::Expm1
                | UnaryKind::Log
                | UnaryKind::Log1p
                | UnaryKind::Tanh
                | UnaryKind::Sin
                | UnaryKind::Cos
                | UnaryKind::Erf
        ),
        _ => false,
    }
}
