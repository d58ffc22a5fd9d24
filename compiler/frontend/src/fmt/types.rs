//! Types, generic parameters and arguments, constraints.

use super::Formatter;
use super::doc::{Doc, concat_doc, join};
use crate::ast::{Constraint, GenericArg, GenericParam, TypeDim, TypeExpr, TypeKind};

impl Formatter<'_> {
    pub(super) fn ty(&mut self, ty: &TypeExpr) -> Doc {
        let end = ty.span.end;
        match &ty.kind {
            TypeKind::Tensor { elem, dims } => {
                let items = dims.iter().map(|dim| (type_dim_start(dim), dim)).collect();
                let list = self.list("[", items, "]", end, |f, dim| f.type_dim(dim));
                concat_doc![elem.name.as_str(), list]
            }
            TypeKind::Named { name, args } if args.is_empty() => name.name.as_str().into(),
            TypeKind::Named { name, args } => {
                concat_doc![name.name.as_str(), self.generic_args(args)]
            }
            TypeKind::Tuple(parts) => {
                let items = parts.iter().map(|part| (part.span.start, part)).collect();
                self.list("(", items, ")", end, |f, part| f.ty(part))
            }
            TypeKind::List { elem, len } => {
                concat_doc!["[", self.ty(elem), "; ", self.expr(len), "]"]
            }
            TypeKind::Error => self.source(ty.span).into(),
        }
    }

    fn type_dim(&mut self, dim: &TypeDim) -> Doc {
        match dim {
            TypeDim::Dim(dim) => self.expr(dim),
            TypeDim::Rest(_) => "..".into(),
            TypeDim::Pack(name) => concat_doc!["..", name.name.as_str()],
        }
    }

    /// `<A, B>`; the empty list is nothing.
    pub(super) fn generic_args(&mut self, args: &[GenericArg]) -> Doc {
        let args = args.iter().map(|arg| match arg {
            GenericArg::Name(name) => name.name.as_str().into(),
            GenericArg::Dim(dim) => self.expr(dim),
            GenericArg::Type(ty) => self.ty(ty),
            GenericArg::Pack(name) => concat_doc!["..", name.name.as_str()],
        });
        concat_doc!["<", join(args, &", ".into()), ">"]
    }

    /// `<D, T: float>`; the empty list is nothing.
    pub(super) fn generic_params(&mut self, params: &[GenericParam]) -> Doc {
        if params.is_empty() {
            return Doc::NIL;
        }
        let params = params.iter().map(|param| {
            let pack = if param.pack { ".." } else { "" };
            match &param.bound {
                Some(bound) => {
                    concat_doc![pack, param.name.name.as_str(), ": ", bound.name.as_str()]
                }
                None => concat_doc![pack, param.name.name.as_str()],
            }
        });
        concat_doc!["<", join(params, &", ".into()), ">"]
    }

    /// `where A == B, C >= 1`; the empty list is nothing.
    pub(super) fn constraints(&mut self, constraints: &[Constraint]) -> Doc {
        if constraints.is_empty() {
            return Doc::NIL;
        }
        let constraints = constraints.iter().map(|constraint| {
            let Constraint { op, lhs, rhs, .. } = constraint;
            concat_doc![self.expr(lhs), " ", op.symbol(), " ", self.expr(rhs)]
        });
        concat_doc!["where ", join(constraints, &", ".into())]
    }
}

fn type_dim_start(dim: &TypeDim) -> u32 {
    match dim {
        TypeDim::Dim(dim) => dim.span.start,
        TypeDim::Rest(span) => span.start,
        TypeDim::Pack(name) => name.span.start,
    }
}
