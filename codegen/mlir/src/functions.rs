//! Functions such as exp as MLIR: made from those of the runtime by noting down what they do with a number, so that
//! they give the same bits. They have no branches, and are inlined wherever they are called.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::{Add, Div, Mul, Neg, Sub};

use aiai_codegen::Target;
use aiai_ir::{DType, Op, OpNode, UnaryKind, Value};
use aiai_runtime::kernels::math;
use aiai_runtime::kernels::number::{Bits, Number, split_by_rounding};

use crate::scalars::{condition_type, lanes_of, type_of};
use crate::translate::Translator;
use crate::writer::Name;

/// Vectors that a function is applied to side by side, at most: their operations are as many chains, none of which waits
/// for the others.
const ABREAST: usize = 4;

/// Numbers in a register of 512 bits.
const LANES: i64 = 16;

/// The function of a number, where it is one of [`aiai_codegen::lower::INLINED`]. Sine and cosine use f64, and branches for large numbers.
fn apply(kind: UnaryKind, x: Noted<'_>) -> Option<Noted<'_>> {
    Some(match kind {
        UnaryKind::Exp => math::exp(x),
        UnaryKind::Expm1 => math::expm1(x),
        UnaryKind::Exp2 => math::exp2(x),
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

/// What a function takes: so many numbers or vectors of so many lanes.
#[derive(Clone, Copy)]
struct Shape {
    lanes: Option<i64>,
    abreast: usize,
}

/// The text of a function on an f32, or on vectors.
fn function(name: &str, kind: UnaryKind, shape: Shape, target: &Target) -> Option<String> {
    let notes = Notes {
        shape,
        has_scale: shape.lanes == Some(LANES)
            && ["avx512f", "avx512dq"].iter().all(|f| target.has(f)),
        text: RefCell::new(String::new()),
        count: RefCell::new(1),
    };
    let x = Noted {
        notes: &notes,
        at: 0,
        is_one: false,
    };
    let result = apply(kind, x)?;
    let ty = notes.ty("f32");
    let params: Vec<String> = (0..shape.abreast)
        .map(|k| format!("{}: {ty}", x.name(k)))
        .collect();
    let (given, given_type) = match shape.abreast {
        1 => (result.name(0), ty),
        several => {
            let all = packed_type(&ty, several);
            let empty = notes.one(&format!("llvm.mlir.poison : {all}")).name(0);
            let insert = |before: String, k| {
                let of = format!("llvm.insertvalue {}, {before}[{k}] : {all}", result.name(k));
                notes.one(&of).name(0)
            };
            ((0..several).fold(empty, insert), all)
        }
    };
    Some(format!(
        "  llvm.func internal @{name}({}) -> {given_type} attributes {{always_inline}} {{\n{}    \
         llvm.return {given} : {given_type}\n  }}\n",
        params.join(", "),
        notes.text.borrow()
    ))
}

/// The type of several values that a function returns.
fn packed_type(ty: &str, count: usize) -> String {
    format!("!llvm.struct<({})>", vec![ty; count].join(", "))
}

impl Translator<'_, '_> {
    /// A function of f32 in every lane, where it is made here.
    pub fn inlined(&mut self, kind: UnaryKind, x: &str) -> Option<Name> {
        let shape = Shape {
            lanes: self.lanes,
            abreast: 1,
        };
        let name = self.function_of(kind, shape)?;
        let ty = type_of("f32", self.lanes);
        let call = format!("llvm.call @{name}({x}) : ({ty}) -> {ty}");
        Some(self.w.value(&call))
    }

    /// The function at the start of these ops, of as many vectors as the ops behind it apply it to and the machine has
    /// registers for; how many ops that does, if any.
    pub fn functions_abreast(&mut self, ops: &[OpNode]) -> usize {
        let Some(kind) = ops.first().and_then(|node| self.function_in_register(node)) else {
            return 0;
        };
        let same = |node: &&OpNode| self.function_in_register(node) == Some(kind);
        let abreast = ops.iter().take(ABREAST).take_while(same).count();
        let results: Vec<Value> = ops[..abreast].iter().map(|node| node.results[0]).collect();
        let operands: Vec<Value> = ops[..abreast].iter().map(|node| node.operands[0]).collect();
        let lanes = Some(LANES);
        if abreast < 2 || operands.iter().any(|v| results.contains(v)) {
            return 0;
        }
        let Some(name) = self.function_of(kind, Shape { lanes, abreast }) else {
            return 0;
        };
        let (ty, x): (_, Vec<Name>) = (
            type_of("f32", lanes),
            operands.iter().map(|&v| self.get(v)).collect(),
        );
        let all = packed_type(&ty, abreast);
        let call = format!(
            "llvm.call @{name}({}) : ({}) -> {all}",
            x.join(", "),
            vec![ty.as_str(); abreast].join(", ")
        );
        let given = self.w.value(&call);
        for (k, &result) in results.iter().enumerate() {
            let one = self
                .w
                .value(&format!("llvm.extractvalue {given}[{k}] : {all}"));
            self.bind(&[result], [one]);
        }
        abreast
    }

    /// Which function an op applies to a vector that fills a register of 512 bits.
    fn function_in_register(&self, node: &OpNode) -> Option<UnaryKind> {
        let Op::Unary { kind } = node.op else {
            return None;
        };
        let x = node.operands[0];
        let fits = lanes_of(self.unit.source.ty(x)) == Some(LANES)
            && self.dtype(x) == DType::F32
            && self.unit.target.has("avx512f")
            && aiai_codegen::lower::INLINED.contains(&kind);
        fits.then_some(kind)
    }

    /// The name of a function, which is made where there is none yet.
    fn function_of(&mut self, kind: UnaryKind, shape: Shape) -> Option<Name> {
        let mut name = format!("aiai_inlined_{}", kind.name());
        let numbers = [shape.lanes, Some(shape.abreast as i64).filter(|&n| n > 1)];
        for number in numbers.into_iter().flatten() {
            let _ = write!(name, "_{number}");
        }
        if !self.unit.functions.contains(&name) {
            let text = function(&name, kind, shape, self.unit.target)?;
            self.unit.items.push_str(&text);
            self.unit.functions.insert(name.clone());
        }
        Some(name)
    }
}

/// What a function has done so far.
struct Notes {
    shape: Shape,
    /// Whether the machine scales a vector by powers of two, and splits one into integers and the rest.
    has_scale: bool,
    text: RefCell<String>,
    /// Values that have a name.
    count: RefCell<usize>,
}

impl Notes {
    fn ty(&self, scalar: &str) -> String {
        type_of(scalar, self.shape.lanes)
    }

    /// A value of each of the numbers abreast; `op` has the number of one.
    fn value(&self, op: impl Fn(usize) -> String) -> Noted<'_> {
        let noted = Noted {
            notes: self,
            at: self.count.replace_with(|count| *count + 1),
            is_one: false,
        };
        for k in 0..self.shape.abreast {
            let _ = writeln!(self.text.borrow_mut(), "    {} = {}", noted.name(k), op(k));
        }
        noted
    }

    /// A value that is the same for all of them.
    fn one(&self, op: &str) -> Noted<'_> {
        let noted = Noted {
            notes: self,
            at: self.count.replace_with(|count| *count + 1),
            is_one: true,
        };
        let _ = writeln!(self.text.borrow_mut(), "    {} = {op}", noted.name(0));
        noted
    }

    /// A constant in every lane, from its bits.
    fn constant(&self, bits: &str, scalar: &str) -> Noted<'_> {
        let ty = self.ty(scalar);
        self.one(&match self.shape.lanes {
            None => format!("arith.constant {bits} : {ty}"),
            Some(_) => format!("arith.constant dense<{bits}> : {ty}"),
        })
    }
}

/// A value of a function, for each of the numbers abreast: a number, the bits of one, or whether something holds.
#[derive(Clone, Copy)]
struct Noted<'n> {
    notes: &'n Notes,
    at: usize,
    /// Whether it is the same for all.
    is_one: bool,
}

