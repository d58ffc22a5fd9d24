//! What compiled code sees of the runtime: the context, status codes, and the table of symbols.
//!
//! # Conventions
//! - Everything is `extern "C"` (System V on Linux). Sizes, strides and indices are `i64`, counted in
//!   elements; strides may be 0 or negative where a function says so.
//! - A function that can fail returns a *status*, `i32`: [`OK`], a negative runtime failure
//!   ([`OUT_OF_MEMORY`], [`PANICKED`]), or `1 + site`, where a *site* is an index into a table that the
//!   compiler keeps beside its code (message and source line). Compiled code passes a status on as it is.
//! - A compiled entry is an [`EntryFn`]; the body of a parallel loop is a [`BodyFn`].
//! - Tensors are dense and row-major. `bool` is one byte, 0 or 1. Pointers are aligned to the element,
//!   not more: weights may lie in a mapped file.
//! - No function unwinds into compiled code.
//!
//! [`symbols`] lists every function by name with its signature, so that a code generator can declare
//! and link them without a list of its own.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::memory::Arena;
use crate::pool::Pool;
use crate::{DType, Error, with_element_type};

mod symbols;

pub(crate) use symbols::symbol_table;
pub use symbols::{Param, Symbol, symbols};

/// The version of the C interface of compiled libraries; see `runtime/library`.
pub const INTERFACE: u64 = 2;

/// The name of the function that prepares weights for the entry `symbol`; it is an entry too.
pub fn prepare_symbol(symbol: &str) -> String {
    format!("{symbol}_prepare")
}

/// Status of success.
pub const OK: i32 = 0;
/// Status: the allocator refused.
pub const OUT_OF_MEMORY: i32 = -1;
/// Status: a task panicked; a bug of the runtime.
pub const PANICKED: i32 = -2;

/// The status that names a site of the compiled module.
pub fn status_of_site(site: i32) -> i32 {
    site.saturating_add(1)
}

/// The site that a status names, if it names one.
pub fn site_of_status(status: i32) -> Option<i32> {
    (status > 0).then(|| status - 1)
}

/// A compiled entry: context, input data, output data, and the value of every free dimension symbol,
/// in the order that the compiler publishes. Outputs are allocated by the caller and do not overlap
/// the inputs, except where an input is marked `own`.
pub type EntryFn = unsafe extern "C" fn(
    context: *mut Context<'_>,
    inputs: *const *const u8,
    outputs: *const *mut u8,
    dims: *const i64,
) -> i32;

/// The body of a parallel loop: handles `low..high`. `environment` is what the loop was given.
pub type BodyFn = unsafe extern "C" fn(
    context: *mut Context<'_>,
    environment: *mut u8,
    low: i64,
    high: i64,
) -> i32;

/// What a failing site recorded: two numbers that its message may show, such as an index and the size
/// that it must stay below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Failure {
    pub a: i64,
    pub b: i64,
}

/// What every compiled function gets as its first argument. Opaque to compiled code.
///
/// Each thread of a parallel loop has a copy of its own, so that recording a failure needs no lock.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Context<'a> {
    /// What the site named by the returned status recorded.
    pub failure: Failure,
    pool: &'a Pool,
    arena: &'a Arena,
    profile: Option<&'a Profile>,
}

impl<'a> Context<'a> {
    /// A context for one call on one thread.
    pub fn new(pool: &'a Pool, arena: &'a Arena, profile: Option<&'a Profile>) -> Context<'a> {
        Context {
            failure: Failure::default(),
            pool,
            arena,
            profile,
        }
    }

    /// The pool that parallel loops run on.
    pub fn pool(&self) -> &'a Pool {
        self.pool
    }

    /// The error that a negative status stands for.
    pub fn error_of_status(&self, status: i32) -> Option<Error> {
        let bytes = self.arena.refused_bytes();
        match status {
            OUT_OF_MEMORY => Some(Error::OutOfMemory { bytes }),
            PANICKED => Some(Error::Panicked("in compiled code".into())),
            _ => None,
        }
    }
}

