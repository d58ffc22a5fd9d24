//! Contractions: as matrix products where the index space allows, by plain loops otherwise.
//!
//! Operands whose access is not a bare index per axis are unfolded first (that is im2col for a
//! convolution); an output of that kind is accumulated from an unfolded product. What remains is a
//! batch of matrix products with strides.

use aiai_ir::{AffineExpr, AffineMap, CompareKind, DType, Dim, Op, OpNode, Relation, Truth, Value};

use super::loops::UNROLLED;
use super::{Lowerer, Place};

/// A tensor in memory and how far each index of the space moves in it, in elements.
struct Strided {
    buffer: Value,
    strides: Vec<Dim>,
}

/// The part an index plays in a matrix product.
#[derive(Default)]
pub struct Roles {
    pub batch: Vec<usize>,
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    pub summed: Vec<usize>,
}

impl<'a> Lowerer<'a> {
    pub fn contract(&mut self, node: &'a OpNode) {
        let Op::Contract {
            space,
            maps,
            out,
            acc,
            ..
        } = &node.op
        else {
            return;
        };
        if self.contract_by_schedule(node, node.results[0]) {
            return;
        }
        let dtype = self.dtype(node.results[0]);
        let matrix =
            matches!(dtype, DType::F32 | DType::F64) && *acc == dtype && node.operands.len() == 2;
        match (matrix, self.roles(space, maps, out)) {
            (true, Some(roles)) if !slides(space, maps, &roles) => {
                self.product_of_two(node, space, maps, out, &roles)
            }
            _ => self.contract_loops(node, space, maps, out, *acc),
        }
    }

    /// Sorts the indices into roles; `None` where one fits nowhere.
    pub fn roles(&self, space: &[Dim], maps: &[AffineMap], out: &AffineMap) -> Option<Roles> {
        let [left, right] = maps else { return None };
        let mut roles = Roles::default();
        for i in 0..space.len() {
            match (left.uses(i), right.uses(i), out.uses(i)) {
                (true, true, true) => roles.batch.push(i),
                (true, false, true) => roles.rows.push(i),
                (false, true, true) => roles.columns.push(i),
                (true, true, false) => roles.summed.push(i),
                _ => return None,
            }
        }
        (!roles.summed.is_empty()).then_some(roles)
    }

    fn product_of_two(
        &mut self,
        node: &'a OpNode,
        space: &[Dim],
        maps: &[AffineMap],
        out: &AffineMap,
        roles: &Roles,
    ) {
        let result = node.results[0];
        let left = self.operand(
            node.operands[0],
            &maps[0],
            space,
            &roles.batch,
            &roles.rows,
            &roles.summed,
        );
        let right = self.operand(
            node.operands[1],
            &maps[1],
            space,
            &roles.batch,
            &roles.summed,
            &roles.columns,
        );
        // Batch, rows, columns; or with rows and columns exchanged, where that is the order of the result
        // or runs along its memory.
        let order_of = |r: &Roles| [&r.batch[..], &r.rows, &r.columns].concat();
        let exchanged = Roles {
            batch: roles.batch.clone(),
            rows: roles.columns.clone(),
            columns: roles.rows.clone(),
            summed: roles.summed.clone(),
        };
        let shape = self.shape(result);
        let bare = out.as_indices().filter(|indices| {
            let whole = indices.iter().zip(shape).all(|(i, d)| space[*i] == *d);
            whole && indices.len() == order_of(roles).len()
        });
        let exchange = match &bare {
            Some(indices) => {
                let stacked = || is_stacked(indices, &exchanged, space, [&right, &left]);
                *indices == order_of(&exchanged) || (*indices != order_of(roles) && stacked())
            }
            None => runs_along(out, &roles.rows, space) > runs_along(out, &roles.columns, space),
        };
        let (roles, left, right) = if exchange {
            (&exchanged, right, left)
        } else {
            (roles, left, right)
        };
        let order = match &bare {
            Some(indices) if is_stacked(indices, roles, space, [&left, &right]) => indices.clone(),
            _ => order_of(roles),
        };
        let natural: Vec<Dim> = order.iter().map(|&i| space[i]).collect();
        let in_order = bare.as_ref().is_some_and(|indices| *indices == order);
        let buffer = match self.outputs.get(&result) {
            Some(&buffer) if in_order => buffer,
            _ => self.alloc(self.dtype(result), &natural),
        };
        let target = Strided {
            buffer,
            strides: strides_of(space, &order),
        };
        self.multiply(space, roles, &left, &right, &target);
        match bare {
            Some(indices) => {
                let axes = indices
                    .iter()
                    .map(|i| order.iter().position(|o| o == i).unwrap_or(0))
                    .collect();
                let place = Place::Buffer { buffer, axes };
                self.places.insert(result, place);
                if self.outputs.contains_key(&result) && !in_order {
                    // The output buffer is filled at the end, from this one.
                    self.outputs.remove(&result);
                }
            }
            None => {
                self.fold_back(result, space, &order, out, buffer);
            }
        }
    }

