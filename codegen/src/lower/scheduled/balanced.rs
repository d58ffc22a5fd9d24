//! `balance rows`: register blocks about equal in height, where whole ones would not come out even.
//!
//! A whole block is as it is otherwise. The others have a loop of their own for each number of rows, whose sums wait in
//! scratch memory, and share what is done with them behind it, row by row.

use aiai_ir::schedule::Axis;
use aiai_ir::{BinaryKind, CompareKind, Dim, Op, Value};

use super::super::Lowerer;
use super::emit::{At, Nest};
use super::epilogue::Lanes;

impl<'a> Lowerer<'a> {
    /// Computes and stores a block of so many columns and as many rows as the range has.
    pub(super) fn balanced_block(&mut self, nest: &Nest, at: &At, columns: i64) {
        let rows = nest.plan.rows;
        let all = self.int(rows);
        let is_whole = self.b.compare(CompareKind::Ge, at.rows.count, all);
        self.b.begin_region(&[]);
        let memo = std::mem::take(&mut self.memo);
        self.block_of(nest, at, (rows, columns));
        let then = self.b.end_region(&[]);
        self.b.begin_region(&[]);
        self.memo.clear();
        let sums = self.alloc(nest.problem.acc, &[Dim::from(rows), Dim::from(columns)]);
        self.sums_by_height(nest, at, columns, sums, &nest.heights);
        self.rows_of_sums(nest, at, columns, sums);
        self.memo = memo;
        let otherwise = self.b.end_region(&[]);
        self.b.op(Op::If, &[is_whole], vec![then, otherwise]);
    }

    /// Adds up a block by the first loop that has enough rows.
    fn sums_by_height(&mut self, nest: &Nest, at: &At, columns: i64, to: Value, heights: &[i64]) {
        let Some((&height, others)) = heights.split_first() else {
            return;
        };
        if others.is_empty() {
            return self.sums_of(nest, at, (height, columns), to);
        }
        let most = self.int(height);
        let fits = self.b.compare(CompareKind::Le, at.rows.count, most);
        self.b.begin_region(&[]);
        let memo = std::mem::take(&mut self.memo);
        self.sums_of(nest, at, (height, columns), to);
        let then = self.b.end_region(&[]);
        self.b.begin_region(&[]);
        self.memo.clear();
        self.sums_by_height(nest, at, columns, to, others);
        self.memo = memo;
        let otherwise = self.b.end_region(&[]);
        self.b.op(Op::If, &[fits], vec![then, otherwise]);
    }

    fn sums_of(&mut self, nest: &Nest, at: &At, size: (i64, i64), to: Value) {
        let lanes = nest.plan.lanes;
        let all = self.int(lanes);
        let sums = self.block_sums(nest, at, size);
        for (k, &sum) in sums.iter().enumerate() {
            let vectors = size.1 / lanes;
            let row = self.int(k as i64 / vectors);
            let column = self.int(k as i64 % vectors * lanes);
            self.b
                .op(Op::StoreVector, &[sum, to, row, column, all], Vec::new());
        }
    }

    /// Stores what is computed from the sums of a block, row by row.
    fn rows_of_sums(&mut self, nest: &Nest, at: &At, columns: i64, sums: Value) {
        self.for_loop(at.rows.count, 1, |this, i| {
            let row = this.add(at.rows.low, i);
            for first in (0..columns).step_by(nest.plan.lanes as usize) {
                let step = this.int(first);
                let column = this.add(at.columns.low, step);
                let all = this.int(nest.plan.lanes);
                let count = match nest.even_columns {
                    true => all,
                    false => {
                        let size = this.dim(nest.problem.last(Axis::Columns));
                        this.b.binary(BinaryKind::Sub, size, column)
                    }
                };
                let load = Op::LoadVector {
                    lanes: nest.plan.lanes,
                    stride: 1,
                };
                let product = this.b.value(load, &[sums, i, step, all]);
                let lanes = Lanes {
                    product,
                    row,
                    column,
                    count,
                };
                this.store_lanes(nest, at, &lanes, true);
            }
        });
    }
}
