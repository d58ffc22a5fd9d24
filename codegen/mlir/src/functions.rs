//! Functions such as exp as MLIR: made from those of the runtime by noting down what they do with a number, so that
//! they give the same bits. They have no branches, and are inlined wherever they are called.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::{Add, Div, Mul, Neg, Sub};

use aiai_codegen::Target;
use aiai_ir::UnaryKind;
use aiai_runtime::kernels::math;
use aiai_runtime::kernels::number::{Bits, Number};

use crate::scalars::{condition_type, type_of};
use crate::translate::Translator;
use crate::writer::Name;

/// The function of a number, where it is one of [`aiai_codegen::lower::INLINED`]. Sine and cosine use f64, and branches for large numbers.
fn apply(kind: UnaryKind, x: Noted<'_>) -> Option<Noted<'_>> {
    Some(match kind {
        UnaryKind::Exp => math::exp(x),
        UnaryKind::Expm1 => math::expm1(x),
        UnaryKind::Log => math::log(x),
        UnaryKind::Log1p => math::log1p(x),
        UnaryKind::Tanh => math::tanh(x),
        UnaryKind::Erf => math::erf(x),
        UnaryKind::Sin
        | UnaryKind::Cos
        | UnaryKind::Neg
        | UnaryKind::Abs
        | UnaryKind::Sign
        | UnaryKind::Floor
        | UnaryKind::Ceil
        | UnaryKind::Round
        | UnaryKind::Sqrt
        | UnaryKind::Rsqrt
        | UnaryKind::Not
        | UnaryKind::IsNan
        | UnaryKind::IsFinite => return None,
    })
}

/// The text of a function on an f32, or on a vector of so many.
fn function(name: &str, kind: UnaryKind, lanes: Option<i64>, target: &Target) -> Option<String> {
    let notes = Notes {
        lanes,
        has_scale: lanes == Some(16) && target.has("avx512f"),
        text: RefCell::new(String::new()),
        count: RefCell::new(1),
    };
    let x = Noted {
        notes: &notes,
        at: 0,
    };
    let result = apply(kind, x)?.at;
    let (ty, body) = (notes.ty("f32"), notes.text.borrow());
    Some(format!(
        "  llvm.func internal @{name}(%0: {ty}) -> {ty} attributes {{always_inline}} {{\n{body}    \
         llvm.return %{result} : {ty}\n  }}\n"
    ))
}

impl Translator<'_, '_> {
    /// A function of f32 in every lane, where it is made here.
    pub fn inlined(&mut self, kind: UnaryKind, x: &str) -> Option<Name> {
        let name = match self.lanes {
            None => format!("aiai_inlined_{}", kind.name()),
            Some(lanes) => format!("aiai_inlined_{}_{lanes}", kind.name()),
        };
        if !self.unit.functions.contains(&name) {
            let text = function(&name, kind, self.lanes, self.unit.target)?;
            self.unit.items.push_str(&text);
            self.unit.functions.insert(name.clone());
        }
        let ty = type_of("f32", self.lanes);
        Some(
            self.w
                .value(&format!("llvm.call @{name}({x}) : ({ty}) -> {ty}")),
        )
    }
}

/// What a function has done so far.
struct Notes {
    lanes: Option<i64>,
    /// Whether the machine scales a vector by powers of two.
    has_scale: bool,
    text: RefCell<String>,
    /// Values that have a name.
    count: RefCell<usize>,
}

impl Notes {
    fn ty(&self, scalar: &str) -> String {
        type_of(scalar, self.lanes)
    }

    fn value(&self, op: &str) -> Noted<'_> {
        let at = self.count.replace_with(|count| *count + 1);
        let _ = writeln!(self.text.borrow_mut(), "    %{at} = {op}");
        Noted { notes: self, at }
    }

    /// A constant in every lane, from its bits.
    fn constant(&self, bits: &str, scalar: &str) -> Noted<'_> {
        let ty = self.ty(scalar);
        self.value(&match self.lanes {
            None => format!("arith.constant {bits} : {ty}"),
            Some(_) => format!("arith.constant dense<{bits}> : {ty}"),
        })
    }
}

/// A value of a function: a number, the bits of one, or whether something holds.
#[derive(Clone, Copy)]
struct Noted<'n> {
    notes: &'n Notes,
    at: usize,
}

