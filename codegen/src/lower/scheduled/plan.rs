//! A schedule's steps as the numbers of a loop nest, checked against the problem that they are for.

use aiai_ir::schedule::{Axis, Part, Step};
use aiai_ir::{Dim, Facts, Relation, Schedule, Truth};

use super::super::lines::{lanes_fit, unrolled_fit};
use super::across;
use super::dots;
use super::problem::Problem;

/// Accumulators of a register block, at most: more only fill the stack.
const MOST_ACCUMULATORS: i64 = 64;

/// A loop nest for a problem.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Blocks of axes, outermost first, as the steps say.
    pub tiles: Vec<(Axis, i64)>,
    /// Rows and columns of a register block.
    pub rows: i64,
    pub columns: i64,
    /// Lanes of a vector of columns.
    pub lanes: i64,
    /// Columns are batches, which are no neighbours in the left operand.
    pub across: bool,
    /// Lanes are neighbours in the sum, not columns.
    pub dots: bool,
    /// Iterations of the last summed index that are written out.
    pub unroll: i64,
    /// Register blocks of rows are about equal.
    pub balance: bool,
    /// The order of the loops over register blocks.
    pub order: Vec<Axis>,
    pub parallel: Vec<Axis>,
    pub pack_left: bool,
    pub pack_right: bool,
    /// What is elementwise in front of the operand is computed while it is packed.
    pub inline_left: bool,
    pub inline_right: bool,
    /// How far ahead of what is read panels of the right operand are asked for: blocks of columns, or summed indices.
    pub ahead: Vec<(Axis, i64)>,
    pub fuse: bool,
    /// So is what reduces rows of the result, where a tile of rows is finished.
    pub fuse_rows: bool,
    /// The rows are neighbours in the result, not the columns: blocks are transposed before they are stored.
    pub transposed: bool,
}

impl Plan {
    /// The nest of a schedule; an error says which step does not fit.
    pub fn new(schedule: &Schedule, problem: &Problem, facts: &Facts) -> Result<Plan, String> {
        // Sizes are for elements of 4 bytes; wider ones get as many fewer.
        let wide = problem.acc.bytes() as i64 / 4;
        let mut plan = Plan {
            tiles: Vec::new(),
            rows: 1,
            columns: 0,
            lanes: 1,
            across: false,
            dots: false,
            unroll: 1,
            balance: false,
            order: Vec::new(),
            parallel: Vec::new(),
            pack_left: false,
            pack_right: false,
            inline_left: false,
            inline_right: false,
            ahead: Vec::new(),
            fuse: false,
            fuse_rows: false,
            transposed: false,
        };
        for step in &schedule.steps {
            plan.step(*step, wide)?;
        }
        plan.columns = plan.columns.max(if plan.dots { 1 } else { plan.lanes });
        for axis in [Axis::Columns, Axis::Rows] {
            if !plan.order.contains(&axis) {
                plan.order.push(axis);
            }
        }
        plan.fits(problem, facts)?;
        Ok(plan)
    }

