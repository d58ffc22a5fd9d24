//! Types of IR values.

use std::fmt;

use crate::{DType, Dim};

/// The extents of a tensor, outermost first. Empty for a scalar.
pub type Shape = Vec<Dim>;

/// The type of an IR value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// An immutable tensor. A scalar is a tensor of rank 0, at every level.
    Tensor { dtype: DType, shape: Shape },
    /// Loop level: mutable memory that holds a tensor in row-major order.
    Buffer { dtype: DType, shape: Shape },
}

impl Type {
    pub fn tensor(dtype: DType, shape: impl Into<Shape>) -> Type {
        Type::Tensor {
            dtype,
            shape: shape.into(),
        }
    }

    pub fn scalar(dtype: DType) -> Type {
        Type::Tensor {
            dtype,
            shape: Shape::new(),
        }
    }

    pub fn buffer(dtype: DType, shape: impl Into<Shape>) -> Type {
        Type::Buffer {
            dtype,
            shape: shape.into(),
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            Type::Tensor { dtype, .. } | Type::Buffer { dtype, .. } => *dtype,
        }
    }

    pub fn shape(&self) -> &[Dim] {
        match self {
            Type::Tensor { shape, .. } | Type::Buffer { shape, .. } => shape,
        }
    }

    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    pub fn is_scalar(&self) -> bool {
        matches!(self, Type::Tensor { shape, .. } if shape.is_empty())
    }

    /// The same kind of value with every dimension rewritten.
    pub fn map_dims(&self, f: impl FnMut(Dim) -> Dim) -> Type {
        let shape = self.shape().iter().copied().map(f).collect();
        match self {
            Type::Tensor { dtype, .. } => Type::Tensor {
                dtype: *dtype,
                shape,
            },
            Type::Buffer { dtype, .. } => Type::Buffer {
                dtype: *dtype,
                shape,
            },
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Type::Buffer { .. } = self {
            f.write_str("buffer ")?;
        }
        write!(f, "{}[", self.dtype())?;
        for (i, dim) in self.shape().iter().enumerate() {
            write!(f, "{}{dim}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
