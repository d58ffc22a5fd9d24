//! The loops of a plan around its register blocks: tasks, tiles, blocks.

use std::collections::HashMap;

use aiai_ir::schedule::{Axis, Part};
use aiai_ir::{BinaryKind, CompareKind, DType, Dim, Op, Value};

use super::super::Lowerer;
use super::choose::Choice;
use super::maxima::Maxima;
use super::plan::Plan;
use super::problem::{Problem, Tensor};
use super::{Behind, Kernel, Shared};

/// Bytes of a cache line.
pub const LINE: i64 = 64;
/// Blocks of rows that ask for other columns, at most: two read these for long enough that memory gives the others.
const LAST_BLOCKS: i64 = 2;
/// Multiplications to a task, about.
const TASK: i64 = 1 << 16;
/// Numbers of rows that balanced blocks have loops for beside a whole one, at most.
const MOST_HEIGHTS: u64 = 4;
/// Rows of a block whose ends are worth code of their own.
const LEAST_HALVED: i64 = 6;
/// What a size is taken for that is known at run time only.
const TYPICAL: i64 = 64;

/// A loop outside of the register blocks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loop {
    /// Over all of an index.
    Index(usize),
    /// Over blocks of an axis.
    Tile(Axis, i64),
}

/// A part of an axis: where it begins and how far it goes. Rows and columns count all indices of their group,
/// the last one rounded up to whole register blocks where there are others.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub low: Value,
    pub count: Value,
}

/// A number of each row of a product.
#[derive(Clone, Copy, Debug)]
pub struct Divisors {
    pub buffer: Value,
    /// The row that the first is of.
    pub first: Value,
    pub inverted: bool,
}

/// What the loops of a nest share.
#[derive(Clone)]
pub struct Nest<'k> {
    pub kernel: &'k Kernel<'k>,
    pub problem: Shared,
    pub plan: Plan,
    /// Operands as one row each; packed ones as panels.
    pub left: Source,
    pub right: Source,
    pub leaves: Vec<Value>,
    /// Added to positions in the result and the left operand, where these are scratch memory of a block of rows.
    pub out_shift: Option<Value>,
    pub left_shift: Option<Value>,
    /// Numbers by which rows of the product are divided, or their inverses, by which they are multiplied.
    pub divisors: Option<Divisors>,
    /// Where the largest numbers of rows are kept.
    pub maxima: Option<Maxima>,
    /// Rows and columns come out even in register blocks.
    pub even_rows: bool,
    pub even_columns: bool,
    /// Each row of the result has room for whole blocks of columns, nobody reads what lies behind the last, and all rows of
    /// a block may be stored.
    pub padded: bool,
    /// Fewer rows than a block has, for which there are loops of their own, where blocks are balanced.
    pub heights: Vec<i64>,
    /// The rows of a block at the end, where there may be so few.
    pub few_rows: Option<i64>,
    /// The same of columns: whole vectors.
    pub few_columns: Option<i64>,
}

