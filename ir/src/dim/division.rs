//! Floor division of dimension polynomials.
//!
//! A divisor is taken to be non-zero: the front end and the run-time checks see to that.

use super::{Atom, Dim, Monomial};

/// `floor(a / b)` over integers; `None` for a zero divisor or overflow.
pub fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let exact = quotient.checked_mul(b)? == a;
    Some(if !exact && ((a < 0) != (b < 0)) {
        quotient - 1
    } else {
        quotient
    })
}

/// Splits off what the divisor divides evenly; the rest stays as one division atom.
pub fn divide(dividend: Dim, divisor: Dim) -> Dim {
    if dividend.is_overflow() || divisor.is_overflow() {
        return Dim::overflow();
    }
    if let (Some(a), Some(b)) = (dividend.as_const(), divisor.as_const()) {
        return floor_div(a, b).map_or_else(Dim::overflow, Dim::from);
    }
    let [(by, scale)] = divisor.terms() else {
        return multiple(dividend, divisor).unwrap_or_else(|| atom(dividend, divisor));
    };
    let mut even = Vec::new();
    let mut rest = Vec::new();
    for (monomial, coefficient) in dividend.terms() {
        match divide_monomial(monomial, by) {
            // Whole multiples come out: floor((3 A + 1) / 2) is A + floor((A + 1) / 2).
            Some(quotient) if coefficient.checked_div(*scale).is_some() => {
                even.push((quotient, coefficient / scale));
                rest.push((monomial.clone(), coefficient % scale));
            }
            _ => rest.push((monomial.clone(), *coefficient)),
        }
    }
    let rest = Dim::from_terms(rest);
    Dim::from_terms(even) + divide_rest(rest, divisor)
}

fn divide_rest(rest: Dim, divisor: Dim) -> Dim {
    match (rest.as_const(), divisor.as_const()) {
        (Some(0), _) => Dim::from(0),
        (Some(a), Some(b)) => floor_div(a, b).map_or_else(Dim::overflow, Dim::from),
        (None, Some(b)) if b > 0 => {
            // Bring the constant into 0..b so that equal divisions look equal.
            let constant = rest
                .terms()
                .iter()
                .find(|t| t.0.is_empty())
                .map_or(0, |t| t.1);
            if let Some(reduced) = reduce(rest, constant, b) {
                return reduced;
            }
            if let Some(merged) = divide_quotient(rest, constant, b) {
                return merged;
            }
            let carry = floor_div(constant, b).unwrap_or(0);
            atom(rest - Dim::from(carry) * Dim::from(b), divisor) + Dim::from(carry)
        }
        _ => atom(rest, divisor),
    }
}

/// Without the factor that the divisor has in common with all sizes: floor((2 A + 5) / 6) is floor((A + 2) / 3).
fn reduce(rest: Dim, constant: i64, by: i64) -> Option<Dim> {
    let sizes = rest.terms().iter().filter(|term| !term.0.is_empty());
    let factor = sizes.clone().try_fold(by, |factor, term| {
        Some(gcd(factor, term.1.checked_abs()?)).filter(|factor| *factor > 1)
    })?;
    let sizes = sizes.map(|(monomial, n)| (monomial.clone(), n / factor));
    let shift = floor_div(constant, factor)?;
    let dividend = Dim::from_terms(sizes.collect()) + Dim::from(shift);
    Some(divide(dividend, Dim::from(by / factor)))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Floors of quotients compose: floor((floor(a / m) + c) / b) is floor((a + c m) / (m b)) for positive m and b.
fn divide_quotient(rest: Dim, constant: i64, by: i64) -> Option<Dim> {
    let mut terms = rest.terms().iter().filter(|term| !term.0.is_empty());
    let (Some((monomial, 1)), None) = (terms.next(), terms.next()) else {
        return None;
    };
    let [(Atom::Div(dividend, inner), 1)] = monomial.as_slice() else {
        return None;
    };
    let inner = inner.as_const().filter(|inner| *inner > 0)?;
    let divisor = inner.checked_mul(by)?;
    let shift = constant.checked_mul(inner)?;
    Some(divide(*dividend + Dim::from(shift), Dim::from(divisor)))
}

/// What a divisor of several terms is multiplied with, where that is one term or nothing.
fn multiple(dividend: Dim, divisor: Dim) -> Option<Dim> {
    let Some((first, n)) = dividend.terms().first() else {
        return Some(dividend);
    };
    divisor.terms().iter().find_map(|(term, scale)| {
        let quotient = divide_monomial(first, term)?;
        let factor = Dim::from_terms(vec![(quotient, n.checked_div(*scale)?)]);
        (factor * divisor == dividend).then_some(factor)
    })
}

fn atom(dividend: Dim, divisor: Dim) -> Dim {
    Dim::from_atom(Atom::Div(dividend, divisor))
}

fn divide_monomial(monomial: &Monomial, by: &Monomial) -> Option<Monomial> {
    let mut quotient = monomial.clone();
    for (atom, power) in by {
        let at = quotient.iter().position(|factor| factor.0 == *atom)?;
        quotient[at].1 = quotient[at].1.checked_sub(*power)?;
        if quotient[at].1 == 0 {
            quotient.remove(at);
        }
    }
    Some(quotient)
}
