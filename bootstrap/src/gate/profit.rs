//! Steps 12 and 13: the rule fires on real models and makes them cheaper; held-out models are no worse.
//!
//! Cost is what the compiler itself counts. Time is taken by the clock of this process alone, before and after in
//! turns, on inputs that are fresh and over results that are poisoned in every run, and results are compared in every
//! run: code that keeps an old answer, or computes less than it should, is found. A time below what the memory of any machine allows
//! is a fault of the measurement and no profit.

use std::time::Instant;

use aiai_ir::{Function, Stage, verify};
use aiai_passes::rewrite::cost::Costs;
use aiai_passes::rewrite::{Float, Library, Limits, Rewriter, Trace};
use aiai_runtime::{DType, Pool, Tensor};

use super::candidate::{Candidate, File, ops};
use super::library::Rules;
use super::{Bench, Model, Outcome, backends};
use crate::witness::{self, alone};
use aiai_ir::random::{Random, derive};

/// Runs of each program for one comparison.
const RUNS: usize = 9;

/// Bytes a second that no memory of today moves.
const CEILING: f64 = 4e12;

fn library_of(candidate: &Candidate) -> Result<Library, String> {
    let text = format!("{}{}\n", candidate.file.helpers(), candidate.text());
    let file = File::read("candidate.aiai", &text)?;
    Ok(Library::new(vec![Box::new(Rules(file))], Float::All))
}

/// A model as it is and as the rule makes it.
struct Pair {
    before: Function,
    after: Function,
    trace: Trace,
}

fn rewritten(model: &Model, library: &Library) -> Result<Pair, String> {
    let module = aiai_ir::parse_module(&model.ir).map_err(|e| format!("{}: {e}", model.name))?;
    let before = module.functions.into_values().next();
    let before = before.ok_or_else(|| format!("{}: no function", model.name))?;
    let mut after = before.clone();
    let trace = library.greedy(&mut after, &Limits::default());
    if let Err(e) = verify(&alone(&after), Stage::Primitive) {
        return Err(format!("{}: {}", model.name, e.message));
    }
    Ok(Pair {
        before,
        after,
        trace,
    })
}

fn cost(function: &Function) -> u64 {
    Costs::of(function).region(function, &function.body)
}

/// Step 12, and how often the rule fired.
pub fn profit(bench: &Bench) -> (Outcome, u64) {
    let library = match library_of(bench.candidate) {
        Ok(library) => library,
        Err(why) => return (Outcome::failed(&why), 0),
    };
    let models: Vec<&Model> = bench.models.iter().filter(|m| !m.held_out).collect();
    if models.is_empty() {
        return (Outcome::skipped("no models to fire on"), 0);
    }
    let seed = derive(bench.seed, "profit");
    let mut random = Random::new(seed);
    let (mut firings, mut saved, mut notes) = (0u64, 0u64, Vec::new());
    let mut slower = Vec::new();
    for model in &models {
        let pair = match rewritten(model, &library) {
            Ok(pair) => pair,
            Err(why) => return (Outcome::failed(&why), firings),
        };
        let fired = pair.trace.firings.len() as u64;
        if fired == 0 {
            continue;
        }
        firings += fired;
        let (before, after) = (cost(&pair.before), cost(&pair.after));
        saved += before.saturating_sub(after);
        let mut note = format!("{}: {fired} firings, cost {before} to {after}", model.name);
        if bench.options.timed {
            match timed(model, &pair, &mut random) {
                Ok(Some(times)) => {
                    note.push_str(&times.text());
                    if times.is_slower() {
                        slower.push(note.clone());
                    }
                }
                Ok(None) => note.push_str(", not timed: it does not run at the model's sizes"),
                Err(why) => {
                    let why = format!("{}: {why}", model.name);
                    return (Outcome::failed(&why).seeded(seed), firings);
                }
            }
        }
        notes.push(note);
    }
    let outcome = if firings == 0 {
        Outcome::refused(&format!(
            "no profit: it fires on none of {} models",
            models.len()
        ))
    } else if !slower.is_empty() {
        Outcome::refused(&format!("no profit: slower: {}", slower.join("; ")))
    } else if saved == 0 {
        Outcome::refused(&format!("no profit: no cost falls ({})", notes.join("; ")))
    } else {
        Outcome::passed(&notes.join("; "), firings)
    };
    (outcome.seeded(seed), firings)
}

/// Seconds of a run: the first, and the median of the others.
struct Times {
    cold: [f64; 2],
    warm: [f64; 2],
}

impl Times {
    /// More than what measurements differ by.
    fn is_slower(&self) -> bool {
        self.warm[1] > self.warm[0] * 1.1 && self.cold[1] > self.cold[0]
    }

    fn text(&self) -> String {
        let ms = |seconds: f64| format!("{:.3}", seconds * 1e3);
        let [cold, warm] = [self.cold, self.warm].map(|pair| pair.map(ms));
        format!(
            ", cold {} to {} ms, warm {} to {} ms",
            cold[0], cold[1], warm[0], warm[1]
        )
    }
}

