//! Tests the rules of files at full speed and says how many instances a second, and which were convicted:
//! `throughput CASES SEED FILE...`. One case is one set of arguments for one instance of a rule.

use std::time::Instant;

use aiai_frontend::elaborate::{Loader, check};
use aiai_ir::{DType, Instance, Rule};
use aiai_prove::{TestOptions, test};

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

/// Dtypes that instances are made for.
const DTYPES: [DType; 7] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I32,
    DType::I64,
    DType::Bool,
];

fn instances(path: &str) -> Vec<Rule> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let program = check(path, &text, &NoFiles);
    for found in program.diagnostics.iter() {
        eprintln!("{path}: {}", found.message);
    }
    let mut wanted: Vec<(usize, Instance)> = Vec::new();
    for (index, info) in program.rule_infos().iter().enumerate() {
        let found = info.instances(0..=2, &DTYPES, 400);
        wanted.extend(found.into_iter().map(|instance| (index, instance)));
    }
    aiai_passes::rewrite::prepare(program.instantiate(&wanted))
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default| args.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (cases, seed): (u64, u64) = (number(100), number(1));
    let (mut total, mut compared, mut convicted, mut rules) = (0, 0, 0, 0);
    let mut elapsed = 0.0;
    for path in args {
        for rule in instances(&path) {
            let start = Instant::now();
            let options = TestOptions {
                seed,
                cases,
                ..TestOptions::default()
            };
            let report = test(&rule, &options);
            let seconds = start.elapsed().as_secs_f64();
            elapsed += seconds;
            rules += 1;
            total += report.cases;
            compared += report.compared;
            let about = format!("{} {:?}", rule.name, rule.instance);
            if let Some(found) = &report.failure {
                convicted += 1;
                println!("convicted {about}: {}", found.why);
                for (name, value) in &found.inputs {
                    println!("    {name} = {:?} {:?}", value.shape, value.data);
                }
            } else if let Some(why) = report.inconclusive() {
                println!("inconclusive {about}: {why}");
            }
            if std::env::var_os("SLOW").is_some() && report.failure.is_none() {
                let rate = report.cases as f64 / seconds;
                println!("{rate:9.0} a second {about}");
            }
        }
    }
    let rate = total as f64 / elapsed.max(1e-9);
    println!(
        "{rules} instances of rules, {total} cases ({compared} compared) in {elapsed:.1} s: {rate:.0} a second; {convicted} convicted"
    );
}
