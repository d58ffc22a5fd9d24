//! Constants as `dense<...>` attributes: nested lists, one value for all elements, or the bytes of all elements.

use std::fmt::{self, Write};

use super::types::element as element_type;
use crate::{DType, Literal, Scalar};

/// Constants of more elements are written as bytes.
const MOST_LISTED: usize = 64;

/// `dense<[1, 2]> : tensor<2xi64>`
pub fn write(f: &mut dyn Write, value: &Literal) -> fmt::Result {
    f.write_str("dense<")?;
    if value.splat().is_some() {
        f.write_str(&element(value, 0))?;
    } else if value.len() > MOST_LISTED && value.dtype != DType::Bool {
        f.write_str("\"0x")?;
        for byte in value.bytes.iter() {
            write!(f, "{byte:02X}")?;
        }
        f.write_str("\"")?;
    } else if !value.is_empty() {
        nested(f, value, &value.shape, &mut 0)?;
    }
    f.write_str("> : tensor<")?;
    for extent in &value.shape {
        write!(f, "{extent}x")?;
    }
    write!(f, "{}>", element_type(value.dtype))
}

fn nested(f: &mut dyn Write, value: &Literal, shape: &[usize], at: &mut usize) -> fmt::Result {
    let Some((extent, inner)) = shape.split_first() else {
        *at += 1;
        return f.write_str(&element(value, *at - 1));
    };
    f.write_str("[")?;
    for i in 0..*extent {
        f.write_str(if i == 0 { "" } else { ", " })?;
        nested(f, value, inner, at)?;
    }
    f.write_str("]")
}

/// The element at a row-major position. Floats are written so that they are exact in f64, which MLIR reads
/// all of them in; those that are not finite as their bits.
fn element(value: &Literal, at: usize) -> String {
    match value.element(at) {
        Scalar::Bool(b) => b.to_string(),
        Scalar::Int(i) => i.to_string(),
        Scalar::UInt(u) => u.to_string(),
        Scalar::Float(x) if x.is_finite() => {
            let plain = format!("{x:?}");
            if !plain.contains('e') {
                return plain;
            }
            match plain.split_once('e') {
                Some((mantissa, exponent)) if !mantissa.contains('.') => {
                    format!("{mantissa}.0e{exponent}")
                }
                _ => plain,
            }
        }
        Scalar::Float(_) => {
            let width = value.dtype.bytes();
            let bytes = &value.bytes[at * width..(at + 1) * width];
            let digits: Vec<String> = bytes.iter().rev().map(|b| format!("{b:02X}")).collect();
            format!("0x{}", digits.concat())
        }
    }
}

/// A constant from the texts of its elements: one for each, or one for all.
pub fn listed(dtype: DType, shape: Vec<usize>, texts: &[&str]) -> Result<Literal, String> {
    let mut bytes = Vec::with_capacity(texts.len() * dtype.bytes());
    for text in texts {
        read_element(dtype, text, &mut bytes)?;
    }
    sized(dtype, shape, bytes)
}

/// A constant from the bytes of its elements in hexadecimal digits.
pub fn from_digits(dtype: DType, shape: Vec<usize>, digits: &str) -> Result<Literal, String> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pair = |pair: &[u8]| Some((digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?) as u8);
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    let bytes = bytes.ok_or("expected pairs of hexadecimal digits behind `0x`")?;
    let count = count(&shape).unwrap_or(usize::MAX);
    if dtype == DType::Bool && bytes.len() == count.div_ceil(8) {
        // MLIR packs eight into a byte, the first into the lowest bit.
        let bits = (0..count).map(|at| bytes[at / 8] >> (at % 8) & 1);
        return sized(dtype, shape, bits.collect());
    }
    if dtype == DType::Bool && bytes.iter().any(|b| *b > 1) {
        return Err("a byte of a bool is 0 or 1".into());
    }
    sized(dtype, shape, bytes)
}

/// How many elements a shape has; `None` beyond the range of numbers.
pub fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b))
}

/// The elements, or the one that stands for all.
fn sized(dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Literal, String> {
    let count = count(&shape).ok_or("has too many elements")?;
    let bytes = if bytes.len() == dtype.bytes() {
        bytes.repeat(count)
    } else {
        bytes
    };
    if bytes.len() != count.saturating_mul(dtype.bytes()) {
        let given = bytes.len() / dtype.bytes();
        return Err(format!("has {count} elements, not {given}"));
    }
    Ok(Literal {
        dtype,
        shape,
        bytes: bytes.into(),
    })
}

fn read_element(dtype: DType, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("expected a value of {}, got `{text}`", element_type(dtype));
    let width = dtype.bytes();
    if dtype == DType::Bool {
        let value = match text {
            "true" | "1" => 1,
            "false" | "0" => 0,
            _ => return Err(wrong()),
        };
        out.push(value);
        return Ok(());
    }
    if dtype.is_float() {
        let number = if let Some(digits) = text.strip_prefix("0x") {
            let bits = u64::from_str_radix(digits, 16).map_err(|_| wrong())?;
            let fits = width == 8 || bits >> (8 * width) == 0;
            if !fits {
                return Err(wrong());
            }
            out.extend(&bits.to_le_bytes()[..width]);
            return Ok(());
        } else if dtype == DType::F32 {
            let number: f32 = text.parse().map_err(|_| wrong())?;
            f64::from(number)
        } else {
            text.parse().map_err(|_| wrong())?
        };
        out.extend(Literal::f64(dtype, number).bytes.iter());
        return Ok(());
    }
    let value: i128 = text.parse().map_err(|_| wrong())?;
    let bits = 8 * width as u32;
    let least = if dtype.is_signed() {
        -(1i128 << (bits - 1))
    } else {
        0
    };
    if value < least || value >= 1i128 << bits {
        return Err(wrong());
    }
    out.extend(&value.to_le_bytes()[..width]);
    Ok(())
}
