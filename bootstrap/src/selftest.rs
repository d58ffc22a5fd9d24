//! The gate judged: cheats and wrong mutants must be rejected, right rules accepted.
//!
//! A mutant counts when a witness says that it is wrong; the witness is found without the gate. One that the prover
//! shows to be right is left out; the rest are undecided, and listed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::{Options, Purpose, Report, SCHEMA, Setup, Step, Task};
use crate::worker::PANICKED;
use crate::worker::{Launch, WorkerError, judge_all, mutants_of};
use aiai_ir::random::{Random, derive};

mod wrong;

pub use wrong::{Found, Standing, find_mutants};

/// What the gate is judged by: names and texts.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    pub exploits: Vec<(String, String)>,
    pub good: Vec<(String, String)>,
    /// Rules that mutants are made of.
    pub rules: Vec<(String, String)>,
}

/// How much of it.
#[derive(Clone, Debug)]
pub struct Extent {
    pub seed: u64,
    pub jobs: usize,
    /// Of each part, every so many-th; 1 is all.
    pub every: usize,
    /// Mutants of one rule, at most.
    pub per_rule: usize,
}

/// A figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploits {
    pub total: usize,
    pub rejected: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutants {
    pub total: usize,
    pub killed: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    pub total: usize,
    pub accepted: usize,
}

/// How the gate did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SelfReport {
    pub schema: u32,
    pub seed: u64,
    pub exploits: Exploits,
    pub mutants: Mutants,
    pub good: Good,
    /// Exploits that were accepted, or rejected later than they should be.
    pub exploits_passed: Vec<String>,
    /// Wrong mutants that were accepted, each with its witness.
    pub survivors: Vec<String>,
    /// Mutants that nothing shows to be wrong or right.
    pub undecided: Vec<String>,
    /// Right rules that were rejected, and why.
    pub rejected_good: Vec<String>,
    /// Mutants that are right, as the prover shows.
    pub equivalent: usize,
    /// Per way of changing a rule, how many wrong mutants there were.
    pub operators: BTreeMap<String, usize>,
    /// Which step stopped exploits and mutants, and how many.
    pub stopped_at: BTreeMap<String, usize>,
}

impl SelfReport {
    /// Whether every exploit is rejected, and the other figures are as they should be: 99 % of the mutants
    /// killed, 98 % of the good rules accepted, 5 % of the mutants undecided at most.
    pub fn passed(&self) -> bool {
        let Mutants { total, killed } = self.mutants;
        let undecided = self.undecided.len();
        self.exploits.rejected == self.exploits.total
            && killed * 100 >= total * 99
            && undecided * 100 <= (total + undecided) * 5
            && self.good.accepted * 100 >= self.good.total * 98
    }
}

/// Runs the self-test. `progress` gets what is done and of how many.
///
/// # Errors
/// Where no worker can be had on this machine.
pub fn run(
    launch: &Launch,
    setup: &Setup,
    corpus: &Corpus,
    extent: &Extent,
    progress: &(dyn Fn(&str, usize) + Sync),
) -> Result<SelfReport, WorkerError> {
    let mut report = SelfReport {
        schema: SCHEMA,
        seed: extent.seed,
        ..SelfReport::default()
    };
    exploits(launch, setup, corpus, extent, progress, &mut report)?;
    good(launch, setup, corpus, extent, progress, &mut report)?;
    mutants(launch, setup, corpus, extent, progress, &mut report)?;
    Ok(report)
}

fn thinned<T: Clone>(all: &[T], every: usize) -> Vec<T> {
    all.iter().step_by(every.max(1)).cloned().collect()
}

/// The step that an exploit should be stopped at, from its header.
fn expected(text: &str) -> Option<Step> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("// stopped at: "))?;
    Step::named(line.trim())
}

fn exploits(
    launch: &Launch,
    setup: &Setup,
    corpus: &Corpus,
    extent: &Extent,
    progress: &(dyn Fn(&str, usize) + Sync),
    report: &mut SelfReport,
) -> Result<(), WorkerError> {
    let mut all = thinned(&corpus.exploits, extent.every);
    all.extend(generated());
    let options = Options::new(Purpose::Admit { anchor: false }, extent.seed);
    let task = |(file, text): &(String, String)| Task {
        file: file.clone(),
        text: text.clone(),
        only: None,
        options: Options {
            timed: false,
            ..options.clone()
        },
    };
    let tasks: Vec<Task> = all.iter().map(task).collect();
    progress("exploits", tasks.len());
    let judged = judge_all(launch, setup, &tasks, extent.jobs, &|_| progress("", 1))?;
    for ((file, text), reports) in all.iter().zip(&judged) {
        report.exploits.total += 1;
        let wanted = expected(text);
        let stopped = reports.iter().find(|r| !r.accepted());
        let step = stopped.and_then(|r| r.stopped_at);
        let in_time = step.is_some_and(|step| wanted.is_none_or(|wanted| step <= wanted));
        // What ends the worker is rejected, too, but not by a mistake of the gate.
        let ended = stopped.filter(|r| r.stopped_at.is_none());
        let ended = ended.and_then(|r| r.why.as_deref());
        if in_time || ended.is_some_and(|why| !why.contains(PANICKED)) {
            report.exploits.rejected += 1;
        } else {
            let wanted = wanted.map_or("anywhere", Step::name);
            let how = match (step, ended) {
                (Some(step), _) => format!("stopped at {}", step.name()),
                (None, Some(why)) => why.to_owned(),
                (None, None) => "accepted".to_owned(),
            };
            report
                .exploits_passed
                .push(format!("{file}: {how}, should be at {wanted}"));
        }
        let step = step.map_or("worker", Step::name);
        *report.stopped_at.entry(step.to_owned()).or_default() += 1;
    }
    Ok(())
}

