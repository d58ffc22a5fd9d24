//! Derivatives of reductions.

use aiai_ir::{BinaryKind, Builder, CompareKind, ReduceKind, Value};

use super::{constant, zeros};

/// A reduced value back under the operand's shape.
fn spread(b: &mut Builder, value: Value, like: Value, axes: &[usize]) -> Value {
    let shape = b.ty(like).shape().to_vec();
    let kept: Vec<usize> = (0..shape.len()).filter(|k| !axes.contains(k)).collect();
    b.broadcast(value, &shape, &kept)
}

/// The cotangent of x; `None` for reductions of truth values.
pub fn reduce(
    b: &mut Builder,
    kind: ReduceKind,
    axes: &[usize],
    x: Value,
    y: Value,
    g: Value,
) -> Option<Value> {
    match kind {
        ReduceKind::Sum => Some(spread(b, g, x, axes)),
        ReduceKind::Max | ReduceKind::Min => {
            // The extremes share evenly.
            let extreme = spread(b, y, x, axes);
            let chosen = b.compare(CompareKind::Eq, x, extreme);
            let (zero, one) = (zeros(b, x), constant(b, x, 1.0));
            let ones = b.select(chosen, one, zero);
            let count = b.reduce(ReduceKind::Sum, ones, axes);
            let share = b.binary(BinaryKind::Div, g, count);
            let share = spread(b, share, x, axes);
            Some(b.select(chosen, share, zero))
        }
        ReduceKind::Prod => Some(product(b, axes, x, g)),
        ReduceKind::Any | ReduceKind::All => None,
    }
}

/// The product of the others: by division where no element is 0, else only for a lone zero.
fn product(b: &mut Builder, axes: &[usize], x: Value, g: Value) -> Value {
    let (zero, one) = (zeros(b, x), constant(b, x, 1.0));
    let is_zero = b.compare(CompareKind::Eq, x, zero);
    let marks = b.select(is_zero, one, zero);
    let zeros_in_row = b.reduce(ReduceKind::Sum, marks, axes);
    let safe = b.select(is_zero, one, x);
    let rest = b.reduce(ReduceKind::Prod, safe, axes);
    let [zeros_in_row, rest, g] = [zeros_in_row, rest, g].map(|v| spread(b, v, x, axes));
    let none = b.compare(CompareKind::Eq, zeros_in_row, zero);
    let lone = b.compare(CompareKind::Eq, zeros_in_row, one);
    let divided = b.binary(BinaryKind::Div, rest, safe);
    let without = b.select(none, divided, zero);
    let at_zero = b.select(lone, rest, zero);
    let slope = b.select(is_zero, at_zero, without);
    b.binary(BinaryKind::Mul, g, slope)
}
