//! Elementwise row kernels: `name(source, destination, n)`.
//!
//! Rows are worked off in blocks through a local array, so that source and destination may be the same
//! row, and the end of a row takes the same vector code as the rest.

use super::{math, multiversion, pow, trig};

/// Elements of a block: four of the widest vectors.
const BLOCK: usize = 64;

/// Applies `f` to `n` elements; `mend` repairs a finished block that needs more than `f`.
///
/// # Safety
/// `source` can be read and `destination` written for `n` elements. They are the same or do not overlap.
#[inline(always)]
pub unsafe fn map(
    source: *const f32,
    destination: *mut f32,
    n: usize,
    f: impl Fn(f32) -> f32,
    mend: impl Fn(&[f32; BLOCK], &mut [f32; BLOCK]),
) {
    let mut i = 0;
    while i + BLOCK <= n {
        // SAFETY: the elements `i..i + BLOCK` are below `n`.
        unsafe {
            let block = source.add(i).cast::<[f32; BLOCK]>().read_unaligned();
            let mut result = block;
            for value in &mut result {
                *value = f(*value);
            }
            mend(&block, &mut result);
            destination
                .add(i)
                .cast::<[f32; BLOCK]>()
                .write_unaligned(result);
        }
        i += BLOCK;
    }
    if i < n {
        let mut block = [1.0; BLOCK];
        // SAFETY: the elements `i..n` exist, and fewer than BLOCK are left.
        unsafe { std::ptr::copy_nonoverlapping(source.add(i), block.as_mut_ptr(), n - i) };
        let mut result = block;
        for value in &mut result {
            *value = f(*value);
        }
        mend(&block, &mut result);
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), destination.add(i), n - i) };
    }
}

/// Repairs the elements of a block for which `is_special` holds.
#[inline(always)]
fn mend(
    block: &[f32; BLOCK],
    result: &mut [f32; BLOCK],
    is_special: impl Fn(f32) -> bool,
    f: impl Fn(f32) -> f32,
) {
    let mut any = false;
    for &x in block {
        any |= is_special(x);
    }
    if any {
        for (value, &x) in result.iter_mut().zip(block) {
            if is_special(x) {
                *value = f(x);
            }
        }
    }
}

macro_rules! unary_rows {
    ($($(#[$meta:meta])* $name:ident / $at:ident = $function:expr;)+) => {
        multiversion! { $(
            $(#[$meta])*
            /// of every element.
            ///
            /// # Safety
            /// `source` and `destination` have `n` elements. They are the same row or do not overlap.
            $name / $at => fn(source: *const f32, destination: *mut f32, n: usize) {
                map(source, destination, n, $function, |_, _| {})
            }
        )+ }
    };
}

unary_rows! {
    /// e^x
    exp / exp_at = math::exp;
    /// e^x - 1
    expm1 / expm1_at = math::expm1;
    /// 2^x
    exp2 / exp2_at = math::exp2;
    /// Natural logarithm
    log / log_at = math::log;
    /// ln(1 + x)
    log1p / log1p_at = math::log1p;
    /// Hyperbolic tangent
    tanh / tanh_at = math::tanh;
    /// Error function
    erf / erf_at = math::erf;
    /// Square root
    sqrt / sqrt_at = math::sqrt;
    /// 1 / sqrt(x)
    rsqrt / rsqrt_at = math::rsqrt;
}

multiversion! {
    /// Sine of every element.
    ///
    /// # Safety
    /// `source` and `destination` have `n` elements. They are the same row or do not overlap.
    sin / sin_at => fn(source: *const f32, destination: *mut f32, n: usize) {
        map(source, destination, n, trig::sin_fast, |block, result| {
            mend(block, result, trig::is_large, trig::sin_slow)
        })
    }

    /// Cosine of every element.
    ///
    /// # Safety
    /// `source` and `destination` have `n` elements. They are the same row or do not overlap.
    cos / cos_at => fn(source: *const f32, destination: *mut f32, n: usize) {
        map(source, destination, n, trig::cos_fast, |block, result| {
            mend(block, result, trig::is_large, trig::cos_slow)
        })
    }

    /// x to the power y, elementwise; `y_step` is 1, or 0 to use one exponent for all.
    ///
    /// # Safety
    /// `x` and `destination` have `n` elements, `y` has `n` or one. `destination` is one of the
    /// sources or does not overlap them.
    pow / pow_at => fn(x: *const f32, y: *const f32, y_step: usize, destination: *mut f32, n: usize) {
        let mut i = 0;
        while i < n {
            let count = BLOCK.min(n - i);
            let (mut xs, mut ys) = ([1.0f32; BLOCK], [1.0f32; BLOCK]);
            std::ptr::copy_nonoverlapping(x.add(i), xs.as_mut_ptr(), count);
            if y_step == 0 {
                ys = [*y; BLOCK];
            } else {
                std::ptr::copy_nonoverlapping(y.add(i), ys.as_mut_ptr(), count);
            }
            for (x, &y) in xs.iter_mut().zip(&ys) {
                *x = pow::pow(*x, y);
            }
            std::ptr::copy_nonoverlapping(xs.as_ptr(), destination.add(i), count);
            i += BLOCK;
        }
    }
}
