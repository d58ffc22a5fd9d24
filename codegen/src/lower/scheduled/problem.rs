//! A contraction as a schedule sees it: four groups of indices, and how far each index moves in each tensor.
//!
//! Any affine access is a position in memory that is linear in the indices, so windows of a convolution are
//! read where they lie. Neighbouring indices that move alike in every tensor become one.

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{AffineExpr, AffineMap, DType, Dim, Op, OpNode, Value};

use super::super::{Lowerer, Place};
use super::margin::{Margin, margin_of};

/// A tensor in memory seen as one row, and how far each index moves in it, in elements.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub elements: Elements,
    pub offset: Dim,
    /// One for each index of the space.
    pub strides: Vec<Dim>,
    pub dtype: DType,
    /// The parameter of the source that the buffer is, where it is one.
    pub param: Option<Value>,
    /// Every axis of more than one element is addressed by an index of its own.
    pub bare: bool,
    /// What is read, and where, depends on weights alone.
    pub constant: bool,
    /// What it is with a margin, where nothing has stored it.
    pub margin: Option<Margin>,
}

/// Where the elements of a tensor come from.
#[derive(Clone, Copy, Debug)]
pub enum Elements {
    /// From a buffer as it is.
    Stored(Value),
    /// From the value, which nothing has stored; positions are those of row-major order.
    Computed(Value),
}

impl Tensor {
    pub fn buffer(&self) -> Value {
        match self.elements {
            Elements::Stored(buffer) => buffer,
            Elements::Computed(_) => unreachable!("what is computed on the way has no buffer"),
        }
    }

    pub fn computed(&self) -> Option<Value> {
        match self.elements {
            Elements::Stored(_) => None,
            Elements::Computed(value) => Some(value),
        }
    }
}

/// A contraction of two operands.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The number of every index.
    pub sizes: Vec<Dim>,
    /// Indices by group, the innermost last.
    pub batch: Vec<usize>,
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    pub summed: Vec<usize>,
    pub left: Tensor,
    pub right: Tensor,
    /// What the last index of the rows is made of in the left operand, outermost first: sizes and strides. Rows
    /// that are neighbours in the result alone are still one index: every row has a position of its own.
    pub row_parts: Vec<(Dim, Dim)>,
    /// Strides of the result; its buffer is made when the loops are.
    pub out: Vec<Dim>,
    /// What the epilogue reads.
    pub leaves: Vec<Tensor>,
    pub acc: DType,
    /// What is stored of the result.
    pub stored: DType,
}

impl Problem {
    pub fn group(&self, axis: Axis) -> &[usize] {
        match axis {
            Axis::Batch => &self.batch,
            Axis::Rows => &self.rows,
            Axis::Columns => &self.columns,
            Axis::Summed => &self.summed,
        }
    }

    /// The size of the last index of a group; 1 where there is none.
    pub fn last(&self, axis: Axis) -> Dim {
        let last = self.group(axis).last();
        last.map_or(Dim::from(1), |&i| self.sizes[i])
    }

    /// The number of all indices of a group.
    pub fn count(&self, axis: Axis) -> Dim {
        Dim::product(self.group(axis).iter().map(|&i| self.sizes[i]))
    }

    /// The stride of the last index of a group in a tensor; 0 where there is none.
    pub fn stride(&self, strides: &[Dim], axis: Axis) -> Dim {
        let last = self.group(axis).last();
        last.map_or(Dim::from(0), |&i| strides[i])
    }

    pub fn tensor(&self, part: Part) -> Option<&Tensor> {
        match part {
            Part::Left => Some(&self.left),
            Part::Right => Some(&self.right),
            Part::Out | Part::Epilogue => None,
        }
    }

