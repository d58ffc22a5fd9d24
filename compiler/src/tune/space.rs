//! The sizes that a search may choose for a schedule, and the steps that a choice gives.
//!
//! Sizes stay those of the schedule at the start. A tile is rounded to a whole number of the blocks inside it, so
//! that most choices are legal; the others are refused where every schedule is checked.

use aiai_ir::Schedule;
use aiai_ir::schedule::{Axis, Part, Step};

const ROW_TILES: &[i64] = &[8, 16, 32, 64, 128, 256, 512];
const COLUMN_TILES: &[i64] = &[32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1536];
const SUMMED_TILES: &[i64] = &[64, 128, 256, 512, 1024];
const ROW_BLOCKS: &[i64] = &[1, 2, 3, 4, 6, 8, 10, 12, 14, 16];
const COLUMN_BLOCKS: &[i64] = &[8, 16, 32, 48, 64, 96];
const LANES: &[i64] = &[4, 8, 16];
const UNROLL: &[i64] = &[1, 2, 4, 8];
/// 0: without.
const PREFETCH_SUMMED: &[i64] = &[0, 2, 4, 8, 16, 32];
const PREFETCH_COLUMNS: &[i64] = &[0, 1];
/// Which loop over register blocks is outermost.
const ORDER: &[i64] = &[COLUMNS_FIRST, ROWS_FIRST];
const COLUMNS_FIRST: i64 = 0;
const ROWS_FIRST: i64 = 1;

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    /// The size of the tile at this place among the steps.
    Tile(usize),
    /// The size of tiles of summed indices, which the schedule has none of; 0: none.
    SummedTile,
    Register(Axis),
    Lanes,
    Unroll,
    Prefetch(Axis),
    Order,
}

/// A choice: for each knob the number of a value in its table.
pub type Point = Vec<usize>;

/// All choices for a schedule.
pub struct Space {
    base: Vec<Step>,
    knobs: Vec<(Knob, Vec<i64>)>,
    start: Point,
}

impl Space {
    /// The choices for a schedule of a contraction with these sizes, in the order of [`Axis::ALL`].
    pub fn new(base: &Schedule, sizes: &[i64; 4]) -> Space {
        let mut space = Space {
            base: base.steps.clone(),
            knobs: Vec::new(),
            start: Vec::new(),
        };
        let size = |axis: Axis| sizes[axis as usize];
        let has = |test: &dyn Fn(&Step) -> bool| base.steps.iter().any(test);
        for (place, step) in base.steps.iter().enumerate() {
            match *step {
                Step::Register { axis, by } => {
                    let table = if axis == Axis::Rows {
                        ROW_BLOCKS
                    } else {
                        COLUMN_BLOCKS
                    };
                    space.add(Knob::Register(axis), table, by, size(axis));
                }
                Step::Tile { axis, by } => {
                    let table = match axis {
                        Axis::Rows => ROW_TILES,
                        Axis::Columns => COLUMN_TILES,
                        Axis::Summed => SUMMED_TILES,
                        Axis::Batch => &[],
                    };
                    space.add(Knob::Tile(place), table, by, size(axis));
                }
                Step::Vectorize { by, .. } => space.add(Knob::Lanes, LANES, by, i64::MAX),
                _ => {}
            }
        }
        let unroll = base.steps.iter().find_map(|s| match s {
            Step::Unroll { by, .. } => Some(*by),
            _ => None,
        });
        space.add(Knob::Unroll, UNROLL, unroll.unwrap_or(1), i64::MAX);
        let packed = |part| has(&|s| *s == Step::Pack { part });
        if packed(Part::Right) {
            for (of, table) in [
                (Axis::Columns, PREFETCH_COLUMNS),
                (Axis::Summed, PREFETCH_SUMMED),
            ] {
                let by = base.steps.iter().find_map(|s| match *s {
                    Step::Prefetch { axis, by } if axis == of => Some(by),
                    _ => None,
                });
                space.add(Knob::Prefetch(of), table, by.unwrap_or(0), i64::MAX);
            }
        }
        if has(&|s| {
            matches!(
                s,
                Step::Register {
                    axis: Axis::Rows,
                    ..
                }
            )
        }) {
            let first = base.steps.iter().find_map(|s| match s {
                Step::Reorder { axis } => Some(*axis),
                _ => None,
            });
            let order = if first == Some(Axis::Rows) {
                ROWS_FIRST
            } else {
                COLUMNS_FIRST
            };
            space.add(Knob::Order, ORDER, order, i64::MAX);
        }
        // Balanced blocks keep whole sums.
        if !has(&|s| {
            matches!(
                s,
                Step::Tile {
                    axis: Axis::Summed,
                    ..
                } | Step::Balance { .. }
            )
        }) {
            let table = [&[0], SUMMED_TILES].concat();
            // One tile for everything is none.
            space.add(Knob::SummedTile, &table, 0, size(Axis::Summed) - 1);
        }
        space
    }

    /// Adds a knob with the values of a table up to the first that covers `most`.
    fn add(&mut self, knob: Knob, table: &[i64], now: i64, most: i64) {
        let covering = table
            .iter()
            .copied()
            .find(|&v| v >= most)
            .unwrap_or(i64::MAX);
        let top = if knob == Knob::SummedTile {
            most
        } else {
            covering
        };
        let mut values: Vec<i64> = table.iter().copied().filter(|&v| v <= top).collect();
        values.push(now);
        values.sort_unstable();
        values.dedup();
        if values.len() > 1 {
            self.start
                .push(values.iter().position(|&v| v == now).unwrap_or(0));
            self.knobs.push((knob, values));
        }
    }

    /// The choice that the schedule itself is.
    pub fn start(&self) -> &Point {
        &self.start
    }