/// Time spent and calls made per site.
pub struct Profile {
    start: Instant,
    sites: Vec<ProfileSite>,
}

#[derive(Default)]
struct ProfileSite {
    nanoseconds: AtomicU64,
    calls: AtomicU64,
}

impl Profile {
    /// A profile of `sites` sites, all zero.
    pub fn new(sites: usize) -> Profile {
        Profile {
            start: Instant::now(),
            sites: (0..sites).map(|_| ProfileSite::default()).collect(),
        }
    }

    /// For every site the nanoseconds spent and the number of calls.
    pub fn totals(&self) -> impl Iterator<Item = (u64, u64)> {
        self.sites.iter().map(|site| {
            (
                site.nanoseconds.load(Ordering::Relaxed),
                site.calls.load(Ordering::Relaxed),
            )
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Records the two numbers and returns the status of `site`.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_fail(context: &mut Context<'_>, site: i32, a: i64, b: i64) -> i32 {
    context.failure = Failure { a, b };
    status_of_site(site)
}

/// Runs `body` on consecutive chunks of `0..n`, `grain` indices each but the last, on the threads of
/// the pool. Returns the status of the lowest chunk that failed.
///
/// # Safety
/// `body` may be called with `environment` from several threads at a time on disjoint ranges.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_parallel_for(
    context: &mut Context<'_>,
    body: BodyFn,
    environment: *mut u8,
    n: i64,
    grain: i64,
) -> i32 {
    struct Shared(*mut u8);
    // SAFETY: the caller promises that bodies may share the environment.
    unsafe impl Sync for Shared {}

    let count = usize::try_from(n).unwrap_or(0);
    let grain = usize::try_from(grain).unwrap_or(1);
    let environment = &Shared(environment);
    let parent = *context;
    let first: Mutex<Option<(usize, i32, Failure)>> = Mutex::new(None);
    let finished = context.pool.try_parallel_for(count, grain, &|low, high| {
        let mut own = parent;
        // SAFETY: the caller's promise; `low` and `high` fit i64, since `n` does.
        let status = unsafe { body(&mut own, environment.0, low as i64, high as i64) };
        if status != OK {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_none_or(|(lowest, ..)| low < lowest) {
                *first = Some((low, status, own.failure));
            }
        }
        status == OK
    });
    if finished.is_err() {
        return PANICKED;
    }
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, status, failure)) => {
            context.failure = failure;
            status
        }
        None => OK,
    }
}

/// A block of at least `bytes` uninitialised bytes, aligned to 64; null if there is no memory. The
/// function that acquires a block releases it on every path.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_acquire(context: &mut Context<'_>, bytes: i64) -> *mut u8 {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    match context.arena.acquire(bytes) {
        Ok(block) => block.as_ptr(),
        Err(_) => null_mut(),
    }
}

/// Gives back a block of [`aiai_acquire`]; null is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_release(context: &mut Context<'_>, block: *mut u8) {
    context.arena.release(block);
}

/// The time to pass to [`aiai_profile`]; 0 without a profile.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_now(context: &mut Context<'_>) -> u64 {
    context.profile.map_or(0, Profile::now)
}

/// Adds the time since `start` and one call to `site`. Nothing happens without a profile.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_profile(context: &mut Context<'_>, site: i32, start: u64) {
    let Some(profile) = context.profile else {
        return;
    };
    let entry = usize::try_from(site)
        .ok()
        .and_then(|i| profile.sites.get(i));
    if let Some(entry) = entry {
        let spent = profile.now().saturating_sub(start);
        entry.nanoseconds.fetch_add(spent, Ordering::Relaxed);
        entry.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// The status of `site` if one of `n` elements is NaN, with the position of the first recorded as `a`.
/// `dtype` is the declaration order of [`DType`]; integers and bools are never NaN.
///
/// # Safety
/// `data` points to `n` elements of the dtype.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_check_nan(
    context: &mut Context<'_>,
    site: i32,
    dtype: i32,
    data: *const u8,
    n: i64,
) -> i32 {
    let dtype = usize::try_from(dtype).ok().and_then(|i| DType::ALL.get(i));
    let Some(dtype) = dtype.filter(|dtype| dtype.is_float()) else {
        return OK;
    };
    let n = usize::try_from(n).unwrap_or(0);
    if n == 0 {
        return OK;
    }
    let position = with_element_type!(*dtype, T => {
        // SAFETY: the caller's promise.
        let values = unsafe { std::slice::from_raw_parts(data.cast::<T>(), n) };
        // NaN alone is unlike itself.
        #[allow(clippy::eq_op)]
        values.iter().position(|v| v != v)
    }, bool => None);
    match position {
        Some(position) => aiai_fail(context, site, position as i64, n as i64),
        None => OK,
    }
}