    fn step(&mut self, step: Step, wide: i64) -> Result<(), String> {
        match step {
            Step::Tile {
                axis: Axis::Batch, ..
            } => return Err("batches are not cut into blocks".into()),
            Step::Tile { axis, by } => self.tiles.push((axis, by)),
            Step::Register { axis, by } => match axis {
                Axis::Rows => self.rows = by,
                Axis::Columns => self.columns = by / wide,
                Axis::Batch | Axis::Summed => {
                    return Err(format!("registers hold no block of {}", axis.name()));
                }
            },
            Step::Vectorize { axis, by } => match axis {
                Axis::Rows => return Err("vectors do not run along rows".into()),
                _ if self.lanes > 1 => return Err("vectors run along one axis".into()),
                Axis::Columns | Axis::Batch | Axis::Summed => {
                    self.lanes = by / wide;
                    self.across = axis == Axis::Batch;
                    self.dots = axis == Axis::Summed;
                }
            },
            Step::Unroll { axis, by } => match axis {
                Axis::Summed => self.unroll = by,
                _ => return Err(format!("{} are unrolled by `register`", axis.name())),
            },
            Step::Balance { .. } => self.balance = true,
            Step::Reorder { axis } => match axis {
                Axis::Rows | Axis::Columns => self.order.push(axis),
                _ => return Err(format!("there are no register blocks of {}", axis.name())),
            },
            Step::Parallel { axis } => match axis {
                Axis::Summed => return Err("threads do not share sums".into()),
                _ => self.parallel.push(axis),
            },
            Step::Pack { part } => match part {
                Part::Left => self.pack_left = true,
                Part::Right => self.pack_right = true,
                _ => return Err(format!("{} is not packed", part.name())),
            },
            Step::Inline { part } => match part {
                Part::Left => self.inline_left = true,
                Part::Right => self.inline_right = true,
                _ => return Err(format!("nothing is computed on the way to {}", part.name())),
            },
            Step::Prefetch { axis, by } => match axis {
                Axis::Columns | Axis::Summed => self.ahead.push((axis, by)),
                _ => return Err(format!("{} are not asked for ahead", axis.name())),
            },
            Step::Fuse { .. } => self.fuse = true,
            Step::FuseAt { .. } => {
                self.fuse = true;
                self.fuse_rows = true;
            }
        }
        Ok(())
    }

    /// Whether registers can hold a block.
    fn block_fits(&self) -> Result<(), String> {
        lanes_fit(self.lanes)?;
        if !self.dots && self.columns % self.lanes != 0 {
            return Err("a register block is a whole number of vectors".into());
        }
        let to_a_vector = if self.dots { 1 } else { self.lanes };
        if self.rows * (self.columns / to_a_vector) > MOST_ACCUMULATORS {
            return Err("the register block is too large".into());
        }
        Ok(())
    }

    /// Whether what is inlined is packed. What is read several times is not: it is stored first.
    fn inlines_fit(&mut self, problem: &Problem, facts: &Facts) -> Result<(), String> {
        for (part, inlines, packs) in [
            (Part::Left, &mut self.inline_left, self.pack_left),
            (Part::Right, &mut self.inline_right, self.pack_right),
        ] {
            if *inlines && !packs {
                let name = part.name();
                return Err(format!("{name} is computed on the way to no panels"));
            }
            let copied = self.across && part == Part::Left;
            *inlines &= problem
                .tensor(part)
                .is_none_or(|tensor| match (&tensor.margin, copied) {
                    (Some(_), true) => problem.margin_fits(facts),
                    (Some(_), false) => false,
                    (None, true) => tensor.computed().is_none(),
                    (None, false) => tensor.bare,
                });
        }
        Ok(())
    }

    /// Whether rows are finished within a task, where what is behind them is computed there.
    fn rows_fit(&self) -> Result<(), String> {
        if !self.fuse_rows {
            return Ok(());
        }
        if !self.tiles.iter().any(|t| t.0 == Axis::Rows) {
            return Err("there are no tiles of rows where something could be computed".into());
        }
        if self.parallel.contains(&Axis::Columns) {
            return Err("threads share columns: none of them finishes a row".into());
        }
        if !self.parallel.contains(&Axis::Rows) {
            return Err("threads do not share rows: no task finishes a tile of them".into());
        }
        Ok(())
    }

