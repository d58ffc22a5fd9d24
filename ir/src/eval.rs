//! The reference evaluator: runs IR at every level, op by op. It is the referee of every other executor.
//!
//! Mode `bits`: every op is rounded to its dtype, reductions run in row-major order in the
//! accumulator's dtype; this defines `exact`. Mode `bound` adds to every value how far another
//! correct executor may be from it; a decision that lies within that distance ends the run undecided. Every run is bounded in elements and in steps, every
//! access is checked, and a failure names its place in the source.

use std::collections::HashMap;

use crate::module::{Function, Loc, Module, OpNode, Region, Value};
use crate::{Dim, Op, Sym};

mod array;
mod bound;
mod contract;
mod control;
mod loops;
mod movement;
mod philox;
mod reduce;
pub use reduce::int_identity;
mod scalar;
mod vectors;

pub use array::{Array, Data, round as round_to};
pub use bound::compare;
pub use loops::{Buffer, Element, KernelOperand, KernelTable, NoKernels};
pub use philox::philox4x32;
pub use scalar::{binary as scalar_binary, unary as scalar_unary};

/// Limits and hooks of a run.
pub struct Options<'a> {
    /// Elements of one array, at most.
    pub max_elements: usize,
    /// Ops and elements together, at most.
    pub max_steps: u64,
    /// Mode `bound`: beside every value how far another correct executor may be from it.
    pub bound: bool,
    /// Mode `bound`: what the distance is measured from.
    pub against: Against,
    /// What micro-kernels mean, by name.
    pub kernels: &'a dyn KernelTable,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            max_elements: 1 << 28,
            max_steps: 1 << 40,
            bound: false,
            against: Against::Executors,
            kernels: &NoKernels,
        }
    }
}

/// What the errors of mode `bound` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// How far another correct executor of the same program may be.
    Executors,
    /// How far the result over the real numbers may be, so that two programs can be held against each
    /// other: an integer may be rounded when it becomes a float, and what is computed without rounding has no error.
    Reals,
    /// The same, as though nothing underflowed: a result that underflow has spoilt lies outside.
    RealsWithoutUnderflow,
}

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    pub message: String,
    pub loc: Option<Loc>,
    /// Mode `bound`: a branch, an index or a check depends on more than is known of its value.
    pub undecided: bool,
    /// The arguments do not fit, or are too large: the program itself found nothing wrong.
    pub bad_input: bool,
}

impl EvalError {
    fn new(message: impl Into<String>) -> EvalError {
        EvalError {
            message: message.into(),
            loc: None,
            undecided: false,
            bad_input: false,
        }
    }
}

type Result<T> = std::result::Result<T, EvalError>;

fn error<T>(message: impl Into<String>) -> Result<T> {
    Err(EvalError::new(message))
}

fn bad_input(error: EvalError) -> EvalError {
    EvalError {
        bad_input: true,
        ..error
    }
}

/// Runs a function of the module on arrays; dimensions are bound by their shapes.
///
/// # Errors
/// Arguments that do not fit, a broken requirement, an index out of range, a failed assertion, a
/// limit reached.
pub fn run(module: &Module, name: Sym, args: &[Array], options: &Options) -> Result<Vec<Array>> {
    let Some(function) = module.get(name) else {
        return error(format!("the module has no function @{name}"));
    };
    let mut machine = Machine {
        module,
        options,
        steps: 0,
    };
    machine.call(function, args.to_vec(), &HashMap::new())
}

/// Runs a function that calls no others; dimensions that no shape binds are those of `dims`.
///
/// # Errors
/// Those of [`run`].
pub fn run_function(
    function: &Function,
    args: &[Array],
    dims: &HashMap<Sym, i64>,
    options: &Options,
) -> Result<Vec<Array>> {
    let mut machine = Machine {
        module: &NOTHING,
        options,
        steps: 0,
    };
    machine.call(function, args.to_vec(), dims)
}

/// A module without functions.
static NOTHING: Module = Module {
    functions: std::collections::BTreeMap::new(),
};

