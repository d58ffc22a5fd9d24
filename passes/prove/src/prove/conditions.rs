//! Comparisons as polynomials that are 0 or 1.
//!
//! p >= 0 and p == 0 are the atoms; the others follow: p > 0 is (p >= 0) - (p == 0).

use aiai_ir::dim::Atom as DimAtom;
use aiai_ir::{CompareKind, Dim};

use super::Outcome;
use super::known::tightened;
use super::rational::Rational;
use super::term::{Atom, Mono, Poly, Ring, Terms};

impl Terms {
    fn truth(&self, holds: bool) -> Poly {
        if holds {
            Poly::one(Ring::Real)
        } else {
            Poly::zero(Ring::Real)
        }
    }

    /// p >= 0 for a real p.
    pub fn at_least(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let p = &args[0];
            let sign = t.sign(p);
            if sign.at_least_zero {
                return Ok(t.truth(true));
            }
            if sign.negative() {
                return Ok(t.truth(false));
            }
            if let Some(dim) = t.sized(p) {
                return t.size_at_least(dim);
            }
            let (value, mono, rest) = t.factored(p)?;
            let mut left = Mono::new();
            let mut flips = value.is_negative();
            for (atom, power) in mono {
                let sign = t.sign_of_atom(atom);
                if sign.negative() {
                    flips ^= power % 2 != 0;
                } else if sign.positive() || (power % 2 == 0 && sign.not_zero) {
                } else {
                    left.push((atom, power));
                }
            }
            if !rest.is_one() {
                let sign = t.sign(&rest);
                if sign.negative() {
                    flips = !flips;
                } else if !sign.positive() {
                    let left_poly = t.summed(Ring::Real, vec![(left, Rational::ONE)])?;
                    let product = t.mul(&left_poly, &rest)?;
                    return t.ordered(product, flips);
                }
            }
            let product = t.summed(Ring::Real, vec![(left, Rational::ONE)])?;
            t.ordered(product, flips)
        })
    }

    /// p >= 0, or -p >= 0 where `flips`, of a p without factors of known sign.
    fn ordered(&mut self, p: Poly, flips: bool) -> Outcome<Poly> {
        let sign = self.sign(&p);
        let sign = if flips { sign.flipped() } else { sign };
        if sign.at_least_zero {
            return Ok(self.truth(true));
        }
        if sign.negative() {
            return Ok(self.truth(false));
        }
        let first = p.terms.first().map_or(Rational::ONE, |t| t.1);
        let flips = flips != first.is_negative();
        let canonical = self.scale(&p, first.inverse())?;
        let atom = self.intern(Atom::AtLeast(canonical.clone()));
        let above = Poly::atom(Ring::Real, atom);
        if !flips {
            return Ok(above);
        }
        // -p >= 0 is not (p > 0).
        let equal = self.equal(&canonical)?;
        let strictly = self.sub(&above, &equal)?;
        self.not(&strictly)
    }

    /// p == 0, for reals and for integers modulo 2^n.
    pub fn equal(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let p = &args[0];
            if let Some(value) = p.as_constant() {
                return Ok(t.truth(value.is_zero()));
            }
            if p.ring == Ring::Real {
                if t.sign(p).not_zero {
                    return Ok(t.truth(false));
                }
                if let Some(dim) = t.sized(p) {
                    return t.size_equal(dim);
                }
                return t.real_equal(p);
            }
            if p.ring == Ring::Int(aiai_ir::DType::I64)
                && let Some(dim) = t.as_index(p)
            {
                return t.size_equal(dim);
            }
            if t.never_zero(p) {
                return Ok(t.truth(false));
            }
            let flips = p.terms[0].1.is_negative();
            let canonical = if flips { t.neg(p)? } else { p.clone() };
            let atom = t.intern(Atom::Equal(canonical));
            Ok(Poly::atom(Ring::Real, atom))
        })
    }

    /// A product is zero where a factor is.
    fn real_equal(&mut self, p: &Poly) -> Outcome<Poly> {
        let (_, mono, rest) = self.factored(p)?;
        let mut differs = Poly::one(Ring::Real);
        for (atom, _) in mono {
            let base = Poly::atom(Ring::Real, atom);
            if self.sign(&base).not_zero {
                continue;
            }
            let base = match &*self.atom(atom) {
                // 1/q is 0 where q is, here.
                Atom::Inverse(q) => q.clone(),
                _ => base,
            };
            let equal = self.equal_atom(base)?;
            let other = self.not(&equal)?;
            differs = self.mul(&differs, &other)?;
        }
        if !rest.is_one() && !self.sign(&rest).not_zero {
            let equal = self.equal_atom(rest)?;
            let other = self.not(&equal)?;
            differs = self.mul(&differs, &other)?;
        }
        self.not(&differs)
    }

    fn equal_atom(&mut self, p: Poly) -> Outcome<Poly> {
        let first = p.terms.first().map_or(Rational::ONE, |t| t.1);
        let canonical = self.scale(&p, first.inverse())?;
        let atom = self.intern(Atom::Equal(canonical));
        Ok(Poly::atom(Ring::Real, atom))
    }

    /// A positive multiple of a real polynomial as a dimension, where it is made of sizes alone.
    fn sized(&self, p: &Poly) -> Option<Dim> {
        let mut scale = Rational::ONE;
        for (_, value) in &p.terms {
            let below = Rational::new(scale.mul(*value).ok()?.denominator(), 1).ok()?;
            scale = scale.mul(below).ok()?;
        }
        self.as_dim(&self.scale(p, scale).ok()?)
    }

    /// dim >= 0.
    pub fn size_at_least(&mut self, dim: Dim) -> Outcome<Poly> {
        let dim = tightened(self.known.normal(dim));
        if dim.is_overflow() {
            return Err(super::Stop::limit("a dimension leaves the range of i64"));
        }
        let below = -dim - Dim::from(1);
        if self.known.proves(dim) {
            return Ok(self.truth(true));
        }
        if self.known.proves(below) {
            return Ok(self.truth(false));
        }
        let flips = leading(dim) < 0;
        let canonical = if flips { below } else { dim };
        let atom = self.intern(Atom::SizeAtLeast(canonical));
        let above = Poly::atom(Ring::Real, atom);
        if flips { self.not(&above) } else { Ok(above) }
    }

    /// dim == 0.
    pub fn size_equal(&mut self, dim: Dim) -> Outcome<Poly> {
        let dim = self.known.normal(dim);
        if dim.is_overflow() {
            return Err(super::Stop::limit("a dimension leaves the range of i64"));
        }
        if self.known.equal(dim, Dim::from(0)) {
            return Ok(self.truth(true));
        }
        if self.known.differ(dim, Dim::from(0)) {
            return Ok(self.truth(false));
        }
        let canonical = if leading(dim) < 0 { -dim } else { dim };
        let atom = self.intern(Atom::SizeEqual(canonical));
        Ok(Poly::atom(Ring::Real, atom))
    }

    /// A comparison of real numbers, of sizes, or of integers that may wrap.
    pub fn compare(
        &mut self,
        kind: CompareKind,
        a: &Poly,
        b: &Poly,
        signed: bool,
    ) -> Outcome<Poly> {
        match kind {
            CompareKind::Eq => {
                let difference = self.sub(a, b)?;
                self.equal(&difference)
            }
            CompareKind::Ne => {
                let equal = self.compare(CompareKind::Eq, a, b, signed)?;
                self.not(&equal)
            }
            CompareKind::Ge => self.not_below(a, b, signed),
            CompareKind::Le => self.not_below(b, a, signed),
            CompareKind::Lt => {
                let other = self.not_below(a, b, signed)?;
                self.not(&other)
            }
            CompareKind::Gt => {
                let other = self.not_below(b, a, signed)?;
                self.not(&other)
            }
        }
    }

    /// a >= b.
    fn not_below(&mut self, a: &Poly, b: &Poly, signed: bool) -> Outcome<Poly> {
        if a.ring == Ring::Real {
            let difference = self.sub(a, b)?;
            return self.at_least(&difference);
        }
        if signed
            && a.ring.bits() == Some(64)
            && let (Some(a), Some(b)) = (self.as_index(a), self.as_index(b))
        {
            return self.size_at_least(a - b);
        }
        self.in_cases(&[a.clone(), b.clone()], &mut |t, args| {
            let (a, b) = (&args[0], &args[1]);
            if a == b {
                return Ok(t.truth(true));
            }
            if let (Some(x), Some(y)) = (a.as_constant(), b.as_constant()) {
                let unsigned = |v: Rational| {
                    let whole = v.as_whole().unwrap_or(0);
                    let bits = a.ring.bits().unwrap_or(64);
                    if signed || whole >= 0 {
                        whole
                    } else {
                        whole + (1i128 << bits)
                    }
                };
                return Ok(t.truth(unsigned(x) >= unsigned(y)));
            }
            let (least, most) = ends(a.ring, signed)?;
            if a.as_constant() == Some(most) || b.as_constant() == Some(least) {
                return Ok(t.truth(true));
            }
            if a.as_constant() == Some(least) || b.as_constant() == Some(most) {
                let difference = t.sub(a, b)?;
                return t.equal(&difference);
            }
            if a <= b {
                let atom = t.intern(Atom::IntAtLeast(a.clone(), b.clone()));
                return Ok(Poly::atom(Ring::Real, atom));
            }
            // a >= b is not (b > a), and b > a is (b >= a) - (a == b).
            let atom = t.intern(Atom::IntAtLeast(b.clone(), a.clone()));
            let other = Poly::atom(Ring::Real, atom);
            let difference = t.sub(a, b)?;
            let equal = t.equal(&difference)?;
            let strictly = t.mul(&other, &t.not(&equal)?)?;
            t.not(&strictly)
        })
    }

    /// An `i64` made of sizes and indices that does not wrap. A tensor has fewer than 2^43 elements, so a size or an
    /// index is below that, and so are products of different axes of one tensor; factors are small.
    pub fn as_index(&self, p: &Poly) -> Option<Dim> {
        let dim = self.as_dim(p)?;
        let small = dim.terms().iter().all(|(monomial, coefficient)| {
            let factors = monomial.iter().map(|f| f.1).sum::<u32>();
            let held = || self.extents.iter().any(|whole| divides(monomial, *whole));
            coefficient.unsigned_abs() <= 1 << 20 && (factors <= 1 || held())
        });
        small.then_some(dim)
    }
}

