//! The default cost: what an op is thought to cost, as an integer.
//!
//! Unknown sizes count as [`NOMINAL`], or as what the function's requirements make of that. The unit is about
//! a quarter of the time that an addition takes per element. Rules fire where the cost of the function
//! falls. What a program says by `cost` comes first ([`Costs::with`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aiai_ir::eval::{self, Array};
use aiai_ir::policy::CostChoice;
use aiai_ir::{BinaryKind, Dim, Function, Op, OpNode, Region, Relation, Sym, Type, UnaryKind};

/// What a dimension without a known size counts as.
pub const NOMINAL: i64 = 64;

/// Steps that a cost function may take.
const MOST_STEPS: u64 = 1 << 16;

/// Iterations of a loop without a known count.
const ITERATIONS: u64 = 16;

/// Costs under sizes that meet what the function requires.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    sizes: BTreeMap<Sym, i64>,
    /// Costs that a program gives: the first for an op or its family holds.
    given: Arc<Vec<CostChoice>>,
}

impl Costs {
    /// Sizes for the named dimensions of a function: nominal, doubled or set where requirements ask for it.
    pub fn of(function: &Function) -> Costs {
        let mut costs = Costs::default();
        for _ in 0..ROUNDS {
            let mut met = true;
            for require in &function.requires {
                let value = costs.size(require.dim);
                if require.relation.holds(value) {
                    continue;
                }
                met = false;
                costs.mend(require.dim, require.relation, value);
            }
            if met {
                break;
            }
        }
        costs
    }

    /// The same with costs that a program gives.
    pub fn with(function: &Function, given: &Arc<Vec<CostChoice>>) -> Costs {
        Costs {
            given: given.clone(),
            ..Costs::of(function)
        }
    }

    /// The cost of an op by what a program gives, if it gives one that ends within [`MOST_STEPS`]. A negative cost
    /// counts as 0.
    fn given(&self, op: &Op, operands: &[Type], results: &[Type]) -> Option<u64> {
        let names = [op.name(), op.info().family];
        let mut fitting = self.given.iter();
        let choice = fitting.find(|choice| names.contains(&choice.op.as_str()))?;
        let total = |types: &[Type]| {
            let sizes = types.iter().map(|ty| self.elements(ty));
            sizes.fold(0, u64::saturating_add)
        };
        let (read, written) = (total(operands), total(results));
        let points = match op {
            Op::Contract { space, .. } => self.points(space),
            Op::Reduce { .. } | Op::ArgReduce { .. } => read,
            _ => written,
        };
        let numbers = [points, read, written].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let args = numbers.map(Array::i64);
        let limits = eval::Options {
            max_steps: MOST_STEPS,
            ..eval::Options::default()
        };
        let run = eval::run_function(&choice.function, &args, &HashMap::new(), &limits);
        let cost = run.ok()?.first()?.as_ints().first().copied()?;
        Some(u64::try_from(cost).unwrap_or(0))
    }

    /// Changes one size towards meeting a requirement.
    fn mend(&mut self, dim: Dim, relation: Relation, value: i64) {
        let with = |sizes: &Costs, sym: Sym, size: i64| {
            let mut sizes = sizes.clone();
            sizes.sizes.insert(sym, size);
            sizes.size(dim)
        };
        let mut syms = Vec::new();
        dim.for_each_sym(&mut |sym| syms.push(sym));
        for sym in syms {
            let now = self.sizes.get(&sym).copied().unwrap_or(NOMINAL);
            let double = now.saturating_mul(2).min(1 << 20);
            for size in [now.saturating_sub(value), now.saturating_add(value), double] {
                let better = with(self, sym, size);
                let nearer = match relation {
                    Relation::Zero => better == 0,
                    Relation::NonZero => better != 0,
                    Relation::NonNegative => better > value,
                };
                if size > 0 && nearer {
                    self.sizes.insert(sym, size);
                    return;
                }
            }
        }
    }

    /// A dimension as a number.
    pub fn size(&self, dim: Dim) -> i64 {
        let value = dim.eval(&|sym| Some(self.sizes.get(&sym).copied().unwrap_or(NOMINAL)));
        value.unwrap_or(NOMINAL)
    }

    fn points(&self, dims: &[Dim]) -> u64 {
        let sizes = dims.iter().map(|&d| self.size(d).max(0) as u64);
        sizes.fold(1, u64::saturating_mul)
    }

    fn elements(&self, ty: &Type) -> u64 {
        self.points(ty.shape())
    }

