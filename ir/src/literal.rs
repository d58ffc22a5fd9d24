//! Constant tensors: a dtype, a constant shape and the elements as bytes.

use std::sync::Arc;

use half::{bf16, f16};

use crate::dtype::round_to_odd;
use crate::{DType, Dim, Type};

/// A constant tensor. Elements lie in row-major order, little-endian.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub bytes: Arc<[u8]>,
}

/// One element, in the widest type of its class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
}

impl Literal {
    /// A scalar of `dtype`, rounded to nearest even for floats, wrapped for integers.
    pub fn scalar(dtype: DType, value: Scalar) -> Literal {
        Literal::from_elements(dtype, Vec::new(), &[value])
    }

    pub fn f64(dtype: DType, value: f64) -> Literal {
        Literal::scalar(dtype, Scalar::Float(value))
    }

    pub fn i64(dtype: DType, value: i64) -> Literal {
        Literal::scalar(dtype, Scalar::Int(value))
    }

    pub fn bool(value: bool) -> Literal {
        Literal::scalar(DType::Bool, Scalar::Bool(value))
    }

    /// `elements` must have as many entries as `shape` says.
    pub fn from_elements(dtype: DType, shape: Vec<usize>, elements: &[Scalar]) -> Literal {
        debug_assert_eq!(shape.iter().product::<usize>(), elements.len());
        let mut bytes = Vec::with_capacity(elements.len() * dtype.bytes());
        for element in elements {
            encode(dtype, *element, &mut bytes);
        }
        Literal {
            dtype,
            shape,
            bytes: bytes.into(),
        }
    }

    pub fn ty(&self) -> Type {
        Type::tensor(
            self.dtype,
            self.shape.iter().map(|&n| Dim::from(n)).collect::<Vec<_>>(),
        )
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The element at a row-major position; panics past the end.
    pub fn element(&self, at: usize) -> Scalar {
        let width = self.dtype.bytes();
        decode(self.dtype, &self.bytes[at * width..(at + 1) * width])
    }

    /// The one value that every element has, if so and if there is an element.
    pub fn splat(&self) -> Option<Scalar> {
        let width = self.dtype.bytes();
        let first = self.bytes.get(..width)?;
        self.bytes
            .chunks_exact(width)
            .all(|c| c == first)
            .then(|| self.element(0))
    }
}

impl Scalar {
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => f64::from(u8::from(b)),
            Scalar::Int(i) => i as f64,
            Scalar::UInt(u) => u as f64,
            Scalar::Float(x) => x,
        }
    }

    /// The value as a wrapped 64-bit integer; floats saturate, NaN is 0.
    pub fn as_i64(self) -> i64 {
        match self {
            Scalar::Bool(b) => i64::from(b),
            Scalar::Int(i) => i,
            Scalar::UInt(u) => u as i64,
            Scalar::Float(x) => x as i64,
        }
    }
}

fn encode(dtype: DType, value: Scalar, out: &mut Vec<u8>) {
    let (int, float) = (value.as_i64(), value.as_f64());
    match dtype {
        DType::Bool => out.push(u8::from(int != 0)),
        DType::I8 | DType::U8 => out.push(int as u8),
        DType::I16 | DType::U16 => out.extend((int as u16).to_le_bytes()),
        DType::I32 | DType::U32 => out.extend((int as u32).to_le_bytes()),
        DType::I64 | DType::U64 => out.extend(int.to_le_bytes()),
        DType::F16 => out.extend(f16::from_f32(round_to_odd(float)).to_le_bytes()),
        DType::BF16 => out.extend(bf16::from_f32(round_to_odd(float)).to_le_bytes()),
        DType::F32 => out.extend((float as f32).to_le_bytes()),
        DType::F64 => out.extend(float.to_le_bytes()),
    }
}

fn decode(dtype: DType, bytes: &[u8]) -> Scalar {
    let mut wide = [0u8; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let raw = u64::from_le_bytes(wide);
    match dtype {
        DType::Bool => Scalar::Bool(raw != 0),
        DType::I8 => Scalar::Int(i64::from(raw as i8)),
        DType::I16 => Scalar::Int(i64::from(raw as i16)),
        DType::I32 => Scalar::Int(i64::from(raw as i32)),
        DType::I64 => Scalar::Int(raw as i64),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => Scalar::UInt(raw),
        DType::F16 => Scalar::Float(f16::from_bits(raw as u16).to_f64()),
        DType::BF16 => Scalar::Float(bf16::from_bits(raw as u16).to_f64()),
        DType::F32 => Scalar::Float(f64::from(f32::from_bits(raw as u32))),
        DType::F64 => Scalar::Float(f64::from_bits(raw)),
    }
}