struct Machine<'a> {
    module: &'a Module,
    options: &'a Options<'a>,
    steps: u64,
}

/// One activation of a function.
struct Frame<'a> {
    function: &'a Function,
    dims: HashMap<Sym, i64>,
    values: Vec<Option<Array>>,
    /// Loop level: which buffer a value names.
    buffers: Vec<Option<usize>>,
    memory: Vec<loops::Buffer>,
}

impl<'a> Machine<'a> {
    /// Dimensions that no argument binds are those of the caller.
    fn call(
        &mut self,
        function: &'a Function,
        args: Vec<Array>,
        outer: &HashMap<Sym, i64>,
    ) -> Result<Vec<Array>> {
        let mut dims = outer.clone();
        dims.extend(bind_within(function, &args, outer).map_err(bad_input)?);
        let count = function.value_count();
        let mut frame = Frame {
            function,
            dims,
            values: vec![None; count],
            buffers: vec![None; count],
            memory: Vec::new(),
        };
        for require in &function.requires {
            let value = frame.dim(require.dim)?;
            if !require.relation.holds(value) {
                return Err(EvalError {
                    message: require.message.clone(),
                    loc: require.loc,
                    undecided: false,
                    bad_input: true,
                });
            }
        }
        let outputs = frame.bind_args(args).map_err(bad_input)?;
        let results = self.region(&mut frame, &function.body, &[])?;
        Ok(if outputs.is_empty() {
            results
        } else {
            frame.read_outputs(&outputs)
        })
    }

    /// Runs a region whose arguments get the given values.
    fn region(
        &mut self,
        frame: &mut Frame<'a>,
        region: &'a Region,
        args: &[Array],
    ) -> Result<Vec<Array>> {
        for (&value, arg) in region.args.iter().zip(args) {
            frame.values[value.0 as usize] = Some(arg.clone());
        }
        for node in &region.ops {
            self.node(frame, node).map_err(|e| EvalError {
                loc: e.loc.or(node.loc),
                ..e
            })?;
        }
        region
            .yields
            .iter()
            .map(|&v| frame.get(v).cloned())
            .collect()
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps += steps as u64 + 1;
        if self.steps > self.options.max_steps {
            return error("the run takes too many steps");
        }
        Ok(())
    }

    /// The number of elements of a shape, within the limits.
    fn count(&mut self, shape: &[usize]) -> Result<usize> {
        let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        match count {
            Some(count) if count <= self.options.max_elements => {
                self.spend(count)?;
                Ok(count)
            }
            _ => Err(EvalError {
                bad_input: true,
                ..EvalError::new(format!("an array of shape {shape:?} is too large"))
            }),
        }
    }

    fn node(&mut self, frame: &mut Frame<'a>, node: &'a OpNode) -> Result<()> {
        if node.op.info().family == "loops" {
            return self.loop_op(frame, node);
        }
        let operands: Result<Vec<Array>> = node
            .operands
            .iter()
            .map(|&v| frame.get(v).cloned())
            .collect();
        let operands = operands?;
        let results = if self.options.bound {
            bound::check_decisions(&node.op, &operands)?;
            let mut results = self.tensor_op(frame, node, operands.clone())?;
            self.spend(results.iter().map(Array::len).sum())?;
            self.bound(frame, node, &operands, &mut results)?;
            results
        } else {
            self.tensor_op(frame, node, operands)?
        };
        for (&value, result) in node.results.iter().zip(results) {
            frame.values[value.0 as usize] = Some(result);
        }
        Ok(())
    }