    /// An operand with its strides; one that is not accessed index by index is unfolded into a buffer
    /// of its own.
    fn operand(
        &mut self,
        x: Value,
        map: &AffineMap,
        space: &[Dim],
        a: &[usize],
        b: &[usize],
        c: &[usize],
    ) -> Strided {
        let shape = self.shape(x).to_vec();
        let exact = map.as_indices().filter(|indices| {
            indices.iter().zip(&shape).all(|(i, d)| space[*i] == *d) && distinct(indices)
        });
        if let Some(indices) = exact {
            let (source, perm) = self.through_permutes(x);
            let (buffer, axes) = self.stored(source);
            let ranks: Vec<usize> = perm.iter().map(|&p| axes[p]).collect();
            let mut physical = vec![Dim::from(1); shape.len()];
            for (k, &axis) in ranks.iter().enumerate() {
                physical[axis] = shape[k];
            }
            let own = row_major(&physical);
            let mut strides = vec![Dim::from(0); space.len()];
            for (k, &i) in indices.iter().enumerate() {
                strides[i] = own[ranks[k]];
            }
            return Strided { buffer, strides };
        }
        // The group that runs along the memory of the source comes last.
        let (b, c) = if runs_along(map, b, space) > runs_along(map, c, space) {
            (c, b)
        } else {
            (b, c)
        };
        let order: Vec<usize> = a.iter().chain(b).chain(c).copied().collect();
        let unfolded: Vec<Dim> = order.iter().map(|&i| space[i]).collect();
        let buffer = self.alloc(self.dtype(x), &unfolded);
        // Where the space has no point, no coordinate need lie inside.
        let others = (0..space.len()).filter(|i| !order.contains(i));
        let others: Vec<Dim> = others.map(|i| space[i]).collect();
        self.unfold(x, map, &order, (&unfolded, &others), buffer);
        Strided {
            buffer,
            strides: strides_of(space, &order),
        }
    }

    /// Looks through permutations that are computed where they are used: axis k of the value is axis
    /// `perm[k]` of the source.
    fn through_permutes(&self, x: Value) -> (Value, Vec<usize>) {
        let mut perm: Vec<usize> = (0..self.shape(x).len()).collect();
        let mut source = x;
        while self.lazy.contains(&source) {
            let Some(node) = self.nodes.get(&source) else {
                break;
            };
            let Op::Permute { axes } = &node.op else {
                break;
            };
            perm = perm.iter().map(|&p| axes[p]).collect();
            source = node.operands[0];
        }
        (source, perm)
    }

    /// Copies the element that every point of an index space reads, in the order of the space.
    /// Nothing is copied where one of the `others` is 0.
    fn unfold(
        &mut self,
        x: Value,
        map: &AffineMap,
        order: &[usize],
        (shape, others): (&[Dim], &[Dim]),
        buffer: Value,
    ) {
        self.memo.clear();
        let copy = |this: &mut Self| {
            this.tasks(shape, &mut |this, index| {
                let place = this.places_of(map, order, index);
                let element = this.element(x, &place);
                let mut operands = vec![element, buffer];
                operands.extend(index);
                this.b.op(Op::Store, &operands, Vec::new());
            });
        };
        let unsure = |d: &Dim| self.facts.check(Relation::NonZero, *d) != Truth::True;
        let unsure: Vec<Dim> = others.iter().copied().filter(unsure).collect();
        if unsure.is_empty() {
            copy(self);
        } else {
            let points = self.product(&unsure);
            let zero = self.int(0);
            let some = self.b.compare(CompareKind::Gt, points, zero);
            self.b.begin_region(&[]);
            copy(self);
            let then = self.b.end_region(&[]);
            self.b.begin_region(&[]);
            let otherwise = self.b.end_region(&[]);
            self.b.op(Op::If, &[some], vec![then, otherwise]);
        }
        self.memo.clear();
    }

    /// The coordinates of a map at a point given in the order of some indices.
    pub fn places_of(&mut self, map: &AffineMap, order: &[usize], index: &[Value]) -> Vec<Value> {
        let coordinate = |this: &mut Self, coord: &AffineExpr| {
            let mut sum: Option<Value> = None;
            for &(i, coefficient) in &coord.terms {
                let Some(k) = order.iter().position(|o| *o == i) else {
                    continue;
                };
                let mut term = index[k];
                if !coefficient.is_const(1) {
                    let factor = this.dim(coefficient);
                    term = this.mul(term, factor);
                }
                sum = Some(match sum {
                    Some(sum) => this.add(sum, term),
                    None => term,
                });
            }
            match sum {
                Some(sum) if coord.offset.is_const(0) => sum,
                Some(sum) => {
                    let offset = this.dim(coord.offset);
                    this.add(sum, offset)
                }
                None => this.dim(coord.offset),
            }
        };
        map.coords
            .iter()
            .map(|coord| coordinate(self, coord))
            .collect()
    }

