//! From the text of MLIR through the LLVM dialect and LLVM IR to object files, and to code in this process.

use std::sync::{Mutex, PoisonError};

use aiai_codegen::{Object, Options, Target};
use aiai_ir::Function;
use aiai_runtime::program::Executable;
use aiai_runtime::{Program, loader};
use inkwell::OptimizationLevel;
use inkwell::attributes::AttributeLoc;
use inkwell::context::Context as LlvmContext;
use inkwell::module::Module as LlvmModule;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine,
};
use melior::Context;
use melior::dialect::DialectRegistry;
use melior::ir::Module;
use melior::pass::PassManager;
use melior::utility;

use crate::{ENTRY, Text, planned};

/// From the dialects that the text is in to the LLVM dialect.
const TO_LLVM: &str =
    "builtin.module(convert-scf-to-cf, arith-expand, convert-to-llvm, reconcile-unrealized-casts)";

/// What is done to LLVM IR. Loops come as they are wanted, so most of `default<O3>` finds nothing to do: these passes give
/// code of the same speed, minilm's in five sixths of the time from source to machine code. Loops are not unrolled: vectors are wide
/// enough, and unrolled ones were no faster, four times the code, and took four times as long to compile.
const OPTIMISE: &str = "always-inline,globaldce,function(\
     sroa<modify-cfg>,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,\
     loop-mssa(loop-rotate,licm),simplifycfg,gvn,correlated-propagation,instcombine<no-verify-fixpoint>,\
     loop(indvars,loop-idiom,loop-deletion),loop-vectorize,instcombine<no-verify-fixpoint>,simplifycfg,\
     loop-mssa(licm),dse,adce)";

/// How much LLVM does to the code. The results are the same: tests compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it comes, in the quickest way.
    O0,
    /// What pays for the loops that are written here.
    Usual,
    /// All that LLVM does for speed.
    O3,
}

impl Level {
    fn passes(self) -> &'static str {
        match self {
            Level::O0 => "default<O0>",
            Level::Usual => OPTIMISE,
            Level::O3 => "default<O3>",
        }
    }

    fn of_machine_code(self) -> OptimizationLevel {
        match self {
            Level::O0 => OptimizationLevel::None,
            Level::Usual | Level::O3 => OptimizationLevel::Aggressive,
        }
    }
}

/// Why no code was made: a defect of the compiler or a machine that it does not support.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("this machine is not supported: {0}")]
    Machine(String),
    #[error("code generation failed in `{function}`, at {step}: {message}")]
    Backend {
        function: String,
        step: &'static str,
        message: String,
    },
}

/// What [`emit`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// MLIR, as it is written.
    Mlir,
    /// LLVM IR, optimised.
    Llvm,
    /// Assembly of this machine.
    Assembly,
}

/// Compiles a function of tensor primitives without calls.
///
/// # Errors
/// Where LLVM does not know this machine, or refuses what it is given.
pub fn compile(source: &Function, options: &Options) -> Result<Executable, CompileError> {
    compile_at(Level::Usual, source, options)
}

/// The same at another level.
///
/// # Errors
/// As [`compile`].
pub fn compile_at(
    level: Level,
    source: &Function,
    options: &Options,
) -> Result<Executable, CompileError> {
    let object = object_at(level, source, options, &Target::host(), ENTRY)?;
    // SAFETY: the object was made from the function just now.
    let loaded = unsafe { load(object.program, &object.bytes) };
    loaded.map_err(|e| failed(source, "loading", e.to_string()))
}

/// Code that [`object`] made with the entry [`ENTRY`], in this process.
///
/// # Errors
/// Bytes that are no object file for this machine.
///
/// # Safety
/// The bytes are the code of the program.
pub unsafe fn load(program: Program, bytes: &[u8]) -> Result<Executable, loader::LoadError> {
    let code = loader::load(bytes, ENTRY)?;
    // SAFETY: the caller's promise.
    Ok(unsafe {
        let (entry, prepare) = (code.entry(), code.prepare());
        Executable::new(program, entry, prepare, Box::new(code))
    })
}

/// Compiles a function of tensor primitives without calls to an object file that defines `symbol`.
///
/// # Errors
/// As [`compile`].
pub fn object(
    source: &Function,
    options: &Options,
    target: &Target,
    symbol: &str,
) -> Result<Object, CompileError> {
    object_at(Level::Usual, source, options, target, symbol)
}

fn object_at(
    level: Level,
    source: &Function,
    options: &Options,
    target: &Target,
    symbol: &str,
) -> Result<Object, CompileError> {
    let loops = planned(source, options, target);
    let text = crate::text(&loops, symbol, target);
    let context = LlvmContext::create();
    let machine = machine(target, level)?;
    let module = llvm_module(source, &text, &context, &machine, level)?;
    let buffer = machine
        .write_to_memory_buffer(&module, FileType::Object)
        .map_err(|e| failed(source, "machine code", e.to_string()))?;
    Ok(Object {
        program: aiai_codegen::program(source, &text.dims, text.sites, &loops.packed),
        bytes: buffer.as_slice().to_vec(),
    })
}

