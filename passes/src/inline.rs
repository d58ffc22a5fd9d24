//! Decomposition of calls: every call is replaced by the body of its function.

use std::collections::{BTreeMap, HashMap};

use aiai_ir::{Function, Module, Op, OpNode, Region, Sym, Type};

use crate::clone::Renaming;
use crate::requires;

/// The function with every call replaced, also within calls and regions. Gradients stay, with the
/// functions that they name.
pub fn inline_calls(module: &Module, function: &Function) -> Function {
    let mut done = BTreeMap::new();
    inline_function(module, function, &mut done)
}

/// How many ops the function has once every call is replaced.
pub fn ops_with_calls(module: &Module, function: &Function, known: &mut HashMap<Sym, u64>) -> u64 {
    let mut total = 0u64;
    function.body.walk(&mut |node| {
        let (Op::Call { callee, .. } | Op::Grad { callee, .. }) = &node.op else {
            total = total.saturating_add(1);
            return;
        };
        let inside = match (known.get(callee), module.get(*callee)) {
            (Some(&inside), _) => inside,
            (None, Some(callee)) => ops_with_calls(module, callee, known),
            (None, None) => 1,
        };
        known.insert(*callee, inside);
        total = total.saturating_add(inside);
    });
    total
}

fn inline_function(
    module: &Module,
    function: &Function,
    done: &mut BTreeMap<Sym, Function>,
) -> Function {
    let mut out = function.clone();
    let body = std::mem::take(&mut out.body);
    out.body = inline_region(module, &mut out, body, done);
    out
}

fn inline_region(
    module: &Module,
    out: &mut Function,
    region: Region,
    done: &mut BTreeMap<Sym, Function>,
) -> Region {
    let mut renaming = Renaming::default();
    let mut ops: Vec<OpNode> = Vec::with_capacity(region.ops.len());
    for mut node in region.ops {
        node.operands
            .iter_mut()
            .for_each(|v| *v = renaming.value(*v));
        let regions = std::mem::take(&mut node.regions);
        for mut inner in regions {
            inner.map_uses(&mut |v| renaming.value(v));
            let inner = inline_region(module, out, inner, done);
            node.regions.push(inner);
        }
        let callee = match &node.op {
            Op::Call { callee, .. } => module.get(*callee),
            _ => None,
        };
        let Some(callee) = callee else {
            ops.push(node);
            continue;
        };
        if !done.contains_key(&callee.name) {
            let inlined = inline_function(module, callee, done);
            done.insert(callee.name, inlined);
        }
        let callee = done[&callee.name].clone();
        let types: Vec<Type> = node.operands.iter().map(|&v| out.ty(v).clone()).collect();
        let mut inner = Renaming {
            dims: callee.bind(&types).unwrap_or_default(),
            ..Renaming::default()
        };
        inner.values.extend(
            callee
                .body
                .args
                .iter()
                .copied()
                .zip(node.operands.iter().copied()),
        );
        for require in &callee.requires {
            let dim = inner.dim(require.dim);
            ops.extend(requires::assertion(out, dim, require));
        }
        for op in &callee.body.ops {
            let copy = inner.node(&callee, out, op);
            ops.push(copy);
        }
        for (result, yielded) in node.results.iter().zip(&callee.body.yields) {
            renaming.values.insert(*result, inner.value(*yielded));
        }
    }
    let yields = region.yields.iter().map(|&v| renaming.value(v)).collect();
    Region {
        args: region.args,
        ops,
        yields,
    }
}
