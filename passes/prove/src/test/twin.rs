//! The sides of a rule in other dtypes: over f64, where what they compute is all but exact, and the right side as
//! it would be if it computed no more narrowly than the left.

use std::collections::HashSet;

use aiai_ir::eval::Array;
use aiai_ir::{DType, Function, Literal, Op, Region, Rule, Type, Value};

/// A side in other dtypes.
#[derive(Debug)]
pub struct Twin {
    pub function: Function,
    /// Arguments behind those of the rule: constants that may have been rounded when they were written.
    pub constants: Vec<Array>,
}

/// How dtypes of values and of accumulators change.
struct Change<'a> {
    value: &'a dyn Fn(DType) -> DType,
    accumulator: &'a dyn Fn(DType) -> DType,
}

fn unit(dtype: DType) -> f64 {
    dtype.unit_roundoff().unwrap_or(0.0)
}

/// Both sides over f64; `None` where they are so already, or hold no floats.
pub fn wide(rule: &Rule) -> Option<(Twin, Twin)> {
    let narrow = |f: &Function| {
        let mut dtypes = (0..f.value_count() as u32).map(|v| f.ty(Value(v)).dtype());
        dtypes.any(|dtype| dtype.is_float() && dtype != DType::F64)
    };
    if !narrow(&rule.lhs) && !narrow(&rule.rhs) {
        return None;
    }
    let all = |dtype: DType| if dtype.is_float() { DType::F64 } else { dtype };
    let change = Change {
        value: &all,
        accumulator: &all,
    };
    let twin = |f: &Function| {
        let mut function = f.clone();
        let constants = lift_constants(&mut function, true);
        apply(&mut function, &change);
        Twin {
            function,
            constants,
        }
    };
    Some((twin(&rule.lhs), twin(&rule.rhs)))
}

/// The right side with everything that is narrower than what the left side computes in made as wide as that;
/// `None` where nothing is.
pub fn budget(rule: &Rule) -> Option<Function> {
    let (left, right) = (Widths::of(&rule.lhs), Widths::of(&rule.rhs));
    let value = left.computes.or(left.holds)?;
    let sums = left.sums.unwrap_or(value.default_accumulator());
    let narrower = |dtype: Option<DType>, than: DType| dtype.is_some_and(|d| unit(d) > unit(than));
    let down = narrower(right.computes, value) || narrower(right.holds, value);
    if !down && !narrower(right.sums, sums) {
        return None;
    }
    let widen = |than: DType| {
        move |dtype: DType| {
            if unit(dtype) > unit(than) {
                than
            } else {
                dtype
            }
        }
    };
    let mut function = rule.rhs.clone();
    let change = Change {
        value: &widen(value),
        accumulator: &widen(sums),
    };
    apply(&mut function, &change);
    Some(function)
}

/// The narrowest float dtypes of a side.
#[derive(Debug, Default)]
struct Widths {
    /// Of results of arithmetic that rounds.
    computes: Option<DType>,
    /// Of accumulators.
    sums: Option<DType>,
    /// Of all values.
    holds: Option<DType>,
}

fn narrowest(known: &mut Option<DType>, dtype: DType) {
    if dtype.is_float() && known.is_none_or(|k| unit(dtype) > unit(k)) {
        *known = Some(dtype);
    }
}

impl Widths {
    fn of(f: &Function) -> Widths {
        let mut widths = Widths::default();
        for value in 0..f.value_count() as u32 {
            narrowest(&mut widths.holds, f.ty(Value(value)).dtype());
        }
        f.body.walk(&mut |node| match &node.op {
            Op::Unary { kind } if kind.ulp() == 0.0 => {}
            Op::Unary { .. } | Op::Binary { .. } => {
                narrowest(&mut widths.computes, f.ty(node.results[0]).dtype());
            }
            Op::Reduce { acc, .. } | Op::Contract { acc, .. } => narrowest(&mut widths.sums, *acc),
            // Everything else moves, compares, or converts.
            _ => {}
        });
        widths
    }
}

