//! Matrix products: `C[m, n] = A[m, k] @ B[k, n]`, or added to C, with any strides.
//!
//! - Every element of C is one chain of fused multiply-adds in ascending k, cut into blocks of
//!   [`K_BLOCK`]; the blocks are added in order. So the result has the same bits on every machine, for
//!   every number of threads, and however rows and columns are split among calls.
//! - f32 and f64 run on register tiles of 8 rows by 3 vectors (AVX-512), 4 by 3 (AVX2), B packed panel
//!   by panel. Measured against the `gemm` crate in `docs/benchmarks.md`: this one is faster.
//! - The other dtypes run plain loops, with f32 accumulators for f16 and bf16, i32 for 8-bit integers.
//!
//! Work is cut into tasks by the shape alone; see [`Grid`].

use std::cell::RefCell;

use crate::kernels::{Level, level};
use crate::memory::AlignedBytes;
use crate::pool::Pool;
use crate::{Error, Result};

mod exports;
mod pack;
mod plain;
mod task;
mod tile;
mod vector;

pub use exports::{Epilogue, GEMMS, GemmCall};
pub use plain::{Accumulate, gemm_plain};

/// Terms of a dot product that are summed before they are added to C.
pub const K_BLOCK: usize = 512;

/// A matrix in memory; strides in elements, which may be 0 or negative.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<P> {
    /// Element (0, 0).
    pub data: P,
    pub row_stride: isize,
    pub column_stride: isize,
}

/// A product to compute; `P`-free sizes apart from the three matrices.
#[derive(Clone, Copy, Debug)]
pub struct Product<T> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Matrix<*const T>,
    pub b: Matrix<*const T>,
    pub c: Matrix<*mut T>,
    /// Adds to C rather than overwriting it.
    pub accumulate: bool,
}

// SAFETY: only addresses; whoever runs the product promises that they are good.
unsafe impl<T> Send for Product<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Product<T> {}

/// A finished part of C: rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub rows: (usize, usize),
    pub columns: (usize, usize),
}

/// f32 and f64: what the fast path is made for.
pub trait Real: Copy + 'static {
    /// Runs one part of a product on one thread.
    ///
    /// # Safety
    /// The machine has `level`, and the product's matrices are valid on the part.
    unsafe fn run_part(level: Level, product: &Product<Self>, part: Part, scratch: *mut Self);
    /// Elements of scratch that a part needs.
    const SCRATCH: usize;
}

/// How C is cut into tasks: blocks of `rows` by `columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    m: usize,
    n: usize,
    rows: usize,
    columns: usize,
}

impl Grid {
    /// A grid for a C of `m` by `n`. With `whole_rows` every part has all columns.
    ///
    /// Parts are cut along columns first, since every part packs its columns of B for itself; along
    /// rows where these are many or the columns few.
    pub fn new(m: usize, n: usize, whole_rows: bool) -> Grid {
        const COLUMNS: usize = 96;
        const COLUMNS_OF_FEW_ROWS: usize = 512;
        let columns = if whole_rows {
            n.max(1)
        } else if m <= 4 {
            COLUMNS_OF_FEW_ROWS
        } else {
            COLUMNS
        };
        let rows = if whole_rows {
            64
        } else if n <= 3 * COLUMNS {
            128
        } else {
            256
        };
        Grid {
            m,
            n,
            rows,
            columns,
        }
    }

    /// The number of parts.
    pub fn len(&self) -> usize {
        self.m.div_ceil(self.rows) * self.n.div_ceil(self.columns)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Part `index`; parts of one block of rows follow each other.
    pub fn part(&self, index: usize) -> Part {
        let across = self.n.div_ceil(self.columns);
        let (row, column) = (index / across * self.rows, index % across * self.columns);
        Part {
            rows: (row, (row + self.rows).min(self.m)),
            columns: (column, (column + self.columns).min(self.n)),
        }
    }
}

thread_local! {
    /// Memory for packed panels, kept by each thread.
    static SCRATCH: RefCell<Option<AlignedBytes>> = const { RefCell::new(None) };
}

/// Lends `bytes` of this thread's scratch memory.
fn with_scratch<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> Result<R> {
    let mut scratch = SCRATCH.take();
    if scratch.as_ref().is_none_or(|s| s.as_slice().len() < bytes) {
        scratch = Some(AlignedBytes::zeroed(bytes)?);
    }
    let mut scratch = scratch.ok_or(Error::OutOfMemory { bytes })?;
    let result = f(scratch.as_mut_slice().as_mut_ptr());
    SCRATCH.set(Some(scratch));
    Ok(result)
}

/// Computes one part on this thread.
///
/// # Safety
/// As for [`gemm`].
pub unsafe fn gemm_part<T: Real>(product: &Product<T>, part: Part) -> Result<()> {
    // SAFETY: the caller's promise; the level is the machine's own, the scratch large enough.
    with_scratch(T::SCRATCH * size_of::<T>(), |scratch| unsafe {
        T::run_part(level(), product, part, scratch.cast());
    })
}

/// Computes the product on the threads of `pool`. `finished` is called on the thread that computed a
/// part right after it, and says whether to go on.
///
/// # Safety
/// Every element of the three matrices is valid; those of C are distinct and not among A and B.
pub unsafe fn gemm<T: Real>(
    pool: &Pool,
    product: &Product<T>,
    whole_rows: bool,
    finished: &(dyn Fn(Part) -> bool + Sync),
) -> Result<()> {
    let grid = Grid::new(product.m, product.n, whole_rows);
    let error = std::sync::Mutex::new(None);
    let body = |low: usize, high: usize| {
        (low..high).all(|index| {
            let part = grid.part(index);
            // SAFETY: the caller's promise.
            match unsafe { gemm_part(product, part) } {
                Ok(()) => finished(part),
                Err(e) => {
                    *error.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(e);
                    false
                }
            }
        })
    };
    // Below some microseconds of work other threads are not worth waking.
    let operations = product
        .m
        .saturating_mul(product.n)
        .saturating_mul(product.k);
    let grain = if operations < 1 << 18 {
        grid.len().max(1)
    } else {
        1
    };
    pool.try_parallel_for(grid.len(), grain, &body)?;
    match error
        .into_inner()
        .unwrap_or_else(|poison| poison.into_inner())
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
