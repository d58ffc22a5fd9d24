//! What is known about dimensions, and three-valued answers to questions about them.
//!
//! Every named dimension is at least 0. `where` clauses add equalities, used as substitutions,
//! and inequalities. A question is given up, as unknown, after a number of steps that does not depend on it.

use std::cell::Cell;

use super::{Atom, Dim, Monomial};
use crate::sym::Sym;

/// The answer to a question about symbolic dimensions. `Unknown` never counts as `True`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// How a dimension expression relates to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `dim == 0`
    Zero,
    /// `dim != 0`
    NonZero,
    /// `dim >= 0`
    NonNegative,
}

impl Relation {
    pub fn holds(self, value: i64) -> bool {
        match self {
            Relation::Zero => value == 0,
            Relation::NonZero => value != 0,
            Relation::NonNegative => value >= 0,
        }
    }
}

/// Known relations between dimensions.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `symbol = expression`, each expression free of the symbols replaced before it.
    equalities: Vec<(Sym, Dim)>,
    /// Expressions known to be 0 that are solved for no symbol, such as `D - H*(D/H)`.
    zeros: Vec<Dim>,
    /// Expressions known to be at least 0.
    non_negative: Vec<Dim>,
}

impl Facts {
    /// Records `dim relation 0`. An equality is solved for a symbol that occurs bare and linearly;
    /// where there is none, multiples of it are taken from what is asked about.
    pub fn assume(&mut self, relation: Relation, dim: Dim) {
        let dim = self.normalize(dim);
        match relation {
            Relation::NonNegative => self.non_negative.push(dim),
            Relation::NonZero => {}
            Relation::Zero => match solve(dim) {
                Some((sym, value)) => {
                    let replace = |s: Sym| (s == sym).then_some(value);
                    for (_, known) in &mut self.equalities {
                        *known = known.substitute(&replace);
                    }
                    for known in &mut self.non_negative {
                        *known = known.substitute(&replace);
                    }
                    self.equalities.push((sym, value));
                    for known in std::mem::take(&mut self.zeros) {
                        self.assume(Relation::Zero, known);
                    }
                }
                None if dim.as_const().is_some() => {}
                None => {
                    self.zeros.push(dim);
                    self.non_negative.extend([dim, -dim]);
                }
            },
        }
    }

    /// The canonical form under the known equalities.
    pub fn normalize(&self, dim: Dim) -> Dim {
        if self.equalities.is_empty() {
            return dim;
        }
        dim.substitute(&|sym| self.equalities.iter().find(|e| e.0 == sym).map(|e| e.1))
    }

    /// Whether the two are equal for every assignment that satisfies the facts.
    pub fn equal(&self, a: Dim, b: Dim) -> Truth {
        self.check(Relation::Zero, a - b)
    }

    /// Whether `dim relation 0` follows.
    pub fn check(&self, relation: Relation, dim: Dim) -> Truth {
        let dim = self.reduce(self.normalize(dim));
        if let Some(value) = dim.as_const() {
            return if relation.holds(value) {
                Truth::True
            } else {
                Truth::False
            };
        }
        let budget = Budget(Cell::new(MOST_STEPS));
        // What is near is looked for first.
        let proves = |d: Dim| (0..=EFFORT).any(|n| self.proves_non_negative(d, n, &budget));
        let positive = |d: Dim| proves(d - Dim::from(1));
        match relation {
            Relation::NonNegative if proves(dim) => Truth::True,
            Relation::NonNegative if positive(-dim) => Truth::False,
            Relation::Zero if positive(dim) || positive(-dim) => Truth::False,
            Relation::Zero if proves(dim) && proves(-dim) => Truth::True,
            Relation::NonZero if positive(dim) || positive(-dim) => Truth::True,
            Relation::Zero | Relation::NonZero | Relation::NonNegative => Truth::Unknown,
        }
    }

    /// The remainder after multiples of what is known to be 0 are taken away.
    fn reduce(&self, mut dim: Dim) -> Dim {
        let mut rounds = 0;
        while let Some(less) = self.zeros.iter().find_map(|zero| eliminate(dim, *zero)) {
            rounds += 1;
            if less.is_overflow() || rounds > MAX_REDUCTIONS {
                break;
            }
            dim = less;
        }
        dim
    }

    /// Sound, incomplete, with bounded `effort`: how many bounds are put together. What is left of the budget at
    /// the end proves nothing.
    fn proves_non_negative(&self, dim: Dim, effort: u32, budget: &Budget) -> bool {
        if dim.is_overflow() || !budget.spend(dim) {
            return false;
        }
        if dim.terms().iter().all(|(monomial, coefficient)| {
            *coefficient >= 0
                && monomial
                    .iter()
                    .all(|(atom, _)| self.atom_non_negative(*atom, effort, budget))
        }) {
            return true;
        }
        if effort == 0 {
            return false;
        }
        if self
            .division_bounds(dim, effort - 1, budget)
            .into_iter()
            .any(|d| self.proves_non_negative(d, effort - 1, budget))
        {
            return true;
        }
        self.non_negative.iter().any(|known| {
            if !budget.spend(dim) {
                return false;
            }
            let rest = dim - *known;
            rest.terms().len() < dim.terms().len() + 1
                && self.proves_non_negative(rest, effort - 1, budget)
        })
    }

