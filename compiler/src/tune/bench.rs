//! Measuring code: on random inputs, by turns with other code, so that what the machine does beside it
//! concerns both.

use std::time::Instant;

use aiai_codegen::Options;
use aiai_ir::{Function, Schedule};
use aiai_runtime::program::Prepared;
use aiai_runtime::{DType, Executable, Pool, Tensor};

use crate::backend::RunError;
use crate::values::Stream;
use crate::{Failure, driver, llvm};

/// A function with inputs to run it on.
pub struct Bench<'p> {
    function: Function,
    weights: Vec<usize>,
    args: Vec<Tensor>,
    pool: &'p Pool,
}

/// The function as machine code, with its weights packed.
pub struct Code {
    executable: Executable,
    weights: Prepared,
}

/// How much of a measurement is made.
#[derive(Clone, Copy)]
pub struct Effort {
    /// How often weights are loaded: where they lie in memory can make a difference that is nobody's merit.
    loads: usize,
    /// How often each of the two is measured with the same weights.
    turns: usize,
    /// How long one measurement is, at least, in seconds.
    least: f64,
}

/// Enough to tell a candidate from the incumbent. Many short turns: what else the machine does disturbs some of
/// them, and medians pass over those.
pub const QUICK: Effort = Effort {
    loads: 1,
    turns: 15,
    least: 5e-4,
};
/// Enough to state a time.
pub const CAREFUL: Effort = Effort {
    loads: 3,
    turns: 15,
    least: 1e-3,
};

/// The times of two codes that were measured by turns.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The median of the first, in seconds.
    pub before: f64,
    /// The median of the ratios of neighbouring measurements, after to before.
    pub ratio: f64,
    /// What the ratio may be off by.
    pub noise: f64,
}

impl Comparison {
    /// Whether the second is faster by more than the noise.
    pub fn better(&self) -> bool {
        const LEAST: f64 = 0.02;
        self.ratio < 1.0 - self.noise.max(LEAST)
    }

    /// The ratio, if luck had a hand in it.
    pub fn cautious(&self) -> f64 {
        self.ratio + self.noise
    }

