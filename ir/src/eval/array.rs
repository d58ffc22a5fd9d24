//! Arrays of the evaluator: elements in a wide type, always values of their dtype.

use half::{bf16, f16};

use crate::dtype::round_to_odd;
use crate::{DType, Literal, Scalar};

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Floats; each is exactly representable in the dtype.
    Float(Vec<f64>),
    /// Integers and booleans; `u64` as its bits.
    Int(Vec<i64>),
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub data: Data,
    /// Mode `bound`: how far each element may lie from what another correct executor computes;
    /// infinite where nothing is known of it. `None`: nowhere.
    pub error: Option<Vec<f64>>,
}

impl Array {
    /// An array of floats, each rounded to the dtype.
    pub fn floats(
        dtype: DType,
        shape: Vec<usize>,
        elements: impl IntoIterator<Item = f64>,
    ) -> Array {
        let elements = elements.into_iter().map(|x| round(dtype, x)).collect();
        Array {
            dtype,
            shape,
            data: Data::Float(elements),
            error: None,
        }
    }

    /// An array of integers or booleans, each wrapped to the dtype.
    pub fn ints(dtype: DType, shape: Vec<usize>, elements: impl IntoIterator<Item = i64>) -> Array {
        let elements = elements.into_iter().map(|x| wrap(dtype, x)).collect();
        Array {
            dtype,
            shape,
            data: Data::Int(elements),
            error: None,
        }
    }

    pub fn i64(value: i64) -> Array {
        Array::ints(DType::I64, Vec::new(), [value])
    }

    pub fn bool(value: bool) -> Array {
        Array::ints(DType::Bool, Vec::new(), [i64::from(value)])
    }

    pub fn from_literal(literal: &Literal) -> Array {
        let (dtype, shape) = (literal.dtype, literal.shape.clone());
        let elements = (0..literal.len()).map(|i| literal.element(i));
        if dtype.is_float() {
            Array::floats(dtype, shape, elements.map(Scalar::as_f64))
        } else {
            Array::ints(dtype, shape, elements.map(Scalar::as_i64))
        }
    }

    /// The array as a constant.
    pub fn to_literal(&self) -> Literal {
        let elements: Vec<Scalar> = match &self.data {
            Data::Float(x) => x.iter().map(|&x| Scalar::Float(x)).collect(),
            Data::Int(x) => x.iter().map(|&x| Scalar::Int(x)).collect(),
        };
        Literal::from_elements(self.dtype, self.shape.clone(), &elements)
    }

    /// From elements as they lie in memory, little-endian; `None` where the length does not fit.
    pub fn from_bytes(dtype: DType, shape: Vec<usize>, bytes: &[u8]) -> Option<Array> {
        let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b))?;
        if count.checked_mul(dtype.bytes())? != bytes.len() {
            return None;
        }
        let literal = Literal {
            dtype,
            shape,
            bytes: bytes.into(),
        };
        Some(Array::from_literal(&literal))
    }

    /// Elements as they lie in memory, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_literal().bytes.to_vec()
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(x) => x.len(),
            Data::Int(x) => x.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements as floats.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::Float(x) => x.clone(),
            Data::Int(x) if self.dtype == DType::U64 => {
                x.iter().map(|&x| x as u64 as f64).collect()
            }
            Data::Int(x) => x.iter().map(|&x| x as f64).collect(),
        }
    }

    /// Elements as integers; empty for floats.
    pub fn as_ints(&self) -> &[i64] {
        match &self.data {
            Data::Int(x) => x,
            Data::Float(_) => &[],
        }
    }

    /// Whether a scalar truth value holds.
    pub fn is_true(&self) -> bool {
        self.as_ints().first().is_some_and(|&x| x != 0)
    }

    /// The same elements under another shape of as many.
    pub fn reshaped(&self, shape: Vec<usize>) -> Array {
        Array {
            dtype: self.dtype,
            shape,
            data: self.data.clone(),
            error: self.error.clone(),
        }
    }

    /// The elements at the given positions, under a shape.
    pub(super) fn pick(
        &self,
        shape: Vec<usize>,
        positions: impl Iterator<Item = usize> + Clone,
    ) -> Array {
        let error = self.error.as_ref();
        let error = error.map(|e| positions.clone().map(|p| e[p]).collect());
        let data = match &self.data {
            Data::Float(x) => Data::Float(positions.map(|p| x[p]).collect()),
            Data::Int(x) => Data::Int(positions.map(|p| x[p]).collect()),
        };
        Array {
            dtype: self.dtype,
            shape,
            data,
            error,
        }
    }

    /// How far an element may be off.
    pub fn error_at(&self, at: usize) -> f64 {
        self.error.as_ref().map_or(0.0, |e| e[at])
    }

    /// Copies one element from another array of the dtype.
    pub(super) fn copy_from(&mut self, to: usize, source: &Array, from: usize) {
        match (&mut self.data, &source.data) {
            (Data::Float(x), Data::Float(y)) => x[to] = y[from],
            (Data::Int(x), Data::Int(y)) => x[to] = y[from],
            _ => {}
        }
        let error = source.error_at(from);
        if error != 0.0 || self.error.is_some() {
            let count = self.len();
            self.error.get_or_insert_with(|| vec![0.0; count])[to] = error;
        }
    }

    /// An array of one element repeated.
    pub(super) fn filled(&self, shape: Vec<usize>) -> Array {
        let count = shape.iter().product();
        self.pick(shape, std::iter::repeat_n(0, count))
    }
}

/// Row-major strides.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k];
    }
    strides
}

/// Calls `visit` with every index of a shape, in row-major order.
pub(super) fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The value of the float dtype nearest to x, ties to even.
pub fn round(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F16 => f16::from_f32(round_to_odd(x)).to_f64(),
        DType::BF16 => bf16::from_f32(round_to_odd(x)).to_f64(),
        DType::F32 => f64::from(x as f32),
        DType::F64
        | DType::Bool
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64 => x,
    }
}

/// The value of the integer dtype that x wraps to.
pub fn wrap(dtype: DType, x: i64) -> i64 {
    match dtype {
        DType::Bool => i64::from(x != 0),
        DType::I8 => i64::from(x as i8),
        DType::I16 => i64::from(x as i16),
        DType::I32 => i64::from(x as i32),
        DType::U8 => i64::from(x as u8),
        DType::U16 => i64::from(x as u16),
        DType::U32 => i64::from(x as u32),
        DType::I64 | DType::U64 | DType::F16 | DType::BF16 | DType::F32 | DType::F64 => x,
    }
}
