//! Contractions without indices of size 1, which read through reshapes that only add or drop such axes.
//!
//! A grouped convolution of one group, say, becomes the plain convolution that it is.

use std::collections::HashMap;

use aiai_ir::{AffineExpr, AffineMap, Dim, Function, Op, OpNode, Region, Type, Value};

/// Brings every contraction of two operands to this form; where axes go, a reshape gives them back.
pub fn drop_units(function: &mut Function) {
    let mut body = std::mem::take(&mut function.body);
    region(function, &mut body, &mut HashMap::new());
    function.body = body;
}

fn region(function: &mut Function, region_: &mut Region, makers: &mut HashMap<Value, OpNode>) {
    let mut kept = Vec::with_capacity(region_.ops.len());
    for mut node in std::mem::take(&mut region_.ops) {
        for inner in &mut node.regions {
            region(function, inner, makers);
        }
        match without_units(function, &node, makers) {
            Some([contract, reshape]) => kept.extend([contract, reshape]),
            None => {
                if let (Op::Reshape { .. }, &[result]) = (&node.op, node.results.as_slice()) {
                    makers.insert(result, node.clone());
                }
                kept.push(node);
            }
        }
    }
    region_.ops = kept;
}

/// The contraction without units, and the reshape that gives its result their axes.
fn without_units(
    function: &mut Function,
    node: &OpNode,
    makers: &HashMap<Value, OpNode>,
) -> Option<[OpNode; 2]> {
    let Op::Contract {
        space,
        maps,
        out,
        shape,
        acc,
    } = &node.op
    else {
        return None;
    };
    if node.operands.len() != 2 {
        return None;
    }
    let (mut operands, mut maps, mut changed) = (node.operands.clone(), maps.clone(), false);
    for (operand, map) in operands.iter_mut().zip(&mut maps) {
        let Some(maker) = makers.get(operand) else {
            continue;
        };
        let (from, to) = (maker.operands[0], *operand);
        let shapes = [from, to].map(|v| function.ty(v).shape());
        if let Some(inner) = through_units(shapes, map) {
            (*operand, *map, changed) = (from, inner, true);
        }
    }
    let is_unit = |i: usize| space[i].is_const(1);
    let kept: Vec<usize> = (0..space.len()).filter(|&i| !is_unit(i)).collect();
    let drops = |c: &AffineExpr| c.as_index().is_some_and(is_unit);
    changed |= kept.len() < space.len();
    if !changed || kept.is_empty() {
        return None;
    }
    let renamed = |map: &AffineMap| AffineMap {
        coords: map
            .coords
            .iter()
            .map(|c| {
                let terms = c
                    .terms
                    .iter()
                    .filter_map(|&(i, by)| Some((kept.iter().position(|&k| k == i)?, by)));
                AffineExpr::new(terms.collect::<Vec<_>>(), c.offset)
            })
            .collect(),
    };
    let axes: Vec<usize> = (0..shape.len())
        .filter(|&k| !drops(&out.coords[k]))
        .collect();
    let narrow: Vec<Dim> = axes.iter().map(|&k| shape[k]).collect();
    let out = AffineMap {
        coords: axes.iter().map(|&k| out.coords[k].clone()).collect(),
    };
    let dtype = function.ty(node.results[0]).dtype();
    let inner = function.new_value(Type::tensor(dtype, narrow.clone()));
    let contract = OpNode {
        op: Op::Contract {
            space: kept.iter().map(|&i| space[i]).collect(),
            maps: maps.iter().map(renamed).collect(),
            out: renamed(&out),
            shape: narrow,
            acc: *acc,
        },
        operands,
        results: vec![inner],
        regions: Vec::new(),
        loc: node.loc,
    };
    let reshape = OpNode {
        op: Op::Reshape {
            shape: shape.clone(),
        },
        operands: vec![inner],
        results: node.results.clone(),
        regions: Vec::new(),
        loc: node.loc,
    };
    Some([contract, reshape])
}

/// The access of what was reshaped, where that only adds or drops axes of size 1.
fn through_units([from, to]: [&[Dim]; 2], map: &AffineMap) -> Option<AffineMap> {
    let real = |shape: &[Dim]| -> Vec<usize> {
        (0..shape.len())
            .filter(|&k| !shape[k].is_const(1))
            .collect()
    };
    let (own, shown) = (real(from), real(to));
    let sizes =
        |shape: &[Dim], axes: &[usize]| -> Vec<Dim> { axes.iter().map(|&k| shape[k]).collect() };
    if sizes(from, &own) != sizes(to, &shown) {
        return None;
    }
    let coord = |k: usize| match own.iter().position(|&axis| axis == k) {
        Some(at) => map.coords[shown[at]].clone(),
        None => AffineExpr::constant(Dim::from(0)),
    };
    Some(AffineMap {
        coords: (0..from.len()).map(coord).collect(),
    })
}
