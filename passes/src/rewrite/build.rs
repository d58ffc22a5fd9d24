//! Right sides: a match becomes ops of the program.

use aiai_ir::ops::Effect;
use aiai_ir::{Function, Literal, Loc, Op, OpNode, Region, Rule, Type, Value};

use super::unify::{Bound, Match};
use crate::clone::Renaming;

/// What takes the place of a match.
pub struct Built {
    pub ops: Vec<OpNode>,
    /// The values that take the place of the results.
    pub yields: Vec<Value>,
}

/// Finds the results of an op that computes the same and is in sight.
pub type Known<'a> = dyn Fn(&Op, &[Value]) -> Option<Vec<Value>> + 'a;

/// Copies the right side of a rule for a match. `known` finds an op that computes the same and is in sight.
/// `None` where the types do not work out, which dimensions that are equal by what the function requires, yet
/// written differently, can bring about.
pub fn build(
    function: &mut Function,
    rule: &Rule,
    found: &Match<Value>,
    loc: Option<Loc>,
    known: &Known<'_>,
) -> Option<Built> {
    let mut renaming = Renaming {
        dims: found.dims.clone(),
        ..Renaming::default()
    };
    let mut built = Built {
        ops: Vec::new(),
        yields: Vec::new(),
    };
    let rhs = &rule.rhs;
    for (&param, bound) in rhs.body.args.iter().zip(&found.params) {
        let value = match bound {
            None => continue,
            Some(Bound::Value(value)) => *value,
            Some(Bound::Constant(scalar)) => {
                let dtype = rhs.ty(param).dtype();
                let value = Literal::scalar(dtype, *scalar);
                let op = Op::Constant { value };
                let results = known(&op, &[]).unwrap_or_else(|| {
                    let results = vec![function.new_value(Type::scalar(dtype))];
                    built.ops.push(plain(op, Vec::new(), results.clone(), loc));
                    results
                });
                results[0]
            }
        };
        renaming.values.insert(param, value);
    }
    for node in &rhs.body.ops {
        let mut copy = renaming.node(rhs, function, node);
        place(&mut copy, loc);
        let same = match node.op.info().effect == Effect::Pure && node.regions.is_empty() {
            true => known(&copy.op, &copy.operands),
            false => None,
        };
        if let Some(results) = same {
            renaming
                .values
                .extend(node.results.iter().copied().zip(results));
            continue;
        }
        infer(function, &copy)?;
        built.ops.push(copy);
    }
    built.yields = rhs.body.yields.iter().map(|&v| renaming.value(v)).collect();
    Some(built)
}

fn plain(op: Op, operands: Vec<Value>, results: Vec<Value>, loc: Option<Loc>) -> OpNode {
    OpNode {
        op,
        operands,
        results,
        regions: Vec::new(),
        loc,
    }
}

/// New ops stand where the old one stood.
fn place(node: &mut OpNode, loc: Option<Loc>) {
    node.loc = loc;
    for region in &mut node.regions {
        region.walk_mut(&mut |inner| inner.loc = loc);
    }
}

/// Checks the types of an op and of those within; results get the types that the op's rule gives.
fn infer(function: &mut Function, node: &OpNode) -> Option<()> {
    for region in &node.regions {
        infer_region(function, region)?;
    }
    let operands: Vec<Type> = node
        .operands
        .iter()
        .map(|&v| function.ty(v).clone())
        .collect();
    let rims: Vec<_> = node
        .regions
        .iter()
        .map(|r| function.region_types(r))
        .collect();
    let types = node.op.infer(&operands, &rims).ok()?;
    for (&result, ty) in node.results.iter().zip(types) {
        function.set_ty(result, ty);
    }
    Some(())
}

fn infer_region(function: &mut Function, region: &Region) -> Option<()> {
    region.ops.iter().try_for_each(|node| infer(function, node))
}
