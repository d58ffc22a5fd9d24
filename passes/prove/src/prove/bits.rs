//! Questions to the solver about integers modulo 2^n: bit vectors of the dtype's width, as the op table has them.

use std::collections::BTreeSet;
use std::fmt::Write;

use aiai_ir::DType;

use super::rational::Rational;
use super::term::{Atom, AtomId, Fun, Poly, Ring, Terms};

/// Atoms of one question, at most.
const MOST_ATOMS: usize = 24;

/// Conditions of one term that become choices, at most.
const MOST_CHOICES: usize = 4;

pub struct Bits<'t> {
    terms: &'t Terms,
    declared: BTreeSet<(AtomId, Option<u32>)>,
    declarations: Vec<String>,
    facts: Vec<String>,
    refused: bool,
}

pub fn signed(dtype: DType) -> bool {
    dtype.is_signed()
}

impl<'t> Bits<'t> {
    pub fn new(terms: &'t Terms) -> Bits<'t> {
        Bits {
            terms,
            declared: BTreeSet::new(),
            declarations: Vec::new(),
            facts: Vec::new(),
            refused: false,
        }
    }

    /// The script that asks for values where the polynomial is not 0; `None` where it cannot be asked.
    pub fn differs_from_zero(mut self, poly: &Poly, assumed: &[(AtomId, bool)]) -> Option<String> {
        for (atom, holds) in assumed {
            let condition = self.condition(*atom);
            self.facts.push(if *holds {
                condition
            } else {
                format!("(not {condition})")
            });
        }
        let differs = match poly.ring {
            Ring::Int(dtype) => {
                let value = self.integer(poly);
                format!(
                    "(not (= {value} {}))",
                    constant(Rational::ZERO, width(dtype))?
                )
            }
            Ring::Real => {
                let value = self.truth(poly);
                format!("(not (= {value} 0))")
            }
        };
        if self.refused || self.declared.len() > MOST_ATOMS {
            return None;
        }
        let mut text = String::from("(set-logic ALL)\n");
        for line in &self.declarations {
            let _ = writeln!(text, "{line}");
        }
        for fact in &self.facts {
            let _ = writeln!(text, "(assert {fact})");
        }
        let _ = writeln!(text, "(assert {differs})\n(check-sat)");
        Some(text)
    }

    /// A polynomial of conditions, with whole coefficients, as an integer.
    fn truth(&mut self, poly: &Poly) -> String {
        let mut parts = vec!["0".to_owned()];
        for (mono, value) in &poly.terms {
            let Some(value) = value.as_whole() else {
                self.refused = true;
                continue;
            };
            let number = if value < 0 {
                format!("(- {})", -value)
            } else {
                value.to_string()
            };
            let mut conditions = vec!["true".to_owned()];
            for (atom, _) in mono {
                if !self.terms.info(*atom).boolean {
                    self.refused = true;
                    return "0".into();
                }
                conditions.push(self.condition(*atom));
            }
            parts.push(format!("(ite (and {}) {number} 0)", conditions.join(" ")));
        }
        format!("(+ 0 {})", parts.join(" "))
    }

    fn integer(&mut self, poly: &Poly) -> String {
        let Ring::Int(dtype) = poly.ring else {
            self.refused = true;
            return "#b0".into();
        };
        let bits = width(dtype);
        let mut conditions: Vec<AtomId> = poly.atoms().collect();
        conditions.retain(|id| self.terms.info(*id).boolean);
        conditions.sort();
        conditions.dedup();
        if (1..=MOST_CHOICES).contains(&conditions.len()) {
            // As a choice by the first condition: smaller circuits than a sum of what each condition adds.
            let cases = [true, false].map(|holds| self.terms.assign(poly, conditions[0], holds));
            if let [Ok(yes), Ok(no)] = cases {
                let holds = self.condition(conditions[0]);
                let (yes, no) = (self.integer(&yes), self.integer(&no));
                return format!("(ite {holds} {yes} {no})");
            }
        }
        let mut total = constant(Rational::ZERO, bits).unwrap_or_default();
        for (mono, value) in &poly.terms {
            let (mut factors, mut conditions) = (Vec::new(), Vec::new());
            for (atom, power) in mono {
                self.refused |= *power < 1 || *power > 8;
                if self.terms.info(*atom).boolean {
                    conditions.push(self.condition(*atom));
                    continue;
                }
                let factor = self.atom(*atom, dtype);
                factors.extend((0..power.unsigned_abs().min(8)).map(|_| factor.clone()));
            }
            let mut product = scaled(*value, factors, bits);
            // A product with conditions is a choice: nothing is multiplied for them.
            if !conditions.is_empty() {
                let zero = constant(Rational::ZERO, bits).unwrap_or_default();
                product = format!("(ite (and {}) {product} {zero})", conditions.join(" "));
            }
            total = format!("(bvadd {total} {product})");
        }
        total
    }

    fn atom(&mut self, id: AtomId, dtype: DType) -> String {
        let bits = width(dtype);
        if self.terms.info(id).boolean {
            let condition = self.condition(id);
            let one = constant(Rational::ONE, bits).unwrap_or_default();
            let zero = constant(Rational::ZERO, bits).unwrap_or_default();
            return format!("(ite {condition} {one} {zero})");
        }
        match &*self.terms.atom(id) {
            Atom::Apply(Fun::Integer(name, of), args) if *of == dtype => {
                let power = args[1].as_constant().and_then(|c| c.as_whole());
                let power =
                    power.filter(|c| *c > 0 && c & (c - 1) == 0 && *c < 1i128 << (bits - 1));
                let (a, b) = (self.integer(&args[0]), self.integer(&args[1]));
                if *name == "div"
                    && let Some(power) = power
                {
                    // Rounding down, a shift for both signs: far less for the solver than a division.
                    let shift = if signed(dtype) { "bvashr" } else { "bvlshr" };
                    return format!("({shift} {a} (_ bv{} {bits}))", power.trailing_zeros());
                }
                match operation(name, dtype, &a, &b) {
                    Some(text) => text,
                    None => self.unknown(id, bits),
                }
            }
            Atom::Apply(Fun::Extend { from, to }, args) if *to == dtype => {
                let inner = self.integer(&args[0]);
                let (narrow, wide) = (width(*from), width(*to));
                if wide <= narrow {
                    format!("((_ extract {} 0) {inner})", wide - 1)
                } else if signed(*from) {
                    format!("((_ sign_extend {}) {inner})", wide - narrow)
                } else {
                    format!("((_ zero_extend {}) {inner})", wide - narrow)
                }
            }
            _ => self.unknown(id, bits),
        }
    }

    /// An atom of which nothing is said but the domain of a parameter.
    fn unknown(&mut self, id: AtomId, bits: u32) -> String {
        let name = format!("a{}w{bits}", id.0);
        if self.declared.insert((id, Some(bits))) {
            self.declarations
                .push(format!("(declare-const {name} (_ BitVec {bits}))"));
            self.domain(id, bits, &name);
        }
        name
    }

    fn domain(&mut self, id: AtomId, bits: u32, name: &str) {
        let Atom::Read {
            source: super::term::Source::Param(param),
            dtype,
            ..
        } = &*self.terms.atom(id)
        else {
            return;
        };
        let Some((low, high)) = self.terms.domains.get(param) else {
            return;
        };
        if width(*dtype) != bits {
            return;
        }
        let below = if signed(*dtype) { "bvsle" } else { "bvule" };
        // An integer below a bound that is out of range says nothing.
        let fits = |v: f64| {
            let most = 2f64.powi(bits as i32 - i32::from(signed(*dtype)));
            let least = if signed(*dtype) { -most } else { 0.0 };
            v.is_finite() && v < most && v >= least && v.abs() < 2f64.powi(53)
        };
        if fits(low.ceil())
            && let Ok(low) = Rational::new(low.ceil() as i128, 1)
            && let Some(low) = constant(low, bits)
        {
            self.facts.push(format!("({below} {low} {name})"));
        }
        if fits(high.floor())
            && let Ok(high) = Rational::new(high.floor() as i128, 1)
            && let Some(high) = constant(high, bits)
        {
            self.facts.push(format!("({below} {name} {high})"));
        }
    }

    fn condition(&mut self, id: AtomId) -> String {
        match &*self.terms.atom(id) {
            Atom::Equal(p) if p.ring != Ring::Real => {
                let Ring::Int(dtype) = p.ring else {
                    return "false".into();
                };
                let value = self.integer(p);
                let zero = constant(Rational::ZERO, width(dtype)).unwrap_or_default();
                format!("(= {value} {zero})")
            }
            Atom::IntAtLeast(a, b) => {
                let Ring::Int(dtype) = a.ring else {
                    self.refused = true;
                    return "false".into();
                };
                let (a, b) = (self.integer(a), self.integer(b));
                let compare = if signed(dtype) { "bvsge" } else { "bvuge" };
                format!("({compare} {a} {b})")
            }
            _ => {
                if self.declared.insert((id, None)) {
                    self.declarations
                        .push(format!("(declare-const b{} Bool)", id.0));
                }
                format!("b{}", id.0)
            }
        }
    }
}

pub fn width(dtype: DType) -> u32 {
    dtype.bytes() as u32 * 8
}

/// A product of factors with its coefficient; a multiplication by 1 or -1 would be a circuit for nothing.
pub fn scaled(value: Rational, factors: Vec<String>, bits: u32) -> String {
    let one = value.abs() == Rational::ONE && !factors.is_empty();
    let start = match one {
        true => None,
        false => Some(constant(value, bits).unwrap_or_default()),
    };
    let product = factors.into_iter().fold(start, |product, factor| {
        Some(match product {
            None => factor,
            Some(product) => format!("(bvmul {product} {factor})"),
        })
    });
    let product = product.unwrap_or_default();
    if one && value.is_negative() {
        format!("(bvneg {product})")
    } else {
        product
    }
}

/// A whole number modulo 2^bits.
pub fn constant(value: Rational, bits: u32) -> Option<String> {
    let value = value.as_whole()?.rem_euclid(1i128 << bits);
    Some(format!("(_ bv{value} {bits})"))
}

/// The op on bit vectors, with the corners as the op table settles them.
pub fn operation(name: &str, dtype: DType, a: &str, b: &str) -> Option<String> {
    let bits = width(dtype);
    let zero = constant(Rational::ZERO, bits)?;
    let size = constant(Rational::whole(i64::from(bits)), bits)?;
    // Shift amounts compare as unsigned: negative ones are then past the width.
    let past = format!("(bvuge {b} {size})");
    let text = match name {
        "and" => format!("(bvand {a} {b})"),
        "or" => format!("(bvor {a} {b})"),
        "xor" => format!("(bvxor {a} {b})"),
        "shl" => format!("(ite {past} {zero} (bvshl {a} {b}))"),
        "shr" if signed(dtype) => {
            let sign = format!("(bvashr {a} (_ bv{} {bits}))", bits - 1);
            format!("(ite {past} {sign} (bvashr {a} {b}))")
        }
        "shr" => format!("(ite {past} {zero} (bvlshr {a} {b}))"),
        "div" if signed(dtype) => {
            // Towards minus infinity: one less where the rest is not 0 and the signs differ.
            let quotient = format!("(bvsdiv {a} {b})");
            let rest = format!("(bvsrem {a} {b})");
            let one = constant(Rational::ONE, bits)?;
            let down = format!(
                "(and (not (= {rest} {zero})) (xor (bvslt {a} {zero}) (bvslt {b} {zero})))"
            );
            format!("(ite (= {b} {zero}) {zero} (ite {down} (bvsub {quotient} {one}) {quotient}))")
        }
        "div" => format!("(ite (= {b} {zero}) {zero} (bvudiv {a} {b}))"),
        "rem" if signed(dtype) => format!("(ite (= {b} {zero}) {zero} (bvsmod {a} {b}))"),
        "rem" => format!("(ite (= {b} {zero}) {zero} (bvurem {a} {b}))"),
        _ => return None,
    };
    Some(text)
}