    /// How many values each knob has.
    pub fn widths(&self) -> impl Iterator<Item = usize> {
        self.knobs.iter().map(|(_, values)| values.len())
    }

    fn value(&self, point: &Point, wanted: Knob) -> Option<i64> {
        let at = self.knobs.iter().position(|(knob, _)| *knob == wanted)?;
        Some(self.knobs[at].1[point[at]])
    }

    /// The steps of a choice.
    pub fn steps(&self, point: &Point) -> Vec<Step> {
        let mut steps = Vec::new();
        for (place, step) in self.base.iter().enumerate() {
            let value = |knob, by| self.value(point, knob).unwrap_or(by);
            steps.push(match *step {
                Step::Tile { axis, by } => {
                    let by = value(Knob::Tile(place), by);
                    Step::Tile { axis, by }
                }
                Step::Register { axis, by } => {
                    let by = value(Knob::Register(axis), by);
                    Step::Register { axis, by }
                }
                Step::Vectorize { axis, by } => {
                    let by = value(Knob::Lanes, by);
                    Step::Vectorize { axis, by }
                }
                // Written again below.
                Step::Unroll { .. } | Step::Prefetch { .. } | Step::Reorder { .. } => continue,
                same => same,
            });
        }
        self.optional(point, &mut steps);
        nest(&mut steps);
        steps
    }

    /// The steps that a choice may leave out, in front of the first `fuse`.
    fn optional(&self, point: &Point, steps: &mut Vec<Step>) {
        let mut more = Vec::new();
        let reordered = self.base.iter().any(|s| matches!(s, Step::Reorder { .. }));
        match self.value(point, Knob::Order) {
            Some(ROWS_FIRST) => more.extend([Axis::Rows, Axis::Columns]),
            Some(_) if reordered => more.extend([Axis::Columns, Axis::Rows]),
            _ => {}
        }
        let mut more: Vec<Step> = more
            .into_iter()
            .map(|axis| Step::Reorder { axis })
            .collect();
        if let Some(by) = self.value(point, Knob::Unroll).filter(|&by| by > 1) {
            let axis = Axis::Summed;
            more.push(Step::Unroll { axis, by });
        }
        for axis in [Axis::Columns, Axis::Summed] {
            if let Some(by) = self.value(point, Knob::Prefetch(axis)).filter(|&by| by > 0) {
                more.push(Step::Prefetch { axis, by });
            }
        }
        let fuse = steps
            .iter()
            .position(|s| matches!(s, Step::Fuse { .. } | Step::FuseAt { .. }));
        let at = fuse.unwrap_or(steps.len());
        steps.splice(at..at, more);
        if let Some(by) = self.value(point, Knob::SummedTile).filter(|&by| by > 0) {
            let tile = steps.iter().rposition(|s| matches!(s, Step::Tile { .. }));
            let axis = Axis::Summed;
            steps.insert(tile.map_or(0, |t| t + 1), Step::Tile { axis, by });
        }
    }
}

/// Rounds blocks to whole numbers of the blocks inside them, from the inside out.
fn nest(steps: &mut [Step]) {
    for axis in Axis::ALL {
        let mut inner = 1;
        let rank = |step: &Step| match step {
            Step::Vectorize { axis: a, .. } if a == axis => Some(0),
            Step::Register { axis: a, .. } if a == axis => Some(1),
            Step::Tile { axis: a, .. } if a == axis => Some(2),
            _ => None,
        };
        for wanted in 0..3 {
            // Of tiles the last is innermost.
            for step in steps.iter_mut().rev().filter(|s| rank(s) == Some(wanted)) {
                if let Step::Tile { by, .. }
                | Step::Register { by, .. }
                | Step::Vectorize { by, .. } = step
                {
                    let times = (*by + inner / 2) / inner;
                    *by = times.max(1) * inner;
                    inner = *by;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiai_frontend::elaborate::read_schedules;

    const TEXT: &str = "schedule s for contract on cpu {\n  tile columns by 192, rows by 64\n  \
        parallel columns, rows\n  pack right\n  register rows by 8, columns by 48\n  \
        vectorize columns by 16\n  fuse epilogue\n}\n";

    fn space(sizes: &[i64; 4]) -> (Space, Vec<Step>) {
        let base = read_schedules("s", TEXT).schedules.remove(0);
        (Space::new(&base, sizes), base.steps)
    }

    #[test]
    fn the_start_is_the_schedule_itself() {
        let (space, steps) = space(&[1, 64, 768, 768]);
        assert_eq!(space.steps(space.start()), steps);
    }

    #[test]
    fn blocks_fit_into_one_another() {
        let (space, _) = space(&[1, 64, 768, 768]);
        let widths: Vec<usize> = space.widths().collect();
        for knob in 0..widths.len() {
            for value in 0..widths[knob] {
                let mut point = space.start().clone();
                point[knob] = value;
                let steps = space.steps(&point);
                let schedule = Schedule {
                    steps: steps.clone(),
                    ..read_schedules("s", TEXT).schedules.remove(0)
                };
                let read = read_schedules("s", &super::super::text::schedule(&schedule));
                assert!(read.diagnostics.is_empty(), "{steps:?}");
                assert_eq!(read.schedules[0].steps, steps);
            }
        }
    }

    #[test]
    fn small_contractions_have_small_tables() {
        let (space, _) = space(&[1, 1, 8, 4]);
        assert!(!space.knobs.iter().any(|k| k.0 == Knob::SummedTile));
        let rows = space
            .knobs
            .iter()
            .find(|k| k.0 == Knob::Register(Axis::Rows));
        // The value of the schedule stays.
        assert_eq!(rows.map(|k| k.1.clone()), Some(vec![1, 8]));
    }
}
