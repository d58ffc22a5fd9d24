//! Floats in the words of the solver: formats, constants, and ops that the theory has otherwise or not at all.

use aiai_ir::DType;

use super::bits::{signed, width};

/// Bits of the exponent, and of the significand with its hidden one.
pub fn format_of(dtype: DType) -> (u32, u32) {
    match dtype {
        DType::F16 => (5, 11),
        DType::BF16 => (8, 8),
        DType::F64 => (11, 53),
        _ => (8, 24),
    }
}

/// NaN wins, and +0 is above -0.
pub fn extreme(max: bool, a: &str, b: &str, dtype: DType) -> String {
    let (e, s) = format_of(dtype);
    let (beyond, zero) = if max { ("fp.gt", b) } else { ("fp.lt", a) };
    format!(
        "(ite (or (fp.isNaN {a}) (fp.isNaN {b})) (_ NaN {e} {s}) \
         (ite (or ({beyond} {a} {b}) (and (fp.eq {a} {b}) (fp.isNegative {zero}))) {a} {b}))"
    )
}

/// A float as an integer: towards zero, saturating, NaN as 0.
pub fn truncated(x: &str, from: DType, to: DType) -> String {
    let bits = width(to);
    let (most, least, convert) = if signed(to) {
        let most = format!("(_ bv{} {bits})", (1u128 << (bits - 1)) - 1);
        let least = format!("(_ bv{} {bits})", 1u128 << (bits - 1));
        (most, least, "fp.to_sbv")
    } else {
        let most = format!("(_ bv{} {bits})", (1u128 << bits) - 1);
        (most, format!("(_ bv0 {bits})"), "fp.to_ubv")
    };
    // The first number above the greatest is a power of two: a float, or beyond all of them.
    let power = bits - u32::from(signed(to));
    let above = literal(2f64.powi(power as i32), from, "RNE");
    let below = if signed(to) {
        literal(-(2f64.powi(power as i32)), from, "RNE")
    } else {
        literal(0.0, from, "RNE")
    };
    format!(
        "(ite (fp.isNaN {x}) (_ bv0 {bits}) (ite (fp.geq {x} {above}) {most} \
         (ite (fp.leq {x} {below}) {least} ((_ {convert} {bits}) RTZ {x}))))"
    )
}

/// A number in a format; one that is not of it, rounded as said.
pub fn literal(value: f64, dtype: DType, rounding: &str) -> String {
    let (e, s) = format_of(dtype);
    if value.is_nan() {
        return format!("(_ NaN {e} {s})");
    }
    let bits = value.to_bits();
    let exact = format!(
        "(fp #b{:b} #b{:011b} #b{:052b})",
        bits >> 63,
        (bits >> 52) & 0x7ff,
        bits & ((1 << 52) - 1)
    );
    if dtype == DType::F64 {
        return exact;
    }
    format!("((_ to_fp {e} {s}) {rounding} {exact})")
}
