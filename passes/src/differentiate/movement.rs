//! Derivatives of ops that move elements.

use aiai_ir::{
    AffineExpr, AffineMap, BinaryKind, Builder, DType, Dim, Loc, Op, OpNode, ReduceKind,
    ScatterKind, Value,
};

use super::{Adjoints, DiffError, Parts, Result, Tape, zeros};

/// What a movement hands to its operands.
pub fn back(
    b: &mut Builder,
    node: &OpNode,
    g: Value,
    active: &dyn Fn(Value) -> bool,
) -> Result<Parts> {
    let x = &node.operands;
    let part = match &node.op {
        Op::Broadcast { axes, .. } => broadcast(b, x[0], axes, g),
        Op::Reshape { .. } => {
            let shape = b.ty(x[0]).shape().to_vec();
            b.reshape(g, &shape)
        }
        Op::Permute { axes } => {
            let mut inverse = vec![0; axes.len()];
            axes.iter().enumerate().for_each(|(k, &a)| inverse[a] = k);
            b.permute(g, &inverse)
        }
        Op::Slice {
            starts,
            limits,
            strides,
        } => slice(b, x[0], (starts, limits, strides), g),
        Op::Pad { low, .. } => {
            let (inner, rim) = pad(b, x[0], low, g, active(x[1]));
            let rim = rim.map(|rim| (x[1], rim));
            return Ok([(x[0], inner)].into_iter().chain(rim).collect());
        }
        Op::Concat { axis } => return Ok(concat(b, x, *axis, g)),
        Op::Reverse { axes } => b.value(Op::Reverse { axes: axes.clone() }, &[g]),
        Op::Gather { axes } => gather(b, x, axes, g),
        Op::Scatter { axes, kind } => {
            let (base, updates) = scatter(b, x, axes, *kind, g, node.loc)?;
            return Ok(vec![(x[0], base), (x[x.len() - 1], updates)]);
        }
        Op::DynamicSlice { .. } => {
            let mut operands = vec![zeros(b, x[0]), g];
            operands.extend(&x[1..]);
            b.value(Op::DynamicUpdate, &operands)
        }
        Op::DynamicUpdate => {
            let mut operands = vec![g, zeros(b, x[1])];
            operands.extend(&x[2..]);
            let base = b.value(Op::DynamicUpdate, &operands);
            let sizes = b.ty(x[1]).shape().to_vec();
            operands.remove(1);
            let window = b.value(Op::DynamicSlice { sizes }, &operands);
            return Ok(vec![(x[0], base), (x[1], window)]);
        }
        other => unreachable!("`{}` moves nothing", other.name()),
    };
    Ok(vec![(x[0], part)])
}

fn broadcast(b: &mut Builder, x: Value, axes: &[usize], g: Value) -> Value {
    let from = b.ty(x).shape().to_vec();
    let to = b.ty(g).shape().to_vec();
    let repeated = |axis: &usize| match axes.iter().position(|a| a == axis) {
        None => true,
        Some(k) => from[k].is_const(1) && !to[*axis].is_const(1),
    };
    let summed: Vec<usize> = (0..to.len()).filter(repeated).collect();
    let total = if summed.is_empty() {
        g
    } else {
        b.reduce(ReduceKind::Sum, g, &summed)
    };
    b.reshape(total, &from)
}

fn slice(b: &mut Builder, x: Value, range: (&[Dim], &[Dim], &[Dim]), g: Value) -> Value {
    let (starts, limits, strides) = range;
    let shape = b.ty(x).shape().to_vec();
    if strides.iter().all(|s| s.is_const(1)) {
        let high = shape.iter().zip(limits).map(|(d, l)| *d - *l).collect();
        let zero = b.scalar(b.ty(x).dtype(), 0.0);
        return b.value(
            Op::Pad {
                low: starts.to_vec(),
                high,
            },
            &[g, zero],
        );
    }
    let space = b.ty(g).shape().to_vec();
    let coords = (0..space.len()).map(|k| AffineExpr::new([(k, strides[k])], starts[k]));
    let out = AffineMap {
        coords: coords.collect(),
    };
    let maps = vec![AffineMap::of_indices(0..space.len())];
    let acc = b.ty(x).dtype();
    b.value(
        Op::Contract {
            space,
            maps,
            out,
            shape,
            acc,
        },
        &[g],
    )
}

