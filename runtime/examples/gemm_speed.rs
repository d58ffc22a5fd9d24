//! GFLOP/s of f32 products on one thread, ours beside the `gemm` crate:
//! `cargo run --release -p aiai-runtime --example gemm_speed`.

use std::time::Instant;

use aiai_runtime::Pool;
use aiai_runtime::gemm::{Matrix, Product, gemm as product_of};

/// The best rate of several trials of about 20 ms.
fn rate(operations: f64, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    let repeats = (0.02 / start.elapsed().as_secs_f64()).ceil().max(1.0) as usize;
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..repeats {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() / repeats as f64);
    }
    operations / best / 1e9
}

fn strides(rows: usize, columns: usize, transposed: bool) -> (isize, isize) {
    if transposed {
        (1, rows as isize)
    } else {
        (columns as isize, 1)
    }
}

fn main() {
    let pool = Pool::new(1).expect("one thread is the caller's own");
    let shapes = [
        (1, 384, 384),
        (1, 4096, 1024),
        (4, 384, 384),
        (32, 384, 384),
        (128, 384, 384),
        (128, 1536, 384),
        (128, 384, 1536),
        (128, 128, 32),
        (128, 32, 128),
        (1024, 16, 144),
        (1024, 32, 9),
        (4096, 384, 384),
        (4096, 1536, 384),
        (1024, 1024, 1024),
    ];
    println!("m n k        a^T b^T     ours    gemm crate (GFLOP/s)");
    for (m, n, k) in shapes {
        for (at, bt) in [(false, false), (false, true), (true, false)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 17) as f32 - 8.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 13) as f32 - 6.0).collect();
            let mut c = vec![0.0f32; m * n];
            let ((ar, ac), (br, bc)) = (strides(m, k, at), strides(k, n, bt));
            let product = Product {
                m,
                n,
                k,
                a: Matrix {
                    data: a.as_ptr(),
                    row_stride: ar,
                    column_stride: ac,
                },
                b: Matrix {
                    data: b.as_ptr(),
                    row_stride: br,
                    column_stride: bc,
                },
                c: Matrix {
                    data: c.as_mut_ptr(),
                    row_stride: n as isize,
                    column_stride: 1,
                },
                accumulate: false,
            };
            let operations = 2.0 * (m * n * k) as f64;
            // SAFETY: the matrices have these sizes.
            let ours = rate(operations, || unsafe {
                product_of(&pool, &product, false, &|_| true).expect("scratch memory");
            });
            let data = c.as_mut_ptr();
            // SAFETY: as above.
            let theirs = rate(operations, || unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    data,
                    1,
                    n as isize,
                    false,
                    a.as_ptr(),
                    ac,
                    ar,
                    b.as_ptr(),
                    bc,
                    br,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            });
            println!("{m:5} {n:5} {k:5} {at:5} {bt:5} {ours:8.1} {theirs:8.1}");
        }
    }
}