    /// The problem as loops see it, with the operands, and so rows and columns, exchanged or not.
    pub fn oriented(&self, exchanged: bool) -> Problem {
        let mut other = self.clone();
        if exchanged {
            std::mem::swap(&mut other.left, &mut other.right);
            std::mem::swap(&mut other.rows, &mut other.columns);
        }
        other.merge(usize::MAX);
        // Without rows, as where a filter slides over one channel, the lines of the result are rows.
        if other.rows.is_empty() && other.columns.len() > 1 {
            let line = other.columns.remove(other.columns.len() - 2);
            other.row_parts = vec![(other.sizes[line], Dim::from(0))];
            other.rows.push(line);
        }
        other
    }

    /// Makes one of neighbouring indices wherever they move alike in every tensor, and drops those of one step. The last rows
    /// need not move alike in the left operand: there they are at most so many parts of one index.
    pub fn merge(&mut self, most_parts: usize) {
        for axis in Axis::ALL {
            let mut group = self.group(*axis).to_vec();
            group.retain(|&i| !self.sizes[i].is_const(1));
            let joins: Vec<[bool; 2]> = group
                .windows(2)
                .map(|pair| {
                    [
                        self.moves_alike(pair[0], pair[1]),
                        self.joins_left(pair[0], pair[1]),
                    ]
                })
                .collect();
            // Where the rows begin that are parts of one.
            let (mut first, mut count) = (group.len().saturating_sub(1), 1);
            while *axis == Axis::Rows && first > 0 && joins[first - 1][0] {
                count += usize::from(!joins[first - 1][1]);
                if count > most_parts {
                    break;
                }
                first -= 1;
            }
            let mut merged: Vec<usize> = Vec::new();
            let mut parts: Vec<(Dim, Dim)> = Vec::new();
            for (k, &i) in group.iter().enumerate() {
                let part = (self.sizes[i], self.left.strides[i]);
                let [alike, whole] = if k == 0 { [false; 2] } else { joins[k - 1] };
                let in_parts = *axis == Axis::Rows && k > first;
                match (merged.pop(), parts.pop()) {
                    (Some(outer), Some(last)) if alike && (whole || in_parts) => {
                        match whole {
                            true => parts.push((part.0 * last.0, part.1)),
                            false => parts.extend([last, part]),
                        }
                        self.sizes[i] = self.sizes[i] * self.sizes[outer];
                    }
                    (outer, _) => {
                        merged.extend(outer);
                        parts = vec![part];
                    }
                }
                merged.push(i);
            }
            match axis {
                Axis::Batch => self.batch = merged,
                Axis::Rows => (self.rows, self.row_parts) = (merged, parts),
                Axis::Columns => self.columns = merged,
                Axis::Summed => self.summed = merged,
            }
        }
    }

    /// Whether two indices move as one in all tensors but the left operand.
    fn moves_alike(&self, outer: usize, inner: usize) -> bool {
        let leaves = self.leaves.iter().map(|leaf| &leaf.strides);
        [&self.right.strides, &self.out]
            .into_iter()
            .chain(leaves)
            .all(|strides| strides[outer] == strides[inner] * self.sizes[inner])
    }

    /// Whether they do in the left operand.
    fn joins_left(&self, outer: usize, inner: usize) -> bool {
        let strides = &self.left.strides;
        strides[outer] == strides[inner] * self.sizes[inner]
    }
}

