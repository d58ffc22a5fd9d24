//! Sizes and indices that satisfy the known facts: where a claim is false for some of them, a search for its
//! derivation is spared.
//!
//! Not trusted: a model only denies, and what is denied is merely not shown.

use std::collections::VecDeque;

use aiai_ir::dim::Atom;
use aiai_ir::{Dim, Sym};

/// Models kept for later claims, at most.
const MOST_KEPT: usize = 24;
/// Kept models from which a new one is looked for, at most.
const MOST_STARTS: usize = 3;
/// Changes of one value on the way to a new model, at most.
const MOST_CHANGES: u32 = 24;

/// A value for every symbol: the ones given, and one for all others.
#[derive(Clone)]
struct Model {
    values: Vec<(Sym, i64)>,
    others: i64,
}

/// Models found so far, the one that was of use last first.
#[derive(Default)]
pub struct Models {
    kept: VecDeque<Model>,
}

impl Models {
    /// Whether a model of the facts was found, all of them at least 0, in which `claim` is below 0.
    pub fn refute(&mut self, claim: Dim, facts: &[Dim]) -> bool {
        let denies = |model: &Model| {
            model.eval(claim).is_some_and(|value| value < 0)
                && facts.iter().all(|fact| model.lack(*fact) == 0)
        };
        if let Some(at) = self.kept.iter().position(denies) {
            self.kept.swap(0, at);
            return true;
        }
        let denial = Dim::from(-1) - claim;
        let goals: Vec<Dim> = std::iter::once(denial)
            .chain(facts.iter().copied())
            .collect();
        let fresh = [1, 4].map(|others| Model {
            values: Vec::new(),
            others,
        });
        let found = self
            .kept
            .iter()
            .take(MOST_STARTS)
            .chain(&fresh)
            .find_map(|start| start.clone().reach(&goals));
        if let Some(model) = found {
            self.kept.truncate(MOST_KEPT - 1);
            self.kept.push_front(model);
            return true;
        }
        false
    }
}

impl Model {
    fn value(&self, sym: Sym) -> i64 {
        let known = self.values.iter().find(|v| v.0 == sym);
        known.map_or(self.others, |v| v.1)
    }

    fn set(&mut self, sym: Sym, value: i64) {
        match self.values.iter_mut().find(|v| v.0 == sym) {
            Some(known) => known.1 = value,
            None => self.values.push((sym, value)),
        }
    }

    fn eval(&self, dim: Dim) -> Option<i64> {
        dim.eval(&|sym| Some(self.value(sym)))
    }

    /// How much is missing for the expression to be at least 0; much, where it has no value.
    fn lack(&self, goal: Dim) -> u64 {
        match self.eval(goal) {
            Some(value) if value >= 0 => 0,
            Some(value) => value.unsigned_abs(),
            None => u64::from(u32::MAX),
        }
    }

    fn lacks(&self, goals: &[Dim]) -> u64 {
        goals
            .iter()
            .fold(0, |sum: u64, goal| sum.saturating_add(self.lack(*goal)))
    }

    /// Changes one value after the other until all goals are at least 0: each time the change, among those
    /// that help the first goal that is not, after which least is missing.
    fn reach(mut self, goals: &[Dim]) -> Option<Model> {
        for _ in 0..MOST_CHANGES {
            let Some(goal) = goals.iter().find(|goal| self.lack(**goal) > 0) else {
                return Some(self);
            };
            let lack = i64::try_from(self.lack(*goal)).ok()?;
            let mut changes: Vec<(Sym, i64)> = Vec::new();
            goal.for_each_sym(&mut |sym| {
                let now = self.value(sym);
                let values = steps(*goal, sym, lack).map(|step| now.saturating_add(step).max(0));
                changes.extend(values.iter().filter(|v| **v != now).map(|v| (sym, *v)));
            });
            let missing = |(sym, value): &(Sym, i64)| {
                let mut changed = self.clone();
                changed.set(*sym, *value);
                changed.lacks(goals)
            };
            let (sym, value) = changes.into_iter().min_by_key(missing)?;
            self.set(sym, value);
        }
        None
    }
}

/// Two steps of the symbol that may make the expression greater: by `lack`, and by little.
fn steps(goal: Dim, sym: Sym, lack: i64) -> [i64; 2] {
    let alone = [(Atom::Sym(sym), 1)];
    let linear = goal.terms().iter().find(|term| term.0 == alone);
    match linear {
        Some((_, by)) => {
            let few = lack.saturating_add(by.saturating_abs() - 1) / by.saturating_abs();
            [few.saturating_mul(by.signum()), by.signum()]
        }
        None => [1, -1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sym(name: &str) -> Dim {
        Dim::sym(name)
    }

    #[test]
    fn what_does_not_follow_is_denied_and_what_follows_is_not() {
        let (i, n, m, one) = (sym("i"), sym("N"), sym("M"), Dim::from(1));
        // i < N <= 2M + 1, and i is at most half of N.
        let facts = [n - i - one, m + m + one - n, n.floor_div(Dim::from(2)) - i];
        let mut models = Models::default();
        for open in [i - one, n - m, m - n, -i, n - i - Dim::from(2), -one] {
            assert!(models.refute(open, &facts), "{open}");
        }
        for shown in [n - one, m - i, m, n * m, Dim::overflow()] {
            assert!(!models.refute(shown, &facts), "{shown}");
        }
        // Of facts that contradict one another there is no model.
        assert!(!models.refute(-one, &[i - n, n - i - one]));
    }
}
