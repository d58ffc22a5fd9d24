//! `aiai pass gate --self-test`

use std::path::Path;
use std::time::Instant;

use aiai_bootstrap::selftest::{self, Corpus, Extent, SelfReport};
use serde_json::{Value, json};

use super::cli::GateArgs;
use super::{broken, jobs_of, launch, progress, seed_of, setup, texts};
use crate::cli::Global;
use crate::{Ended, Failure, Outcome, output};

pub fn run(args: &GateArgs, global: &Global) -> Ended {
    let start = Instant::now();
    let (setup, launch) = (setup()?, launch(args.effort.limit)?);
    let good = part(&args.corpus.join("rules").join("good"))?;
    let mut rules = setup.admitted.clone();
    rules.extend(good.iter().cloned());
    let corpus = Corpus {
        exploits: part(&args.corpus.join("exploits"))?,
        good,
        rules,
    };
    let extent = Extent {
        seed: seed_of(&args.effort),
        jobs: jobs_of(&args.effort),
        every: usize::from(args.every),
        per_rule: usize::from(args.mutants),
    };
    let bar = progress::bar(0);
    let said = |what: &str, count: usize| {
        if what.is_empty() {
            bar.inc(count as u64);
        } else {
            bar.set_position(0);
            bar.set_length(count as u64);
            bar.set_message(what.to_owned());
        }
    };
    let report = selftest::run(&launch, &setup, &corpus, &extent, &said).map_err(broken)?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if global.json {
        output::print(&with_seconds(&report, seconds)?);
    } else {
        print(&report, seconds);
    }
    Ok(if report.passed() {
        Outcome::Success
    } else {
        Outcome::Finding
    })
}

fn part(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::input(format!(
            "{}: no such folder; run it in a checkout, or name the corpus with --corpus",
            folder.display()
        )));
    }
    texts(&[folder.to_owned()])
}

fn with_seconds(report: &SelfReport, seconds: f64) -> Result<String, Failure> {
    let value = serde_json::to_value(report);
    let mut value = value.map_err(|e| Failure::environment(e.to_string()))?;
    if let Value::Object(fields) = &mut value {
        fields.insert(
            "seconds".to_owned(),
            json!((seconds * 100.0).round() / 100.0),
        );
    }
    Ok(value.to_string())
}

fn print(report: &SelfReport, seconds: f64) {
    let lists = [
        ("exploits that passed", &report.exploits_passed),
        ("wrong rules that survived", &report.survivors),
        ("right rules that were rejected", &report.rejected_good),
        ("mutants of which nothing is known", &report.undecided),
    ];
    for (what, list) in lists {
        if !list.is_empty() {
            output::print(&format!("{what}:"));
            list.iter()
                .for_each(|one| output::print(&format!("  {one}")));
        }
    }
    let (exploits, mutants, good) = (report.exploits, report.mutants, report.good);
    output::print(&format!(
        "exploits rejected {} of {}; mutants killed {} of {} ({} undecided, {} right); right rules accepted {} of {}; \
         seed {:#x}; {seconds:.0} s",
        exploits.rejected,
        exploits.total,
        mutants.killed,
        mutants.total,
        report.undecided.len(),
        report.equivalent,
        good.accepted,
        good.total,
        report.seed
    ));
}
