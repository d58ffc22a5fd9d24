//! `aiai pass`: work on rules. One file per subcommand.

use clap::Subcommand;

use crate::Ended;
use crate::cli::Global;

mod why;

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum PassCommand {
    /// Say where a rule comes nearest to firing on a function, and what is in the way.
    #[command(
        after_help = "Examples:\n  aiai pass why double_transpose examples/minilm\n  \
aiai pass why my_rule model.aiai:apply --with my_rules.aiai"
    )]
    Why {
        /// The name of a rule of the library, or of a file given by `--with`.
        rule: String,
        /// FOLDER, model.toml or FILE, with :FUNCTION where it is not the entry of model.toml, `main` or the
        /// only one.
        target: String,
        /// Give a dimension a size: NAME=SIZE.
        #[arg(long = "dim", value_name = "NAME=SIZE")]
        dims: Vec<String>,
    },
}

/// Runs a subcommand.
pub fn run(command: &PassCommand, global: &Global) -> Ended {
    match command {
        PassCommand::Why { rule, target, dims } => why::run(rule, target, dims, global),
    }
}