impl<'a> Lowerer<'a> {
    /// The problem that a contraction of two operands in memory is; `None` where it is of another kind.
    ///
    /// `order` says how the result lies in memory: its axes, outermost first. The leaves are what an epilogue
    /// reads, accessed by the maps.
    pub fn problem(
        &mut self,
        node: &'a OpNode,
        leaves: &[(Value, AffineMap)],
        out_axes: &[usize],
    ) -> Option<Problem> {
        let Op::Contract {
            space,
            maps,
            out,
            acc,
            shape,
        } = &node.op
        else {
            return None;
        };
        let roles = self.roles(space, maps, out)?;
        let free = out.as_indices()?;
        let whole = free.iter().zip(shape).all(|(&i, &d)| space[i] == d);
        let dtypes = node.operands.iter().all(|&v| self.dtype(v).is_float());
        let wide = matches!(acc, DType::F32 | DType::F64);
        if !whole || !dtypes || !wide || !self.dtype(node.results[0]).is_float() {
            return None;
        }
        let mut out_strides = vec![Dim::from(0); space.len()];
        let mut stride = Dim::from(1);
        for &axis in out_axes.iter().rev() {
            out_strides[free[axis]] = stride;
            stride = stride * shape[axis];
        }
        let left = self.tensor(node.operands[0], &maps[0], space.len())?;
        let right = self.tensor(node.operands[1], &maps[1], space.len())?;
        let mut found = Vec::new();
        for (value, map) in leaves {
            found.push(self.tensor(*value, map, space.len())?);
        }
        // Free indices in the order of the result, summed ones in that of the left operand.
        let in_out = |group: Vec<usize>| -> Vec<usize> {
            let mut group = group;
            let place = |i: &usize| out_axes.iter().position(|&axis| free[axis] == *i);
            group.sort_by_key(place);
            group
        };
        let first_use = |i: &usize| {
            let uses = |c: &AffineExpr| c.terms.iter().any(|t| t.0 == *i);
            maps[0].coords.iter().position(uses)
        };
        let mut summed = roles.summed;
        summed.sort_by_key(first_use);
        let [mut left, mut right] = [left, right];
        for tensor in [&mut left, &mut right] {
            tensor.constant = self.is_constant(tensor, space, &summed);
        }
        Some(Problem {
            sizes: space.clone(),
            batch: in_out(roles.batch),
            rows: in_out(roles.rows),
            columns: in_out(roles.columns),
            summed,
            left,
            right,
            row_parts: Vec::new(),
            out: out_strides,
            leaves: found,
            acc: *acc,
            stored: self.dtype(node.results[0]),
        })
    }

    /// A value in memory that is accessed by a map over a space, looked up through views.
    pub fn tensor(&mut self, value: Value, map: &AffineMap, space: usize) -> Option<Tensor> {
        let (value, map) = self.through_views(value, map.clone());
        if !self.on_the_way {
            self.store_postponed(&[value]);
        }
        let waits = self.waits(value);
        if let (Some(Place::Lazy) | None, false) = (self.places.get(&value), waits) {
            self.dense(value);
        }
        let (elements, axes) = match self.places.get(&value).cloned() {
            Some(Place::Buffer { buffer, axes }) => (Elements::Stored(buffer), axes),
            _ if waits => {
                let axes = (0..self.shape(value).len()).collect();
                (Elements::Computed(value), axes)
            }
            _ => return None,
        };
        let shape = self.shape(value).to_vec();
        let mut physical = vec![Dim::from(1); shape.len()];
        for (k, &axis) in axes.iter().enumerate() {
            physical[axis] = shape[k];
        }
        let own = super::super::contract::row_major(&physical);
        let mut strides = vec![Dim::from(0); space];
        let mut offset = Dim::from(0);
        for (coord, &axis) in map.coords.iter().zip(&axes) {
            for &(i, coefficient) in &coord.terms {
                strides[i] = strides[i] + coefficient * own[axis];
            }
            offset = offset + coord.offset * own[axis];
        }
        let several = map.coords.iter().zip(&shape);
        let several = several.filter(|(_, size)| !size.is_const(1));
        let indices: Option<Vec<usize>> = several.map(|(c, _)| c.as_index()).collect();
        let bare = indices.is_some_and(|i| super::super::contract::distinct(&i));
        Some(Tensor {
            elements,
            offset,
            strides,
            dtype: self.dtype(value),
            param: self.source.params().contains(&value).then_some(value),
            bare,
            constant: false,
            margin: margin_of(self, elements),
        })
    }

