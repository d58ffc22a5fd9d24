//! Evidence for rewrite rules: proofs for all shapes, exhaustive checks, property tests.
//!
//! Works on instances of rules ([`aiai_ir::Rule`]) whose sides hold primitives only; does no input or output but
//! for the solver, which is a process of its own.

mod prove;
pub mod solver;
pub mod test;

pub use prove::{
    Algebra, InstanceProof, Proof, Ranks, RuleProof, Sizes, SolverUse, Stop, prove, prove_all,
    prove_all_sizes,
};
pub use test::{Counterexample, ExhaustiveReport, TestOptions, TestReport, exhaustive, test};
