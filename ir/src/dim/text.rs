//! Printing of dimensions: `2*B*L + H/2 - 1`, non-constant terms first. The parser is `text::dims`.

use std::fmt;

use super::{Atom, Dim, Monomial};

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_overflow() {
            return f.write_str("overflow");
        }
        let (constant, others): (Vec<_>, Vec<_>) =
            self.terms().iter().partition(|term| term.0.is_empty());
        if self.terms().is_empty() {
            return f.write_str("0");
        }
        for (place, (monomial, coefficient)) in others.into_iter().chain(constant).enumerate() {
            let magnitude = coefficient.unsigned_abs();
            match (place, *coefficient < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            write_term(f, monomial, magnitude)?;
        }
        Ok(())
    }
}

fn write_term(f: &mut fmt::Formatter<'_>, monomial: &Monomial, magnitude: u64) -> fmt::Result {
    let mut separator = "";
    if magnitude != 1 || monomial.is_empty() {
        write!(f, "{magnitude}")?;
        separator = "*";
    }
    for (atom, power) in monomial {
        for _ in 0..*power {
            f.write_str(separator)?;
            separator = "*";
            match atom {
                Atom::Sym(sym) => write!(f, "{sym}")?,
                Atom::Div(a, b) => {
                    f.write_str("(")?;
                    write_operand(f, *a)?;
                    f.write_str("/")?;
                    write_operand(f, *b)?;
                    f.write_str(")")?;
                }
            }
        }
    }
    Ok(())
}

fn write_operand(f: &mut fmt::Formatter<'_>, dim: Dim) -> fmt::Result {
    match (dim.as_sym(), dim.as_const()) {
        (Some(_), _) => write!(f, "{dim}"),
        (_, Some(value)) if value >= 0 => write!(f, "{dim}"),
        _ => write!(f, "({dim})"),
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
