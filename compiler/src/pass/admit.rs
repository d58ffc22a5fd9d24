//! `aiai pass admit`

use std::path::Path;

use aiai_bootstrap::gate::{Purpose, Report, Setup, Task};
use aiai_bootstrap::stages::{
    Evidence, SCHEMA, Stage, StageError, Versions, digest, digest_of, files_before,
};
use aiai_bootstrap::worker::{judge_all, solver_version, tasks_apart};
use serde_json::json;

use super::cli::Effort;
use super::{broken, launch, options, seed_of, setup};
use crate::cli::Global;
use crate::files::read_text;
use crate::{Ended, Failure, Outcome, output};

pub fn run(file: &Path, anchor: bool, folder: &Path, effort: &Effort, global: &Global) -> Ended {
    let text = read_text(file)?;
    let name = file.to_string_lossy().into_owned();
    let waiting = || eprintln!("waiting for another admission to {}", folder.display());
    let mut stage = Stage::open(folder, &waiting).map_err(failure)?;
    let launch = launch(effort.limit)?;
    let base = setup()?;
    let solver = solver_version(&launch);
    let seed = seed_of(effort);
    let options = options(Purpose::Admit { anchor }, seed, effort);
    let tasks = tasks_apart(&launch, &base, &[(name.clone(), text)], &options).map_err(broken)?;
    let mut reports: Vec<Report> = Vec::new();
    let mut outcome = Outcome::Success;
    for task in tasks {
        // Each rule is judged against all that is admitted by then.
        let mut setup = Setup {
            admitted: base.admitted.clone(),
            models: base.models.clone(),
        };
        setup.admitted.extend(stage.files().map_err(failure)?);
        let judged = judge_all(&launch, &setup, std::slice::from_ref(&task), 1, &|_| {});
        let judged = judged.map_err(broken)?;
        let Some(report) = judged.into_iter().flatten().next() else {
            continue;
        };
        if report.accepted() {
            let path = stage
                .admit(&task.text, &evidence(&task, &report, &setup, &solver))
                .map_err(failure)?;
            if !global.json {
                output::print(&format!("{}admitted: {}", report.to_text(), path.display()));
            }
        } else {
            outcome = Outcome::Finding;
            if !global.json {
                output::print(&report.to_text());
            }
        }
        reports.push(report);
    }
    if global.json {
        let stage = folder.display().to_string();
        output::print(
            &json!({ "schema": SCHEMA, "seed": seed, "stage": stage, "reports": reports })
                .to_string(),
        );
    }
    Ok(outcome)
}

fn evidence(task: &Task, report: &Report, setup: &Setup, solver: &str) -> Evidence {
    Evidence {
        schema: SCHEMA,
        rule: report.rule.clone(),
        text: digest(task.text.as_bytes()),
        options: task.options.clone(),
        admitted: digest_of(&setup.admitted),
        versions: Versions {
            aiai: env!("CARGO_PKG_VERSION").to_owned(),
            solver: solver.to_owned(),
        },
        report: report.clone(),
    }
}

fn failure(error: StageError) -> Failure {
    match error {
        StageError::Io { .. } => Failure::environment(error.to_string()),
        StageError::Tampered { .. } => Failure {
            outcome: Outcome::Finding,
            message: error.to_string(),
        },
    }
}

/// What was admitted before a rule of a stage, given the path of its evidence.
pub fn setup_before(evidence: &Path, rule: &str) -> Result<Setup, Failure> {
    let mut setup = setup()?;
    let Some(folder) = evidence.parent().and_then(Path::parent) else {
        return Ok(setup);
    };
    setup
        .admitted
        .extend(files_before(folder, rule).map_err(failure)?);
    Ok(setup)
}
