//! One file per command.

use crate::Ended;
use crate::cli::{Cli, Command};
use crate::files::sources;

mod bench;
mod build;
mod check;
mod doctor;
mod emit;
mod explain;
mod fmt;
mod fuzz;
mod new;
mod run;
mod test;
mod train;
mod tune;

/// Runs the command that was asked for.
pub fn run(cli: &Cli) -> Ended {
    let global = &cli.global;
    match &cli.command {
        Command::Check { files } => check::run(&sources(files)?, global),
        Command::Fmt { check, files } => fmt::run(*check, &sources(files)?, global),
        Command::Explain { code } => explain::run(code.as_deref(), global),
        Command::Test {
            files,
            filter,
            cases,
            seed,
        } => {
            let options = test::Options {
                filter: filter.as_deref(),
                cases: *cases,
                seed: *seed,
            };
            test::run(&sources(files)?, &options, global)
        }
        Command::Run(args) => run::run(args, global),
        Command::Build(args) => build::run(args, global),
        Command::Train(args) => train::run(args, global),
        Command::Tune(args) => tune::run(args, global),
        Command::New { dir } => new::run(dir),
        Command::Bench {
            files,
            filter,
            dims,
            budget,
        } => {
            let options = bench::Options {
                filter: filter.as_deref(),
                dims,
                budget: *budget,
            };
            bench::run(&sources(files)?, &options, global)
        }
        Command::Fuzz {
            seed,
            budget,
            count,
            shard,
            show,
        } => {
            let options = fuzz::Options {
                seed: *seed,
                budget: *budget,
                count: count.unwrap_or(u64::MAX),
                shard: shard.as_deref(),
            };
            if *show {
                fuzz::show(*seed)
            } else {
                fuzz::run(&options, global)
            }
        }
        Command::Emit {
            target,
            ir,
            after,
            dims,
            locations,
            firings,
            processor,
        } => {
            let options = emit::Options {
                form: *ir,
                after: after.as_deref(),
                dims,
                locations: *locations,
                firings: *firings,
                processor,
            };
            emit::run(target.as_deref(), &options, global)
        }
        Command::Pass(command) => crate::pass::run(command, global),
        Command::Doctor => doctor::run(global),
    }
}
