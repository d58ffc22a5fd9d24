//! Ops that move elements, as rewrites of indices.

use std::rc::Rc;

use aiai_ir::{DType, Dim, Op, OpNode, Relation, ScatterKind};

use super::eval::{Element, Evaluator, add_clause, flattened, joined, wider};
use super::term::{BigOp, Fun, Poly, Ring};
use super::{Outcome, Stop};

impl<'a> Evaluator<'a> {
    pub fn movement(&mut self, node: &'a OpNode, index: &[Dim]) -> Outcome<Element> {
        let x = node.operands[0];
        let from = self.function.ty(x).shape().to_vec();
        let zero = Dim::from(0);
        match &node.op {
            Op::Broadcast { axes, .. } => {
                let inner: Vec<Dim> = axes
                    .iter()
                    .zip(&from)
                    .map(|(axis, n)| if n.is_const(1) { zero } else { index[*axis] })
                    .collect();
                self.element(x, &inner)
            }
            Op::Reshape { shape } => {
                let inner = self.reshaped(&from, shape, index)?;
                self.element(x, &inner)
            }
            Op::Permute { axes } => {
                let mut inner = vec![zero; from.len()];
                for (at, axis) in axes.iter().enumerate() {
                    inner[*axis] = index[at];
                }
                self.element(x, &inner)
            }
            Op::Slice {
                starts, strides, ..
            } => {
                let parts = index.iter().zip(starts).zip(strides);
                let inner: Vec<Dim> = parts.map(|((i, s), by)| *s + *i * *by).collect();
                self.element(x, &inner)
            }
            Op::Reverse { axes } => {
                let mut inner = index.to_vec();
                for axis in axes {
                    inner[*axis] = from[*axis] - Dim::from(1) - index[*axis];
                }
                self.element(x, &inner)
            }
            Op::Pad { low, .. } => self.pad(node, &from, low, index),
            Op::Concat { axis } => self.concat(node, *axis, index),
            other => Err(Stop::unsupported(format!(
                "`{}` moves nothing",
                other.name()
            ))),
        }
    }

    fn pad(
        &mut self,
        node: &'a OpNode,
        from: &[Dim],
        low: &[Dim],
        index: &[Dim],
    ) -> Outcome<Element> {
        let mut within = Poly::one(Ring::Real);
        let mut inner = Vec::new();
        for ((i, n), low) in index.iter().zip(from).zip(low) {
            let at = *i - *low;
            let here = self.within(at, *n)?;
            within = self.terms.mul(&within, &here)?;
            inner.push(at);
        }
        let value = self.element(node.operands[1], &[])?;
        if within.is_zero() {
            return Ok(value);
        }
        let mark = self.terms.known.mark();
        for (at, n) in inner.iter().zip(from) {
            self.terms.known.assume(Relation::NonNegative, *at);
            let below = *n - Dim::from(1) - *at;
            self.terms.known.assume(Relation::NonNegative, below);
        }
        self.forget();
        let x = self.element(node.operands[0], &inner);
        self.terms.known.release(mark);
        self.forget();
        let condition = Element::plain(within, DType::Bool);
        self.select(&condition, &x?, &value)
    }

    /// 0 <= at < n.
    fn within(&mut self, at: Dim, n: Dim) -> Outcome<Poly> {
        if self.terms.known.normal(n).is_const(1) {
            return self.terms.size_equal(at);
        }
        let above = self.terms.size_at_least(at)?;
        let below = self.terms.size_at_least(n - Dim::from(1) - at)?;
        self.terms.mul(&above, &below)
    }

