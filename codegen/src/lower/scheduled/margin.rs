//! Padding that is made on the way: what a task copies of an operand across batches has its margin in the copy alone.

use aiai_ir::{BinaryKind, CompareKind, Dim, Facts, Op, Relation, Truth, Value};

use super::super::Lowerer;
use super::super::contract::row_major;
use super::emit::{At, Nest};
use super::problem::{Elements, Problem};

/// How a tensor that nothing has stored is another one with a margin.
#[derive(Clone, Debug)]
pub struct Margin {
    /// What is padded, and with what.
    pub source: Value,
    pub fill: Value,
    /// Its shape, and that of the padded tensor.
    pub inner: Vec<Dim>,
    pub shape: Vec<Dim>,
    /// The margin in front of each axis.
    pub low: Vec<Dim>,
}

/// The planes of a padded tensor: its axes behind that of the batches that are lanes.
struct Planes<'m> {
    inner: &'m [Dim],
    shape: &'m [Dim],
    low: &'m [Dim],
}

impl Margin {
    /// Its planes, if batches are so far from each other and lie in whole planes.
    fn planes(&self, way: Dim) -> Option<Planes<'_>> {
        let strides = row_major(&self.shape);
        let is_axis = |k: &usize| strides[*k] == way && !self.shape[*k].is_const(1);
        let axis = (0..self.shape.len()).find(is_axis)?;
        let (outer, planes) = (..=axis, axis + 1..);
        let has_none = self.low[outer].iter().all(|low| low.is_const(0));
        if !has_none || self.inner[outer] != self.shape[outer] || axis + 1 == self.shape.len() {
            return None;
        }
        Some(Planes {
            inner: &self.inner[planes.clone()],
            shape: &self.shape[planes.clone()],
            low: &self.low[planes],
        })
    }
}

impl Planes<'_> {
    fn line(&self) -> Dim {
        self.shape[self.shape.len() - 1]
    }
}

impl Problem {
    /// Whether the margin of the left operand can be made while it is copied: what a task reads of a batch is within one
    /// plane, and begins with a line of it.
    pub fn margin_fits(&self, facts: &Facts) -> bool {
        let tensor = &self.left;
        let Some(planes) = self.margin_planes() else {
            return false;
        };
        let size = Dim::product(planes.shape.iter().copied());
        let divides = |by: Dim, dim: Dim| {
            let rest = dim - dim.floor_div(by) * by;
            facts.check(Relation::Zero, rest) == Truth::True
        };
        let one = Dim::from(1);
        let (lines, way) = self.row_parts.first().copied().unwrap_or((one, one));
        let last = tensor.offset + (lines - one) * way + self.reach();
        let inside = size - one - last;
        divides(planes.line(), way)
            && divides(planes.line(), tensor.offset)
            && self.batch.iter().all(|&i| divides(size, tensor.strides[i]))
            && facts.check(Relation::NonNegative, inside) == Truth::True
    }

    /// The lines of the left operand's planes: as long as what is copied with a margin is rounded up to.
    pub fn margin_line(&self) -> Option<Dim> {
        Some(self.margin_planes()?.line())
    }

    fn margin_planes(&self) -> Option<Planes<'_>> {
        let &column = self.columns.last()?;
        self.left.margin.as_ref()?.planes(self.left.strides[column])
    }
}

