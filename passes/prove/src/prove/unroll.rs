//! Symbolic evaluation at sizes that are numbers: a side of a rule becomes a finite term for every element.
//!
//! Arrays of terms in the place of arrays of numbers; otherwise op by op what the reference evaluator does, in its
//! order. Used for proofs at stated sizes and for counterexamples.

use std::collections::HashMap;
use std::rc::Rc;

use aiai_ir::eval::{int_identity, round_to};
use aiai_ir::{
    BinaryKind, CompareKind, DType, Dim, Function, Op, OpNode, ReduceKind, Region, Scalar, Sym,
    Value,
};

use super::Stop;
use super::eval::{Element, Evaluator, add_clause, contains};
use super::rational::Rational;
use super::term::{Atom, Mode, Poly, Ring, Source, Terms};

/// Elements made in one run of a side, at most.
const MOST_ELEMENTS: usize = 6_000;
/// Iterations of one loop, at most.
const MOST_TRIPS: usize = 16;

/// A tensor of terms, in row-major order.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub elements: Vec<Element>,
}

/// What came of a side.
pub struct Ran {
    pub results: Vec<Rc<Tensor>>,
    /// Conditions on values that stop the side where they fail.
    pub checks: Vec<Poly>,
}

/// A run of one side.
pub struct Unroller<'a> {
    pub eval: Evaluator<'a>,
    function: &'a Function,
    sizes: &'a HashMap<Sym, i64>,
    values: Vec<Option<Rc<Tensor>>>,
    pub checks: Vec<Poly>,
    made: usize,
}

/// Why a side has no terms.
pub enum NoTerms {
    /// It stops with an error at these sizes, whatever the values.
    Stops,
    Unknown(Stop),
}

impl From<Stop> for NoTerms {
    fn from(stop: Stop) -> NoTerms {
        NoTerms::Unknown(stop)
    }
}

pub type Found<T> = Result<T, NoTerms>;

/// The terms of all results of a side at these sizes. `uniform`: parameters whose elements are all equal.
pub fn unroll<'a>(
    terms: &'a mut Terms,
    function: &'a Function,
    sizes: &'a HashMap<Sym, i64>,
    uniform: &[bool],
) -> Found<Ran> {
    let mut run = Unroller {
        eval: Evaluator::new(terms, function, Vec::new()),
        function,
        sizes,
        values: vec![None; function.value_count()],
        checks: Vec::new(),
        made: 0,
    };
    for require in &function.requires {
        if !require.relation.holds(run.dim(require.dim)?) {
            return Err(NoTerms::Stops);
        }
    }
    for (at, value) in function.params().iter().enumerate() {
        let all_equal = uniform.get(at).copied().unwrap_or(false);
        let tensor = run.param(at as u32, *value, all_equal)?;
        run.values[value.0 as usize] = Some(Rc::new(tensor));
    }
    let results = run.region(&function.body, Vec::new())?;
    Ok(Ran {
        results,
        checks: run.checks,
    })
}

impl<'a> Unroller<'a> {
    pub fn dim(&self, dim: Dim) -> Found<i64> {
        // What has no value (divided by 0, beyond i64) is an error of the side.
        dim.eval(&|sym| self.sizes.get(&sym).copied())
            .ok_or(NoTerms::Stops)
    }

    pub fn shape(&self, dims: &[Dim]) -> Found<Vec<usize>> {
        let mut shape = Vec::new();
        for dim in dims {
            // Of a negative size there is nothing.
            let n = usize::try_from(self.dim(*dim)?).map_err(|_| NoTerms::Stops)?;
            if n > MOST_ELEMENTS {
                return Err(Stop::limit("a large tensor").into());
            }
            shape.push(n);
        }
        Ok(shape)
    }

    pub fn shape_of(&self, value: Value) -> Found<Vec<usize>> {
        self.shape(self.function.ty(value).shape())
    }

    pub fn dtype_of(&self, value: Value) -> DType {
        self.function.ty(value).dtype()
    }

    pub fn get(&self, value: Value) -> Found<Rc<Tensor>> {
        let found = self.values.get(value.0 as usize).and_then(Option::as_ref);
        found
            .cloned()
            .ok_or_else(|| Stop::unsupported("a value without a definition").into())
    }

    /// Counts elements about to be made.
    pub fn spend(&mut self, count: usize) -> Found<()> {
        self.made = self.made.saturating_add(count).saturating_add(1);
        if self.made > MOST_ELEMENTS {
            return Err(Stop::limit("too many elements").into());
        }
        Ok(())
    }

