//! Products, extremes and conditions over symbolic ranges.

use aiai_ir::{Dim, Relation, Sym};

use super::rational::Rational;
use super::term::{Atom, AtomId, BigOp, Fun, Mono, Poly, Ring, Terms};
use super::{Outcome, Stop};

impl Terms {
    /// The product of `body` over `0 <= j < n`; that much of j is assumed.
    pub fn prod(&mut self, j: Sym, n: Dim, body: &Poly) -> Outcome<Poly> {
        let n = self.known.normal(n);
        if self.extent(j, n)? == Some(false) {
            return Ok(Poly::one(body.ring));
        }
        if let Some(product) = self.written_out(j, n, body, BigOp::Prod)? {
            return Ok(product);
        }
        let [(mono, value)] = body.terms.as_slice() else {
            return self.bind(BigOp::Prod, vec![(j, n)], body.clone());
        };
        if *value == Rational::ONE && mono.iter().all(|f| self.info(f.0).boolean) {
            let truth = self.summed(Ring::Real, body.terms.clone())?;
            let all = self.all(j, n, &truth)?;
            return self.in_ring(&all, body.ring);
        }
        if body.ring != Ring::Real {
            if *value != Rational::ONE || mono.iter().map(|f| f.1.unsigned_abs()).sum::<u32>() < 2 {
                return self.bind(BigOp::Prod, vec![(j, n)], body.clone());
            }
            // In any ring the product of products is the product of all.
            let mut product = Poly::one(body.ring);
            for (id, power) in mono.clone() {
                let over = self.prod(j, n, &Poly::atom(body.ring, id))?;
                let over = self.power(&over, power.unsigned_abs())?;
                product = self.mul(&product, &over)?;
            }
            return Ok(product);
        }
        let mut product = Poly::one(Ring::Real);
        if *value != Rational::ONE {
            product = self.dim_power(n, &Poly::constant(Ring::Real, *value))?;
        }
        for (id, power) in mono.clone() {
            let base = Poly::atom(Ring::Real, id);
            let over = if !self.info(id).syms.contains(&j) {
                self.dim_power(n, &base)?
            } else if self.info(id).boolean {
                self.all(j, n, &base)?
            } else if let Atom::Exp(p) = &*self.atom(id) {
                let total = self.sum(j, n, &p.clone())?;
                self.exp(&total)?
            } else {
                self.bind(BigOp::Prod, vec![(j, n)], base)?
            };
            let over = if power < 0 {
                self.inverse(&over)?
            } else {
                over
            };
            let factor = self.power(&over, power.unsigned_abs())?;
            product = self.mul(&product, &factor)?;
        }
        Ok(product)
    }

    fn dim_power(&mut self, n: Dim, base: &Poly) -> Outcome<Poly> {
        if base.is_one() {
            return Ok(base.clone());
        }
        if let Some(count) = n.as_const().and_then(|c| u32::try_from(c).ok())
            && count <= 16
        {
            return self.power(base, count);
        }
        self.in_cases(std::slice::from_ref(base), &mut |t, args| {
            t.apply(Fun::DimPower(n), args.to_vec())
        })
    }

    /// Short constant ranges, element by element.
    fn written_out(&mut self, j: Sym, n: Dim, body: &Poly, op: BigOp) -> Outcome<Option<Poly>> {
        let Some(count) = n.as_const() else {
            return Ok(None);
        };
        if count > self.unroll.max(1) {
            return Ok(None);
        }
        let mut total: Option<Poly> = None;
        for at in 0..count {
            let part = self.substitute(body, &[(j, Dim::from(at))])?;
            total = Some(match (total, op) {
                (None, _) => part,
                (Some(total), BigOp::Sum) => self.add(&total, &part)?,
                (Some(total), BigOp::Prod | BigOp::All) => self.mul(&total, &part)?,
                (Some(total), BigOp::Max) => self.maximum(&total, &part)?,
            });
        }
        match (total, op) {
            (Some(total), _) => Ok(Some(total)),
            (None, BigOp::Sum) => Ok(Some(Poly::zero(body.ring))),
            (None, BigOp::Prod | BigOp::All) => Ok(Some(Poly::one(body.ring))),
            (None, BigOp::Max) => Err(Stop::limit("the largest of nothing")),
        }
    }

