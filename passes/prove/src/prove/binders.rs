//! Substitution of sizes and indices, and how bound indices are named.
//!
//! A bound index is called `$k`, k above every number bound within. While a body is worked on, its indices
//! have fresh names, so that nothing is captured.

use std::collections::HashMap;

use aiai_ir::dim::Atom as DimAtom;
use aiai_ir::{DType, Dim, Relation, Sym};

use super::Outcome;
use super::term::{Atom, AtomId, BigOp, Fun, Lambda, Poly, Ring, Terms};

/// The name of the bound index at a place of a binder.
pub fn bound_name(base: u32, place: usize) -> Sym {
    Sym::new(&format!("${}", base as usize + place))
}

/// Bound indices with their ranges, or symbols with what replaces them.
type Indices = Vec<(Sym, Dim)>;

/// What stands for what: symbols in sizes and indices, and whole atoms.
#[derive(Clone, Copy)]
pub struct Replacements<'a> {
    syms: &'a [(Sym, Dim)],
    atoms: &'a [(AtomId, Poly)],
}

impl Terms {
    /// Assumes `0 <= sym < range`.
    pub fn assume_index(&mut self, sym: Sym, range: Dim) {
        let index = Dim::sym(sym);
        self.known
            .assume(Relation::NonNegative, range - Dim::from(1) - index);
    }

    /// Replaces symbols, all at once, with every law applied again.
    pub fn substitute(&mut self, poly: &Poly, syms: &[(Sym, Dim)]) -> Outcome<Poly> {
        let map = Replacements { syms, atoms: &[] };
        self.replace(poly, map)
    }

    /// Replaces atoms wherever they stand, within functions too.
    pub fn replace_within(&mut self, poly: &Poly, atoms: &[(AtomId, Poly)]) -> Outcome<Poly> {
        let map = Replacements { syms: &[], atoms };
        self.replace(poly, map)
    }

    fn replace(&mut self, poly: &Poly, map: Replacements) -> Outcome<Poly> {
        self.substitute_cached(poly, map, &mut HashMap::new())
    }

    /// Whether an atom is, or has within, one of those replaced.
    pub fn holds_atom(&self, id: AtomId, wanted: AtomId) -> bool {
        let mut left = vec![id];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(id) = left.pop() {
            if id == wanted {
                return true;
            }
            // Atoms are numbered after those within them.
            if id > wanted && seen.insert(id) {
                let atom = self.atom(id);
                self.for_each_part(&atom, &mut |part| left.push(part));
            }
        }
        false
    }

    fn touched(&self, id: AtomId, map: Replacements) -> bool {
        let syms = &self.info(id).syms;
        map.syms.iter().any(|m| syms.contains(&m.0))
            || map.atoms.iter().any(|m| self.holds_atom(id, m.0))
    }

    pub fn mentions_atom(&self, poly: &Poly, wanted: AtomId) -> bool {
        poly.atoms().any(|id| self.holds_atom(id, wanted))
    }

    fn substitute_cached(
        &mut self,
        poly: &Poly,
        map: Replacements,
        cache: &mut HashMap<(Ring, AtomId), Poly>,
    ) -> Outcome<Poly> {
        if !poly.atoms().any(|id| self.touched(id, map)) {
            return Ok(poly.clone());
        }
        let mut total = Poly::zero(poly.ring);
        for (mono, value) in &poly.terms {
            let mut product = Poly::constant(poly.ring, *value);
            for (id, power) in mono {
                if !self.touched(*id, map) {
                    let factor = Poly {
                        ring: poly.ring,
                        terms: vec![(vec![(*id, *power)], super::rational::Rational::ONE)],
                    };
                    product = self.mul(&product, &factor)?;
                    continue;
                }
                let factor = match cache.get(&(poly.ring, *id)) {
                    Some(known) => known.clone(),
                    None => {
                        let replaced = self.substitute_atom(*id, map)?;
                        let replaced = match replaced.ring == poly.ring {
                            true => replaced,
                            false => self.in_ring_of(*id, map, &replaced, poly.ring)?,
                        };
                        cache.insert((poly.ring, *id), replaced.clone());
                        replaced
                    }
                };
                let factor = if *power < 0 {
                    self.inverse(&factor)?
                } else {
                    factor
                };
                let factor = self.power(&factor, power.unsigned_abs())?;
                product = self.mul(&product, &factor)?;
            }
            total = self.add(&total, &product)?;
        }
        Ok(total)
    }