    fn param(&mut self, param: u32, value: Value, uniform: bool) -> Found<Tensor> {
        let (dtype, shape) = (self.dtype_of(value), self.shape_of(value)?);
        self.spend(count(&shape))?;
        let mut elements = Vec::new();
        for place in indices(&shape) {
            let index = if uniform {
                Vec::new()
            } else {
                place.iter().map(|i| Dim::from(*i)).collect()
            };
            let atom = self.eval.terms.intern(Atom::Read {
                source: Source::Param(param),
                index,
                dtype,
            });
            elements.push(Element::plain(Poly::atom(Ring::of(dtype), atom), dtype));
        }
        Ok(Tensor {
            dtype,
            shape,
            elements,
        })
    }

    pub fn region(&mut self, region: &'a Region, args: Vec<Rc<Tensor>>) -> Found<Vec<Rc<Tensor>>> {
        if region.args.len() == args.len() {
            for (value, arg) in region.args.iter().zip(args) {
                self.values[value.0 as usize] = Some(arg);
            }
        }
        for node in &region.ops {
            let results = self.node(node)?;
            for (value, result) in node.results.iter().zip(results) {
                self.values[value.0 as usize] = Some(result);
            }
        }
        region.yields.iter().map(|v| self.get(*v)).collect()
    }

    fn node(&mut self, node: &'a OpNode) -> Found<Vec<Rc<Tensor>>> {
        let mut x = Vec::new();
        for operand in &node.operands {
            x.push(self.get(*operand)?);
        }
        for result in &node.results {
            let shape = self.shape_of(*result)?;
            self.spend(count(&shape))?;
        }
        let tensor = match &node.op {
            Op::If => return self.branch(node, &x[0]),
            Op::While { max } => return self.repeat(node, x, *max),
            Op::Scan { from, to, step } => return self.scan(node, x, (*from, *to, *step)),
            Op::Sort { axis, descending } => return self.sort(&x, *axis, *descending),
            Op::Fused { .. } => return self.region(&node.regions[0], Vec::new()),
            Op::Assert { .. } => {
                let holds = x[0].elements[0].term.clone();
                self.check(holds);
                return Ok(Vec::new());
            }
            Op::Constant { .. } | Op::DimValue { .. } | Op::Iota { .. } => self.data(node)?,
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. } => self.pointwise(node, &x)?,
            Op::StopGradient => return Ok(x),
            Op::Reduce { kind, axes, acc } => self.reduce(&x[0], *kind, axes, *acc)?,
            Op::ArgReduce { kind, axis } => self.arg_reduce(&x[0], *kind, *axis)?,
            Op::Contract { .. } => self.contract(node, &x)?,
            Op::Broadcast { .. }
            | Op::Reshape { .. }
            | Op::Permute { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat { .. }
            | Op::Reverse { .. }
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::DynamicSlice { .. }
            | Op::DynamicUpdate => self.moved(node, &x)?,
            op => {
                let why = format!("`{}` is not unrolled", op.name());
                return Err(Stop::unsupported(why).into());
            }
        };
        Ok(vec![Rc::new(tensor)])
    }

    /// Adds a condition that stops the side where it fails.
    pub fn check(&mut self, holds: Poly) {
        add_clause(&mut self.checks, holds);
    }

    pub fn whole(&mut self, dtype: DType, value: i64) -> Found<Element> {
        let scalar = if dtype.is_float() {
            Scalar::Float(round_to(dtype, value as f64))
        } else {
            Scalar::Int(value)
        };
        Ok(Element::plain(self.eval.scalar(dtype, scalar)?, dtype))
    }

    fn data(&mut self, node: &OpNode) -> Found<Tensor> {
        let result = node.results[0];
        let (dtype, shape) = (self.dtype_of(result), self.shape_of(result)?);
        let mut elements = Vec::new();
        match &node.op {
            Op::Constant { value } => {
                for at in 0..value.len() {
                    let term = self.eval.scalar(dtype, value.element(at))?;
                    elements.push(Element::plain(term, dtype));
                }
            }
            Op::DimValue { dim } => {
                let value = self.dim(*dim)?;
                elements.push(self.whole(dtype, value)?);
            }
            Op::Iota { axis, .. } => {
                for index in indices(&shape) {
                    elements.push(self.whole(dtype, index[*axis] as i64)?);
                }
            }
            _ => {}
        }
        Ok(Tensor {
            dtype,
            shape,
            elements,
        })
    }

    fn pointwise(&mut self, node: &OpNode, x: &[Rc<Tensor>]) -> Found<Tensor> {
        let result = node.results[0];
        let (dtype, shape) = (self.dtype_of(result), self.shape_of(result)?);
        let from = x[0].dtype;
        if x.iter().any(|x| x.elements.len() != count(&shape)) {
            return Err(Stop::unsupported("operands of different shapes").into());
        }
        let mut elements = Vec::new();
        for at in 0..count(&shape) {
            let operand = |k: usize| &x[k].elements[at];
            elements.push(match &node.op {
                Op::Unary { kind } => self.eval.unary(*kind, from, operand(0))?,
                Op::Binary { kind } => self.eval.binary(*kind, dtype, operand(0), operand(1))?,
                Op::Compare { kind } => self.compare(*kind, from, operand(0), operand(1))?,
                Op::Select => self.eval.select(operand(0), operand(1), operand(2))?,
                _ => self.eval.cast(operand(0), from, dtype)?,
            });
        }
        Ok(Tensor {
            dtype,
            shape,
            elements,
        })
    }

