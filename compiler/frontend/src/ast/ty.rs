//! Types as they are written.

use super::{Expr, Ident};
use crate::span::Span;

/// A type.
#[derive(Clone, Debug)]
pub struct TypeExpr {
    pub kind: TypeKind,
    pub span: Span,
    /// The height of the tree; at most [`super::MAX_DEPTH`].
    pub depth: u16,
}

#[derive(Clone, Debug)]
pub enum TypeKind {
    /// `f32[.., D]`, `T[..B, M, K]`, `f32[]`. The element is a dtype or a dtype parameter.
    Tensor { elem: Ident, dims: Vec<TypeDim> },
    /// `f32` (a scalar, the same as `f32[]`), `Key`, `M`, `Mlp<64, 128>`, `Grad<M>`.
    Named { name: Ident, args: Vec<GenericArg> },
    /// `(A, B)`; `()` is the type of nothing.
    Tuple(Vec<TypeExpr>),
    /// `[Block<D>; N]`: a list of submodules. The length is a dimension expression.
    List { elem: Box<TypeExpr>, len: Box<Expr> },
    /// Did not parse; reported.
    Error,
}

/// One entry between the brackets of a tensor type.
#[derive(Clone, Debug)]
pub enum TypeDim {
    /// A dimension expression: names, integers, `+ - * / %`, unary minus and parentheses, as an
    /// [`Expr`] of those kinds only. `/` is floor division.
    Dim(Expr),
    /// `..`: the anonymous leading shape.
    Rest(Span),
    /// `..S`.
    Pack(Ident),
}

/// One argument between `<` and `>`, in types and after `::`.
#[derive(Clone, Debug)]
pub enum GenericArg {
    /// A bare name: a dimension, a dtype or a module; what it is depends on the parameter.
    Name(Ident),
    /// A dimension expression that is not a bare name.
    Dim(Expr),
    /// A type that is not a bare name.
    Type(TypeExpr),
    /// `..S`.
    Pack(Ident),
}

impl GenericArg {
    pub fn span(&self) -> Span {
        match self {
            GenericArg::Name(ident) | GenericArg::Pack(ident) => ident.span,
            GenericArg::Dim(dim) => dim.span,
            GenericArg::Type(ty) => ty.span,
        }
    }
}
