//! Reductions of one row to one number, in the fixed order of [`LANES`] partial results.

use super::{LANES, multiversion};

/// Combines `n` elements: `step(lane, i)` folds element `i` into a lane, `join` combines two lanes.
#[inline(always)]
fn lanes<T: Copy>(n: usize, start: T, step: impl Fn(T, usize) -> T, join: impl Fn(T, T) -> T) -> T {
    let mut partial = [start; LANES];
    let mut i = 0;
    while i + LANES <= n {
        for (l, value) in partial.iter_mut().enumerate() {
            *value = step(*value, i + l);
        }
        i += LANES;
    }
    for (l, value) in partial.iter_mut().enumerate().take(n - i) {
        *value = step(*value, i + l);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            partial[l] = join(partial[l], partial[l + width]);
        }
        width /= 2;
    }
    partial[0]
}

/// An integer that orders floats as numbers, -0 below +0; NaN is not ordered.
#[inline(always)]
fn order_key(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

#[inline(always)]
fn of_order_key(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32)
}

/// The largest or smallest, as `better` says, of keys; NaN if any element is.
#[inline(always)]
fn extreme(x: &[f32], start: f32, better: impl Fn(i32, i32) -> i32) -> f32 {
    let step = |(key, nan): (i32, i32), i: usize| {
        (better(key, order_key(x[i])), nan | i32::from(x[i].is_nan()))
    };
    let start = (order_key(start), 0);
    let (key, nan) = lanes(x.len(), start, step, |a, b| (better(a.0, b.0), a.1 | b.1));
    if nan != 0 {
        f32::NAN
    } else {
        of_order_key(key)
    }
}

#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    extreme(x, f32::NEG_INFINITY, i32::max)
}

#[inline(always)]
fn smallest(x: &[f32]) -> f32 {
    extreme(x, f32::INFINITY, i32::min)
}

multiversion! {
    /// Sum; of nothing 0.
    ///
    /// # Safety
    /// `x` has `n` elements.
    sum / sum_at => fn(x: *const f32, n: usize) -> f32 {
        let x = std::slice::from_raw_parts(x, n);
        lanes(n, 0.0, |a, i| a + x[i], |a, b| a + b)
    }

    /// Sum of squares.
    ///
    /// # Safety
    /// `x` has `n` elements.
    sum_squares / sum_squares_at => fn(x: *const f32, n: usize) -> f32 {
        let x = std::slice::from_raw_parts(x, n);
        lanes(n, 0.0f32, |a, i| x[i].mul_add(x[i], a), |a, b| a + b)
    }

    /// Sum of (x - center)^2.
    ///
    /// # Safety
    /// `x` has `n` elements.
    sum_centered_squares / sum_centered_squares_at => fn(x: *const f32, center: f32, n: usize) -> f32 {
        let x = std::slice::from_raw_parts(x, n);
        let square = |a: f32, i: usize| {
            let d = x[i] - center;
            d.mul_add(d, a)
        };
        lanes(n, 0.0f32, square, |a, b| a + b)
    }

    /// Sum of products.
    ///
    /// # Safety
    /// `x` and `y` have `n` elements.
    dot / dot_at => fn(x: *const f32, y: *const f32, n: usize) -> f32 {
        let (x, y) = (std::slice::from_raw_parts(x, n), std::slice::from_raw_parts(y, n));
        lanes(n, 0.0f32, |a, i| x[i].mul_add(y[i], a), |a, b| a + b)
    }

    /// The largest; NaN if any element is, +0 above -0; of nothing -inf.
    ///
    /// # Safety
    /// `x` has `n` elements.
    max / max_at => fn(x: *const f32, n: usize) -> f32 {
        largest(std::slice::from_raw_parts(x, n))
    }

    /// The smallest; NaN if any element is, -0 below +0; of nothing +inf.
    ///
    /// # Safety
    /// `x` has `n` elements.
    min / min_at => fn(x: *const f32, n: usize) -> f32 {
        smallest(std::slice::from_raw_parts(x, n))
    }

    /// The position of the first NaN or else of the largest, the lowest of equals; -1 of nothing.
    ///
    /// # Safety
    /// `x` has `n` elements.
    argmax / argmax_at => fn(x: *const f32, n: usize) -> i64 {
        let x = std::slice::from_raw_parts(x, n);
        position(x, largest(x))
    }

    /// The position of the first NaN or else of the smallest, the lowest of equals; -1 of nothing.
    ///
    /// # Safety
    /// `x` has `n` elements.
    argmin / argmin_at => fn(x: *const f32, n: usize) -> i64 {
        let x = std::slice::from_raw_parts(x, n);
        position(x, smallest(x))
    }
}

/// The first element that equals `value`, or is NaN if `value` is; -1 if there is none.
#[inline(always)]
fn position(x: &[f32], value: f32) -> i64 {
    let is_wanted = |v: f32| v == value || (v.is_nan() && value.is_nan());
    let mut base = 0;
    for block in x.chunks(LANES) {
        let mut any = false;
        for &v in block {
            any |= is_wanted(v);
        }
        if any {
            let within = block.iter().position(|&v| is_wanted(v)).unwrap_or(0);
            return (base + within) as i64;
        }
        base += LANES;
    }
    -1
}
