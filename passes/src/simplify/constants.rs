//! Constant folding: small ops on constants are evaluated by the reference evaluator.

use aiai_ir::ops::Effect;
use aiai_ir::{DType, Function, Literal, Module, Op, OpNode, Type, eval};

use super::{Rewrite, Scope};

/// Elements of a folded result, at most: constants are part of the code.
const ELEMENTS: i64 = 64;

pub fn fold(scope: &Scope, node: &OpNode) -> Option<Rewrite> {
    if let Op::DimValue { dim } = &node.op {
        let value = Literal::i64(DType::I64, dim.as_const()?);
        return Some(Rewrite::Op(Op::Constant { value }, Vec::new()));
    }
    let folds = node.op.info().effect == Effect::Pure
        && !matches!(
            node.op,
            Op::Constant { .. } | Op::Broadcast { .. } | Op::Iota { .. }
        );
    let result = scope.function.ty(node.results[0]);
    if !folds || node.operands.is_empty() || !is_small(result) {
        return None;
    }
    let mut alone = Function::new("folded");
    let mut copy = node.clone();
    for (operand, &source) in copy.operands.iter_mut().zip(&node.operands) {
        let maker = scope.maker(source)?;
        if !matches!(maker.op, Op::Constant { .. }) {
            return None;
        }
        let mut constant = maker.clone();
        constant.results = vec![alone.new_value(scope.function.ty(source).clone())];
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
    let value = values.first()?.to_literal();
    Some(Rewrite::Op(Op::Constant { value }, Vec::new()))
}

fn is_small(ty: &Type) -> bool {
    let count = aiai_ir::Dim::product(ty.shape().iter().copied());
    count.as_const().is_some_and(|n| n <= ELEMENTS)
}
