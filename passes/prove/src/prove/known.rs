//! What is known of sizes and indices, and a bounded search for consequences.
//!
//! Every symbol stands for a whole number of at least 0. Answers are three-valued: a `false` from
//! [`Known::proves`] means "not shown", never "wrong".

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use aiai_ir::dim::{Atom, Monomial};
use aiai_ir::{Dim, Facts, Relation, Sym};

use super::models::Models;

/// Steps of one search, at most.
const MOST_STEPS: u32 = 100;
/// Steps of all searches of one proof together, at most: after them nothing more is shown.
const MOST_EFFORT: u64 = 300_000;
/// What looking for a model counts, in steps.
const REFUTATION: u64 = 20;
/// Facts combined in one derivation, at most.
const DEPTH: u32 = 5;

/// The facts that hold at a time: how many there are, and the stamp of the last.
pub type Standing = (usize, u64);

#[derive(Default)]
pub struct Known {
    equalities: Facts,
    /// Expressions that are at least 0.
    non_negative: Vec<Dim>,
    /// Answers so far, with how many facts there were.
    answers: RefCell<HashMap<Dim, (bool, usize)>>,
    /// How many facts hold throughout, once [`Known::settle`] has said so.
    settled: usize,
    lasting: RefCell<HashMap<Dim, (bool, usize)>>,
    only_lasting: Cell<bool>,
    /// Facts that mention one of these are not used.
    excluded: RefCell<Vec<Sym>>,
    /// What each fact is called, to tell whether it is still the one that stood there.
    stamps: Vec<u64>,
    next_stamp: u64,
    models: RefCell<Models>,
    /// Steps of all searches so far.
    effort: Cell<u64>,
}

impl Known {
    /// Records an equality or an inequality for good.
    pub fn assume(&mut self, relation: Relation, dim: Dim) {
        match relation {
            Relation::Zero => {
                self.equalities.assume(Relation::Zero, dim);
                // A product of sizes that is 1 has factors of 1.
                if let [(one, a), (monomial, b)] = self.normal(dim).terms()
                    && one.is_empty()
                    && *a == -*b
                    && a.abs() == 1
                {
                    for (atom, _) in monomial {
                        if let Atom::Sym(sym) = atom {
                            let size = Dim::sym(*sym) - Dim::from(1);
                            self.equalities.assume(Relation::Zero, size);
                        }
                    }
                }
                let normal: Vec<Dim> = self.non_negative.iter().map(|d| self.normal(*d)).collect();
                self.non_negative = normal;
                let rest = self.normal(dim);
                if !rest.is_const(0) {
                    self.non_negative.extend([rest, -rest]);
                    self.stamp();
                    self.stamp();
                }
            }
            Relation::NonNegative => {
                let normal = self.normal(dim);
                if normal.as_const().is_none_or(|value| value < 0)
                    && !self.non_negative.contains(&normal)
                {
                    self.non_negative.push(normal);
                    self.stamp();
                    // What was shown stays shown.
                    self.answers.borrow_mut().retain(|_, answer| answer.0);
                }
                return;
            }
            // Sizes are whole numbers of at least 0: one that is not 0 is at least 1.
            Relation::NonZero => {
                if self.proves(dim) {
                    self.assume(Relation::NonNegative, dim - Dim::from(1));
                } else if self.proves(-dim) {
                    self.assume(Relation::NonNegative, -dim - Dim::from(1));
                }
            }
        }
        self.answers.borrow_mut().clear();
    }

    /// Where the facts stand, to return to.
    pub fn mark(&self) -> usize {
        self.non_negative.len()
    }

    /// Forgets the inequalities assumed since the mark.
    pub fn release(&mut self, mark: usize) {
        self.non_negative.truncate(mark);
        self.stamps.truncate(mark);
        // What was not shown with more facts is not shown with fewer.
        self.answers
            .borrow_mut()
            .retain(|_, (shown, facts)| !*shown || *facts <= mark);
    }

    /// The facts so far hold throughout; later ones, for a while.
    pub fn settle(&mut self) {
        self.settled = self.non_negative.len();
        self.lasting.borrow_mut().clear();
    }

