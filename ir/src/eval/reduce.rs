//! Reductions in row-major order, and sorting.

use std::cmp::Ordering;

use super::array::{Array, Data, for_each_index, round, strides};
use super::scalar::{float2, int2};
use crate::{ArgKind, BinaryKind, DType, ReduceKind};

fn combine(kind: ReduceKind) -> BinaryKind {
    match kind {
        ReduceKind::Sum => BinaryKind::Add,
        ReduceKind::Prod => BinaryKind::Mul,
        ReduceKind::Max => BinaryKind::Max,
        ReduceKind::Min => BinaryKind::Min,
        ReduceKind::Any => BinaryKind::Or,
        ReduceKind::All => BinaryKind::And,
    }
}

/// The reduction of nothing, as a float.
fn float_identity(kind: ReduceKind) -> f64 {
    match kind {
        ReduceKind::Sum | ReduceKind::Any => 0.0,
        ReduceKind::Prod | ReduceKind::All => 1.0,
        ReduceKind::Max => f64::NEG_INFINITY,
        ReduceKind::Min => f64::INFINITY,
    }
}

/// The reduction of nothing, as an integer of the dtype.
pub fn int_identity(kind: ReduceKind, dtype: DType) -> i64 {
    let bits = dtype.bytes() as u32 * 8;
    let (least, greatest) = match (dtype.is_signed(), bits) {
        (true, 64) => (i64::MIN, i64::MAX),
        (true, bits) => (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1),
        (false, 64) => (0, -1),
        (false, bits) => (0, (1i64 << bits) - 1),
    };
    match kind {
        ReduceKind::Sum | ReduceKind::Any => 0,
        ReduceKind::Prod | ReduceKind::All => 1,
        ReduceKind::Max => least,
        ReduceKind::Min => greatest,
    }
}

pub fn reduce(x: &Array, kind: ReduceKind, axes: &[usize], acc: DType) -> Array {
    let kept: Vec<usize> = (0..x.shape.len()).filter(|k| !axes.contains(k)).collect();
    let shape: Vec<usize> = kept.iter().map(|&k| x.shape[k]).collect();
    let out_strides = strides(&shape);
    let count: usize = shape.iter().product();
    let op = combine(kind);
    let mut at = 0;
    match &x.data {
        Data::Float(v) => {
            let mut out = vec![float_identity(kind); count];
            for_each_index(&x.shape, |index| {
                let to: usize = kept
                    .iter()
                    .zip(&out_strides)
                    .map(|(&k, s)| index[k] * s)
                    .sum();
                out[to] = round(acc, float2(op, out[to], v[at]));
                at += 1;
            });
            Array::floats(x.dtype, shape, out)
        }
        Data::Int(v) => {
            let wide = if matches!(kind, ReduceKind::Sum | ReduceKind::Prod) {
                acc
            } else {
                x.dtype
            };
            let mut out = vec![int_identity(kind, wide); count];
            for_each_index(&x.shape, |index| {
                let to: usize = kept
                    .iter()
                    .zip(&out_strides)
                    .map(|(&k, s)| index[k] * s)
                    .sum();
                out[to] = int2(op, wide, out[to], v[at]);
                at += 1;
            });
            Array::ints(x.dtype, shape, out)
        }
    }
}

/// Whether a candidate replaces the best so far: strictly better, or the first NaN.
fn better(kind: ArgKind, best: f64, candidate: f64) -> bool {
    if best.is_nan() {
        return false;
    }
    candidate.is_nan()
        || match kind {
            ArgKind::Max => candidate > best,
            ArgKind::Min => candidate < best,
        }
}

pub fn arg_reduce(x: &Array, kind: ArgKind, axis: usize) -> Array {
    let mut shape = x.shape.clone();
    let length = shape.remove(axis);
    let inner: usize = shape[axis..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let exceeds = |a: usize, b: usize| match &x.data {
        Data::Float(v) => better(kind, v[b], v[a]),
        Data::Int(v) => {
            let order = compare_ints(x.dtype, v[a], v[b]);
            order
                == if kind == ArgKind::Max {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
        }
    };
    let mut out = Vec::with_capacity(outer * inner);
    for row in 0..outer {
        for column in 0..inner {
            let at = |k: usize| (row * length + k) * inner + column;
            let mut best = if length == 0 { -1 } else { 0 };
            for k in 1..length {
                if exceeds(at(k), at(best as usize)) {
                    best = k as i64;
                }
            }
            out.push(best);
        }
    }
    Array::ints(DType::I64, shape, out)
}

fn compare_ints(dtype: DType, a: i64, b: i64) -> Ordering {
    if dtype == DType::U64 {
        (a as u64).cmp(&(b as u64))
    } else {
        a.cmp(&b)
    }
}

/// Ascending, -0 before +0, NaN last.
fn compare_floats(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.total_cmp(&b),
    }
}

pub fn sort(parts: &[Array], axis: usize, descending: bool) -> Vec<Array> {
    let keys = &parts[0];
    if keys.is_empty() {
        return parts.to_vec();
    }
    let length = keys.shape[axis];
    let inner: usize = keys.shape[axis + 1..].iter().product();
    let outer: usize = keys.shape[..axis].iter().product();
    let mut positions = vec![0; keys.len()];
    for row in 0..outer {
        for column in 0..inner {
            let at = |k: usize| (row * length + k) * inner + column;
            let mut order: Vec<usize> = (0..length).collect();
            order.sort_by(|&a, &b| {
                let ascending = match &keys.data {
                    Data::Float(v) => compare_floats(v[at(a)], v[at(b)]),
                    Data::Int(v) => compare_ints(keys.dtype, v[at(a)], v[at(b)]),
                };
                if descending {
                    ascending.reverse()
                } else {
                    ascending
                }
            });
            for (k, from) in order.into_iter().enumerate() {
                positions[at(k)] = at(from);
            }
        }
    }
    parts
        .iter()
        .map(|part| part.pick(part.shape.clone(), positions.iter().copied()))
        .collect()
}
