//! Lowering: from the tensor level to loops over buffers.
//!
//! Within a group of the pass `fuse`, elementwise ops and views are not computed where they stand but
//! where they are used, inside the loops of what uses them. Every other result gets a buffer; the
//! buffer ends with its last use.
//!
//! The loop function takes the source's parameters as buffers, then its results as buffers.

use std::collections::{HashMap, HashSet};

use aiai_ir::schedule::Pattern;
use aiai_ir::{
    BinaryKind, Builder, CompareKind, DType, Dim, Facts, Function, FuseKind, Literal, Loc, Op,
    OpNode, Region, Relation, Schedule, Sym, Type, UnaryKind, Value,
};

mod abreast;
mod bounds;
mod carried;
mod contract;
mod control;
mod elementwise;
mod expression;
mod folds;
mod in_step;
mod lines;
mod loops;
mod movement;
mod points;
mod reduction;
mod rows;
mod scheduled;
mod shuffles;
mod softmax;
mod usage;
mod vectors;

pub use scheduled::{Alone, Fit, Packed, Scheduled};

/// Where a value of the source function is found.
#[derive(Clone, Debug)]
enum Place {
    /// In memory; logical axis k is axis `axes[k]` of the buffer.
    Buffer { buffer: Value, axes: Vec<usize> },
    /// A scalar that has been computed; of a tensor, the one number of the current row.
    Scalar(Value),
    /// The current row lies in a buffer of one axis.
    Row(Value),
    /// Computed where it is used.
    Lazy,
}

/// What a caller may choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lowering<'s> {
    /// Nothing is fused, and every float result is checked where it is made.
    pub check_nan: bool,
    /// Tried in order; without any, contractions and rows call micro-kernels.
    pub schedules: &'s [Schedule],
    /// Numbers of the parameters that are weights: they are packed once, by a function of its own.
    pub weights: &'s [usize],
    /// Functions of f32 that cost no call and are fast in vectors.
    pub inlined: &'s [UnaryKind],
}

/// The functions of f32 that the LLVM backend makes in vectors: [`Lowering::inlined`] of what is lowered for it.
pub const INLINED: &[UnaryKind] = &[
    UnaryKind::Exp,
    UnaryKind::Expm1,
    UnaryKind::Exp2,
    UnaryKind::Log,
    UnaryKind::Log1p,
    UnaryKind::Tanh,
    UnaryKind::Erf,
];

/// How something was lowered, for whoever asks.
#[derive(Clone, Debug)]
pub struct Note {
    /// What the loops are of.
    pub pattern: Pattern,
    pub what: String,
    pub loc: Option<Loc>,
    /// Of a contraction that a schedule fits.
    pub scheduled: Option<Scheduled>,
}

/// A function at the loop level.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Takes the source's parameters and the packed weights as buffers, then its results.
    pub main: Function,
    /// Takes the source's parameters, then the packed weights, which it writes. `None` where there are none.
    pub prepare: Option<Function>,
    pub packed: Vec<Packed>,
    pub notes: Vec<Note>,
}

/// The loop-level form of a function of primitives, without schedules.
pub fn lower(source: &Function, check_nan: bool) -> Function {
    let options = Lowering {
        check_nan,
        ..Lowering::default()
    };
    lower_with(source, &options).main
}

/// The loop-level form of a function of primitives.
pub fn lower_with(source: &Function, options: &Lowering) -> Lowered {
    let function = |name| {
        let mut made = Function::new(name);
        made.loc = source.loc;
        made.requires = source.requires.clone();
        made
    };
    let (mut main, mut prepare) = (function(source.name), function(source.name));
    let mut lowerer = Lowerer {
        source,
        b: Builder::new(&mut main),
        prepare: Builder::new(&mut prepare),
        schedules: options.schedules,
        constants: options
            .weights
            .iter()
            .map(|&k| source.params()[k])
            .collect(),
        weight_sizes: options
            .weights
            .iter()
            .flat_map(|&k| source.ty(source.params()[k]).shape())
            .filter_map(|dim| dim.as_sym())
            .collect(),
        weight_bytes: options.weights.iter().fold(Dim::from(0), |sum, &k| {
            let ty = source.ty(source.params()[k]);
            let count = Dim::product(ty.shape().iter().copied());
            sum + count * Dim::from(ty.dtype().bytes() as i64)
        }),
        packed: Vec::new(),
        notes: Vec::new(),
        waiting: HashMap::new(),
        waiting_values: HashSet::new(),
        on_the_way: false,
        places: HashMap::new(),
        nodes: HashMap::new(),
        lazy: HashSet::new(),
        row_major: HashSet::new(),
        outputs: HashMap::new(),
        memo: HashMap::new(),
        staged: HashMap::new(),
        row: None,
        line: None,
        passes: 0,
        rows_alone: None,
        inlined: options.inlined,
        pending: HashMap::new(),
        check_nan: options.check_nan,
        facts: facts_of(source),
        checked: HashSet::new(),
    };
    lowerer.function();
    let (packed, notes) = (lowerer.packed, lowerer.notes);
    lowerer.b.finish(&[], &[]);
    lowerer.prepare.finish(&[], &[]);
    Lowered {
        main,
        prepare: (!packed.is_empty()).then_some(prepare),
        packed,
        notes,
    }
}

