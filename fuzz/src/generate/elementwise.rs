//! Elementwise ops.

use aiai_ir::{BinaryKind, CompareKind, DType, Op, Type, UnaryKind};

use super::Writer;

impl Writer<'_, '_, '_> {
    pub(super) fn elementwise(&mut self) -> Option<()> {
        match self.random().below(10) {
            0..3 => self.unary(),
            3..7 => self.binary(),
            7 => self.compare(),
            8 => self.select(),
            _ => self.cast(),
        }
    }

    fn unary(&mut self) -> Option<()> {
        let x = self.any();
        let dtype = self.ty(x).dtype();
        let kinds: Vec<UnaryKind> = UnaryKind::ALL
            .iter()
            .copied()
            .filter(|&kind| unary_fits(kind, dtype))
            .collect();
        let kind = self.random().pick(&kinds)?;
        self.one(Op::Unary { kind }, &[x]).map(drop)
    }

    fn binary(&mut self) -> Option<()> {
        let a = self.any();
        let ty = self.ty(a);
        let kinds: Vec<BinaryKind> = BinaryKind::ALL
            .iter()
            .copied()
            .filter(|&kind| binary_fits(kind, ty.dtype()))
            .collect();
        let kind = if ty.dtype().is_float() && self.random().one_in(2) {
            self.random()
                .choose([BinaryKind::Add, BinaryKind::Sub, BinaryKind::Mul])
        } else {
            self.random().pick(&kinds)?
        };
        let b = self.of_type(&ty)?;
        let operands = if self.random().one_in(2) {
            [a, b]
        } else {
            [b, a]
        };
        self.one(Op::Binary { kind }, &operands).map(drop)
    }

    fn compare(&mut self) -> Option<()> {
        let a = self.any();
        let ty = self.ty(a);
        let b = self.of_type(&ty)?;
        let kind = self.random().pick(CompareKind::ALL)?;
        self.one(Op::Compare { kind }, &[a, b]).map(drop)
    }

    fn select(&mut self) -> Option<()> {
        let a = self.any();
        let ty = self.ty(a);
        let b = self.of_type(&ty)?;
        let condition = self.of_type(&Type::tensor(DType::Bool, ty.shape()))?;
        self.one(Op::Select, &[condition, a, b]).map(drop)
    }

    fn cast(&mut self) -> Option<()> {
        let x = self.any();
        if self.random().one_in(6) {
            return self.one(Op::StopGradient, &[x]).map(drop);
        }
        let dtype = self.dtype();
        self.one(Op::Cast { dtype }, &[x]).map(drop)
    }
}

fn unary_fits(kind: UnaryKind, dtype: DType) -> bool {
    if kind.is_float_only() {
        dtype.is_float()
    } else if kind == UnaryKind::Not {
        !dtype.is_float()
    } else {
        dtype.is_numeric()
    }
}

fn binary_fits(kind: BinaryKind, dtype: DType) -> bool {
    let shifts = matches!(kind, BinaryKind::Shl | BinaryKind::Shr);
    match (kind.is_bitwise(), dtype) {
        (true, DType::Bool) => !shifts,
        (true, _) => !dtype.is_float(),
        (false, _) => dtype.is_numeric(),
    }
}