    fn atom_non_negative(&self, atom: Atom, effort: u32, budget: &Budget) -> bool {
        match atom {
            Atom::Sym(_) => true,
            Atom::Div(a, b) => {
                effort > 0
                    && self.proves_non_negative(a, effort - 1, budget)
                    && self.proves_non_negative(b, effort - 1, budget)
            }
        }
    }

    /// Lower bounds of `dim` got by bounding one division: with `q = floor(a/b)` and `b >= 1`,
    /// `a - b + 1 <= b*q <= a`.
    fn division_bounds(&self, dim: Dim, effort: u32, budget: &Budget) -> Vec<Dim> {
        let mut bounds = Vec::new();
        for (monomial, coefficient) in dim.terms() {
            for (atom, power) in monomial {
                let Atom::Div(a, b) = *atom else { continue };
                // A divisor is never zero.
                if *power != 1 || !budget.spend(dim) || !self.proves_non_negative(b, effort, budget)
                {
                    continue;
                }
                let term = Dim::from_terms(vec![(monomial.clone(), *coefficient)]);
                let quotient = Dim::from_atom(*atom);
                let Some(scale) = scale_of(term, quotient, b) else {
                    continue;
                };
                let bound = if scale > 0 { a - b + Dim::from(1) } else { a };
                bounds.push(dim - term + bound * Dim::from(scale));
            }
        }
        bounds
    }
}

/// How many bounds are put together for a proof, at most.
const EFFORT: u32 = 4;
/// Steps for one question, each a term that is looked at: far more than questions about sizes of tensors take.
const MOST_STEPS: usize = 1 << 16;

/// Steps that are left for a question.
struct Budget(Cell<usize>);

impl Budget {
    /// Takes the steps for looking at the terms of a dimension; whether there were as many.
    fn spend(&self, dim: Dim) -> bool {
        let left = self.0.get().checked_sub(dim.terms().len() + 1);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// How often multiples of known zeros are taken from one expression, at most.
const MAX_REDUCTIONS: u32 = 64;

/// `dim` less the multiple of `zero` that removes a term which the leading one of `zero` divides.
fn eliminate(dim: Dim, zero: Dim) -> Option<Dim> {
    let divisions = |m: &Monomial| m.iter().filter(|(a, _)| matches!(a, Atom::Div(..))).count();
    let degree = |m: &Monomial| m.iter().map(|(_, power)| u64::from(*power)).sum::<u64>();
    let (leading, divisor) = zero
        .terms()
        .iter()
        .max_by_key(|(m, _)| (degree(m), divisions(m), m))?;
    dim.terms().iter().find_map(|(monomial, coefficient)| {
        let rest = quotient(monomial, leading)?;
        let times = coefficient.checked_div(*divisor).filter(|&k| k != 0)?;
        Some(dim - zero * Dim::from_terms(vec![(rest, times)]))
    })
}

/// `monomial / divisor`, where it is one.
fn quotient(monomial: &Monomial, divisor: &Monomial) -> Option<Monomial> {
    let mut rest = monomial.clone();
    for (atom, power) in divisor {
        let at = rest.iter().position(|(other, _)| other == atom)?;
        rest[at].1 = rest[at].1.checked_sub(*power)?;
    }
    rest.retain(|(_, power)| *power > 0);
    Some(rest)
}

/// The `k` with `term == k * b * quotient`, if there is one.
fn scale_of(term: Dim, quotient: Dim, b: Dim) -> Option<i64> {
    let product = b * quotient;
    let ([(m, c)], [(n, d)]) = (term.terms(), product.terms()) else {
        return None;
    };
    (m == n && *d != 0 && c % d == 0).then(|| c / d)
}

/// Solves `dim == 0` for a symbol with coefficient 1 or -1 that occurs nowhere else; the last such
/// term in canonical order that stands alone.
fn solve(dim: Dim) -> Option<(Sym, Dim)> {
    for (monomial, coefficient) in dim.terms().iter().rev() {
        let [(Atom::Sym(sym), 1)] = monomial.as_slice() else {
            continue;
        };
        if coefficient.unsigned_abs() != 1 {
            continue;
        }
        let rest = dim - Dim::from_terms(vec![(monomial.clone(), *coefficient)]);
        if !rest.mentions(*sym) {
            return Some((*sym, if *coefficient == 1 { -rest } else { rest }));
        }
    }
    None
}
