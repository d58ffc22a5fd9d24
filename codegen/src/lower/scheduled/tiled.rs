//! `fuse epilogue at rows`: what reduces the rows of a product, computed where a tile of its rows is finished.
//!
//! The product lies in memory as a whole; each task reads the rows that it has just stored, while they are in the
//! cache. Rows of which a task would have a part, or read those of others, are computed when the product is done.

use aiai_ir::schedule::{Axis, Step};
use aiai_ir::{Dim, Op, OpNode, Region, Value};

use super::super::Lowerer;
use super::emit::Range;
use super::problem::Problem;
use super::{Found, not_inlined};

/// The product of a group of rows, by tiles of rows.
pub struct Tiled<'a> {
    node: &'a OpNode,
    found: Found,
    /// The product's memory, as one row.
    flat: Value,
}

impl Tiled<'_> {
    pub fn is_of(&self, node: &OpNode) -> bool {
        std::ptr::eq(self.node, node)
    }
}

impl<'a> Lowerer<'a> {
    /// A product of a group that reduces rows of `x`, where it is the only one, some schedule asks for tiles of rows and they
    /// can be had; it is given memory, and nothing else is done yet.
    pub fn tiled_product(
        &mut self,
        group: &'a Region,
        node: &'a OpNode,
        x: Value,
    ) -> Option<Tiled<'a>> {
        let asked = |step: &Step| matches!(step, Step::FuseAt { .. });
        let mut steps = self.schedules.iter().flat_map(|s| &s.steps);
        if self.check_nan || !steps.any(asked) {
            return None;
        }
        let is_product = |n: &&OpNode| matches!(n.op, Op::Contract { .. }) && !n.op.is_view();
        let mut products = group.ops.iter().filter(is_product);
        let (Some(only), None) = (products.next(), products.next()) else {
            return None;
        };
        if !std::ptr::eq(only, node) {
            return None;
        }
        let product = node.results[0];
        let shape = self.shape(x).to_vec();
        let reads_waiting = node.operands.iter().any(|v| self.waiting.contains_key(v));
        if self.shape(product) != shape || reads_waiting {
            return None;
        }
        let mut found = self.first_schedule(node, product, &[]).ok()?;
        let natural = found.layout.iter().copied().eq(0..shape.len());
        if !natural || !not_inlined(&found.choices).is_empty() {
            return None;
        }
        for choice in &mut found.choices {
            choice.plan.fuse_rows &= are_rows(&choice.problem, &shape);
        }
        if !found.choices.iter().any(|choice| choice.plan.fuse_rows) {
            return None;
        }
        self.check_sizes(node);
        self.note_schedules(node, &found.choices, &found.layout);
        let (flat, place) = self.memory_of(product, &found.layout);
        self.places.insert(product, place);
        Some(Tiled { node, found, flat })
    }

    /// The loops of the product; `rows` are those behind it, some of them or all.
    pub fn by_tiles(&mut self, tiled: &Tiled<'a>, rows: &mut dyn FnMut(&mut Self, Option<Range>)) {
        let product = tiled.node.results[0];
        let line = self.line.take();
        self.emit(
            tiled.node,
            product,
            tiled.flat,
            &tiled.found,
            &mut |this, range| {
                this.line = line;
                this.memo.clear();
                rows(this, range);
                this.line = None;
            },
        );
        self.line = line;
    }
}

/// Whether rows and columns of a problem are those of a shape in row-major order.
fn are_rows(problem: &Problem, shape: &[Dim]) -> bool {
    let (&[row], &[column], Some((&last, outer))) = (
        problem.rows.as_slice(),
        problem.columns.as_slice(),
        shape.split_last(),
    ) else {
        return false;
    };
    problem.batch.is_empty()
        && problem.last(Axis::Rows) == Dim::product(outer.iter().copied())
        && problem.last(Axis::Columns) == last
        && problem.out[row] == last
        && problem.out[column].is_const(1)
}
