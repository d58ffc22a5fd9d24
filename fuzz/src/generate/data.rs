//! Constants, counters, random bits, and values of a given type.

use aiai_ir::{DType, Dim, Literal, Op, Scalar, Type, Value};

use super::Writer;
use crate::inputs::random_scalar;

impl Writer<'_, '_, '_> {
    pub(super) fn data(&mut self) -> Option<()> {
        let dtype = self.dtype();
        match self.random().below(4) {
            0 => {
                let shape = self.shape(2);
                self.iota(dtype, &shape).map(drop)
            }
            1 => {
                let dim = self.dim();
                self.one(Op::DimValue { dim }, &[]).map(drop)
            }
            2 => {
                let count = self.random().below(5);
                self.literal(dtype, vec![count]).map(drop)
            }
            _ => self.random_bits(),
        }
    }

    fn random_bits(&mut self) -> Option<()> {
        let key = self.of_type(&Type::tensor(DType::U32, [Dim::from(2)]))?;
        let shape = self.shape(2);
        self.one(Op::RandomBits { shape }, &[key]).map(drop)
    }

    fn iota(&mut self, dtype: DType, shape: &[Dim]) -> Option<Value> {
        if shape.is_empty() || dtype == DType::Bool {
            return None;
        }
        let axis = self.random().below(shape.len());
        self.one(
            Op::Iota {
                dtype,
                shape: shape.to_vec(),
                axis,
            },
            &[],
        )
    }

    fn literal(&mut self, dtype: DType, shape: Vec<usize>) -> Option<Value> {
        let count = shape.iter().product();
        let random = self.random();
        let elements: Vec<Scalar> = (0..count)
            .map(|_| random_scalar(random, dtype, 20))
            .collect();
        self.one(
            Op::Constant {
                value: Literal::from_elements(dtype, shape, &elements),
            },
            &[],
        )
    }

    /// A new value of a type: a parameter, a counter, a constant, or something broadcast.
    pub(super) fn fresh(&mut self, ty: &Type) -> Option<Value> {
        if self.is_entry && self.builder.function.param_names.len() < 8 && self.random().one_in(2) {
            let name = format!("p{}", self.builder.function.param_names.len());
            let value = self.builder.add_param(&name, ty.clone(), false);
            if self.depth == 0 {
                self.pool.push(value);
            }
            return Some(value);
        }
        if self.random().one_in(4)
            && let Some(counter) = self.iota(ty.dtype(), ty.shape())
        {
            return Some(counter);
        }
        if let Some(suffix) = self.any_of(|t| {
            t.dtype() == ty.dtype() && t.rank() < ty.rank() && ty.shape().ends_with(t.shape())
        }) {
            let axes = (ty.rank() - self.ty(suffix).rank()..ty.rank()).collect();
            return self.one(
                Op::Broadcast {
                    shape: ty.shape().to_vec(),
                    axes,
                },
                &[suffix],
            );
        }
        let sizes: Option<Vec<usize>> = ty
            .shape()
            .iter()
            .map(|d| d.as_const().and_then(|n| usize::try_from(n).ok()))
            .collect();
        if let Some(sizes) = sizes
            && sizes.iter().product::<usize>() <= 16
        {
            return self.literal(ty.dtype(), sizes);
        }
        let scalar = self.literal(ty.dtype(), Vec::new())?;
        self.one(
            Op::Broadcast {
                shape: ty.shape().to_vec(),
                axes: Vec::new(),
            },
            &[scalar],
        )
    }
}
