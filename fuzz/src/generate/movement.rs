//! Ops that move elements.

use aiai_ir::dim::Atom;
use aiai_ir::{BinaryKind, DType, Dim, Op, ScatterKind, Type, Value};

use super::Writer;

impl Writer<'_, '_, '_> {
    pub(super) fn movement(&mut self) -> Option<()> {
        match self.random().below(12) {
            0 => self.broadcast(),
            1 | 2 => self.reshape(),
            3 => self.permute(),
            4 => self.slice(),
            5 => self.pad(),
            6 => self.concat(),
            7 => self.reverse(),
            8 => self.gather(),
            9 => self.scatter(),
            10 => self.dynamic_slice(),
            _ => self.dynamic_update(),
        }
    }

    fn ranked(&mut self) -> Option<Value> {
        self.any_of(|t| t.rank() > 0)
    }

    /// New axes around and between, and axes of size 1 stretched.
    fn broadcast(&mut self) -> Option<()> {
        let x = self.any();
        let (mut shape, mut axes) = (Vec::new(), Vec::new());
        for dim in self.shape_of(x) {
            if self.random().one_in(3) {
                shape.push(self.dim());
            }
            axes.push(shape.len());
            let stretch = dim.is_const(1) && self.random().one_in(2);
            shape.push(if stretch { self.dim() } else { dim });
        }
        if shape.len() < 4 && self.random().one_in(3) {
            shape.push(self.dim());
        }
        self.one(Op::Broadcast { shape, axes }, &[x]).map(drop)
    }

    /// Merges two axes, splits one, adds or drops an axis of size 1.
    fn reshape(&mut self) -> Option<()> {
        let x = self.any();
        let mut shape = self.shape_of(x);
        for _ in 0..self.random().between(1, 3) {
            let at = self.random().below(shape.len());
            match self.random().below(4) {
                0 if at + 1 < shape.len() => {
                    let next = shape.remove(at + 1);
                    shape[at] = shape[at] * next;
                }
                1 if at < shape.len() && shape.len() < 5 => {
                    if let Some((a, b)) = split(shape[at]) {
                        shape[at] = a;
                        shape.insert(at + 1, b);
                    }
                }
                2 if shape.len() < 5 => shape.insert(at, Dim::from(1)),
                _ => shape.retain(|d| !d.is_const(1)),
            }
        }
        self.one(Op::Reshape { shape }, &[x]).map(drop)
    }

    fn permute(&mut self) -> Option<()> {
        let x = self.any_of(|t| t.rank() > 1)?;
        let mut axes: Vec<usize> = (0..self.ty(x).rank()).collect();
        self.random().shuffle(&mut axes);
        self.one(Op::Permute { axes }, &[x]).map(drop)
    }

    fn slice(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let (mut starts, mut limits, mut strides) = (Vec::new(), Vec::new(), Vec::new());
        for dim in self.shape_of(x) {
            let [low, high] = [0, 1].map(|_| Dim::from(self.random().choose([0, 0, 0, 1, 2])));
            let (start, limit) = match self.random().below(6) {
                0 => (low, low + high),
                1 => (low, dim.floor_div(Dim::from(2)) + low),
                2 => (dim.floor_div(Dim::from(2)), dim),
                _ => (low, dim - high),
            };
            self.require(limit - start)?;
            self.require(dim - limit)?;
            starts.push(start);
            limits.push(limit);
            strides.push(Dim::from(self.random().choose([1, 1, 1, 2, 3])));
        }
        self.one(
            Op::Slice {
                starts,
                limits,
                strides,
            },
            &[x],
        )
        .map(drop)
    }

    fn pad(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let ty = self.ty(x);
        let value = self.of_type(&Type::scalar(ty.dtype()))?;
        let mut amount = || Dim::from(self.random().choose([0, 0, 1, 2, 3]));
        let low = ty.shape().iter().map(|_| amount()).collect();
        let high = ty.shape().iter().map(|_| amount()).collect();
        self.one(Op::Pad { low, high }, &[x, value]).map(drop)
    }

    fn concat(&mut self) -> Option<()> {
        let first = self.ranked()?;
        let ty = self.ty(first);
        let axis = self.random().below(ty.rank());
        let mut parts = vec![first];
        for _ in 0..self.random().below(3) {
            let fits = |t: &Type| {
                let mut shape = t.shape().to_vec();
                if t.dtype() != ty.dtype() || t.rank() != ty.rank() {
                    return false;
                }
                shape[axis] = ty.shape()[axis];
                shape == ty.shape()
            };
            parts.push(self.any_of(fits)?);
        }
        self.one(Op::Concat { axis }, &parts).map(drop)
    }

    fn axes_of(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|_| self.random().one_in(2)).collect()
    }

    fn reverse(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let axes = self.axes_of(self.ty(x).rank());
        self.one(Op::Reverse { axes }, &[x]).map(drop)
    }

    /// Axes of x and index tensors that address them; a few are left out of range.
    fn indices(&mut self, x: Value) -> Option<(Vec<usize>, Vec<Value>, Vec<Dim>)> {
        let dims = self.shape_of(x);
        let mut axes = self.axes_of(dims.len());
        if axes.is_empty() {
            axes.push(self.random().below(dims.len()));
        }
        self.random().shuffle(&mut axes);
        let near = self.any_of(|t| t.dtype() == DType::I64);
        let shape = match near {
            Some(index) if self.random().one_in(2) => self.shape_of(index),
            _ => self.shape(2),
        };
        let mut indices = Vec::new();
        for &axis in &axes {
            let raw = self.of_type(&Type::tensor(DType::I64, shape.clone()))?;
            if self.random().one_in(60) {
                indices.push(raw);
                continue;
            }
            self.require(dims[axis] - Dim::from(1))?;
            let size = self.one(Op::DimValue { dim: dims[axis] }, &[])?;
            let sizes = Op::Broadcast {
                shape: shape.clone(),
                axes: Vec::new(),
            };
            let sizes = self.one(sizes, &[size])?;
            indices.push(self.one(
                Op::Binary {
                    kind: BinaryKind::Rem,
                },
                &[raw, sizes],
            )?);
        }
        let rest = (0..dims.len())
            .filter(|k| !axes.contains(k))
            .map(|k| dims[k]);
        let window = shape.into_iter().chain(rest).collect();
        Some((axes, indices, window))
    }

    fn gather(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let (axes, indices, _) = self.indices(x)?;
        let operands: Vec<Value> = std::iter::once(x).chain(indices).collect();
        self.one(Op::Gather { axes }, &operands).map(drop)
    }

    fn scatter(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let dtype = self.ty(x).dtype();
        let (axes, indices, window) = self.indices(x)?;
        let kind = if dtype == DType::Bool {
            ScatterKind::Set
        } else {
            self.random().pick(ScatterKind::ALL)?
        };
        if self.count(&window)? > self.shared.options.elements {
            return None;
        }
        let updates = self.of_type(&Type::tensor(dtype, window))?;
        let operands: Vec<Value> = std::iter::once(x).chain(indices).chain([updates]).collect();
        self.one(Op::Scatter { axes, kind }, &operands).map(drop)
    }

    fn dynamic_slice(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let mut operands = vec![x];
        let mut sizes = Vec::new();
        for dim in self.shape_of(x) {
            let less = Dim::from(self.random().choose([0, 0, 1, 2]));
            let size = if self.random().one_in(3) {
                Dim::from(1) + less
            } else {
                dim - less
            };
            self.require(size)?;
            operands.push(self.position(dim - size)?);
            sizes.push(size);
        }
        self.one(Op::DynamicSlice { sizes }, &operands).map(drop)
    }

    fn dynamic_update(&mut self) -> Option<()> {
        let x = self.ranked()?;
        let ty = self.ty(x);
        let fits = |t: &Type| t.dtype() == ty.dtype() && t.rank() == ty.rank();
        let window = self.any_of(fits)?;
        let mut operands = vec![x, window];
        for (dim, size) in self.shape_of(x).into_iter().zip(self.shape_of(window)) {
            operands.push(self.position(dim - size)?);
        }
        self.one(Op::DynamicUpdate, &operands).map(drop)
    }
}

/// Two factors of a dimension that is one product, if neither is trivial.
fn split(dim: Dim) -> Option<(Dim, Dim)> {
    let [(monomial, scale)] = dim.terms() else {
        return None;
    };
    let factor = match monomial.first() {
        None => (2..=*scale)
            .find(|f| scale % f == 0 && f < scale)
            .map(Dim::from)?,
        Some(_) if *scale > 1 => Dim::from(*scale),
        Some((Atom::Sym(sym), _)) => Dim::sym(*sym),
        Some((Atom::Div(..), _)) => return None,
    };
    let rest = dim.floor_div(factor);
    (!rest.is_const(1)).then_some((factor, rest))
}
