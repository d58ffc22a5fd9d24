//! Loops of independent iterations, four of f32 or two of f64 at a time.
//!
//! Every value of the body is the same in all lanes, an index that grows by a fixed step from lane to
//! lane, or a vector. Where one fits nowhere, the loop is left to the scalar form.

use aiai_ir::{
    BinaryKind, CompareKind, DType, Op, OpNode, Region, Type as IrType, UnaryKind, Value as IrValue,
};
use cranelift::codegen::ir::MemFlagsData;
use cranelift::prelude::{InstBuilder, IntCC, Type, Value, types};
use rustc_hash::{FxHashMap, FxHashSet};

use super::CompileError;
use super::function::Translator;

/// Vectors to an iteration: hides the cost of the loop itself.
const UNROLL: i64 = 2;

/// What a value of the body is across lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The same in all lanes.
    Uniform,
    /// An `i64`, this much more in every further lane.
    Index(i64),
    /// A float per lane.
    Vector,
    /// A truth value per lane, all bits alike.
    Mask,
}

/// How a body is done several iterations at a time.
struct Plan {
    vector: Type,
    classes: FxHashMap<IrValue, Class>,
}

impl Plan {
    fn class(&self, value: IrValue) -> Class {
        self.classes.get(&value).copied().unwrap_or(Class::Uniform)
    }
}

