//! Sums over symbolic ranges: linear, without what does not depend on the index, over ranges that conditions
//! cut, in an order and with names that depend on the terms alone.

use std::collections::BTreeSet;

use aiai_ir::dim::Atom as DimAtom;
use aiai_ir::{Dim, Sym};

use super::Outcome;
use super::known::quotient;
use super::laws::without;
use super::rational::Rational;
use super::term::{Atom, BigOp, Fun, Mono, Poly, Ring, Source, Terms};

/// An axis of what is read, and what is added to the index there.
type Offset = ((Source, usize), Dim);

/// Indices of one sum, at most.
const MOST_INDICES: usize = 10;

impl Terms {
    /// The sum of `body` over `0 <= j < n`; that much of j is assumed.
    pub fn sum(&mut self, j: Sym, n: Dim, body: &Poly) -> Outcome<Poly> {
        let n = self.known.normal(n);
        if let Some(count) = n.as_const() {
            if count <= self.unroll.max(1) {
                let mut total = Poly::zero(body.ring);
                for at in 0..count {
                    let part = self.substitute(body, &[(j, Dim::from(at))])?;
                    total = self.add(&total, &part)?;
                }
                return Ok(total);
            }
        } else if self.extent(j, n)? == Some(false) {
            return Ok(Poly::zero(body.ring));
        }
        let mut total = Poly::zero(body.ring);
        for (mono, value) in body.terms.clone() {
            let part = self.sum_term(body.ring, j, (Dim::from(0), n), mono, value)?;
            total = self.add(&total, &part)?;
        }
        Ok(total)
    }

    fn sum_term(
        &mut self,
        ring: Ring,
        j: Sym,
        (low, high): (Dim, Dim),
        mono: Mono,
        value: Rational,
    ) -> Outcome<Poly> {
        let (bound, free): (Mono, Mono) = mono
            .into_iter()
            .partition(|f| self.info(f.0).syms.contains(&j));
        let outer = self.simplify(ring, free, value)?;
        let inner = if bound.is_empty() {
            self.of_dim(ring, high - low)?
        } else {
            self.sum_bound(ring, j, (low, high), bound)?
        };
        self.mul(&outer, &inner)
    }

    /// The sum of a monomial whose every factor depends on the index.
    fn sum_bound(
        &mut self,
        ring: Ring,
        j: Sym,
        (low, high): (Dim, Dim),
        mono: Mono,
    ) -> Outcome<Poly> {
        self.spend()?;
        if let [(id, 1)] = mono.as_slice()
            && matches!(*self.atom(*id), Atom::Size(dim) if dim == Dim::sym(j))
        {
            // Gauss: half the number of terms times the sum of the ends, which is even.
            let twice = (high - low) * (high + low - Dim::from(1));
            return self.of_dim(ring, twice.floor_div(Dim::from(2)));
        }
        for at in 0..mono.len() {
            let (dim, equal) = match *self.atom(mono[at].0) {
                Atom::SizeEqual(dim) => (dim, true),
                Atom::SizeAtLeast(dim) => (dim, false),
                Atom::Equal(_) if low.is_const(0) => {
                    match self.pick_value(ring, j, high, &mono, at)? {
                        Some(picked) => return Ok(picked),
                        None => continue,
                    }
                }
                _ => continue,
            };
            let Some((sign, edge)) = self.edge(dim, j) else {
                continue;
            };
            let rest = without(&mono, at);
            if equal {
                return self.pick(ring, j, (low, high), rest, edge);
            }
            let cut = if sign > 0 { edge } else { edge + Dim::from(1) };
            // Whatever the range: that the index exists says nothing of where it ends.
            let within = [cut - low, high - cut];
            if !within.iter().all(|d| self.known.proves_without(j, *d)) {
                continue;
            }
            let range = if sign > 0 { (cut, high) } else { (low, cut) };
            return self.sum_term(ring, j, range, rest, Rational::ONE);
        }
        if let Some(block) = self.block(&mono, j)
            && low.is_const(0)
            && let Some(blocks) = exact_quotient(self.known.normal(high), block)
        {
            return self.sum_in_blocks(ring, j, mono, block, blocks);
        }
        self.sum_shifted(ring, j, (low, high), mono)
    }

    /// For a condition `j - e` or `e - j`, the sign of j and e.
    fn edge(&self, dim: Dim, j: Sym) -> Option<(i64, Dim)> {
        let index = Dim::sym(j);
        for sign in [1, -1] {
            let rest = dim - index * Dim::from(sign);
            if !self.dim_mentions(rest, j) {
                return Some((sign, if sign > 0 { -rest } else { rest }));
            }
        }
        None
    }

