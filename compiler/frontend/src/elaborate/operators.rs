//! Operators: arithmetic at compile time, broadcasting, matrix products.

use aiai_ir::{
    AffineMap, BinaryKind, CompareKind, DType, Dim, Op, Relation, Truth, UnaryKind, Value,
};

use super::Elaborator;
use super::context::Cx;
use super::value::Val;
use crate::ast::{BinaryOp, CompareOp, UnaryOp};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// An operand with its place.
#[derive(Clone)]
pub(crate) struct Operand {
    pub val: Val,
    pub span: Span,
}

impl Elaborator<'_> {
    pub(crate) fn unary_op(
        &mut self,
        cx: &mut Cx,
        op: UnaryOp,
        operand: Operand,
        span: Span,
    ) -> Val {
        match (op, operand.val) {
            (_, Val::Poison) => Val::Poison,
            (UnaryOp::Neg, Val::Dim(d)) => Val::Dim(-d),
            (UnaryOp::Neg, Val::Float(x)) => Val::Float(-x),
            (UnaryOp::Not, Val::Bool(b)) => Val::Bool(!b),
            (op, val) => {
                let kind = if op == UnaryOp::Neg {
                    UnaryKind::Neg
                } else {
                    UnaryKind::Not
                };
                let Some(x) = self.tensor(cx, val, None, operand.span) else {
                    return Val::Poison;
                };
                self.apply(cx, Op::Unary { kind }, &[x], span)
            }
        }
    }

    /// Appends an op; a type rule that is broken becomes a finding.
    pub(crate) fn apply(&mut self, cx: &mut Cx, op: Op, operands: &[Value], span: Span) -> Val {
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(span));
        let result = cx.b.try_op(op, operands, Vec::new());
        cx.b.loc = outer;
        match result {
            Ok(results) if results.len() == 1 => Val::Tensor(results[0]),
            Ok(results) => Val::Tuple(results.into_iter().map(Val::Tensor).collect()),
            Err(sentence) => self.error("E0302", span, sentence),
        }
    }

    pub(crate) fn binary_op(
        &mut self,
        cx: &mut Cx,
        op: BinaryOp,
        a: Operand,
        b: Operand,
        span: Span,
    ) -> Val {
        if a.val.is_poison() || b.val.is_poison() {
            return Val::Poison;
        }
        if let Some(folded) = self.fold(cx, op, &a.val, &b.val) {
            return folded;
        }
        if op == BinaryOp::MatMul {
            return self.matmul(cx, a, b, span);
        }
        let Some((x, y)) = self.meet(cx, a, b, op.symbol(), span) else {
            return Val::Poison;
        };
        let op = match op {
            BinaryOp::Add => Op::Binary {
                kind: BinaryKind::Add,
            },
            BinaryOp::Sub => Op::Binary {
                kind: BinaryKind::Sub,
            },
            BinaryOp::Mul => Op::Binary {
                kind: BinaryKind::Mul,
            },
            BinaryOp::Div => Op::Binary {
                kind: BinaryKind::Div,
            },
            BinaryOp::Rem => Op::Binary {
                kind: BinaryKind::Rem,
            },
            BinaryOp::And => Op::Binary {
                kind: BinaryKind::And,
            },
            BinaryOp::Or => Op::Binary {
                kind: BinaryKind::Or,
            },
            BinaryOp::Compare(op) => Op::Compare {
                kind: compare_kind(op),
            },
            BinaryOp::MatMul => return Val::Poison,
        };
        self.apply(cx, op, &[x, y], span)
    }

    /// The result where both sides are known at compile time. Floats are computed in f64.
    fn fold(&mut self, cx: &Cx, op: BinaryOp, a: &Val, b: &Val) -> Option<Val> {
        if let (Val::Dim(x), Val::Dim(y)) = (a, b) {
            return fold_dims(cx, op, *x, *y);
        }
        if let (Val::Bool(x), Val::Bool(y)) = (a, b) {
            return match op {
                BinaryOp::And => Some(Val::Bool(*x && *y)),
                BinaryOp::Or => Some(Val::Bool(*x || *y)),
                BinaryOp::Compare(CompareOp::Eq) => Some(Val::Bool(x == y)),
                BinaryOp::Compare(CompareOp::Ne) => Some(Val::Bool(x != y)),
                _ => None,
            };
        }
        let number = |v: &Val| match v {
            Val::Float(x) => Some(*x),
            Val::Dim(d) => d.as_const().map(|n| n as f64),
            _ => None,
        };
        let (x, y) = (number(a)?, number(b)?);
        Some(match op {
            BinaryOp::Add => Val::Float(x + y),
            BinaryOp::Sub => Val::Float(x - y),
            BinaryOp::Mul => Val::Float(x * y),
            BinaryOp::Div => Val::Float(x / y),
            BinaryOp::Compare(op) => Val::Bool(match op {
                CompareOp::Eq => x == y,
                CompareOp::Ne => x != y,
                CompareOp::Lt => x < y,
                CompareOp::Le => x <= y,
                CompareOp::Gt => x > y,
                CompareOp::Ge => x >= y,
            }),
            BinaryOp::Rem | BinaryOp::MatMul | BinaryOp::And | BinaryOp::Or => return None,
        })
    }

    /// Both operands as tensors of one dtype and one shape.
    pub(crate) fn meet(
        &mut self,
        cx: &mut Cx,
        a: Operand,
        b: Operand,
        what: &str,
        span: Span,
    ) -> Option<(Value, Value)> {
        let dtype = |cx: &Cx, v: &Val| match v {
            Val::Tensor(t) => Some(cx.b.ty(*t).dtype()),
            _ => None,
        };
        let (da, db) = (dtype(cx, &a.val), dtype(cx, &b.val));
        let wide = match (&a.val, &b.val) {
            (Val::Float(_), _) | (_, Val::Float(_)) => Some(DType::F32),
            _ => None,
        };
        let x = self.tensor(cx, a.val, da.or(db).or(wide), a.span)?;
        let y = self.tensor(cx, b.val, db.or(da).or(wide), b.span)?;
        let (dx, dy) = (cx.b.ty(x).dtype(), cx.b.ty(y).dtype());
        if dx != dy {
            let message = format!("`{what}` joins {dx} and {dy}");
            let to = if dy.is_float() && !dx.is_float() {
                dy
            } else {
                dx
            };
            let diagnostic = Diagnostic::new("E0302", span, message)
                .related(a.span, format!("this is {}", cx.b.ty(x)))
                .related(b.span, format!("this is {}", cx.b.ty(y)))
                .help(format!("convert one side: `{to}(...)`"));
            self.report(diagnostic);
            return None;
        }
        let shape = self.broadcast_shape(cx, &[(x, a.span), (y, b.span)], what, span)?;
        Some((self.spread(cx, x, &shape), self.spread(cx, y, &shape)))
    }

    /// The common shape under NumPy's rule of aligned trailing axes; dimensions that are not known to
    /// be equal do not meet.
    pub(crate) fn broadcast_shape(
        &mut self,
        cx: &mut Cx,
        operands: &[(Value, Span)],
        what: &str,
        span: Span,
    ) -> Option<Vec<Dim>> {
        let mut shape = cx.shape(operands[0].0);
        for (other, other_span) in &operands[1..] {
            let theirs = cx.shape(*other);
            let rank = shape.len().max(theirs.len());
            let mut joined = vec![Dim::from(1); rank];
            for back in 1..=rank {
                let ours = shape.len().checked_sub(back).map(|i| shape[i]);
                let other_dim = theirs.len().checked_sub(back).map(|i| theirs[i]);
                joined[rank - back] = match (ours, other_dim) {
                    (Some(d), None) | (None, Some(d)) => d,
                    (Some(d), Some(e)) if cx.equal(d, e) => d,
                    (Some(d), Some(e)) if e.is_const(1) => d,
                    (Some(d), Some(e)) if d.is_const(1) => e,
                    (Some(d), Some(e)) => {
                        let message =
                            format!("`{what}` joins shapes that do not agree: `{d}` and `{e}`");
                        let shown = |s: &[Dim]| format!("this has shape {s:?}");
                        let diagnostic = Diagnostic::new("E0301", span, message)
                            .label(format!("`{d}` and `{e}` differ in axis -{back}"))
                            .related(operands[0].1, shown(&shape))
                            .related(*other_span, shown(&theirs));
                        self.report(diagnostic);
                        return None;
                    }
                    (None, None) => Dim::from(1),
                };
            }
            shape = joined;
        }
        Some(shape)
    }

    /// Broadcasts to a shape that is known to fit, trailing axes aligned.
    pub(crate) fn spread(&mut self, cx: &mut Cx, x: Value, shape: &[Dim]) -> Value {
        let rank = cx.b.ty(x).rank();
        let axes: Vec<usize> = (shape.len() - rank..shape.len()).collect();
        self.spread_axes(cx, x, shape, &axes)
    }

    /// Broadcasts with operand axis k at result axis `axes[k]`. Dimensions that are equal by what is
    /// known but written otherwise are brought into the result's form first.
    pub(crate) fn spread_axes(
        &mut self,
        cx: &mut Cx,
        x: Value,
        shape: &[Dim],
        axes: &[usize],
    ) -> Value {
        let own = cx.shape(x);
        let same: Vec<Dim> = own
            .iter()
            .zip(axes)
            .map(|(d, a)| {
                if d.is_const(1) && !cx.equal(*d, shape[*a]) {
                    *d
                } else {
                    shape[*a]
                }
            })
            .collect();
        let x = if same == own {
            x
        } else {
            cx.b.reshape(x, &same)
        };
        cx.b.broadcast(x, shape, axes)
    }

    /// `a @ b` over the last axis of a and the last but one of b; leading axes broadcast.
    fn matmul(&mut self, cx: &mut Cx, a: Operand, b: Operand, span: Span) -> Val {
        let Some(x) = self.tensor(cx, a.val, None, a.span) else {
            return Val::Poison;
        };
        let Some(y) = self.tensor(cx, b.val, None, b.span) else {
            return Val::Poison;
        };
        let (tx, ty) = (cx.b.ty(x).clone(), cx.b.ty(y).clone());
        for (ty, operand) in [(&tx, a.span), (&ty, b.span)] {
            if ty.rank() == 0 {
                let message = "`@` takes tensors of rank 1 or more";
                return self.fail(Diagnostic::new("E0301", operand, message).label("a scalar"));
            }
        }
        if tx.dtype() != ty.dtype() || !tx.dtype().is_numeric() {
            let message = format!("`@` joins {} and {}", tx.dtype(), ty.dtype());
            return self.error("E0302", span, message);
        }
        let (rx, ry) = (tx.rank(), ty.rank());
        let (kx, ky) = (tx.shape()[rx - 1], ty.shape()[ry.max(2) - 2]);
        if !cx.equal(kx, ky) {
            let message = format!("`@` sums over axes that do not agree: `{kx}` and `{ky}`");
            let diagnostic = Diagnostic::new("E0301", span, message)
                .related(a.span, format!("`{tx}`: its last axis is `{kx}`"))
                .related(b.span, format!("`{ty}`: its axis -2 is `{ky}`"));
            return self.fail(diagnostic);
        }
        let (lead_x, lead_y) = (&tx.shape()[..rx.max(2) - 2], &ty.shape()[..ry.max(2) - 2]);
        let Some(lead) = self.leading(cx, lead_x, lead_y, span) else {
            return Val::Poison;
        };
        // The index space: leading, m, n, k.
        let mut space = lead.clone();
        let mut place = |dim: Dim| {
            space.push(dim);
            space.len() - 1
        };
        let m = (rx > 1).then(|| place(tx.shape()[rx - 2]));
        let n = (ry > 1).then(|| place(ty.shape()[ry - 1]));
        let k = place(kx);
        let map = |own: &[Dim], tail: Vec<usize>| {
            let skip = lead.len() - own.len();
            let mut coords: Vec<aiai_ir::AffineExpr> = (0..own.len())
                .map(|i| {
                    if own[i].is_const(1) && !lead[skip + i].is_const(1) {
                        aiai_ir::AffineExpr::constant(Dim::from(0))
                    } else {
                        aiai_ir::AffineExpr::index(skip + i)
                    }
                })
                .collect();
            coords.extend(tail.into_iter().map(aiai_ir::AffineExpr::index));
            AffineMap { coords }
        };
        let left = map(lead_x, m.into_iter().chain([k]).collect());
        let right = map(lead_y, [k].into_iter().chain(n).collect());
        let out: Vec<usize> = (0..lead.len()).chain(m).chain(n).collect();
        let shape = out.iter().map(|&i| space[i]).collect();
        let acc = tx.dtype().default_accumulator();
        let op = Op::Contract {
            space,
            maps: vec![left, right],
            out: AffineMap::of_indices(out),
            shape,
            acc,
        };
        self.apply(cx, op, &[x, y], span)
    }

    fn leading(&mut self, cx: &Cx, a: &[Dim], b: &[Dim], span: Span) -> Option<Vec<Dim>> {
        let rank = a.len().max(b.len());
        let mut joined = Vec::with_capacity(rank);
        for i in 0..rank {
            let pick = |s: &[Dim]| (i + s.len()).checked_sub(rank).map(|k| s[k]);
            joined.push(match (pick(a), pick(b)) {
                (Some(d), None) | (None, Some(d)) => d,
                (Some(d), Some(e)) if cx.equal(d, e) || e.is_const(1) => d,
                (Some(d), Some(e)) if d.is_const(1) => e,
                (Some(d), Some(e)) => {
                    let message =
                        format!("`@` joins leading axes that do not agree: `{d}` and `{e}`");
                    self.report(Diagnostic::new("E0301", span, message));
                    return None;
                }
                (None, None) => Dim::from(1),
            });
        }
        Some(joined)
    }
}

