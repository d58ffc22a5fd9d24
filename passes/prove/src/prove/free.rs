//! Floats without algebra: terms that are equal only where the bits are.
//!
//! Used for the float axis, and in real mode for values that may be infinite. The laws here hold bit for bit in
//! IEEE 754 as the op table fixes it, the payload and sign of NaN aside.

use aiai_ir::{BinaryKind, CompareKind, DType, UnaryKind};

use super::Outcome;
use super::eval::{Element, Evaluator};
use super::rational::Rational;
use super::term::{Atom, Fun, Mode, Poly, Ring, Terms};

/// Names of functions of no laws.
pub(super) const NEG: &str = "neg";
pub(super) const ABS: &str = "abs";
pub(super) const ADD: &str = "add";
pub(super) const MUL: &str = "mul";
pub(super) const DIV: &str = "div";
const MAX: &str = "max";
const MIN: &str = "min";
pub(super) const WIDEN: &str = "widen";

impl Evaluator<'_> {
    pub fn free_unary(&mut self, kind: UnaryKind, dtype: DType, x: &Poly) -> Outcome<Poly> {
        self.terms
            .in_cases(std::slice::from_ref(x), &mut |t, args| {
                t.free1(kind, dtype, &args[0])
            })
    }

    pub fn free_binary(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Poly> {
        self.terms
            .in_cases(&[x.clone(), y.clone()], &mut |t, args| {
                t.free2(kind, dtype, &args[0], &args[1])
            })
    }

    /// A comparison of floats, as reals where the laws of reals hold.
    pub fn compare_floats(
        &mut self,
        kind: CompareKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Poly> {
        let wild = self.terms.wild(x) || self.terms.wild(y);
        if self.terms.mode == Mode::Real && !wild {
            return self.terms.compare(kind, x, y, true);
        }
        self.terms
            .in_cases(&[x.clone(), y.clone()], &mut |t, args| {
                let (x, y) = (&args[0], &args[1]);
                if t.mode == Mode::Real {
                    if !t.wild(x) && !t.wild(y) {
                        return t.compare(kind, x, y, true);
                    }
                    if let Some(holds) = t.compare_infinite(kind, x, y) {
                        let value = Rational::whole(i64::from(holds));
                        return Ok(Poly::constant(Ring::Real, value));
                    }
                }
                t.free_compare(kind, dtype, x, y)
            })
    }

    /// Casts between floats and others without algebra.
    pub fn free_cast(&mut self, x: &Element, from: DType, to: DType) -> Outcome<Element> {
        let term = self
            .terms
            .in_cases(std::slice::from_ref(&x.term), &mut |t, args| {
                t.free_cast_of(&args[0], from, to)
            })?;
        Ok(Element {
            term,
            clauses: x.clauses.clone(),
            held_by: to,
        })
    }

    /// A function of what may be infinite, in real mode.
    pub fn wild_unary(&mut self, kind: UnaryKind, x: &Poly) -> Outcome<Poly> {
        let mut finite = None;
        if self.terms.condition(std::slice::from_ref(x)).is_some() {
            // Each case by itself: one may be finite.
            let atom = self.terms.condition(std::slice::from_ref(x));
            if let Some(atom) = atom {
                let mut cases = Vec::new();
                for holds in [true, false] {
                    let case = self.terms.assign(x, atom, holds)?;
                    let element = Element::plain(case, DType::F64);
                    cases.push(self.unary(kind, DType::F64, &element)?);
                }
                let condition = Element::plain(Poly::atom(Ring::Real, atom), DType::Bool);
                finite = Some(self.select(&condition, &cases[0], &cases[1])?.term);
            }
        }
        if let Some(term) = finite {
            return Ok(term);
        }
        let terms = &mut *self.terms;
        match (kind, terms.infinite(x)) {
            (UnaryKind::Neg, _) => terms.neg(x),
            (UnaryKind::Exp, Some(false)) => Ok(Poly::zero(Ring::Real)),
            (UnaryKind::Tanh | UnaryKind::Erf | UnaryKind::Sign, Some(up)) => {
                let value = Rational::whole(if up { 1 } else { -1 });
                Ok(Poly::constant(Ring::Real, value))
            }
            (UnaryKind::Exp | UnaryKind::Sqrt | UnaryKind::Abs, Some(true)) => Ok(x.clone()),
            (UnaryKind::Abs, Some(false)) => terms.neg(x),
            (UnaryKind::Floor | UnaryKind::Ceil | UnaryKind::Round, Some(_)) => Ok(x.clone()),
            _ => terms.free1(kind, DType::F64, x),
        }
    }

    pub fn wild_binary(&mut self, kind: BinaryKind, x: &Poly, y: &Poly) -> Outcome<Poly> {
        if let Some(atom) = self.terms.condition(&[x.clone(), y.clone()]) {
            let mut cases = Vec::new();
            for holds in [true, false] {
                let a = Element::plain(self.terms.assign(x, atom, holds)?, DType::F64);
                let b = Element::plain(self.terms.assign(y, atom, holds)?, DType::F64);
                cases.push(self.binary(kind, DType::F64, &a, &b)?);
            }
            let condition = Element::plain(Poly::atom(Ring::Real, atom), DType::Bool);
            return Ok(self.select(&condition, &cases[0], &cases[1])?.term);
        }
        let terms = &mut *self.terms;
        let (a, b) = (terms.infinite(x), terms.infinite(y));
        let tame = |t: &Terms, p: &Poly| !t.wild(p);
        for (infinity, up, other) in [(x, a, y), (y, b, x)] {
            if kind == BinaryKind::Mul && up.is_some() && tame(terms, other) {
                let sign = terms.sign(other);
                if sign.positive() {
                    return Ok(infinity.clone());
                }
                if sign.negative() {
                    return terms.neg(infinity);
                }
            }
        }
        match (kind, a, b) {
            (BinaryKind::Add, Some(up), Some(other)) if up == other => return Ok(x.clone()),
            (BinaryKind::Add | BinaryKind::Sub, Some(_), None) if tame(terms, y) => {
                return Ok(x.clone());
            }
            (BinaryKind::Add, None, Some(_)) if tame(terms, x) => return Ok(y.clone()),
            (BinaryKind::Sub, None, Some(_)) if tame(terms, x) => return terms.neg(y),
            (BinaryKind::Div, None, Some(_)) if tame(terms, x) => {
                return Ok(Poly::zero(Ring::Real));
            }
            (BinaryKind::Max, Some(false), None) if tame(terms, y) => return Ok(y.clone()),
            (BinaryKind::Max, None, Some(false)) if tame(terms, x) => return Ok(x.clone()),
            (BinaryKind::Max, Some(true), None) if tame(terms, y) => return Ok(x.clone()),
            (BinaryKind::Max, None, Some(true)) if tame(terms, x) => return Ok(y.clone()),
            (BinaryKind::Min, Some(true), None) if tame(terms, y) => return Ok(y.clone()),
            (BinaryKind::Min, None, Some(true)) if tame(terms, x) => return Ok(x.clone()),
            (BinaryKind::Min, Some(false), None) if tame(terms, y) => return Ok(x.clone()),
            (BinaryKind::Min, None, Some(false)) if tame(terms, x) => return Ok(y.clone()),
            _ => {}
        }
        terms.free2(kind, DType::F64, x, y)
    }
}

impl Terms {
    /// Whether the term is an infinity, and which.
    pub fn infinite(&self, p: &Poly) -> Option<bool> {
        let [(mono, value)] = p.terms.as_slice() else {
            return None;
        };
        let [(atom, 1)] = mono.as_slice() else {
            return None;
        };
        let is = matches!(&*self.atom(*atom), Atom::Infinity) && value.abs() == Rational::ONE;
        is.then(|| !value.is_negative())
    }

    fn compare_infinite(&self, kind: CompareKind, x: &Poly, y: &Poly) -> Option<bool> {
        let order = match (self.infinite(x), self.infinite(y)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(up), None) if !self.wild(y) => up.cmp(&!up),
            (None, Some(up)) if !self.wild(x) => (!up).cmp(&up),
            _ => return None,
        };
        Some(match kind {
            CompareKind::Eq => order.is_eq(),
            CompareKind::Ne => order.is_ne(),
            CompareKind::Lt => order.is_lt(),
            CompareKind::Le => order.is_le(),
            CompareKind::Gt => order.is_gt(),
            CompareKind::Ge => order.is_ge(),
        })
    }

    pub(super) fn free(
        &mut self,
        name: &'static str,
        dtype: DType,
        args: Vec<Poly>,
    ) -> Outcome<Poly> {
        self.apply(Fun::Free(name, dtype), args)
    }

    /// The arguments, where the term is the named function of them.
    pub(super) fn parts(&self, p: &Poly, wanted: &str) -> Option<Vec<Poly>> {
        match &*self.atom(p.as_atom()?) {
            Atom::Apply(Fun::Free(name, dtype), args)
                if *name == wanted && *dtype != DType::Bool =>
            {
                Some(args.clone())
            }
            _ => None,
        }
    }

    /// The value of a finite constant and whether it is a negative zero.
    pub(super) fn literal(&self, p: &Poly) -> Option<f64> {
        match *self.atom(p.as_atom()?) {
            Atom::Literal(bits, _) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    pub(super) fn free_neg(&mut self, dtype: DType, x: &Poly) -> Outcome<Poly> {
        if self.mode == Mode::Real {
            return self.neg(x);
        }
        if let Some(args) = self.parts(x, NEG) {
            return Ok(args[0].clone());
        }
        if let Some(value) = self.literal(x) {
            let atom = self.intern(Atom::Literal((-value).to_bits(), dtype));
            return Ok(Poly::atom(Ring::Real, atom));
        }
        self.free(NEG, dtype, vec![x.clone()])
    }

    pub(super) fn free1(&mut self, kind: UnaryKind, dtype: DType, x: &Poly) -> Outcome<Poly> {
        match kind {
            UnaryKind::Neg => self.free_neg(dtype, x),
            UnaryKind::Abs => {
                if let Some(args) = self.parts(x, NEG) {
                    return self.free1(kind, dtype, &args[0].clone());
                }
                if self.parts(x, ABS).is_some() || self.parts(x, UnaryKind::Sqrt.name()).is_some() {
                    // The root of -0 is -0: its magnitude is another.
                    if self.parts(x, ABS).is_some() {
                        return Ok(x.clone());
                    }
                }
                self.free(ABS, dtype, vec![x.clone()])
            }
            UnaryKind::Floor | UnaryKind::Ceil | UnaryKind::Round => {
                let whole = [UnaryKind::Floor, UnaryKind::Ceil, UnaryKind::Round];
                let integral = whole.iter().any(|k| self.parts(x, k.name()).is_some());
                if integral || self.of_integer(x) {
                    return Ok(x.clone());
                }
                self.odd(kind, dtype, x)
            }
            UnaryKind::Sign => self.odd(kind, dtype, x),
            UnaryKind::Exp
            | UnaryKind::Expm1
            | UnaryKind::Exp2
            | UnaryKind::Log
            | UnaryKind::Log1p
            | UnaryKind::Sqrt
            | UnaryKind::Rsqrt
            | UnaryKind::Tanh
            | UnaryKind::Sin
            | UnaryKind::Cos
            | UnaryKind::Erf
            | UnaryKind::Not
            | UnaryKind::IsNan
            | UnaryKind::IsFinite => self.free(kind.name(), dtype, vec![x.clone()]),
        }
    }

    fn free2(&mut self, kind: BinaryKind, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
        match kind {
            BinaryKind::Add => self.free_add(dtype, x, y),
            // a - b is a + (-b), bit for bit.
            BinaryKind::Sub => {
                let negated = self.free_neg(dtype, y)?;
                self.free_add(dtype, x, &negated)
            }
            BinaryKind::Mul => self.free_mul(dtype, x, y),
            BinaryKind::Div => self.free_div(dtype, x, y),
            BinaryKind::Max => self.free_extreme(MAX, dtype, x, y),
            BinaryKind::Min => self.free_extreme(MIN, dtype, x, y),
            BinaryKind::Pow if self.to_the_zeroth(y) => self.one(dtype),
            BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => self.free(kind.name(), dtype, vec![x.clone(), y.clone()]),
        }
    }

    pub(super) fn free_add(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
        if self.mode == Mode::Free {
            // x + -0 is x for every x; x + 0 is not, for x = -0.
            for (a, b) in [(x, y), (y, x)] {
                if self
                    .literal(b)
                    .is_some_and(|v| v == 0.0 && v.is_sign_negative())
                {
                    return Ok(a.clone());
                }
            }
        }
        let mut args = vec![x.clone(), y.clone()];
        args.sort();
        self.free(ADD, dtype, args)
    }

    /// The term without its sign, and whether it had one.
    pub(super) fn unsigned(&self, x: &Poly) -> (Poly, bool) {
        match self.parts(x, NEG) {
            Some(args) if self.mode == Mode::Free => (args[0].clone(), true),
            _ => (x.clone(), false),
        }
    }

    pub(super) fn free_mul(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
        let ((a, first), (b, second)) = (self.unsigned(x), self.unsigned(y));
        let negative = first != second;
        let mut product = None;
        if self.mode == Mode::Free {
            for (p, q) in [(&a, &b), (&b, &a)] {
                match self.literal(p) {
                    Some(1.0) => product = Some(q.clone()),
                    Some(-1.0) => product = Some(self.free_neg(dtype, q)?),
                    Some(2.0) => product = Some(self.free_add(dtype, q, q)?),
                    Some(v) if v < 0.0 => {
                        let positive = self.free_neg(dtype, p)?;
                        let rest = self.free_mul(dtype, &positive, q)?;
                        product = Some(self.free_neg(dtype, &rest)?);
                    }
                    _ => {}
                }
                if product.is_some() {
                    break;
                }
            }
        }
        if product.is_none() {
            product = self.signed_magnitude(dtype, &a, &b)?;
        }
        let product = match product {
            Some(product) => product,
            None => {
                let mut args = vec![a, b];
                args.sort();
                self.free(MUL, dtype, args)?
            }
        };
        if negative {
            self.free_neg(dtype, &product)
        } else {
            Ok(product)
        }
    }

    pub(super) fn free_div(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
        let ((a, first), (b, second)) = (self.unsigned(x), self.unsigned(y));
        let quotient = match self.literal(&b) {
            // Powers of two have exact reciprocals, where those are normal numbers of the dtype.
            Some(v) if self.mode == Mode::Free && power_of_two(v) => {
                let atom = self.intern(Atom::Literal((1.0 / v).to_bits(), dtype));
                self.free_mul(dtype, &a, &Poly::atom(Ring::Real, atom))?
            }
            _ => self.free(DIV, dtype, vec![a, b])?,
        };
        if first != second {
            self.free_neg(dtype, &quotient)
        } else {
            Ok(quotient)
        }
    }

    /// Extremes are associative, commutative and idempotent: NaN wins, +0 is above -0.
    pub(super) fn free_extreme(
        &mut self,
        name: &'static str,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Poly> {
        let mut args = Vec::new();
        for p in [x, y] {
            match self.parts(p, name) {
                Some(more) => args.extend(more),
                None => args.push(p.clone()),
            }
        }
        args.sort();
        args.dedup();
        if let [only] = args.as_slice() {
            return Ok(only.clone());
        }
        if let Some(extreme) = self.widened_extreme(name, dtype, &args)? {
            return Ok(extreme);
        }
        // min(-a, -b) is -max(a, b).
        if self.mode == Mode::Free && args.iter().all(|p| self.parts(p, NEG).is_some()) {
            let other = if name == MAX { MIN } else { MAX };
            let mut total: Option<Poly> = None;
            for p in &args {
                let (p, _) = self.unsigned(p);
                total = Some(match total {
                    None => p,
                    Some(total) => self.free_extreme(other, dtype, &total, &p)?,
                });
            }
            if let Some(total) = total {
                return self.free_neg(dtype, &total);
            }
        }
        self.free(name, dtype, args)
    }

    /// Whether a float is NaN, or finite: its sign does not matter.
    pub fn predicate(&mut self, name: &'static str, x: &Poly) -> Outcome<Poly> {
        for sign in [NEG, ABS] {
            if let Some(args) = self.parts(x, sign) {
                return self.predicate(name, &args[0].clone());
            }
        }
        if let Some(value) = self.literal(x) {
            let holds = match name {
                "is_nan" => value.is_nan(),
                _ => value.is_finite(),
            };
            return Ok(Poly::constant(
                Ring::Real,
                Rational::whole(i64::from(holds)),
            ));
        }
        if name == "is_nan" && self.of_integer(x) {
            return Ok(Poly::zero(Ring::Real));
        }
        self.free(name, DType::Bool, vec![x.clone()])
    }

    /// a > b is b < a; NaN makes every order false, so `not` of one is not another.
    pub(super) fn free_compare(
        &mut self,
        kind: CompareKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Poly> {
        let (name, mut args) = match kind {
            CompareKind::Eq | CompareKind::Ne => ("eq", vec![x.clone(), y.clone()]),
            CompareKind::Lt => ("lt", vec![x.clone(), y.clone()]),
            CompareKind::Gt => ("lt", vec![y.clone(), x.clone()]),
            CompareKind::Le => ("le", vec![x.clone(), y.clone()]),
            CompareKind::Ge => ("le", vec![y.clone(), x.clone()]),
        };
        if name == "eq" {
            args.sort();
            if args[0] == args[1] && self.mode == Mode::Free {
                // Only NaN differs from itself.
                let nan = self.predicate("is_nan", &args[0].clone())?;
                return if kind == CompareKind::Ne {
                    Ok(nan)
                } else {
                    self.not(&nan)
                };
            }
        }
        let infinite = |t: &Terms, p: &Poly| t.literal(p).is_some_and(|v| v == f64::INFINITY);
        if name == "lt"
            && infinite(self, &args[1])
            && let Some(inner) = self.parts(&args[0], ABS)
        {
            return self.predicate("is_finite", &inner[0].clone());
        }
        if let Some(sides) = self.positive_difference(name, &args) {
            args = sides;
        }
        // -a < -b is b < a.
        if self.mode == Mode::Free && args.iter().all(|p| self.parts(p, NEG).is_some()) {
            let unsigned: Vec<Poly> = args.iter().map(|p| self.unsigned(p).0).collect();
            args = if name == "eq" {
                let mut args = unsigned;
                args.sort();
                args
            } else {
                unsigned.into_iter().rev().collect()
            };
        }
        let _ = dtype;
        let holds = self.free(name, DType::Bool, args)?;
        if kind == CompareKind::Ne {
            self.not(&holds)
        } else {
            Ok(holds)
        }
    }
}

/// Whether a division by the value is exact multiplication in every float dtype.
fn power_of_two(value: f64) -> bool {
    let small = value.is_finite() && value.abs() >= 2f64.powi(-13) && value.abs() <= 2f64.powi(13);
    small && value.abs().log2().fract() == 0.0
}