/// Words `first, first + 1, ...` of the Philox stream of `key` (two `u32`) into `out`.
///
/// # Safety
/// `key` points to two words, `out` to `n`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_random_bits(key: *const u32, first: i64, out: *mut u32, n: i64) {
    if let (Ok(n @ 1..), Ok(first)) = (usize::try_from(n), u64::try_from(first)) {
        // SAFETY: the caller's promise.
        let (key, out) = unsafe {
            (
                *key.cast::<[u32; 2]>(),
                std::slice::from_raw_parts_mut(out, n),
            )
        };
        crate::philox::fill(key, first, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn fail_from_five(
        context: *mut Context<'_>,
        environment: *mut u8,
        low: i64,
        high: i64,
    ) -> i32 {
        // SAFETY: the test passes an array of ten bytes and valid contexts.
        unsafe {
            for i in low..high {
                *environment.add(i as usize) += 1;
                if i >= 5 {
                    return aiai_fail(&mut *context, i as i32, i, 10);
                }
            }
        }
        OK
    }

    #[test]
    fn the_lowest_failing_chunk_is_reported_for_any_thread_count() {
        for threads in 1..4 {
            let (pool, arena) = (Pool::new(threads).unwrap(), Arena::new());
            let mut context = Context::new(&pool, &arena, None);
            let mut data = [0u8; 10];
            // SAFETY: the body touches `data[low..high]` alone.
            let run = |context: &mut Context<'_>, data: &mut [u8; 10], n| unsafe {
                aiai_parallel_for(context, fail_from_five, data.as_mut_ptr(), n, 1)
            };
            assert_eq!(run(&mut context, &mut data, 5), OK);
            assert_eq!(data[..6], [1, 1, 1, 1, 1, 0]);
            assert_eq!(run(&mut context, &mut data, -3), OK);
            let status = run(&mut context, &mut data, 10);
            assert_eq!(site_of_status(status), Some(5));
            assert_eq!(context.failure, Failure { a: 5, b: 10 });
        }
    }

    #[test]
    fn nan_is_found_and_memory_refused() {
        let (pool, arena) = (Pool::new(1).unwrap(), Arena::new());
        let mut context = Context::new(&pool, &arena, None);
        let values = [1.0f32, f32::INFINITY, f32::NAN];
        let dtype = DType::F32 as i32;
        // SAFETY: three elements.
        let mut check =
            |n| unsafe { aiai_check_nan(&mut context, 4, dtype, values.as_ptr().cast(), n) };
        assert_eq!(check(2), OK);
        assert_eq!(site_of_status(check(3)), Some(4));
        assert_eq!(context.failure.a, 2);
        assert!(aiai_acquire(&mut context, -1).is_null());
        let block = aiai_acquire(&mut context, 100);
        assert!(!block.is_null());
        aiai_release(&mut context, block);
    }

    #[test]
    fn a_profile_counts() {
        let (pool, arena) = (Pool::new(1).unwrap(), Arena::new());
        let profile = Profile::new(2);
        let mut context = Context::new(&pool, &arena, Some(&profile));
        let start = aiai_now(&mut context);
        aiai_profile(&mut context, 1, start);
        aiai_profile(&mut context, 7, start);
        let calls: Vec<u64> = profile.totals().map(|(_, calls)| calls).collect();
        assert_eq!(calls, [0, 1]);
    }
}
