//! Laws of floats without algebra that hold bit for bit, whatever the operands.

use aiai_ir::{DType, UnaryKind};

use super::Outcome;
use super::free::{ABS, ADD, WIDEN};
use super::term::{Atom, Fun, Mode, Poly, Ring, Terms};

impl Terms {
    /// A sign or a whole number near -p is minus one of p: zeros keep their signs.
    pub fn odd(&mut self, kind: UnaryKind, dtype: DType, x: &Poly) -> Outcome<Poly> {
        let turned = match kind {
            UnaryKind::Floor => UnaryKind::Ceil,
            UnaryKind::Ceil => UnaryKind::Floor,
            _ => kind,
        };
        match self.unsigned(x) {
            (p, true) => {
                let inner = self.free(turned.name(), dtype, vec![p])?;
                self.free_neg(dtype, &inner)
            }
            _ => self.free(kind.name(), dtype, vec![x.clone()]),
        }
    }

    /// Whether the term is an integer as a float: integral, or infinite.
    pub fn of_integer(&self, x: &Poly) -> bool {
        let Some(id) = x.as_atom() else {
            return false;
        };
        matches!(&*self.atom(id), Atom::Apply(Fun::Free(name, _), _) if name.starts_with("from_"))
    }

    /// Whether a power with this exponent is 1, of NaN too.
    pub fn to_the_zeroth(&self, exponent: &Poly) -> bool {
        self.mode == Mode::Free && self.literal(exponent) == Some(0.0)
    }

    pub fn one(&mut self, dtype: DType) -> Outcome<Poly> {
        let atom = self.intern(Atom::Literal(1f64.to_bits(), dtype));
        Ok(Poly::atom(Ring::Real, atom))
    }

    /// sign(p) * |p| is p and sign(p) * p is |p|, for zeros, infinities and NaN too.
    pub fn signed_magnitude(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Option<Poly>> {
        if self.mode != Mode::Free {
            return Ok(None);
        }
        for (a, b) in [(x, y), (y, x)] {
            let Some(sign) = self.parts(a, UnaryKind::Sign.name()) else {
                continue;
            };
            if self.parts(b, ABS).is_some_and(|p| p == sign) {
                return Ok(Some(sign[0].clone()));
            }
            if sign[0] == *b {
                return self.free1(UnaryKind::Abs, dtype, b).map(Some);
            }
        }
        Ok(None)
    }

    /// An extreme of widened numbers is the extreme, widened: that keeps the order, and the numbers apart.
    pub fn widened_extreme(
        &mut self,
        name: &'static str,
        dtype: DType,
        args: &[Poly],
    ) -> Outcome<Option<Poly>> {
        let (mut inner, mut narrow) = (Vec::new(), None);
        for p in args {
            let Some(parts) = self.parts(p, WIDEN).filter(|_| self.mode == Mode::Free) else {
                return Ok(None);
            };
            let own = parts[0].as_atom().and_then(|id| self.float_of(id));
            if own.is_none() || narrow.is_some_and(|narrow| Some(narrow) != own) {
                return Ok(None);
            }
            narrow = own;
            inner.push(parts[0].clone());
        }
        let (Some(narrow), Some((first, rest))) = (narrow, inner.split_first()) else {
            return Ok(None);
        };
        let mut extreme = first.clone();
        for p in rest {
            extreme = self.free_extreme(name, narrow, &extreme, p)?;
        }
        self.free_cast_of(&extreme, narrow, dtype).map(Some)
    }

    /// 0 < p - q is q < p: a difference is 0 only where both are equal, and NaN where both are the same infinity.
    pub fn positive_difference(&self, name: &str, args: &[Poly]) -> Option<Vec<Poly>> {
        let [zero, difference] = args else {
            return None;
        };
        if name != "lt" || self.mode != Mode::Free || self.literal(zero) != Some(0.0) {
            return None;
        }
        let terms = self.parts(difference, ADD)?;
        let [one, other] = terms.as_slice() else {
            return None;
        };
        [(one, other), (other, one)]
            .into_iter()
            .find_map(|(p, q)| match self.unsigned(q) {
                (q, true) => Some(vec![q, p.clone()]),
                _ => None,
            })
    }
}
