//! Symbolic evaluation at sizes that are numbers: ops that move elements, order them, or contract.

use std::rc::Rc;

use aiai_ir::{ArgKind, BinaryKind, CompareKind, DType, Dim, Op, OpNode, ScatterKind, UnaryKind};

use super::eval::{Element, joined};
use super::term::{Mode, Poly, Ring};
use super::unroll::{Found, NoTerms, Tensor, Unroller, count, flat, indices};
use super::{Outcome, Stop};

/// Elements of a row that is sorted, at most.
const MOST_SORTED: usize = 4;

impl<'a> Unroller<'a> {
    pub fn moved(&mut self, node: &'a OpNode, x: &[Rc<Tensor>]) -> Found<Tensor> {
        let result = node.results[0];
        let (dtype, shape) = (self.dtype_of(result), self.shape_of(result)?);
        let elements = match &node.op {
            Op::Gather { axes } => self.gather(x, axes)?,
            Op::Scatter { axes, kind } => self.scatter(x, axes, *kind)?,
            Op::DynamicSlice { .. } => self.dynamic_slice(x, &shape)?,
            Op::DynamicUpdate => self.dynamic_update(x)?,
            Op::Reshape { .. } if count(&shape) != x[0].elements.len() => {
                return Err(NoTerms::Stops);
            }
            Op::Reshape { .. } => x[0].elements.clone(),
            Op::Pad { low, high } => {
                let (low, _) = (self.shape(low)?, self.shape(high)?);
                let mut elements = vec![x[1].elements[0].clone(); count(&shape)];
                for (at, index) in indices(&x[0].shape).into_iter().enumerate() {
                    let to: Vec<usize> = index.iter().zip(&low).map(|(i, l)| i + l).collect();
                    elements[flat(&shape, &to)] = x[0].elements[at].clone();
                }
                elements
            }
            Op::Concat { axis } => concat(x, *axis, &shape),
            op => {
                let mut elements = Vec::new();
                for index in indices(&shape) {
                    let from = self.place(op, &index, &x[0].shape)?;
                    let element = x[0].elements.get(flat(&x[0].shape, &from));
                    elements.push(element.ok_or(NoTerms::Stops)?.clone());
                }
                elements
            }
        };
        Ok(Tensor {
            dtype,
            shape,
            elements,
        })
    }

    /// Where an element of the result comes from.
    fn place(&self, op: &Op, index: &[usize], shape: &[usize]) -> Found<Vec<usize>> {
        match op {
            Op::Broadcast { axes, .. } => {
                let axes = axes.iter().zip(shape);
                Ok(axes
                    .map(|(a, n)| if *n == 1 { 0 } else { index[*a] })
                    .collect())
            }
            Op::Permute { axes } => {
                let mut from = vec![0; shape.len()];
                axes.iter().zip(index).for_each(|(a, i)| from[*a] = *i);
                Ok(from)
            }
            Op::Reverse { axes } => {
                let turned = |k: usize| {
                    let there = axes.contains(&k);
                    if there {
                        shape[k] - 1 - index[k]
                    } else {
                        index[k]
                    }
                };
                Ok((0..index.len()).map(turned).collect())
            }
            Op::Slice {
                starts,
                limits,
                strides,
            } => {
                let mut from = Vec::new();
                for k in 0..shape.len() {
                    let (start, limit) = (self.dim(starts[k])?, self.dim(limits[k])?);
                    let stride = self.dim(strides[k])?;
                    let fits = stride >= 1 && start >= 0 && limit >= start;
                    if !fits || limit > shape[k] as i64 {
                        return Err(NoTerms::Stops);
                    }
                    let at = stride.saturating_mul(index[k] as i64).saturating_add(start);
                    if at >= shape[k] as i64 {
                        return Err(NoTerms::Stops);
                    }
                    from.push(at as usize);
                }
                Ok(from)
            }
            op => Err(Stop::unsupported(format!("`{}` is not unrolled", op.name())).into()),
        }
    }

