//! Elements of values that are computed where they are used.

use aiai_ir::{BinaryKind, DType, Literal, Op, OpNode, Value};

use super::{Lowerer, Place};

impl Lowerer<'_> {
    /// The element of a value at an index.
    pub fn element(&mut self, value: Value, index: &[Value]) -> Value {
        let key = (value, index.to_vec());
        if let Some(&known) = self.memo.get(&key) {
            return known;
        }
        let result = match self.places.get(&value).cloned() {
            Some(Place::Row(buffer)) => self.b.value(Op::Load, &[buffer, index[index.len() - 1]]),
            Some(Place::Buffer { .. }) if self.in_row(value, index) => {
                self.load_in_row(value, index[index.len() - 1])
            }
            Some(Place::Buffer { buffer, axes }) => {
                let mut at = vec![buffer; axes.len() + 1];
                for (&axis, &i) in axes.iter().zip(index) {
                    at[axis + 1] = i;
                }
                self.b.value(Op::Load, &at)
            }
            Some(Place::Scalar(scalar)) => scalar,
            Some(Place::Lazy) | None => match self.staged.get(&value) {
                Some(staged) if staged.index == index => {
                    let operands = [staged.scratch, staged.place];
                    self.b.value(Op::Load, &operands)
                }
                _ => self.compute(value, index),
            },
        };
        self.memo.insert(key, result);
        result
    }

    fn compute(&mut self, value: Value, index: &[Value]) -> Value {
        let Some(&node) = self.nodes.get(&value) else {
            unreachable!("value {} has no definition", value.0);
        };
        let x = &node.operands;
        match &node.op {
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. } => {
                let parts: Vec<Value> = x.iter().map(|&v| self.element(v, index)).collect();
                self.b.value(node.op.clone(), &parts)
            }
            Op::StopGradient => self.element(x[0], index),
            Op::Constant { value: literal } => {
                let scalar = literal.splat().unwrap_or(aiai_ir::Scalar::Int(0));
                self.b.literal(Literal::scalar(literal.dtype, scalar))
            }
            Op::DimValue { dim } => self.dim(*dim),
            Op::Iota { dtype, axis, .. } => self.b.cast(index[*axis], *dtype),
            Op::Broadcast { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. } => {
                let at = self.index_of_operand(node, index);
                self.element(x[0], &at)
            }
            Op::Contract { maps, .. } => {
                let order: Vec<usize> = (0..index.len()).collect();
                let place = self.places_of(&maps[0], &order, index);
                self.element(x[0], &place)
            }
            other => unreachable!("`{}` is not an expression", other.name()),
        }
    }

    /// Where a view takes the element at an index from.
    pub fn index_of_operand(&mut self, node: &OpNode, index: &[Value]) -> Vec<Value> {
        let own = self.shape(node.operands[0]);
        let mut at = index.to_vec();
        match &node.op {
            Op::Broadcast { axes, shape } => {
                at.clear();
                for (k, &axis) in axes.iter().enumerate() {
                    let repeated = own[k].is_const(1) && !shape[axis].is_const(1);
                    at.push(if repeated { self.int(0) } else { index[axis] });
                }
            }
            Op::Permute { axes } => {
                for (k, &axis) in axes.iter().enumerate() {
                    at[axis] = index[k];
                }
            }
            Op::Slice {
                starts, strides, ..
            } => {
                for k in 0..index.len() {
                    if !strides[k].is_const(1) {
                        let stride = self.dim(strides[k]);
                        at[k] = self.mul(at[k], stride);
                    }
                    if !starts[k].is_const(0) {
                        let start = self.dim(starts[k]);
                        at[k] = self.add(at[k], start);
                    }
                }
            }
            Op::Reverse { axes } => {
                for &axis in axes {
                    let last = self.dim(own[axis] - aiai_ir::Dim::from(1));
                    at[axis] = self.b.binary(BinaryKind::Sub, last, index[axis]);
                }
            }
            other => unreachable!("`{}` takes no element from a place", other.name()),
        }
        at
    }

    /// A scalar constant of a dtype.
    pub fn number(&mut self, dtype: DType, value: f64) -> Value {
        self.b.literal(if dtype == DType::Bool {
            Literal::bool(value != 0.0)
        } else {
            Literal::f64(dtype, value)
        })
    }
}