    /// Whether a tensor is a weight of which all that is read is known when weights are loaded.
    fn is_constant(&self, tensor: &Tensor, space: &[Dim], summed: &[usize]) -> bool {
        let is_read = |i: &usize| summed.contains(i) || !tensor.strides[*i].is_const(0);
        let sizes = (0..space.len()).filter(is_read).map(|i| space[i]);
        let mut known = tensor.param.is_some_and(|p| self.constants.contains(&p));
        for dim in sizes
            .chain(tensor.strides.iter().copied())
            .chain([tensor.offset])
        {
            dim.for_each_sym(&mut |sym| known &= self.weight_sizes.contains(&sym));
        }
        known
    }

    /// Looks through views that are computed where they are used: what they show, and at which place.
    pub fn through_views(&self, value: Value, map: AffineMap) -> (Value, AffineMap) {
        let (mut value, mut map) = (value, map);
        while let Some(node) = self.nodes.get(&value)
            && (matches!(self.places.get(&value), Some(Place::Lazy) | None)
                || matches!(node.op, Op::Reshape { .. }))
            && let Some(inner) = self.view_map(node, &map)
        {
            (value, map) = (node.operands[0], inner);
        }
        (value, map)
    }

    /// The access of a view's operand, from that of the view; `None` where it is none.
    pub fn view_map(&self, node: &OpNode, map: &AffineMap) -> Option<AffineMap> {
        let shape = |k: usize| self.shape(node.operands[k]);
        let coords = match &node.op {
            Op::Broadcast {
                axes,
                shape: result,
            } => {
                let own = shape(0);
                let coord = |(k, &axis): (usize, &usize)| {
                    let repeated = own[k].is_const(1) && !result[axis].is_const(1);
                    match repeated {
                        true => AffineExpr::constant(Dim::from(0)),
                        false => map.coords[axis].clone(),
                    }
                };
                axes.iter().enumerate().map(coord).collect()
            }
            Op::Permute { axes } => {
                let mut coords = map.coords.clone();
                for (k, &axis) in axes.iter().enumerate() {
                    coords[axis] = map.coords[k].clone();
                }
                coords
            }
            Op::Slice {
                starts, strides, ..
            } => {
                let coord = |(k, c): (usize, &AffineExpr)| {
                    let terms = c.terms.iter().map(|&(i, by)| (i, by * strides[k]));
                    AffineExpr::new(terms, c.offset * strides[k] + starts[k])
                };
                map.coords.iter().enumerate().map(coord).collect()
            }
            Op::Reshape { shape: result } => return split_map(shape(0), result, map),
            Op::Reverse { axes } => {
                let coord = |(k, c): (usize, &AffineExpr)| match axes.contains(&k) {
                    false => c.clone(),
                    true => {
                        let terms = c.terms.iter().map(|&(i, by)| (i, -by));
                        let last = shape(0)[k] - Dim::from(1);
                        AffineExpr::new(terms, last - c.offset)
                    }
                };
                map.coords.iter().enumerate().map(coord).collect()
            }
            _ => return None,
        };
        Some(AffineMap { coords })
    }
}

/// The access of what was reshaped, where every axis of it became several, one after the other.
fn split_map(from: &[Dim], to: &[Dim], map: &AffineMap) -> Option<AffineMap> {
    let mut coords = Vec::new();
    let mut at = 0;
    for &size in from {
        let (mut covered, mut terms, mut offset) = (Dim::from(1), Vec::new(), Dim::from(0));
        while covered != size || (at < to.len() && to[at].is_const(1)) {
            let (part, coord) = (*to.get(at)?, &map.coords[at]);
            terms = terms
                .iter()
                .map(|&(i, by): &(usize, Dim)| (i, by * part))
                .collect();
            terms.extend(coord.terms.iter().copied());
            offset = offset * part + coord.offset;
            covered = covered * part;
            at += 1;
        }
        coords.push(AffineExpr::new(terms, offset));
    }
    (at == to.len()).then_some(AffineMap { coords })
}
