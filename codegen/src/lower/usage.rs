//! Which values are computed where they are used.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Function, Op, OpNode, Region, UnaryKind, Value};

/// Values without memory of their own: expressions within a group, which only the group sees, and views
/// that nothing reads at computed places.
pub fn plan(source: &Function) -> HashSet<Value> {
    let mut makers: HashMap<Value, &OpNode> = HashMap::new();
    source
        .body
        .walk(&mut |node| makers.extend(node.results.iter().map(|&r| (r, node))));
    let mut in_memory = HashSet::new();
    source.body.walk(&mut |node| {
        let is_permute = |v: &Value| {
            makers
                .get(v)
                .is_some_and(|m| matches!(m.op, Op::Permute { .. }))
        };
        // Products take their operands in any order of axes.
        let strided = matches!(node.op, Op::Contract { .. });
        if node.op.reads_memory() {
            let operands = node.operands.iter().copied();
            in_memory.extend(operands.filter(|v| !(strided && is_permute(v))));
        }
    });
    let mut lazy = HashSet::new();
    collect(source, &source.body, false, &in_memory, &mut lazy);
    lazy
}

fn collect(
    source: &Function,
    region: &Region,
    is_group: bool,
    in_memory: &HashSet<Value>,
    lazy: &mut HashSet<Value>,
) {
    for node in &region.ops {
        let in_group = matches!(node.op, Op::Fused { .. });
        for inner in &node.regions {
            collect(source, inner, in_group, in_memory, lazy);
        }
        let &[result] = node.results.as_slice() else {
            continue;
        };
        let is_inner = is_group && node.op.is_expression() && !region.yields.contains(&result);
        let is_tensor = source.ty(result).rank() > 0;
        if (is_inner || node.op.is_view()) && is_tensor && !in_memory.contains(&result) {
            lazy.insert(result);
        }
    }
}

/// Values that are read in row-major order: another layout would be copied.
pub fn row_major(source: &Function) -> HashSet<Value> {
    let mut found = HashSet::new();
    source.body.walk(&mut |node| {
        if node.op.reads_memory() && !matches!(node.op, Op::Contract { .. }) {
            found.extend(&node.operands);
        }
        // What loops and branches carry lies in buffers in order.
        let carries = matches!(node.op, Op::Scan { .. } | Op::While { .. } | Op::If);
        if carries {
            found.extend(&node.operands);
            node.regions.iter().for_each(|r| found.extend(&r.yields));
        }
    });
    found
}

/// Whether an elementwise function costs many times an addition.
pub fn is_expensive(op: &Op) -> bool {
    match op {
        Op::Unary { kind } => matches!(
            kind,
            UnaryKind::Exp
                | UnaryKind::Expm1
                | UnaryKind::Exp2
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
