//! Terms: polynomials with rational coefficients over atoms, and the table of atoms.
//!
//! A value of a tensor at symbolic indices is a [`Poly`]. Booleans are polynomials over atoms that are 0 or 1, so
//! that a choice is `c*a + (1 - c)*b` and logic is algebra. Every function is total: where the real one is
//! undefined it has some fixed value (1/0 is 0); where a side is defined is kept apart, in clauses.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use aiai_ir::{DType, Dim, Sym};

use super::known::Known;
use super::rational::Rational;
use super::sign::Sign;
use super::{Outcome, Stop};

/// Terms of one polynomial, at most.
const MOST_TERMS: usize = 400;
/// Products of monomials in one proof, at most.
const MOST_STEPS: u64 = 60_000;

/// What coefficients count: real numbers (booleans among them), or integers modulo 2^width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ring {
    Real,
    Int(DType),
}

impl Ring {
    pub fn of(dtype: DType) -> Ring {
        if dtype.is_integer() {
            Ring::Int(dtype)
        } else {
            Ring::Real
        }
    }

    pub fn bits(self) -> Option<u32> {
        match self {
            Ring::Real => None,
            Ring::Int(dtype) => Some(dtype.bytes() as u32 * 8),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AtomId(pub u32);

/// Powers of atoms, sorted by atom; negative ones only of what is shown not to be zero.
pub type Mono = Vec<(AtomId, i32)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Poly {
    pub ring: Ring,
    /// Sorted by monomial, no coefficient zero.
    pub terms: Vec<(Mono, Rational)>,
}

impl Poly {
    pub fn zero(ring: Ring) -> Poly {
        Poly {
            ring,
            terms: Vec::new(),
        }
    }

    pub fn constant(ring: Ring, value: Rational) -> Poly {
        let mut terms = Vec::new();
        if !value.is_zero() {
            terms.push((Vec::new(), value));
        }
        Poly { ring, terms }
    }

    pub fn one(ring: Ring) -> Poly {
        Poly::constant(ring, Rational::ONE)
    }

    pub fn atom(ring: Ring, atom: AtomId) -> Poly {
        Poly {
            ring,
            terms: vec![(vec![(atom, 1)], Rational::ONE)],
        }
    }

    pub fn as_constant(&self) -> Option<Rational> {
        match self.terms.as_slice() {
            [] => Some(Rational::ZERO),
            [(mono, value)] if mono.is_empty() => Some(*value),
            _ => None,
        }
    }

    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    pub fn is_one(&self) -> bool {
        self.as_constant() == Some(Rational::ONE)
    }

    /// The atom, where the polynomial is one bare atom.
    pub fn as_atom(&self) -> Option<AtomId> {
        match self.terms.as_slice() {
            [(mono, c)] if *c == Rational::ONE => match mono.as_slice() {
                [(atom, 1)] => Some(*atom),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn atoms(&self) -> impl Iterator<Item = AtomId> + '_ {
        self.terms.iter().flat_map(|t| t.0.iter().map(|f| f.0))
    }
}

/// Where a read element comes from: a parameter of the rule, or a carry of a loop at a depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Param(u32),
    Carry { depth: u32, place: u32 },
}

/// Operators with bound indices that have laws of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BigOp {
    Sum,
    Prod,
    /// Of something; the range is not empty.
    Max,
    /// Whether a condition holds everywhere.
    All,
}

/// Functions of scalars that are known by name and by a few laws.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fun {
    Log,
    Sqrt,
    Tanh,
    Sin,
    Cos,
    Erf,
    Floor,
    Round,
    /// a to the power b.
    Pow,
    /// Rounded to a narrower float.
    Narrow(DType),
    /// A product of as many factors as the dimension says.
    DimPower(Dim),
    /// Integer functions, by the name of the op and the dtype.
    Integer(&'static str, DType),
    /// Value of an integer as a real number.
    RealOfInt(DType),
    /// Float to integer, saturating.
    IntOfReal {
        from: DType,
        to: DType,
    },
    /// Integer to a wider one.
    Extend {
        from: DType,
        to: DType,
    },
    /// Whether an integer lies in 0..dim.
    InRange(Dim),
    /// No laws at all: the op on floats of the dtype, as IEEE does it.
    Free(&'static str, DType),
}

/// A function of whole tensors, known up to renaming of its bound indices only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lambda {
    pub name: String,
    /// Ranges of the bound indices `$base`, `$base+1`, ...
    pub ranges: Vec<Dim>,
    pub base: u32,
    pub bodies: Vec<Poly>,
    /// Where the result is read.
    pub at: Vec<Dim>,
    pub outer: Vec<Poly>,
    pub dtype: DType,
}

/// What a monomial is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    Read {
        source: Source,
        index: Vec<Dim>,
        dtype: DType,
    },
    /// A symbol or a division of sizes and indices.
    Size(Dim),
    /// 1/p; 0 where p is 0.
    Inverse(Poly),
    /// e to the power p, p a monomial.
    Exp(Poly),
    Apply(Fun, Vec<Poly>),
    /// p >= 0, the first coefficient of p being 1.
    AtLeast(Poly),
    /// p == 0, the same.
    Equal(Poly),
    /// Integers that do not wrap in comparisons: a >= b.
    IntAtLeast(Poly, Poly),
    /// Of sizes and indices: d >= 0.
    SizeAtLeast(Dim),
    SizeEqual(Dim),
    Big {
        op: BigOp,
        ranges: Vec<Dim>,
        base: u32,
        body: Poly,
    },
    Opaque(Lambda),
    Infinity,
    NotANumber,
    /// A float constant by its bits.
    Literal(u64, DType),
}

/// What is kept beside an atom.
#[derive(Clone, Debug)]
pub struct Info {
    /// Free symbols, those of terms used as indices included.
    pub syms: Rc<BTreeSet<Sym>>,
    /// Bound indices within are numbered below this.
    pub height: u32,
    /// 0 or 1.
    pub boolean: bool,
    pub sign: Sign,
    /// May be infinite or not a number: no algebra.
    pub wild: bool,
}

/// Whether floats obey the laws of real numbers, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Real,
    Free,
}

