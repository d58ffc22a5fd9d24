//! Packing: an operand copied into panels, in the order in which register blocks read it.
//!
//! A panel holds a block of rows or columns for all summed indices, those of one step next to each other. The
//! last panel is filled up with zeros. Weights are packed once, by a function of its own that runs when they
//! are loaded; other operands when the contraction starts.

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{BinaryKind, DType, Dim, Type, Value};

use super::super::Lowerer;
use super::emit::{At, Nest, Source};
use super::panels::Within;
use super::plan::Plan;
use super::problem::{Elements, Problem, Tensor};

/// A packed weight: an output of the preparing function, an input of the main one.
#[derive(Clone, Debug)]
pub struct Packed {
    pub param: Value,
    pub dtype: DType,
    pub shape: Vec<Dim>,
    /// How it is read (shape, strides with the offset, width): equal readings share it.
    key: (Vec<Dim>, Vec<Dim>, i64),
    buffer: Value,
}

/// The axis that an operand shares with the result alone.
pub(super) fn axis_of(part: Part) -> Axis {
    match part {
        Part::Left => Axis::Rows,
        _ => Axis::Columns,
    }
}

/// The indices of panels, outermost first: batch, free indices, summed ones.
pub(super) fn indices(problem: &Problem, tensor: &Tensor, part: Part) -> (Vec<usize>, Vec<usize>) {
    let uses = |i: &&usize| !tensor.strides[**i].is_const(0);
    let batch = problem.batch.iter().filter(uses);
    let (_, outer) = problem
        .group(axis_of(part))
        .split_last()
        .unwrap_or((&0, &[]));
    (
        batch.chain(outer).copied().collect(),
        problem.summed.clone(),
    )
}

impl<'a> Lowerer<'a> {
    /// The panels of an operand that a plan reads, as one row.
    pub(super) fn packed(
        &mut self,
        problem: &Problem,
        tensor: &Tensor,
        part: Part,
        plan: &Plan,
        within: &Within,
    ) -> Value {
        let (mut outer, summed) = indices(problem, tensor, part);
        outer.retain(|i| !within.iter().any(|f| f.0 == *i));
        let size = |i: &usize| problem.sizes[*i];
        let axis = axis_of(part);
        let width = plan.block(axis);
        let vector = plan.lanes * problem.acc.bytes() as i64;
        let panels = problem.last(axis).ceil_div(Dim::from(width));
        let mut shape: Vec<Dim> = outer.iter().map(size).collect();
        shape.push(panels);
        shape.extend(summed.iter().map(size));
        shape.push(Dim::from(width));
        let constant = tensor.param.filter(|_| tensor.constant);
        let Some(param) = constant else {
            let buffer = self.alloc(tensor.dtype, &shape);
            self.copy_panels(problem, tensor, part, buffer, &shape, (vector, within));
            return self.flat(buffer);
        };
        let order = outer
            .iter()
            .chain(problem.group(axis).last())
            .chain(&summed);
        let strides = order.map(|&i| tensor.strides[i]);
        let parts = problem.row_parts.iter().flat_map(|p| [p.0, p.1]);
        let strides: Vec<Dim> = match part {
            Part::Left => Iterator::chain(strides, parts).collect(),
            _ => strides.collect(),
        };
        let strides = [&strides[..], &[tensor.offset]].concat();
        let key = (shape.clone(), strides, width);
        let known = self
            .packed
            .iter()
            .find(|p| p.param == param && p.key == key);
        if let Some(known) = known {
            let buffer = known.buffer;
            return self.flat(buffer);
        }
        let name = format!("packed.{}", self.packed.len());
        let ty = Type::buffer(tensor.dtype, shape.clone());
        let buffer = self.b.add_param(&name, ty.clone(), false);
        self.packed.push(Packed {
            param,
            dtype: tensor.dtype,
            shape: shape.clone(),
            key,
            buffer,
        });
        // Parameters have the same values in both functions, being the first of each.
        self.in_prepare(|this| {
            let target = this.b.add_param(&name, ty, true);
            let own = Tensor {
                elements: Elements::Stored(param),
                ..tensor.clone()
            };
            this.copy_panels(problem, &own, part, target, &shape, (vector, &[]));
        });
        self.flat(buffer)
    }

    /// The position of the panel that a block reads.
    pub(super) fn panel(&mut self, nest: &Nest, at: &At, part: Part) -> Value {
        let problem = &nest.problem;
        let (tensor, range, width) = match part {
            Part::Left => (&problem.left, at.rows, nest.plan.rows),
            _ => (&problem.right, at.columns, nest.plan.columns),
        };
        debug_assert!(matches!(
            (part, nest.left, nest.right),
            (Part::Left, Source::Panels(_), _) | (Part::Right, _, Source::Panels(_))
        ));
        let (outer, summed) = indices(problem, tensor, part);
        let panels = problem.last(axis_of(part)).ceil_div(Dim::from(width));
        let steps = Dim::product(summed.iter().map(|&i| problem.sizes[i])) * Dim::from(width);
        let by = self.int(width);
        let mut position = self.b.binary(BinaryKind::Div, range.low, by);
        let mut stride = panels;
        for &i in outer.iter().rev() {
            let value = match at.fixed.get(&i) {
                Some(&value) => value,
                None => self.int(0),
            };
            let factor = self.dim(stride);
            let step = self.mul(value, factor);
            position = self.add(position, step);
            stride = stride * problem.sizes[i];
        }
        let steps = self.dim(steps);
        self.mul(position, steps)
    }
}