    /// Sizes are of any ring; other atoms of mixed use are conditions.
    fn in_ring_of(
        &mut self,
        id: AtomId,
        map: Replacements,
        replaced: &Poly,
        ring: Ring,
    ) -> Outcome<Poly> {
        match &*self.atom(id) {
            Atom::Size(dim) => {
                let dim = self.replace_dim(*dim, map)?;
                self.of_dim(ring, dim)
            }
            _ => self.in_ring(replaced, ring),
        }
    }

    pub fn substitute_dim(&mut self, dim: Dim, syms: &[(Sym, Dim)]) -> Outcome<Dim> {
        let map = Replacements { syms, atoms: &[] };
        self.replace_dim(dim, map)
    }

    fn replace_dim(&mut self, dim: Dim, map: Replacements) -> Outcome<Dim> {
        let mut syms = std::collections::BTreeSet::new();
        self.dim_syms(dim, &mut syms);
        let terms = syms.iter().filter_map(|s| self.index_term(*s));
        let touched = map.syms.iter().any(|m| syms.contains(&m.0))
            || map
                .atoms
                .iter()
                .any(|m| terms.clone().any(|t| self.mentions_atom(t, m.0)));
        if !touched {
            return Ok(dim);
        }
        let mut total = Dim::from(0);
        for (monomial, coefficient) in dim.terms() {
            let mut product = Dim::from(*coefficient);
            for (atom, power) in monomial {
                let factor = match *atom {
                    DimAtom::Sym(sym) => self.substitute_sym(sym, map)?,
                    DimAtom::Div(a, b) => {
                        let (a, b) = (self.replace_dim(a, map)?, self.replace_dim(b, map)?);
                        self.known.quotient(a, b)
                    }
                };
                for _ in 0..*power {
                    product = product * factor;
                }
            }
            total = total + product;
        }
        Ok(total)
    }

    fn substitute_sym(&mut self, sym: Sym, map: Replacements) -> Outcome<Dim> {
        if let Some((_, by)) = map.syms.iter().find(|m| m.0 == sym) {
            return Ok(*by);
        }
        let Some(term) = self.index_term(sym).cloned() else {
            return Ok(Dim::sym(sym));
        };
        let replaced = self.replace(&term, map)?;
        let bound = self.index_bound(sym);
        self.index_of(&replaced, bound)
    }

    fn substitute_dims(&mut self, dims: &[Dim], map: Replacements) -> Outcome<Vec<Dim>> {
        dims.iter().map(|d| self.replace_dim(*d, map)).collect()
    }

    fn substitute_atom(&mut self, id: AtomId, map: Replacements) -> Outcome<Poly> {
        if let Some((_, by)) = map.atoms.iter().find(|m| m.0 == id) {
            return Ok(by.clone());
        }
        let atom = self.atom(id);
        match &*atom {
            Atom::Read {
                source,
                index,
                dtype,
            } => {
                let index = self.substitute_dims(index, map)?;
                let read = self.intern(Atom::Read {
                    source: *source,
                    index,
                    dtype: *dtype,
                });
                Ok(Poly::atom(Ring::of(*dtype), read))
            }
            Atom::Size(dim) => {
                let dim = self.replace_dim(*dim, map)?;
                self.of_dim(Ring::Real, dim)
            }
            Atom::Inverse(p) => {
                let p = self.replace(p, map)?;
                self.inverse(&p)
            }
            Atom::Exp(p) => {
                let p = self.replace(p, map)?;
                self.exp(&p)
            }
            Atom::Apply(fun, args) => {
                let fun = match fun {
                    Fun::DimPower(n) => Fun::DimPower(self.replace_dim(*n, map)?),
                    Fun::InRange(n) => Fun::InRange(self.replace_dim(*n, map)?),
                    other => other.clone(),
                };
                let args: Outcome<Vec<Poly>> = args.iter().map(|p| self.replace(p, map)).collect();
                self.rebuild(fun, args?)
            }
            Atom::AtLeast(p) => {
                let p = self.replace(p, map)?;
                self.at_least(&p)
            }
            Atom::Equal(p) => {
                let p = self.replace(p, map)?;
                self.equal(&p)
            }
            Atom::IntAtLeast(a, b) => {
                let (a, b) = (self.replace(a, map)?, self.replace(b, map)?);
                let Ring::Int(dtype) = a.ring else {
                    return Err(super::Stop::limit("an integer comparison of reals"));
                };
                self.compare(aiai_ir::CompareKind::Ge, &a, &b, dtype.is_signed())
            }
            Atom::SizeAtLeast(dim) => {
                let dim = self.replace_dim(*dim, map)?;
                self.size_at_least(dim)
            }
            Atom::SizeEqual(dim) => {
                let dim = self.replace_dim(*dim, map)?;
                self.size_equal(dim)
            }
            Atom::Big {
                op,
                ranges,
                base,
                body,
            } => self.substitute_big(*op, ranges, *base, body, map),
            Atom::Opaque(lambda) => self.substitute_lambda(lambda, map),
            Atom::Infinity | Atom::NotANumber | Atom::Literal(..) => Ok(Poly::atom(Ring::Real, id)),
        }
    }

