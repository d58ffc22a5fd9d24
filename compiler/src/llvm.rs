//! The LLVM backend, where it is built in.

use aiai_codegen::{Executable, Options};
use aiai_ir::Function;

use crate::Failure;

/// Compiles with LLVM.
#[cfg(feature = "llvm")]
pub fn compile(function: &Function, options: &Options) -> Result<Executable, Failure> {
    if options.profile {
        return Err(Failure::input("`--profile` needs `--backend cranelift`"));
    }
    aiai_mlir::compile(function, options.check_nan).map_err(|e| Failure::environment(e.to_string()))
}

/// The text of a stage on the way to machine code.
#[cfg(feature = "llvm")]
pub fn emit(function: &Function, assembly: bool) -> Result<String, Failure> {
    let stage = match assembly {
        true => aiai_mlir::Stage::Assembly,
        false => aiai_mlir::Stage::Llvm,
    };
    aiai_mlir::emit(function, stage).map_err(|e| Failure::environment(e.to_string()))
}

/// Says that LLVM is not built in.
#[cfg(not(feature = "llvm"))]
pub fn compile(_: &Function, _: &Options) -> Result<Executable, Failure> {
    Err(missing())
}

/// Says that LLVM is not built in.
#[cfg(not(feature = "llvm"))]
pub fn emit(_: &Function, _: bool) -> Result<String, Failure> {
    Err(missing())
}

#[cfg(not(feature = "llvm"))]
fn missing() -> Failure {
    Failure::environment(
        "this build has no LLVM; `scripts/llvm.sh` installs it, and \
         `cargo build --release --features llvm` builds it in",
    )
}
