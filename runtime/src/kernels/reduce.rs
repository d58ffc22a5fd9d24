//! Reductions of one row to one number, in the fixed order of [`LANES`] partial results.

use super::{LANES, multiversion};

/// Folds pairs of elements of two rows of one length into the lanes and then joins these. `pad` is an
/// element that a fold does not notice.
#[inline(always)]
fn fold<T: Copy>(
    x: &[f32],
    y: &[f32],
    pad: f32,
    start: T,
    step: impl Fn(T, f32, f32) -> T,
    join: impl Fn(T, T) -> T,
) -> T {
    let mut partial = [start; LANES];
    let ((x_blocks, x_rest), (y_blocks, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (xs, ys) in x_blocks.iter().zip(y_blocks) {
        for l in 0..LANES {
            partial[l] = step(partial[l], xs[l], ys[l]);
        }
    }
    if !x_rest.is_empty() {
        let (mut xs, mut ys) = ([pad; LANES], [pad; LANES]);
        xs[..x_rest.len()].copy_from_slice(x_rest);
        ys[..y_rest.len()].copy_from_slice(y_rest);
        for l in 0..LANES {
            partial[l] = step(partial[l], xs[l], ys[l]);
        }
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

/// An integer that orders floats as numbers, -0 below +0; NaN becomes `nan`.
#[inline(always)]
fn order_key(x: f32, nan: i32) -> i32 {
    let bits = x.to_bits() as i32;
    let key = bits ^ ((bits >> 31) & i32::MAX);
    if x.is_nan() { nan } else { key }
}

/// The number of an order key; both keys that stand for NaN become NaN.
#[inline(always)]
fn of_order_key(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32)
}

#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let start = order_key(f32::NEG_INFINITY, 0);
    let step = |a: i32, v: f32, _| a.max(order_key(v, i32::MAX));
    of_order_key(fold(x, x, f32::NEG_INFINITY, start, step, i32::max))
}

#[inline(always)]
fn smallest(x: &[f32]) -> f32 {
    let start = order_key(f32::INFINITY, 0);
    let step = |a: i32, v: f32, _| a.min(order_key(v, i32::MIN));
    of_order_key(fold(x, x, f32::INFINITY, start, step, i32::min))
}

multiversion! {
    /// Sum; of nothing 0.
    ///
    /// # Safety
    /// `x` has `n` elements.
    sum / sum_at => fn(x: *const f32, n: usize) -> f32 {
        let x = std::slice::from_raw_parts(x, n);
        fold(x, x, 0.0, 0.0, |a, v, _| a + v, |a, b| a + b)
    }

    /// Goes on with a sum: element i is added to partial result i modulo [`LANES`].
    ///
    /// # Safety
    /// `x` has `n` elements, `partial` has [`LANES`]. They do not overlap.
    add_lanes / add_lanes_at => fn(x: *const f32, partial: *mut f32, n: usize) {
        let x = std::slice::from_raw_parts(x, n);
        let partial = &mut *partial.cast::<[f32; LANES]>();
        let mut sums = *partial;
        let (blocks, rest) = x.as_chunks::<LANES>();
        for block in blocks {
            for l in 0..LANES {
                sums[l] += block[l];
            }
        }
        for (sum, v) in sums.iter_mut().zip(rest) {
            *sum += v;
        }
        *partial = sums;
    }

    /// Sum of products.
    ///
    /// # Safety
    /// `x` and `y` have `n` elements.
    dot / dot_at => fn(x: *const f32, y: *const f32, n: usize) -> f32 {
        let (x, y) = (std::slice::from_raw_parts(x, n), std::slice::from_raw_parts(y, n));
        fold(x, y, 0.0, 0.0, |a: f32, v, w| v.mul_add(w, a), |a, b| a + b)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Level, levels};
    use proptest::prelude::*;

    type Reduce = unsafe fn(Level, *const f32, usize) -> f32;

    fn all_levels(reduce: Reduce, x: &[f32]) -> f32 {
        // SAFETY: the row has this length; the levels are the machine's.
        let results: Vec<f32> = levels()
            .map(|level| unsafe { reduce(level, x.as_ptr(), x.len()) })
            .collect();
        assert!(
            results.iter().all(|r| r.to_bits() == results[0].to_bits()),
            "{results:?}"
        );
        results[0]
    }

    /// The order that the documentation promises, written plainly.
    fn lane_order_sum(x: &[f32]) -> f32 {
        let mut lanes = vec![0.0; LANES];
        x.iter()
            .enumerate()
            .for_each(|(i, v)| lanes[i % LANES] += v);
        while lanes.len() > 1 {
            let half = lanes.split_off(lanes.len() / 2);
            lanes.iter_mut().zip(half).for_each(|(a, b)| *a += b);
        }
        lanes[0]
    }

    #[test]
    fn extremes_treat_nan_and_zeros_as_stated() {
        assert_eq!(all_levels(max_at, &[]), f32::NEG_INFINITY);
        assert_eq!(all_levels(min_at, &[]), f32::INFINITY);
        assert_eq!(all_levels(sum_at, &[]), 0.0);
        assert!(all_levels(max_at, &[-0.0, 0.0]).is_sign_positive());
        assert!(all_levels(min_at, &[0.0, -0.0]).is_sign_negative());
        for nan in [f32::NAN, -f32::NAN] {
            for at in 0..40 {
                let mut x = vec![1.0; 40];
                x[at] = nan;
                assert!(all_levels(max_at, &x).is_nan());
                assert!(all_levels(min_at, &x).is_nan());
                x.push(f32::NAN);
                // SAFETY: the row has this length.
                let position = unsafe { argmax(x.as_ptr(), x.len()) };
                assert_eq!(position, at as i64);
            }
        }
        // SAFETY: an empty row.
        assert_eq!(unsafe { argmin(x_of_nothing(), 0) }, -1);
    }

    fn x_of_nothing() -> *const f32 {
        std::ptr::NonNull::<f32>::dangling().as_ptr()
    }

    #[test]
    fn a_sum_in_pieces_is_the_sum() {
        let x: Vec<f32> = (0..777).map(|i| (i as f32).sin()).collect();
        for level in levels() {
            let mut partial = [0.0; LANES];
            for piece in x.chunks(4 * LANES) {
                // SAFETY: the piece has this length; the level is the machine's.
                unsafe { add_lanes_at(level, piece.as_ptr(), partial.as_mut_ptr(), piece.len()) };
            }
            assert_eq!(all_levels(sum_at, &partial), all_levels(sum_at, &x));
        }
    }

    proptest! {
        #[test]
        fn rows_of_any_length(x in prop::collection::vec(-100.0f32..100.0, 0..200)) {
            prop_assert_eq!(all_levels(sum_at, &x), lane_order_sum(&x));
            let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            // SAFETY: the caller's promise.
            let with_itself: Reduce = |level, x, n| unsafe { dot_at(level, x, x, n) };
            let got = f64::from(all_levels(with_itself, &x));
            prop_assert!((got - squares).abs() <= 1e-5 * squares);
            // SAFETY: both rows have this length.
            let dot = unsafe { dot(x.as_ptr(), x.as_ptr(), x.len()) };
            prop_assert_eq!(dot, got as f32);
            let plain = |f: fn(f32, f32) -> f32, start| x.iter().copied().fold(start, f);
            prop_assert_eq!(all_levels(max_at, &x), plain(f32::max, f32::NEG_INFINITY));
            prop_assert_eq!(all_levels(min_at, &x), plain(f32::min, f32::INFINITY));
            for level in levels() {
                // SAFETY: the row has this length; the level is the machine's.
                let at = unsafe { argmax_at(level, x.as_ptr(), x.len()) };
                let best = plain(f32::max, f32::NEG_INFINITY);
                let expected = x.iter().position(|&v| v == best).map_or(-1, |i| i as i64);
                prop_assert_eq!(at, expected);
            }
        }
    }
}
