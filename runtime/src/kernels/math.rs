//! f32 functions without branches: exp, log and their relatives, hyperbolic tangent, error function.
//!
//! Inlined into row kernels, where the compiler turns the loop over them into vector code; the LLVM backend makes
//! its code from them too. Special values (NaN, infinities, zeros, subnormals) come out right by selects. The
//! polynomials are made by `runtime/tools/minimax.py`; ranges and errors stand beside them.

use super::number::{Bits, Number, ROUNDER};

/// ln 2 with 9 bits, so that its product with an exponent is exact, and the rest.
const LN2_SHORT: f32 = 0.693_359_4;
const LN2_SHORT_REST: f32 = -2.121_944_4e-4;
/// ln 2 rounded, and the rest.
const LN2: f32 = std::f32::consts::LN_2;
const LN2_REST: f32 = -1.904_654_3e-9;
/// The significand of a logarithm's argument is taken from [2/3, 4/3).
const TWO_THIRDS_BITS: i32 = 0x3f2a_aaab;

/// c[0] x^(n-1) + ... + c[n-1], by Horner's rule with fused steps.
#[inline(always)]
fn polynomial<T: Number, const N: usize>(x: T, c: [f32; N]) -> T {
    let mut sum = x.constant(c[0]);
    let mut i = 1;
    while i < N {
        sum = sum.mul_add(x, x.constant(c[i]));
        i += 1;
    }
    sum
}

/// x = n ln 2 + r with |r| at most ln 2 / 2; returns n as a float and as an integer, and r.
#[inline(always)]
fn reduce_exponent<T: Number>(x: T) -> (T, T::Bits, T) {
    let rounder = x.constant(ROUNDER);
    let shifted = x.mul_add(x.constant(std::f32::consts::LOG2_E), rounder);
    let n = shifted - rounder;
    let integer = shifted.bits() - rounder.bits();
    let r = n.mul_add(x.constant(-LN2_SHORT), x);
    (n, integer, n.mul_add(x.constant(-LN2_SHORT_REST), r))
}

/// e^x.
#[inline(always)]
pub fn exp<T: Number>(x: T) -> T {
    // Beyond these the result is 0 or infinite.
    exp_within(x.clamp(-104.0, 89.0))
}

/// e^x for x in -104..=89.
#[inline(always)]
fn exp_within<T: Number>(x: T) -> T {
    let (n, integer, r) = reduce_exponent(x);
    // e^r = 1 + r + r^2 q(r), error 2^-28.
    let y = polynomial(
        r,
        [
            1.381_457_6e-3,
            8.368_731e-3,
            4.166_839e-2,
            1.666_652_1e-1,
            4.999_999_4e-1,
            1.0,
            1.0,
        ],
    );
    y.scaled(n, integer)
}

/// 2^x.
#[inline(always)]
pub fn exp2<T: Number>(x: T) -> T {
    // Beyond these the result is 0 or infinite.
    let (n, integer, r) = x.split_integer(-150.0, 128.0);
    // 2^r = 1 + r q(r). From the fit some last digits are moved, so that with the roundings of the steps the error is least.
    let y = polynomial(
        r,
        [
            1.535_310_3e-4,
            1.339_882e-3,
            9.618_48e-3,
            5.550_340_6e-2,
            2.402_264_6e-1,
            6.931_472e-1,
            1.0,
        ],
    );
    y.scaled(n, integer)
}

/// e^x - 1, accurate near 0.
#[inline(always)]
pub fn expm1<T: Number>(x: T) -> T {
    let k = |value| x.constant(value);
    let (n_float, n, r) = reduce_exponent(x.clamp(-30.0, 89.0));
    // e^r - 1 = r + r^2 q(r), error 2^-28.
    let q = polynomial(
        r,
        [
            1.984_588_2e-4,
            1.394_064_8e-3,
            8.333_39e-3,
            4.166_636e-2,
            1.666_666_6e-1,
            0.5,
        ],
    );
    let p = (r * r).mul_add(q, r);
    // 2^n p + (2^n - 1), halved and doubled, since 2^128 overflows.
    let half = (n - n.constant(1)).power_of_two();
    let scaled = k(2.0) * half.mul_add(p, half - k(0.5));
    let y = p.when(n_float.equals(k(0.0)), scaled);
    x.when(x.equals(k(0.0)), y)
}

