//! Elements of values that are computed where they are used.

use aiai_ir::{BinaryKind, DType, Literal, Op, Value};

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
            Op::Broadcast { axes, shape } => {
                let own = self.shape(x[0]);
                let mut at = Vec::new();
                for (k, &axis) in axes.iter().enumerate() {
                    let repeated = own[k].is_const(1) && !shape[axis].is_const(1);
                    at.push(if repeated { self.int(0) } else { index[axis] });
                }
                self.element(x[0], &at)
            }
            Op::Permute { axes } => {
                let mut at = index.to_vec();
                for (k, &axis) in axes.iter().enumerate() {
                    at[axis] = index[k];
                }
                self.element(x[0], &at)
            }
            Op::Slice {
                starts, strides, ..
            } => {
                let mut at = Vec::new();
                for k in 0..index.len() {
                    let mut i = index[k];
                    if !strides[k].is_const(1) {
                        let stride = self.dim(strides[k]);
                        i = self.mul(i, stride);
                    }
                    if !starts[k].is_const(0) {
                        let start = self.dim(starts[k]);
                        i = self.add(i, start);
                    }
                    at.push(i);
                }
                self.element(x[0], &at)
            }
            Op::Contract { maps, .. } => {
                let order: Vec<usize> = (0..index.len()).collect();
                let place = self.places_of(&maps[0], &order, index);
                let element = self.element(x[0], &place);
                // A sum of one term: zero loses its sign.
                let dtype = self.dtype(value);
                if !dtype.is_float() {
                    return element;
                }
                let zero = self.number(dtype, 0.0);
                self.add(zero, element)
            }
            Op::Reverse { axes } => {
                let shape = self.shape(x[0]);
                let mut at = index.to_vec();
                for &axis in axes {
                    let last = self.dim(shape[axis] - aiai_ir::Dim::from(1));
                    at[axis] = self.b.binary(BinaryKind::Sub, last, index[axis]);
                }
                self.element(x[0], &at)
            }
            other => unreachable!("`{}` is not an expression", other.name()),
        }
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
