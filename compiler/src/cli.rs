//! The command line: what can be asked for.

use std::path::PathBuf;

use crate::pass::PassCommand;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

/// A compiler for machine-learning models.
#[derive(Debug, Parser)]
#[command(name = "aiai", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 success, 1 a finding or a failed test, 2 wrong usage, a \
diagnostic in the input or sizes beyond memory, 3 the environment or an \
interrupt; during training 143 after SIGTERM and 129 after SIGHUP."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// Options that mean the same everywhere.
#[derive(Debug, Args)]
pub struct Global {
    /// Print results as JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
    /// What executes programs.
    #[arg(long, global = true, value_enum, default_value_t = Backend::Cranelift)]
    pub backend: Backend,
    /// How many threads work; as many as the machine has where it is not given.
    #[arg(long, global = true, value_name = "COUNT", value_parser = value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Schedules that are tried before those of the program and the library. With `--backend llvm`.
    #[arg(long, global = true, value_name = "FILE")]
    pub schedules: Option<PathBuf>,
    /// Which rules rewrite programs.
    #[arg(long, global = true, value_enum, default_value_t = RuleChoice::None)]
    pub rules: RuleChoice,
    /// Also rewrite programs by the rules of this file; may be given several times. With it a rule is tried on a
    /// model without building a stage.
    #[arg(long = "with", global = true, value_name = "FILE")]
    pub with_rules: Vec<PathBuf>,
    /// Apply rules by equality saturation, which finds more and takes longer.
    #[arg(long, global = true)]
    pub saturate: bool,
    /// Which rules are good enough for floating-point results.
    #[arg(long, global = true, value_enum, default_value_t = FloatChoice::Real)]
    pub fp: FloatChoice,
    /// Say on standard error which rules fired where, how contractions become loops, and what fell back and why. With
    /// `--backend llvm`, the last two.
    #[arg(long, global = true)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

/// Sets of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuleChoice {
    /// Only those of `--with`, if any.
    None,
    /// The library's.
    Stdlib,
}

/// What rules may do to floating-point results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FloatChoice {
    /// Nothing: only rules of class `exact`.
    Strict,
    /// Round them differently: also rules of class `real`.
    Real,
}

/// What executes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The reference evaluator: slow, exact, the referee of all others.
    Interp,
    /// Machine code made in process; the default.
    Cranelift,
    /// Machine code through MLIR and LLVM: slower to make. Needs a build with `--features llvm`.
    Llvm,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check programs: syntax, names, types, shapes.
    #[command(after_help = "Example: aiai check model.aiai --json")]
    Check {
        /// Files, or folders for all the `.aiai` files in them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write programs in the canonical format.
    #[command(after_help = "Example: aiai fmt --check src/*.aiai")]
    Fmt {
        /// Change nothing; exit 1 where a file would change.
        #[arg(long)]
        check: bool,
        /// Files, or folders for all the `.aiai` files in them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Explain an error code.
    #[command(after_help = "Example: aiai explain E0301")]
    Explain {
        /// A code such as E0301; without one, the list of codes.
        code: Option<String>,
    },
    /// Run the tests and properties of programs.
    #[command(after_help = "Example: aiai test model.aiai --filter softmax --cases 100")]
    Test {
        /// Files, or folders for all the `.aiai` files in them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only those whose name contains this.
        #[arg(long)]
        filter: Option<String>,
        /// How many inputs each property is tried on.
        #[arg(long, default_value_t = 50)]
        cases: u32,
        /// What the inputs are drawn from.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Run a function of a program.
    #[command(
        after_help = "Examples:\n  aiai run model.aiai:main --arg x=[1,2,3]\n  \
aiai run model.aiai:main --random 7 --dim N=4 --json\n  \
aiai run examples/minilm --text \"A cat sleeps.\" --text \"A kitten naps.\""
    )]
    Run(RunArgs),
    /// Print a program as the compiler sees it.
    #[command(
        after_help = "Examples:\n  aiai emit model.aiai:main --ir tensor --after differentiate\n  \
aiai emit --ir irdl > aiai.irdl.mlir && aiai emit model.aiai --ir mlir | mlir-opt --irdl-file=aiai.irdl.mlir"
    )]
    Emit {
        /// FOLDER, model.toml or FILE, with :FUNCTION where it is not the entry of model.toml, `main` or
        /// the only one. A FILE.mlir is read as `--ir mlir` and `--ir mlir-loop` write it, and printed as it is.
        target: Option<String>,
        /// Which form.
        #[arg(long, value_enum, default_value_t = Form::Tensor)]
        ir: Form,
        /// Stop behind this pass; `source` is before any.
        #[arg(long)]
        after: Option<String>,
        /// Give a dimension a size: NAME=SIZE.
        #[arg(long = "dim", value_name = "NAME=SIZE")]
        dims: Vec<String>,
        /// Show the place in the source behind every op.
        #[arg(long)]
        locations: bool,
        /// Print which rules fire, where, and what they make of what, instead of the program.
        #[arg(long)]
        firings: bool,
        /// The processor that `--ir llvm` and `--ir asm` are for; see `aiai build --help`.
        #[arg(long = "target", default_value = "cpu:host")]
        processor: String,
    },
    /// Compile a function to a library that needs no aiai: object file, shared library, C header, weights.
    #[command(
        after_help = "Examples:\n  aiai build examples/minilm -o build/minilm\n  \
aiai build model.aiai:apply --target cpu:x86-64-v3 -o build/model --backend llvm\n\n\
`-o build/model` writes build/model.o, build/libmodel.so, build/model.h, build/libaiai.a (the runtime, to link \
the object file with) and, where there are weights, build/model.safetensors."
    )]
    Build(BuildArgs),
    /// Train a model on its data.
    #[command(after_help = "Examples:\n  aiai train examples/digits\n  \
