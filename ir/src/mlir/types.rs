//! How types are written in MLIR: scalars as `f32`, tensors as `tensor<?x4xf32, #aiai.dims<["B"]>>`, buffers
//! as `memref<...>` in the same way.

use std::fmt;

use super::attr::{Attr, is_word, list, quoted};
use super::encode::Encoded;
use super::{DIALECT, DIMS};
use crate::{DType, Type};

/// A type as MLIR text.
pub struct Shown<'a>(pub &'a Type);

/// What MLIR calls an element type.
pub fn element(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "i1",
        DType::U8 => "ui8",
        DType::U16 => "ui16",
        DType::U32 => "ui32",
        DType::U64 => "ui64",
        DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::F16
        | DType::BF16
        | DType::F32
        | DType::F64 => dtype.name(),
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let element = element(self.0.dtype());
        match self.0 {
            Type::Tensor { shape, .. } if shape.is_empty() => return f.write_str(element),
            Type::Tensor { .. } => f.write_str("tensor<")?,
            Type::Buffer { .. } => f.write_str("memref<")?,
        }
        let mut named = Vec::new();
        for dim in self.0.shape() {
            match dim.as_const() {
                Some(size) if size >= 0 => write!(f, "{size}x")?,
                _ => {
                    named.push(dim.encode());
                    f.write_str("?x")?;
                }
            }
        }
        f.write_str(element)?;
        if !named.is_empty() {
            list(f, &format!(", #{DIALECT}.{DIMS}<["), &named, "]>")?;
        }
        f.write_str(">")
    }
}

/// Several values as one: `tuple<f32, i64>`.
pub fn tuple(types: &[&Type]) -> String {
    let mut out = String::new();
    let _ = list(&mut out, "tuple<", types.iter().map(|ty| Shown(ty)), ">");
    out
}

/// `@name`
pub fn symbol(name: &str) -> String {
    if is_word(name) {
        format!("@{name}")
    } else {
        format!("@{}", quoted(name))
    }
}

/// A dictionary entry.
pub fn entry(name: &str, value: Attr) -> (String, Attr) {
    (name.to_owned(), value)
}