    /// The largest value of `body` for `0 <= j < n`, a range known not to be empty.
    pub fn greatest(&mut self, j: Sym, n: Dim, body: &Poly) -> Outcome<Poly> {
        let n = self.known.normal(n);
        if !self.mentions(body, j) {
            return Ok(body.clone());
        }
        let real = body.ring == Ring::Real;
        if real && self.mode == super::term::Mode::Free {
            return self.bind(BigOp::Max, vec![(j, n)], body.clone());
        }
        if let Some(value) = self.written_out(j, n, body, BigOp::Max)? {
            return Ok(value);
        }
        let free = |t: &Terms, id: AtomId| !t.info(id).syms.contains(&j);
        let mut conditions: Vec<AtomId> = body.atoms().filter(|a| self.info(*a).boolean).collect();
        conditions.sort();
        conditions.dedup();
        for id in conditions {
            if free(self, id) {
                let yes = self.assign(body, id, true)?;
                let no = self.assign(body, id, false)?;
                let (yes, no) = (self.greatest(j, n, &yes)?, self.greatest(j, n, &no)?);
                return self.choose(&Poly::atom(Ring::Real, id), &yes, &no);
            }
            if let Some(value) = self.greatest_of_parts(j, n, body, id)? {
                return Ok(value);
            }
        }
        if self.wild(body) {
            self.bind(BigOp::Max, vec![(j, n)], body.clone())
        } else if real {
            self.greatest_plain(j, n, body)
        } else {
            self.bind_flat(BigOp::Max, (j, n), body.clone())
        }
    }