struct Lowerer<'a> {
    source: &'a Function,
    b: Builder<'a>,
    /// The function that packs weights.
    prepare: Builder<'a>,
    schedules: &'a [Schedule],
    /// Parameters that do not change between calls, and the dimensions that their shapes bind.
    constants: HashSet<Value>,
    weight_sizes: HashSet<Sym>,
    /// Bytes of all weights.
    weight_bytes: Dim,
    packed: Vec<Packed>,
    notes: Vec<Note>,
    /// Groups of rows that are lowered with the product that reads them.
    waiting: HashMap<Value, &'a OpNode>,
    /// Values that the contraction which reads them may compute on the way.
    waiting_values: HashSet<Value>,
    /// Whether a contraction is looked at that may.
    on_the_way: bool,
    places: HashMap<Value, Place>,
    nodes: HashMap<Value, &'a OpNode>,
    /// Values that are computed where they are used.
    lazy: HashSet<Value>,
    /// Values that are wanted in row-major order.
    row_major: HashSet<Value>,
    /// Results that are written straight to their output buffers.
    outputs: HashMap<Value, Value>,
    /// Elements computed in the innermost open region.
    memo: HashMap<(Value, Vec<Value>), Value>,
    /// Values whose elements of the current row lie in a scratch buffer.
    staged: HashMap<Value, elementwise::Staged>,
    /// The row that a group of rows is at.
    row: Option<rows::Row>,
    /// The numbers of the passes along rows or maps at hand, where a schedule gives them.
    line: Option<lines::Line>,
    /// How many passes by vectors the loops at hand have.
    passes: usize,
    /// Why rows are not done side by side though the schedule at hand asks for it.
    rows_alone: Option<String>,
    inlined: &'a [UnaryKind],
    /// Values of the current row that are kept, but not computed yet.
    pending: HashMap<Value, vectors::Pending>,
    check_nan: bool,
    facts: Facts,
    /// Sizes that have been checked, and still are where they are looked up again.
    checked: HashSet<(Relation, Dim)>,
}

impl<'a> Lowerer<'a> {
    fn function(&mut self) {
        let source = self.source;
        for (&param, name) in source.params().iter().zip(&source.param_names) {
            let ty = source.ty(param);
            let memory = Type::buffer(ty.dtype(), ty.shape());
            self.prepare.add_param(name.as_str(), memory.clone(), false);
            let buffer = self.b.add_param(name.as_str(), memory, false);
            self.places.insert(param, whole(buffer, ty.rank()));
        }
        if !self.check_nan {
            self.lazy = usage::plan(source);
            self.row_major = usage::row_major(source);
        }
        let mut targets = Vec::new();
        for (&result, name) in source.body.yields.iter().zip(&source.result_names) {
            let ty = source.ty(result);
            let buffer =
                self.b
                    .add_param(name.as_str(), Type::buffer(ty.dtype(), ty.shape()), true);
            targets.push((result, buffer));
            if !source.params().contains(&result) {
                self.outputs.entry(result).or_insert(buffer);
            }
        }
        self.region(&source.body);
        for (result, buffer) in targets {
            self.write_to(result, buffer);
        }
    }

    /// Builds something in the function that packs weights.
    fn in_prepare(&mut self, build: impl FnOnce(&mut Self)) {
        std::mem::swap(&mut self.b, &mut self.prepare);
        let memo = std::mem::take(&mut self.memo);
        build(self);
        self.memo = memo;
        std::mem::swap(&mut self.b, &mut self.prepare);
    }

    /// Lowers the ops of a region of the source into the open region of the target.
    fn region(&mut self, region: &'a Region) {
        // What is checked in a branch or a loop is not checked behind it.
        let checked = self.checked.clone();
        self.waiting_rows(region);
        let postponed = self.postponed(region);
        for node in &region.ops {
            if node
                .results
                .first()
                .is_some_and(|r| self.waiting.contains_key(r))
            {
                continue;
            }
            self.b.loc = node.loc;
            if node.results.iter().any(|r| postponed.contains(r)) {
                self.postpone(node);
                continue;
            }
            for &result in &node.results {
                self.nodes.insert(result, node);
            }
            self.node(node);
            if self.check_nan {
                node.results.iter().for_each(|&r| self.check_result(r));
            }
        }
        self.checked = checked;
    }

