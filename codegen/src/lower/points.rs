//! Contractions point by point: what is no matrix product.

use aiai_ir::{AffineMap, DType, Dim, Op, OpNode, ReduceKind, Value};

use super::Lowerer;
use super::contract::distinct;

impl<'a> Lowerer<'a> {
    /// Any contraction, point by point: outputs with bare coordinates in parallel, others into zeros.
    pub fn contract_loops(
        &mut self,
        node: &'a OpNode,
        space: &[Dim],
        maps: &[AffineMap],
        out: &AffineMap,
        acc: DType,
    ) {
        let result = node.results[0];
        let dtype = self.dtype(result);
        let bare = out.as_indices().filter(|i| {
            distinct(i)
                && i.iter()
                    .zip(self.shape(result))
                    .all(|(i, d)| space[*i] == *d)
        });
        let buffer = self.destination(result);
        self.memo.clear();
        let Some(free) = bare else {
            return self.accumulate_loops(node, space, maps, out, acc, buffer);
        };
        let summed: Vec<usize> = (0..space.len()).filter(|i| !free.contains(i)).collect();
        let outer: Vec<Dim> = free.iter().map(|&i| space[i]).collect();
        let sizes: Vec<Dim> = summed.iter().map(|&i| space[i]).collect();
        let order: Vec<usize> = free.iter().chain(&summed).copied().collect();
        self.tasks(&outer, &mut |this, at| {
            let zero = this.identity(ReduceKind::Sum, acc);
            let total = this.fold_nest(&sizes, &[zero], &mut |this, inner, carry| {
                let full: Vec<Value> = at.iter().chain(inner).copied().collect();
                let product = this.point(node, maps, &order, &full, acc);
                vec![this.add(carry[0], product)]
            });
            let total = this.b.cast(total[0], dtype);
            let mut place = vec![total, buffer];
            place.extend(at);
            this.b.op(Op::Store, &place, Vec::new());
        });
        self.memo.clear();
    }

    /// The product of the operands at one point of the space.
    fn point(
        &mut self,
        node: &'a OpNode,
        maps: &[AffineMap],
        order: &[usize],
        full: &[Value],
        acc: DType,
    ) -> Value {
        let mut product: Option<Value> = None;
        for (&x, map) in node.operands.iter().zip(maps) {
            let place = self.places_of(map, order, full);
            let element = self.element(x, &place);
            let element = self.b.cast(element, acc);
            product = Some(match product {
                Some(product) => self.mul(product, element),
                None => element,
            });
        }
        match product {
            Some(product) => product,
            None => self.identity(ReduceKind::Prod, acc),
        }
    }

    fn accumulate_loops(
        &mut self,
        node: &'a OpNode,
        space: &[Dim],
        maps: &[AffineMap],
        out: &AffineMap,
        acc: DType,
        buffer: Value,
    ) {
        let shape = self.shape(node.results[0]).to_vec();
        let dtype = self.dtype(node.results[0]);
        let wide = if acc == dtype {
            buffer
        } else {
            self.alloc(acc, &shape)
        };
        self.clear(wide, &shape);
        let order: Vec<usize> = (0..space.len()).collect();
        self.nest(space, &mut Vec::new(), &mut |this, full| {
            let product = this.point(node, maps, &order, full, acc);
            let mut place = vec![wide];
            place.extend(this.places_of(out, &order, full));
            let known = this.b.value(Op::Load, &place);
            let sum = this.add(known, product);
            place.insert(0, sum);
            this.b.op(Op::Store, &place, Vec::new());
        });
        if wide != buffer {
            let total = Dim::product(shape.iter().copied());
            let [from, to] =
                [wide, buffer].map(|v| self.b.value(Op::View { shape: vec![total] }, &[v]));
            let n = self.dim(total);
            self.for_loop(n, 1, |this, i| {
                let element = this.b.value(Op::Load, &[from, i]);
                let element = this.b.cast(element, dtype);
                this.b.op(Op::Store, &[element, to, i], Vec::new());
            });
        }
        self.memo.clear();
    }
}