impl Translator<'_, '_> {
    /// Runs as many iterations as whole vectors cover, and gives the first that is left.
    pub fn vector_loop(
        &mut self,
        region: &Region,
        low: Value,
        high: Value,
    ) -> Result<Value, CompileError> {
        let Some(plan) = self.plan(region) else {
            return Ok(low);
        };
        let lanes = i64::from(plan.vector.lane_count());
        let width = lanes * UNROLL;
        let count = self.b.ins().isub(high, low);
        let whole = self.b.ins().band_imm_s(count, -width);
        let end = self.b.ins().iadd(low, whole);
        let (run, done) = (self.b.create_block(), self.b.create_block());
        let some = self.b.ins().icmp(IntCC::SignedLessThan, low, end);
        self.b.ins().brif(some, run, &[], done, &[]);
        self.b.switch_to_block(run);
        let (ahead, inside): (Vec<&OpNode>, Vec<&OpNode>) = split_ahead(&plan, region);
        for node in ahead {
            self.node(node)?;
        }
        self.counted(low, end, width, &[], |t, first, _| {
            for part in 0..UNROLL {
                let i = t.b.ins().iadd_imm_s(first, part * lanes);
                t.values.insert(region.args[0], i);
                for node in &inside {
                    t.vector_node(&plan, node)?;
                }
            }
            Ok(Vec::new())
        })?;
        self.b.ins().jump(done, &[]);
        self.b.switch_to_block(done);
        // An empty range may be negative; the scalar loop that follows then has nothing to do either.
        let ran = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, count, 0);
        Ok(self.b.ins().select(ran, end, low))
    }

    fn plan(&self, region: &Region) -> Option<Plan> {
        let dtype = region.ops.iter().find_map(|node| match &node.op {
            Op::Store => Some(self.dtype(node.operands[1])),
            _ => None,
        })?;
        let vector = match dtype {
            DType::F32 => types::F32X4,
            DType::F64 => types::F64X2,
            _ => return None,
        };
        let mut plan = Plan {
            vector,
            classes: FxHashMap::default(),
        };
        plan.classes.insert(region.args[0], Class::Index(1));
        for node in &region.ops {
            let class = self.classify(&plan, dtype, node)?;
            for &result in &node.results {
                plan.classes.insert(result, class);
            }
        }
        Some(plan)
    }

    fn classify(&self, plan: &Plan, dtype: DType, node: &OpNode) -> Option<Class> {
        let x = &node.operands;
        let of = |k: usize| plan.class(x[k]);
        match &node.op {
            Op::Constant { .. } | Op::DimValue { .. } => return Some(Class::Uniform),
            Op::Store => {
                let contiguous = self.is_row(plan, &x[2..]);
                let fits = matches!(of(0), Class::Vector | Class::Uniform);
                return (contiguous && fits && self.dtype(x[1]) == dtype).then_some(Class::Uniform);
            }
            Op::Load => {
                let indices = &x[1..];
                if indices.iter().all(|&i| plan.class(i) == Class::Uniform) {
                    return Some(Class::Uniform);
                }
                let known = indices
                    .iter()
                    .all(|&i| matches!(plan.class(i), Class::Uniform | Class::Index(_)));
                // Truth values lie a byte each; of four f32 lanes they make one word.
                if self.dtype(x[0]) == DType::Bool && dtype == DType::F32 {
                    return self.is_row(plan, indices).then_some(Class::Mask);
                }
                return (known && self.dtype(x[0]) == dtype).then_some(Class::Vector);
            }
            _ => {}
        }
        if !node.regions.is_empty() || node.op.info().family != "elementwise" {
            return None;
        }
        if x.iter().all(|&v| plan.class(v) == Class::Uniform) {
            return Some(Class::Uniform);
        }
        match &node.op {
            Op::Binary { kind } if self.dtype(x[0]) == DType::I64 => {
                self.index_class(*kind, x, plan)
            }
            Op::Binary { kind } if self.dtype(x[0]) == DType::Bool => {
                let logical = matches!(kind, BinaryKind::And | BinaryKind::Or | BinaryKind::Xor);
                (logical && of(0) == Class::Mask && of(1) == Class::Mask).then_some(Class::Mask)
            }
            Op::Unary {
                kind: UnaryKind::Not,
            } => (of(0) == Class::Mask).then_some(Class::Mask),
            Op::Unary { kind } => {
                let simple = matches!(
                    kind,
                    UnaryKind::Neg
                        | UnaryKind::Abs
                        | UnaryKind::Floor
                        | UnaryKind::Ceil
                        | UnaryKind::Round
                        | UnaryKind::Sqrt
                        | UnaryKind::Rsqrt
                        | UnaryKind::Sign
                        | UnaryKind::IsNan
                        | UnaryKind::IsFinite
                );
                let class = if kind.is_predicate() {
                    Class::Mask
                } else {
                    Class::Vector
                };
                (simple && of(0) == Class::Vector).then_some(class)
            }
            Op::Binary { kind } => {
                let simple =
                    !kind.is_bitwise() && !matches!(kind, BinaryKind::Pow | BinaryKind::Rem);
                (simple && self.are_floats(plan, dtype, x)).then_some(Class::Vector)
            }
            Op::Compare { .. } => self.are_floats(plan, dtype, x).then_some(Class::Mask),
            Op::Select => {
                let fits = self.are_floats(plan, dtype, &x[1..]);
                let mask = matches!(of(0), Class::Mask | Class::Uniform);
                (fits && mask).then_some(Class::Vector)
            }
            Op::Cast { dtype: to } => match of(0) {
                Class::Mask if *to == dtype => Some(Class::Vector),
                class if *to == self.dtype(x[0]) => Some(class),
                _ => None,
            },
            Op::StopGradient => Some(of(0)),
            _ => None,
        }
    }

    fn are_floats(&self, plan: &Plan, dtype: DType, x: &[IrValue]) -> bool {
        x.iter().all(|&v| {
            self.dtype(v) == dtype && matches!(plan.class(v), Class::Vector | Class::Uniform)
        })
    }

    /// Sums of indices, and their products with constants, are indices.
    fn index_class(&self, kind: BinaryKind, x: &[IrValue], plan: &Plan) -> Option<Class> {
        let step = |class: Class| match class {
            Class::Uniform => Some(0),
            Class::Index(step) => Some(step),
            Class::Vector | Class::Mask => None,
        };
        let (a, b) = (step(plan.class(x[0]))?, step(plan.class(x[1]))?);
        match kind {
            BinaryKind::Add => Some(Class::Index(a.checked_add(b)?)),
            BinaryKind::Sub => Some(Class::Index(a.checked_sub(b)?)),
            BinaryKind::Mul => {
                let constant = |v: IrValue| self.unit.constants.get(&v).copied();
                match (a, b) {
                    (step, 0) => Some(Class::Index(step.checked_mul(constant(x[1])?)?)),
                    (0, step) => Some(Class::Index(step.checked_mul(constant(x[0])?)?)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether an address goes up by one element from lane to lane.
    fn is_row(&self, plan: &Plan, indices: &[IrValue]) -> bool {
        let Some((&last, outer)) = indices.split_last() else {
            return false;
        };
        plan.class(last) == Class::Index(1)
            && outer.iter().all(|&i| plan.class(i) == Class::Uniform)
    }

    fn vector_node(&mut self, plan: &Plan, node: &OpNode) -> Result<(), CompileError> {
        let x = &node.operands;
        if matches!(node.op, Op::Store) {
            let value = self.spread(plan, x[0]);
            let position = self.position(x[1], &x[2..]);
            let address = self.address(x[1], position);
            self.b.ins().store(unaligned(), value, address, 0);
            return Ok(());
        }
        let value = match (plan.class(node.results[0]), &node.op) {
            (Class::Uniform | Class::Index(_), _) => return self.node(node),
            (Class::Mask, Op::Load) => self.mask_load(node),
            (_, Op::Load) => self.vector_load(plan, node),
            (
                _,
                Op::Unary {
                    kind: UnaryKind::Not,
                },
            ) => {
                let mask = self.get(x[0]);
                self.b.ins().bnot(mask)
            }
            (_, Op::Unary { kind }) => {
                let operand = self.spread(plan, x[0]);
                match self.float_unary(*kind, operand) {
                    Some(value) => value,
                    None => unreachable!("`{}` is not planned for", kind.name()),
                }
            }
            (class, Op::Binary { kind }) => {
                let (a, b) = (self.spread(plan, x[0]), self.spread(plan, x[1]));
                match (class, kind) {
                    (Class::Mask, BinaryKind::And) => self.b.ins().band(a, b),
                    (Class::Mask, BinaryKind::Or) => self.b.ins().bor(a, b),
                    (Class::Mask, _) => self.b.ins().bxor(a, b),
                    _ => match self.float_binary(*kind, a, b) {
                        Some(value) => value,
                        None => unreachable!("`{}` is not planned for", kind.name()),
                    },
                }
            }
            (_, Op::Compare { kind }) => self.vector_compare(plan, *kind, x),
            (_, Op::Select) => {
                let (a, b) = (self.spread(plan, x[1]), self.spread(plan, x[2]));
                let condition = self.get(x[0]);
                if plan.class(x[0]) == Class::Uniform {
                    self.b.ins().select(condition, a, b)
                } else {
                    self.choose(condition, a, b)
                }
            }
            (Class::Vector, Op::Cast { .. }) if plan.class(x[0]) == Class::Mask => {
                let (one, zero) = (self.float(plan.vector, 1.0), self.float(plan.vector, 0.0));
                let mask = self.get(x[0]);
                self.choose(mask, one, zero)
            }
            (_, _) => self.get(x[0]),
        };
        self.define(node, value);
        Ok(())
    }

    fn vector_compare(&mut self, plan: &Plan, kind: CompareKind, x: &[IrValue]) -> Value {
        let (a, b) = (self.spread(plan, x[0]), self.spread(plan, x[1]));
        self.compare(kind, self.dtype(x[0]), a, b)
    }

    /// A value in all lanes.
    fn spread(&mut self, plan: &Plan, value: IrValue) -> Value {
        let known = self.get(value);
        if plan.class(value) != Class::Uniform {
            return known;
        }
        self.b.ins().splat(plan.vector, known)
    }

    fn vector_load(&mut self, plan: &Plan, node: &OpNode) -> Value {
        let (buffer, indices) = (node.operands[0], &node.operands[1..]);
        let position = self.position(buffer, indices);
        let address = self.address(buffer, position);
        if self.is_row(plan, indices) {
            return self.b.ins().load(plan.vector, unaligned(), address, 0);
        }
        // Lane by lane, a fixed number of bytes apart.
        let stride = self.lane_stride(plan, buffer, indices);
        let scalar = plan.vector.lane_type();
        let first = self
            .b
            .ins()
            .load(scalar, MemFlagsData::trusted(), address, 0);
        let mut vector = self.b.ins().splat(plan.vector, first);
        let mut at = address;
        for lane in 1..plan.vector.lane_count() {
            at = self.b.ins().iadd(at, stride);
            let element = self.b.ins().load(scalar, MemFlagsData::trusted(), at, 0);
            vector = self.b.ins().insertlane(vector, element, lane as u8);
        }
        vector
    }

    /// Four truth values of a byte each as a mask of four lanes.
    fn mask_load(&mut self, node: &OpNode) -> Value {
        let position = self.position(node.operands[0], &node.operands[1..]);
        let address = self.address(node.operands[0], position);
        let word = self.b.ins().load(types::I32, unaligned(), address, 0);
        let bytes = self.b.ins().scalar_to_vector(types::I32X4, word);
        let bytes = self.bits_as(bytes, types::I8X16);
        let halves = self.b.ins().uwiden_low(bytes);
        let lanes = self.b.ins().uwiden_low(halves);
        let zero = self.b.ins().iconst(types::I32, 0);
        let zeros = self.b.ins().splat(types::I32X4, zero);
        self.b.ins().icmp(IntCC::NotEqual, lanes, zeros)
    }

    fn lane_stride(&mut self, plan: &Plan, buffer: IrValue, indices: &[IrValue]) -> Value {
        let IrType::Buffer { shape, dtype, .. } = self.source.ty(buffer) else {
            unreachable!("loads read buffers");
        };
        let mut total = self.int(0);
        for (k, &size) in shape.iter().enumerate() {
            let size = self.dim(size);
            total = self.b.ins().imul(total, size);
            if let Class::Index(step) = plan.class(indices[k]) {
                total = self.b.ins().iadd_imm_s(total, step);
            }
        }
        self.b.ins().imul_imm_s(total, dtype.bytes() as i64)
    }
}

/// The nodes that are the same in all iterations, to be done ahead of the loop, and the others. A buffer
/// that the loop writes is read in the loop.
fn split_ahead<'a>(plan: &Plan, region: &'a Region) -> (Vec<&'a OpNode>, Vec<&'a OpNode>) {
    let is_written = |buffer: IrValue| {
        let mut stores = region.ops.iter().filter(|n| matches!(n.op, Op::Store));
        stores.any(|store| store.operands[1] == buffer)
    };
    let mut made_inside: FxHashSet<IrValue> = FxHashSet::default();
    region.ops.iter().partition(|node| {
        let same = |v: &IrValue| plan.class(*v) == Class::Uniform;
        let uniform = node.results.iter().all(same);
        let ready = !node.operands.iter().any(|v| made_inside.contains(v));
        let is_ahead = match node.op {
            Op::Store => false,
            Op::Load => uniform && ready && !is_written(node.operands[0]),
            _ => uniform && ready,
        };
        if !is_ahead {
            made_inside.extend(&node.results);
        }
        is_ahead
    })
}

/// Memory that vectors read and write: aligned to the element only.
fn unaligned() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}