pub struct Terms {
    pub mode: Mode,
    pub known: Known,
    atoms: Vec<Rc<Atom>>,
    infos: Vec<Info>,
    ids: HashMap<Rc<Atom>, AtomId>,
    fresh: u32,
    /// Integer terms that stand as indices, by the number in their symbol.
    index_terms: Vec<Poly>,
    index_ids: HashMap<Poly, u32>,
    /// Below what integer terms in the place of indices lie, as far as the context says so.
    pub index_bounds: HashMap<Sym, Dim>,
    /// The numbers of elements of the parameters.
    pub extents: Vec<Dim>,
    /// Signs found while evaluating, which normalisation would lose.
    pub notes: HashMap<Poly, Sign>,
    /// Least and greatest value of reads of a parameter.
    pub domains: HashMap<u32, (f64, f64)>,
    pub steps: u64,
    /// Sums over constant ranges up to this length are written out.
    pub unroll: i64,
}

impl Terms {
    pub fn new(mode: Mode) -> Terms {
        Terms {
            mode,
            known: Known::default(),
            atoms: Vec::new(),
            infos: Vec::new(),
            ids: HashMap::new(),
            fresh: 0,
            index_terms: Vec::new(),
            index_ids: HashMap::new(),
            index_bounds: HashMap::new(),
            extents: Vec::new(),
            notes: HashMap::new(),
            domains: HashMap::new(),
            steps: 0,
            unroll: 1,
        }
    }

