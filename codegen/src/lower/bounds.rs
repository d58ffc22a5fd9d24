//! What ops assume of sizes: what does not follow from the requirements of the function is checked
//! where the op stands, so that no loop leaves its buffers.

use aiai_ir::{AffineMap, BinaryKind, CompareKind, Dim, Op, OpNode, Relation, Truth, Value};

use super::Lowerer;

impl Lowerer<'_> {
    /// Checks that sizes are not negative, and that accesses stay inside.
    pub fn check_sizes(&mut self, node: &OpNode) {
        for &result in &node.results {
            for &dim in self.shape(result) {
                self.ensure(Relation::NonNegative, dim, &[], || {
                    format!("the dimension `{dim}` is at least 0")
                });
            }
        }
        match &node.op {
            Op::Slice {
                starts,
                limits,
                strides,
            } => {
                let shape = self.shape(node.operands[0]);
                for k in 0..shape.len() {
                    let message = || format!("a slice stays inside an axis of `{}`", shape[k]);
                    self.ensure(Relation::NonNegative, starts[k], &[], message);
                    self.ensure(Relation::NonNegative, shape[k] - limits[k], &[], message);
                    self.ensure(
                        Relation::NonNegative,
                        strides[k] - Dim::from(1),
                        &[],
                        message,
                    );
                }
            }
            Op::Reshape { shape } => {
                let from = Dim::product(self.shape(node.operands[0]).iter().copied());
                let to = Dim::product(shape.iter().copied());
                if from != to {
                    let message = || format!("`{from}` elements become `{to}`");
                    self.ensure(Relation::Zero, from - to, &[], message);
                }
            }
            Op::Pad { low, high } => {
                for &amount in low.iter().chain(high) {
                    self.ensure(Relation::NonNegative, amount, &[], || {
                        format!("padding by `{amount}` is not negative")
                    });
                }
            }
            Op::Scan { step, .. } => {
                self.ensure(Relation::NonZero, *step, &[], || {
                    "the step of a loop is not 0".into()
                });
            }
            Op::Contract {
                space, maps, out, ..
            } => {
                for (map, &operand) in maps.iter().zip(&node.operands) {
                    self.check_map(space, map, self.shape(operand));
                }
                self.check_map(space, out, self.shape(node.results[0]));
            }
            _ => {}
        }
    }

    /// Every coordinate of a map stays inside its axis over the whole space, if that has a point.
    fn check_map(&mut self, space: &[Dim], map: &AffineMap, shape: &[Dim]) {
        for (coordinate, &size) in map.coords.iter().zip(shape) {
            let (mut low, mut high) = (coordinate.offset, coordinate.offset);
            let message = || format!("an access stays inside an axis of `{size}`");
            for &(index, coefficient) in &coordinate.terms {
                let reach = coefficient * (space[index] - Dim::from(1));
                if self.facts.check(Relation::NonNegative, -coefficient) == Truth::True {
                    low = low + reach;
                } else {
                    self.ensure(Relation::NonNegative, coefficient, space, message);
                    high = high + reach;
                }
            }
            // A bare index over the whole axis needs no thought.
            if high != size - Dim::from(1) {
                self.ensure(
                    Relation::NonNegative,
                    size - Dim::from(1) - high,
                    space,
                    message,
                );
            }
            self.ensure(Relation::NonNegative, low, space, message);
        }
    }

    /// Stops the program unless `dim relation 0`, or one of the `unless` is 0.
    fn ensure(
        &mut self,
        relation: Relation,
        dim: Dim,
        unless: &[Dim],
        message: impl Fn() -> String,
    ) {
        if self.checked.contains(&(relation, dim)) || self.facts.check(relation, dim) == Truth::True
        {
            return;
        }
        let kind = match relation {
            Relation::Zero => CompareKind::Eq,
            Relation::NonZero => CompareKind::Ne,
            Relation::NonNegative => CompareKind::Ge,
        };
        let mut holds = self.compare_with_zero(kind, dim);
        for &empty in unless {
            if self.facts.check(Relation::NonZero, empty) != Truth::True {
                let is_empty = self.compare_with_zero(CompareKind::Eq, empty);
                holds = self.b.binary(BinaryKind::Or, holds, is_empty);
            }
        }
        let message = message();
        self.b.op(Op::Assert { message }, &[holds], Vec::new());
        if unless.is_empty() {
            self.checked.insert((relation, dim));
        }
    }

    fn compare_with_zero(&mut self, kind: CompareKind, dim: Dim) -> Value {
        let (value, zero) = (self.dim(dim), self.int(0));
        self.b.compare(kind, value, zero)
    }
}
