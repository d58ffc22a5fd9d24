//! Errors of elementwise ops.

use super::super::array::{Array, Data, round};
use super::super::scalar::{float1, float2};
use super::precision;
use crate::{BinaryKind, DType, UnaryKind};

const UNKNOWN: f64 = f64::INFINITY;

/// Sets the errors of a result element by element; all zero becomes none.
fn set(result: &mut Array, error: impl Fn(usize) -> f64) {
    let errors: Vec<f64> = (0..result.len()).map(error).collect();
    result.error = errors.iter().any(|&e| e != 0.0).then_some(errors);
}

fn known(error: f64) -> f64 {
    if error > 0.0 { UNKNOWN } else { 0.0 }
}

pub fn unary(kind: UnaryKind, x: &Array, result: &mut Array) {
    let Data::Float(values) = &x.data else {
        return set(result, |i| known(x.error_at(i)));
    };
    let p = precision(x.dtype);
    let outcomes = result.to_f64();
    set(result, |i| {
        let (value, error, outcome) = (values[i], x.error_at(i), outcomes[i]);
        if error == UNKNOWN {
            return UNKNOWN;
        }
        let decides = matches!(
            kind,
            UnaryKind::Floor
                | UnaryKind::Ceil
                | UnaryKind::Round
                | UnaryKind::Sign
                | UnaryKind::IsNan
                | UnaryKind::IsFinite
        );
        if error == 0.0 && (decides || !outcome.is_finite() && !value.is_finite()) {
            return 0.0;
        }
        if matches!(kind, UnaryKind::Neg | UnaryKind::Abs) {
            return error;
        }
        let (low, high) = (float1(kind, value - error), float1(kind, value + error));
        if decides {
            return if low == high && value.is_finite() {
                0.0
            } else {
                UNKNOWN
            };
        }
        if !outcome.is_finite() {
            // A pole or the end of a domain, exactly; or an overflow.
            let edge = float1(kind, value);
            return if error == 0.0 && !edge.is_finite() {
                0.0
            } else {
                UNKNOWN
            };
        }
        let spread = match kind {
            UnaryKind::Sin | UnaryKind::Cos => error.min(2.0),
            // Part of the range may lie outside of the domain.
            _ if low.is_nan() || high.is_nan() => UNKNOWN,
            _ => (low - outcome).abs().max((high - outcome).abs()),
        };
        let spread = if error == 0.0 { 0.0 } else { spread };
        p.limited(outcome, spread + p.rounding(kind.ulp(), outcome))
    });
}

pub fn binary(kind: BinaryKind, a: &Array, b: &Array, result: &mut Array) {
    let (Data::Float(x), Data::Float(y)) = (&a.data, &b.data) else {
        return set(result, |i| known(a.error_at(i).max(b.error_at(i))));
    };
    let p = precision(a.dtype);
    let outcomes = result.to_f64();
    set(result, |i| {
        let (ea, eb, r) = (a.error_at(i), b.error_at(i), outcomes[i]);
        let (x, y) = (x[i], y[i]);
        // NaN goes through whatever the other is.
        if (x.is_nan() && ea == 0.0) || (y.is_nan() && eb == 0.0) {
            return if r.is_nan() { 0.0 } else { UNKNOWN };
        }
        if ea == UNKNOWN || eb == UNKNOWN {
            return UNKNOWN;
        }
        if !r.is_finite() {
            // Exact operands give this infinity or NaN without rounding, or overflow near the edge.
            let unrounded = float2(kind, x, y);
            let certain = ea == 0.0 && eb == 0.0 && !unrounded.is_finite();
            return if certain { 0.0 } else { UNKNOWN };
        }
        let propagated = match kind {
            BinaryKind::Add | BinaryKind::Sub => ea + eb,
            BinaryKind::Mul => x.abs() * eb + y.abs() * ea + ea * eb,
            BinaryKind::Max | BinaryKind::Min => return ea.max(eb),
            _ if ea == 0.0 && eb == 0.0 => 0.0,
            BinaryKind::Div if y.abs() > eb => (ea + (x / y).abs() * eb) / (y.abs() - eb),
            BinaryKind::Pow if x > ea => corners(x, ea, y, eb, r),
            _ => UNKNOWN,
        };
        p.limited(r, propagated + p.rounding(kind.ulp(), r))
    });
}

