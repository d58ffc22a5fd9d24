//! The `aiai` command line and driver: options, files, reports. Algorithms live in the layers below.

mod backend;
#[cfg_attr(
    not(feature = "llvm"),
    allow(
        dead_code,
        reason = "Cranelift compiles in less time than a cache takes to read"
    )
)]
mod cache;
pub mod cli;
mod commands;
mod driver;
mod files;
mod llvm;
mod output;
mod pass;
mod project;
mod rules;
mod train;
mod tune;
mod values;

use std::process::ExitCode;

use clap::Parser;

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// A finding or a failed test.
    Finding,
    /// Wrong usage, a diagnostic in the input, or sizes beyond memory.
    BadInput,
    /// A missing driver, an unwritable file.
    Environment,
    /// Stopped by the signal of this number.
    Signal(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Success => 0,
            Outcome::Finding => 1,
            Outcome::BadInput => 2,
            Outcome::Environment => 3,
            // As shells count.
            Outcome::Signal(number) => 128 + number,
        })
    }
}

/// An error with the exit code that it asks for.
#[derive(Debug)]
pub struct Failure {
    pub outcome: Outcome,
    pub message: String,
}

impl Failure {
    /// Bad input of which everything was said already.
    pub fn told() -> Failure {
        Failure::input("")
    }

    /// Wrong usage, or bad input that has no place in a source file.
    pub fn input(message: impl Into<String>) -> Failure {
        Failure {
            outcome: Outcome::BadInput,
            message: message.into(),
        }
    }

    /// Something about the machine or its files.
    pub fn environment(message: impl Into<String>) -> Failure {
        Failure {
            outcome: Outcome::Environment,
            message: message.into(),
        }
    }

    /// A file that was to be written.
    pub fn output(error: &aiai_runtime::Error) -> Failure {
        match error {
            aiai_runtime::Error::NotAFile(_) => Failure::input(error.to_string()),
            _ => Failure::environment(error.to_string()),
        }
    }
}

impl From<aiai_runtime::Error> for Failure {
    fn from(error: aiai_runtime::Error) -> Failure {
        Failure::input(error.to_string())
    }
}

/// What commands return: how they ended, or why they could not go on.
pub type Ended = Result<Outcome, Failure>;

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    output::quiet_pipes();
    let args = cli::Cli::parse();
    match commands::run(&args) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            // Diagnostics have been printed already; they come with an empty message.
            if !failure.message.is_empty() {
                output::complain(&failure.message);
            }
            failure.outcome.into()
        }
    }
}
