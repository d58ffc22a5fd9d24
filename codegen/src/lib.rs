//! Loop lowering and the Cranelift backend.

pub mod lower;
