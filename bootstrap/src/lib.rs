//! The gate: what a proposed rule must pass before it becomes part of the compiler.
//!
//! [`gate`] holds the steps, [`worker`] the confined processes that run them, [`mutate`] and [`witness`] the wrong
//! rules that the gate is measured by, [`stages`] the evidence of what was admitted.

pub mod gate;
pub mod mutate;
pub mod selftest;
pub mod stages;
pub mod witness;
pub mod worker;
