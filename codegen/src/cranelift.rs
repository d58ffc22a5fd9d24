//! Translation of loop functions to machine code with Cranelift.
//!
//! An entry is called as [`aiai_runtime::abi::EntryFn`] says; the body of every parallel loop becomes
//! a function of its own. All dimension expressions are computed by the caller, checked, and read from
//! a table. A call that fails returns its status at once.

use std::collections::HashMap;

use aiai_ir::{Dim, Function, Literal, Loc, Op, Region};
use aiai_runtime::abi;
use cranelift::codegen::Context;
use cranelift::codegen::isa::OwnedTargetIsa;
use cranelift::prelude::settings::{self, Configurable};
use cranelift::prelude::{AbiParam, FunctionBuilderContext, Signature, types};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module as _, ModuleError};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::executable::{Executable, MachineCode};
use crate::tables::{self, Site, dims_of, freed_in};

mod arithmetic;
mod call;
mod cast;
mod control;
mod function;
mod memory;
mod vector;

/// What to build into the code beside the computation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Time every step by its place in the source.
    pub profile: bool,
    /// Keep every float result in memory, and stop at the first that has a NaN.
    pub check_nan: bool,
}

/// Why no code was made: a defect of the compiler or a machine that it does not support.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("this machine is not supported: {0}")]
    Machine(String),
    #[error("code generation failed in `{function}`: {message}")]
    Backend { function: String, message: String },
}

/// Compiles a function of tensor primitives without calls.
pub fn compile(source: &Function, options: &Options) -> Result<Executable, CompileError> {
    let mut lowered = crate::lower::lower(source, options.check_nan);
    crate::memory::plan(&mut lowered);
    let mut unit = Unit::new(&lowered, options)?;
    let entry = unit.entry(&lowered)?;
    unit.module
        .finalize_definitions()
        .map_err(|e| backend(&lowered, &e))?;
    let address = unit.module.get_finalized_function(entry);
    let machine = MachineCode {
        // SAFETY: the entry was made with this signature.
        entry: unsafe { std::mem::transmute::<*const u8, abi::EntryFn>(address) },
        dims: unit.dims,
        sites: unit.sites,
        memory: Box::new(Memory(Some(unit.module))),
    };
    // SAFETY: the code was made from the function, and its memory comes with it.
    Ok(unsafe { Executable::new(source, machine) })
}

/// The memory of the code, freed when dropped.
struct Memory(Option<JITModule>);

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(module) = self.0.take() {
            // SAFETY: no call is running, since calls borrow the executable.
            unsafe { module.free_memory() }
        }
    }
}

fn backend(function: &Function, error: &ModuleError) -> CompileError {
    let message = match error {
        ModuleError::Compilation(inner) => format!("{inner:?}"),
        other => other.to_string(),
    };
    CompileError::Backend {
        function: function.name.to_string(),
        message,
    }
}

/// One JIT module while it is filled.
struct Unit {
    module: JITModule,
    sites: Vec<Site>,
    /// Dimension expressions in the order of the table that entries read.
    dims: Vec<Dim>,
    positions: HashMap<Dim, usize>,
    /// Integer constants of the function.
    constants: FxHashMap<aiai_ir::Value, i64>,
    /// Buffers that end, and so do not live on the stack.
    freed: FxHashSet<aiai_ir::Value>,
    imports: FxHashMap<&'static str, (FuncId, &'static abi::Symbol)>,
    contexts: Vec<FunctionBuilderContext>,
    options: Options,
}

impl Unit {
    fn new(source: &Function, options: &Options) -> Result<Unit, CompileError> {
        let isa = host().map_err(CompileError::Machine)?;
        let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
        for symbol in abi::symbols() {
            builder.symbol(symbol.name, symbol.address);
        }
        let dims = dims_of(source);
        Ok(Unit {
            module: JITModule::new(builder),
            sites: Vec::new(),
            positions: dims.iter().enumerate().map(|(i, d)| (*d, i)).collect(),
            dims,
            constants: constants_of(source),
            freed: freed_in(source),
            imports: FxHashMap::default(),
            contexts: Vec::new(),
            options: *options,
        })
    }

