//! Questions to the solver about bits of floats: terms without algebra in the theory of IEEE 754, as the op table
//! has its ops.
//!
//! What the theory does not know (sums over ranges, functions without a formula, loops) is a variable of its
//! own, the same for the same term: "unsatisfiable" holds whatever its value is. Names follow the order in which
//! things are met, so that the same question has the same text.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use aiai_ir::DType;

use super::Outcome;
use super::bits::{constant, operation, scaled, signed, width};
use super::decide::assume_condition;
use super::formats::{extreme, format_of, literal, truncated};
use super::rational::Rational;
use super::term::{Atom, AtomId, Fun, Poly, Ring, Source, Terms};

/// Definitions of one question, at most.
const MOST_LINES: usize = 160;
/// Conditions on sizes that are held against each other, at most.
const MOST_SIZES: usize = 8;
/// Pairs of calls of one unknown function that are said to agree, at most.
const MOST_PAIRS: usize = 24;

/// A question with the variables that stand for atoms.
#[derive(Clone, Debug)]
pub struct Asked {
    pub script: String,
    pub names: BTreeMap<String, AtomId>,
}

/// What a name of the script is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    Float(DType),
    Bits(u32),
    Truth,
}

impl Sort {
    fn of(dtype: DType) -> Sort {
        match dtype {
            DType::Bool => Sort::Truth,
            _ if dtype.is_float() => Sort::Float(dtype),
            _ => Sort::Bits(width(dtype)),
        }
    }

    fn text(self) -> String {
        match self {
            Sort::Float(dtype) => {
                let (e, s) = format_of(dtype);
                format!("(_ FloatingPoint {e} {s})")
            }
            Sort::Bits(bits) => format!("(_ BitVec {bits})"),
            Sort::Truth => "Bool".into(),
        }
    }
}

pub struct Ieee<'t> {
    terms: &'t Terms,
    lines: Vec<String>,
    facts: Vec<String>,
    names: BTreeMap<String, AtomId>,
    known: HashMap<(Poly, Sort), String>,
    atoms: HashMap<(AtomId, Sort), String>,
    /// Calls of functions without a formula: which, with what, and the name of the result.
    calls: Vec<((&'static str, DType), Vec<String>, String)>,
    floats: usize,
    count: usize,
    /// Conditions on sizes and indices that were met.
    sizes: Vec<(AtomId, String)>,
}

/// A script without its question.
struct Draft {
    lines: Vec<String>,
    facts: Vec<String>,
    names: BTreeMap<String, AtomId>,
}

impl Draft {
    fn asked(self, question: &str) -> Asked {
        let mut text = String::from("(set-logic QF_BVFP)\n");
        for line in self.lines.iter() {
            let _ = writeln!(text, "{line}");
        }
        for fact in &self.facts {
            let _ = writeln!(text, "(assert {fact})");
        }
        let _ = writeln!(text, "{question}\n(check-sat)");
        Asked {
            script: text,
            names: self.names,
        }
    }
}

/// The script that asks for values at which the two have other bits; `None` where there is nothing to ask.
pub fn differs(
    terms: &mut Terms,
    left: &Poly,
    right: &Poly,
    dtype: DType,
) -> Outcome<Option<Asked>> {
    let mut ieee = Ieee::new(terms);
    let (a, b) = (ieee.value(left, dtype)?, ieee.value(right, dtype)?);
    if ieee.floats == 0 {
        return Ok(None);
    }
    // NaN is equal to NaN and the zeros are different: `=` is not `fp.eq`.
    let mut question = String::new();
    let sizes = std::mem::take(&mut ieee.sizes);
    let draft = ieee.finish();
    for fact in impossible(terms, &sizes) {
        let _ = writeln!(question, "(assert {fact})");
    }
    let _ = write!(question, "(assert (not (= {a} {b})))");
    Ok(draft.map(|draft| draft.asked(&question)))
}

/// Pairs of conditions on sizes and indices that never hold together, as facts.
fn impossible(terms: &mut Terms, sizes: &[(AtomId, String)]) -> Vec<String> {
    let mut facts = Vec::new();
    let said = |name: &str, holds: bool| match holds {
        true => name.to_owned(),
        false => format!("(not {name})"),
    };
    for (at, (first, one)) in sizes.iter().enumerate().take(MOST_SIZES) {
        for (second, other) in sizes[..at].iter() {
            for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
                let mark = terms.known.mark();
                assume_condition(terms, *first, a);
                assume_condition(terms, *second, b);
                if terms.known.contradictory() {
                    facts.push(format!("(not (and {} {}))", said(one, a), said(other, b)));
                }
                terms.known.release(mark);
            }
        }
    }
    facts
}