    /// Whether an integer term is this number.
    fn is(&mut self, position: &Element, value: i64) -> Found<Element> {
        let there = self.whole(DType::I64, value)?;
        let term = self.eval.terms.sub(&position.term, &there.term)?;
        let term = self.eval.terms.equal(&term)?;
        Ok(Element {
            term,
            clauses: Rc::clone(&position.clauses),
            held_by: DType::Bool,
        })
    }

    /// Adds the check that a position lies in 0..range.
    fn within(&mut self, position: &Element, range: i64) -> Outcome<()> {
        let inside = self.eval.in_range(&position.term, Dim::from(range))?;
        self.check(inside);
        Ok(())
    }

    /// The element at positions along the leading axes that are terms; they lie in range.
    fn read_at(
        &mut self,
        x: &Tensor,
        positions: &[(Element, i64)],
        index: &mut Vec<usize>,
    ) -> Found<Element> {
        let Some(((position, offset), rest)) = positions.split_first() else {
            self.spend(1)?;
            return Ok(x.elements[flat(&x.shape, index)].clone());
        };
        let axis = index.len();
        let mut total: Option<Element> = None;
        for at in 0..x.shape[axis] {
            let start = at as i64 - offset;
            if start < 0 {
                continue;
            }
            let here = self.is(position, start)?;
            if here.term.is_zero() {
                continue;
            }
            index.push(at);
            let value = self.read_at(x, rest, index);
            index.pop();
            let value = value?;
            total = Some(match total {
                // Some position is in range: the first is taken where no other is.
                None => value,
                Some(before) => self.eval.select(&here, &value, &before)?,
            });
        }
        total.ok_or(NoTerms::Stops)
    }

    fn gather(&mut self, x: &[Rc<Tensor>], axes: &[usize]) -> Found<Vec<Element>> {
        let (tensor, positions) = (&x[0], &x[1..]);
        for (index, axis) in positions.iter().zip(axes) {
            for element in &index.elements {
                self.within(element, tensor.shape[*axis] as i64)?;
            }
        }
        let rest: Vec<usize> = (0..tensor.shape.len())
            .filter(|k| !axes.contains(k))
            .collect();
        let window: Vec<usize> = rest.iter().map(|k| tensor.shape[*k]).collect();
        let mut elements = Vec::new();
        for point in 0..positions[0].elements.len() {
            for inner in indices(&window) {
                // Every axis in its order: a position, or a number.
                let mut at = Vec::new();
                for axis in 0..tensor.shape.len() {
                    let element = match axes.iter().position(|a| *a == axis) {
                        Some(k) => positions[k].elements[point].clone(),
                        None => {
                            let k = rest.iter().position(|r| *r == axis).unwrap_or(0);
                            self.whole(DType::I64, inner[k] as i64)?
                        }
                    };
                    at.push((element, 0));
                }
                elements.push(self.read_at(tensor, &at, &mut Vec::new())?);
            }
        }
        Ok(elements)
    }

