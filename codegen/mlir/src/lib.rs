//! The MLIR and LLVM backend: loop functions become MLIR, and MLIR becomes machine code through LLVM.
//!
//! [`text`] writes a loop function in the dialects `memref`, `vector`, `arith`, `math`, `scf`, `llvm` and `cf`, and needs nothing; the
//! rest is there with the feature `llvm`, which needs LLVM 22 on the machine that builds.

mod casts;
mod control;
mod functions;
mod kernels;
mod memory;
mod scalars;
mod translate;
mod vectors;
mod writer;

#[cfg(feature = "llvm")]
mod machine;

use aiai_codegen::lower::{Lowered, Lowering};
use aiai_codegen::{Options, Target};
use aiai_ir::{Dim, Function, Schedule};
use aiai_runtime::abi;

pub use aiai_runtime::program::Site;
#[cfg(feature = "llvm")]
pub use machine::{CompileError, Level, Stage, compile, compile_at, emit, load, object};

/// A module of MLIR for a function, with what its caller must know.
pub struct Text {
    pub module: String,
    /// What the table of dimensions holds, in order.
    pub dims: Vec<Dim>,
    pub sites: Vec<Site>,
}

/// The name of an entry that has no other.
pub const ENTRY: &str = "aiai_entry";

/// Writes planned loop functions as MLIR for a target, the main entry under the name `symbol`.
pub fn text(loops: &Lowered, symbol: &str, target: &Target) -> Text {
    let prepare = loops.prepare.iter();
    let prepare = prepare.map(|function| (function, abi::prepare_symbol(symbol)));
    let functions = std::iter::once((&loops.main, symbol.to_owned())).chain(prepare);
    translate::module(&functions.collect::<Vec<_>>(), target)
}

/// The loops of a function for a target, with their memory planned.
pub fn planned(source: &Function, options: &Options, target: &Target) -> Lowered {
    let fits = |s: &&Schedule| s.is_for(|feature| target.has(feature));
    let schedules: Vec<Schedule> = options.schedules.iter().filter(fits).cloned().collect();
    let mut loops = aiai_codegen::lower::lower_with(
        source,
        &Lowering {
            check_nan: options.check_nan,
            schedules: &schedules,
            weights: &options.weights,
            inlined: aiai_codegen::lower::INLINED,
        },
    );
    aiai_codegen::memory::plan(&mut loops.main);
    if let Some(prepare) = &mut loops.prepare {
        aiai_codegen::memory::plan(prepare);
    }
    loops
}