    /// `(context, inputs, outputs, dims) -> status`.
    fn entry(&mut self, source: &Function) -> Result<FuncId, CompileError> {
        let mut signature = self.module.make_signature();
        signature.params = vec![AbiParam::new(types::I64); 4];
        signature.returns.push(AbiParam::new(types::I32));
        self.define(source, signature, &mut |t| t.entry())
    }

    /// `(context, environment, low, high) -> status`.
    fn body(
        &mut self,
        source: &Function,
        region: &Region,
        captures: &[aiai_ir::Value],
    ) -> Result<FuncId, CompileError> {
        let mut signature = self.module.make_signature();
        signature.params = vec![AbiParam::new(types::I64); 4];
        signature.returns.push(AbiParam::new(types::I32));
        self.define(source, signature, &mut |t| t.body(region, captures))
    }

    fn define(
        &mut self,
        source: &Function,
        signature: Signature,
        fill: &mut dyn FnMut(&mut function::Translator<'_, '_>) -> Result<(), CompileError>,
    ) -> Result<FuncId, CompileError> {
        let fail = |e: ModuleError| backend(source, &e);
        let id = self
            .module
            .declare_anonymous_function(&signature)
            .map_err(fail)?;
        let mut context = Context::new();
        context.func.signature = signature;
        let mut scratch = self.contexts.pop().unwrap_or_default();
        function::translate(self, source, &mut context.func, &mut scratch, fill)?;
        self.contexts.push(scratch);
        self.module
            .define_function(id, &mut context)
            .map_err(fail)?;
        Ok(id)
    }

    /// A function of the runtime.
    fn import(&mut self, name: &str) -> Option<(FuncId, &'static abi::Symbol)> {
        if let Some(&known) = self.imports.get(name) {
            return Some(known);
        }
        let symbol = abi::symbols().find(|s| s.name == name)?;
        let mut signature = self.module.make_signature();
        let param = |p: abi::Param| AbiParam::new(call::machine_type(p));
        signature.params = symbol.params.iter().map(|p| param(*p)).collect();
        signature.returns = symbol.result.iter().map(|p| param(*p)).collect();
        let id = self
            .module
            .declare_function(name, Linkage::Import, &signature)
            .ok()?;
        self.imports.insert(symbol.name, (id, symbol));
        Some((id, symbol))
    }

    /// Read-only memory that holds a literal.
    fn data(&mut self, value: &Literal) -> Result<DataId, Box<ModuleError>> {
        let id = self.module.declare_anonymous_data(false, false)?;
        let mut description = DataDescription::new();
        description.set_align(64);
        // Empty data has no address.
        let bytes = if value.bytes.is_empty() {
            vec![0]
        } else {
            value.bytes.to_vec()
        };
        description.define(bytes.into_boxed_slice());
        self.module.define_data(id, &description)?;
        Ok(id)
    }

    /// The number of a place that may fail or be timed.
    fn site(&mut self, what: &str, loc: Option<Loc>) -> i64 {
        tables::site(&mut self.sites, what, loc)
    }
}

/// The instruction set of this machine.
fn host() -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    let options = [
        ("opt_level", "speed"),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
    ];
    for (name, value) in options {
        flags.set(name, value).map_err(|e| e.to_string())?;
    }
    let isa = cranelift_native::builder()?;
    isa.finish(settings::Flags::new(flags))
        .map_err(|e| e.to_string())
}

fn constants_of(source: &Function) -> FxHashMap<aiai_ir::Value, i64> {
    let mut found = FxHashMap::default();
    source.body.walk(&mut |node| {
        if let Op::Constant { value } = &node.op
            && value.dtype == aiai_ir::DType::I64
        {
            found.insert(node.results[0], value.element(0).as_i64());
        }
    });
    found
}
