//! Reverse-mode differentiation: every `grad` op becomes its function's body followed by the adjoint.
//!
//! The adjoint of a loop runs backwards over saved states and recomputes the body at each of them.
//! Where a function has no derivative at a point (abs, max at a tie), one of its subgradients is taken:
//! 0 for abs, the first operand for max and min of two, an even share for max and min along axes.

use std::collections::{HashMap, HashSet};

use aiai_ir::policy::Policies;
use aiai_ir::{BinaryKind, Builder, DType, Dim, Function, Loc, Module, Op, OpNode, Region, Value};

use crate::clone::{Renaming, captured};
use crate::inline::inline_calls;
use crate::requires;

mod contract;
mod control;
mod elementwise;
mod movement;
mod reduction;

/// Why something cannot be differentiated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct DiffError {
    pub message: String,
    pub loc: Option<Loc>,
}

type Result<T> = std::result::Result<T, DiffError>;

/// The function with every `grad` replaced and every call decomposed.
///
/// # Errors
/// Where an op on the way has no derivative rule, or a `while` has no `max`.
pub fn differentiate(
    module: &Module,
    function: &Function,
    policies: &Policies,
) -> Result<Function> {
    let mut out = inline_calls(module, function);
    let body = std::mem::take(&mut out.body);
    let args = body.args.clone();
    let names: Vec<String> = out.result_names.iter().map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    out.body = Region {
        args,
        ..Region::default()
    };
    let mut b = Builder::new(&mut out);
    let mut renaming = Renaming::default();
    expand((module, policies), &mut b, &body, &mut renaming)?;
    let results: Vec<Value> = body.yields.iter().map(|&v| renaming.value(v)).collect();
    b.finish(&results, &names);
    Ok(out)
}

/// Appends the ops of a region, gradients expanded.
fn expand(
    known: (&Module, &Policies),
    b: &mut Builder,
    region: &Region,
    renaming: &mut Renaming,
) -> Result<()> {
    for node in &region.ops {
        let mut node = node.clone();
        node.operands
            .iter_mut()
            .for_each(|v| *v = renaming.value(*v));
        b.loc = node.loc;
        if let Op::Grad { callee, wrt, .. } = &node.op {
            let Some(callee) = known.0.get(*callee) else {
                continue;
            };
            let callee = differentiate(known.0, callee, known.1)?;
            let results = gradient(b, &callee, &node.operands, wrt, known.1)?;
            renaming
                .values
                .extend(node.results.iter().copied().zip(results));
            continue;
        }
        let mut regions = Vec::new();
        for inner in &node.regions {
            b.begin_existing(&inner.args);
            let mut nested = renaming.clone();
            expand(known, b, inner, &mut nested)?;
            let yields: Vec<Value> = inner.yields.iter().map(|&v| nested.value(v)).collect();
            regions.push(b.end_region(&yields));
        }
        node.regions = regions;
        b.push_node(node);
    }
    Ok(())
}

/// The values of the function at the operands, then the gradients of the first of them.
fn gradient(
    b: &mut Builder,
    callee: &Function,
    operands: &[Value],
    wrt: &[usize],
    policies: &Policies,
) -> Result<Vec<Value>> {
    let types: Vec<_> = operands.iter().map(|&v| b.ty(v).clone()).collect();
    let dims = callee.bind(&types).unwrap_or_default();
    let mut renaming = Renaming {
        dims,
        ..Renaming::default()
    };
    renaming.values.extend(
        callee
            .body
            .args
            .iter()
            .copied()
            .zip(operands.iter().copied()),
    );
    for require in &callee.requires {
        let dim = renaming.dim(require.dim);
        for node in requires::assertion(b.function, dim, require) {
            b.push_node(node);
        }
    }
    let wanted: Vec<Value> = wrt.iter().map(|&at| operands[at]).collect();
    let tape = record(b, (callee, policies), &callee.body, renaming, &wanted)?;
    let mut results = tape.yields.clone();
    let dtype = b.ty(results[0]).dtype();
    let one = b.scalar(dtype, 1.0);
    let mut cotangents = vec![None; results.len()];
    cotangents[0] = Some(one);
    let adjoints = pull(b, &tape, &cotangents, &wanted)?;
    for (adjoint, &value) in adjoints.into_iter().zip(&wanted) {
        results.push(adjoint.unwrap_or_else(|| zeros(b, value)));
    }
    Ok(results)
}

/// A stretch of ops that has been placed, ready to be run backwards.
struct Tape<'p> {
    nodes: Vec<OpNode>,
    yields: Vec<Value>,
    active: HashSet<Value>,
    /// Saved states of loops, by the loop's first result.
    saved: HashMap<Value, control::Saved>,
    /// Derivatives that the program has of its own.
    policies: &'p Policies,
}