    fn scatter(
        &mut self,
        x: &[Rc<Tensor>],
        axes: &[usize],
        kind: ScatterKind,
    ) -> Found<Vec<Element>> {
        let Some((updates, front)) = x.split_last() else {
            return Err(Stop::unsupported("a scatter without operands").into());
        };
        let (tensor, positions) = (&front[0], &front[1..]);
        for (index, axis) in positions.iter().zip(axes) {
            for element in &index.elements {
                self.within(element, tensor.shape[*axis] as i64)?;
            }
        }
        let rest: Vec<usize> = (0..tensor.shape.len())
            .filter(|k| !axes.contains(k))
            .collect();
        let window: Vec<usize> = rest.iter().map(|k| tensor.shape[*k]).collect();
        let mut elements = tensor.elements.clone();
        let mut from = 0;
        for point in 0..positions[0].elements.len() {
            for inner in indices(&window) {
                for (slot, index) in indices(&tensor.shape).into_iter().enumerate() {
                    self.spend(1)?;
                    let there: Vec<usize> = rest.iter().map(|k| index[*k]).collect();
                    if there != inner {
                        continue;
                    }
                    let mut here = Element::plain(self.truth(true), DType::Bool);
                    for (k, axis) in axes.iter().enumerate() {
                        let at = &positions[k].elements[point];
                        let one = self.is(at, index[*axis] as i64)?;
                        here = self
                            .eval
                            .binary(BinaryKind::And, DType::Bool, &here, &one)?;
                    }
                    let (old, new) = (&elements[slot], &updates.elements[from]);
                    let value = match kind {
                        ScatterKind::Set => new.clone(),
                        ScatterKind::Add => {
                            self.eval.binary(BinaryKind::Add, tensor.dtype, old, new)?
                        }
                        ScatterKind::Max => {
                            self.eval.binary(BinaryKind::Max, tensor.dtype, old, new)?
                        }
                        ScatterKind::Min => {
                            self.eval.binary(BinaryKind::Min, tensor.dtype, old, new)?
                        }
                    };
                    elements[slot] = self.eval.select(&here, &value, &elements[slot])?;
                }
                from += 1;
            }
        }
        Ok(elements)
    }

    fn dynamic_slice(&mut self, x: &[Rc<Tensor>], sizes: &[usize]) -> Found<Vec<Element>> {
        let tensor = &x[0];
        for (k, start) in x[1..].iter().enumerate() {
            let range = tensor.shape[k] as i64 - sizes[k] as i64 + 1;
            self.within(&start.elements[0], range)?;
        }
        let mut elements = Vec::new();
        for index in indices(sizes) {
            let starts = x[1..].iter().zip(&index);
            let at: Vec<(Element, i64)> = starts
                .map(|(start, i)| (start.elements[0].clone(), *i as i64))
                .collect();
            elements.push(self.read_at(tensor, &at, &mut Vec::new())?);
        }
        Ok(elements)
    }

    fn dynamic_update(&mut self, x: &[Rc<Tensor>]) -> Found<Vec<Element>> {
        let (tensor, window) = (&x[0], &x[1]);
        for (k, start) in x[2..].iter().enumerate() {
            let range = tensor.shape[k] as i64 - window.shape[k] as i64 + 1;
            self.within(&start.elements[0], range)?;
        }
        let mut elements = tensor.elements.clone();
        for (from, inner) in indices(&window.shape).into_iter().enumerate() {
            for (slot, index) in indices(&tensor.shape).into_iter().enumerate() {
                self.spend(1)?;
                let mut here = Element::plain(self.truth(true), DType::Bool);
                for (k, start) in x[2..].iter().enumerate() {
                    let one = self.is(&start.elements[0], index[k] as i64 - inner[k] as i64)?;
                    here = self
                        .eval
                        .binary(BinaryKind::And, DType::Bool, &here, &one)?;
                }
                let value = &window.elements[from];
                elements[slot] = self.eval.select(&here, value, &elements[slot])?;
            }
        }
        Ok(elements)
    }

    /// The place of the first extreme; NaN is beyond all others.
    pub fn arg_reduce(&mut self, x: &Tensor, kind: ArgKind, axis: usize) -> Found<Tensor> {
        let mut shape = x.shape.clone();
        let length = shape.remove(axis);
        let mut elements = Vec::new();
        for index in indices(&shape) {
            let row = self.row(x, axis, &index);
            let mut best: Option<(Element, Element)> = None;
            for (k, value) in row.into_iter().enumerate().take(length) {
                let place = self.whole(DType::I64, k as i64)?;
                best = Some(match best {
                    None => (value, place),
                    Some((before, at)) => {
                        let better = self.better(x.dtype, kind, &value, &before)?;
                        (
                            self.eval.select(&better, &value, &before)?,
                            self.eval.select(&better, &place, &at)?,
                        )
                    }
                });
            }
            elements.push(match best {
                Some((_, place)) => place,
                None => self.whole(DType::I64, -1)?,
            });
        }
        Ok(Tensor {
            dtype: DType::I64,
            shape,
            elements,
        })
    }

