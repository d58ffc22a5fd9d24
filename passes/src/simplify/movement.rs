//! Identities of movement and of reductions over nothing.

use aiai_ir::{Dim, Op, OpNode, ReduceKind, Value};

use super::{Rewrite, Scope};

pub fn rewrite(scope: &Scope, node: &OpNode) -> Option<Rewrite> {
    let result = node.results[0];
    let &x = node.operands.first()?;
    if changes_nothing(scope, node, x) {
        return Some(Rewrite::Value(x));
    }
    // Whatever moves equal elements around is a broadcast of one of them.
    if let Some(scalar) = repeated(scope, node, x) {
        let shape = scope.function.ty(result).shape().to_vec();
        let axes = Vec::new();
        return Some(Rewrite::Op(Op::Broadcast { shape, axes }, vec![scalar]));
    }
    composed(scope, node, x)
}

/// Whether the result is the operand.
fn changes_nothing(scope: &Scope, node: &OpNode, x: Value) -> bool {
    let is_zero = |dims: &[Dim]| dims.iter().all(|d| d.is_const(0));
    let same = scope.same_type(node.results[0], x);
    match &node.op {
        Op::Reshape { .. } => same,
        Op::Permute { axes } | Op::Broadcast { axes, .. } => {
            same && axes.iter().copied().eq(0..axes.len())
        }
        Op::Slice {
            starts, strides, ..
        } => same && is_zero(starts) && strides.iter().all(|s| s.is_const(1)),
        Op::Pad { low, high } => is_zero(low) && is_zero(high),
        Op::Concat { .. } => node.operands.len() == 1,
        Op::Reverse { axes } => axes.is_empty(),
        Op::Reduce { kind, axes, .. } => {
            let keeps = matches!(
                kind,
                ReduceKind::Max | ReduceKind::Min | ReduceKind::Any | ReduceKind::All
            );
            keeps && axes.is_empty()
        }
        _ => false,
    }
}

/// The scalar whose repetition an operand is, under an op that keeps it so.
fn repeated(scope: &Scope, node: &OpNode, x: Value) -> Option<Value> {
    let keeps = matches!(
        node.op,
        Op::Reshape { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. }
    );
    let maker = scope.maker(x)?;
    let scalar = maker.operands.first().copied()?;
    let is_repeated =
        matches!(maker.op, Op::Broadcast { .. }) && scope.function.ty(scalar).shape().is_empty();
    (keeps && is_repeated).then_some(scalar)
}

/// Two ops of a kind as one.
fn composed(scope: &Scope, node: &OpNode, x: Value) -> Option<Rewrite> {
    let maker = scope.maker(x)?;
    let &y = maker.operands.first()?;
    let op = match (&node.op, &maker.op) {
        (Op::Reshape { shape }, Op::Reshape { .. }) => Op::Reshape {
            shape: shape.clone(),
        },
        (Op::Permute { axes: outer }, Op::Permute { axes: inner }) => Op::Permute {
            axes: outer.iter().map(|&k| inner[k]).collect(),
        },
        (Op::Reverse { axes: outer }, Op::Reverse { axes: inner }) if outer == inner => {
            return Some(Rewrite::Value(y));
        }
        (Op::Broadcast { shape, axes: outer }, Op::Broadcast { axes: inner, .. }) => {
            Op::Broadcast {
                shape: shape.clone(),
                axes: inner.iter().map(|&k| outer[k]).collect(),
            }
        }
        (
            Op::Slice {
                starts,
                limits,
                strides,
            },
            Op::Slice {
                starts: from,
                strides: by,
                ..
            },
        ) if by.iter().all(|s| s.is_const(1)) => {
            let moved = |dims: &[Dim]| dims.iter().zip(from).map(|(d, f)| *d + *f).collect();
            Op::Slice {
                starts: moved(starts),
                limits: moved(limits),
                strides: strides.clone(),
            }
        }
        _ => return None,
    };
    Some(Rewrite::Op(op, vec![y]))
}
