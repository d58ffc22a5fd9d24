//! Whether a term is zero: by its normal form, without denominators, in every case of its conditions, and at last
//! by the solver.

use aiai_ir::Relation;

use super::Outcome;
use super::bits::Bits;
use super::ieee::{self, Asked};
use super::smt::Question;
use super::term::{Atom, AtomId, Fun, Poly, Ring, Terms};
use crate::solver::{Answer, Solver};

/// Conditions taken apart in one question, at most.
const MOST_CONDITIONS: usize = 8;

/// How the solver took part.
#[derive(Default)]
pub struct Usage {
    pub asked: u64,
    /// Questions that the solver gave up: those that take time.
    pub unknown: u64,
    pub not_attempted: Option<String>,
}

/// Questions answered with "satisfiable" that are kept, at most.
const MOST_KEPT: usize = 3;

pub struct Decider<'s> {
    pub solver: &'s mut dyn Solver,
    pub usage: Usage,
    /// Whether terms without algebra are put to the theory of floats.
    pub floats: bool,
    /// Questions that have a model: a hint of where the sides differ.
    pub satisfied: Vec<Asked>,
}

impl Decider<'_> {
    /// Whether `poly` is 0 wherever the facts hold.
    pub fn is_zero(&mut self, terms: &mut Terms, poly: &Poly) -> Outcome<bool> {
        self.zero_in(terms, poly, &mut Vec::new(), MOST_CONDITIONS)
    }

    fn zero_in(
        &mut self,
        terms: &mut Terms,
        poly: &Poly,
        assumed: &mut Vec<(AtomId, bool)>,
        left: usize,
    ) -> Outcome<bool> {
        if poly.is_zero() {
            return Ok(true);
        }
        if whole(terms, poly) {
            // Integers, and conditions on them: in one question, whatever the conditions.
            let script = Bits::new(terms).differs_from_zero(poly, assumed);
            let asked = script.is_some();
            if asked && self.ask(script) == Answer::Unsatisfiable {
                return Ok(true);
            }
            let sizes = poly
                .atoms()
                .any(|id| matches!(&*terms.atom(id), Atom::SizeAtLeast(_) | Atom::SizeEqual(_)));
            if asked && !sizes {
                return Ok(false);
            }
        }
        if terms.mode == super::term::Mode::Free || terms.wild(poly) {
            return self.cases(terms, poly, assumed, left);
        }
        let plain = without_inverses(terms, poly)?;
        if plain.is_zero() {
            return Ok(true);
        }
        if self.cases(terms, &plain, assumed, left)? {
            return Ok(true);
        }
        if assumed.is_empty() {
            let expanded = with_exponentials(terms, &plain)?;
            if expanded != plain && without_inverses(terms, &expanded)?.is_zero() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// In each case of the first condition; where there is none left, by what was assumed.
    fn cases(
        &mut self,
        terms: &mut Terms,
        poly: &Poly,
        assumed: &mut Vec<(AtomId, bool)>,
        left: usize,
    ) -> Outcome<bool> {
        let Some(atom) = terms.condition(std::slice::from_ref(poly)) else {
            return self.leaf(terms, poly, assumed);
        };
        if left == 0 {
            return self.leaf(terms, poly, assumed);
        }
        for holds in [true, false] {
            let mark = terms.known.mark();
            let case = terms.assign(poly, atom, holds)?;
            let mut case = case;
            if assume_condition(terms, atom, holds) {
                if terms.known.contradictory() {
                    terms.known.release(mark);
                    continue;
                }
                case = terms.renewed(&case)?;
            }
            assumed.push((atom, holds));
            let zero = self.zero_in(terms, &case, assumed, left - 1);
            assumed.pop();
            terms.known.release(mark);
            if !zero? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Without conditions of its own: zero by an equality assumed, or the solver says so.
    fn leaf(
        &mut self,
        terms: &mut Terms,
        poly: &Poly,
        assumed: &[(AtomId, bool)],
    ) -> Outcome<bool> {
        if poly.is_zero() {
            return Ok(true);
        }
        let mut product = poly.clone();
        for (atom, holds) in assumed {
            let mut condition = Poly::atom(poly.ring, *atom);
            if !holds {
                condition = terms.not(&condition)?;
            }
            product = terms.mul(&product, &condition)?;
            if product.is_zero() {
                return Ok(true);
            }
        }
        if poly.ring != Ring::Real {
            let script = Bits::new(terms).differs_from_zero(poly, assumed);
            return Ok(self.ask(script) == Answer::Unsatisfiable);
        }
        if terms.wild(poly) || terms.mode == super::term::Mode::Free {
            return Ok(false);
        }
        let mut question = Question::new(terms);
        for (atom, holds) in assumed {
            question.assume(*atom, *holds);
        }
        let script = question.differs_from_zero(poly);
        Ok(self.ask(script) == Answer::Unsatisfiable)
    }

    /// Whether a condition follows from others.
    pub fn follows(&mut self, terms: &mut Terms, condition: &Poly, from: &[Poly]) -> Outcome<bool> {
        if condition.is_one() || from.contains(condition) {
            return Ok(true);
        }
        if from.iter().any(Poly::is_zero) {
            return Ok(true);
        }
        let mut fails = terms.not(condition)?;
        for fact in from.iter().take(6) {
            fails = terms.mul(&fails, fact)?;
            if fails.is_zero() {
                return Ok(true);
            }
        }
        let sizes = |p: &Poly| {
            p.atoms()
                .any(|id| matches!(&*terms.atom(id), Atom::SizeAtLeast(_) | Atom::SizeEqual(_)))
        };
        if sizes(&fails) && self.is_zero(terms, &fails)? {
            return Ok(true);
        }
        for fact in from {
            if self.is_instance(terms, condition, fact)? {
                return Ok(true);
            }
        }
        if terms.mode == super::term::Mode::Free || terms.wild(condition) {
            return Ok(false);
        }
        let mut question = Question::new(terms);
        for fact in from {
            question.holds(fact);
        }
        let script = question.fails(condition);
        Ok(self.ask(script) == Answer::Unsatisfiable)
    }

    /// Whether the condition, with fresh indices if it has any, is one case of a fact that holds everywhere.
    fn is_instance(&mut self, terms: &mut Terms, condition: &Poly, fact: &Poly) -> Outcome<bool> {
        let Some(fact) = everywhere(terms, fact) else {
            return Ok(false);
        };
        let mark = terms.known.mark();
        let wanted = match everywhere(terms, condition) {
            Some((base, ranges, body)) => {
                let (_, map) = terms.open(base, &ranges, &[])?;
                terms.substitute(&body, &map)?
            }
            None => condition.clone(),
        };
        let found = instance(terms, &wanted, &fact);
        terms.known.release(mark);
        found
    }

    /// Whether the elements have the same bits for all values of their atoms, without algebra on floats.
    pub fn same_bits(
        &mut self,
        terms: &mut Terms,
        (left, right): (&Poly, &Poly),
        dtype: aiai_ir::DType,
    ) -> Outcome<bool> {
        if !self.floats || terms.mode != super::term::Mode::Free {
            return Ok(false);
        }
        let Some(asked) = ieee::differs(terms, left, right, dtype)? else {
            return Ok(false);
        };
        Ok(self.ask_kept(asked) == Answer::Unsatisfiable)
    }

    fn ask(&mut self, script: Option<String>) -> Answer {
        match script {
            Some(script) => self.ask_kept(super::witness::numbered(&script)),
            None => Answer::Unknown,
        }
    }

    fn ask_kept(&mut self, asked: Asked) -> Answer {
        let answer = self.solver.ask(&asked.script);
        match &answer {
            Answer::NotAttempted(why) => self.usage.not_attempted = Some(why.clone()),
            _ => self.usage.asked += 1,
        }
        self.usage.unknown += u64::from(answer == Answer::Unknown);
        if answer == Answer::Satisfiable && self.satisfied.len() < MOST_KEPT {
            self.satisfied.push(asked);
        }
        answer
    }
}

type Everywhere = (u32, Vec<aiai_ir::Dim>, Poly);

fn everywhere(terms: &Terms, condition: &Poly) -> Option<Everywhere> {
    match &*terms.atom(condition.as_atom()?) {
        Atom::Big {
            op: super::term::BigOp::All,
            ranges,
            base,
            body,
        } => Some((*base, ranges.clone(), body.clone())),
        _ => None,
    }
}

/// Indices within their ranges at which the fact is the condition: read off the elements that both read.
fn instance(terms: &mut Terms, wanted: &Poly, (base, ranges, body): &Everywhere) -> Outcome<bool> {
    let names: Vec<aiai_ir::Sym> = (0..ranges.len())
        .map(|place| super::binders::bound_name(*base, place))
        .collect();
    let mut reads = Vec::new();
    terms.for_each_element(wanted, &mut |source, index| {
        reads.push((source, index.to_vec()))
    });
    let mut patterns = Vec::new();
    terms.for_each_element(body, &mut |source, index| {
        patterns.push((source, index.to_vec()))
    });
    let mut map: Vec<(aiai_ir::Sym, aiai_ir::Dim)> = Vec::new();
    for (source, index) in &patterns {
        let Some((_, at)) = reads.iter().find(|r| r.0 == *source) else {
            return Ok(false);
        };
        for (pattern, dim) in index.iter().zip(at) {
            if let Some(sym) = pattern.as_sym()
                && names.contains(&sym)
                && !map.iter().any(|m| m.0 == sym)
            {
                map.push((sym, *dim));
            }
        }
    }
    if map.len() < names.len() {
        return Ok(false);
    }
    let zero_up = map.iter().all(|m| terms.known.proves(m.1));
    let one = aiai_ir::Dim::from(1);
    let below = names.iter().zip(ranges).all(|(name, range)| {
        let at = map.iter().find(|m| m.0 == *name).map(|m| m.1);
        at.is_some_and(|at| terms.known.proves(*range - one - at))
    });
    if !zero_up || !below {
        return Ok(false);
    }
    Ok(terms.substitute(body, &map)? == *wanted)
}

/// Whether the term is an integer, or made of conditions some of which are on integers.
fn whole(terms: &Terms, poly: &Poly) -> bool {
    if poly.ring != Ring::Real {
        return true;
    }
    let mut some = false;
    let all = poly.atoms().all(|id| {
        some |= match &*terms.atom(id) {
            Atom::IntAtLeast(..) => true,
            Atom::Equal(p) => p.ring != Ring::Real,
            _ => false,
        };
        terms.info(id).boolean
    });
    some && all
}

/// Makes a condition on sizes a fact; whether it was one.
pub fn assume_condition(terms: &mut Terms, atom: AtomId, holds: bool) -> bool {
    match (*terms.atom(atom)).clone() {
        Atom::SizeAtLeast(dim) => {
            let fact = if holds {
                dim
            } else {
                -dim - aiai_ir::Dim::from(1)
            };
            terms.known.assume(Relation::NonNegative, fact);
            true
        }
        Atom::SizeEqual(dim) if holds => {
            terms.known.assume(Relation::NonNegative, dim);
            terms.known.assume(Relation::NonNegative, -dim);
            true
        }
        _ => false,
    }
}

/// `poly` times every denominator that is shown not to be zero: zero where `poly` is.
fn without_inverses(terms: &mut Terms, poly: &Poly) -> Outcome<Poly> {
    let mut poly = poly.clone();
    for _ in 0..6 {
        let denominator = poly.atoms().find_map(|id| match &*terms.atom(id) {
            Atom::Inverse(p) if terms.sign(p).not_zero => Some((id, p.clone())),
            _ => None,
        });
        let Some((id, p)) = denominator else { break };
        let power = |mono: &super::term::Mono| mono.iter().find(|f| f.0 == id).map_or(0, |f| f.1);
        let most = poly.terms.iter().map(|t| power(&t.0)).max().unwrap_or(0);
        let mut total = Poly::zero(poly.ring);
        for (mono, value) in poly.terms.clone() {
            let own = power(&mono);
            let rest: super::term::Mono = mono.into_iter().filter(|f| f.0 != id).collect();
            let rest = terms.simplify(poly.ring, rest, value)?;
            let missing = terms.power(&p, (most - own).unsigned_abs())?;
            let part = terms.mul(&rest, &missing)?;
            total = terms.add(&total, &part)?;
        }
        poly = total;
    }
    Ok(poly)
}

/// tanh(p) as 1 - 2 / (exp(2p) + 1).
fn with_exponentials(terms: &mut Terms, poly: &Poly) -> Outcome<Poly> {
    let mut values = Vec::new();
    for id in poly.atoms() {
        if let Atom::Apply(Fun::Tanh, args) = &*terms.atom(id) {
            let twice = terms.scale(&args[0].clone(), super::rational::Rational::whole(2))?;
            let exp = terms.exp(&twice)?;
            let one = Poly::one(Ring::Real);
            let below = terms.add(&exp, &one)?;
            let inverse = terms.inverse(&below)?;
            let less = terms.scale(&inverse, super::rational::Rational::whole(-2))?;
            values.push((id, terms.add(&one, &less)?));
        }
    }
    terms.replace_atoms(poly, &values)
}
