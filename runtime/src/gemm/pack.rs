//! Packing: a panel of B laid out row after row, so that tiles read it in order.

use super::Matrix;
use super::vector::Vector;

/// Packs `k` rows of `columns` columns into rows of `width` elements; the elements past `columns` up to
/// the next whole vector become 0.
///
/// # Safety
/// The machine has `V`; B is valid for the panel, `to` for `k * width` elements; `width` is a multiple
/// of the lanes and at least `columns`.
#[inline(always)]
pub(super) unsafe fn pack<V: Vector>(
    b: Matrix<*const V::Element>,
    k: usize,
    columns: usize,
    width: usize,
    to: *mut V::Element,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if b.column_stride == 1 {
            pack_rows::<V>(b, k, columns, width, to);
        } else {
            pack_columns::<V>(b, k, columns, width, to);
        }
    }
}

/// # Safety
/// As for [`pack`]; the elements of a row of B are consecutive.
#[inline(always)]
unsafe fn pack_rows<V: Vector>(
    b: Matrix<*const V::Element>,
    k: usize,
    columns: usize,
    width: usize,
    to: *mut V::Element,
) {
    let rest = columns % V::LANES;
    for i in 0..k {
        let from = b.data.wrapping_offset(i as isize * b.row_stride);
        let to = to.wrapping_add(i * width);
        // SAFETY: the caller's promise.
        unsafe {
            for j in (0..columns - rest).step_by(V::LANES) {
                V::load(from.add(j)).store(to.add(j));
            }
            if rest > 0 {
                let j = columns - rest;
                V::load_first(from.add(j), rest).store(to.add(j));
            }
        }
    }
}

/// # Safety
/// As for [`pack`].
#[inline(always)]
unsafe fn pack_columns<V: Vector>(
    b: Matrix<*const V::Element>,
    k: usize,
    columns: usize,
    width: usize,
    to: *mut V::Element,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if columns < width {
            for i in 0..k {
                let start = columns - columns % V::LANES;
                for j in (start..width).step_by(V::LANES) {
                    V::zero().store(to.add(i * width + j));
                }
            }
        }
        for first in (0..k).step_by(V::LANES) {
            let last = (first + V::LANES).min(k);
            let mut j = 0;
            // Whole squares where the columns are consecutive in memory.
            while b.row_stride == 1 && j + V::LANES <= columns && last - first == V::LANES {
                let from = b
                    .data
                    .wrapping_offset(j as isize * b.column_stride + first as isize);
                V::transpose(from, b.column_stride, to.add(first * width + j), width);
                j += V::LANES;
            }
            for j in j..columns {
                let from = b.data.wrapping_offset(j as isize * b.column_stride);
                for i in first..last {
                    *to.add(i * width + j) = *from.wrapping_offset(i as isize * b.row_stride);
                }
            }
        }
    }
}
