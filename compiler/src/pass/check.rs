//! `aiai pass check`

use std::path::PathBuf;
use std::time::Instant;

use aiai_bootstrap::gate::{AlgebraKind, FloatKind, Purpose, Report, SCHEMA, Task};
use aiai_bootstrap::stages::{self, digest_of};
use aiai_bootstrap::worker::{judge_all, tasks_of};
use serde_json::json;

use super::cli::CheckArgs;
use super::{broken, jobs_of, launch, options, progress, seed_of, setup, texts};
use crate::cli::Global;
use crate::{Ended, Failure, Outcome, output};

pub fn run(args: &CheckArgs, global: &Global) -> Ended {
    let is_evidence = |path: &&PathBuf| path.extension().is_some_and(|e| e == "json");
    let evidence: Vec<&PathBuf> = args.files.iter().filter(is_evidence).collect();
    let rules: Vec<PathBuf> = args
        .files
        .iter()
        .filter(|p| !is_evidence(p))
        .cloned()
        .collect();
    let mut outcome = Outcome::Success;
    for path in evidence {
        if replay(path, args, global)? == Outcome::Finding {
            outcome = Outcome::Finding;
        }
    }
    if !rules.is_empty() && judge(&rules, args, global)? == Outcome::Finding {
        outcome = Outcome::Finding;
    }
    Ok(outcome)
}

fn judge(files: &[PathBuf], args: &CheckArgs, global: &Global) -> Ended {
    let start = Instant::now();
    let (setup, launch) = (setup()?, launch(args.effort.limit)?);
    let seed = seed_of(&args.effort);
    let texts = texts(files)?;
    let options = options(Purpose::Check, seed, &args.effort);
    let mut tasks = tasks_of(&launch, &setup, &texts, &options).map_err(broken)?;
    if let Some(filter) = &args.filter {
        tasks.retain(|task| {
            task.only
                .iter()
                .flatten()
                .any(|name| name.contains(filter.as_str()))
        });
        if tasks.is_empty() {
            return Err(Failure::input(format!(
                "no rule has `{filter}` in its name"
            )));
        }
    }
    let bar = progress::bar(tasks.len());
    let said = |reports: &[Report]| {
        bar.inc(1);
        bar.set_message(reports.last().map(|r| r.rule.clone()).unwrap_or_default());
    };
    let judged =
        judge_all(&launch, &setup, &tasks, jobs_of(&args.effort), &said).map_err(broken)?;
    bar.finish_and_clear();
    let reports: Vec<Report> = judged.into_iter().flatten().collect();
    let seconds = start.elapsed().as_secs_f64();
    if global.json {
        output::print(&summary(&reports, seed, seconds));
    } else {
        print(&reports, seed, seconds);
    }
    let right = reports.iter().all(Report::accepted);
    Ok(if right {
        Outcome::Success
    } else {
        Outcome::Finding
    })
}

fn summary(reports: &[Report], seed: u64, seconds: f64) -> String {
    // Evidence counts for rules that are right.
    let right: Vec<&Report> = reports.iter().filter(|r| r.accepted()).collect();
    let algebra = |kind| right.iter().filter(|r| r.algebra == kind).count();
    let float = |kind| right.iter().filter(|r| r.float == kind).count();
    json!({
        "schema": SCHEMA,
        "seed": seed,
        "rules": reports.len(),
        "accepted": right.len(),
        "algebra": {
            "proved": algebra(AlgebraKind::Proved),
            "bounded": algebra(AlgebraKind::Bounded),
            "none": algebra(AlgebraKind::None),
        },
        "float": {
            "proved": float(FloatKind::Proved),
            "exhaustive": float(FloatKind::Exhaustive),
            "tested": float(FloatKind::Tested),
        },
        "rejected": reports.iter().filter(|r| !r.accepted()).map(Report::to_line).collect::<Vec<_>>(),
        "seconds": (seconds * 100.0).round() / 100.0,
        "reports": reports,
    })
    .to_string()
}

fn print(reports: &[Report], seed: u64, seconds: f64) {
    // One rule is shown in full, of many those that are wrong.
    for report in reports {
        if reports.len() == 1 || !report.accepted() {
            output::print(&report.to_text());
        } else {
            output::print(&report.to_line());
        }
    }
    let right = reports.iter().filter(|r| r.accepted()).count();
    output::print(&format!(
        "{right} of {} rules are right; seed {seed:#x}; {seconds:.1} s",
        reports.len()
    ));
}

/// Evidence is read, checked, and judged again from its seed.
fn replay(path: &PathBuf, args: &CheckArgs, global: &Global) -> Ended {
    let refused = |e: stages::StageError| match e {
        stages::StageError::Io { .. } => Failure::input(e.to_string()),
        stages::StageError::Tampered { .. } => Failure {
            outcome: Outcome::Finding,
            message: e.to_string(),
        },
    };
    let evidence = stages::read_evidence(path).map_err(refused)?;
    let text = stages::text_of(path, &evidence).map_err(refused)?;
    let launch = launch(args.effort.limit)?;
    let setup = super::admit::setup_before(path, &evidence.rule)?;
    let same_rules = digest_of(&setup.admitted) == evidence.admitted;
    let task = Task {
        file: evidence.report.file.clone(),
        text,
        only: Some(vec![evidence.rule.clone()]),
        options: evidence.options.clone(),
    };
    let judged = judge_all(&launch, &setup, &[task], 1, &|_| {}).map_err(broken)?;
    let again = judged.into_iter().flatten().next();
    let differs = match &again {
        None => Some("it was not judged again".to_owned()),
        Some(again) => stages::replay_differs(&evidence.report, again, same_rules),
    };
    if global.json {
        let found = json!({
            "schema": SCHEMA, "evidence": path, "rule": evidence.rule, "sound": differs.is_none(), "why": differs,
            "same_admitted_rules": same_rules,
        });
        output::print(&found.to_string());
    }
    match differs {
        Some(why) => Err(Failure {
            outcome: Outcome::Finding,
            message: format!("{}: refused: {why}", path.display()),
        }),
        None => {
            if !global.json {
                let beside = match same_rules {
                    true => "",
                    false => ", beside other admitted rules than were recorded",
                };
                output::print(&format!(
                    "{}: sound; judged again with the same verdict{beside}",
                    path.display()
                ));
            }
            Ok(Outcome::Success)
        }
    }
}
