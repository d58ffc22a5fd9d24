//! x^y in f32, as 2^(y log2 x) in f64.

/// 1.5 * 2^52: adding it rounds to an integer, which is then in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// c[0] x^(n-1) + ... + c[n-1], by Horner's rule with fused steps.
#[inline(always)]
pub(super) fn polynomial<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    let mut sum = c[0];
    let mut i = 1;
    while i < N {
        sum = sum.mul_add(x, c[i]);
        i += 1;
    }
    sum
}

/// log2 of a positive finite number that is normal in f64, absolute error about 2^-44.
#[inline(always)]
fn log2(x: f64) -> f64 {
    let bits = x.to_bits() as i64;
    let e = bits.wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits() as i64) >> 52;
    let m = f64::from_bits(bits.wrapping_sub(e << 52) as u64);
    let s = (m - 1.0) / (m + 1.0);
    let l = polynomial(
        s * s,
        [
            0.282_913_981_526_577,
            0.319_904_715_657_694_96,
            0.412_209_276_734_684_55,
            0.577_077_942_178_303_8,
            0.961_796_694_114_215_4,
            2.885_390_081_777_849_5,
        ],
    );
    s.mul_add(l, e as i32 as f64)
}

/// 2^x for |x| up to 1000, relative error 2^-32.
#[inline(always)]
fn exp2(x: f64) -> f64 {
    let shifted = x + ROUNDER;
    let t = x - (shifted - ROUNDER);
    let e = polynomial(
        t,
        [
            1.559_418_842_327_640_2e-5,
            1.547_478_258_218_845_7e-4,
            1.333_311_959_535_383_9e-3,
            9.618_015_111_034_198e-3,
            5.550_409_549_281_068e-2,
            2.402_265_120_264_065_7e-1,
            6.931_471_820_669_634e-1,
            9.999_999_999_616_842e-1,
        ],
    );
    let n = shifted
        .to_bits()
        .wrapping_sub(ROUNDER.to_bits())
        .wrapping_add(1023);
    e * f64::from_bits(n << 52)
}

/// x to the power y, with the special values of IEEE 754.
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    let a = f64::from(x.abs());
    let l = log2(a);
    let l = if x == 0.0 { f64::NEG_INFINITY } else { l };
    let l = if a == f64::INFINITY { a } else { l };
    let l = if a == 1.0 { 0.0 } else { l };
    let z = f64::from(y) * l;
    // Beyond these the f32 result is 0 or infinite.
    let z = if z < -200.0 { -200.0 } else { z };
    let z = if z > 200.0 { 200.0 } else { z };
    let magnitude = exp2(z) as f32;
    // 1^y, (-1)^inf and x^0 are 1 even where a NaN takes part in the product.
    let magnitude = if a == 1.0 && !y.is_nan() {
        1.0
    } else {
        magnitude
    };

    // From 2^24 on every float is an even integer.
    let truncated = if y.abs() < 16_777_216.0 {
        y as i32 as f32
    } else {
        y
    };
    let is_integer = truncated == y;
    let is_odd = is_integer && y.abs() < 16_777_216.0 && (y as i32) & 1 == 1;
    let negative = x.is_sign_negative() && is_odd;
    let value = if negative { -magnitude } else { magnitude };
    let value = if x < 0.0 && x > f32::NEG_INFINITY && !is_integer {
        f32::NAN
    } else {
        value
    };
    let value = if x.is_nan() || y.is_nan() {
        f32::NAN
    } else {
        value
    };
    // A square is the product, where that lies between two floats too.
    let value = if y == 2.0 { x * x } else { value };
    if x == 1.0 || y == 0.0 { 1.0 } else { value }
}
