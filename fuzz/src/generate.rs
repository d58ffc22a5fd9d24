//! Random well-typed programs, as IR of the tensor level.
//!
//! A program is made together with sizes of its named dimensions, so every op is checked to be
//! within bounds and within cost as it is added. What an op assumes of a dimension becomes a
//! requirement of its function; so other sizes either fit or are refused at entry.

use std::collections::{BTreeMap, HashSet};

use aiai_ir::ops::RegionTypes;
use aiai_ir::{
    Builder, DType, Dim, Function, Module, Op, Region, Relation, Require, Sym, Type, Value,
};

use aiai_ir::random::Random;

mod contract;
mod control;
mod data;
mod elementwise;
mod movement;
mod reduction;

/// Sizes of the named dimensions of an entry.
pub type Sizes = BTreeMap<Sym, i64>;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ops per function, at most.
    pub ops: usize,
    /// Elements of one tensor, at most, for the sizes that come with the program.
    pub elements: i64,
    /// Elements computed in a whole run, about at most.
    pub cost: i64,
    /// Programs that differentiate a function.
    pub gradients: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            ops: 24,
            elements: 600,
            cost: 60_000,
            gradients: false,
        }
    }
}

/// A program, and sizes to run it at.
#[derive(Clone, Debug)]
pub struct Program {
    pub seed: u64,
    pub module: Module,
    pub entry: Sym,
    /// Sizes of the entry's dimensions; all satisfy its requirements. Never empty.
    pub sizes: Vec<Sizes>,
}

/// The program of a seed.
pub fn generate(seed: u64, options: &Options) -> Program {
    let mut random = Random::new(seed);
    let mut shared = Shared {
        random: &mut random,
        options,
        module: Module::default(),
        cost: options.cost,
        helpers: 0,
    };
    let mut function = Function::new("main");
    let sizes = main_sizes(shared.random);
    let entry = function.name;
    let mut writer = Writer::new(&mut shared, &mut function, sizes.clone(), 0);
    writer.parameters();
    writer.body();
    if options.gradients {
        writer.gradient();
    }
    writer.finish();
    let mut module = std::mem::take(&mut shared.module);
    let sizes = more_sizes(&function, sizes, &mut random);
    module.insert(function);
    Program {
        seed,
        module,
        entry,
        sizes,
    }
}

fn main_sizes(random: &mut Random) -> Sizes {
    let names = ["A", "B", "N"];
    let count = random.below(names.len() + 1);
    let size = |random: &mut Random| random.choose([0, 1, 1, 2, 3, 3, 4, 5, 7, 8, 16, 17]);
    names[..count]
        .iter()
        .map(|&n| (Sym::new(n), size(random)))
        .collect()
}

/// The sizes that the program was made with, and others that satisfy its requirements.
fn more_sizes(function: &Function, first: Sizes, random: &mut Random) -> Vec<Sizes> {
    // A dimension that no parameter names is never bound.
    let dims = function.dims();
    let first: Sizes = first
        .into_iter()
        .filter(|(sym, _)| dims.contains(sym))
        .collect();
    let mut all = vec![first.clone()];
    for _ in 0..3 {
        let mut sizes = first.clone();
        for size in sizes.values_mut() {
            *size = (*size + random.between(-2, 4)).max(0);
        }
        let holds = |r: &Require| {
            let value = r.dim.eval(&|sym| sizes.get(&sym).copied());
            value.is_some_and(|v| r.relation.holds(v))
        };
        if function.requires.iter().all(holds) && !all.contains(&sizes) {
            all.push(sizes);
        }
    }
    all
}

/// What the functions of a program share.
struct Shared<'a> {
    random: &'a mut Random,
    options: &'a Options,
    module: Module,
    /// Elements that may still be computed.
    cost: i64,
    helpers: usize,
}

/// Writes one function.
struct Writer<'s, 'a, 'f> {
    shared: &'s mut Shared<'a>,
    builder: Builder<'f>,
    /// Sizes of the named dimensions in this call.
    sizes: Sizes,
    /// Values that may be used here, oldest first.
    pool: Vec<Value>,
    used: HashSet<Value>,
    /// Nesting of functions and regions.
    depth: usize,
    /// Whether this is the entry, which may get more parameters.
    is_entry: bool,
    /// The value to return first, where it matters which.
    first: Option<Value>,
    /// How often the innermost region runs.
    repeats: i64,
}

