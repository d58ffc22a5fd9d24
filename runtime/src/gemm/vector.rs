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

    /// Writes the transpose of `LANES` rows of `LANES` elements, `from_step` elements apart, to rows
    /// `to_step` apart.
    #[inline(always)]
    unsafe fn transpose(
        from: *const Self::Element,
        from_step: isize,
        to: *mut Self::Element,
        to_step: usize,
    ) {
        for j in 0..Self::LANES {
            for i in 0..Self::LANES {
                // SAFETY: the caller's promise for all rows.
                unsafe {
                    *to.add(i * to_step + j) = *from.offset(j as isize * from_step + i as isize)
                }
            }
        }
    }
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
           $load_mask:ident $store:ident $store_mask:ident $fma:ident $add:ident $($transpose:ident)?;)+) => { $(
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
                $(
                    #[inline(always)]
                    unsafe fn transpose(from: *const $element, from_step: isize, to: *mut $element, to_step: usize) {
                        // SAFETY: see above.
                        unsafe { $transpose(from, from_step, to, to_step) }
                    }
                )?
            }
        )+ };
    }

    avx512! {
        __m512, f32, 16, __mmask16: _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps
            _mm512_maskz_loadu_ps _mm512_storeu_ps _mm512_mask_storeu_ps _mm512_fmadd_ps _mm512_add_ps transpose16;
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

    /// Transposes 16 rows of 16, in four steps of exchanging ever larger parts between rows.
    ///
    /// # Safety
    /// The caller has AVX-512; all rows are valid.
    #[inline(always)]
    unsafe fn transpose16(from: *const f32, from_step: isize, to: *mut f32, to_step: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(from.wrapping_offset(i as isize * from_step));
            }
            let mut pairs = rows;
            for i in (0..16).step_by(2) {
                pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
            }
            // Row 4 q + r now gets column r of every 4 by 4 block of rows 4 q to 4 q + 3.
            let mut quads = pairs;
            let (low, high) = (_mm512_castps_pd, _mm512_castpd_ps);
            for q in (0..16).step_by(4) {
                for h in 0..2 {
                    let (a, b) = (low(pairs[q + h]), low(pairs[q + h + 2]));
                    quads[q + 2 * h] = high(_mm512_unpacklo_pd(a, b));
                    quads[q + 2 * h + 1] = high(_mm512_unpackhi_pd(a, b));
                }
            }
            for r in 0..4 {
                let (a, b, c, d) = (quads[r], quads[r + 4], quads[r + 8], quads[r + 12]);
                let (ab_even, ab_odd) = (
                    _mm512_shuffle_f32x4::<0x88>(a, b),
                    _mm512_shuffle_f32x4::<0xdd>(a, b),
                );
                let (cd_even, cd_odd) = (
                    _mm512_shuffle_f32x4::<0x88>(c, d),
                    _mm512_shuffle_f32x4::<0xdd>(c, d),
                );
                let columns = [
                    _mm512_shuffle_f32x4::<0x88>(ab_even, cd_even),
                    _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd),
                    _mm512_shuffle_f32x4::<0xdd>(ab_even, cd_even),
                    _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd),
                ];
                for (block, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * block + r) * to_step), column);
                }
            }
        }
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
