//! Questions to the solver: real arithmetic over atoms of which a few facts are stated.
//!
//! What is not stated is left open, so that "unsatisfiable" holds for the terms whatever the atoms are.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::rational::Rational;
use super::term::{Atom, AtomId, Fun, Mono, Poly, Ring, Terms};

/// Atoms of one question, at most.
const MOST_ATOMS: usize = 60;

pub struct Question<'t> {
    terms: &'t Terms,
    assertions: Vec<String>,
    declared: BTreeSet<AtomId>,
    facts: Vec<String>,
    too_large: bool,
}

impl<'t> Question<'t> {
    pub fn new(terms: &'t Terms) -> Question<'t> {
        Question {
            terms,
            assertions: Vec::new(),
            declared: BTreeSet::new(),
            facts: Vec::new(),
            too_large: false,
        }
    }

    pub fn assume(&mut self, atom: AtomId, holds: bool) {
        let condition = self.condition(atom);
        self.assertions.push(if holds {
            condition
        } else {
            format!("(not {condition})")
        });
    }

    /// A polynomial of conditions is 1.
    pub fn holds(&mut self, condition: &Poly) {
        let value = self.poly(condition);
        self.assertions.push(format!("(= {value} 1.0)"));
    }

    /// The script that asks for values with `poly` other than 0; `None` where it would be too large.
    pub fn differs_from_zero(mut self, poly: &Poly) -> Option<String> {
        let value = self.poly(poly);
        self.assertions.push(format!("(not (= {value} 0.0))"));
        self.script()
    }

    pub fn fails(mut self, condition: &Poly) -> Option<String> {
        let value = self.poly(condition);
        self.assertions.push(format!("(not (= {value} 1.0))"));
        self.script()
    }

    fn script(self) -> Option<String> {
        if self.too_large || self.declared.len() > MOST_ATOMS {
            return None;
        }
        let mut text = String::from("(set-logic QF_NRA)\n");
        for atom in &self.declared {
            let _ = writeln!(text, "(declare-const {} Real)", name(*atom));
        }
        for assertion in self.facts.iter().chain(&self.assertions) {
            let _ = writeln!(text, "(assert {assertion})");
        }
        text.push_str("(check-sat)\n");
        Some(text)
    }

    fn poly(&mut self, poly: &Poly) -> String {
        if poly.ring != Ring::Real {
            self.too_large = true;
        }
        let parts: Vec<String> = poly
            .terms
            .iter()
            .map(|(mono, value)| self.monomial(mono, *value))
            .collect();
        match parts.as_slice() {
            [] => "0.0".into(),
            [one] => one.clone(),
            many => format!("(+ {})", many.join(" ")),
        }
    }

    fn monomial(&mut self, mono: &Mono, value: Rational) -> String {
        let mut factors = vec![number(value)];
        for (atom, power) in mono {
            let factor = self.atom(*atom);
            for _ in 0..power.unsigned_abs() {
                factors.push(if *power > 0 {
                    factor.clone()
                } else {
                    format!("(/ 1.0 {factor})")
                });
            }
            if power.unsigned_abs() > 6 {
                self.too_large = true;
            }
        }
        match factors.as_slice() {
            [one] => one.clone(),
            many => format!("(* {})", many.join(" ")),
        }
    }

    fn atom(&mut self, id: AtomId) -> String {
        if self.terms.info(id).boolean {
            let condition = self.condition(id);
            return format!("(ite {condition} 1.0 0.0)");
        }
        self.declare(id);
        name(id)
    }

    fn condition(&mut self, id: AtomId) -> String {
        match &*self.terms.atom(id) {
            Atom::AtLeast(p) => format!("(>= {} 0.0)", self.poly(p)),
            Atom::Equal(p) if p.ring == Ring::Real => format!("(= {} 0.0)", self.poly(p)),
            _ => {
                if self.declared.insert(id) {
                    let name = name(id);
                    self.facts
                        .push(format!("(or (= {name} 0.0) (= {name} 1.0))"));
                }
                format!("(= {} 1.0)", name(id))
            }
        }
    }

    fn declare(&mut self, id: AtomId) {
        if !self.declared.insert(id) || self.declared.len() > MOST_ATOMS {
            return;
        }
        let own = name(id);
        let sign = self.terms.sign_of_atom(id);
        if sign.at_least_zero {
            self.facts.push(format!("(>= {own} 0.0)"));
        }
        if sign.at_most_zero {
            self.facts.push(format!("(<= {own} 0.0)"));
        }
        if sign.not_zero {
            self.facts.push(format!("(not (= {own} 0.0))"));
        }
        match &*self.terms.atom(id) {
            Atom::Inverse(p) => {
                let p = self.poly(p);
                self.facts.push(format!(
                    "(ite (= {p} 0.0) (= {own} 0.0) (= (* {own} {p}) 1.0))"
                ));
            }
            Atom::Apply(Fun::Sqrt, args) => {
                let p = self.poly(&args[0]);
                self.facts.push(format!(
                    "(=> (>= {p} 0.0) (and (>= {own} 0.0) (= (* {own} {own}) {p})))"
                ));
            }
            Atom::Apply(Fun::Tanh | Fun::Erf | Fun::Sin | Fun::Cos, _) => {
                self.facts
                    .push(format!("(and (<= (- 1.0) {own}) (<= {own} 1.0))"));
            }
            Atom::Apply(Fun::Floor, args) => {
                let p = self.poly(&args[0]);
                self.facts
                    .push(format!("(and (<= {own} {p}) (< {p} (+ {own} 1.0)))"));
            }
            Atom::Read {
                source: super::term::Source::Param(param),
                ..
            } => {
                if let Some((low, high)) = self.terms.domains.get(param) {
                    if let Some(low) = Rational::of_float(*low) {
                        self.facts.push(format!("(>= {own} {})", number(low)));
                    }
                    if let Some(high) = Rational::of_float(*high) {
                        self.facts.push(format!("(<= {own} {})", number(high)));
                    }
                }
            }
            _ => {}
        }
    }
}

fn name(id: AtomId) -> String {
    format!("a{}", id.0)
}

fn number(value: Rational) -> String {
    let magnitude = value.abs();
    let text = if magnitude.denominator() == 1 {
        format!("{}.0", magnitude.numerator())
    } else {
        format!(
            "(/ {}.0 {}.0)",
            magnitude.numerator(),
            magnitude.denominator()
        )
    };
    if value.is_negative() {
        format!("(- {text})")
    } else {
        text
    }
}
