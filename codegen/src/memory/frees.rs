//! The lives of buffers: each ends behind the last op of its region that touches it.

use std::collections::HashMap;

use aiai_ir::{Function, Op, OpNode, Region, Value};

/// Buffers of a constant size up to this live on the stack, and need no end.
pub const STACK_BYTES: i64 = 4096;

/// The size in bytes of a buffer that lives on the stack.
pub fn stack_bytes(op: &Op) -> Option<i64> {
    let Op::Alloc { dtype, shape } = op else {
        return None;
    };
    let count = aiai_ir::Dim::product(shape.iter().copied()).as_const()?;
    let bytes = count.checked_mul(dtype.bytes() as i64)?;
    (bytes <= STACK_BYTES).then_some(bytes)
}

/// Ends every buffer of the function.
pub fn insert(function: &mut Function) {
    region(&mut function.body);
}

fn region(region_: &mut Region) {
    let mut roots: HashMap<Value, Value> = HashMap::new();
    let mut last: HashMap<Value, usize> = HashMap::new();
    for (at, node) in region_.ops.iter_mut().enumerate() {
        node.regions.iter_mut().for_each(region);
        match &node.op {
            Op::Alloc { .. } if stack_bytes(&node.op).is_none() => {
                roots.insert(node.results[0], node.results[0]);
                last.insert(node.results[0], at);
            }
            Op::View { .. } => {
                if let Some(&root) = roots.get(&node.operands[0]) {
                    roots.insert(node.results[0], root);
                }
            }
            _ => {}
        }
        touch(node, &mut |value| {
            if let Some(root) = roots.get(&value) {
                last.insert(*root, at);
            }
        });
    }
    let mut ends: Vec<(usize, Value)> = last.into_iter().map(|(value, at)| (at, value)).collect();
    ends.sort_unstable();
    for (at, value) in ends.into_iter().rev() {
        let free = OpNode {
            op: Op::Free,
            operands: vec![value],
            results: Vec::new(),
            regions: Vec::new(),
            loc: None,
        };
        region_.ops.insert(at + 1, free);
    }
}

fn touch(node: &OpNode, visit: &mut impl FnMut(Value)) {
    node.operands.iter().for_each(|&v| visit(v));
    for inner in &node.regions {
        inner.walk(&mut |n| n.operands.iter().for_each(|&v| visit(v)));
    }
}
