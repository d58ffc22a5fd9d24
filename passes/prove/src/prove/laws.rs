//! Laws of products: what atoms become where they meet in one monomial.
//!
//! Also the choice of cases: a function of a polynomial with conditions is taken in each case of them.

use aiai_ir::dim::Atom as DimAtom;
use aiai_ir::{Dim, Relation, Sym};

use super::rational::Rational;
use super::term::{Atom, AtomId, Fun, Mono, Poly, Ring, Terms};
use super::{Outcome, Stop};

/// Conditions that one function of them is taken apart by, at most.
const MOST_CASES: usize = 7;

impl Terms {
    /// `value * mono` with every law applied.
    pub fn simplify(&mut self, ring: Ring, mono: Mono, value: Rational) -> Outcome<Poly> {
        if !mono.iter().any(|f| self.special(*f)) {
            return self.summed(ring, vec![(mono, value)]);
        }
        self.spend()?;
        let mut mono = mono;
        for factor in &mut mono {
            if self.info(factor.0).boolean {
                factor.1 = 1;
            }
        }
        if let Some(done) = self.powers(ring, &mono, value)? {
            return Ok(done);
        }
        if let Some(done) = self.conditions(ring, &mono, value)? {
            return Ok(done);
        }
        self.summed(ring, vec![(mono, value)])
    }

    fn special(&self, (id, power): (AtomId, i32)) -> bool {
        if self.info(id).boolean {
            return true;
        }
        match &*self.atom(id) {
            Atom::Inverse(_) => true,
            Atom::Apply(Fun::Sqrt | Fun::Cos, _) => power.abs() > 1,
            Atom::Exp(_) => power.abs() > 1,
            _ => power < 0,
        }
    }

