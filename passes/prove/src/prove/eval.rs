//! Symbolic evaluation: the element of a value at symbolic indices, as a term, with where it is defined.

use std::collections::HashMap;
use std::rc::Rc;

use aiai_ir::{
    BinaryKind, CompareKind, DType, Dim, Function, Literal, Op, OpNode, Region, Scalar, Value,
};

use super::known::Standing;
use super::rational::Rational;
use super::term::{Atom, Mode, Poly, Ring, Source, Terms};
use super::{Outcome, Stop};

/// Ops that no element of a rule is computed by: calls, checks, and those of the loop level.
macro_rules! of_no_value {
    () => {
        Op::Call { .. }
            | Op::Grad { .. }
            | Op::Assert { .. }
            | Op::AssertClose { .. }
            | Op::Alloc { .. }
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
            | Op::Kernel { .. }
    };
}
pub(super) use of_no_value;

/// An element: its term, the conditions under which it is defined, and the narrowest dtype that holds it.
#[derive(Clone, Debug)]
pub struct Element {
    pub term: Poly,
    pub clauses: Rc<Vec<Poly>>,
    pub held_by: DType,
}

impl Element {
    pub fn plain(term: Poly, dtype: DType) -> Element {
        Element {
            term,
            clauses: Rc::new(Vec::new()),
            held_by: dtype,
        }
    }
}

/// What an argument of a region stands for.
#[derive(Clone, Debug)]
pub enum Bound {
    Carry {
        depth: u32,
        place: u32,
    },
    Term(Poly),
    /// Another value.
    Same(Value),
}

/// The evaluation of one side of a rule.
pub struct Evaluator<'a> {
    pub terms: &'a mut Terms,
    pub function: &'a Function,
    definitions: HashMap<Value, (&'a OpNode, usize)>,
    params: HashMap<Value, u32>,
    /// Parameters whose elements are all equal.
    uniform: Vec<bool>,
    pub bound: HashMap<Value, Bound>,
    pub depth: u32,
    /// Elements found so far, with the facts that they rest on.
    memo: HashMap<(Value, Vec<Dim>), (Element, Standing)>,
}

