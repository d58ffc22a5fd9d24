//! Canonical names and order of bound indices: what is equal but for them becomes the same atom.

use aiai_ir::{Dim, Sym};

use super::binders::bound_name;
use super::rational::Rational;
use super::term::{Atom, BigOp, Poly, Ring, Terms};
use super::{Outcome, Stop};

/// Orders of indices that look alike, tried at most.
const MOST_ORDERS: usize = 24;

impl Terms {
    /// Two indices that stand in the body only as u + n*v, u below n, are one below n times the range of v.
    fn merged(&mut self, vars: &mut Vec<(Sym, Dim)>, body: &mut Poly) -> Outcome<()> {
        let mut at = 0;
        'search: while at < vars.len() {
            for other in 0..vars.len() {
                let ((u, n), (v, m)) = (vars[at], vars[other]);
                if at == other || !self.as_digits(body, u, n, v) {
                    continue;
                }
                let free = |t: &Terms, d: Dim| !vars.iter().any(|x| t.dim_mentions(d, x.0));
                if !free(self, n) || !free(self, m) {
                    continue;
                }
                let one = self.fresh();
                self.assume_index(one, n * m);
                let map = [(v, Dim::from(0)), (u, Dim::sym(one))];
                *body = self.substitute(body, &map)?;
                vars[at] = (one, n * m);
                vars.remove(other);
                at = 0;
                continue 'search;
            }
            at += 1;
        }
        Ok(())
    }

    /// Whether u and v stand in every dimension of the body as u + n*v or a multiple, and somewhere.
    fn as_digits(&self, body: &Poly, u: Sym, n: Dim, v: Sym) -> bool {
        let (mut some, mut all) = (false, true);
        for (mono, _) in &body.terms {
            self.for_each_dim(mono, &mut |dim| {
                let (has_u, has_v) = (dim.mentions(u), dim.mentions(v));
                if !has_u && !has_v {
                    return;
                }
                some = true;
                // Written in w = u + n*v, v falls out.
                let other = Dim::sym(u) - n * Dim::sym(v);
                let turned = dim.substitute(&|s| (s == u).then_some(other));
                all &= has_u && has_v && !turned.mentions(v);
            });
        }
        some && all
    }

    /// The operator as an atom, with its indices in canonical order under canonical names.
    pub fn bind(&mut self, op: BigOp, vars: Vec<(Sym, Dim)>, body: Poly) -> Outcome<Poly> {
        let mut used = Vec::new();
        let mut count = Poly::one(body.ring);
        let (mut vars, mut body) = (vars, body);
        if vars.len() > 1 {
            self.merged(&mut vars, &mut body)?;
        }
        for (at, (sym, range)) in vars.iter().enumerate() {
            let later = vars[at + 1..].iter().any(|v| self.dim_mentions(v.1, *sym));
            if self.mentions(&body, *sym) || later {
                used.push((*sym, *range));
            } else if op == BigOp::Sum {
                let size = self.of_dim(body.ring, *range)?;
                count = self.mul(&count, &size)?;
            } else if op == BigOp::Prod
                || (op == BigOp::All && self.extent(*sym, *range)? != Some(true))
            {
                used.push((*sym, *range));
            }
        }
        let dependent = used
            .iter()
            .any(|v| used.iter().any(|o| self.dim_mentions(v.1, o.0)));
        let orders = if dependent || used.len() < 2 {
            vec![used]
        } else {
            self.orders(used, &body)
        };
        let mut best: Option<(String, Poly)> = None;
        for order in orders {
            let atom = self.named(op, &order, &body)?;
            let text = self.show(&atom);
            if best.as_ref().is_none_or(|b| text < b.0) {
                best = Some((text, atom));
            }
        }
        let Some((_, atom)) = best else {
            return Err(Stop::limit("a sum without an order"));
        };
        self.mul(&count, &atom)
    }

    /// The orders of the indices that their places in the body leave open.
    pub fn orders(&self, vars: Vec<(Sym, Dim)>, body: &Poly) -> Vec<Vec<(Sym, Dim)>> {
        let mut keyed: Vec<(String, (Sym, Dim))> = vars
            .iter()
            .map(|(sym, range)| {
                let name = |s: Sym| {
                    if s == *sym {
                        Some("y")
                    } else if vars.iter().any(|v| v.0 == s) {
                        Some("x")
                    } else {
                        None
                    }
                };
                let key = format!("{range} {}", self.show_with(body, &name));
                (key, (*sym, *range))
            })
            .collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        let mut orders: Vec<Vec<(Sym, Dim)>> = vec![Vec::new()];
        let mut at = 0;
        while at < keyed.len() {
            let alike = keyed[at..]
                .iter()
                .take_while(|k| k.0 == keyed[at].0)
                .count();
            let group: Vec<(Sym, Dim)> = keyed[at..at + alike].iter().map(|k| k.1).collect();
            let ways = permutations(&group);
            let ways = if orders.len() * ways.len() > MOST_ORDERS {
                vec![group]
            } else {
                ways
            };
            orders = orders
                .iter()
                .flat_map(|order| {
                    ways.iter()
                        .map(move |way| order.iter().chain(way).copied().collect())
                })
                .collect();
            at += alike;
        }
        orders
    }

    fn named(&mut self, op: BigOp, vars: &[(Sym, Dim)], body: &Poly) -> Outcome<Poly> {
        let base = self.base_of(vars, std::slice::from_ref(body));
        let mark = self.known.mark();
        let mut map = Vec::new();
        let mut ranges = Vec::new();
        for (place, (sym, range)) in vars.iter().enumerate() {
            let range = self.substitute_dim(*range, &map)?;
            let name = bound_name(base, place);
            self.assume_index(name, range);
            ranges.push(range);
            map.push((*sym, Dim::sym(name)));
        }
        let renamed = self.substitute(body, &map);
        self.known.release(mark);
        let (value, body) = self.unit(op, renamed?)?;
        let ring = if op == BigOp::All {
            Ring::Real
        } else {
            body.ring
        };
        let atom = self.intern(Atom::Big {
            op,
            ranges,
            base,
            body,
        });
        self.scale(&Poly::atom(ring, atom), value)
    }

    /// A constant factor of a sum comes out.
    fn unit(&self, op: BigOp, body: Poly) -> Outcome<(Rational, Poly)> {
        if op == BigOp::Sum
            && body.ring == Ring::Real
            && let [(_, value)] = body.terms.as_slice()
        {
            let value = *value;
            return Ok((value, self.scale(&body, value.inverse())?));
        }
        Ok((Rational::ONE, body))
    }
}

fn permutations(items: &[(Sym, Dim)]) -> Vec<Vec<(Sym, Dim)>> {
    if items.len() > 4 {
        return vec![items.to_vec()];
    }
    let Some((first, rest)) = items.split_first() else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for at in 0..=shorter.len() {
            let mut order = shorter.clone();
            order.insert(at, *first);
            all.push(order);
        }
    }
    all
}
