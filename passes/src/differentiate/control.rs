//! Derivatives of branches and loops.

use aiai_ir::policy::Policies;
use aiai_ir::{BinaryKind, Builder, CompareKind, DType, Dim, Op, OpNode, Region, Type, Value};

use super::{Adjoints, DiffError, Result, Tape, index, pull, record, zeros};
use crate::clone::{Renaming, captured};

/// What a loop saved for its way back.
pub struct Saved {
    /// Per carry, its value at the start of every iteration, stacked.
    pub states: Vec<Value>,
    /// Of a `while`, how many iterations it ran.
    pub trips: Option<Value>,
}

/// Places a loop so that it also saves the state at the start of every iteration. The loop keeps its
/// results.
pub fn save(b: &mut Builder, node: OpNode, tape: &mut Tape) -> Result<()> {
    let Some(&key) = node.results.first() else {
        b.push_node(node);
        return Ok(());
    };
    let saved = match &node.op {
        Op::Scan { .. } => save_scan(b, node),
        _ => save_while(b, node)?,
    };
    tape.saved.insert(key, saved);
    Ok(())
}

fn save_scan(b: &mut Builder, mut node: OpNode) -> Saved {
    let carries = node.operands.len();
    let Op::Scan { from, to, step } = node.op else {
        unreachable!("called for scans only")
    };
    let trips = aiai_ir::ops::trip_count(from, to, step);
    let body = &mut node.regions[0];
    let states: Vec<Value> = body.args[1..=carries].to_vec();
    body.yields.extend(&states);
    let mut stacked = Vec::new();
    for state in states {
        let ty = b.ty(state).clone();
        let shape: Vec<Dim> = std::iter::once(trips)
            .chain(ty.shape().iter().copied())
            .collect();
        stacked.push(b.function.new_value(Type::tensor(ty.dtype(), shape)));
    }
    node.results.extend(&stacked);
    b.push_node(node);
    Saved {
        states: stacked,
        trips: None,
    }
}

fn save_while(b: &mut Builder, node: OpNode) -> Result<Saved> {
    let Op::While { max: Some(max) } = node.op else {
        let message = "a `while` under `grad` needs a bound: `while c with s = s0 max n { ... }`";
        return Err(DiffError {
            message: message.into(),
            loc: node.loc,
        });
    };
    let count = node.operands.len();
    let zero = index(b, Dim::from(0));
    let mut operands = node.operands.clone();
    operands.push(zero);
    let types: Vec<Type> = node.operands.iter().map(|&v| b.ty(v).clone()).collect();
    for ty in &types {
        let shape: Vec<Dim> = std::iter::once(max)
            .chain(ty.shape().iter().copied())
            .collect();
        let empty = match ty.dtype() {
            DType::Bool => b.literal(aiai_ir::Literal::bool(false)),
            dtype => b.scalar(dtype, 0.0),
        };
        operands.push(b.broadcast(empty, &shape, &[]));
    }
    let extended: Vec<Type> = operands.iter().map(|&v| b.ty(v).clone()).collect();
    let mut regions = node.regions.into_iter();
    let (mut condition, mut body) = (
        regions.next().unwrap_or_default(),
        regions.next().unwrap_or_default(),
    );
    for ty in &extended[count..] {
        let unused = b.function.new_value(ty.clone());
        condition.args.push(unused);
        let state = b.function.new_value(ty.clone());
        body.args.push(state);
    }
    extend_body(b, &mut body, count, &types);
    let mut results = node.results.clone();
    for ty in &extended[count..] {
        results.push(b.function.new_value(ty.clone()));
    }
    let saved = Saved {
        trips: Some(results[count]),
        states: results[count + 1..].to_vec(),
    };
    b.push_node(OpNode {
        op: Op::While { max: Some(max) },
        operands,
        results,
        regions: vec![condition, body],
        loc: node.loc,
    });
    Ok(saved)
}

/// Adds the counter and the writes of the state to the body of a `while`.
fn extend_body(b: &mut Builder, body: &mut Region, count: usize, types: &[Type]) {
    let args = body.args.clone();
    b.begin_existing(&args);
    let counter = args[count];
    let one = index(b, Dim::from(1));
    let next = b.binary(BinaryKind::Add, counter, one);
    let mut written = vec![next];
    for (k, ty) in types.iter().enumerate() {
        let shape: Vec<Dim> = std::iter::once(Dim::from(1))
            .chain(ty.shape().iter().copied())
            .collect();
        let row = b.reshape(args[k], &shape);
        let mut operands = vec![args[count + 1 + k], row, counter];
        for _ in ty.shape() {
            operands.push(index(b, Dim::from(0)));
        }
        written.push(b.value(Op::DynamicUpdate, &operands));
    }
    let prefix = b.end_region(&[]);
    body.ops.splice(0..0, prefix.ops);
    body.yields.extend(written);
}

