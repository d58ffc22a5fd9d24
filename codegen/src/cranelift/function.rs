//! One machine function while it is filled: values, dimensions, failure.

use aiai_ir::{DType, Dim, Function, Loc, Op, OpNode, Region, Type as IrType, Value as IrValue};
use cranelift::codegen::ir::{self, FuncRef, MemFlagsData};
use cranelift::prelude::{
    Block, FunctionBuilder, FunctionBuilderContext, InstBuilder, IntCC, Type, Value, types,
};
use cranelift_module::{FuncId, Module as _, ModuleError};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{CompileError, Unit};

/// Fills machine function `function`, which belongs to `source`.
pub fn translate(
    unit: &mut Unit,
    source: &Function,
    function: &mut ir::Function,
    scratch: &mut FunctionBuilderContext,
    fill: &mut dyn FnMut(&mut Translator<'_, '_>) -> Result<(), CompileError>,
) -> Result<(), CompileError> {
    let config = unit.module().isa().frontend_config();
    let mut b = FunctionBuilder::new(function, scratch);
    let start = b.create_block();
    b.append_block_params_for_function_params(start);
    b.switch_to_block(start);
    let context = b.block_params(start)[0];
    let mut translator = Translator {
        unit,
        source,
        b,
        context,
        table: context,
        values: FxHashMap::default(),
        dims: FxHashMap::default(),
        functions: FxHashMap::default(),
    };
    fill(&mut translator)?;
    let mut b = translator.b;
    b.seal_all_blocks();
    b.finalize(config);
    Ok(())
}

pub struct Translator<'u, 'f> {
    pub unit: &'u mut Unit,
    pub source: &'u Function,
    pub b: FunctionBuilder<'f>,
    /// The context that every function of the runtime gets.
    pub context: Value,
    /// The address of the table of dimensions.
    pub table: Value,
    /// Scalars, and the addresses of buffers.
    pub values: FxHashMap<IrValue, Value>,
    dims: FxHashMap<Dim, Value>,
    functions: FxHashMap<FuncId, FuncRef>,
}

impl Translator<'_, '_> {
    /// The whole function: parameters are addresses in two tables.
    pub fn entry(&mut self) -> Result<(), CompileError> {
        let source = self.source;
        let params = self.start_params();
        self.table = params[3];
        // Inputs come first, then results, which alone may be written.
        let inputs = source.owned.iter().filter(|o| !**o).count();
        for (k, &param) in source.params().iter().enumerate() {
            let (table, at) = if k < inputs {
                (params[1], k)
            } else {
                (params[2], k - inputs)
            };
            let address = self
                .b
                .ins()
                .load(types::I64, readonly(), table, at as i32 * 8);
            self.values.insert(param, address);
        }
        self.load_dims(&source.body);
        for node in &source.body.ops {
            self.timed(node)?;
        }
        self.succeed();
        Ok(())
    }

    /// The body of a parallel loop, on a range of indices.
    pub fn body(&mut self, region: &Region, captures: &[IrValue]) -> Result<(), CompileError> {
        let params = self.start_params();
        let environment = params[1];
        self.table = self.b.ins().load(types::I64, readonly(), environment, 0);
        for (k, &capture) in captures.iter().enumerate() {
            let ty = register_type(self.source.ty(capture));
            let at = (k as i32 + 1) * 8;
            let value = self.b.ins().load(ty, readonly(), environment, at);
            self.values.insert(capture, value);
        }
        self.load_dims(region);
        self.counted(params[2], params[3], 1, &[], |t, i, _| {
            t.values.insert(region.args[0], i);
            t.region(region)?;
            Ok(Vec::new())
        })?;
        self.succeed();
        Ok(())
    }

    fn start_params(&self) -> Vec<Value> {
        let start = self.b.current_block().unwrap_or_else(|| Block::from_u32(0));
        self.b.block_params(start).to_vec()
    }

    fn succeed(&mut self) {
        let ok = self.b.ins().iconst(types::I32, 0);
        self.b.ins().return_(&[ok]);
    }

