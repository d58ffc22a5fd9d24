//! Affine maps: coefficients and offsets that are not plain numbers become symbols of MLIR's map.

use std::collections::HashMap;
use std::fmt::{self, Write};

use super::attr::Attr;
use super::read::Reader;
use crate::text::ParseError;
use crate::{AffineExpr, AffineMap, Dim};

/// Numbers of a greater magnitude become symbols, too: MLIR computes with them in 64 bits.
const LARGEST: u64 = 1 << 31;

/// The dimension that stands for a symbol of a map.
pub fn placeholder(symbol: usize) -> Dim {
    Dim::sym(format!("s{symbol}").as_str())
}

/// How many indices a map uses.
pub fn indices(map: &AffineMap) -> usize {
    let terms = map.coords.iter().flat_map(|coord| &coord.terms);
    terms.map(|term| term.0 + 1).max().unwrap_or(0)
}

/// The map with symbols for what is not a plain number, and what they stand for.
pub fn abstracted(map: &AffineMap) -> (AffineMap, Vec<Dim>) {
    let mut symbols = Vec::new();
    let map = map.map_dims(&mut |dim| {
        if dim.as_const().is_some_and(|n| n.unsigned_abs() <= LARGEST) {
            return dim;
        }
        let known = symbols.iter().position(|symbol| *symbol == dim);
        placeholder(known.unwrap_or_else(|| {
            symbols.push(dim);
            symbols.len() - 1
        }))
    });
    (map, symbols)
}

/// The map with dimensions for its symbols.
pub fn filled(map: &AffineMap, symbols: &[Dim]) -> AffineMap {
    let replacement = |sym: crate::Sym| {
        let number = sym.as_str().strip_prefix('s')?.parse::<usize>().ok()?;
        symbols.get(number).copied()
    };
    map.map_dims(&mut |dim| dim.substitute(&replacement))
}

/// `affine_map<(d0, d1)[s0] -> (d0, d1 * s0 + 1)>`
pub fn write(f: &mut dyn Write, map: &AffineMap, indices: usize, symbols: usize) -> fmt::Result {
    let names = |letter: char, count: usize| {
        let names: Vec<String> = (0..count).map(|k| format!("{letter}{k}")).collect();
        names.join(", ")
    };
    write!(f, "affine_map<({})", names('d', indices))?;
    if symbols > 0 {
        write!(f, "[{}]", names('s', symbols))?;
    }
    let coords: Vec<String> = map.coords.iter().map(coordinate).collect();
    write!(f, " -> ({})>", coords.join(", "))
}

fn coordinate(coord: &AffineExpr) -> String {
    let mut sum: Vec<String> = Vec::new();
    for (index, coefficient) in &coord.terms {
        sum.push(match coefficient.as_const() {
            Some(1) => format!("d{index}"),
            _ => format!("d{index} * {coefficient}"),
        });
    }
    if sum.is_empty() || !coord.offset.is_const(0) {
        sum.push(coord.offset.to_string());
    }
    sum.join(" + ")
}

/// What the names of a map stand for.
type Names<'s> = HashMap<&'s str, AffineExpr>;

impl<'s> Reader<'s> {
    /// `<(d0, d1)[s0] -> (d0, d1 * s0 + 1)>`
    pub fn affine_map(&mut self) -> Result<Attr, ParseError> {
        self.cursor.expect("<")?;
        let mut names = Names::new();
        let indices = self.names(&mut names, "(", ")", AffineExpr::index)?;
        let symbols = match self.cursor.sees("[") {
            true => {
                let symbol = |k| AffineExpr::constant(placeholder(k));
                self.names(&mut names, "[", "]", symbol)?
            }
            false => 0,
        };
        self.cursor.expect("->")?;
        let coords = self.list("(", ")", |r| r.sum(&names))?;
        self.cursor.expect(">")?;
        Ok(Attr::Map {
            map: AffineMap { coords },
            indices,
            symbols,
        })
    }

    fn names(
        &mut self,
        names: &mut Names<'s>,
        open: &str,
        close: &str,
        meaning: impl Fn(usize) -> AffineExpr,
    ) -> Result<usize, ParseError> {
        let mut count = 0;
        self.list(open, close, |r| {
            let word = r.cursor.word();
            let word = word.ok_or_else(|| r.cursor.error("expected a name"))?;
            if names.insert(word, meaning(count)).is_some() {
                return Err(r.cursor.error(format!("`{word}` is named twice")));
            }
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    fn sum(&mut self, names: &Names<'s>) -> Result<AffineExpr, ParseError> {
        let mut sum = self.product(names)?;
        loop {
            let next = if self.cursor.accept("+") {
                self.product(names)?
            } else if self.cursor.accept("-") {
                let next = self.product(names)?;
                scaled(&next, Dim::from(-1))
            } else {
                return Ok(sum);
            };
            self.cursor.charge(sum.terms.len() + next.terms.len())?;
            sum = AffineExpr::new(
                sum.terms.into_iter().chain(next.terms),
                sum.offset + next.offset,
            );
        }
    }

    fn product(&mut self, names: &Names<'s>) -> Result<AffineExpr, ParseError> {
        let mut left = self.factor(names)?;
        loop {
            if self.cursor.accept("*") {
                let right = self.factor(names)?;
                self.cursor.charge(left.terms.len() + right.terms.len())?;
                left = if right.terms.is_empty() {
                    scaled(&left, right.offset)
                } else if left.terms.is_empty() {
                    scaled(&right, left.offset)
                } else {
                    return Err(self.cursor.error("a product of two indices is not affine"));
                };
                continue;
            }
            let start = self.cursor.at;
            let divide: fn(Dim, Dim) -> Dim = match self.cursor.word() {
                Some("floordiv") => Dim::floor_div,
                Some("ceildiv") => Dim::ceil_div,
                Some("mod") => |a, b| a - a.floor_div(b) * b,
                _ => {
                    self.cursor.at = start;
                    return Ok(left);
                }
            };
            let right = self.factor(names)?;
            if !left.terms.is_empty() || !right.terms.is_empty() {
                let message = "divisions of indices are not supported";
                return Err(self.cursor.error_at(start, message));
            }
            left = AffineExpr::constant(divide(left.offset, right.offset));
        }
    }

    fn factor(&mut self, names: &Names<'s>) -> Result<AffineExpr, ParseError> {
        self.cursor.charge(1)?;
        match self.cursor.peek() {
            Some('(') => self.nested(|r| {
                r.cursor.expect("(")?;
                let inner = r.sum(names)?;
                r.cursor.expect(")")?;
                Ok(inner)
            }),
            Some('-') => self.nested(|r| {
                r.cursor.expect("-")?;
                let inner = r.factor(names)?;
                Ok(scaled(&inner, Dim::from(-1)))
            }),
            Some('0'..='9') => {
                let value = self.cursor.number::<i64>()?;
                Ok(AffineExpr::constant(Dim::from(value)))
            }
            _ => {
                let word = self.cursor.word().unwrap_or_default();
                let meaning = names.get(word).cloned();
                meaning.ok_or_else(|| {
                    self.cursor
                        .error("expected an index or a symbol of the map")
                })
            }
        }
    }
}

fn scaled(expr: &AffineExpr, by: Dim) -> AffineExpr {
    let terms = expr.terms.iter().map(|(index, c)| (*index, *c * by));
    AffineExpr::new(terms, expr.offset * by)
}