/// The active float values that a region takes from outside.
fn outer(b: &Builder, tape: &Tape, region: &Region) -> Vec<Value> {
    let mut found = captured(region);
    found.retain(|v| tape.active.contains(v) && b.ty(*v).dtype().is_float());
    found
}

/// Places the region's ops once more with the given arguments and runs them backwards.
fn pullback(
    b: &mut Builder,
    region: &Region,
    args: &[Value],
    cotangents: &[Option<Value>],
    wanted: &[Value],
    policies: &Policies,
) -> Result<Vec<Option<Value>>> {
    let source = b.function.clone();
    let mut renaming = Renaming::default();
    renaming
        .values
        .extend(region.args.iter().copied().zip(args.iter().copied()));
    let tape = record(b, (&source, policies), region, renaming, wanted)?;
    pull(b, &tape, cotangents, wanted)
}

pub fn back_if(b: &mut Builder, tape: &Tape, node: &OpNode, adjoints: &mut Adjoints) -> Result<()> {
    let mut wanted = outer(b, tape, &node.regions[0]);
    for value in outer(b, tape, &node.regions[1]) {
        if !wanted.contains(&value) {
            wanted.push(value);
        }
    }
    let cotangents: Vec<Option<Value>> = node
        .results
        .iter()
        .map(|r| adjoints.0.get(r).copied())
        .collect();
    let mut regions = Vec::new();
    for region in &node.regions {
        b.begin_region(&[]);
        let parts = pullback(b, region, &[], &cotangents, &wanted, tape.policies)?;
        let parts: Vec<Value> = parts
            .into_iter()
            .zip(&wanted)
            .map(|(p, &v)| p.unwrap_or_else(|| zeros(b, v)))
            .collect();
        regions.push(b.end_region(&parts));
    }
    let results = b.op(Op::If, &node.operands, regions);
    for (value, part) in wanted.into_iter().zip(results) {
        adjoints.add(b, value, part);
    }
    Ok(())
}

/// Row `at` of a stacked tensor.
fn row(b: &mut Builder, stacked: Value, at: Value) -> Value {
    let shape = b.ty(stacked).shape()[1..].to_vec();
    let sizes: Vec<Dim> = std::iter::once(Dim::from(1))
        .chain(shape.iter().copied())
        .collect();
    let mut operands = vec![stacked, at];
    for _ in &shape {
        operands.push(index(b, Dim::from(0)));
    }
    let window = b.value(Op::DynamicSlice { sizes }, &operands);
    b.reshape(window, &shape)
}

/// One step back: from cotangents of the carries and emits of an iteration to those of its carries,
/// with the parts for outer values added to their sums.
struct Step<'a> {
    body: &'a Region,
    /// Carries whose cotangents are carried back: those of float type.
    floats: &'a [usize],
    outer: &'a [Value],
    policies: &'a Policies,
}

impl Step<'_> {
    fn back(
        &self,
        b: &mut Builder,
        args: &[Value],
        skip: usize,
        carried: &[Value],
        emits: &[Option<Value>],
    ) -> Result<Vec<Value>> {
        let carries = args.len() - skip;
        let mut cotangents = vec![None; carries];
        for (k, &at) in self.floats.iter().enumerate() {
            cotangents[at] = Some(carried[k]);
        }
        cotangents.extend(emits);
        let mut wanted: Vec<Value> = self.floats.iter().map(|&at| args[skip + at]).collect();
        wanted.extend(self.outer);
        let parts = pullback(b, self.body, args, &cotangents, &wanted, self.policies)?;
        let mut next = Vec::new();
        for (k, part) in parts.into_iter().enumerate() {
            next.push(if k < self.floats.len() {
                part.unwrap_or_else(|| zeros(b, wanted[k]))
            } else {
                match part {
                    Some(part) => b.binary(BinaryKind::Add, carried[k], part),
                    None => carried[k],
                }
            });
        }
        Ok(next)
    }
}

/// The cotangents with which the way back starts: those of the last carries, and zeros for outer values.
fn start_back(
    b: &mut Builder,
    node: &OpNode,
    floats: &[usize],
    outer: &[Value],
    adjoints: &Adjoints,
) -> Vec<Value> {
    let mut init = Vec::new();
    for &at in floats {
        let known = adjoints.0.get(&node.results[at]).copied();
        init.push(known.unwrap_or_else(|| zeros(b, node.results[at])));
    }
    for &value in outer {
        init.push(zeros(b, value));
    }
    init
}

