//! Fusion: what is computed together, without a tensor in between.
//!
//! An elementwise op or view joins the op that uses it; a contraction joins the elementwise op that
//! uses its result (its epilogue), or the rows that go on from it; a reduction of rows joins what computes on from its results, also
//! where that is the rows again, as in softmax (`rows`). Where several ops use a value, they must be
//! elementwise ops of one group, or ops of one group of rows. Values that must lie in memory stay
//! tensors.

use std::collections::{HashMap, HashSet};

use aiai_ir::policy::{FuseChoice, OpClass};
use aiai_ir::{Function, FuseKind, Op, OpNode, Region, Value};

mod rows;

use rows::{Rows, Tied};

/// Ops in a group, at most, where a value has several uses: what lies before one of them may be computed
/// once for every function behind it.
const MOST_OPS: usize = 32;
/// Ops in a chain, at most: what is computed together must fit the registers and the compiler.
const MOST_CHAINED: usize = 256;
/// Ops in a group of rows, at most, where a row is kept or a reduction joins: rows should stay in the
/// cache.
const MOST_ROW_OPS: usize = 128;

/// Groups the ops of a function.
pub fn fuse(function: &mut Function, choices: &[FuseChoice]) {
    let mut body = std::mem::take(&mut function.body);
    rows::insert_axes_by_broadcast(function, &mut body);
    let tensors = Tensors::of(function, &body);
    region(function, &mut body, &tensors, choices);
    function.body = body;
}

/// Values that are not computed where they are used.
#[derive(Default)]
struct Tensors {
    /// Read at computed places or by kernels, results, or used in an inner region.
    in_memory: HashSet<Value>,
    /// Functions that would be computed again for every repetition of a broadcast.
    repeated: HashSet<Value>,
}

impl Tensors {
    fn of(function: &Function, body: &Region) -> Tensors {
        let mut makers: HashMap<Value, &OpNode> = HashMap::new();
        let mut found = Tensors::default();
        body.walk(&mut |node| {
            for inner in &node.regions {
                found.in_memory.extend(crate::clone::captured(inner));
                found.in_memory.extend(&inner.yields);
            }
            makers.extend(node.results.iter().map(|&r| (r, node)));
        });
        body.walk(&mut |node| {
            let repeats = matches!(node.op, Op::Broadcast { .. })
                && function.ty(node.results[0]).shape() != function.ty(node.operands[0]).shape();
            for &operand in &node.operands {
                let costly = makers.get(&operand).is_some_and(|m| !m.op.is_view());
                if node.op.reads_memory() {
                    found.in_memory.insert(operand);
                } else if repeats && costly {
                    found.repeated.insert(operand);
                }
            }
        });
        found.in_memory.extend(&body.yields);
        found
    }
}

fn region(
    function: &mut Function,
    region_: &mut Region,
    tensors: &Tensors,
    choices: &[FuseChoice],
) {
    for node in &mut region_.ops {
        for inner in &mut node.regions {
            region(function, inner, tensors, choices);
        }
    }
    let leader = leaders(function, &region_.ops, tensors, choices);
    let mut members: Vec<Vec<OpNode>> = vec![Vec::new(); region_.ops.len()];
    for (at, node) in std::mem::take(&mut region_.ops).into_iter().enumerate() {
        if leader[at] != at {
            members[leader[at]].push(node);
            continue;
        }
        let group = std::mem::take(&mut members[at]);
        region_.ops.push(if group.is_empty() {
            node
        } else {
            wrap(function, group, node)
        });
    }
}

/// For every op the one whose group it belongs to; itself where it leads.
fn leaders(
    function: &Function,
    ops: &[OpNode],
    tensors: &Tensors,
    choices: &[FuseChoice],
) -> Vec<usize> {
    let mut groups = Groups::of(function, ops);
    for at in (0..ops.len()).rev() {
        let &[result] = ops[at].results.as_slice() else {
            continue;
        };
        let Some(lead) = groups.of_users(result) else {
            continue;
        };
        if tensors.in_memory.contains(&result) {
            continue;
        }
        if !groups.is_chosen(at, lead, choices) {
            continue;
        }
        if groups.joins_rows(at, lead) {
            groups.rows[lead] = groups.tied.numbers.get(&result).cloned();
        } else if tensors.repeated.contains(&result) || !groups.joins(at, lead) {
            continue;
        }
        groups.leader[at] = lead;
        groups.size[lead] += 1;
    }
    groups.leader
}

