//! The largest score of each row, found where a product stores its blocks: a pass along the rows less.

use aiai_ir::{BinaryKind, DType, Dim, Op, ReduceKind, Value};

use super::super::Lowerer;
use super::super::lines::Line;
use super::super::reduction::Fold;
use super::super::vectors::place;
use super::emit::Nest;

/// For softmax, which passes over NaN.
const LARGEST: Fold = Fold {
    kind: ReduceKind::Max,
    skips_nan: true,
};

/// The largest so far of each row of a tile, in the lanes of a vector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maxima {
    /// Vector by vector.
    pub buffer: Value,
    /// The row that the first is of.
    pub first: Value,
}

impl Lowerer<'_> {
    /// The maxima of nothing, for so many rows.
    pub(super) fn no_maxima(&mut self, (first, rows): (Value, i64), lanes: i64) -> Maxima {
        let buffer = self.alloc(DType::F32, &[rows, lanes].map(Dim::from));
        let none = self.identity(ReduceKind::Max, DType::F32);
        let none = self.splat(none, lanes);
        let (rows, zero, all) = (self.int(rows), self.int(0), self.int(lanes));
        self.for_loop(rows, 1, |this, row| {
            let operands = [none, buffer, row, zero, all];
            this.b.op(Op::StoreVector, &operands, Vec::new());
        });
        Maxima { buffer, first }
    }

    /// Goes on with some vectors of a row, each with how many lanes of it exist; `all` says that all do.
    pub(super) fn take_maxima(
        &mut self,
        nest: &Nest,
        row: Value,
        (vectors, all_exist): (&[(Value, Value)], bool),
    ) {
        let Some(maxima) = nest.maxima else {
            return;
        };
        let row = self.b.binary(BinaryKind::Sub, row, maxima.first);
        let outer = self.line.replace(Line::of_lanes(nest.plan.lanes));
        let (zero, all) = (self.int(0), self.int(nest.plan.lanes));
        let mut most = self.load_vector(&[maxima.buffer, row, zero, all]);
        for &(vector, count) in vectors {
            let larger = self.combine(LARGEST, most, vector);
            let at = place(&[], zero, count, all_exist);
            most = self.where_existing(&at, larger, most);
        }
        let operands = [most, maxima.buffer, row, zero, all];
        self.b.op(Op::StoreVector, &operands, Vec::new());
        self.line = outer;
    }
}