impl<'n> Noted<'n> {
    fn of_one(self, op: &str, scalar: &str) -> Noted<'n> {
        let ty = self.notes.ty(scalar);
        self.notes.value(&format!("{op} %{} : {ty}", self.at))
    }

    fn of_two(self, op: &str, other: Noted<'n>, scalar: &str) -> Noted<'n> {
        let ty = self.notes.ty(scalar);
        let (x, y) = (self.at, other.at);
        self.notes.value(&format!("{op} %{x}, %{y} : {ty}"))
    }

    fn converted(self, op: &str, from: &str, to: &str) -> Noted<'n> {
        let [from, to] = [from, to].map(|ty| self.notes.ty(ty));
        self.notes
            .value(&format!("{op} %{} : {from} to {to}", self.at))
    }
}

impl Add for Noted<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.of_two("arith.addf", other, "f32")
    }
}

impl Sub for Noted<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.of_two("arith.subf", other, "f32")
    }
}

impl Mul for Noted<'_> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.of_two("arith.mulf", other, "f32")
    }
}

impl Div for Noted<'_> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        self.of_two("arith.divf", other, "f32")
    }
}

impl Neg for Noted<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.of_one("arith.negf", "f32")
    }
}

impl<'n> Number for Noted<'n> {
    type Bits = NotedBits<'n>;
    type Truth = Noted<'n>;

    fn constant(self, value: f32) -> Self {
        self.notes
            .constant(&format!("0x{:08X}", value.to_bits()), "f32")
    }

    fn mul_add(self, factor: Self, addend: Self) -> Self {
        let ty = self.notes.ty("f32");
        let (a, b, c) = (self.at, factor.at, addend.at);
        self.notes
            .value(&format!("math.fma %{a}, %{b}, %{c} : {ty}"))
    }

    fn abs(self) -> Self {
        self.of_one("math.absf", "f32")
    }

    fn copysign(self, sign: Self) -> Self {
        self.of_two("math.copysign", sign, "f32")
    }

    fn less(self, other: Self) -> Self {
        self.of_two("arith.cmpf olt,", other, "f32")
    }

    fn equals(self, other: Self) -> Self {
        self.of_two("arith.cmpf oeq,", other, "f32")
    }

    fn when(self, condition: Self, other: Self) -> Self {
        let (c, x, y) = (condition.at, self.at, other.at);
        let (truth, ty) = (condition_type(self.notes.lanes), self.notes.ty("f32"));
        self.notes
            .value(&format!("arith.select %{c}, %{x}, %{y} : {truth}{ty}"))
    }

    fn scaled(self, n: Self, integer: NotedBits<'n>) -> Self {
        if !self.notes.has_scale {
            let half = integer.shift_right(1);
            return self * half.power_of_two() * (integer - half).power_of_two();
        }
        let (ty, notes) = (self.notes.ty("f32"), self.notes);
        let all = notes.value("arith.constant -1 : i16").at;
        let as_set = notes.value("arith.constant 4 : i32").at;
        let (x, n) = (self.at, n.at);
        notes.value(&format!(
            "llvm.call_intrinsic \"llvm.x86.avx512.mask.scalef.ps.512\"(%{x}, %{n}, %{x}, %{all}, %{as_set}) : \
             ({ty}, {ty}, {ty}, i16, i32) -> {ty}"
        ))
    }

    fn bits(self) -> NotedBits<'n> {
        NotedBits(self.converted("arith.bitcast", "f32", "i32"))
    }
}

/// The bits of a number.
#[derive(Clone, Copy)]
struct NotedBits<'n>(Noted<'n>);

impl Add for NotedBits<'_> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        NotedBits(self.0.of_two("arith.addi", other.0, "i32"))
    }
}

impl Sub for NotedBits<'_> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        NotedBits(self.0.of_two("arith.subi", other.0, "i32"))
    }
}

impl<'n> Bits for NotedBits<'n> {
    type Number = Noted<'n>;

    fn constant(self, value: i32) -> Self {
        NotedBits(self.0.notes.constant(&value.to_string(), "i32"))
    }

    fn shift_left(self, places: i32) -> Self {
        NotedBits(self.0.of_two("arith.shli", self.constant(places).0, "i32"))
    }

    fn shift_right(self, places: i32) -> Self {
        NotedBits(self.0.of_two("arith.shrsi", self.constant(places).0, "i32"))
    }

    fn number(self) -> Noted<'n> {
        self.0.converted("arith.bitcast", "i32", "f32")
    }

    fn rounded(self) -> Noted<'n> {
        self.0.converted("arith.sitofp", "i32", "f32")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lowering_counts_on_is_made() {
        let target = Target::parse("cpu:x86-64-v2").unwrap();
        for &kind in UnaryKind::ALL {
            let made = function("f", kind, Some(4), &target).is_some();
            let counted_on = aiai_codegen::lower::INLINED.contains(&kind);
            assert_eq!(made, counted_on, "{}", kind.name());
        }
    }
}
