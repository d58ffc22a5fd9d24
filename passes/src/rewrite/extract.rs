//! Extraction: the cheapest form of every value that is needed, as one graph with what is shared counted once.
//!
//! Greedy, as in the extraction gym (Goharshady and others, 2024): every class keeps the set of classes that its best
//! node needs; a node is better where the costs of its set add up to less. Classes in order of number,
//! nodes in order, the first of equals: the result does not depend on anything else.

use std::collections::BTreeMap;

use aiai_ir::Type;
use egg::Id;

use super::cost::Costs;
use super::egraph::{Forms, Kind, Node};

/// Passes over all classes, at most.
const PASSES: usize = 8;

/// The node that was chosen in each class.
pub type Choice = BTreeMap<Id, Node>;

struct Best {
    node: usize,
    /// The classes below, itself included, with what their nodes cost alone; in order.
    below: Vec<(Id, u64)>,
    total: u64,
}

/// The best node of every class that has one.
pub fn extract(forms: &Forms, costs: &Costs) -> Choice {
    let classes = forms.classes();
    let mut best: BTreeMap<Id, Best> = BTreeMap::new();
    for _ in 0..PASSES {
        let mut changed = false;
        for &id in &classes {
            let class = &forms.graph[id];
            for (number, node) in class.nodes.iter().enumerate() {
                let most = best.get(&id).map_or(u64::MAX, |b| b.total);
                if let Some(found) = candidate(forms, costs, &best, (id, number, node), most) {
                    best.insert(id, found);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    let chosen = best.into_iter();
    chosen
        .map(|(id, found)| (id, forms.graph[id].nodes[found.node].clone()))
        .collect()
}

/// The set of a node, where it costs less than `most` and does not need its own class.
fn candidate(
    forms: &Forms,
    costs: &Costs,
    best: &BTreeMap<Id, Best>,
    (id, number, node): (Id, usize, &Node),
    most: u64,
) -> Option<Best> {
    let own = node_cost(forms, costs, node);
    let mut below: Vec<(Id, u64)> = vec![(id, own)];
    let mut seen: Vec<Id> = Vec::new();
    for &child in &node.children {
        if seen.contains(&child) {
            continue;
        }
        seen.push(child);
        let found = best.get(&child)?;
        if found.total >= most || found.below.binary_search_by_key(&id, |b| b.0).is_ok() {
            return None;
        }
        below = union(&below, &found.below);
    }
    let total = below.iter().fold(0u64, |sum, b| sum.saturating_add(b.1));
    (total < most).then_some(Best {
        node: number,
        below,
        total,
    })
}

fn union(a: &[(Id, u64)], b: &[(Id, u64)]) -> Vec<(Id, u64)> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].0 <= b[j].0 {
            merged.push(a[i]);
            j += usize::from(a[i].0 == b[j].0);
            i += 1;
        } else {
            merged.push(b[j]);
            j += 1;
        }
    }
    merged.extend_from_slice(&a[i..]);
    merged.extend_from_slice(&b[j..]);
    merged
}

/// What a node costs alone.
pub fn node_cost(forms: &Forms, costs: &Costs, node: &Node) -> u64 {
    let head = forms.graph.analysis.get(node.head);
    match &head.kind {
        Kind::Leaf(_) => 0,
        Kind::Op(op, _) => {
            let operands = node.children.iter().map(|&id| forms.data(id).ty.clone());
            let operands: Vec<Type> = operands.collect();
            costs.op(op, &operands, std::slice::from_ref(&head.ty))
        }
    }
}
