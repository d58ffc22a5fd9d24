//! How each type of attribute is written and read.

use std::fmt::{self, Write};

use super::parse::{ParseError, Parser};
use super::print::is_plain;
use crate::mlir::Encoded;
use crate::{AffineExpr, AffineMap, DType, Dim, Literal, Scalar, Sym, Type};

/// A value that an op may carry as an attribute.
pub trait Attribute: Encoded {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    fn read(parser: &mut Parser) -> Result<Self, ParseError>
    where
        Self: Sized;

    /// Rewrites the dimensions within, if any.
    fn map_dims(&mut self, _f: &mut dyn FnMut(Dim) -> Dim) {}
}

impl Attribute for Dim {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<Dim, ParseError> {
        parser.dim()
    }

    fn map_dims(&mut self, f: &mut dyn FnMut(Dim) -> Dim) {
        *self = f(*self);
    }
}

impl Attribute for Option<Dim> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Some(dim) => write!(f, "{dim}"),
            None => f.write_str("none"),
        }
    }

    fn read(parser: &mut Parser) -> Result<Option<Dim>, ParseError> {
        if parser.accept_word("none") {
            Ok(None)
        } else {
            parser.dim().map(Some)
        }
    }

    fn map_dims(&mut self, f: &mut dyn FnMut(Dim) -> Dim) {
        *self = self.map(f);
    }
}

impl<T: Attribute> Attribute for Vec<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (i, item) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            item.write(f)?;
        }
        f.write_char(']')
    }

    fn read(parser: &mut Parser) -> Result<Vec<T>, ParseError> {
        parser.list("[", "]", T::read)
    }

    fn map_dims(&mut self, f: &mut dyn FnMut(Dim) -> Dim) {
        self.iter_mut().for_each(|item| item.map_dims(f));
    }
}

impl Attribute for usize {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<usize, ParseError> {
        let value = parser.int()?;
        usize::try_from(value).map_err(|_| parser.error("expected a number of at least 0".into()))
    }
}

impl Attribute for i64 {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<i64, ParseError> {
        parser.int()
    }
}

impl Attribute for bool {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<bool, ParseError> {
        if parser.accept_word("true") {
            return Ok(true);
        }
        parser.expect_word("false").map(|()| false)
    }
}

impl Attribute for DType {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<DType, ParseError> {
        parser.dtype()
    }
}

impl Attribute for Sym {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('@')?;
        if is_plain(*self) {
            write!(f, "{self}")
        } else {
            write_text(f, self.as_str())
        }
    }

    fn read(parser: &mut Parser) -> Result<Sym, ParseError> {
        parser.symbol()
    }
}

impl Attribute for String {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, self)
    }

    fn read(parser: &mut Parser) -> Result<String, ParseError> {
        parser.text()
    }
}

impl Attribute for Type {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<Type, ParseError> {
        parser.ty()
    }

    fn map_dims(&mut self, f: &mut dyn FnMut(Dim) -> Dim) {
        *self = Type::map_dims(self, f);
    }
}

impl Attribute for AffineMap {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn read(parser: &mut Parser) -> Result<AffineMap, ParseError> {
        let coords = parser.list("(", ")", read_coord)?;
        Ok(AffineMap { coords })
    }

    fn map_dims(&mut self, f: &mut dyn FnMut(Dim) -> Dim) {
        *self = AffineMap::map_dims(self, &mut |d| f(d));
    }
}

/// Reads a coordinate as a dimension expression over the index names `i0`, `i1`, ...
fn read_coord(parser: &mut Parser) -> Result<AffineExpr, ParseError> {
    let sum = parser.dim()?;
    let mut indices = Vec::new();
    sum.for_each_sym(&mut |sym| {
        if let Some(i) = sym
            .as_str()
            .strip_prefix('i')
            .and_then(|n| n.parse::<usize>().ok())
        {
            indices.push((sym, i));
        }
    });
    let mut terms = Vec::new();
    let mut rest = sum;
    for (sym, i) in indices {
        let at = |value: i64| move |s: Sym| (s == sym).then(|| Dim::from(value));
        let coefficient = sum.substitute(&at(1)) - sum.substitute(&at(0));
        terms.push((i, coefficient));
        rest = rest.substitute(&at(0));
    }
    terms.sort_unstable();
    terms.dedup();
    // Coefficients must themselves be free of indices, or the coordinate is not affine.
    Ok(AffineExpr::new(terms, rest))
}

impl Attribute for Literal {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [", self.ty())?;
        for i in 0..self.len() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            write_scalar(f, self.element(i))?;
        }
        f.write_char(']')
    }

    fn read(parser: &mut Parser) -> Result<Literal, ParseError> {
        let ty = parser.ty()?;
        let dtype = ty.dtype();
        let shape: Option<Vec<usize>> = ty
            .shape()
            .iter()
            .map(|d| usize::try_from(d.as_const()?).ok())
            .collect();
        let shape = shape.ok_or_else(|| parser.error("a literal has a constant shape".into()))?;
        let elements = parser.list("[", "]", |p| p.scalar(dtype))?;
        let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if count != Some(elements.len()) {
            return Err(parser.error(format!("`{ty}` does not have {} elements", elements.len())));
        }
        Ok(Literal::from_elements(dtype, shape, &elements))
    }
}

fn write_scalar(f: &mut fmt::Formatter<'_>, value: Scalar) -> fmt::Result {
    match value {
        Scalar::Bool(b) => write!(f, "{b}"),
        Scalar::Int(i) => write!(f, "{i}"),
        Scalar::UInt(u) => write!(f, "{u}"),
        Scalar::Float(x)
            if x.is_finite()
                && x.abs() < 1e15
                && x == x.trunc()
                && !(x == 0.0 && x.is_sign_negative()) =>
        {
            write!(f, "{x:.1}")
        }
        Scalar::Float(x) if x.is_finite() && x != 0.0 && (1e-5..1e15).contains(&x.abs()) => {
            write!(f, "{x}")
        }
        // Bits: no decimal form round-trips NaN payloads, and this one is short.
        Scalar::Float(x) => write!(f, "0x{:016x}", x.to_bits()),
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