    fn concat(&mut self, node: &'a OpNode, axis: usize, index: &[Dim]) -> Outcome<Element> {
        let mut start = Dim::from(0);
        let mut parts = Vec::new();
        for operand in &node.operands {
            let size = self.function.ty(*operand).shape()[axis];
            parts.push((*operand, start, size));
            start = start + size;
        }
        let mut chosen: Option<Element> = None;
        for (operand, start, size) in parts.into_iter().rev() {
            let before = self.terms.size_at_least(index[axis] - start - size)?;
            let beyond = self
                .terms
                .size_at_least(start - Dim::from(1) - index[axis])?;
            // Never in this part.
            if beyond.is_one() || (before.is_one() && chosen.is_some()) {
                continue;
            }
            let mut inner = index.to_vec();
            inner[axis] = index[axis] - start;
            let mark = self.terms.known.mark();
            self.terms.known.assume(Relation::NonNegative, inner[axis]);
            let below = size - Dim::from(1) - inner[axis];
            self.terms.known.assume(Relation::NonNegative, below);
            let part = self.element(operand, &inner);
            self.terms.known.release(mark);
            let part = part?;
            chosen = Some(match chosen {
                None => part,
                Some(rest) => {
                    let condition = Element::plain(before, DType::Bool);
                    self.select(&condition, &rest, &part)?
                }
            });
        }
        // The index lies in no part: there is none, and whatever it is would do.
        let dtype = self.function.ty(node.results[0]).dtype();
        let nothing = || Element::plain(Poly::zero(Ring::of(dtype)), dtype);
        Ok(chosen.unwrap_or_else(nothing))
    }

