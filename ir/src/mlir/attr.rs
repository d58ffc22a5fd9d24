//! Attributes of MLIR, as far as the dialect uses them, and how they are written.

use std::fmt::{self, Write};

use super::types::{Shown, symbol};
use super::{DIALECT, dense, map};
use crate::{AffineMap, Literal, Type};

/// An attribute of MLIR.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    Unit,
    Bool(bool),
    Int(i64),
    Text(String),
    Symbol(String),
    Type(Type),
    /// A function type.
    Function(Vec<Type>, Vec<Type>),
    Array(Vec<Attr>),
    /// `array<i64: 1, 2>`
    Ints(Vec<i64>),
    Dictionary(Vec<(String, Attr)>),
    Literal(Literal),
    /// An affine map; its symbols are the dimensions `s0`, `s1`, ... of the map.
    Map {
        map: AffineMap,
        indices: usize,
        symbols: usize,
    },
    /// An attribute of the dialect `aiai`.
    Own {
        name: String,
        params: Vec<Attr>,
    },
}

impl Attr {
    /// Makes affine maps range over at least so many indices.
    pub(super) fn widen(&mut self, least: usize) {
        match self {
            Attr::Map { indices, .. } => *indices = (*indices).max(least),
            Attr::Array(items) | Attr::Own { params: items, .. } => {
                items.iter_mut().for_each(|item| item.widen(least));
            }
            Attr::Unit
            | Attr::Bool(_)
            | Attr::Int(_)
            | Attr::Text(_)
            | Attr::Symbol(_)
            | Attr::Type(_)
            | Attr::Function(..)
            | Attr::Ints(_)
            | Attr::Dictionary(_)
            | Attr::Literal(_) => {}
        }
    }
}

impl fmt::Display for Attr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attr::Unit => f.write_str("unit"),
            Attr::Bool(value) => write!(f, "{value}"),
            Attr::Int(value) => write!(f, "{value} : i64"),
            Attr::Text(text) => f.write_str(&quoted(text)),
            Attr::Symbol(name) => f.write_str(&symbol(name)),
            Attr::Type(ty) => write!(f, "{}", Shown(ty)),
            Attr::Function(inputs, results) => {
                list(f, "(", inputs.iter().map(Shown), ")")?;
                list(f, " -> (", results.iter().map(Shown), ")")
            }
            Attr::Array(items) => list(f, "[", items, "]"),
            Attr::Ints(values) if values.is_empty() => f.write_str("array<i64>"),
            Attr::Ints(values) => list(f, "array<i64: ", values, ">"),
            Attr::Dictionary(entries) => dictionary(f, entries),
            Attr::Literal(value) => dense::write(f, value),
            Attr::Map {
                map,
                indices,
                symbols,
            } => map::write(f, map, *indices, *symbols),
            Attr::Own { name, params } => list(f, &format!("#{DIALECT}.{name}<"), params, ">"),
        }
    }
}

/// Items between two marks, separated by commas.
pub fn list<T: fmt::Display>(
    f: &mut dyn Write,
    open: &str,
    items: impl IntoIterator<Item = T>,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (i, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str(close)
}

/// `{name = value, flag}`
pub fn dictionary(f: &mut dyn Write, entries: &[(String, Attr)]) -> fmt::Result {
    let items = entries.iter().map(|(name, value)| {
        let name = if is_word(name) {
            name.clone()
        } else {
            quoted(name)
        };
        match value {
            Attr::Unit => name,
            value => format!("{name} = {value}"),
        }
    });
    list(f, "{", items, "}")
}

/// Whether a name can stand as it is.
pub fn is_word(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(inner)
}

/// A text in quotes. What is not printable in ASCII stands as the two hexadecimal digits of its bytes.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\22"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:02X}");
            }
        }
    }
    out.push('"');
    out
}
