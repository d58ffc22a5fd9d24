//! Fusion: what is computed together, without a tensor in between.
//!
//! An elementwise op or view joins the op that uses it; a contraction joins the elementwise op that
//! uses its result (its epilogue). Where several ops use a value, they must be elementwise ops of one
//! group. So groups end in a reduction, a contraction's operand or a tensor that several groups use.
//! Values that must lie in memory stay tensors.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Function, FuseKind, Op, OpNode, Region, Value};

/// Ops in a group, at most, where a value has several uses: what lies before one of them may be computed
/// once for every function behind it.
const MOST_OPS: usize = 32;

/// Groups the ops of a function.
pub fn fuse(function: &mut Function) {
    let in_memory = in_memory(function);
    let mut body = std::mem::take(&mut function.body);
    region(function, &mut body, &in_memory);
    function.body = body;
}

/// Values that must be tensors: read at computed places or by kernels, results, or used in an inner
/// region.
fn in_memory(function: &Function) -> HashSet<Value> {
    let mut makers: HashMap<Value, &OpNode> = HashMap::new();
    let mut found = HashSet::new();
    function.body.walk(&mut |node| {
        for inner in &node.regions {
            found.extend(crate::clone::captured(inner));
            found.extend(&inner.yields);
        }
        makers.extend(node.results.iter().map(|&r| (r, node)));
    });
    function.body.walk(&mut |node| {
        let repeats = matches!(node.op, Op::Broadcast { .. })
            && function.ty(node.results[0]).shape() != function.ty(node.operands[0]).shape();
        for &operand in &node.operands {
            // A function would be computed again for every repetition.
            let costly = makers.get(&operand).is_some_and(|m| !m.op.is_view());
            if node.op.reads_memory() || (repeats && costly) {
                found.insert(operand);
            }
        }
    });
    found.extend(&function.body.yields);
    found
}

fn region(function: &mut Function, region_: &mut Region, in_memory: &HashSet<Value>) {
    for node in &mut region_.ops {
        for inner in &mut node.regions {
            region(function, inner, in_memory);
        }
    }
    let leader = leaders(function, &region_.ops, in_memory);
    let mut members: Vec<Vec<OpNode>> = vec![Vec::new(); region_.ops.len()];
    for (at, node) in std::mem::take(&mut region_.ops).into_iter().enumerate() {
        if leader[at] != at {
            members[leader[at]].push(node);
            continue;
        }
        let group = std::mem::take(&mut members[at]);
        region_.ops.push(if group.is_empty() {
            node
        } else {
            wrap(function, group, node)
        });
    }
}

/// For every op the one whose group it belongs to; itself where it leads.
fn leaders(function: &Function, ops: &[OpNode], in_memory: &HashSet<Value>) -> Vec<usize> {
    let mut users: HashMap<Value, Vec<usize>> = HashMap::new();
    for (at, node) in ops.iter().enumerate() {
        for &operand in &node.operands {
            users.entry(operand).or_default().push(at);
        }
    }
    let mut leader: Vec<usize> = (0..ops.len()).collect();
    let mut size = vec![1; ops.len()];
    for at in (0..ops.len()).rev() {
        let &[result] = ops[at].results.as_slice() else {
            continue;
        };
        let Some(users) = users.get(&result) else {
            continue;
        };
        let lead = leader[users[0]];
        let one_group = users.iter().all(|&user| leader[user] == lead);
        let shared = users.len() > 1;
        let small = !shared || size[lead] < MOST_OPS;
        let all_join = || {
            users.iter().all(|&user| {
                let user = &ops[user];
                joins(function, &ops[at], user) && (!shared || is_elementwise(&user.op))
            })
        };
        if one_group && small && !in_memory.contains(&result) && all_join() {
            leader[at] = lead;
            size[lead] += 1;
        }
    }
    leader
}

/// Whether an op may join one that uses its result.
fn joins(function: &Function, node: &OpNode, user: &OpNode) -> bool {
    // Scalars are computed once, where they stand.
    if !user.regions.is_empty() || function.ty(node.results[0]).rank() == 0 {
        return false;
    }
    let is_epilogue = matches!(node.op, Op::Contract { .. }) && is_elementwise(&user.op);
    node.op.is_expression() || is_epilogue
}

/// Whether an element depends on the elements at the same place only.
fn is_elementwise(op: &Op) -> bool {
    op.is_expression() && !op.is_view()
}

/// The group as one op, in place of its leader.
fn wrap(function: &mut Function, mut group: Vec<OpNode>, mut leader: OpNode) -> OpNode {
    let results = leader.results.clone();
    for result in &mut leader.results {
        let ty = function.ty(*result).clone();
        *result = function.new_value(ty);
    }
    let (yields, loc) = (leader.results.clone(), leader.loc);
    group.push(leader);
    let any = |test: fn(&Op) -> bool| group.iter().any(|node| test(&node.op));
    let kind = if any(|op| matches!(op, Op::Contract { .. })) {
        FuseKind::Contract
    } else if any(|op| matches!(op, Op::Reduce { .. } | Op::ArgReduce { .. })) {
        FuseKind::Rows
    } else {
        FuseKind::Elementwise
    };
    OpNode {
        op: Op::Fused { kind },
        operands: Vec::new(),
        results,
        regions: vec![Region {
            args: Vec::new(),
            ops: group,
            yields,
        }],
        loc,
    }
}

#[cfg(test)]
mod tests {
    use aiai_ir::{BinaryKind, Builder, DType, Dim, ReduceKind, Type, UnaryKind};

    use super::*;

    #[test]
    fn a_value_with_several_uses_in_one_group_joins_it() {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let n = Dim::sym("N");
        let x = b.add_param("x", Type::tensor(DType::F32, vec![n]), false);
        let h = b.binary(BinaryKind::Add, x, x);
        let e = b.unary(UnaryKind::Exp, h);
        let y = b.binary(BinaryKind::Mul, e, h);
        b.finish(&[y], &["y"]);
        fuse(&mut function);
        let [group] = function.body.ops.as_slice() else {
            panic!("{:?}", function.body.ops);
        };
        assert_eq!(group.regions[0].ops.len(), 3);
    }

    #[test]
    fn a_chain_joins_its_reduction_and_a_shared_value_does_not() {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let n = Dim::sym("N");
        let x = b.add_param("x", Type::tensor(DType::F32, vec![n, n]), false);
        let shared = b.unary(UnaryKind::Exp, x);
        let product = b.binary(BinaryKind::Mul, shared, x);
        let sum = b.reduce(ReduceKind::Sum, product, &[1]);
        let largest = b.reduce(ReduceKind::Max, shared, &[1]);
        b.finish(&[sum, largest], &["sum", "largest"]);
        fuse(&mut function);
        let names: Vec<&str> = function.body.ops.iter().map(|n| n.op.name()).collect();
        assert_eq!(names, ["exp", "fused", "reduce"]);
        let group = &function.body.ops[1];
        assert_eq!(group.regions[0].ops.len(), 2);
        assert_eq!(group.results, [sum]);
    }
}
