//! `aiai pass`: rules on their way into the compiler. Algorithms are those of `bootstrap`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use aiai_bootstrap::gate::{Options, Purpose, Setup};
use aiai_bootstrap::worker::{Launch, WorkerError};

use crate::cli::Global;
use crate::files::{read_text, sources};
use crate::{Ended, Failure, Outcome};

mod admit;
mod bench;
mod check;
pub mod cli;
mod gate;
mod models;
mod new;
mod progress;
mod prove;
mod why;

use cli::Effort;
pub use cli::PassCommand;

/// Runs a command.
pub fn run(command: &PassCommand, global: &Global) -> Ended {
    match command {
        PassCommand::New { name } => new::run(name),
        PassCommand::Check(args) => check::run(args, global),
        PassCommand::Prove { files, explain } => prove::run(files, *explain, global),
        PassCommand::Bench {
            file,
            model,
            effort,
        } => bench::run(file, model.as_deref(), effort, global),
        PassCommand::Admit {
            file,
            anchor,
            stage,
            effort,
        } => admit::run(file, *anchor, stage, effort, global),
        PassCommand::Gate(args) => gate::run(args, global),
        PassCommand::Why { rule, target, dims } => why::run(rule, target, dims, global),
        PassCommand::Worker { role, rest } => worker(role, rest),
    }
}

/// The other end of a worker: see `bootstrap/src/worker.rs`.
fn worker(role: &str, rest: &[std::ffi::OsString]) -> Ended {
    let failed = |e: std::io::Error| Failure::environment(format!("worker: {e}"));
    match (role, rest) {
        ("judge", []) => aiai_bootstrap::worker::serve()
            .map_err(failed)
            .map(|()| Outcome::Success),
        ("solver", [program, args @ ..]) => {
            Err(failed(aiai_bootstrap::worker::become_solver(program, args)))
        }
        _ => Err(Failure::input(
            "`aiai pass worker` is started by other commands",
        )),
    }
}

/// How workers are started: this program again.
fn launch(limit: u64) -> Result<Launch, Failure> {
    let program = std::env::current_exe()
        .map_err(|e| Failure::environment(format!("this program does not find itself: {e}")))?;
    let words = |role: &str| -> Vec<OsString> { ["pass", "worker", role].map(Into::into).to_vec() };
    Ok(Launch {
        program,
        judge: words("judge"),
        solver: [words("solver"), vec!["z3".into()]].concat(),
        timeout: Duration::from_secs(limit),
        tasks: 64,
    })
}

/// What the library admits, with the models to try rules on.
fn setup() -> Result<Setup, Failure> {
    let admitted = aiai_frontend::stdlib::RULES.iter();
    let admitted = admitted.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Ok(Setup {
        admitted: admitted.collect(),
        models: models::models()?,
    })
}

/// The seed that was asked for, or a fresh one from the system: nobody can know it in advance.
fn seed_of(effort: &Effort) -> u64 {
    effort.seed.unwrap_or_else(|| {
        let state = std::collections::hash_map::RandomState::new();
        std::hash::BuildHasher::hash_one(&state, std::process::id())
    })
}

fn jobs_of(effort: &Effort) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    effort.jobs.map_or_else(cores, usize::from)
}

fn options(purpose: Purpose, seed: u64, effort: &Effort) -> Options {
    Options {
        cases: effort.cases,
        ..Options::new(purpose, seed)
    }
}

/// Files of rules: names and texts.
fn texts(files: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let files = sources(files)?;
    files
        .iter()
        .map(|path| Ok((path.to_string_lossy().into_owned(), read_text(path)?)))
        .collect()
}

/// A worker that could not be had is the machine's fault.
fn broken(error: WorkerError) -> Failure {
    Failure::environment(error.to_string())
}