    fn fits(&mut self, problem: &Problem, facts: &Facts) -> Result<(), String> {
        self.block_fits()?;
        unrolled_fit(self.unroll)?;
        let summed_tiles = self.tiles.iter().filter(|t| t.0 == Axis::Summed).count();
        if summed_tiles > 1 {
            return Err("sums are cut into blocks once".into());
        }
        let sums_once = summed_tiles == 0;
        if !sums_once && problem.summed.len() != 1 {
            return Err("sums over several indices are not cut into blocks".into());
        }
        if !self.ahead.is_empty() && !self.pack_right {
            return Err("right is prefetched from no panels".into());
        }
        self.inlines_fit(problem, facts)?;
        if self.across {
            // Blocks are transposed.
            self.rows = self.rows.min(self.lanes);
            across::plan_fits(self, problem, facts)?;
        }
        self.rows_fit()?;
        for &(axis, by) in &self.tiles {
            let block = self.block(axis);
            if by % block != 0 {
                return Err(format!(
                    "tiles of {by} {} are no whole number of blocks of {block}",
                    axis.name()
                ));
            }
        }
        let dense = |strides: &[Dim], axis| problem.stride(strides, axis).is_const(1);
        if !dense(&problem.out, Axis::Columns) {
            if !dense(&problem.out, Axis::Rows) {
                return Err("neither rows nor columns are neighbours in the result".into());
            }
            if self.rows > self.lanes || (self.lanes & (self.lanes - 1)) != 0 {
                return Err("the block cannot be transposed".into());
            }
            self.transposed = true;
        }
        if self.balance && (self.transposed || !sums_once) {
            return Err("blocks of rows are balanced where whole sums are stored as rows".into());
        }
        // Positions in several indices, and panels of the left operand, count whole blocks.
        self.balance &= problem.rows.len() <= 1 && !self.pack_left;
        if !sums_once && (self.transposed || problem.stored != problem.acc) {
            return Err("sums in blocks wait in the result, where they do not lie".into());
        }
        let along = match self.transposed {
            true => Axis::Rows,
            false => Axis::Columns,
        };
        let repeats = |strides: &[Dim]| problem.stride(strides, along).is_const(0);
        if !problem
            .leaves
            .iter()
            .all(|leaf| dense(&leaf.strides, along) || repeats(&leaf.strides))
        {
            return Err("the epilogue reads elements that are no neighbours".into());
        }
        let by_row = !problem
            .stride(&problem.right.strides, Axis::Rows)
            .is_const(0);
        if self.pack_right && by_row {
            return Err(
                "every row reads other elements of the right operand: they are not packed".into(),
            );
        }
        if self.dots {
            dots::plan_fits(self, problem)?;
        } else if !self.pack_right {
            let step = problem.stride(&problem.right.strides, Axis::Columns);
            if !step.as_const().is_some_and(|s| (1..=64).contains(&s)) {
                return Err(
                    "columns of the right operand are no neighbours, and are not packed".into(),
                );
            }
        }
        self.unroll = self.even_unroll(problem, facts);
        Ok(())
    }

    /// Written-out iterations must come out even: so many, or fewer.
    fn even_unroll(&self, problem: &Problem, facts: &Facts) -> i64 {
        let last = problem.last(Axis::Summed);
        let mut unroll = self.unroll;
        let even = |n: i64| {
            let rest = last - last.floor_div(Dim::from(n)) * Dim::from(n);
            facts.check(Relation::Zero, rest) == Truth::True
        };
        let in_tiles = |n: i64| {
            let mut sums = self.tiles.iter().filter(|t| t.0 == Axis::Summed);
            sums.all(|t| t.1 % n == 0)
        };
        while unroll > 1 && !(even(unroll) && in_tiles(unroll)) {
            unroll -= 1;
        }
        unroll
    }

    /// Whether an operand is computed on the way into its panels.
    pub fn inlines(&self, part: Part) -> bool {
        match part {
            Part::Left => self.inline_left,
            Part::Right => self.inline_right,
            Part::Out | Part::Epilogue => false,
        }
    }

    /// The block of an axis that registers hold.
    pub fn block(&self, axis: Axis) -> i64 {
        match axis {
            Axis::Rows => self.rows,
            Axis::Columns => self.columns,
            Axis::Batch | Axis::Summed => 1,
        }
    }
}
