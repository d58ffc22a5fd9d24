//! The order of ops that do the same for several vectors: step by step for all of them, not vector by vector. A processor
//! looks ahead only so far, and finds in the first order what does not wait for anything.

use std::collections::{HashMap, HashSet};

use aiai_ir::{Op, OpNode, Value};

use super::usage::is_expensive;

/// Registers of 512 bits that vectors are kept in, at most: of the 32 that there are, the others hold constants. Where
/// registers are narrower there are fewer, and machine code puts the ops in another order.
const REGISTERS: usize = 24;
/// Of them a function such as exp needs so many times those of its argument beside it.
const OF_FUNCTION: usize = 3;

/// The ops of several bodies that do the same, as many of them step by step as registers can hold. `registers` is how many
/// a value needs, none where it is no vector.
pub fn in_step(bodies: Vec<Vec<OpNode>>, registers: impl Fn(Value) -> usize) -> Vec<OpNode> {
    let fits = bodies.iter().all(|b| is_straight(b) && !reads_back(b));
    let live = bodies.iter().map(|body| most_live(body, &registers)).max();
    let abreast = match fits {
        true => (REGISTERS / live.unwrap_or(1).max(1)).max(1),
        false => 1,
    };
    let mut all = Vec::new();
    let mut bodies = bodies.into_iter().peekable();
    while bodies.peek().is_some() {
        let some: Vec<OpNode> = bodies.by_ref().take(abreast).flatten().collect();
        all.extend(if abreast > 1 { by_level(some) } else { some });
    }
    all
}

/// The same ops, ordered by how many of them lie behind each on the way to what is last; loads come before all stores.
/// The same functions of one level are neighbours.
fn by_level(ops: Vec<OpNode>) -> Vec<OpNode> {
    let function = |node: &OpNode| match node.op {
        Op::Unary { kind } if is_expensive(&node.op) => Some(kind as usize),
        _ => None,
    };
    let levels = levels(&ops).into_iter();
    let mut ordered: Vec<_> = levels
        .zip(ops)
        .map(|(level, node)| ((level, function(&node)), node))
        .collect();
    ordered.sort_by_key(|(place, _)| *place);
    ordered.into_iter().map(|(_, node)| node).collect()
}

/// Whether a body may read what it has stored.
fn reads_back(body: &[OpNode]) -> bool {
    let mut stored: Vec<Value> = Vec::new();
    body.iter().any(|node| match node.op {
        Op::StoreVector => {
            stored.push(node.operands[1]);
            false
        }
        Op::Load | Op::LoadVector { .. } => stored.contains(&node.operands[0]),
        _ => false,
    })
}

/// How many registers the vectors of a body need at one time, at most, in the order in which its ops stand.
fn most_live(body: &[OpNode], registers: impl Fn(Value) -> usize) -> usize {
    let mut live: HashSet<Value> = HashSet::new();
    let (mut now, mut most) = (0, 0);
    for node in body.iter().rev() {
        for &result in &node.results {
            now -= if live.remove(&result) {
                registers(result)
            } else {
                0
            };
        }
        for &operand in &node.operands {
            now += if live.insert(operand) {
                registers(operand)
            } else {
                0
            };
        }
        let within = match is_expensive(&node.op) {
            true => OF_FUNCTION * registers(node.operands[0]),
            false => 0,
        };
        most = most.max(now + within);
    }
    most
}

/// Whether no op has a part in control flow, or an effect but a store.
fn is_straight(body: &[OpNode]) -> bool {
    let fits = |node: &OpNode| {
        matches!(
            node.op,
            Op::Constant { .. }
                | Op::DimValue { .. }
                | Op::Unary { .. }
                | Op::Binary { .. }
                | Op::Compare { .. }
                | Op::Select
                | Op::Cast { .. }
                | Op::StopGradient
                | Op::Iota { .. }
                | Op::Broadcast { .. }
                | Op::Fma
                | Op::View { .. }
                | Op::Load
                | Op::LoadVector { .. }
                | Op::StoreVector
                | Op::Prefetch
        )
    };
    body.iter().all(fits)
}