    /// Reads the dimensions that a region needs, but not those of parallel loops within.
    fn load_dims(&mut self, region: &Region) {
        let mut needed = FxHashSet::default();
        self.needed_dims(region, &mut needed);
        let mut positions: Vec<(usize, Dim)> = needed
            .into_iter()
            .filter_map(|d| Some((*self.unit.positions.get(&d)?, d)))
            .collect();
        positions.sort_by_key(|p| p.0);
        for (at, dim) in positions {
            let value = self
                .b
                .ins()
                .load(types::I64, readonly(), self.table, at as i32 * 8);
            self.dims.insert(dim, value);
        }
    }

    fn needed_dims(&self, region: &Region, needed: &mut FxHashSet<Dim>) {
        for node in &region.ops {
            match &node.op {
                Op::DimValue { dim } => {
                    needed.insert(*dim);
                }
                Op::Alloc { dtype, shape } => {
                    needed.insert(crate::tables::byte_size(*dtype, shape));
                }
                Op::While { max: Some(max) } => {
                    needed.insert(*max);
                }
                _ => {}
            }
            for &operand in &node.operands {
                if let IrType::Buffer { .. } = self.source.ty(operand) {
                    needed.extend(self.source.ty(operand).shape());
                }
            }
            if !matches!(node.op, Op::Parallel { .. }) {
                node.regions
                    .iter()
                    .for_each(|r| self.needed_dims(r, needed));
            }
        }
    }

    /// The value of a dimension.
    pub fn dim(&mut self, dim: Dim) -> Value {
        if let Some(value) = dim.as_const() {
            return self.int(value);
        }
        match self.dims.get(&dim) {
            Some(&value) => value,
            None => unreachable!("`{dim}` is not in the table of dimensions"),
        }
    }

    pub fn int(&mut self, value: i64) -> Value {
        self.b.ins().iconst(types::I64, value)
    }

    pub fn get(&self, value: IrValue) -> Value {
        match self.values.get(&value) {
            Some(&known) => known,
            None => unreachable!("value {} is used before it is made", value.0),
        }
    }

    pub fn dtype(&self, value: IrValue) -> DType {
        self.source.ty(value).dtype()
    }

    pub fn region(&mut self, region: &Region) -> Result<(), CompileError> {
        region.ops.iter().try_for_each(|node| self.node(node))
    }

    /// An op of the entry itself, timed if so wished.
    fn timed(&mut self, node: &OpNode) -> Result<(), CompileError> {
        let counts = !node.regions.is_empty() || matches!(node.op, Op::Kernel { .. });
        if !self.unit.options.profile || !counts || node.loc.is_none() {
            return self.node(node);
        }
        let what = match &node.op {
            Op::Kernel { name, .. } => name.as_str().trim_start_matches("aiai_").to_owned(),
            Op::Parallel { .. } | Op::For { .. } => "loop".to_owned(),
            op => op.name().to_owned(),
        };
        let site = self.unit.site(&what, node.loc);
        let start = self.runtime("aiai_now", &[self.context])[0];
        self.node(node)?;
        let site = self.b.ins().iconst(types::I32, site);
        self.runtime("aiai_profile", &[self.context, site, start]);
        Ok(())
    }

