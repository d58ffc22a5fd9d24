//! Kinds: the functions that elementwise, reducing and scattering ops apply.

use std::fmt;

use crate::mlir::{Attr, Encoded, Schema};
use crate::names::names;
use crate::text::{Attribute, ParseError, Parser};

/// Names that are attributes of ops in both text forms.
macro_rules! kinds {
    ($(#[doc = $title:literal])+ $enum:ident { $($variants:tt)+ }) => {
        names! { $(#[doc = $title])+ $enum { $($variants)+ } }

        impl Encoded for $enum {
            fn encode(&self) -> Attr {
                Attr::Text(self.name().into())
            }

            fn decode(attr: Attr) -> Result<$enum, String> {
                let name = String::decode(attr)?;
                $enum::from_name(&name).ok_or_else(|| format!("unknown kind `{name}`"))
            }

            fn schema() -> Schema {
                let is = |kind: &$enum| Schema::Is(kind.encode());
                Schema::AnyOf($enum::ALL.iter().map(is).collect())
            }
        }

        impl Attribute for $enum {
            fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }

            fn read(parser: &mut Parser) -> Result<$enum, ParseError> {
                let name = parser.word()?;
                $enum::from_name(&name).ok_or_else(|| parser.error(format!("unknown kind `{name}`")))
            }
        }
    };
}

kinds! {
    /// Elementwise functions of one operand. Errors in ulp are those that the reference and every
    /// backend keep for f32; 0.5 means correctly rounded.
    UnaryKind {
        /// -x. Integers wrap.
        Neg = "neg",
        /// |x|. The least signed integer stays itself.
        Abs = "abs",
        /// -1, 0 or 1; of a zero the zero itself, of NaN NaN.
        Sign = "sign",
        /// Largest integral value not above x.
        Floor = "floor",
        /// Smallest integral value not below x.
        Ceil = "ceil",
        /// Nearest integral value, ties to even.
        Round = "round",
        /// e^x.
        Exp = "exp",
        /// e^x - 1, accurate near 0.
        Expm1 = "expm1",
        /// 2^x.
        Exp2 = "exp2",
        /// Natural logarithm; of 0 -inf, of negatives NaN.
        Log = "log",
        /// ln(1 + x), accurate near 0.
        Log1p = "log1p",
        /// Square root, correctly rounded; of negatives NaN.
        Sqrt = "sqrt",
        /// 1 / sqrt(x).
        Rsqrt = "rsqrt",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// Sine of radians.
        Sin = "sin",
        /// Cosine of radians.
        Cos = "cos",
        /// The error function.
        Erf = "erf",
        /// Logical not of a bool, bitwise not of an integer.
        Not = "not",
        /// Whether x is NaN; a bool.
        IsNan = "is_nan",
        /// Whether x is neither NaN nor infinite; a bool.
        IsFinite = "is_finite",
    }
}

kinds! {
    /// Elementwise functions of two operands of one dtype.
    BinaryKind {
        /// a + b. Integers wrap.
        Add = "add",
        /// a - b. Integers wrap.
        Sub = "sub",
        /// a * b. Integers wrap.
        Mul = "mul",
        /// a / b; for integers the floor of the quotient, 0 where b is 0, and MIN / -1 is MIN.
        Div = "div",
        /// a - b * floor(a / b): the sign of b; for integers 0 where b is 0.
        Rem = "rem",
        /// a to the power b; 1 where a is 1 or b is 0, whatever the other, NaN included. Integers: by repeated
        /// wrapping multiplication, 0 for a negative exponent unless a is 1 or -1.
        Pow = "pow",
        /// The larger; NaN if either is; +0 above -0.
        Max = "max",
        /// The smaller; NaN if either is; -0 below +0.
        Min = "min",
        /// Logical or bitwise and.
        And = "and",
        /// Logical or bitwise or.
        Or = "or",
        /// Logical or bitwise exclusive or.
        Xor = "xor",
        /// Shift left by b bits; 0 where b is at least the width or negative.
        Shl = "shl",
        /// Shift right: arithmetic for signed, logical for unsigned; all sign bits past the width.
        Shr = "shr",
    }
}

kinds! {
    /// Elementwise comparisons.
    CompareKind {
        /// a == b
        Eq = "eq",
        /// a != b
        Ne = "ne",
        /// a < b
        Lt = "lt",
        /// a <= b
        Le = "le",
        /// a > b
        Gt = "gt",
        /// a >= b
        Ge = "ge",
    }
}

kinds! {
    /// Functions that reductions combine with.
    ReduceKind {
        /// Sum; of nothing 0.
        Sum = "sum",
        /// Product; of nothing 1.
        Prod = "prod",
        /// Largest; of nothing -inf or the least integer.
        Max = "max",
        /// Smallest; of nothing +inf or the greatest integer.
        Min = "min",
        /// Whether any is true; of nothing false.
        Any = "any",
        /// Whether all are true; of nothing true.
        All = "all",
    }
}

kinds! {
    /// Which extreme an `arg_reduce` finds.
    ArgKind {
        /// The largest.
        Max = "max",
        /// The smallest.
        Min = "min",
    }
}

kinds! {
    /// How a scatter combines an update with what is there.
    ScatterKind {
        /// Adds.
        Add = "add",
        /// Replaces; of several updates to one place the last in row-major order stays.
        Set = "set",
        /// Keeps the larger.
        Max = "max",
        /// Keeps the smaller.
        Min = "min",
    }
}

kinds! {
    /// The shape of loop nest that a fused group becomes.
    FuseKind {
        /// Every value in the group has one shape; one loop over its elements.
        Elementwise = "elementwise",
        /// Reductions over trailing axes and elementwise work over the same rows; one loop over rows.
        Rows = "rows",
        /// A contraction and elementwise work on its result.
        Contract = "contract",
    }
}

impl UnaryKind {
    /// Whether the result is a `bool` whatever the operand.
    pub fn is_predicate(self) -> bool {
        matches!(self, UnaryKind::IsNan | UnaryKind::IsFinite)
    }

    /// Whether the function is defined for floats only.
    pub fn is_float_only(self) -> bool {
        match self {
            UnaryKind::Neg | UnaryKind::Abs | UnaryKind::Sign | UnaryKind::Not => false,
            UnaryKind::Floor
            | UnaryKind::Ceil
            | UnaryKind::Round
            | UnaryKind::Exp
            | UnaryKind::Expm1
            | UnaryKind::Exp2
            | UnaryKind::Log
            | UnaryKind::Log1p
            | UnaryKind::Sqrt
            | UnaryKind::Rsqrt
            | UnaryKind::Tanh
            | UnaryKind::Sin
            | UnaryKind::Cos
            | UnaryKind::Erf
            | UnaryKind::IsNan
            | UnaryKind::IsFinite => true,
        }
    }

    /// The largest error in ulp that a backend may make on a float operand.
    pub fn ulp(self) -> f64 {
        match self {
            UnaryKind::Neg
            | UnaryKind::Abs
            | UnaryKind::Sign
            | UnaryKind::Floor
            | UnaryKind::Ceil
            | UnaryKind::Round
            | UnaryKind::Not
            | UnaryKind::IsNan
            | UnaryKind::IsFinite => 0.0,
            UnaryKind::Sqrt => 0.5,
            UnaryKind::Exp
            | UnaryKind::Expm1
            | UnaryKind::Exp2
            | UnaryKind::Log
            | UnaryKind::Log1p
            | UnaryKind::Rsqrt
            | UnaryKind::Tanh
            | UnaryKind::Sin
            | UnaryKind::Cos => 2.0,
            UnaryKind::Erf => 2.5,
        }
    }
}

impl BinaryKind {
    pub fn is_commutative(self) -> bool {
        match self {
            BinaryKind::Add
            | BinaryKind::Mul
            | BinaryKind::Max
            | BinaryKind::Min
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor => true,
            BinaryKind::Sub
            | BinaryKind::Div
            | BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::Shl
            | BinaryKind::Shr => false,
        }
    }

    /// Whether the function is defined for bool and integers only.
    pub fn is_bitwise(self) -> bool {
        match self {
            BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => true,
            BinaryKind::Add
            | BinaryKind::Sub
            | BinaryKind::Mul
            | BinaryKind::Div
            | BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::Max
            | BinaryKind::Min => false,
        }
    }

    /// The largest error in ulp that a backend may make on float operands.
    pub fn ulp(self) -> f64 {
        match self {
            BinaryKind::Max | BinaryKind::Min => 0.0,
            BinaryKind::Pow => 2.0,
            BinaryKind::Rem => 1.0,
            BinaryKind::Add
            | BinaryKind::Sub
            | BinaryKind::Mul
            | BinaryKind::Div
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => 0.5,
        }
    }
}
