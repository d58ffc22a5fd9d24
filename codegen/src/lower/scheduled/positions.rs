//! Where rows of a register block are in the left operand.

use aiai_ir::{BinaryKind, CompareKind, Dim, Value};

use super::super::Lowerer;
use super::emit::Nest;
use super::problem::Problem;

impl Lowerer<'_> {
    /// The positions in the left operand of the rows of a block, from that of row 0; one where they share their factors.
    pub(super) fn rows_from(&mut self, nest: &Nest, rows: &[Value], base: Value) -> Vec<Value> {
        let problem = &nest.problem;
        let first = self.moved_by_row(problem, base, rows[0]);
        if problem.row_parts.iter().all(|part| part.1.is_const(0)) {
            return vec![first];
        }
        let (by, mut positions) = (nest.rows_in_line(), vec![first]);
        for (i, &row) in rows.iter().enumerate().skip(1) {
            let step = i as i64 % by;
            positions.push(match (step, problem.row_parts.last()) {
                (1.., Some(&(_, way))) => {
                    let way = self.dim(way * Dim::from(step));
                    self.add(positions[i - step as usize], way)
                }
                _ => self.next_row(nest, (base, first), rows[0], row),
            });
        }
        positions
    }

    /// The position of another row of a block that begins with a row at a position. Where lines are at least as long as
    /// blocks, it is in the same line or in the next.
    fn next_row(
        &mut self,
        nest: &Nest,
        (base, first): (Value, Value),
        begin: Value,
        row: Value,
    ) -> Value {
        let problem = &nest.problem;
        let [(_, line_way), (line, way)] = *problem.row_parts else {
            return self.moved_by_row(problem, base, row);
        };
        if line.as_const().is_none_or(|line| line < nest.plan.rows) {
            return self.moved_by_row(problem, base, row);
        }
        let (size, zero) = (self.dim(line), self.int(0));
        let place = self.b.binary(BinaryKind::Rem, begin, size);
        let step = self.b.binary(BinaryKind::Sub, row, begin);
        let place = self.add(place, step);
        let in_next = self.b.compare(CompareKind::Ge, place, size);
        let (way, more) = (self.dim(way), self.dim(line_way - line * way));
        let way = self.mul(step, way);
        let position = self.add(first, way);
        let more = self.b.select(in_next, more, zero);
        self.add(position, more)
    }

    /// The position in the left operand of a row, from that of row 0.
    pub(super) fn moved_by_row(&mut self, problem: &Problem, base: Value, row: Value) -> Value {
        let sizes: Vec<Dim> = problem.row_parts.iter().map(|part| part.0).collect();
        let values = self.delinearize(&sizes, row);
        let mut position = base;
        for (value, &(_, stride)) in values.into_iter().zip(&problem.row_parts) {
            let stride = self.dim(stride);
            let step = self.mul(value, stride);
            position = self.add(position, step);
        }
        position
    }
}