impl<'s, 'a, 'f> Writer<'s, 'a, 'f> {
    fn new(
        shared: &'s mut Shared<'a>,
        function: &'f mut Function,
        sizes: Sizes,
        depth: usize,
    ) -> Writer<'s, 'a, 'f> {
        Writer {
            shared,
            builder: Builder::new(function),
            sizes,
            pool: Vec::new(),
            used: HashSet::new(),
            depth,
            is_entry: depth == 0,
            first: None,
            repeats: 1,
        }
    }

    fn random(&mut self) -> &mut Random {
        self.shared.random
    }

    /// Parameters of random types over the named dimensions.
    fn parameters(&mut self) {
        let count = self.random().between(1, 4) as usize;
        for at in 0..count {
            let dtype = self.dtype();
            let shape = self.shape(3);
            let owned = self.random().one_in(4);
            let value =
                self.builder
                    .add_param(&format!("p{at}"), Type::tensor(dtype, shape), owned);
            self.pool.push(value);
        }
        // Every named dimension must be bound by a bare use.
        let function = &self.builder.function;
        let missing: Vec<Sym> = self.sizes.keys().copied().collect();
        let types: Vec<Type> = self.pool.iter().map(|&v| function.ty(v).clone()).collect();
        for sym in missing {
            if !types
                .iter()
                .any(|t| t.shape().iter().any(|d| d.as_sym() == Some(sym)))
            {
                let ty = Type::tensor(DType::F32, [Dim::sym(sym)]);
                let value = self.builder.add_param(&format!("size_{sym}"), ty, false);
                self.pool.push(value);
            }
        }
    }

    fn dtype(&mut self) -> DType {
        let common = [
            DType::F32,
            DType::F32,
            DType::F32,
            DType::F64,
            DType::I64,
            DType::Bool,
        ];
        if self.random().one_in(3) {
            self.random().choose(DType::ALL)
        } else {
            self.random().choose(common)
        }
    }

    /// A dimension: named, constant or a simple expression.
    fn dim(&mut self) -> Dim {
        let names: Vec<Sym> = self.sizes.keys().copied().collect();
        let constant = Dim::from(self.random().choose([0, 1, 1, 2, 3, 4, 5, 8]));
        match self.random().pick(&names) {
            Some(name) if !self.random().one_in(3) => match self.random().below(8) {
                0 => Dim::sym(name) + constant,
                1 => Dim::sym(name) * Dim::from(2),
                _ => Dim::sym(name),
            },
            _ => constant,
        }
    }

    /// A shape of at most the given rank, within the limit of elements.
    fn shape(&mut self, rank: usize) -> Vec<Dim> {
        let rank = self.random().below(rank + 1);
        let mut shape: Vec<Dim> = (0..rank).map(|_| self.dim()).collect();
        while self
            .count(&shape)
            .is_none_or(|n| n > self.shared.options.elements)
        {
            shape.pop();
        }
        shape
    }

    fn ty(&self, value: Value) -> Type {
        self.builder.ty(value).clone()
    }

    fn shape_of(&self, value: Value) -> Vec<Dim> {
        self.builder.ty(value).shape().to_vec()
    }

    /// The size of a dimension in this call.
    fn size(&self, dim: Dim) -> Option<i64> {
        dim.eval(&|sym| self.sizes.get(&sym).copied())
    }

    /// The number of elements of a shape; `None` where an extent is negative.
    fn count(&self, shape: &[Dim]) -> Option<i64> {
        let mut product = 1i64;
        for dim in shape {
            product = product.checked_mul(self.size(*dim).filter(|n| *n >= 0)?)?;
        }
        Some(product)
    }

    /// Makes `dim >= 0` a requirement of the function; `None` where it does not hold in this call.
    fn require(&mut self, dim: Dim) -> Option<()> {
        if self.size(dim)? < 0 {
            return None;
        }
        let known = |r: &Require| r.dim == dim && r.relation == Relation::NonNegative;
        if dim.as_const().is_none() && !self.builder.function.requires.iter().any(known) {
            self.builder.function.requires.push(Require {
                dim,
                relation: Relation::NonNegative,
                message: format!("{dim} is at least 0"),
                loc: None,
            });
        }
        Some(())
    }

    /// A value in scope, recent ones more often.
    fn any(&mut self) -> Value {
        let count = self.pool.len();
        let at = if self.random().one_in(2) {
            count - 1 - self.random().below(count.min(4))
        } else {
            self.random().below(count)
        };
        self.pool[at]
    }

    /// A value in scope that satisfies a predicate on its type.
    fn any_of(&mut self, fits: impl Fn(&Type) -> bool) -> Option<Value> {
        let choices: Vec<Value> = self
            .pool
            .iter()
            .copied()
            .filter(|&v| fits(self.builder.ty(v)))
            .collect();
        self.random().pick(&choices)
    }

    /// A value of exactly this type: one in scope or a new one.
    fn of_type(&mut self, ty: &Type) -> Option<Value> {
        if !self.random().one_in(5)
            && let Some(found) = self.any_of(|t| t == ty)
        {
            return Some(found);
        }
        if self.random().one_in(2)
            && let Some(near) = self.any_of(|t| t.shape() == ty.shape())
        {
            return self.one(Op::Cast { dtype: ty.dtype() }, &[near]);
        }
        self.fresh(ty)
    }

    /// A scalar `i64` between 0 and `limit`, computed.
    fn position(&mut self, limit: Dim) -> Option<Value> {
        self.require(limit)?;
        let scalar = Type::scalar(DType::I64);
        let raw = self.of_type(&scalar)?;
        let bound = self.one(
            Op::DimValue {
                dim: limit + Dim::from(1),
            },
            &[],
        )?;
        self.one(
            Op::Binary {
                kind: aiai_ir::BinaryKind::Rem,
            },
            &[raw, bound],
        )
    }

    /// Appends an op, if its results and its work are within the limits.
    fn emit(
        &mut self,
        op: Op,
        operands: &[Value],
        regions: Vec<Region>,
        work: i64,
    ) -> Option<Vec<Value>> {
        let types: Vec<Type> = operands.iter().map(|&v| self.ty(v)).collect();
        let rims: Vec<RegionTypes> = regions
            .iter()
            .map(|r| self.builder.function.region_types(r))
            .collect();
        let results = match op.infer(&types, &rims) {
            Ok(results) => results,
            Err(sentence) => {
                debug_assert!(
                    false,
                    "the generator made an ill-typed `{}`: {sentence}",
                    op.name()
                );
                return None;
            }
        };
        let mut cost = work;
        for ty in &results {
            let count = self.count(ty.shape())?;
            if count > self.shared.options.elements {
                return None;
            }
            cost += count;
        }
        cost = cost.checked_mul(self.repeats)?;
        if cost > self.shared.cost {
            return None;
        }
        self.shared.cost -= cost;
        self.used.extend(operands);
        let results = self.builder.try_op(op, operands, regions).ok()?;
        self.pool.extend(&results);
        Some(results)
    }

    /// Appends an op with one result.
    fn one(&mut self, op: Op, operands: &[Value]) -> Option<Value> {
        self.emit(op, operands, Vec::new(), 0)
            .map(|results| results[0])
    }

    /// A random number of random ops.
    fn body(&mut self) {
        let most = (self.shared.options.ops >> self.depth).max(2);
        let ops = self.random().between(1, most as i64);
        for _ in 0..ops {
            self.step();
        }
    }

    /// One random op with what it needs; nothing where the first choices do not fit.
    fn step(&mut self) {
        for _ in 0..4 {
            let done = match self.random().below(20) {
                0..6 => self.elementwise(),
                6..11 => self.movement(),
                11..14 => self.reduction(),
                14..16 => self.contract(),
                16 => self.data(),
                _ => self.control(),
            };
            if done.is_some() {
                return;
            }
        }
    }

    /// Runs `write` in a new region with arguments of the given types. Returns what it yields.
    fn region(
        &mut self,
        args: &[Type],
        repeats: i64,
        write: impl FnOnce(&mut Self, &[Value]) -> Option<Vec<Value>>,
    ) -> Option<Region> {
        let scope = self.pool.len();
        let outer = self.repeats;
        let args = self.builder.begin_region(args);
        self.pool.extend(&args);
        self.depth += 1;
        self.repeats = outer.saturating_mul(repeats.max(1));
        let yields = write(self, &args);
        self.depth -= 1;
        self.repeats = outer;
        self.pool.truncate(scope);
        let region = self.builder.end_region(yields.as_deref().unwrap_or(&[]));
        self.used.extend(&region.yields);
        yields.map(|_| region)
    }

    /// Returns up to four values, those that nothing uses first.
    fn finish(self) {
        let results = self.results();
        let names: Vec<String> = (0..results.len()).map(|k| format!("r{k}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.builder.finish(&results, &names);
    }

    fn results(&self) -> Vec<Value> {
        let unused = self.pool.iter().rev().filter(|v| !self.used.contains(v));
        let mut results: Vec<Value> = unused.take(4).copied().collect();
        if results.is_empty() {
            results.extend(self.pool.last());
        }
        results.reverse();
        results.retain(|&v| Some(v) != self.first);
        self.first.into_iter().chain(results).collect()
    }
}