/// Exploits that are too large to keep as files.
fn generated() -> Vec<(String, String)> {
    let chain = "x + 1.0 + ".repeat(4000);
    let many: String = (0..1500)
        .map(|k| format!("rule r{k}(x: f32[..S]) exact {{ -(-x) => x }}\n"))
        .collect();
    let blanks = " ".repeat(2 << 20);
    let wide = (0..3000)
        .map(|k| format!("x{k}: f32[N]"))
        .collect::<Vec<_>>()
        .join(", ");
    let texts = [
        (
            "huge_file",
            format!("rule big(x: f32[N]) exact {{ -(-x) => x }}{blanks}\n"),
        ),
        (
            "huge_expression",
            format!("rule long(x: f32[N]) exact {{ {chain}x => x }}\n"),
        ),
        ("huge_number_of_rules", many),
        (
            "huge_parameter_list",
            format!("rule wide({wide}) exact {{ -(-x0) => x0 }}\n"),
        ),
        (
            "deeper_nesting",
            format!(
                "rule deep(x: f32[N]) exact {{ {}x{} => x }}\n",
                "-(".repeat(20_000),
                ")".repeat(20_000)
            ),
        ),
    ];
    let named = texts.into_iter().map(|(name, text)| {
        let header = "// tries: to exhaust whoever reads it\n// stopped at: form\n\n";
        (format!("generated/{name}.aiai"), format!("{header}{text}"))
    });
    named.collect()
}

fn good(
    launch: &Launch,
    setup: &Setup,
    corpus: &Corpus,
    extent: &Extent,
    progress: &(dyn Fn(&str, usize) + Sync),
    report: &mut SelfReport,
) -> Result<(), WorkerError> {
    let tasks = crate::worker::tasks_of(
        launch,
        setup,
        &corpus.good,
        &Options::new(Purpose::Check, extent.seed),
    )?;
    let tasks = thinned(&tasks, extent.every);
    progress("right rules", tasks.len());
    let judged = judge_all(launch, setup, &tasks, extent.jobs, &|_| progress("", 1))?;
    for one in judged.iter().flatten() {
        report.good.total += 1;
        if one.accepted() {
            report.good.accepted += 1;
        } else {
            report.rejected_good.push(one.to_line());
        }
    }
    Ok(())
}

fn mutants(
    launch: &Launch,
    setup: &Setup,
    corpus: &Corpus,
    extent: &Extent,
    progress: &(dyn Fn(&str, usize) + Sync),
    report: &mut SelfReport,
) -> Result<(), WorkerError> {
    let options = Options::new(Purpose::Check, extent.seed);
    let sources = crate::worker::tasks_of(launch, setup, &corpus.rules, &options)?;
    let sources = thinned(&sources, extent.every);
    progress("rules to mutate", sources.len());
    let mut found = mutants_of(launch, setup, &sources, extent, &|| progress("", 1))?;
    Random::new(derive(extent.seed, "order")).shuffle(&mut found);
    let mut wrong = Vec::new();
    for mutant in found {
        match &mutant.standing {
            Standing::Wrong(_) => wrong.push(mutant),
            Standing::Right => report.equivalent += 1,
            Standing::Undecided => {
                report.undecided.push(format!(
                    "{}: {}: {}",
                    mutant.rule, mutant.operator, mutant.change
                ));
            }
        }
    }
    let task = |mutant: &Found| Task {
        file: format!("mutants/{}.aiai", mutant.rule),
        text: mutant.text.clone(),
        only: None,
        options: options.clone(),
    };
    let tasks: Vec<Task> = wrong.iter().map(task).collect();
    progress("mutants", tasks.len());
    let judged = judge_all(launch, setup, &tasks, extent.jobs, &|_| progress("", 1))?;
    for (mutant, reports) in wrong.iter().zip(&judged) {
        report.mutants.total += 1;
        *report.operators.entry(mutant.operator.clone()).or_default() += 1;
        match reports.iter().find(|r: &&Report| !r.accepted()) {
            Some(stopped) => {
                report.mutants.killed += 1;
                let step = stopped.stopped_at.map_or("worker", Step::name);
                *report.stopped_at.entry(step.to_owned()).or_default() += 1;
            }
            None => {
                let Standing::Wrong(witness) = &mutant.standing else {
                    continue;
                };
                report
                    .survivors
                    .push(format!("{}: {}: {}", mutant.rule, mutant.change, witness));
            }
        }
    }
    Ok(())
}
