//! Signs of terms: what is certain without a search.

use std::collections::BTreeSet;
use std::rc::Rc;

use aiai_ir::{DType, Dim};

use super::rational::Rational;
use super::term::{Atom, AtomId, BigOp, Fun, Info, Mode, Poly, Ring, Terms};

/// What is known of a real number; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sign {
    pub at_least_zero: bool,
    pub at_most_zero: bool,
    pub not_zero: bool,
}

impl Sign {
    pub const POSITIVE: Sign = Sign {
        at_least_zero: true,
        at_most_zero: false,
        not_zero: true,
    };
    pub const AT_LEAST_ZERO: Sign = Sign {
        at_least_zero: true,
        at_most_zero: false,
        not_zero: false,
    };

    pub fn of(value: Rational) -> Sign {
        Sign {
            at_least_zero: !value.is_negative(),
            at_most_zero: value.is_negative() || value.is_zero(),
            not_zero: !value.is_zero(),
        }
    }

    pub fn positive(self) -> bool {
        self.at_least_zero && self.not_zero
    }

    pub fn negative(self) -> bool {
        self.at_most_zero && self.not_zero
    }

    pub fn flipped(self) -> Sign {
        Sign {
            at_least_zero: self.at_most_zero,
            at_most_zero: self.at_least_zero,
            not_zero: self.not_zero,
        }
    }

    pub fn times(self, other: Sign) -> Sign {
        Sign {
            at_least_zero: (self.at_least_zero && other.at_least_zero)
                || (self.at_most_zero && other.at_most_zero),
            at_most_zero: (self.at_least_zero && other.at_most_zero)
                || (self.at_most_zero && other.at_least_zero),
            not_zero: self.not_zero && other.not_zero,
        }
    }

    pub fn plus(self, other: Sign) -> Sign {
        let up = self.at_least_zero && other.at_least_zero;
        let down = self.at_most_zero && other.at_most_zero;
        Sign {
            at_least_zero: up,
            at_most_zero: down,
            not_zero: (up || down) && (self.not_zero || other.not_zero),
        }
    }

    /// What both know together.
    pub fn and(self, other: Sign) -> Sign {
        Sign {
            at_least_zero: self.at_least_zero || other.at_least_zero,
            at_most_zero: self.at_most_zero || other.at_most_zero,
            not_zero: self.not_zero || other.not_zero,
        }
    }

    /// What holds in both cases.
    pub fn or(self, other: Sign) -> Sign {
        Sign {
            at_least_zero: self.at_least_zero && other.at_least_zero,
            at_most_zero: self.at_most_zero && other.at_most_zero,
            not_zero: self.not_zero && other.not_zero,
        }
    }

    fn without_not_zero(self) -> Sign {
        Sign {
            not_zero: false,
            ..self
        }
    }
}

/// Choices looked into to find a sign, at most.
const MOST_CASES: u32 = 3;

impl Terms {
    pub fn sign_of_atom(&self, id: AtomId) -> Sign {
        match *self.atom(id) {
            // Depends on the facts of the moment.
            Atom::Size(dim) => Sign {
                at_least_zero: self.known.proves(dim),
                at_most_zero: self.known.proves(-dim),
                not_zero: self.known.proves(dim - Dim::from(1)),
            },
            _ => self.info(id).sign,
        }
    }

    pub fn sign(&self, poly: &Poly) -> Sign {
        self.sign_in(poly, &mut Vec::new(), MOST_CASES)
    }

    /// The sign where the assumed polynomials are at least 0.
    fn sign_in(&self, poly: &Poly, assumed: &mut Vec<Poly>, cases: u32) -> Sign {
        if poly.ring != Ring::Real || self.mode == Mode::Free || self.wild(poly) {
            return Sign::default();
        }
        let mut sign = self.plain_sign(poly);
        if let Some(note) = self.notes.get(poly) {
            sign = sign.and(*note);
        }
        if sign.at_least_zero && sign.not_zero {
            return sign;
        }
        for known in assumed.iter() {
            sign = sign.and(self.sign_beside(poly, known));
        }
        let choice = poly.atoms().find(|a| self.info(*a).boolean);
        if let Some(atom) = choice
            && cases > 0
        {
            let mut both: Option<Sign> = None;
            for value in [true, false] {
                let Ok(case) = self.assign(poly, atom, value) else {
                    return sign;
                };
                let depth = assumed.len();
                if let Atom::AtLeast(p) = &*self.atom(atom) {
                    assumed.push(if value {
                        p.clone()
                    } else {
                        self.neg(p).unwrap_or_else(|_| p.clone())
                    });
                    if !value && self.neg(p).is_err() {
                        assumed.pop();
                    }
                }
                let found = self.sign_in(&case, assumed, cases - 1);
                assumed.truncate(depth);
                both = Some(both.map_or(found, |b| b.or(found)));
            }
            sign = sign.and(both.unwrap_or_default());
        }
        sign
    }

