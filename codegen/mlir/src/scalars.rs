//! Arithmetic on scalars and vectors, as the op table defines it. Truth values are an i8 of 0 or 1; halves are
//! computed with as f32 and rounded after every op.

use aiai_ir::{BinaryKind, CompareKind, DType, Literal, Op, OpNode, Type, UnaryKind};

use crate::translate::Translator;
use crate::writer::Name;

/// The type of a value in a register.
pub fn register_type(ty: &Type) -> String {
    match ty {
        Type::Buffer { .. } => "!llvm.ptr".to_owned(),
        Type::Tensor { dtype, .. } => type_of(scalar_type(*dtype), lanes_of(ty)),
    }
}

/// The lanes of a vector; `None` for a scalar.
pub fn lanes_of(ty: &Type) -> Option<i64> {
    ty.shape().first().and_then(|lanes| lanes.as_const())
}

/// The type of a scalar, or of a vector of such.
pub fn type_of(scalar: &str, lanes: Option<i64>) -> String {
    match lanes {
        None => scalar.to_owned(),
        Some(lanes) => format!("vector<{lanes}x{scalar}>"),
    }
}

/// What a choice between numbers says before their type: that of the condition, but not between scalars.
pub fn condition_type(lanes: Option<i64>) -> String {
    match lanes {
        None => String::new(),
        Some(_) => format!("{}, ", type_of("i1", lanes)),
    }
}

pub fn scalar_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => "i8",
        DType::I16 | DType::U16 => "i16",
        DType::I32 | DType::U32 => "i32",
        DType::I64 | DType::U64 => "i64",
        DType::F16 | DType::BF16 | DType::F32 => "f32",
        DType::F64 => "f64",
    }
}

/// The bits of a number.
pub fn bits(dtype: DType) -> i64 {
    dtype.bytes() as i64 * 8
}

impl Translator<'_, '_> {
    /// The type of a number of a dtype, in as many lanes as the op at hand has.
    pub fn ty(&self, dtype: DType) -> String {
        type_of(scalar_type(dtype), self.lanes)
    }

    /// The same for a type of MLIR.
    pub fn lanes_of(&self, scalar: &str) -> String {
        type_of(scalar, self.lanes)
    }

    pub fn elementwise(&mut self, node: &OpNode) {
        self.lanes = lanes_of(self.unit.source.ty(node.operands[0]));
        self.elementwise_in_lanes(node);
        self.lanes = None;
    }

    fn elementwise_in_lanes(&mut self, node: &OpNode) {
        let dtype = self.dtype(node.operands[0]);
        let x: Vec<Name> = node.operands.iter().map(|&v| self.get(v)).collect();
        let value = match &node.op {
            Op::Unary { kind } => self.unary(*kind, dtype, &x[0]),
            Op::Binary { kind } => self.binary(*kind, dtype, &x[0], &x[1]),
            Op::Compare { kind } => self.compare(*kind, dtype, &x[0], &x[1]),
            Op::Select => {
                let ty = self.ty(self.dtype(node.operands[1]));
                let condition = self.condition(&x[0]);
                self.select(&condition, &x[1], &x[2], &ty)
            }
            Op::Cast { dtype: to } => self.cast(dtype, *to, x[0].clone()),
            Op::StopGradient => x[0].clone(),
            other => unreachable!("`{}` is not elementwise", other.name()),
        };
        self.define(node, value);
    }

    /// A scalar constant.
    pub fn literal(&mut self, value: &Literal) -> Name {
        let (scalar, dtype) = (value.element(0), value.dtype);
        match dtype.is_float() {
            true => self.float(dtype, scalar.as_f64()),
            false => self.integer(dtype, scalar.as_i64()),
        }
    }

    /// A float constant, by its bits.
    pub fn float(&mut self, dtype: DType, value: f64) -> Name {
        let bits = match dtype {
            DType::F64 => format!("0x{:016X}", value.to_bits()),
            _ => format!("0x{:08X}", (value as f32).to_bits()),
        };
        self.constant(&bits, scalar_type(dtype))
    }

