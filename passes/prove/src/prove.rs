//! The prover: whether the two sides of a rule are equal, for all sizes.
//!
//! Each side is evaluated at a symbolic index; both terms are brought to a normal form and compared. "Proved" means:
//! wherever the facts of the guard hold, both sides are defined at the same inputs and equal there over the real
//! numbers (integers modulo 2^n, booleans as such), and the right side stops with an error only where the left does.
//! How, and what is not covered, is said in `docs/proofs.md`.

use aiai_ir::{Dim, FloatClass, Rule, RuleInfo, Sym};

use crate::solver::{Remembering, Solver};
use crate::test::Counterexample;

pub use bounded::Sizes;

mod binders;
mod bits;
mod bounded;
mod casts;
mod conditions;
mod control;
mod decide;
mod eval;
mod extremes;
mod formats;
mod free;
mod free_laws;
mod functions;
mod ieee;
mod instance;
mod integers;
mod known;
mod laws;
mod models;
mod movement;
mod order;
mod ranks;
mod rational;
mod reductions;
mod scalars;
mod show;
mod sign;
mod smt;
mod structure;
mod sums;
mod term;
mod unroll;
mod unroll_moves;
mod witness;

/// Why a proof stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A limit was reached.
    Limit(String),
    /// Something that the prover does not handle.
    Unsupported(String),
    /// Whether this size is 0 decides.
    Undecided(Dim),
}

pub(crate) type Outcome<T> = Result<T, Stop>;

impl Stop {
    fn limit(why: impl Into<String>) -> Stop {
        Stop::Limit(why.into())
    }

    fn unsupported(why: impl Into<String>) -> Stop {
        Stop::Unsupported(why.into())
    }

    fn undecided(dim: Dim) -> Stop {
        Stop::Undecided(dim)
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Limit(why) | Stop::Unsupported(why) => f.write_str(why),
            Stop::Undecided(dim) => write!(f, "whether `{dim}` is 0 is not known"),
        }
    }
}

/// For which ranks of its packs a rule is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranks {
    All,
    UpTo(usize),
}

/// The evidence for a rule on the algebra axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algebra {
    Proved { ranks: Ranks },
    Bounded { sizes: String },
    None { why: String },
}

/// The same for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceProof {
    Proved,
    Bounded { sizes: Sizes },
    Unknown { why: String },
    Refuted { why: String },
}

impl std::fmt::Display for InstanceProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InstanceProof::Proved => f.write_str("proved"),
            InstanceProof::Bounded { sizes } => write!(f, "bounded: {sizes}"),
            InstanceProof::Unknown { why } => write!(f, "unknown: {why}"),
            InstanceProof::Refuted { why } => f.write_str(why),
        }
    }
}

/// What part the solver had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SolverUse {
    NotNeeded,
    NotAttempted { why: String },
    Used { rlimit: u64 },
}

/// What came of one instance.
#[derive(Clone, Debug)]
pub struct Proof {
    pub algebra: InstanceProof,
    /// Both sides have the same bits for every input.
    pub float_proved: bool,
    /// The argument, line by line.
    pub steps: Vec<String>,
    pub solver: SolverUse,
    /// Packs are used in such a way that rank 1 stands for all.
    pub uniform_packs: bool,
    /// Where it is refuted: arguments on which the reference evaluator shows it.
    pub counterexample: Option<Box<Counterexample>>,
}

/// What came of a rule.
#[derive(Clone, Debug)]
pub struct RuleProof {
    pub algebra: Algebra,
    pub float_proved: bool,
    pub steps: Vec<String>,
    /// Where it is refuted: arguments on which the reference evaluator shows it.
    pub counterexample: Option<Box<Counterexample>>,
}

/// Proves one instance of a rule, if it can.
pub fn prove(rule: &Rule, solver: &mut dyn Solver) -> Proof {
    instance::prove(rule, solver, &mut bounded::Effort::full())
}

/// Proves a rule for all ranks, if it can, from its prepared instances.
pub fn prove_all(info: &RuleInfo, instances: &[Rule], solver: &mut dyn Solver) -> RuleProof {
    let mut solver = Remembering::new(solver);
    ranks::prove_all(info, instances, &mut solver, bounded::Effort::full())
}

/// The same for all sizes or not at all: neither stated sizes nor counterexamples are tried.
pub fn prove_all_sizes(info: &RuleInfo, instances: &[Rule], solver: &mut dyn Solver) -> RuleProof {
    let mut solver = Remembering::new(solver);
    ranks::prove_all(info, instances, &mut solver, bounded::Effort::plain())
}

/// Whether the class of the rule claims equal bits.
fn claims_bits(rule: &Rule) -> bool {
    matches!(rule.class, FloatClass::Exact)
}

/// Named dimensions of a rule, in order.
fn dims_of(rule: &Rule) -> Vec<Sym> {
    let mut found = rule.lhs.dims();
    for sym in rule.rhs.dims() {
        if !found.contains(&sym) {
            found.push(sym);
        }
    }
    found
}
