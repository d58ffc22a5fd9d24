//! `vectorize batch`: lanes are batches, such as the channels of a filter that slides over each by itself.
//!
//! Such a contraction is seen as one of rows and of columns that are the batches. Of the left operand, in which these are no
//! neighbours, a task copies what it reads to memory of its own: batches next to each other, everything else where it was.

use aiai_ir::schedule::{Axis, Step};
use aiai_ir::{BinaryKind, CompareKind, Dim, Facts, Op, Relation, Truth, Value};

use super::super::Lowerer;
use super::Shared;
use super::emit::{At, Loop, Nest, Source};
use super::plan::Plan;
use super::problem::{Elements, Problem, Tensor};

/// Lines of rows, and the rows of a line: what lies further apart in the left operand is copied by tasks of its own.
const ROW_PARTS: usize = 2;

impl Problem {
    /// The problem whose columns are the last index of the batch, if only one operand has free indices of its own: it is
    /// the left one. All of them but the last are batches then.
    pub fn across(&self) -> Option<Problem> {
        let mut other = self.clone();
        if !self.columns.is_empty() && !self.rows.is_empty() {
            return None;
        }
        if self.rows.is_empty() {
            std::mem::swap(&mut other.left, &mut other.right);
            std::mem::swap(&mut other.rows, &mut other.columns);
        }
        let several = |i: &usize| !self.sizes[*i].is_const(1);
        other.batch.retain(several);
        other.columns = vec![other.batch.pop()?];
        other.merge(ROW_PARTS);
        let last = other.rows.pop()?;
        other.batch.append(&mut other.rows);
        other.rows = vec![last];
        Some(other)
    }

    /// How many elements of the left operand a task copies for each row, batch by batch, by the tiles of a schedule; 1 where
    /// that is not known.
    pub fn copied(&self, steps: &[Step]) -> Dim {
        let rows = self.last(Axis::Rows);
        let tile = steps.iter().find_map(|step| match *step {
            Step::Tile {
                axis: Axis::Rows,
                by,
            } => Some(Dim::from(by)),
            _ => None,
        });
        let tile = tile.filter(|&by| rows.as_const() > by.as_const());
        let all = self.lines_of(tile) * self.way() + self.reach() + Dim::from(1) - self.way();
        let each = all.ceil_div(tile.unwrap_or(rows));
        each.as_const().map_or(Dim::from(1), Dim::from)
    }

    /// How far lines of rows are from each other in the left operand.
    fn way(&self) -> Dim {
        self.row_parts.first().map_or(Dim::from(1), |part| part.1)
    }

    /// How many lines of rows a tile has a part of, at most; all without one.
    fn lines_of(&self, tile: Option<Dim>) -> Dim {
        let (line, one) = (self.rows_to_a_line(), Dim::from(1));
        match tile {
            Some(by) if line.as_const() >= Some(1) => (by - one).ceil_div(line) + one,
            // n / line is at most 2 n / (line + 1); lines of nothing have no rows.
            Some(by) => (by + by).ceil_div(line + one) + one,
            None => self.row_parts.first().map_or(one, |part| part.0),
        }
    }

    /// How many rows there are to each step of the outermost part of their index.
    fn rows_to_a_line(&self) -> Dim {
        Dim::product(self.row_parts.iter().skip(1).map(|part| part.0))
    }

    /// Sizes and strides in the left operand of what is gone through for one line of rows.
    fn of_a_line(&self) -> impl Iterator<Item = (Dim, Dim)> {
        let summed = self.summed.iter();
        let summed = summed.map(|&i| (self.sizes[i], self.left.strides[i]));
        self.row_parts.iter().skip(1).copied().chain(summed)
    }

    /// How far the left operand is read behind the first element of a line of rows, for all of it and of the sum.
    pub fn reach(&self) -> Dim {
        let steps = self
            .of_a_line()
            .map(|(size, way)| (size - Dim::from(1)) * way);
        steps.fold(Dim::from(0), |sum, step| sum + step)
    }

    /// At least one more, and never negative where there is nothing to go through.
    fn room(&self) -> Dim {
        let steps = self.of_a_line().map(|(size, way)| size * way);
        steps.fold(Dim::from(1), |sum, step| sum + step)
    }

