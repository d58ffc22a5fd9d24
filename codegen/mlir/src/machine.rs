//! From the text of MLIR through the LLVM dialect and LLVM IR to machine code in this process.

use std::sync::{Mutex, PoisonError};

use aiai_codegen::{Executable, MachineCode};
use aiai_ir::Function;
use aiai_runtime::abi;
use inkwell::OptimizationLevel;
use inkwell::attributes::AttributeLoc;
use inkwell::context::Context as LlvmContext;
use inkwell::execution_engine::ExecutionEngine;
use inkwell::module::Module as LlvmModule;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine,
};
use melior::Context;
use melior::dialect::DialectRegistry;
use melior::ir::Module;
use melior::pass::PassManager;
use melior::utility;

use crate::{ENTRY, Text};

/// From the dialects that the text is in to the LLVM dialect.
const TO_LLVM: &str = "builtin.module(convert-math-to-llvm, arith-expand, convert-arith-to-llvm, \
                       convert-cf-to-llvm, reconcile-unrealized-casts)";

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
pub fn compile(source: &Function, check_nan: bool) -> Result<Executable, CompileError> {
    let text = crate::text(&planned(source, check_nan));
    let memory = Memory::new();
    // SAFETY: the context lives until the memory is dropped, after all that borrows it.
    let context: &'static LlvmContext = unsafe { &*memory.context };
    let target = host()?;
    let module = llvm_module(source, &text, context, &target)?;
    let fail = |message: String| failed(source, "machine code", message);
    let engine = module
        .create_jit_execution_engine(OptimizationLevel::Aggressive)
        .map_err(|e| fail(e.to_string()))?;
    for symbol in abi::symbols() {
        if let Some(function) = module.get_function(symbol.name) {
            engine.add_global_mapping(&function, symbol.address as usize);
        }
    }
    let address = engine
        .get_function_address(ENTRY)
        .map_err(|e| fail(e.to_string()))?;
    let machine = MachineCode {
        // SAFETY: the entry was written with this signature.
        entry: unsafe { std::mem::transmute::<usize, abi::EntryFn>(address) },
        dims: text.dims,
        sites: text.sites,
        memory: Box::new(memory.with(module, engine)),
    };
    // SAFETY: the code was made from the function, and its memory comes with it.
    Ok(unsafe { Executable::new(source, machine) })
}

/// The text of a stage on the way to machine code.
///
/// # Errors
/// As [`compile`].
pub fn emit(source: &Function, stage: Stage) -> Result<String, CompileError> {
    let text = crate::text(&planned(source, false));
    if stage == Stage::Mlir {
        return Ok(text.module);
    }
    let context = LlvmContext::create();
    let target = host()?;
    let module = llvm_module(source, &text, &context, &target)?;
    if stage == Stage::Llvm {
        return Ok(module.print_to_string().to_string());
    }
    let buffer = target
        .write_to_memory_buffer(&module, FileType::Assembly)
        .map_err(|e| failed(source, "assembly", e.to_string()))?;
    Ok(String::from_utf8_lossy(buffer.as_slice()).into_owned())
}

fn planned(source: &Function, check_nan: bool) -> Function {
    let mut loops = aiai_codegen::lower::lower(source, check_nan);
    aiai_codegen::memory::plan(&mut loops);
    loops
}

fn failed(source: &Function, step: &'static str, message: String) -> CompileError {
    CompileError::Backend {
        function: source.name.to_string(),
        step,
        message,
    }
}

/// This machine, with all that it has.
fn host() -> Result<TargetMachine, CompileError> {
    let fail = CompileError::Machine;
    Target::initialize_native(&InitializationConfig::default()).map_err(fail)?;
    let triple = TargetMachine::get_default_triple();
    let target = Target::from_triple(&triple).map_err(|e| fail(e.to_string()))?;
    target
        .create_target_machine(
            &triple,
            &TargetMachine::get_host_cpu_name().to_string(),
            &TargetMachine::get_host_cpu_features().to_string(),
            OptimizationLevel::Aggressive,
            RelocMode::Default,
            CodeModel::JITDefault,
        )
        .ok_or_else(|| fail(format!("no target machine for {triple}")))
}

/// The optimised module of LLVM IR.
fn llvm_module<'c>(
    source: &Function,
    text: &Text,
    context: &'c LlvmContext,
    target: &TargetMachine,
) -> Result<LlvmModule<'c>, CompileError> {
    let module = translated(source, text, context)?;
    module.set_triple(&target.get_triple());
    module.set_data_layout(&target.get_target_data().get_data_layout());
    let attributes = [
        ("target-cpu", TargetMachine::get_host_cpu_name().to_string()),
        (
            "target-features",
            TargetMachine::get_host_cpu_features().to_string(),
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
    let options = PassBuilderOptions::create();
    // Vector loops are wide enough: unrolled, they were no faster, four times the code, and took four times
    // as long to compile.
    options.set_loop_unrolling(false);
    module
        .run_passes("default<O3>", target, options)
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

/// The code with the context that it lives in.
struct Memory {
    parts: Option<(LlvmModule<'static>, ExecutionEngine<'static>)>,
    context: *mut LlvmContext,
}

impl Memory {
    fn new() -> Memory {
        Memory {
            parts: None,
            context: Box::into_raw(Box::new(LlvmContext::create())),
        }
    }

    fn with(mut self, module: LlvmModule<'static>, engine: ExecutionEngine<'static>) -> Memory {
        self.parts = Some((module, engine));
        self
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.parts = None;
        // SAFETY: it came from a box for this owner alone, and what borrowed it is gone.
        drop(unsafe { Box::from_raw(self.context) });
    }
}
