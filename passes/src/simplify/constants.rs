//! Constant folding: small ops on constants are evaluated by the reference evaluator.

use aiai_ir::ops::Effect;
use aiai_ir::{DType, Function, Literal, Module, Op, OpNode, Type, Value, eval};

use super::{Rewrite, Scope};

/// Elements of a folded result, at most: constants are part of the code.
const ELEMENTS: i64 = 64;

pub(super) fn fold(scope: &Scope, node: &OpNode) -> Option<Rewrite> {
    let value = folded(scope.function, node, &|value| scope.maker(value))?;
    Some(Rewrite::Op(Op::Constant { value }, Vec::new()))
}

/// The value of an op whose operands are constants, where it is small.
pub fn folded<'m>(
    function: &Function,
    node: &OpNode,
    maker: &dyn Fn(Value) -> Option<&'m OpNode>,
) -> Option<Literal> {
    if let Op::DimValue { dim } = &node.op {
        return Some(Literal::i64(DType::I64, dim.as_const()?));
    }
    let folds = node.op.info().effect == Effect::Pure
        && !matches!(
            node.op,
            Op::Constant { .. } | Op::Broadcast { .. } | Op::Iota { .. }
        );
    let result = function.ty(*node.results.first()?);
    if !folds || node.operands.is_empty() || !is_small(result) {
        return None;
    }
    let mut alone = Function::new("folded");
    let mut copy = node.clone();
    for (operand, &source) in copy.operands.iter_mut().zip(&node.operands) {
        let maker = maker(source)?;
        if !matches!(maker.op, Op::Constant { .. }) {
            return None;
        }
        let mut constant = maker.clone();
        constant.results = vec![alone.new_value(function.ty(source).clone())];
        *operand = constant.results[0];
        alone.body.ops.push(constant);
    }
    copy.results = vec![alone.new_value(result.clone())];
    alone.body.yields = copy.results.clone();
    alone.body.ops.push(copy);
    alone.result_names = vec!["folded".into()];
    let name = alone.name;
    let mut module = Module::default();
    module.insert(alone);
    let values = eval::run(&module, name, &[], &eval::Options::default()).ok()?;
    Some(values.first()?.to_literal())
}

fn is_small(ty: &Type) -> bool {
    let count = aiai_ir::Dim::product(ty.shape().iter().copied());
    count.as_const().is_some_and(|n| n <= ELEMENTS)
}