    /// Whether the left operand can be copied so; an error says why not.
    pub fn fits_across(&self, facts: &Facts) -> Result<(), String> {
        let lines = self.row_parts.iter().take(1).copied();
        let goes_on = |(_, way)| facts.check(Relation::NonNegative, way) == Truth::True;
        if !lines.chain(self.of_a_line()).all(goes_on) {
            return Err("the left operand may be read backwards".into());
        }
        if self.stride(&self.left.strides, Axis::Columns).is_const(1) {
            return Err("batches are neighbours already".into());
        }
        Ok(())
    }
}

/// Whether the other steps of a plan suit lanes that are batches.
pub fn plan_fits(plan: &Plan, problem: &Problem, facts: &Facts) -> Result<(), String> {
    if !plan.pack_left {
        return Err("lanes are batches where the left operand is packed".into());
    }
    if !plan.parallel.contains(&Axis::Columns) || plan.tiles.iter().any(|t| t.0 == Axis::Columns) {
        return Err("lanes are batches where a task is one block of columns".into());
    }
    if plan.tiles.iter().any(|t| t.0 == Axis::Summed) {
        return Err("lanes are batches where sums are not cut into blocks".into());
    }
    if plan.columns != plan.lanes || (plan.lanes & (plan.lanes - 1)) != 0 {
        return Err(
            "lanes are batches where a register block is one vector of a power of two wide".into(),
        );
    }
    problem.fits_across(facts)
}

