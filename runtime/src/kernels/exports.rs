//! The kernels under the names by which compiled code calls them.
//!
//! - `aiai_F_f32(x) -> f32`, `aiai_F_f64(x) -> f64`: one number.
//! - `aiai_row_F_f32(source, destination, n)`: `n` elements; the rows may be the same.
//! - `aiai_row_A_number_f32(source, number, destination, n)`: the same with one number, A `add sub mul div`.
//! - `aiai_row_R_f32(x, n)`: a reduction of a row.
//! - `aiai_row_add_lanes_f32(x, partial, n)`: goes on with the 64 partial results of a sum, to which another sum is the end.
//!
//! Here F is `exp expm1 exp2 log log1p tanh erf sqrt rsqrt sin cos`. A negative `n` is 0.
//! Every function is unsafe to call as its kernel is: the rows must have `n` elements.
#![allow(clippy::missing_safety_doc)]

use super::{arithmetic, convert, reduce, rows, scalar};
use crate::{bf16, f16};

#[inline(always)]
fn count(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

macro_rules! export_functions {
    ($($function:ident $double:ident: $single_name:ident $double_name:ident $row:ident;)+) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $single_name(x: f32) -> f32 {
                scalar::$function(x)
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn $double_name(x: f64) -> f64 {
                scalar::$double(x)
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $row(source: *const f32, destination: *mut f32, n: i64) {
                // SAFETY: the caller's promise.
                unsafe { rows::$function(source, destination, count(n)) }
            }
        )+

        /// The rows of the symbol table for these functions.
        pub static FUNCTIONS: &[crate::abi::Symbol] = crate::abi::symbol_table! {
            $(
                $single_name(F32) -> F32;
                $double_name(F64) -> F64;
                $row(Ptr, Ptr, I64);
            )+
        };
    };
}

export_functions! {
    exp exp_f64: aiai_exp_f32 aiai_exp_f64 aiai_row_exp_f32;
    expm1 expm1_f64: aiai_expm1_f32 aiai_expm1_f64 aiai_row_expm1_f32;
    exp2 exp2_f64: aiai_exp2_f32 aiai_exp2_f64 aiai_row_exp2_f32;
    log log_f64: aiai_log_f32 aiai_log_f64 aiai_row_log_f32;
    log1p log1p_f64: aiai_log1p_f32 aiai_log1p_f64 aiai_row_log1p_f32;
    tanh tanh_f64: aiai_tanh_f32 aiai_tanh_f64 aiai_row_tanh_f32;
    erf erf_f64: aiai_erf_f32 aiai_erf_f64 aiai_row_erf_f32;
    sqrt sqrt_f64: aiai_sqrt_f32 aiai_sqrt_f64 aiai_row_sqrt_f32;
    rsqrt rsqrt_f64: aiai_rsqrt_f32 aiai_rsqrt_f64 aiai_row_rsqrt_f32;
    sin sin_f64: aiai_sin_f32 aiai_sin_f64 aiai_row_sin_f32;
    cos cos_f64: aiai_cos_f32 aiai_cos_f64 aiai_row_cos_f32;
}

#[unsafe(no_mangle)]
pub extern "C" fn aiai_pow_f32(x: f32, y: f32) -> f32 {
    scalar::pow(x, y)
}

#[unsafe(no_mangle)]
pub extern "C" fn aiai_pow_f64(x: f64, y: f64) -> f64 {
    scalar::pow_f64(x, y)
}

/// The remainder with the sign of the divisor.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_rem_f32(x: f32, y: f32) -> f32 {
    scalar::rem(x.into(), y.into()) as f32
}

/// The remainder with the sign of the divisor.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_rem_f64(x: f64, y: f64) -> f64 {
    scalar::rem(x, y)
}

/// A power, wrapping. To a negative power 1 and -1 have their inverse, everything else 0.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_pow_i64(x: i64, y: i64) -> i64 {
    match (x, y) {
        (_, 0..) => scalar::pow_integer(x, y as u64),
        (1, _) => 1,
        (-1, _) if y % 2 == 0 => 1,
        (-1, _) => -1,
        _ => 0,
    }
}

/// A power, wrapping; `y` is read as unsigned.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_pow_u64(x: i64, y: i64) -> i64 {
    scalar::pow_integer(x, y as u64)
}

/// Widens a half, given as its bits in the low half of a word.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_f16_to_f32(bits: i32) -> f32 {
    f16::from_bits(bits as u16).to_f32()
}

