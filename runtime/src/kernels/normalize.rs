//! Rows normalised in one call: softmax and layer norm.

use super::{Level, level, multiversion, reduce, rows};

multiversion! {
    /// `destination[i] = (x[i] - a) * b`.
    ///
    /// # Safety
    /// Both rows have `n` elements; they are the same or do not overlap.
    shift_scale / shift_scale_at => fn(x: *const f32, a: f32, b: f32, destination: *mut f32, n: usize) {
        let mut i = 0;
        while i + 16 <= n {
            let mut block = x.add(i).cast::<[f32; 16]>().read_unaligned();
            for value in &mut block {
                *value = (*value - a) * b;
            }
            destination.add(i).cast::<[f32; 16]>().write_unaligned(block);
            i += 16;
        }
        while i < n {
            *destination.add(i) = (*x.add(i) - a) * b;
            i += 1;
        }
    }

    /// `x[i] = x[i] / divisor`.
    ///
    /// # Safety
    /// `x` has `n` elements.
    divide / divide_at => fn(x: *mut f32, divisor: f32, n: usize) {
        for value in std::slice::from_raw_parts_mut(x, n) {
            *value /= divisor;
        }
    }

    /// `x[i] = x[i] * scale[i] + shift[i]`, fused.
    ///
    /// # Safety
    /// All three rows have `n` elements; `x` overlaps neither of the others.
    affine / affine_at => fn(x: *mut f32, scale: *const f32, shift: *const f32, n: usize) {
        let x = std::slice::from_raw_parts_mut(x, n);
        let scale = std::slice::from_raw_parts(scale, n);
        let shift = std::slice::from_raw_parts(shift, n);
        for i in 0..n {
            x[i] = x[i].mul_add(scale[i], shift[i]);
        }
    }
}

/// e^(x - max) divided by its sum.
///
/// # Safety
/// Both rows have `n` elements; they are the same or do not overlap.
pub unsafe fn softmax(x: *const f32, destination: *mut f32, n: usize) {
    // SAFETY: the caller's promise; the level is the machine's own.
    unsafe { softmax_at(level(), x, destination, n) }
}

/// The version of [`softmax`] for `level`.
///
/// # Safety
/// As for [`softmax`]; the machine has `level`.
pub unsafe fn softmax_at(level: Level, x: *const f32, destination: *mut f32, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let largest = reduce::max_at(level, x, n);
        shift_scale_at(level, x, largest, 1.0, destination, n);
        rows::exp_at(level, destination, destination, n);
        let sum = reduce::sum_at(level, destination, n);
        divide_at(level, destination, sum, n);
    }
}

/// (x - mean) / sqrt(variance + epsilon), times `scale` plus `shift` unless these are null.
///
/// # Safety
/// The rows have `n` elements. `x` and `destination` are the same or do not overlap; `destination`
/// does not overlap `scale` and `shift`, which are both null or both not.
pub unsafe fn layer_norm(
    x: *const f32,
    scale: *const f32,
    shift: *const f32,
    epsilon: f32,
    destination: *mut f32,
    n: usize,
) {
    let level = level();
    // SAFETY: the caller's promise; the level is the machine's own.
    unsafe {
        let mean = reduce::sum_at(level, x, n) / n as f32;
        let variance = reduce::sum_centered_squares_at(level, x, mean, n) / n as f32;
        let factor = 1.0 / (variance + epsilon).sqrt();
        shift_scale_at(level, x, mean, factor, destination, n);
        if !scale.is_null() {
            affine_at(level, destination, scale, shift, n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn softmax_is_a_distribution(x in prop::collection::vec(-50.0f32..50.0, 1..200)) {
            let mut y = x.clone();
            // SAFETY: in place on one row.
            unsafe { softmax(y.as_ptr(), y.as_mut_ptr(), y.len()) };
            let largest = x.iter().copied().fold(f32::MIN, f32::max);
            let e: Vec<f64> = x.iter().map(|&v| f64::from(v - largest).exp()).collect();
            let sum: f64 = e.iter().sum();
            for (got, e) in y.iter().zip(e) {
                let expected = e / sum;
                prop_assert!((f64::from(*got) - expected).abs() <= 1e-6 * expected + 1e-38);
            }
        }

        #[test]
        fn layer_norm_normalises(x in prop::collection::vec(-5.0f32..5.0, 2..200)) {
            let n = x.len();
            let (scale, shift) = (vec![2.0f32; n], vec![3.0f32; n]);
            let mut y = vec![0.0f32; n];
            // SAFETY: rows of one length.
            unsafe {
                layer_norm(x.as_ptr(), scale.as_ptr(), shift.as_ptr(), 1e-5, y.as_mut_ptr(), n);
            }
            let wide: Vec<f64> = x.iter().map(|&v| v.into()).collect();
            let mean = wide.iter().sum::<f64>() / n as f64;
            let variance = wide.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
            for (got, v) in y.iter().zip(wide) {
                let expected = (v - mean) / (variance + 1e-5).sqrt() * 2.0 + 3.0;
                prop_assert!((f64::from(*got) - expected).abs() < 1e-4, "{got} {expected}");
            }
        }
    }

    #[test]
    fn a_row_of_minus_infinity_is_nan_as_the_composition_is() {
        let mut y = [f32::NEG_INFINITY; 3];
        // SAFETY: in place on one row.
        unsafe { softmax(y.as_ptr(), y.as_mut_ptr(), 3) };
        assert!(y.iter().all(|v| v.is_nan()));
    }
}
