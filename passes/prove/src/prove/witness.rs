//! From a model that the solver found to arguments: what it says of elements of parameters, the rest filled in.
//!
//! Nothing here is believed: the reference evaluator runs both sides on the arguments.

use std::collections::HashMap;

use aiai_ir::eval::Array;
use aiai_ir::{Rule, Sym};

use super::ieee::Asked;
use super::term::{Atom, AtomId, Source, Terms};
use crate::solver::Solver;
use crate::test::Counterexample;
use crate::test::given::convicted;

/// A value of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Number(f64),
    Bits(u64),
}

impl Found {
    fn float(self) -> f64 {
        match self {
            Found::Number(value) => value,
            Found::Bits(bits) => bits as f64,
        }
    }

    fn whole(self) -> i64 {
        match self {
            Found::Number(value) => value as i64,
            Found::Bits(bits) => bits as i64,
        }
    }
}

/// What elements that a model does not mention are, one try each.
const FILLS: [f64; 3] = [1.0, 0.0, 2.0];

/// The variables of a script that are called by the number of their atom: `a3`, `a3w32`.
pub fn numbered(script: &str) -> Asked {
    let mut names = std::collections::BTreeMap::new();
    for line in script.lines() {
        let Some(rest) = line.strip_prefix("(declare-const a") else {
            continue;
        };
        let name = rest.split_whitespace().next().unwrap_or_default();
        let number = name.split('w').next().unwrap_or_default();
        if let Ok(number) = number.parse() {
            names.insert(format!("a{name}"), AtomId(number));
        }
    }
    Asked {
        script: script.to_owned(),
        names,
    }
}

/// Arguments after the model of a question, or plain ones, on which the evaluator shows that the sides differ.
pub fn reproduced(
    rule: &Rule,
    terms: &Terms,
    sizes: &HashMap<Sym, i64>,
    asked: Option<&Asked>,
    solver: &mut dyn Solver,
) -> Option<Counterexample> {
    let mut values: Vec<(AtomId, Found)> = Vec::new();
    if let Some(asked) = asked {
        let names: Vec<&str> = asked.names.keys().map(String::as_str).collect();
        if names.is_empty() {
            return None;
        }
        let script = format!("{}(get-value ({}))\n", asked.script, names.join(" "));
        let text = solver.model(&script)?;
        for (name, value) in pairs(&text) {
            if let (Some(atom), Some(value)) = (asked.names.get(&name), number(&value)) {
                values.push((*atom, value));
            }
        }
    }
    FILLS.into_iter().find_map(|fill| {
        let inputs = arguments(rule, terms, sizes, &values, fill)?;
        convicted(rule, sizes, inputs)
    })
}

fn arguments(
    rule: &Rule,
    terms: &Terms,
    sizes: &HashMap<Sym, i64>,
    values: &[(AtomId, Found)],
    fill: f64,
) -> Option<Vec<Array>> {
    let mut inputs = Vec::new();
    for (at, ty) in rule.lhs.param_types().iter().enumerate() {
        let size = |dim: &aiai_ir::Dim| {
            let n = dim.eval(&|sym| sizes.get(&sym).copied())?;
            usize::try_from(n).ok()
        };
        let shape: Option<Vec<usize>> = ty.shape().iter().map(size).collect();
        let (shape, param) = (shape?, rule.params.get(at)?);
        let plain = match param.domain {
            Some((low, high)) => fill.max(low).min(high),
            None => fill,
        };
        let mut elements = vec![Found::Number(plain); super::unroll::count(&shape)];
        for (atom, value) in values {
            if let Atom::Read {
                source: Source::Param(of),
                index,
                ..
            } = &*terms.atom(*atom)
                && *of as usize == at
            {
                let index: Option<Vec<i64>> = index.iter().map(|d| d.as_const()).collect();
                let index: Vec<usize> = index?.iter().map(|i| *i as usize).collect();
                if param.constant {
                    elements.iter_mut().for_each(|e| *e = *value);
                } else if let Some(slot) = elements.get_mut(super::unroll::flat(&shape, &index)) {
                    *slot = *value;
                }
            }
        }
        let dtype = ty.dtype();
        inputs.push(if dtype.is_float() {
            Array::floats(dtype, shape, elements.iter().map(|v| v.float()))
        } else {
            Array::ints(dtype, shape, elements.iter().map(|v| v.whole()))
        });
    }
    Some(inputs)
}

