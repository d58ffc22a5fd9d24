//! Speed of the row kernels at every level:
//! `cargo run --release -p aiai-runtime --example kernel_speed`.

use std::hint::black_box;
use std::time::Instant;

use aiai_runtime::kernels::{self, Level, reduce, rows};

/// Nanoseconds per element of a row of `n`, the best of five trials.
fn time(n: usize, mut run: impl FnMut()) -> f64 {
    let repeats = (4_000_000 / n).max(1);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..repeats {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() / (repeats * n) as f64);
    }
    best * 1e9
}

fn main() {
    type Row = unsafe fn(Level, *const f32, *mut f32, usize);
    let cases: &[(&str, Row)] = &[
        ("exp", rows::exp_at),
        ("expm1", rows::expm1_at),
        ("exp2", rows::exp2_at),
        ("log", rows::log_at),
        ("log1p", rows::log1p_at),
        ("tanh", rows::tanh_at),
        ("erf", rows::erf_at),
        ("rsqrt", rows::rsqrt_at),
        ("sin", rows::sin_at),
        ("cos", rows::cos_at),
    ];
    let n = 1000;
    let x: Vec<f32> = (0..n).map(|i| 0.01 * i as f32 - 5.0).collect();
    let mut y = vec![0.0f32; n];
    println!("ns per element, rows of {n}");
    for level in kernels::levels() {
        for (name, row) in cases {
            // SAFETY: rows of length n.
            let ns = time(n, || unsafe {
                row(level, black_box(x.as_ptr()), y.as_mut_ptr(), n)
            });
            println!("{level:?} {name:8} {ns:.3}");
        }
        type Reduce = unsafe fn(Level, *const f32, usize) -> f32;
        let reductions: &[(&str, Reduce)] = &[("sum", reduce::sum_at), ("max", reduce::max_at)];
        for (name, reduction) in reductions {
            // SAFETY: a row of length n.
            let ns = time(n, || {
                black_box(unsafe { reduction(level, black_box(x.as_ptr()), n) });
            });
            println!("{level:?} {name:8} {ns:.3}");
        }
    }
}