fn fold_dims(cx: &Cx, op: BinaryOp, x: Dim, y: Dim) -> Option<Val> {
    let truth = |relation, dim| match cx.facts.check(relation, dim) {
        Truth::True => Some(Val::Bool(true)),
        Truth::False => Some(Val::Bool(false)),
        Truth::Unknown => None,
    };
    let one = Dim::from(1);
    match op {
        BinaryOp::Add => Some(Val::Dim(x + y)),
        BinaryOp::Sub => Some(Val::Dim(x - y)),
        BinaryOp::Mul => Some(Val::Dim(x * y)),
        BinaryOp::Div if !y.is_const(0) => Some(Val::Dim(x.floor_div(y))),
        BinaryOp::Rem if !y.is_const(0) => Some(Val::Dim(x - x.floor_div(y) * y)),
        BinaryOp::Compare(CompareOp::Eq) => truth(Relation::Zero, x - y),
        BinaryOp::Compare(CompareOp::Ne) => truth(Relation::NonZero, x - y),
        BinaryOp::Compare(CompareOp::Ge) => truth(Relation::NonNegative, x - y),
        BinaryOp::Compare(CompareOp::Gt) => truth(Relation::NonNegative, x - y - one),
        BinaryOp::Compare(CompareOp::Le) => truth(Relation::NonNegative, y - x),
        BinaryOp::Compare(CompareOp::Lt) => truth(Relation::NonNegative, y - x - one),
        BinaryOp::Div | BinaryOp::Rem | BinaryOp::MatMul | BinaryOp::And | BinaryOp::Or => None,
    }
}

pub(crate) fn compare_kind(op: CompareOp) -> CompareKind {
    match op {
        CompareOp::Eq => CompareKind::Eq,
        CompareOp::Ne => CompareKind::Ne,
        CompareOp::Lt => CompareKind::Lt,
        CompareOp::Le => CompareKind::Le,
        CompareOp::Gt => CompareKind::Gt,
        CompareOp::Ge => CompareKind::Ge,
    }
}