    pub fn compare(
        &mut self,
        kind: CompareKind,
        dtype: DType,
        a: &Element,
        b: &Element,
    ) -> Found<Element> {
        let term = if dtype.is_float() {
            self.eval.compare_floats(kind, dtype, &a.term, &b.term)?
        } else {
            let signed = dtype.is_signed();
            self.eval.terms.compare(kind, &a.term, &b.term, signed)?
        };
        Ok(Element {
            term,
            clauses: super::eval::joined(&[a, b]),
            held_by: DType::Bool,
        })
    }

    /// Both branches, chosen between element by element; what stops one counts where it is taken.
    fn branch(&mut self, node: &'a OpNode, condition: &Tensor) -> Found<Vec<Rc<Tensor>>> {
        let condition = condition.elements[0].clone();
        if let Some(holds) = condition.term.as_constant() {
            let taken = usize::from(holds.is_zero());
            return self.region(&node.regions[taken], Vec::new());
        }
        let before = std::mem::take(&mut self.checks);
        let yes = self.region(&node.regions[0], Vec::new()).map_err(within)?;
        let checks_yes = std::mem::take(&mut self.checks);
        let no = self.region(&node.regions[1], Vec::new()).map_err(within)?;
        let checks_no = std::mem::replace(&mut self.checks, before);
        let one = Poly::one(Ring::Real);
        for (checks, taken) in [(checks_yes, true), (checks_no, false)] {
            for check in checks {
                let (a, b) = if taken {
                    (&check, &one)
                } else {
                    (&one, &check)
                };
                let guarded = self.eval.terms.choose(&condition.term, a, b)?;
                self.check(guarded);
            }
        }
        let mut results = Vec::new();
        for (a, b) in yes.iter().zip(&no) {
            let mut elements = Vec::new();
            for (a, b) in a.elements.iter().zip(&b.elements) {
                elements.push(self.eval.select(&condition, a, b)?);
            }
            results.push(Rc::new(Tensor {
                dtype: a.dtype,
                shape: a.shape.clone(),
                elements,
            }));
        }
        Ok(results)
    }

    /// A loop whose condition is known in every iteration.
    fn repeat(
        &mut self,
        node: &'a OpNode,
        carries: Vec<Rc<Tensor>>,
        max: Option<Dim>,
    ) -> Found<Vec<Rc<Tensor>>> {
        let max = max.map(|m| self.dim(m)).transpose()?;
        let mut carries = carries;
        for trip in 0..MOST_TRIPS {
            let goes_on = self.region(&node.regions[0], carries.clone())?;
            let Some(goes_on) = goes_on[0].elements[0].term.as_constant() else {
                return Err(Stop::unsupported("a loop of unknown length").into());
            };
            if goes_on.is_zero() {
                return Ok(carries);
            }
            if max.is_some_and(|max| trip as i64 >= max) {
                return Err(NoTerms::Stops);
            }
            carries = self.region(&node.regions[1], carries)?;
        }
        Err(Stop::limit("a loop of many iterations").into())
    }

    fn scan(
        &mut self,
        node: &'a OpNode,
        carries: Vec<Rc<Tensor>>,
        (from, to, step): (Dim, Dim, Dim),
    ) -> Found<Vec<Rc<Tensor>>> {
        let (from, to, step) = (self.dim(from)?, self.dim(to)?, self.dim(step)?);
        if step == 0 {
            return Err(NoTerms::Stops);
        }
        let kept = carries.len();
        let mut carries = carries;
        let mut stacked: Vec<Vec<Element>> = vec![Vec::new(); node.results.len() - kept];
        let (mut now, mut trips) = (from, 0);
        while (step > 0 && now < to) || (step < 0 && now > to) {
            trips += 1;
            if trips > MOST_TRIPS {
                return Err(Stop::limit("a loop of many iterations").into());
            }
            let count = Tensor {
                dtype: DType::I64,
                shape: Vec::new(),
                elements: vec![self.whole(DType::I64, now)?],
            };
            let mut args = vec![Rc::new(count)];
            args.append(&mut carries);
            let mut yields = self.region(&node.regions[0], args)?;
            for (stack, emitted) in stacked.iter_mut().zip(yields.split_off(kept)) {
                stack.extend(emitted.elements.iter().cloned());
            }
            carries = yields;
            now = now.saturating_add(step);
        }
        let mut results = carries;
        for (elements, value) in stacked.into_iter().zip(&node.results[kept..]) {
            results.push(Rc::new(Tensor {
                dtype: self.dtype_of(*value),
                shape: self.shape_of(*value)?,
                elements,
            }));
        }
        Ok(results)
    }

