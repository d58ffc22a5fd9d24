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
use super::bits::{constant, operation, signed, width};
use super::rational::Rational;
use super::term::{Atom, AtomId, Fun, Poly, Ring, Source, Terms};

/// Definitions of one question, at most.
const MOST_LINES: usize = 160;
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

/// Bits of the exponent, and of the significand with its hidden one.
fn format_of(dtype: DType) -> (u32, u32) {
    match dtype {
        DType::F16 => (5, 11),
        DType::BF16 => (8, 8),
        DType::F64 => (11, 53),
        _ => (8, 24),
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
}

/// The script that asks for values at which the two have other bits; `None` where there is nothing to ask.
pub fn differs(terms: &Terms, left: &Poly, right: &Poly, dtype: DType) -> Outcome<Option<Asked>> {
    let mut ieee = Ieee::new(terms);
    let (a, b) = (ieee.value(left, dtype)?, ieee.value(right, dtype)?);
    // NaN is equal to NaN and the zeros are different: `=` is not `fp.eq`.
    let differs = format!("(assert (not (= {a} {b})))");
    Ok((ieee.floats > 0).then(|| ieee.script(&differs)).flatten())
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

    pub fn script(mut self, question: &str) -> Option<Asked> {
        if self.lines.len() > MOST_LINES {
            return None;
        }
        self.agreements();
        let mut text = String::from("(set-logic QF_BVFP)\n");
        for line in self.lines.iter() {
            let _ = writeln!(text, "{line}");
        }
        for fact in &self.facts {
            let _ = writeln!(text, "(assert {fact})");
        }
        let _ = writeln!(text, "{question}\n(check-sat)");
        Some(Asked {
            script: text,
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
        if let Atom::Read {
            source: Source::Param(param),
            dtype,
            ..
        } = &*self.terms.atom(id)
            && Sort::of(*dtype) == sort
        {
            self.names.insert(name.clone(), id);
            if let (Some((low, high)), Sort::Float(dtype)) =
                (self.terms.domains.get(param), sort)
            {
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
            return self.from_integer(from, dtype, args);
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
    fn from_integer(
        &mut self,
        from: &str,
        dtype: DType,
        args: &[Poly],
    ) -> Outcome<Option<String>> {
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
        let to = if signed(own) { "to_fp" } else { "to_fp_unsigned" };
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
                let zero = p.ring.bits().and_then(|bits| constant(Rational::ZERO, bits));
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
        let mut total = constant(Rational::ZERO, bits).unwrap_or_default();
        for (mono, value) in &term.terms {
            let Some(mut product) = constant(*value, bits) else {
                return Ok(self.unknown_term(term, Sort::Bits(bits)));
            };
            for (atom, power) in mono {
                if !(1..=8).contains(power) {
                    return Ok(self.unknown_term(term, Sort::Bits(bits)));
                }
                let factor = self.integer_atom(*atom, dtype)?;
                for _ in 0..*power {
                    product = format!("(bvmul {product} {factor})");
                }
            }
            total = format!("(bvadd {total} {product})");
        }
        let name = self.define(Sort::Bits(bits), &total);
        self.known.insert(key, name.clone());
        Ok(name)
    }

    fn integer_atom(&mut self, id: AtomId, dtype: DType) -> Outcome<String> {
        let bits = width(dtype);
        if self.terms.info(id).boolean {
            let holds = self.condition(id)?;
            let one = constant(Rational::ONE, bits).unwrap_or_default();
            let zero = constant(Rational::ZERO, bits).unwrap_or_default();
            return Ok(format!("(ite {holds} {one} {zero})"));
        }
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

/// NaN wins, and +0 is above -0.
fn extreme(max: bool, a: &str, b: &str, dtype: DType) -> String {
    let (e, s) = format_of(dtype);
    let (beyond, zero) = if max { ("fp.gt", b) } else { ("fp.lt", a) };
    format!(
        "(ite (or (fp.isNaN {a}) (fp.isNaN {b})) (_ NaN {e} {s}) \
         (ite (or ({beyond} {a} {b}) (and (fp.eq {a} {b}) (fp.isNegative {zero}))) {a} {b}))"
    )
}

/// A float as an integer: towards zero, saturating, NaN as 0.
fn truncated(x: &str, from: DType, to: DType) -> String {
    let bits = width(to);
    let (most, least, convert) = if signed(to) {
        let most = format!("(_ bv{} {bits})", (1u128 << (bits - 1)) - 1);
        let least = format!("(_ bv{} {bits})", 1u128 << (bits - 1));
        (most, least, "fp.to_sbv")
    } else {
        let most = format!("(_ bv{} {bits})", (1u128 << bits) - 1);
        (most, format!("(_ bv0 {bits})"), "fp.to_ubv")
    };
    // The first number above the greatest is a power of two: a float, or beyond all of them.
    let power = bits - u32::from(signed(to));
    let above = literal(2f64.powi(power as i32), from, "RNE");
    let below = if signed(to) {
        literal(-(2f64.powi(power as i32)), from, "RNE")
    } else {
        literal(0.0, from, "RNE")
    };
    format!(
        "(ite (fp.isNaN {x}) (_ bv0 {bits}) (ite (fp.geq {x} {above}) {most} \
         (ite (fp.leq {x} {below}) {least} ((_ {convert} {bits}) RTZ {x}))))"
    )
}

/// A number in a format; one that is not of it, rounded as said.
fn literal(value: f64, dtype: DType, rounding: &str) -> String {
    let (e, s) = format_of(dtype);
    if value.is_nan() {
        return format!("(_ NaN {e} {s})");
    }
    let bits = value.to_bits();
    let exact = format!(
        "(fp #b{:b} #b{:011b} #b{:052b})",
        bits >> 63,
        (bits >> 52) & 0x7ff,
        bits & ((1 << 52) - 1)
    );
    if dtype == DType::F64 {
        return exact;
    }
    format!("((_ to_fp {e} {s}) {rounding} {exact})")
}

#[cfg(test)]
#[path = "ieee_tests.rs"]
mod tests;
