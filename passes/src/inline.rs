//! Decomposition of calls: every call is replaced by the body of its function.

use std::collections::BTreeMap;

use aiai_ir::ops::CompareKind;
use aiai_ir::{
    DType, Dim, Facts, Function, Literal, Module, Op, OpNode, Region, Relation, Require, Sym,
    Truth, Type, Value,
};

use crate::clone::Renaming;

/// The function with every call replaced, also within calls and regions. Gradients stay, with the
/// functions that they name.
pub fn inline_calls(module: &Module, function: &Function) -> Function {
    let mut done = BTreeMap::new();
    inline_function(module, function, &mut done)
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

/// What the callee requires becomes an assertion where it is called, unless it follows from what the
/// caller requires.
fn check_at_call(out: &mut Function, ops: &mut Vec<OpNode>, dim: Dim, require: &Require) {
    let mut facts = Facts::default();
    for known in &out.requires {
        facts.assume(known.relation, known.dim);
    }
    if facts.check(require.relation, dim) == Truth::True {
        return;
    }
    let mut push = |out: &mut Function, op: Op, operands: Vec<Value>, ty: Option<DType>| {
        let results: Vec<Value> = ty
            .map(|t| out.new_value(Type::scalar(t)))
            .into_iter()
            .collect();
        let result = results.first().copied();
        ops.push(OpNode {
            op,
            operands,
            results,
            regions: Vec::new(),
            loc: require.loc,
        });
        result.unwrap_or(Value(0))
    };
    let kind = match require.relation {
        Relation::Zero => CompareKind::Eq,
        Relation::NonZero => CompareKind::Ne,
        Relation::NonNegative => CompareKind::Ge,
    };
    let value = push(out, Op::DimValue { dim }, vec![], Some(DType::I64));
    let zero = Op::Constant {
        value: Literal::i64(DType::I64, 0),
    };
    let zero = push(out, zero, vec![], Some(DType::I64));
    let holds = push(
        out,
        Op::Compare { kind },
        vec![value, zero],
        Some(DType::Bool),
    );
    let message = require.message.clone();
    push(out, Op::Assert { message }, vec![holds], None);
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
            check_at_call(out, &mut ops, dim, require);
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