    fn better(
        &mut self,
        dtype: DType,
        kind: ArgKind,
        value: &Element,
        best: &Element,
    ) -> Found<Element> {
        let order = match kind {
            ArgKind::Max => CompareKind::Gt,
            ArgKind::Min => CompareKind::Lt,
        };
        let beyond = self.compare(order, dtype, value, best)?;
        if !dtype.is_float() || self.eval.terms.mode == Mode::Real {
            return Ok(beyond);
        }
        let nan = self.eval.unary(UnaryKind::IsNan, dtype, value)?;
        let had = self.eval.unary(UnaryKind::IsNan, dtype, best)?;
        let had = self.eval.unary(UnaryKind::Not, DType::Bool, &had)?;
        let either = self
            .eval
            .binary(BinaryKind::Or, DType::Bool, &nan, &beyond)?;
        Ok(self
            .eval
            .binary(BinaryKind::And, DType::Bool, &either, &had)?)
    }

    /// The elements along an axis, at an index of the other axes.
    fn row(&self, x: &Tensor, axis: usize, index: &[usize]) -> Vec<Element> {
        let at = |k: usize| {
            let mut whole = index.to_vec();
            whole.insert(axis, k);
            x.elements[flat(&x.shape, &whole)].clone()
        };
        (0..x.shape[axis]).map(at).collect()
    }

    /// Every element goes where as many come before it.
    pub fn sort(
        &mut self,
        parts: &[Rc<Tensor>],
        axis: usize,
        descending: bool,
    ) -> Found<Vec<Rc<Tensor>>> {
        let keys = &parts[0];
        if keys.dtype.is_float() && self.eval.terms.mode == Mode::Free {
            return Err(Stop::unsupported("a sort of floats without algebra").into());
        }
        let length = keys.shape[axis];
        if length > MOST_SORTED {
            return Err(Stop::limit("a long row to sort").into());
        }
        let mut sorted: Vec<Tensor> = parts.iter().map(|part| (**part).clone()).collect();
        let mut others = keys.shape.clone();
        others.remove(axis);
        for index in indices(&others) {
            let row = self.row(keys, axis, &index);
            let mut places = Vec::new();
            for at in 0..length {
                places.push(self.places(&row, at, keys.dtype, descending)?);
            }
            for (part, out) in parts.iter().zip(&mut sorted) {
                let row = self.row(part, axis, &index);
                for k in 0..length {
                    let mut total = Poly::zero(Ring::of(part.dtype));
                    for (value, places) in row.iter().zip(&places) {
                        let here = self.eval.terms.in_ring(&places[k], total.ring)?;
                        let value = self.eval.terms.mul(&here, &value.term)?;
                        total = self.eval.terms.add(&total, &value)?;
                    }
                    let all: Vec<&Element> = row.iter().collect();
                    let mut whole = index.clone();
                    whole.insert(axis, k);
                    out.elements[flat(&part.shape, &whole)] = Element {
                        term: total,
                        clauses: joined(&all),
                        held_by: part.dtype,
                    };
                }
            }
        }
        Ok(sorted.into_iter().map(Rc::new).collect())
    }