fn apply(function: &mut Function, change: &Change) {
    for value in 0..function.value_count() as u32 {
        let ty = function.ty(Value(value));
        let dtype = (change.value)(ty.dtype());
        if dtype != ty.dtype() {
            let ty = Type::tensor(dtype, ty.shape().to_vec());
            function.set_ty(Value(value), ty);
        }
    }
    function.body.walk_mut(&mut |node| match &mut node.op {
        Op::Constant { value } => {
            let dtype = (change.value)(value.dtype);
            if dtype != value.dtype {
                *value = convert(&Array::from_literal(value), dtype).to_literal();
            }
        }
        Op::Iota { dtype, .. } | Op::Cast { dtype } => *dtype = (change.value)(*dtype),
        Op::Reduce { acc, .. } | Op::Contract { acc, .. } => *acc = (change.accumulator)(*acc),
        // No other op names a dtype of what it computes.
        _ => {}
    });
}

/// The same numbers in a wider float dtype.
pub fn convert(x: &Array, dtype: DType) -> Array {
    if !x.dtype.is_float() || !dtype.is_float() {
        return x.clone();
    }
    Array { dtype, ..x.clone() }
}

/// Whether a float of the dtype looks like a decimal that was rounded: `0.1` has 24 bits in f32, `0.375` two.
fn is_rounded(dtype: DType, value: f64) -> bool {
    let bits = 53 - value.to_bits().trailing_zeros().min(52);
    let most = match dtype {
        DType::F16 | DType::BF16 if value.fract() == 0.0 => 7,
        DType::F16 | DType::BF16 => 2,
        DType::F32 => 12,
        _ => 26,
    };
    value != 0.0 && value.is_finite() && bits > most
}

/// Both sides with the constants that may have been rounded as parameters; `None` where there are none.
pub fn lifted(rule: &Rule) -> Option<(Twin, Twin)> {
    let twin = |f: &Function| {
        let mut function = f.clone();
        let constants = lift_constants(&mut function, false);
        Twin {
            function,
            constants,
        }
    };
    let (left, right) = (twin(&rule.lhs), twin(&rule.rhs));
    let any = !left.constants.is_empty() || !right.constants.is_empty();
    any.then_some((left, right))
}

/// Makes parameters of the constants that may have been rounded, and gives their arguments, with errors.
fn lift_constants(function: &mut Function, widen: bool) -> Vec<Array> {
    let mut lifted: Vec<(Value, Literal)> = Vec::new();
    take(&mut function.body, &mut lifted);
    let mut arguments = Vec::new();
    for (value, literal) in lifted {
        let array = Array::from_literal(&literal);
        let u = unit(literal.dtype);
        let error = |v: f64| {
            if is_rounded(literal.dtype, v) {
                v.abs() * u
            } else {
                0.0
            }
        };
        let errors = array.to_f64().into_iter().map(error).collect();
        arguments.push(Array {
            error: Some(errors),
            ..convert(&array, if widen { DType::F64 } else { array.dtype })
        });
        function.param_names.push("constant".into());
        function.owned.push(false);
        function.body.args.push(value);
    }
    arguments
}

fn take(region: &mut Region, lifted: &mut Vec<(Value, Literal)>) {
    let mut gone = HashSet::new();
    for node in &mut region.ops {
        if let Op::Constant { value } = &node.op
            && value.dtype.is_float()
            && (0..value.len()).any(|i| is_rounded(value.dtype, value.element(i).as_f64()))
        {
            gone.insert(node.results[0]);
            lifted.push((node.results[0], value.clone()));
        }
        for inner in &mut node.regions {
            take(inner, lifted);
        }
    }
    region
        .ops
        .retain(|node| !node.results.first().is_some_and(|v| gone.contains(v)));
}
