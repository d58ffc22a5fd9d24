//! The gate: what a proposed rule must pass before it becomes part of the compiler.
