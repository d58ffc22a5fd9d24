//! Mode `bound`: how far a correct executor may be from the values of mode `bits`.
//!
//! Both round: so a rounding counts twice, and a value's error is the sum of what its operands bring
//! and of its own. Functions are bounded by their values at the ends of the interval. A comparison, a
//! floor, a cast or a sort that the interval does not decide makes its results unknown (an infinite
//! error); a branch, an index or a check on such a value ends the run as undecided. Sums and products
//! are bounded over every order: n - 1 roundings, each of at most the sum of magnitudes.

use super::array::{Array, Data, strides};
use super::contract::contract;
use super::movement;
use super::reduce::reduce;
use super::{Against, EvalError, Frame, Machine, Result};
use crate::module::OpNode;
use crate::{DType, Op, ReduceKind, ScatterKind};

mod elementwise;

/// The unit roundoff, the least positive and the greatest number of a float dtype.
#[derive(Clone, Copy)]
struct Precision {
    unit: f64,
    least: f64,
    greatest: f64,
    /// The least positive number, whether or not it counts as an error.
    tiny: f64,
    /// Whether errors are distances from the result over the reals.
    reals: bool,
}

fn precision(dtype: DType, against: Against) -> Precision {
    let (unit, least, greatest) = match dtype {
        DType::F16 => (2f64.powi(-11), 2f64.powi(-24), 65504.0),
        DType::BF16 => (2f64.powi(-8), 2f64.powi(-133), 3.389_531_389_251_535_5e38),
        DType::F32 => (2f64.powi(-24), 2f64.powi(-149), f64::from(f32::MAX)),
        _ => (2f64.powi(-53), 5e-324, f64::MAX),
    };
    let underflows = against != Against::RealsWithoutUnderflow;
    Precision {
        unit,
        least: if underflows { least } else { 0.0 },
        greatest,
        tiny: least,
        reals: against != Against::Executors,
    }
}

impl Precision {
    /// What two executors may differ by when each makes an error of `ulps` in a result.
    fn rounding(self, ulps: f64, value: f64) -> f64 {
        if ulps == 0.0 {
            return 0.0;
        }
        2.0 * (2.0 * ulps * self.unit * value.abs() + ulps.max(1.0) * self.least)
    }

    /// The error of a finite value; where an executor may overflow, nothing is known.
    fn limited(self, value: f64, error: f64) -> f64 {
        if error.is_nan() || value.abs() + error > self.greatest {
            return f64::INFINITY;
        }
        error
    }
}

/// Ends the run where a value is unknown that a decision needs.
pub fn decided(x: &Array) -> Result<()> {
    match &x.error {
        Some(error) if error.iter().any(|&e| e > 0.0) => undecided(),
        _ => Ok(()),
    }
}

fn undecided<T>() -> Result<T> {
    Err(EvalError {
        undecided: true,
        ..EvalError::new("a decision depends on more than is known of a value")
    })
}

/// The errors as an array.
pub fn errors(x: &Array) -> Array {
    let errors = (0..x.len()).map(|i| x.error_at(i)).collect();
    plain(x.shape.clone(), errors)
}

fn plain(shape: Vec<usize>, elements: Vec<f64>) -> Array {
    Array {
        dtype: DType::F64,
        shape,
        data: Data::Float(elements),
        error: None,
    }
}

/// Magnitudes, with or without what the error adds; 0 for infinities and NaN.
fn magnitudes(x: &Array, with_error: bool) -> Array {
    let values = x.to_f64();
    let one = |(i, v): (usize, &f64)| {
        let magnitude = if v.is_finite() { v.abs() } else { 0.0 };
        magnitude + if with_error { x.error_at(i) } else { 0.0 }
    };
    plain(
        x.shape.clone(),
        values.iter().enumerate().map(one).collect(),
    )
}

/// Indices and conditions must be known.
pub fn check_decisions(op: &Op, x: &[Array]) -> Result<()> {
    let all = |parts: &[Array]| parts.iter().try_for_each(decided);
    match op {
        Op::Gather { .. } | Op::DynamicSlice { .. } => all(&x[1..]),
        Op::Scatter { .. } => all(&x[1..x.len() - 1]),
        Op::DynamicUpdate => all(&x[2..]),
        Op::Assert { .. } | Op::If | Op::RandomBits { .. } => decided(&x[0]),
        // Close within a tolerance may be so for one executor and not for another.
        Op::AssertClose { .. } => all(x),
        _ => Ok(()),
    }
}

