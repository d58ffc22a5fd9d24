//! Products against the definition, bit by bit.

use super::*;
use crate::kernels::levels;
use proptest::prelude::*;

/// Numbers whose products round.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let value = |i: usize| crate::philox::word([seed, 1], i as u64) as f32 / 2f32.powi(31) - 1.0;
    (0..count).map(value).collect()
}

/// C by the definition in the module's documentation.
fn expected(
    m: usize,
    n: usize,
    k: usize,
    a: &[f32],
    b: &[f32],
    c: &[f32],
    accumulate: bool,
) -> Vec<f32> {
    let mut result = Vec::new();
    for i in 0..m {
        for j in 0..n {
            let mut total = if accumulate { Some(c[i * n + j]) } else { None };
            let blocks = (0..k.max(1)).step_by(K_BLOCK);
            for first in blocks {
                let mut sum = 0.0f32;
                for t in first..(first + K_BLOCK).min(k) {
                    sum = a[i * k + t].mul_add(b[t * n + j], sum);
                }
                total = Some(total.map_or(sum, |total| total + sum));
            }
            result.push(total.unwrap_or(0.0));
        }
    }
    result
}

fn transposed(rows: usize, columns: usize, x: &[f32]) -> Vec<f32> {
    (0..rows * columns)
        .map(|i| x[i % rows * columns + i / rows])
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    a: bool,
    b: bool,
    c: bool,
    accumulate: bool,
}

fn strides(rows: usize, columns: usize, transposed: bool) -> (isize, isize) {
    if transposed {
        (1, rows as isize)
    } else {
        (columns as isize, 1)
    }
}

fn matrix<P>(data: P, (row_stride, column_stride): (isize, isize)) -> Matrix<P> {
    Matrix {
        data,
        row_stride,
        column_stride,
    }
}

fn check(m: usize, n: usize, k: usize, layout: Layout) {
    let (a, b, c) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
    let want = expected(m, n, k, &a, &b, &c, layout.accumulate);
    let lay = |on: bool, rows, columns, x: &[f32]| {
        if on {
            transposed(rows, columns, x)
        } else {
            x.to_vec()
        }
    };
    let (a_data, b_data) = (lay(layout.a, m, k, &a), lay(layout.b, k, n, &b));
    let mut c_data = lay(layout.c, m, n, &c);
    let product = Product {
        m,
        n,
        k,
        a: matrix(a_data.as_ptr(), strides(m, k, layout.a)),
        b: matrix(b_data.as_ptr(), strides(k, n, layout.b)),
        c: matrix(c_data.as_mut_ptr(), strides(m, n, layout.c)),
        accumulate: layout.accumulate,
    };
    let mut scratch = vec![f32::NAN; <f32 as Real>::SCRATCH];
    for level in levels() {
        c_data.copy_from_slice(&lay(layout.c, m, n, &c));
        let grid = Grid::new(m, n, false);
        for part in (0..grid.len()).map(|i| grid.part(i)) {
            // SAFETY: the matrices have these sizes; the level is the machine's.
            unsafe { f32::run_part(level, &product, part, scratch.as_mut_ptr()) };
        }
        let got = if layout.c {
            transposed(n, m, &c_data)
        } else {
            c_data.clone()
        };
        assert!(got == want, "{m} x {n} x {k}, {layout:?}, {level:?}");
    }
}

#[test]
fn long_sums_and_many_parts() {
    let layout = Layout {
        a: false,
        b: false,
        c: false,
        accumulate: false,
    };
    check(3, 50, 1100, layout);
    check(
        270,
        110,
        7,
        Layout {
            accumulate: true,
            ..layout
        },
    );
    check(1, 300, 520, layout);
    check(9, 49, 0, layout);
}

