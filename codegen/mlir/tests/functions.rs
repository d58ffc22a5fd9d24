//! Functions of f32 in machine code of LLVM: the bits of the runtime's kernels, whose errors `runtime/tests/ulp.rs`
//! measures, on single numbers and in vectors. Every f32:
//! `cargo test --release -p aiai-mlir --features llvm --test functions -- --ignored`.

#![cfg(feature = "llvm")]

use aiai_codegen::Target;
use aiai_ir::{BinaryKind, Builder, DType, Dim, Function, Type, UnaryKind};
use aiai_mlir::Stage;
use aiai_runtime::kernels::{Level, level, rows};
use aiai_runtime::program::Executable;
use aiai_runtime::{Pool, Tensor};

type Row = unsafe fn(Level, *const f32, *mut f32, usize);

const FUNCTIONS: [(UnaryKind, Row); 9] = [
    (UnaryKind::Exp, rows::exp_at),
    (UnaryKind::Expm1, rows::expm1_at),
    (UnaryKind::Exp2, rows::exp2_at),
    (UnaryKind::Log, rows::log_at),
    (UnaryKind::Log1p, rows::log1p_at),
    (UnaryKind::Tanh, rows::tanh_at),
    (UnaryKind::Erf, rows::erf_at),
    (UnaryKind::Sin, rows::sin_at),
    (UnaryKind::Cos, rows::cos_at),
];

/// The function on tensors of a shape.
fn compiled(kind: UnaryKind, shape: &[Dim]) -> Executable {
    let mut function = Function::new("apply");
    let mut b = Builder::new(&mut function);
    let x = b.add_param("x", Type::tensor(DType::F32, shape.to_vec()), false);
    let y = b.unary(kind, x);
    b.finish(&[y], &["y"]);
    let options = aiai_fuzz::schedules::rows_and_maps();
    aiai_mlir::compile(&function, &options).expect("machine code")
}

fn run(function: &Executable, pool: &Pool, shape: &[i64], x: &[f32]) -> Vec<f32> {
    let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let shape: Vec<_> = shape
        .iter()
        .map(|&n| n.try_into().expect("a size"))
        .collect();
    let x = Tensor::from_bytes(aiai_runtime::DType::F32, &shape, &bytes).expect("a tensor");
    let y = function.run(&[&x], pool).expect("a result").remove(0);
    let words = y.bytes().chunks_exact(4);
    let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    words.map(number).collect()
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn check(kind: UnaryKind, x: &[f32], got: &[f32], row: Row) {
    let mut expected = vec![0.0; x.len()];
    // SAFETY: both rows have this length.
    unsafe { row(level(), x.as_ptr(), expected.as_mut_ptr(), x.len()) };
    assert_eq!(got.len(), x.len());
    for ((&x, &got), &expected) in x.iter().zip(got).zip(&expected) {
        let name = kind.name();
        assert!(
            same(got, expected),
            "{name}({x:e}) is {got:e}, not {expected:e}"
        );
    }
}

/// Numbers at which something changes, and neighbours of them.
fn special() -> Vec<f32> {
    let places = [
        0.0,
        1e-45,
        1e-40,
        f32::MIN_POSITIVE,
        1e-30,
        0.35,
        0.5,
        0.6,
        2.0 / 3.0,
        0.95,
        1.0,
        4.0 / 3.0,
        3.93,
        17.0,
        30.0,
        87.4,
        88.72283,
        103.97,
        104.0,
        8_388_608.0,
        4_194_304.0,
        33_554_432.0,
        1e30,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
    ];
    let around = |x: f32| [x.next_down(), x, x.next_up()].map(|x| [x, -x]);
    places.into_iter().flat_map(around).flatten().collect()
}

#[test]
fn vectors_side_by_side_share_a_function() {
    // 1 + exp(-x): the vector of ones is made beside each exponential.
    let shape = [Dim::sym("N")];
    let mut function = Function::new("apply");
    let mut b = Builder::new(&mut function);
    let x = b.add_param("x", Type::tensor(DType::F32, shape.to_vec()), false);
    let one = b.splat(DType::F32, 1.0, &shape);
    let x = b.unary(UnaryKind::Neg, x);
    let y = b.unary(UnaryKind::Exp, x);
    let y = b.binary(BinaryKind::Add, one, y);
    b.finish(&[y], &["y"]);
    for (level, of_four) in [("cpu:x86-64-v4", true), ("cpu:x86-64-v3", false)] {
        let target = Target::parse(level).expect("a level");
        let options = aiai_fuzz::schedules::rows_and_maps();
        let text = aiai_mlir::emit(&function, &options, Stage::Mlir, &target).expect("MLIR");
        let calls = |name: &str| text.matches(&format!("llvm.call @{name}(")).count();
        let (four, one) = (calls("aiai_inlined_exp_16_4"), calls("aiai_inlined_exp_16"));
        // The vectors of the loop, of which the library writes four out with AVX-512, and the one at its end.
        let expected = if of_four { (1, 1) } else { (0, 2) };
        assert_eq!((four, one), expected, "{level}");
    }
}

/// Every f32 whose number is a multiple of the stride.
fn sweep(stride: u64) {
    let pool = Pool::new(2).expect("a pool");
    let all = 1u64 << 32;
    // No multiple of a vector, so that ends of rows take part.
    let block = stride * ((1 << 20) - 5);
    for (kind, row) in FUNCTIONS {
        let function = compiled(kind, &[Dim::sym("N")]);
        for first in (0..all).step_by(block as usize) {
            let numbers = (first..all.min(first + block)).step_by(stride as usize);
            let x: Vec<f32> = numbers.map(|n| f32::from_bits(n as u32)).collect();
            check(kind, &x, &run(&function, &pool, &[x.len() as i64], &x), row);
        }
    }
}

#[test]
fn a_sample_of_all_numbers() {
    sweep(4099);
}

#[test]
#[ignore = "takes minutes: every f32"]
fn all_numbers() {
    sweep(1);
}

/// Where the functions do the most: numbers from 1/2 to 1.
#[test]
fn every_number_of_an_exponent() {
    let pool = Pool::new(2).expect("a pool");
    for (kind, row) in FUNCTIONS {
        let function = compiled(kind, &[Dim::sym("N")]);
        for sign in [1.0, -1.0] {
            let numbers = 0.5f32.to_bits()..1.0f32.to_bits();
            let x: Vec<f32> = numbers.map(|n| sign * f32::from_bits(n)).collect();
            check(kind, &x, &run(&function, &pool, &[x.len() as i64], &x), row);
        }
    }
}

#[test]
fn special_numbers_in_vectors_and_alone() {
    let pool = Pool::new(1).expect("a pool");
    let x = special();
    for (kind, row) in FUNCTIONS {
        let many = compiled(kind, &[Dim::sym("N")]);
        check(kind, &x, &run(&many, &pool, &[x.len() as i64], &x), row);
        let alone = compiled(kind, &[]);
        for x in &x {
            check(kind, &[*x], &run(&alone, &pool, &[], &[*x]), row);
        }
    }
}
