//! Matrix products under the names by which compiled code calls them: `aiai_gemm_T(context, call)`.

use super::{Grid, Matrix, Part, Product, gemm, gemm_plain};
use crate::abi::{Context, Failure, OK, OUT_OF_MEMORY, PANICKED, Symbol, symbol_table};
use crate::{Error, bf16, f16};
use std::sync::{Mutex, PoisonError};

/// Called for every finished part of C, on the thread that computed it, while the part is in cache.
/// Rows and columns are half open. A status that is not 0 ends the product.
pub type Epilogue = unsafe extern "C" fn(
    context: *mut Context<'_>,
    environment: *mut u8,
    row_low: i64,
    row_high: i64,
    column_low: i64,
    column_high: i64,
) -> i32;

/// A call of `aiai_gemm_T`, written field by field by compiled code: 17 words of 8 bytes.
///
/// Sizes and strides are in elements. Negative sizes are 0; strides may be 0 or negative, those of C
/// such that its elements are distinct.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GemmCall {
    pub m: i64,
    pub n: i64,
    pub k: i64,
    pub a: *const u8,
    pub a_row_stride: i64,
    pub a_column_stride: i64,
    pub b: *const u8,
    pub b_row_stride: i64,
    pub b_column_stride: i64,
    pub c: *mut u8,
    pub c_row_stride: i64,
    pub c_column_stride: i64,
    /// 1 adds to C, 0 overwrites it.
    pub accumulate: i64,
    /// 1: every finished part that the epilogue gets has all columns. 0: parts may be narrower.
    pub whole_rows: i64,
    /// May be null.
    pub epilogue: Option<Epilogue>,
    /// Passed to the epilogue.
    pub environment: *mut u8,
    /// 1: run on this thread alone. 0: run on all threads of the pool, unless this call is inside a
    /// parallel loop.
    pub serial: i64,
}

impl GemmCall {
    fn product<T>(&self) -> Product<T> {
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        Product {
            m: size(self.m),
            n: size(self.n),
            k: size(self.k),
            a: Matrix {
                data: self.a.cast(),
                row_stride: self.a_row_stride as isize,
                column_stride: self.a_column_stride as isize,
            },
            b: Matrix {
                data: self.b.cast(),
                row_stride: self.b_row_stride as isize,
                column_stride: self.b_column_stride as isize,
            },
            c: Matrix {
                data: self.c.cast(),
                row_stride: self.c_row_stride as isize,
                column_stride: self.c_column_stride as isize,
            },
            accumulate: self.accumulate != 0,
        }
    }
}

/// The lowest failing part's status and record.
type FirstFailure = Mutex<Option<(usize, i32, Failure)>>;

/// The addresses that the threads of a product share.
struct Shared<'c, 'a> {
    parent: Context<'a>,
    call: &'c GemmCall,
    first: FirstFailure,
}

// SAFETY: whoever makes the call promises that its epilogue may run on several threads.
unsafe impl Sync for Shared<'_, '_> {}

impl Shared<'_, '_> {
    /// Runs the epilogue on a finished part; whether to go on.
    fn finish(&self, part: Part) -> bool {
        let Some(epilogue) = self.call.epilogue else {
            return true;
        };
        let mut own = self.parent;
        let ((row, row_high), (column, column_high)) = (part.rows, part.columns);
        // SAFETY: the caller's promise for its epilogue; sizes came as i64.
        let status = unsafe {
            epilogue(
                &mut own,
                self.call.environment,
                row as i64,
                row_high as i64,
                column as i64,
                column_high as i64,
            )
        };
        if status != OK {
            let order = row.saturating_mul(usize::try_from(self.call.n).unwrap_or(0)) + column;
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_none_or(|(lowest, ..)| order < lowest) {
                *first = Some((order, status, own.failure));
            }
        }
        status == OK
    }
}