fn finish_back(
    b: &mut Builder,
    tape: &Tape,
    node: &OpNode,
    floats: &[usize],
    outer: &[Value],
    results: &[Value],
    adjoints: &mut Adjoints,
) {
    for (&at, &part) in floats.iter().zip(results) {
        if tape.active.contains(&node.operands[at]) {
            adjoints.add(b, node.operands[at], part);
        }
    }
    for (&value, &part) in outer.iter().zip(&results[floats.len()..]) {
        adjoints.add(b, value, part);
    }
}

fn float_carries(b: &Builder, node: &OpNode) -> Vec<usize> {
    (0..node.operands.len())
        .filter(|&k| b.ty(node.operands[k]).dtype().is_float())
        .collect()
}

pub fn back_scan(
    b: &mut Builder,
    tape: &Tape,
    node: &OpNode,
    adjoints: &mut Adjoints,
) -> Result<()> {
    let Op::Scan { from, to, step } = node.op else {
        return Ok(());
    };
    let Some(saved) = tape.saved.get(&node.results[0]) else {
        return Ok(());
    };
    let body = &node.regions[0];
    let floats = float_carries(b, node);
    let outer = outer(b, tape, body);
    let init = start_back(b, node, &floats, &outer, adjoints);
    let emits: Vec<Option<Value>> = node.results[node.operands.len()..]
        .iter()
        .map(|r| adjoints.0.get(r).copied())
        .collect();
    let trips = aiai_ir::ops::trip_count(from, to, step);
    let mut types = vec![Type::scalar(DType::I64)];
    types.extend(init.iter().map(|&v| b.ty(v).clone()));
    // Iterations n = trips - 1, ..., 0, with t = from + n * step.
    let args = b.begin_region(&types);
    let n = args[0];
    let (first, stride) = (index(b, from), index(b, step));
    let moved = b.binary(BinaryKind::Mul, n, stride);
    let t = b.binary(BinaryKind::Add, first, moved);
    let mut state = vec![t];
    for &stacked in &saved.states {
        state.push(row(b, stacked, n));
    }
    let emitted: Vec<Option<Value>> = emits.iter().map(|e| e.map(|e| row(b, e, n))).collect();
    let stepper = Step {
        body,
        floats: &floats,
        outer: &outer,
        policies: tape.policies,
    };
    let next = stepper.back(b, &state, 1, &args[1..], &emitted)?;
    let region = b.end_region(&next);
    let one = Dim::from(1);
    let op = Op::Scan {
        from: trips - one,
        to: -one,
        step: -one,
    };
    let results = b.op(op, &init, vec![region]);
    finish_back(b, tape, node, &floats, &outer, &results, adjoints);
    Ok(())
}

pub fn back_while(
    b: &mut Builder,
    tape: &Tape,
    node: &OpNode,
    adjoints: &mut Adjoints,
) -> Result<()> {
    let Op::While { max } = node.op else {
        return Ok(());
    };
    let Some(saved) = tape.saved.get(&node.results[0]) else {
        return Ok(());
    };
    let Some(trips) = saved.trips else {
        return Ok(());
    };
    let body = &node.regions[1];
    let floats = float_carries(b, node);
    let outer = outer(b, tape, body);
    let mut init = vec![trips];
    init.extend(start_back(b, node, &floats, &outer, adjoints));
    let types: Vec<Type> = init.iter().map(|&v| b.ty(v).clone()).collect();
    let args = b.begin_region(&types);
    let zero = index(b, Dim::from(0));
    let more = b.compare(CompareKind::Gt, args[0], zero);
    let condition = b.end_region(&[more]);
    let args = b.begin_region(&types);
    let one = index(b, Dim::from(1));
    let n = b.binary(BinaryKind::Sub, args[0], one);
    let state: Vec<Value> = saved.states.iter().map(|&s| row(b, s, n)).collect();
    let stepper = Step {
        body,
        floats: &floats,
        outer: &outer,
        policies: tape.policies,
    };
    let mut next = vec![n];
    next.extend(stepper.back(b, &state, 0, &args[1..], &[])?);
    let region = b.end_region(&next);
    let results = b.op(Op::While { max }, &init, vec![condition, region]);
    finish_back(b, tape, node, &floats, &outer, &results[1..], adjoints);
    Ok(())
}
