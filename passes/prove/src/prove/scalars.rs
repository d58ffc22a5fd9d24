//! Elementwise functions of one and two operands, by dtype.

use std::rc::Rc;

use aiai_ir::{BinaryKind, CompareKind, DType, UnaryKind};

use super::eval::{Element, Evaluator, add_clause, contains, joined};
use super::rational::Rational;
use super::sign::Sign;
use super::term::{Fun, Mode, Poly, Ring};
use super::{Outcome, Stop};

impl Evaluator<'_> {
    pub fn unary(&mut self, kind: UnaryKind, dtype: DType, x: &Element) -> Outcome<Element> {
        let mut clauses = (*x.clauses).clone();
        let (term, result) = match dtype {
            DType::Bool => (self.terms.not(&x.term)?, DType::Bool),
            _ if !dtype.is_float() => (self.integer_unary(kind, dtype, &x.term)?, dtype),
            _ if kind.is_predicate() => {
                let term = self
                    .terms
                    .in_cases(std::slice::from_ref(&x.term), &mut |t, args| {
                        t.predicate(kind.name(), &args[0])
                    })?;
                (term, DType::Bool)
            }
            _ if self.terms.mode == Mode::Free => (self.free_unary(kind, dtype, &x.term)?, dtype),
            _ if self.terms.wild(&x.term) => (self.wild_unary(kind, &x.term)?, dtype),
            _ => {
                for clause in self.unary_clauses(kind, &x.term)? {
                    add_clause(&mut clauses, clause);
                }
                (self.real_unary(kind, &x.term)?, dtype)
            }
        };
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: result,
        })
    }

    fn integer_unary(&mut self, kind: UnaryKind, dtype: DType, x: &Poly) -> Outcome<Poly> {
        let minus_one = Poly::constant(x.ring, Rational::whole(-1));
        match kind {
            UnaryKind::Neg => self.terms.neg(x),
            UnaryKind::Not => self.terms.sub(&minus_one, x),
            UnaryKind::Abs if !dtype.is_signed() => Ok(x.clone()),
            UnaryKind::Abs => {
                let zero = Poly::zero(x.ring);
                let up = self.terms.compare(CompareKind::Ge, x, &zero, true)?;
                let down = self.terms.neg(x)?;
                self.terms.choose(&up, x, &down)
            }
            UnaryKind::Sign => {
                let zero = Poly::zero(x.ring);
                let one = Poly::one(x.ring);
                let equal = self.terms.equal(x)?;
                let signed = if dtype.is_signed() {
                    let up = self.terms.compare(CompareKind::Ge, x, &zero, true)?;
                    self.terms.choose(&up, &one, &minus_one)?
                } else {
                    one
                };
                self.terms.choose(&equal, &zero, &signed)
            }
            UnaryKind::Floor
            | UnaryKind::Ceil
            | UnaryKind::Round
            | UnaryKind::Exp
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
            | UnaryKind::IsNan
            | UnaryKind::IsFinite => Err(Stop::unsupported(format!(
                "`{}` of an integer",
                kind.name()
            ))),
        }
    }

    fn real_unary(&mut self, kind: UnaryKind, x: &Poly) -> Outcome<Poly> {
        let terms = &mut *self.terms;
        let one = Poly::one(Ring::Real);
        match kind {
            UnaryKind::Neg => terms.neg(x),
            UnaryKind::Abs => terms.absolute(x),
            UnaryKind::Sign => {
                let up = terms.at_least(x)?;
                let equal = terms.equal(x)?;
                let twice = terms.scale(&up, Rational::whole(2))?;
                let shifted = terms.sub(&twice, &one)?;
                terms.sub(&shifted, &equal)
            }
            UnaryKind::Floor => terms.function(Fun::Floor, x),
            UnaryKind::Ceil => {
                let down = terms.neg(x)?;
                let floor = terms.function(Fun::Floor, &down)?;
                terms.neg(&floor)
            }
            UnaryKind::Round => terms.function(Fun::Round, x),
            UnaryKind::Exp => terms.exp(x),
            UnaryKind::Expm1 => {
                let exp = terms.exp(x)?;
                terms.sub(&exp, &one)
            }
            UnaryKind::Exp2 => {
                let two = Poly::constant(Ring::Real, Rational::whole(2));
                let factor = terms.log(&two)?;
                let power = terms.mul(x, &factor)?;
                terms.exp(&power)
            }
            UnaryKind::Log => terms.log(x),
            UnaryKind::Log1p => {
                let above = terms.add(x, &one)?;
                let sign = terms.known.lasting(|| terms.sign(x).plus(Sign::POSITIVE));
                terms.note(&above, sign);
                terms.log(&above)
            }
            UnaryKind::Sqrt => terms.sqrt(x),
            UnaryKind::Rsqrt => {
                let root = terms.sqrt(x)?;
                terms.inverse(&root)
            }
            UnaryKind::Tanh => terms.function(Fun::Tanh, x),
            UnaryKind::Sin => terms.function(Fun::Sin, x),
            UnaryKind::Cos => terms.function(Fun::Cos, x),
            UnaryKind::Erf => terms.function(Fun::Erf, x),
            UnaryKind::Not | UnaryKind::IsNan | UnaryKind::IsFinite => Err(Stop::unsupported(
                format!("`{}` of a real number", kind.name()),
            )),
        }
    }

    fn unary_clauses(&mut self, kind: UnaryKind, x: &Poly) -> Outcome<Vec<Poly>> {
        let one = Poly::one(Ring::Real);
        match kind {
            UnaryKind::Log | UnaryKind::Rsqrt => self.positive(x),
            UnaryKind::Log1p => {
                let above = self.terms.add(x, &one)?;
                let sign = self.terms.known.lasting(|| self.terms.sign(x));
                self.terms.note(&above, sign.plus(Sign::POSITIVE));
                self.positive(&above)
            }
            UnaryKind::Sqrt => Ok(vec![self.terms.at_least(x)?]),
            UnaryKind::Neg
            | UnaryKind::Abs
            | UnaryKind::Sign
            | UnaryKind::Floor
            | UnaryKind::Ceil
            | UnaryKind::Round
            | UnaryKind::Exp
            | UnaryKind::Expm1
            | UnaryKind::Exp2
            | UnaryKind::Tanh
            | UnaryKind::Sin
            | UnaryKind::Cos
            | UnaryKind::Erf
            | UnaryKind::Not
            | UnaryKind::IsNan
            | UnaryKind::IsFinite => Ok(Vec::new()),
        }
    }

    /// x > 0, as conditions.
    fn positive(&mut self, x: &Poly) -> Outcome<Vec<Poly>> {
        let mut clauses = vec![self.terms.at_least(x)?];
        clauses.extend(self.not_zero(x)?);
        Ok(clauses)
    }

    /// x != 0, a condition per factor.
    fn not_zero(&mut self, x: &Poly) -> Outcome<Vec<Poly>> {
        if self.terms.condition(std::slice::from_ref(x)).is_some() || x.terms.len() != 1 {
            let equal = self.terms.equal(x)?;
            return Ok(vec![self.terms.not(&equal)?]);
        }
        let mut clauses = Vec::new();
        for (atom, _) in x.terms[0].0.clone() {
            let equal = self.terms.equal(&Poly::atom(Ring::Real, atom))?;
            clauses.push(self.terms.not(&equal)?);
        }
        Ok(clauses)
    }

    pub fn binary(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        a: &Element,
        b: &Element,
    ) -> Outcome<Element> {
        self.binary_of(kind, dtype, (a, b), None)
    }

    /// The same, where `b` may be known to be the quotient of two others.
    pub fn binary_of(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        (a, b): (&Element, &Element),
        quotient: Option<&[Element; 2]>,
    ) -> Outcome<Element> {
        let mut clauses = (*joined(&[a, b])).clone();
        let (x, y) = (&a.term, &b.term);
        let mut forgiven = Vec::new();
        let term = if dtype == DType::Bool {
            self.logic(kind, x, y)?
        } else if !dtype.is_float() {
            self.integer_binary(kind, dtype, x, y)?
        } else if self.terms.mode == Mode::Free {
            self.free_binary(kind, dtype, x, y)?
        } else if self.terms.wild(x) || self.terms.wild(y) {
            self.wild_binary(kind, x, y)?
        } else {
            if let Some([p, q]) = quotient {
                // Divided by a quotient whose divisor is 0, finite numbers give 0, as they do here. What its parts ask
                // for by themselves stays.
                let kept = |c: &Poly| [a, p, q].iter().any(|part| part.clauses.contains(c));
                forgiven = self.infinite_divisors(y)?;
                forgiven.retain(|c| !kept(c));
                clauses.retain(|c| !forgiven.contains(c));
            }
            for clause in self.binary_clauses(kind, x, y)? {
                if forgiven.contains(&clause) {
                    continue;
                }
                add_clause(&mut clauses, clause);
            }
            let term = self.real_binary(kind, x, y)?;
            let sign = self.terms.known.lasting(|| self.binary_sign(kind, x, y));
            self.terms.note(&term, sign);
            term
        };
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: dtype,
        })
    }

    /// Conditions without which a divisor is infinite and no more: it is a product with 1/p, p nowhere else.
    fn infinite_divisors(&mut self, y: &Poly) -> Outcome<Vec<Poly>> {
        let [(mono, _)] = y.terms.as_slice() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (at, (id, power)) in mono.clone().into_iter().enumerate() {
            let super::term::Atom::Inverse(p) = (*self.terms.atom(id)).clone() else {
                continue;
            };
            let Some(mut inner) = p.as_atom() else {
                continue;
            };
            if let super::term::Atom::Apply(Fun::Sqrt, args) = (*self.terms.atom(inner)).clone()
                && let Some(under) = args[0].as_atom()
            {
                let root = self.terms.equal(&Poly::atom(Ring::Real, inner))?;
                found.push(self.terms.not(&root)?);
                inner = under;
            }
            let others = mono.iter().enumerate().filter(|(k, _)| *k != at);
            let alone = others
                .map(|(_, f)| f.0)
                .all(|other| !self.terms.holds_atom(other, inner));
            if alone && power > 0 {
                let zero = self.terms.equal(&Poly::atom(Ring::Real, inner))?;
                found.push(self.terms.not(&zero)?);
            }
        }
        Ok(found)
    }

    fn binary_sign(&self, kind: BinaryKind, x: &Poly, y: &Poly) -> Sign {
        let (a, b) = (self.terms.sign(x), self.terms.sign(y));
        match kind {
            BinaryKind::Add => a.plus(b),
            BinaryKind::Sub => a.plus(b.flipped()),
            BinaryKind::Mul if x == y => Sign {
                at_least_zero: true,
                at_most_zero: false,
                not_zero: a.not_zero,
            },
            BinaryKind::Mul | BinaryKind::Div => a.times(b),
            BinaryKind::Max if a.positive() || b.positive() => Sign::POSITIVE,
            BinaryKind::Max if a.at_least_zero || b.at_least_zero => Sign::AT_LEAST_ZERO,
            BinaryKind::Pow if a.positive() => Sign::POSITIVE,
            _ => Sign::default(),
        }
    }

    fn real_binary(&mut self, kind: BinaryKind, x: &Poly, y: &Poly) -> Outcome<Poly> {
        let terms = &mut *self.terms;
        match kind {
            BinaryKind::Add => terms.add(x, y),
            BinaryKind::Sub => terms.sub(x, y),
            BinaryKind::Mul => terms.mul(x, y),
            BinaryKind::Div => {
                let inverse = terms.inverse(y)?;
                terms.mul(x, &inverse)
            }
            BinaryKind::Rem => {
                let inverse = terms.inverse(y)?;
                let ratio = terms.mul(x, &inverse)?;
                let floor = terms.function(Fun::Floor, &ratio)?;
                let multiple = terms.mul(y, &floor)?;
                terms.sub(x, &multiple)
            }
            BinaryKind::Pow => terms.pow(x, y),
            BinaryKind::Max => terms.maximum(x, y),
            BinaryKind::Min => terms.minimum(x, y),
            BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => Err(Stop::unsupported(format!(
                "`{}` of real numbers",
                kind.name()
            ))),
        }
    }

    fn binary_clauses(&mut self, kind: BinaryKind, x: &Poly, y: &Poly) -> Outcome<Vec<Poly>> {
        match kind {
            BinaryKind::Div | BinaryKind::Rem => self.not_zero(y),
            BinaryKind::Pow => {
                let Some(exponent) = y.as_constant() else {
                    return self.positive(x);
                };
                match (exponent.as_whole(), exponent.is_negative()) {
                    (Some(_), false) => Ok(Vec::new()),
                    (Some(_), true) => self.not_zero(x),
                    (None, false) => Ok(vec![self.terms.at_least(x)?]),
                    (None, true) => self.positive(x),
                }
            }
            BinaryKind::Add
            | BinaryKind::Sub
            | BinaryKind::Mul
            | BinaryKind::Max
            | BinaryKind::Min
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => Ok(Vec::new()),
        }
    }

    fn logic(&mut self, kind: BinaryKind, x: &Poly, y: &Poly) -> Outcome<Poly> {
        let terms = &mut *self.terms;
        let both = terms.mul(x, y)?;
        match kind {
            BinaryKind::And => Ok(both),
            BinaryKind::Or => {
                let sum = terms.add(x, y)?;
                terms.sub(&sum, &both)
            }
            BinaryKind::Xor => {
                let sum = terms.add(x, y)?;
                let twice = terms.scale(&both, Rational::whole(2))?;
                terms.sub(&sum, &twice)
            }
            BinaryKind::Add
            | BinaryKind::Sub
            | BinaryKind::Mul
            | BinaryKind::Div
            | BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::Max
            | BinaryKind::Min
            | BinaryKind::Shl
            | BinaryKind::Shr => Err(Stop::unsupported(format!("`{}` of booleans", kind.name()))),
        }
    }

    fn integer_binary(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Poly> {
        match kind {
            BinaryKind::Add => self.terms.add(x, y),
            BinaryKind::Sub => self.terms.sub(x, y),
            BinaryKind::Mul => self.terms.mul(x, y),
            BinaryKind::Max => self.terms.maximum(x, y),
            BinaryKind::Min => self.terms.minimum(x, y),
            BinaryKind::Div
            | BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => self.terms.integer_function(kind, dtype, x, y),
        }
    }

    pub fn cast(&mut self, x: &Element, from: DType, to: DType) -> Outcome<Element> {
        if from == to {
            return Ok(x.clone());
        }
        let mut held_by = to;
        let term = match (from.is_float(), to) {
            _ if self.terms.mode == Mode::Free && (from.is_float() || to.is_float()) => {
                return self.free_cast(x, from, to);
            }
            (true, DType::Bool) => {
                let zero = Poly::zero(Ring::Real);
                self.compare_floats(CompareKind::Ne, from, &x.term, &zero)?
            }
            (true, _) if to.is_float() => {
                if contains(to, x.held_by) {
                    held_by = x.held_by;
                    x.term.clone()
                } else {
                    self.narrow(to, &x.term)?
                }
            }
            (true, _) => {
                let through = x.held_by;
                self.terms
                    .in_cases(std::slice::from_ref(&x.term), &mut |t, args| {
                        t.int_of_real(&args[0], from, through, to)
                    })?
            }
            (false, DType::Bool) => {
                let equal = self.terms.equal(&x.term)?;
                self.terms.not(&equal)?
            }
            (false, _) if to.is_float() => self.terms.real_of_int(&x.term, from)?,
            (false, _) if from == DType::Bool => self.terms.in_ring(&x.term, Ring::of(to))?,
            (false, _) => self.terms.resized(&x.term, from, to)?,
        };
        Ok(Element {
            term,
            clauses: Rc::clone(&x.clauses),
            held_by,
        })
    }

    /// Rounded to a narrower float: what is a small whole number stays.
    fn narrow(&mut self, to: DType, x: &Poly) -> Outcome<Poly> {
        self.terms
            .in_cases(std::slice::from_ref(x), &mut |t, args| {
                if let Some(value) = args[0].as_constant().and_then(|c| c.as_whole())
                    && value.abs() <= 256
                {
                    return Ok(args[0].clone());
                }
                if t.wild(&args[0]) {
                    return t.apply(Fun::Free("cast", to), args.to_vec());
                }
                t.apply(Fun::Narrow(to), args.to_vec())
            })
    }
}