/// Whether a product of sizes is part of the one that a tensor has elements.
fn divides(part: &[(DimAtom, u32)], whole: Dim) -> bool {
    let holds = |factors: &[(DimAtom, u32)]| {
        part.iter().all(|(atom, power)| {
            let found = factors.iter().find(|f| f.0 == *atom);
            found.is_some_and(|f| f.1 >= *power)
        })
    };
    matches!(whole.terms(), [(factors, _)] if holds(factors))
}

/// The least and the greatest integer, as the ring has them.
fn ends(ring: Ring, signed: bool) -> Outcome<(Rational, Rational)> {
    let bits = ring.bits().unwrap_or(64);
    let half = 1i128 << (bits - 1);
    Ok(if signed {
        (Rational::new(-half, 1)?, Rational::new(half - 1, 1)?)
    } else {
        (Rational::ZERO, Rational::whole(-1))
    })
}

/// Whether the symbol is an index rather than a named dimension.
pub fn is_index(name: &str) -> bool {
    name.starts_with(['$', '%']) || name.ends_with('\'')
}

/// The coefficient that decides the canonical sign: the last one that is not the constant.
fn leading(dim: Dim) -> i64 {
    let last = dim.terms().iter().rev().find(|t| !t.0.is_empty());
    last.map_or(1, |t| t.1)
}