impl<'a> Lowerer<'a> {
    /// The nest of a task for whose rows and columns the left operand is copied.
    pub(super) fn copied_across<'k>(
        &mut self,
        nest: &Nest<'k>,
        shared: &[Loop],
        at: &At,
    ) -> Nest<'k> {
        let problem = &nest.problem;
        let lanes = Dim::from(nest.plan.lanes);
        let (line, reach, way) = (problem.rows_to_a_line(), problem.reach(), problem.way());
        let tile = shared.iter().find_map(|l| match *l {
            Loop::Tile(Axis::Rows, by) => Some(Dim::from(by)),
            _ => None,
        });
        let whole = |by: &Dim| {
            let rows = problem.last(Axis::Rows).as_const();
            rows.is_some_and(|rows| by.as_const() >= Some(rows))
        };
        let most = problem.lines_of(tile.filter(|by| !whole(by)));
        // Copies go on to the end of a line, or of a vector.
        let end = problem.margin_line().unwrap_or(lanes);
        let room = (most * way + problem.room()).ceil_div(end) * end + lanes;
        let scratch = self.alloc(problem.acc, &[room * lanes]);
        // The lines of the first row and of the last; one of nothing has none.
        let mut by = self.dim(line);
        if line.as_const().is_none_or(|line| line < 1) {
            let one = self.int(1);
            by = self.b.binary(BinaryKind::Max, by, one);
        }
        let end = self.add(at.rows.low, at.rows.count);
        let (way, one) = (self.dim(way), self.int(1));
        let last = self.b.binary(BinaryKind::Sub, end, one);
        let [low, high] = [at.rows.low, last].map(|row| {
            let line = self.b.binary(BinaryKind::Div, row, by);
            self.mul(line, way)
        });
        let reach = self.dim(reach);
        let used = self.b.binary(BinaryKind::Sub, high, low);
        let used = self.add(used, reach);
        let used = self.add(used, one);
        // No rows read nothing, and neither does a sum of nothing.
        let zero = self.int(0);
        let [some_rows, some_sums] =
            [at.rows.count, used].map(|count| self.b.compare(CompareKind::Gt, count, zero));
        let reads = self.b.binary(BinaryKind::And, some_rows, some_sums);
        self.b.begin_region(&[]);
        let memo = std::mem::take(&mut self.memo);
        match problem.left.margin {
            Some(_) => self.copy_with_margin(nest, at, (low, used), scratch),
            None => self.copy_across(nest, at, (low, used), scratch),
        }
        self.memo = memo;
        let then = self.b.end_region(&[]);
        self.b.begin_region(&[]);
        let otherwise = self.b.end_region(&[]);
        self.b.op(Op::If, &[reads], vec![then, otherwise]);
        let mut own = Problem::clone(problem);
        own.left = Tensor {
            elements: Elements::Stored(scratch),
            offset: Dim::from(0),
            strides: problem.left.strides.iter().map(|&s| s * lanes).collect(),
            dtype: problem.acc,
            param: None,
            bare: false,
            constant: false,
            margin: None,
        };
        for &i in &problem.batch {
            own.left.strides[i] = Dim::from(0);
        }
        for part in &mut own.row_parts {
            part.1 = part.1 * lanes;
        }
        let wide = self.dim(lanes);
        let before = self.mul(low, wide);
        Nest {
            problem: Shared::new(own),
            left: Source::Strided(scratch),
            left_shift: Some(self.b.binary(BinaryKind::Sub, zero, before)),
            ..nest.clone()
        }
    }

    /// Copies so many positions from one on, of the batches of a block.
    fn copy_across(&mut self, nest: &Nest, at: &At, (low, used): (Value, Value), scratch: Value) {
        let problem = &nest.problem;
        let base = self.position(&problem.left, at, &[]);
        let base = self.add(base, low);
        let way = problem.stride(&problem.left.strides, Axis::Columns);
        let bases = self.bases_across(nest, at, base, way);
        let zero = self.int(0);
        self.squares_across(nest, &bases, (zero, used), (scratch, zero));
    }

    /// The positions of the batches of a block, from that of the first of all; what there is none of is the last one again.
    pub(super) fn bases_across(
        &mut self,
        nest: &Nest,
        at: &At,
        base: Value,
        way: Dim,
    ) -> Vec<Value> {
        let (way, most) = (
            self.dim(way),
            self.dim(nest.problem.last(Axis::Columns) - Dim::from(1)),
        );
        let mut bases = Vec::new();
        for lane in 0..nest.plan.lanes {
            let lane = self.int(lane);
            let mut column = self.add(at.columns.low, lane);
            if !nest.even_columns {
                column = self.b.binary(BinaryKind::Min, column, most);
            }
            let step = self.mul(column, way);
            bases.push(self.add(base, step));
        }
        bases
    }

    /// Copies so many positions behind the bases from one on, transposed, to others; up to a vector more is overwritten.
    pub(super) fn squares_across(
        &mut self,
        nest: &Nest,
        bases: &[Value],
        (from, used): (Value, Value),
        (scratch, to): (Value, Value),
    ) {
        let Source::Strided(buffer) = nest.left else {
            unreachable!("the left operand is copied by tasks");
        };
        let (all, zero) = (self.int(nest.plan.lanes), self.int(0));
        let whole = self.b.binary(BinaryKind::Div, used, all);
        let square = |this: &mut Self, step: Value, count: Value| {
            let first = this.add(from, step);
            let load = |&base: &Value| {
                let place = this.add(base, first);
                let size = (nest.plan.lanes, 1);
                this.load_lanes(buffer, place, size, count, nest.problem.acc)
            };
            let vectors = bases.iter().map(load).collect();
            let first = this.add(to, step);
            for (k, vector) in this.transpose(vectors).into_iter().enumerate() {
                let k = this.int(k as i64);
                let place = this.add(first, k);
                let place = this.mul(place, all);
                let operands = [vector, scratch, place, all];
                this.b.op(Op::StoreVector, &operands, Vec::new());
            }
        };
        self.for_loop(whole, 1, |this, i| {
            let step = this.mul(i, all);
            square(this, step, all);
        });
        let step = self.mul(whole, all);
        let rest = self.b.binary(BinaryKind::Sub, used, step);
        let is_left = self.b.compare(CompareKind::Gt, rest, zero);
        self.b.begin_region(&[]);
        let memo = std::mem::take(&mut self.memo);
        square(self, step, rest);
        self.memo = memo;
        let then = self.b.end_region(&[]);
        self.b.begin_region(&[]);
        let otherwise = self.b.end_region(&[]);
        self.b.op(Op::If, &[is_left], vec![then, otherwise]);
    }
}
