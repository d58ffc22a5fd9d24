//! `aiai train`

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aiai_runtime::Tensor;
use aiai_runtime::files::check_writable;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::backend::{Engine, Prepared, RunError};
use crate::cli::{Global, TrainArgs};
use crate::project::{Data, Project, TrainSection};
use crate::train::{Checkpoint, Contract, Filled, Order, Purpose, Signals, derive_key};
use crate::{Ended, Failure, Outcome, output};

pub fn run(args: &TrainArgs, global: &Global) -> Ended {
    let project = Project::open(&args.target, global)?;
    let mut section = project.config.train.clone().unwrap_or_default();
    section.epochs = args.epochs.unwrap_or(section.epochs);
    section.seed = args.seed.unwrap_or(section.seed);
    let contract = Contract::new(&project, &section, global)?;
    let data = Data::read(&project, &contract.table_leaves()?, args.fold)?;
    let engine = Engine::for_program(&project.program, global)?;
    let options = aiai_codegen::Options {
        check_nan: args.check_nan,
        ..Default::default()
    };
    let compiling = Instant::now();
    let code = Code {
        init: engine.prepare(&contract.init, &options)?,
        step: engine.prepare(&contract.step, &options)?,
        evaluate: engine.prepare(&contract.evaluate, &options)?,
    };
    let compile_time = compiling.elapsed();
    let path = match &args.out {
        Some(path) => path.clone(),
        None => project.path(&section.checkpoint),
    };
    let mut training = Training {
        identity: identity(&project, &section, &data),
        section,
        contract,
        data,
        code,
        path,
        state: Vec::new(),
        losses: Vec::new(),
        partial: 0.0,
        done: 0,
        bar: ProgressBar::hidden(),
    };
    let signals = Signals::catch()?;
    training.start(args.resume)?;
    training.bar = training.progress_bar();
    let start = Instant::now();
    if let Some(outcome) = training.epochs(&signals)? {
        training.bar.abandon();
        let (done, path) = (training.done, training.path.display());
        let message = format!("interrupted after step {done}; `--resume` goes on from {path}");
        return Err(Failure { outcome, message });
    }
    let held_out = training.evaluate()?;
    let seconds = start.elapsed();
    training.bar.finish_and_clear();
    training.report(&held_out, seconds, compile_time, global);
    Ok(Outcome::Success)
}

/// What must agree between a checkpoint and the run that goes on from it.
fn identity(project: &Project, section: &TrainSection, data: &Data) -> BTreeMap<String, String> {
    let mut program = Sha256::new();
    for file in project.program.sources.files() {
        program.update(file.text.as_bytes());
    }
    let program: String = program
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let pairs = [
        ("aiai.seed", section.seed.to_string()),
        ("aiai.fold", data.fold.to_string()),
        ("aiai.batch_size", section.batch_size.to_string()),
        ("aiai.epochs", section.epochs.to_string()),
        ("aiai.program", program),
        ("aiai.data", data.digest.clone()),
    ];
    pairs.map(|(k, v)| (k.to_owned(), v)).into()
}

struct Code<'e> {
    init: Prepared<'e>,
    step: Prepared<'e>,
    evaluate: Prepared<'e>,
}

/// A training in progress.
struct Training<'e> {
    section: TrainSection,
    contract: Contract,
    data: Data,
    code: Code<'e>,
    identity: BTreeMap<String, String>,
    path: PathBuf,
    state: Vec<Tensor>,
    /// Mean losses of the complete epochs.
    losses: Vec<f64>,
    /// The sum of the losses of this epoch, each times its examples.
    partial: f64,
    /// Steps done.
    done: u64,
    bar: ProgressBar,
}

/// How the held-out examples do.
struct Evaluation {
    loss: f64,
    accuracy: Option<f64>,
}