impl<'a> Evaluator<'a> {
    pub fn new(terms: &'a mut Terms, function: &'a Function, uniform: Vec<bool>) -> Evaluator<'a> {
        let mut definitions = HashMap::new();
        define(&function.body, &mut definitions);
        let params = function.params().iter().enumerate();
        let params = params.map(|(at, v)| (*v, at as u32)).collect();
        Evaluator {
            terms,
            function,
            definitions,
            params,
            uniform,
            bound: HashMap::new(),
            depth: 0,
            memo: HashMap::new(),
        }
    }

    /// What a divisor is the quotient of, where it is one.
    fn quotient(&self, kind: BinaryKind, divisor: Value) -> Option<[Value; 2]> {
        let Some((node, 0)) = self.definitions.get(&divisor) else {
            return None;
        };
        let div = BinaryKind::Div;
        let quotient = kind == div && matches!(node.op, Op::Binary { kind } if kind == div);
        quotient.then(|| [node.operands[0], node.operands[1]])
    }

    /// The operand of a sort along one of the axes: the same elements in another order.
    pub fn unsorted(&self, value: Value, axes: &[usize]) -> Value {
        match self.definitions.get(&value) {
            Some((node, 0)) => match &node.op {
                Op::Sort { axis, .. } if axes.contains(axis) => node.operands[0],
                _ => value,
            },
            _ => value,
        }
    }

    /// Forgets elements that depend on what region arguments stood for.
    pub fn forget(&mut self) {
        self.memo.clear();
    }

    /// The element of a value at an index; the index lies within its shape.
    pub fn element(&mut self, value: Value, index: &[Dim]) -> Outcome<Element> {
        let index: Vec<Dim> = index.iter().map(|d| self.terms.known.normal(*d)).collect();
        let key = (value, index);
        if let Some((known, facts)) = self.memo.get(&key)
            && self.terms.known.stands(*facts)
        {
            return Ok(known.clone());
        }
        self.terms.spend()?;
        let facts = self.terms.known.standing();
        let element = self.fresh_element(value, &key.1)?;
        self.memo.insert(key, (element.clone(), facts));
        Ok(element)
    }

    /// An element of a region that is gone through or not: what its positions say of ranges holds inside.
    pub fn alone(&mut self, value: Value, index: &[Dim]) -> Outcome<Element> {
        let (mark, bounds) = (self.terms.known.mark(), self.terms.index_bounds.clone());
        let element = self.element(value, index);
        self.terms.known.release(mark);
        self.terms.index_bounds = bounds;
        element
    }

    fn fresh_element(&mut self, value: Value, index: &[Dim]) -> Outcome<Element> {
        let dtype = self.function.ty(value).dtype();
        if let Some(&param) = self.params.get(&value) {
            let uniform = self.uniform.get(param as usize).copied().unwrap_or(false);
            let index = if uniform { Vec::new() } else { index.to_vec() };
            return self.read(Source::Param(param), index, dtype);
        }
        if let Some(bound) = self.bound.get(&value).cloned() {
            return match bound {
                Bound::Carry { depth, place } => {
                    self.read(Source::Carry { depth, place }, index.to_vec(), dtype)
                }
                Bound::Term(term) => Ok(Element::plain(term, dtype)),
                Bound::Same(other) => self.element(other, index),
            };
        }
        let Some(&(node, place)) = self.definitions.get(&value) else {
            return Err(Stop::unsupported("a value without a definition"));
        };
        self.op(node, place, index)
    }

    fn read(&mut self, source: Source, index: Vec<Dim>, dtype: DType) -> Outcome<Element> {
        let atom = self.terms.intern(Atom::Read {
            source,
            index,
            dtype,
        });
        Ok(Element::plain(Poly::atom(Ring::of(dtype), atom), dtype))
    }

    fn op(&mut self, node: &'a OpNode, place: usize, index: &[Dim]) -> Outcome<Element> {
        let result = node.results[place];
        let dtype = self.function.ty(result).dtype();
        match &node.op {
            Op::Constant { value } => self.constant(value, index),
            Op::DimValue { dim } => {
                let term = self.terms.of_dim(Ring::of(dtype), *dim)?;
                Ok(Element::plain(term, dtype))
            }
            Op::Iota { axis, .. } => {
                if self.terms.mode == Mode::Free && dtype.is_float() {
                    let count = self.terms.of_dim(Ring::Int(DType::I64), index[*axis])?;
                    return self.free_cast(&Element::plain(count, DType::I64), DType::I64, dtype);
                }
                let term = self.terms.of_dim(Ring::of(dtype), index[*axis])?;
                Ok(Element::plain(term, dtype))
            }
            Op::RandomBits { shape } => self.random(node, shape, index),
            Op::Unary { kind } => {
                let x = self.element(node.operands[0], index)?;
                let from = self.function.ty(node.operands[0]).dtype();
                self.unary(*kind, from, &x)
            }
            Op::Binary { kind } => {
                let a = self.element(node.operands[0], index)?;
                let b = self.element(node.operands[1], index)?;
                match self.quotient(*kind, node.operands[1]) {
                    Some([p, q]) => {
                        let parts = [self.element(p, index)?, self.element(q, index)?];
                        self.binary_of(*kind, dtype, (&a, &b), Some(&parts))
                    }
                    None => self.binary(*kind, dtype, &a, &b),
                }
            }
            Op::Compare { kind } => self.comparison(node, *kind, index),
            Op::Select => {
                let c = self.element(node.operands[0], index)?;
                let a = self.element(node.operands[1], index)?;
                let b = self.element(node.operands[2], index)?;
                self.select(&c, &a, &b)
            }
            Op::Cast { dtype } => {
                let x = self.element(node.operands[0], index)?;
                let from = self.function.ty(node.operands[0]).dtype();
                self.cast(&x, from, *dtype)
            }
            Op::StopGradient => self.element(node.operands[0], index),
            Op::Broadcast { .. }
            | Op::Reshape { .. }
            | Op::Permute { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat { .. }
            | Op::Reverse { .. } => self.movement(node, index),
            Op::Gather { axes } => self.gather(node, axes, index),
            Op::Scatter { axes, kind } => self.scatter(node, axes, *kind, index),
            Op::DynamicSlice { .. } => self.dynamic_slice(node, index),
            Op::DynamicUpdate => self.dynamic_update(node, index),
            Op::Reduce { kind, axes, acc } => self.reduce(node, *kind, axes, *acc, index),
            Op::ArgReduce { kind, axis } => self.arg_reduce(node, *kind, *axis, index),
            Op::Sort { axis, descending } => self.sort(node, place, *axis, *descending, index),
            Op::Contract { maps, .. } if node.op.is_window() => {
                let at = maps[0].coords.iter().map(|c| {
                    let terms = c.terms.iter();
                    terms.fold(c.offset, |total, (i, by)| total + index[*i] * *by)
                });
                self.element(node.operands[0], &at.collect::<Vec<_>>())
            }
            Op::Contract {
                space,
                maps,
                out,
                shape,
                acc,
            } => self.contract(node, (space, maps, out), shape, *acc, index),
            Op::If => self.branch(node, place, index),
            Op::While { max } => self.while_loop(node, place, *max, index),
            Op::Scan { from, to, step } => self.scan(node, place, (*from, *to, *step), index),
            Op::Fused { kind: _ } => self.element(node.regions[0].yields[place], index),
            of_no_value!() => Err(Stop::unsupported(format!(
                "`{}` is not handled",
                node.op.name()
            ))),
        }
    }

    fn constant(&mut self, literal: &Literal, index: &[Dim]) -> Outcome<Element> {
        let dtype = literal.dtype;
        if let Some(value) = literal.splat() {
            let term = self.scalar(dtype, value)?;
            return Ok(Element::plain(term, dtype));
        }
        if literal.len() > 16 {
            return Err(Stop::unsupported("a constant of many different elements"));
        }
        let shape: Vec<Dim> = literal.shape.iter().map(|&n| Dim::from(n)).collect();
        let flat = flattened(&shape, index);
        let ring = Ring::of(dtype);
        let mut total = Poly::zero(ring);
        for at in 0..literal.len() {
            let here = self.terms.size_equal(flat - Dim::from(at))?;
            let here = self.terms.in_ring(&here, ring)?;
            let value = self.scalar(dtype, literal.element(at))?;
            let part = self.terms.mul(&here, &value)?;
            total = self.terms.add(&total, &part)?;
        }
        Ok(Element::plain(total, dtype))
    }

    /// A constant as a term.
    pub fn scalar(&mut self, dtype: DType, value: Scalar) -> Outcome<Poly> {
        let ring = Ring::of(dtype);
        if dtype == DType::Bool {
            let holds = i64::from(value.as_i64() != 0);
            return Ok(Poly::constant(ring, Rational::whole(holds)));
        }
        if let Some(bits) = ring.bits() {
            let value = Rational::whole(value.as_i64()).wrapped(bits)?;
            return Ok(Poly::constant(ring, value));
        }
        let value = value.as_f64();
        let terms = &mut *self.terms;
        if terms.mode == Mode::Free {
            let bits = if value.is_nan() { f64::NAN } else { value }.to_bits();
            let atom = terms.intern(Atom::Literal(bits, dtype));
            return Ok(Poly::atom(ring, atom));
        }
        if value.is_nan() {
            let atom = terms.intern(Atom::NotANumber);
            return Ok(Poly::atom(ring, atom));
        }
        if value.is_infinite() {
            let atom = terms.intern(Atom::Infinity);
            let positive = Poly::atom(ring, atom);
            return if value > 0.0 {
                Ok(positive)
            } else {
                terms.neg(&positive)
            };
        }
        Ok(match Rational::of_float(value) {
            Some(exact) => Poly::constant(ring, exact),
            None => {
                let atom = terms.intern(Atom::Literal(value.to_bits(), DType::F64));
                Poly::atom(ring, atom)
            }
        })
    }

    fn comparison(
        &mut self,
        node: &'a OpNode,
        kind: CompareKind,
        index: &[Dim],
    ) -> Outcome<Element> {
        let a = self.element(node.operands[0], index)?;
        let b = self.element(node.operands[1], index)?;
        let dtype = self.function.ty(node.operands[0]).dtype();
        let term = if dtype.is_float() {
            self.compare_floats(kind, dtype, &a.term, &b.term)?
        } else {
            self.terms
                .compare(kind, &a.term, &b.term, dtype.is_signed())?
        };
        Ok(Element {
            term,
            clauses: joined(&[&a, &b]),
            held_by: DType::Bool,
        })
    }

    pub fn select(&mut self, c: &Element, a: &Element, b: &Element) -> Outcome<Element> {
        let term = self.terms.choose(&c.term, &a.term, &b.term)?;
        let mut clauses = (*c.clauses).clone();
        let one = Poly::one(Ring::Real);
        for clause in a.clauses.iter() {
            let guarded = if b.clauses.contains(clause) {
                clause.clone()
            } else {
                self.terms.choose(&c.term, clause, &one)?
            };
            add_clause(&mut clauses, guarded);
        }
        for clause in b.clauses.iter() {
            if !a.clauses.contains(clause) {
                let guarded = self.terms.choose(&c.term, &one, clause)?;
                add_clause(&mut clauses, guarded);
            }
        }
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: wider(a.held_by, b.held_by),
        })
    }

    /// A computation whose indices are bound: its element with clauses for every value of them.
    pub fn bind_clauses(
        &mut self,
        clauses: &[Poly],
        vars: &[(aiai_ir::Sym, Dim)],
    ) -> Outcome<Vec<Poly>> {
        let mut bound = Vec::new();
        for clause in clauses {
            let everywhere = self
                .terms
                .big(super::term::BigOp::All, vars, clause.clone())?;
            add_clause(&mut bound, everywhere);
        }
        Ok(bound)
    }
}