/// Groups while they are being formed, from the last op to the first.
struct Groups<'a> {
    function: &'a Function,
    ops: &'a [OpNode],
    users: HashMap<Value, Vec<usize>>,
    tied: Tied,
    leader: Vec<usize>,
    size: Vec<usize>,
    /// The rows that the group of a leader is computed by.
    rows: Vec<Option<Rows>>,
}

impl<'a> Groups<'a> {
    fn of(function: &'a Function, ops: &'a [OpNode]) -> Groups<'a> {
        let mut users: HashMap<Value, Vec<usize>> = HashMap::new();
        for (at, node) in ops.iter().enumerate() {
            for &operand in &node.operands {
                users.entry(operand).or_default().push(at);
            }
        }
        Groups {
            function,
            ops,
            users,
            tied: Tied::of(function, ops),
            leader: (0..ops.len()).collect(),
            size: vec![1; ops.len()],
            rows: vec![None; ops.len()],
        }
    }

    /// The group that all users of a value belong to.
    fn of_users(&self, value: Value) -> Option<usize> {
        let users = self.users.get(&value)?;
        let lead = self.leader[users[0]];
        let one_group = users.iter().all(|&user| self.leader[user] == lead);
        one_group.then_some(lead)
    }

    /// Whether the first choice about operations like these, if there is one, is for fusing them.
    fn is_chosen(&self, at: usize, lead: usize, choices: &[FuseChoice]) -> bool {
        let users = &self.users[&self.ops[at].results[0]];
        let producer = class(&self.ops[at].op);
        let consumer = match self.rows[lead] {
            Some(_) => OpClass::Rows,
            None => class(&self.ops[users[0]].op),
        };
        let about = |choice: &&FuseChoice| {
            choice.producer.covers(producer) && choice.consumer.covers(consumer)
        };
        choices
            .iter()
            .find(about)
            .is_none_or(|choice| choice.allows(producer, consumer, users.len(), self.size[lead]))
    }

    /// Whether an op may join a group as part of the loop that uses its result.
    fn joins(&self, at: usize, lead: usize) -> bool {
        let (node, result) = (&self.ops[at], self.ops[at].results[0]);
        let users = &self.users[&result];
        if let [user] = users.as_slice() {
            let user = &self.ops[*user];
            // Rows stay in the group that knows their numbers.
            let tied = self.tied.rows.get(&result);
            let leaves = |rows: &Rows| !rows.keeps(self.function, user) && !user.op.is_expression();
            return self.size[lead] < MOST_CHAINED
                && joins(self.function, node, user)
                && !tied.is_some_and(leaves);
        }
        if let Some(rows) = &self.rows[lead]
            && (is_elementwise(&node.op) || is_product(&node.op))
            && rows.are(self.function.ty(result).shape())
        {
            // Done once, for the whole row.
            return self.size[lead] < MOST_ROW_OPS && self.stays_in_row(result, lead, rows);
        }
        self.size[lead] < MOST_OPS
            && users.iter().all(|&user| {
                let user = &self.ops[user];
                joins(self.function, node, user) && is_elementwise(&user.op)
            })
    }

    /// Whether an op gives a number per row to a group that is, or can be, computed row by row.
    fn joins_rows(&self, at: usize, lead: usize) -> bool {
        let result = self.ops[at].results[0];
        self.tied.numbers.get(&result).is_some_and(|rows| {
            self.rows[lead].as_ref().is_none_or(|known| known == rows)
                && self.size[lead] < MOST_ROW_OPS
                && self.stays_in_row(result, lead, rows)
        })
    }

    /// Whether all that a group computes from a value stays in the row of the value.
    fn stays_in_row(&self, value: Value, lead: usize, rows: &Rows) -> bool {
        let (mut work, mut seen) = (vec![value], HashSet::new());
        while let Some(value) = work.pop() {
            for &user in self.users.get(&value).into_iter().flatten() {
                if self.leader[user] != lead || !seen.insert(user) {
                    continue;
                }
                let node = &self.ops[user];
                if !rows.keeps(self.function, node) {
                    return false;
                }
                work.extend(&node.results);
            }
        }
        true
    }
}

/// Whether an op may join one that uses its result.
fn joins(function: &Function, node: &OpNode, user: &OpNode) -> bool {
    // Scalars are computed once, where they stand.
    if !user.regions.is_empty() || function.ty(node.results[0]).rank() == 0 {
        return false;
    }
    let is_epilogue = is_product(&node.op) && is_elementwise(&user.op);
    node.op.is_expression() || is_epilogue
}

