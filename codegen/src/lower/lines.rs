//! Rows and maps by schedule: which one fits, and the numbers of the passes along a line of elements.
//!
//! Without a schedule that fits they are plain loops, and the reason is kept for whoever asks.

use std::collections::HashSet;

use aiai_ir::schedule::{Axis, FUNCTIONS, Pattern, SUMS, Step};
use aiai_ir::{Dim, Op, ReduceKind, Schedule, Sym, Value};

use super::scheduled::conditions;
use super::usage::is_expensive;
use super::{Lowerer, Note, Place};

/// Lanes of a vector, at most.
const MOST_LANES: i64 = 64;
/// Iterations that are written out, at most.
pub const MOST_UNROLLED: i64 = 16;

/// The numbers of passes along a line: a row, or the elements of a map.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Lanes of a vector.
    pub lanes: i64,
    /// Vectors side by side where a line is reduced: each has a partial result.
    pub sums: i64,
    /// Vectors side by side where a line is stored.
    pub stores: i64,
    /// Rows to a task, or elements of a map; where it is not said, code generation chooses.
    pub tile: Option<i64>,
    /// Rows whose partial results are combined side by side; where it is not said, each row's are by themselves.
    pub abreast: Option<i64>,
    /// Tasks are shared out among the threads.
    pub shared: bool,
    /// How many rows later the one is that the second pass along a row asks for.
    pub ahead: Option<i64>,
}

impl Line {
    /// One vector after the other.
    pub fn of_lanes(lanes: i64) -> Line {
        Line {
            lanes,
            sums: 1,
            stores: 1,
            tile: None,
            abreast: None,
            shared: false,
            ahead: None,
        }
    }

    /// What the steps say; an error says which one does not fit.
    fn new(schedule: &Schedule) -> Result<Line, String> {
        let mut line = Line::of_lanes(0);
        for step in &schedule.steps {
            match *step {
                Step::Tile { by, .. } => line.tile = Some(by),
                Step::Register {
                    axis: Axis::Rows,
                    by,
                } => line.abreast = Some(by),
                Step::Vectorize {
                    axis: Axis::Columns,
                    by,
                } => line.lanes = by,
                Step::Unroll {
                    axis: Axis::Columns,
                    by,
                } => {
                    line.stores = by;
                    if schedule.pattern != Pattern::Map {
                        line.sums = by;
                    }
                }
                Step::Parallel { .. } => line.shared = true,
                Step::Prefetch {
                    axis: Axis::Rows,
                    by,
                } => line.ahead = Some(by),
                step => return Err(format!("{step:?} is no step of such loops")),
            }
        }
        if line.lanes == 0 {
            return Err("it has no `vectorize columns`".into());
        }
        lanes_fit(line.lanes)?;
        unrolled_fit(line.sums.max(line.stores))?;
        abreast_fit(line.abreast, line.lanes)?;
        Ok(line)
    }
}

/// Whether vectors of so many lanes are made.
pub fn lanes_fit(lanes: i64) -> Result<(), String> {
    if lanes < 2 || lanes % 2 != 0 {
        return Err("a vector has an even number of lanes".into());
    }
    if lanes > MOST_LANES {
        return Err(format!("a vector has at most {MOST_LANES} lanes"));
    }
    Ok(())
}

/// Whether so many rows are combined side by side: the vectors of their partial results are transposed.
pub fn abreast_fit(rows: Option<i64>, lanes: i64) -> Result<(), String> {
    match rows {
        Some(rows) if rows > lanes => Err(format!(
            "at most as many rows are combined side by side as a vector has lanes: {lanes}"
        )),
        Some(rows) if rows.count_ones() != 1 || lanes.count_ones() != 1 => Err(format!(
            "{rows} rows make no tree in vectors of {lanes} lanes"
        )),
        _ => Ok(()),
    }
}

/// Whether so many iterations are written out.
pub fn unrolled_fit(iterations: i64) -> Result<(), String> {
    match iterations <= MOST_UNROLLED {
        true => Ok(()),
        false => Err(format!(
            "at most {MOST_UNROLLED} iterations are written out"
        )),
    }
}

/// Whether a reduction depends on the order in which it is done.
fn is_sum(kind: ReduceKind) -> bool {
    matches!(kind, ReduceKind::Sum | ReduceKind::Prod)
}

