//! The lives of buffers: each ends behind the last op of its region that touches it.

use std::collections::HashMap;

use aiai_ir::{Function, Op, OpNode, Region, Value};

/// Buffers of a constant size up to this can live on the stack, and need no end.
const STACK_BYTES: i64 = 4096;
/// Bytes on the stack in one frame, at most; the body of a parallel loop has a frame of its own.
const FRAME_BYTES: i64 = 1 << 20;

/// The size in bytes of a buffer that can live on the stack.
pub fn stack_bytes(op: &Op) -> Option<i64> {
    let Op::Alloc { dtype, shape } = op else {
        return None;
    };
    let count = aiai_ir::Dim::product(shape.iter().copied()).as_const()?;
    let bytes = count.checked_mul(dtype.bytes() as i64)?;
    (bytes <= STACK_BYTES).then_some(bytes)
}

/// Ends every buffer of the function that does not live on the stack.
pub fn insert(function: &mut Function) {
    region(&mut function.body, &mut 0);
}

fn region(region_: &mut Region, frame: &mut i64) {
    let mut roots: HashMap<Value, Value> = HashMap::new();
    let mut last: HashMap<Value, usize> = HashMap::new();
    for (at, node) in region_.ops.iter_mut().enumerate() {
        let mut own = 0;
        let frame = match node.op {
            Op::Parallel { .. } => &mut own,
            _ => &mut *frame,
        };
        node.regions.iter_mut().for_each(|r| region(r, frame));
        match &node.op {
            Op::Alloc { .. } => {
                *frame += stack_bytes(&node.op).unwrap_or(0);
                if stack_bytes(&node.op).is_none() || *frame > FRAME_BYTES {
                    roots.insert(node.results[0], node.results[0]);
                    last.insert(node.results[0], at);
                }
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
    let mut ends = ends.into_iter().peekable();
    let ops = std::mem::take(&mut region_.ops);
    for (at, node) in ops.into_iter().enumerate() {
        region_.ops.push(node);
        while let Some((_, value)) = ends.next_if(|end| end.0 == at) {
            region_.ops.push(OpNode {
                op: Op::Free,
                operands: vec![value],
                results: Vec::new(),
                regions: Vec::new(),
                loc: None,
            });
        }
    }
}

fn touch(node: &OpNode, visit: &mut impl FnMut(Value)) {
    node.operands.iter().for_each(|&v| visit(v));
    for inner in &node.regions {
        inner.walk(&mut |n| n.operands.iter().for_each(|&v| visit(v)));
    }
}