/// What choices call an op.
fn class(op: &Op) -> OpClass {
    if is_product(op) {
        OpClass::Contract
    } else if op.is_view() {
        OpClass::View
    } else if matches!(op, Op::Reduce { .. } | Op::ArgReduce { .. }) {
        OpClass::Reduction
    } else if op.is_expression() {
        OpClass::Elementwise
    } else {
        OpClass::Any
    }
}

fn is_product(op: &Op) -> bool {
    matches!(op, Op::Contract { .. }) && !op.is_view()
}

/// Whether an element depends on the elements at the same place only.
fn is_elementwise(op: &Op) -> bool {
    op.is_expression() && !op.is_view()
}

/// The group as one op, in place of its leader.
fn wrap(function: &mut Function, mut group: Vec<OpNode>, mut leader: OpNode) -> OpNode {
    let results = leader.results.clone();
    for result in &mut leader.results {
        let ty = function.ty(*result).clone();
        *result = function.new_value(ty);
    }
    let (yields, loc) = (leader.results.clone(), leader.loc);
    group.push(leader);
    let any = |test: fn(&Op) -> bool| group.iter().any(|node| test(&node.op));
    let kind = if any(is_product) {
        FuseKind::Contract
    } else if any(|op| matches!(op, Op::Reduce { .. } | Op::ArgReduce { .. })) {
        FuseKind::Rows
    } else {
        FuseKind::Elementwise
    };
    OpNode {
        op: Op::Fused { kind },
        operands: Vec::new(),
        results,
        regions: vec![Region {
            args: Vec::new(),
            ops: group,
            yields,
        }],
        loc,
    }
}

#[cfg(test)]
mod tests {
    use aiai_ir::{BinaryKind, Builder, DType, Dim, ReduceKind, Type, UnaryKind};

    use super::*;

    #[test]
    fn a_value_with_several_uses_in_one_group_joins_it() {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let n = Dim::sym("N");
        let x = b.add_param("x", Type::tensor(DType::F32, vec![n]), false);
        let h = b.binary(BinaryKind::Add, x, x);
        let e = b.unary(UnaryKind::Exp, h);
        let y = b.binary(BinaryKind::Mul, e, h);
        b.finish(&[y], &["y"]);
        fuse(&mut function, &[]);
        let [group] = function.body.ops.as_slice() else {
            panic!("{:?}", function.body.ops);
        };
        assert_eq!(group.regions[0].ops.len(), 3);
    }

    #[test]
    fn a_chain_joins_its_reduction_and_a_shared_value_does_not() {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let n = Dim::sym("N");
        let x = b.add_param("x", Type::tensor(DType::F32, vec![n, n]), false);
        let shared = b.unary(UnaryKind::Exp, x);
        let product = b.binary(BinaryKind::Mul, shared, x);
        let sum = b.reduce(ReduceKind::Sum, product, &[1]);
        let largest = b.reduce(ReduceKind::Max, shared, &[1]);
        b.finish(&[sum, largest], &["sum", "largest"]);
        fuse(&mut function, &[]);
        let names: Vec<&str> = function.body.ops.iter().map(|n| n.op.name()).collect();
        assert_eq!(names, ["exp", "fused", "reduce"]);
        let group = &function.body.ops[1];
        assert_eq!(group.regions[0].ops.len(), 2);
        assert_eq!(group.results, [sum]);
    }

    #[test]
    fn softmax_is_one_group_and_what_mixes_rows_is_not_in_it() {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let shape = [Dim::sym("B"), Dim::sym("N")];
        let x = b.add_param("x", Type::tensor(DType::F32, shape.to_vec()), false);
        let largest = b.reduce(ReduceKind::Max, x, &[1]);
        let kept = b.reshape(largest, &[shape[0], Dim::from(1)]);
        let kept = b.broadcast(kept, &shape, &[0, 1]);
        let shifted = b.binary(BinaryKind::Sub, x, kept);
        let e = b.unary(UnaryKind::Exp, shifted);
        let total = b.reduce(ReduceKind::Sum, e, &[1]);
        let total = b.broadcast(total, &shape, &[0]);
        let y = b.binary(BinaryKind::Div, e, total);
        let columns = b.reduce(ReduceKind::Sum, y, &[0]);
        b.finish(&[columns], &["columns"]);
        fuse(&mut function, &[]);
        let [group, reduce] = function.body.ops.as_slice() else {
            panic!("{:?}", function.body.ops);
        };
        assert_eq!(group.regions[0].ops.len(), 8);
        assert_eq!(reduce.operands, group.results);
    }
}