/// The text of a stage on the way to machine code.
///
/// # Errors
/// As [`compile`].
pub fn emit(
    source: &Function,
    options: &Options,
    stage: Stage,
    target: &Target,
) -> Result<String, CompileError> {
    let text = crate::text(&planned(source, options, target), ENTRY, target);
    if stage == Stage::Mlir {
        return Ok(text.module);
    }
    let context = LlvmContext::create();
    let machine = machine(target, Level::Usual)?;
    let module = llvm_module(source, &text, &context, &machine, Level::Usual)?;
    if stage == Stage::Llvm {
        return Ok(module.print_to_string().to_string());
    }
    let buffer = machine
        .write_to_memory_buffer(&module, FileType::Assembly)
        .map_err(|e| failed(source, "assembly", e.to_string()))?;
    Ok(String::from_utf8_lossy(buffer.as_slice()).into_owned())
}

fn failed(source: &Function, step: &'static str, message: String) -> CompileError {
    CompileError::Backend {
        function: source.name.to_string(),
        step,
        message,
    }
}

/// A target as LLVM knows it.
fn machine(target: &Target, level: Level) -> Result<TargetMachine, CompileError> {
    let fail = CompileError::Machine;
    LlvmTarget::initialize_native(&InitializationConfig::default()).map_err(fail)?;
    let triple = TargetMachine::get_default_triple();
    let known = LlvmTarget::from_triple(&triple).map_err(|e| fail(e.to_string()))?;
    // The plain processor of the architecture: what code may use is in the features alone.
    let plain = if cfg!(target_arch = "x86_64") {
        "x86-64"
    } else {
        "generic"
    };
    let features: Vec<String> = target
        .features
        .iter()
        .map(|f| format!("+{}", llvm_name(f)))
        .collect();
    known
        .create_target_machine(
            &triple,
            plain,
            &features.join(","),
            level.of_machine_code(),
            RelocMode::PIC,
            CodeModel::Default,
        )
        .ok_or_else(|| fail(format!("no target machine for {triple}")))
}

/// What LLVM calls a feature.
fn llvm_name(feature: &str) -> &str {
    match feature {
        "bmi1" => "bmi",
        "cmpxchg16b" => "cx16",
        "pclmulqdq" => "pclmul",
        same => same,
    }
}

/// The optimised module of LLVM IR.
fn llvm_module<'c>(
    source: &Function,
    text: &Text,
    context: &'c LlvmContext,
    machine: &TargetMachine,
    level: Level,
) -> Result<LlvmModule<'c>, CompileError> {
    let module = translated(source, text, context)?;
    module.set_triple(&machine.get_triple());
    module.set_data_layout(&machine.get_target_data().get_data_layout());
    let attributes = [
        ("target-cpu", machine.get_cpu().to_string()),
        (
            "target-features",
            machine.get_feature_string().to_string_lossy().into_owned(),
        ),
        // Without these two, vectors of 512 bits become two of 256.
        ("prefer-vector-width", "512".to_owned()),
        ("min-legal-vector-width", "512".to_owned()),
    ];
    for function in module.get_functions() {
        for (name, value) in &attributes {
            let attribute = context.create_string_attribute(name, value);
            function.add_attribute(AttributeLoc::Function, attribute);
        }
    }
    module
        .run_passes(level.passes(), machine, PassBuilderOptions::create())
        .map_err(|e| failed(source, "optimisation", e.to_string()))?;
    Ok(module)
}

/// The text parsed, lowered to the LLVM dialect, and translated.
fn translated<'c>(
    source: &Function,
    text: &Text,
    llvm: &'c LlvmContext,
) -> Result<LlvmModule<'c>, CompileError> {
    let registry = DialectRegistry::new();
    utility::register_all_dialects(&registry);
    utility::register_all_passes();
    let context = Context::new();
    context.append_dialect_registry(&registry);
    context.load_all_available_dialects();
    utility::register_all_llvm_translations(&context);
    let said = std::sync::Arc::new(Mutex::new(String::new()));
    let notes = std::sync::Arc::clone(&said);
    context.attach_diagnostic_handler(move |diagnostic| {
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push_str(&diagnostic.to_string());
        notes.push('\n');
        true
    });
    let fail = |step| {
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        failed(source, step, said.trim().to_owned())
    };
    let mut module = Module::parse(&context, &text.module).ok_or_else(|| fail("MLIR"))?;
    let passes = PassManager::new(&context);
    utility::parse_pass_pipeline(passes.as_operation_pass_manager(), TO_LLVM)
        .map_err(|e| failed(source, "the pass pipeline", e.to_string()))?;
    passes
        .run(&mut module)
        .map_err(|_| fail("the LLVM dialect"))?;
    // SAFETY: the operation is a module of the LLVM dialect, and the context outlives what is made in it.
    let translated = unsafe {
        mlir_sys::mlirTranslateModuleToLLVMIR(module.as_operation().to_raw(), llvm.raw().cast())
    };
    if translated.is_null() {
        return Err(fail("LLVM IR"));
    }
    // SAFETY: a module that nothing else owns, in this context.
    Ok(unsafe { LlvmModule::new(translated.cast()) })
}