    fn reduce(
        &mut self,
        x: &Tensor,
        kind: ReduceKind,
        axes: &[usize],
        acc: DType,
    ) -> Found<Tensor> {
        let kept: Vec<usize> = (0..x.shape.len()).filter(|k| !axes.contains(k)).collect();
        let shape: Vec<usize> = kept.iter().map(|k| x.shape[*k]).collect();
        let sums = matches!(kind, ReduceKind::Sum | ReduceKind::Prod);
        let inner = if sums {
            self.inner(x.dtype, acc)?
        } else {
            x.dtype
        };
        let mut totals: Vec<Option<Element>> = vec![None; count(&shape)];
        let op = match kind {
            ReduceKind::Sum => BinaryKind::Add,
            ReduceKind::Prod => BinaryKind::Mul,
            ReduceKind::Max => BinaryKind::Max,
            ReduceKind::Min => BinaryKind::Min,
            ReduceKind::Any => BinaryKind::Or,
            ReduceKind::All => BinaryKind::And,
        };
        for (at, index) in indices(&x.shape).into_iter().enumerate() {
            let to: Vec<usize> = kept.iter().map(|k| index[*k]).collect();
            let slot = flat(&shape, &to);
            let next = self.eval.cast(&x.elements[at], x.dtype, inner)?;
            // Extremes and truth values begin with their first operand; sums begin with 0, which matters for -0.
            let before = match totals[slot].take() {
                Some(before) => before,
                None if sums => self.identity(kind, inner)?,
                None => {
                    totals[slot] = Some(next);
                    continue;
                }
            };
            totals[slot] = Some(self.eval.binary(op, inner, &before, &next)?);
        }
        let mut elements = Vec::new();
        for total in totals {
            elements.push(match total {
                Some(total) => self.eval.cast(&total, inner, x.dtype)?,
                None => self.identity(kind, x.dtype)?,
            });
        }
        Ok(Tensor {
            dtype: x.dtype,
            shape,
            elements,
        })
    }

    /// The dtype that a sum is computed in: over the reals and modulo 2^n that of the elements, where the
    /// accumulator holds as much.
    pub fn inner(&self, dtype: DType, acc: DType) -> Found<DType> {
        let free = self.eval.terms.mode == Mode::Free;
        let wide = if dtype.is_float() {
            contains(acc, dtype)
        } else {
            acc.bytes() >= dtype.bytes()
        };
        match (wide, free && dtype.is_float()) {
            (true, false) => Ok(dtype),
            (true, true) => Ok(acc),
            (false, _) => {
                Err(Stop::unsupported("an accumulator narrower than what it sums").into())
            }
        }
    }

    fn identity(&mut self, kind: ReduceKind, dtype: DType) -> Found<Element> {
        let value = match kind {
            ReduceKind::Sum | ReduceKind::Any => return self.whole(dtype, 0),
            ReduceKind::Prod | ReduceKind::All => return self.whole(dtype, 1),
            ReduceKind::Max if dtype.is_float() => Scalar::Float(f64::NEG_INFINITY),
            ReduceKind::Min if dtype.is_float() => Scalar::Float(f64::INFINITY),
            ReduceKind::Max | ReduceKind::Min => Scalar::Int(int_identity(kind, dtype)),
        };
        Ok(Element::plain(self.eval.scalar(dtype, value)?, dtype))
    }

    /// A condition that is 1 or 0 by its number.
    pub fn truth(&self, holds: bool) -> Poly {
        Poly::constant(Ring::Real, Rational::whole(i64::from(holds)))
    }
}

/// What stops a branch stops the side only where the branch is taken.
fn within(why: NoTerms) -> NoTerms {
    match why {
        NoTerms::Stops => Stop::unsupported("a branch that stops").into(),
        NoTerms::Unknown(_) => why,
    }
}

pub fn count(shape: &[usize]) -> usize {
    shape
        .iter()
        .fold(1usize, |total, n| total.saturating_mul(*n))
}

/// All indices of a shape, in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    if shape.contains(&0) {
        return Vec::new();
    }
    let mut all = vec![Vec::new()];
    for n in shape {
        let longer = all.iter().flat_map(|index: &Vec<usize>| {
            (0..*n).map(move |i| {
                let mut next = index.clone();
                next.push(i);
                next
            })
        });
        all = longer.collect();
    }
    all
}

/// The row-major position of an index.
pub fn flat(shape: &[usize], index: &[usize]) -> usize {
    let pairs = shape.iter().zip(index);
    pairs.fold(0, |total, (n, i)| total * n + i)
}