    /// Stops where a float result has a NaN.
    fn check_result(&mut self, value: Value) {
        if !self.dtype(value).is_float() {
            return;
        }
        let buffer = self.dense(value);
        let total = Dim::product(self.shape(value).iter().copied());
        let (zero, n) = (self.int(0), self.dim(total));
        self.kernel("aiai_check_nan", &[buffer, zero, n], &[]);
    }

    fn node(&mut self, node: &'a OpNode) {
        self.check_sizes(node);
        if let Some(&result) = node.results.first() {
            if self.lazy.contains(&result) {
                self.places.insert(result, Place::Lazy);
                return;
            }
            let ty = self.source.ty(result);
            if ty.rank() == 0 && node.op.is_expression() {
                self.places.insert(result, Place::Lazy);
                self.memo.clear();
                let scalar = self.element(result, &[]);
                self.places.insert(result, Place::Scalar(scalar));
                return;
            }
        }
        match &node.op {
            op if op.is_expression() => self.materialize(node.results[0]),
            Op::Contract { .. } => self.contract(node),
            Op::Reduce { kind, axes, acc } => self.reduce(node, *kind, axes, *acc),
            Op::ArgReduce { kind, axis } => self.arg_reduce(node, *kind, *axis),
            Op::Reshape { .. } => self.reshape(node),
            Op::Pad { low, .. } => self.pad(node, low),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Gather { axes } => self.gather(node, axes),
            Op::Scatter { axes, kind } => self.scatter(node, axes, *kind),
            Op::DynamicSlice { .. } => self.dynamic_slice(node),
            Op::DynamicUpdate => self.dynamic_update(node),
            Op::Sort { axis, descending } => self.sort(node, *axis, *descending),
            Op::RandomBits { .. } => self.random_bits(node),
            Op::Constant { value } => self.constant(node.results[0], value),
            Op::If => self.branch(node),
            Op::While { max } => self.while_loop(node, *max),
            Op::Scan { from, to, step } => self.scan(node, (*from, *to, *step)),
            Op::Fused { kind } => self.fused(node, *kind),
            Op::Assert { message } => {
                let condition = self.scalar(node.operands[0]);
                self.b.op(
                    Op::Assert {
                        message: message.clone(),
                    },
                    &[condition],
                    Vec::new(),
                );
            }
            Op::AssertClose { message } => self.assert_close(node, message),
            other => unreachable!("`{}` is not a primitive of the tensor level", other.name()),
        }
    }

    /// A group is lowered as its members are: what fuses is decided by use. Only a group that goes on
    /// from the reduction of its rows is a loop of its own.
    fn fused(&mut self, node: &'a OpNode, kind: FuseKind) {
        for (result, &inner) in node.results.iter().zip(&node.regions[0].yields) {
            if let Some(&buffer) = self.outputs.get(result) {
                self.outputs.insert(inner, buffer);
            }
            if self.row_major.contains(result) {
                self.row_major.insert(inner);
            }
        }
        let group = &node.regions[0];
        let by_schedule = kind == FuseKind::Contract && self.contract_with_epilogue(group);
        match rows::reduced(group).filter(|_| !by_schedule) {
            _ if by_schedule => {}
            Some(x) if !self.check_nan => self.rows(group, x),
            _ => self.region(group),
        }
        for (&result, &inner) in node.results.iter().zip(&node.regions[0].yields) {
            if let Some(place) = self.places.get(&inner).cloned() {
                self.places.insert(result, place);
            }
            if let Some(&inner_node) = self.nodes.get(&inner) {
                self.nodes.insert(result, inner_node);
            }
        }
    }

    // ---- places ----