/// Places the ops of a region, loops made to save their states, and notes which values depend on
/// `wanted`.
fn record<'p>(
    b: &mut Builder,
    (source, policies): (&Function, &'p Policies),
    region: &Region,
    renaming: Renaming,
    wanted: &[Value],
) -> Result<Tape<'p>> {
    let mut renaming = renaming;
    let mut tape = Tape {
        nodes: Vec::new(),
        yields: Vec::new(),
        active: wanted.iter().copied().collect(),
        saved: HashMap::new(),
        policies,
    };
    for node in &region.ops {
        let copy = renaming.node(source, b.function, node);
        b.loc = copy.loc;
        let depends = copy.operands.iter().any(|v| tape.active.contains(v))
            || copy
                .regions
                .iter()
                .any(|r| captured(r).iter().any(|v| tape.active.contains(v)));
        if depends && !matches!(copy.op, Op::StopGradient) {
            let floats = copy.results.iter().filter(|&&v| b.ty(v).dtype().is_float());
            tape.active.extend(floats);
        }
        if depends && matches!(copy.op, Op::Scan { .. } | Op::While { .. }) {
            control::save(b, copy.clone(), &mut tape)?;
        } else {
            b.push_node(copy.clone());
        }
        tape.nodes.push(copy);
    }
    tape.yields = region.yields.iter().map(|&v| renaming.value(v)).collect();
    Ok(tape)
}

/// Cotangents collected so far, by value.
struct Adjoints(HashMap<Value, Value>);

impl Adjoints {
    fn add(&mut self, b: &mut Builder, value: Value, cotangent: Value) {
        let total = match self.0.get(&value) {
            Some(&known) => b.binary(BinaryKind::Add, known, cotangent),
            None => cotangent,
        };
        self.0.insert(value, total);
    }
}

/// Runs a tape backwards: from cotangents of its yields to those of `wanted`, `None` where zero.
fn pull(
    b: &mut Builder,
    tape: &Tape,
    cotangents: &[Option<Value>],
    wanted: &[Value],
) -> Result<Vec<Option<Value>>> {
    let mut adjoints = Adjoints(HashMap::new());
    for (&value, cotangent) in tape.yields.iter().zip(cotangents) {
        if let (Some(cotangent), true) = (cotangent, tape.active.contains(&value)) {
            adjoints.add(b, value, *cotangent);
        }
    }
    for node in tape.nodes.iter().rev() {
        let reached = node
            .results
            .iter()
            .any(|v| adjoints.0.contains_key(v) && tape.active.contains(v));
        if reached {
            b.loc = node.loc;
            back(b, tape, node, &mut adjoints)?;
        }
    }
    Ok(wanted.iter().map(|v| adjoints.0.get(v).copied()).collect())
}

/// What an op hands to its operands.
type Parts = Vec<(Value, Value)>;

/// Adds the cotangents that one op hands to its operands.
fn back(b: &mut Builder, tape: &Tape, node: &OpNode, adjoints: &mut Adjoints) -> Result<()> {
    match &node.op {
        Op::If => return control::back_if(b, tape, node, adjoints),
        Op::Scan { .. } => return control::back_scan(b, tape, node, adjoints),
        Op::While { .. } => return control::back_while(b, tape, node, adjoints),
        Op::Sort { axis, descending } => {
            return movement::sort(b, tape, node, (*axis, *descending), adjoints);
        }
        _ => {}
    }
    let result = node.results.first().and_then(|y| adjoints.0.get(y));
    let Some(&g) = result else { return Ok(()) };
    let active = |v: Value| tape.active.contains(&v);
    let parts = match node.op.info().family {
        // Constants, counters and random numbers depend on nothing.
        "data" => Parts::new(),
        "elementwise" => match elementwise::given(b, node, g, tape.policies) {
            Some(parts) => parts,
            None => elementwise::back(b, node, g, &active),
        },
        "movement" => movement::back(b, node, g, &active)?,
        _ => sums(b, node, g, &active)?,
    };
    for (value, part) in parts {
        if active(value) {
            adjoints.add(b, value, part);
        }
    }
    Ok(())
}

/// Reductions and contractions.
fn sums(b: &mut Builder, node: &OpNode, g: Value, active: &dyn Fn(Value) -> bool) -> Result<Parts> {
    let x = &node.operands;
    Ok(match &node.op {
        Op::Reduce { kind, axes, .. } => {
            let part = reduction::reduce(b, *kind, axes, x[0], node.results[0], g);
            part.map(|part| (x[0], part)).into_iter().collect()
        }
        Op::Contract { .. } => {
            let wanted = (0..x.len()).filter(|&k| active(x[k]));
            wanted
                .map(|k| (x[k], contract::operand(b, &node.op, x, k, g)))
                .collect()
        }
        Op::ArgReduce { .. } | Op::Assert { .. } | Op::AssertClose { .. } => Parts::new(),
        other => {
            let message = format!("`{}` has no derivative at this stage", other.name());
            return Err(DiffError {
                message,
                loc: node.loc,
            });
        }
    })
}

/// Zeros of the type of a value.
fn zeros(b: &mut Builder, like: Value) -> Value {
    let ty = b.ty(like).clone();
    b.splat(ty.dtype(), 0.0, ty.shape())
}

/// A constant of the type of a value.
fn constant(b: &mut Builder, like: Value, value: f64) -> Value {
    let ty = b.ty(like).clone();
    b.splat(ty.dtype(), value, ty.shape())
}

/// A scalar `i64` constant.
fn index(b: &mut Builder, dim: Dim) -> Value {
    debug_assert_eq!(DType::I64.bytes(), 8);
    b.dim(dim)
}