/// The pairs of `((name value) (name value) ...)`.
fn pairs(text: &str) -> Vec<(String, Vec<String>)> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut found = Vec::new();
    let (mut depth, mut name, mut value) = (0, None, Vec::new());
    for token in spaced.split_whitespace() {
        match token {
            "(" => {
                depth += 1;
                if depth > 2 {
                    value.push("(".to_owned());
                }
            }
            ")" => {
                depth -= 1;
                if depth >= 2 {
                    value.push(")".to_owned());
                } else if let Some(name) = name.take() {
                    found.push((name, std::mem::take(&mut value)));
                }
            }
            token if depth == 2 && name.is_none() => name = Some(token.to_owned()),
            token => value.push(token.to_owned()),
        }
    }
    found
}

/// A value: a number, or the bits of an integer.
fn number(tokens: &[String]) -> Option<Found> {
    if let [only] = tokens
        && let Some(bits) = binary(only)
    {
        return Some(Found::Bits(u64::from_str_radix(&bits, 2).ok()?));
    }
    let mut rest = tokens;
    let value = expression(&mut rest)?;
    rest.is_empty().then_some(Found::Number(value))
}

fn expression(rest: &mut &[String]) -> Option<f64> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    if first != "(" {
        return atom(first);
    }
    let (op, tail) = rest.split_first()?;
    *rest = tail;
    let value = match op.as_str() {
        "-" => -expression(rest)?,
        "/" => {
            let above = expression(rest)?;
            above / expression(rest)?
        }
        "fp" => {
            let (parts, tail) = rest.split_at_checked(3)?;
            *rest = tail;
            float(
                &parts
                    .iter()
                    .map(|p| binary(p))
                    .collect::<Option<Vec<_>>>()?,
            )?
        }
        "_" => {
            let at = rest.iter().position(|t| t == ")")?;
            let (parts, tail) = rest.split_at(at);
            *rest = tail;
            match parts.first()?.as_str() {
                "+zero" => 0.0,
                "-zero" => -0.0,
                "+oo" => f64::INFINITY,
                "-oo" => f64::NEG_INFINITY,
                "NaN" => f64::NAN,
                _ => return None,
            }
        }
        _ => return None,
    };
    let (close, tail) = rest.split_first()?;
    *rest = tail;
    (close == ")").then_some(value)
}

fn atom(text: &str) -> Option<f64> {
    match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        text => text.parse().ok().filter(|v: &f64| v.is_finite()),
    }
}

/// The digits of `#b...` and `#x...`, in base 2.
fn binary(text: &str) -> Option<String> {
    if let Some(digits) = text.strip_prefix("#b") {
        return Some(digits.to_owned());
    }
    let digits = text.strip_prefix("#x")?;
    let four = |c: char| Some(format!("{:04b}", c.to_digit(16)?));
    digits.chars().map(four).collect()
}

/// Sign, exponent and significand of a finite number of any format.
fn float(parts: &[String]) -> Option<f64> {
    let [sign, exponent, significand] = parts else {
        return None;
    };
    let bits = |text: &str| u64::from_str_radix(text, 2).ok();
    let bias = (1i32 << exponent.len().checked_sub(1)?.min(20)) - 1;
    let digits = significand.len() as i32;
    let (e, m) = (bits(exponent)? as i32, bits(significand)? as f64);
    // Two steps: the least f64 is beyond the powers that one step reaches.
    let magnitude = if e == 0 {
        m * 2f64.powi(1 - bias) * 2f64.powi(-digits)
    } else {
        (1.0 + m * 2f64.powi(-digits)) * 2f64.powi(e - bias)
    };
    Some(if sign == "1" { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_models_are_read() {
        let text = "((a1 2.0)\n (a2 (- (/ 1.0 4.0)))\n (a3w8 #xff)\n (v1 (fp #b1 #x80 #b10000000000000000000000))\n \
                    (v2 (_ -zero 8 24))\n (v3 (root-obj (+ (^ x 2) (- 2)) 1))\n (v4 (fp #b0 #b00000 #b0000000001)))";
        let found: Vec<Option<Found>> = pairs(text).iter().map(|(_, v)| number(v)).collect();
        let least = 2f64.powi(-24);
        assert_eq!(
            found,
            [
                Some(Found::Number(2.0)),
                Some(Found::Number(-0.25)),
                Some(Found::Bits(255)),
                Some(Found::Number(-3.0)),
                Some(Found::Number(-0.0)),
                None,
                Some(Found::Number(least))
            ]
        );
        assert!(found[4].is_some_and(|v| v.float().is_sign_negative()));
    }

    #[test]
    fn nonsense_is_no_value() {
        for text in [
            "",
            "((a1",
            "(error \"line 3\")",
            "((a1 (fp #b0)))",
            "((a1 inf))",
            "))) (((",
        ] {
            assert!(
                pairs(text).iter().all(|(_, v)| number(v).is_none()),
                "{text}"
            );
        }
    }
}
