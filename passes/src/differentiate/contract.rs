//! The adjoint of a contraction is a contraction: the operand and the output exchange their places.

use aiai_ir::{Builder, Op, Value};

/// The cotangent of operand k.
pub fn operand(b: &mut Builder, op: &Op, x: &[Value], k: usize, g: Value) -> Value {
    let Op::Contract {
        space,
        maps,
        out,
        acc,
        ..
    } = op
    else {
        unreachable!("called for contractions only");
    };
    let mut operands = x.to_vec();
    operands[k] = g;
    let mut swapped = maps.clone();
    let target = std::mem::replace(&mut swapped[k], out.clone());
    let shape = b.ty(x[k]).shape().to_vec();
    let op = Op::Contract {
        space: space.clone(),
        maps: swapped,
        out: target,
        shape,
        acc: *acc,
    };
    b.value(op, &operands)
}
