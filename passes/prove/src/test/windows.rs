//! Sizes beyond memory: a few positions of a dimension of billions, where both sides work element by element.
//!
//! An element of such a side depends on its own position, on the sizes, and on the elements of the parameters there
//! alone. So positions O to O + 4 of a dimension of size N are computed by the same ops on tensors of size 4, with
//! every count begun at O, and every size that is a value written as the constant that it is.

use aiai_ir::{DType, Dim, Function, Literal, Op, OpNode, Rule, Sym, Type, Value};

use super::sizes::{SizeSource, Sizes};

/// A rule at some positions of large dimensions.
#[derive(Debug)]
pub struct Window {
    pub rule: Rule,
    /// The sizes of the tensors that are computed.
    pub small: Sizes,
    /// The sizes that they stand for, and the first position of each dimension.
    pub large: Vec<(Sym, i64)>,
    pub offset: i64,
}

/// Elements of a dimension that are computed.
const WIDTH: i64 = 4;

/// First positions: before the ends of what i16, f32, i32, u32 and f64 count exactly.
const OFFSETS: [i64; 7] = [
    (1 << 15) - 2,
    (1 << 16) - 2,
    (1 << 24) - 1,
    (1 << 31) - 2,
    (1 << 32) - 2,
    (1 << 33) + 5,
    (1 << 53) - 2,
];

/// The windows of a rule; none where a side looks at other positions, or neither counts.
pub fn windows(rule: &Rule, source: &SizeSource) -> Vec<Window> {
    let counts = counts(&rule.lhs) || counts(&rule.rhs);
    if !counts || !local(&rule.lhs) || !local(&rule.rhs) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for offset in OFFSETS {
        // All dimensions large, or one of them.
        let mut choices = vec![source.syms.clone()];
        choices.extend(source.syms.iter().map(|sym| vec![*sym]));
        for large in choices {
            let size = |sym: &Sym| {
                if large.contains(sym) {
                    offset + WIDTH + 3
                } else {
                    WIDTH
                }
            };
            let sizes: Sizes = source.syms.iter().map(|sym| (*sym, size(sym))).collect();
            if source.holds(&sizes) {
                found.extend(window(rule, &sizes, offset));
            }
        }
    }
    found
}

fn window(rule: &Rule, sizes: &Sizes, offset: i64) -> Option<Window> {
    let mut moved = rule.clone();
    moved.guard.clear();
    moved.lhs = shifted(&rule.lhs, sizes, offset)?;
    moved.rhs = shifted(&rule.rhs, sizes, offset)?;
    let mut large: Vec<(Sym, i64)> = sizes.iter().map(|(sym, size)| (*sym, *size)).collect();
    large.sort();
    Some(Window {
        rule: moved,
        small: sizes.keys().map(|sym| (*sym, WIDTH)).collect(),
        large,
        offset,
    })
}

/// Whether positions or sizes are values.
fn counts(function: &Function) -> bool {
    let mut found = false;
    function.body.walk(&mut |node| {
        found |= matches!(node.op, Op::Iota { .. } | Op::DimValue { .. });
    });
    found
}

/// Whether every element depends on its own position alone.
fn local(function: &Function) -> bool {
    let mut all = true;
    let whole = |shape: &[Dim]| {
        shape
            .iter()
            .all(|d| d.as_sym().is_some() || d.as_const() == Some(1))
    };
    for value in (0..function.value_count() as u32).map(Value) {
        all &= whole(function.ty(value).shape());
    }
    function.body.walk(&mut |node| {
        all &= node.regions.is_empty()
            && match &node.op {
                Op::Unary { .. }
                | Op::Binary { .. }
                | Op::Compare { .. }
                | Op::Select
                | Op::Cast { .. }
                | Op::StopGradient
                | Op::DimValue { .. }
                | Op::Iota { .. }
                | Op::Broadcast { .. }
                | Op::Permute { .. } => true,
                Op::Constant { value } => value.shape.is_empty(),
                // Everything else looks at other positions.
                _ => false,
            };
    });
    all
}

/// The function with counts begun at the offset, and sizes as constants.
fn shifted(function: &Function, sizes: &Sizes, offset: i64) -> Option<Function> {
    let mut function = function.clone();
    function.requires.clear();
    let ops = std::mem::take(&mut function.body.ops);
    for mut node in ops {
        match &node.op {
            Op::DimValue { dim } => {
                let value = dim.eval(&|sym| sizes.get(&sym).copied())?;
                node.op = constant(value);
                function.body.ops.push(node);
            }
            Op::Iota { dtype, shape, axis } => {
                let begun = match shape[*axis].as_sym() {
                    Some(sym) if sizes.get(&sym).is_some_and(|size| *size > WIDTH) => offset,
                    _ => 0,
                };
                let (dtype, shape, axis) = (*dtype, shape.clone(), *axis);
                let ty = Type::tensor(DType::I64, shape.clone());
                let count = Op::Iota {
                    dtype: DType::I64,
                    shape: shape.clone(),
                    axis,
                };
                let count = push(&mut function, count, &[], ty.clone());
                let begun = push(
                    &mut function,
                    constant(begun),
                    &[],
                    Type::scalar(DType::I64),
                );
                let axes = Vec::new();
                let begun = push(
                    &mut function,
                    Op::Broadcast { shape, axes },
                    &[begun],
                    ty.clone(),
                );
                let add = Op::Binary {
                    kind: aiai_ir::BinaryKind::Add,
                };
                let place = push(&mut function, add, &[count, begun], ty);
                node.op = Op::Cast { dtype };
                node.operands = vec![place];
                function.body.ops.push(node);
            }
            _ => function.body.ops.push(node),
        }
    }
    Some(function)
}

fn constant(value: i64) -> Op {
    Op::Constant {
        value: Literal::i64(DType::I64, value),
    }
}

fn push(function: &mut Function, op: Op, operands: &[Value], ty: Type) -> Value {
    let result = function.new_value(ty);
    function.body.ops.push(OpNode {
        op,
        operands: operands.to_vec(),
        results: vec![result],
        regions: Vec::new(),
        loc: None,
    });
    result
}
