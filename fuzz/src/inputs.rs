//! Random arguments.

use aiai_ir::eval::Array;
use aiai_ir::{DType, Literal, Scalar};

use crate::generate::Program;
use aiai_ir::random::Random;

/// Arguments of the entry for its sizes number `case`; the same for the same program and case.
pub fn arguments(program: &Program, case: usize) -> Vec<Array> {
    let mut random = Random::new(program.seed ^ 0xA5A5_0000 ^ case as u64);
    let special = random.choose([0, 0, 0, 30, 5]);
    let sizes = &program.sizes[case % program.sizes.len()];
    let Some(function) = program.module.get(program.entry) else {
        return Vec::new();
    };
    let size = |dim: &aiai_ir::Dim| {
        let value = dim.eval(&|sym| sizes.get(&sym).copied());
        usize::try_from(value.unwrap_or(0)).unwrap_or(0)
    };
    let types = function.param_types();
    types
        .iter()
        .map(|ty| {
            array(
                &mut random,
                ty.dtype(),
                ty.shape().iter().map(size).collect(),
                special,
            )
        })
        .collect()
}

fn array(random: &mut Random, dtype: DType, shape: Vec<usize>, special: usize) -> Array {
    let count = shape.iter().product();
    let elements: Vec<Scalar> = (0..count)
        .map(|_| random_scalar(random, dtype, special))
        .collect();
    Array::from_literal(&Literal::from_elements(dtype, shape, &elements))
}

/// A scalar of the dtype; one in `special` is an edge of its range. 0: none is.
pub(crate) fn random_scalar(random: &mut Random, dtype: DType, special: usize) -> Scalar {
    let edge = special > 0 && random.one_in(special);
    if dtype == DType::Bool {
        return Scalar::Bool(random.one_in(2));
    }
    if dtype.is_float() {
        let large = dtype.unit_roundoff().unwrap_or(1.0).recip();
        return Scalar::Float(match (edge, random.below(6)) {
            (true, _) => random.choose([
                0.0,
                -0.0,
                1.0,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                1e-40,
                -3e38,
                65504.0,
                large,
                -large,
                6e-8,
            ]),
            (false, 0) => random.between(-4, 4) as f64,
            (false, 1) => (random.unit() - 0.5) * 40.0,
            (false, _) => (random.unit() - 0.5) * 4.0,
        });
    }
    Scalar::Int(match (edge, random.below(4)) {
        (true, _) => random.choose([
            0,
            -1,
            1,
            i64::MIN,
            i64::MAX,
            127,
            -128,
            255,
            1 << 31,
            -(1 << 31),
        ]),
        (false, 0) => random.bits() as i64 % 100,
        (false, _) => random.between(-4, 6),
    })
}
