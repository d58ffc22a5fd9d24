//! Reductions and sorts.

use aiai_ir::{ArgKind, BinaryKind, DType, Op, ReduceKind, Value};

use super::Writer;

impl Writer<'_, '_, '_> {
    pub(super) fn reduction(&mut self) -> Option<()> {
        let x = self.any_of(|t| t.rank() > 0)?;
        let ty = self.ty(x);
        let axis = self.random().below(ty.rank());
        let work = self.count(ty.shape())?;
        match self.random().below(7) {
            0 => {
                let kind = self.random().pick(ArgKind::ALL)?;
                self.emit(Op::ArgReduce { kind, axis }, &[x], Vec::new(), work)
                    .map(drop)
            }
            1 => {
                let mut operands: Vec<Value> = vec![x];
                while self.random().one_in(2) && operands.len() < 3 {
                    operands.extend(self.any_of(|t| t.shape() == ty.shape()));
                }
                let descending = self.random().one_in(2);
                self.emit(
                    Op::Sort { axis, descending },
                    &operands,
                    Vec::new(),
                    work * 4,
                )
                .map(drop)
            }
            2 => self.rows(x),
            _ => {
                let mut axes: Vec<usize> =
                    (0..ty.rank()).filter(|_| self.random().one_in(2)).collect();
                if axes.is_empty() {
                    axes.push(axis);
                }
                let (kind, acc) = self.reduce_kind(ty.dtype());
                self.emit(Op::Reduce { kind, axes, acc }, &[x], Vec::new(), work)
                    .map(drop)
            }
        }
    }

    /// Rows along the last axis, each combined with what it is reduced to, as in softmax: once or more.
    fn rows(&mut self, x: Value) -> Option<()> {
        let ty = self.ty(x);
        let (last, work) = (ty.rank() - 1, self.count(ty.shape())?);
        let mut row = x;
        for _ in 0..self.random().between(1, 3) {
            let (kind, acc) = self.reduce_kind(ty.dtype());
            let axes = vec![last];
            let mut one = self.emit(Op::Reduce { kind, axes, acc }, &[row], Vec::new(), work)?[0];
            if self.random().one_in(2) {
                let mut shape = ty.shape().to_vec();
                shape[last] = 1.into();
                one = self.emit(Op::Reshape { shape }, &[one], Vec::new(), work)?[0];
            }
            let kind = match ty.dtype() {
                DType::Bool => BinaryKind::Xor,
                _ => self.random().choose([
                    BinaryKind::Add,
                    BinaryKind::Sub,
                    BinaryKind::Mul,
                    BinaryKind::Min,
                ]),
            };
            if self.random().one_in(2) {
                one = self.emit(Op::Binary { kind }, &[one, one], Vec::new(), work)?[0];
            }
            let spread = Op::Broadcast {
                shape: ty.shape().to_vec(),
                axes: (0..self.ty(one).rank()).collect(),
            };
            one = self.emit(spread, &[one], Vec::new(), work)?[0];
            row = self.emit(Op::Binary { kind }, &[row, one], Vec::new(), work)?[0];
        }
        Some(())
    }

    fn reduce_kind(&mut self, dtype: DType) -> (ReduceKind, DType) {
        if dtype == DType::Bool {
            return (
                self.random().choose([ReduceKind::Any, ReduceKind::All]),
                DType::Bool,
            );
        }
        let kinds = [
            ReduceKind::Sum,
            ReduceKind::Sum,
            ReduceKind::Prod,
            ReduceKind::Max,
            ReduceKind::Min,
        ];
        (self.random().choose(kinds), self.accumulator(dtype))
    }

    /// Mostly the default; sometimes a wider one.
    pub(super) fn accumulator(&mut self, dtype: DType) -> DType {
        let wide = if dtype.is_float() {
            DType::F64
        } else {
            DType::I64
        };
        if self.random().one_in(6) {
            wide
        } else {
            dtype.default_accumulator()
        }
    }
}
