//! The functions of the row kernels on one number: the same bits. f64 goes through the `libm` crate,
//! which gives the same bits on every machine.

use super::{math, multiversion, pow as power, trig};

macro_rules! singles {
    ($($name:ident, $version:ident / $at:ident, $double:ident = $single_function:expr, $double_function:expr;)+) => {
        multiversion! { $(
            /// One number.
            ///
            /// # Safety
            /// None beyond that of its versions.
            $version / $at => fn(x: f32) -> f32 { $single_function(x) }
        )+ }
        $(
            /// The f32 function.
            pub fn $name(x: f32) -> f32 {
                // SAFETY: no pointers are involved.
                unsafe { $version(x) }
            }

            /// The f64 function.
            pub fn $double(x: f64) -> f64 {
                $double_function(x)
            }
        )+
    };
}

singles! {
    exp, exp_version / exp_at, exp_f64 = math::exp, libm::exp;
    expm1, expm1_version / expm1_at, expm1_f64 = math::expm1, libm::expm1;
    exp2, exp2_version / exp2_at, exp2_f64 = math::exp2, libm::exp2;
    log, log_version / log_at, log_f64 = math::log, libm::log;
    log1p, log1p_version / log1p_at, log1p_f64 = math::log1p, libm::log1p;
    tanh, tanh_version / tanh_at, tanh_f64 = math::tanh, libm::tanh;
    erf, erf_version / erf_at, erf_f64 = math::erf, libm::erf;
    sqrt, sqrt_version / sqrt_at, sqrt_f64 = math::sqrt, f64::sqrt;
    rsqrt, rsqrt_version / rsqrt_at, rsqrt_f64 = math::rsqrt, double_rsqrt;
    sin, sin_version / sin_at, sin_f64 = sine, libm::sin;
    cos, cos_version / cos_at, cos_f64 = cosine, libm::cos;
}

multiversion! {
    /// One power.
    ///
    /// # Safety
    /// None beyond that of its versions.
    pow_version / pow_at => fn(x: f32, y: f32) -> f32 { power::pow(x, y) }
}

/// x to the power y.
pub fn pow(x: f32, y: f32) -> f32 {
    // SAFETY: no pointers are involved.
    unsafe { pow_version(x, y) }
}

/// x to the power y in f64; a square is the product.
pub fn pow_f64(x: f64, y: f64) -> f64 {
    if y == 2.0 { x * x } else { libm::pow(x, y) }
}

/// The remainder with the sign of the divisor.
pub fn rem(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) {
        r + y
    } else {
        r
    }
}

/// x to the power y, wrapping.
pub fn pow_integer(mut x: i64, mut y: u64) -> i64 {
    let mut result = 1i64;
    while y > 0 {
        if y & 1 == 1 {
            result = result.wrapping_mul(x);
        }
        x = x.wrapping_mul(x);
        y >>= 1;
    }
    result
}

#[inline(always)]
fn sine(x: f32) -> f32 {
    if trig::is_large(x) {
        trig::sin_slow(x)
    } else {
        trig::sin_fast(x)
    }
}

#[inline(always)]
fn cosine(x: f32) -> f32 {
    if trig::is_large(x) {
        trig::cos_slow(x)
    } else {
        trig::cos_fast(x)
    }
}

fn double_rsqrt(x: f64) -> f64 {
    1.0 / x.sqrt()
}