    /// A range cut in two by a condition on the index, or a choice of the larger of two.
    fn greatest_of_parts(
        &mut self,
        j: Sym,
        n: Dim,
        body: &Poly,
        id: AtomId,
    ) -> Outcome<Option<Poly>> {
        let (yes, no) = (self.assign(body, id, true)?, self.assign(body, id, false)?);
        match &*self.atom(id) {
            Atom::SizeAtLeast(dim) => {
                let Some((up, cut)) = self.cut(*dim, j) else {
                    return Ok(None);
                };
                let (one, zero) = (Dim::from(1), Dim::from(0));
                for size in [cut, n - cut] {
                    if !self.known.proves(size - one) {
                        let mut open = false;
                        size.for_each_sym(&mut |s| {
                            open |= super::conditions::is_index(s.as_str());
                        });
                        return if open {
                            Ok(None)
                        } else {
                            Err(Stop::undecided(size))
                        };
                    }
                }
                let (below, above) = if up { (no, yes) } else { (yes, no) };
                let below = self.greatest_from(j, (zero, cut), &below)?;
                let above = self.greatest_from(j, (cut, n), &above)?;
                self.larger(&below, &above).map(Some)
            }
            Atom::AtLeast(p) => {
                // c*a + (1 - c)*b with c: a - b >= 0 is the larger of a and b.
                let difference = self.sub(&yes, &no)?;
                let ratio = match (difference.terms.first(), p.terms.first()) {
                    (Some(d), Some(p)) => d.1.mul(p.1.inverse())?,
                    _ => return Ok(None),
                };
                if ratio.is_negative() || self.scale(p, ratio)? != difference {
                    return Ok(None);
                }
                let (a, b) = (self.greatest(j, n, &yes)?, self.greatest(j, n, &no)?);
                self.maximum(&a, &b).map(Some)
            }
            Atom::IntAtLeast(a, b) if yes.ring == a.ring => {
                if yes != *a || no != *b {
                    return Ok(None);
                }
                let (a, b) = (self.greatest(j, n, &yes)?, self.greatest(j, n, &no)?);
                self.maximum(&a, &b).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The larger of two of which one may be minus infinity.
    fn larger(&mut self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        match (self.infinite(a), self.infinite(b)) {
            (Some(false), _) => Ok(b.clone()),
            (_, Some(false)) => Ok(a.clone()),
            _ if self.wild(a) || self.wild(b) => Err(Stop::unsupported(
                "the largest of what may be infinite in part",
            )),
            _ => self.maximum(a, b),
        }
    }

    /// For a condition on the index, whether it holds from the cut on (or below it), and the cut.
    fn cut(&self, dim: Dim, j: Sym) -> Option<(bool, Dim)> {
        let index = Dim::sym(j);
        for up in [true, false] {
            let rest = if up { dim - index } else { dim + index };
            if !self.dim_mentions(rest, j) {
                return Some((up, if up { -rest } else { rest + Dim::from(1) }));
            }
        }
        None
    }

    /// The largest over `low <= j < high`, from 0 on.
    fn greatest_from(&mut self, j: Sym, (low, high): (Dim, Dim), body: &Poly) -> Outcome<Poly> {
        let t = self.fresh();
        let mark = self.known.mark();
        self.assume_index(t, high - low);
        let body = self.substitute(body, &[(j, Dim::sym(t) + low)])?;
        let value = self.greatest(t, high - low, &body);
        self.known.release(mark);
        value
    }

    /// Without conditions: what does not depend on the index comes out, and increasing functions do.
    fn greatest_plain(&mut self, j: Sym, n: Dim, body: &Poly) -> Outcome<Poly> {
        let (bound, free): (Vec<_>, Vec<_>) = body
            .terms
            .iter()
            .cloned()
            .partition(|t| t.0.iter().any(|f| self.info(f.0).syms.contains(&j)));
        let free = self.summed(Ring::Real, free)?;
        let bound = self.summed(Ring::Real, bound)?;
        let (mut scale, bound) = self.positive_factor(j, bound)?;
        let value = match bound.as_atom().map(|a| self.atom(a)) {
            Some(atom) => match &*atom {
                Atom::Exp(p) => {
                    let most = self.greatest(j, n, &p.clone())?;
                    self.exp(&most)?
                }
                Atom::Apply(Fun::Tanh | Fun::Erf | Fun::Sqrt | Fun::Floor | Fun::Round, args) => {
                    let most = self.greatest(j, n, &args[0].clone())?;
                    match &*atom {
                        Atom::Apply(Fun::Sqrt, _) => self.sqrt(&most)?,
                        Atom::Apply(fun, _) => self.function(fun.clone(), &most)?,
                        _ => return Err(Stop::limit("a function that is none")),
                    }
                }
                _ if scale.is_one() => self.bind_flat(BigOp::Max, (j, n), bound)?,
                // A choice may show once the factor is out.
                _ => self.greatest(j, n, &bound)?,
            },
            None if scale.is_one() => self.bind_flat(BigOp::Max, (j, n), bound)?,
            None => self.greatest(j, n, &bound)?,
        };
        scale = self.mul(&scale, &value)?;
        self.add(&free, &scale)
    }

    /// The operator as an atom. The same operator within becomes further indices; counting down is counting up
    /// from the other end.
    fn bind_flat(&mut self, op: BigOp, (j, n): (Sym, Dim), body: Poly) -> Outcome<Poly> {
        let mut vars = vec![(j, n)];
        let mut body = body;
        let mark = self.known.mark();
        if let Some(id) = body.as_atom()
            && let Atom::Big {
                op: within,
                ranges,
                base,
                body: inner,
            } = &*self.atom(id)
            && *within == op
        {
            let (more, map) = self.open(*base, ranges, &[])?;
            vars.extend(more);
            body = self.substitute(inner, &map)?;
        }
        for (sym, range) in vars.clone() {
            let turned = range - Dim::from(1) - Dim::sym(sym);
            let other = self.substitute(&body, &[(sym, turned)])?;
            if self.downward(&body, sym) > self.downward(&other, sym) {
                body = other;
            }
        }
        let result = self.bind(op, vars, body);
        self.known.release(mark);
        result
    }

    /// How many addresses count down in an index, less those that count up.
    fn downward(&self, body: &Poly, sym: Sym) -> i64 {
        let mut count = 0;
        for (mono, _) in &body.terms {
            self.for_each_dim(mono, &mut |dim| {
                for (monomial, coefficient) in dim.terms() {
                    if super::known::product(monomial, 1).mentions(sym) {
                        count -= coefficient.signum();
                    }
                }
            });
        }
        count
    }

    /// `scale * rest`, scale at least 0 and free of the index.
    fn positive_factor(&mut self, j: Sym, body: Poly) -> Outcome<(Poly, Poly)> {
        let (value, mono, rest) = self.factored(&body)?;
        let (mut out, mut stay): (Mono, Mono) = (Mono::new(), Mono::new());
        for (id, power) in mono {
            let free = !self.info(id).syms.contains(&j);
            if free && self.sign_of_atom(id).at_least_zero {
                out.push((id, power));
            } else {
                stay.push((id, power));
            }
        }
        let sign = Rational::whole(if value.is_negative() { -1 } else { 1 });
        let scale = self.summed(Ring::Real, vec![(out, value.abs())])?;
        let stay = self.simplify(Ring::Real, stay, sign)?;
        Ok((scale, self.mul(&stay, &rest)?))
    }

    /// Whether `body` holds for all `0 <= j < n`; that much of j is assumed.
    pub fn all(&mut self, j: Sym, n: Dim, body: &Poly) -> Outcome<Poly> {
        let n = self.known.normal(n);
        if body.is_one() {
            return Ok(body.clone());
        }
        let some = self.extent(j, n)?;
        if some == Some(false) {
            return Ok(Poly::one(Ring::Real));
        }
        if !self.mentions(body, j) {
            return match some {
                Some(_) => Ok(body.clone()),
                None => self.bind(BigOp::All, vec![(j, n)], body.clone()),
            };
        }
        if let Some(value) = self.written_out(j, n, body, BigOp::All)? {
            return Ok(value);
        }
        let mut conditions: Vec<AtomId> = body.atoms().filter(|a| self.info(*a).boolean).collect();
        conditions.sort();
        conditions.dedup();
        for id in conditions {
            if let Some(value) = self.all_of_parts(j, n, body, id)? {
                return Ok(value);
            }
        }
        for id in body
            .atoms()
            .filter(|a| self.info(*a).boolean)
            .collect::<Vec<_>>()
        {
            // (1 - a) * rest.
            if self.assign(body, id, true)?.is_zero() {
                let rest = self.assign(body, id, false)?;
                if !rest.is_one() {
                    let fails = self.not(&Poly::atom(Ring::Real, id))?;
                    let first = self.all(j, n, &fails)?;
                    let second = self.all(j, n, &rest)?;
                    return self.mul(&first, &second);
                }
            }
        }
        if let [(mono, value)] = body.terms.as_slice()
            && *value == Rational::ONE
        {
            let mut product = Poly::one(Ring::Real);
            for (id, _) in mono.clone() {
                let factor = Poly::atom(Ring::Real, id);
                let part = if mono.len() == 1 {
                    self.bind_flat(BigOp::All, (j, n), factor)?
                } else {
                    self.all(j, n, &factor)?
                };
                product = self.mul(&product, &part)?;
            }
            return Ok(product);
        }
        self.bind_flat(BigOp::All, (j, n), body.clone())
    }

    fn all_of_parts(&mut self, j: Sym, n: Dim, body: &Poly, id: AtomId) -> Outcome<Option<Poly>> {
        if !self.info(id).syms.contains(&j) {
            let (yes, no) = (self.assign(body, id, true)?, self.assign(body, id, false)?);
            let (yes, no) = (self.all(j, n, &yes)?, self.all(j, n, &no)?);
            let condition = Poly::atom(Ring::Real, id);
            return self.choose(&condition, &yes, &no).map(Some);
        }
        let Atom::SizeAtLeast(dim) = *self.atom(id) else {
            return Ok(None);
        };
        let Some((up, cut)) = self.cut(dim, j) else {
            return Ok(None);
        };
        let zero = Dim::from(0);
        if !self.known.proves_without(j, cut) || !self.known.proves_without(j, n - cut) {
            return Ok(None);
        }
        let (yes, no) = (self.assign(body, id, true)?, self.assign(body, id, false)?);
        let (below, above) = if up { (no, yes) } else { (yes, no) };
        let below = self.all_from(j, (zero, cut), &below)?;
        let above = self.all_from(j, (cut, n), &above)?;
        self.mul(&below, &above).map(Some)
    }

    fn all_from(&mut self, j: Sym, (low, high): (Dim, Dim), body: &Poly) -> Outcome<Poly> {
        let t = self.fresh();
        let mark = self.known.mark();
        self.assume_index(t, high - low);
        self.known.assume(Relation::NonNegative, Dim::sym(t));
        let body = self.substitute(body, &[(j, Dim::sym(t) + low)])?;
        let value = self.all(t, high - low, &body);
        self.known.release(mark);
        value
    }
}
