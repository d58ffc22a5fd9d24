//! Elementwise ops on scalars; those on floats serve vectors too.

use aiai_ir::{BinaryKind, CompareKind, DType, Op, OpNode, UnaryKind};
use cranelift::prelude::{FloatCC, InstBuilder, IntCC, Type, Value, types};

use super::function::{Translator, scalar_type};

impl Translator<'_, '_> {
    pub fn elementwise(&mut self, node: &OpNode) {
        let dtype = self.dtype(node.operands[0]);
        let x: Vec<Value> = node.operands.iter().map(|&v| self.get(v)).collect();
        let value = match &node.op {
            Op::Unary { kind } => self.unary(*kind, dtype, x[0]),
            Op::Binary { kind } => self.binary(*kind, dtype, x[0], x[1]),
            Op::Compare { kind } => self.compare(*kind, dtype, x[0], x[1]),
            Op::Select => self.b.ins().select(x[0], x[1], x[2]),
            Op::Cast { dtype: to } => self.cast(dtype, *to, x[0]),
            Op::StopGradient => x[0],
            other => unreachable!("`{}` is not elementwise", other.name()),
        };
        self.define(node, value);
    }

    fn unary(&mut self, kind: UnaryKind, dtype: DType, x: Value) -> Value {
        if !dtype.is_float() {
            return self.int_unary(kind, dtype, x);
        }
        if let Some(value) = self.float_unary(kind, x) {
            return if kind.is_predicate() {
                value
            } else {
                self.rounded(dtype, value)
            };
        }
        let width = if dtype == DType::F64 { "f64" } else { "f32" };
        let value = self.runtime(&format!("aiai_{}_{width}", kind.name()), &[x])[0];
        self.rounded(dtype, value)
    }

    /// A function that the machine has, of a float scalar or vector. Predicates give masks.
    pub fn float_unary(&mut self, kind: UnaryKind, x: Value) -> Option<Value> {
        let ty = self.b.func.dfg.value_type(x);
        Some(match kind {
            UnaryKind::Neg => self.b.ins().fneg(x),
            UnaryKind::Abs => self.b.ins().fabs(x),
            UnaryKind::Floor => self.b.ins().floor(x),
            UnaryKind::Ceil => self.b.ins().ceil(x),
            UnaryKind::Round => self.b.ins().nearest(x),
            UnaryKind::Sqrt => self.b.ins().sqrt(x),
            UnaryKind::Rsqrt => {
                let (one, root) = (self.float(ty, 1.0), self.b.ins().sqrt(x));
                self.b.ins().fdiv(one, root)
            }
            UnaryKind::Sign => {
                let (zero, one) = (self.float(ty, 0.0), self.float(ty, 1.0));
                let sign = self.float(ty, -0.0);
                let sign = self.b.ins().band(x, sign);
                let signed = self.b.ins().bor(sign, one);
                // Neither below nor above 0: a zero or NaN, which stay.
                let magnitude = self.b.ins().fabs(x);
                let positive = self.b.ins().fcmp(FloatCC::GreaterThan, magnitude, zero);
                self.choose(positive, signed, x)
            }
            UnaryKind::IsNan => self.b.ins().fcmp(FloatCC::Unordered, x, x),
            UnaryKind::IsFinite => {
                let magnitude = self.b.ins().fabs(x);
                let infinity = self.float(ty, f64::INFINITY);
                self.b.ins().fcmp(FloatCC::LessThan, magnitude, infinity)
            }
            UnaryKind::Exp
            | UnaryKind::Expm1
            | UnaryKind::Exp2
            | UnaryKind::Log
            | UnaryKind::Log1p
            | UnaryKind::Tanh
            | UnaryKind::Sin
            | UnaryKind::Cos
            | UnaryKind::Erf
            | UnaryKind::Not => return None,
        })
    }

    /// `condition ? a : b`, lane by lane where they are vectors.
    pub fn choose(&mut self, condition: Value, a: Value, b: Value) -> Value {
        let ty = self.b.func.dfg.value_type(a);
        if !ty.is_vector() {
            return self.b.ins().select(condition, a, b);
        }
        let mask = self.bits_as(condition, ty);
        self.b.ins().bitselect(mask, a, b)
    }

    /// The same bits as another type of vector.
    pub fn bits_as(&mut self, x: Value, ty: Type) -> Value {
        if self.b.func.dfg.value_type(x) == ty {
            return x;
        }
        let flags = cranelift::codegen::ir::MemFlagsData::new()
            .with_endianness(cranelift::codegen::ir::Endianness::Little);
        self.b.ins().bitcast(ty, flags, x)
    }

