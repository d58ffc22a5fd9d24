//! The gate: fourteen steps from a text that claims to be a rule to a verdict.
//!
//! Nothing in a candidate addresses the gate: documentation, names and comments are carried along and never
//! read. Whatever is drawn is drawn from seeds that the candidate's author cannot know, and that the report says.

use std::collections::BTreeMap;

use aiai_prove::solver::Solver;
use serde::{Deserialize, Serialize};

mod axes;
mod backends;
pub mod candidate;
pub mod context;
mod coverage;
pub mod evidence;
mod fingerprint;
mod form;
mod growth;
mod idle;
mod library;
pub mod listing;
mod metamorphic;
mod mutants;
mod pairs;
mod positions;
mod profit;
mod report;

pub use library::Library;
pub use report::{AlgebraKind, FloatKind, Report, SCHEMA, Status, Step, StepReport, Verdict};

use candidate::{Candidate, File, class_text};

/// What a judgement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Whether the rule is right. What admission would refuse beyond that is said and stops nothing.
    Check,
    /// Whether the rule becomes part of the compiler. `anchor`: a textbook identity, which need not fire on the
    /// models at hand, nor be independent of rules that are admitted.
    Admit { anchor: bool },
}

/// How hard to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    pub purpose: Purpose,
    /// Everything random follows from it and the name of the rule.
    pub seed: u64,
    /// Firings of the property tests, at least.
    pub cases: u64,
    /// Mutants of the rule that step 11 looks at.
    pub mutants: usize,
    /// Whether step 12 takes time measurements.
    pub timed: bool,
}

impl Options {
    pub fn new(purpose: Purpose, seed: u64) -> Options {
        Options {
            purpose,
            seed,
            cases: 1000,
            mutants: 6,
            timed: matches!(purpose, Purpose::Admit { .. }),
        }
    }
}

/// A program that rules are tried on: primitives, as text of the IR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub ir: String,
    /// Sizes to run it at.
    pub sizes: BTreeMap<String, i64>,
    /// Looked at for regressions only, never for profit.
    pub held_out: bool,
}

/// What the tasks of a worker share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Files of admitted rules: names and texts.
    pub admitted: Vec<(String, String)>,
    pub models: Vec<Model>,
}

/// Rules to judge: all of a file, or those named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub file: String,
    pub text: String,
    pub only: Option<Vec<String>>,
    pub options: Options,
}

impl Task {
    /// The rule that the task is about, where it is one.
    pub fn only_one(&self) -> Option<&str> {
        match self.only.as_deref() {
            Some([name]) => Some(name),
            Some(_) | None => None,
        }
    }
}

/// How a step ended, and what it leaves for the report.
pub struct Outcome {
    pub status: Status,
    pub detail: String,
    pub count: u64,
    pub seed: Option<u64>,
    pub counterexample: Option<String>,
}

impl Outcome {
    fn new(status: Status, detail: &str, count: u64) -> Outcome {
        Outcome {
            status,
            detail: detail.to_owned(),
            count,
            seed: None,
            counterexample: None,
        }
    }

    pub fn passed(detail: &str, count: u64) -> Outcome {
        Outcome::new(Status::Passed, detail, count)
    }

    pub fn failed(detail: &str) -> Outcome {
        Outcome::new(Status::Failed, detail, 0)
    }

    pub fn refused(detail: &str) -> Outcome {
        Outcome::new(Status::Refused, detail, 0)
    }

    pub fn skipped(detail: &str) -> Outcome {
        Outcome::new(Status::Skipped, detail, 0)
    }

    fn seeded(mut self, seed: u64) -> Outcome {
        self.seed = Some(seed);
        self
    }

    fn shown(mut self, counterexample: Option<String>) -> Outcome {
        self.counterexample = counterexample;
        self
    }
}

/// Everything the steps look at.
pub struct Bench<'b> {
    pub candidate: &'b Candidate<'b>,
    pub library: &'b Library,
    /// Other rules of the same file.
    pub others: Vec<aiai_ir::Rule>,
    pub models: &'b [Model],
    pub options: &'b Options,
    pub seed: u64,
}