    /// The sign of `poly`, given that `known >= 0`, where `poly` is a positive multiple of it and something
    /// whose sign is plain.
    fn sign_beside(&self, poly: &Poly, known: &Poly) -> Sign {
        let Some((mono, weight)) = known.terms.first() else {
            return Sign::default();
        };
        let Some((_, value)) = poly.terms.iter().find(|t| t.0 == *mono) else {
            return Sign::default();
        };
        let Ok(ratio) = value.mul(weight.inverse()) else {
            return Sign::default();
        };
        let rest = self
            .scale(known, ratio.neg())
            .and_then(|less| self.add(poly, &less));
        let Ok(rest) = rest else {
            return Sign::default();
        };
        let rest = self.plain_sign(&rest);
        let multiple = if ratio.is_negative() {
            Sign::AT_LEAST_ZERO.flipped()
        } else {
            Sign::AT_LEAST_ZERO
        };
        multiple.plus(rest)
    }

    fn plain_sign(&self, poly: &Poly) -> Sign {
        let mut total: Option<Sign> = None;
        for (mono, value) in &poly.terms {
            let mut sign = Sign::of(*value);
            for (atom, power) in mono {
                let mut factor = self.sign_of_atom(*atom);
                if power % 2 == 0 {
                    factor.at_least_zero = true;
                    factor.at_most_zero = false;
                }
                sign = sign.times(factor);
            }
            total = Some(total.map_or(sign, |t| t.plus(sign)));
        }
        let Some(mut total) = total else {
            return Sign::of(Rational::ZERO);
        };
        if poly.terms.len() > 1 {
            if let Some(low) = self.lower_bound(poly, false) {
                total.at_least_zero |= !low.is_negative();
                total.not_zero |= !low.is_negative() && !low.is_zero();
            }
            if let Some(low) = self.lower_bound(poly, true) {
                total.at_most_zero |= !low.is_negative();
                total.not_zero |= !low.is_negative() && !low.is_zero();
            }
        }
        total
    }

    /// A number that `poly` (or `-poly`) is never below, from the domains of its atoms.
    fn lower_bound(&self, poly: &Poly, negated: bool) -> Option<Rational> {
        let mut total = Rational::ZERO;
        for (mono, value) in &poly.terms {
            let value = if negated { value.neg() } else { *value };
            let part = match mono.as_slice() {
                [] => value,
                [(atom, 1)] => {
                    let (low, high) = self.domain_of(*atom);
                    let end = if value.is_negative() { high } else { low };
                    value.mul(end?).ok()?
                }
                _ => {
                    let mut sign = Sign::of(value);
                    for (atom, power) in mono {
                        let mut factor = self.sign_of_atom(*atom);
                        factor.at_least_zero |= power % 2 == 0;
                        sign = sign.times(factor);
                    }
                    if !sign.at_least_zero {
                        return None;
                    }
                    Rational::ZERO
                }
            };
            total = total.add(part).ok()?;
        }
        Some(total)
    }

    fn domain_of(&self, id: AtomId) -> (Option<Rational>, Option<Rational>) {
        if let Atom::Read {
            source: super::term::Source::Param(param),
            ..
        } = &*self.atom(id)
            && let Some((low, high)) = self.domains.get(param)
        {
            return (Rational::of_float(*low), Rational::of_float(*high));
        }
        if let Atom::Apply(Fun::Tanh | Fun::Erf | Fun::Sin | Fun::Cos, _) = &*self.atom(id) {
            return (Some(Rational::whole(-1)), Some(Rational::ONE));
        }
        if self.info(id).boolean {
            return (Some(Rational::ZERO), Some(Rational::ONE));
        }
        let sign = self.sign_of_atom(id);
        (
            sign.at_least_zero.then_some(Rational::ZERO),
            sign.at_most_zero.then_some(Rational::ZERO),
        )
    }

    /// What is kept beside an atom; computed once.
    pub fn describe(&self, atom: &Atom) -> Info {
        let mut syms = BTreeSet::new();
        let mut height = 0;
        let mut wild = false;
        let mut polys: Vec<&Poly> = Vec::new();
        let mut dims: Vec<Dim> = Vec::new();
        let mut bound: Option<(u32, usize)> = None;
        match atom {
            Atom::Read { index, .. } => dims.extend(index),
            Atom::Size(dim) | Atom::SizeAtLeast(dim) | Atom::SizeEqual(dim) => dims.push(*dim),
            Atom::Inverse(p) | Atom::Exp(p) | Atom::AtLeast(p) | Atom::Equal(p) => polys.push(p),
            Atom::Apply(fun, args) => {
                polys.extend(args);
                if let Fun::DimPower(dim) | Fun::InRange(dim) = fun {
                    dims.push(*dim);
                }
                wild |= matches!(fun, Fun::Free(_, dtype) if *dtype != DType::Bool);
            }
            Atom::IntAtLeast(a, b) => polys.extend([a, b]),
            Atom::Big {
                ranges, base, body, ..
            } => {
                dims.extend(ranges);
                polys.push(body);
                bound = Some((*base, ranges.len()));
            }
            Atom::Opaque(lambda) => {
                dims.extend(&lambda.ranges);
                dims.extend(&lambda.at);
                polys.extend(lambda.bodies.iter().chain(&lambda.outer));
                bound = Some((lambda.base, lambda.ranges.len()));
            }
            Atom::Infinity | Atom::NotANumber => wild = true,
            Atom::Literal(..) => {}
        }
        for poly in polys {
            wild |= self.wild(poly);
            height = height.max(self.height(poly));
            for id in poly.atoms() {
                syms.extend(self.info(id).syms.iter().copied());
            }
        }
        for dim in dims {
            self.dim_syms(dim, &mut syms);
        }
        for sym in syms.iter() {
            if let Some(term) = self.index_term(*sym) {
                height = height.max(self.height(term));
            }
        }
        if let Some((base, count)) = bound {
            for place in 0..count {
                syms.remove(&super::binders::bound_name(base, place));
            }
            height = height.max(base + count as u32);
        }
        let boolean = is_boolean(atom);
        Info {
            syms: Rc::new(syms),
            height,
            boolean,
            sign: self.known.lasting(|| self.first_sign(atom, boolean)),
            wild: wild && !boolean,
        }
    }

