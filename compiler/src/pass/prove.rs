//! `aiai pass prove`

use std::path::PathBuf;

use aiai_bootstrap::gate::{AlgebraKind, Options, Purpose, SCHEMA};
use aiai_bootstrap::worker::{prove_all, tasks_of};
use serde_json::json;

use super::{broken, launch, setup, texts};
use crate::cli::Global;
use crate::{Ended, Outcome, output};

/// Seconds that proving one rule may take.
const LIMIT: u64 = 120;

pub fn run(files: &[PathBuf], explain: bool, global: &Global) -> Ended {
    let (setup, launch) = (setup()?, launch(LIMIT)?);
    let options = Options::new(Purpose::Check, 0);
    let tasks = tasks_of(&launch, &setup, &texts(files)?, &options).map_err(broken)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let proofs = prove_all(&launch, &setup, &tasks, jobs).map_err(broken)?;
    if global.json {
        output::print(&json!({ "schema": SCHEMA, "rules": proofs }).to_string());
    } else {
        for proof in &proofs {
            let kind = format!("{:?}", proof.algebra).to_lowercase();
            let float = if proof.float_proved {
                ", bits proved"
            } else {
                ""
            };
            output::print(&format!("{}: {kind}{float}: {}", proof.rule, proof.detail));
            if explain {
                proof
                    .steps
                    .iter()
                    .for_each(|step| output::print(&format!("  {step}")));
            }
        }
    }
    let proved = proofs
        .iter()
        .all(|proof| proof.algebra == AlgebraKind::Proved);
    Ok(if proved {
        Outcome::Success
    } else {
        Outcome::Finding
    })
}