/// The bits of the nearest half, ties to even.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_f32_to_f16(x: f32) -> i32 {
    f16::from_f32(x).to_bits().into()
}

/// The bits of the nearest half, rounded once.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_f64_to_f16(x: f64) -> i32 {
    f16::from_f32(convert::round_to_odd(x)).to_bits().into()
}

/// The bits of the nearest bfloat16, ties to even.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_f32_to_bf16(x: f32) -> i32 {
    bf16::from_f32(x).to_bits().into()
}

/// The bits of the nearest bfloat16, rounded once.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_f64_to_bf16(x: f64) -> i32 {
    bf16::from_f32(convert::round_to_odd(x)).to_bits().into()
}

/// An i64 in f64, rounded to odd, for a further rounding to a narrower float.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_i64_to_odd_f64(x: i64) -> f64 {
    convert::int_to_odd(x.into())
}

/// As [`aiai_i64_to_odd_f64`], of the bits of a u64.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_u64_to_odd_f64(x: i64) -> f64 {
    convert::int_to_odd((x as u64).into())
}

macro_rules! export_rows {
    ($($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),*; n) $(-> $ret:ty)? = $kernel:path;)+) => { $(
        $(#[$meta])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty,)* n: i64) $(-> $ret)? {
            // SAFETY: the caller's promise.
            unsafe { $kernel($($arg,)* count(n)) }
        }
    )+ };
}

export_rows! {
    aiai_row_sum_f32(x: *const f32; n) -> f32 = reduce::sum;
    aiai_row_add_lanes_f32(x: *const f32, partial: *mut f32; n) = reduce::add_lanes;
    aiai_row_dot_f32(x: *const f32, y: *const f32; n) -> f32 = reduce::dot;
    aiai_row_max_f32(x: *const f32; n) -> f32 = reduce::max;
    aiai_row_min_f32(x: *const f32; n) -> f32 = reduce::min;
    aiai_row_argmax_f32(x: *const f32; n) -> i64 = reduce::argmax;
    aiai_row_argmin_f32(x: *const f32; n) -> i64 = reduce::argmin;
    aiai_row_add_number_f32(x: *const f32, number: f32, destination: *mut f32; n) = arithmetic::add;
    aiai_row_sub_number_f32(x: *const f32, number: f32, destination: *mut f32; n) = arithmetic::sub;
    aiai_row_mul_number_f32(x: *const f32, number: f32, destination: *mut f32; n) = arithmetic::mul;
    aiai_row_div_number_f32(x: *const f32, number: f32, destination: *mut f32; n) = arithmetic::div;
}

/// The rows of the symbol table for reductions and conversions.
pub static ROWS: &[crate::abi::Symbol] = crate::abi::symbol_table! {
    aiai_pow_f32(F32, F32) -> F32;
    aiai_pow_f64(F64, F64) -> F64;
    aiai_rem_f32(F32, F32) -> F32;
    aiai_rem_f64(F64, F64) -> F64;
    aiai_pow_i64(I64, I64) -> I64;
    aiai_pow_u64(I64, I64) -> I64;
    aiai_f16_to_f32(I32) -> F32;
    aiai_f32_to_f16(F32) -> I32;
    aiai_f64_to_f16(F64) -> I32;
    aiai_f32_to_bf16(F32) -> I32;
    aiai_f64_to_bf16(F64) -> I32;
    aiai_i64_to_odd_f64(I64) -> F64;
    aiai_u64_to_odd_f64(I64) -> F64;
    aiai_row_sum_f32(Ptr, I64) -> F32;
    aiai_row_add_lanes_f32(Ptr, Ptr, I64);
    aiai_row_dot_f32(Ptr, Ptr, I64) -> F32;
    aiai_row_max_f32(Ptr, I64) -> F32;
    aiai_row_min_f32(Ptr, I64) -> F32;
    aiai_row_argmax_f32(Ptr, I64) -> I64;
    aiai_row_argmin_f32(Ptr, I64) -> I64;
    aiai_row_add_number_f32(Ptr, F32, Ptr, I64);
    aiai_row_sub_number_f32(Ptr, F32, Ptr, I64);
    aiai_row_mul_number_f32(Ptr, F32, Ptr, I64);
    aiai_row_div_number_f32(Ptr, F32, Ptr, I64);
};