/// x = 2^e m with m in [2/3, 4/3), for normal positive x; returns e and m.
#[inline(always)]
fn split_exponent<T: Number>(x: T) -> (T::Bits, T) {
    let bits = x.bits();
    let e = (bits - bits.constant(TWO_THIRDS_BITS)).shift_right(23);
    (e, (bits - e.shift_left(23)).number())
}

/// (ln(1 + f) - f) / f^2 for |f| up to 1/3; its share of the logarithm has error 2^-26.5.
#[inline(always)]
fn log_polynomial<T: Number>(f: T) -> T {
    polynomial(
        f,
        [
            -1.294_895_9e-1,
            1.400_478e-1,
            -1.216_715_6e-1,
            1.400_115_6e-1,
            -1.668_230_6e-1,
            2.001_074_9e-1,
            -2.499_971_7e-1,
            3.333_321e-1,
            -0.5,
        ],
    )
}

/// Natural logarithm.
#[inline(always)]
pub fn log<T: Number>(x: T) -> T {
    let k = |value| x.constant(value);
    let subnormal = x.less(k(f32::MIN_POSITIVE));
    let normal = (x * k(8_388_608.0)).when(subnormal, x);
    let (e, m) = split_exponent(normal);
    let e = e.rounded() - k(23.0).when(subnormal, k(0.0));
    let f = m - k(1.0);
    let y = (f * f).mul_add(log_polynomial(f), f);
    let y = e.mul_add(k(LN2), e.mul_add(k(LN2_REST), y));
    let y = k(f32::NEG_INFINITY).when(x.equals(k(0.0)), y);
    let y = k(f32::NAN).when(x.less(k(0.0)), y);
    // NaN and infinity are their own logarithms.
    y.when(x.less(k(f32::INFINITY)), x)
}

/// ln(1 + x), accurate near 0.
#[inline(always)]
pub fn log1p<T: Number>(x: T) -> T {
    let k = |value| x.constant(value);
    let one = k(1.0);
    let u = one + x;
    // What the addition lost; beyond 2^25 it no longer matters.
    let lost = (x - (u - one)).when(x.less(one), one - (u - x));
    let (e, m) = split_exponent(u);
    let lost = lost * (e.constant(0) - e).power_of_two();
    let lost = lost.when(u.less(k(33_554_432.0)), k(0.0));
    let exact = m - one;
    let f = exact + lost;
    let rest = (exact - f) + lost;
    let y = (f * f).mul_add(log_polynomial(f), rest) + f;
    let e = e.rounded();
    let y = e.mul_add(k(LN2), e.mul_add(k(LN2_REST), y));
    let y = x.when(x.equals(k(0.0)), y);
    let y = k(f32::NEG_INFINITY).when(x.equals(k(-1.0)), y);
    let y = k(f32::NAN).when(x.less(k(-1.0)), y);
    y.when(x.less(k(f32::INFINITY)), x)
}

/// Hyperbolic tangent.
#[inline(always)]
pub fn tanh<T: Number>(x: T) -> T {
    let k = |value| x.constant(value);
    let a = x.abs();
    let u = x * x;
    // x + x^3 p(x^2) up to 0.6, error 2^-33.
    let p = polynomial(
        u,
        [
            2.185_271_1e-3,
            -8.221_448e-3,
            2.171_766_6e-2,
            -5.394_971e-2,
            1.333_322_8e-1,
            -3.333_333e-1,
        ],
    );
    let small = (x * u).mul_add(p, x);
    let large = k(1.0) - k(2.0) / (exp(k(2.0) * a) + k(1.0));
    small.when(a.less(k(0.6)), large).copysign(x)
}

/// The error function.
#[inline(always)]
pub fn erf<T: Number>(x: T) -> T {
    // x n(x^2) / d(x^2) + x / 4 up to where the result becomes 1, error 2^-25.8. The last share is exact, but for
    // subnormals, so the roundings of the first count for less.
    let x = x.clamp(-3.919_206, 3.919_206);
    let t = x * x;
    let n = polynomial(
        t,
        [
            -1.641_112_2e-5,
            7.613_626e-5,
            -9.048_184e-5,
            3.846_99e-2,
            8.896_209e-2,
            1.317_568_8,
        ],
    );
    let d = polynomial(
        t,
        [
            -9.672_622_5e-8,
            9.023_147e-5,
            1.911_244_9e-3,
            2.284_157_3e-2,
            1.695_112_4e-1,
            7.435_875_5e-1,
            1.5,
        ],
    );
    x.mul_add(n / d, x * x.constant(0.25))
}

/// Square root, correctly rounded.
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// 1 / sqrt(x).
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / x.sqrt()
}