impl<'k> Nest<'k> {
    pub fn new(
        kernel: &'k Kernel<'k>,
        problem: Shared,
        plan: Plan,
        left: Source,
        right: Source,
    ) -> Nest<'k> {
        let even = |axis, block: i64| {
            let size = problem.last(axis).as_const();
            size.is_some_and(|n| n % block == 0)
        };
        Nest {
            kernel,
            even_rows: even(Axis::Rows, plan.rows),
            even_columns: even(Axis::Columns, plan.columns),
            padded: false,
            problem,
            plan,
            left,
            right,
            leaves: Vec::new(),
            out_shift: None,
            left_shift: None,
            divisors: None,
            maxima: None,
            heights: Vec::new(),
            few_rows: None,
            few_columns: None,
        }
    }

    /// Ends of half a block or less get a block of half the rows, and one of no more vectors of columns than
    /// there are where that is known.
    fn halve_ends(&mut self) {
        let (columns, lanes) = (self.plan.columns, self.plan.lanes);
        let rest = self
            .problem
            .last(Axis::Columns)
            .as_const()
            .map(|n| n % columns);
        let few = rest.map(|rest| (rest + lanes - 1) / lanes * lanes);
        self.few_columns = few.filter(|few| (1..columns).contains(few));
        let (rows, few) = (self.plan.rows, self.plan.rows / 2);
        if self.plan.balance {
            let step = few.max(1).unsigned_abs().div_ceil(MOST_HEIGHTS) as usize;
            self.heights = (rows - few..rows).rev().step_by(step).collect();
            self.heights.reverse();
            return;
        }
        let rest = self.problem.last(Axis::Rows).as_const().map(|n| n % rows);
        let may_be_few = rest.is_none_or(|rest| (1..=few).contains(&rest));
        self.few_rows = (rows >= LEAST_HALVED && may_be_few).then_some(few);
    }

    /// Whether all rows exist of blocks of so many, which there are where fewer are left than for a whole one, or else.
    pub fn all_rows_exist(&self, rows: i64) -> bool {
        let size = self.problem.last(Axis::Rows).as_const();
        let rest = size.map(|size| size % self.plan.rows);
        match (rest, self.few_rows) {
            (Some(0), _) => true,
            (Some(rest), Some(few)) if rows == few => rest == few,
            (Some(rest), Some(few)) => rest <= few,
            _ => false,
        }
    }

    /// The nest where all rows of a block exist.
    pub fn with_even_rows(&self) -> Nest<'k> {
        Nest {
            even_rows: true,
            ..self.clone()
        }
    }

    /// How many rows of a block, from every multiple of it on, are in one line of rows, where lines are as long as blocks at
    /// least. What these share is read once and kept in registers, of which blocks of more than one vector leave too few.
    pub fn rows_in_line(&self) -> i64 {
        let is_narrow = self.plan.columns == self.plan.lanes;
        let all_exist = self.even_rows && self.heights.is_empty();
        let line = match *self.problem.row_parts {
            [_, (line, _)] if is_narrow && all_exist => line.as_const(),
            _ => None,
        };
        match line {
            Some(line) if line >= self.plan.rows => common_divisor(line, self.plan.rows),
            _ => 1,
        }
    }

    /// The last index of an axis in whole register blocks.
    fn padded(&self, axis: Axis) -> Dim {
        let block = Dim::from(self.plan.block(axis));
        self.problem.last(axis).ceil_div(block) * block
    }

    /// What a range of an axis counts.
    fn extent(&self, axis: Axis) -> Dim {
        let group = self.problem.group(axis);
        match (axis, group.split_last()) {
            (Axis::Rows | Axis::Columns, Some((_, outer))) if !outer.is_empty() => {
                let outer = outer.iter().map(|&i| self.problem.sizes[i]);
                Dim::product(outer) * self.padded(axis)
            }
            _ => self.problem.last(axis),
        }
    }
}

/// Where an operand is read.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    Strided(Value),
    /// Panels of a block of the register: batch, outer indices, blocks, summed, block.
    Panels(Value),
}

/// Where the loops are.
#[derive(Clone, Debug)]
pub struct At {
    /// The values of indices of outer loops.
    pub fixed: HashMap<usize, Value>,
    pub rows: Range,
    pub columns: Range,
    pub summed: Range,
    /// Of blocks of a sum: whether this is the first, and the last.
    pub ends: Option<(Value, Value)>,
    /// Whether this is one of the last blocks of a tile's rows that read the same columns; where others are asked for ahead.
    pub asks: Option<Value>,
}

impl<'a> Lowerer<'a> {
    pub(super) fn nest_of(&mut self, kernel: &Kernel, choice: &Choice, behind: Behind<'_, 'a>) {
        let problem = choice.problem.clone();
        let mut plan = choice.plan.clone();
        // No larger blocks than there are rows.
        if let Some(rows) = problem.last(Axis::Rows).as_const() {
            plan.rows = plan.rows.min(rows.max(1));
            plan.tiles
                .retain(|&(axis, by)| axis != Axis::Rows || by % plan.rows == 0);
        }
        let right = match plan.pack_right {
            true => Source::Panels(self.packed(&problem, &problem.right, Part::Right, &plan, &[])),
            false => Source::Strided(self.flat(problem.right.buffer())),
        };
        // What is copied by each task is not copied before.
        let left = match plan.pack_left && !plan.across {
            true => Source::Panels(self.packed(&problem, &problem.left, Part::Left, &plan, &[])),
            false => {
                let buffer = match &problem.left.margin {
                    Some(margin) => self.dense(margin.source),
                    None => problem.left.buffer(),
                };
                Source::Strided(self.flat(buffer))
            }
        };
        let leaves = problem
            .leaves
            .iter()
            .map(|l| l.buffer())
            .collect::<Vec<_>>();
        let leaves = leaves.into_iter().map(|buffer| self.flat(buffer)).collect();
        let mut nest = Nest::new(kernel, problem, plan, left, right);
        nest.leaves = leaves;
        nest.halve_ends();
        let fused = nest.plan.fuse_rows;
        self.tasks_of(&nest, &mut |this, rows| {
            if fused {
                behind(this, Some(rows));
            }
        });
    }

