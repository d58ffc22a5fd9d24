//! Steps 6 to 8: proof, exhaustive check, property tests; what they find is the evidence of the rule.

use std::collections::BTreeSet;

use aiai_prove::solver::Solver;
use aiai_prove::{Algebra, Ranks, TestOptions, prove_all};

use super::candidate::File;
use super::report::{AlgebraKind, FloatKind, Report};
use super::{Bench, Outcome, Task, coverage};
use crate::worker::Proved;
use aiai_ir::FloatClass;
use aiai_ir::random::derive;

/// Instances that are checked exhaustively, at most.
const EXHAUSTIVE: usize = 6;

/// Cases of one instance, at least.
const LEAST_CASES: u64 = 12;

/// Step 6.
pub fn proof(bench: &Bench, solver: &mut dyn Solver, report: &mut Report) -> Outcome {
    let candidate = bench.candidate;
    let instances = candidate.for_proof();
    let proof = prove_all(candidate.info, &instances, solver);
    let steps = proof.steps.len() as u64;
    if let Some(found) = proof.counterexample {
        let text = found.with_source(&candidate.file.text);
        report.algebra_detail = format!("refuted: {}", text.why);
        return Outcome {
            count: steps,
            ..Outcome::failed(&format!("refuted: {}", text.why))
        }
        .shown(Some(text.to_aiai()));
    }
    if proof.float_proved {
        report.float = FloatKind::Proved;
        report.float_detail = "both sides have the same bits for every input".to_owned();
    }
    let (kind, detail) = shown(&proof.algebra);
    let detail = format!("{detail} ({} instances)", instances.len());
    report.algebra = kind;
    report.algebra_detail = detail.clone();
    match kind {
        AlgebraKind::Proved => Outcome::passed(&format!("proved {detail}"), steps),
        AlgebraKind::Bounded => Outcome::passed(&detail, steps),
        AlgebraKind::None => Outcome::skipped(&format!("no proof: {detail}")),
    }
}

/// The proofs of the rules of a task, with their arguments.
pub fn proofs(task: &Task, solver: &mut dyn Solver) -> Vec<Proved> {
    let none = |rule: &str, detail: String| Proved {
        rule: rule.to_owned(),
        algebra: AlgebraKind::None,
        detail,
        float_proved: false,
        steps: Vec::new(),
    };
    let file = match File::read(&task.file, &task.text) {
        Ok(file) => file,
        Err(why) => return vec![none(task.only_one().unwrap_or(&task.file), why)],
    };
    let wanted = |name: &str| {
        task.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|o| o == name))
    };
    let mut proofs = Vec::new();
    for index in 0..file.infos.len() {
        let Some(candidate) = file.candidate(index).filter(|c| wanted(c.name())) else {
            continue;
        };
        let proof = prove_all(candidate.info, &candidate.for_proof(), solver);
        let (algebra, detail) = shown(&proof.algebra);
        let mut steps = proof.steps;
        if let Some(found) = proof.counterexample {
            let text = found.with_source(&candidate.file.text).to_aiai();
            steps.extend(text.lines().map(str::to_owned));
        }
        proofs.push(Proved {
            algebra,
            float_proved: proof.float_proved,
            steps,
            ..none(candidate.name(), detail)
        });
    }
    proofs
}

fn shown(algebra: &Algebra) -> (AlgebraKind, String) {
    match algebra {
        Algebra::Proved { ranks } => (AlgebraKind::Proved, {
            let ranks = match ranks {
                Ranks::All => "all ranks".to_owned(),
                Ranks::UpTo(most) => format!("ranks of packs up to {most}"),
            };
            format!("for all sizes, {ranks}")
        }),
        Algebra::Bounded { sizes } => (
            AlgebraKind::Bounded,
            format!("bounded: {sizes}; no proof for all sizes"),
        ),
        Algebra::None { why } => (AlgebraKind::None, why.clone()),
    }
}

/// Step 7.
pub fn exhaustive(bench: &Bench, report: &mut Report) -> Outcome {
    let (mut all, mut parts) = (BTreeSet::new(), BTreeSet::new());
    let (mut inputs, mut sampled) = (0u64, 0u64);
    let mut tried = 0;
    for rule in &bench.candidate.instances {
        // All elements of an input are alike: one rank says it for every rank.
        let small = rule.instance.ranks.values().all(|rank| *rank <= 1);
        if !small || tried == EXHAUSTIVE {
            continue;
        }
        let Some(found) = aiai_prove::exhaustive(rule) else {
            continue;
        };
        tried += 1;
        if let Some(failure) = found.failure {
            let text = failure.with_source(&bench.candidate.file.text);
            return Outcome::failed(&text.why).shown(Some(text.to_aiai()));
        }
        if found.complete() {
            inputs += found.inputs;
            all.insert(found.dtype.name());
        } else {
            sampled += found.inputs;
            parts.insert(found.dtype.name());
        }
    }
    let list =
        |names: &BTreeSet<&'static str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return Outcome::skipped(&match sampled {
            0 => "no instance has an input space small enough".to_owned(),
            n => format!(
                "{n} inputs of {} by partitions or undecided: no evidence by itself",
                list(&parts)
            ),
        });
    }
    let detail = format!("all {inputs} inputs of {}", list(&all));
    if report.float != FloatKind::Proved {
        report.float = FloatKind::Exhaustive;
        report.float_detail = detail.clone();
    }
    Outcome::passed(&detail, inputs)
}

/// Step 8.
pub fn tests(bench: &Bench, report: &mut Report) -> Outcome {
    let seed = derive(bench.seed, "tests");
    let instances = &bench.candidate.instances;
    let each = (bench.options.cases / instances.len().max(1) as u64 + 1).max(LEAST_CASES);
    let (mut cases, mut undecided, mut compared) = (0u64, 0u64, 0u64);
    let mut silent = None;
    for (number, rule) in instances.iter().enumerate() {
        let options = TestOptions {
            seed: derive(seed, &number.to_string()),
            cases: each,
            ..TestOptions::default()
        };
        let found = aiai_prove::test(rule, &options);
        cases += found.cases;
        undecided += found.undecided;
        compared += found.compared;
        silent = silent.or_else(|| found.inconclusive());
        if let Some(failure) = found.failure {
            report.firings += cases;
            return Outcome {
                count: cases,
                ..Outcome::failed(&failure.why)
            }
            .seeded(seed)
            .shown(Some(
                failure.with_source(&bench.candidate.file.text).to_aiai(),
            ));
        }
    }
    report.firings += cases;
    if compared * 20 < cases || compared == 0 {
        let why = silent.unwrap_or_else(|| "no input decides anything".to_owned());
        return Outcome::failed(&format!("the rule cannot be tested: {why}")).seeded(seed);
    }
    // A proof over the reals says nothing of bits, and nothing of what a branch overflows.
    let exact = bench.candidate.info.class == FloatClass::Exact;
    let open = match (report.float, report.algebra) {
        (FloatKind::Proved, _) => None,
        (_, AlgebraKind::Proved) if !exact => Some(coverage::Open::Rounding),
        _ => Some(coverage::Open::All),
    };
    if let Some(why) = open.and_then(|open| coverage::missing(bench, open)) {
        return Outcome::failed(&why).seeded(seed);
    }
    let detail = format!(
        "{cases} firings over {} instances, {compared} compared, {undecided} undecided, seed {seed:#x}",
        instances.len()
    );
    if report.float == FloatKind::None {
        report.float = FloatKind::Tested;
        report.float_detail = detail.clone();
    }
    Outcome::passed(&detail, cases).seeded(seed)
}