impl<'t> Ieee<'t> {
    pub fn new(terms: &'t Terms) -> Ieee<'t> {
        Ieee {
            terms,
            lines: Vec::new(),
            facts: Vec::new(),
            names: BTreeMap::new(),
            known: HashMap::new(),
            atoms: HashMap::new(),
            calls: Vec::new(),
            floats: 0,
            count: 0,
            sizes: Vec::new(),
        }
    }

    /// A term of a dtype as an expression of the script.
    pub fn value(&mut self, term: &Poly, dtype: DType) -> Outcome<String> {
        match Sort::of(dtype) {
            Sort::Float(dtype) => self.float(term, dtype),
            Sort::Truth => self.truth(term),
            Sort::Bits(_) => self.integer(term),
        }
    }

    /// The script so far; `None` where it is too long.
    fn finish(mut self) -> Option<Draft> {
        self.agreements();
        (self.lines.len() <= MOST_LINES).then_some(Draft {
            lines: self.lines,
            facts: self.facts,
            names: self.names,
        })
    }

    /// A function of equal operands has equal results.
    fn agreements(&mut self) {
        let mut pairs = 0;
        for (at, (function, args, result)) in self.calls.iter().enumerate() {
            let earlier = self.calls[..at].iter().filter(|c| c.0 == *function);
            for (_, other, before) in earlier {
                pairs += 1;
                if pairs > MOST_PAIRS || args.len() != other.len() {
                    continue;
                }
                let same: Vec<String> = args
                    .iter()
                    .zip(other)
                    .map(|(a, b)| format!("(= {a} {b})"))
                    .collect();
                self.facts.push(format!(
                    "(=> (and {}) (= {result} {before}))",
                    same.join(" ")
                ));
            }
        }
    }

    fn define(&mut self, sort: Sort, text: &str) -> String {
        let name = format!("d{}", self.count);
        self.count += 1;
        if self.lines.len() <= MOST_LINES {
            let sort = sort.text();
            self.lines
                .push(format!("(define-fun {name} () {sort} {text})"));
        }
        name
    }

    fn declare(&mut self, sort: Sort) -> String {
        let name = format!("v{}", self.count);
        self.count += 1;
        if self.lines.len() <= MOST_LINES {
            self.lines
                .push(format!("(declare-const {name} {})", sort.text()));
        }
        name
    }

    /// A variable for an atom of which nothing is known but the domain of a parameter.
    fn unknown(&mut self, id: AtomId, sort: Sort) -> String {
        if let Some(name) = self.atoms.get(&(id, sort)) {
            return name.clone();
        }
        let name = self.declare(sort);
        self.atoms.insert((id, sort), name.clone());
        if matches!(
            &*self.terms.atom(id),
            Atom::SizeAtLeast(_) | Atom::SizeEqual(_)
        ) {
            self.sizes.push((id, name.clone()));
        }
        if let Atom::Read {
            source: Source::Param(param),
            dtype,
            ..
        } = &*self.terms.atom(id)
            && Sort::of(*dtype) == sort
        {
            self.names.insert(name.clone(), id);
            if let (Some((low, high)), Sort::Float(dtype)) = (self.terms.domains.get(param), sort) {
                // Rounded outwards: the fact stays true.
                let below = literal(*low, dtype, "RTN");
                let above = literal(*high, dtype, "RTP");
                self.facts.push(format!("(fp.leq {below} {name})"));
                self.facts.push(format!("(fp.leq {name} {above})"));
            }
        }
        name
    }

    /// A variable for a term that is no choice between atoms.
    fn unknown_term(&mut self, term: &Poly, sort: Sort) -> String {
        let name = self.declare(sort);
        self.known.insert((term.clone(), sort), name.clone());
        name
    }

    // ---- floats ----

    /// A choice between terms by its conditions, down to single atoms.
    fn float(&mut self, term: &Poly, dtype: DType) -> Outcome<String> {
        let sort = Sort::Float(dtype);
        if let Some(name) = self.known.get(&(term.clone(), sort)) {
            return Ok(name.clone());
        }
        if self.lines.len() > MOST_LINES {
            return Ok("none".into());
        }
        if let Some(condition) = self.terms.condition(std::slice::from_ref(term)) {
            let yes = self.terms.assign(term, condition, true)?;
            let no = self.terms.assign(term, condition, false)?;
            let holds = self.condition(condition)?;
            let (yes, no) = (self.float(&yes, dtype)?, self.float(&no, dtype)?);
            let name = self.define(sort, &format!("(ite {holds} {yes} {no})"));
            self.known.insert((term.clone(), sort), name.clone());
            return Ok(name);
        }
        let name = match term.as_atom() {
            Some(atom) => self.float_atom(atom, dtype)?,
            None => return Ok(self.unknown_term(term, sort)),
        };
        self.known.insert((term.clone(), sort), name.clone());
        Ok(name)
    }

    fn float_atom(&mut self, id: AtomId, dtype: DType) -> Outcome<String> {
        let sort = Sort::Float(dtype);
        let atom = self.terms.atom(id);
        match &*atom {
            Atom::Literal(bits, own) if *own == dtype => {
                Ok(literal(f64::from_bits(*bits), dtype, "RNE"))
            }
            Atom::Apply(Fun::Free(name, own), args) if *own == dtype => {
                if let Some(text) = self.float_function(name, dtype, args)? {
                    self.floats += 1;
                    return Ok(self.define(sort, &text));
                }
                let mut inner = Vec::new();
                for arg in args {
                    let of = self.dtype_of(arg);
                    inner.push(match of {
                        Some(of) => self.float(arg, of)?,
                        None => return Ok(self.unknown(id, sort)),
                    });
                }
                let result = self.unknown(id, sort);
                let call = ((*name, dtype), inner, result.clone());
                if !self.calls.contains(&call) {
                    if *name == "exp" {
                        // Never below +0.
                        self.facts.push(format!("(not (fp.isNegative {result}))"));
                    }
                    self.calls.push(call);
                }
                Ok(result)
            }
            _ => Ok(self.unknown(id, sort)),
        }
    }

    /// The formula of a function of floats; `None` where the theory has none.
    fn float_function(
        &mut self,
        name: &'static str,
        dtype: DType,
        args: &[Poly],
    ) -> Outcome<Option<String>> {
        if let Some(from) = name.strip_prefix("from_") {
            return self.converted(from, dtype, args);
        }
        let (e, s) = format_of(dtype);
        if name == "widen" || name == "narrow" {
            let Some(from) = self.dtype_of(&args[0]) else {
                return Ok(None);
            };
            let x = self.float(&args[0], from)?;
            return Ok(Some(format!("((_ to_fp {e} {s}) RNE {x})")));
        }
        let known = [
            "neg", "abs", "sign", "floor", "ceil", "round", "sqrt", "add", "mul", "div", "max",
            "min",
        ];
        if !known.contains(&name) {
            return Ok(None);
        }
        let mut x = Vec::new();
        for arg in args {
            x.push(self.float(arg, dtype)?);
        }
        let text = match (name, x.as_slice()) {
            ("neg", [x]) => format!("(fp.neg {x})"),
            ("abs", [x]) => format!("(fp.abs {x})"),
            // Zeros and NaN are their own signs.
            ("sign", [x]) => {
                let (one, less) = (literal(1.0, dtype, "RNE"), literal(-1.0, dtype, "RNE"));
                format!(
                    "(ite (or (fp.isNaN {x}) (fp.isZero {x})) {x} (ite (fp.isNegative {x}) {less} {one}))"
                )
            }
            ("floor", [x]) => format!("(fp.roundToIntegral RTN {x})"),
            ("ceil", [x]) => format!("(fp.roundToIntegral RTP {x})"),
            ("round", [x]) => format!("(fp.roundToIntegral RNE {x})"),
            ("sqrt", [x]) => format!("(fp.sqrt RNE {x})"),
            ("add", [a, b]) => format!("(fp.add RNE {a} {b})"),
            ("mul", [a, b]) => format!("(fp.mul RNE {a} {b})"),
            ("div", [a, b]) => format!("(fp.div RNE {a} {b})"),
            ("max" | "min", [first, rest @ ..]) => {
                let mut total = first.clone();
                for next in rest {
                    let text = extreme(name == "max", &total, next, dtype);
                    total = self.define(Sort::Float(dtype), &text);
                }
                total
            }
            _ => return Ok(None),
        };
        Ok(Some(text))
    }

    /// An integer or a truth value as a float, rounded once.
    fn converted(&mut self, from: &str, dtype: DType, args: &[Poly]) -> Outcome<Option<String>> {
        let (e, s) = format_of(dtype);
        if from == "bool" {
            let holds = self.truth(&args[0])?;
            let (one, zero) = (literal(1.0, dtype, "RNE"), literal(0.0, dtype, "RNE"));
            return Ok(Some(format!("(ite {holds} {one} {zero})")));
        }
        let Ring::Int(own) = args[0].ring else {
            return Ok(None);
        };
        if own.name() != from {
            return Ok(None);
        }
        let value = self.integer(&args[0])?;
        let to = if signed(own) {
            "to_fp"
        } else {
            "to_fp_unsigned"
        };
        Ok(Some(format!("((_ {to} {e} {s}) RNE {value})")))
    }

    /// The float dtype of a term: that of its atoms, where they agree.
    fn dtype_of(&self, term: &Poly) -> Option<DType> {
        let mut found = None;
        for atom in term.atoms().filter(|a| !self.terms.info(*a).boolean) {
            let dtype = self.terms.float_of(atom).filter(|d| d.is_float())?;
            if found.is_some_and(|other| other != dtype) {
                return None;
            }
            found = Some(dtype);
        }
        found
    }

    // ---- truth values ----

    fn truth(&mut self, term: &Poly) -> Outcome<String> {
        let key = (term.clone(), Sort::Truth);
        if let Some(name) = self.known.get(&key) {
            return Ok(name.clone());
        }
        if self.lines.len() > MOST_LINES {
            return Ok("none".into());
        }
        if term.is_zero() || term.is_one() {
            return Ok(if term.is_zero() { "false" } else { "true" }.into());
        }
        let Some(condition) = self.terms.condition(std::slice::from_ref(term)) else {
            return Ok(self.unknown_term(term, Sort::Truth));
        };
        let yes = self.terms.assign(term, condition, true)?;
        let no = self.terms.assign(term, condition, false)?;
        let holds = self.condition(condition)?;
        let (yes, no) = (self.truth(&yes)?, self.truth(&no)?);
        let name = self.define(Sort::Truth, &format!("(ite {holds} {yes} {no})"));
        self.known.insert(key, name.clone());
        Ok(name)
    }

    fn condition(&mut self, id: AtomId) -> Outcome<String> {
        if let Some(name) = self.atoms.get(&(id, Sort::Truth)) {
            return Ok(name.clone());
        }
        let atom = self.terms.atom(id);
        let text = match &*atom {
            Atom::Apply(Fun::Free(name, DType::Bool), args) => self.comparison(name, args)?,
            Atom::Equal(p) if p.ring != Ring::Real => {
                let value = self.integer(p)?;
                let zero = p
                    .ring
                    .bits()
                    .and_then(|bits| constant(Rational::ZERO, bits));
                zero.map(|zero| format!("(= {value} {zero})"))
            }
            Atom::IntAtLeast(a, b) => match a.ring {
                Ring::Int(dtype) => {
                    let compare = if signed(dtype) { "bvsge" } else { "bvuge" };
                    let (a, b) = (self.integer(a)?, self.integer(b)?);
                    Some(format!("({compare} {a} {b})"))
                }
                Ring::Real => None,
            },
            _ => None,
        };
        let Some(text) = text else {
            return Ok(self.unknown(id, Sort::Truth));
        };
        let name = self.define(Sort::Truth, &text);
        self.atoms.insert((id, Sort::Truth), name.clone());
        Ok(name)
    }

    fn comparison(&mut self, name: &str, args: &[Poly]) -> Outcome<Option<String>> {
        let Some(dtype) = args.first().and_then(|x| self.dtype_of(x)) else {
            return Ok(None);
        };
        if args.iter().any(|x| self.dtype_of(x) != Some(dtype)) {
            return Ok(None);
        }
        let mut x = Vec::new();
        for arg in args {
            x.push(self.float(arg, dtype)?);
        }
        let text = match (name, x.as_slice()) {
            ("eq", [a, b]) => format!("(fp.eq {a} {b})"),
            ("lt", [a, b]) => format!("(fp.lt {a} {b})"),
            ("le", [a, b]) => format!("(fp.leq {a} {b})"),
            ("is_nan", [x]) => format!("(fp.isNaN {x})"),
            ("is_finite", [x]) => format!("(not (or (fp.isNaN {x}) (fp.isInfinite {x})))"),
            _ => return Ok(None),
        };
        self.floats += 1;
        Ok(Some(text))
    }

    // ---- integers ----

    fn integer(&mut self, term: &Poly) -> Outcome<String> {
        let Ring::Int(dtype) = term.ring else {
            return Ok("none".into());
        };
        let bits = width(dtype);
        let key = (term.clone(), Sort::Bits(bits));
        if let Some(name) = self.known.get(&key) {
            return Ok(name.clone());
        }
        if self.lines.len() > MOST_LINES {
            return Ok("none".into());
        }
        if let Some(condition) = self.terms.condition(std::slice::from_ref(term)) {
            let yes = self.terms.assign(term, condition, true)?;
            let no = self.terms.assign(term, condition, false)?;
            let holds = self.condition(condition)?;
            let (yes, no) = (self.integer(&yes)?, self.integer(&no)?);
            let name = self.define(Sort::Bits(bits), &format!("(ite {holds} {yes} {no})"));
            self.known.insert(key, name.clone());
            return Ok(name);
        }
        let mut total = constant(Rational::ZERO, bits).unwrap_or_default();
        for (mono, value) in &term.terms {
            let mut factors = Vec::new();
            for (atom, power) in mono {
                if !(1..=8).contains(power) {
                    return Ok(self.unknown_term(term, Sort::Bits(bits)));
                }
                let factor = self.integer_atom(*atom, dtype)?;
                factors.extend((0..*power).map(|_| factor.clone()));
            }
            if constant(*value, bits).is_none() {
                return Ok(self.unknown_term(term, Sort::Bits(bits)));
            }
            total = format!("(bvadd {total} {})", scaled(*value, factors, bits));
        }
        let name = self.define(Sort::Bits(bits), &total);
        self.known.insert(key, name.clone());
        Ok(name)
    }

    fn integer_atom(&mut self, id: AtomId, dtype: DType) -> Outcome<String> {
        let bits = width(dtype);
        let atom = self.terms.atom(id);
        match &*atom {
            Atom::Apply(Fun::Integer(name, of), args) if *of == dtype => {
                let (a, b) = (self.integer(&args[0])?, self.integer(&args[1])?);
                if let Some(text) = operation(name, dtype, &a, &b) {
                    return Ok(self.define(Sort::Bits(bits), &text));
                }
            }
            Atom::Apply(Fun::Extend { from, to }, args) if *to == dtype => {
                let inner = self.integer(&args[0])?;
                let (narrow, wide) = (width(*from), width(*to));
                let text = match (wide > narrow, signed(*from)) {
                    (false, _) => format!("((_ extract {} 0) {inner})", wide - 1),
                    (true, true) => format!("((_ sign_extend {}) {inner})", wide - narrow),
                    (true, false) => format!("((_ zero_extend {}) {inner})", wide - narrow),
                };
                return Ok(self.define(Sort::Bits(bits), &text));
            }
            Atom::Apply(Fun::IntOfReal { from, to }, args) if *to == dtype => {
                if let Some(from) = self.dtype_of(&args[0]).filter(|own| own == from) {
                    let x = self.float(&args[0], from)?;
                    self.floats += 1;
                    let text = truncated(&x, from, dtype);
                    return Ok(self.define(Sort::Bits(bits), &text));
                }
            }
            _ => {}
        }
        Ok(self.unknown(id, Sort::Bits(bits)))
    }
}

#[cfg(test)]
#[path = "ieee_tests.rs"]
mod tests;
