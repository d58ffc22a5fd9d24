//! Element types as memory holds them.

use std::fmt;
use std::str::FromStr;

/// The element type of a tensor in memory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
    F32,
    F64,
}

/// Calls a macro with every dtype that has a Rust element type: `(Variant, type)`.
#[macro_export]
macro_rules! with_element_type {
    ($dtype:expr, $T:ident => $body:expr, bool => $bool:expr) => {
        match $dtype {
            $crate::DType::Bool => $bool,
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}

impl DType {
    /// Every dtype, in declaration order.
    pub const ALL: [DType; 13] = [
        DType::Bool,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ];

    /// The keyword of the language.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// Size of one element in bytes; also its alignment.
    pub fn bytes(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
        }
    }

    /// Whether the elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = ();

    fn from_str(text: &str) -> Result<DType, ()> {
        DType::ALL.into_iter().find(|d| d.name() == text).ok_or(())
    }
}

/// Rust types that are elements of tensors. `bool` is not among them, since not every byte is one;
/// see [`crate::Tensor::bools`].
///
/// # Safety
/// Every bit pattern is a value of the type, it has no padding, and its size and alignment are
/// `DTYPE.bytes()`.
pub unsafe trait Element: Copy + Send + Sync + PartialEq + fmt::Debug + 'static {
    /// The dtype of a tensor of these.
    const DTYPE: DType;
    /// The nearest value: integers truncate and saturate (NaN gives 0), floats round to nearest even.
    fn from_f64(value: f64) -> Self;
    /// The value; 64-bit integers round.
    fn to_f64(self) -> f64;
}

macro_rules! elements {
    ($($variant:ident $ty:ty;)+) => { $(
        // SAFETY: plain numbers; any bits are a value, and size equals alignment.
        unsafe impl Element for $ty {
            const DTYPE: DType = DType::$variant;
            fn from_f64(value: f64) -> Self { value as $ty }
            fn to_f64(self) -> f64 { self as f64 }
        }
    )+ };
}

elements! {
    I8 i8; I16 i16; I32 i32; I64 i64; U8 u8; U16 u16; U32 u32; U64 u64; F32 f32; F64 f64;
}

macro_rules! half_elements {
    ($($variant:ident $ty:ty;)+) => { $(
        // SAFETY: a transparent wrapper of u16.
        unsafe impl Element for $ty {
            const DTYPE: DType = DType::$variant;
            fn from_f64(value: f64) -> Self { <$ty>::from_f64(value) }
            fn to_f64(self) -> f64 { <$ty>::to_f64(self) }
        }
    )+ };
}

half_elements! { F16 half::f16; BF16 half::bf16; }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_sizes_match_the_types() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
            let size = crate::with_element_type!(dtype, T => size_of::<T>(), bool => 1);
            assert_eq!(size, dtype.bytes());
        }
        assert!("f8".parse::<DType>().is_err());
    }

    #[test]
    fn float_to_integer_saturates() {
        assert_eq!(<i8 as Element>::from_f64(1e9), 127);
        assert_eq!(<u8 as Element>::from_f64(-3.7), 0);
        assert_eq!(<i32 as Element>::from_f64(f64::NAN), 0);
        assert_eq!(<i32 as Element>::from_f64(-3.7), -3);
    }
}