aiai train examples/digits --fold 1 --seed 2 --json\n  aiai train examples/digits --resume")]
    Train(TrainArgs),
    /// Find schedules that suit this machine, by measurement.
    #[command(
        after_help = "Examples:\n  aiai tune examples/minilm --backend llvm --dim B=8 --dim L=128 -o tuned.aiai\n  \
aiai tune model.aiai:apply --backend llvm --dim B=32 --budget 600 -o tuned.aiai --resume\n  \
aiai run model.aiai:apply --backend llvm --schedules tuned.aiai --random 1\n\n\
OUT.aiai.journal beside the file of schedules holds what was tried; `--resume` goes on from it."
    )]
    Tune(TuneArgs),
    /// Make a folder with a small model, its data and its tests.
    #[command(after_help = "Example: aiai new my_model && aiai train my_model")]
    New {
        /// The folder; it must not exist.
        dir: PathBuf,
    },
    /// Time the `bench` items of a program.
    #[command(after_help = "Example: aiai bench model.aiai --threads 1 --json")]
    Bench {
        /// Files, or folders for all the `.aiai` files in them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only those whose name contains this.
        #[arg(long)]
        filter: Option<String>,
        /// Give a dimension a size: NAME=SIZE. Others are 64.
        #[arg(long = "dim", value_name = "NAME=SIZE")]
        dims: Vec<String>,
        /// How long each is run, in seconds.
        #[arg(long, default_value_t = 1.0, value_parser = seconds)]
        budget: f64,
    },
    /// Hold machine code against the reference evaluator on random programs.
    #[command(
        after_help = "Examples:\n  aiai fuzz --budget 60\n  aiai fuzz --seed 123 --count 1 --show"
    )]
    Fuzz {
        /// The seed of the first program; the following have the following seeds.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// How long, in seconds.
        #[arg(long, default_value_t = 10.0)]
        budget: f64,
        /// How many programs, at most.
        #[arg(long)]
        count: Option<u64>,
        /// Only every N-th seed, from the I-th: I/N, for several machines.
        #[arg(long, value_name = "I/N")]
        shard: Option<String>,
        /// Print the program of the first seed instead.
        #[arg(long)]
        show: bool,
    },
    /// Write, judge and admit rewrite rules.
    #[command(subcommand)]
    #[command(after_help = "Example: aiai pass new my_rule && aiai pass check my_rule.aiai")]
    Pass(PassCommand),
    /// Say what this build can do on this machine.
    Doctor,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// FOLDER, model.toml or FILE, with :FUNCTION where it is not the entry of model.toml, `main` or the
    /// only one.
    pub target: String,
    /// A sentence for the tokenizer of the model; may be given several times.
    #[arg(long)]
    pub text: Vec<String>,
    /// Give a parameter the array of a file: NAME=FILE.npy.
    #[arg(long = "input", value_name = "NAME=FILE")]
    pub inputs: Vec<String>,
    /// Run this many times more, and say how long each took.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub repeat: usize,
    /// Say how long each step took, with its place in the source.
    #[arg(long)]
    pub profile: bool,
    /// Stop at the first operation whose result has a NaN, and name its place in the source.
    #[arg(long)]
    pub check_nan: bool,
    /// Give a parameter a value: a number, nested lists of numbers.
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    pub args: Vec<String>,
    /// Give a dimension a size: NAME=SIZE.
    #[arg(long = "dim", value_name = "NAME=SIZE")]
    pub dims: Vec<String>,
    /// Draw parameters that are not given from this seed: floats from -1 to 1, integers 0 and 1.
    #[arg(long, value_name = "SEED")]
    pub random: Option<u64>,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// FOLDER, model.toml or FILE, with :FUNCTION where it is not the entry of model.toml, `main` or the
    /// only one.
    pub model: String,
    /// The processor: cpu:host (the one here), cpu:x86-64, cpu:x86-64-v2, cpu:x86-64-v3 or cpu:x86-64-v4, with
    /// +FEATURE for more.
    #[arg(long, default_value = "cpu:host")]
    pub target: String,
    /// The folder and name of what is written; the name is an identifier of C.
    #[arg(short, long, value_name = "FOLDER/NAME")]
    pub out: PathBuf,
    /// A checkpoint or another safetensors file with the parameters of modules, by their own names; `[weights]`
    /// of model.toml where it is not given.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Make all parameters inputs, those of modules too.
    #[arg(long, conflicts_with = "weights")]
    pub no_weights: bool,
    /// Give a dimension a size: NAME=SIZE.
    #[arg(long = "dim", value_name = "NAME=SIZE")]
    pub dims: Vec<String>,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// FOLDER with a model.toml, or the model.toml.
    pub target: PathBuf,
    /// Which fold is held out; see `[data]` of model.toml.
    #[arg(long)]
    pub fold: Option<u64>,
    /// What initialisation, order and dropout are drawn from.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many times all examples are seen.
    #[arg(long, value_parser = value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    pub epochs: Option<u64>,
    /// Where the checkpoint goes.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on from the checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Stop at the first operation whose result has a NaN, and name its place in the source.
    #[arg(long)]
    pub check_nan: bool,
}