    /// A constant in every lane.
    pub fn constant(&mut self, value: &str, scalar: &str) -> Name {
        let ty = self.lanes_of(scalar);
        self.w.value(&match self.lanes {
            None => format!("arith.constant {value} : {ty}"),
            Some(_) => format!("arith.constant dense<{value}> : {ty}"),
        })
    }

    pub fn integer(&mut self, dtype: DType, value: i64) -> Name {
        // As a signed number of the width, which is how the text is read.
        let unused = 64 - bits(dtype);
        let value = (value << unused) >> unused;
        self.constant(&value.to_string(), scalar_type(dtype))
    }

    /// A conversion between types of scalars, in every lane.
    pub fn convert(&mut self, op: &str, x: &str, from: &str, to: &str) -> Name {
        let (from, to) = (self.lanes_of(from), self.lanes_of(to));
        self.w.value(&format!("{op} {x} : {from} to {to}"))
    }

    /// A function of the runtime, lane by lane.
    pub fn in_lanes(&mut self, name: &str, args: &[Name], types: &[&str], result: &str) -> Name {
        let Some(lanes) = self.lanes else {
            return self.runtime(name, args).unwrap_or_default();
        };
        let ty = self.lanes_of(result);
        let mut all = self.w.value(&format!("llvm.mlir.undef : {ty}"));
        for lane in 0..lanes {
            let mut scalars = Vec::new();
            for (arg, scalar) in args.iter().zip(types) {
                let from = self.lanes_of(scalar);
                scalars.push(self.w.value(&format!(
                    "vector.extract {arg}[{lane}] : {scalar} from {from}"
                )));
            }
            let value = self.runtime(name, &scalars).unwrap_or_default();
            all = self.w.value(&format!(
                "vector.insert {value}, {all} [{lane}] : {result} into {ty}"
            ));
        }
        all
    }

    fn of_one(&mut self, op: &str, x: &str, ty: &str) -> Name {
        self.w.value(&format!("{op} {x} : {ty}"))
    }

    pub fn of_two(&mut self, op: &str, x: &str, y: &str, ty: &str) -> Name {
        self.w.value(&format!("{op} {x}, {y} : {ty}"))
    }

    pub fn select(&mut self, condition: &str, a: &str, b: &str, ty: &str) -> Name {
        let truth = condition_type(self.lanes);
        self.w
            .value(&format!("arith.select {condition}, {a}, {b} : {truth}{ty}"))
    }

    pub fn is(&mut self, relation: &str, x: &str, y: &str, ty: &str) -> Name {
        let op = match ty.contains('f') {
            true => "arith.cmpf",
            false => "arith.cmpi",
        };
        self.w.value(&format!("{op} {relation}, {x}, {y} : {ty}"))
    }

    pub fn truth(&mut self, condition: &str) -> Name {
        self.convert("arith.extui", condition, "i1", "i8")
    }