/// Adds a condition unless it is there or always holds; a product of conditions is taken apart.
pub fn add_clause(clauses: &mut Vec<Poly>, clause: Poly) {
    if clause.is_one() {
        return;
    }
    if let [(mono, value)] = clause.terms.as_slice()
        && *value == Rational::ONE
        && mono.len() > 1
    {
        for factor in mono {
            add_clause(clauses, Poly::atom(clause.ring, factor.0));
        }
        return;
    }
    if !clauses.contains(&clause) {
        clauses.push(clause);
    }
}

/// The conditions of several elements together.
pub fn joined(elements: &[&Element]) -> Rc<Vec<Poly>> {
    let used: Vec<&Element> = elements
        .iter()
        .copied()
        .filter(|e| !e.clauses.is_empty())
        .collect();
    if let [only] = used.as_slice() {
        return Rc::clone(&only.clauses);
    }
    let mut clauses = Vec::new();
    for element in used {
        for clause in element.clauses.iter() {
            add_clause(&mut clauses, clause.clone());
        }
    }
    Rc::new(clauses)
}

/// A dtype that holds what both do.
pub fn wider(a: DType, b: DType) -> DType {
    if a == b || contains(a, b) {
        a
    } else if contains(b, a) {
        b
    } else {
        DType::F64
    }
}

/// Whether every float of `narrow` is one of `wide`.
pub fn contains(wide: DType, narrow: DType) -> bool {
    match (wide, narrow) {
        (a, b) if a == b => true,
        (DType::F64, DType::F32 | DType::F16 | DType::BF16) => true,
        (DType::F32, DType::F16 | DType::BF16) => true,
        _ => false,
    }
}

/// The row-major position of an index.
pub fn flattened(shape: &[Dim], index: &[Dim]) -> Dim {
    let pairs = shape.iter().zip(index);
    pairs.fold(Dim::from(0), |flat, (n, i)| flat * *n + *i)
}

fn define<'a>(region: &'a Region, definitions: &mut HashMap<Value, (&'a OpNode, usize)>) {
    for node in &region.ops {
        for (place, value) in node.results.iter().enumerate() {
            definitions.insert(*value, (node, place));
        }
        for inner in &node.regions {
            define(inner, definitions);
        }
    }
}
