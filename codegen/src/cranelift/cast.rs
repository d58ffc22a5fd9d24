//! Conversions between dtypes.

use aiai_ir::DType;
use cranelift::prelude::{FloatCC, InstBuilder, IntCC, Value, types};

use super::function::{Translator, scalar_type};

impl Translator<'_, '_> {
    /// A scalar of one dtype as another; see `cast` in the op table.
    pub fn cast(&mut self, from: DType, to: DType, x: Value) -> Value {
        match (from.is_float(), to.is_float()) {
            _ if from == to => x,
            (false, false) => self.int_to_int(from, to, x),
            (false, true) => self.int_to_float(from, to, x),
            (true, false) => self.float_to_int(to, x),
            (true, true) => self.float_to_float(from, to, x),
        }
    }

    fn int_to_int(&mut self, from: DType, to: DType, x: Value) -> Value {
        if to == DType::Bool {
            return self.b.ins().icmp_imm_s(IntCC::NotEqual, x, 0);
        }
        let (narrow, wide) = (scalar_type(from), scalar_type(to));
        if narrow.bits() > wide.bits() {
            self.b.ins().ireduce(wide, x)
        } else if narrow == wide {
            x
        } else if from.is_signed() {
            self.b.ins().sextend(wide, x)
        } else {
            self.b.ins().uextend(wide, x)
        }
    }

    fn int_to_float(&mut self, from: DType, to: DType, x: Value) -> Value {
        let wide = self.widened(from, x);
        let unsigned = from == DType::U64;
        if matches!(to, DType::F16 | DType::BF16) {
            let name = if unsigned {
                "aiai_u64_to_odd_f64"
            } else {
                "aiai_i64_to_odd_f64"
            };
            let odd = self.runtime(name, &[wide])[0];
            return self.float_to_float(DType::F64, to, odd);
        }
        let ty = scalar_type(to);
        if unsigned {
            self.b.ins().fcvt_from_uint(ty, wide)
        } else {
            self.b.ins().fcvt_from_sint(ty, wide)
        }
    }

    /// Truncates and saturates; NaN is 0.
    fn float_to_int(&mut self, to: DType, x: Value) -> Value {
        if to == DType::Bool {
            let ty = self.b.func.dfg.value_type(x);
            let zero = self.float(ty, 0.0);
            return self.b.ins().fcmp(FloatCC::NotEqual, x, zero);
        }
        let ty = scalar_type(to);
        let bits = ty.bits();
        if bits >= 32 {
            return if to.is_signed() {
                self.b.ins().fcvt_to_sint_sat(ty, x)
            } else {
                self.b.ins().fcvt_to_uint_sat(ty, x)
            };
        }
        let wide = self.b.ins().fcvt_to_sint_sat(types::I32, x);
        let (low, high) = if to.is_signed() {
            (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
        } else {
            (0, (1i64 << bits) - 1)
        };
        let [low, high] = [low, high].map(|v| self.b.ins().iconst(types::I32, v & 0xffff_ffff));
        let clamped = self.b.ins().smax(wide, low);
        let clamped = self.b.ins().smin(clamped, high);
        self.b.ins().ireduce(ty, clamped)
    }

    fn float_to_float(&mut self, from: DType, to: DType, x: Value) -> Value {
        match (from, to) {
            (DType::F64, DType::F32) => self.b.ins().fdemote(types::F32, x),
            (DType::F64, DType::F16) => {
                let bits = self.runtime("aiai_f64_to_f16", &[x])[0];
                self.runtime("aiai_f16_to_f32", &[bits])[0]
            }
            (DType::F64, DType::BF16) => {
                let bits = self.runtime("aiai_f64_to_bf16", &[x])[0];
                self.widen_bf16(bits)
            }
            (_, DType::F64) => self.b.ins().fpromote(types::F64, x),
            (_, to) => self.rounded(to, x),
        }
    }

    /// An f32 rounded to a narrower float; other dtypes stay.
    pub fn rounded(&mut self, dtype: DType, x: Value) -> Value {
        match dtype {
            DType::F16 => {
                let bits = self.runtime("aiai_f32_to_f16", &[x])[0];
                self.runtime("aiai_f16_to_f32", &[bits])[0]
            }
            DType::BF16 => {
                let bits = self.runtime("aiai_f32_to_bf16", &[x])[0];
                self.widen_bf16(bits)
            }
            _ => x,
        }
    }
}
