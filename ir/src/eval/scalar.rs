//! Elementwise ops on wide scalars, rounded to the dtype after every op.

use super::array::{Array, Data, round, wrap};
use crate::dtype::int_to_odd;
use crate::{BinaryKind, CompareKind, DType, UnaryKind};

/// A float function of one operand, before rounding.
pub(super) fn float1(kind: UnaryKind, x: f64) -> f64 {
    match kind {
        UnaryKind::Neg => -x,
        UnaryKind::Abs => x.abs(),
        UnaryKind::Sign if x.is_nan() || x == 0.0 => x,
        UnaryKind::Sign => x.signum(),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::Exp => x.exp(),
        UnaryKind::Expm1 => x.exp_m1(),
        UnaryKind::Exp2 => x.exp2(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Log1p => x.ln_1p(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Rsqrt => 1.0 / x.sqrt(),
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Erf => erf(x),
        UnaryKind::Not => x,
        UnaryKind::IsNan => f64::from(u8::from(x.is_nan())),
        UnaryKind::IsFinite => f64::from(u8::from(x.is_finite())),
    }
}

/// The error function, within 1 ulp of f64.
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// A function of one scalar of a dtype. Booleans are 0 and 1.
pub fn unary(kind: UnaryKind, dtype: DType, x: f64) -> f64 {
    round(dtype, float1(kind, x))
}

fn int1(kind: UnaryKind, dtype: DType, x: i64) -> i64 {
    match kind {
        UnaryKind::Neg => wrap(dtype, x.wrapping_neg()),
        UnaryKind::Abs if dtype.is_signed() => wrap(dtype, x.wrapping_abs()),
        UnaryKind::Sign if dtype.is_signed() => x.signum(),
        UnaryKind::Sign => i64::from(x != 0),
        UnaryKind::Not if dtype == DType::Bool => i64::from(x == 0),
        UnaryKind::Not => wrap(dtype, !x),
        UnaryKind::Abs
        | UnaryKind::Floor
        | UnaryKind::Ceil
        | UnaryKind::Round
        | UnaryKind::Exp
        | UnaryKind::Expm1
        | UnaryKind::Exp2
        | UnaryKind::Log
        | UnaryKind::Log1p
        | UnaryKind::Sqrt
        | UnaryKind::Rsqrt
        | UnaryKind::Tanh
        | UnaryKind::Sin
        | UnaryKind::Cos
        | UnaryKind::Erf
        | UnaryKind::IsNan
        | UnaryKind::IsFinite => x,
    }
}

pub(super) fn map1(x: &Array, kind: UnaryKind) -> Array {
    let (dtype, shape) = (x.dtype, x.shape.clone());
    match &x.data {
        Data::Float(v) if kind.is_predicate() => Array::ints(
            DType::Bool,
            shape,
            v.iter().map(|&x| float1(kind, x) as i64),
        ),
        Data::Float(v) => Array::floats(dtype, shape, v.iter().map(|&x| float1(kind, x))),
        Data::Int(v) => Array::ints(dtype, shape, v.iter().map(|&x| int1(kind, dtype, x))),
    }
}

/// A function of two float scalars, before rounding.
pub(super) fn float2(kind: BinaryKind, a: f64, b: f64) -> f64 {
    match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Sub => a - b,
        BinaryKind::Mul => a * b,
        BinaryKind::Div => a / b,
        BinaryKind::Rem => {
            let r = a % b;
            if r != 0.0 && (r < 0.0) != (b < 0.0) {
                r + b
            } else {
                r
            }
        }
        // Of every NaN, which libraries do not agree on.
        BinaryKind::Pow if a == 1.0 || b == 0.0 => 1.0,
        BinaryKind::Pow if b == 2.0 => a * a,
        BinaryKind::Pow => a.powf(b),
        BinaryKind::Max => extreme(a, b, a > b || (a == b && b.is_sign_negative())),
        BinaryKind::Min => extreme(a, b, a < b || (a == b && a.is_sign_negative())),
        BinaryKind::And | BinaryKind::Or | BinaryKind::Xor | BinaryKind::Shl | BinaryKind::Shr => {
            f64::NAN
        }
    }
}

fn extreme(a: f64, b: f64, first: bool) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if first {
        a
    } else {
        b
    }
}

/// A function of two float scalars of a dtype, rounded.
pub fn binary(kind: BinaryKind, dtype: DType, a: f64, b: f64) -> f64 {
    round(dtype, float2(kind, a, b))
}