/// The cotangents of the padded tensor and, if wanted, of the padding value.
fn pad(b: &mut Builder, x: Value, low: &[Dim], g: Value, rim: bool) -> (Value, Option<Value>) {
    let limits: Vec<Dim> = b
        .ty(x)
        .shape()
        .iter()
        .zip(low)
        .map(|(d, l)| *d + *l)
        .collect();
    let strides = vec![Dim::from(1); limits.len()];
    let inner = b.value(
        Op::Slice {
            starts: low.to_vec(),
            limits,
            strides,
        },
        &[g],
    );
    let rim = rim.then(|| {
        let axes: Vec<usize> = (0..low.len()).collect();
        let all = b.reduce(ReduceKind::Sum, g, &axes);
        let own = b.reduce(ReduceKind::Sum, inner, &axes);
        b.binary(BinaryKind::Sub, all, own)
    });
    (inner, rim)
}

fn concat(b: &mut Builder, parts: &[Value], axis: usize, g: Value) -> Vec<(Value, Value)> {
    let rank = b.ty(g).rank();
    let mut start = Dim::from(0);
    let mut out = Vec::new();
    for &part in parts {
        let shape = b.ty(part).shape().to_vec();
        let mut starts = vec![Dim::from(0); rank];
        starts[axis] = start;
        let limits: Vec<Dim> = starts.iter().zip(&shape).map(|(s, d)| *s + *d).collect();
        start = limits[axis];
        let op = Op::Slice {
            starts,
            limits,
            strides: vec![Dim::from(1); rank],
        };
        out.push((part, b.value(op, &[g])));
    }
    out
}

fn gather(b: &mut Builder, x: &[Value], axes: &[usize], g: Value) -> Value {
    let mut operands = vec![zeros(b, x[0])];
    operands.extend(&x[1..]);
    operands.push(g);
    b.value(
        Op::Scatter {
            axes: axes.to_vec(),
            kind: ScatterKind::Add,
        },
        &operands,
    )
}

/// The cotangents of the base and of the updates.
fn scatter(
    b: &mut Builder,
    x: &[Value],
    axes: &[usize],
    kind: ScatterKind,
    g: Value,
    loc: Option<Loc>,
) -> Result<(Value, Value)> {
    let [_, indices @ .., updates] = x else {
        return Err(DiffError {
            message: "scatter without operands".into(),
            loc,
        });
    };
    let mut operands = vec![g];
    operands.extend(indices);
    let picked = b.value(
        Op::Gather {
            axes: axes.to_vec(),
        },
        &operands,
    );
    match kind {
        ScatterKind::Add => Ok((g, picked)),
        ScatterKind::Set => {
            let mut operands = vec![g];
            operands.extend(indices);
            operands.push(zeros(b, *updates));
            let base = b.value(
                Op::Scatter {
                    axes: axes.to_vec(),
                    kind,
                },
                &operands,
            );
            Ok((base, picked))
        }
        ScatterKind::Max | ScatterKind::Min => {
            let message = format!("scatter with `{}` has no derivative", kind.name());
            Err(DiffError { message, loc })
        }
    }
}

/// Each sorted operand's cotangent goes back to where its elements came from.
pub fn sort(
    b: &mut Builder,
    tape: &Tape,
    node: &OpNode,
    order: (usize, bool),
    adjoints: &mut Adjoints,
) -> Result<()> {
    let (axis, descending) = order;
    let shape = b.ty(node.operands[0]).shape().to_vec();
    let iota = |b: &mut Builder, axis: usize| {
        b.value(
            Op::Iota {
                dtype: DType::I64,
                shape: shape.clone(),
                axis,
            },
            &[],
        )
    };
    let places = iota(b, axis);
    let sorted = b.op(
        Op::Sort { axis, descending },
        &[node.operands[0], places],
        Vec::new(),
    );
    let mut indices: Vec<Value> = (0..shape.len()).map(|k| iota(b, k)).collect();
    indices[axis] = sorted[1];
    for (&x, result) in node.operands.iter().zip(&node.results) {
        let Some(&g) = adjoints.0.get(result) else {
            continue;
        };
        if !tape.active.contains(&x) {
            continue;
        }
        let mut operands = vec![zeros(b, x)];
        operands.extend(&indices);
        operands.push(g);
        let axes = (0..shape.len()).collect();
        let part = b.value(
            Op::Scatter {
                axes,
                kind: ScatterKind::Add,
            },
            &operands,
        );
        adjoints.add(b, x, part);
    }
    Ok(())
}
