//! Common subexpressions: equal pure ops on equal operands become one.

use std::collections::HashMap;

use aiai_ir::ops::Effect;
use aiai_ir::{Function, Op, Region, Value};

/// Merges equal ops; an op within a region may be replaced by one before the region.
pub fn merge_common(function: &mut Function) {
    let mut body = std::mem::take(&mut function.body);
    merge(&mut body, &mut HashMap::new(), &mut HashMap::new());
    function.body = body;
}

type Known = HashMap<(Op, Vec<Value>), Vec<Value>>;

fn merge(region: &mut Region, known: &mut Known, replaced: &mut HashMap<Value, Value>) {
    let mut kept = Vec::with_capacity(region.ops.len());
    for mut node in std::mem::take(&mut region.ops) {
        for operand in &mut node.operands {
            *operand = replaced.get(operand).copied().unwrap_or(*operand);
        }
        for inner in &mut node.regions {
            // What is found inside is not in sight outside.
            merge(inner, &mut known.clone(), replaced);
        }
        if node.op.info().effect == Effect::Pure && node.regions.is_empty() {
            let mut operands = node.operands.clone();
            if node.op.is_commutative() {
                operands.sort_unstable();
            }
            let key = (node.op.clone(), operands);
            if let Some(earlier) = known.get(&key) {
                replaced.extend(node.results.iter().copied().zip(earlier.iter().copied()));
                continue;
            }
            known.insert(key, node.results.clone());
        }
        kept.push(node);
    }
    region.ops = kept;
    for value in &mut region.yields {
        *value = replaced.get(value).copied().unwrap_or(*value);
    }
}