pub(super) fn int2(kind: BinaryKind, dtype: DType, a: i64, b: i64) -> i64 {
    let unsigned = dtype == DType::U64;
    let bits = dtype.bytes() as i64 * 8;
    let value = match kind {
        BinaryKind::Add => a.wrapping_add(b),
        BinaryKind::Sub => a.wrapping_sub(b),
        BinaryKind::Mul => a.wrapping_mul(b),
        BinaryKind::Div | BinaryKind::Rem if b == 0 => 0,
        BinaryKind::Div if unsigned => (a as u64 / b as u64) as i64,
        BinaryKind::Rem if unsigned => (a as u64 % b as u64) as i64,
        BinaryKind::Div => {
            let q = a.wrapping_div(b);
            if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) {
                q - 1
            } else {
                q
            }
        }
        BinaryKind::Rem => {
            let r = a.wrapping_rem(b);
            if r != 0 && (r < 0) != (b < 0) {
                r + b
            } else {
                r
            }
        }
        BinaryKind::Pow => int_pow(dtype, a, b),
        BinaryKind::Max if unsigned => (a as u64).max(b as u64) as i64,
        BinaryKind::Min if unsigned => (a as u64).min(b as u64) as i64,
        BinaryKind::Max => a.max(b),
        BinaryKind::Min => a.min(b),
        BinaryKind::And => a & b,
        BinaryKind::Or => a | b,
        BinaryKind::Xor => a ^ b,
        BinaryKind::Shl if !(0..bits).contains(&b) => 0,
        BinaryKind::Shl => a << b,
        BinaryKind::Shr => {
            let past = !(0..bits).contains(&b);
            match (dtype.is_signed(), past) {
                (true, true) => a >> 63,
                (true, false) => a >> b,
                (false, true) => 0,
                (false, false) => ((a as u64) >> b) as i64,
            }
        }
    };
    wrap(dtype, value)
}

fn int_pow(dtype: DType, base: i64, exponent: i64) -> i64 {
    if exponent < 0 && dtype != DType::U64 {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut result, mut base, mut exponent) = (1i64, base, exponent as u64);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

pub(super) fn map2(a: &Array, b: &Array, kind: BinaryKind) -> Array {
    let (dtype, shape) = (a.dtype, a.shape.clone());
    match (&a.data, &b.data) {
        (Data::Float(x), Data::Float(y)) => Array::floats(
            dtype,
            shape,
            x.iter().zip(y).map(|(&x, &y)| float2(kind, x, y)),
        ),
        _ => {
            let pairs = a.as_ints().iter().zip(b.as_ints());
            Array::ints(dtype, shape, pairs.map(|(&x, &y)| int2(kind, dtype, x, y)))
        }
    }
}

/// Compares as `kind` says; unsigned where the dtype is.
fn holds<T: PartialOrd>(kind: CompareKind, a: T, b: T) -> bool {
    match kind {
        CompareKind::Eq => a == b,
        CompareKind::Ne => a != b,
        CompareKind::Lt => a < b,
        CompareKind::Le => a <= b,
        CompareKind::Gt => a > b,
        CompareKind::Ge => a >= b,
    }
}

pub(super) fn compare(a: &Array, b: &Array, kind: CompareKind) -> Array {
    let shape = a.shape.clone();
    let unsigned = a.dtype == DType::U64;
    let results: Vec<i64> = match (&a.data, &b.data) {
        (Data::Float(x), Data::Float(y)) => x
            .iter()
            .zip(y)
            .map(|(&x, &y)| i64::from(holds(kind, x, y)))
            .collect(),
        _ => {
            let pairs = a.as_ints().iter().zip(b.as_ints());
            let hold = |x: i64, y: i64| {
                if unsigned {
                    holds(kind, x as u64, y as u64)
                } else {
                    holds(kind, x, y)
                }
            };
            pairs.map(|(&x, &y)| i64::from(hold(x, y))).collect()
        }
    };
    Array::ints(DType::Bool, shape, results)
}

pub(super) fn select(condition: &Array, a: &Array, b: &Array) -> Array {
    let mut out = b.clone();
    for (i, &holds) in condition.as_ints().iter().enumerate() {
        if holds != 0 {
            out.copy_from(i, a, i);
        }
    }
    out
}

pub(super) fn cast(x: &Array, dtype: DType) -> Array {
    let shape = x.shape.clone();
    match (&x.data, dtype.is_float()) {
        (Data::Float(v), true) => Array::floats(dtype, shape, v.iter().copied()),
        (Data::Int(_), true) => Array::floats(dtype, shape, int_to_float(x, dtype)),
        (Data::Int(v), false) => Array::ints(dtype, shape, v.iter().copied()),
        (Data::Float(v), false) => {
            Array::ints(dtype, shape, v.iter().map(|&x| float_to_int(dtype, x)))
        }
    }
}

/// Rounds once, from the integer to the dtype: through f64 a wide integer would be rounded twice.
fn int_to_float(x: &Array, dtype: DType) -> Vec<f64> {
    let unsigned = x.dtype == DType::U64;
    let convert = |v: i64| match (dtype, unsigned) {
        (DType::F64, true) => v as u64 as f64,
        (DType::F64, false) => v as f64,
        (DType::F16 | DType::BF16, true) => int_to_odd((v as u64).into()),
        (DType::F16 | DType::BF16, false) => int_to_odd(v.into()),
        (_, true) => f64::from(v as u64 as f32),
        (_, false) => f64::from(v as f32),
    };
    x.as_ints().iter().map(|&v| convert(v)).collect()
}

/// Truncates and saturates; NaN is 0.
fn float_to_int(dtype: DType, x: f64) -> i64 {
    match dtype {
        DType::Bool => i64::from(x != 0.0),
        DType::I8 => i64::from(x as i8),
        DType::I16 => i64::from(x as i16),
        DType::I32 => i64::from(x as i32),
        DType::U8 => i64::from(x as u8),
        DType::U16 => i64::from(x as u16),
        DType::U32 => i64::from(x as u32),
        DType::U64 => x as u64 as i64,
        DType::I64 | DType::F16 | DType::BF16 | DType::F32 | DType::F64 => x as i64,
    }
}
