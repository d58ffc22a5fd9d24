//! Values that may be infinite, where floats otherwise obey the laws of real numbers.

use aiai_ir::{BinaryKind, CompareKind, DType, UnaryKind};

use super::Outcome;
use super::eval::{Element, Evaluator};
use super::rational::Rational;
use super::term::{Atom, Poly, Ring, Terms};

impl Evaluator<'_> {
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
        match (kind, a, b) {
            (BinaryKind::Add, Some(up), Some(other)) if up == other => return Ok(x.clone()),
            (BinaryKind::Add | BinaryKind::Sub, Some(_), None) if tame(terms, y) => {
                return Ok(x.clone());
            }
            (BinaryKind::Add, None, Some(_)) if tame(terms, x) => return Ok(y.clone()),
            (BinaryKind::Sub, None, Some(_)) if tame(terms, x) => return terms.neg(y),
            // An infinity times a number of known sign.
            (BinaryKind::Mul, Some(_), None) if terms.sign(y).positive() => return Ok(x.clone()),
            (BinaryKind::Mul, None, Some(_)) if terms.sign(x).positive() => return Ok(y.clone()),
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

    pub fn compare_infinite(&self, kind: CompareKind, x: &Poly, y: &Poly) -> Option<bool> {
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
}