    /// A function of arguments that have changed.
    fn rebuild(&mut self, fun: Fun, args: Vec<Poly>) -> Outcome<Poly> {
        match &fun {
            Fun::Log => self.log(&args[0]),
            Fun::Sqrt => self.sqrt(&args[0]),
            Fun::Pow => self.pow(&args[0], &args[1]),
            Fun::Tanh | Fun::Sin | Fun::Cos | Fun::Erf | Fun::Floor | Fun::Round => {
                self.function(fun, &args[0])
            }
            Fun::Narrow(_)
            | Fun::DimPower(_)
            | Fun::Integer(..)
            | Fun::RealOfInt(_)
            | Fun::IntOfReal { .. }
            | Fun::Extend { .. }
            | Fun::InRange(_)
            | Fun::Free(..) => {
                self.in_cases(&args, &mut |t, args| t.apply(fun.clone(), args.to_vec()))
            }
        }
    }

    /// Fresh names for the indices of a binder, with what replaces the bound names, outermost first. The
    /// facts about them are assumed.
    pub fn open(
        &mut self,
        base: u32,
        ranges: &[Dim],
        map: &[(Sym, Dim)],
    ) -> Outcome<(Indices, Indices)> {
        let mut inner = map.to_vec();
        let mut vars = Vec::new();
        for (place, range) in ranges.iter().enumerate() {
            let range = self.substitute_dim(*range, &inner)?;
            let sym = self.fresh();
            self.assume_index(sym, range);
            vars.push((sym, range));
            inner.push((bound_name(base, place), Dim::sym(sym)));
        }
        Ok((vars, inner))
    }

    fn substitute_big(
        &mut self,
        op: BigOp,
        ranges: &[Dim],
        base: u32,
        body: &Poly,
        map: Replacements,
    ) -> Outcome<Poly> {
        let mark = self.known.mark();
        let (vars, inner) = self.open(base, ranges, map.syms)?;
        let inner = Replacements {
            syms: &inner,
            atoms: map.atoms,
        };
        let body = self.replace(body, inner)?;
        let result = self.big(op, &vars, body);
        self.known.release(mark);
        result
    }

    /// The operator over several indices, outermost first, whose facts are assumed.
    pub fn big(&mut self, op: BigOp, vars: &[(Sym, Dim)], body: Poly) -> Outcome<Poly> {
        let mut total = Ok(body);
        let mut gone = 0;
        for (sym, range) in vars.iter().rev() {
            let Ok(body) = &total else { break };
            total = match op {
                BigOp::Sum => self.sum(*sym, *range, body),
                BigOp::Prod => self.prod(*sym, *range, body),
                BigOp::Max => self.greatest(*sym, *range, body),
                BigOp::All => self.all(*sym, *range, body),
            };
            // Nothing is left of the index, and nothing may follow from its being there.
            self.known.exclude(*sym);
            gone += 1;
        }
        (0..gone).for_each(|_| self.known.include());
        total
    }

    /// Whether the range of an index has elements, apart from what follows from the index being there; `None`
    /// where that depends on another index. What depends on sizes is decided by cases.
    pub fn extent(&self, j: Sym, n: Dim) -> Outcome<Option<bool>> {
        let n = self.known.normal(n);
        if let Some(count) = n.as_const() {
            return Ok(Some(count >= 1));
        }
        let more = n - Dim::from(1);
        if self.known.lasting(|| self.known.proves(more)) || self.known.proves_without(j, more) {
            return Ok(Some(true));
        }
        if self.known.proves_without(j, -n) {
            return Ok(Some(false));
        }
        let mut syms = std::collections::BTreeSet::new();
        self.dim_syms(n, &mut syms);
        if syms.iter().any(|s| super::conditions::is_index(s.as_str())) {
            return Ok(None);
        }
        Err(super::Stop::undecided(n))
    }