    fn shape(&self, value: Value) -> &'a [Dim] {
        self.source.ty(value).shape()
    }

    fn dtype(&self, value: Value) -> DType {
        self.source.ty(value).dtype()
    }

    /// A buffer for a result: the output that it becomes, or a new one.
    fn destination(&mut self, value: Value) -> Value {
        let rank = self.shape(value).len();
        let buffer = match self.outputs.get(&value) {
            Some(&buffer) => buffer,
            None => self.alloc(self.dtype(value), self.shape(value)),
        };
        self.places.insert(value, whole(buffer, rank));
        buffer
    }

    fn alloc(&mut self, dtype: DType, shape: &[Dim]) -> Value {
        self.b.value(
            Op::Alloc {
                dtype,
                shape: shape.to_vec(),
            },
            &[],
        )
    }

    /// The value in memory in row-major order.
    fn dense(&mut self, value: Value) -> Value {
        if let Some(Place::Buffer { buffer, axes }) = self.places.get(&value)
            && axes.iter().copied().eq(0..axes.len())
        {
            return *buffer;
        }
        let buffer = self.alloc(self.dtype(value), self.shape(value));
        self.write_to(value, buffer);
        self.places
            .insert(value, whole(buffer, self.shape(value).len()));
        buffer
    }

    /// Whether a value lies in memory in the order of its axes.
    fn lies_in_order(&self, value: Value) -> bool {
        matches!(self.places.get(&value), Some(Place::Buffer { axes, .. }) if axes.iter().copied().eq(0..axes.len()))
    }

    /// The value in memory in whatever order of axes.
    fn stored(&mut self, value: Value) -> (Value, Vec<usize>) {
        match self.places.get(&value) {
            Some(Place::Buffer { buffer, axes }) => (*buffer, axes.clone()),
            _ => (self.dense(value), (0..self.shape(value).len()).collect()),
        }
    }

    /// The value of a scalar.
    fn scalar(&mut self, value: Value) -> Value {
        if let Some(Place::Scalar(scalar)) = self.places.get(&value) {
            return *scalar;
        }
        self.memo.clear();
        self.element(value, &[])
    }

    // ---- index arithmetic ----

    fn int(&mut self, value: i64) -> Value {
        self.b.literal(Literal::i64(DType::I64, value))
    }

    fn dim(&mut self, dim: Dim) -> Value {
        match dim.as_const() {
            Some(value) => self.int(value),
            None => self.b.dim(dim),
        }
    }

    fn add(&mut self, a: Value, b: Value) -> Value {
        self.b.binary(BinaryKind::Add, a, b)
    }

    fn mul(&mut self, a: Value, b: Value) -> Value {
        self.b.binary(BinaryKind::Mul, a, b)
    }

    fn product(&mut self, shape: &[Dim]) -> Value {
        let dim = Dim::product(shape.iter().copied());
        self.dim(dim)
    }

    /// The row-major position of an index.
    fn linear(&mut self, shape: &[Dim], index: &[Value]) -> Value {
        let mut at: Option<Value> = None;
        for (k, &i) in index.iter().enumerate() {
            at = Some(match at {
                None => i,
                Some(at) => {
                    let size = self.dim(shape[k]);
                    let scaled = self.mul(at, size);
                    self.add(scaled, i)
                }
            });
        }
        match at {
            Some(at) => at,
            None => self.int(0),
        }
    }

    /// The index of a row-major position.
    fn delinearize(&mut self, shape: &[Dim], position: Value) -> Vec<Value> {
        let mut index = Vec::new();
        let mut rest = position;
        for k in (0..shape.len()).rev() {
            if k == 0 {
                index.push(rest);
                break;
            }
            if shape[k].is_const(1) {
                index.push(self.int(0));
                continue;
            }
            let size = self.dim(shape[k]);
            index.push(self.b.binary(BinaryKind::Rem, rest, size));
            rest = self.b.binary(BinaryKind::Div, rest, size);
        }
        index.reverse();
        index
    }

    /// Stops with the message unless `0 <= index < size`.
    ///
    /// The message shows the index as `{a}` and `shown`, if any, as `{b}`.
    fn check_index(&mut self, index: Value, size: Dim, shown: Dim, message: &str) {
        let (zero, size, shown) = (self.int(0), self.dim(size), self.dim(shown));
        let low = self.b.compare(CompareKind::Ge, index, zero);
        let high = self.b.compare(CompareKind::Lt, index, size);
        let inside = self.b.binary(BinaryKind::And, low, high);
        self.b.op(
            Op::Assert {
                message: message.to_owned(),
            },
            &[inside, index, shown],
            Vec::new(),
        );
    }

    fn kernel(&mut self, name: &str, operands: &[Value], results: &[Type]) -> Vec<Value> {
        self.b.op(
            Op::Kernel {
                name: name.into(),
                results: results.to_vec(),
            },
            operands,
            Vec::new(),
        )
    }
}

fn facts_of(source: &Function) -> Facts {
    let mut facts = Facts::default();
    for require in &source.requires {
        facts.assume(require.relation, require.dim);
    }
    facts
}

/// A buffer whose axes are in order.
fn whole(buffer: Value, rank: usize) -> Place {
    Place::Buffer {
        buffer,
        axes: (0..rank).collect(),
    }
}
