//! `aiai fuzz`: random programs, the reference evaluator against machine code.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use aiai_fuzz::{Program, Verdict, check, generate};
use aiai_runtime::Pool;
use indicatif::ProgressBar;
use serde_json::json;

use crate::cli::{Backend, Global};
use crate::{Ended, Failure, Outcome, llvm, output};

pub struct Options<'a> {
    pub seed: u64,
    /// Seconds.
    pub budget: f64,
    pub count: u64,
    pub shard: Option<&'a str>,
}

/// One in so many programs takes a gradient.
const GRADIENTS: u64 = 4;

/// The program of a seed.
fn program(seed: u64) -> Program {
    let options = aiai_fuzz::Options {
        gradients: seed.is_multiple_of(GRADIENTS),
        ..Default::default()
    };
    generate(seed, &options)
}

/// Prints the program of a seed.
pub fn show(seed: u64) -> Ended {
    let program = program(seed);
    output::print(&aiai_ir::print_module(&program.module, Default::default()));
    for (case, sizes) in program.sizes.iter().enumerate() {
        let sizes: Vec<String> = sizes.iter().map(|(n, s)| format!("{n}={s}")).collect();
        output::print(&format!("# case {case}: {}", sizes.join(" ")));
    }
    Ok(Outcome::Success)
}

pub fn run(options: &Options, global: &Global) -> Ended {
    let (first, step) = shard(options.shard)?;
    let pools = [1, 2]
        .map(Pool::new)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let backend = match global.backend {
        Backend::Llvm => aiai_fuzz::Backend {
            name: "llvm",
            options: aiai_fuzz::schedules::options,
            compile: |function, options| llvm::compile(function, options).map_err(|e| e.message),
        },
        Backend::Interp | Backend::Cranelift => aiai_fuzz::CRANELIFT,
    };
    let start = Instant::now();
    let budget = Duration::try_from_secs_f64(options.budget)
        .map_err(|e| Failure::input(format!("`--budget {}`: {e}", options.budget)))?;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    let (mut programs, mut compared, mut skipped) = (0u64, 0, 0);
    let mut generating = Duration::ZERO;
    let mut failures = Vec::new();
    let mut seed = options.seed.wrapping_add(first);
    while programs < options.count && start.elapsed() < budget {
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            let began = Instant::now();
            let program = program(seed);
            generating += began.elapsed();
            check(&program, &pools, backend)
        }));
        let verdict = verdict.unwrap_or_else(|_| {
            Verdict::Failed(aiai_fuzz::Failure {
                case: 0,
                stage: "panic",
                message: "the compiler panicked".into(),
            })
        });
        match verdict {
            Verdict::Agreed { runs, skipped: s } => {
                compared += runs;
                skipped += s;
            }
            Verdict::Failed(failure) => {
                let (case, stage) = (failure.case, failure.stage);
                let message = &failure.message;
                bar.suspend(|| {
                    eprintln!(
                        "aiai fuzz --seed {seed} --count 1  # case {case}, {stage}: {message}"
                    );
                });
                failures.push(json!({
                    "seed": seed, "case": case, "stage": stage, "message": message,
                }));
            }
        }
        programs += 1;
        seed = seed.wrapping_add(step);
        bar.set_message(format!("{programs} programs, {} failures", failures.len()));
        bar.tick();
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if global.json {
        let summary = json!({
            "schema": 1, "programs": programs, "compared": compared, "skipped": skipped,
            "failures": failures, "seconds": seconds, "generating_seconds": generating.as_secs_f64(),
        });
        output::print(&summary.to_string());
    } else {
        output::print(&format!(
            "{programs} programs in {seconds:.1} s: {compared} runs compared, {skipped} undecided or too \
             long, {} failures",
            failures.len()
        ));
    }
    Ok(if failures.is_empty() {
        Outcome::Success
    } else {
        Outcome::Finding
    })
}

/// The first seed's offset and the distance between seeds.
fn shard(text: Option<&str>) -> Result<(u64, u64), Failure> {
    let Some(text) = text else { return Ok((0, 1)) };
    let parsed = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    match parsed {
        Some((i, n)) if i < n => Ok((i, n)),
        _ => Err(Failure::input(format!(
            "`--shard {text}`: expected I/N with I from 0 to N - 1"
        ))),
    }
}
