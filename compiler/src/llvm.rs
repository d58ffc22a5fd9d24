//! The LLVM backend, where it is built in.

use aiai_codegen::{Object, Options, Target};
use aiai_ir::Function;
use aiai_runtime::Executable;

use crate::Failure;
#[cfg(feature = "llvm")]
use crate::cache;

/// Compiles with LLVM, or takes what an earlier run compiled from the cache.
#[cfg(feature = "llvm")]
pub fn compile(function: &Function, options: &Options) -> Result<Executable, Failure> {
    let (target, symbol) = (Target::host(), aiai_mlir::ENTRY);
    let key = cache::Key::new(function, "llvm", symbol, options, &target);
    if let Some(object) = cache::read(&key) {
        match load(object) {
            Ok(executable) => return Ok(executable),
            Err(error) => cache::complain_of_entry(&key, &error.to_string()),
        }
    }
    let object = made(function, options, &target, symbol)?;
    cache::write(&key, &object);
    load(object).map_err(|e| Failure::environment(e.to_string()))
}

/// Compiles with LLVM to an object file that defines `symbol`, or takes it from the cache.
#[cfg(feature = "llvm")]
pub fn object(
    function: &Function,
    options: &Options,
    target: &Target,
    symbol: &str,
) -> Result<Object, Failure> {
    let key = cache::Key::new(function, "llvm", symbol, options, target);
    if let Some(object) = cache::read(&key) {
        return Ok(object);
    }
    let object = made(function, options, target, symbol)?;
    cache::write(&key, &object);
    Ok(object)
}

/// Compiles with LLVM for this process, without the cache.
#[cfg(feature = "llvm")]
pub fn fresh(function: &Function, options: &Options) -> Result<Executable, Failure> {
    let object = made(function, options, &Target::host(), aiai_mlir::ENTRY)?;
    load(object).map_err(|e| Failure::environment(e.to_string()))
}

/// Whether LLVM is built in; if not, how to get it.
pub fn available() -> Result<(), Failure> {
    match cfg!(feature = "llvm") {
        true => Ok(()),
        false => Err(missing()),
    }
}

/// Compiles with LLVM, whatever the cache holds.
#[cfg(feature = "llvm")]
fn made(
    function: &Function,
    options: &Options,
    target: &Target,
    symbol: &str,
) -> Result<Object, Failure> {
    if options.profile {
        return Err(Failure::input("`--profile` needs `--backend cranelift`"));
    }
    aiai_mlir::object(function, options, target, symbol)
        .map_err(|e| Failure::environment(e.to_string()))
}

/// An object file that defines [`aiai_mlir::ENTRY`] as code in this process.
#[cfg(feature = "llvm")]
fn load(object: Object) -> Result<Executable, aiai_runtime::loader::LoadError> {
    // SAFETY: the object was made by `made`, now or before: the cache gives what was stored under the key of
    // the same function, whose digest it has checked.
    unsafe { aiai_mlir::load(object.program, &object.bytes) }
}

/// The text of a stage on the way to machine code.
#[cfg(feature = "llvm")]
pub fn emit(
    function: &Function,
    options: &Options,
    assembly: bool,
    target: &Target,
) -> Result<String, Failure> {
    let stage = match assembly {
        true => aiai_mlir::Stage::Assembly,
        false => aiai_mlir::Stage::Llvm,
    };
    aiai_mlir::emit(function, options, stage, target)
        .map_err(|e| Failure::environment(e.to_string()))
}

/// Says that LLVM is not built in.
#[cfg(not(feature = "llvm"))]
pub fn fresh(_: &Function, _: &Options) -> Result<Executable, Failure> {
    Err(missing())
}

/// Says that LLVM is not built in.
#[cfg(not(feature = "llvm"))]
pub fn compile(_: &Function, _: &Options) -> Result<Executable, Failure> {
    Err(missing())
}

/// Says that LLVM is not built in.
#[cfg(not(feature = "llvm"))]
pub fn object(_: &Function, _: &Options, _: &Target, _: &str) -> Result<Object, Failure> {
    Err(missing())
}

/// Says that LLVM is not built in.
#[cfg(not(feature = "llvm"))]
pub fn emit(_: &Function, _: &Options, _: bool, _: &Target) -> Result<String, Failure> {
    Err(missing())
}

fn missing() -> Failure {
    Failure::environment(
        "this build has no LLVM; `scripts/llvm.sh` installs it, and \
         `cargo build --release --features llvm` builds it in",
    )
}
