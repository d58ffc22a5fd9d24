//! What the functions of [`super::math`] compute with: an f32, or whatever notes the operations down to make code of them.
//!
//! Every operation is one of IEEE 754 or of two's complement and is done as it is written, so all kinds of numbers
//! give the same bits.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// An f32, or something that stands for one or several.
pub trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The bits of a number.
    type Bits: Bits<Number = Self>;
    type Truth: Copy;

    /// A constant of the kind of this number.
    fn constant(self, value: f32) -> Self;
    /// `self * factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    fn abs(self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    /// Whether it is less; of NaN false.
    fn less(self, other: Self) -> Self::Truth;
    /// Whether both are equal; of NaN false.
    fn equals(self, other: Self) -> Self::Truth;
    /// `self` where the condition holds, `other` elsewhere. Neither is skipped.
    fn when(self, condition: Self::Truth, other: Self) -> Self;
    fn bits(self) -> Self::Bits;

    /// The number kept within `low..=high`; NaN stays.
    #[inline(always)]
    fn clamp(self, low: f32, high: f32) -> Self {
        let (low, high) = (self.constant(low), self.constant(high));
        let x = low.when(self.less(low), self);
        high.when(high.less(x), x)
    }

    /// The nearest integer, ties to even, in both forms that [`Number::scaled`] takes, and how far it is to the number,
    /// which is taken for `low` below it and for `high` above it (integers, no larger than 2^22).
    #[inline(always)]
    fn split_integer(self, low: f32, high: f32) -> (Self, Self::Bits, Self) {
        split_by_rounding(self.clamp(low, high))
    }

    /// `self * 2^n`, rounded once, for a number near 1 and a whole n in -150..=150, which is given in both forms.
    #[inline(always)]
    fn scaled(self, _n: Self, n: Self::Bits) -> Self {
        // In two steps, since 2^n alone may overflow or be subnormal; only the last one rounds.
        let half = n.shift_right(1);
        self * half.power_of_two() * (n - half).power_of_two()
    }
}

/// What [`Number::split_integer`] gives, for a number in its range.
#[inline(always)]
pub fn split_by_rounding<T: Number>(x: T) -> (T, T::Bits, T) {
    let rounder = x.constant(ROUNDER);
    let shifted = x + rounder;
    let n = shifted - rounder;
    (n, shifted.bits() - rounder.bits(), x - n)
}

/// An i32, or something that stands for one or several. Sums wrap.
pub trait Bits: Copy + Add<Output = Self> + Sub<Output = Self> {
    type Number;

    /// A constant of the kind of this integer.
    fn constant(self, value: i32) -> Self;
    fn shift_left(self, places: i32) -> Self;
    /// Copies of the sign come in.
    fn shift_right(self, places: i32) -> Self;
    /// The number of these bits.
    fn number(self) -> Self::Number;
    /// The nearest number.
    fn rounded(self) -> Self::Number;

    /// 2^n for n in -126..=127.
    #[inline(always)]
    fn power_of_two(self) -> Self::Number {
        (self + self.constant(127)).shift_left(23).number()
    }
}

impl Number for f32 {
    type Bits = Wrapping;
    type Truth = bool;

    #[inline(always)]
    fn constant(self, value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn mul_add(self, factor: f32, addend: f32) -> f32 {
        f32::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn abs(self) -> f32 {
        f32::abs(self)
    }

    #[inline(always)]
    fn copysign(self, sign: f32) -> f32 {
        f32::copysign(self, sign)
    }

    #[inline(always)]
    fn less(self, other: f32) -> bool {
        self < other
    }

    #[inline(always)]
    fn equals(self, other: f32) -> bool {
        self == other
    }

    #[inline(always)]
    fn when(self, condition: bool, other: f32) -> f32 {
        if condition { self } else { other }
    }

    #[inline(always)]
    fn bits(self) -> Wrapping {
        std::num::Wrapping(self.to_bits() as i32)
    }
}

/// An i32 whose sums wrap.
pub type Wrapping = std::num::Wrapping<i32>;

impl Bits for Wrapping {
    type Number = f32;

    #[inline(always)]
    fn constant(self, value: i32) -> Wrapping {
        std::num::Wrapping(value)
    }

    #[inline(always)]
    fn shift_left(self, places: i32) -> Wrapping {
        std::num::Wrapping(self.0 << places)
    }

    #[inline(always)]
    fn shift_right(self, places: i32) -> Wrapping {
        std::num::Wrapping(self.0 >> places)
    }

    #[inline(always)]
    fn number(self) -> f32 {
        f32::from_bits(self.0 as u32)
    }

    #[inline(always)]
    fn rounded(self) -> f32 {
        self.0 as f32
    }
}
