//! Loop state that is updated where it lies: what an iteration makes of a carried tensor by writing parts
//! of it needs no memory of its own once nothing reads the tensor as it was.

use std::collections::HashSet;

use aiai_ir::schedule::Pattern;
use aiai_ir::{FuseKind, Op, OpNode, Region, Schedule, Value};

use super::{Lowerer, Place};

impl<'a> Lowerer<'a> {
    /// Sends what an iteration carries on straight to the state, where that overwrites nothing needed.
    pub fn claim_state(&mut self, region: &Region, args: &[Value], state: &[Value]) {
        for ((&arg, &value), &buffer) in args.iter().zip(&region.yields).zip(state) {
            let mut claimed = Vec::new();
            if self.in_place(region, value, arg, &mut claimed) {
                for value in claimed {
                    self.outputs.entry(value).or_insert(buffer);
                }
            }
        }
    }

    /// Whether a value can be computed in the memory of `from`; adds all results on the way.
    fn in_place(
        &self,
        region: &Region,
        value: Value,
        from: Value,
        claimed: &mut Vec<Value>,
    ) -> bool {
        if value == from {
            return true;
        }
        let made = |node: &OpNode| node.results.iter().position(|&r| r == value);
        let found = region.ops.iter().enumerate();
        let Some((at, nth)) = found.filter_map(|(at, n)| Some((at, made(n)?))).next() else {
            return false;
        };
        let node = &region.ops[at];
        let before = match node.op {
            Op::DynamicUpdate | Op::Scatter { .. } => node.operands.first(),
            Op::Scan { .. } | Op::While { .. } => node.operands.get(nth),
            Op::If => Some(&from),
            _ => None,
        };
        let Some(&before) = before else { return false };
        if !self.in_place(region, before, from, claimed) {
            return false;
        }
        let mut readers = self.readers(region, before);
        let later = region.ops[at + 1..].iter().any(|n| reads(n, &readers));
        if later || region.yields.iter().any(|y| readers.contains(y)) {
            return false;
        }
        let alone = match node.op {
            Op::If => {
                readers.remove(&before);
                let mut branches = node.regions.iter();
                !reads(node, &readers)
                    && branches.all(|b| self.in_place(b, b.yields[nth], before, claimed))
            }
            _ => {
                let times = node.operands.iter().filter(|v| readers.contains(v)).count();
                times == 1 && !node.regions.iter().any(|r| reads_within(r, &readers))
            }
        };
        claimed.push(value);
        alone
    }

    /// The value, and those that are views of its memory or read it when they are used. Rows of a product may wait for
    /// the product that reads them.
    fn readers(&self, region: &Region, value: Value) -> HashSet<Value> {
        let mut found = HashSet::from([value]);
        let attention = |s: &Schedule| s.pattern == Pattern::Attention;
        let some_wait = self.schedules.iter().any(attention);
        for node in &region.ops {
            let product = FuseKind::Contract;
            let waits = some_wait && node.op == Op::Fused { kind: product };
            let yields = node.regions.iter().flat_map(|r| &r.yields);
            let mut made = node.results.iter().chain(yields);
            let is_view =
                matches!(node.op, Op::Reshape { .. }) || made.any(|v| self.lazy.contains(v));
            if (is_view || waits) && reads(node, &found) {
                found.extend(&node.results);
            }
        }
        found
    }

    /// Whether a value lies in the buffer, its axes in order.
    pub fn lies_in(&self, value: Value, memory: Value) -> bool {
        matches!(self.places.get(&value), Some(Place::Buffer { buffer, axes })
            if *buffer == memory && axes.iter().copied().eq(0..axes.len()))
    }
}

fn reads(node: &OpNode, values: &HashSet<Value>) -> bool {
    node.operands.iter().any(|v| values.contains(v))
        || node.regions.iter().any(|r| reads_within(r, values))
}

fn reads_within(region: &Region, values: &HashSet<Value>) -> bool {
    region.ops.iter().any(|node| reads(node, values))
        || region.yields.iter().any(|v| values.contains(v))
}
