//! Exact rational numbers of bounded size. Arithmetic that leaves the range of `i128` is refused, never rounded.

use super::{Outcome, Stop};

/// A fraction in lowest terms with a positive denominator. The derived order is structural, not numeric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rational {
    numerator: i128,
    denominator: i128,
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1).max(1)
}

fn large<T>(value: Option<T>) -> Outcome<T> {
    value.ok_or_else(|| Stop::limit("a constant does not fit in 127 bits"))
}

impl Rational {
    pub const ZERO: Rational = Rational::whole(0);
    pub const ONE: Rational = Rational::whole(1);

    pub const fn whole(value: i64) -> Rational {
        Rational {
            numerator: value as i128,
            denominator: 1,
        }
    }

    pub fn new(numerator: i128, denominator: i128) -> Outcome<Rational> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return Err(Stop::limit("a constant does not fit in 127 bits"));
        }
        let shared = gcd(numerator, denominator) * denominator.signum();
        Ok(Rational {
            numerator: numerator / shared,
            denominator: denominator / shared,
        })
    }

    /// The value of a finite float, exactly; `None` where it is too large or too fine.
    pub fn of_float(value: f64) -> Option<Rational> {
        if !value.is_finite() {
            return None;
        }
        let (mut scaled, mut shift) = (value, 0u32);
        while scaled.fract() != 0.0 {
            scaled *= 2.0;
            shift += 1;
            if shift > 100 {
                return None;
            }
        }
        if scaled.abs() >= 2f64.powi(100) {
            return None;
        }
        Rational::new(scaled as i128, 1i128 << shift).ok()
    }

    pub fn add(self, other: Rational) -> Outcome<Rational> {
        let left = large(self.numerator.checked_mul(other.denominator))?;
        let right = large(other.numerator.checked_mul(self.denominator))?;
        let below = large(self.denominator.checked_mul(other.denominator))?;
        Rational::new(large(left.checked_add(right))?, below)
    }

    pub fn mul(self, other: Rational) -> Outcome<Rational> {
        let (first, second) = (
            Rational::new(self.numerator, other.denominator)?,
            Rational::new(other.numerator, self.denominator)?,
        );
        let above = large(first.numerator.checked_mul(second.numerator))?;
        let below = large(first.denominator.checked_mul(second.denominator))?;
        Rational::new(above, below)
    }

    pub fn neg(self) -> Rational {
        Rational {
            numerator: -self.numerator,
            denominator: self.denominator,
        }
    }

    /// `1 / self`; zero for zero, as everywhere in the prover.
    pub fn inverse(self) -> Rational {
        if self.numerator == 0 {
            return self;
        }
        Rational {
            numerator: self.denominator * self.numerator.signum(),
            denominator: self.numerator.abs(),
        }
    }

    pub fn abs(self) -> Rational {
        Rational {
            numerator: self.numerator.abs(),
            denominator: self.denominator,
        }
    }

    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }

    pub fn is_negative(self) -> bool {
        self.numerator < 0
    }

    pub fn numerator(self) -> i128 {
        self.numerator
    }

    pub fn denominator(self) -> i128 {
        self.denominator
    }

    pub fn as_whole(self) -> Option<i128> {
        (self.denominator == 1).then_some(self.numerator)
    }

    /// The root, where it is rational.
    pub fn square_root(self) -> Option<Rational> {
        let root = |value: i128| {
            let near = (value as f64).sqrt() as i128;
            (near - 1..=near + 1).find(|&r| r >= 0 && r.checked_mul(r) == Some(value))
        };
        Rational::new(root(self.numerator)?, root(self.denominator)?).ok()
    }

    /// The representative of a whole number modulo 2^bits, between -2^(bits-1) and 2^(bits-1) - 1.
    pub fn wrapped(self, bits: u32) -> Outcome<Rational> {
        let Some(value) = self.as_whole() else {
            return Err(Stop::limit("a fraction among integers"));
        };
        let modulus = 1i128 << bits;
        let mut rest = value.rem_euclid(modulus);
        if rest >= modulus / 2 {
            rest -= modulus;
        }
        Rational::new(rest, 1)
    }
}

impl std::fmt::Display for Rational {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.numerator)?;
        if self.denominator != 1 {
            write!(f, "/{}", self.denominator)?;
        }
        Ok(())
    }
}
