//! Functions of real scalars, with the laws that hold for every argument.
//!
//! Totalised: 1/0 is 0, the root of a negative number is the negative of the root of its magnitude. Laws are
//! those of the totalised functions.

use super::rational::Rational;
use super::term::{Atom, AtomId, Fun, Mono, Poly, Ring, Terms};
use super::{Outcome, Stop};

impl Terms {
    /// 1/p; of 0 it is 0.
    pub fn inverse(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let p = &args[0];
            if let Some(value) = p.as_constant() {
                return Ok(Poly::constant(Ring::Real, value.inverse()));
            }
            let (value, mono, rest) = t.factored(p)?;
            let mut product = Poly::constant(Ring::Real, value.inverse());
            for (atom, power) in mono {
                let factor = t.inverse_of_atom(atom, power)?;
                product = t.mul(&product, &factor)?;
            }
            if !rest.is_one() {
                let inverse = t.intern(Atom::Inverse(rest));
                product = t.mul(&product, &Poly::atom(Ring::Real, inverse))?;
            }
            Ok(product)
        })
    }

    fn inverse_of_atom(&mut self, atom: AtomId, power: i32) -> Outcome<Poly> {
        let base = Poly::atom(Ring::Real, atom);
        if let Atom::Inverse(p) = &*self.atom(atom) {
            // The inverse of the inverse, 0 included.
            let p = p.clone();
            return self.power(&p, power.unsigned_abs());
        }
        let factor = if self.sign(&base).not_zero {
            (atom, -power)
        } else if power > 0 {
            (self.intern(Atom::Inverse(base)), power)
        } else {
            return Err(Stop::limit("a negative power of what may be zero"));
        };
        self.summed(Ring::Real, vec![(vec![factor], Rational::ONE)])
    }

    /// `p == value * mono * rest`: the first coefficient of the rest is 1, its terms share no factor, and
    /// no power in it is negative. The rest of a monomial is 1.
    pub fn factored(&mut self, p: &Poly) -> Outcome<(Rational, Mono, Poly)> {
        let [(first, value), others @ ..] = p.terms.as_slice() else {
            return Ok((Rational::ZERO, Mono::new(), Poly::one(p.ring)));
        };
        if others.is_empty() {
            return Ok((*value, first.clone(), Poly::one(p.ring)));
        }
        let mut shared = Mono::new();
        let mut seen: Vec<AtomId> = p.atoms().collect();
        seen.sort();
        seen.dedup();
        for atom in seen {
            let power = |mono: &Mono| mono.iter().find(|f| f.0 == atom).map_or(0, |f| f.1);
            let least = p.terms.iter().map(|t| power(&t.0)).min().unwrap_or(0);
            if least != 0 && !self.info(atom).boolean {
                shared.push((atom, least));
            }
        }
        let mut terms = Vec::new();
        for (mono, value) in &p.terms {
            let mut rest = mono.clone();
            for (atom, least) in &shared {
                match rest.binary_search_by(|f| f.0.cmp(atom)) {
                    Ok(at) => rest[at].1 -= least,
                    Err(at) => rest.insert(at, (*atom, -least)),
                }
            }
            rest.retain(|f| f.1 != 0);
            terms.push((rest, *value));
        }
        let rest = self.summed(p.ring, terms)?;
        let Some((_, value)) = rest.terms.first().cloned() else {
            return Err(Stop::limit("a polynomial without a first term"));
        };
        let rest = self.scale(&rest, value.inverse())?;
        Ok((value, shared, rest))
    }

    /// e to the power p.
    pub fn exp(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let mut product = Poly::one(Ring::Real);
            for (mono, value) in args[0].terms.clone() {
                let factor = t.exp_of_term(mono, value)?;
                product = t.mul(&product, &factor)?;
            }
            Ok(product)
        })
    }

    fn exp_of_term(&mut self, mono: Mono, value: Rational) -> Outcome<Poly> {
        let power = i32::try_from(value.numerator())
            .ok()
            .filter(|p| p.abs() <= 16);
        if let ([(atom, 1)], Some(power)) = (mono.as_slice(), power)
            && value.denominator() == 1
            && let Atom::Apply(Fun::Log, args) = &*self.atom(*atom)
            && self.sign(&args[0]).positive()
        {
            let base = args[0].clone();
            let base = if power < 0 {
                self.inverse(&base)?
            } else {
                base
            };
            return self.power(&base, power.unsigned_abs());
        }
        let (inner, outer) = match power {
            Some(power) => (Rational::new(1, value.denominator())?, power),
            None => (value.abs(), if value.is_negative() { -1 } else { 1 }),
        };
        let argument = Poly {
            ring: Ring::Real,
            terms: vec![(mono, inner)],
        };
        let atom = self.intern(Atom::Exp(argument));
        self.summed(Ring::Real, vec![(vec![(atom, outer)], Rational::ONE)])
    }

    /// The natural logarithm of the magnitude.
    pub fn log(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let (value, mono, rest) = t.factored(&args[0])?;
            // Totalised as the logarithm of the magnitude, 0 of 0: products split unless a factor may be 0, single
            // powers always.
            let differs = |t: &Terms, atom: AtomId| t.sign_of_atom(atom).not_zero;
            let single = mono.len() == 1 && value == Rational::ONE && rest.is_one();
            let splits = single
                || (!value.is_zero()
                    && mono.iter().all(|f| differs(t, f.0))
                    && (rest.is_one() || t.sign(&rest).not_zero));
            if !splits {
                return t.apply(Fun::Log, vec![args[0].clone()]);
            }
            let mut total = Poly::zero(Ring::Real);
            if value.abs() != Rational::ONE {
                let constant = Poly::constant(Ring::Real, value.abs());
                total = t.apply(Fun::Log, vec![constant])?;
            }
            for (atom, power) in mono {
                let part = match &*t.atom(atom) {
                    Atom::Exp(argument) => argument.clone(),
                    Atom::Inverse(p) => {
                        let log = t.log(&p.clone())?;
                        t.neg(&log)?
                    }
                    Atom::Apply(Fun::Sqrt, args) => {
                        let log = t.log(&args[0].clone())?;
                        t.scale(&log, Rational::new(1, 2)?)?
                    }
                    _ => t.apply(Fun::Log, vec![Poly::atom(Ring::Real, atom)])?,
                };
                let part = t.scale(&part, Rational::whole(i64::from(power)))?;
                total = t.add(&total, &part)?;
            }
            if !rest.is_one() {
                let part = t.apply(Fun::Log, vec![rest])?;
                total = t.add(&total, &part)?;
            }
            Ok(total)
        })
    }

    /// The square root, of negative numbers minus that of the magnitude: multiplicative everywhere.
    pub fn sqrt(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            if args[0].is_zero() {
                return Ok(args[0].clone());
            }
            let (value, mono, rest) = t.factored(&args[0])?;
            let mut product = match (value.abs().square_root(), value.is_negative()) {
                (Some(root), negative) => {
                    Poly::constant(Ring::Real, if negative { root.neg() } else { root })
                }
                (None, negative) => {
                    let root = t.apply(Fun::Sqrt, vec![Poly::constant(Ring::Real, value.abs())])?;
                    if negative { t.neg(&root)? } else { root }
                }
            };
            for (atom, power) in mono {
                let base = Poly::atom(Ring::Real, atom);
                let (half, odd) = (power.div_euclid(2), power.rem_euclid(2));
                if half != 0 {
                    let mut factor = t.absolute(&base)?;
                    if half < 0 {
                        factor = t.inverse(&factor)?;
                    }
                    factor = t.power(&factor, half.unsigned_abs())?;
                    product = t.mul(&product, &factor)?;
                }
                if odd != 0 {
                    let factor = t.root_of_atom(atom)?;
                    product = t.mul(&product, &factor)?;
                }
            }
            if !rest.is_one() {
                let root = t.apply(Fun::Sqrt, vec![rest])?;
                product = t.mul(&product, &root)?;
            }
            Ok(product)
        })
    }

    fn root_of_atom(&mut self, atom: AtomId) -> Outcome<Poly> {
        match &*self.atom(atom) {
            Atom::Inverse(p) => {
                let root = self.sqrt(&p.clone())?;
                self.inverse(&root)
            }
            Atom::Exp(p) => {
                let half = self.scale(&p.clone(), Rational::new(1, 2)?)?;
                self.exp(&half)
            }
            _ => self.apply(Fun::Sqrt, vec![Poly::atom(Ring::Real, atom)]),
        }
    }

    /// The magnitude, as a choice by the sign unless that is known.
    pub fn absolute(&mut self, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let p = &args[0];
            let sign = t.sign(p);
            if sign.at_least_zero {
                return Ok(p.clone());
            }
            if sign.at_most_zero {
                return t.neg(p);
            }
            let (value, mono, rest) = t.factored(p)?;
            if mono.is_empty() || (mono.len() == 1 && mono[0].1 == 1 && rest.is_one()) {
                // By the canonical sign: |p| is |-p|.
                let unsigned = t.scale(p, value.abs().inverse())?;
                let canonical = if value.is_negative() {
                    t.neg(&unsigned)?
                } else {
                    unsigned
                };
                let up = t.at_least(&canonical)?;
                let down = t.neg(&canonical)?;
                let magnitude = t.choose(&up, &canonical, &down)?;
                return t.scale(&magnitude, value.abs());
            }
            let mut product = Poly::constant(Ring::Real, value.abs());
            for (atom, power) in mono {
                let mut factor = t.absolute(&Poly::atom(Ring::Real, atom))?;
                if power < 0 {
                    factor = t.inverse(&factor)?;
                }
                factor = t.power(&factor, power.unsigned_abs())?;
                product = t.mul(&product, &factor)?;
            }
            if !rest.is_one() {
                let factor = t.absolute(&rest)?;
                product = t.mul(&product, &factor)?;
            }
            Ok(product)
        })
    }

    /// The larger of two: a choice by the sign of their difference, in canonical form.
    pub fn maximum(&mut self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        if let Ring::Int(dtype) = a.ring {
            let (a, b) = if a <= b { (a, b) } else { (b, a) };
            let above = self.compare(aiai_ir::CompareKind::Ge, a, b, dtype.is_signed())?;
            return self.choose(&above, a, b);
        }
        self.in_cases(&[a.clone(), b.clone()], &mut |t, args| {
            let (a, b) = (&args[0], &args[1]);
            let difference = t.sub(a, b)?;
            let sign = t.sign(&difference);
            if sign.at_least_zero {
                return Ok(a.clone());
            }
            if sign.at_most_zero {
                return Ok(b.clone());
            }
            let flips = difference.terms.first().is_some_and(|t| t.1.is_negative());
            let (first, second, difference) = if flips {
                (b, a, t.neg(&difference)?)
            } else {
                (a, b, difference)
            };
            let above = t.at_least(&difference)?;
            t.choose(&above, first, second)
        })
    }

    /// A bijection that turns the order round: -x, and for integers, which wrap, -1 - x.
    pub fn order_reversed(&mut self, p: &Poly) -> Outcome<Poly> {
        match p.ring {
            Ring::Real => self.neg(p),
            Ring::Int(_) => {
                let minus_one = Poly::constant(p.ring, Rational::whole(-1));
                self.sub(&minus_one, p)
            }
        }
    }

    pub fn minimum(&mut self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        let larger = self.maximum(a, b)?;
        let both = self.add(a, b)?;
        self.sub(&both, &larger)
    }

    /// a to the power b.
    pub fn pow(&mut self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        self.in_cases(&[a.clone(), b.clone()], &mut |t, args| {
            let (a, b) = (&args[0], &args[1]);
            if let Some(exponent) = b.as_constant() {
                let whole = exponent.as_whole().and_then(|e| i32::try_from(e).ok());
                if let Some(power) = whole.filter(|p| p.abs() <= 16) {
                    let base = if power < 0 { t.inverse(a)? } else { a.clone() };
                    return t.power(&base, power.unsigned_abs());
                }
                if exponent.denominator() == 2 && exponent.abs().numerator() <= 16 {
                    let power = exponent.numerator() as i32;
                    let root = t.sqrt(a)?;
                    let base = if power < 0 { t.inverse(&root)? } else { root };
                    return t.power(&base, power.unsigned_abs());
                }
            }
            if t.sign(a).positive() {
                let log = t.log(a)?;
                let product = t.mul(b, &log)?;
                return t.exp(&product);
            }
            t.apply(Fun::Pow, vec![a.clone(), b.clone()])
        })
    }

    /// A function with an odd or even law, or none.
    pub fn function(&mut self, fun: Fun, p: &Poly) -> Outcome<Poly> {
        self.in_cases(std::slice::from_ref(p), &mut |t, args| {
            let p = &args[0];
            let flips = p.terms.first().is_some_and(|t| t.1.is_negative());
            match fun {
                Fun::Tanh | Fun::Sin | Fun::Erf | Fun::Round => {
                    if p.is_zero() {
                        return Ok(p.clone());
                    }
                    if matches!(fun, Fun::Round) && t.is_whole(p) {
                        return Ok(p.clone());
                    }
                    if flips {
                        let p = t.neg(p)?;
                        let value = t.function(fun.clone(), &p)?;
                        return t.neg(&value);
                    }
                    if matches!(fun, Fun::Sin) && is_even(p) {
                        let half = t.scale(p, Rational::new(1, 2)?)?;
                        let (sine, cosine) =
                            (t.function(Fun::Sin, &half)?, t.function(Fun::Cos, &half)?);
                        let product = t.mul(&sine, &cosine)?;
                        return t.scale(&product, Rational::whole(2));
                    }
                    t.apply(fun.clone(), vec![p.clone()])
                }
                Fun::Cos if p.is_zero() => Ok(Poly::one(Ring::Real)),
                Fun::Cos if flips => {
                    let p = t.neg(p)?;
                    t.function(Fun::Cos, &p)
                }
                Fun::Cos if is_even(p) => {
                    let half = t.scale(p, Rational::new(1, 2)?)?;
                    let sine = t.function(Fun::Sin, &half)?;
                    let square = t.mul(&sine, &sine)?;
                    let twice = t.scale(&square, Rational::whole(2))?;
                    t.not(&twice)
                }
                Fun::Floor => t.floor(p),
                _ => t.apply(fun.clone(), vec![p.clone()]),
            }
        })
    }

    /// The floor; whole terms come out.
    fn floor(&mut self, p: &Poly) -> Outcome<Poly> {
        let mut whole = Vec::new();
        let mut rest = Vec::new();
        for (mono, value) in p.terms.clone() {
            let single = Poly {
                ring: Ring::Real,
                terms: vec![(mono.clone(), value)],
            };
            if self.is_whole(&single) {
                whole.push((mono, value));
            } else if mono.is_empty() {
                let down = value.numerator().div_euclid(value.denominator());
                let down = Rational::new(down, 1)?;
                whole.push((Mono::new(), down));
                rest.push((Mono::new(), value.add(down.neg())?));
            } else {
                rest.push((mono, value));
            }
        }
        let whole = self.summed(Ring::Real, whole)?;
        let rest = self.summed(Ring::Real, rest)?;
        if rest.as_constant().is_some() {
            // Between 0 and 1.
            return Ok(whole);
        }
        let floor = self.apply(Fun::Floor, vec![rest])?;
        self.add(&whole, &floor)
    }

    /// Whether the value is a whole number for certain.
    pub fn is_whole(&self, p: &Poly) -> bool {
        p.terms.iter().all(|(mono, value)| {
            value.as_whole().is_some()
                && mono.iter().all(|(atom, power)| {
                    *power > 0
                        && (self.info(*atom).boolean
                            || matches!(
                                &*self.atom(*atom),
                                Atom::Size(_)
                                    | Atom::Apply(Fun::Floor | Fun::Round | Fun::RealOfInt(_), _)
                            ))
                })
        })
    }

    /// The function as an atom.
    pub fn apply(&mut self, fun: Fun, args: Vec<Poly>) -> Outcome<Poly> {
        if matches!(fun, Fun::Log) && args[0].is_one() {
            return Ok(Poly::zero(Ring::Real));
        }
        let ring = match &fun {
            Fun::Integer(_, dtype) => Ring::of(*dtype),
            Fun::IntOfReal { to, .. } | Fun::Extend { to, .. } => Ring::of(*to),
            _ => Ring::Real,
        };
        let atom = self.intern(Atom::Apply(fun, args));
        Ok(Poly::atom(ring, atom))
    }
}

/// Whether every coefficient is an even number, but no large one.
fn is_even(p: &Poly) -> bool {
    p.terms
        .iter()
        .all(|t| t.1.as_whole().is_some_and(|v| v % 2 == 0 && v.abs() <= 4))
}
