//! The order in which candidates are tried: one size after another up and down from the best of the
//! neighbourhood, then again from a random place. The same seed and scores give the same candidates.

use std::collections::{HashSet, VecDeque};

use aiai_ir::schedule::Step;

use super::space::{Point, Space};
use crate::values::Stream;

/// Random places that are looked at for one that is new, before the search ends.
const MOST_DRAWS: usize = 200;

/// A search in a space. Scores are times relative to the default's.
pub struct Search {
    pub space: Space,
    stream: Stream,
    /// What has been tried, the start included.
    tried: HashSet<Vec<Step>>,
    /// The best of this neighbourhood and its score.
    local: Point,
    score: f64,
    /// The knob that is moved next.
    knob: usize,
    /// What is tried around the best of this neighbourhood.
    moves: VecDeque<(usize, Point)>,
}

impl Search {
    pub fn new(space: Space, seed: u64) -> Search {
        let local = space.start().clone();
        let mut search = Search {
            stream: Stream::new(seed),
            tried: HashSet::from([space.steps(&local)]),
            space,
            local,
            score: 1.0,
            knob: 0,
            moves: VecDeque::new(),
        };
        search.look_around();
        search
    }

    /// The next candidate; `None` where nothing new is found.
    pub fn propose(&mut self) -> Option<Point> {
        while let Some((knob, point)) = self.moves.pop_front() {
            if self.tried.insert(self.space.steps(&point)) {
                self.knob = knob;
                return Some(point);
            }
        }
        for _ in 0..MOST_DRAWS {
            let widths: Vec<usize> = self.space.widths().collect();
            let mut draw = |&n: &usize| ((self.stream.unit() * n as f64) as usize).min(n - 1);
            let point: Point = widths.iter().map(&mut draw).collect();
            if self.tried.insert(self.space.steps(&point)) {
                // A new neighbourhood begins.
                self.score = f64::INFINITY;
                self.local.clone_from(&point);
                return Some(point);
            }
        }
        None
    }

    /// Says how the last candidate did; `None` where it cannot be used.
    pub fn report(&mut self, point: &Point, score: Option<f64>) {
        // A change of less is noise.
        const LESS: f64 = 0.99;
        if let Some(score) = score
            && score < self.score * LESS
        {
            self.score = score;
            self.local.clone_from(point);
            self.look_around();
        }
    }

    /// Every size one step up and down, from the last knob that was moved on.
    fn look_around(&mut self) {
        self.moves.clear();
        let widths: Vec<usize> = self.space.widths().collect();
        for step in 0..widths.len() {
            let knob = (self.knob + step) % widths.len();
            let here = self.local[knob];
            for there in [here.checked_sub(1), Some(here + 1)].into_iter().flatten() {
                if there < widths[knob] {
                    let mut point = self.local.clone();
                    point[knob] = there;
                    self.moves.push_back((knob, point));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiai_frontend::elaborate::read_schedules;

    fn search(seed: u64) -> Search {
        let text = "schedule s for contract on cpu {\n  tile columns by 192, rows by 64\n  \
            pack right\n  register rows by 8, columns by 48\n  vectorize columns by 16\n}\n";
        let base = read_schedules("s", text).schedules.remove(0);
        Search::new(Space::new(&base, &[1, 256, 768, 768]), seed)
    }

    /// Wide tiles of rows are good, and all else the same.
    fn score(point: &Point, start: &Point) -> f64 {
        let moved = point.iter().zip(start).map(|(a, b)| *a as f64 - *b as f64);
        1.0 + 0.05 * moved.map(|d| (d - 1.0).abs()).sum::<f64>()
    }

    fn path(seed: u64, count: usize) -> (Vec<Point>, f64) {
        let mut search = search(seed);
        let start = search.space.start().clone();
        let (mut path, mut best) = (Vec::new(), 1.0);
        search.score = score(&start, &start);
        for _ in 0..count {
            let point = search.propose().expect("there is more");
            let score = score(&point, &start);
            search.report(&point, Some(score));
            best = f64::min(best, score);
            path.push(point);
        }
        (path, best)
    }

    #[test]
    fn the_same_seed_tries_the_same() {
        let (first, best) = path(7, 120);
        assert_eq!(first, path(7, 120).0);
        assert_ne!(first, path(8, 120).0);
        let different: HashSet<&Point> = first.iter().collect();
        assert_eq!(different.len(), first.len());
        assert!(best <= 1.1, "{best}");
    }

    #[test]
    fn a_small_space_ends() {
        let text = "schedule s for contract on cpu {\n  register rows by 1, columns by 8\n  \
            vectorize columns by 8\n}\n";
        let base = read_schedules("s", text).schedules.remove(0);
        let mut search = Search::new(Space::new(&base, &[1, 1, 8, 2]), 0);
        let mut count = 0;
        while let Some(point) = search.propose() {
            search.report(&point, None);
            count += 1;
            assert!(count < 10_000);
        }
        assert!(count > 1);
    }
}
