//! How many buffers functions allocate.

use aiai_ir::schedule::{Axis, Pattern, Step};
use aiai_ir::{Builder, ReduceKind, Schedule, UnaryKind};

use super::*;

/// How many buffers a function of `x: f32[N, M]` allocates for its intermediate results, in scalar loops and with
/// rows in vectors.
fn buffers(build: impl FnOnce(&mut Builder, Value) -> Value) -> (usize, usize) {
    let mut source = Function::new("f");
    let mut b = Builder::new(&mut source);
    let shape = vec![Dim::sym("N"), Dim::sym("M")];
    let x = b.add_param("x", Type::tensor(DType::F32, shape), false);
    let y = build(&mut b, x);
    b.finish(&[y], &["y"]);
    let schedules = [Pattern::Rows, Pattern::Map].map(|pattern| Schedule {
        name: pattern.name().into(),
        pattern,
        features: Vec::new(),
        without: Vec::new(),
        guard: Vec::new(),
        steps: steps(pattern),
        doc: String::new(),
        loc: None,
    });
    let [scalars, vectors] = [&[], schedules.as_slice()].map(|schedules| {
        let options = crate::lower::Lowering {
            schedules,
            inlined: &[UnaryKind::Exp],
            ..Default::default()
        };
        let mut loops = crate::lower::lower_with(&source, &options).main;
        crate::memory::plan(&mut loops);
        let mut count = 0;
        loops
            .body
            .walk(&mut |node| count += usize::from(is_large(node)));
        count
    });
    (scalars, vectors)
}

fn steps(pattern: Pattern) -> Vec<Step> {
    let vectorize = Step::Vectorize {
        axis: Axis::Columns,
        by: 16,
    };
    let prefetch = Step::Prefetch {
        axis: Axis::Rows,
        by: 1,
    };
    match pattern {
        Pattern::Rows => vec![vectorize, prefetch],
        _ => vec![vectorize],
    }
}

#[test]
fn a_chain_of_tensors_is_computed_in_one_buffer() {
    let count = buffers(|b, x| {
        let a = b.unary(UnaryKind::Neg, x);
        let c = b.binary(BinaryKind::Mul, a, x);
        let d = b.unary(UnaryKind::Abs, c);
        b.reduce(ReduceKind::Sum, d, &[0])
    });
    assert_eq!(count, (1, 1));
}

/// The group that softmax of `y` over its last axis makes, with something added of `y`.
fn softmax(b: &mut Builder, y: Value, part: impl FnOnce(&mut Builder) -> Value) -> Value {
    let shape = b.ty(y).shape().to_vec();
    b.begin_region(&[]);
    let largest = b.reduce(ReduceKind::Max, y, &[1]);
    let largest = b.broadcast(largest, &shape, &[0]);
    let shifted = b.binary(BinaryKind::Sub, y, largest);
    let e = b.unary(UnaryKind::Exp, shifted);
    let total = b.reduce(ReduceKind::Sum, e, &[1]);
    let total = b.broadcast(total, &shape, &[0]);
    let quotient = b.binary(BinaryKind::Div, e, total);
    let part = part(b);
    let result = b.binary(BinaryKind::Add, quotient, part);
    let region = b.end_region(&[result]);
    let kind = aiai_ir::FuseKind::Rows;
    b.op(Op::Fused { kind }, &[], vec![region])[0]
}

#[test]
fn rows_are_replaced_where_all_is_read_before() {
    let in_place = buffers(|b, x| {
        let y = b.unary(UnaryKind::Neg, x);
        let s = softmax(b, y, |_| y);
        b.reduce(ReduceKind::Sum, s, &[0])
    });
    // The rows, and one that is kept while a row is done: in vectors it is kept where the result comes, over which
    // `y` is read.
    assert_eq!(in_place, (2, 2));
    let alone = buffers(|b, x| {
        let y = b.unary(UnaryKind::Neg, x);
        let shape = b.ty(y).shape().to_vec();
        let s = softmax(b, y, |b| b.splat(DType::F32, 1.0, &shape));
        b.reduce(ReduceKind::Sum, s, &[0])
    });
    assert_eq!(alone, (2, 1));
    let read_elsewhere = buffers(|b, x| {
        let y = b.unary(UnaryKind::Neg, x);
        let s = softmax(b, y, |b| b.value(Op::Reverse { axes: vec![1] }, &[y]));
        b.reduce(ReduceKind::Sum, s, &[0])
    });
    assert_eq!(read_elsewhere, (3, 3));
    let other_rows = buffers(|b, x| {
        let y = b.unary(UnaryKind::Neg, x);
        let s = softmax(b, y, |b| b.value(Op::Reverse { axes: vec![0] }, &[y]));
        b.reduce(ReduceKind::Sum, s, &[0])
    });
    assert_eq!(other_rows, (3, 3));
}

#[test]
fn what_is_read_elsewhere_keeps_its_buffer() {
    let transposed = buffers(|b, x| {
        let a = b.unary(UnaryKind::Neg, x);
        let t = b.permute(a, &[1, 0]);
        let c = b.unary(UnaryKind::Abs, t);
        b.reduce(ReduceKind::Sum, c, &[0])
    });
    assert_eq!(transposed, (2, 2));
    let used_again = buffers(|b, x| {
        let a = b.unary(UnaryKind::Neg, x);
        let c = b.unary(UnaryKind::Abs, a);
        let d = b.binary(BinaryKind::Add, a, c);
        b.reduce(ReduceKind::Sum, d, &[0])
    });
    // `c` cannot take the place of `a`; `d` takes one of them.
    assert_eq!(used_again, (2, 2));
}
