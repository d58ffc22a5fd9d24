//! Dimensions: canonical polynomials over named symbols with floor division.
//!
//! Invariants: terms are sorted by monomial, no coefficient is zero, every polynomial is interned
//! once, so equality is pointer equality; order is structural. Arithmetic is total: where an `i64`
//! coefficient overflows, or a polynomial has more than [`MAX_TERMS`] terms, the result is the absorbing
//! [`Dim::overflow`].

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::{Add, Mul, Neg, Sub};
use std::sync::{LazyLock, RwLock};

use rustc_hash::FxHashSet;

use crate::sym::Sym;

mod division;
mod facts;
mod text;

pub use facts::{Facts, Relation, Truth};

/// A polynomial has at most this many terms: products of sums grow without bound otherwise.
pub const MAX_TERMS: usize = 256;

/// A dimension or an integer expression over dimensions.
///
/// ```
/// use aiai_ir::Dim;
/// let h = Dim::sym("H");
/// assert_eq!((h + Dim::from(2)) * Dim::from(3), h * Dim::from(3) + Dim::from(6));
/// assert_eq!((h * Dim::from(4) + Dim::from(5)).floor_div(Dim::from(4)).to_string(), "H + 1");
/// ```
#[derive(Clone, Copy)]
pub struct Dim(&'static Poly);

/// What a polynomial is made of: a named dimension or a floor division that does not simplify.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Atom {
    Sym(Sym),
    /// `floor(.0 / .1)`.
    Div(Dim, Dim),
}

/// A product of atoms with positive powers, sorted by atom. Empty means 1.
pub type Monomial = Vec<(Atom, u32)>;

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Poly {
    terms: Vec<(Monomial, i64)>,
    overflow: bool,
}

static POLYS: LazyLock<RwLock<FxHashSet<&'static Poly>>> = LazyLock::new(Default::default);

fn intern(poly: Poly) -> Dim {
    if let Some(known) = POLYS.read().unwrap_or_else(|e| e.into_inner()).get(&poly) {
        return Dim(known);
    }
    let mut polys = POLYS.write().unwrap_or_else(|e| e.into_inner());
    if let Some(known) = polys.get(&poly) {
        return Dim(known);
    }
    let leaked: &'static Poly = Box::leak(Box::new(poly));
    polys.insert(leaked);
    Dim(leaked)
}

/// Constants that are interned from the start: most of what dimensions are added to and multiplied by.
const SMALL: std::ops::Range<i64> = -1..257;

static CONSTANTS: LazyLock<Vec<Dim>> = LazyLock::new(|| SMALL.map(constant).collect());

fn constant(value: i64) -> Dim {
    Dim::from_terms(vec![(Vec::new(), value)])
}

impl Dim {
    /// The polynomial with the given terms; equal monomials are added up.
    fn from_terms(mut terms: Vec<(Monomial, i64)>) -> Dim {
        terms.sort_by(|a, b| a.0.cmp(&b.0));
        let mut merged: Vec<(Monomial, i64)> = Vec::with_capacity(terms.len());
        for (monomial, coefficient) in terms {
            match merged.last_mut() {
                Some(last) if last.0 == monomial => match last.1.checked_add(coefficient) {
                    Some(sum) => last.1 = sum,
                    None => return Dim::overflow(),
                },
                _ => merged.push((monomial, coefficient)),
            }
        }
        merged.retain(|term| term.1 != 0);
        if merged.len() > MAX_TERMS {
            return Dim::overflow();
        }
        intern(Poly {
            terms: merged,
            overflow: false,
        })
    }

    /// The result of arithmetic that left the range of `i64`; absorbing.
    pub fn overflow() -> Dim {
        intern(Poly {
            terms: Vec::new(),
            overflow: true,
        })
    }

    pub fn is_overflow(self) -> bool {
        self.0.overflow
    }

    /// A named dimension.
    pub fn sym(name: impl Into<Sym>) -> Dim {
        Dim::from_atom(Atom::Sym(name.into()))
    }

    fn from_atom(atom: Atom) -> Dim {
        intern(Poly {
            terms: vec![(vec![(atom, 1)], 1)],
            overflow: false,
        })
    }

