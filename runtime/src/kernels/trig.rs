//! Sine and cosine in f32, computed in f64.
//!
//! The reduction subtracts a multiple of pi / 2 kept in two f64 numbers, which is exact enough up to
//! [`LIMIT`]; larger arguments, rare, go one by one through the f64 function of the `libm` crate.

use super::pow::polynomial;

/// The largest magnitude of the fast reduction.
pub const LIMIT: f32 = 4_194_304.0;

const HALF_PI: f64 = std::f64::consts::FRAC_PI_2;
const HALF_PI_REST: f64 = 6.123_233_995_736_766e-17;
/// 1.5 * 2^52: adding it rounds to an integer, which is then in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// x = n pi / 2 + r with |r| at most pi / 4; returns n mod 2^32 and r.
#[inline(always)]
fn reduce(x: f64) -> (u32, f64) {
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUNDER);
    let n = shifted - ROUNDER;
    let r = n.mul_add(-HALF_PI, x);
    (shifted.to_bits() as u32, n.mul_add(-HALF_PI_REST, r))
}

/// The sine of x + `quarters` pi / 2, up to [`LIMIT`].
#[inline(always)]
fn fast(x: f32, quarters: u32) -> f32 {
    let (n, r) = reduce(x.into());
    let n = n.wrapping_add(quarters);
    let u = r * r;
    // sin r = r + r^3 s(r^2), error 2^-32.5.
    let s = polynomial(
        u,
        [
            2.832_510_06e-6,
            -1.985_306_44e-4,
            8.333_379_4e-3,
            -1.666_666_72e-1,
        ],
    );
    let sine = (r * u).mul_add(s, r);
    // cos r = 1 - r^2 / 2 + r^4 c(r^2), error 2^-37.
    let c = polynomial(
        u,
        [
            -2.888_122_03e-7,
            2.482_202_22e-5,
            -1.388_898e-3,
            4.166_666_79e-2,
        ],
    );
    let cosine = (u * u).mul_add(c, u.mul_add(-0.5, 1.0));
    let value = (if n & 1 == 0 { sine } else { cosine }) as f32;
    let value = f32::from_bits(value.to_bits() ^ ((n & 2) << 30));
    // The sum of zeros in the reduction loses the sign of -0.
    if x == 0.0 && quarters == 0 { x } else { value }
}

/// Sine where |x| is at most [`LIMIT`] or not finite.
#[inline(always)]
pub fn sin_fast(x: f32) -> f32 {
    fast(x, 0)
}

/// Cosine where |x| is at most [`LIMIT`] or not finite.
#[inline(always)]
pub fn cos_fast(x: f32) -> f32 {
    fast(x, 1)
}

/// Whether `sin_slow` and `cos_slow` must be used.
#[inline(always)]
pub fn is_large(x: f32) -> bool {
    x.abs() > LIMIT
}

/// Sine of any number.
#[cold]
#[inline(never)]
pub fn sin_slow(x: f32) -> f32 {
    libm::sin(x.into()) as f32
}

/// Cosine of any number.
#[cold]
#[inline(never)]
pub fn cos_slow(x: f32) -> f32 {
    libm::cos(x.into()) as f32
}