impl<'a> Lowerer<'a> {
    /// Copies so many positions from one on, of the batches of a block, with what lies around them. All of the lines that
    /// are begun is written.
    pub(super) fn copy_with_margin(
        &mut self,
        nest: &Nest,
        at: &At,
        (low, used): (Value, Value),
        scratch: Value,
    ) {
        let problem = &nest.problem;
        let (Some(margin), Some(planes)) = (&problem.left.margin, problem.margin_planes()) else {
            return;
        };
        let size = Dim::product(planes.shape.iter().copied());
        let inner_size = Dim::product(planes.inner.iter().copied());
        // Which plane is the first of the batches, and where it begins in what is padded.
        let base = self.position(&problem.left, at, &[]);
        let whole = self.dim(size);
        let plane = self.b.binary(BinaryKind::Div, base, whole);
        let inner_whole = self.dim(inner_size);
        let plane = self.mul(plane, inner_whole);
        let bases = self.bases_across(nest, at, plane, inner_size);
        let line = planes.line();
        let (wide, offset) = (self.dim(line), self.dim(problem.left.offset));
        let begin = self.add(offset, low);
        let first = self.b.binary(BinaryKind::Div, begin, wide);
        let more = self.dim(line - Dim::from(1));
        let count = self.add(used, more);
        let count = self.b.binary(BinaryKind::Div, count, wide);
        let fill = self.scalar(margin.fill);
        let fill = self.b.cast(fill, problem.acc);
        let fill = self.splat(fill, nest.plan.lanes);
        self.for_loop(count, 1, |this, i| {
            let number = this.add(first, i);
            let to = this.mul(i, wide);
            let last = planes.shape.len() - 1;
            let index = this.delinearize(&planes.shape[..last], number);
            let (mut inside, mut from) = (None, this.int(0));
            for (k, &value) in index.iter().enumerate() {
                let (low, size) = (this.dim(planes.low[k]), this.dim(planes.inner[k]));
                let own = this.b.binary(BinaryKind::Sub, value, low);
                let before = this.mul(from, size);
                from = this.add(before, own);
                if planes.inner[k] == planes.shape[k] {
                    continue;
                }
                let zero = this.int(0);
                let begun = this.b.compare(CompareKind::Ge, own, zero);
                let goes_on = this.b.compare(CompareKind::Lt, own, size);
                let both = this.b.binary(BinaryKind::And, begun, goes_on);
                inside = Some(match inside {
                    None => both,
                    Some(others) => this.b.binary(BinaryKind::And, others, both),
                });
            }
            let columns = this.dim(planes.inner[last]);
            let from = this.mul(from, columns);
            let before = this.dim(planes.low[last]);
            let content = |this: &mut Self| {
                let zero = this.int(0);
                this.fill_across(scratch, (to, before), fill);
                let behind = this.add(before, columns);
                let middle = this.add(to, before);
                let range = (from, columns);
                this.squares_across(nest, &bases, range, (scratch, middle));
                let rest = this.b.binary(BinaryKind::Sub, wide, behind);
                let rest = this.b.binary(BinaryKind::Max, rest, zero);
                let behind = this.add(to, behind);
                this.fill_across(scratch, (behind, rest), fill);
            };
            let Some(inside) = inside else {
                return content(this);
            };
            this.b.begin_region(&[]);
            let memo = std::mem::take(&mut this.memo);
            content(this);
            this.memo.clear();
            let then = this.b.end_region(&[]);
            this.b.begin_region(&[]);
            this.fill_across(scratch, (to, wide), fill);
            this.memo = memo;
            let otherwise = this.b.end_region(&[]);
            this.b.op(Op::If, &[inside], vec![then, otherwise]);
        });
    }

    /// Writes a vector at so many positions from one on.
    fn fill_across(&mut self, scratch: Value, (from, count): (Value, Value), vector: Value) {
        let lanes = self.b.ty(vector).shape()[0];
        self.for_loop(count, 1, |this, i| {
            let all = this.dim(lanes);
            let place = this.add(from, i);
            let place = this.mul(place, all);
            let operands = [vector, scratch, place, all];
            this.b.op(Op::StoreVector, &operands, Vec::new());
        });
    }
}

/// The margin that a value has that nothing has stored, if it is one of a tensor that lies in order.
pub fn margin_of(lowerer: &Lowerer<'_>, elements: Elements) -> Option<Margin> {
    let Elements::Computed(value) = elements else {
        return None;
    };
    let node = lowerer.nodes.get(&value)?;
    let Op::Pad { low, .. } = &node.op else {
        return None;
    };
    let &[source, fill] = node.operands.as_slice() else {
        return None;
    };
    lowerer.lies_in_order(source).then(|| Margin {
        source,
        fill,
        inner: lowerer.shape(source).to_vec(),
        shape: lowerer.shape(value).to_vec(),
        low: low.clone(),
    })
}
