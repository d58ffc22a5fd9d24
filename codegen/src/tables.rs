//! What every backend needs of a loop function: the table of dimensions that entries read, what the body
//! of a parallel loop captures, the places that may fail.

use aiai_ir::{DType, Dim, Function, Loc, Op, Region, Value};
use aiai_runtime::program::Site;
use rustc_hash::FxHashSet;

use crate::program::place;

/// The number of a place; an equal one has the same.
pub fn site(sites: &mut Vec<Site>, what: &str, loc: Option<Loc>) -> i64 {
    let site = Site {
        what: what.to_owned(),
        place: loc.map(place),
    };
    let known = sites.iter().rposition(|s| *s == site);
    known.unwrap_or_else(|| {
        sites.push(site);
        sites.len() - 1
    }) as i64
}

/// The size of a buffer in bytes.
pub fn byte_size(dtype: DType, shape: &[Dim]) -> Dim {
    Dim::product(shape.iter().copied()) * Dim::from(dtype.bytes())
}

/// Buffers that end, and so do not live on the stack.
pub fn freed_in(source: &Function) -> FxHashSet<Value> {
    let mut found = FxHashSet::default();
    source.body.walk(&mut |node| {
        if let Op::Free = node.op {
            found.insert(node.operands[0]);
        }
    });
    found
}

/// Every dimension expression whose value the code reads.
pub fn dims_of(source: &Function) -> Vec<Dim> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut add = |dim: Dim| {
        if dim.as_const().is_none() && seen.insert(dim) {
            found.push(dim);
        }
    };
    source.body.walk(&mut |node| {
        match &node.op {
            Op::DimValue { dim } => add(*dim),
            Op::Alloc { dtype, shape } => add(byte_size(*dtype, shape)),
            Op::While { max: Some(max) } => add(*max),
            _ => {}
        }
        for &operand in &node.operands {
            let ty = source.ty(operand);
            if matches!(ty, aiai_ir::Type::Buffer { .. }) {
                ty.shape().iter().for_each(|d| add(*d));
            }
        }
    });
    found
}

/// Values that a region uses and does not define, in order of first use.
pub fn captured(region: &Region) -> Vec<Value> {
    let mut defined: FxHashSet<Value> = region.args.iter().copied().collect();
    region.walk(&mut |node| {
        defined.extend(&node.results);
        node.regions.iter().for_each(|r| defined.extend(&r.args));
    });
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    let mut add = |value: Value| {
        if !defined.contains(&value) && seen.insert(value) {
            found.push(value);
        }
    };
    region.walk(&mut |node| {
        node.operands.iter().for_each(|v| add(*v));
        node.regions
            .iter()
            .flat_map(|r| &r.yields)
            .for_each(|v| add(*v));
    });
    region.yields.iter().for_each(|v| add(*v));
    found
}