    /// Adds an unfolded product up into the result: one task per slice that no other touches.
    fn fold_back(
        &mut self,
        result: Value,
        space: &[Dim],
        order: &[usize],
        out: &AffineMap,
        product: Value,
    ) {
        let buffer = self.destination(result);
        let shape = self.shape(result).to_vec();
        self.clear(buffer, &shape);
        // Leading bare coordinates name slices of their own.
        let own: Vec<usize> = out
            .coords
            .iter()
            .map_while(|c| c.as_index())
            .filter(|i| !used_elsewhere(*i, out))
            .collect();
        let sizes: Vec<Dim> = own.iter().map(|&i| space[i]).collect();
        let rest: Vec<usize> = order.iter().copied().filter(|i| !own.contains(i)).collect();
        let rest_sizes: Vec<Dim> = rest.iter().map(|&i| space[i]).collect();
        let tasks = self.product(&sizes);
        self.parallel(tasks, 1, |this, task| {
            let at = this.delinearize(&sizes, task);
            this.nest(&rest_sizes, &mut Vec::new(), &mut |this, inner| {
                let find = |index: usize| match own.iter().position(|o| *o == index) {
                    Some(k) => at[k],
                    None => inner[rest.iter().position(|r| *r == index).unwrap_or(0)],
                };
                let full: Vec<Value> = order.iter().map(|&index| find(index)).collect();
                let mut load = vec![product];
                load.extend(&full);
                let part = this.b.value(Op::Load, &load);
                let mut place = vec![buffer];
                place.extend(this.places_of(out, order, &full));
                let known = this.b.value(Op::Load, &place);
                let sum = this.add(known, part);
                place.insert(0, sum);
                this.b.op(Op::Store, &place, Vec::new());
            });
        });
    }

    /// Fills a buffer with zeros.
    pub fn clear(&mut self, buffer: Value, shape: &[Dim]) {
        let dtype = self.b.ty(buffer).dtype();
        let zero = self.number(dtype, 0.0);
        self.fill_with(buffer, shape, zero);
    }

    /// A batch of matrix products by micro-kernel.
    fn multiply(
        &mut self,
        space: &[Dim],
        roles: &Roles,
        left: &Strided,
        right: &Strided,
        target: &Strided,
    ) {
        let (m, outer_rows) = merge_axes(&roles.rows, space, &[left, target]);
        let (n, outer_columns) = merge_axes(&roles.columns, space, &[right, target]);
        let (k, outer_summed) = merge_axes(&roles.summed, space, &[left, right]);
        let outer: Vec<usize> = roles
            .batch
            .iter()
            .chain(&outer_rows)
            .chain(&outer_columns)
            .copied()
            .collect();
        let sizes: Vec<Dim> = outer.iter().map(|&i| space[i]).collect();
        let dtype = self.b.ty(target.buffer).dtype();
        let name = format!("aiai_gemm_{dtype}");
        let summed: Vec<Dim> = outer_summed.iter().map(|&i| space[i]).collect();
        let strides = [
            m.strides[0],
            k.strides[0],
            k.strides[1],
            n.strides[0],
            m.strides[1],
            n.strides[1],
        ];
        // Several products are added up; there may be none.
        let add_up = !summed.is_empty();
        if add_up {
            let shape = self.b.ty(target.buffer).shape().to_vec();
            self.clear(target.buffer, &shape);
        }
        let one = |this: &mut Self, at: &[Value]| {
            let [a, b, c] = [left, right, target].map(|t| this.moved(None, t, &outer, at));
            let [rows, columns, depth] = [m.size, n.size, k.size].map(|d| this.dim(d));
            let strides = strides.map(|d| this.dim(d));
            let count = this.product(&summed);
            this.for_loop(count, 1, |this, step| {
                let inner = this.delinearize(&summed, step);
                let [a, b] = [(a, left), (b, right)]
                    .map(|(base, t)| this.moved(Some(base), t, &outer_summed, &inner));
                let again = this.int(i64::from(add_up));
                let [ra, ca, rb, cb, rc, cc] = strides;
                let operands = [
                    rows,
                    columns,
                    depth,
                    left.buffer,
                    a,
                    ra,
                    ca,
                    right.buffer,
                    b,
                    rb,
                    cb,
                    target.buffer,
                    c,
                    rc,
                    cc,
                    again,
                ];
                this.kernel(&name, &operands, &[]);
            });
        };
        if sizes.is_empty() {
            // One product: the micro-kernel splits it among the threads.
            return one(self, &[]);
        }
        let tasks = self.product(&sizes);
        self.parallel(tasks, 1, |this, task| {
            let at = this.delinearize(&sizes, task);
            one(this, &at);
        });
    }