    /// The one term of the sum where j is `edge`, if that is in the range.
    fn pick(
        &mut self,
        ring: Ring,
        j: Sym,
        (low, high): (Dim, Dim),
        rest: Mono,
        edge: Dim,
    ) -> Outcome<Poly> {
        self.known.exclude(j);
        let above = self.size_at_least(edge - low);
        let below = self.size_at_least(high - Dim::from(1) - edge);
        self.known.include();
        let within = self.mul(&above?, &below?)?;
        let within = self.in_ring(&within, ring)?;
        let rest = Poly {
            ring,
            terms: vec![(rest, Rational::ONE)],
        };
        let value = self.substitute(&rest, &[(j, edge)])?;
        self.mul(&within, &value)
    }

    /// The same where an integer that is no index equals j: what a gather at it reads, if it lies in the range.
    fn pick_value(
        &mut self,
        ring: Ring,
        j: Sym,
        high: Dim,
        mono: &Mono,
        at: usize,
    ) -> Outcome<Option<Poly>> {
        let Atom::Equal(p) = (*self.atom(mono[at].0)).clone() else {
            return Ok(None);
        };
        let index = |(mono, _): &&(Mono, Rational)| match mono.as_slice() {
            [(id, 1)] => matches!(*self.atom(*id), Atom::Size(dim) if dim == Dim::sym(j)),
            _ => false,
        };
        let sign = p.terms.iter().find(index).map(|t| t.1);
        let Some(sign) = sign.filter(|s| s.abs() == Rational::ONE && p.ring.bits() == Some(64))
        else {
            return Ok(None);
        };
        let own = self.of_dim(p.ring, Dim::sym(j))?;
        let own = self.scale(&own, sign)?;
        let rest = self.sub(&own, &p)?;
        let value = self.scale(&rest, sign)?;
        if self.mentions(&value, j) || value.as_atom().is_none() {
            return Ok(None);
        }
        let within = self.apply(Fun::InRange(high), vec![value.clone()])?;
        let within = self.in_ring(&within, ring)?;
        let place = Dim::sym(self.index_symbol(&value));
        let rest = Poly {
            ring,
            terms: vec![(without(mono, at), Rational::ONE)],
        };
        let read = self.substitute(&rest, &[(j, place)])?;
        self.mul(&within, &read).map(Some)
    }

    // ---- blocks ----

    /// A divisor by which the index is taken apart.
    fn block(&self, mono: &Mono, j: Sym) -> Option<Dim> {
        let mut found = None;
        self.for_each_dim(mono, &mut |dim| {
            if found.is_none() {
                found = divisor(dim, j);
            }
        });
        found
    }

    fn sum_in_blocks(
        &mut self,
        ring: Ring,
        j: Sym,
        mono: Mono,
        block: Dim,
        blocks: Dim,
    ) -> Outcome<Poly> {
        let mark = self.known.mark();
        let (outer, inner) = (self.fresh(), self.fresh());
        self.assume_index(outer, blocks);
        self.assume_index(inner, block);
        let body = Poly {
            ring,
            terms: vec![(mono, Rational::ONE)],
        };
        let index = Dim::sym(outer) * block + Dim::sym(inner);
        let result = self
            .substitute(&body, &[(j, index)])
            .and_then(|body| self.big(BigOp::Sum, &[(outer, blocks), (inner, block)], body));
        self.known.release(mark);
        result
    }

    /// Calls `visit` with every dimension within the factors, in a fixed order.
    pub fn for_each_dim(&self, mono: &Mono, visit: &mut dyn FnMut(Dim)) {
        for (id, _) in mono {
            self.for_each_dim_of(&self.atom(*id), visit);
        }
    }

    fn for_each_dim_of(&self, atom: &Atom, visit: &mut dyn FnMut(Dim)) {
        let mut polys: Vec<&Poly> = Vec::new();
        match atom {
            Atom::Read { index, .. } => index.iter().for_each(|d| self.visit_dim(*d, visit)),
            Atom::Size(dim) | Atom::SizeAtLeast(dim) | Atom::SizeEqual(dim) => {
                self.visit_dim(*dim, visit);
            }
            Atom::Inverse(p) | Atom::Exp(p) | Atom::AtLeast(p) | Atom::Equal(p) => polys.push(p),
            Atom::Apply(_, args) => polys.extend(args),
            Atom::IntAtLeast(a, b) => polys.extend([a, b]),
            Atom::Big { ranges, body, .. } => {
                ranges.iter().for_each(|d| self.visit_dim(*d, visit));
                polys.push(body);
            }
            Atom::Opaque(lambda) => {
                let dims = lambda.ranges.iter().chain(&lambda.at);
                dims.for_each(|d| self.visit_dim(*d, visit));
                polys.extend(lambda.bodies.iter().chain(&lambda.outer));
            }
            Atom::Infinity | Atom::NotANumber | Atom::Literal(..) => {}
        }
        for poly in polys {
            for id in poly.atoms() {
                self.for_each_dim_of(&self.atom(id), visit);
            }
        }
    }