    /// A float constant of a type, in every lane.
    pub fn float(&mut self, ty: Type, value: f64) -> Value {
        let scalar = if ty.lane_type() == types::F64 {
            self.b.ins().f64const(value)
        } else {
            self.b.ins().f32const(value as f32)
        };
        if ty.is_vector() {
            self.b.ins().splat(ty, scalar)
        } else {
            scalar
        }
    }

    fn int_unary(&mut self, kind: UnaryKind, dtype: DType, x: Value) -> Value {
        let ty = scalar_type(dtype);
        match kind {
            UnaryKind::Neg => self.b.ins().ineg(x),
            UnaryKind::Abs if dtype.is_signed() => self.b.ins().iabs(x),
            UnaryKind::Not if dtype == DType::Bool => self.b.ins().bxor_imm_s(x, 1),
            UnaryKind::Not => self.b.ins().bnot(x),
            UnaryKind::Sign => {
                let zero = self.b.ins().iconst(ty, 0);
                let above = if dtype.is_signed() {
                    IntCC::SignedGreaterThan
                } else {
                    IntCC::NotEqual
                };
                let positive = self.b.ins().icmp(above, x, zero);
                let positive = self.resize(positive, ty);
                if !dtype.is_signed() {
                    return positive;
                }
                let negative = self.b.ins().icmp(IntCC::SignedLessThan, x, zero);
                let negative = self.resize(negative, ty);
                self.b.ins().isub(positive, negative)
            }
            // The others are for floats, or change no integer.
            _ => x,
        }
    }

    /// A `bool` as an integer type.
    fn resize(&mut self, x: Value, ty: Type) -> Value {
        if ty == types::I8 {
            x
        } else {
            self.b.ins().uextend(ty, x)
        }
    }

    fn binary(&mut self, kind: BinaryKind, dtype: DType, x: Value, y: Value) -> Value {
        if !dtype.is_float() {
            return self.int_binary(kind, dtype, x, y);
        }
        let value = match self.float_binary(kind, x, y) {
            Some(value) => value,
            None => {
                let width = if dtype == DType::F64 { "f64" } else { "f32" };
                self.runtime(&format!("aiai_{}_{width}", kind.name()), &[x, y])[0]
            }
        };
        self.rounded(dtype, value)
    }

    /// A function that the machine has, of two float scalars or vectors.
    pub fn float_binary(&mut self, kind: BinaryKind, x: Value, y: Value) -> Option<Value> {
        Some(match kind {
            BinaryKind::Add => self.b.ins().fadd(x, y),
            BinaryKind::Sub => self.b.ins().fsub(x, y),
            BinaryKind::Mul => self.b.ins().fmul(x, y),
            BinaryKind::Div => self.b.ins().fdiv(x, y),
            BinaryKind::Max => self.b.ins().fmax(x, y),
            BinaryKind::Min => self.b.ins().fmin(x, y),
            BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => return None,
        })
    }

    fn int_binary(&mut self, kind: BinaryKind, dtype: DType, x: Value, y: Value) -> Value {
        let signed = dtype.is_signed();
        match kind {
            BinaryKind::Add => self.b.ins().iadd(x, y),
            BinaryKind::Sub => self.b.ins().isub(x, y),
            BinaryKind::Mul => self.b.ins().imul(x, y),
            BinaryKind::Max if signed => self.b.ins().smax(x, y),
            BinaryKind::Min if signed => self.b.ins().smin(x, y),
            BinaryKind::Max => self.b.ins().umax(x, y),
            BinaryKind::Min => self.b.ins().umin(x, y),
            BinaryKind::And => self.b.ins().band(x, y),
            BinaryKind::Or => self.b.ins().bor(x, y),
            BinaryKind::Xor => self.b.ins().bxor(x, y),
            BinaryKind::Div | BinaryKind::Rem if signed => self.floor_divide(kind, dtype, x, y),
            BinaryKind::Div | BinaryKind::Rem => self.unsigned_divide(kind, dtype, x, y),
            BinaryKind::Shl | BinaryKind::Shr => self.shift(kind, dtype, x, y),
            BinaryKind::Pow => {
                let (wide_x, wide_y) = (self.widened(dtype, x), self.widened(dtype, y));
                let name = if signed {
                    "aiai_pow_i64"
                } else {
                    "aiai_pow_u64"
                };
                let value = self.runtime(name, &[wide_x, wide_y])[0];
                self.narrowed(dtype, value)
            }
        }
    }

    /// An integer as an i64 of the same value.
    pub fn widened(&mut self, dtype: DType, x: Value) -> Value {
        match scalar_type(dtype) {
            types::I64 => x,
            _ if dtype.is_signed() => self.b.ins().sextend(types::I64, x),
            _ => self.b.ins().uextend(types::I64, x),
        }
    }

