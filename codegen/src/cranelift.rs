//! Translation of loop functions to machine code with Cranelift.
//!
//! An entry is called as [`aiai_runtime::abi::EntryFn`] says; the body of every parallel loop becomes
//! a function of its own. All dimension expressions are computed by the caller, checked, and read from
//! a table. A call that fails returns its status at once.

use std::collections::HashMap;

use aiai_ir::{Dim, Function, Literal, Loc, Op, Region, Schedule};
use aiai_runtime::abi;
use aiai_runtime::program::{Executable, Site};
use cranelift::codegen::Context;
use cranelift::codegen::isa::OwnedTargetIsa;
use cranelift::prelude::settings::{self, Configurable, SetError};
use cranelift::prelude::{AbiParam, FunctionBuilderContext, types};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module, ModuleError};
use cranelift_object::{ObjectBuilder, ObjectModule};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::tables::{self, dims_of, freed_in};
use crate::{Object, Target};

mod arithmetic;
mod call;
mod cast;
mod control;
mod function;
mod memory;
mod vector;

/// What to build into the code beside the computation, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Time every step by its place in the source.
    pub profile: bool,
    /// Keep every float result in memory, and stop at the first that has a NaN.
    pub check_nan: bool,
    /// Numbers of the parameters that do not change between calls. LLVM only: they may be packed when loaded.
    pub weights: Vec<usize>,
    /// LLVM only: how contractions become loops; tried in order.
    pub schedules: Vec<Schedule>,
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
    let lowered = planned(source, options);
    let isa = isa(&Target::host(), false).map_err(CompileError::Machine)?;
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    for symbol in abi::symbols() {
        builder.symbol(symbol.name, symbol.address);
    }
    let mut unit = Unit::new(&lowered, Code::Jit(JITModule::new(builder)), options);
    let entry = unit.entry(&lowered, None)?;
    let program = crate::program(source, &unit.dims, unit.sites, &[]);
    let Code::Jit(mut module) = unit.code else {
        unreachable!("the unit was given this module");
    };
    module
        .finalize_definitions()
        .map_err(|e| backend(&lowered, &e))?;
    let address = module.get_finalized_function(entry);
    let memory = Box::new(Memory(Some(module)));
    // SAFETY: the entry was made with this signature, from this function, and its memory comes with it.
    Ok(unsafe {
        let entry = std::mem::transmute::<*const u8, abi::EntryFn>(address);
        Executable::new(program, entry, None, memory)
    })
}

/// Compiles a function of tensor primitives without calls to an object file that defines `symbol`.
pub fn object(
    source: &Function,
    options: &Options,
    target: &Target,
    symbol: &str,
) -> Result<Object, CompileError> {
    let lowered = planned(source, options);
    let isa = isa(target, true).map_err(CompileError::Machine)?;
    let names = cranelift_module::default_libcall_names();
    let builder = ObjectBuilder::new(isa, symbol, names).map_err(|e| backend(&lowered, &e))?;
    let mut unit = Unit::new(
        &lowered,
        Code::Object(Box::new(ObjectModule::new(builder))),
        options,
    );
    unit.entry(&lowered, Some(symbol))?;
    let program = crate::program(source, &unit.dims, unit.sites, &[]);
    let Code::Object(module) = unit.code else {
        unreachable!("the unit was given this module");
    };
    let bytes = module.finish().emit();
    let bytes = bytes.map_err(|e| CompileError::Backend {
        function: source.name.to_string(),
        message: e.to_string(),
    })?;
    Ok(Object { program, bytes })
}