    fn visit_dim(&self, dim: Dim, visit: &mut dyn FnMut(Dim)) {
        visit(dim);
        let mut terms = Vec::new();
        dim.for_each_sym(&mut |sym| terms.extend(self.index_term(sym).cloned()));
        for term in terms {
            for id in term.atoms() {
                self.for_each_dim_of(&self.atom(id), visit);
            }
        }
    }

    // ---- direction and offset ----

    /// How reads address by the index: with offset where it counts up, and how many count each way.
    fn addressed(&self, mono: &Mono, j: Sym) -> (Vec<Offset>, usize, usize) {
        let (mut offsets, mut up, mut down) = (Vec::new(), 0, 0);
        let mut atoms: Vec<_> = mono.iter().map(|f| f.0).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = atoms.pop() {
            if !seen.insert(id) || !self.info(id).syms.contains(&j) {
                continue;
            }
            let atom = self.atom(id);
            if let Atom::Read { source, index, .. } = &*atom {
                for (place, dim) in index.iter().enumerate() {
                    match self.edge(*dim, j) {
                        Some((1, edge)) => {
                            up += 1;
                            // By sizes alone: an offset by another index would make ranges depend on it.
                            let mut fixed = true;
                            edge.for_each_sym(&mut |s| {
                                fixed &= !super::conditions::is_index(s.as_str());
                            });
                            if fixed {
                                offsets.push(((*source, place), -edge));
                            }
                        }
                        Some(_) => down += 1,
                        None => {}
                    }
                }
            }
            self.for_each_part(&atom, &mut |part| atoms.push(part));
        }
        offsets.sort();
        offsets.dedup();
        (offsets, up, down)
    }

    pub fn for_each_part(&self, atom: &Atom, visit: &mut dyn FnMut(super::term::AtomId)) {
        match atom {
            Atom::Inverse(p) | Atom::Exp(p) | Atom::AtLeast(p) | Atom::Equal(p) => {
                p.atoms().for_each(visit);
            }
            Atom::Apply(_, args) => args.iter().flat_map(|p| p.atoms()).for_each(visit),
            Atom::IntAtLeast(a, b) => a.atoms().chain(b.atoms()).for_each(visit),
            Atom::Big { body, .. } => body.atoms().for_each(visit),
            Atom::Opaque(lambda) => {
                let polys = lambda.bodies.iter().chain(&lambda.outer);
                polys.flat_map(|p| p.atoms()).for_each(visit);
            }
            Atom::Read { index, .. } => {
                for dim in index {
                    let mut terms = Vec::new();
                    dim.for_each_sym(&mut |sym| terms.extend(self.index_term(sym).cloned()));
                    terms.iter().flat_map(|p| p.atoms()).for_each(&mut *visit);
                }
            }
            Atom::Size(_)
            | Atom::SizeAtLeast(_)
            | Atom::SizeEqual(_)
            | Atom::Infinity
            | Atom::NotANumber
            | Atom::Literal(..) => {}
        }
    }

    /// The sum as a difference of two that start at 0, in the direction and with the offset that its reads
    /// suggest, so that parts of one sum meet.
    fn sum_shifted(
        &mut self,
        ring: Ring,
        j: Sym,
        (low, high): (Dim, Dim),
        mono: Mono,
    ) -> Outcome<Poly> {
        let body = Poly {
            ring,
            terms: vec![(mono.clone(), Rational::ONE)],
        };
        let (_, up, down) = self.addressed(&mono, j);
        if down == 0 || down < up {
            return self.sum_placed(j, (low, high), body);
        }
        let turned = low + high - Dim::from(1) - Dim::sym(j);
        let other = self.substitute(&body, &[(j, turned)])?;
        let other = self.sum_placed(j, (low, high), other)?;
        if down > up {
            return Ok(other);
        }
        // Neither direction is better: the same one whichever was written.
        let own = self.sum_placed(j, (low, high), body)?;
        let first = self.show(&own) <= self.show(&other);
        Ok(if first { own } else { other })
    }

    fn sum_placed(&mut self, j: Sym, (low, high): (Dim, Dim), body: Poly) -> Outcome<Poly> {
        let mut total = Poly::zero(body.ring);
        for (mono, value) in body.terms.clone() {
            let (offsets, ..) = self.addressed(&mono, j);
            let fits = |o: &Dim| self.known.proves(low + *o);
            let offset = if offsets.iter().any(|o| (low + o.1).is_const(0)) || offsets.is_empty() {
                -low
            } else {
                offsets.iter().map(|o| o.1).find(fits).unwrap_or(-low)
            };
            let t = self.fresh();
            let mark = self.known.mark();
            self.assume_index(t, high + offset);
            let single = Poly {
                ring: body.ring,
                terms: vec![(mono, value)],
            };
            let placed = self.substitute(&single, &[(j, Dim::sym(t) - offset)])?;
            let upper = self.closed(t, high + offset, &placed)?;
            let lower = if (low + offset).is_const(0) {
                Poly::zero(body.ring)
            } else {
                self.closed(t, low + offset, &placed)?
            };
            self.known.release(mark);
            let part = self.sub(&upper, &lower)?;
            total = self.add(&total, &part)?;
        }
        Ok(total)
    }