    fn tensor_op(
        &mut self,
        frame: &mut Frame<'a>,
        node: &'a OpNode,
        x: Vec<Array>,
    ) -> Result<Vec<Array>> {
        let one = |array: Array| Ok(vec![array]);
        let shape_of =
            |frame: &Frame, k: usize| frame.shape(frame.function.ty(node.results[k]).shape());
        for k in 0..node.results.len() {
            let shape = shape_of(frame, k)?;
            self.count(&shape)?;
        }
        match &node.op {
            Op::Constant { value } => one(Array::from_literal(value)),
            Op::DimValue { dim } => one(Array::i64(frame.dim(*dim)?)),
            Op::Iota { dtype, axis, .. } => {
                one(movement::iota(*dtype, &shape_of(frame, 0)?, *axis))
            }
            Op::RandomBits { .. } => one(philox::random_bits(&x[0], &shape_of(frame, 0)?)),
            Op::Unary { kind } => one(scalar::map1(&x[0], *kind)),
            Op::Binary { kind } => one(scalar::map2(&x[0], &x[1], *kind)),
            Op::Compare { kind } => one(scalar::compare(&x[0], &x[1], *kind)),
            Op::Select => one(scalar::select(&x[0], &x[1], &x[2])),
            Op::Cast { dtype } => one(scalar::cast(&x[0], *dtype)),
            Op::StopGradient => one(x[0].clone()),
            op if op.info().family == "movement" => one(self.movement(frame, node, &x)?),
            Op::Reduce { kind, axes, acc } => one(reduce::reduce(&x[0], *kind, axes, *acc)),
            Op::ArgReduce { kind, axis } => one(reduce::arg_reduce(&x[0], *kind, *axis)),
            Op::Sort { axis, descending } => Ok(reduce::sort(&x, *axis, *descending)),
            Op::Contract {
                space,
                maps,
                out,
                acc,
                ..
            } => {
                let shape = shape_of(frame, 0)?;
                let space = frame.shape(space)?;
                let points = space.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
                self.spend(points.unwrap_or(usize::MAX >> 1))?;
                let maps: Result<Vec<_>> = maps.iter().map(|m| frame.map(m)).collect();
                let (maps, out) = (maps?, frame.map(out)?);
                one(if node.op.is_window() {
                    contract::window(&x[0], &space, &maps[0])?
                } else {
                    contract::contract(&x, &space, &maps, &out, &shape, *acc)?
                })
            }
            Op::If => self.branch(frame, node, &x[0]),
            Op::While { max } => self.while_loop(frame, node, x, *max),
            Op::Scan { from, to, step } => self.scan(frame, node, x, (*from, *to, *step)),
            Op::Call { callee, .. } => {
                let Some(function) = self.module.get(*callee) else {
                    return error(format!("@{callee} does not exist"));
                };
                self.call(function, x, &frame.dims)
            }
            Op::Grad { .. } => error("gradients are evaluated after differentiation only"),
            Op::Fused { .. } => self.region(frame, &node.regions[0], &[]),
            Op::Assert { message } => {
                if x[0].is_true() {
                    Ok(Vec::new())
                } else {
                    let shown: Vec<i64> = x[1..].iter().map(|v| v.as_ints()[0]).collect();
                    let message = crate::ops::shown_message(message, &shown);
                    error(format!("assertion failed: {message}"))
                }
            }
            Op::AssertClose { message } => control::assert_close(&x, message),
            Op::Alloc { .. }
            | Op::Free
            | Op::Data { .. }
            | Op::View { .. }
            | Op::Load
            | Op::Store
            | Op::LoadVector { .. }
            | Op::StoreVector
            | Op::Fma
            | Op::Shuffle { .. }
            | Op::Prefetch
            | Op::For { .. }
            | Op::Parallel { .. }
            | Op::Kernel { .. } => error("a loop-level op"),
            other => error(format!("`{}` is of no known family", other.name())),
        }
    }

