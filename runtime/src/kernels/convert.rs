//! To f16 and bf16 and back; narrowing rounds once, to nearest even.

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

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

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
}
