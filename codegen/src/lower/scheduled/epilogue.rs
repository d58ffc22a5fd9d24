//! Epilogues: what is computed elementwise from a contraction, on vectors while they are in registers.

use aiai_ir::schedule::Axis;
use aiai_ir::{AffineMap, BinaryKind, Op, Value};

use super::super::{Lowerer, Place};
use super::emit::{At, Nest};

/// A vector of the product and where it is.
pub struct Lanes {
    pub product: Value,
    pub row: Value,
    pub column: Value,
    /// Lanes that exist.
    pub count: Value,
}

/// What a value of an epilogue is.
enum Kind<'n> {
    /// A number that is the same everywhere.
    Number,
    /// Read from memory.
    Leaf,
    /// Computed from operands at the same place.
    Elementwise(&'n aiai_ir::OpNode),
}

impl<'a> Lowerer<'a> {
    /// What an epilogue reads beside the product, with the accesses; an error says why it cannot be fused.
    pub(super) fn leaves(
        &mut self,
        result: Value,
        product: Value,
        out: &AffineMap,
    ) -> Result<Vec<(Value, AffineMap)>, String> {
        let mut leaves: Vec<(Value, AffineMap)> = Vec::new();
        let mut seen = Vec::new();
        let mut work = vec![(result, out.clone())];
        while let Some((value, map)) = work.pop() {
            let (value, map) = self.through_views(value, map);
            if value == product {
                if map != *out {
                    return Err("the product is used at another place".into());
                }
                continue;
            }
            if seen.contains(&(value, map.clone())) {
                continue;
            }
            seen.push((value, map.clone()));
            match self.kind(value)? {
                Kind::Number => {}
                Kind::Leaf => leaves.push((value, map)),
                Kind::Elementwise(node) => {
                    work.extend(node.operands.iter().map(|&v| (v, map.clone())));
                }
            }
        }
        Ok(leaves)
    }

    fn kind(&self, value: Value) -> Result<Kind<'a>, String> {
        match self.places.get(&value) {
            Some(Place::Scalar(_)) => return Ok(Kind::Number),
            Some(Place::Buffer { .. }) => return Ok(Kind::Leaf),
            Some(Place::Row(_)) => return Err("a row that is being computed is read".into()),
            Some(Place::Lazy) | None => {}
        }
        let Some(&node) = self.nodes.get(&value) else {
            return Ok(Kind::Leaf);
        };
        match &node.op {
            Op::Constant { value } if value.splat().is_some() => Ok(Kind::Number),
            Op::DimValue { .. } => Ok(Kind::Number),
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. }
            | Op::StopGradient => Ok(Kind::Elementwise(node)),
            op if op.is_expression() => {
                Err(format!("`{}` behind it is not elementwise", op.name()))
            }
            _ => Ok(Kind::Leaf),
        }
    }

    /// The result at a vector of the product.
    pub(super) fn finished(&mut self, nest: &Nest, at: &At, lanes: &Lanes) -> Value {
        let mut product = lanes.product;
        if let Some(divisors) = &nest.divisors {
            let at = self.b.binary(BinaryKind::Sub, lanes.row, divisors.first);
            let number = self.b.value(Op::Load, &[divisors.buffer, at]);
            let number = self.b.cast(number, nest.problem.acc);
            let number = self.splat(number, nest.plan.lanes);
            let kind = match divisors.inverted {
                true => BinaryKind::Mul,
                false => BinaryKind::Div,
            };
            product = self.b.binary(kind, product, number);
        }
        if nest.kernel.result == nest.kernel.product {
            return product;
        }
        let product = self.b.cast(product, self.dtype(nest.kernel.product));
        let lanes = Lanes { product, ..*lanes };
        let map = nest.kernel.out_map.clone();
        self.lanes_at(nest, at, &lanes, nest.kernel.result, map, &mut Vec::new())
    }

    fn lanes_at(
        &mut self,
        nest: &Nest,
        at: &At,
        lanes: &Lanes,
        value: Value,
        map: AffineMap,
        known: &mut Vec<((Value, AffineMap), Value)>,
    ) -> Value {
        let key = self.through_views(value, map);
        if key.0 == nest.kernel.product {
            return lanes.product;
        }
        if let Some((_, found)) = known.iter().find(|(k, _)| *k == key) {
            return *found;
        }
        let found = match self.kind(key.0) {
            Ok(Kind::Elementwise(node)) => {
                let operands: Vec<Value> = node
                    .operands
                    .iter()
                    .map(|&v| self.lanes_at(nest, at, lanes, v, key.1.clone(), known))
                    .collect();
                match node.op {
                    Op::StopGradient => operands[0],
                    _ => self.b.value(node.op.clone(), &operands),
                }
            }
            Ok(Kind::Leaf) => self.leaf(nest, at, lanes, &key),
            Ok(Kind::Number) | Err(_) => {
                let number = self.constant_number(key.0);
                self.splat(number, nest.plan.lanes)
            }
        };
        known.push((key, found));
        found
    }

    /// A number that is the same everywhere.
    pub(super) fn constant_number(&mut self, value: Value) -> Value {
        if let Some(Place::Scalar(scalar)) = self.places.get(&value) {
            return *scalar;
        }
        match self.nodes.get(&value).map(|node| &node.op) {
            Some(Op::Constant { value }) => {
                let scalar = value.splat().unwrap_or_else(|| value.element(0));
                let literal = aiai_ir::Literal::from_elements(value.dtype, Vec::new(), &[scalar]);
                self.b.literal(literal)
            }
            Some(Op::DimValue { dim }) => self.dim(*dim),
            other => unreachable!("{other:?} is no number"),
        }
    }

    fn leaf(&mut self, nest: &Nest, at: &At, lanes: &Lanes, key: &(Value, AffineMap)) -> Value {
        let known = nest.kernel.leaves.iter().position(|leaf| leaf == key);
        let Some(k) = known else {
            unreachable!("the epilogue reads what was not found in it");
        };
        let problem = &nest.problem;
        let tensor = &problem.leaves[k];
        let others = [
            (problem.rows.last().copied(), lanes.row),
            (problem.columns.last().copied(), lanes.column),
        ];
        let place = self.position(tensor, at, &others);
        let along = match nest.plan.transposed {
            true => Axis::Rows,
            false => Axis::Columns,
        };
        match problem.stride(&tensor.strides, along).is_const(0) {
            true => {
                let number = self.b.value(Op::Load, &[nest.leaves[k], place]);
                self.splat(number, nest.plan.lanes)
            }
            false => {
                let size = (nest.plan.lanes, 1);
                self.load_lanes(nest.leaves[k], place, size, lanes.count, tensor.dtype)
            }
        }
    }
}
