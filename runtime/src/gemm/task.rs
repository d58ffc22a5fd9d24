//! One part of a product on one thread: panels of columns, blocks of k, tiles of rows.

use super::tile::{TileInput, TileOutput, tile};
use super::vector::{Portable, Vector};
use super::{K_BLOCK, Matrix, Part, Product, Real, pack};
use crate::kernels::Level;

/// Vectors across a packed panel.
const VECTORS: usize = 3;
/// Vectors across a panel of a single row, which uses every element of B once.
const WIDE: usize = 16;
/// Up to so many rows B is read where it is: an element is used too seldom to be moved first.
const ROWS_UNPACKED: usize = 16;

fn offset<P: Offset>(matrix: Matrix<P>, row: usize, column: usize) -> Matrix<P> {
    let by = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
    Matrix {
        data: matrix.data.offset_by(by),
        ..matrix
    }
}

/// Both kinds of pointers.
trait Offset {
    fn offset_by(self, by: isize) -> Self;
}

impl<T> Offset for *const T {
    fn offset_by(self, by: isize) -> Self {
        self.wrapping_offset(by)
    }
}

impl<T> Offset for *mut T {
    fn offset_by(self, by: isize) -> Self {
        self.wrapping_offset(by)
    }
}

/// Computes a part of C with vectors `V` and tiles of up to `ROWS` rows.
///
/// # Safety
/// The machine has `V`; the product is valid on the part; `scratch` holds a panel.
#[inline(always)]
unsafe fn part<V: Vector, const ROWS: usize>(
    product: &Product<V::Element>,
    part: Part,
    scratch: *mut V::Element,
) {
    let rows = part.rows.1 - part.rows.0;
    let packed = rows > ROWS_UNPACKED || product.b.column_stride != 1;
    let mut column = part.columns.0;
    while column < part.columns.1 {
        let left = part.columns.1 - column;
        let wide = rows == 1 && !packed && left >= WIDE * V::LANES;
        let width = if wide { WIDE } else { VECTORS } * V::LANES;
        let columns = width.min(left);
        // One round even for k = 0, which stores zeros.
        for first in (0..product.k.max(1)).step_by(K_BLOCK) {
            let k = K_BLOCK.min(product.k - first);
            let b = offset(product.b, first, column);
            let panel_width = columns.next_multiple_of(V::LANES);
            if packed {
                // SAFETY: the panel lies in B and fits the scratch memory.
                unsafe { pack::pack::<V>(b, k, columns, panel_width, scratch) };
            }
            let last = (columns - 1) % V::LANES + 1;
            let input = TileInput {
                k,
                a: offset(product.a, part.rows.0, first),
                b: if packed { scratch.cast_const() } else { b.data },
                b_step: if packed {
                    panel_width as isize
                } else {
                    b.row_stride
                },
                b_last: if packed { V::LANES } else { last },
            };
            let output = TileOutput {
                c: offset(product.c, part.rows.0, column),
                last,
                add: product.accumulate || first > 0,
            };
            // SAFETY: the tiles lie in the part.
            unsafe {
                match panel_width / V::LANES {
                    1 => panel::<V, ROWS, 1>(rows, input, output),
                    2 => panel::<V, ROWS, 2>(rows, input, output),
                    VECTORS => panel::<V, ROWS, VECTORS>(rows, input, output),
                    _ => tile::<V, 1, WIDE>(input, output),
                }
            }
        }
        column += columns;
    }
}

/// All rows of a panel.
///
/// # Safety
/// As for [`tile`], for `rows` rows.
#[inline(always)]
unsafe fn panel<V: Vector, const ROWS: usize, const WIDTH: usize>(
    rows: usize,
    mut input: TileInput<V::Element>,
    mut output: TileOutput<V::Element>,
) {
    let mut left = rows;
    while left > 0 {
        // SAFETY: the caller's promise; as many rows are left.
        let done = unsafe {
            if left >= ROWS {
                tile::<V, ROWS, WIDTH>(input, output);
                ROWS
            } else if ROWS > 4 && left >= 4 {
                tile::<V, 4, WIDTH>(input, output);
                4
            } else if left >= 2 {
                tile::<V, 2, WIDTH>(input, output);
                2
            } else {
                tile::<V, 1, WIDTH>(input, output);
                1
            }
        };
        left -= done;
        let (a, c) = (&mut input.a, &mut output.c);
        a.data = a.data.wrapping_offset(done as isize * a.row_stride);
        c.data = c.data.wrapping_offset(done as isize * c.row_stride);
    }
}

macro_rules! reals {
    ($($ty:ty: $avx512:ident $wide:ident, $avx2:ident $narrow:ident, $lanes:literal;)+) => { $(
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        unsafe fn $avx512(product: &Product<$ty>, region: Part, scratch: *mut $ty) {
            // SAFETY: the caller's promise.
            unsafe { part::<std::arch::x86_64::$wide, 8>(product, region, scratch) }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $avx2(product: &Product<$ty>, region: Part, scratch: *mut $ty) {
            // SAFETY: the caller's promise.
            unsafe { part::<std::arch::x86_64::$narrow, 4>(product, region, scratch) }
        }

        impl Real for $ty {
            const SCRATCH: usize = K_BLOCK * VECTORS * $lanes;

            unsafe fn run_part(level: Level, product: &Product<$ty>, region: Part, scratch: *mut $ty) {
                // SAFETY: the caller's promise.
                unsafe {
                    match level {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => $avx512(product, region, scratch),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => $avx2(product, region, scratch),
                        _ => part::<Portable<$ty, 4>, 4>(product, region, scratch),
                    }
                }
            }
        }
    )+ };
}

reals! {
    f32: avx512_f32 __m512, avx2_f32 __m256, 16;
    f64: avx512_f64 __m512d, avx2_f64 __m256d, 8;
}
