//! Floats without algebra: terms that are equal only where the bits are.
//!
//! Used for the float axis, and in real mode for values that may be infinite. The laws here hold bit for bit in
//! IEEE 754 as the op table fixes it, the payload and sign of NaN aside.

use aiai_ir::{BinaryKind, CompareKind, DType, UnaryKind};

use super::Outcome;
use super::eval::{Element, Evaluator, contains};
use super::rational::Rational;
use super::term::{Atom, Fun, Mode, Poly, Ring, Terms};

/// Names of functions of no laws.
const NEG: &str = "neg";
const ABS: &str = "abs";
const ADD: &str = "add";
const MUL: &str = "mul";
const DIV: &str = "div";
const MAX: &str = "max";
const MIN: &str = "min";
const WIDEN: &str = "widen";

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
}

impl Terms {
    fn free(&mut self, name: &'static str, dtype: DType, args: Vec<Poly>) -> Outcome<Poly> {
        self.apply(Fun::Free(name, dtype), args)
    }

    /// The arguments, where the term is the named function of them.
    fn parts(&self, p: &Poly, wanted: &str) -> Option<Vec<Poly>> {
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
    fn literal(&self, p: &Poly) -> Option<f64> {
        match *self.atom(p.as_atom()?) {
            Atom::Literal(bits, _) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    fn free_neg(&mut self, dtype: DType, x: &Poly) -> Outcome<Poly> {
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

    pub fn free1(&mut self, kind: UnaryKind, dtype: DType, x: &Poly) -> Outcome<Poly> {
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
                // What comes from an integer is integral, or infinite.
                if integral || self.of_integer(x) {
                    return Ok(x.clone());
                }
                let turned = match kind {
                    UnaryKind::Floor => UnaryKind::Ceil,
                    UnaryKind::Ceil => UnaryKind::Floor,
                    _ => kind,
                };
                self.odd(kind, turned, dtype, x)
            }
            UnaryKind::Sign => self.odd(kind, kind, dtype, x),
            UnaryKind::Exp
            | UnaryKind::Expm1
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

    /// A function of -p as minus another one of p: zeros keep their signs.
    fn odd(&mut self, kind: UnaryKind, turned: UnaryKind, dtype: DType, x: &Poly) -> Outcome<Poly> {
        match self.unsigned(x) {
            (p, true) => {
                let inner = self.free(turned.name(), dtype, vec![p])?;
                self.free_neg(dtype, &inner)
            }
            _ => self.free(kind.name(), dtype, vec![x.clone()]),
        }
    }

    /// Whether the term is an integer as a float.
    fn of_integer(&self, x: &Poly) -> bool {
        let Some(id) = x.as_atom() else {
            return false;
        };
        matches!(&*self.atom(id), Atom::Apply(Fun::Free(name, _), _) if name.starts_with("from_"))
    }

    pub fn free2(&mut self, kind: BinaryKind, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
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
            // Of every number, NaN too.
            BinaryKind::Pow if self.mode == Mode::Free && self.literal(y) == Some(0.0) => {
                let atom = self.intern(Atom::Literal(1f64.to_bits(), dtype));
                Ok(Poly::atom(Ring::Real, atom))
            }
            BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => self.free(kind.name(), dtype, vec![x.clone(), y.clone()]),
        }
    }

    fn free_add(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
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
    fn unsigned(&self, x: &Poly) -> (Poly, bool) {
        match self.parts(x, NEG) {
            Some(args) if self.mode == Mode::Free => (args[0].clone(), true),
            _ => (x.clone(), false),
        }
    }

    fn free_mul(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
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

    /// sign(p) * |p| is p and sign(p) * p is |p|, for zeros, infinities and NaN too.
    fn signed_magnitude(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Option<Poly>> {
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

    fn free_div(&mut self, dtype: DType, x: &Poly, y: &Poly) -> Outcome<Poly> {
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
    fn free_extreme(
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
        // Widening keeps the order, and the numbers apart.
        if let Some(inner) = self.widened(&args) {
            let narrow = inner[0].as_atom().and_then(|id| self.float_of(id));
            if let Some(narrow) = narrow {
                let first = inner[0].clone();
                let extreme = inner[1..]
                    .iter()
                    .try_fold(first, |total, p| self.free_extreme(name, narrow, &total, p))?;
                return self.free_cast_of(&extreme, narrow, dtype);
            }
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

    /// What all of the terms are widened from, where that is one dtype.
    fn widened(&self, args: &[Poly]) -> Option<Vec<Poly>> {
        let mut inner = Vec::new();
        for p in args {
            inner.push(self.parts(p, WIDEN)?.first()?.clone());
        }
        let dtype = |p: &Poly| p.as_atom().and_then(|id| self.float_of(id));
        let first = dtype(inner.first()?)?;
        (self.mode == Mode::Free && inner.iter().all(|p| dtype(p) == Some(first))).then_some(inner)
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
    fn free_compare(
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
        // 0 < a - b is b < a, because a difference is 0 only where both are equal or infinite.
        if name == "lt"
            && self.mode == Mode::Free
            && self.literal(&args[0]) == Some(0.0)
            && let Some(terms) = self.parts(&args[1], ADD)
        {
            let (one, other) = (&terms[0], &terms[1]);
            for (p, q) in [(one, other), (other, one)] {
                if let (q, true) = self.unsigned(q) {
                    let difference = [q, p.clone()];
                    return self.free_compare(
                        CompareKind::Lt,
                        dtype,
                        &difference[0],
                        &difference[1],
                    );
                }
            }
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

    fn free_cast_of(&mut self, x: &Poly, from: DType, to: DType) -> Outcome<Poly> {
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

/// Whether a division by the value is exact multiplication in every float dtype.
fn power_of_two(value: f64) -> bool {
    let small = value.is_finite() && value.abs() >= 2f64.powi(-13) && value.abs() <= 2f64.powi(13);
    small && value.abs().log2().fract() == 0.0
}