fn planned(source: &Function, options: &Options) -> Function {
    let mut lowered = crate::lower::lower(source, options.check_nan);
    crate::memory::plan(&mut lowered);
    lowered
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

/// Where machine code goes.
enum Code {
    Jit(JITModule),
    Object(Box<ObjectModule>),
}

/// One module while it is filled.
struct Unit {
    code: Code,
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
    fn new(source: &Function, code: Code, options: &Options) -> Unit {
        let dims = dims_of(source);
        Unit {
            code,
            sites: Vec::new(),
            positions: dims.iter().enumerate().map(|(i, d)| (*d, i)).collect(),
            dims,
            constants: constants_of(source),
            freed: freed_in(source),
            imports: FxHashMap::default(),
            contexts: Vec::new(),
            options: options.clone(),
        }
    }

    fn module(&mut self) -> &mut dyn Module {
        match &mut self.code {
            Code::Jit(module) => module,
            Code::Object(module) => module.as_mut(),
        }
    }

    /// `(context, inputs, outputs, dims) -> status`.
    fn entry(&mut self, source: &Function, symbol: Option<&str>) -> Result<FuncId, CompileError> {
        self.define(source, symbol, &mut |t| t.entry())
    }

    /// `(context, environment, low, high) -> status`.
    fn body(
        &mut self,
        source: &Function,
        region: &Region,
        captures: &[aiai_ir::Value],
    ) -> Result<FuncId, CompileError> {
        self.define(source, None, &mut |t| t.body(region, captures))
    }

    fn define(
        &mut self,
        source: &Function,
        symbol: Option<&str>,
        fill: &mut dyn FnMut(&mut function::Translator<'_, '_>) -> Result<(), CompileError>,
    ) -> Result<FuncId, CompileError> {
        let fail = |e: ModuleError| backend(source, &e);
        let mut signature = self.module().make_signature();
        signature.params = vec![AbiParam::new(types::I64); 4];
        signature.returns.push(AbiParam::new(types::I32));
        let id = match symbol {
            Some(name) => self
                .module()
                .declare_function(name, Linkage::Export, &signature),
            None => self.module().declare_anonymous_function(&signature),
        };
        let id = id.map_err(fail)?;
        let mut context = Context::new();
        context.func.signature = signature;
        let mut scratch = self.contexts.pop().unwrap_or_default();
        function::translate(self, source, &mut context.func, &mut scratch, fill)?;
        self.contexts.push(scratch);
        self.module()
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
        let mut signature = self.module().make_signature();
        let param = |p: abi::Param| AbiParam::new(call::machine_type(p));
        signature.params = symbol.params.iter().map(|p| param(*p)).collect();
        signature.returns = symbol.result.iter().map(|p| param(*p)).collect();
        let id = self
            .module()
            .declare_function(name, Linkage::Import, &signature)
            .ok()?;
        self.imports.insert(symbol.name, (id, symbol));
        Some((id, symbol))
    }

    /// Read-only memory that holds a literal.
    fn data(&mut self, value: &Literal) -> Result<DataId, Box<ModuleError>> {
        let id = self.module().declare_anonymous_data(false, false)?;
        let mut description = DataDescription::new();
        description.set_align(64);
        // Empty data has no address.
        let bytes = if value.bytes.is_empty() {
            vec![0]
        } else {
            value.bytes.to_vec()
        };
        description.define(bytes.into_boxed_slice());
        self.module().define_data(id, &description)?;
        Ok(id)
    }

    /// The number of a place that may fail or be timed.
    fn site(&mut self, what: &str, loc: Option<Loc>) -> i64 {
        tables::site(&mut self.sites, what, loc)
    }
}

/// The instruction set of a target.
fn isa(target: &Target, position_independent: bool) -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    let flag = |on: bool| if on { "true" } else { "false" };
    let options = [
        ("opt_level", "speed"),
        ("use_colocated_libcalls", "false"),
        ("is_pic", flag(position_independent)),
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("enable_verifier", flag(cfg!(debug_assertions))),
    ];
    for (name, value) in options {
        flags.set(name, value).map_err(|e| e.to_string())?;
    }
    let x86 = cfg!(target_arch = "x86_64");
    let mut isa = cranelift_native::builder_with_options(!x86)?;
    for feature in &target.features {
        let name = format!("has_{}", feature.replace('.', ""));
        match isa.enable(&name) {
            // A feature that Cranelift makes no use of.
            Ok(()) | Err(SetError::BadName(_)) => {}
            Err(other) => return Err(other.to_string()),
        }
    }
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
