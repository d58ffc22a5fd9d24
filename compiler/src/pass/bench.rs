//! `aiai pass bench`

use std::path::Path;

use aiai_bootstrap::gate::{Options, Purpose, SCHEMA, Step};
use aiai_bootstrap::worker::{judge_all, tasks_of};
use serde_json::json;

use super::cli::Effort;
use super::{broken, launch, options, seed_of, setup, texts};
use crate::cli::Global;
use crate::{Ended, Failure, Outcome, output};

pub fn run(file: &Path, model: Option<&str>, effort: &Effort, global: &Global) -> Ended {
    let mut setup = setup()?;
    if let Some(name) = model {
        let known: Vec<String> = setup.models.iter().map(|m| m.name.clone()).collect();
        setup.models.retain(|m| m.name.contains(name));
        if setup.models.is_empty() {
            return Err(Failure::input(format!(
                "no model `{name}`; there are {}",
                known.join(", ")
            )));
        }
        // What is asked for is looked at, held out or not.
        setup.models.iter_mut().for_each(|m| m.held_out = false);
    }
    let launch = launch(effort.limit)?;
    let seed = seed_of(effort);
    let options = Options {
        timed: true,
        ..options(Purpose::Check, seed, effort)
    };
    let tasks = tasks_of(&launch, &setup, &texts(&[file.to_owned()])?, &options).map_err(broken)?;
    // One at a time: times are taken.
    let judged = judge_all(&launch, &setup, &tasks, 1, &|_| {}).map_err(broken)?;
    let mut outcome = Outcome::Success;
    let mut rows = Vec::new();
    for report in judged.into_iter().flatten() {
        let profit = report.steps.iter().find(|s| s.step == Step::Profit);
        let what = match profit {
            Some(step) => step.detail.clone(),
            None => format!("not timed: {}", report.to_line()),
        };
        if !report.accepted() {
            outcome = Outcome::Finding;
        }
        if !global.json {
            output::print(&format!("{}: {what}", report.rule));
        }
        rows.push(json!({ "rule": report.rule, "accepted": report.accepted(), "firings": report.firings, "profit": what }));
    }
    if global.json {
        output::print(&json!({ "schema": SCHEMA, "seed": seed, "rules": rows }).to_string());
    }
    Ok(outcome)
}
