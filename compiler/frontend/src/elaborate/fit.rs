//! Values and types: the type of a value, a value of a type, and whether one fits the other.

use super::Elaborator;
use super::context::Cx;
use super::value::{GArg, Record, Ty, Val};
use crate::diagnostics::Diagnostic;
use crate::span::Span;
use aiai_ir::{DType, Dim, Type, Value};

impl Elaborator<'_> {
    /// A value of the type, its tensors taken in the order of leaves.
    pub(crate) fn rebuild(&mut self, ty: &Ty, values: &mut impl Iterator<Item = Value>) -> Val {
        match ty {
            Ty::Tensor { .. } => values.next().map_or(Val::Poison, Val::Tensor),
            Ty::Key => values.next().map_or(Val::Poison, Val::Key),
            Ty::Tuple(parts) => Val::Tuple(
                parts
                    .iter()
                    .map(|part| self.rebuild(part, values))
                    .collect(),
            ),
            Ty::List(element, count) => {
                Val::List((0..*count).map(|_| self.rebuild(element, values)).collect())
            }
            Ty::Record {
                module,
                args,
                tangent,
            } => {
                let mut fields = Vec::new();
                for (name, ty, role) in self.fields(*module, args, *tangent) {
                    let absent = *tangent && !super::types::is_differentiable(&ty, role);
                    let val = if absent {
                        Val::Absent
                    } else {
                        self.rebuild(&ty, values)
                    };
                    fields.push((name, val));
                }
                let (module, args, tangent) = (*module, args.clone(), *tangent);
                Val::Record(Box::new(Record {
                    module,
                    args,
                    tangent,
                    fields,
                }))
            }
            Ty::Error => Val::Poison,
        }
    }

    /// The type of a value.
    pub(crate) fn type_of(&self, cx: &Cx, val: &Val) -> Ty {
        match val {
            Val::Tensor(v) => {
                let ty = cx.b.ty(*v);
                Ty::Tensor {
                    dtype: ty.dtype(),
                    shape: ty.shape().to_vec(),
                }
            }
            Val::Key(_) => Ty::Key,
            Val::Tuple(parts) => Ty::Tuple(parts.iter().map(|p| self.type_of(cx, p)).collect()),
            Val::List(parts) => {
                let element = parts.first().map_or(Ty::Error, |p| self.type_of(cx, p));
                Ty::List(Box::new(element), parts.len())
            }
            Val::Record(r) => Ty::Record {
                module: r.module,
                args: r.args.clone(),
                tangent: r.tangent,
            },
            Val::Dim(_) => Ty::Tensor {
                dtype: DType::I64,
                shape: Vec::new(),
            },
            Val::Float(_) => Ty::Tensor {
                dtype: DType::F32,
                shape: Vec::new(),
            },
            Val::Bool(_) => Ty::Tensor {
                dtype: DType::Bool,
                shape: Vec::new(),
            },
            Val::Str(_) | Val::Absent | Val::All | Val::Poison => Ty::Error,
        }
    }

    /// The value as one of the type: literals converted, shapes checked against what is known.
    pub(crate) fn fit(
        &mut self,
        cx: &mut Cx,
        val: Val,
        ty: &Ty,
        at: Span,
        what: &str,
        declared: Span,
    ) -> Option<Val> {
        match (val, ty) {
            (Val::Poison, _) | (_, Ty::Error) => None,
            (val @ (Val::Dim(_) | Val::Float(_) | Val::Bool(_)), Ty::Tensor { dtype, shape }) => {
                let value = self.tensor(cx, val, Some(*dtype), at)?;
                if !shape.is_empty() {
                    return self.misfit(cx, Val::Tensor(value), ty, at, what, declared);
                }
                Some(Val::Tensor(value))
            }
            (Val::Tensor(value), Ty::Tensor { dtype, shape }) => {
                let actual = cx.b.ty(value).clone();
                let fits = actual.dtype() == *dtype
                    && actual.rank() == shape.len()
                    && actual
                        .shape()
                        .iter()
                        .zip(shape)
                        .all(|(a, b)| cx.equal(*a, *b));
                if !fits {
                    return self.misfit(cx, Val::Tensor(value), ty, at, what, declared);
                }
                // Into the declared form, where it is only known to be equal.
                let shape: Vec<Dim> = shape.iter().map(|d| cx.facts.normalize(*d)).collect();
                Some(Val::Tensor(cx.b.reshape(value, &shape)))
            }
            (val @ Val::Key(_), Ty::Key) => Some(val),
            (Val::Tensor(value), Ty::Key)
                if *cx.b.ty(value) == Type::tensor(DType::U32, [Dim::from(2)]) =>
            {
                Some(Val::Key(value))
            }
            (Val::Tuple(vals), Ty::Tuple(parts)) if vals.len() == parts.len() => {
                let pairs = vals.into_iter().zip(parts).enumerate();
                let fitted: Option<Vec<Val>> = pairs
                    .map(|(k, (v, t))| {
                        let what = format!("part {k} of {what}");
                        self.fit(cx, v, t, at, &what, declared)
                    })
                    .collect();
                fitted.map(Val::Tuple)
            }
            (Val::List(vals), Ty::List(element, count)) if vals.len() == *count => {
                let fitted: Option<Vec<Val>> = vals
                    .into_iter()
                    .map(|v| self.fit(cx, v, element, at, what, declared))
                    .collect();
                fitted.map(Val::List)
            }
            (
                Val::Record(record),
                Ty::Record {
                    module,
                    args,
                    tangent,
                },
            ) => {
                let same = record.module == *module
                    && record.tangent == *tangent
                    && record
                        .args
                        .iter()
                        .zip(args)
                        .all(|(a, b)| same_arg(cx, a, b));
                if !same {
                    return self.misfit(cx, Val::Record(record), ty, at, what, declared);
                }
                Some(Val::Record(Box::new(Record {
                    args: args.clone(),
                    ..*record
                })))
            }
            (val, ty) => self.misfit(cx, val, ty, at, what, declared),
        }
    }

    pub(super) fn misfit(
        &mut self,
        cx: &Cx,
        val: Val,
        ty: &Ty,
        at: Span,
        what: &str,
        declared: Span,
    ) -> Option<Val> {
        let wanted = self.show(ty);
        let found = match &val {
            Val::Str(_) | Val::All | Val::Absent => val.kind().to_owned(),
            val => format!("`{}`", self.show(&self.type_of(cx, val))),
        };
        let code = match (&val, ty) {
            (Val::Tensor(v), Ty::Tensor { dtype, .. }) if cx.b.ty(*v).dtype() != *dtype => "E0302",
            (Val::Tensor(_), Ty::Tensor { .. }) => "E0301",
            _ => "E0304",
        };
        let message = format!("{what} is `{wanted}`, got {found}");
        let mut diagnostic = Diagnostic::new(code, at, message).label(format!("this is {found}"));
        if let (Val::Tuple(_), Ty::Tensor { .. }) = (&val, ty) {
            diagnostic = diagnostic.help("take it apart: `let (a, b) = ...`");
        }
        if let (Val::Tensor(v), Ty::Tensor { shape, dtype }) = (&val, ty) {
            let actual = cx.b.ty(*v);
            let differ = actual
                .shape()
                .iter()
                .zip(shape)
                .find(|(a, b)| !cx.equal(**a, **b));
            if actual.dtype() != *dtype {
                diagnostic = diagnostic.help(format!("convert it: `{dtype}(...)`"));
            } else if let (Some((a, b)), true) = (differ, actual.rank() == shape.len())
                && (a.as_const().is_none() || b.as_const().is_none())
            {
                diagnostic = diagnostic.help(format!("`{a}` here is not known to be `{b}`"));
            }
        }
        self.report(diagnostic.related(declared, format!("declared `{wanted}` here")));
        None
    }
}

pub(super) fn same_arg(cx: &Cx, a: &GArg, b: &GArg) -> bool {
    match (a, b) {
        (GArg::Dim(a), GArg::Dim(b)) => cx.equal(*a, *b),
        (a, b) => a == b,
    }
}