    /// The terms, sorted by monomial: `sum of coefficient * monomial`.
    pub fn terms(self) -> &'static [(Monomial, i64)] {
        &self.0.terms
    }

    /// The value, where no symbol occurs.
    pub fn as_const(self) -> Option<i64> {
        match self.terms() {
            _ if self.is_overflow() => None,
            [] => Some(0),
            [(monomial, value)] if monomial.is_empty() => Some(*value),
            _ => None,
        }
    }

    /// The name, where this is a bare named dimension.
    pub fn as_sym(self) -> Option<Sym> {
        match self.terms() {
            [(monomial, 1)] => match monomial.as_slice() {
                [(Atom::Sym(sym), 1)] => Some(*sym),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn is_const(self, value: i64) -> bool {
        self.as_const() == Some(value)
    }

    /// Calls `visit` for every symbol that occurs, also inside divisions, in structural order.
    pub fn for_each_sym(self, visit: &mut impl FnMut(Sym)) {
        for (monomial, _) in self.terms() {
            for (atom, _) in monomial {
                match *atom {
                    Atom::Sym(sym) => visit(sym),
                    Atom::Div(a, b) => {
                        a.for_each_sym(visit);
                        b.for_each_sym(visit);
                    }
                }
            }
        }
    }

    pub fn mentions(self, sym: Sym) -> bool {
        let mut found = false;
        self.for_each_sym(&mut |s| found |= s == sym);
        found
    }

    /// The value under an assignment. `None`: a symbol without a value, overflow, or division by zero.
    pub fn eval(self, value_of: &impl Fn(Sym) -> Option<i64>) -> Option<i64> {
        if self.is_overflow() {
            return None;
        }
        let mut total = 0i64;
        for (monomial, coefficient) in self.terms() {
            let mut product = *coefficient;
            for (atom, power) in monomial {
                let value = match *atom {
                    Atom::Sym(sym) => value_of(sym)?,
                    Atom::Div(a, b) => division::floor_div(a.eval(value_of)?, b.eval(value_of)?)?,
                };
                product = product.checked_mul(value.checked_pow(*power)?)?;
            }
            total = total.checked_add(product)?;
        }
        Some(total)
    }

    /// Replaces every symbol for which `replacement` has an answer, all at once.
    pub fn substitute(self, replacement: &impl Fn(Sym) -> Option<Dim>) -> Dim {
        if let Some(sym) = self.as_sym() {
            return replacement(sym).unwrap_or(self);
        }
        let mut changes = false;
        self.for_each_sym(&mut |sym| changes |= replacement(sym).is_some());
        if !changes {
            return self;
        }
        let mut total = Dim::from(0);
        for (monomial, coefficient) in self.terms() {
            let mut product = Dim::from(*coefficient);
            for (atom, power) in monomial {
                let factor = match *atom {
                    Atom::Sym(sym) => replacement(sym).unwrap_or_else(|| Dim::from_atom(*atom)),
                    Atom::Div(a, b) => a
                        .substitute(replacement)
                        .floor_div(b.substitute(replacement)),
                };
                for _ in 0..*power {
                    product = product * factor;
                }
            }
            total = total + product;
        }
        total
    }

    /// `floor(self / divisor)`, simplified where the division comes out evenly.
    pub fn floor_div(self, divisor: Dim) -> Dim {
        division::divide(self, divisor)
    }

    /// `ceil(self / divisor)` for a positive divisor.
    pub fn ceil_div(self, divisor: Dim) -> Dim {
        (self + divisor - Dim::from(1)).floor_div(divisor)
    }

    /// The product of dimensions; 1 for none.
    pub fn product(dims: impl IntoIterator<Item = Dim>) -> Dim {
        dims.into_iter().fold(Dim::from(1), |a, b| a * b)
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Dim {
        let small = usize::try_from(value.wrapping_sub(SMALL.start)).ok();
        let known = small.and_then(|at| CONSTANTS.get(at));
        known.copied().unwrap_or_else(|| constant(value))
    }
}

impl From<i32> for Dim {
    fn from(value: i32) -> Dim {
        Dim::from(i64::from(value))
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Dim {
        i64::try_from(value).map_or_else(|_| Dim::overflow(), Dim::from)
    }
}

impl Add for Dim {
    type Output = Dim;
    fn add(self, other: Dim) -> Dim {
        if self.is_overflow() || other.is_overflow() {
            return Dim::overflow();
        }
        if let (Some(a), Some(b)) = (self.as_const(), other.as_const()) {
            return a.checked_add(b).map_or_else(Dim::overflow, Dim::from);
        }
        if self.terms().is_empty() {
            return other;
        }
        if other.terms().is_empty() {
            return self;
        }
        Dim::from_terms(self.terms().iter().chain(other.terms()).cloned().collect())
    }
}

impl Neg for Dim {
    type Output = Dim;
    fn neg(self) -> Dim {
        self * Dim::from(-1)
    }
}

impl Sub for Dim {
    type Output = Dim;
    fn sub(self, other: Dim) -> Dim {
        self + -other
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        if self.is_overflow() || other.is_overflow() {
            return Dim::overflow();
        }
        match (self.as_const(), other.as_const()) {
            (Some(a), Some(b)) => return a.checked_mul(b).map_or_else(Dim::overflow, Dim::from),
            (Some(1), None) => return other,
            (None, Some(1)) => return self,
            (Some(0), None) | (None, Some(0)) => return Dim::from(0),
            _ => {}
        }
        let mut terms = Vec::with_capacity(self.terms().len() * other.terms().len());
        for (left, a) in self.terms() {
            for (right, b) in other.terms() {
                let Some(coefficient) = a.checked_mul(*b) else {
                    return Dim::overflow();
                };
                terms.push((multiply_monomials(left, right), coefficient));
            }
        }
        Dim::from_terms(terms)
    }
}

fn multiply_monomials(left: &Monomial, right: &Monomial) -> Monomial {
    let mut product = left.clone();
    for (atom, power) in right {
        match product.binary_search_by(|probe| probe.0.cmp(atom)) {
            Ok(at) => product[at].1 = product[at].1.saturating_add(*power),
            Err(at) => product.insert(at, (*atom, *power)),
        }
    }
    product
}

impl PartialEq for Dim {
    fn eq(&self, other: &Dim) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Dim {}

impl Hash for Dim {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self.0).hash(state);
    }
}

impl Ord for Dim {
    fn cmp(&self, other: &Dim) -> Ordering {
        if self == other {
            Ordering::Equal
        } else {
            self.0.cmp(other.0)
        }
    }
}

impl PartialOrd for Dim {
    fn partial_cmp(&self, other: &Dim) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
