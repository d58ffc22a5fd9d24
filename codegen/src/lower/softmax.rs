//! What softmax is known for: rows of `exp(y - max(y))` divided by their sum.

use aiai_ir::{BinaryKind, DType, Dim, Op, OpNode, ReduceKind, UnaryKind, Value};

use super::Lowerer;
use super::reduction::Fold;

/// Times this even the least infinite number of f32 is beyond -104, where exponentials are 0.
const LEAST_SCALE: f64 = 1e-36;

/// The exponentials of a row, to be divided by their sum.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    pub exponentials: Value,
    /// What they are exponentials of, and the largest of a row of it.
    pub scores: Value,
    pub most: Value,
    /// They are `2^(factor * (x - max(x)))` of this x.
    pub unscaled: Value,
    pub factor: f64,
}

/// How a reduction of rows is done that may be softmax. NaN may be passed over in its maximum: it comes back in the sum, by
/// which all of the row is divided.
pub fn fold_of(softmax: Option<&Softmax>, node: &OpNode, kind: ReduceKind) -> Fold {
    Fold {
        kind,
        skips_nan: softmax.is_some_and(|softmax| softmax.most == node.results[0]),
    }
}

impl Lowerer<'_> {
    /// Rows of f32 that are divided by a number, if these are softmax. What is reduced must be reduced along the rows, and be
    /// repeated along them.
    pub fn softmax(&self, rows: Value, divisor: Value) -> Option<Softmax> {
        let sum = self.behind_views(divisor)?;
        let is_sum = matches!(
            sum.op,
            Op::Reduce {
                kind: ReduceKind::Sum,
                ..
            }
        );
        let (scores, most) = self.below_one(rows)?;
        if !is_sum || sum.operands != [rows] || self.dtype(rows) != DType::F32 {
            return None;
        }
        let (unscaled, scale) = self.scaled_down(scores).unwrap_or((scores, 1.0));
        Some(Softmax {
            exponentials: rows,
            scores,
            most,
            unscaled,
            factor: scale * std::f64::consts::LOG2_E,
        })
    }

    /// What a value is a positive multiple of, with a factor from [`LEAST_SCALE`] to 1: multiples do not overflow, and where
    /// differences do of which they are multiples, exponentials are 0.
    fn scaled_down(&self, value: Value) -> Option<(Value, f64)> {
        let node = self.nodes.get(&value)?;
        let &[x, y] = node.operands.as_slice() else {
            return None;
        };
        let (x, scale) = match node.op {
            Op::Binary {
                kind: BinaryKind::Mul,
            } => match self.number_everywhere(y) {
                Some(scale) => (x, scale),
                None => (y, self.number_everywhere(x)?),
            },
            Op::Binary {
                kind: BinaryKind::Div,
            } => (x, 1.0 / self.number_everywhere(y)?),
            _ => return None,
        };
        (LEAST_SCALE..=1.0).contains(&scale).then_some((x, scale))
    }

    /// The dividend and the divisor of a row, where it is divided by a number, or multiplied with its inverse, and
    /// nothing in it is above 1: then sums of the dividends are no larger than sums of what they are multiplied with.
    pub fn row_quotient(&self, value: Value, shape: &[Dim]) -> Option<(Value, Value)> {
        let node = self.nodes.get(&value)?;
        let Op::Binary { kind } = node.op else {
            return None;
        };
        let [x, y] = *node.operands.as_slice() else {
            return None;
        };
        let number_of = |repeated: Value| {
            let node = self.nodes.get(&repeated)?;
            let is_number =
                matches!(node.op, Op::Broadcast { .. }) && self.shape(node.operands[0]) != shape;
            is_number.then(|| node.operands[0])
        };
        let found = match kind {
            BinaryKind::Div => Some((x, number_of(y)?)),
            BinaryKind::Mul => [(x, y), (y, x)]
                .into_iter()
                .find_map(|(row, factor)| Some((row, self.inverse_of(number_of(factor)?)?))),
            _ => None,
        };
        let float = matches!(self.dtype(value), DType::F32 | DType::F64);
        found.filter(|&(row, _)| float && self.below_one(row).is_some())
    }

    /// What 1 is divided by.
    fn inverse_of(&self, value: Value) -> Option<Value> {
        let node = self.nodes.get(&value)?;
        let divides = node.op
            == Op::Binary {
                kind: BinaryKind::Div,
            };
        let is_one = self.number_everywhere(*node.operands.first()?) == Some(1.0);
        (divides && is_one).then(|| node.operands[1])
    }

    /// The constant that all elements of a value are.
    fn number_everywhere(&self, value: Value) -> Option<f64> {
        match &self.behind_views(value)?.op {
            Op::Constant { value } => Some(value.splat()?.as_f64()),
            _ => None,
        }
    }

    /// What makes the numbers that a value repeats.
    fn behind_views(&self, value: Value) -> Option<&OpNode> {
        let mut node = self.nodes.get(&value)?;
        while matches!(node.op, Op::Broadcast { .. } | Op::Reshape { .. }) {
            node = self.nodes.get(node.operands.first()?)?;
        }
        Some(node)
    }

    /// y and `max(y)`, where a value is `exp(y - max(y))` over its rows.
    fn below_one(&self, value: Value) -> Option<(Value, Value)> {
        let exp = self.nodes.get(&value)?;
        let minus = self.nodes.get(exp.operands.first()?)?;
        let &[y, most] = minus.operands.as_slice() else {
            return None;
        };
        let largest = self.behind_views(most)?;
        let is_max = matches!(
            largest.op,
            Op::Reduce {
                kind: ReduceKind::Max,
                ..
            }
        );
        let is_exp = exp.op
            == Op::Unary {
                kind: UnaryKind::Exp,
            };
        let is_minus = minus.op
            == Op::Binary {
                kind: BinaryKind::Sub,
            };
        (is_exp && is_minus && is_max && largest.operands == [y]).then(|| (y, largest.results[0]))
    }
}
