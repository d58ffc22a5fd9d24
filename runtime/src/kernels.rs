//! Micro-kernels: rows of f32 at the width of the machine, and the same functions on one number.
//!
//! - Every function is written once, without branches on data, and compiled for AVX-512, for AVX2 with
//!   FMA, and for the baseline of the target; which one runs is decided once per process.
//! - All versions give the same bits: they perform the same operations in the same order. Where it
//!   matters a product and a sum are one `mul_add`, which is exact on every machine.
//! - Reductions keep [`LANES`] partial results: lane `l` takes elements `l, l + LANES, ...` in order,
//!   then the upper half of the lanes is combined with the lower half until one is left.
//! - The function on one number is the row kernel's own, so it gives the same bits.
//!
//! The errors of all functions are in `docs/numerics.md`, with the command that measures them.

use std::sync::atomic::{AtomicU8, Ordering};

pub mod arithmetic;
pub mod convert;
pub mod exports;
pub mod math;
pub mod number;
pub mod pow;
pub mod reduce;
pub mod rows;
pub mod scalar;
pub mod trig;

/// Partial results of a reduction.
pub const LANES: usize = 64;

/// The instruction sets that kernels are compiled for, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What every machine of the target has.
    Baseline = 1,
    /// AVX2 and FMA.
    Avx2 = 2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512 = 3,
}

/// The best level of this machine.
#[inline]
pub fn level() -> Level {
    static LEVEL: AtomicU8 = AtomicU8::new(0);
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Baseline,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => {
            let level = detect();
            LEVEL.store(level as u8, Ordering::Relaxed);
            level
        }
    }
}

/// The levels that this machine can run.
pub fn levels() -> impl Iterator<Item = Level> {
    let best = level();
    let all = [Level::Baseline, Level::Avx2, Level::Avx512];
    all.into_iter().filter(move |&level| level <= best)
}

#[cfg(target_arch = "x86_64")]
#[cold]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        (false, _) => Level::Baseline,
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[cold]
fn detect() -> Level {
    Level::Baseline
}

/// Compiles a function for every [`Level`]: `name / at => fn(...)` makes `name(...)`, which runs the
/// best version, and `at(level, ...)`, which runs the given one and is for tests.
///
/// All functions are `unsafe`: they take raw pointers, so that source and destination may be the same.
macro_rules! multiversion {
    ($(
        $(#[$meta:meta])*
        $name:ident / $at:ident => fn($($arg:ident : $ty:ty),*) $(-> $ret:ty)? $body:block
    )+) => { $(
        $(#[$meta])*
        #[inline]
        pub unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: `level` names what this machine has; the rest is the caller's promise.
            unsafe { $at($crate::kernels::level(), $($arg),*) }
        }

        /// The version for `level`.
        ///
        /// # Safety
        /// The machine has `level`; the rest as for the function of which this is a version.
        #[inline]
        pub unsafe fn $at(level: $crate::kernels::Level, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            unsafe fn body($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's promise.
                #[allow(unused_unsafe)]
                unsafe { $body }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's promise.
                unsafe { body($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's promise.
                unsafe { body($($arg),*) }
            }
            // SAFETY: the caller promises that the machine has `level`.
            unsafe {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::Level::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::Level::Avx2 => avx2($($arg),*),
                    _ => body($($arg),*),
                }
            }
        }
    )+ };
}
pub(crate) use multiversion;
