//! How often values are used, with changes that are tried and then kept or taken back.

use aiai_ir::{OpNode, Region, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// Use counts of a function; values of regions within count as others do.
pub struct Uses {
    counts: Vec<u32>,
    pending: FxHashMap<Value, i64>,
    /// Values whose ops die with the pending changes, in order.
    dying: Vec<Value>,
    dead: FxHashSet<Value>,
}

impl Uses {
    pub fn of(values: usize, body: &Region) -> Uses {
        let mut counts = vec![0u32; values];
        for_each_use_in(body, &mut |value| counts[value.0 as usize] += 1);
        Uses {
            counts,
            pending: FxHashMap::default(),
            dying: Vec::new(),
            dead: FxHashSet::default(),
        }
    }

    pub fn count(&self, value: Value) -> u32 {
        self.counts.get(value.0 as usize).copied().unwrap_or(0)
    }

    /// The count with the pending changes.
    pub fn after(&self, value: Value) -> i64 {
        i64::from(self.count(value)) + self.pending.get(&value).copied().unwrap_or(0)
    }

    pub fn pend(&mut self, value: Value, change: i64) {
        *self.pending.entry(value).or_insert(0) += change;
    }

    /// Notes that an op dies; false where it is dead already.
    pub fn kill(&mut self, results: &[Value]) -> bool {
        let Some(&first) = results.first() else {
            return false;
        };
        if !self.dead.insert(first) {
            return false;
        }
        self.dying.push(first);
        true
    }

    pub fn roll_back(&mut self) {
        self.pending.clear();
        for value in self.dying.drain(..) {
            self.dead.remove(&value);
        }
    }

    /// Keeps the pending changes; gives first results of ops that died.
    pub fn commit(&mut self) -> Vec<Value> {
        for (value, change) in self.pending.drain() {
            add(&mut self.counts, value, change);
        }
        std::mem::take(&mut self.dying)
    }

    /// All uses of one value become uses of another.
    pub fn moved(&mut self, from: Value, to: Value) {
        let count = i64::from(self.count(from));
        add(&mut self.counts, from, -count);
        add(&mut self.counts, to, count);
    }

    pub fn drop_one(&mut self, value: Value) {
        add(&mut self.counts, value, -1);
    }
}

fn add(counts: &mut Vec<u32>, value: Value, change: i64) {
    let at = value.0 as usize;
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    let count = i64::from(counts[at]).saturating_add(change).max(0);
    counts[at] = u32::try_from(count).unwrap_or(u32::MAX);
}

/// Calls `visit` on every use of a value in an op and its regions.
pub fn for_each_use(node: &OpNode, visit: &mut impl FnMut(Value)) {
    node.operands.iter().for_each(|&v| visit(v));
    for region in &node.regions {
        for_each_use_in(region, visit);
    }
}

fn for_each_use_in(region: &Region, visit: &mut impl FnMut(Value)) {
    for node in &region.ops {
        for_each_use(node, visit);
    }
    region.yields.iter().for_each(|&v| visit(v));
}