/// Times both programs in turns; `None` where one does not run at the sizes of the model.
fn timed(model: &Model, pair: &Pair, random: &mut Random) -> Result<Option<Times>, String> {
    let pool = Pool::new(1).map_err(|e| e.to_string())?;
    let mut codes = Vec::new();
    for function in [&pair.before, &pair.after] {
        let mut module = alone(function);
        let options = aiai_passes::Options::default();
        aiai_passes::optimize(&mut module, function.name, &options).map_err(|e| e.to_string())?;
        let Some(ready) = module.get(function.name) else {
            return Ok(None);
        };
        let code = aiai_codegen::compile(ready, &aiai_codegen::Options::default());
        codes.push(code.map_err(|e| e.to_string())?);
    }
    let mut seconds = [Vec::new(), Vec::new()];
    let mut shapes: Option<Vec<Tensor>> = None;
    for run in 0..RUNS {
        let Some(inputs) = sized(&pair.before, model, random) else {
            return Ok(None);
        };
        let tensors = inputs
            .iter()
            .map(|a| Tensor::from_bytes(backends::dtype(a.dtype), &a.shape, &a.to_bytes()));
        let Ok(tensors) = tensors.collect::<Result<Vec<Tensor>, _>>() else {
            return Ok(None);
        };
        let args: Vec<&Tensor> = tensors.iter().collect();
        let shapes = match &shapes {
            Some(known) => known,
            None => match codes[0].results_for(&args) {
                Ok(zeros) => shapes.insert(zeros),
                Err(_) => return Ok(None),
            },
        };
        let mut results = Vec::new();
        // Which goes first changes from run to run.
        for which in [run % 2, 1 - run % 2] {
            let mut out = poisoned(shapes)?;
            let start = Instant::now();
            if codes[which].run_into(&args, &mut out, &pool).is_err() {
                return Ok(None);
            }
            seconds[which].push(start.elapsed().as_secs_f64());
            results.push((which, out));
        }
        results.sort_by_key(|r| r.0);
        close(&results[0].1, &results[1].1)?;
    }
    let bytes: usize = shapes.iter().flatten().map(|t| t.bytes().len()).sum();
    let floor = bytes as f64 / CEILING;
    if seconds.iter().flatten().any(|s| *s < floor) {
        return Err(
            "a run was faster than memory can be written: the clock or the code lies".to_owned(),
        );
    }
    let median = |times: &[f64]| {
        let mut rest = times[1..].to_vec();
        rest.sort_by(f64::total_cmp);
        rest[rest.len() / 2]
    };
    let [before, after] = &seconds;
    Ok(Some(Times {
        cold: [before[0], after[0]],
        warm: [median(before), median(after)],
    }))
}

/// Tensors of these types with what no result should be: NaN, -1, true.
fn poisoned(shapes: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let all = shapes.iter().map(|like| {
        let byte = if like.dtype() == DType::Bool { 1 } else { 0xFF };
        Tensor::from_bytes(like.dtype(), like.shape(), &vec![byte; like.bytes().len()])
    });
    all.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// Inputs at the sizes of the model.
fn sized(
    function: &Function,
    model: &Model,
    random: &mut Random,
) -> Option<Vec<aiai_ir::eval::Array>> {
    let sizes = model
        .sizes
        .iter()
        .map(|(n, s)| (aiai_ir::Sym::new(n), *s))
        .collect();
    witness::draw_large(function, &sizes, random)
}

/// Whether two runs of programs that should agree do, up to rounding.
fn close(before: &[Tensor], after: &[Tensor]) -> Result<(), String> {
    for (a, b) in before.iter().zip(after) {
        let (Ok(a), Ok(b)) = (a.to_f64_vec(), b.to_f64_vec()) else {
            continue;
        };
        let scale = a
            .iter()
            .filter(|x| x.is_finite())
            .fold(0f64, |m, x| m.max(x.abs()));
        for (x, y) in a.iter().zip(&b) {
            let same = x == y || (x.is_nan() && y.is_nan());
            let near = (x - y).abs() <= 1e-2 * scale.max(1e-6);
            if !same && !near {
                return Err(format!("the result changes from {x} to {y}"));
            }
        }
    }
    Ok(())
}

/// Step 13.
pub fn regression(bench: &Bench) -> Outcome {
    let library = match library_of(bench.candidate) {
        Ok(library) => library,
        Err(why) => return Outcome::failed(&why),
    };
    if bench.models.is_empty() {
        return Outcome::skipped("no models to look at");
    }
    let seed = derive(bench.seed, "regression");
    let mut random = Random::new(seed);
    let (mut firings, mut held_out) = (0u64, 0);
    for model in bench.models {
        let pair = match rewritten(model, &library) {
            Ok(pair) => pair,
            Err(why) => return Outcome::failed(&why),
        };
        held_out += u64::from(model.held_out);
        let fired = pair.trace.firings.len() as u64;
        firings += fired;
        if let Some(limit) = pair.trace.limit_hit {
            return Outcome::failed(&format!(
                "{}: compile time: rewriting was stopped at {limit}",
                model.name
            ));
        }
        if cost(&pair.after) > cost(&pair.before) {
            return Outcome::failed(&format!("{}: the cost rises", model.name));
        }
        let (before, after) = (ops(&pair.before), ops(&pair.after));
        if after > before + before / 10 + 4 {
            return Outcome::failed(&format!(
                "{}: code size: {before} operations become {after}",
                model.name
            ));
        }
        if fired > 0
            && let Some(inputs) = witness::draw_large(
                &pair.before,
                &std::collections::BTreeMap::new(),
                &mut random,
            )
            && let Some(why) = witness::compare(
                aiai_ir::FloatClass::Real { finite: true },
                [&pair.before, &pair.after],
                &std::collections::BTreeMap::new(),
                &inputs,
            )
        {
            return Outcome::failed(&format!("{}: the result changes: {why}", model.name))
                .seeded(seed);
        }
    }
    let models = bench.models.len();
    Outcome::passed(
        &format!("{models} models, {held_out} of them held out: no limit reached, no cost rises, code grows by a tenth at most"),
        firings,
    )
    .seeded(seed)
}