    /// Runs `f` with the facts that hold throughout alone.
    pub fn lasting<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = self.only_lasting.replace(true);
        let value = f();
        self.only_lasting.set(before);
        value
    }

    fn stamp(&mut self) {
        self.next_stamp += 1;
        self.stamps.push(self.next_stamp);
    }

    /// The facts that hold now: how many, and the last one by its stamp.
    pub fn standing(&self) -> Standing {
        (self.stamps.len(), self.stamps.last().copied().unwrap_or(0))
    }

    /// Whether what held then still holds.
    pub fn stands(&self, (count, last): Standing) -> bool {
        count == 0 || self.stamps.get(count - 1) == Some(&last)
    }

    /// Whether `dim >= 0` is shown without the facts about one index. That an index exists says that its range
    /// is not empty: what is claimed of the range itself must not rest on that.
    pub fn proves_without(&self, sym: Sym, dim: Dim) -> bool {
        self.exclude(sym);
        let shown = self.proves(dim);
        self.include();
        shown
    }

    /// From here on facts about the index are not used, until [`Known::include`].
    pub fn exclude(&self, sym: Sym) {
        self.excluded.borrow_mut().push(sym);
    }

    /// The index excluded last is used again.
    pub fn include(&self) {
        self.excluded.borrow_mut().pop();
    }

    fn usable(&self) -> Cow<'_, [Dim]> {
        let facts = if self.only_lasting.get() {
            &self.non_negative[..self.settled.min(self.non_negative.len())]
        } else {
            &self.non_negative
        };
        let excluded = self.excluded.borrow();
        let about = |dim: &Dim| excluded.iter().any(|sym| dim.mentions(*sym));
        if facts.iter().any(about) {
            return facts.iter().copied().filter(|dim| !about(dim)).collect();
        }
        Cow::Borrowed(facts)
    }

    fn cache(&self) -> &RefCell<HashMap<Dim, (bool, usize)>> {
        if self.only_lasting.get() {
            &self.lasting
        } else {
            &self.answers
        }
    }

    /// The canonical form under the known equalities.
    pub fn normal(&self, dim: Dim) -> Dim {
        self.equalities.normalize(dim)
    }

    pub fn equal(&self, a: Dim, b: Dim) -> bool {
        let difference = self.normal(a - b);
        difference.is_const(0) || (self.proves(difference) && self.proves(-difference))
    }

    /// Whether the two are shown to differ.
    pub fn differ(&self, a: Dim, b: Dim) -> bool {
        self.proves(a - b - Dim::from(1)) || self.proves(b - a - Dim::from(1))
    }

    /// Whether the facts contradict one another: nothing satisfies them.
    pub fn contradictory(&self) -> bool {
        self.proves(Dim::from(-1))
    }

    /// Whether `dim >= 0` is shown.
    pub fn proves(&self, dim: Dim) -> bool {
        let dim = self.normal(dim);
        if let Some(value) = dim.as_const()
            && (value >= 0 || self.usable().is_empty())
        {
            return value >= 0;
        }
        let remembered = self.excluded.borrow().is_empty();
        if remembered && let Some(&(known, _)) = self.cache().borrow().get(&dim) {
            return known;
        }
        // Short derivations first: a long wrong way would spend all the steps.
        let shown = self.search(dim, 1, &mut 0)
            || !self.refuted(dim) && (2..=DEPTH).any(|depth| self.search(dim, depth, &mut 0));
        if remembered {
            let facts = self.non_negative.len();
            self.cache().borrow_mut().insert(dim, (shown, facts));
        }
        shown
    }

    /// Whether the facts allow `dim` to be below 0.
    fn refuted(&self, dim: Dim) -> bool {
        self.effort.set(self.effort.get() + REFUTATION);
        self.effort.get() <= MOST_EFFORT && self.models.borrow_mut().refute(dim, &self.usable())
    }

    /// Looks for `dim` as a sum of facts, multiples of them by what is not negative, and what is plainly
    /// not negative.
    fn search(&self, dim: Dim, depth: u32, steps: &mut u32) -> bool {
        *steps += 1;
        self.effort.set(self.effort.get() + 1);
        let spent = *steps > MOST_STEPS || self.effort.get() > MOST_EFFORT;
        if dim.is_overflow() || spent {
            return false;
        }
        let dim = tightened(dim);
        let blocking = dim
            .terms()
            .iter()
            .filter(|(monomial, coefficient)| {
                *coefficient < 0 || !self.plainly_non_negative(monomial, depth, steps)
            })
            // Terms with indices before the constant: the constant falls out of the facts used for them.
            .max_by_key(|(monomial, _)| monomial.iter().map(|f| f.1).sum::<u32>());
        let Some((monomial, coefficient)) = blocking else {
            return true;
        };
        if depth == 0 {
            return false;
        }
        let divisions = self.division_facts(dim, depth - 1, steps);
        let usable = self.usable();
        let facts = usable.iter().chain(&divisions);
        let mut candidates: Vec<(usize, Dim)> = Vec::new();
        for fact in facts {
            for (other, weight) in fact.terms() {
                if (*weight < 0) != (*coefficient < 0) {
                    continue;
                }
                let Some(times) = quotient(monomial, other) else {
                    continue;
                };
                if !self.plainly_non_negative(&times, depth - 1, steps) {
                    continue;
                }
                let scaled = product(&times, coefficient.saturating_abs());
                let rest = dim * Dim::from(weight.saturating_abs()) - *fact * scaled;
                candidates.push((rest.terms().len(), rest));
            }
        }
        candidates.sort_by_key(|c| c.0);
        candidates
            .into_iter()
            .any(|(_, rest)| self.search(rest, depth - 1, steps))
    }

    fn plainly_non_negative(&self, monomial: &Monomial, depth: u32, steps: &mut u32) -> bool {
        monomial.iter().all(|(atom, power)| match *atom {
            Atom::Sym(_) => true,
            Atom::Div(..) if power % 2 == 0 => true,
            Atom::Div(a, b) => {
                depth > 0
                    && self.search(a, depth - 1, steps)
                    && self.search(b - Dim::from(1), depth - 1, steps)
            }
        })
    }

    /// For q = floor(a / b) with b >= 1: a - b*q >= 0 and b*q + b - 1 - a >= 0.
    fn division_facts(&self, dim: Dim, depth: u32, steps: &mut u32) -> Vec<Dim> {
        let mut found = Vec::new();
        for (monomial, _) in dim.terms() {
            for (atom, _) in monomial {
                let Atom::Div(a, b) = *atom else { continue };
                if !self.search(b - Dim::from(1), depth, steps) {
                    continue;
                }
                let multiple = b * a.floor_div(b);
                let rest = a - multiple;
                if !found.contains(&rest) {
                    found.push(rest);
                    found.push(b - Dim::from(1) - rest);
                }
            }
        }
        found
    }

    /// `floor(a / b)` for b >= 1, with what is known of the rest.
    pub fn quotient(&self, a: Dim, b: Dim) -> Dim {
        let (a, b) = (self.normal(a), self.normal(b));
        if b.is_const(1) {
            return a;
        }
        if let [(monomial, 1)] = a.terms()
            && let [(Atom::Div(inner, by), 1)] = monomial.as_slice()
            && self.proves(*by - Dim::from(1))
            && self.proves(b - Dim::from(1))
        {
            return self.quotient(*inner, *by * b);
        }
        let (even, rest) = split(a, b);
        if self.proves(rest) && self.proves(b - Dim::from(1) - rest) {
            return even;
        }
        even + rest.floor_div(b)
    }

    /// `a - b * floor(a / b)`.
    pub fn remainder(&self, a: Dim, b: Dim) -> Dim {
        a - b * self.quotient(a, b)
    }
}

