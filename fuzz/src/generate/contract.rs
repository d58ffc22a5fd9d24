//! Contractions: products, windows, diagonals, accumulation into overlapping places.

use aiai_ir::{AffineExpr, AffineMap, Dim, Op, Value};

use super::Writer;

/// The index space of a contraction while it is put together.
#[derive(Default)]
struct Space {
    extents: Vec<Dim>,
}

impl Space {
    fn push(&mut self, extent: Dim) -> usize {
        self.extents.push(extent);
        self.extents.len() - 1
    }
}

impl Writer<'_, '_, '_> {
    pub(super) fn contract(&mut self) -> Option<()> {
        let first = self.any_of(|t| t.dtype().is_numeric())?;
        let dtype = self.ty(first).dtype();
        let mut operands: Vec<Value> = vec![first];
        for _ in 0..self.random().choose([0, 1, 1, 1, 1, 2]) {
            operands.extend(self.any_of(|t| t.dtype() == dtype && t.rank() > 0));
        }
        let mut space = Space::default();
        let mut maps = Vec::new();
        for &operand in &operands {
            let mut coords = Vec::new();
            for dim in self.shape_of(operand) {
                coords.push(self.read_coordinate(dim, &mut space)?);
            }
            maps.push(AffineMap { coords });
        }
        let (out, shape) = self.output(&space);
        let acc = self.accumulator(dtype);
        let work = self
            .count(&space.extents)?
            .checked_mul(operands.len() as i64)?;
        let op = Op::Contract {
            space: space.extents,
            maps,
            out,
            shape,
            acc,
        };
        self.emit(op, &operands, Vec::new(), work).map(drop)
    }

    /// How an axis is read: by an index that exists, by a new one, at a place, or by a window.
    fn read_coordinate(&mut self, dim: Dim, space: &mut Space) -> Option<AffineExpr> {
        let same: Vec<usize> = (0..space.extents.len())
            .filter(|&i| space.extents[i] == dim)
            .collect();
        match self.random().below(8) {
            0 => {
                let place = Dim::from(self.random().choose([0, 0, 1, 2]));
                self.require(dim - place - Dim::from(1))?;
                Some(AffineExpr::constant(place))
            }
            1 => self.window(dim, space),
            2..6 if !same.is_empty() => Some(AffineExpr::index(self.random().pick(&same)?)),
            _ => Some(AffineExpr::index(space.push(dim))),
        }
    }

    /// `step * i + spread * j + offset` over an axis, with a window of constant size.
    fn window(&mut self, dim: Dim, space: &mut Space) -> Option<AffineExpr> {
        let size = self.random().choose([1, 2, 3]);
        let (step, spread) = (
            self.random().choose([1, 1, 2]),
            self.random().choose([1, 1, 2]),
        );
        let offset = self.random().choose([0, 0, 1]);
        let rest = dim - Dim::from(spread * (size - 1) + offset + 1);
        self.require(rest)?;
        let places = rest.floor_div(Dim::from(step)) + Dim::from(1);
        let (i, j) = (space.push(places), space.push(Dim::from(size)));
        let terms = [(i, Dim::from(step)), (j, Dim::from(spread))];
        Some(AffineExpr::new(terms, Dim::from(offset)))
    }

    /// An output map over some of the indices, and the shape that holds all it reaches.
    fn output(&mut self, space: &Space) -> (AffineMap, Vec<Dim>) {
        let mut indices: Vec<usize> = (0..space.extents.len())
            .filter(|_| !self.random().one_in(3))
            .collect();
        self.random().shuffle(&mut indices);
        indices.truncate(4);
        let (mut coords, mut shape) = (Vec::new(), Vec::new());
        while let Some(i) = indices.pop() {
            match (self.random().below(10), indices.pop()) {
                // Both indices into one axis: places are hit more than once, or not at all.
                (0, Some(j)) => {
                    let step = Dim::from(self.random().choose([1, 1, 2]));
                    coords.push(AffineExpr::new(
                        [(i, step), (j, Dim::from(1))],
                        Dim::from(0),
                    ));
                    shape.push(space.extents[i] * step + space.extents[j]);
                }
                (_, popped) => {
                    indices.extend(popped);
                    coords.push(AffineExpr::index(i));
                    shape.push(space.extents[i]);
                }
            }
        }
        (AffineMap { coords }, shape)
    }
}