    fn substitute_lambda(&mut self, lambda: &Lambda, map: Replacements) -> Outcome<Poly> {
        let at = self.substitute_dims(&lambda.at, map)?;
        let outer: Outcome<Vec<Poly>> = lambda.outer.iter().map(|p| self.replace(p, map)).collect();
        let mark = self.known.mark();
        let (vars, inner) = self.open(lambda.base, &lambda.ranges, map.syms)?;
        let inner = Replacements {
            syms: &inner,
            atoms: map.atoms,
        };
        let bodies: Outcome<Vec<Poly>> = lambda
            .bodies
            .iter()
            .map(|p| self.replace(p, inner))
            .collect();
        let result = self.lambda(&lambda.name, &vars, bodies?, at, outer?, lambda.dtype);
        self.known.release(mark);
        result
    }

    /// A function of whole tensors, of which nothing is known but its name.
    pub fn lambda(
        &mut self,
        name: &str,
        vars: &[(Sym, Dim)],
        bodies: Vec<Poly>,
        at: Vec<Dim>,
        outer: Vec<Poly>,
        dtype: DType,
    ) -> Outcome<Poly> {
        let base = self.base_of(vars, &bodies);
        let mut map = Vec::new();
        let mut ranges = Vec::new();
        let mark = self.known.mark();
        for (place, (sym, range)) in vars.iter().enumerate() {
            let range = self.substitute_dim(*range, &map)?;
            let name = bound_name(base, place);
            self.assume_index(name, range);
            ranges.push(range);
            map.push((*sym, Dim::sym(name)));
        }
        let bodies: Outcome<Vec<Poly>> = bodies.iter().map(|p| self.substitute(p, &map)).collect();
        self.known.release(mark);
        let atom = self.intern(Atom::Opaque(Lambda {
            name: name.to_owned(),
            ranges,
            base,
            bodies: bodies?,
            at,
            outer,
            dtype,
        }));
        Ok(Poly::atom(Ring::of(dtype), atom))
    }

    /// A number above every index bound within.
    pub fn base_of(&self, vars: &[(Sym, Dim)], bodies: &[Poly]) -> u32 {
        let inner = bodies.iter().map(|p| self.height(p)).max().unwrap_or(0);
        let mut syms = std::collections::BTreeSet::new();
        for (_, range) in vars {
            self.dim_syms(*range, &mut syms);
        }
        let ranges = syms.iter().filter_map(|s| self.index_term(*s));
        ranges.map(|p| self.height(p)).fold(inner, u32::max)
    }
}

impl Terms {
    /// Calls `visit` with the source of every read within.
    pub fn for_each_read(&self, poly: &Poly, visit: &mut dyn FnMut(super::term::Source)) {
        let mut seen = std::collections::BTreeSet::new();
        let mut left: Vec<AtomId> = poly.atoms().collect();
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            let atom = self.atom(id);
            if let Atom::Read { source, .. } = &*atom {
                visit(*source);
            }
            self.for_each_part(&atom, &mut |part| left.push(part));
        }
    }

    /// Calls `visit` with the source and the index of every read within.
    pub fn for_each_element(
        &self,
        poly: &Poly,
        visit: &mut dyn FnMut(super::term::Source, &[Dim]),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let mut left: Vec<AtomId> = poly.atoms().collect();
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            let atom = self.atom(id);
            if let Atom::Read { source, index, .. } = &*atom {
                visit(*source, index);
            }
            self.for_each_part(&atom, &mut |part| left.push(part));
        }
    }

    /// Other terms in the places of some atoms, where those are factors.
    pub fn replace_atoms(&mut self, poly: &Poly, values: &[(AtomId, Poly)]) -> Outcome<Poly> {
        let mut total = Poly::zero(poly.ring);
        for (mono, value) in &poly.terms {
            let mut product = Poly::constant(poly.ring, *value);
            for (id, power) in mono {
                let factor = match values.iter().find(|v| v.0 == *id) {
                    Some((_, by)) if *power > 0 => {
                        let by = self.in_ring(by, poly.ring)?;
                        self.power(&by, power.unsigned_abs())?
                    }
                    _ => Poly {
                        ring: poly.ring,
                        terms: vec![(vec![(*id, *power)], super::rational::Rational::ONE)],
                    },
                };
                product = self.mul(&product, &factor)?;
            }
            total = self.add(&total, &product)?;
        }
        Ok(total)
    }

    /// Every law applied again, with what is known now.
    pub fn renewed(&mut self, poly: &Poly) -> Outcome<Poly> {
        let mut syms = std::collections::BTreeSet::new();
        for id in poly.atoms() {
            syms.extend(self.info(id).syms.iter().copied());
        }
        let map: Vec<(Sym, Dim)> = syms.into_iter().map(|s| (s, Dim::sym(s))).collect();
        self.substitute(poly, &map)
    }
}