    /// The parallel loops, as one.
    fn tasks_of(&mut self, nest: &Nest, finish: &mut dyn FnMut(&mut Self, Range)) {
        let (shared, inner) = loops(&nest.problem, &nest.plan);
        let size = |l: &Loop| match *l {
            Loop::Index(i) => nest.problem.sizes[i],
            Loop::Tile(axis, by) => nest.extent(axis).ceil_div(Dim::from(by)),
        };
        let sizes: Vec<Dim> = shared.iter().map(size).collect();
        let grain = grain(nest, &shared);
        let tasks = self.product(&sizes);
        self.parallel(tasks, grain, |this, task| {
            let index = this.delinearize(&sizes, task);
            let zero = this.int(0);
            let whole = |this: &mut Self, axis| Range {
                low: zero,
                count: {
                    let size = nest.extent(axis);
                    this.dim(size)
                },
            };
            let mut at = At {
                fixed: HashMap::new(),
                rows: whole(this, Axis::Rows),
                columns: whole(this, Axis::Columns),
                summed: whole(this, Axis::Summed),
                ends: None,
                asks: None,
            };
            for (l, &value) in shared.iter().zip(&index) {
                this.enter(&mut at, *l, value);
            }
            match nest.plan.across {
                true => {
                    let own = this.copied_across(nest, &shared, &at);
                    this.inner_of(&own, &inner, &at);
                }
                false => this.inner_of(nest, &inner, &at),
            }
            finish(this, at.rows);
        });
    }

    /// Goes into an iteration of a loop.
    fn enter(&mut self, at: &mut At, l: Loop, value: Value) {
        match l {
            Loop::Index(i) => {
                at.fixed.insert(i, value);
            }
            Loop::Tile(axis, by) => {
                let size = self.int(by);
                self.enter_tile(at, axis, size, value);
            }
        }
    }

    /// Goes into one of the tiles of an axis.
    fn enter_tile(&mut self, at: &mut At, axis: Axis, size: Value, number: Value) {
        let range = match axis {
            Axis::Rows => &mut at.rows,
            Axis::Columns => &mut at.columns,
            Axis::Summed | Axis::Batch => &mut at.summed,
        };
        let begin = self.mul(number, size);
        let left = self.b.binary(BinaryKind::Sub, range.count, begin);
        range.low = self.add(range.low, begin);
        range.count = self.b.binary(BinaryKind::Min, left, size);
    }

    /// The loops of a task, and the register blocks in them.
    pub(super) fn inner_of(&mut self, nest: &Nest, loops: &[Loop], at: &At) {
        let Some((&l, rest)) = loops.split_first() else {
            return self.blocks_of(nest, &nest.plan.order, at);
        };
        let count = match l {
            Loop::Index(i) => self.dim(nest.problem.sizes[i]),
            Loop::Tile(axis, by) => {
                let range = match axis {
                    Axis::Rows => at.rows,
                    Axis::Columns => at.columns,
                    Axis::Summed | Axis::Batch => at.summed,
                };
                self.blocks(range.count, by)
            }
        };
        // A sum of nothing still has one block, which stores zeros.
        let summed = matches!(l, Loop::Tile(Axis::Summed, _));
        let count = match summed {
            true => {
                let one = self.int(1);
                self.b.binary(BinaryKind::Max, count, one)
            }
            false => count,
        };
        self.for_loop(count, 1, |this, i| {
            let mut inner = at.clone();
            this.enter(&mut inner, l, i);
            if summed {
                let (zero, one) = (this.int(0), this.int(1));
                let next = this.add(i, one);
                let first = this.b.compare(CompareKind::Eq, i, zero);
                let last = this.b.compare(CompareKind::Eq, next, count);
                inner.ends = Some((first, last));
            }
            this.inner_of(nest, rest, &inner);
        });
    }

    /// How many blocks of a size cover a count.
    fn blocks(&mut self, count: Value, size: i64) -> Value {
        let (more, by) = (self.int(size - 1), self.int(size));
        let padded = self.add(count, more);
        self.b.binary(BinaryKind::Div, padded, by)
    }

    /// The loops over register blocks.
    pub(super) fn blocks_of(&mut self, nest: &Nest, order: &[Axis], at: &At) {
        let Some((&axis, rest)) = order.split_first() else {
            let mut at = at.clone();
            for axis in [Axis::Rows, Axis::Columns] {
                self.leave_outer(nest, &mut at, axis);
            }
            return self.register_block(nest, &at);
        };
        let size = nest.plan.block(axis);
        let range = match axis {
            Axis::Rows => at.rows,
            _ => at.columns,
        };
        let count = self.blocks(range.count, size);
        let mut size = self.int(size);
        if axis == Axis::Rows && !nest.heights.is_empty() {
            // Blocks as equal as they can be.
            let one = self.int(1);
            let parts = self.b.binary(BinaryKind::Max, count, one);
            let most = self.b.binary(BinaryKind::Sub, parts, one);
            let padded = self.add(range.count, most);
            size = self.b.binary(BinaryKind::Div, padded, parts);
        }
        self.for_loop(count, 1, |this, block| {
            let mut inner = at.clone();
            this.enter_tile(&mut inner, axis, size, block);
            let ahead = nest.plan.ahead.iter().any(|a| a.0 == Axis::Columns);
            if ahead && axis == Axis::Rows && rest.is_empty() {
                let few = this.int(LAST_BLOCKS);
                let later = this.add(block, few);
                inner.asks = Some(this.b.compare(CompareKind::Ge, later, count));
            }
            this.blocks_of(nest, rest, &inner);
        });
    }