impl<'n> Noted<'n> {
    /// Its name for one of them.
    fn name(self, k: usize) -> Name {
        match self.is_one {
            true => format!("%v{}", self.at),
            false => format!("%v{}_{k}", self.at),
        }
    }

    fn of_one(self, op: &str, scalar: &str) -> Noted<'n> {
        let ty = self.notes.ty(scalar);
        self.notes
            .value(|k| format!("{op} {} : {ty}", self.name(k)))
    }

    fn of_two(self, op: &str, other: Noted<'n>, scalar: &str) -> Noted<'n> {
        let ty = self.notes.ty(scalar);
        self.notes
            .value(|k| format!("{op} {}, {} : {ty}", self.name(k), other.name(k)))
    }

    fn converted(self, op: &str, from: &str, to: &str) -> Noted<'n> {
        let [from, to] = [from, to].map(|ty| self.notes.ty(ty));
        self.notes
            .value(|k| format!("{op} {} : {from} to {to}", self.name(k)))
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
        self.notes.value(|k| {
            let [a, b, c] = [self, factor, addend].map(|x| x.name(k));
            format!("math.fma {a}, {b}, {c} : {ty}")
        })
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
        let (truth, ty) = (condition_type(self.notes.shape.lanes), self.notes.ty("f32"));
        self.notes.value(|k| {
            let [c, x, y] = [condition, self, other].map(|x| x.name(k));
            format!("arith.select {c}, {x}, {y} : {truth}{ty}")
        })
    }

    fn split_integer(self, low: f32, high: f32) -> (Self, NotedBits<'n>, Self) {
        if !self.notes.has_scale {
            return split_by_rounding(self.clamp(low, high));
        }
        // The rest of what is infinite is 0, and scaling takes what is too large for what it is: nothing need be clamped.
        let (ty, notes) = (self.notes.ty("f32"), self.notes);
        let all = notes.one("arith.constant -1 : i16").name(0);
        let [nearest, as_set] =
            [0, 4].map(|n| notes.one(&format!("arith.constant {n} : i32")).name(0));
        let rest = notes.value(|k| {
            let x = self.name(k);
            format!(
                "llvm.call_intrinsic \"llvm.x86.avx512.mask.reduce.ps.512\"({x}, {nearest}, {x}, {all}, {as_set}) : \
                 ({ty}, i32, {ty}, i16, i32) -> {ty}"
            )
        });
        let n = self - rest;
        (n, n.bits(), rest)
    }

    fn scaled(self, n: Self, integer: NotedBits<'n>) -> Self {
        if !self.notes.has_scale {
            let half = integer.shift_right(1);
            return self * half.power_of_two() * (integer - half).power_of_two();
        }
        let (ty, notes) = (self.notes.ty("f32"), self.notes);
        let all = notes.one("arith.constant -1 : i16").name(0);
        let as_set = notes.one("arith.constant 4 : i32").name(0);
        notes.value(|k| {
            let (x, n) = (self.name(k), n.name(k));
            format!(
                "llvm.call_intrinsic \"llvm.x86.avx512.mask.scalef.ps.512\"({x}, {n}, {x}, {all}, {as_set}) : \
                 ({ty}, {ty}, {ty}, i16, i32) -> {ty}"
            )
        })
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
            let shape = Shape {
                lanes: Some(4),
                abreast: 2,
            };
            let made = function("f", kind, shape, &target).is_some();
            let counted_on = aiai_codegen::lower::INLINED.contains(&kind);
            assert_eq!(made, counted_on, "{}", kind.name());
        }
    }
}
