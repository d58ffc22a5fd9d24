//! Loop lowering and the Cranelift backend.
