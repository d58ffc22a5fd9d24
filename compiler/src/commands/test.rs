//! `aiai test`: tests run once, properties on random inputs; a counterexample is made small.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aiai_frontend::elaborate::{Entry, Leaf, Program, TestKind};
use aiai_ir::{Dim, Sym};
use aiai_runtime::Tensor;
use serde_json::json;

use crate::backend::{self, Engine, Prepared, RunError};
use crate::cli::Global;
use crate::values::{self, Stream};
use crate::{Ended, Failure, Outcome, driver, output};

mod shrink;
use shrink::{Failing, smaller};

pub struct Options<'a> {
    pub filter: Option<&'a str>,
    pub cases: u32,
    pub seed: u64,
}

/// A test at one rank, ready to run.
struct Case<'e> {
    entry: Entry,
    prepared: Prepared<'e>,
}

/// How one test ended.
struct Verdict {
    name: String,
    cases: u32,
    /// Message, and the input that brought it about.
    failure: Option<(String, String)>,
}

pub fn run(files: &[PathBuf], options: &Options, global: &Global) -> Ended {
    let mut engine = Engine::new(global)?;
    let (mut passed, mut failed) = (0, 0);
    let mut reports = Vec::new();
    for file in files {
        let program = driver::load(file, global)?;
        engine.turn_to(&program, global)?;
        for (index, (kind, name)) in program.tests().into_iter().enumerate() {
            if kind == TestKind::Bench || options.filter.is_some_and(|f| !name.contains(f)) {
                continue;
            }
            let verdict = one(&engine, &program, (index, kind, name), options, global)?;
            if verdict.failure.is_some() {
                failed += 1
            } else {
                passed += 1
            }
            if !global.json {
                print(&output::path(file), &verdict);
            }
            let (message, input) = verdict.failure.unwrap_or_default();
            reports.push(json!({
                "file": file.display().to_string(), "name": verdict.name, "cases": verdict.cases,
                "passed": message.is_empty(), "message": message, "input": input,
            }));
        }
    }
    if global.json {
        let summary = json!({"schema": 1, "passed": passed, "failed": failed, "seed": options.seed, "tests": reports});
        output::print(&summary.to_string());
    } else {
        output::print(&format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 {
        Outcome::Success
    } else {
        Outcome::Finding
    })
}

fn print(file: &str, verdict: &Verdict) {
    match &verdict.failure {
        None => output::print(&format!("ok      {file}: {}", verdict.name)),
        Some((message, input)) => {
            let input = if input.is_empty() {
                String::new()
            } else {
                format!("\n        with {input}")
            };
            output::print(&format!(
                "FAILED  {file}: {}\n        {message}{input}",
                verdict.name
            ));
        }
    }
}

fn one(
    engine: &Engine,
    program: &Program,
    (index, kind, name): (usize, TestKind, String),
    options: &Options,
    global: &Global,
) -> Result<Verdict, Failure> {
    let mut verdict = Verdict {
        name,
        cases: 0,
        failure: None,
    };
    let ranks = if kind == TestKind::Prop { 3 } else { 1 };
    let mut entries = Vec::new();
    for rank in 0..ranks {
        let entry = program.test_entry(index, rank).map_err(|found| {
            driver::report(program, &found, global);
            Failure {
                outcome: Outcome::BadInput,
                message: String::new(),
            }
        })?;
        let prepared = engine.prepare(&entry, &aiai_codegen::Options::default())?;
        entries.push(Case { entry, prepared });
    }
    let cases = if kind == TestKind::Prop {
        options.cases
    } else {
        1
    };
    for case in 0..cases {
        let tested = &entries[case as usize % entries.len()];
        let entry = &tested.entry;
        let mut stream = Stream::new(options.seed.wrapping_add(u64::from(case)));
        let sizes = draw_sizes(entry, &mut stream, 5);
        if !admitted(entry, &sizes) {
            continue;
        }
        verdict.cases += 1;
        let args = draw_args(entry, &sizes, &mut stream)?;
        if let Err(e) = tested.execute(&args) {
            let found = Failing { error: e, args };
            let seed = options.seed.wrapping_add(u64::from(case));
            let Failing { error, args } = smaller(tested, seed, found);
            let error = backend::explained(entry, error, &args);
            verdict.failure = Some((error.to_string(), describe(entry, &args)));
            break;
        }
    }
    Ok(verdict)
}

impl Case<'_> {
    fn execute(&self, args: &[Tensor]) -> Result<(), RunError> {
        let args: Vec<&Tensor> = args.iter().collect();
        self.prepared.run(&args).map(|_| ())
    }
}

fn draw_sizes(entry: &Entry, stream: &mut Stream, below: u32) -> BTreeMap<Sym, i64> {
    let dims = entry
        .module
        .get(entry.name)
        .map(|f| f.dims())
        .unwrap_or_default();
    dims.into_iter()
        .map(|sym| (sym, (stream.unit() * f64::from(below)) as i64))
        .collect()
}

fn admitted(entry: &Entry, sizes: &BTreeMap<Sym, i64>) -> bool {
    let holds = |(dim, relation): &(Dim, aiai_ir::Relation)| {
        dim.eval(&|s| sizes.get(&s).copied())
            .is_some_and(|value| relation.holds(value))
    };
    entry.signature.constraints.iter().all(holds)
}

fn draw_args(
    entry: &Entry,
    sizes: &BTreeMap<Sym, i64>,
    stream: &mut Stream,
) -> Result<Vec<Tensor>, Failure> {
    let mut out = Vec::new();
    for (leaf, (low, high)) in domains(entry) {
        let shape: Option<Vec<usize>> = leaf
            .shape
            .iter()
            .map(|d| usize::try_from(d.eval(&|s| sizes.get(&s).copied())?).ok())
            .collect();
        let shape = shape.ok_or_else(|| {
            Failure::input(format!("`{}` has a shape that cannot be drawn", leaf.path))
        })?;
        out.push(stream.tensor(leaf.dtype, &shape, low, high)?);
    }
    Ok(out)
}

/// The leaves of the parameters, and between which numbers their elements are drawn.
fn domains(entry: &Entry) -> Vec<(&Leaf, (f64, f64))> {
    let signature = &entry.signature;
    let params = signature.params.iter().zip(&signature.domains);
    params
        .flat_map(|((_, _, leaves), domain)| {
            let domain = domain.unwrap_or((-1.0, 1.0));
            leaves.iter().map(move |leaf| (leaf, domain))
        })
        .collect()
}

fn describe(entry: &Entry, args: &[Tensor]) -> String {
    let names = entry.signature.params.iter().flat_map(|p| &p.2);
    let parts: Vec<String> = names
        .zip(args)
        .map(|(leaf, tensor)| {
            let array = backend::array_of(tensor);
            format!("{} = {}", leaf.path, values::to_json(&array))
        })
        .collect();
    parts.join(", ")
}
