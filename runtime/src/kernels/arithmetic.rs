//! A row and one number: `name(source, number, destination, n)`.

use super::{multiversion, rows};

macro_rules! with_number {
    ($($(#[$meta:meta])* $name:ident / $at:ident = $function:expr;)+) => {
        multiversion! { $(
            $(#[$meta])*
            ///
            /// # Safety
            /// `source` and `destination` have `n` elements. They are the same row or do not overlap.
            $name / $at => fn(source: *const f32, number: f32, destination: *mut f32, n: usize) {
                let function = $function;
                rows::map(source, destination, n, |x| function(x, number), |_, _| {})
            }
        )+ }
    };
}

with_number! {
    /// x + number
    add / add_at = |x: f32, number| x + number;
    /// x - number
    sub / sub_at = |x: f32, number| x - number;
    /// x * number
    mul / mul_at = |x: f32, number| x * number;
    /// x / number
    div / div_at = |x: f32, number| x / number;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::levels;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_computes_what_one_number_gives(
            x in prop::collection::vec(prop::num::f32::ANY, 0..200),
            number in prop::num::f32::ANY,
        ) {
            type Row = unsafe fn(crate::kernels::Level, *const f32, f32, *mut f32, usize);
            type One = fn(f32, f32) -> f32;
            let cases: [(Row, One); 4] = [
                (add_at, |x, y| x + y),
                (sub_at, |x, y| x - y),
                (mul_at, |x, y| x * y),
                (div_at, |x, y| x / y),
            ];
            for (row, one) in cases {
                for level in levels() {
                    let mut y = x.clone();
                    // SAFETY: in place on one row; the level is the machine's.
                    unsafe { row(level, y.as_ptr(), number, y.as_mut_ptr(), y.len()) };
                    for (got, &v) in y.iter().zip(&x) {
                        let expected = one(v, number);
                        let same = got.to_bits() == expected.to_bits();
                        prop_assert!(same || (got.is_nan() && expected.is_nan()));
                    }
                }
            }
        }
    }
}
