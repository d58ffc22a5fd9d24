//! Sine and cosine in f32: reduction in f64, polynomials in f32.
//!
//! The reduction subtracts a multiple of pi / 2 kept in two f64 numbers, which is exact enough up to
//! [`LIMIT`]; larger arguments, rare, go one by one through the f64 function of the `libm` crate.

use super::math::polynomial;

/// The largest magnitude of the fast reduction.
pub const LIMIT: f32 = 4_194_304.0;

const HALF_PI: f64 = std::f64::consts::FRAC_PI_2;
const HALF_PI_REST: f64 = 6.123_233_995_736_766e-17;
/// 1.5 * 2^52: adding it rounds to an integer, which is then in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// x = n pi / 2 + r with |r| at most pi / 4; returns n mod 2^32 and r.
#[inline(always)]
fn reduce(x: f32) -> (u32, f32) {
    let x = f64::from(x);
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUNDER);
    let n = shifted - ROUNDER;
    let r = n.mul_add(-HALF_PI, x);
    (shifted.to_bits() as u32, n.mul_add(-HALF_PI_REST, r) as f32)
}

/// The sine of x + `quarters` pi / 2, up to [`LIMIT`].
#[inline(always)]
fn fast(x: f32, quarters: u32) -> f32 {
    let (n, r) = reduce(x);
    let n = n.wrapping_add(quarters);
    let u = r * r;
    // sin r = r + r^3 s(r^2), error 2^-32.5.
    let s = polynomial(
        u,
        [
            2.832_510_1e-6,
            -1.985_306_4e-4,
            8.333_379e-3,
            -1.666_666_7e-1,
        ],
    );
    let sine = (r * u).mul_add(s, r);
    // cos r = 1 - r^2 / 2 + r^4 c(r^2), error 2^-37.
    let c = polynomial(
        u,
        [-2.888_122e-7, 2.482_202_2e-5, -1.388_898e-3, 4.166_666_8e-2],
    );
    let cosine = (u * u).mul_add(c, u.mul_add(-0.5, 1.0));
    let value = if n & 1 == 0 { sine } else { cosine };
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
