//! Casts of floats without algebra: what widening and narrowing do to each other, bit for bit.

use aiai_ir::{CompareKind, DType};

use super::Outcome;
use super::eval::contains;
use super::free::{ADD, DIV, MUL, NEG, WIDEN};
use super::term::{Atom, Fun, Poly, Ring, Terms};

impl Terms {
    pub(super) fn free_cast_of(&mut self, x: &Poly, from: DType, to: DType) -> Outcome<Poly> {
        if from.is_float() && to.is_float() && contains(to, from) {
            if let Some(value) = self.literal(x) {
                let atom = self.intern(Atom::Literal(value.to_bits(), to));
                return Ok(Poly::atom(Ring::Real, atom));
            }
            if let Some(args) = self.parts(x, WIDEN) {
                return self.free(WIDEN, to, args);
            }
            return self.free(WIDEN, to, vec![x.clone()]);
        }
        if from.is_float()
            && to.is_float()
            && let Some(args) = self.parts(x, WIDEN)
            && let Some(inner) = args[0].as_atom()
            && let Some(held) = self.float_of(inner)
        {
            // Narrowing what was widened from as few bits.
            if held == to {
                return Ok(args[0].clone());
            }
            if contains(to, held) {
                return self.free(WIDEN, to, args);
            }
        }
        if from == DType::F32
            && matches!(to, DType::F16 | DType::BF16)
            && let Some(term) = self.narrowed(x, to)?
        {
            return Ok(term);
        }
        let name = match (from.is_float(), to.is_float()) {
            (true, true) => "narrow",
            (true, false) => "to_int",
            _ => "from_int",
        };
        if to == DType::Bool {
            let zero = self.intern(Atom::Literal(0f64.to_bits(), from));
            return self.free_compare(CompareKind::Ne, from, x, &Poly::atom(Ring::Real, zero));
        }
        if name == "to_int" {
            if let Some(args) = self.parts(x, WIDEN)
                && let Some(held) = args[0].as_atom().and_then(|id| self.float_of(id))
            {
                return self.apply(Fun::IntOfReal { from: held, to }, args);
            }
            let fun = Fun::IntOfReal { from, to };
            return self.apply(fun, vec![x.clone()]);
        }
        if name == "from_int"
            && from == DType::Bool
            && let Some(value) = x.as_constant()
        {
            let value = if value.is_zero() { 0f64 } else { 1f64 };
            let atom = self.intern(Atom::Literal(value.to_bits(), to));
            return Ok(Poly::atom(Ring::Real, atom));
        }
        if name == "from_int"
            && let Some(value) = x.as_constant().and_then(|c| c.as_whole())
            && (0..=256).contains(&value)
        {
            let atom = self.intern(Atom::Literal((value as f64).to_bits(), to));
            return Ok(Poly::atom(Ring::Real, atom));
        }
        let name = match (name, from) {
            ("from_int", from) => match from.name() {
                "i8" => "from_i8",
                "i16" => "from_i16",
                "i32" => "from_i32",
                "i64" => "from_i64",
                "u8" => "from_u8",
                "u16" => "from_u16",
                "u32" => "from_u32",
                "u64" => "from_u64",
                _ => "from_bool",
            },
            (name, _) => name,
        };
        self.free(name, to, vec![x.clone()])
    }

    /// An operation in f32 on widened numbers, rounded back: that is what the narrow operation is, where both round
    /// correctly (f32 has more than twice the digits).
    fn narrowed(&mut self, x: &Poly, to: DType) -> Outcome<Option<Poly>> {
        if let Some(args) = self.parts(x, NEG) {
            let Some(inner) = self.narrowed(&args[0].clone(), to)? else {
                return Ok(None);
            };
            return self.free_neg(to, &inner).map(Some);
        }
        let Some(id) = x.as_atom() else {
            return Ok(None);
        };
        let Atom::Apply(Fun::Free(name, DType::F32), args) = (*self.atom(id)).clone() else {
            return Ok(None);
        };
        let mut narrow = Vec::new();
        for arg in &args {
            match self.unwidened(arg, to)? {
                Some(arg) => narrow.push(arg),
                None => return Ok(None),
            }
        }
        match (name, narrow.as_slice()) {
            (ADD, [a, b]) => self.free_add(to, a, b).map(Some),
            (MUL, [a, b]) => self.free_mul(to, a, b).map(Some),
            (DIV, [a, b]) => self.free_div(to, a, b).map(Some),
            // Other functions are not correctly rounded: rounding twice is another number now and then.
            ("sqrt", [_]) => self.free(name, to, narrow).map(Some),
            _ => Ok(None),
        }
    }

    /// The narrow float that a term is, if it was widened from one.
    fn unwidened(&mut self, x: &Poly, to: DType) -> Outcome<Option<Poly>> {
        if let Some(args) = self.parts(x, NEG) {
            let Some(inner) = self.unwidened(&args[0].clone(), to)? else {
                return Ok(None);
            };
            return self.free_neg(to, &inner).map(Some);
        }
        if let Some(args) = self.parts(x, WIDEN) {
            let held = args[0].as_atom().and_then(|id| self.float_of(id));
            return Ok((held == Some(to)).then(|| args[0].clone()));
        }
        Ok(None)
    }

    /// The dtype of an atom that is a float.
    pub fn float_of(&self, atom: super::term::AtomId) -> Option<DType> {
        match &*self.atom(atom) {
            Atom::Read { dtype, .. } => Some(*dtype),
            Atom::Literal(_, dtype) => Some(*dtype),
            Atom::Apply(Fun::Free(_, dtype), _) => Some(*dtype),
            Atom::Opaque(lambda) => Some(lambda.dtype),
            _ => None,
        }
    }
}
