//! What a compiler publishes beside the code of a function: parameters, results, sizes, places that may fail.
//!
//! It is plain data without the IR, and is stored: in compiled libraries and in the compile cache.

use serde::{Deserialize, Serialize};

use crate::DType;

mod bind;
mod executable;

pub use bind::Bound;
pub use executable::{Executable, Prepared, ProfileRow, RunError};

/// A function as its callers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    /// Named dimensions; sizes mention them by position.
    pub symbols: Vec<String>,
    pub params: Vec<Slot>,
    pub results: Vec<Slot>,
    /// Weights in the order in which the code reads them: made by the preparing entry from the parameters, and
    /// passed behind them.
    #[serde(default)]
    pub packed: Vec<Slot>,
    /// Checked at every call, in order.
    pub requires: Vec<Requirement>,
    /// The table of sizes that the code reads, in order.
    pub dims: Vec<Size>,
    /// Places that may fail or are timed; statuses and profiles name them by position.
    pub sites: Vec<Site>,
}

/// A program with what must hold where its code runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Features of the processor that the code needs; see [`crate::cpu`].
    pub features: Vec<String>,
    /// Parameters that are not passed but read from a file, by name.
    pub weights: Vec<String>,
    pub program: Program,
}

/// A parameter or result: a dense tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Size>,
}

/// An integer expression over the named dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// The expression as people read it.
    pub text: String,
    /// A sum of terms; `None` where the expression has left the range of `i64`.
    pub terms: Option<Vec<Term>>,
}

/// A coefficient times powers of factors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    pub coefficient: i64,
    pub factors: Vec<(Factor, u32)>,
}

/// What a term multiplies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Factor {
    /// A named dimension, by its position in [`Program::symbols`].
    Symbol(usize),
    /// The quotient, rounded down.
    Quotient(Box<(Size, Size)>),
}

/// How a size must compare with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    Zero,
    NonZero,
    NonNegative,
}

/// A condition on sizes that a call must satisfy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requirement {
    pub size: Size,
    pub relation: Relation,
    /// Said to the caller where it fails.
    pub message: String,
    pub place: Option<Place>,
}

/// A place that may fail or be timed: a message or the name of a step, and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    pub what: String,
    pub place: Option<Place>,
}

/// A place in a source file; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Size {
    /// The value, given that of every named dimension. `None`: a dimension without a value, overflow, or
    /// a division by zero.
    pub fn eval(&self, symbols: &[Option<i64>]) -> Option<i64> {
        let mut total = 0i64;
        for term in self.terms.as_ref()? {
            let mut product = term.coefficient;
            for (factor, power) in &term.factors {
                let value = match factor {
                    Factor::Symbol(position) => (*symbols.get(*position)?)?,
                    Factor::Quotient(both) => {
                        floor_div(both.0.eval(symbols)?, both.1.eval(symbols)?)?
                    }
                };
                product = product.checked_mul(value.checked_pow(*power)?)?;
            }
            total = total.checked_add(product)?;
        }
        Some(total)
    }

    /// The position of the named dimension that this is, where it is one.
    pub fn as_symbol(&self) -> Option<usize> {
        match self.terms.as_deref()? {
            [term] if term.coefficient == 1 => match term.factors.as_slice() {
                [(Factor::Symbol(position), 1)] => Some(*position),
                _ => None,
            },
            _ => None,
        }
    }
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let below = a.checked_rem(b)? != 0 && (a < 0) != (b < 0);
    Some(quotient - i64::from(below))
}

impl Relation {
    pub fn holds(self, value: i64) -> bool {
        match self {
            Relation::Zero => value == 0,
            Relation::NonZero => value != 0,
            Relation::NonNegative => value >= 0,
        }
    }
}

/// The message of a failed check with its numbers in place of `{a}` and `{b}`.
pub(crate) fn shown_message(message: &str, a: i64, b: i64) -> String {
    message
        .replace("{a}", &a.to_string())
        .replace("{b}", &b.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(value: i64) -> Size {
        Size {
            text: value.to_string(),
            terms: Some(vec![Term {
                coefficient: value,
                factors: Vec::new(),
            }]),
        }
    }

    fn symbol(position: usize) -> Size {
        Size {
            text: format!("s{position}"),
            terms: Some(vec![Term {
                coefficient: 1,
                factors: vec![(Factor::Symbol(position), 1)],
            }]),
        }
    }

    #[test]
    fn sizes_are_evaluated_with_care() {
        let quotient = |a: Size, b: Size| Size {
            text: String::new(),
            terms: Some(vec![Term {
                coefficient: 2,
                factors: vec![(Factor::Quotient(Box::new((a, b))), 2)],
            }]),
        };
        assert_eq!(quotient(constant(-7), constant(2)).eval(&[]), Some(32));
        assert_eq!(
            quotient(symbol(1), symbol(0)).eval(&[Some(2), Some(9)]),
            Some(32)
        );
        assert_eq!(
            quotient(symbol(1), symbol(0)).eval(&[Some(0), Some(9)]),
            None
        );
        assert_eq!(quotient(constant(i64::MAX), constant(1)).eval(&[]), None);
        assert_eq!(symbol(3).eval(&[Some(1)]), None);
        assert_eq!(symbol(0).eval(&[None]), None);
        assert_eq!(
            (symbol(4).as_symbol(), constant(4).as_symbol()),
            (Some(4), None)
        );
        assert_eq!(floor_div(i64::MIN, -1), None);
    }

    #[test]
    fn storing_and_reading_gives_the_same() {
        let program = Program {
            name: "f".into(),
            symbols: vec!["N".into()],
            params: vec![Slot {
                name: "x".into(),
                dtype: DType::BF16,
                shape: vec![symbol(0), constant(3)],
            }],
            results: Vec::new(),
            packed: Vec::new(),
            requires: vec![Requirement {
                size: symbol(0),
                relation: Relation::NonZero,
                message: "N is not 0".into(),
                place: None,
            }],
            dims: vec![symbol(0)],
            sites: vec![Site {
                what: "{a} of {b}".into(),
                place: Some(Place {
                    file: "a.aiai".into(),
                    line: 1,
                    column: 2,
                }),
            }],
        };
        let text = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&text).unwrap(), program);
    }
}
