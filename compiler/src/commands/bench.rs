//! `aiai bench`: the `bench` items of programs, timed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use aiai_frontend::elaborate::{Entry, TestKind};
use aiai_ir::Sym;
use aiai_runtime::Tensor;
use serde_json::json;

use crate::backend::Engine;
use crate::cli::Global;
use crate::values::Stream;
use crate::{Ended, Failure, Outcome, driver, output};

/// The size of a dimension that is not given.
const SIZE: i64 = 64;

pub struct Options<'a> {
    pub filter: Option<&'a str>,
    pub dims: &'a [String],
    pub budget: f64,
}

pub fn run(files: &[PathBuf], options: &Options, global: &Global) -> Ended {
    let dims = driver::parse_dims(options.dims)?;
    let mut engine = Engine::new(global)?;
    let mut reports = Vec::new();
    for file in files {
        let program = driver::load(file, global)?;
        engine.turn_to(&program, global)?;
        for (index, (kind, name)) in program.tests().into_iter().enumerate() {
            if kind != TestKind::Bench || options.filter.is_some_and(|f| !name.contains(f)) {
                continue;
            }
            let entry = program.test_entry(index, 0).map_err(|found| {
                driver::report(&program, &found, global);
                Failure::input("")
            })?;
            let seconds = time(&engine, &entry, &dims, options.budget)?;
            let median = seconds[seconds.len() / 2];
            if !global.json {
                let (low, high) = (seconds[0] * 1e6, seconds[seconds.len() - 1] * 1e6);
                let (median, runs) = (median * 1e6, seconds.len());
                output::print(&format!(
                    "{}: {name}: {median:.1} us, from {low:.1} to {high:.1} in {runs} runs",
                    output::path(file)
                ));
            }
            reports.push(json!({
                "file": file.display().to_string(), "name": name, "runs": seconds.len(),
                "median_seconds": median, "least_seconds": seconds[0],
            }));
        }
    }
    if global.json {
        let summary = json!({"schema": 1, "threads": engine.threads(), "benches": reports});
        output::print(&summary.to_string());
    } else if reports.is_empty() {
        output::print("no `bench` items");
    }
    Ok(Outcome::Success)
}

/// The times of runs within a budget in seconds, sorted; at least three.
fn time(
    engine: &Engine,
    entry: &Entry,
    dims: &BTreeMap<String, i64>,
    budget: f64,
) -> Result<Vec<f64>, Failure> {
    let options = aiai_codegen::Options {
        weights: driver::weights(entry),
        ..Default::default()
    };
    let prepared = engine.prepare(entry, &options)?;
    let size = |sym: Sym| Some(dims.get(sym.as_str()).copied().unwrap_or(SIZE));
    let mut stream = Stream::new(0);
    let mut args = Vec::new();
    for ((name, _, leaves), domain) in entry.signature.params.iter().zip(&entry.signature.domains) {
        let (low, high) = domain.unwrap_or((-1.0, 1.0));
        for leaf in leaves {
            let sizes = leaf
                .shape
                .iter()
                .map(|d| usize::try_from(d.eval(&size)?).ok());
            let Some(shape) = sizes.collect::<Option<Vec<usize>>>() else {
                return Err(Failure::input(format!("`{name}` has no usable shape")));
            };
            args.push(stream.tensor(leaf.dtype, &shape, low, high)?);
        }
    }
    let args: Vec<&Tensor> = args.iter().collect();
    prepared.load(&args)?;
    prepared.run(&args)?;
    let (start, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < 3 || start.elapsed().as_secs_f64() < budget {
        let began = Instant::now();
        prepared.run(&args)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}