    /// An i64, wrapped.
    pub fn narrowed(&mut self, dtype: DType, x: Value) -> Value {
        match scalar_type(dtype) {
            types::I64 => x,
            ty => self.b.ins().ireduce(ty, x),
        }
    }

    /// Quotient towards minus infinity, remainder with the sign of the divisor; by 0 both are 0.
    fn floor_divide(&mut self, kind: BinaryKind, dtype: DType, x: Value, y: Value) -> Value {
        let ty = scalar_type(dtype);
        let (zero, one) = (self.b.ins().iconst(ty, 0), self.b.ins().iconst(ty, 1));
        let by_zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        let by_minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let special = self.b.ins().bor(by_zero, by_minus_one);
        let divisor = self.b.ins().select(special, one, y);
        let quotient = self.b.ins().sdiv(x, divisor);
        let product = self.b.ins().imul(quotient, divisor);
        let rest = self.b.ins().isub(x, product);
        let inexact = self.b.ins().icmp(IntCC::NotEqual, rest, zero);
        let mixed = self.b.ins().bxor(x, divisor);
        let mixed = self.b.ins().icmp(IntCC::SignedLessThan, mixed, zero);
        let adjust = self.b.ins().band(inexact, mixed);
        if kind == BinaryKind::Rem {
            let moved = self.b.ins().iadd(rest, divisor);
            return self.b.ins().select(adjust, moved, rest);
        }
        let less = self.b.ins().isub(quotient, one);
        let floor = self.b.ins().select(adjust, less, quotient);
        let negated = self.b.ins().ineg(x);
        let value = self.b.ins().select(by_minus_one, negated, floor);
        self.b.ins().select(by_zero, zero, value)
    }

    fn unsigned_divide(&mut self, kind: BinaryKind, dtype: DType, x: Value, y: Value) -> Value {
        let ty = scalar_type(dtype);
        let (zero, one) = (self.b.ins().iconst(ty, 0), self.b.ins().iconst(ty, 1));
        let by_zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        let divisor = self.b.ins().select(by_zero, one, y);
        let value = if kind == BinaryKind::Rem {
            self.b.ins().urem(x, divisor)
        } else {
            self.b.ins().udiv(x, divisor)
        };
        self.b.ins().select(by_zero, zero, value)
    }

    /// Shifts by the width or more, or by a negative number, leave nothing but the sign.
    fn shift(&mut self, kind: BinaryKind, dtype: DType, x: Value, y: Value) -> Value {
        let ty = scalar_type(dtype);
        let width = i64::from(ty.bits());
        let fits = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, y, width);
        let zero = self.b.ins().iconst(ty, 0);
        if kind == BinaryKind::Shl {
            let shifted = self.b.ins().ishl(x, y);
            return self.b.ins().select(fits, shifted, zero);
        }
        if dtype.is_signed() {
            let most = self.b.ins().iconst(ty, width - 1);
            let by = self.b.ins().select(fits, y, most);
            return self.b.ins().sshr(x, by);
        }
        let shifted = self.b.ins().ushr(x, y);
        self.b.ins().select(fits, shifted, zero)
    }

    pub fn compare(&mut self, kind: CompareKind, dtype: DType, x: Value, y: Value) -> Value {
        if dtype.is_float() {
            return self.b.ins().fcmp(float_condition(kind), x, y);
        }
        let signed = dtype.is_signed();
        let condition = match kind {
            CompareKind::Eq => IntCC::Equal,
            CompareKind::Ne => IntCC::NotEqual,
            CompareKind::Lt if signed => IntCC::SignedLessThan,
            CompareKind::Le if signed => IntCC::SignedLessThanOrEqual,
            CompareKind::Gt if signed => IntCC::SignedGreaterThan,
            CompareKind::Ge if signed => IntCC::SignedGreaterThanOrEqual,
            CompareKind::Lt => IntCC::UnsignedLessThan,
            CompareKind::Le => IntCC::UnsignedLessThanOrEqual,
            CompareKind::Gt => IntCC::UnsignedGreaterThan,
            CompareKind::Ge => IntCC::UnsignedGreaterThanOrEqual,
        };
        self.b.ins().icmp(condition, x, y)
    }
}

fn float_condition(kind: CompareKind) -> FloatCC {
    match kind {
        CompareKind::Eq => FloatCC::Equal,
        CompareKind::Ne => FloatCC::NotEqual,
        CompareKind::Lt => FloatCC::LessThan,
        CompareKind::Le => FloatCC::LessThanOrEqual,
        CompareKind::Gt => FloatCC::GreaterThan,
        CompareKind::Ge => FloatCC::GreaterThanOrEqual,
    }
}
