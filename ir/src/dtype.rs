//! Element types of tensors, and their machine properties.

use std::fmt;
use std::str::FromStr;

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    BF16,
    F32,
    F64,
}

/// Coarse classes of element types, as they appear in type rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

impl DType {
    /// Every element type, in declaration order.
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

    /// The keyword of the language and of the IR text.
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

    /// Size of one element in bytes; a `bool` takes one byte, 0 or 1.
    pub fn bytes(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            DType::Bool => Kind::Bool,
            DType::I8 | DType::I16 | DType::I32 | DType::I64 => Kind::Signed,
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => Kind::Unsigned,
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => Kind::Float,
        }
    }

    pub fn is_float(self) -> bool {
        self.kind() == Kind::Float
    }

    pub fn is_integer(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    pub fn is_signed(self) -> bool {
        self.kind() == Kind::Signed
    }

    pub fn is_numeric(self) -> bool {
        self != DType::Bool
    }

    /// Unit roundoff of a float type (half the spacing of numbers just above 1); `None` for others.
    pub fn unit_roundoff(self) -> Option<f64> {
        match self {
            DType::F16 => Some(2f64.powi(-11)),
            DType::BF16 => Some(2f64.powi(-8)),
            DType::F32 => Some(2f64.powi(-24)),
            DType::F64 => Some(2f64.powi(-53)),
            _ => None,
        }
    }

    /// The accumulator used by sums and contractions where the program names none:
    /// f32 for f16 and bf16, i32 for 8-bit integers, the type itself otherwise.
    pub fn default_accumulator(self) -> DType {
        match self {
            DType::F16 | DType::BF16 => DType::F32,
            DType::I8 | DType::U8 => DType::I32,
            other => other,
        }
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

/// x in f32, rounded to odd: a further rounding to f16 or bf16 then gives what one rounding of x would.
/// Boldo and Melquiond, 2008.
pub(crate) fn round_to_odd(x: f64) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    if back == x || x.is_nan() {
        return near;
    }
    let toward_zero = near.to_bits() - u32::from(back.abs() > x.abs());
    f32::from_bits(toward_zero | 1)
}

/// An integer in f64, rounded to odd, for a further rounding to a narrower float.
pub(crate) fn int_to_odd(x: i128) -> f64 {
    if x.unsigned_abs() < 1 << f64::MANTISSA_DIGITS {
        return x as f64;
    }
    // At most 64 bits are in use: 53 of them are kept, the last says whether any other was set.
    let spare = u64::BITS - f64::MANTISSA_DIGITS;
    let kept = (x >> spare) | i128::from(x & ((1 << spare) - 1) != 0);
    (kept << spare) as f64
}