/// How far powers at the corners of the box are from the one in the middle.
fn corners(x: f64, ea: f64, y: f64, eb: f64, r: f64) -> f64 {
    let points = [
        (x - ea, y - eb),
        (x - ea, y + eb),
        (x + ea, y - eb),
        (x + ea, y + eb),
    ];
    let far = points.map(|(x, y)| (x.powf(y) - r).abs());
    far.into_iter().fold(
        0.0,
        |a, b| if b.is_nan() { UNKNOWN } else { f64::max(a, b) },
    )
}

pub fn compare(a: &Array, b: &Array, result: &mut Array) {
    let (x, y) = (a.to_f64(), b.to_f64());
    set(result, |i| {
        let error = a.error_at(i) + b.error_at(i);
        let nan =
            (x[i].is_nan() && a.error_at(i) == 0.0) || (y[i].is_nan() && b.error_at(i) == 0.0);
        if error == 0.0 || nan || (x[i] - y[i]).abs() > error {
            0.0
        } else {
            UNKNOWN
        }
    });
}

pub fn select(condition: &Array, a: &Array, b: &Array, result: &mut Array) {
    let (x, y) = (a.to_f64(), b.to_f64());
    set(result, |i| {
        let taken = if condition.as_ints()[i] != 0 { a } else { b };
        if condition.error_at(i) == 0.0 {
            return taken.error_at(i);
        }
        let both = a.error_at(i).max(b.error_at(i));
        let apart = (x[i] - y[i]).abs();
        if x[i] == y[i] {
            both
        } else if a.dtype.is_float() && apart.is_finite() {
            apart + both
        } else {
            UNKNOWN
        }
    });
}

pub fn cast(x: &Array, result: &mut Array) {
    let (from, to) = (x.dtype, result.dtype);
    let (values, outcomes) = (x.to_f64(), result.to_f64());
    let narrows = from.is_float() && to.is_float() && narrower(to, from);
    let p = precision(to);
    let range = |value: f64| Array::from_literal(&crate::Literal::f64(to, value)).to_f64()[0];
    set(result, |i| {
        let error = x.error_at(i);
        if !to.is_float() {
            if error == 0.0 {
                return 0.0;
            }
            // Every number but 0 is true.
            let same = match to {
                DType::Bool => values[i].abs() > error,
                _ => range(values[i] - error) == range(values[i] + error),
            };
            return if same && from.is_float() && error < UNKNOWN {
                0.0
            } else {
                UNKNOWN
            };
        }
        if error == UNKNOWN || (error > 0.0 && !outcomes[i].is_finite()) {
            return UNKNOWN;
        }
        if !outcomes[i].is_finite() || (error == 0.0 && round(to, values[i]) == values[i]) {
            return 0.0;
        }
        let rounding = if narrows || error > 0.0 {
            p.rounding(0.5, outcomes[i])
        } else {
            0.0
        };
        p.limited(outcomes[i], error + rounding)
    });
}

fn narrower(a: DType, b: DType) -> bool {
    a.bytes() < b.bytes() || (a != b && a.bytes() == b.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(kind: UnaryKind, value: f64, error: f64) -> f64 {
        let mut x = Array::floats(DType::F32, vec![1], [value]);
        x.error = Some(vec![error]);
        let mut result = Array::floats(DType::F32, vec![1], [float1(kind, value)]);
        unary(kind, &x, &mut result);
        result.error_at(0)
    }

    #[test]
    fn a_range_that_leaves_the_domain_is_unknown() {
        for kind in [UnaryKind::Sqrt, UnaryKind::Rsqrt, UnaryKind::Log] {
            assert_eq!(bounds(kind, 0.3, 0.5), UNKNOWN, "{kind:?}");
            assert!(bounds(kind, 0.3, 0.1) < 2.0, "{kind:?}");
        }
    }
}
