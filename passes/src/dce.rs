//! Dead code: ops whose results nothing uses and whose effect nothing sees.

use std::collections::HashSet;

use aiai_ir::ops::Effect;
use aiai_ir::{Function, OpNode, Region, Value};

/// Removes dead ops. Checks stay: they may stop the program.
pub fn eliminate_dead_code(function: &mut Function) {
    let mut live = HashSet::new();
    sweep(&mut function.body, &mut live);
}

fn sweep(region: &mut Region, live: &mut HashSet<Value>) {
    live.extend(&region.yields);
    let mut kept = Vec::with_capacity(region.ops.len());
    for mut node in std::mem::take(&mut region.ops).into_iter().rev() {
        if node.results.iter().any(|v| live.contains(v)) || has_effect(&node) {
            for inner in &mut node.regions {
                sweep(inner, live);
            }
            live.extend(&node.operands);
            kept.push(node);
        }
    }
    kept.reverse();
    region.ops = kept;
}

/// Whether an op must stay though nothing uses its results. An index out of range is an error of the
/// value only: an access that nothing uses goes, as docs/semantics.md says.
pub(crate) fn has_effect(node: &OpNode) -> bool {
    match node.op.info().effect {
        Effect::Pure => false,
        Effect::Check => node.results.is_empty(),
        Effect::Memory => true,
        Effect::Regions => {
            node.regions.iter().any(|r| r.ops.iter().any(has_effect))
                || matches!(
                    node.op,
                    aiai_ir::Op::Call { .. } | aiai_ir::Op::Grad { .. } | aiai_ir::Op::While { .. }
                )
        }
    }
}
