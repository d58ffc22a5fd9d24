//! Conversions between dtypes, as `cast` in the op table says, and the rounding of halves.

use aiai_ir::DType;

use crate::scalars::{bits, scalar_type};
use crate::translate::Translator;
use crate::writer::Name;

impl Translator<'_, '_> {
    /// A scalar of one dtype as another; see `cast` in the op table.
    pub fn cast(&mut self, from: DType, to: DType, x: Name) -> Name {
        match (from.is_float(), to.is_float()) {
            _ if from == to => x,
            (false, false) => self.int_to_int(from, to, x),
            (false, true) => self.int_to_float(from, to, &x),
            (true, false) => self.float_to_int(from, to, &x),
            (true, true) => self.float_to_float(from, to, x),
        }
    }

    fn int_to_int(&mut self, from: DType, to: DType, x: Name) -> Name {
        let (narrow, wide) = (scalar_type(from), scalar_type(to));
        if to == DType::Bool {
            let zero = self.integer(from, 0);
            let ty = self.ty(from);
            let set = self.is("ne", &x, &zero, &ty);
            return self.truth(&set);
        }
        let op = match bits(from).cmp(&bits(to)) {
            std::cmp::Ordering::Equal => return x,
            std::cmp::Ordering::Greater => "arith.trunci",
            std::cmp::Ordering::Less if from.is_signed() => "arith.extsi",
            std::cmp::Ordering::Less => "arith.extui",
        };
        self.convert(op, &x, narrow, wide)
    }

    fn int_to_float(&mut self, from: DType, to: DType, x: &str) -> Name {
        let wide = self.widened(from, x);
        let unsigned = from == DType::U64;
        if matches!(to, DType::F16 | DType::BF16) {
            let name = match unsigned {
                true => "aiai_u64_to_odd_f64",
                false => "aiai_i64_to_odd_f64",
            };
            let odd = self.in_lanes(name, &[wide], &["i64"], "f64");
            return self.float_to_float(DType::F64, to, odd);
        }
        let op = if unsigned {
            "arith.uitofp"
        } else {
            "arith.sitofp"
        };
        self.convert(op, &wide, "i64", scalar_type(to))
    }

    /// Truncates and saturates; NaN is 0.
    fn float_to_int(&mut self, from: DType, to: DType, x: &str) -> Name {
        let (float, ty) = (self.ty(from), self.ty(to));
        if to == DType::Bool {
            let zero = self.float(from, 0.0);
            let set = self.is("une", x, &zero, &float);
            return self.truth(&set);
        }
        let sign = if to.is_signed() { "s" } else { "u" };
        let lanes = self.lanes.map_or(String::new(), |n| format!("v{n}"));
        let suffix = format!("{lanes}{}.{lanes}{}", scalar_type(to), scalar_type(from));
        self.w.value(&format!(
            "llvm.call_intrinsic \"llvm.fpto{sign}i.sat.{suffix}\"({x}) : ({float}) -> {ty}"
        ))
    }

    fn float_to_float(&mut self, from: DType, to: DType, x: Name) -> Name {
        match (from, to) {
            (DType::F64, DType::F32) => self.convert("arith.truncf", &x, "f64", "f32"),
            (DType::F64, DType::F16 | DType::BF16) => {
                let bits = self.half_bits(to, DType::F64, x);
                self.widen_half(to, bits)
            }
            (_, DType::F64) => self.convert("arith.extf", &x, "f32", "f64"),
            (_, to) => self.rounded(to, x),
        }
    }

    /// The bits of an f32 or f64 rounded to a half, as an i32.
    pub fn half_bits(&mut self, half: DType, from: DType, x: Name) -> Name {
        let name = match half {
            DType::F16 => format!("aiai_{}_to_f16", scalar_type(from)),
            _ => format!("aiai_{}_to_bf16", scalar_type(from)),
        };
        self.in_lanes(&name, &[x], &[scalar_type(from)], "i32")
    }

    /// The f32 of the bits of a half, which are an i32.
    pub fn widen_half(&mut self, half: DType, bits: Name) -> Name {
        if half == DType::F16 {
            return self.in_lanes("aiai_f16_to_f32", &[bits], &["i32"], "f32");
        }
        let (places, ty) = (self.constant("16", "i32"), self.lanes_of("i32"));
        let wide = self.of_two("arith.shli", &bits, &places, &ty);
        self.convert("arith.bitcast", &wide, "i32", "f32")
    }

    /// An f32 rounded to a narrower float; other dtypes stay.
    pub fn rounded(&mut self, dtype: DType, x: Name) -> Name {
        match dtype {
            DType::F16 | DType::BF16 => {
                let bits = self.half_bits(dtype, DType::F32, x);
                self.widen_half(dtype, bits)
            }
            _ => x,
        }
    }
}
