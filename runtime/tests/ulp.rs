//! Errors of the f32 functions against f64, over a sample of all inputs, or over every input:
//! `cargo test --release -p aiai-runtime --test ulp -- --ignored --nocapture`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aiai_runtime::kernels::{self, Level, rows, scalar};

type Row = unsafe fn(Level, *const f32, *mut f32, usize);

struct Case {
    name: &'static str,
    row: Row,
    scalar: fn(f32) -> f32,
    exact: fn(f64) -> f64,
    /// The error that the documentation states.
    ulp: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "exp",
        row: rows::exp_at,
        scalar: scalar::exp,
        exact: libm::exp,
        ulp: 0.9,
    },
    Case {
        name: "expm1",
        row: rows::expm1_at,
        scalar: scalar::expm1,
        exact: libm::expm1,
        ulp: 1.44,
    },
    Case {
        name: "exp2",
        row: rows::exp2_at,
        scalar: scalar::exp2,
        exact: libm::exp2,
        ulp: 0.9,
    },
    Case {
        name: "log",
        row: rows::log_at,
        scalar: scalar::log,
        exact: libm::log,
        ulp: 0.95,
    },
    Case {
        name: "log1p",
        row: rows::log1p_at,
        scalar: scalar::log1p,
        exact: libm::log1p,
        ulp: 1.23,
    },
    Case {
        name: "tanh",
        row: rows::tanh_at,
        scalar: scalar::tanh,
        exact: libm::tanh,
        ulp: 1.41,
    },
    Case {
        name: "erf",
        row: rows::erf_at,
        scalar: scalar::erf,
        exact: libm::erf,
        ulp: 2.43,
    },
    Case {
        name: "sqrt",
        row: rows::sqrt_at,
        scalar: scalar::sqrt,
        exact: f64::sqrt,
        ulp: 0.5,
    },
    Case {
        name: "rsqrt",
        row: rows::rsqrt_at,
        scalar: scalar::rsqrt,
        exact: rsqrt,
        ulp: 1.5,
    },
    Case {
        name: "sin",
        row: rows::sin_at,
        scalar: scalar::sin,
        exact: libm::sin,
        ulp: 0.51,
    },
    Case {
        name: "cos",
        row: rows::cos_at,
        scalar: scalar::cos,
        exact: libm::cos,
        ulp: 0.51,
    },
];

fn rsqrt(x: f64) -> f64 {
    1.0 / x.sqrt()
}

/// Inputs handled at a time.
const BLOCK: u64 = 1 << 14;

/// The distance of `got` from `exact` in units in the last place of the nearest f32; infinite where
/// the two differ in class or sign.
fn error(got: f32, exact: f64) -> f64 {
    let nearest = exact as f32;
    if nearest.is_nan() || got.is_nan() {
        return if nearest.is_nan() == got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got.to_bits() == nearest.to_bits() {
        return 0.0;
    }
    if got.is_sign_negative() != nearest.is_sign_negative() {
        return f64::INFINITY;
    }
    if got.is_infinite() || nearest.is_infinite() {
        let largest = got.abs() == f32::MAX || nearest.abs() == f32::MAX;
        return if largest { 1.0 } else { f64::INFINITY };
    }
    let exponent = ((nearest.abs().to_bits() >> 23) as i32).max(1) - 127 - 23;
    (f64::from(got) - exact).abs() / 2f64.powi(exponent)
}

/// The largest error over every `stride`-th float, and where it is.
fn measure(case: &Case, stride: u64) -> (f64, f32) {
    let next = AtomicU64::new(0);
    let worst = Mutex::new((0.0, 0.0));
    let count = (1u64 << 32).div_ceil(stride);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get()) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BLOCK, Ordering::Relaxed);
                    if first >= count {
                        return;
                    }
                    let last = (first + BLOCK).min(count);
                    let inputs: Vec<f32> = (first..last)
                        .map(|i| f32::from_bits((i * stride) as u32))
                        .collect();
                    let found = measure_block(case, &inputs);
                    let mut worst = worst.lock().unwrap();
                    if found.0 > worst.0 {
                        *worst = found;
                    }
                }
            });
        }
    });
    worst.into_inner().unwrap()
}

fn measure_block(case: &Case, inputs: &[f32]) -> (f64, f32) {
    let mut results = vec![0.0f32; inputs.len()];
    // SAFETY: both rows have this length.
    unsafe {
        (case.row)(
            kernels::level(),
            inputs.as_ptr(),
            results.as_mut_ptr(),
            inputs.len(),
        )
    };
    let mut worst = (0.0, 0.0);
    for (&x, &y) in inputs.iter().zip(&results) {
        let e = error(y, (case.exact)(x.into()));
        if e > worst.0 {
            worst = (e, x);
        }
    }
    worst
}

