//! Makes a counterexample small: sizes first, then elements, as long as it still fails.

use aiai_ir::eval::{Array, Data};

use super::compare::{Difference, Judge, Verdict};
use super::sizes::{SizeSource, Sizes, Wish};
use super::values::{Theme, ValueSource};
use aiai_ir::random::Random;

/// Arguments with what is wrong on them.
#[derive(Clone, Debug)]
pub struct Failing {
    pub sizes: Sizes,
    pub inputs: Vec<Array>,
    pub difference: Difference,
}

/// Runs that making a counterexample small takes, at most.
const MOST_RUNS: usize = 4000;

pub struct Shrinker<'a> {
    pub judge: &'a Judge<'a>,
    pub sizes: &'a SizeSource,
    pub values: &'a ValueSource,
    runs: usize,
}

impl<'a> Shrinker<'a> {
    pub fn new(
        judge: &'a Judge<'a>,
        sizes: &'a SizeSource,
        values: &'a ValueSource,
    ) -> Shrinker<'a> {
        Shrinker {
            judge,
            sizes,
            values,
            runs: 0,
        }
    }

    /// The smallest found that fails in the same way: one that convicts at once stays one.
    pub fn shrink(mut self, failing: Failing, theme: Theme) -> Failing {
        let mut best = failing;
        self.smaller_sizes(&mut best, theme);
        self.simpler_values(&mut best);
        best
    }

    fn fails(&mut self, inputs: &[Array], sizes: &Sizes, firm: bool) -> Option<Difference> {
        self.runs += 1;
        match self.judge.judge(inputs, sizes) {
            Verdict::Differ(difference) if difference.firm || !firm => Some(*difference),
            _ => None,
        }
    }

    fn weight(&self, sizes: &Sizes) -> i64 {
        let elements: i64 = match self.values.shapes(sizes) {
            Some(shapes) => shapes
                .iter()
                .map(|s| s.iter().product::<usize>() as i64)
                .sum(),
            None => i64::MAX / 2,
        };
        elements
            .saturating_mul(64)
            .saturating_add(sizes.values().sum())
    }

    /// Draws smaller sizes with fresh arguments, and cuts the ones at hand.
    fn smaller_sizes(&mut self, best: &mut Failing, theme: Theme) {
        let firm = best.difference.firm;
        let mut random = Random::new(0x5A11);
        let mut tried: Vec<Sizes> = Vec::new();
        for round in 0..120 {
            let wish = match round % 4 {
                0 => Wish::Small,
                1 => Wish::Single,
                2 => Wish::Empty,
                _ => Wish::Medium,
            };
            let Some(sizes) = self.sizes.draw(&mut random, wish) else {
                continue;
            };
            if self.weight(&sizes) < self.weight(&best.sizes) && !tried.contains(&sizes) {
                tried.push(sizes);
            }
        }
        // One dimension less at a time reaches what no draw has.
        tried.sort_by_key(|sizes| self.weight(sizes));
        for sizes in tried {
            if self.weight(&sizes) >= self.weight(&best.sizes) || self.runs > MOST_RUNS / 2 {
                break;
            }
            self.try_sizes(best, &sizes, theme, firm, &mut random);
        }
        loop {
            let mut syms: Vec<_> = best.sizes.keys().copied().collect();
            syms.sort();
            let mut shrunk = false;
            for sym in syms {
                for less in [0, 1, best.sizes[&sym] / 2, best.sizes[&sym] - 1] {
                    let mut sizes = best.sizes.clone();
                    sizes.insert(sym, less);
                    if less >= 0
                        && less < best.sizes[&sym]
                        && self.sizes.holds(&sizes)
                        && self.runs < MOST_RUNS / 2
                    {
                        shrunk |= self.try_sizes(best, &sizes, theme, firm, &mut random);
                    }
                }
            }
            if !shrunk {
                return;
            }
        }
    }

    fn try_sizes(
        &mut self,
        best: &mut Failing,
        sizes: &Sizes,
        theme: Theme,
        firm: bool,
        random: &mut Random,
    ) -> bool {
        let Some(shapes) = self.values.shapes(sizes) else {
            return false;
        };
        let cut: Option<Vec<Array>> = best
            .inputs
            .iter()
            .zip(&shapes)
            .map(|(x, shape)| corner(x, shape))
            .collect();
        for attempt in 0..12 {
            let inputs = match (attempt, &cut) {
                (0, Some(cut)) => Some(cut.clone()),
                _ => self.values.draw(random, sizes, theme),
            };
            let Some(inputs) = inputs else { continue };
            if let Some(difference) = self.fails(&inputs, sizes, firm) {
                *best = Failing {
                    sizes: sizes.clone(),
                    inputs,
                    difference,
                };
                return true;
            }
        }
        false
    }

    /// Replaces elements by simpler ones, whole arrays first.
    fn simpler_values(&mut self, best: &mut Failing) {
        let firm = best.difference.firm;
        for k in 0..best.inputs.len() {
            for simple in [0.0, 1.0] {
                let mut inputs = best.inputs.clone();
                for at in 0..inputs[k].len() {
                    put(&mut inputs[k], at, simple);
                }
                if inputs[k] != best.inputs[k] && self.accept(best, inputs, firm) {
                    break;
                }
            }
        }
        self.simpler_everywhere(best, firm);
        for _ in 0..3 {
            let before = best.inputs.clone();
            for k in 0..best.inputs.len() {
                for at in 0..best.inputs[k].len() {
                    self.simpler_element(best, k, at, firm);
                }
            }
            if best.inputs == before || self.runs > MOST_RUNS {
                return;
            }
        }
    }

    /// Replaces a number wherever it stands: some failures need equal elements.
    fn simpler_everywhere(&mut self, best: &mut Failing, firm: bool) {
        let mut numbers: Vec<u64> = Vec::new();
        for x in &best.inputs {
            numbers.extend((0..x.len()).map(|at| number(x, at).to_bits()));
        }
        numbers.sort_unstable();
        numbers.dedup();
        for bits in numbers.into_iter().take(64) {
            let now = f64::from_bits(bits);
            for simple in simpler(now) {
                if cost(simple) >= cost(now) || self.runs > MOST_RUNS {
                    continue;
                }
                let mut inputs = best.inputs.clone();
                for x in &mut inputs {
                    for at in 0..x.len() {
                        if number(x, at).to_bits() == bits {
                            put(x, at, simple);
                        }
                    }
                }
                if self.accept(best, inputs, firm) {
                    break;
                }
            }
        }
    }

    fn simpler_element(&mut self, best: &mut Failing, k: usize, at: usize, firm: bool) {
        let now = number(&best.inputs[k], at);
        for simple in simpler(now) {
            let mut inputs = best.inputs.clone();
            put(&mut inputs[k], at, simple);
            let after = number(&inputs[k], at);
            if cost(after) >= cost(now) || self.runs > MOST_RUNS {
                continue;
            }
            if self.accept(best, inputs, firm) {
                return;
            }
        }
    }

    fn accept(&mut self, best: &mut Failing, inputs: Vec<Array>, firm: bool) -> bool {
        if !self.values.admits(&inputs) {
            return false;
        }
        match self.fails(&inputs, &best.sizes, firm) {
            Some(difference) => {
                best.inputs = inputs;
                best.difference = difference;
                true
            }
            None => false,
        }
    }
}

