//! Sorting: the places of the elements of a row in ascending or descending order.
//!
//! Equal elements keep their order. -0 comes before +0 and NaN last; descending reverses both.

use std::cmp::Ordering;

use crate::abi::{OK, OUT_OF_MEMORY, Symbol, symbol_table};
use crate::{DType, bf16, f16, with_element_type};

/// Elements in the order that sorting uses.
trait Sorted: Copy {
    fn order(self, other: Self) -> Ordering;
}

macro_rules! integers {
    ($($ty:ty)+) => { $(
        impl Sorted for $ty {
            fn order(self, other: $ty) -> Ordering {
                self.cmp(&other)
            }
        }
    )+ };
}

integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

macro_rules! floats {
    ($($ty:ty)+) => { $(
        impl Sorted for $ty {
            fn order(self, other: $ty) -> Ordering {
                // The total order puts NaN with a sign first; here all NaN are equal and last.
                match (self.is_nan(), other.is_nan()) {
                    (false, false) => self.total_cmp(&other),
                    (x, y) => x.cmp(&y),
                }
            }
        }
    )+ };
}

floats! { f16 bf16 f32 f64 }

/// Writes to `places` the positions of `n` elements, `stride` apart in both, in order. `dtype` is the
/// declaration order of [`DType`]; `descending` is 0 or 1.
///
/// # Safety
/// `data` has `n` elements of the dtype and `places` as many, `stride` apart; they do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_argsort(
    dtype: i64,
    data: *const u8,
    stride: i64,
    n: i64,
    descending: i64,
    places: *mut i64,
) -> i32 {
    let dtype = usize::try_from(dtype).ok().and_then(|i| DType::ALL.get(i));
    let (Some(dtype), Ok(n)) = (dtype, usize::try_from(n)) else {
        return OK;
    };
    let stride = stride as isize;
    let mut order: Vec<usize> = Vec::new();
    if order.try_reserve_exact(n).is_err() {
        return OUT_OF_MEMORY;
    }
    order.extend(0..n);
    with_element_type!(*dtype, T => {
        // SAFETY: the caller's promise.
        unsafe { argsort(data.cast::<T>(), stride, descending != 0, &mut order) }
    }, bool => {
        // SAFETY: the caller's promise; a bool is a byte that is 0 or 1.
        unsafe { argsort(data, stride, descending != 0, &mut order) }
    });
    for (i, place) in order.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { *places.offset(i as isize * stride) = place as i64 };
    }
    OK
}

/// Sorts places by the elements there.
///
/// # Safety
/// Every place has an element.
unsafe fn argsort<T: Sorted>(data: *const T, stride: isize, descending: bool, order: &mut [usize]) {
    // SAFETY: the caller's promise.
    let at = |place: usize| unsafe { *data.offset(place as isize * stride) };
    // Ties are broken by place, which makes the sort stable and needs no memory.
    order.sort_unstable_by(|&a, &b| {
        let by_value = at(a).order(at(b));
        let by_value = if descending {
            by_value.reverse()
        } else {
            by_value
        };
        by_value.then(a.cmp(&b))
    });
}

/// The rows of the symbol table for sorting.
pub static SORTS: &[Symbol] = symbol_table! {
    aiai_argsort(I64, Ptr, I64, I64, I64, Ptr) -> Status;
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Element;
    use proptest::prelude::*;

    fn places<T: Element>(row: &[T], descending: bool) -> Vec<i64> {
        // Every second element of a wider row.
        let wide: Vec<T> = row.iter().flat_map(|&v| [v, v]).collect();
        let mut places = vec![-7; wide.len()];
        let (data, n) = (wide.as_ptr().cast(), row.len() as i64);
        // SAFETY: both rows have n elements at stride 2.
        let status = unsafe {
            aiai_argsort(
                T::DTYPE as i64,
                data,
                2,
                n,
                descending.into(),
                places.as_mut_ptr(),
            )
        };
        assert_eq!(status, OK);
        assert!(places.iter().skip(1).step_by(2).all(|&p| p == -7));
        places.into_iter().step_by(2).collect()
    }

    #[test]
    fn zeros_and_nan_have_their_places() {
        let row = [
            1.0f32,
            f32::NAN,
            0.0,
            -0.0,
            -f32::NAN,
            f32::NEG_INFINITY,
            1.0,
        ];
        assert_eq!(places(&row, false), [5, 3, 2, 0, 6, 1, 4]);
        assert_eq!(places(&row, true), [1, 4, 0, 6, 2, 3, 5]);
        assert_eq!(places::<f64>(&[], false), [0i64; 0]);
        assert_eq!(places(&[3u8, 1, 3, 200], true), [3, 0, 2, 1]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_stable_sort(row in prop::collection::vec(-4i32..4, 0..60), descending: bool) {
            let mut expected: Vec<i64> = (0..row.len() as i64).collect();
            expected.sort_by_key(|&i| {
                let value = row[i as usize];
                if descending { -value } else { value }
            });
            prop_assert_eq!(places(&row, descending), expected);
        }
    }
}
