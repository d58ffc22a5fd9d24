//! Values that are computed where they are used, a vector of neighbours along their last axis at a time.

use aiai_ir::{BinaryKind, CompareKind, DType, Dim, Op, OpNode, Type, Value};

use super::in_step::in_step;
use super::{Lowerer, Place};

/// Bytes of the widest registers.
const REGISTER: usize = 64;

/// Where a vector is.
pub struct At {
    /// The index of its first lane.
    index: Vec<Value>,
    /// How many lanes exist, at least, and whether all do.
    pub count: Value,
    all: bool,
    known: Vec<((Value, Vec<Value>), Value)>,
}

/// A value that is stored on the way by the first pass along a row that computes it in vectors.
pub struct Pending {
    /// The buffer, and the index of the row in it.
    pub target: Vec<Value>,
    pub is_stored: bool,
}

/// What a pass along a row does at a vector: from a part to the next.
pub type Pass<'a, 'b> = dyn FnMut(&mut Lowerer<'a>, &mut At, Option<Value>) -> Option<Value> + 'b;

impl<'a> Lowerer<'a> {
    /// Whether a value can be computed in vectors along its last axis.
    pub fn in_vectors(&self, value: Value) -> bool {
        self.line.is_some() && self.lanes_of(value).is_ok()
    }

    /// Whether the elements of a value along its last axis can be lanes of vectors; an error says why not.
    pub fn lanes_of(&self, value: Value) -> Result<(), String> {
        self.has_lanes(value, &mut Vec::new())
    }

    fn has_lanes(&self, value: Value, seen: &mut Vec<Value>) -> Result<(), String> {
        if seen.contains(&value) {
            return Ok(());
        }
        seen.push(value);
        let Some(last) = self.shape(value).len().checked_sub(1) else {
            return Err("a number has no lanes".into());
        };
        let dtype = self.dtype(value);
        if matches!(dtype, DType::F16 | DType::BF16) {
            return Err(format!("{} is not done in vectors", dtype.name()));
        }
        let across = || Err("neighbours of what is read are none in memory".into());
        match self.places.get(&value) {
            Some(Place::Row(_) | Place::Scalar(_)) => return Ok(()),
            Some(Place::Buffer { axes, .. }) if axes.last() == Some(&last) => return Ok(()),
            Some(Place::Buffer { .. }) => return across(),
            Some(Place::Lazy) | None => {}
        }
        let other = |node: &OpNode| Err(format!("`{}` is not done in vectors", node.op.name()));
        let Some(node) = self.nodes.get(&value) else {
            return across();
        };
        match &node.op {
            Op::Binary {
                kind: kind @ (BinaryKind::Pow | BinaryKind::Rem),
            } => Err(format!("`{}` is not done in vectors", kind.name())),
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. }
            | Op::StopGradient => match self.is_staged(value) {
                true => other(node),
                false => node
                    .operands
                    .iter()
                    .try_for_each(|&v| self.has_lanes(v, seen)),
            },
            Op::Constant { value } if value.splat().is_some() => Ok(()),
            Op::DimValue { .. } | Op::Iota { .. } => Ok(()),
            Op::Broadcast { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. } => {
                match self.lanes_of_operand(node) {
                    Along::Nothing => Ok(()),
                    Along::Last => self.has_lanes(node.operands[0], seen),
                    Along::Other => across(),
                }
            }
            _ => other(node),
        }
    }

    /// What a view's last axis is of its operand.
    fn lanes_of_operand(&self, node: &OpNode) -> Along {
        let last = self.shape(node.results[0]).len() - 1;
        let own = self.shape(node.operands[0]);
        match &node.op {
            Op::Broadcast { axes, shape } => match axes.last() {
                Some(&axis) if axis == last => {
                    match own[own.len() - 1].is_const(1) && !shape[last].is_const(1) {
                        true => Along::Nothing,
                        false => Along::Last,
                    }
                }
                _ => Along::Nothing,
            },
            Op::Permute { axes } if axes[last] == last => Along::Last,
            Op::Slice { strides, .. } if strides[last].is_const(1) => Along::Last,
            Op::Reverse { axes } if !axes.contains(&last) => Along::Last,
            _ => Along::Other,
        }
    }

    /// A vector of neighbours of a value.
    pub fn vector(&mut self, value: Value, at: &mut At) -> Value {
        let index = at.index.clone();
        self.vector_at(value, &index, at)
    }

    fn vector_at(&mut self, value: Value, index: &[Value], at: &mut At) -> Value {
        let key = (value, index.to_vec());
        if let Some((_, known)) = at.known.iter().find(|(k, _)| *k == key) {
            return *known;
        }
        let column = index[index.len() - 1];
        let found = match self.places.get(&value).cloned() {
            Some(Place::Row(buffer)) => self.load_vector(&[buffer, column, at.count]),
            Some(Place::Buffer { .. }) if self.in_row(value, index) => {
                let [matrix, row] = self.row_of_matrix(value);
                self.load_vector(&[matrix, row, column, at.count])
            }
            Some(Place::Buffer { buffer, axes }) => {
                let mut operands = vec![buffer; axes.len() + 2];
                for (&axis, &i) in axes.iter().zip(index) {
                    operands[axis + 1] = i;
                }
                operands[axes.len() + 1] = at.count;
                self.load_vector(&operands)
            }
            Some(Place::Scalar(scalar)) => self.in_all_lanes(scalar),
            Some(Place::Lazy) | None => self.compute_vector(value, index, at),
        };
        if let Some(pending) = self.pending.get_mut(&value)
            && index == at.index
        {
            pending.is_stored = true;
            let target = pending.target.clone();
            self.store_vector(found, &target, at);
        }
        at.known.push((key, found));
        found
    }

    fn compute_vector(&mut self, value: Value, index: &[Value], at: &mut At) -> Value {
        let Some(&node) = self.nodes.get(&value) else {
            unreachable!("value {} has no definition", value.0);
        };
        match &node.op {
            Op::StopGradient => self.vector_at(node.operands[0], index, at),
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. } => {
                let parts: Vec<Value> = node
                    .operands
                    .iter()
                    .map(|&v| self.vector_at(v, index, at))
                    .collect();
                self.b.value(node.op.clone(), &parts)
            }
            Op::Iota { dtype, axis, .. } => {
                let first = self.in_all_lanes(index[*axis]);
                let numbers = match axis + 1 == index.len() {
                    true => {
                        let steps = self.lane_numbers(DType::I64);
                        self.add(first, steps)
                    }
                    false => first,
                };
                self.b.cast(numbers, *dtype)
            }
            Op::Broadcast { .. } | Op::Permute { .. } | Op::Slice { .. } | Op::Reverse { .. } => {
                let inner = self.index_of_operand(node, index);
                match self.lanes_of_operand(node) {
                    Along::Nothing => {
                        let scalar = self.element(node.operands[0], &inner);
                        self.in_all_lanes(scalar)
                    }
                    Along::Last | Along::Other => self.vector_at(node.operands[0], &inner, at),
                }
            }
            _ => {
                let scalar = self.element(value, index);
                self.in_all_lanes(scalar)
            }
        }
    }

    pub fn load_vector(&mut self, operands: &[Value]) -> Value {
        let op = Op::LoadVector {
            lanes: self.line().lanes,
            stride: 1,
        };
        self.b.value(op, operands)
    }

    /// A vector of what lies in a buffer of one axis.
    pub fn vector_in(&mut self, buffer: Value, at: &At) -> Value {
        self.load_vector(&[buffer, at.column(), at.count])
    }

    pub fn in_all_lanes(&mut self, scalar: Value) -> Value {
        self.splat(scalar, self.line().lanes)
    }

    fn lane_numbers(&mut self, dtype: DType) -> Value {
        let op = Op::Iota {
            dtype,
            shape: vec![Dim::from(self.line().lanes)],
            axis: 0,
        };
        self.b.value(op, &[])
    }

    pub fn store_vector(&mut self, vector: Value, target: &[Value], at: &At) {
        let column = at.column();
        let operands = [&[vector], target, &[column, at.count]].concat();
        self.b.op(Op::StoreVector, &operands, Vec::new());
    }

    /// `a` in the lanes that exist, `b` in the others.
    pub fn where_existing(&mut self, at: &At, a: Value, b: Value) -> Value {
        if at.all {
            return a;
        }
        let numbers = self.lane_numbers(DType::I64);
        let counts = self.in_all_lanes(at.count);
        let exists = self.b.compare(CompareKind::Lt, numbers, counts);
        self.b.select(exists, a, b)
    }

    /// Stores a value along `low..high` of the row at an outer index.
    pub fn fill_vectors(
        &mut self,
        value: Value,
        range: (Value, Value),
        outer: &[Value],
        target: &[Value],
    ) {
        let abreast = self.line().stores;
        self.along(range, outer, abreast, &[], &mut |this, at, _| {
            let vector = this.vector(value, at);
            this.store_vector(vector, target, at);
            None
        });
    }

    /// Goes along `low..high` by vectors, so many side by side and then the rest one at a time. The parts that are
    /// carried, none or as many, are given in turns: vector k of the range works on part k modulo their number.
    /// They come back in another order where the number of vectors is no multiple.
    pub fn along(
        &mut self,
        (low, high): (Value, Value),
        outer: &[Value],
        abreast: i64,
        parts: &[Value],
        pass: &mut Pass<'a, '_>,
    ) -> Vec<Value> {
        self.passes += 1;
        let lanes = self.line().lanes;
        let step = lanes * abreast;
        let size = self.b.binary(BinaryKind::Sub, high, low);
        let width = self.int(step);
        let rest = self.b.binary(BinaryKind::Rem, size, width);
        let between = self.b.binary(BinaryKind::Sub, high, rest);
        let full = self.int(lanes);
        let asked = self.row.as_mut().map_or_else(Vec::new, |row| row.pass());
        let parts = self.steps((low, between), step, parts, |this, column, carry| {
            let (mut next, mut bodies) = (Vec::new(), Vec::new());
            for k in 0..abreast {
                this.b.begin_region(&[]);
                let offset = this.int(k * lanes);
                let column = if k == 0 {
                    column
                } else {
                    this.add(column, offset)
                };
                for &(buffer, from) in &asked {
                    let position = this.add(from, column);
                    this.b.op(Op::Prefetch, &[buffer, position], Vec::new());
                }
                let mut at = place(outer, column, full, true);
                next.extend(pass(this, &mut at, carry.get(k as usize).copied()));
                bodies.push(this.b.end_region(&[]).ops);
            }
            let registers = |v: Value| match this.b.ty(v) {
                Type::Tensor { dtype, shape } if shape.len() == 1 => {
                    let bytes = lanes as usize * dtype.bytes();
                    bytes.div_ceil(REGISTER)
                }
                _ => 0,
            };
            for node in in_step(bodies, registers) {
                this.b.push_node(node);
            }
            next
        });
        self.steps((between, high), lanes, &parts, |this, column, carry| {
            let count = this.b.binary(BinaryKind::Sub, high, column);
            let mut at = place(outer, column, count, false);
            let done = pass(this, &mut at, carry.first().copied());
            carry.iter().skip(1).copied().chain(done).collect()
        })
    }

    /// A loop in steps, with carries.
    pub fn steps(
        &mut self,
        (low, high): (Value, Value),
        step: i64,
        carries: &[Value],
        body: impl FnOnce(&mut Self, Value, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let mut types = vec![Type::scalar(DType::I64)];
        types.extend(carries.iter().map(|&v| self.b.ty(v).clone()));
        let args = self.b.begin_region(&types);
        let outer = std::mem::take(&mut self.memo);
        let next = body(self, args[0], &args[1..]);
        self.memo = outer;
        let region = self.b.end_region(&next);
        let operands = [&[low, high], carries].concat();
        self.b
            .op(Op::For { step, lanes: 1 }, &operands, vec![region])
    }
}

impl At {
    /// Its first lane.
    pub fn index(&self) -> &[Value] {
        &self.index
    }

    /// Where its first lane is along the last axis.
    pub fn column(&self) -> Value {
        self.index[self.index.len() - 1]
    }
}

/// A vector of a row at an outer index.
pub fn place(outer: &[Value], column: Value, count: Value, all: bool) -> At {
    At {
        index: [outer, &[column]].concat(),
        count,
        all,
        known: Vec::new(),
    }
}

/// What the lanes of a view are in its operand.
enum Along {
    /// All the same element.
    Nothing,
    /// Neighbours along the last axis.
    Last,
    Other,
}
