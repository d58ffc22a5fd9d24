//! Branches and loops. A branch is a choice. A loop that accumulates has a closed form; any other is a function of
//! its body, known up to equal bodies and equal starts.

use std::rc::Rc;

use aiai_ir::ops::trip_count;
use aiai_ir::{DType, Dim, OpNode, Region, Relation, Sym, Value};

use super::eval::{Bound, Element, Evaluator, add_clause};
use super::term::{Atom, BigOp, Mode, Poly, Ring, Source};
use super::{Outcome, Stop};

impl<'a> Evaluator<'a> {
    pub fn branch(&mut self, node: &'a OpNode, place: usize, index: &[Dim]) -> Outcome<Element> {
        let condition = self.element(node.operands[0], &[])?;
        if condition.term.is_one() {
            return self.element(node.regions[0].yields[place], index);
        }
        if condition.term.is_zero() {
            return self.element(node.regions[1].yields[place], index);
        }
        let yes = self.alone(node.regions[0].yields[place], index)?;
        let no = self.alone(node.regions[1].yields[place], index)?;
        self.select(&condition, &yes, &no)
    }

    /// Runs `f` with the arguments of a region standing for carries of this depth.
    pub fn with_carries<T>(
        &mut self,
        args: &[Value],
        f: impl FnOnce(&mut Evaluator<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        let depth = self.depth;
        for (place, arg) in args.iter().enumerate() {
            let place = place as u32;
            self.bound.insert(*arg, Bound::Carry { depth, place });
        }
        self.depth += 1;
        self.forget();
        let result = f(self);
        self.depth = depth;
        for arg in args {
            self.bound.remove(arg);
        }
        self.forget();
        result
    }

    /// Values at fresh indices of their own: terms, clauses and the indices.
    fn generic(&mut self, values: &[Value]) -> Outcome<Generic> {
        let mut found = Generic::default();
        for value in values {
            let shape = self.function.ty(*value).shape().to_vec();
            let vars = self.fresh_indices(&shape);
            let index: Vec<Dim> = vars.iter().map(|v| Dim::sym(v.0)).collect();
            let element = self.element(*value, &index)?;
            found.clauses.extend(element.clauses.iter().cloned());
            found.terms.push(element.term);
            found.vars.extend(vars);
        }
        Ok(found)
    }

    pub fn while_loop(
        &mut self,
        node: &'a OpNode,
        place: usize,
        max: Option<Dim>,
        index: &[Dim],
    ) -> Outcome<Element> {
        let dtype = self.function.ty(node.results[place]).dtype();
        if self.never_entered(node)? {
            return self.element(node.operands[place], index);
        }
        let mark = self.terms.known.mark();
        let starts = self.generic(&node.operands)?;
        if starts.terms.iter().any(|t| self.terms.wild(t)) && self.terms.mode == Mode::Real {
            return Err(Stop::unsupported("a loop that starts with an infinity"));
        }
        let (first, second) = (&node.regions[0], &node.regions[1]);
        let go_on = self.with_carries(&first.args, |this| this.generic(&first.yields))?;
        let body = self.with_carries(&second.args, |this| this.generic(&second.yields))?;
        let mut vars = starts.vars;
        vars.extend(go_on.vars);
        vars.extend(body.vars);
        let mut bodies = starts.terms;
        bodies.extend(go_on.terms);
        bodies.extend(body.terms);
        let clauses: Vec<Poly> = [starts.clauses, go_on.clauses, body.clauses].concat();
        self.no_carries_in(&clauses)?;
        let mut outer = Vec::new();
        if let Some(max) = max {
            outer.push(self.terms.of_dim(Ring::Int(DType::I64), max)?);
        }
        let name = format!("while_{place}");
        let term = self
            .terms
            .lambda(&name, &vars, bodies, index.to_vec(), outer, dtype)?;
        let clauses = self.bind_clauses(&clauses, &vars)?;
        self.terms.known.release(mark);
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: dtype,
        })
    }

    /// Whether the condition fails at the start.
    fn never_entered(&mut self, node: &'a OpNode) -> Outcome<bool> {
        let region = &node.regions[0];
        for (arg, start) in region.args.iter().zip(&node.operands) {
            self.bound.insert(*arg, Bound::Same(*start));
        }
        self.forget();
        let condition = self.element(region.yields[0], &[]);
        for arg in &region.args {
            self.bound.remove(arg);
        }
        self.forget();
        Ok(condition?.term.is_zero())
    }

    /// Where an iteration is defined must not depend on the carry, for want of a way to say so.
    pub fn no_carries_in(&self, clauses: &[Poly]) -> Outcome<()> {
        if clauses.iter().any(|c| self.reads_carry(c, self.depth)) {
            return Err(Stop::unsupported(
                "a loop whose iterations may be undefined",
            ));
        }
        Ok(())
    }

    /// Whether the term reads a carry of this depth or a deeper one.
    fn reads_carry(&self, poly: &Poly, depth: u32) -> bool {
        let mut found = false;
        self.terms.for_each_read(poly, &mut |source| {
            if let Source::Carry { depth: d, .. } = source {
                found |= d >= depth;
            }
        });
        found
    }

    pub fn scan(
        &mut self,
        node: &'a OpNode,
        place: usize,
        range: (Dim, Dim, Dim),
        index: &[Dim],
    ) -> Outcome<Element> {
        let (from, to, step) = range;
        let carries = node.operands.len();
        let trips = self.trips(from, to, step)?;
        if trips.is_const(0) && place < carries {
            return self.element(node.operands[place], index);
        }
        if let Some(count) = trips.as_const()
            && count <= 4
        {
            return self.unrolled(node, place, (from, step, count), index);
        }
        if let Some(element) = self.closed_form(node, place, (from, step, trips), index)? {
            return Ok(element);
        }
        self.opaque_scan(node, place, (from, step, trips), index)
    }

    /// The number of iterations, at least 0.
    pub fn trips(&mut self, from: Dim, to: Dim, step: Dim) -> Outcome<Dim> {
        let known = &self.terms.known;
        let trips = known.normal(trip_count(known.normal(from), known.normal(to), step));
        if known.proves(-trips) {
            Ok(Dim::from(0))
        } else if known.proves(trips) {
            Ok(trips)
        } else {
            Err(Stop::undecided(trips))
        }
    }

    /// A scan as a function of its body and its starts.
    fn opaque_scan(
        &mut self,
        node: &'a OpNode,
        place: usize,
        (from, step, trips): (Dim, Dim, Dim),
        index: &[Dim],
    ) -> Outcome<Element> {
        let dtype = self.function.ty(node.results[place]).dtype();
        let mark = self.terms.known.mark();
        let starts = self.generic(&node.operands)?;
        if starts.terms.iter().any(|t| self.terms.wild(t)) && self.terms.mode == Mode::Real {
            return Err(Stop::unsupported("a loop that starts with an infinity"));
        }
        let body = &node.regions[0];
        let time = self.fresh_indices(&[trips]);
        let now = from + step * Dim::sym(time[0].0);
        let carries = node.operands.len();
        let wanted: Vec<Value> = body.yields[..carries]
            .iter()
            .copied()
            .chain((place >= carries).then(|| body.yields[place]))
            .collect();
        let step_of = self.iteration(body, now, |this| this.generic(&wanted))?;
        let mut vars = time;
        vars.extend(starts.vars);
        vars.extend(step_of.vars);
        let mut bodies = starts.terms;
        bodies.extend(step_of.terms);
        let clauses: Vec<Poly> = [starts.clauses, step_of.clauses].concat();
        self.no_carries_in(&clauses)?;
        let name = if place < carries {
            format!("scan_{place}")
        } else {
            "scan_emitted".into()
        };
        let count = self.terms.of_dim(Ring::Int(DType::I64), trips)?;
        let term = self
            .terms
            .lambda(&name, &vars, bodies, index.to_vec(), vec![count], dtype)?;
        let clauses = self.bind_clauses(&clauses, &vars)?;
        self.terms.known.release(mark);
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: dtype,
        })
    }

    /// One iteration at a time of which the index is known.
    pub fn iteration<T>(
        &mut self,
        body: &'a Region,
        now: Dim,
        f: impl FnOnce(&mut Evaluator<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        let time = self.terms.of_dim(Ring::Int(DType::I64), now)?;
        self.bound.insert(body.args[0], Bound::Term(time));
        let result = self.with_carries(&body.args[1..], f);
        self.bound.remove(&body.args[0]);
        self.forget();
        result
    }

    // ---- closed forms ----

    /// A carry that only adds (or keeps the largest, or is replaced) at each step.
    fn closed_form(
        &mut self,
        node: &'a OpNode,
        place: usize,
        (from, step, trips): (Dim, Dim, Dim),
        index: &[Dim],
    ) -> Outcome<Option<Element>> {
        let carries = node.operands.len();
        let body = &node.regions[0];
        let (at, ends): (&[Dim], Dim) = if place < carries {
            (index, trips)
        } else {
            // What is emitted at a time, from the carries then.
            (&index[1..], index[0])
        };
        let depth = self.depth;
        if place >= carries {
            let now = from + step * ends;
            let emitted = body.yields[place];
            let element = self.iteration(body, now, |this| this.element(emitted, at))?;
            if element.clauses.iter().any(|c| self.reads_carry(c, depth)) {
                return Ok(None);
            }
            let Some(term) = self.carries_at(node, &element.term, (from, step, ends), depth)?
            else {
                return Ok(None);
            };
            return Ok(Some(Element { term, ..element }));
        }
        self.carry_after(node, place, (from, step, ends), at)
    }

    /// The term with every read of a carry replaced by its closed form after `ends` steps.
    fn carries_at(
        &mut self,
        node: &'a OpNode,
        term: &Poly,
        range: (Dim, Dim, Dim),
        depth: u32,
    ) -> Outcome<Option<Poly>> {
        let mut total = Poly::zero(term.ring);
        for (mono, value) in term.terms.clone() {
            let mut product = Poly::constant(term.ring, value);
            for (id, power) in mono {
                let single = Poly {
                    ring: term.ring,
                    terms: vec![(vec![(id, power)], super::rational::Rational::ONE)],
                };
                let factor = match &*self.terms.atom(id) {
                    Atom::Read {
                        source: Source::Carry { depth: d, place },
                        index,
                        ..
                    } if *d == depth && power > 0 => {
                        let (place, index) = (*place as usize, index.clone());
                        let Some(after) = self.carry_after(node, place, range, &index)? else {
                            return Ok(None);
                        };
                        if !after.clauses.is_empty() {
                            return Ok(None);
                        }
                        self.terms.power(&after.term, power.unsigned_abs())?
                    }
                    _ if self.reads_carry(&single, depth) => return Ok(None),
                    _ => single,
                };
                product = self.terms.mul(&product, &factor)?;
            }
            total = self.terms.add(&total, &product)?;
        }
        Ok(Some(total))
    }

    /// A carry after `ends` steps, where it is its start and what each step adds.
    fn carry_after(
        &mut self,
        node: &'a OpNode,
        place: usize,
        (from, step, ends): (Dim, Dim, Dim),
        index: &[Dim],
    ) -> Outcome<Option<Element>> {
        let body = &node.regions[0];
        let depth = self.depth;
        let dtype = self.function.ty(node.operands[place]).dtype();
        // Asked before there is a time of an iteration: that there is one would be the answer.
        let some = self.terms.known.proves(ends - Dim::from(1));
        let start = self.element(node.operands[place], index)?;
        let mark = self.terms.known.mark();
        let time = self.terms.fresh();
        self.terms.assume_index(time, ends);
        let now = from + step * Dim::sym(time);
        let next = body.yields[place];
        let element = self.iteration(body, now, |this| this.element(next, index))?;
        let own = self.terms.intern(Atom::Read {
            source: Source::Carry {
                depth,
                place: place as u32,
            },
            index: index.iter().map(|d| self.terms.known.normal(*d)).collect(),
            dtype,
        });
        let own = Poly::atom(Ring::of(dtype), own);
        let added = self.terms.sub(&element.term, &own)?;
        if !self.reads_carry(&element.term, depth)
            && !element.clauses.iter().any(|c| self.reads_carry(c, depth))
        {
            // Every step replaces the carry: the last one counts, if there is one.
            self.terms.known.release(mark);
            let one = Dim::from(1);
            let mark = self.terms.known.mark();
            self.terms.known.assume(Relation::NonNegative, ends - one);
            let last = from + step * (ends - one);
            let element = self.iteration(body, last, |this| this.element(next, index));
            self.terms.known.release(mark);
            if some {
                return element.map(Some);
            }
            let never = self.terms.size_at_least(-ends)?;
            let never = Element::plain(never, DType::Bool);
            return self.select(&never, &start, &element?).map(Some);
        }
        let free = dtype.is_float() && self.terms.mode == Mode::Free;
        let plain = !self.reads_carry(&added, depth)
            && !element.clauses.iter().any(|c| self.reads_carry(c, depth));
        let wild = self.terms.wild(&element.term) || self.terms.wild(&start.term);
        let mut result = None;
        let vars: [(Sym, Dim); 1] = [(time, ends)];
        if added.is_zero() && element.clauses.is_empty() {
            result = Some(start.clone());
        } else if plain && !free && !wild {
            let total = self.terms.big(BigOp::Sum, &vars, added)?;
            let mut clauses = self.bind_clauses(&element.clauses, &vars)?;
            for clause in start.clauses.iter() {
                add_clause(&mut clauses, clause.clone());
            }
            result = Some(Element {
                term: self.terms.add(&start.term, &total)?,
                clauses: Rc::new(clauses),
                held_by: dtype,
            });
        }
        if result.is_none() && !wild && element.clauses.is_empty() && start.clauses.is_empty() {
            let term = self.other_closed_form(&element.term, &own, &start.term, &vars, some)?;
            result = term.map(|term| Element::plain(term, dtype));
        }
        self.terms.known.release(mark);
        Ok(result)
    }

    /// A carry that is multiplied at each step, or keeps the largest or the smallest.
    fn other_closed_form(
        &mut self,
        next: &Poly,
        own: &Poly,
        start: &Poly,
        vars: &[(Sym, Dim)],
        some: bool,
    ) -> Outcome<Option<Poly>> {
        let depth = self.depth;
        if let Some(atom) = own.as_atom()
            && self.terms.info(atom).boolean
        {
            // A truth value that stays once it is true, or once it is false.
            let yes = self.terms.assign(next, atom, true)?;
            let no = self.terms.assign(next, atom, false)?;
            if yes.is_one() && !self.reads_carry(&no, depth) {
                let none = self.terms.not(&no)?;
                let none = self.terms.big(BigOp::All, vars, none)?;
                let fails = self.terms.not(start)?;
                let fails = self.terms.mul(&fails, &none)?;
                return self.terms.not(&fails).map(Some);
            }
            if no.is_zero() && !self.reads_carry(&yes, depth) {
                let all = self.terms.big(BigOp::All, vars, yes)?;
                return self.terms.mul(start, &all).map(Some);
            }
        }
        if self.terms.mode == Mode::Free && next.ring == Ring::Real {
            return Ok(None);
        }
        if let (Some(atom), [(mono, value)]) = (own.as_atom(), next.terms.as_slice())
            && mono.contains(&(atom, 1))
        {
            let rest: Vec<_> = mono.iter().copied().filter(|f| f.0 != atom).collect();
            let factor = self.terms.simplify(next.ring, rest, *value)?;
            if !self.reads_carry(&factor, depth) {
                let product = self.terms.big(BigOp::Prod, vars, factor)?;
                return self.terms.mul(start, &product).map(Some);
            }
        }
        for atom in next.atoms().collect::<Vec<_>>() {
            if !some || !self.terms.info(atom).boolean {
                continue;
            }
            let yes = self.terms.assign(next, atom, true)?;
            let no = self.terms.assign(next, atom, false)?;
            let other = if yes == *own {
                no
            } else if no == *own {
                yes
            } else {
                continue;
            };
            if self.reads_carry(&other, depth) {
                continue;
            }
            if self.terms.maximum(own, &other)? == *next {
                let most = self.terms.big(BigOp::Max, vars, other)?;
                return self.terms.maximum(start, &most).map(Some);
            }
            if self.terms.minimum(own, &other)? == *next {
                let turned = self.terms.order_reversed(&other)?;
                let most = self.terms.big(BigOp::Max, vars, turned)?;
                let least = self.terms.order_reversed(&most)?;
                return self.terms.minimum(start, &least).map(Some);
            }
        }
        Ok(None)
    }

    /// A few iterations written out.
    fn unrolled(
        &mut self,
        node: &'a OpNode,
        place: usize,
        (from, step, count): (Dim, Dim, i64),
        index: &[Dim],
    ) -> Outcome<Element> {
        let carries = node.operands.len();
        let at: Vec<Dim> = if place < carries {
            index.to_vec()
        } else {
            index[1..].to_vec()
        };
        if place < carries {
            return self.after(node, place, (from, step, count), &at);
        }
        let mut chosen: Option<Element> = None;
        for time in 0..count {
            let now = from + step * Dim::from(time);
            let emitted = node.regions[0].yields[place];
            let depth = self.depth;
            let element =
                self.iteration(&node.regions[0], now, |this| this.element(emitted, &at))?;
            let here = self.resolved(node, &element, (from, step, time), depth)?;
            let same = self.terms.size_equal(index[0] - Dim::from(time))?;
            chosen = Some(match chosen {
                None => here,
                Some(rest) => {
                    let condition = Element::plain(same, DType::Bool);
                    self.select(&condition, &here, &rest)?
                }
            });
        }
        chosen.ok_or_else(|| Stop::limit("an emitted value of no iteration"))
    }

    fn after(
        &mut self,
        node: &'a OpNode,
        place: usize,
        (from, step, count): (Dim, Dim, i64),
        index: &[Dim],
    ) -> Outcome<Element> {
        if count == 0 {
            return self.element(node.operands[place], index);
        }
        let now = from + step * Dim::from(count - 1);
        let next = node.regions[0].yields[place];
        let depth = self.depth;
        let element = self.iteration(&node.regions[0], now, |this| this.element(next, index))?;
        self.resolved(node, &element, (from, step, count - 1), depth)
    }

    /// The element with the carries of a number of iterations in the places of those it reads.
    fn resolved(
        &mut self,
        node: &'a OpNode,
        element: &Element,
        range: (Dim, Dim, i64),
        depth: u32,
    ) -> Outcome<Element> {
        let mut clauses = Vec::new();
        for clause in element.clauses.iter() {
            let clause = self.replaced(node, clause, range, depth, &mut Vec::new())?;
            add_clause(&mut clauses, clause);
        }
        let mut more = Vec::new();
        let term = self.replaced(node, &element.term, range, depth, &mut more)?;
        more.into_iter().for_each(|c| add_clause(&mut clauses, c));
        Ok(Element {
            term,
            clauses: Rc::new(clauses),
            held_by: element.held_by,
        })
    }

    fn replaced(
        &mut self,
        node: &'a OpNode,
        term: &Poly,
        range: (Dim, Dim, i64),
        depth: u32,
        clauses: &mut Vec<Poly>,
    ) -> Outcome<Poly> {
        if !self.reads_carry(term, depth) {
            return Ok(term.clone());
        }
        let mut reads = Vec::new();
        for id in term.atoms() {
            if let Atom::Read {
                source: Source::Carry { depth: d, place },
                index,
                ..
            } = &*self.terms.atom(id)
                && *d == depth
            {
                reads.push((id, *place as usize, index.clone()));
            }
        }
        let mut values = Vec::new();
        for (id, place, index) in reads {
            let value = self.after(node, place, range, &index)?;
            if self.terms.wild(&value.term) {
                return Err(Stop::unsupported("a loop that starts with an infinity"));
            }
            clauses.extend(value.clauses.iter().cloned());
            values.push((id, value.term));
        }
        let result = self.terms.replace_atoms(term, &values)?;
        if self.reads_carry(&result, depth) {
            return Err(Stop::unsupported(
                "a loop whose carry stands inside a function",
            ));
        }
        Ok(result)
    }
}

#[derive(Default)]
struct Generic {
    terms: Vec<Poly>,
    clauses: Vec<Poly>,
    vars: Vec<(Sym, Dim)>,
}
