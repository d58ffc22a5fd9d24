//! Copying ops from one function into another, with values and dimensions renamed.

use std::collections::{BTreeMap, HashMap};

use aiai_ir::{Builder, Dim, Function, OpNode, Region, Sym, Value};

/// A copy in progress: what values and dimensions of the source stand for in the target.
#[derive(Clone, Default)]
pub struct Renaming {
    pub values: HashMap<Value, Value>,
    pub dims: BTreeMap<Sym, Dim>,
}

impl Renaming {
    /// What a source value stands for; values without an entry are of the target already.
    pub fn value(&self, value: Value) -> Value {
        self.values.get(&value).copied().unwrap_or(value)
    }

    pub fn dim(&self, dim: Dim) -> Dim {
        if self.dims.is_empty() {
            return dim;
        }
        dim.substitute(&|sym| self.dims.get(&sym).copied())
    }

    fn define(&mut self, source: &Function, target: &mut Function, value: Value) -> Value {
        let fresh = target.new_value(source.ty(value).map_dims(|d| self.dim(d)));
        self.values.insert(value, fresh);
        fresh
    }

    /// A copy of the op with fresh results, not yet placed.
    pub fn node(&mut self, source: &Function, target: &mut Function, node: &OpNode) -> OpNode {
        let mut op = node.op.clone();
        op.map_dims(&mut |d| self.dim(d));
        let operands = node.operands.iter().map(|&v| self.value(v)).collect();
        let regions = node
            .regions
            .iter()
            .map(|r| self.region(source, target, r))
            .collect();
        let results = node
            .results
            .iter()
            .map(|&v| self.define(source, target, v))
            .collect();
        OpNode {
            op,
            operands,
            results,
            regions,
            loc: node.loc,
        }
    }

    fn region(&mut self, source: &Function, target: &mut Function, region: &Region) -> Region {
        let args = region
            .args
            .iter()
            .map(|&v| self.define(source, target, v))
            .collect();
        let ops = region
            .ops
            .iter()
            .map(|n| self.node(source, target, n))
            .collect();
        let yields = region.yields.iter().map(|&v| self.value(v)).collect();
        Region { args, ops, yields }
    }

    /// Appends copies of all ops of a region; its arguments must have entries. Returns the copies.
    pub fn append(&mut self, source: &Function, b: &mut Builder, region: &Region) -> Vec<OpNode> {
        let mut copies = Vec::with_capacity(region.ops.len());
        for node in &region.ops {
            let copy = self.node(source, b.function, node);
            b.push_node(copy.clone());
            copies.push(copy);
        }
        copies
    }
}

/// The values that a region uses and does not define, in order of first use.
pub fn captured(region: &Region) -> Vec<Value> {
    let mut defined: std::collections::HashSet<Value> = region.args.iter().copied().collect();
    let mut found = Vec::new();
    fn walk(
        region: &Region,
        defined: &mut std::collections::HashSet<Value>,
        found: &mut Vec<Value>,
    ) {
        defined.extend(&region.args);
        for node in &region.ops {
            found.extend(&node.operands);
            for inner in &node.regions {
                walk(inner, defined, found);
            }
            defined.extend(&node.results);
        }
        found.extend(&region.yields);
    }
    walk(region, &mut defined, &mut found);
    let mut seen = std::collections::HashSet::new();
    found.retain(|v| !defined.contains(v) && seen.insert(*v));
    found
}