    /// The index into a tensor of shape `from` whose elements stand in `to` at `index`. Groups of axes with
    /// the same product are taken by themselves.
    pub fn reshaped(&mut self, from: &[Dim], to: &[Dim], index: &[Dim]) -> Outcome<Vec<Dim>> {
        let known = &self.terms.known;
        let equal = |a: &[Dim], b: &[Dim]| {
            let product = |dims: &[Dim]| Dim::product(dims.iter().map(|d| known.normal(*d)));
            known.normal(product(a) - product(b)).is_const(0)
        };
        let mut result = Vec::new();
        let (mut i, mut j) = (0, 0);
        while i < from.len() || j < to.len() {
            // The smallest groups that agree; axes of one element go alone.
            let mut found = None;
            'search: for width in 1..=from.len() - i + to.len() - j {
                for a in 0..=width.min(from.len() - i) {
                    let b = width - a;
                    if j + b <= to.len() && equal(&from[i..i + a], &to[j..j + b]) {
                        found = Some((a, b));
                        break 'search;
                    }
                }
            }
            let (a, b) = found.unwrap_or((from.len() - i, to.len() - j));
            let flat = flattened(&to[j..j + b], &index[j..j + b]);
            let mut rest = flat;
            let mut group = Vec::new();
            for (place, n) in from[i..i + a].iter().enumerate().rev() {
                if n.is_const(1) {
                    group.push(Dim::from(0));
                } else if place == 0 {
                    group.push(rest);
                } else {
                    group.push(known.remainder(rest, *n));
                    rest = known.quotient(rest, *n);
                }
            }
            group.reverse();
            result.extend(group);
            (i, j) = (i + a, j + b);
        }
        Ok(result)
    }

    // ---- indices that are values ----

    /// Positions as index expressions, in every case of their conditions.
    fn at_positions(
        &mut self,
        positions: &[Poly],
        read: &mut dyn FnMut(&mut Evaluator<'a>, &[Poly]) -> Outcome<Element>,
    ) -> Outcome<Element> {
        let Some(atom) = self.terms.condition(positions) else {
            return read(self, positions);
        };
        let mut cases = Vec::new();
        for holds in [true, false] {
            let case: Outcome<Vec<Poly>> = positions
                .iter()
                .map(|p| self.terms.assign(p, atom, holds))
                .collect();
            cases.push(self.at_positions(&case?, read)?);
        }
        let condition = Element::plain(Poly::atom(Ring::Real, atom), DType::Bool);
        self.select(&condition, &cases[0], &cases[1])
    }

    pub fn gather(&mut self, node: &'a OpNode, axes: &[usize], index: &[Dim]) -> Outcome<Element> {
        let x = node.operands[0];
        let shape = self.function.ty(x).shape().to_vec();
        let rank = self.function.ty(node.operands[1]).rank();
        let mut positions = Vec::new();
        let mut clauses = Vec::new();
        for operand in &node.operands[1..] {
            let position = self.element(*operand, &index[..rank])?;
            clauses.extend(position.clauses.iter().cloned());
            positions.push(position.term);
        }
        let axes = axes.to_vec();
        let rest = index[rank..].to_vec();
        let mut element = self.at_positions(&positions, &mut |this, positions| {
            let mut inner = Vec::new();
            let mut others = rest.iter();
            for (axis, n) in shape.iter().enumerate() {
                match axes.iter().position(|a| *a == axis) {
                    Some(at) => inner.push(this.terms.index_of(&positions[at], Some(*n))?),
                    None => inner.extend(others.next().copied()),
                }
            }
            this.element(x, &inner)
        })?;
        if !clauses.is_empty() {
            let mut all = (*element.clauses).clone();
            clauses.into_iter().for_each(|c| add_clause(&mut all, c));
            element.clauses = Rc::new(all);
        }
        Ok(element)
    }

    pub fn dynamic_slice(&mut self, node: &'a OpNode, index: &[Dim]) -> Outcome<Element> {
        let x = node.operands[0];
        let (shape, sizes) = (
            self.function.ty(x).shape().to_vec(),
            self.function.ty(node.results[0]).shape().to_vec(),
        );
        let starts = self.scalars(&node.operands[1..])?;
        let index = index.to_vec();
        self.at_positions(&starts, &mut |this, starts| {
            let mut inner = Vec::new();
            for (k, start) in starts.iter().enumerate() {
                let range = shape[k] - sizes[k] + Dim::from(1);
                inner.push(this.terms.index_of(start, Some(range))? + index[k]);
            }
            this.element(x, &inner)
        })
    }

    fn scalars(&mut self, values: &[aiai_ir::Value]) -> Outcome<Vec<Poly>> {
        let mut terms = Vec::new();
        for value in values {
            let element = self.element(*value, &[])?;
            if !element.clauses.is_empty() {
                return Err(Stop::unsupported("a position that may be undefined"));
            }
            terms.push(element.term);
        }
        Ok(terms)
    }

    pub fn dynamic_update(&mut self, node: &'a OpNode, index: &[Dim]) -> Outcome<Element> {
        let (x, window) = (node.operands[0], node.operands[1]);
        let (shape, sizes) = (
            self.function.ty(x).shape().to_vec(),
            self.function.ty(window).shape().to_vec(),
        );
        let starts = self.scalars(&node.operands[2..])?;
        let outside = self.element(x, index)?;
        let index = index.to_vec();
        self.at_positions(&starts, &mut |this, starts| {
            let mut within = Poly::one(Ring::Real);
            let mut inner = Vec::new();
            for (k, start) in starts.iter().enumerate() {
                let range = shape[k] - sizes[k] + Dim::from(1);
                let at = index[k] - this.terms.index_of(start, Some(range))?;
                let here = this.within(at, sizes[k])?;
                within = this.terms.mul(&within, &here)?;
                inner.push(if sizes[k].is_const(1) {
                    Dim::from(0)
                } else {
                    at
                });
            }
            if within.is_zero() {
                return Ok(outside.clone());
            }
            let inside = this.element(window, &inner)?;
            this.select(&Element::plain(within, DType::Bool), &inside, &outside)
        })
    }

    /// The sum of the updates that address this place, added to what is there; extremes the same way. What
    /// replaces is known only up to equal indices and updates.
    pub fn scatter(
        &mut self,
        node: &'a OpNode,
        axes: &[usize],
        kind: ScatterKind,
        index: &[Dim],
    ) -> Outcome<Element> {
        let (x, updates) = (node.operands[0], node.operands[node.operands.len() - 1]);
        let indices = &node.operands[1..node.operands.len() - 1];
        let dtype = self.function.ty(x).dtype();
        let shape = self.function.ty(x).shape().to_vec();
        let points = self.function.ty(indices[0]).shape().to_vec();
        let old = self.element(x, index)?;
        let mark = self.terms.known.mark();
        let mut vars = Vec::new();
        for range in &points {
            let sym = self.terms.fresh();
            self.terms.assume_index(sym, *range);
            vars.push((sym, *range));
        }
        let point: Vec<Dim> = vars.iter().map(|v| Dim::sym(v.0)).collect();
        let mut here = Poly::one(Ring::Real);
        let mut clauses = Vec::new();
        for (operand, axis) in indices.iter().zip(axes) {
            let position = self.element(*operand, &point)?;
            clauses.extend(position.clauses.iter().cloned());
            let at = self.terms.index_of(&position.term, Some(shape[*axis]))?;
            let same = self.terms.size_equal(at - index[*axis])?;
            here = self.terms.mul(&here, &same)?;
        }
        let rest = (0..shape.len()).filter(|k| !axes.contains(k));
        let place: Vec<Dim> = point
            .iter()
            .copied()
            .chain(rest.map(|k| index[k]))
            .collect();
        let update = self.element(updates, &place)?;
        let one = Poly::one(Ring::Real);
        for clause in update.clauses.iter() {
            clauses.push(self.terms.choose(&here, clause, &one)?);
        }
        let float = dtype.is_float() && self.terms.mode == super::term::Mode::Free;
        let term = if kind == ScatterKind::Add && !float && !self.terms.wild(&update.term) {
            let here = self.terms.in_ring(&here, Ring::of(dtype))?;
            let added = self.terms.mul(&here, &update.term)?;
            let total = self.terms.big(BigOp::Sum, &vars, added)?;
            self.terms.add(&old.term, &total)?
        } else {
            let name = format!("scatter_{}", kind.name());
            self.terms.lambda(
                &name,
                &vars,
                vec![here, update.term.clone()],
                Vec::new(),
                vec![old.term.clone()],
                dtype,
            )?
        };
        let mut all = self.bind_clauses(&clauses, &vars)?;
        self.terms.known.release(mark);
        for clause in old.clauses.iter() {
            add_clause(&mut all, clause.clone());
        }
        Ok(Element {
            term,
            clauses: Rc::new(all),
            held_by: wider(old.held_by, update.held_by),
        })
    }

    pub fn random(&mut self, node: &'a OpNode, shape: &[Dim], index: &[Dim]) -> Outcome<Element> {
        let low = self.element(node.operands[0], &[Dim::from(0)])?;
        let high = self.element(node.operands[0], &[Dim::from(1)])?;
        let at = vec![flattened(shape, index)];
        let outer = vec![low.term.clone(), high.term.clone()];
        let term = self
            .terms
            .lambda("random_bits", &[], Vec::new(), at, outer, DType::U32)?;
        Ok(Element {
            term,
            clauses: joined(&[&low, &high]),
            held_by: DType::U32,
        })
    }

    /// Whether a position lies in `0..range`, without taking it for granted.
    pub fn in_range(&mut self, position: &Poly, range: Dim) -> Outcome<Poly> {
        if self.terms.known.proves(-range) {
            return Ok(Poly::zero(Ring::Real));
        }
        let Some(dim) = self.terms.as_index(position) else {
            return self
                .terms
                .in_cases(std::slice::from_ref(position), &mut |t, args| {
                    match t.as_index(&args[0]) {
                        Some(dim) => {
                            let above = t.size_at_least(dim)?;
                            let below = t.size_at_least(range - Dim::from(1) - dim)?;
                            t.mul(&above, &below)
                        }
                        // Both lie in the range or neither does: one is the other from the end.
                        None if t.counts_down(&args[0]) => {
                            let turned = t.counted_from_end(&args[0], range)?;
                            t.apply(Fun::InRange(range), vec![turned])
                        }
                        None => t.apply(Fun::InRange(range), args.to_vec()),
                    }
                });
        };
        let above = self.terms.size_at_least(dim)?;
        let below = self.terms.size_at_least(range - Dim::from(1) - dim)?;
        self.terms.mul(&above, &below)
    }
}