/// As late as each op can be; what asks for memory is as early as it can be.
fn levels(ops: &[OpNode]) -> Vec<i64> {
    let mut earliest: HashMap<Value, i64> = HashMap::new();
    let mut levels = Vec::new();
    for node in ops {
        let of = |v: &Value| earliest.get(v).map_or(0, |level| level + 1);
        let level = node.operands.iter().map(of).max().unwrap_or(0);
        earliest.extend(node.results.iter().map(|&v| (v, level)));
        levels.push(level);
    }
    let last = levels.iter().copied().max().unwrap_or(0);
    let mut latest: HashMap<Value, i64> = HashMap::new();
    for (node, level) in ops.iter().zip(&mut levels).rev() {
        let waiting = node.results.iter().filter_map(|v| latest.get(v)).min();
        *level = match (waiting, &node.op) {
            (Some(waiting), _) => waiting - 1,
            (None, Op::Prefetch) => *level,
            (None, _) => last,
        };
        for &operand in &node.operands {
            let before = latest.entry(operand).or_insert(*level);
            *before = (*before).min(*level);
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use aiai_ir::{BinaryKind, Builder, DType, Dim, Function, Type, UnaryKind};

    use super::*;

    /// So many bodies that each load a vector, add `sums` others to it, take the exponential and store it; the ops of all.
    fn ordered(bodies: i64, sums: usize) -> Vec<OpNode> {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let lanes = Dim::from(16);
        let memory = Type::Buffer {
            dtype: DType::F32,
            shape: [Dim::from(1024)].into_iter().collect(),
        };
        let memory = b.add_param("memory", memory, false);
        let others: Vec<Value> = (0..sums)
            .map(|_| b.add_param("other", Type::tensor(DType::F32, vec![lanes]), false))
            .collect();
        let all = b.scalar(DType::I64, 16.0);
        let bodies: Vec<Vec<OpNode>> = (0..bodies)
            .map(|k| {
                b.begin_region(&[]);
                let place = b.scalar(DType::I64, 16.0 * k as f64);
                let load = Op::LoadVector {
                    lanes: 16,
                    stride: 1,
                };
                let mut x = b.value(load, &[memory, place, all]);
                for &other in &others {
                    x = b.binary(BinaryKind::Add, x, other);
                }
                let y = b.unary(UnaryKind::Exp, x);
                // Of the level of the exponential: made anew for each body, as code generation does.
                let one = b.scalar(DType::F32, 1.0);
                let one = b.broadcast(one, &[lanes], &[]);
                let y = b.binary(BinaryKind::Add, one, y);
                b.op(Op::StoreVector, &[y, memory, place, all], Vec::new());
                b.end_region(&[]).ops
            })
            .collect();
        let is_vector =
            |v: Value| matches!(b.ty(v), Type::Tensor { shape, .. } if shape.len() == 1);
        in_step(bodies, |v| usize::from(is_vector(v)))
    }

    /// How many exponentials stand next to one another, in each place where some do.
    fn runs(ops: &[OpNode]) -> Vec<usize> {
        let is_exp = |node: &OpNode| matches!(node.op, Op::Unary { .. });
        let parts = ops.split(|node| !is_exp(node));
        parts.map(<[OpNode]>::len).filter(|&n| n > 0).collect()
    }

    #[test]
    fn bodies_stand_step_by_step_and_every_value_before_its_uses() {
        let ops = ordered(4, 1);
        assert_eq!(runs(&ops), [4]);
        let first_store = ops.iter().position(|n| n.op == Op::StoreVector);
        let last_exp = ops.iter().rposition(|n| matches!(n.op, Op::Unary { .. }));
        assert!(last_exp < first_store);
        let made: Vec<Value> = ops.iter().flat_map(|n| n.results.clone()).collect();
        for (k, node) in ops.iter().enumerate() {
            let before: Vec<Value> = ops[..k].iter().flat_map(|n| n.results.clone()).collect();
            for operand in &node.operands {
                assert!(!made.contains(operand) || before.contains(operand));
            }
        }
    }

    #[test]
    fn bodies_that_read_back_what_they_store_stay_as_they_are() {
        let mut function = Function::new("f");
        let mut b = Builder::new(&mut function);
        let memory = Type::Buffer {
            dtype: DType::F32,
            shape: [Dim::from(1024)].into_iter().collect(),
        };
        let memory = b.add_param("memory", memory, false);
        let (zero, all) = (b.scalar(DType::I64, 0.0), b.scalar(DType::I64, 16.0));
        let load = Op::LoadVector {
            lanes: 16,
            stride: 1,
        };
        let body = |b: &mut Builder| {
            b.begin_region(&[]);
            let x = b.value(load.clone(), &[memory, zero, all]);
            b.op(Op::StoreVector, &[x, memory, all, all], Vec::new());
            let y = b.value(load.clone(), &[memory, all, all]);
            b.op(Op::StoreVector, &[y, memory, zero, all], Vec::new());
            b.end_region(&[]).ops
        };
        let bodies = vec![body(&mut b), body(&mut b)];
        assert_eq!(in_step(bodies.clone(), |_| 1), bodies.concat());
    }

    #[test]
    fn no_more_bodies_stand_side_by_side_than_registers_hold() {
        // Of eight sums nine vectors are needed at one time: two bodies have 18 of the 24.
        assert_eq!(runs(&ordered(4, 8)), [2, 2]);
        assert_eq!(runs(&ordered(5, 8)), [2, 2, 1]);
        assert_eq!(runs(&ordered(2, 40)), [1, 1]);
    }
}