    /// Where the block of an axis is: the values of the outer indices, and where it begins in the last one.
    fn leave_outer(&mut self, nest: &Nest, at: &mut At, axis: Axis) {
        let group = nest.problem.group(axis);
        let Some((_, outer)) = group.split_last().filter(|(_, outer)| !outer.is_empty()) else {
            return;
        };
        let range = match axis {
            Axis::Rows => &mut at.rows,
            _ => &mut at.columns,
        };
        let padded = self.dim(nest.padded(axis));
        let number = self.b.binary(BinaryKind::Div, range.low, padded);
        range.low = self.b.binary(BinaryKind::Rem, range.low, padded);
        let sizes: Vec<Dim> = outer.iter().map(|&i| nest.problem.sizes[i]).collect();
        let values = self.delinearize(&sizes, number);
        at.fixed.extend(outer.iter().copied().zip(values));
    }

    /// The position in a tensor, as one row, of the indices that are fixed and some others.
    pub(super) fn position(
        &mut self,
        tensor: &Tensor,
        at: &At,
        others: &[(Option<usize>, Value)],
    ) -> Value {
        let mut fixed: Vec<(usize, Value)> = at.fixed.iter().map(|(&i, &v)| (i, v)).collect();
        fixed.sort_unstable_by_key(|f| f.0);
        fixed.extend(others.iter().filter_map(|&(i, v)| Some((i?, v))));
        let mut position = self.dim(tensor.offset);
        for (i, value) in fixed {
            if tensor.strides[i].is_const(0) {
                continue;
            }
            let stride = self.dim(tensor.strides[i]);
            let step = self.mul(value, stride);
            position = self.add(position, step);
        }
        position
    }
}

fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The loops that threads share, and those within.
fn loops(problem: &Problem, plan: &Plan) -> (Vec<Loop>, Vec<Loop>) {
    let mut shared: Vec<Loop> = problem.batch.iter().map(|&i| Loop::Index(i)).collect();
    let mut left = plan.tiles.clone();
    for &axis in &plan.parallel {
        if axis == Axis::Batch {
            continue;
        }
        let tile = left.iter().position(|t| t.0 == axis);
        shared.push(match tile {
            Some(at) => {
                let (axis, by) = left.remove(at);
                Loop::Tile(axis, by)
            }
            None => Loop::Tile(axis, plan.block(axis)),
        });
    }
    let inner = left.into_iter().map(|(axis, by)| Loop::Tile(axis, by));
    (shared, inner.collect())
}

/// Tasks that are done together, so that each is worth waking a thread.
fn grain(nest: &Nest, shared: &[Loop]) -> i64 {
    let typical = |d: Dim| d.as_const().unwrap_or(TYPICAL).max(1);
    // What one task goes through of an axis.
    let part = |axis: Axis| {
        let tile = shared.iter().find_map(|l| match *l {
            Loop::Tile(of, by) if of == axis => Some(by.min(typical(nest.extent(axis)))),
            _ => None,
        });
        let is_fixed = |i: usize| {
            shared
                .iter()
                .any(|l| matches!(l, Loop::Index(at) if *at == i))
        };
        tile.unwrap_or_else(|| {
            let group = nest.problem.group(axis).iter().filter(|i| !is_fixed(**i));
            group.fold(1, |n: i64, &i| {
                n.saturating_mul(typical(nest.problem.sizes[i]))
            })
        })
    };
    let points = Axis::ALL
        .iter()
        .fold(1, |n: i64, &axis| n.saturating_mul(part(axis)));
    (TASK / points).max(1)
}

impl<'a> Lowerer<'a> {
    /// A scalar in every lane.
    pub fn splat(&mut self, value: Value, lanes: i64) -> Value {
        let op = Op::Broadcast {
            shape: vec![Dim::from(lanes)],
            axes: Vec::new(),
        };
        self.b.value(op, &[value])
    }

    /// Neighbours in memory, in a dtype; 0 from `count` on.
    pub(super) fn load_lanes(
        &mut self,
        buffer: Value,
        position: Value,
        (lanes, stride): (i64, i64),
        count: Value,
        dtype: DType,
    ) -> Value {
        let op = Op::LoadVector { lanes, stride };
        let loaded = self.b.value(op, &[buffer, position, count]);
        self.b.cast(loaded, dtype)
    }
}
