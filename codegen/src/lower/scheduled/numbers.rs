//! The numbers of attention: what a schedule says of its two products and of the rows in between.

use aiai_ir::schedule::{Axis, Part, Pattern, Step};
use aiai_ir::{Dim, Facts, Relation, Schedule, Sym, Truth};

use super::super::lines::{Line, abreast_fit, unrolled_fit};
use super::choose::{conditions, fact_holds, guarded_size, pass_over};
use super::plan::Plan;
use super::problem::Problem;

/// Rows of a block, at most: each has a row of scores in the scratch memory of a thread.
const MOST_ROWS: i64 = 256;

/// Forms of one attention, at most; the last one fits all sizes.
const MOST_FORMS: usize = 6;

/// Conditions that are assumed together, at most, since deciding takes the longer the more there are.
const MOST_ASSUMED: usize = 8;

/// What a schedule makes of attention.
pub struct Form {
    name: Sym,
    /// Of sizes; none for the last form.
    pub conditions: Vec<(Relation, Dim)>,
    /// How the two products are done.
    pub plans: [Plan; 2],
    /// Rows of a block.
    pub tile: i64,
    /// Blocks of rows are shared out among the threads, not batches alone.
    pub shared: bool,
    /// How many batches ahead a task asks for what is read there.
    pub ahead: Option<i64>,
    /// Rows of scores that are combined side by side.
    pub abreast: Option<i64>,
    /// Vectors side by side where a row of scores is reduced.
    sums: i64,
}

impl Form {
    /// The forms of the schedules that fit, the first of which whose conditions hold is used; an error says why there are
    /// none.
    pub fn choose(
        schedules: &[Schedule],
        products: [&Problem; 2],
        facts: &Facts,
    ) -> Result<Vec<Form>, String> {
        let (mut forms, mut reasons) = (Vec::new(), Vec::new());
        let mut facts = facts.clone();
        let of_attention = |s: &&Schedule| s.pattern == Pattern::Attention;
        for schedule in schedules.iter().filter(of_attention) {
            match Form::of(schedule, products, &facts) {
                Ok(form) if form.is_taken(&forms, &facts) => {}
                Ok(form) => {
                    let is_last = form.conditions.is_empty();
                    if is_last || forms.len() + 1 < MOST_FORMS {
                        pass_over(&mut facts, &form.conditions);
                        forms.push(form);
                    }
                    if is_last {
                        return Ok(forms);
                    }
                }
                Err(reason) => reasons.push(format!("`{}`: {reason}", schedule.name)),
            }
        }
        if !forms.is_empty() {
            reasons.push("no schedule fits all sizes".into());
        }
        match reasons.as_slice() {
            [] => Err("there is no schedule for attention".into()),
            _ => Err(reasons.join("; ")),
        }
    }

    /// Whether one of the forms before it is used wherever its conditions hold.
    fn is_taken(&self, before: &[Form], facts: &Facts) -> bool {
        if self.conditions.len() > MOST_ASSUMED {
            return false;
        }
        let mut facts = facts.clone();
        for &(relation, dim) in &self.conditions {
            facts.assume(relation, dim);
        }
        let holds = |&(relation, dim): &(Relation, Dim)| facts.check(relation, dim) == Truth::True;
        before.iter().any(|form| form.conditions.iter().all(holds))
    }

    fn of(
        schedule: &Schedule,
        [first, second]: [&Problem; 2],
        facts: &Facts,
    ) -> Result<Form, String> {
        // Operands are those of both products.
        let fact_holds = |fact, part| [first, second].iter().all(|p| fact_holds(p, fact, part));
        let size = |name: &str| Some(guarded_size(first, Axis::from_name(name)?));
        let conditions = conditions(schedule, facts, &size, &fact_holds)?;
        let (mut tile, mut shared, mut sums) = (0, false, 1);
        let (mut ahead, mut abreast) = (None, None);
        // Columns of scores are what the second product sums over.
        let mut sums_of = Vec::new();
        let mut of_products = schedule.clone();
        of_products.steps.clear();
        for &step in &schedule.steps {
            match step {
                Step::Tile {
                    axis: Axis::Rows,
                    by,
                } => tile = by,
                Step::Tile {
                    axis: Axis::Columns,
                    by,
                } => sums_of.push(Step::Tile {
                    axis: Axis::Summed,
                    by,
                }),
                Step::Parallel { axis: Axis::Rows } => shared = true,
                Step::Prefetch {
                    axis: Axis::Batch,
                    by,
                } => ahead = Some(by),
                Step::Unroll {
                    axis: Axis::Rows,
                    by,
                } => abreast = Some(by),
                Step::Unroll {
                    axis: Axis::Columns,
                    by,
                } => sums = by,
                _ => of_products.steps.push(step),
            }
        }
        if !(1..=MOST_ROWS).contains(&tile) {
            return Err(format!("a tile of rows has 1 to {MOST_ROWS} of them"));
        }
        if shared && ahead.is_some() {
            return Err("threads that share rows ask for no batch ahead".into());
        }
        unrolled_fit(sums)?;
        let first_plan = plan_of(&of_products, first, facts)?;
        of_products.steps.extend(sums_of);
        let plans = [first_plan, plan_of(&of_products, second, facts)?];
        // Rows of other dtypes than f32, whose vectors have fewer lanes, are done one at a time.
        let wide = first.acc.bytes() as i64 / 4;
        abreast_fit(abreast, plans[0].lanes * wide)?;
        if let Some(by) = abreast.filter(|&by| by > tile) {
            return Err(format!("a tile of {tile} rows has no {by} side by side"));
        }
        Ok(Form {
            name: schedule.name,
            conditions,
            plans,
            tile,
            shared,
            ahead,
            abreast,
            sums,
        })
    }

    /// The schedule's name, as notes have it.
    pub fn name(&self) -> String {
        format!("`{}`", self.name)
    }

    /// How a row of so many scores is gone through, which the plan of the first product has stored.
    pub fn line(&self, columns: Dim) -> Line {
        let plan = &self.plans[0];
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
