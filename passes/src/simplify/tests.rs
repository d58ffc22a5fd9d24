//! What is left of small functions.

use aiai_ir::{BinaryKind, Builder, DType, Dim, Function, Literal, Op, Type, UnaryKind, Value};

use super::simplify;

/// The names of the ops that are left of a function of `x: f32[N, 4]`.
fn left(build: impl FnOnce(&mut Builder, Value) -> Value) -> Vec<&'static str> {
    let mut function = Function::new("f");
    let mut b = Builder::new(&mut function);
    let shape = vec![Dim::sym("N"), Dim::from(4)];
    let x = b.add_param("x", Type::tensor(DType::F32, shape), false);
    let y = build(&mut b, x);
    b.finish(&[y], &["y"]);
    simplify(&mut function);
    crate::dce::eliminate_dead_code(&mut function);
    function.body.ops.iter().map(|n| n.op.name()).collect()
}

fn splat(b: &mut Builder, value: f64) -> Value {
    let scalar = b.literal(Literal::f64(DType::F32, value));
    b.broadcast(scalar, &[Dim::sym("N"), Dim::from(4)], &[])
}

#[test]
fn identities_vanish_and_signed_zeros_count() {
    let nothing: [&str; 0] = [];
    let with = |kind, value| {
        left(|b, x| {
            let c = splat(b, value);
            b.binary(kind, x, c)
        })
    };
    assert_eq!(with(BinaryKind::Mul, 1.0), nothing);
    assert_eq!(with(BinaryKind::Sub, 0.0), nothing);
    assert_eq!(with(BinaryKind::Add, -0.0), nothing);
    assert_eq!(with(BinaryKind::Add, 0.0), ["constant", "broadcast", "add"]);
    assert_eq!(with(BinaryKind::Pow, 2.0), ["mul"]);
}

#[test]
fn movement_composes() {
    let twice = left(|b, x| {
        let y = b.permute(x, &[1, 0]);
        b.permute(y, &[1, 0])
    });
    assert!(twice.is_empty(), "{twice:?}");
    let reshaped = left(|b, x| {
        let four_n = Dim::sym("N") * Dim::from(4);
        let y = b.reshape(x, &[four_n]);
        let y = b.unary(UnaryKind::Exp, y);
        let z = b.reshape(y, &[Dim::from(2), Dim::sym("N"), Dim::from(2)]);
        b.reshape(z, &[four_n])
    });
    assert_eq!(reshaped, ["reshape", "exp"]);
}

#[test]
fn constants_fold() {
    let folded = left(|b, x| {
        let nine = b.literal(Literal::f64(DType::F32, 9.0));
        let root = b.unary(UnaryKind::Sqrt, nine);
        let c = b.broadcast(root, &[Dim::sym("N"), Dim::from(4)], &[]);
        b.binary(BinaryKind::Div, x, c)
    });
    assert_eq!(folded, ["constant", "broadcast", "div"]);
}

#[test]
fn the_branch_of_a_constant_condition_stays() {
    let chosen = left(|b, x| {
        let yes = b.literal(Literal::bool(true));
        let ty = b.ty(x).clone();
        b.begin_region(&[]);
        let a = b.unary(UnaryKind::Exp, x);
        let first = b.end_region(&[a]);
        b.begin_region(&[]);
        let c = b.unary(UnaryKind::Neg, x);
        let second = b.end_region(&[c]);
        let results = b.op(Op::If, &[yes], vec![first, second]);
        assert_eq!(b.ty(results[0]), &ty);
        results[0]
    });
    assert_eq!(chosen, ["exp"]);
}
