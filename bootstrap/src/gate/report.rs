//! What the gate says of a rule: of each step what was tried, with seeds and counts; as text and as JSON.
//!
//! Reports hold no clock and no path of the machine, so that the same seed gives the same report.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Of the JSON form; grows when a key changes its meaning.
pub const SCHEMA: u32 = 1;

/// The steps of the gate, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Form,
    Class,
    Termination,
    Derivable,
    Verifier,
    Proof,
    Exhaustive,
    Tests,
    Metamorphic,
    Pairs,
    Mutants,
    Profit,
    Regression,
    Backends,
}

impl Step {
    pub const ALL: [Step; 14] = [
        Step::Form,
        Step::Class,
        Step::Termination,
        Step::Derivable,
        Step::Verifier,
        Step::Proof,
        Step::Exhaustive,
        Step::Tests,
        Step::Metamorphic,
        Step::Pairs,
        Step::Mutants,
        Step::Profit,
        Step::Regression,
        Step::Backends,
    ];

    /// Its number, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    pub fn name(self) -> &'static str {
        match self {
            Step::Form => "form",
            Step::Class => "class",
            Step::Termination => "termination",
            Step::Derivable => "derivable",
            Step::Verifier => "verifier",
            Step::Proof => "proof",
            Step::Exhaustive => "exhaustive",
            Step::Tests => "tests",
            Step::Metamorphic => "metamorphic",
            Step::Pairs => "pairs",
            Step::Mutants => "mutants",
            Step::Profit => "profit",
            Step::Regression => "regression",
            Step::Backends => "backends",
        }
    }

    pub fn named(name: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Passed,
    /// Nothing is wrong with the rule, but admission refuses it.
    Refused,
    Failed,
    /// The step does not apply, or could not be tried; the detail says why. Never counted as evidence.
    Skipped,
}

/// One step: what was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    pub number: usize,
    pub step: Step,
    pub status: Status,
    pub detail: String,
    /// How many inputs, firings, mutants or the like were tried.
    pub count: u64,
    /// What the inputs were drawn from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seed: Option<u64>,
}

/// The verdict on a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Accepted,
    Rejected,
}

/// Evidence on the algebra axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlgebraKind {
    Proved,
    Bounded,
    None,
}

/// Evidence on the float axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloatKind {
    Proved,
    Exhaustive,
    Tested,
    None,
}

/// What the gate found of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub schema: u32,
    /// Empty where the file could not be read so far as to name its rules.
    pub rule: String,
    pub family: Option<String>,
    pub file: String,
    pub line: u32,
    pub class: String,
    pub verdict: Verdict,
    /// The step that rejected it.
    pub stopped_at: Option<Step>,
    /// Why it was rejected.
    pub why: Option<String>,
    /// Why admission would refuse it although nothing is wrong with it.
    pub refusals: Vec<String>,
    pub algebra: AlgebraKind,
    /// For which ranks or sizes, or why there is no proof.
    pub algebra_detail: String,
    pub float: FloatKind,
    pub float_detail: String,
    pub seed: u64,
    /// How many times the rule fired, in all steps.
    pub firings: u64,
    pub instances: usize,
    pub steps: Vec<StepReport>,
    /// Program text that shows what is wrong.
    pub counterexample: Option<String>,
}

impl Report {
    pub fn new(file: &str, rule: &str, seed: u64) -> Report {
        Report {
            schema: SCHEMA,
            rule: rule.to_owned(),
            family: None,
            file: file.to_owned(),
            line: 0,
            class: String::new(),
            verdict: Verdict::Accepted,
            stopped_at: None,
            why: None,
            refusals: Vec::new(),
            algebra: AlgebraKind::None,
            algebra_detail: "not attempted".to_owned(),
            float: FloatKind::None,
            float_detail: "not attempted".to_owned(),
            seed,
            firings: 0,
            instances: 0,
            steps: Vec::new(),
            counterexample: None,
        }
    }

    /// A report that ends at a step.
    pub fn rejected(file: &str, rule: &str, seed: u64, step: Step, why: &str) -> Report {
        let mut report = Report::new(file, rule, seed);
        report.push(step, Status::Failed, why, 0, None);
        report.reject(step, why, None);
        report
    }

    pub fn push(
        &mut self,
        step: Step,
        status: Status,
        detail: &str,
        count: u64,
        seed: Option<u64>,
    ) {
        self.steps.push(StepReport {
            number: step.number(),
            step,
            status,
            detail: detail.to_owned(),
            count,
            seed,
        });
    }

    pub fn reject(&mut self, step: Step, why: &str, counterexample: Option<String>) {
        self.verdict = Verdict::Rejected;
        self.stopped_at = Some(step);
        self.why = Some(why.to_owned());
        self.counterexample = counterexample;
    }

    pub fn accepted(&self) -> bool {
        self.verdict == Verdict::Accepted
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let name = if self.rule.is_empty() {
            "(file)"
        } else {
            &self.rule
        };
        let verdict = match (self.verdict, self.stopped_at) {
            (Verdict::Accepted, _) => "accepted".to_owned(),
            (Verdict::Rejected, Some(step)) => {
                format!("REJECTED at step {} ({})", step.number(), step.name())
            }
            (Verdict::Rejected, None) => {
                format!("REJECTED: {}", self.why.as_deref().unwrap_or_default())
            }
        };
        let place = match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}", self.file),
        };
        let _ = writeln!(out, "{name}: {verdict}   {place}");
        if !self.class.is_empty() {
            let algebra = format!("{:?}", self.algebra).to_lowercase();
            let float = format!("{:?}", self.float).to_lowercase();
            let _ = writeln!(out, "  claims {}, seed {:#x}", self.class, self.seed);
            let _ = writeln!(out, "  algebra {algebra}: {}", self.algebra_detail);
            let _ = writeln!(out, "  float {float}: {}", self.float_detail);
        }
        for step in &self.steps {
            let status = match step.status {
                Status::Passed => "ok",
                Status::Refused => "refused",
                Status::Failed => "FAILED",
                Status::Skipped => "skipped",
            };
            let (number, name) = (step.number, step.step.name());
            let _ = writeln!(out, "  {number:2} {name:<12} {status:<8} {}", step.detail);
        }
        if let Some(text) = &self.counterexample {
            let _ = writeln!(out, "  counterexample:");
            for line in text.lines() {
                let _ = writeln!(out, "    {line}");
            }
        }
        out
    }

    /// One line for people.
    pub fn to_line(&self) -> String {
        let name = if self.rule.is_empty() {
            &self.file
        } else {
            &self.rule
        };
        let algebra = format!("{:?}", self.algebra).to_lowercase();
        let float = format!("{:?}", self.float).to_lowercase();
        let why = self.why.as_deref().unwrap_or_default();
        let first = why.lines().next().unwrap_or_default();
        match self.stopped_at {
            None if !self.accepted() => format!("REJECTED {name}: {first}"),
            None if self.refusals.is_empty() => format!("ok       {name} ({algebra}, {float})"),
            None => format!(
                "ok       {name} ({algebra}, {float}); {}",
                self.refusals.join("; ")
            ),
            Some(step) => {
                format!(
                    "REJECTED {name} at step {} ({}): {first}",
                    step.number(),
                    step.name()
                )
            }
        }
    }
}
