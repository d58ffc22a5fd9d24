//! To f16 and bf16 and back; narrowing rounds once, to nearest even.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// x in f32, rounded to odd: a further rounding to f16 or bf16 then gives what one rounding of x would.
/// Boldo and Melquiond, 2008.
pub fn round_to_odd(x: f64) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    if back == x || x.is_nan() {
        return near;
    }
    let toward_zero = near.to_bits() - u32::from(back.abs() > x.abs());
    f32::from_bits(toward_zero | 1)
}

/// An integer in f64, rounded to odd, for a further rounding to a narrower float.
pub fn int_to_odd(x: i128) -> f64 {
    if x.unsigned_abs() < 1 << f64::MANTISSA_DIGITS {
        return x as f64;
    }
    // At most 64 bits are in use: 53 of them are kept, the last says whether any other was set.
    let spare = u64::BITS - f64::MANTISSA_DIGITS;
    let kept = (x >> spare) | i128::from(x & ((1 << spare) - 1) != 0);
    (kept << spare) as f64
}

/// Elements converted at a time where the conversion needs slices that do not alias.
const BLOCK: usize = 64;

macro_rules! conversions {
    ($($narrow:ident: $widen:ident, $narrow_row:ident;)+) => { $(
        /// Widens `n` elements.
        ///
        /// # Safety
        /// The rows have `n` elements and do not overlap.
        pub unsafe fn $widen(source: *const $narrow, destination: *mut f32, n: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let source = std::slice::from_raw_parts(source, n);
                source.convert_to_f32_slice(std::slice::from_raw_parts_mut(destination, n));
            }
        }

        /// Narrows `n` elements.
        ///
        /// # Safety
        /// The rows have `n` elements and do not overlap.
        pub unsafe fn $narrow_row(source: *const f32, destination: *mut $narrow, n: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let source = std::slice::from_raw_parts(source, n);
                std::slice::from_raw_parts_mut(destination, n).convert_from_f32_slice(source);
            }
        }
    )+ };
}

conversions! {
    f16: f16_to_f32, f32_to_f16;
    bf16: bf16_to_f32, f32_to_bf16;
}

macro_rules! narrow_rows {
    ($($narrow:ident: $name:ident, $widen:ident, $narrow_row:ident;)+) => { $(
        /// Applies an f32 row kernel to a row of narrow floats: widened, computed, rounded once.
        ///
        /// # Safety
        /// The rows have `n` elements; they are the same or do not overlap. `kernel` is a row kernel.
        pub unsafe fn $name(
            kernel: unsafe fn(*const f32, *mut f32, usize),
            source: *const $narrow,
            destination: *mut $narrow,
            n: usize,
        ) {
            let mut block = [0.0f32; BLOCK];
            let mut i = 0;
            while i < n {
                let count = BLOCK.min(n - i);
                // SAFETY: `i..i + count` lies in the rows; the block is apart from both.
                unsafe {
                    $widen(source.add(i), block.as_mut_ptr(), count);
                    kernel(block.as_ptr(), block.as_mut_ptr(), count);
                    $narrow_row(block.as_ptr(), destination.add(i), count);
                }
                i += count;
            }
        }
    )+ };
}

narrow_rows! {
    f16: map_f16, f16_to_f32, f32_to_f16;
    bf16: map_bf16, bf16_to_f32, f32_to_bf16;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{rows, scalar};

    #[test]
    fn every_half_round_trips() {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut wide = vec![0.0f32; halves.len()];
        let mut back = vec![f16::ZERO; halves.len()];
        // SAFETY: rows of one length.
        unsafe {
            f16_to_f32(halves.as_ptr(), wide.as_mut_ptr(), wide.len());
            f32_to_f16(wide.as_ptr(), back.as_mut_ptr(), wide.len());
        }
        for (a, b) in halves.iter().zip(back) {
            assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
        }
    }

    #[test]
    fn wide_numbers_are_rounded_once() {
        let half = |x: f64| f16::from_f32(round_to_odd(x)).to_f64();
        assert_eq!(half(1.0 + 2f64.powi(-11)), 1.0);
        assert_eq!(
            half(1.0 + 2f64.powi(-11) + 2f64.powi(-30)),
            1.0 + 2f64.powi(-10)
        );
        assert_eq!(half(-2f64.powi(-25)), 0.0);
        assert_eq!(half(-2f64.powi(-25) * (1.0 + 1e-12)), -2f64.powi(-24));
        assert_eq!(half(65519.99), 65504.0);
        let brain = |x: i128| bf16::from_f32(round_to_odd(int_to_odd(x))).to_f64();
        let (tie, above) = (2f64.powi(62), 2f64.powi(62) + 2f64.powi(55));
        assert_eq!(brain((1 << 62) + (1 << 54)), tie);
        assert_eq!(brain((1 << 62) + (1 << 54) + 1), above);
        assert_eq!(brain(-(1 << 62) - (1 << 54) - 1), -above);
        assert_eq!(brain(u64::MAX.into()), 2f64.powi(64));
    }

    #[test]
    fn narrow_rows_round_once() {
        let source: Vec<bf16> = (0..200)
            .map(|i| bf16::from_f32(i as f32 * 0.1 - 10.0))
            .collect();
        let mut row = source.clone();
        // SAFETY: in place on one row.
        unsafe { map_bf16(rows::exp, row.as_ptr(), row.as_mut_ptr(), row.len()) };
        for (x, y) in source.iter().zip(row) {
            assert_eq!(y, bf16::from_f32(scalar::exp(x.to_f32())));
        }
    }
}
