//! The vectors of floats that tiles are made of.

/// A vector of `LANES` floats. `mul_add` rounds once, on every machine.
///
/// # Safety
/// Methods may be called only where the machine has the instructions of the type; pointers must be
/// valid for the lanes that a method touches, aligned to the element.
pub(super) unsafe trait Vector: Copy {
    type Element: Copy;
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(from: *const Self::Element) -> Self;
    unsafe fn load(from: *const Self::Element) -> Self;
    /// The first `count` lanes; the others become 0.
    unsafe fn load_first(from: *const Self::Element, count: usize) -> Self;
    unsafe fn store(self, to: *mut Self::Element);
    /// Only the first `count` lanes.
    unsafe fn store_first(self, to: *mut Self::Element, count: usize);
    /// `self * b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
}

/// A vector of any machine: the compiler does what it can.
#[derive(Clone, Copy)]
pub(super) struct Portable<T, const N: usize>([T; N]);

macro_rules! portable {
    ($($ty:ty)+) => { $(
        // SAFETY: plain loads and stores.
        unsafe impl<const N: usize> Vector for Portable<$ty, N> {
            type Element = $ty;
            const LANES: usize = N;
            #[inline(always)]
            unsafe fn zero() -> Self {
                Portable([0.0; N])
            }
            #[inline(always)]
            unsafe fn splat(from: *const $ty) -> Self {
                // SAFETY: the caller's promise; so below.
                Portable([unsafe { *from }; N])
            }
            #[inline(always)]
            unsafe fn load(from: *const $ty) -> Self {
                // SAFETY: see above.
                Portable(unsafe { from.cast::<[$ty; N]>().read() })
            }
            #[inline(always)]
            unsafe fn load_first(from: *const $ty, count: usize) -> Self {
                let mut lanes = [0.0; N];
                // SAFETY: see above.
                unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count) };
                Portable(lanes)
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $ty) {
                // SAFETY: see above.
                unsafe { to.cast::<[$ty; N]>().write(self.0) }
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $ty, count: usize) {
                // SAFETY: see above.
                unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                Portable(std::array::from_fn(|l| self.0[l].mul_add(b.0[l], c.0[l])))
            }
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                Portable(std::array::from_fn(|l| self.0[l] + b.0[l]))
            }
        }
    )+ };
}

portable! { f32 f64 }

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! AVX-512 and AVX2.

    use std::arch::x86_64::*;

    use super::Vector;

    macro_rules! avx512 {
        ($($vector:ty, $element:ty, $lanes:literal, $mask:ty: $zero:ident $splat:ident $load:ident
           $load_mask:ident $store:ident $store_mask:ident $fma:ident $add:ident;)+) => { $(
            // SAFETY: the intrinsics do what the methods say.
            unsafe impl Vector for $vector {
                type Element = $element;
                const LANES: usize = $lanes;
                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: the caller has AVX-512 and valid pointers; so below.
                    unsafe { $zero() }
                }
                #[inline(always)]
                unsafe fn splat(from: *const $element) -> Self {
                    // SAFETY: see above.
                    unsafe { $splat(*from) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $element) -> Self {
                    // SAFETY: see above.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn load_first(from: *const $element, count: usize) -> Self {
                    // SAFETY: see above; masked lanes are not touched.
                    unsafe { $load_mask(((1u32 << count) - 1) as $mask, from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $element) {
                    // SAFETY: see above.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn store_first(self, to: *mut $element, count: usize) {
                    // SAFETY: see above; masked lanes are not touched.
                    unsafe { $store_mask(to, ((1u32 << count) - 1) as $mask, self) }
                }
                #[inline(always)]
                unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $fma(self, b, c) }
                }
                #[inline(always)]
                unsafe fn add(self, b: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $add(self, b) }
                }
            }
        )+ };
    }

    avx512! {
        __m512, f32, 16, __mmask16: _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps
            _mm512_maskz_loadu_ps _mm512_storeu_ps _mm512_mask_storeu_ps _mm512_fmadd_ps _mm512_add_ps;
        __m512d, f64, 8, __mmask8: _mm512_setzero_pd _mm512_set1_pd _mm512_loadu_pd
            _mm512_maskz_loadu_pd _mm512_storeu_pd _mm512_mask_storeu_pd _mm512_fmadd_pd _mm512_add_pd;
    }

    macro_rules! avx2 {
        ($($vector:ty, $element:ty, $lanes:literal: $zero:ident $splat:ident $load:ident
           $load_mask:ident $store:ident $store_mask:ident $fma:ident $add:ident $mask:ident;)+) => { $(
            // SAFETY: the intrinsics do what the methods say.
            unsafe impl Vector for $vector {
                type Element = $element;
                const LANES: usize = $lanes;
                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: the caller has AVX2 and FMA and valid pointers; so below.
                    unsafe { $zero() }
                }
                #[inline(always)]
                unsafe fn splat(from: *const $element) -> Self {
                    // SAFETY: see above.
                    unsafe { $splat(*from) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $element) -> Self {
                    // SAFETY: see above.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn load_first(from: *const $element, count: usize) -> Self {
                    // SAFETY: see above; masked lanes are not touched.
                    unsafe { $load_mask(from, $mask(count)) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $element) {
                    // SAFETY: see above.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn store_first(self, to: *mut $element, count: usize) {
                    // SAFETY: see above; masked lanes are not touched.
                    unsafe { $store_mask(to, $mask(count), self) }
                }
                #[inline(always)]
                unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $fma(self, b, c) }
                }
                #[inline(always)]
                unsafe fn add(self, b: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $add(self, b) }
                }
            }
        )+ };
    }

    avx2! {
        __m256, f32, 8: _mm256_setzero_ps _mm256_set1_ps _mm256_loadu_ps
            _mm256_maskload_ps _mm256_storeu_ps _mm256_maskstore_ps _mm256_fmadd_ps _mm256_add_ps mask8;
        __m256d, f64, 4: _mm256_setzero_pd _mm256_set1_pd _mm256_loadu_pd
            _mm256_maskload_pd _mm256_storeu_pd _mm256_maskstore_pd _mm256_fmadd_pd _mm256_add_pd mask4;
    }

    /// All bits set in the first `count` of eight lanes.
    #[inline(always)]
    unsafe fn mask8(count: usize) -> __m256i {
        let lanes: [i32; 8] = std::array::from_fn(|l| -i32::from(l < count));
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    }

    /// All bits set in the first `count` of four lanes.
    #[inline(always)]
    unsafe fn mask4(count: usize) -> __m256i {
        let lanes: [i64; 4] = std::array::from_fn(|l| -i64::from(l < count));
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    }
}