    pub fn spend(&mut self) -> Outcome<()> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Stop::limit("the normal form takes too many steps"));
        }
        Ok(())
    }

    pub fn atom(&self, id: AtomId) -> Rc<Atom> {
        Rc::clone(&self.atoms[id.0 as usize])
    }

    pub fn info(&self, id: AtomId) -> &Info {
        &self.infos[id.0 as usize]
    }

    /// The number of an atom, the same for equal ones.
    pub fn intern(&mut self, atom: Atom) -> AtomId {
        if let Some(&id) = self.ids.get(&atom) {
            return id;
        }
        let info = self.describe(&atom);
        let id = AtomId(self.atoms.len() as u32);
        let atom = Rc::new(atom);
        self.atoms.push(Rc::clone(&atom));
        self.infos.push(info);
        self.ids.insert(atom, id);
        id
    }

    /// A symbol that nothing else is called.
    pub fn fresh(&mut self) -> Sym {
        self.fresh += 1;
        Sym::new(&format!("j{}'", self.fresh))
    }

    /// The symbol that stands for an integer term in an index.
    pub fn index_symbol(&mut self, term: &Poly) -> Sym {
        let next = self.index_terms.len() as u32;
        let number = *self.index_ids.entry(term.clone()).or_insert(next);
        if number == next {
            self.index_terms.push(term.clone());
        }
        Sym::new(&format!("%{number}"))
    }

    /// An integer term as an index, less than the bound because an access outside is an error.
    pub fn index_of(&mut self, term: &Poly, bound: Option<Dim>) -> Outcome<Dim> {
        if let Some(dim) = self.as_index(term) {
            return Ok(dim);
        }
        if let Some(bound) = bound
            && self.counts_down(term)
        {
            // A position counted from the end: from the start it lies below the same bound.
            let turned = self.counted_from_end(term, bound)?;
            return Ok(bound - Dim::from(1) - self.index_of(&turned, Some(bound))?);
        }
        let sym = self.index_symbol(term);
        if let Some(bound) = bound {
            self.assume_index(sym, bound);
            self.index_bounds.insert(sym, bound);
        }
        Ok(Dim::sym(sym))
    }

    /// Whether the first thing in an integer that is not a size has the coefficient -1.
    pub fn counts_down(&self, term: &Poly) -> bool {
        let first = term.terms.iter().find(|(mono, _)| {
            !mono
                .iter()
                .all(|f| matches!(&*self.atom(f.0), Atom::Size(_)))
        });
        first.is_some_and(|t| t.1 == Rational::whole(-1))
    }

    /// `bound - 1 - term`, modulo 2^64.
    pub fn counted_from_end(&mut self, term: &Poly, bound: Dim) -> Outcome<Poly> {
        let last = self.of_dim(term.ring, bound - Dim::from(1))?;
        self.sub(&last, term)
    }

    pub fn index_bound(&self, sym: Sym) -> Option<Dim> {
        self.index_bounds.get(&sym).copied()
    }

    /// Keeps a sign that normalisation would lose.
    pub fn note(&mut self, poly: &Poly, sign: Sign) {
        if sign != Sign::default() && poly.terms.len() > 1 {
            let known = self.notes.get(poly).copied().unwrap_or_default();
            self.notes.insert(poly.clone(), known.and(sign));
        }
    }

    /// The term that a symbol of an index stands for.
    pub fn index_term(&self, sym: Sym) -> Option<&Poly> {
        let number = sym.as_str().strip_prefix('%')?;
        self.index_terms.get(number.parse::<usize>().ok()?)
    }

    /// The free symbols of a dimension, through terms used as indices.
    pub fn dim_syms(&self, dim: Dim, found: &mut BTreeSet<Sym>) {
        dim.for_each_sym(&mut |sym| {
            if found.insert(sym)
                && let Some(term) = self.index_term(sym)
            {
                for atom in term.atoms() {
                    found.extend(self.info(atom).syms.iter().copied());
                }
            }
        });
    }

    pub fn mentions(&self, poly: &Poly, sym: Sym) -> bool {
        poly.atoms().any(|a| self.info(a).syms.contains(&sym))
    }

    pub fn dim_mentions(&self, dim: Dim, sym: Sym) -> bool {
        let mut found = BTreeSet::new();
        self.dim_syms(dim, &mut found);
        found.contains(&sym)
    }

    pub fn wild(&self, poly: &Poly) -> bool {
        poly.atoms().any(|a| self.info(a).wild)
    }

    pub fn height(&self, poly: &Poly) -> u32 {
        poly.atoms().map(|a| self.info(a).height).max().unwrap_or(0)
    }

    // ---- arithmetic ----

    pub fn summed(&self, ring: Ring, terms: Vec<(Mono, Rational)>) -> Outcome<Poly> {
        let mut terms = terms;
        terms.sort_by(|a, b| a.0.cmp(&b.0));
        let mut merged: Vec<(Mono, Rational)> = Vec::with_capacity(terms.len());
        for (mono, value) in terms {
            match merged.last_mut() {
                Some(last) if last.0 == mono => last.1 = last.1.add(value)?,
                _ => merged.push((mono, value)),
            }
        }
        if let Some(bits) = ring.bits() {
            for term in &mut merged {
                term.1 = term.1.wrapped(bits)?;
            }
        }
        merged.retain(|t| !t.1.is_zero());
        if merged.len() > MOST_TERMS {
            return Err(Stop::limit("a polynomial has too many terms"));
        }
        Ok(Poly {
            ring,
            terms: merged,
        })
    }

    pub fn add(&self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        same_ring(a, b)?;
        let terms = a.terms.iter().chain(&b.terms).cloned().collect();
        self.summed(a.ring, terms)
    }

    pub fn scale(&self, a: &Poly, factor: Rational) -> Outcome<Poly> {
        let mut terms = Vec::with_capacity(a.terms.len());
        for (mono, value) in &a.terms {
            terms.push((mono.clone(), value.mul(factor)?));
        }
        self.summed(a.ring, terms)
    }

    pub fn neg(&self, a: &Poly) -> Outcome<Poly> {
        self.scale(a, Rational::whole(-1))
    }

    pub fn sub(&self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        self.add(a, &self.neg(b)?)
    }

    pub fn mul(&mut self, a: &Poly, b: &Poly) -> Outcome<Poly> {
        same_ring(a, b)?;
        if a.is_one() {
            return Ok(b.clone());
        }
        if b.is_one() {
            return Ok(a.clone());
        }
        let mut terms = Vec::with_capacity(a.terms.len() * b.terms.len());
        for (left, x) in &a.terms {
            for (right, y) in &b.terms {
                self.spend()?;
                let mono = merge(left, right)?;
                let simple = self.simplify(a.ring, mono, x.mul(*y)?)?;
                terms.extend(simple.terms);
                if terms.len() > 8 * MOST_TERMS {
                    return Err(Stop::limit("a product has too many terms"));
                }
            }
        }
        self.summed(a.ring, terms)
    }

    pub fn power(&mut self, a: &Poly, exponent: u32) -> Outcome<Poly> {
        let mut product = Poly::one(a.ring);
        for _ in 0..exponent {
            product = self.mul(&product, a)?;
        }
        Ok(product)
    }

    /// `1 - a`, the negation of a boolean.
    pub fn not(&self, a: &Poly) -> Outcome<Poly> {
        self.sub(&Poly::one(a.ring), a)
    }

    /// `c*a + (1 - c)*b`.
    pub fn choose(&mut self, c: &Poly, a: &Poly, b: &Poly) -> Outcome<Poly> {
        if a == b {
            return Ok(a.clone());
        }
        let c = self.in_ring(c, a.ring)?;
        let taken = self.mul(&c, a)?;
        let other = self.mul(&self.not(&c)?, b)?;
        self.add(&taken, &other)
    }

    /// A boolean as 0 and 1 of another ring.
    pub fn in_ring(&self, a: &Poly, ring: Ring) -> Outcome<Poly> {
        if a.ring == ring {
            return Ok(a.clone());
        }
        if a.terms.iter().any(|t| t.1.as_whole().is_none()) {
            return Err(Stop::limit("a fraction among integers"));
        }
        self.summed(ring, a.terms.clone())
    }

    /// A size or an index as a value.
    pub fn of_dim(&mut self, ring: Ring, dim: Dim) -> Outcome<Poly> {
        if dim.is_overflow() {
            return Err(Stop::limit("a dimension leaves the range of i64"));
        }
        let dim = self.known.normal(dim);
        let mut terms = Vec::new();
        for (monomial, coefficient) in dim.terms() {
            let mut mono = Mono::new();
            for (atom, power) in monomial {
                let id = self.intern(Atom::Size(super::known::single(*atom)));
                mono.push((id, *power as i32));
            }
            mono.sort();
            let value = Rational::whole(*coefficient);
            terms.extend(self.simplify(ring, mono, value)?.terms);
        }
        self.summed(ring, terms)
    }

    /// The dimension that an integer term is, where it is made of sizes and indices alone.
    pub fn as_dim(&self, poly: &Poly) -> Option<Dim> {
        let mut total = Dim::from(0);
        for (mono, value) in &poly.terms {
            let mut product = Dim::from(i64::try_from(value.as_whole()?).ok()?);
            for (id, power) in mono {
                let Atom::Size(dim) = *self.atom(*id) else {
                    return None;
                };
                for _ in 0..u32::try_from(*power).ok()? {
                    product = product * dim;
                }
            }
            total = total + product;
        }
        (!total.is_overflow()).then_some(total)
    }
}

fn same_ring(a: &Poly, b: &Poly) -> Outcome<()> {
    if a.ring == b.ring {
        Ok(())
    } else {
        Err(Stop::limit("terms of different rings meet"))
    }
}

/// The product of two monomials before any law is applied.
fn merge(left: &Mono, right: &Mono) -> Outcome<Mono> {
    let mut product = left.clone();
    for (atom, power) in right {
        match product.binary_search_by(|f| f.0.cmp(atom)) {
            Ok(at) => {
                product[at].1 += power;
                if product[at].1.abs() > 64 {
                    return Err(Stop::limit("a power is too large"));
                }
            }
            Err(at) => product.insert(at, (*atom, *power)),
        }
    }
    product.retain(|f| f.1 != 0);
    Ok(product)
}