fn check(stride: u64) {
    let mut failures = Vec::new();
    for case in CASES {
        let (ulp, x) = measure(case, stride);
        println!(
            "{:8} {ulp:.3} ulp at {x:e} ({:#010x})",
            case.name,
            x.to_bits()
        );
        if ulp > case.ulp {
            failures.push(case.name);
        }
    }
    assert!(failures.is_empty(), "worse than stated: {failures:?}");
}

#[test]
fn sampled_errors_are_as_stated() {
    check(4099);
}

#[test]
#[ignore = "takes minutes: every f32"]
fn all_errors_are_as_stated() {
    check(1);
}

#[test]
fn special_values() {
    let specials = [
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1.0,
        -1.0,
        1e-45,
        -1e-45,
        1e-40,
        -1e-40,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::MIN,
        88.72283,
        88.72284,
        -103.97,
        -103.98,
        -87.4,
        std::f32::consts::PI,
        4194304.0,
        4194305.0,
        1e30,
        -1e30,
        0.6,
        0.95,
        3.93,
        10.0,
        -10.0,
    ];
    for case in CASES {
        let (ulp, x) = measure_block(case, &specials);
        assert!(
            ulp <= case.ulp,
            "{} is off by {ulp} ulp at {x:e}",
            case.name
        );
    }
}

fn sample(count: u32) -> Vec<f32> {
    (0..count)
        .map(|i| f32::from_bits(i.wrapping_mul(0x9E37_79B1)))
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    let canonical = |v: f32| {
        if v.is_nan() {
            f32::NAN.to_bits()
        } else {
            v.to_bits()
        }
    };
    values.iter().map(|&v| canonical(v)).collect()
}

#[test]
fn every_version_and_the_scalar_give_the_same_bits() {
    let inputs = sample(20_011);
    for case in CASES {
        let expected: Vec<f32> = inputs.iter().map(|&x| (case.scalar)(x)).collect();
        for level in kernels::levels() {
            let mut results = inputs.clone();
            let row = results.as_mut_ptr();
            // SAFETY: in place on one row.
            unsafe { (case.row)(level, row, row, inputs.len()) };
            assert_eq!(bits(&results), bits(&expected), "{} {level:?}", case.name);
        }
    }
}

#[test]
fn a_square_is_the_product() {
    // 4097 squared lies in the middle of two floats.
    for x in sample(1000)
        .into_iter()
        .chain([4097.0, -5793.0, 1e30, 1e-30, f32::NAN])
    {
        assert_eq!(scalar::pow(x, 2.0).to_bits(), (x * x).to_bits(), "{x:e}");
        let x = f64::from(x) / 3.0;
        assert_eq!(
            scalar::pow_f64(x, 2.0).to_bits(),
            (x * x).to_bits(),
            "{x:e}"
        );
    }
}

#[test]
fn powers() {
    let xs = sample(300);
    let specials = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.5,
        -2.0,
        3.0,
        -3.0,
        16777217.0,
        1e30,
        2.5,
        -0.5,
        1e-45,
        f32::MAX,
    ];
    let all: Vec<f32> = xs.into_iter().chain(specials).collect();
    let bases = (0..2000)
        .map(|i| 0.001 * i as f32)
        .chain(all.iter().copied());
    let mut worst = 0.0;
    for x in bases {
        for &y in &all {
            for y in [y, y % 50.0] {
                let got = scalar::pow(x, y);
                let ulp = error(got, libm::pow(x.into(), y.into()));
                assert!(ulp <= 0.6, "pow({x:e}, {y:e}) = {got:e}, off by {ulp} ulp");
                worst = f64::max(worst, ulp);
            }
        }
    }
    println!("pow      {worst:.3} ulp");
    for level in kernels::levels() {
        let ys: Vec<f32> = all.iter().rev().copied().collect();
        let mut row = vec![0.0; all.len()];
        // SAFETY: three rows of one length.
        unsafe {
            rows::pow_at(
                level,
                all.as_ptr(),
                ys.as_ptr(),
                1,
                row.as_mut_ptr(),
                all.len(),
            )
        };
        let expected: Vec<f32> = all
            .iter()
            .zip(&ys)
            .map(|(&x, &y)| scalar::pow(x, y))
            .collect();
        assert_eq!(bits(&row), bits(&expected));
    }
}