impl<'a> Lowerer<'a> {
    /// Does `lower` with the numbers of the first schedule for the pattern that fits, and notes which one, or why
    /// there are plain loops; where vectors are of no use, `lower` may say why.
    pub fn by_schedule(
        &mut self,
        pattern: Pattern,
        sizes: &[(&'static str, Dim)],
        lower: impl FnOnce(&mut Self) -> Option<String>,
    ) {
        let loc = self.b.loc;
        let found = match self.schedules.is_empty() {
            true => Err(String::new()),
            false => self.line_of(pattern, sizes),
        };
        let line = found.as_ref().ok().map(|found| found.1);
        let outer = std::mem::replace(&mut self.line, line);
        let outer_passes = std::mem::take(&mut self.passes);
        let outer_alone = self.rows_alone.take();
        let reason = lower(self);
        self.line = outer;
        let alone = std::mem::replace(&mut self.rows_alone, outer_alone);
        let passes = std::mem::replace(&mut self.passes, outer_passes);
        if self.schedules.is_empty() {
            return;
        }
        let what = match found {
            Ok((name, _)) if passes > 0 => {
                let alone = alone.map(|reason| format!(", one row at a time: {reason}"));
                let alone = alone.unwrap_or_default();
                format!("schedule `{name}` for {}{alone}", pattern.name())
            }
            Ok(_) => {
                let none = || "nothing in them is done in vectors".into();
                let reason = reason.unwrap_or_else(none);
                format!("plain loops for {}: {reason}", pattern.name())
            }
            Err(reason) => format!("plain loops for {}: {reason}", pattern.name()),
        };
        self.notes.push(Note {
            pattern,
            what,
            loc,
            scheduled: None,
        });
    }

    /// What guards of rows are about: the number of rows of a shape, their length, and on the way to a value the functions
    /// that are computed of each element and the sums that are taken of each row, where `behind` is done to it in the end.
    pub fn sizes_of_rows(
        &self,
        shape: &[Dim],
        value: Value,
        behind: Option<ReduceKind>,
    ) -> [(&'static str, Dim); 4] {
        let (last, outer) = shape
            .split_last()
            .map_or((Dim::from(1), shape), |(l, o)| (*l, o));
        let (mut work, mut seen) = (vec![value], HashSet::new());
        let (mut functions, mut sums) = (0, i64::from(behind.is_some_and(is_sum)));
        while let Some(value) = work.pop() {
            let is_computed = matches!(self.places.get(&value), Some(Place::Lazy) | None);
            let Some(node) = self.nodes.get(&value).filter(|_| is_computed) else {
                continue;
            };
            if !seen.insert(value) {
                continue;
            }
            work.extend(&node.operands);
            if is_expensive(&node.op) && self.shape(value) == shape {
                functions += 1;
            }
            if let Op::Reduce { kind, .. } = node.op {
                sums += i64::from(is_sum(kind));
            }
        }
        [
            (Axis::Rows.name(), Dim::product(outer.iter().copied())),
            (Axis::Columns.name(), last),
            (FUNCTIONS, Dim::from(functions)),
            (SUMS, Dim::from(sums)),
        ]
    }

    /// The first schedule whose guard holds and whose steps fit, or why there is none. What is not known of sizes
    /// does not hold.
    fn line_of(
        &self,
        pattern: Pattern,
        sizes: &[(&'static str, Dim)],
    ) -> Result<(Sym, Line), String> {
        let size = |name: &str| {
            let found = sizes.iter().find(|s| s.0 == name);
            found.map(|s| s.1)
        };
        let mut reasons = Vec::new();
        for schedule in self.schedules.iter().filter(|s| s.pattern == pattern) {
            let open = conditions(schedule, &self.facts, &size, &|_, _| false);
            let fits = open.and_then(|open| match open.as_slice() {
                [] => Line::new(schedule),
                [(_, dim), ..] => Err(format!("`{dim}` is not known")),
            });
            match fits {
                Ok(mut line) => {
                    // No more vectors side by side than a line has whole ones.
                    if let Some(n) = size(Axis::Columns.name()).and_then(Dim::as_const) {
                        line.stores = line.stores.min(n / line.lanes).max(1);
                    }
                    return Ok((schedule.name, line));
                }
                Err(reason) => reasons.push(format!("`{}`: {reason}", schedule.name)),
            }
        }
        match reasons.as_slice() {
            [] => Err(format!("there is no schedule for {}", pattern.name())),
            _ => Err(reasons.join("; ")),
        }
    }

    /// How many rows are done side by side, where the schedule asks for it and it can be; else the reason is kept.
    pub fn rows_abreast(
        &mut self,
        fits: impl FnOnce(&Self, i64) -> Result<(), String>,
    ) -> Option<i64> {
        let by = self.line.and_then(|line| line.abreast)?;
        match fits(self, by) {
            Ok(()) => Some(by),
            Err(reason) => {
                self.rows_alone = Some(reason);
                None
            }
        }
    }

    /// The numbers of the passes at hand.
    pub fn line(&self) -> Line {
        let Some(line) = self.line else {
            unreachable!("there are no passes by vectors without a schedule");
        };
        line
    }

    /// `for task in 0..n`, shared out among the threads where the schedule says so, or there is none.
    pub fn line_tasks(&mut self, n: Value, grain: i64, body: impl FnOnce(&mut Self, Value)) {
        match self.line.is_none_or(|line| line.shared) {
            true => self.parallel(n, grain, body),
            false => {
                let staged = std::mem::take(&mut self.staged);
                self.for_loop(n, 1, body);
                self.staged = staged;
            }
        }
    }
}