    fn of(pairs: &[(f64, f64)]) -> Comparison {
        // The standard error of a median, from the median deviation, if errors were normal; twice that.
        const ERROR: f64 = 2.0 * 1.4826 * 1.2533;
        let ratios: Vec<f64> = pairs.iter().map(|(a, b)| b / a.max(1e-12)).collect();
        let ratio = median(ratios.clone());
        let deviations = ratios.iter().map(|r| (r - ratio).abs()).collect();
        Comparison {
            before: median(pairs.iter().map(|p| p.0).collect()),
            ratio,
            noise: ERROR * median(deviations) / (pairs.len() as f64).sqrt(),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl<'p> Bench<'p> {
    /// Draws inputs for a function without symbolic sizes.
    pub fn new(
        function: Function,
        weights: Vec<usize>,
        pool: &'p Pool,
    ) -> Result<Bench<'p>, Failure> {
        let mut stream = Stream::new(0);
        let mut args = Vec::new();
        for (&param, name) in function.params().iter().zip(&function.param_names) {
            let ty = function.ty(param);
            let size = |d: &aiai_ir::Dim| usize::try_from(d.as_const()?).ok();
            let shape: Option<Vec<usize>> = ty.shape().iter().map(size).collect();
            let shape = shape
                .ok_or_else(|| Failure::input(format!("`{name}` has sizes that are not known")))?;
            // Integers are places or classes more often than not.
            let (low, high) = if ty.dtype().is_float() {
                (-1.0, 1.0)
            } else {
                (0.0, 2.0)
            };
            args.push(stream.tensor(ty.dtype(), &shape, low, high)?);
        }
        Ok(Bench {
            function,
            weights,
            args,
            pool,
        })
    }

    /// What code is made with.
    pub fn options(&self, schedules: &[Schedule]) -> Options {
        Options {
            weights: self.weights.clone(),
            schedules: schedules.to_vec(),
            ..Options::default()
        }
    }

    /// The function by these schedules. The compile cache is for what will be used again.
    pub fn compile(&self, schedules: &[Schedule]) -> Result<Code, Failure> {
        let options = self.options(schedules);
        let executable = driver::on_a_deep_stack(|| llvm::fresh(&self.function, &options))??;
        let weights = self.load(&executable)?;
        Ok(Code {
            executable,
            weights,
        })
    }

    fn load(&self, executable: &Executable) -> Result<Prepared, Failure> {
        let args: Vec<Option<&Tensor>> = self.args.iter().map(Some).collect();
        Ok(executable
            .prepare(&args, self.pool)
            .map_err(RunError::from)?)
    }

    pub fn function(&self) -> &Function {
        &self.function
    }

    pub fn run(&self, code: &Code) -> Result<Vec<Tensor>, Failure> {
        self.run_with(code, &code.weights)
    }

    fn run_with(&self, code: &Code, weights: &Prepared) -> Result<Vec<Tensor>, Failure> {
        let args: Vec<&Tensor> = self.args.iter().collect();
        let results = code.executable.run_prepared(&args, weights, self.pool);
        Ok(results.map_err(RunError::from)?)
    }

    /// Seconds of one run, over some runs.
    fn time(&self, code: &Code, weights: &Prepared, runs: usize) -> Result<f64, Failure> {
        let start = Instant::now();
        for _ in 0..runs {
            self.run_with(code, weights)?;
        }
        Ok(start.elapsed().as_secs_f64() / runs as f64)
    }
}

/// Measures two codes by turns; `None` where it is asked to stop. What is far slower is not measured to the end.
pub fn by_turns(
    bench: &Bench,
    (before, after): (&Code, &Code),
    effort: Effort,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Comparison>, Failure> {
    const HOPELESS: f64 = 1.25;
    const SURE: usize = 4;
    const MOST_RUNS: f64 = 10_000.0;
    let mut pairs = Vec::new();
    // All stay, so that each lies elsewhere.
    let mut weights = Vec::new();
    for _ in 0..effort.loads {
        weights.push((
            bench.load(&before.executable)?,
            bench.load(&after.executable)?,
        ));
    }
    for (of_before, of_after) in &weights {
        let warm = bench.time(before, of_before, 2)?;
        let runs = (effort.least / warm.max(1e-9)).ceil().clamp(1.0, MOST_RUNS) as usize;
        // The first turn is for caches and branch predictors.
        for turn in 0..=effort.turns {
            if stopped() {
                return Ok(None);
            }
            let first = bench.time(before, of_before, runs)?;
            let pair = (first, bench.time(after, of_after, runs)?);
            if turn > 0 {
                pairs.push(pair);
            }
            if pairs.len() >= SURE && pairs.iter().all(|(a, b)| *b > a * HOPELESS) {
                return Ok(Some(Comparison::of(&pairs)));
            }
        }
    }
    Ok(Some(Comparison::of(&pairs)))
}

/// Says how results differ from those that they should be, where they do by more than rounding.
pub fn difference(wanted: &[Tensor], found: &[Tensor]) -> Result<Option<String>, Failure> {
    for (wanted, found) in wanted.iter().zip(found) {
        let tolerance = match wanted.dtype() {
            DType::F64 => 1e-11,
            DType::F32 => 1e-4,
            DType::F16 => 4e-3,
            DType::BF16 => 3e-2,
            _ => 0.0,
        };
        if wanted.shape() != found.shape() {
            return Ok(Some("it has another shape".into()));
        }
        let (wanted, found) = (wanted.to_f64_vec()?, found.to_f64_vec()?);
        // Sums of numbers of both signs: what cancels is measured by the size of the others.
        let squares: f64 = wanted.iter().map(|x| x * x).sum();
        let typical = (squares / wanted.len().max(1) as f64).sqrt();
        for (place, (w, f)) in wanted.iter().zip(&found).enumerate() {
            let within = (w - f).abs() <= tolerance * w.abs().max(typical);
            if !within {
                return Ok(Some(format!("element {place} is {f}, not {w}")));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_more_than_noise() {
        let steady: Vec<(f64, f64)> = (0..7)
            .map(|i| (1.0 + 0.1 * f64::from(i), 0.9 + 0.09 * f64::from(i)))
            .collect();
        assert!(Comparison::of(&steady).better());
        let loud = [(1.0, 0.7), (1.0, 1.3), (1.0, 0.95), (1.0, 1.2), (1.0, 0.8)];
        assert!(!Comparison::of(&loud).better());
        let same = [(1.0, 0.995), (1.0, 0.995), (1.0, 0.995)];
        assert!(!Comparison::of(&same).better());
    }

    #[test]
    fn differences_are_found() {
        let tensor =
            |values: &[f32]| Tensor::from_slice(&[values.len()], values).expect("a tensor");
        let wanted = [tensor(&[100.0, -50.0, 1e-6])];
        let check = |values: &[f32]| difference(&wanted, &[tensor(values)]).expect("floats");
        assert_eq!(check(&[100.0, -50.0, 0.001]), None);
        assert!(check(&[100.0, -50.1, 0.0]).is_some_and(|d| d.starts_with("element 1 is -50.")));
        assert!(check(&[100.0, f32::NAN, 0.0]).is_some());
        assert!(check(&[100.0]).is_some());
    }
}
