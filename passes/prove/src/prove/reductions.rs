//! Reductions, contractions and sorts.

use std::rc::Rc;

use aiai_ir::eval::int_identity;
use aiai_ir::{AffineMap, ArgKind, DType, Dim, OpNode, ReduceKind, Scalar, Sym, Value};

use super::eval::{Element, Evaluator, add_clause, contains};
use super::rational::Rational;
use super::term::{BigOp, Mode, Poly, Ring};
use super::{Outcome, Stop};

/// Whether sums in `acc` of elements of `dtype` are those of exact arithmetic, or of arithmetic modulo 2^n.
fn wide_enough(acc: DType, dtype: DType) -> bool {
    if dtype.is_float() {
        contains(acc, dtype)
    } else {
        acc.bytes() >= dtype.bytes()
    }
}

impl<'a> Evaluator<'a> {
    /// Fresh indices of the given ranges, whose facts are assumed.
    pub fn fresh_indices(&mut self, ranges: &[Dim]) -> Vec<(Sym, Dim)> {
        let mut vars = Vec::new();
        for range in ranges {
            let sym = self.terms.fresh();
            self.terms.assume_index(sym, *range);
            vars.push((sym, *range));
        }
        vars
    }

    pub fn reduce(
        &mut self,
        node: &'a OpNode,
        kind: ReduceKind,
        axes: &[usize],
        acc: DType,
        index: &[Dim],
    ) -> Outcome<Element> {
        let dtype = self.function.ty(node.operands[0]).dtype();
        let ordered = kind == ReduceKind::Sum || kind == ReduceKind::Prod;
        let in_order = ordered && dtype.is_float() && self.terms.mode == Mode::Free;
        let x = if in_order {
            node.operands[0]
        } else {
            self.unsorted(node.operands[0], axes)
        };
        let shape = self.function.ty(x).shape().to_vec();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        let ranges: Vec<Dim> = sorted
            .iter()
            .map(|a| self.terms.known.normal(shape[*a]))
            .collect();
        if ranges.iter().any(|n| n.is_const(0)) {
            return self.nothing(kind, dtype);
        }
        let extreme = kind == ReduceKind::Max || kind == ReduceKind::Min;
        // Asked before the indices exist: that they do would be the answer.
        for range in ranges.iter().filter(|_| extreme) {
            if !self.terms.known.proves(*range - Dim::from(1)) {
                return Err(Stop::undecided(*range));
            }
        }
        let mark = self.terms.known.mark();
        let vars = self.fresh_indices(&ranges);
        let mut inner = Vec::new();
        let mut kept = index.iter();
        for axis in 0..shape.len() {
            match sorted.iter().position(|a| *a == axis) {
                Some(at) => inner.push(Dim::sym(vars[at].0)),
                None => inner.extend(kept.next().copied()),
            }
        }
        let body = self.element(x, &inner)?;
        let clauses = self.bind_clauses(&body.clauses, &vars)?;
        let term = match kind {
            ReduceKind::All => self.terms.big(BigOp::All, &vars, body.term.clone())?,
            ReduceKind::Any => {
                let none = self.terms.not(&body.term)?;
                let none = self.terms.big(BigOp::All, &vars, none)?;
                self.terms.not(&none)?
            }
            ReduceKind::Sum | ReduceKind::Prod => {
                self.accumulated(kind, dtype, acc, &vars, &body.term)?
            }
            ReduceKind::Max | ReduceKind::Min => self.extreme(kind, dtype, &vars, &body.term)?,
        };
        self.terms.known.release(mark);
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: dtype,
        })
    }

    /// The reduction of nothing.
    fn nothing(&mut self, kind: ReduceKind, dtype: DType) -> Outcome<Element> {
        let value = match kind {
            ReduceKind::Sum | ReduceKind::Any => Scalar::Int(0),
            ReduceKind::Prod | ReduceKind::All => Scalar::Int(1),
            ReduceKind::Max if dtype.is_float() => Scalar::Float(f64::NEG_INFINITY),
            ReduceKind::Min if dtype.is_float() => Scalar::Float(f64::INFINITY),
            ReduceKind::Max | ReduceKind::Min => Scalar::Int(int_identity(kind, dtype)),
        };
        let term = self.scalar(dtype, value)?;
        Ok(Element::plain(term, dtype))
    }

    fn accumulated(
        &mut self,
        kind: ReduceKind,
        dtype: DType,
        acc: DType,
        vars: &[(Sym, Dim)],
        body: &Poly,
    ) -> Outcome<Poly> {
        let wild = self.terms.wild(body);
        let free = dtype.is_float() && (self.terms.mode == Mode::Free || wild);
        if free {
            // In the order of the elements: indices stay as they are.
            let name = format!("{}_{acc}", kind.name());
            return self.terms.lambda(
                &name,
                vars,
                vec![body.clone()],
                Vec::new(),
                Vec::new(),
                dtype,
            );
        }
        if !wide_enough(acc, dtype) {
            return Err(Stop::unsupported(
                "an accumulator narrower than what it sums",
            ));
        }
        if kind == ReduceKind::Prod {
            return self.terms.big(BigOp::Prod, vars, body.clone());
        }
        let sign = self.terms.known.lasting(|| self.terms.sign(body));
        let total = self.terms.big(BigOp::Sum, vars, body.clone())?;
        let some = self.terms.known.lasting(|| {
            vars.iter()
                .all(|v| self.terms.known.proves(v.1 - Dim::from(1)))
        });
        self.terms.note(
            &total,
            super::sign::Sign {
                not_zero: sign.not_zero && some,
                ..sign
            },
        );
        Ok(total)
    }

    fn extreme(
        &mut self,
        kind: ReduceKind,
        dtype: DType,
        vars: &[(Sym, Dim)],
        body: &Poly,
    ) -> Outcome<Poly> {
        let free = dtype.is_float() && self.terms.mode == Mode::Free;
        let masked =
            self.terms.wild(body) && self.terms.condition(std::slice::from_ref(body)).is_none();
        if free || masked {
            // The order does not matter, and NaN wins wherever it stands.
            return self.unordered(kind.name(), vars, body, dtype);
        }
        if kind == ReduceKind::Max {
            return self.terms.big(BigOp::Max, vars, body.clone());
        }
        let turned = self.terms.order_reversed(body)?;
        let most = self.terms.big(BigOp::Max, vars, turned)?;
        self.terms.order_reversed(&most)
    }

    /// A function of all elements in whatever order: names and order of indices are canonical, those that
    /// nothing depends on are left out. No range is empty.
    fn unordered(
        &mut self,
        name: &str,
        vars: &[(Sym, Dim)],
        body: &Poly,
        dtype: DType,
    ) -> Outcome<Poly> {
        let mut used = Vec::new();
        for (sym, range) in vars {
            if self.terms.mentions(body, *sym) {
                used.push((*sym, *range));
            }
        }
        if used.is_empty() {
            return Ok(body.clone());
        }
        // The smallest is minus the largest of the negated; of integers, that would wrap.
        let negated = name == "min" && dtype.is_float();
        let (name, body) = if negated {
            ("max", self.negated(dtype, body)?)
        } else {
            (name, body.clone())
        };
        // An extreme of extremes is one over all indices.
        let mut body = body;
        if let Some(atom) = body.as_atom()
            && let super::term::Atom::Opaque(inner) = &*self.terms.atom(atom)
            && inner.name == name
            && inner.outer.is_empty()
        {
            let (more, map) = self.terms.open(inner.base, &inner.ranges, &[])?;
            let inner = inner.bodies[0].clone();
            body = self.terms.substitute(&inner, &map)?;
            used.extend(more);
        }
        let mut best: Option<(String, Poly)> = None;
        for order in self.terms.orders(used, &body) {
            for turned in [false, true] {
                let mut body = body.clone();
                if turned {
                    let map: Vec<(Sym, Dim)> = order
                        .iter()
                        .map(|(s, n)| (*s, *n - Dim::from(1) - Dim::sym(*s)))
                        .collect();
                    body = self.terms.substitute(&body, &map)?;
                }
                let term =
                    self.terms
                        .lambda(name, &order, vec![body], Vec::new(), Vec::new(), dtype)?;
                let text = self.terms.show(&term);
                if best.as_ref().is_none_or(|b| text < b.0) {
                    best = Some((text, term));
                }
            }
        }
        let Some((_, term)) = best else {
            return Err(Stop::limit("an extreme without an order"));
        };
        if negated {
            self.negated(dtype, &term)
        } else {
            Ok(term)
        }
    }

    fn negated(&mut self, dtype: DType, body: &Poly) -> Outcome<Poly> {
        let element = Element::plain(body.clone(), dtype);
        Ok(self.unary(aiai_ir::UnaryKind::Neg, dtype, &element)?.term)
    }

    pub fn contract(
        &mut self,
        node: &'a OpNode,
        (space, maps, out): (&[Dim], &[AffineMap], &AffineMap),
        shape: &[Dim],
        acc: DType,
        index: &[Dim],
    ) -> Outcome<Element> {
        let dtype = self.function.ty(node.operands[0]).dtype();
        let zero = Dim::from(0);
        let (mut place, conditions) = self.placed(space, out, shape, index);
        if space
            .iter()
            .any(|n| self.terms.known.normal(*n).is_const(0))
        {
            return self.nothing(ReduceKind::Sum, dtype);
        }
        let mark = self.terms.known.mark();
        let summed: Vec<usize> = (0..space.len()).filter(|i| place[*i].is_none()).collect();
        let ranges: Vec<Dim> = summed.iter().map(|i| space[*i]).collect();
        let vars = self.fresh_indices(&ranges);
        for (i, (sym, _)) in summed.iter().zip(&vars) {
            place[*i] = Some(Dim::sym(*sym));
        }
        let point: Vec<Dim> = place.into_iter().map(|p| p.unwrap_or(zero)).collect();
        let at = |map: &AffineMap| -> Vec<Dim> {
            let coords = map.coords.iter();
            coords
                .map(|c| {
                    let terms = c.terms.iter();
                    terms.fold(c.offset, |total, (i, by)| total + point[*i] * *by)
                })
                .collect()
        };
        let written = at(out);
        let mut here = Poly::one(Ring::Real);
        for k in conditions {
            let same = self.terms.size_equal(written[k] - index[k])?;
            here = self.terms.mul(&here, &same)?;
        }
        let mut factors = Vec::new();
        let mut clauses = Vec::new();
        for (operand, map) in node.operands.iter().zip(maps) {
            let factor = self.element(*operand, &at(map))?;
            for clause in factor.clauses.iter() {
                let one = Poly::one(Ring::Real);
                clauses.push(self.terms.choose(&here, clause, &one)?);
            }
            factors.push(factor.term);
        }
        let wild = factors.iter().any(|f| self.terms.wild(f));
        let free = dtype.is_float() && (self.terms.mode == Mode::Free || wild);
        let term = if free {
            if factors.len() == 2 {
                factors.sort();
            }
            factors.insert(0, here);
            let name = format!("contract_{acc}");
            self.terms
                .lambda(&name, &vars, factors, Vec::new(), Vec::new(), dtype)?
        } else {
            if !wide_enough(acc, dtype) {
                return Err(Stop::unsupported(
                    "an accumulator narrower than what it sums",
                ));
            }
            let mut product = self.terms.in_ring(&here, Ring::of(dtype))?;
            for factor in &factors {
                product = self.terms.mul(&product, factor)?;
            }
            let square = factors.len() == 2 && factors[0] == factors[1];
            let total = self.terms.big(BigOp::Sum, &vars, product)?;
            if square {
                self.terms.note(&total, super::sign::Sign::AT_LEAST_ZERO);
            }
            total
        };
        let clauses = self.bind_clauses(&clauses, &vars)?;
        self.terms.known.release(mark);
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: dtype,
        })
    }

    /// The indices of the space that the index of the result gives, and the coordinates that are conditions.
    fn placed(
        &self,
        space: &[Dim],
        out: &AffineMap,
        shape: &[Dim],
        index: &[Dim],
    ) -> (Vec<Option<Dim>>, Vec<usize>) {
        let mut place: Vec<Option<Dim>> = vec![None; space.len()];
        let mut conditions: Vec<usize> = Vec::new();
        for (k, coordinate) in out.coords.iter().enumerate() {
            match coordinate.as_index() {
                Some(i) if place[i].is_none() && self.terms.known.equal(space[i], shape[k]) => {
                    place[i] = Some(index[k]);
                }
                _ => conditions.push(k),
            }
        }
        (place, conditions)
    }

    /// Known up to a shift and a positive scale of the elements.
    pub fn arg_reduce(
        &mut self,
        node: &'a OpNode,
        kind: ArgKind,
        axis: usize,
        index: &[Dim],
    ) -> Outcome<Element> {
        let x = node.operands[0];
        let dtype = self.function.ty(x).dtype();
        let range = self.function.ty(x).shape()[axis];
        if self.terms.known.normal(range).is_const(0) {
            let term = self.scalar(DType::I64, Scalar::Int(-1))?;
            return Ok(Element::plain(term, DType::I64));
        }
        let mark = self.terms.known.mark();
        let vars = self.fresh_indices(&[range]);
        let mut inner = index.to_vec();
        inner.insert(axis, Dim::sym(vars[0].0));
        let body = self.element(x, &inner)?;
        let mut term = body.term.clone();
        let mut name = format!("arg{}", kind.name());
        let real = dtype.is_float() && self.terms.mode == Mode::Real && !self.terms.wild(&term);
        if real {
            if kind == ArgKind::Min {
                term = self.terms.neg(&term)?;
                name = "argmax".into();
            }
            term = self.stripped(vars[0].0, &term)?;
        } else if dtype.is_integer() && kind == ArgKind::Min {
            // Of integers the complement turns the order round, and does not wrap.
            term = self.terms.order_reversed(&term)?;
            name = "argmax".into();
        }
        let term =
            self.terms
                .lambda(&name, &vars, vec![term], Vec::new(), Vec::new(), DType::I64)?;
        let clauses = self.bind_clauses(&body.clauses, &vars)?;
        self.terms.known.release(mark);
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: DType::I64,
        })
    }

    /// The body without what does not depend on the index and does not change which element is largest.
    fn stripped(&mut self, j: Sym, body: &Poly) -> Outcome<Poly> {
        let bound: Vec<_> = body
            .terms
            .iter()
            .filter(|t| t.0.iter().any(|f| self.terms.info(f.0).syms.contains(&j)))
            .cloned()
            .collect();
        let bound = self.terms.summed(Ring::Real, bound)?;
        if bound.is_zero() || self.terms.condition(std::slice::from_ref(&bound)).is_some() {
            return Ok(bound);
        }
        let (value, mono, rest) = self.terms.factored(&bound)?;
        let mut stay = Vec::new();
        for (id, power) in mono {
            let free = !self.terms.info(id).syms.contains(&j);
            if !free || !self.terms.sign_of_atom(id).positive() {
                stay.push((id, power));
            }
        }
        let sign = Rational::whole(if value.is_negative() { -1 } else { 1 });
        let stay = self.terms.simplify(Ring::Real, stay, sign)?;
        let left = self.terms.mul(&stay, &rest)?;
        if let Some(atom) = left.as_atom() {
            let inner = match &*self.terms.atom(atom) {
                super::term::Atom::Exp(p) => Some(p.clone()),
                super::term::Atom::Apply(super::term::Fun::Tanh | super::term::Fun::Erf, args) => {
                    Some(args[0].clone())
                }
                _ => None,
            };
            if let Some(inner) = inner {
                return self.stripped(j, &inner);
            }
        }
        Ok(left)
    }

    /// The sorted values alone: whatever order they come in, and once is enough.
    fn sorted(&mut self, vars: &[(Sym, Dim)], body: &Poly, at: Dim, dtype: DType) -> Outcome<Poly> {
        let (sym, range) = vars[0];
        if let Some(atom) = body.as_atom()
            && let super::term::Atom::Opaque(inner) = &*self.terms.atom(atom)
            && inner.name == "sort_up"
            && inner.bodies.len() == 1
            && self.terms.known.equal(inner.ranges[0], range)
        {
            let up = inner.at[0] == Dim::sym(sym);
            let down = inner.at[0] == range - Dim::from(1) - Dim::sym(sym);
            if up || down {
                let mut inner = inner.clone();
                inner.at = vec![at];
                let atom = self.terms.intern(super::term::Atom::Opaque(inner));
                return Ok(Poly::atom(Ring::of(dtype), atom));
            }
        }
        let turned = [(sym, range - Dim::from(1) - Dim::sym(sym))];
        let other = self.terms.substitute(body, &turned)?;
        let mut terms = Vec::new();
        for body in [body.clone(), other] {
            let term =
                self.terms
                    .lambda("sort_up", vars, vec![body], vec![at], Vec::new(), dtype)?;
            terms.push((self.terms.show(&term), term));
        }
        terms.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(terms.swap_remove(0).1)
    }

    pub fn sort(
        &mut self,
        node: &'a OpNode,
        place: usize,
        axis: usize,
        descending: bool,
        index: &[Dim],
    ) -> Outcome<Element> {
        let range = self.function.ty(node.operands[0]).shape()[axis];
        let dtype = self.function.ty(node.operands[place]).dtype();
        let mark = self.terms.known.mark();
        let vars = self.fresh_indices(&[range]);
        let mut inner = index.to_vec();
        inner[axis] = Dim::sym(vars[0].0);
        let mut bodies = Vec::new();
        let mut clauses = Vec::new();
        let wanted: Vec<Value> = if place == 0 {
            vec![node.operands[0]]
        } else {
            vec![node.operands[0], node.operands[place]]
        };
        for operand in wanted {
            let body = self.element(operand, &inner)?;
            clauses.extend(body.clauses.iter().cloned());
            bodies.push(body.term);
        }
        let mut at = index[axis];
        let mut name = format!("sort_{}", if descending { "down" } else { "up" });
        if place == 0 && descending {
            // The values alone, in the other order.
            at = range - Dim::from(1) - at;
            name = "sort_up".into();
        }
        let term = if place == 0 {
            self.sorted(&vars, &bodies[0], at, dtype)?
        } else {
            self.terms
                .lambda(&name, &vars, bodies, vec![at], Vec::new(), dtype)?
        };
        let mut bound = self.bind_clauses(&clauses, &vars)?;
        self.terms.known.release(mark);
        let all: Vec<Poly> = std::mem::take(&mut bound);
        let mut kept = Vec::new();
        all.into_iter().for_each(|c| add_clause(&mut kept, c));
        Ok(Element {
            term,
            clauses: Rc::new(kept),
            held_by: dtype,
        })
    }
}