    // ---- closing ----

    /// The sum over `0 <= t < n` as atoms.
    fn closed(&mut self, t: Sym, n: Dim, body: &Poly) -> Outcome<Poly> {
        let mut total = Poly::zero(body.ring);
        if let Some(count) = self.known.normal(n).as_const()
            && count <= self.unroll.max(1)
        {
            for at in 0..count {
                let part = self.substitute(body, &[(t, Dim::from(at))])?;
                total = self.add(&total, &part)?;
            }
            return Ok(total);
        }
        for (mono, value) in body.terms.clone() {
            let (bound, free): (Mono, Mono) = mono
                .into_iter()
                .partition(|f| self.info(f.0).syms.contains(&t));
            let outer = self.simplify(body.ring, free, value)?;
            let inner = if bound.is_empty() {
                self.of_dim(body.ring, n)?
            } else {
                self.flat(body.ring, t, n, bound)?
            };
            let part = self.mul(&outer, &inner)?;
            total = self.add(&total, &part)?;
        }
        Ok(total)
    }

    /// Sums within become further indices of this one.
    fn flat(&mut self, ring: Ring, t: Sym, n: Dim, mono: Mono) -> Outcome<Poly> {
        let mark = self.known.mark();
        let mut vars = vec![(t, n)];
        let mut product = Poly::one(ring);
        for (id, power) in mono {
            let atom = self.atom(id);
            let factor = match &*atom {
                Atom::Big {
                    op: BigOp::Sum,
                    ranges,
                    base,
                    body,
                } if power == 1 && vars.len() + ranges.len() <= MOST_INDICES => {
                    let (inner, map) = self.open(*base, ranges, &[])?;
                    vars.extend(inner);
                    self.substitute(body, &map)?
                }
                _ => Poly {
                    ring,
                    terms: vec![(vec![(id, power)], Rational::ONE)],
                },
            };
            product = self.mul(&product, &factor)?;
        }
        let mut total = Poly::zero(ring);
        for (mono, value) in product.terms.clone() {
            if let Some(at) = self.picked(&mono, &vars) {
                // An equality chooses the one value of an index.
                let (sym, range) = vars[at];
                let mut others = vars.clone();
                others.remove(at);
                let zero = Dim::from(0);
                let part = self.sum_term(ring, sym, (zero, range), mono, value)?;
                let part = self.big(BigOp::Sum, &others, part)?;
                total = self.add(&total, &part)?;
                continue;
            }
            let single = Poly {
                ring,
                terms: vec![(mono, Rational::ONE)],
            };
            let part = self.bind(BigOp::Sum, vars.clone(), single)?;
            let part = self.scale(&part, value)?;
            total = self.add(&total, &part)?;
        }
        self.known.release(mark);
        Ok(total)
    }

    /// An index that an equality in the monomial determines, on which no range depends.
    fn picked(&self, mono: &Mono, vars: &[(Sym, Dim)]) -> Option<usize> {
        if vars.len() < 2 {
            return None;
        }
        mono.iter().find_map(|(id, _)| {
            let Atom::SizeEqual(dim) = *self.atom(*id) else {
                return None;
            };
            vars.iter().position(|(sym, range)| {
                let ranges = vars.iter().any(|v| self.dim_mentions(v.1, *sym))
                    || vars.iter().any(|v| self.dim_mentions(*range, v.0));
                !ranges && self.edge(dim, *sym).is_some()
            })
        })
    }
}

/// The divisor of a division whose dividend mentions the index.
fn divisor(dim: Dim, j: Sym) -> Option<Dim> {
    for (monomial, _) in dim.terms() {
        for (atom, _) in monomial {
            if let DimAtom::Div(a, b) = *atom {
                if let Some(found) = divisor(a, j) {
                    return Some(found);
                }
                if a.mentions(j) && !b.mentions(j) {
                    return Some(b);
                }
            }
        }
    }
    None
}

/// `dim / by`, where it is one term by one term and comes out.
fn exact_quotient(dim: Dim, by: Dim) -> Option<Dim> {
    let ([(monomial, a)], [(divisor, b)]) = (dim.terms(), by.terms()) else {
        return None;
    };
    let rest = quotient(monomial, divisor)?;
    let count = super::known::product(&rest, a / b);
    (a % b == 0 && !count.is_const(1)).then_some(count)
}
