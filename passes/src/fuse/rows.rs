//! Rows: which values are one number for every row of a tensor, and which ops stay within a row.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Dim, Function, Op, OpNode, Region, Value};

/// The rows of tensors of one shape, along its last axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    shape: Vec<Dim>,
}

impl Rows {
    /// Whether a tensor of this shape has these rows.
    pub fn are(&self, shape: &[Dim]) -> bool {
        self.shape == shape
    }

    /// Whether a tensor of this shape has one number per row; its last axis may be kept as 1.
    fn has_one_each(&self, shape: &[Dim]) -> bool {
        let outer = self.outer();
        shape == outer
            || shape
                .split_last()
                .is_some_and(|(last, rest)| last.is_const(1) && rest == outer)
    }

    fn outer(&self) -> &[Dim] {
        &self.shape[..self.shape.len() - 1]
    }

    /// Whether what an op makes of a row, or of a number per row, belongs to the same row.
    pub fn keeps(&self, function: &Function, node: &OpNode) -> bool {
        let &[result] = node.results.as_slice() else {
            return false;
        };
        let shape = function.ty(result).shape();
        match &node.op {
            Op::Reduce { .. } => reduced(function, node).is_some_and(|rows| rows == *self),
            Op::Broadcast { axes, .. } => {
                let operand = function.ty(node.operands[0]).shape();
                self.has_one_each(operand)
                    && (self.are(shape) || self.has_one_each(shape))
                    && axes.iter().copied().eq(0..operand.len())
            }
            op => super::is_elementwise(op) && (self.are(shape) || self.has_one_each(shape)),
        }
    }
}

/// The rows that an op reduces, each to a number. None where there is one row only, or rows of one.
fn reduced(function: &Function, node: &OpNode) -> Option<Rows> {
    let Op::Reduce { axes, .. } = &node.op else {
        return None;
    };
    let shape = function.ty(node.operands[0]).shape();
    let (last, outer) = shape.split_last()?;
    let single = Dim::product(outer.iter().copied()).is_const(1) || last.is_const(1);
    (axes.as_slice() == [outer.len()] && !single).then(|| Rows {
        shape: shape.to_vec(),
    })
}

/// What rows are reduced to, and the rows that go on from it.
#[derive(Default)]
pub struct Tied {
    /// Values that are one number per row, from reductions of rows on.
    pub numbers: HashMap<Value, Rows>,
    /// Rows that are computed from such numbers.
    pub rows: HashMap<Value, Rows>,
}

impl Tied {
    pub fn of(function: &Function, ops: &[OpNode]) -> Tied {
        let mut tied = Tied::default();
        for node in ops {
            let &[result] = node.results.as_slice() else {
                continue;
            };
            let shape = function.ty(result).shape();
            let known = |v| tied.numbers.get(v).or_else(|| tied.rows.get(v));
            let mut of_operands = node.operands.iter().filter_map(known);
            let first = of_operands.next();
            let rows = first.filter(|rows| of_operands.all(|other| other == *rows));
            let rows = rows.filter(|rows| rows.keeps(function, node)).cloned();
            if let Some(rows) = reduced(function, node) {
                tied.numbers.insert(result, rows);
            } else if let Some(rows) = rows {
                if rows.are(shape) {
                    tied.rows.insert(result, rows);
                } else {
                    tied.numbers.insert(result, rows);
                }
            }
        }
        tied
    }
}

/// Makes reshapes that only put axes of 1 into the result of a reduction broadcasts, which need no
/// memory.
pub fn insert_axes_by_broadcast(function: &Function, region: &mut Region) {
    let mut reduced: HashSet<Value> = HashSet::new();
    for node in &mut region.ops {
        for inner in &mut node.regions {
            insert_axes_by_broadcast(function, inner);
        }
        match &node.op {
            Op::Reduce { .. } => reduced.extend(&node.results),
            Op::Reshape { shape } if reduced.contains(&node.operands[0]) => {
                let own = function.ty(node.operands[0]).shape();
                let axes: Vec<usize> = (0..shape.len())
                    .filter(|&axis| !shape[axis].is_const(1))
                    .collect();
                if axes.len() == own.len() && axes.iter().zip(own).all(|(&a, d)| shape[a] == *d) {
                    node.op = Op::Broadcast {
                        shape: shape.clone(),
                        axes,
                    };
                }
            }
            _ => {}
        }
    }
}