/// `even * b + rest == dim`, with the terms that b divides in `even`.
fn split(dim: Dim, b: Dim) -> (Dim, Dim) {
    let mut even = Dim::from(0);
    if let [(by, scale)] = b.terms() {
        for (monomial, coefficient) in dim.terms() {
            if let Some(times) = quotient(monomial, by)
                && coefficient % scale == 0
            {
                even = even + product(&times, coefficient / scale);
            }
        }
    } else if let Some((by, scale)) = b.terms().iter().max_by_key(|t| t.0.len()) {
        // A divisor of several terms: multiples found by its longest term.
        for (monomial, coefficient) in dim.terms() {
            if let Some(times) = quotient(monomial, by)
                && coefficient % scale == 0
            {
                let multiple = product(&times, coefficient / scale);
                if (dim - multiple * b).terms().len() < dim.terms().len() {
                    even = even + multiple;
                }
            }
        }
    }
    (even, dim - even * b)
}

/// `monomial / divisor`, where it is one.
pub fn quotient(monomial: &Monomial, divisor: &Monomial) -> Option<Monomial> {
    let mut rest = monomial.clone();
    for (atom, power) in divisor {
        let at = rest.iter().position(|(other, _)| other == atom)?;
        rest[at].1 = rest[at].1.checked_sub(*power)?;
    }
    rest.retain(|(_, power)| *power > 0);
    Some(rest)
}

/// `coefficient * monomial` as a dimension.
pub fn product(monomial: &Monomial, coefficient: i64) -> Dim {
    monomial
        .iter()
        .fold(Dim::from(coefficient), |total, (atom, power)| {
            (0..*power).fold(total, |total, _| total * single(*atom))
        })
}

/// An atom as a dimension.
pub fn single(atom: Atom) -> Dim {
    match atom {
        Atom::Sym(sym) => Dim::sym(sym),
        Atom::Div(a, b) => a.floor_div(b),
    }
}

/// For whole numbers g*e + k >= 0 is e + floor(k / g) >= 0.
pub fn tightened(dim: Dim) -> Dim {
    let shared = dim
        .terms()
        .iter()
        .filter(|t| !t.0.is_empty())
        .fold(0u64, |g, t| gcd(g, t.1.unsigned_abs()));
    let Ok(shared) = i64::try_from(shared) else {
        return dim;
    };
    if shared <= 1 {
        return dim;
    }
    dim.terms()
        .iter()
        .fold(Dim::from(0), |total, (monomial, coefficient)| {
            total + product(monomial, coefficient.div_euclid(shared))
        })
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