    /// Laws of powers; `None` where none applies.
    fn powers(&mut self, ring: Ring, mono: &Mono, value: Rational) -> Outcome<Option<Poly>> {
        for (at, (id, power)) in mono.iter().enumerate() {
            let rest = without(mono, at);
            match &*self.atom(*id) {
                Atom::Inverse(p) => {
                    if let Some(next) = self.against_inverse(p, mono, at)? {
                        return self.simplify(ring, next, value).map(Some);
                    }
                    if self.sign(p).not_zero && p.as_atom().is_some() {
                        let p = p.clone();
                        let outer = self.simplify(ring, rest, value)?;
                        let mut product = outer;
                        for _ in 0..*power {
                            let factor = self.inverse(&p)?;
                            product = self.mul(&product, &factor)?;
                        }
                        return Ok(Some(product));
                    }
                }
                Atom::Apply(Fun::Sqrt, args) if power.abs() > 1 => {
                    let p = args[0].clone();
                    let absolute = self.absolute(&p)?;
                    let square = if *power > 0 {
                        absolute
                    } else {
                        self.inverse(&absolute)?
                    };
                    let mut left = rest;
                    insert(&mut left, *id, power - 2 * power.signum());
                    let outer = self.simplify(ring, left, value)?;
                    return self.mul(&outer, &square).map(Some);
                }
                Atom::Apply(Fun::Cos, args) if *power > 1 => {
                    let sine = self.function(Fun::Sin, &args[0].clone())?;
                    let square = self.mul(&sine, &sine)?;
                    let mut left = rest;
                    insert(&mut left, *id, power - 2);
                    let outer = self.simplify(ring, left, value)?;
                    let factor = self.not(&square)?;
                    return self.mul(&outer, &factor).map(Some);
                }
                Atom::Exp(p) if power.abs() > 1 => {
                    let denominator = p.terms[0].1.denominator();
                    if denominator > 1 && gcd(denominator, i128::from(*power)) > 1 {
                        let p = p.clone();
                        let whole = self.scale(&p, Rational::whole(i64::from(*power)))?;
                        let factor = self.exp(&whole)?;
                        let outer = self.simplify(ring, rest, value)?;
                        return self.mul(&outer, &factor).map(Some);
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// `x^a * (1/x)^b`: powers cancel as far as x * (1/x) stays, which is 1 only where x is not 0.
    fn against_inverse(&self, p: &Poly, mono: &Mono, at: usize) -> Outcome<Option<Mono>> {
        let Some(base) = p.as_atom() else {
            return Ok(None);
        };
        let Some(other) = mono.iter().position(|f| f.0 == base) else {
            return Ok(None);
        };
        let (a, b) = (mono[other].1, mono[at].1);
        if a < 0 {
            return Err(Stop::limit("a negative power of what may be zero"));
        }
        if a == 1 && b == 1 && !self.sign(p).not_zero {
            return Ok(None);
        }
        let (a, b) = if self.sign(p).not_zero {
            (a - a.min(b), b - a.min(b))
        } else if a == b {
            (1, 1)
        } else {
            (a - a.min(b), b - a.min(b))
        };
        let mut next = mono.clone();
        next[other].1 = a;
        next[at].1 = b;
        next.retain(|f| f.1 != 0);
        Ok(Some(next))
    }

    /// Laws of conditions; `None` where none applies.
    fn conditions(&mut self, ring: Ring, mono: &Mono, value: Rational) -> Outcome<Option<Poly>> {
        for (at, (id, _)) in mono.iter().enumerate() {
            let atom = self.atom(*id);
            match &*atom {
                Atom::SizeEqual(dim) => {
                    if let Some((sym, by)) = solved(*dim)
                        && !self.dim_mentions(by, sym)
                    {
                        let mentioned = mono.iter().enumerate();
                        let mut mentioned = mentioned
                            .filter(|(k, f)| *k != at && self.info(f.0).syms.contains(&sym));
                        if mentioned.next().is_some() {
                            let own = Poly::atom(ring, *id);
                            let rest = self.raw(ring, without(mono, at), value);
                            let rest = self.substitute(&rest, &[(sym, by)])?;
                            return self.mul(&own, &rest).map(Some);
                        }
                    }
                }
                Atom::Equal(p) => {
                    if let Some(done) = self.by_equality(p, ring, mono, at, value)? {
                        return Ok(Some(done));
                    }
                }
                Atom::AtLeast(p) => {
                    if let Some(done) = self.beside_order(p, ring, mono, at, value)? {
                        return Ok(Some(done));
                    }
                }
                Atom::Apply(Fun::Free("is_nan", _), args) => {
                    if let Some(done) = self.beside_nan(&args[0].clone(), ring, mono, at, value)? {
                        return Ok(Some(done));
                    }
                }
                Atom::IntAtLeast(a, b) => {
                    let difference = self.sub(a, b)?;
                    let equal = self.equal(&difference)?;
                    if let Some(equal) = equal.as_atom()
                        && mono.iter().any(|f| f.0 == equal)
                    {
                        return self.simplify(ring, without(mono, at), value).map(Some);
                    }
                }
                _ => {}
            }
        }
        self.size_conditions(ring, mono, value)
    }

    /// What is NaN is not finite, and has the value NaN.
    fn beside_nan(
        &mut self,
        x: &Poly,
        ring: Ring,
        mono: &Mono,
        at: usize,
        value: Rational,
    ) -> Outcome<Option<Poly>> {
        for (k, (other, power)) in mono.iter().enumerate() {
            if k == at {
                continue;
            }
            if let Atom::Apply(Fun::Free("is_finite", _), args) = &*self.atom(*other)
                && args[0] == *x
            {
                return Ok(Some(Poly::zero(ring)));
            }
            if self.mode == super::term::Mode::Free
                && ring == Ring::Real
                && *power == 1
                && x.as_atom() == Some(*other)
            {
                let dtype = self.float_of(*other);
                let Some(dtype) = dtype else { continue };
                let nan = self.intern(Atom::Literal(f64::NAN.to_bits(), dtype));
                let rest = self.simplify(ring, without(mono, k), value)?;
                return self.mul(&rest, &Poly::atom(ring, nan)).map(Some);
            }
        }
        Ok(None)
    }

    /// The monomial as it stands.
    fn raw(&self, ring: Ring, mono: Mono, value: Rational) -> Poly {
        if value.is_zero() {
            return Poly::zero(ring);
        }
        Poly {
            ring,
            terms: vec![(mono, value)],
        }
    }

    /// Where p == 0 stands beside what mentions the last atom that p is linear in, the atom is replaced.
    fn by_equality(
        &mut self,
        p: &Poly,
        ring: Ring,
        mono: &Mono,
        at: usize,
        value: Rational,
    ) -> Outcome<Option<Poly>> {
        let Some((atom, coefficient)) = self.linear_atom(p) else {
            return Ok(None);
        };
        let others = without(mono, at);
        if !others.iter().any(|f| {
            let other = Poly::atom(ring, f.0);
            self.mentions_atom(&other, atom)
        }) {
            return Ok(None);
        }
        let bare = Poly {
            ring: p.ring,
            terms: vec![(vec![(atom, 1)], coefficient)],
        };
        let rest = self.sub(&bare, p)?;
        let by = match p.ring {
            Ring::Real => self.scale(&rest, coefficient.inverse())?,
            // The coefficient is 1 or -1.
            Ring::Int(_) => self.scale(&rest, coefficient)?,
        };
        if self.mentions_atom(&by, atom) {
            return Ok(None);
        }
        let own = Poly::atom(ring, mono[at].0);
        let others = self.raw(ring, others, value);
        let replaced = self.replace_within(&others, &[(atom, by)])?;
        self.mul(&own, &replaced).map(Some)
    }

    /// The last atom that stands alone in one term of p and in no other.
    fn linear_atom(&self, p: &Poly) -> Option<(AtomId, Rational)> {
        p.terms.iter().rev().find_map(|(mono, value)| {
            let [(atom, 1)] = mono.as_slice() else {
                return None;
            };
            let unit = p.ring == Ring::Real || value.abs() == Rational::ONE;
            let once = p.atoms().filter(|a| self.holds_atom(*a, *atom)).count() == 1;
            let read = matches!(
                &*self.atom(*atom),
                Atom::Read { .. } | Atom::Big { .. } | Atom::Opaque(_)
            );
            (unit && once && read && !self.info(*atom).boolean).then_some((*atom, *value))
        })
    }

    /// p >= 0 beside p == 0, or beside another order that decides it.
    fn beside_order(
        &mut self,
        p: &Poly,
        ring: Ring,
        mono: &Mono,
        at: usize,
        value: Rational,
    ) -> Outcome<Option<Poly>> {
        for (k, (other, _)) in mono.iter().enumerate() {
            if k == at {
                continue;
            }
            match &*self.atom(*other) {
                Atom::Equal(q) if q == p => {
                    return self.simplify(ring, without(mono, at), value).map(Some);
                }
                Atom::AtLeast(q) => {
                    if self.sign(&self.sub(p, q)?).at_least_zero {
                        return self.simplify(ring, without(mono, at), value).map(Some);
                    }
                    if self.sign(&self.add(p, q)?).negative() {
                        return Ok(Some(Poly::zero(ring)));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Conditions on sizes that the others decide.
    fn size_conditions(
        &mut self,
        ring: Ring,
        mono: &Mono,
        value: Rational,
    ) -> Outcome<Option<Poly>> {
        let sizes: Vec<(usize, bool, Dim)> = mono
            .iter()
            .enumerate()
            .filter_map(|(k, f)| match *self.atom(f.0) {
                Atom::SizeAtLeast(dim) => Some((k, false, dim)),
                Atom::SizeEqual(dim) => Some((k, true, dim)),
                _ => None,
            })
            .collect();
        if sizes.len() < 2 {
            return Ok(None);
        }
        for (k, equal, dim) in &sizes {
            let mark = self.known.mark();
            for (other, other_equal, fact) in &sizes {
                if other == k {
                    continue;
                }
                self.known.assume(Relation::NonNegative, *fact);
                if *other_equal {
                    self.known.assume(Relation::NonNegative, -*fact);
                }
            }
            let one = Dim::from(1);
            let (low, high) = (self.known.proves(*dim), self.known.proves(-*dim));
            let (below, above) = (
                self.known.proves(-*dim - one),
                *equal && self.known.proves(*dim - one),
            );
            self.known.release(mark);
            if below || above {
                return Ok(Some(Poly::zero(ring)));
            }
            if low && (!equal || high) {
                return self.simplify(ring, without(mono, *k), value).map(Some);
            }
        }
        Ok(None)
    }

    // ---- cases ----

    /// The polynomial where a condition holds or does not.
    pub fn assign(&self, poly: &Poly, atom: AtomId, holds: bool) -> Outcome<Poly> {
        let mut terms = Vec::with_capacity(poly.terms.len());
        for (mono, value) in &poly.terms {
            match mono.iter().position(|f| f.0 == atom) {
                Some(at) if holds => terms.push((without(mono, at), *value)),
                Some(_) => {}
                None => terms.push((mono.clone(), *value)),
            }
        }
        self.summed(poly.ring, terms)
    }

    /// The first condition among the atoms of the polynomials.
    pub fn condition(&self, polys: &[Poly]) -> Option<AtomId> {
        let atoms = polys.iter().flat_map(|p| p.atoms());
        atoms.filter(|a| self.info(*a).boolean).min()
    }

    /// `f` of the polynomials, taken in every case of their conditions.
    pub fn in_cases(
        &mut self,
        args: &[Poly],
        f: &mut dyn FnMut(&mut Terms, &[Poly]) -> Outcome<Poly>,
    ) -> Outcome<Poly> {
        self.in_cases_to(args, MOST_CASES, f)
    }

    fn in_cases_to(
        &mut self,
        args: &[Poly],
        left: usize,
        f: &mut dyn FnMut(&mut Terms, &[Poly]) -> Outcome<Poly>,
    ) -> Outcome<Poly> {
        let Some(atom) = self.condition(args) else {
            return f(self, args);
        };
        if left == 0 {
            return Err(Stop::limit("a function of too many conditions"));
        }
        let mut cases = Vec::new();
        for holds in [true, false] {
            let case: Outcome<Vec<Poly>> =
                args.iter().map(|p| self.assign(p, atom, holds)).collect();
            cases.push(self.in_cases_to(&case?, left - 1, f)?);
        }
        let condition = Poly::atom(Ring::Real, atom);
        self.choose(&condition, &cases[0], &cases[1])
    }
}

/// Solves `dim == 0` for a symbol with coefficient 1 or -1 that occurs nowhere else: the last one.
pub fn solved(dim: Dim) -> Option<(Sym, Dim)> {
    for (monomial, coefficient) in dim.terms().iter().rev() {
        let [(DimAtom::Sym(sym), 1)] = monomial.as_slice() else {
            continue;
        };
        if coefficient.unsigned_abs() != 1 || sym.as_str().starts_with('%') {
            continue;
        }
        let rest = dim - Dim::sym(*sym) * Dim::from(*coefficient);
        if !rest.mentions(*sym) {
            return Some((*sym, if *coefficient == 1 { -rest } else { rest }));
        }
    }
    None
}

pub fn without(mono: &Mono, at: usize) -> Mono {
    let mut rest = mono.clone();
    rest.remove(at);
    rest
}

fn insert(mono: &mut Mono, id: AtomId, power: i32) {
    if power == 0 {
        return;
    }
    match mono.binary_search_by(|f| f.0.cmp(&id)) {
        Ok(at) => mono[at].1 += power,
        Err(at) => mono.insert(at, (id, power)),
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a as i128
}
