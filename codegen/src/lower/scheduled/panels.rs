//! The copies that fill panels: by vectors where columns are neighbours, by squares where summed indices are,
//! otherwise element by element.

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{BinaryKind, CompareKind, Dim, Op, Value};

use super::super::Lowerer;
use super::pack::{axis_of, indices};
use super::problem::{Problem, Tensor};

/// A panel while it is filled.
struct Panel<'p> {
    problem: &'p Problem,
    tensor: &'p Tensor,
    part: Part,
    from: Value,
    to: Value,
    width: i64,
    /// Which panel: outer indices and the number of the block.
    at: Vec<Value>,
    /// Its first row or column.
    first: Value,
    /// The position of what it is copied from, apart from summed indices and columns.
    base: Value,
}

impl<'a> Lowerer<'a> {
    /// Fills all panels of an operand, whose shape is given, by vectors of so many bytes.
    pub(super) fn copy_panels(
        &mut self,
        problem: &Problem,
        tensor: &Tensor,
        part: Part,
        (from, to): (Value, Value),
        shape: &[Dim],
        vector: i64,
    ) {
        let (outer, summed) = indices(problem, tensor, part);
        let width = shape[shape.len() - 1].as_const().unwrap_or(1);
        let tasks = &shape[..=outer.len()];
        let count = self.product(tasks);
        let lanes = vector / tensor.dtype.bytes() as i64;
        let whole = part == Part::Right && width % lanes == 0;
        let along = |axis| problem.stride(&tensor.strides, axis).is_const(1);
        self.parallel(count, 1, |this, task| {
            let at = this.delinearize(tasks, task);
            let wide = this.int(width);
            let first = this.mul(at[outer.len()], wide);
            let mut base = this.dim(tensor.offset);
            for (&i, &value) in outer.iter().zip(&at) {
                base = this.moved_along(tensor, base, i, value);
            }
            let panel = Panel {
                problem,
                tensor,
                part,
                from,
                to,
                width,
                at,
                first,
                base,
            };
            let sums: Vec<Dim> = summed.iter().map(|&i| problem.sizes[i]).collect();
            match sums.split_last() {
                Some((&last, before))
                    if whole
                        && (lanes as u64).is_power_of_two()
                        && along(Axis::Summed)
                        && !along(Axis::Columns) =>
                {
                    this.nest(before, &mut Vec::new(), &mut |this, inner| {
                        this.copy_squares(&panel, inner, last, lanes);
                    });
                }
                _ => this.nest(&sums, &mut Vec::new(), &mut |this, inner| match whole
                    && along(Axis::Columns)
                {
                    true => this.copy_vectors(&panel, inner, lanes),
                    false => this.copy_elements(&panel, inner),
                }),
            }
        });
    }

    fn moved_along(
        &mut self,
        tensor: &Tensor,
        position: Value,
        index: usize,
        value: Value,
    ) -> Value {
        let stride = self.dim(tensor.strides[index]);
        let step = self.mul(value, stride);
        self.add(position, step)
    }

    /// The position at summed indices, of which the last ones may be missing.
    fn summed_position(&mut self, panel: &Panel, inner: &[Value]) -> Value {
        let mut position = panel.base;
        for (&i, &value) in panel.problem.summed.iter().zip(inner) {
            position = self.moved_along(panel.tensor, position, i, value);
        }
        position
    }

    /// The position of a row or column, from that of the first.
    fn free_position(&mut self, panel: &Panel, position: Value, index: Value) -> Value {
        match (panel.part, panel.problem.group(axis_of(panel.part)).last()) {
            (Part::Left, _) => self.moved_by_row(panel.problem, position, index),
            (_, Some(&i)) => self.moved_along(panel.tensor, position, i, index),
            (_, None) => position,
        }
    }

    fn copy_vectors(&mut self, panel: &Panel, inner: &[Value], lanes: i64) {
        let base = self.summed_position(panel, inner);
        let size = self.dim(panel.problem.last(Axis::Columns));
        for start in (0..panel.width).step_by(lanes as usize) {
            let start = self.int(start);
            let column = self.add(panel.first, start);
            let left = self.b.binary(BinaryKind::Sub, size, column);
            let position = self.free_position(panel, base, column);
            let dtype = panel.tensor.dtype;
            let vector = self.load_lanes(panel.from, position, (lanes, 1), left, dtype);
            let all = self.int(lanes);
            self.store_panel(panel, vector, inner, start, all);
        }
    }

    /// Vectors along the last summed index, transposed.
    fn copy_squares(&mut self, panel: &Panel, before: &[Value], last: Dim, lanes: i64) {
        let base = self.summed_position(panel, before);
        let Some(&index) = panel.problem.summed.last() else {
            return;
        };
        let squares = self.dim(last.ceil_div(Dim::from(lanes)));
        self.for_loop(squares, 1, |this, square| {
            let (by, count) = (this.int(lanes), this.dim(last));
            let low = this.mul(square, by);
            let left = this.b.binary(BinaryKind::Sub, count, low);
            let base = this.moved_along(panel.tensor, base, index, low);
            let size = this.dim(panel.problem.last(Axis::Columns));
            let none = this.int(0);
            for start in (0..panel.width).step_by(lanes as usize) {
                let mut vectors = Vec::new();
                for lane in 0..lanes {
                    let step = this.int(start + lane);
                    let column = this.add(panel.first, step);
                    let exists = this.b.compare(CompareKind::Lt, column, size);
                    let count = this.b.select(exists, left, none);
                    let position = this.free_position(panel, base, column);
                    let dtype = panel.tensor.dtype;
                    let vector = this.load_lanes(panel.from, position, (lanes, 1), count, dtype);
                    vectors.push(vector);
                }
                let start = this.int(start);
                for (lane, vector) in this.transpose(vectors).into_iter().enumerate() {
                    let step = this.int(lane as i64);
                    let exists = this.b.compare(CompareKind::Lt, step, left);
                    let all = this.int(lanes);
                    let count = this.b.select(exists, all, none);
                    let row = this.add(low, step);
                    let place = [before, &[row]].concat();
                    this.store_panel(panel, vector, &place, start, count);
                }
            }
        });
    }

    fn store_panel(
        &mut self,
        panel: &Panel,
        vector: Value,
        inner: &[Value],
        lane: Value,
        count: Value,
    ) {
        let mut operands = vec![vector, panel.to];
        operands.extend(&panel.at);
        operands.extend(inner);
        operands.extend([lane, count]);
        self.b.op(Op::StoreVector, &operands, Vec::new());
    }

    fn copy_elements(&mut self, panel: &Panel, inner: &[Value]) {
        let base = self.summed_position(panel, inner);
        let total = self.int(panel.width);
        self.for_loop(total, 1, |this, lane| {
            let index = this.add(panel.first, lane);
            let end = this.dim(panel.problem.last(axis_of(panel.part)) - Dim::from(1));
            let inside = this.b.binary(BinaryKind::Min, index, end);
            let position = this.free_position(panel, base, inside);
            let element = this.b.value(Op::Load, &[panel.from, position]);
            let zero = this.number(panel.tensor.dtype, 0.0);
            let exists = this.b.compare(CompareKind::Le, index, end);
            let element = this.b.select(exists, element, zero);
            let mut place = vec![element, panel.to];
            place.extend(&panel.at);
            place.extend(inner);
            place.push(lane);
            this.b.op(Op::Store, &place, Vec::new());
        });
    }
}