/// Judges the rules of a task, each by itself. The first failure of a rule ends its report.
pub fn judge(
    task: &Task,
    setup: &Setup,
    library: &Library,
    solver: &mut dyn Solver,
) -> Vec<Report> {
    let seed = task.options.seed;
    let file = match File::read(&task.file, &task.text) {
        Ok(file) => file,
        Err(why) => {
            let name = task.only_one().unwrap_or_default();
            return vec![Report::rejected(&task.file, name, seed, Step::Form, &why)];
        }
    };
    let wanted = |name: &str| {
        task.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|o| o == name))
    };
    let indices = (0..file.infos.len()).filter(|k| wanted(file.infos[*k].name.as_str()));
    let reports = indices.map(|index| match file.candidate(index) {
        Some(candidate) => one(&candidate, task, setup, library, solver),
        None => Report::rejected(&task.file, "", seed, Step::Form, "the rule is not readable"),
    });
    let reports: Vec<Report> = reports.collect();
    if reports.is_empty() {
        return vec![Report::rejected(
            &task.file,
            "",
            seed,
            Step::Form,
            "no rule of that name",
        )];
    }
    reports
}

fn one(
    candidate: &Candidate,
    task: &Task,
    setup: &Setup,
    library: &Library,
    solver: &mut dyn Solver,
) -> Report {
    let seed = aiai_ir::random::derive(task.options.seed, candidate.name());
    let mut report = Report::new(&task.file, candidate.name(), task.options.seed);
    report.family = candidate.info.family.map(|f| f.to_string());
    report.line = candidate.info.loc.map_or(0, |loc| loc.line);
    report.class = class_text(candidate.info.class);
    report.instances = candidate.instances.len();
    let bench = Bench {
        candidate,
        library,
        others: growth::others(candidate),
        models: &setup.models,
        options: &task.options,
        seed,
    };
    let mut run = Run {
        report,
        purpose: task.options.purpose,
    };
    let done = steps(&bench, &mut run, solver);
    debug_assert!(done.is_some() || !run.report.accepted());
    run.report
}

struct Run {
    report: Report,
    purpose: Purpose,
}

/// The steps, in order; `None`: one of them stopped it.
fn steps(bench: &Bench, run: &mut Run, solver: &mut dyn Solver) -> Option<()> {
    // 1. Size, constructs, a guard that can hold. (Grammar and types: the front end has seen to them.)
    run.step(Step::Form, form::form(bench.candidate))?;
    // 2. The declared class, against what the sides do.
    run.step(Step::Class, form::class(bench.candidate))?;
    // 3. Rewriting ends.
    run.step(Step::Termination, growth::termination(bench))?;
    // 4. Admitted rules do not do the same already.
    run.step(Step::Derivable, growth::derivable(bench))?;
    // 5. The rule fires, and what it leaves is well formed.
    run.step(Step::Verifier, growth::firing(bench))?;
    // 6. A proof, as far as there is one.
    let proof = evidence::proof(bench, solver, &mut run.report);
    run.step(Step::Proof, proof)?;
    // 7. All inputs, where they can be counted.
    let exhaustive = evidence::exhaustive(bench, &mut run.report);
    run.step(Step::Exhaustive, exhaustive)?;
    // 8. Drawn inputs, aimed at what goes wrong.
    let tests = evidence::tests(bench, &mut run.report);
    run.step(Step::Tests, tests)?;
    // 9. Relations that hold whatever the rule says.
    run.step(Step::Metamorphic, metamorphic::check(bench))?;
    // 10. With the admitted rules, in both orders.
    run.step(Step::Pairs, pairs::check(bench))?;
    let proved = run.report.algebra != AlgebraKind::None;
    // 11. The checks can tell this rule from wrong ones.
    run.step(Step::Mutants, mutants::check(bench, solver, proved))?;
    // 12. It is of use.
    let (profit, firings) = profit::profit(bench);
    run.report.firings += firings;
    run.step(Step::Profit, profit)?;
    // 13. It does no harm elsewhere.
    run.step(Step::Regression, profit::regression(bench))?;
    // 14. Machine code and the evaluator agree on its sides.
    run.step(Step::Backends, backends::check(bench))
}

impl Run {
    /// Books a step; `None` where it stops the rule.
    fn step(&mut self, step: Step, outcome: Outcome) -> Option<()> {
        let Outcome {
            status,
            detail,
            count,
            seed,
            counterexample,
        } = outcome;
        self.report.push(step, status, &detail, count, seed);
        match status {
            Status::Passed | Status::Skipped => Some(()),
            Status::Failed => {
                self.report.reject(step, &detail, counterexample);
                None
            }
            Status::Refused => {
                self.report
                    .refusals
                    .push(format!("{}: {detail}", step.name()));
                // An anchor need be neither new nor of use to the models at hand.
                let waived = matches!(step, Step::Derivable | Step::Profit);
                match self.purpose {
                    Purpose::Check => Some(()),
                    Purpose::Admit { anchor: true } if waived => Some(()),
                    Purpose::Admit { .. } => {
                        self.report.reject(step, &detail, counterexample);
                        None
                    }
                }
            }
        }
    }
}