/// Runs `run` with the epilogue and turns its outcome into a status.
fn status_of(
    context: &mut Context<'_>,
    call: &GemmCall,
    run: impl FnOnce(&(dyn Fn(Part) -> bool + Sync)) -> crate::Result<()>,
) -> i32 {
    let shared = Shared {
        parent: *context,
        call,
        first: Mutex::new(None),
    };
    let shared = &shared;
    match run(&|part| shared.finish(part)) {
        Err(Error::Panicked(_)) => return PANICKED,
        Err(_) => return OUT_OF_MEMORY,
        Ok(()) => {}
    }
    match *shared.first.lock().unwrap_or_else(PoisonError::into_inner) {
        Some((_, status, failure)) => {
            context.failure = failure;
            status
        }
        None => OK,
    }
}

macro_rules! fast_gemms {
    ($($name:ident $ty:ty;)+) => { $(
        /// The product of this dtype.
        ///
        /// # Safety
        /// `call` describes valid matrices; elements of C are distinct and not among A and B.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(context: &mut Context<'_>, call: *const GemmCall) -> i32 {
            // SAFETY: the caller's promise.
            let call = unsafe { &*call };
            let product = call.product::<$ty>();
            let pool = context.pool();
            status_of(context, call, |finished| {
                if call.serial == 0 {
                    // SAFETY: the caller's promise.
                    return unsafe { gemm(pool, &product, call.whole_rows != 0, finished) };
                }
                let grid = Grid::new(product.m, product.n, call.whole_rows != 0);
                for part in (0..grid.len()).map(|i| grid.part(i)) {
                    // SAFETY: the caller's promise.
                    unsafe { super::gemm_part(&product, part)? };
                    if !finished(part) {
                        break;
                    }
                }
                Ok(())
            })
        }
    )+ };
}

fast_gemms! { aiai_gemm_f32 f32; aiai_gemm_f64 f64; }

macro_rules! plain_gemms {
    ($($name:ident $ty:ty;)+) => { $(
        /// The product of this dtype.
        ///
        /// # Safety
        /// `call` describes valid matrices; elements of C are distinct and not among A and B.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(context: &mut Context<'_>, call: *const GemmCall) -> i32 {
            // SAFETY: the caller's promise.
            let call = unsafe { &*call };
            let product = call.product::<$ty>();
            let grid = Grid::new(product.m, product.n, call.whole_rows != 0);
            let pool = context.pool();
            status_of(context, call, |finished| {
                let grain = if call.serial == 0 { 1 } else { grid.len() };
                pool.try_parallel_for(grid.len(), grain, &|low, high| {
                    (low..high).all(|index| {
                        // SAFETY: the caller's promise.
                        unsafe { gemm_plain(&product, grid.part(index)) };
                        finished(grid.part(index))
                    })
                })
            })
        }
    )+ };
}

plain_gemms! {
    aiai_gemm_f16 f16; aiai_gemm_bf16 bf16;
    aiai_gemm_i8 i8; aiai_gemm_i16 i16; aiai_gemm_i32 i32; aiai_gemm_i64 i64;
    aiai_gemm_u8 u8; aiai_gemm_u16 u16; aiai_gemm_u32 u32; aiai_gemm_u64 u64;
}

/// The rows of the symbol table for products.
pub static GEMMS: &[Symbol] = symbol_table! {
    aiai_gemm_f32(Ptr, Ptr) -> Status;
    aiai_gemm_f64(Ptr, Ptr) -> Status;
    aiai_gemm_f16(Ptr, Ptr) -> Status;
    aiai_gemm_bf16(Ptr, Ptr) -> Status;
    aiai_gemm_i8(Ptr, Ptr) -> Status;
    aiai_gemm_i16(Ptr, Ptr) -> Status;
    aiai_gemm_i32(Ptr, Ptr) -> Status;
    aiai_gemm_i64(Ptr, Ptr) -> Status;
    aiai_gemm_u8(Ptr, Ptr) -> Status;
    aiai_gemm_u16(Ptr, Ptr) -> Status;
    aiai_gemm_u32(Ptr, Ptr) -> Status;
    aiai_gemm_u64(Ptr, Ptr) -> Status;
};
