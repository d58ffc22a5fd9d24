//! The copies that fill panels: by vectors where columns are neighbours, by squares where summed indices are,
//! otherwise element by element.

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{BinaryKind, CompareKind, Dim, Op, Value};

use super::super::Lowerer;
use super::super::lines::Line;
use super::super::vectors::place;
use super::pack::{axis_of, indices};
use super::problem::{Elements, Problem, Tensor};

/// The values of indices for which panels are filled: none where it is for all.
pub(super) type Within = [(usize, Value)];

/// What a panel is copied from.
#[derive(Clone, Copy)]
enum Origin {
    /// A buffer as one row.
    Memory(Value),
    /// A value that is computed on the way.
    Value(Value),
}

/// A panel while it is filled.
struct Panel<'p> {
    problem: &'p Problem,
    tensor: &'p Tensor,
    part: Part,
    from: Origin,
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
        to: Value,
        shape: &[Dim],
        (vector, within): (i64, &Within),
    ) {
        let (mut outer, summed) = indices(problem, tensor, part);
        outer.retain(|i| !within.iter().any(|f| f.0 == *i));
        let width = shape[shape.len() - 1].as_const().unwrap_or(1);
        let tasks = &shape[..=outer.len()];
        let count = self.product(tasks);
        let lanes = vector / tensor.dtype.bytes() as i64;
        let from = match tensor.elements {
            Elements::Stored(buffer) => Origin::Memory(self.flat(buffer)),
            Elements::Computed(value) => Origin::Value(value),
        };
        let outer_line = self.line.replace(Line::of_lanes(lanes));
        let whole = part == Part::Right && width % lanes == 0;
        let along = |this: &Self, axis| {
            problem.stride(&tensor.strides, axis).is_const(1)
                && this.has_vectors(tensor, problem.last(axis))
        };
        let (summed_along, columns_along) = (along(self, Axis::Summed), along(self, Axis::Columns));
        let fill = |this: &mut Self, task: Value| {
            let at = this.delinearize(tasks, task);
            let wide = this.int(width);
            let first = this.mul(at[outer.len()], wide);
            let mut base = this.dim(tensor.offset);
            let outer = outer.iter().zip(&at).map(|(&i, &value)| (i, value));
            for (i, value) in outer.chain(within.iter().copied()) {
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
                        && summed_along
                        && !columns_along =>
                {
                    this.nest(before, &mut Vec::new(), &mut |this, inner| {
                        this.copy_squares(&panel, inner, last, lanes);
                    });
                }
                _ => this.nest(&sums, &mut Vec::new(), &mut |this, inner| match whole
                    && columns_along
                {
                    true => this.copy_vectors(&panel, inner, lanes),
                    false => this.copy_elements(&panel, inner),
                }),
            }
        };
        match within {
            [] => self.parallel(count, 1, fill),
            _ => self.for_loop(count, 1, fill),
        }
        self.line = outer_line;
    }

    /// Whether neighbours of a tensor, of which so many lie in one row, can be had in vectors.
    fn has_vectors(&self, tensor: &Tensor, count: Dim) -> bool {
        tensor.computed().is_none_or(|value| {
            self.shape(value).last() == Some(&count) && self.lanes_of(value).is_ok()
        })
    }

    /// Neighbours of what a panel is copied from; 0 from `count` on.
    fn neighbours(&mut self, panel: &Panel, position: Value, lanes: i64, count: Value) -> Value {
        match panel.from {
            Origin::Memory(buffer) => {
                let dtype = panel.tensor.dtype;
                self.load_lanes(buffer, position, (lanes, 1), count, dtype)
            }
            Origin::Value(value) => {
                let index = self.delinearize(self.shape(value), position);
                let (&column, outer) = index.split_last().expect("a tensor has axes");
                let mut at = place(outer, column, count, false);
                let vector = self.vector(value, &mut at);
                let zero = self.number(panel.tensor.dtype, 0.0);
                let zero = self.in_all_lanes(zero);
                self.where_existing(&at, vector, zero)
            }
        }
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

    /// The column, or the last one where what is computed on the way has no more.
    fn inside(&mut self, panel: &Panel, column: Value, size: Value) -> Value {
        match panel.from {
            Origin::Memory(_) => column,
            Origin::Value(_) => {
                let one = self.int(1);
                let most = self.b.binary(BinaryKind::Sub, size, one);
                self.b.binary(BinaryKind::Min, column, most)
            }
        }
    }

    fn copy_vectors(&mut self, panel: &Panel, inner: &[Value], lanes: i64) {
        let base = self.summed_position(panel, inner);
        let size = self.dim(panel.problem.last(Axis::Columns));
        for start in (0..panel.width).step_by(lanes as usize) {
            let start = self.int(start);
            let column = self.add(panel.first, start);
            let left = self.b.binary(BinaryKind::Sub, size, column);
            let inside = self.inside(panel, column, size);
            let position = self.free_position(panel, base, inside);
            let vector = self.neighbours(panel, position, lanes, left);
            let all = self.int(lanes);
            self.store_panel(panel, vector, inner, start, all);
        }
    }

    /// Vectors along the last summed index, transposed. A panel that is full needs no masks.
    fn copy_squares(&mut self, panel: &Panel, before: &[Value], last: Dim, lanes: i64) {
        let columns = panel.problem.last(Axis::Columns);
        let whole = |size: Dim, by| size.as_const().is_some_and(|n| n % by == 0);
        if whole(columns, panel.width) {
            return self.squares(panel, before, last, (lanes, true));
        }
        let (width, size) = (self.int(panel.width), self.dim(columns));
        let end = self.add(panel.first, width);
        let full = self.b.compare(CompareKind::Le, end, size);
        let [full_panel, partial] = [true, false].map(|full| {
            self.b.begin_region(&[]);
            let memo = std::mem::take(&mut self.memo);
            self.squares(panel, before, last, (lanes, full));
            self.memo = memo;
            self.b.end_region(&[])
        });
        self.b.op(Op::If, &[full], vec![full_panel, partial]);
    }

    fn squares(&mut self, panel: &Panel, before: &[Value], last: Dim, (lanes, full): (i64, bool)) {
        let base = self.summed_position(panel, before);
        let Some(&index) = panel.problem.summed.last() else {
            return;
        };
        let even = last.as_const().is_some_and(|n| n % lanes == 0);
        let squares = self.dim(last.ceil_div(Dim::from(lanes)));
        self.for_loop(squares, 1, |this, square| {
            let (by, count) = (this.int(lanes), this.dim(last));
            let low = this.mul(square, by);
            let left = match even {
                true => by,
                false => this.b.binary(BinaryKind::Sub, count, low),
            };
            let base = this.moved_along(panel.tensor, base, index, low);
            let size = this.dim(panel.problem.last(Axis::Columns));
            let none = this.int(0);
            for start in (0..panel.width).step_by(lanes as usize) {
                let mut vectors = Vec::new();
                for lane in 0..lanes {
                    let step = this.int(start + lane);
                    let column = this.add(panel.first, step);
                    let (mut count, mut inside) = (left, column);
                    if !full {
                        let exists = this.b.compare(CompareKind::Lt, column, size);
                        count = this.b.select(exists, left, none);
                        inside = this.inside(panel, column, size);
                    }
                    let position = this.free_position(panel, base, inside);
                    let vector = this.neighbours(panel, position, lanes, count);
                    vectors.push(vector);
                }
                let start = this.int(start);
                for (lane, vector) in this.transpose(vectors).into_iter().enumerate() {
                    let step = this.int(lane as i64);
                    let mut count = by;
                    if !even {
                        let exists = this.b.compare(CompareKind::Lt, step, left);
                        count = this.b.select(exists, by, none);
                    }
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
            let element = match panel.from {
                Origin::Memory(buffer) => this.b.value(Op::Load, &[buffer, position]),
                Origin::Value(value) => {
                    let index = this.delinearize(this.shape(value), position);
                    this.element(value, &index)
                }
            };
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
