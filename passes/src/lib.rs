//! The pass pipeline: simplification, differentiation, fusion, memory planning.
//!
//! Passes take IR and give IR; they do no I/O, and their results do not depend on the machine.

pub mod clone;
pub mod cse;
pub mod dce;
pub mod differentiate;
pub mod fuse;
pub mod inline;
pub mod pipeline;
mod requires;
pub mod rewrite;
pub mod simplify;

pub use pipeline::{Options, PASSES, PassError, Report, optimize};
