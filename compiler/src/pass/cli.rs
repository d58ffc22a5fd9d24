//! What can be asked of passes.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

#[derive(Debug, Subcommand)]
pub enum PassCommand {
    /// Write a file with a rule to start from.
    #[command(after_help = "Example: aiai pass new my_rule")]
    New {
        /// The name of the rule; the file is NAME.aiai.
        name: String,
    },
    /// Judge rules: are they right? Nothing is admitted.
    #[command(
        after_help = "Examples:\n  aiai pass check my_rule.aiai\n  aiai pass check stdlib/rules --json\n  \
aiai pass check my_rule.aiai --seed 0x1234   # the same draws again\n  \
aiai pass check bootstrap/stages/1/evidence/my_rule.json   # is the evidence sound?\n\n\
Exit codes: 0 all rules are right, 1 one is not, 2 wrong usage, 3 the machine cannot confine a worker."
    )]
    Check(CheckArgs),
    /// Prove rules for all sizes.
    #[command(after_help = "Example: aiai pass prove my_rule.aiai --explain")]
    Prove {
        /// Files of rules, or folders.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print the argument, step by step.
        #[arg(long)]
        explain: bool,
    },
    /// Say where rules fire on models, what that saves, and time it.
    #[command(after_help = "Example: aiai pass bench my_rule.aiai block")]
    Bench {
        /// A file of rules.
        file: PathBuf,
        /// Only models whose name contains this.
        model: Option<String>,
        #[command(flatten)]
        effort: Effort,
    },
    /// Say where a rule comes nearest to firing on a function, and what is in the way.
    #[command(
        after_help = "Examples:\n  aiai pass why divide_by_scalar examples/minilm\n  \
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
    /// Judge a rule by every step and write it to a stage, with its evidence.
    #[command(after_help = "Examples:\n  aiai pass admit my_rule.aiai\n  \
aiai pass admit identity.aiai --anchor --stage bootstrap/stages/1")]
    Admit {
        /// A file with rules; each is judged behind those before it.
        file: PathBuf,
        /// A textbook identity: it need not fire on a model, nor be new.
        #[arg(long)]
        anchor: bool,
        /// The folder of the stage.
        #[arg(long, default_value = "bootstrap/stages/1")]
        stage: PathBuf,
        #[command(flatten)]
        effort: Effort,
    },
    /// Judge the gate: cheats and wrong rules must be rejected, right ones accepted.
    #[command(after_help = "Examples:\n  aiai pass gate --self-test --json\n  \
aiai pass gate --self-test --every 10 --seed 1   # a tenth of it, always the same")]
    Gate(GateArgs),
    /// A confined process that judges; started by the other commands.
    #[command(hide = true)]
    Worker {
        /// `judge` or `solver`.
        role: String,
        /// What the solver is started with.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files of rules, folders of them, or evidence (`.json`) that `admit` wrote.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Only rules whose name contains this.
    #[arg(long)]
    pub filter: Option<String>,
    #[command(flatten)]
    pub effort: Effort,
}

/// How hard to try, and from which seed.
#[derive(Clone, Debug, Args)]
pub struct Effort {
    /// What everything random follows from; drawn, and printed, where it is not given.
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// How many workers judge at once.
    #[arg(long, value_parser = value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Firings of a rule in property tests, at least.
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub cases: u64,
    /// Seconds that judging one rule may take.
    #[arg(long, default_value_t = 120, value_parser = value_parser!(u64).range(1..=86_400))]
    pub limit: u64,
}

#[derive(Debug, Args)]
pub struct GateArgs {
    /// Judge the corpora of cheats, mutants and right rules.
    #[arg(long, required = true)]
    pub self_test: bool,
    /// The folder with `exploits` and `rules/good`.
    #[arg(long, default_value = "tests")]
    pub corpus: PathBuf,
    /// Only every so many-th exploit, rule and mutated rule.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=1000))]
    pub every: u16,
    /// Mutants of one rule, at most.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u16).range(0..=1000))]
    pub mutants: u16,
    #[command(flatten)]
    pub effort: Effort,
}

/// A seed, decimal or hexadecimal.
fn seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "not a seed: a whole number, or 0x and hexadecimal digits".to_owned())
}
