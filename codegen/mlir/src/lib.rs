//! The MLIR and LLVM backend: loop functions become MLIR, and MLIR becomes machine code through LLVM.
//!
//! [`text`] writes a loop function in the dialects `llvm`, `arith`, `math` and `cf` and needs nothing; the
//! rest is there with the feature `llvm`, which needs LLVM 22 on the machine that builds.

mod control;
mod kernels;
mod memory;
mod scalars;
mod translate;
mod writer;

#[cfg(feature = "llvm")]
mod machine;

use aiai_ir::{Dim, Function};

pub use aiai_runtime::program::Site;
#[cfg(feature = "llvm")]
pub use machine::{CompileError, Stage, compile, emit, load, object};

/// A module of MLIR for a function, with what its caller must know.
pub struct Text {
    pub module: String,
    /// What the table of dimensions holds, in order.
    pub dims: Vec<Dim>,
    pub sites: Vec<Site>,
}

/// The name of an entry that has no other.
pub const ENTRY: &str = "aiai_entry";

/// Writes a planned loop function as MLIR, its entry under the name `symbol`.
pub fn text(loops: &Function, symbol: &str) -> Text {
    translate::module(loops, symbol)
}