    /// The position of an element: a base, moved along some indices.
    fn moved(
        &mut self,
        base: Option<Value>,
        tensor: &Strided,
        indices: &[usize],
        at: &[Value],
    ) -> Value {
        let mut position = base;
        for (&i, &value) in indices.iter().zip(at) {
            if tensor.strides[i].is_const(0) {
                continue;
            }
            let stride = self.dim(tensor.strides[i]);
            let step = self.mul(value, stride);
            position = Some(match position {
                Some(position) => self.add(position, step),
                None => step,
            });
        }
        match position {
            Some(position) => position,
            None => self.int(0),
        }
    }
}

/// Whether a small filter slides over every channel by itself: no matrix product has rows and columns
/// then, and unfolding costs more than the sum.
fn slides(space: &[Dim], maps: &[AffineMap], roles: &Roles) -> bool {
    let count = |group: &[usize]| Dim::product(group.iter().map(|&i| space[i]));
    let vector = count(&roles.rows).is_const(1) || count(&roles.columns).is_const(1);
    let taps = count(&roles.summed).as_const();
    let unfolds = maps.iter().any(|map| map.as_indices().is_none());
    vector && unfolds && taps.is_some_and(|n| n <= UNROLLED)
}

/// Whether the result is a stack of whole matrix products in its own order, as that of a convolution is,
/// image by image.
fn is_stacked(
    indices: &[usize],
    roles: &Roles,
    space: &[Dim],
    [left, right]: [&Strided; 2],
) -> bool {
    let target = Strided {
        buffer: left.buffer,
        strides: strides_of(space, indices),
    };
    let (_, outer_rows) = merge_axes(&roles.rows, space, &[left, &target]);
    let (_, outer_columns) = merge_axes(&roles.columns, space, &[right, &target]);
    outer_rows.is_empty() && outer_columns.len() + 2 <= roles.columns.len()
}

/// Indices that act as one: their size, and their stride in each tensor.
struct Merged {
    size: Dim,
    strides: Vec<Dim>,
}

/// Merges as many of the last indices as lie behind one another in every tensor; the others stay.
fn merge_axes(indices: &[usize], space: &[Dim], tensors: &[&Strided]) -> (Merged, Vec<usize>) {
    let Some((&last, before)) = indices.split_last() else {
        let strides = vec![Dim::from(1); tensors.len()];
        return (
            Merged {
                size: Dim::from(1),
                strides,
            },
            Vec::new(),
        );
    };
    let mut merged = Merged {
        size: space[last],
        strides: tensors.iter().map(|t| t.strides[last]).collect(),
    };
    let mut rest = before.to_vec();
    while let Some(&next) = rest.last() {
        let fits = tensors
            .iter()
            .zip(&merged.strides)
            .all(|(t, s)| t.strides[next] == *s * merged.size);
        if !fits {
            break;
        }
        merged.size = merged.size * space[next];
        rest.pop();
    }
    (merged, rest)
}

/// How far the last of some indices runs along the memory that a map addresses, in elements for each step
/// that it takes; 0 where it does not.
fn runs_along(map: &AffineMap, group: &[usize], space: &[Dim]) -> i64 {
    let (Some(last), Some(i)) = (map.coords.last(), group.last()) else {
        return 0;
    };
    let step = last.terms.iter().find(|(t, _)| t == i);
    match step.and_then(|(_, coefficient)| coefficient.as_const()) {
        Some(step @ 1..) => space[*i].as_const().unwrap_or(i64::MAX) / step,
        _ => 0,
    }
}

pub fn row_major(shape: &[Dim]) -> Vec<Dim> {
    let mut strides = vec![Dim::from(1); shape.len()];
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k];
    }
    strides
}

/// Strides of a buffer whose axes are the given indices in order.
fn strides_of(space: &[Dim], order: &[usize]) -> Vec<Dim> {
    let shape: Vec<Dim> = order.iter().map(|&i| space[i]).collect();
    let own = row_major(&shape);
    let mut strides = vec![Dim::from(0); space.len()];
    for (k, &i) in order.iter().enumerate() {
        strides[i] = own[k];
    }
    strides
}

pub fn distinct(indices: &[usize]) -> bool {
    indices
        .iter()
        .enumerate()
        .all(|(k, i)| !indices[..k].contains(i))
}

fn used_elsewhere(index: usize, map: &AffineMap) -> bool {
    map.coords
        .iter()
        .filter(|c| c.terms.iter().any(|t| t.0 == index))
        .count()
        > 1
}