impl Machine<'_> {
    /// Adds errors to results. Movement and control carry them along already.
    pub(super) fn bound(
        &mut self,
        frame: &Frame<'_>,
        node: &OpNode,
        x: &[Array],
        results: &mut [Array],
    ) -> Result<()> {
        let against = self.options.against;
        match &node.op {
            Op::Unary { kind } => elementwise::unary(*kind, &x[0], &mut results[0], against),
            Op::Binary { kind } => {
                elementwise::binary(*kind, &x[0], &x[1], &mut results[0], against);
            }
            Op::Compare { .. } => elementwise::compare(&x[0], &x[1], &mut results[0]),
            Op::Select => elementwise::select(&x[0], &x[1], &x[2], &mut results[0], against),
            Op::Cast { .. } => elementwise::cast(&x[0], &mut results[0], against),
            Op::Reduce { kind, axes, acc } => {
                reduction(&x[0], *kind, axes, (*acc, against), &mut results[0]);
            }
            Op::ArgReduce { axis, .. } => arg_reduction(&x[0], *axis, &mut results[0]),
            Op::Sort { axis, .. } => sorting(&x[0], *axis, results),
            Op::Scatter { axes, kind } => scattering(x, axes, (*kind, against), &mut results[0])?,
            Op::Contract { .. } if node.op.is_window() => {}
            Op::Contract {
                space,
                maps,
                out,
                acc,
                ..
            } => {
                let space = frame.shape(space)?;
                let maps: Result<Vec<_>> = maps.iter().map(|m| frame.map(m)).collect();
                let (maps, out) = (maps?, frame.map(out)?);
                let shape = results[0].shape.clone();
                let sum = |operands: &[Array]| {
                    contract(operands, &space, &maps, &out, &shape, DType::F64)
                };
                let ones: Vec<Array> = x
                    .iter()
                    .map(|a| plain(a.shape.clone(), vec![1.0; a.len()]))
                    .collect();
                let with: Vec<Array> = x.iter().map(|a| magnitudes(a, true)).collect();
                let without: Vec<Array> = x.iter().map(|a| magnitudes(a, false)).collect();
                let parts = Sums {
                    terms: sum(&ones)?.to_f64(),
                    with: sum(&with)?.to_f64(),
                    without: sum(&without)?.to_f64(),
                    roundings: x.len() as f64,
                    step: x.iter().map(step_of).product(),
                };
                parts.bound((*acc, against), x, &mut results[0]);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What bounds a sum of products, for every element of the result.
struct Sums {
    /// How many terms.
    terms: Vec<f64>,
    /// Sums of magnitudes, with errors and without.
    with: Vec<f64>,
    without: Vec<f64>,
    /// Roundings of a term beside those of the sum.
    roundings: f64,
    /// A power of two that every sum of terms, in any order, is a multiple of.
    step: f64,
}

impl Sums {
    fn bound(&self, (acc, against): (DType, Against), operands: &[Array], result: &mut Array) {
        if !acc.is_float() {
            return unknown_where_any_is(operands, result);
        }
        let special = operands.iter().any(has_special);
        let (wide, narrow) = (precision(acc, against), precision(result.dtype, against));
        let step = if wide.reals { self.step } else { 0.0 };
        let values = result.to_f64();
        let known = operands
            .iter()
            .all(|x| x.error.iter().flatten().all(|&e| e == 0.0));
        let exact = |i: usize| {
            let fits = self.with[i] * wide.unit < step && step >= wide.tiny;
            known && fits
        };
        let error = |(i, value): (usize, &f64)| {
            let bounded = self.with[i] <= wide.greatest;
            if !bounded || !value.is_finite() {
                // Where nothing can overflow, infinities and NaN came in; they are the same in any order.
                let overflows = !bounded || self.with[i] > narrow.greatest;
                return if !overflows && special {
                    0.0
                } else {
                    f64::INFINITY
                };
            }
            let n = self.terms[i] + self.roundings;
            let propagated = self.with[i] - self.without[i];
            let rounded = 2.0 * n * (wide.unit * self.with[i] + wide.least);
            let none = self.terms[i] == 0.0 || exact(i);
            let rounded = if none { 0.0 } else { rounded };
            let held = exact(i) && value.abs() * narrow.unit < step && step >= narrow.tiny;
            let stored = if acc == result.dtype || held {
                0.0
            } else {
                narrow.rounding(0.5, *value)
            };
            let total = propagated + rounded + stored;
            narrow.limited(*value, total)
        };
        result.error = Some(values.iter().enumerate().map(error).collect());
    }
}

fn has_special(x: &Array) -> bool {
    matches!(&x.data, Data::Float(v) if v.iter().any(|v| !v.is_finite()))
        || x.error.iter().flatten().any(|e| e.is_infinite())
}

/// Results of exact arithmetic are unknown all over where any operand is unknown anywhere.
fn unknown_where_any_is(operands: &[Array], result: &mut Array) {
    if operands
        .iter()
        .any(|x| x.error.iter().flatten().any(|&e| e > 0.0))
    {
        result.error = Some(vec![f64::INFINITY; result.len()]);
    }
}

/// A power of two that all finite elements are multiples of; not 0.
fn step_of(x: &Array) -> f64 {
    let mut step = f64::INFINITY;
    for v in x.to_f64() {
        if v != 0.0 && v.is_finite() {
            let places = v.to_bits().trailing_zeros().min(52) as i32;
            let exponent = ((v.to_bits() >> 52) & 0x7ff) as i32 - 1023;
            step = step.min(2f64.powi((exponent - 52 + places).max(-1074)));
        }
    }
    if step.is_finite() { step } else { 1.0 }
}

fn reduction(
    x: &Array,
    kind: ReduceKind,
    axes: &[usize],
    (acc, against): (DType, Against),
    result: &mut Array,
) {
    if !x.dtype.is_float() {
        return unknown_where_any_is(std::slice::from_ref(x), result);
    }
    let sum = |x: &Array, kind: ReduceKind| reduce(x, kind, axes, DType::F64).to_f64();
    match kind {
        ReduceKind::Sum => {
            let parts = Sums {
                terms: sum(&plain(x.shape.clone(), vec![1.0; x.len()]), ReduceKind::Sum),
                with: sum(&magnitudes(x, true), ReduceKind::Sum),
                without: sum(&magnitudes(x, false), ReduceKind::Sum),
                roundings: 0.0,
                step: step_of(x),
            };
            parts.bound((acc, against), std::slice::from_ref(x), result);
        }
        ReduceKind::Prod => product(x, axes, (acc, against), result),
        ReduceKind::Max | ReduceKind::Min => {
            if x.error.is_none() {
                return;
            }
            let widest = sum(&errors(x), ReduceKind::Max);
            // Of nothing, the identity, which is exact.
            result.error = Some(widest.into_iter().map(|e| e.max(0.0)).collect());
        }
        ReduceKind::Any | ReduceKind::All => {}
    }
}

/// A product in any order: what the errors add, the roundings, and what underflow loses.
fn product(x: &Array, axes: &[usize], (acc, against): (DType, Against), result: &mut Array) {
    let all = |x: &Array, kind: ReduceKind| reduce(x, kind, axes, DType::F64).to_f64();
    let count = all(&plain(x.shape.clone(), vec![1.0; x.len()]), ReduceKind::Sum);
    let with = magnitudes(x, true);
    let (most, least) = (
        all(&with, ReduceKind::Prod),
        all(&magnitudes(x, false), ReduceKind::Prod),
    );
    let above_one = with.to_f64().iter().map(|v| v.max(1.0)).collect();
    let largest = all(&plain(x.shape.clone(), above_one), ReduceKind::Prod);
    let special = has_special(x);
    let (wide, narrow) = (precision(acc, against), precision(result.dtype, against));
    let values = result.to_f64();
    let error = |(i, value): (usize, &f64)| {
        if special || !value.is_finite() || largest[i] > wide.greatest {
            return f64::INFINITY;
        }
        let rounded = 4.0 * count[i] * (wide.unit * most[i] + wide.least * largest[i]);
        let total = most[i] - least[i] + rounded + narrow.rounding(0.5, *value);
        narrow.limited(*value, total)
    };
    result.error = Some(values.iter().enumerate().map(error).collect());
}

/// The rows of a tensor along an axis, as positions.
fn rows(shape: &[usize], axis: usize) -> Vec<Vec<usize>> {
    let stride = strides(shape)[axis];
    let (length, count) = (shape[axis], shape.iter().product::<usize>());
    let starts = (0..count).filter(|at| (at / stride).is_multiple_of(length.max(1)));
    starts
        .map(|start| (0..length).map(|k| start + k * stride).collect())
        .collect()
}

/// The position of an extreme is known where it leads by more than both errors, or nothing is off.
fn arg_reduction(x: &Array, axis: usize, result: &mut Array) {
    if x.error.is_none() || x.is_empty() {
        return;
    }
    let values = x.to_f64();
    let places = result.as_ints().to_vec();
    let rows = rows(&x.shape, axis);
    let error = rows.iter().zip(&places).map(|(row, &place)| {
        let Ok(place) = usize::try_from(place) else {
            return 0.0;
        };
        let best = row[place];
        let leads = row.iter().all(|&other| {
            let sure = x.error_at(best) + x.error_at(other);
            other == best || sure == 0.0 || (values[best] - values[other]).abs() > sure
        });
        if leads { 0.0 } else { f64::INFINITY }
    });
    result.error = Some(error.collect());
}

/// Sorted keys are as far off as any of their row; what moves with them is unknown.
fn sorting(keys: &Array, axis: usize, results: &mut [Array]) {
    if keys.error.is_none() {
        return;
    }
    let mut widest = vec![0.0; keys.len()];
    for row in rows(&keys.shape, axis) {
        let most = row.iter().map(|&at| keys.error_at(at)).fold(0.0, f64::max);
        row.into_iter().for_each(|at| widest[at] = most);
    }
    for result in &mut results[1..] {
        let moved = |at: usize| match widest[at] > 0.0 && keys.shape[axis] > 1 {
            true => f64::INFINITY,
            false => result.error_at(at),
        };
        let errors = (0..result.len()).map(moved).collect();
        result.error = Some(errors);
    }
    results[0].error = Some(widest);
}

fn scattering(
    x: &[Array],
    axes: &[usize],
    (kind, against): (ScatterKind, Against),
    result: &mut Array,
) -> Result<()> {
    let (base, updates) = (&x[0], &x[x.len() - 1]);
    if kind == ScatterKind::Set {
        return Ok(());
    }
    if !base.dtype.is_float() {
        unknown_where_any_is(&[base.clone(), updates.clone()], result);
        return Ok(());
    }
    let parts = |f: &dyn Fn(&Array) -> Array, kind: ScatterKind| -> Result<Vec<f64>> {
        let mut operands = x.to_vec();
        let last = operands.len() - 1;
        operands[0] = f(base);
        operands[last] = f(updates);
        Ok(movement::scatter(&operands, axes, kind)?.to_f64())
    };
    if kind != ScatterKind::Add {
        if base.error.is_some() || updates.error.is_some() {
            result.error = Some(parts(&errors, ScatterKind::Max)?);
        }
        return Ok(());
    }
    let sums = Sums {
        terms: parts(
            &|a| plain(a.shape.clone(), vec![1.0; a.len()]),
            ScatterKind::Add,
        )?,
        with: parts(&|a| magnitudes(a, true), ScatterKind::Add)?,
        without: parts(&|a| magnitudes(a, false), ScatterKind::Add)?,
        roundings: 0.0,
        step: step_of(base).min(step_of(updates)),
    };
    sums.bound(
        (base.dtype, against),
        &[base.clone(), updates.clone()],
        result,
    );
    Ok(())
}

/// Whether what an executor computed lies within the errors of a result of mode `bound`; if not, the
/// first element that does not. NaN must be NaN, and infinities the same.
///
/// # Errors
/// A description of the first difference, or of different types.
pub fn compare(expected: &Array, got: &Array) -> std::result::Result<(), String> {
    if expected.dtype != got.dtype || expected.shape != got.shape {
        return Err(format!(
            "expected {}{:?}, got {}{:?}",
            expected.dtype, expected.shape, got.dtype, got.shape
        ));
    }
    let differs = |at: usize| match (&expected.data, &got.data) {
        (Data::Int(a), Data::Int(b)) => a[at] != b[at] && expected.error_at(at) == 0.0,
        (Data::Float(a), Data::Float(b)) => {
            let same = a[at] == b[at] || (a[at].is_nan() && b[at].is_nan());
            let error = expected.error_at(at);
            !same && error != f64::INFINITY && {
                let distance = (a[at] - b[at]).abs();
                distance.is_nan() || distance > error
            }
        }
        _ => true,
    };
    match (0..expected.len()).find(|&at| differs(at)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "element {at}: expected {:e} within {:e}, got {:e}",
            expected.to_f64()[at],
            expected.error_at(at),
            got.to_f64()[at]
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_is_too_large_for_its_narrow_result_is_unknown() {
        // In f32 the first row sums up to 80,000, which f16 does not hold; the second holds an infinity.
        let values = [40_000.0, 40_000.0, 1.0, f64::INFINITY];
        let x = Array::floats(DType::F16, vec![2, 2], values);
        let mut sums = reduce(&x, ReduceKind::Sum, &[1], DType::F32);
        assert_eq!(sums.to_f64(), [f64::INFINITY; 2]);
        let mode = (DType::F32, Against::Reals);
        reduction(&x, ReduceKind::Sum, &[1], mode, &mut sums);
        assert_eq!(sums.error_at(0), f64::INFINITY);
        assert_eq!(sums.error_at(1), 0.0);
    }
}
