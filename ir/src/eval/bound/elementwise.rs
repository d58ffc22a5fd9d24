//! Errors of elementwise ops.

use super::super::array::{Array, Data, round};
use super::super::scalar::{float1, float2};
use super::{Against, precision};
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

pub fn unary(kind: UnaryKind, x: &Array, result: &mut Array, against: Against) {
    let Data::Float(values) = &x.data else {
        return set(result, |i| known(x.error_at(i)));
    };
    let p = precision(x.dtype, against);
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
        if p.reals && error == 0.0 && exact1(kind, value, outcome) {
            return 0.0;
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
            let overflows = matches!(kind, UnaryKind::Exp | UnaryKind::Expm1 | UnaryKind::Exp2);
            return if error == 0.0 && !edge.is_finite() && !(p.reals && overflows) {
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

/// Whether the function of this value is this, without rounding.
fn exact1(kind: UnaryKind, x: f64, outcome: f64) -> bool {
    match kind {
        UnaryKind::Sqrt => outcome.is_finite() && outcome.mul_add(outcome, -x) == 0.0,
        UnaryKind::Rsqrt => {
            let square = outcome * outcome;
            let whole = outcome.mul_add(outcome, -square) == 0.0;
            whole && square.mul_add(x, -1.0) == 0.0
        }
        UnaryKind::Log => x == 1.0,
        UnaryKind::Exp2 => x.fract() == 0.0 && outcome.is_normal() && outcome == x.exp2(),
        UnaryKind::Exp
        | UnaryKind::Expm1
        | UnaryKind::Log1p
        | UnaryKind::Tanh
        | UnaryKind::Sin
        | UnaryKind::Cos
        | UnaryKind::Erf => x == 0.0,
        UnaryKind::Neg
        | UnaryKind::Abs
        | UnaryKind::Sign
        | UnaryKind::Floor
        | UnaryKind::Ceil
        | UnaryKind::Round
        | UnaryKind::Not
        | UnaryKind::IsNan
        | UnaryKind::IsFinite => true,
    }
}

/// Above it what f64 loses of a product is itself an f64.
const TINY: f64 = 1e-270;

/// Whether the outcome is the function of these values, without rounding.
fn exact2(kind: BinaryKind, x: f64, y: f64, outcome: f64) -> bool {
    match kind {
        BinaryKind::Add => exact_sum(x, y, outcome),
        BinaryKind::Sub => exact_sum(x, -y, outcome),
        BinaryKind::Mul if x == 0.0 || y == 0.0 => true,
        BinaryKind::Mul => outcome.abs() > TINY && x.mul_add(y, -outcome) == 0.0,
        BinaryKind::Div if x == 0.0 => true,
        BinaryKind::Div => x.abs() > TINY && outcome.mul_add(y, -x) == 0.0,
        BinaryKind::Max | BinaryKind::Min => true,
        BinaryKind::Pow => y == 2.0 && exact2(BinaryKind::Mul, x, x, outcome),
        BinaryKind::Rem
        | BinaryKind::And
        | BinaryKind::Or
        | BinaryKind::Xor
        | BinaryKind::Shl
        | BinaryKind::Shr => false,
    }
}

/// The rounding error of a sum, by the algorithm of Knuth, is 0.
fn exact_sum(x: f64, y: f64, outcome: f64) -> bool {
    let sum = x + y;
    let part = sum - x;
    sum == outcome && (x - (sum - part)) + (y - part) == 0.0
}

pub fn binary(kind: BinaryKind, a: &Array, b: &Array, result: &mut Array, against: Against) {
    let (Data::Float(x), Data::Float(y)) = (&a.data, &b.data) else {
        return set(result, |i| known(a.error_at(i).max(b.error_at(i))));
    };
    let p = precision(a.dtype, against);
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
            // Finite operands have an infinite result at a pole, or one that is too large for f64.
            let pole = match kind {
                BinaryKind::Div => y == 0.0,
                BinaryKind::Pow => x == 0.0,
                _ => false,
            };
            let overflows = x.is_finite() && y.is_finite() && !pole && !r.is_nan();
            let certain = certain && !(p.reals && overflows);
            return if certain { 0.0 } else { UNKNOWN };
        }
        if p.reals && ea == 0.0 && eb == 0.0 && exact2(kind, x, y, r) {
            return 0.0;
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

pub fn select(condition: &Array, a: &Array, b: &Array, result: &mut Array, against: Against) {
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
        } else if a.dtype.is_float() && apart.is_finite() && against == Against::Executors {
            // Of two executors one may take this way and one the other; over the reals nothing is known.
            apart + both
        } else {
            UNKNOWN
        }
    });
}

pub fn cast(x: &Array, result: &mut Array, against: Against) {
    let (from, to) = (x.dtype, result.dtype);
    let (values, outcomes) = (x.to_f64(), result.to_f64());
    let narrows = from.is_float() && to.is_float() && narrower(to, from);
    let p = precision(to, against);
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
        let whole = from.is_float() || values[i].abs() < 2f64.powi(53);
        if !outcomes[i].is_finite() || (error == 0.0 && whole && round(to, values[i]) == values[i])
        {
            return 0.0;
        }
        let rounding = if narrows || error > 0.0 || p.reals {
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
        unary(kind, &x, &mut result, Against::Executors);
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
