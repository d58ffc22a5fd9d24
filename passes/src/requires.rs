//! Requirements of functions that are no longer called: assertions where the call was.

use aiai_ir::{
    CompareKind, DType, Dim, Facts, Function, Literal, Op, OpNode, Relation, Require, Truth, Type,
    Value,
};

/// The ops that check a requirement whose dimension is now `dim`; none where it follows from what the
/// function around requires.
pub fn assertion(function: &mut Function, dim: Dim, require: &Require) -> Vec<OpNode> {
    let mut facts = Facts::default();
    for known in &function.requires {
        facts.assume(known.relation, known.dim);
    }
    if facts.check(require.relation, dim) == Truth::True {
        return Vec::new();
    }
    let kind = match require.relation {
        Relation::Zero => CompareKind::Eq,
        Relation::NonZero => CompareKind::Ne,
        Relation::NonNegative => CompareKind::Ge,
    };
    let [value, zero] = [DType::I64; 2].map(|t| function.new_value(Type::scalar(t)));
    let holds = function.new_value(Type::scalar(DType::Bool));
    let node = |op: Op, operands: &[Value], results: &[Value]| OpNode {
        op,
        operands: operands.to_vec(),
        results: results.to_vec(),
        regions: Vec::new(),
        loc: require.loc,
    };
    let zero_constant = Op::Constant {
        value: Literal::i64(DType::I64, 0),
    };
    let message = require.message.clone();
    vec![
        node(Op::DimValue { dim }, &[], &[value]),
        node(zero_constant, &[], &[zero]),
        node(Op::Compare { kind }, &[value, zero], &[holds]),
        node(Op::Assert { message }, &[holds], &[]),
    ]
}
