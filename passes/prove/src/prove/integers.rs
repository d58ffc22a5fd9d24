//! Integers modulo 2^n where they leave the ring: division, bits, and changes of width.

use aiai_ir::{BinaryKind, DType, Dim};

use super::rational::Rational;
use super::term::{Atom, Fun, Poly, Ring, Terms};
use super::{Outcome, Stop};

impl Terms {
    /// Division, remainder, powers, bits and shifts.
    pub fn integer_function(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Poly> {
        self.in_cases(&[x.clone(), y.clone()], &mut |t, args| {
            let (x, y) = (&args[0], &args[1]);
            if let Some(value) = t.integer_law(kind, dtype, x, y)? {
                return Ok(value);
            }
            let mut args = vec![x.clone(), y.clone()];
            if kind.is_commutative() {
                args.sort();
            }
            t.apply(Fun::Integer(kind.name(), dtype), args)
        })
    }

    fn integer_law(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Option<Poly>> {
        let ring = x.ring;
        let constant = y.as_constant().and_then(|c| c.as_whole());
        if let (Some(a), Some(b)) = (x.as_constant(), y.as_constant())
            && let (Some(a), Some(b)) = (a.as_whole(), b.as_whole())
        {
            return folded(kind, dtype, a, b)
                .map(|v| Rational::new(v, 1).map(|v| Poly::constant(ring, v)))
                .transpose();
        }
        match (kind, constant) {
            (BinaryKind::Div | BinaryKind::Rem, _) if x.is_zero() => Ok(Some(Poly::zero(ring))),
            (BinaryKind::Div, Some(1)) => Ok(Some(x.clone())),
            (BinaryKind::Div | BinaryKind::Rem, Some(0)) | (BinaryKind::Rem, Some(1)) => {
                Ok(Some(Poly::zero(ring)))
            }
            (BinaryKind::Pow, _) if x.is_one() => Ok(Some(x.clone())),
            (BinaryKind::Pow, Some(power @ 0..=8)) => self.power(x, power as u32).map(Some),
            (BinaryKind::Shl | BinaryKind::Shr, Some(0)) => Ok(Some(x.clone())),
            (BinaryKind::Shl, Some(by)) if by > 0 && by < i128::from(ring.bits().unwrap_or(64)) => {
                self.scale(x, Rational::new(1i128 << by, 1)?).map(Some)
            }
            (BinaryKind::And | BinaryKind::Or | BinaryKind::Xor, _)
                if self.bits_within(kind, x).len() + self.bits_within(kind, y).len() > 2 =>
            {
                self.gathered(kind, dtype, x, y).map(Some)
            }
            (BinaryKind::And | BinaryKind::Or, _) if x == y => Ok(Some(x.clone())),
            (BinaryKind::Xor, _) if x == y => Ok(Some(Poly::zero(ring))),
            (BinaryKind::Div | BinaryKind::Rem, _) => {
                if let Some(value) = self.size_division(kind, dtype, x, y)? {
                    return Ok(Some(value));
                }
                if kind == BinaryKind::Rem {
                    return self.remainder(dtype, x, y).map(Some);
                }
                // A remainder is less than its divisor.
                Ok(self.is_remainder(x, y)?.then(|| Poly::zero(ring)))
            }
            (BinaryKind::And, _) if x.is_zero() || y.is_zero() => Ok(Some(Poly::zero(ring))),
            (BinaryKind::Or | BinaryKind::Xor, _) if y.is_zero() => Ok(Some(x.clone())),
            (BinaryKind::Or | BinaryKind::Xor, _) if x.is_zero() => Ok(Some(y.clone())),
            (BinaryKind::And, Some(-1)) => Ok(Some(x.clone())),
            (BinaryKind::And, _) if x.as_constant() == Some(Rational::whole(-1)) => {
                Ok(Some(y.clone()))
            }
            _ => Ok(None),
        }
    }

    /// What an operation on bits is taken of, where it is taken of itself.
    fn bits_within(&self, kind: BinaryKind, x: &Poly) -> Vec<Poly> {
        if let Some(id) = x.as_atom()
            && let Atom::Apply(Fun::Integer(name, _), args) = &*self.atom(id)
            && *name == kind.name()
        {
            return args
                .iter()
                .flat_map(|p| self.bits_within(kind, p))
                .collect();
        }
        vec![x.clone()]
    }

    /// `and`, `or` and `xor` are associative and commutative: in one order, twice is once, or for `xor` never.
    fn gathered(&mut self, kind: BinaryKind, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
        let mut parts = self.bits_within(kind, x);
        parts.extend(self.bits_within(kind, y));
        parts.sort();
        let mut kept: Vec<Poly> = Vec::new();
        for part in parts {
            match kept.last() == Some(&part) {
                true if kind == BinaryKind::Xor => drop(kept.pop()),
                true => {}
                false => kept.push(part),
            }
        }
        let Some(mut total) = kept.pop() else {
            return Ok(Poly::zero(x.ring));
        };
        while let Some(next) = kept.pop() {
            let folded = match (
                self.bits_within(kind, &next).len(),
                self.bits_within(kind, &total).len(),
            ) {
                (1, 1) => self.integer_law(kind, dtype, &next, &total)?,
                _ => None,
            };
            total = match folded {
                Some(folded) => folded,
                None => self.apply(Fun::Integer(kind.name(), dtype), vec![next, total])?,
            };
        }
        Ok(total)
    }

    /// x - y * floor(x / y), and 0 where y is 0: so for MIN and -1 too, modulo 2^n.
    fn remainder(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
        let quotient = self.integer_function(BinaryKind::Div, dtype, x, y)?;
        let multiple = self.mul(y, &quotient)?;
        let rest = self.sub(x, &multiple)?;
        let zero = self.equal(y)?;
        self.choose(&zero, &Poly::zero(x.ring), &rest)
    }

    /// Whether x is p - y * floor(p / y) for some p.
    fn is_remainder(&mut self, x: &Poly, y: &Poly) -> Outcome<bool> {
        for id in x.atoms().collect::<Vec<_>>() {
            if let Atom::Apply(Fun::Integer("div", _), args) = &*self.atom(id)
                && args[1] == *y
            {
                let multiple = self.mul(y, &Poly::atom(x.ring, id))?;
                if self.sub(&args[0], &multiple)? == *x {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether an integer is a parameter whose domain is without 0.
    pub fn never_zero(&self, x: &Poly) -> bool {
        let Some(id) = x.as_atom() else { return false };
        match &*self.atom(id) {
            Atom::Read {
                source: super::term::Source::Param(param),
                ..
            } => self
                .domains
                .get(param)
                .is_some_and(|d| d.0 > 0.0 || d.1 < 0.0),
            _ => false,
        }
    }

    /// Division of sizes and indices by what is at least 1.
    fn size_division(
        &mut self,
        kind: BinaryKind,
        dtype: DType,
        x: &Poly,
        y: &Poly,
    ) -> Outcome<Option<Poly>> {
        if dtype != DType::I64 {
            return Ok(None);
        }
        let (Some(a), Some(b)) = (self.as_index(x), self.as_index(y)) else {
            return Ok(None);
        };
        if !self.known.proves(b - Dim::from(1)) {
            return Ok(None);
        }
        let value = match kind {
            BinaryKind::Div => self.known.quotient(a, b),
            _ => self.known.remainder(a, b),
        };
        self.of_dim(x.ring, value).map(Some)
    }

    /// The value of an integer as a real number.
    pub fn real_of_int(&mut self, x: &Poly, from: DType) -> Outcome<Poly> {
        if from == DType::Bool {
            return Ok(x.clone());
        }
        self.in_cases(std::slice::from_ref(x), &mut |t, args| {
            let x = &args[0];
            if let Some(value) = x.as_constant() {
                let bits = x.ring.bits().unwrap_or(64);
                let value = if !from.is_signed() && value.is_negative() {
                    value.add(Rational::new(1i128 << bits, 1)?)?
                } else {
                    value
                };
                return Ok(Poly::constant(Ring::Real, value));
            }
            if from == DType::I64
                && let Some(dim) = t.as_index(x)
            {
                return t.of_dim(Ring::Real, dim);
            }
            if let Some(value) = t.unwrapped(x, from)? {
                return Ok(value);
            }
            t.apply(Fun::RealOfInt(from), vec![x.clone()])
        })
    }

    /// The real value of an integer made of narrower ones, where it cannot wrap.
    fn unwrapped(&mut self, x: &Poly, dtype: DType) -> Outcome<Option<Poly>> {
        let (mut least, mut most) = (0i128, 0i128);
        let mut total = Poly::zero(Ring::Real);
        for (mono, value) in x.terms.clone() {
            let Some(value) = value.as_whole() else {
                return Ok(None);
            };
            let (mut low, mut high) = (value, value);
            let mut product = Poly::constant(Ring::Real, Rational::new(value, 1)?);
            for (id, power) in mono {
                let (from, inner) = match &*self.atom(id) {
                    Atom::Apply(Fun::Extend { from, .. }, args) if power == 1 => {
                        (*from, args[0].clone())
                    }
                    _ => return Ok(None),
                };
                let (first, last) = range_of(from);
                let ends = [low, high].map(|a| [a.checked_mul(first), a.checked_mul(last)]);
                let ends: Option<Vec<i128>> = ends.into_iter().flatten().collect();
                let Some(ends) = ends else { return Ok(None) };
                low = ends.iter().copied().min().unwrap_or(0);
                high = ends.iter().copied().max().unwrap_or(0);
                let factor = self.real_of_int(&inner, from)?;
                product = self.mul(&product, &factor)?;
            }
            (least, most) = (least.saturating_add(low), most.saturating_add(high));
            total = self.add(&total, &product)?;
        }
        let (first, last) = range_of(dtype);
        Ok((least >= first && most <= last).then_some(total))
    }

    /// A float truncated to an integer; `through` is the narrowest float that its value came through.
    pub fn int_of_real(
        &mut self,
        x: &Poly,
        from: DType,
        through: DType,
        to: DType,
    ) -> Outcome<Poly> {
        if let Some(value) = x.as_constant().and_then(|c| c.as_whole())
            && (0..=127).contains(&value)
        {
            return Ok(Poly::constant(Ring::of(to), Rational::new(value, 1)?));
        }
        if let Some(id) = x.as_atom()
            && let Atom::Apply(Fun::RealOfInt(int), args) = &*self.atom(id)
            && *int == to
            && holds_all(through, to)
        {
            return Ok(args[0].clone());
        }
        // A wider float that holds the value gives the same integer.
        let from = if super::eval::contains(from, through) {
            through
        } else {
            from
        };
        self.apply(Fun::IntOfReal { from, to }, vec![x.clone()])
    }

    /// An integer in another width: wrapped, or extended by its sign.
    pub fn resized(&mut self, x: &Poly, from: DType, to: DType) -> Outcome<Poly> {
        let ring = Ring::of(to);
        if to.bytes() <= from.bytes() {
            return self.wrapped(x, ring);
        }
        self.in_cases(std::slice::from_ref(x), &mut |t, args| {
            let x = &args[0];
            if let Some(value) = x.as_constant() {
                let bits = x.ring.bits().unwrap_or(64);
                let value = if !from.is_signed() && value.is_negative() {
                    value.add(Rational::new(1i128 << bits, 1)?)?
                } else {
                    value
                };
                return Ok(Poly::constant(
                    ring,
                    value.wrapped(ring.bits().unwrap_or(64))?,
                ));
            }
            t.apply(Fun::Extend { from, to }, vec![x.clone()])
        })
    }

    /// Modulo fewer bits: a homomorphism, so atom by atom.
    fn wrapped(&mut self, x: &Poly, ring: Ring) -> Outcome<Poly> {
        let mut total = Poly::zero(ring);
        for (mono, value) in &x.terms {
            let mut product = Poly::constant(ring, value.wrapped(ring.bits().unwrap_or(64))?);
            for (id, power) in mono {
                let factor = match &*self.atom(*id) {
                    Atom::Size(_) => Poly::atom(ring, *id),
                    _ if self.info(*id).boolean => Poly::atom(ring, *id),
                    Atom::Apply(Fun::Extend { from, .. }, args)
                        if Ring::of(*from) == ring || ring.bits() <= Ring::of(*from).bits() =>
                    {
                        let inner = args[0].clone();
                        self.wrapped(&inner, ring)?
                    }
                    Atom::Apply(Fun::Extend { from, .. }, args) => {
                        let Ring::Int(to) = ring else {
                            return Err(Stop::limit("a width of no integer"));
                        };
                        let (from, inner) = (*from, args[0].clone());
                        self.resized(&inner, from, to)?
                    }
                    _ => {
                        let Ring::Int(to) = ring else {
                            return Err(Stop::limit("a width of no integer"));
                        };
                        let Ring::Int(from) = x.ring else {
                            return Err(Stop::limit("a width of no integer"));
                        };
                        let whole = Poly::atom(x.ring, *id);
                        self.apply(Fun::Extend { from, to }, vec![whole])?
                    }
                };
                let factor = self.power(&factor, power.unsigned_abs())?;
                product = self.mul(&product, &factor)?;
            }
            total = self.add(&total, &product)?;
        }
        Ok(total)
    }
}

/// The least and the greatest integer of a dtype.
fn range_of(dtype: DType) -> (i128, i128) {
    let bits = dtype.bytes() as u32 * 8;
    match dtype {
        DType::Bool => (0, 1),
        _ if dtype.is_signed() => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        _ => (0, (1i128 << bits) - 1),
    }
}

/// Whether every integer of the dtype is a float of the other.
fn holds_all(float: DType, int: DType) -> bool {
    let significand = match float {
        DType::F64 => 53,
        DType::F32 => 24,
        DType::F16 => 11,
        DType::BF16 => 8,
        _ => 0,
    };
    // Signed integers have a bit less of magnitude, and their least is a power of two.
    let bits = int.bytes() as u32 * 8 - u32::from(int.is_signed());
    bits <= significand
}

/// The op on constants, as the evaluator does it.
fn folded(kind: BinaryKind, dtype: DType, a: i128, b: i128) -> Option<i128> {
    use aiai_ir::eval::{Array, Data};
    let value = |v: i128| Array {
        dtype,
        shape: Vec::new(),
        data: Data::Int(vec![wrap_like(dtype, v)]),
        error: None,
    };
    let (a, b) = (value(a), value(b));
    let result = run_binary(kind, dtype, a, b)?;
    match result.data {
        Data::Int(values) => {
            let value = i128::from(*values.first()?);
            let bits = dtype.bytes() as u32 * 8;
            Rational::new(value, 1).ok()?.wrapped(bits).ok()?.as_whole()
        }
        Data::Float(_) => None,
    }
}

/// The representation that arrays use: unsigned values from 0 up, 64-bit ones by their bits.
fn wrap_like(dtype: DType, value: i128) -> i64 {
    let bits = dtype.bytes() as u32 * 8;
    if dtype.is_signed() || bits == 64 {
        return value as i64;
    }
    value.rem_euclid(1 << bits) as i64
}

fn run_binary(
    kind: BinaryKind,
    dtype: DType,
    a: aiai_ir::eval::Array,
    b: aiai_ir::eval::Array,
) -> Option<aiai_ir::eval::Array> {
    use aiai_ir::{Function, Module, Op, OpNode, Type};
    let ty = Type::scalar(dtype);
    let mut function = Function::new("folded");
    let x = function.add_param("x", ty.clone(), false);
    let y = function.add_param("y", ty.clone(), false);
    let z = function.new_value(ty);
    function.body.ops.push(OpNode {
        op: Op::Binary { kind },
        operands: vec![x, y],
        results: vec![z],
        regions: Vec::new(),
        loc: None,
    });
    function.body.yields = vec![z];
    function.result_names = vec!["z".into()];
    let name = function.name;
    let mut module = Module::default();
    module.insert(function);
    let mut results =
        aiai_ir::eval::run(&module, name, &[a, b], &aiai_ir::eval::Options::default()).ok()?;
    results.pop()
}
