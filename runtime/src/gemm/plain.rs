//! Products of the other dtypes: plain loops, computed in an accumulator and rounded once.

use super::{Part, Product};
use crate::{bf16, f16};

/// An element with the accumulator of its sums.
pub trait Accumulate: Copy + 'static {
    /// What sums are kept in.
    type Sum: Copy;
    const ZERO: Self::Sum;
    fn widen(self) -> Self::Sum;
    /// `sum + a * b`; integers wrap, floats round once.
    fn add_product(sum: Self::Sum, a: Self, b: Self) -> Self::Sum;
    fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Integers wrap, floats round to nearest even.
    fn narrow(sum: Self::Sum) -> Self;
}

macro_rules! integers {
    ($($ty:ty: $sum:ty;)+) => { $(
        impl Accumulate for $ty {
            type Sum = $sum;
            const ZERO: $sum = 0;
            fn widen(self) -> $sum {
                self as $sum
            }
            fn add_product(sum: $sum, a: $ty, b: $ty) -> $sum {
                sum.wrapping_add((a as $sum).wrapping_mul(b as $sum))
            }
            fn add(a: $sum, b: $sum) -> $sum {
                a.wrapping_add(b)
            }
            fn narrow(sum: $sum) -> $ty {
                sum as $ty
            }
        }
    )+ };
}

integers! { i8: i32; i16: i16; i32: i32; i64: i64; u8: i32; u16: u16; u32: u32; u64: u64; }

macro_rules! halves {
    ($($ty:ty)+) => { $(
        impl Accumulate for $ty {
            type Sum = f32;
            const ZERO: f32 = 0.0;
            fn widen(self) -> f32 {
                self.to_f32()
            }
            fn add_product(sum: f32, a: $ty, b: $ty) -> f32 {
                a.to_f32().mul_add(b.to_f32(), sum)
            }
            fn add(a: f32, b: f32) -> f32 {
                a + b
            }
            fn narrow(sum: f32) -> $ty {
                <$ty>::from_f32(sum)
            }
        }
    )+ };
}

halves! { f16 bf16 }

/// Columns whose sums are kept at a time.
const COLUMNS: usize = 64;

/// Computes one part on this thread.
///
/// # Safety
/// As for [`super::gemm`].
pub unsafe fn gemm_plain<T: Accumulate>(product: &Product<T>, part: Part) {
    let Product { a, b, c, .. } = *product;
    for row in part.rows.0..part.rows.1 {
        for first in (part.columns.0..part.columns.1).step_by(COLUMNS) {
            let count = COLUMNS.min(part.columns.1 - first);
            let mut sums = [T::ZERO; COLUMNS];
            let at_c = |j: usize| {
                let by = row as isize * c.row_stride + (first + j) as isize * c.column_stride;
                c.data.wrapping_offset(by)
            };
            // SAFETY: the caller's promise: rows, columns and k lie in the matrices.
            unsafe {
                for k in 0..product.k {
                    let by = row as isize * a.row_stride + k as isize * a.column_stride;
                    let factor = *a.data.wrapping_offset(by);
                    let start = k as isize * b.row_stride + first as isize * b.column_stride;
                    for (j, sum) in sums[..count].iter_mut().enumerate() {
                        let by = start + j as isize * b.column_stride;
                        *sum = T::add_product(*sum, factor, *b.data.wrapping_offset(by));
                    }
                }
                for (j, &sum) in sums[..count].iter().enumerate() {
                    let before = if product.accumulate {
                        (*at_c(j)).widen()
                    } else {
                        T::ZERO
                    };
                    *at_c(j) = T::narrow(T::add(before, sum));
                }
            }
        }
    }
}