    fn unary(&mut self, kind: UnaryKind, dtype: DType, x: &str) -> Name {
        if !dtype.is_float() {
            return self.int_unary(kind, dtype, x);
        }
        let ty = &self.ty(dtype);
        let value = match kind {
            UnaryKind::Neg => self.of_one("arith.negf", x, ty),
            UnaryKind::Abs => self.of_one("math.absf", x, ty),
            UnaryKind::Floor => self.of_one("math.floor", x, ty),
            UnaryKind::Ceil => self.of_one("math.ceil", x, ty),
            UnaryKind::Round => self.of_one("math.roundeven", x, ty),
            UnaryKind::Sqrt => self.of_one("math.sqrt", x, ty),
            UnaryKind::Rsqrt => {
                let (one, root) = (self.float(dtype, 1.0), self.of_one("math.sqrt", x, ty));
                self.of_two("arith.divf", &one, &root, ty)
            }
            UnaryKind::Sign => {
                let (zero, one) = (self.float(dtype, 0.0), self.float(dtype, 1.0));
                let signed = self.of_two("math.copysign", &one, x, ty);
                // Neither below nor above 0: a zero or NaN, which stay.
                let apart = self.is("one", x, &zero, ty);
                self.select(&apart, &signed, x, ty)
            }
            UnaryKind::IsNan => {
                let nan = self.is("uno", x, x, ty);
                return self.truth(&nan);
            }
            UnaryKind::IsFinite => {
                let size = self.of_one("math.absf", x, ty);
                let infinity = self.float(dtype, f64::INFINITY);
                let finite = self.is("olt", &size, &infinity, ty);
                return self.truth(&finite);
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
            | UnaryKind::Not => self.function(kind, scalar_type(dtype), x),
        };
        self.rounded(dtype, value)
    }

    /// A function such as exp: in place where it is made so, or of the runtime.
    fn function(&mut self, kind: UnaryKind, scalar: &str, x: &str) -> Name {
        let inlined = match scalar {
            "f32" => self.inlined(kind, x),
            _ => None,
        };
        inlined.unwrap_or_else(|| {
            let name = format!("aiai_{}_{scalar}", kind.name());
            self.in_lanes(&name, &[x.to_owned()], &[scalar], scalar)
        })
    }

    fn int_unary(&mut self, kind: UnaryKind, dtype: DType, x: &str) -> Name {
        let ty = &self.ty(dtype);
        let zero = self.integer(dtype, 0);
        match kind {
            UnaryKind::Neg => self.of_two("arith.subi", &zero, x, ty),
            UnaryKind::Abs if dtype.is_signed() => {
                let negated = self.of_two("arith.subi", &zero, x, ty);
                let negative = self.is("slt", x, &zero, ty);
                self.select(&negative, &negated, x, ty)
            }
            UnaryKind::Not => {
                let ones = self.integer(dtype, if dtype == DType::Bool { 1 } else { -1 });
                self.of_two("arith.xori", x, &ones, ty)
            }
            UnaryKind::Sign => {
                let (one, less) = (self.integer(dtype, 1), self.integer(dtype, -1));
                if !dtype.is_signed() {
                    let positive = self.is("ne", x, &zero, ty);
                    return self.select(&positive, &one, &zero, ty);
                }
                let (above, below) = (self.is("sgt", x, &zero, ty), self.is("slt", x, &zero, ty));
                let rest = self.select(&below, &less, &zero, ty);
                self.select(&above, &one, &rest, ty)
            }
            // The others are for floats, or change no integer.
            _ => x.to_owned(),
        }
    }

    fn binary(&mut self, kind: BinaryKind, dtype: DType, x: &str, y: &str) -> Name {
        let ty = &self.ty(dtype);
        if !dtype.is_float() {
            return self.int_binary(kind, dtype, x, y);
        }
        let op = match kind {
            BinaryKind::Add => "arith.addf",
            BinaryKind::Sub => "arith.subf",
            BinaryKind::Mul => "arith.mulf",
            BinaryKind::Div => "arith.divf",
            BinaryKind::Max | BinaryKind::Min => return self.extreme(kind, dtype, x, y),
            BinaryKind::Rem
            | BinaryKind::Pow
            | BinaryKind::And
            | BinaryKind::Or
            | BinaryKind::Xor
            | BinaryKind::Shl
            | BinaryKind::Shr => {
                let scalar = scalar_type(dtype);
                let name = format!("aiai_{}_{scalar}", kind.name());
                let args = [x.to_owned(), y.to_owned()];
                let value = self.in_lanes(&name, &args, &[scalar; 2], scalar);
                return self.rounded(dtype, value);
            }
        };
        let value = self.of_two(op, x, y, ty);
        self.rounded(dtype, value)
    }

    /// The larger or smaller of two floats: NaN if either is, +0 above -0.
    pub fn extreme(&mut self, kind: BinaryKind, dtype: DType, x: &str, y: &str) -> Name {
        let (ty, scalar) = (&self.ty(dtype), scalar_type(dtype));
        if scalar == "f32" && self.lanes == Some(16) && self.unit.target.has("avx512dq") {
            return self.extreme_of_512_bits(kind, x, y, ty);
        }
        let bits = if scalar == "f64" { "i64" } else { "i32" };
        // A NaN x stays; zeros that are equal have the bits of either in common, or all.
        let (relation, join) = match kind {
            BinaryKind::Max => ("olt", "arith.andi"),
            _ => ("ogt", "arith.ori"),
        };
        let beyond = self.is(relation, x, y, ty);
        let best = self.select(&beyond, y, x, ty);
        let [a, b] = [x, y].map(|v| self.convert("arith.bitcast", v, scalar, bits));
        let joined = self.of_two(join, &a, &b, &self.lanes_of(bits));
        let joined = self.convert("arith.bitcast", &joined, bits, scalar);
        let equal = self.is("oeq", x, y, ty);
        let best = self.select(&equal, &joined, &best, ty);
        let nan = self.is("uno", y, y, ty);
        self.select(&nan, y, &best, ty)
    }

    /// The same by the machine's own instruction, which knows zeros but prefers numbers to NaN.
    fn extreme_of_512_bits(&mut self, kind: BinaryKind, x: &str, y: &str, ty: &str) -> Name {
        // Bit 0: the larger one; bit 2: with its own sign.
        let which = if kind == BinaryKind::Max { 5 } else { 4 };
        let which = self.w.value(&format!("arith.constant {which} : i32"));
        let all = self.w.value("arith.constant -1 : i16");
        let as_set = self.w.value("arith.constant 4 : i32");
        let best = self.w.value(&format!(
            "llvm.call_intrinsic \"llvm.x86.avx512.mask.range.ps.512\"({x}, {y}, {which}, {x}, {all}, {as_set}) : \
             ({ty}, {ty}, i32, {ty}, i16, i32) -> {ty}"
        ));
        let nan = self.of_two("arith.addf", x, y, ty);
        let unordered = self.is("uno", x, y, ty);
        self.select(&unordered, &nan, &best, ty)
    }

    fn int_binary(&mut self, kind: BinaryKind, dtype: DType, x: &str, y: &str) -> Name {
        let (ty, signed) = (&self.ty(dtype), dtype.is_signed());
        let op = match kind {
            BinaryKind::Add => "arith.addi",
            BinaryKind::Sub => "arith.subi",
            BinaryKind::Mul => "arith.muli",
            BinaryKind::Max if signed => "arith.maxsi",
            BinaryKind::Min if signed => "arith.minsi",
            BinaryKind::Max => "arith.maxui",
            BinaryKind::Min => "arith.minui",
            BinaryKind::And => "arith.andi",
            BinaryKind::Or => "arith.ori",
            BinaryKind::Xor => "arith.xori",
            BinaryKind::Div | BinaryKind::Rem if signed => {
                return self.floor_divide(kind, dtype, x, y);
            }
            BinaryKind::Div | BinaryKind::Rem => return self.unsigned_divide(kind, dtype, x, y),
            BinaryKind::Shl | BinaryKind::Shr => return self.shift(kind, dtype, x, y),
            BinaryKind::Pow => {
                let wide = [self.widened(dtype, x), self.widened(dtype, y)];
                let name = if signed {
                    "aiai_pow_i64"
                } else {
                    "aiai_pow_u64"
                };
                let value = self.in_lanes(name, &wide, &["i64"; 2], "i64");
                return match scalar_type(dtype) {
                    "i64" => value,
                    narrow => self.convert("arith.trunci", &value, "i64", narrow),
                };
            }
        };
        self.of_two(op, x, y, ty)
    }

    /// An integer as an i64 of the same value.
    pub fn widened(&mut self, dtype: DType, x: &str) -> Name {
        let ty = scalar_type(dtype);
        match dtype.is_signed() {
            _ if ty == "i64" => x.to_owned(),
            true => self.convert("arith.extsi", x, ty, "i64"),
            false => self.convert("arith.extui", x, ty, "i64"),
        }
    }

    /// Quotient towards minus infinity, remainder with the sign of the divisor; by 0 both are 0.
    fn floor_divide(&mut self, kind: BinaryKind, dtype: DType, x: &str, y: &str) -> Name {
        let ty = &self.ty(dtype);
        let [zero, one, less] = [0, 1, -1].map(|v| self.integer(dtype, v));
        let by_zero = self.is("eq", y, &zero, ty);
        let by_minus_one = self.is("eq", y, &less, ty);
        let truth = &self.lanes_of("i1");
        let special = self.of_two("arith.ori", &by_zero, &by_minus_one, truth);
        let divisor = self.select(&special, &one, y, ty);
        let quotient = self.of_two("arith.divsi", x, &divisor, ty);
        let product = self.of_two("arith.muli", &quotient, &divisor, ty);
        let rest = self.of_two("arith.subi", x, &product, ty);
        let inexact = self.is("ne", &rest, &zero, ty);
        let mixed = self.of_two("arith.xori", x, &divisor, ty);
        let mixed = self.is("slt", &mixed, &zero, ty);
        let adjust = self.of_two("arith.andi", &inexact, &mixed, truth);
        if kind == BinaryKind::Rem {
            let moved = self.of_two("arith.addi", &rest, &divisor, ty);
            return self.select(&adjust, &moved, &rest, ty);
        }
        let lower = self.of_two("arith.subi", &quotient, &one, ty);
        let floor = self.select(&adjust, &lower, &quotient, ty);
        let negated = self.of_two("arith.subi", &zero, x, ty);
        let value = self.select(&by_minus_one, &negated, &floor, ty);
        self.select(&by_zero, &zero, &value, ty)
    }

    fn unsigned_divide(&mut self, kind: BinaryKind, dtype: DType, x: &str, y: &str) -> Name {
        let ty = &self.ty(dtype);
        let [zero, one] = [0, 1].map(|v| self.integer(dtype, v));
        let by_zero = self.is("eq", y, &zero, ty);
        let divisor = self.select(&by_zero, &one, y, ty);
        let op = match kind {
            BinaryKind::Rem => "arith.remui",
            _ => "arith.divui",
        };
        let value = self.of_two(op, x, &divisor, ty);
        self.select(&by_zero, &zero, &value, ty)
    }

    /// Shifts by the width or more, or by a negative number, leave nothing but the sign.
    fn shift(&mut self, kind: BinaryKind, dtype: DType, x: &str, y: &str) -> Name {
        let (ty, width) = (&self.ty(dtype), bits(dtype));
        let [zero, most, limit] = [0, width - 1, width].map(|v| self.integer(dtype, v));
        let fits = self.is("ult", y, &limit, ty);
        if kind == BinaryKind::Shr && dtype.is_signed() {
            let by = self.select(&fits, y, &most, ty);
            return self.of_two("arith.shrsi", x, &by, ty);
        }
        // More than the width has no meaning to LLVM, chosen or not.
        let by = self.select(&fits, y, &zero, ty);
        let op = match kind {
            BinaryKind::Shl => "arith.shli",
            _ => "arith.shrui",
        };
        let shifted = self.of_two(op, x, &by, ty);
        self.select(&fits, &shifted, &zero, ty)
    }

    fn compare(&mut self, kind: CompareKind, dtype: DType, x: &str, y: &str) -> Name {
        let float = dtype.is_float();
        let signed = dtype.is_signed();
        let relation = match kind {
            CompareKind::Eq if float => "oeq",
            CompareKind::Ne if float => "une",
            CompareKind::Lt if float => "olt",
            CompareKind::Le if float => "ole",
            CompareKind::Gt if float => "ogt",
            CompareKind::Ge if float => "oge",
            CompareKind::Eq => "eq",
            CompareKind::Ne => "ne",
            CompareKind::Lt if signed => "slt",
            CompareKind::Le if signed => "sle",
            CompareKind::Gt if signed => "sgt",
            CompareKind::Ge if signed => "sge",
            CompareKind::Lt => "ult",
            CompareKind::Le => "ule",
            CompareKind::Gt => "ugt",
            CompareKind::Ge => "uge",
        };
        let ty = self.ty(dtype);
        let holds = self.is(relation, x, y, &ty);
        self.truth(&holds)
    }
}