#[derive(Debug, Args)]
pub struct TuneArgs {
    /// FOLDER, model.toml or FILE, with :FUNCTION where it is not the entry of model.toml, `main` or the
    /// only one.
    pub target: String,
    /// The file of schedules that is written.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Give a dimension a size: NAME=SIZE. Every size of a contraction must be known.
    #[arg(long = "dim", value_name = "NAME=SIZE")]
    pub dims: Vec<String>,
    /// How many candidates are tried for each contraction, at most.
    #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = value_parser!(u32).range(..=100_000))]
    pub trials: u32,
    /// How long the search is, in seconds, at most.
    #[arg(long, default_value_t = 300.0, value_parser = seconds, value_name = "SECONDS")]
    pub budget: f64,
    /// What candidates are drawn from.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Go on from the journal of before.
    #[arg(long)]
    pub resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Whole tensors.
    Tensor,
    /// Loops over buffers.
    Loop,
    /// Whole tensors, in the dialect `aiai` of MLIR.
    Mlir,
    /// Loops over buffers, in the dialect `aiai` of MLIR.
    MlirLoop,
    /// The declaration of the dialect, for `mlir-opt --irdl-file`.
    Irdl,
    /// The loops in the dialects of MLIR that LLVM takes.
    MlirLlvm,
    /// Optimised LLVM IR; needs a build with `--features llvm`.
    Llvm,
    /// Assembly made by LLVM; needs a build with `--features llvm`.
    Asm,
}

/// A time that is not endless.
fn seconds(text: &str) -> Result<f64, String> {
    const MOST: f64 = 86_400.0;
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    if (0.0..=MOST).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("not between 0 and {MOST}"))
    }
}