impl Training<'_> {
    fn steps_per_epoch(&self) -> u64 {
        self.data.train.len().div_ceil(self.section.batch_size) as u64
    }

    fn total_steps(&self) -> u64 {
        self.steps_per_epoch() * self.section.epochs
    }

    /// The state to start from: fresh, or that of the checkpoint.
    fn start(&mut self, resume: bool) -> Result<(), Failure> {
        // Found out before hours of work are lost.
        check_writable(&self.path).map_err(|e| Failure::output(&e))?;
        if resume {
            let (checkpoint, state) =
                Checkpoint::load(&self.path, &self.contract.state, &self.identity)?;
            self.state = state;
            self.losses = checkpoint.losses;
            self.partial = checkpoint.partial;
            self.done = checkpoint.step;
            return Ok(());
        }
        let key = key_tensor(derive_key(self.section.seed, Purpose::Init, 0))?;
        self.state = self.code.init.run(&[&key])?;
        Ok(())
    }

    fn save(&self) -> Result<(), Failure> {
        let checkpoint = Checkpoint {
            step: self.done,
            identity: self.identity.clone(),
            losses: self.losses.clone(),
            partial: self.partial,
        };
        checkpoint.save(&self.path, &self.contract.state, &self.state)
    }

    /// All epochs that are left. How it ends, if interrupted: then the checkpoint is written.
    fn epochs(&mut self, signals: &Signals) -> Result<Option<Outcome>, Failure> {
        let (per_epoch, seed) = (self.steps_per_epoch(), self.section.seed);
        while self.done < self.total_steps() {
            let epoch = self.done / per_epoch;
            let order = Order::new(seed, epoch, &self.data.train, self.section.batch_size);
            while self.done < (epoch + 1) * per_epoch {
                let examples = order.batch((self.done - epoch * per_epoch) as usize);
                self.step(examples)?;
                let stopped = signals.stopped();
                if stopped.is_some() && self.done < self.total_steps() {
                    self.close_epoch();
                    self.save()?;
                    return Ok(stopped);
                }
            }
            self.close_epoch();
            if (epoch + 1).is_multiple_of(self.section.checkpoint_every)
                || self.done == self.total_steps()
            {
                self.save()?;
            }
        }
        Ok(None)
    }

    /// At the end of an epoch its mean loss joins the others.
    fn close_epoch(&mut self) {
        if self.done.is_multiple_of(self.steps_per_epoch()) {
            self.losses
                .push(self.partial / self.data.train.len() as f64);
            self.partial = 0.0;
        }
    }

    fn step(&mut self, examples: &[usize]) -> Result<(), Failure> {
        let n = self.done;
        let key = key_tensor(derive_key(self.section.seed, Purpose::Step, n))?;
        let progress = Tensor::scalar((n as f64 / self.total_steps() as f64) as f32)?;
        let mut inputs = Vec::new();
        for filled in &self.contract.step_inputs {
            inputs.push(match filled {
                Filled::Key => key.clone(),
                Filled::Progress => progress.clone(),
                Filled::Table(name) => self.table(name, examples)?,
                Filled::State(_) => continue,
            });
        }
        let args: Vec<&Tensor> = self.state.iter().chain(&inputs).collect();
        let results = self.code.step.run(&args);
        let mut results = results.map_err(|e| of_batch(e, &format!("step {n}"), examples))?;
        let loss = results.pop().map(|t| t.to_f64_vec()).transpose()?;
        let loss = loss.and_then(|v| v.first().copied()).unwrap_or(f64::NAN);
        if !loss.is_finite() {
            return Err(Failure {
                outcome: Outcome::Finding,
                message: format!(
                    "the loss is {loss} at step {n}; `--check-nan` names the operation"
                ),
            });
        }
        self.state = results;
        self.partial += loss * examples.len() as f64;
        self.done += 1;
        self.bar.set_position(self.done);
        self.bar.set_message(format!("loss {loss:.4}"));
        Ok(())
    }

    fn table(&self, name: &str, examples: &[usize]) -> Result<Tensor, Failure> {
        match self.data.rows(name, examples) {
            Some(rows) => rows,
            None => Err(Failure::input(format!("`[data.{name}]` is missing"))),
        }
    }

    /// The held-out examples, in file order.
    fn evaluate(&self) -> Result<Evaluation, Failure> {
        let size = self
            .section
            .eval_batch_size
            .unwrap_or(self.section.batch_size);
        let (mut loss, mut right) = (0.0, 0.0);
        for examples in self.data.held_out.chunks(size) {
            let mut args = Vec::new();
            for filled in &self.contract.evaluate_inputs {
                match filled {
                    Filled::State(range) => args.extend_from_slice(&self.state[range.clone()]),
                    Filled::Table(name) => args.push(self.table(name, examples)?),
                    Filled::Key => args.push(key_tensor([0, 0])?),
                    Filled::Progress => args.push(Tensor::scalar(1.0f32)?),
                }
            }
            let args: Vec<&Tensor> = args.iter().collect();
            let results = self.code.evaluate.run(&args);
            let results = results.map_err(|e| of_batch(e, "evaluation", examples))?;
            loss += results[0].to_f64_vec()?[0] * examples.len() as f64;
            if self.contract.counts {
                right += results[1].to_f64_vec()?[0];
            }
        }
        let count = self.data.held_out.len() as f64;
        Ok(Evaluation {
            loss: loss / count,
            accuracy: self.contract.counts.then_some(right / count),
        })
    }

    fn progress_bar(&self) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(self.total_steps()).with_position(self.done);
        let style = "{bar:30} step {pos} of {len}  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar
    }

    fn report(&self, held_out: &Evaluation, took: Duration, compiling: Duration, global: &Global) {
        if !self.data.has_folds {
            eprintln!("no folds are given: evaluation is on the examples of training");
        }
        let path = self.path.display().to_string();
        if global.json {
            let mut object = json!({
                "schema": 1, "loss": held_out.loss, "seconds": took.as_secs_f64(),
                "compile_seconds": compiling.as_secs_f64(), "epochs": self.section.epochs,
                "steps": self.done, "seed": self.section.seed, "fold": self.data.fold,
                "losses": self.losses, "checkpoint": path,
            });
            if let Some(accuracy) = held_out.accuracy {
                object["accuracy"] = json!(accuracy);
            }
            output::print(&object.to_string());
            return;
        }
        if std::io::stderr().is_terminal() {
            eprint!("{}", output::plot(&self.losses));
        }
        let last = self.losses.last().copied().unwrap_or(f64::NAN);
        output::print(&format!("training loss   {last:.4}"));
        output::print(&format!("held-out loss   {:.4}", held_out.loss));
        if let Some(accuracy) = held_out.accuracy {
            let count = self.data.held_out.len();
            output::print(&format!(
                "accuracy        {:.2} % of {count}",
                accuracy * 100.0
            ));
        }
        output::print(&format!("seconds         {:.1}", took.as_secs_f64()));
        output::print(&format!("checkpoint      {path}"));
    }
}

/// A failure with the examples that it may come from, by their places in the data.
fn of_batch(error: RunError, what: &str, examples: &[usize]) -> Failure {
    const SHOWN: usize = 32;
    let mut sorted = examples.to_vec();
    sorted.sort_unstable();
    let shown: Vec<String> = sorted.iter().take(SHOWN).map(usize::to_string).collect();
    let more = match sorted.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let failure = Failure::from(error);
    Failure {
        message: format!(
            "{what}: {}\nthe examples of this batch, counted from 0: {}{more}",
            failure.message,
            shown.join(", ")
        ),
        ..failure
    }
}

fn key_tensor(key: [u32; 2]) -> Result<Tensor, Failure> {
    Ok(Tensor::from_slice(&[2], &key)?)
}