    fn first_sign(&self, atom: &Atom, boolean: bool) -> Sign {
        if boolean {
            return Sign::AT_LEAST_ZERO;
        }
        if self.mode == Mode::Free {
            return Sign::default();
        }
        match atom {
            Atom::Exp(_) => Sign::POSITIVE,
            Atom::Inverse(p) => self.sign(p),
            Atom::Read {
                source: super::term::Source::Param(param),
                dtype,
                ..
            } if dtype.is_float() => self.domains.get(param).map_or(Sign::default(), |d| Sign {
                at_least_zero: d.0 >= 0.0,
                at_most_zero: d.1 <= 0.0,
                not_zero: d.0 > 0.0 || d.1 < 0.0,
            }),
            Atom::Apply(fun, args) => self.sign_of_function(fun, args),
            Atom::Big {
                op, ranges, body, ..
            } => {
                let sign = self.sign(body);
                let some = ranges.iter().all(|n| self.known.proves(*n - Dim::from(1)));
                match op {
                    BigOp::Max => sign,
                    BigOp::Sum if some => sign,
                    BigOp::Sum => sign.without_not_zero(),
                    BigOp::Prod if sign.at_least_zero => sign,
                    BigOp::Prod | BigOp::All => Sign::default(),
                }
            }
            Atom::Read { .. }
            | Atom::Size(_)
            | Atom::AtLeast(_)
            | Atom::Equal(_)
            | Atom::IntAtLeast(..)
            | Atom::SizeAtLeast(_)
            | Atom::SizeEqual(_)
            | Atom::Opaque(_)
            | Atom::Infinity
            | Atom::NotANumber
            | Atom::Literal(..) => Sign::default(),
        }
    }

    fn sign_of_function(&self, fun: &Fun, args: &[Poly]) -> Sign {
        let Some(first) = args.first() else {
            return Sign::default();
        };
        match fun {
            Fun::Sqrt | Fun::Tanh | Fun::Erf => self.sign(first),
            Fun::Narrow(_) | Fun::Round => self.sign(first).without_not_zero(),
            Fun::Floor if self.sign(first).at_least_zero => Sign::AT_LEAST_ZERO,
            Fun::DimPower(_) | Fun::Pow if self.sign(first).positive() => Sign::POSITIVE,
            Fun::DimPower(_) if self.sign(first).at_least_zero => Sign::AT_LEAST_ZERO,
            Fun::RealOfInt(dtype) if !dtype.is_signed() => Sign::AT_LEAST_ZERO,
            Fun::Floor
            | Fun::DimPower(_)
            | Fun::Pow
            | Fun::RealOfInt(_)
            | Fun::Log
            | Fun::Sin
            | Fun::Cos
            | Fun::Integer(..)
            | Fun::IntOfReal { .. }
            | Fun::Extend { .. }
            | Fun::InRange(_)
            | Fun::Free(..) => Sign::default(),
        }
    }
}

fn is_boolean(atom: &Atom) -> bool {
    match atom {
        Atom::AtLeast(_)
        | Atom::Equal(_)
        | Atom::IntAtLeast(..)
        | Atom::SizeAtLeast(_)
        | Atom::SizeEqual(_)
        | Atom::Big { op: BigOp::All, .. }
        | Atom::Apply(Fun::InRange(_), _)
        | Atom::Apply(Fun::Free(_, DType::Bool), _) => true,
        Atom::Read { dtype, .. } => *dtype == DType::Bool,
        Atom::Opaque(lambda) => lambda.dtype == DType::Bool,
        Atom::Size(_)
        | Atom::Inverse(_)
        | Atom::Exp(_)
        | Atom::Apply(..)
        | Atom::Big { .. }
        | Atom::Infinity
        | Atom::NotANumber
        | Atom::Literal(..) => false,
    }
}
