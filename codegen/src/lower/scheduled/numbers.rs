//! The numbers of attention: what a schedule says of its two products and of the rows in between.

use aiai_ir::schedule::{Axis, Part, Pattern, Step};
use aiai_ir::{Dim, Facts, Schedule, Sym};

use super::super::lines::{Line, unrolled_fit};
use super::choose::guard;
use super::plan::Plan;
use super::problem::Problem;

/// Rows of a block, at most: each has a row of scores in the scratch memory of a thread.
const MOST_ROWS: i64 = 256;

/// What a schedule says beside the register blocks of the products.
pub struct Numbers {
    pub name: Sym,
    /// Rows of a block.
    pub tile: i64,
    /// Blocks of rows are shared out among the threads, not batches alone.
    pub shared: bool,
    /// Vectors side by side where a row of scores is reduced.
    sums: i64,
}

impl Numbers {
    /// The first schedule that fits, with the plans of the two products; an error says why none does.
    pub fn choose(
        schedules: &[Schedule],
        products: [&Problem; 2],
        facts: &Facts,
    ) -> Result<(Numbers, [Plan; 2]), String> {
        let mut reasons = Vec::new();
        let of_attention = |s: &&Schedule| s.pattern == Pattern::Attention;
        for schedule in schedules.iter().filter(of_attention) {
            match Numbers::of(schedule, products, facts) {
                Ok(found) => return Ok(found),
                Err(reason) => reasons.push(format!("`{}`: {reason}", schedule.name)),
            }
        }
        match reasons.as_slice() {
            [] => Err("there is no schedule for attention".into()),
            _ => Err(reasons.join("; ")),
        }
    }

    fn of(
        schedule: &Schedule,
        [first, second]: [&Problem; 2],
        facts: &Facts,
    ) -> Result<(Numbers, [Plan; 2]), String> {
        // What is not known of sizes does not hold.
        if let [(_, dim), ..] = guard(schedule, first, facts)?.as_slice() {
            return Err(format!("`{dim}` is not known"));
        }
        let mut numbers = Numbers {
            name: schedule.name,
            tile: 0,
            shared: false,
            sums: 1,
        };
        let mut of_products = schedule.clone();
        of_products.steps.clear();
        for &step in &schedule.steps {
            match step {
                Step::Tile {
                    axis: Axis::Rows,
                    by,
                } => numbers.tile = by,
                Step::Parallel { axis: Axis::Rows } => numbers.shared = true,
                Step::Unroll {
                    axis: Axis::Columns,
                    by,
                } => numbers.sums = by,
                _ => of_products.steps.push(step),
            }
        }
        if !(1..=MOST_ROWS).contains(&numbers.tile) {
            return Err(format!("a tile of rows has 1 to {MOST_ROWS} of them"));
        }
        unrolled_fit(numbers.sums)?;
        let plans = [
            plan_of(&of_products, first, facts)?,
            plan_of(&of_products, second, facts)?,
        ];
        Ok((numbers, plans))
    }

    /// How a row of so many scores is gone through, which the plan of the first product has stored.
    pub fn line(&self, plan: &Plan, columns: Dim) -> Line {
        // No more partial results than the row has vectors.
        let most = columns.ceil_div(Dim::from(plan.lanes)).as_const();
        Line {
            sums: self.sums.min(most.unwrap_or(self.sums)).max(1),
            ..Line::of_lanes(plan.lanes)
        }
    }
}

/// The plan of a schedule for one of the products: right operands are packed where their columns are no neighbours.
fn plan_of(schedule: &Schedule, problem: &Problem, facts: &Facts) -> Result<Plan, String> {
    let mut problem_plan = schedule.clone();
    let dense = problem
        .stride(&problem.right.strides, Axis::Columns)
        .is_const(1);
    if !dense {
        problem_plan.steps.push(Step::Pack { part: Part::Right });
    }
    let mut plan = Plan::new(&problem_plan, problem, facts)?;
    if plan.transposed {
        return Err("the columns are no neighbours in the result".into());
    }
    if let Some(rows) = problem.last(Axis::Rows).as_const() {
        plan.rows = plan.rows.min(rows.max(1));
    }
    Ok(plan)
}
