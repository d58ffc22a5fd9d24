//! The register tile: `ROWS` rows by `VECTORS` vectors of C, accumulated over one block of k.

use super::Matrix;
use super::vector::Vector;

/// What a tile multiplies: rows of A by a panel of B.
#[derive(Clone, Copy)]
pub(super) struct TileInput<T> {
    /// Terms of every dot product.
    pub k: usize,
    pub a: Matrix<*const T>,
    /// The first row of the panel; its lanes are consecutive.
    pub b: *const T,
    /// From one row of the panel to the next.
    pub b_step: isize,
    /// Lanes of the last vector that may be read; all of them in a packed panel.
    pub b_last: usize,
}

/// Where a tile goes.
#[derive(Clone, Copy)]
pub(super) struct TileOutput<T> {
    pub c: Matrix<*mut T>,
    /// Lanes of the last vector that exist.
    pub last: usize,
    /// Adds to what is there.
    pub add: bool,
}

/// Computes one tile.
///
/// # Safety
/// The machine has `V`; the matrices are valid for the tile.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
    input: TileInput<V::Element>,
    output: TileOutput<V::Element>,
) {
    // SAFETY: the caller's promise. Pointers step past the end only where they are not used.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        let (mut a, mut b) = (input.a.data, input.b);
        let whole = input.b_last == V::LANES;
        for _ in 0..input.k {
            let mut row = [V::zero(); VECTORS];
            for (v, lanes) in row.iter_mut().enumerate() {
                let from = b.wrapping_add(v * V::LANES);
                *lanes = if v + 1 < VECTORS || whole {
                    V::load(from)
                } else {
                    V::load_first(from, input.b_last)
                };
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(a.wrapping_offset(i as isize * input.a.row_stride));
                for (sum, &lanes) in sums.iter_mut().zip(&row) {
                    *sum = factor.mul_add(lanes, *sum);
                }
            }
            a = a.wrapping_offset(input.a.column_stride);
            b = b.wrapping_offset(input.b_step);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let to = output
                .c
                .data
                .wrapping_offset(i as isize * output.c.row_stride);
            if output.c.column_stride == 1 {
                store_row::<V, VECTORS>(sums, to, output.last, output.add);
            } else {
                scatter_row::<V, VECTORS>(sums, to, output);
            }
        }
    }
}

/// Writes a row of a tile to consecutive elements.
///
/// # Safety
/// The machine has `V`; all lanes but those after `last` of the last vector exist.
#[inline(always)]
unsafe fn store_row<V: Vector, const VECTORS: usize>(
    sums: [V; VECTORS],
    to: *mut V::Element,
    last: usize,
    add: bool,
) {
    for (v, mut sum) in sums.into_iter().enumerate() {
        let to = to.wrapping_add(v * V::LANES);
        // SAFETY: the caller's promise.
        unsafe {
            if v + 1 < VECTORS || last == V::LANES {
                if add {
                    sum = V::load(to).add(sum);
                }
                sum.store(to);
            } else {
                if add {
                    sum = V::load_first(to, last).add(sum);
                }
                sum.store_first(to, last);
            }
        }
    }
}

/// Writes a row of a tile to elements apart from each other.
///
/// # Safety
/// As for [`store_row`].
#[inline(always)]
unsafe fn scatter_row<V: Vector, const VECTORS: usize>(
    sums: [V; VECTORS],
    to: *mut V::Element,
    output: TileOutput<V::Element>,
) {
    let step = output.c.column_stride;
    for (v, mut sum) in sums.into_iter().enumerate() {
        let lanes = if v + 1 < VECTORS {
            V::LANES
        } else {
            output.last
        };
        // SAFETY: the caller's promise; a vector has at most 16 lanes of at most 8 bytes.
        unsafe {
            let mut buffer = [V::zero(); 1];
            let buffer = buffer.as_mut_ptr().cast::<V::Element>();
            let at = |l: usize| to.wrapping_offset((v * V::LANES + l) as isize * step);
            if output.add {
                for l in 0..lanes {
                    *buffer.add(l) = *at(l);
                }
                sum = V::load(buffer).add(sum);
            }
            sum.store(buffer);
            for l in 0..lanes {
                *at(l) = *buffer.add(l);
            }
        }
    }
}
