//! Well-typed program generator and oracles.
//!
//! Everything here is a function of a seed: the same seed gives the same program, the same
//! arguments and the same verdict on every machine.

pub mod generate;
pub mod inputs;
pub mod kernels;
pub mod oracle;
pub mod schedules;

pub use aiai_ir::random::Random;
pub use generate::{Options, Program, generate};
pub use inputs::arguments;
pub use oracle::{Backend, CRANELIFT, Failure, Verdict, check};