    /// The cost of an op, with what its regions do.
    pub fn node(&self, function: &Function, node: &OpNode) -> u64 {
        let inside = node.regions.iter().map(|r| self.region(function, r));
        let inside = inside.fold(0, u64::saturating_add);
        let types = |values: &[aiai_ir::Value]| -> Vec<Type> {
            values.iter().map(|&v| function.ty(v).clone()).collect()
        };
        let own = self.op(&node.op, &types(&node.operands), &types(&node.results));
        inside
            .saturating_mul(self.times(&node.op))
            .saturating_add(own)
    }

    pub fn region(&self, function: &Function, region: &Region) -> u64 {
        let costs = region.ops.iter().map(|node| self.node(function, node));
        costs.fold(0, u64::saturating_add)
    }

    /// How often the regions of an op run.
    pub fn times(&self, op: &Op) -> u64 {
        match op {
            Op::Scan { from, to, step } => {
                let (from, to, step) = (self.size(*from), self.size(*to), self.size(*step));
                let span = to.saturating_sub(from);
                match step {
                    0 => 1,
                    _ => span
                        .saturating_add(step - step.signum())
                        .checked_div(step)
                        .unwrap_or(1)
                        .max(1) as u64,
                }
            }
            Op::While { .. } => ITERATIONS,
            _ => 1,
        }
    }

    /// The cost of an op alone, from its types.
    pub fn op(&self, op: &Op, operands: &[Type], results: &[Type]) -> u64 {
        let out = results.iter().map(|ty| self.elements(ty));
        let out = out.fold(0, u64::saturating_add);
        let read = operands.first().map_or(0, |ty| self.elements(ty));
        let per_result = |units: u64| out.saturating_mul(units);
        let body = match op {
            Op::Constant { .. } | Op::DimValue { .. } => 0,
            Op::Iota { .. } | Op::Broadcast { .. } | Op::Reshape { .. } | Op::Slice { .. } => {
                per_result(1)
            }
            Op::StopGradient => per_result(1),
            Op::RandomBits { .. } => per_result(16),
            Op::Unary { kind } => per_result(unary(*kind)),
            Op::Binary { kind } => per_result(binary(*kind)),
            Op::Compare { .. } | Op::Cast { .. } => per_result(4),
            Op::Select => per_result(5),
            Op::Permute { .. } | Op::Reverse { .. } | Op::DynamicSlice { .. } => per_result(2),
            Op::Pad { .. } | Op::Concat { .. } | Op::DynamicUpdate => per_result(3),
            Op::Gather { .. } => per_result(4),
            Op::Scatter { .. } => per_result(8),
            Op::Reduce { .. } => read.saturating_mul(4),
            Op::ArgReduce { .. } => read.saturating_mul(6),
            Op::Sort { .. } => per_result(64),
            Op::Contract { space, maps, .. } => {
                let each = 4 * (maps.len().max(2) as u64 - 1);
                self.points(space).saturating_mul(each).saturating_add(out)
            }
            Op::If | Op::While { .. } | Op::Scan { .. } => per_result(1),
            Op::Call { .. } | Op::Grad { .. } | Op::Fused { .. } => per_result(ITERATIONS),
            Op::Assert { .. } | Op::AssertClose { .. } => read,
            // The loop level: rules are not applied to it.
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
            | Op::Kernel { .. } => per_result(4),
        };
        let given = self.given(op, operands, results);
        given.unwrap_or(body).saturating_add(1)
    }
}

/// Rounds of mending sizes.
const ROUNDS: usize = 16;

fn unary(kind: UnaryKind) -> u64 {
    match kind {
        UnaryKind::Neg
        | UnaryKind::Abs
        | UnaryKind::Sign
        | UnaryKind::Floor
        | UnaryKind::Ceil
        | UnaryKind::Round
        | UnaryKind::Not
        | UnaryKind::IsNan
        | UnaryKind::IsFinite => 4,
        UnaryKind::Sqrt | UnaryKind::Rsqrt => 10,
        UnaryKind::Exp
        | UnaryKind::Expm1
        | UnaryKind::Exp2
        | UnaryKind::Log
        | UnaryKind::Log1p
        | UnaryKind::Tanh
        | UnaryKind::Sin
        | UnaryKind::Cos
        | UnaryKind::Erf => 24,
    }
}

fn binary(kind: BinaryKind) -> u64 {
    match kind {
        BinaryKind::Add
        | BinaryKind::Sub
        | BinaryKind::Max
        | BinaryKind::Min
        | BinaryKind::And
        | BinaryKind::Or
        | BinaryKind::Xor
        | BinaryKind::Shl
        | BinaryKind::Shr => 4,
        BinaryKind::Mul => 5,
        BinaryKind::Div | BinaryKind::Rem => 10,
        BinaryKind::Pow => 48,
    }
}