    fn movement(&mut self, frame: &Frame<'a>, node: &OpNode, x: &[Array]) -> Result<Array> {
        let shape = frame.shape(frame.function.ty(node.results[0]).shape())?;
        match &node.op {
            Op::Broadcast { axes, .. } => Ok(movement::broadcast(&x[0], &shape, axes)),
            Op::Reshape { .. } => Ok(x[0].reshaped(shape)),
            Op::Permute { axes } => Ok(movement::permute(&x[0], axes)),
            Op::Slice {
                starts,
                limits,
                strides,
            } => {
                let [starts, limits, strides] = [starts, limits, strides].map(|d| frame.dims(d));
                movement::slice(&x[0], &starts?, &limits?, &strides?)
            }
            Op::Pad { low, high } => {
                let (low, high) = (frame.dims(low)?, frame.dims(high)?);
                movement::pad(&x[0], &x[1], &low, &high)
            }
            Op::Concat { axis } => Ok(movement::concat(x, *axis)),
            Op::Reverse { axes } => Ok(movement::reverse(&x[0], axes)),
            Op::Gather { axes } => movement::gather(&x[0], &x[1..], axes),
            Op::Scatter { axes, kind } => movement::scatter(x, axes, *kind),
            Op::DynamicSlice { .. } => movement::dynamic_slice(&x[0], &x[1..], &shape),
            Op::DynamicUpdate => movement::dynamic_update(&x[0], &x[1], &x[2..]),
            other => error(format!("`{}` moves nothing", other.name())),
        }
    }
}

impl Frame<'_> {
    fn get(&self, value: Value) -> Result<&Array> {
        match &self.values[value.0 as usize] {
            Some(array) => Ok(array),
            None => error("a value is read before it is made"),
        }
    }

    fn dim(&self, dim: Dim) -> Result<i64> {
        match dim.eval(&|sym| self.dims.get(&sym).copied()) {
            Some(value) => Ok(value),
            None => error(format!("the dimension `{dim}` has no value")),
        }
    }

    fn dims(&self, dims: &[Dim]) -> Result<Vec<i64>> {
        dims.iter().map(|d| self.dim(*d)).collect()
    }

    /// A shape; negative extents are an error.
    fn shape(&self, dims: &[Dim]) -> Result<Vec<usize>> {
        dims.iter()
            .map(|d| {
                let value = self.dim(*d)?;
                usize::try_from(value).or_else(|_| error(format!("the dimension `{d}` is {value}")))
            })
            .collect()
    }

    fn map(&self, map: &crate::AffineMap) -> Result<contract::Map> {
        map.coords
            .iter()
            .map(|c| {
                let terms: Result<Vec<(usize, i64)>> = c
                    .terms
                    .iter()
                    .map(|(i, d)| Ok((*i, self.dim(*d)?)))
                    .collect();
                Ok((terms?, self.dim(c.offset)?))
            })
            .collect()
    }
}

/// What the shapes of the arguments bind the named dimensions to.
///
/// # Errors
/// Where types, ranks or sizes do not fit the parameters.
pub fn bind(function: &Function, args: &[Array]) -> Result<HashMap<Sym, i64>> {
    bind_within(function, args, &HashMap::new())
}

/// The same, where dimensions that no argument binds are known.
fn bind_within(
    function: &Function,
    args: &[Array],
    outer: &HashMap<Sym, i64>,
) -> Result<HashMap<Sym, i64>> {
    let params = function.param_types();
    if params.len() < args.len() || params.len() > args.len() {
        return error(format!(
            "@{} takes {} arguments, got {}",
            function.name,
            params.len(),
            args.len()
        ));
    }
    let mut dims: HashMap<Sym, i64> = HashMap::new();
    for ((ty, arg), name) in params.iter().zip(args).zip(&function.param_names) {
        if ty.dtype() != arg.dtype || ty.rank() != arg.shape.len() {
            return error(format!(
                "`{name}` is `{ty}`, got {}{:?}",
                arg.dtype, arg.shape
            ));
        }
        for (dim, &size) in ty.shape().iter().zip(&arg.shape) {
            if let Some(sym) = dim.as_sym() {
                dims.entry(sym).or_insert(size as i64);
            }
        }
    }
    for ((ty, arg), name) in params.iter().zip(args).zip(&function.param_names) {
        for (dim, &size) in ty.shape().iter().zip(&arg.shape) {
            let expected = dim.eval(&|sym| dims.get(&sym).or(outer.get(&sym)).copied());
            if expected != Some(size as i64) {
                let expected = expected.map_or("unknown".into(), |e| e.to_string());
                return error(format!("`{name}`: `{dim}` is {expected}, got {size}"));
            }
        }
    }
    Ok(dims)
}