#[test]
fn threads_and_parts_do_not_change_bits() {
    let (m, n, k) = (300, 200, 70);
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let run = |threads, whole_rows| {
        let mut c = vec![f32::NAN; m * n];
        let product = Product {
            m,
            n,
            k,
            a: matrix(a.as_ptr(), strides(m, k, false)),
            b: matrix(b.as_ptr(), strides(k, n, false)),
            c: matrix(c.as_mut_ptr(), strides(m, n, false)),
            accumulate: false,
        };
        let finished = std::sync::Mutex::new(0);
        let count = |part: Part| {
            *finished.lock().unwrap() +=
                (part.rows.1 - part.rows.0) * (part.columns.1 - part.columns.0);
            true
        };
        // SAFETY: the matrices have these sizes.
        unsafe { gemm(&Pool::new(threads).unwrap(), &product, whole_rows, &count).unwrap() };
        assert_eq!(finished.into_inner().unwrap(), m * n);
        c
    };
    let expected = expected(m, n, k, &a, &b, &[], false);
    for threads in 1..4 {
        assert!(run(threads, false) == expected);
        assert!(run(threads, true) == expected);
    }
}

#[test]
fn doubles_and_integers() {
    let (m, n, k) = (13, 37, 20);
    let a: Vec<i64> = (0..m * k).map(|i| (i * 7 % 23) as i64 - 11).collect();
    let b: Vec<i64> = (0..k * n).map(|i| (i * 5 % 19) as i64 - 9).collect();
    let mut exact = vec![0i64; m * n];
    for (i, value) in exact.iter_mut().enumerate() {
        *value = (0..k).map(|t| a[i / n * k + t] * b[t * n + i % n]).sum();
    }
    let whole = Part {
        rows: (0, m),
        columns: (0, n),
    };

    let (fa, fb): (Vec<f64>, Vec<f64>) = (
        a.iter().map(|&v| v as f64).collect(),
        b.iter().map(|&v| v as f64).collect(),
    );
    let mut fc = vec![f64::NAN; m * n];
    let product = Product {
        m,
        n,
        k,
        a: matrix(fa.as_ptr(), strides(m, k, false)),
        b: matrix(fb.as_ptr(), strides(k, n, false)),
        c: matrix(fc.as_mut_ptr(), strides(m, n, false)),
        accumulate: false,
    };
    let mut scratch = vec![0.0; <f64 as Real>::SCRATCH];
    for level in levels() {
        // SAFETY: the matrices have these sizes; the level is the machine's.
        unsafe { f64::run_part(level, &product, whole, scratch.as_mut_ptr()) };
        assert!(
            fc.iter().zip(&exact).all(|(&x, &y)| x == y as f64),
            "{level:?}"
        );
    }

    let (na, nb): (Vec<u8>, Vec<u8>) = (
        a.iter().map(|&v| v as u8).collect(),
        b.iter().map(|&v| v as u8).collect(),
    );
    let mut nc = vec![1u8; m * n];
    let product = Product {
        m,
        n,
        k,
        a: matrix(na.as_ptr(), strides(m, k, false)),
        b: matrix(nb.as_ptr(), strides(k, n, false)),
        c: matrix(nc.as_mut_ptr(), strides(m, n, false)),
        accumulate: true,
    };
    // SAFETY: the matrices have these sizes.
    unsafe { gemm_plain(&product, whole) };
    assert!(nc.iter().zip(&exact).all(|(&x, &y)| x == (y + 1) as u8));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn any_shape_and_layout(
        m in 0usize..40, n in 0usize..120, k in 0usize..30,
        a: bool, b: bool, c: bool, accumulate: bool,
    ) {
        check(m, n, k, Layout { a, b, c, accumulate });
    }

    #[test]
    fn parts_cover_every_element_once(m in 0usize..600, n in 0usize..400, whole_rows: bool) {
        let grid = Grid::new(m, n, whole_rows);
        let area = |p: Part| (p.rows.1 - p.rows.0) * (p.columns.1 - p.columns.0);
        prop_assert_eq!((0..grid.len()).map(|i| area(grid.part(i))).sum::<usize>(), m * n);
    }
}