    pub fn node(&mut self, node: &OpNode) -> Result<(), CompileError> {
        match &node.op {
            Op::Constant { value } => {
                let value = self.literal(value);
                self.define(node, value);
            }
            Op::DimValue { dim } => {
                let value = self.dim(*dim);
                self.define(node, value);
            }
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. }
            | Op::StopGradient => self.elementwise(node),
            Op::Alloc { dtype, shape } => self.alloc(node, *dtype, shape),
            Op::Free => self.free(node),
            Op::Data { value } => self.data(node, value)?,
            Op::View { .. } => {
                let address = self.get(node.operands[0]);
                self.define(node, address);
            }
            Op::Load => self.load(node),
            Op::Store => self.store(node),
            Op::For { step, lanes } => self.for_loop(node, *step, *lanes)?,
            Op::Parallel { grain } => self.parallel(node, *grain)?,
            Op::If => self.branch(node)?,
            Op::While { max } => self.while_loop(node, *max)?,
            Op::Assert { message } => self.assert(node, message),
            Op::Kernel { name, .. } => self.kernel(node, name.as_str())?,
            other => unreachable!("`{}` is not an op of the loop level", other.name()),
        }
        Ok(())
    }

    pub fn define(&mut self, node: &OpNode, value: Value) {
        self.values.insert(node.results[0], value);
    }

    // ---- failure ----

    /// Returns the status unless it is 0.
    pub fn check_status(&mut self, status: Value) {
        let (fine, failed) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(status, failed, &[], fine, &[]);
        self.b.set_cold_block(failed);
        self.b.switch_to_block(failed);
        self.b.ins().return_(&[status]);
        self.b.switch_to_block(fine);
    }

    /// Returns the status of a site unless the condition holds.
    pub fn check(&mut self, condition: Value, message: &str, loc: Option<Loc>) {
        self.check_showing(condition, message, &[], loc);
    }

    /// The same, with up to two numbers for the message.
    pub fn check_showing(
        &mut self,
        condition: Value,
        message: &str,
        shown: &[Value],
        loc: Option<Loc>,
    ) {
        let site = self.unit.site(message, loc);
        let (fine, failed) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(condition, fine, &[], failed, &[]);
        self.b.set_cold_block(failed);
        self.b.switch_to_block(failed);
        let site = self.b.ins().iconst(types::I32, site);
        let zero = self.int(0);
        let [a, b] = [0, 1].map(|k| shown.get(k).copied().unwrap_or(zero));
        let status = self.runtime("aiai_fail", &[self.context, site, a, b])[0];
        self.b.ins().return_(&[status]);
        self.b.switch_to_block(fine);
    }

    /// Calls a function of the runtime.
    pub fn runtime(&mut self, name: &str, args: &[Value]) -> Vec<Value> {
        let Some((id, _)) = self.unit.import(name) else {
            unreachable!("the runtime has no `{name}`");
        };
        let function = self.function(id);
        let call = self.b.ins().call(function, args);
        self.b.inst_results(call).to_vec()
    }

    pub fn function(&mut self, id: FuncId) -> FuncRef {
        if let Some(&known) = self.functions.get(&id) {
            return known;
        }
        let reference = self.unit.module().declare_func_in_func(id, self.b.func);
        self.functions.insert(id, reference);
        reference
    }

    pub fn failed(&self, error: &ModuleError) -> CompileError {
        super::backend(self.source, error)
    }

    /// A loop over `low..high` in steps; `body` gets the index and the carries, and gives the next.
    pub fn counted(
        &mut self,
        low: Value,
        high: Value,
        step: i64,
        init: &[Value],
        body: impl FnOnce(&mut Self, Value, &[Value]) -> Result<Vec<Value>, CompileError>,
    ) -> Result<Vec<Value>, CompileError> {
        let (head, inside, done) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        self.b.append_block_param(head, types::I64);
        for &value in init {
            let ty = self.b.func.dfg.value_type(value);
            self.b.append_block_param(head, ty);
        }
        let start: Vec<ir::BlockArg> = std::iter::once(low)
            .chain(init.iter().copied())
            .map(ir::BlockArg::Value)
            .collect();
        self.b.ins().jump(head, &start);
        self.b.switch_to_block(head);
        let params = self.b.block_params(head).to_vec();
        let more = self.b.ins().icmp(IntCC::SignedLessThan, params[0], high);
        self.b.ins().brif(more, inside, &[], done, &[]);
        self.b.switch_to_block(inside);
        let next = body(self, params[0], &params[1..])?;
        let index = self.b.ins().iadd_imm_s(params[0], step);
        let next: Vec<ir::BlockArg> = std::iter::once(index)
            .chain(next)
            .map(ir::BlockArg::Value)
            .collect();
        self.b.ins().jump(head, &next);
        self.b.switch_to_block(done);
        Ok(params[1..].to_vec())
    }
}

/// Memory that does not change during a call.
pub fn readonly() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}

/// The type of a value in a register: halves are computed with as f32.
pub fn register_type(ty: &IrType) -> Type {
    match ty {
        IrType::Buffer { .. } => types::I64,
        IrType::Tensor { dtype, .. } => scalar_type(*dtype),
    }
}

pub fn scalar_type(dtype: DType) -> Type {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => types::I8,
        DType::I16 | DType::U16 => types::I16,
        DType::I32 | DType::U32 => types::I32,
        DType::I64 | DType::U64 => types::I64,
        DType::F16 | DType::BF16 | DType::F32 => types::F32,
        DType::F64 => types::F64,
    }
}