fn number(x: &Array, at: usize) -> f64 {
    match &x.data {
        Data::Float(v) => v[at],
        Data::Int(v) => v[at] as f64,
    }
}

fn put(x: &mut Array, at: usize, value: f64) {
    let (dtype, value) = (
        x.dtype,
        if value == 0.0 && !x.dtype.is_float() {
            0.0
        } else {
            value
        },
    );
    match &mut x.data {
        Data::Float(v) => v[at] = aiai_ir::eval::round_to(dtype, value),
        Data::Int(v) => {
            let one = Array::ints(dtype, Vec::new(), [value as i64]);
            v[at] = one.as_ints()[0];
        }
    }
}

/// Simpler numbers, the simplest first.
fn simpler(x: f64) -> Vec<f64> {
    let mut list = vec![0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5, 10.0, 100.0, 1000.0];
    if x.is_finite() {
        let power = if x == 0.0 {
            0.0
        } else {
            x.abs().log2().round().exp2() * x.signum()
        };
        list.extend([
            x.round(),
            x.trunc(),
            power,
            (x * 2.0).round() / 2.0,
            (x * 16.0).round() / 16.0,
        ]);
        let digits = if x == 0.0 {
            0
        } else {
            x.abs().log10().floor() as i32
        };
        let scale = 10f64.powi(digits);
        list.push((x / scale).round() * scale);
    } else if x == f64::NEG_INFINITY {
        list.push(f64::INFINITY);
    }
    list
}

/// How much there is to read in a number.
fn cost(x: f64) -> u32 {
    let list = [0f64, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5, 10.0, 100.0, 1000.0];
    if let Some(place) = list.iter().position(|y| y.to_bits() == x.to_bits()) {
        return place as u32;
    }
    if x.is_nan() {
        return 20;
    }
    if x.is_infinite() {
        return if x > 0.0 { 21 } else { 22 };
    }
    let text = if x.abs() >= 1e5 || (x != 0.0 && x.abs() < 1e-3) {
        format!("{x:e}")
    } else {
        format!("{x}")
    };
    30 + 2 * text.len() as u32 + u32::from(x.fract() != 0.0)
}

/// The first elements along every axis; `None` where the shape is larger anywhere.
fn corner(x: &Array, shape: &[usize]) -> Option<Array> {
    if x.shape.len() != shape.len() || x.shape.iter().zip(shape).any(|(have, want)| want > have) {
        return None;
    }
    let count: usize = shape.iter().product();
    let mut places = Vec::with_capacity(count);
    for flat in 0..count {
        let (mut rest, mut stride, mut place) = (flat, 1, 0);
        for axis in (0..shape.len()).rev() {
            place += (rest % shape[axis]) * stride;
            rest /= shape[axis];
            stride *= x.shape[axis];
        }
        places.push(place);
    }
    let data = match &x.data {
        Data::Float(v) => Data::Float(places.iter().map(|&p| v[p]).collect()),
        Data::Int(v) => Data::Int(places.iter().map(|&p| v[p]).collect()),
    };
    Some(Array {
        dtype: x.dtype,
        shape: shape.to_vec(),
        data,
        error: None,
    })
}