    /// For each number k whether exactly k elements of the row come before the one at `at`.
    fn places(
        &mut self,
        row: &[Element],
        at: usize,
        dtype: DType,
        descending: bool,
    ) -> Found<Vec<Poly>> {
        let mut exactly = vec![self.truth(true)];
        exactly.resize(row.len().max(1), self.truth(false));
        for (k, other) in row.iter().enumerate() {
            if k == at {
                continue;
            }
            // Equal ones keep their order.
            let order = match (descending, k < at) {
                (false, true) => CompareKind::Le,
                (false, false) => CompareKind::Lt,
                (true, true) => CompareKind::Ge,
                (true, false) => CompareKind::Gt,
            };
            let before = self.compare(order, dtype, other, &row[at])?.term;
            let after = self.eval.terms.not(&before)?;
            for n in (0..exactly.len()).rev() {
                let mut next = self.eval.terms.mul(&exactly[n], &after)?;
                if n > 0 {
                    let more = self.eval.terms.mul(&exactly[n - 1], &before)?;
                    next = self.eval.terms.add(&next, &more)?;
                }
                exactly[n] = next;
            }
        }
        Ok(exactly)
    }

    /// Point by point of the index space, in row-major order.
    pub fn contract(&mut self, node: &'a OpNode, x: &[Rc<Tensor>]) -> Found<Tensor> {
        let Op::Contract {
            space,
            maps,
            out,
            shape,
            acc,
        } = &node.op
        else {
            return Err(Stop::unsupported("no contraction").into());
        };
        let dtype = x[0].dtype;
        let (space, shape) = (self.shape(space)?, self.shape(shape)?);
        if node.op.is_window() {
            self.spend(count(&space))?;
            let mut elements = Vec::new();
            for point in indices(&space) {
                let at = self.access(&maps[0], &point, &x[0].shape)?;
                elements.push(x[0].elements[at].clone());
            }
            return Ok(Tensor {
                dtype,
                shape,
                elements,
            });
        }
        let inner = self.inner(dtype, *acc)?;
        self.spend(count(&space))?;
        let mut sums = Vec::new();
        for _ in 0..count(&shape) {
            sums.push(self.whole(inner, 0)?);
        }
        for point in indices(&space) {
            let mut product: Option<Element> = None;
            for (map, operand) in maps.iter().zip(x) {
                let at = self.access(map, &point, &operand.shape)?;
                let factor = self.eval.cast(&operand.elements[at], dtype, inner)?;
                product = Some(match product {
                    None => factor,
                    Some(before) => self.eval.binary(BinaryKind::Mul, inner, &before, &factor)?,
                });
            }
            let slot = self.access(out, &point, &shape)?;
            let product = product.ok_or_else(|| Stop::unsupported("a contraction of nothing"))?;
            sums[slot] = self
                .eval
                .binary(BinaryKind::Add, inner, &sums[slot], &product)?;
        }
        let mut elements = Vec::new();
        for sum in &sums {
            elements.push(self.eval.cast(sum, inner, dtype)?);
        }
        Ok(Tensor {
            dtype,
            shape,
            elements,
        })
    }

    fn access(&self, map: &aiai_ir::AffineMap, point: &[usize], shape: &[usize]) -> Found<usize> {
        let mut index = Vec::new();
        for (coordinate, n) in map.coords.iter().zip(shape) {
            let mut at = self.dim(coordinate.offset)?;
            for (k, coefficient) in &coordinate.terms {
                let step = self.dim(*coefficient)?.saturating_mul(point[*k] as i64);
                at = at.saturating_add(step);
            }
            let inside = usize::try_from(at).ok().filter(|at| at < n);
            index.push(inside.ok_or(NoTerms::Stops)?);
        }
        Ok(flat(shape, &index))
    }
}

fn concat(parts: &[Rc<Tensor>], axis: usize, shape: &[usize]) -> Vec<Element> {
    let mut elements = Vec::new();
    for index in indices(shape) {
        let mut at = index[axis];
        for part in parts {
            if at < part.shape[axis] {
                let mut from = index.clone();
                from[axis] = at;
                elements.push(part.elements[flat(&part.shape, &from)].clone());
                break;
            }
            at -= part.shape[axis];
        }
    }
    elements
}
