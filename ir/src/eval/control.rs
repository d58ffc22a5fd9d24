//! Branches, loops and checks.

use super::array::{Array, Data};
use super::bound::decided;
use super::{Frame, Machine, Result, error};
use crate::module::OpNode;
use crate::{DType, Dim};

impl<'a> Machine<'a> {
    pub(super) fn branch(
        &mut self,
        frame: &mut Frame<'a>,
        node: &'a OpNode,
        condition: &Array,
    ) -> Result<Vec<Array>> {
        decided(condition)?;
        let taken = if condition.is_true() { 0 } else { 1 };
        self.region(frame, &node.regions[taken], &[])
    }

    pub(super) fn while_loop(
        &mut self,
        frame: &mut Frame<'a>,
        node: &'a OpNode,
        carries: Vec<Array>,
        max: Option<Dim>,
    ) -> Result<Vec<Array>> {
        let max = max.map(|m| frame.dim(m)).transpose()?;
        let mut carries = carries;
        let mut trips = 0i64;
        loop {
            self.spend(0)?;
            let go_on = self.region(frame, &node.regions[0], &carries)?;
            decided(&go_on[0])?;
            if !go_on[0].is_true() {
                return Ok(carries);
            }
            if max.is_some_and(|max| trips >= max) {
                return error(format!(
                    "the loop goes on after {trips} iterations, its `max`"
                ));
            }
            carries = self.region(frame, &node.regions[1], &carries)?;
            trips += 1;
        }
    }

    pub(super) fn scan(
        &mut self,
        frame: &mut Frame<'a>,
        node: &'a OpNode,
        carries: Vec<Array>,
        range: (Dim, Dim, Dim),
    ) -> Result<Vec<Array>> {
        let (from, to, step) = (
            frame.dim(range.0)?,
            frame.dim(range.1)?,
            frame.dim(range.2)?,
        );
        if step == 0 {
            return error("a loop with step 0");
        }
        let count = carries.len();
        let emits = node.results.len() - count;
        let mut carries = carries;
        let mut stacked: Vec<Vec<Array>> = vec![Vec::new(); emits];
        let mut t = from;
        while (step > 0 && t < to) || (step < 0 && t > to) {
            self.spend(0)?;
            let mut args = vec![Array::i64(t)];
            args.append(&mut carries);
            let mut yields = self.region(frame, &node.regions[0], &args)?;
            let emitted = yields.split_off(count);
            carries = yields;
            for (stack, value) in stacked.iter_mut().zip(emitted) {
                stack.push(value);
            }
            t += step;
        }
        let mut results = carries;
        for (stack, &value) in stacked.iter().zip(&node.results[count..]) {
            let ty = frame.function.ty(value);
            let shape = frame.shape(ty.shape())?;
            results.push(stack_up(stack, ty.dtype(), shape));
        }
        Ok(results)
    }
}

fn stack_up(parts: &[Array], dtype: DType, shape: Vec<usize>) -> Array {
    let data = if dtype.is_float() {
        Data::Float(
            parts
                .iter()
                .flat_map(|p| {
                    if let Data::Float(v) = &p.data {
                        v.clone()
                    } else {
                        Vec::new()
                    }
                })
                .collect(),
        )
    } else {
        Data::Int(parts.iter().flat_map(|p| p.as_ints().to_vec()).collect())
    };
    let error = parts.iter().any(|p| p.error.is_some()).then(|| {
        let all = parts
            .iter()
            .flat_map(|p| (0..p.len()).map(|i| p.error_at(i)));
        all.collect()
    });
    Array {
        dtype,
        shape,
        data,
        error,
    }
}

/// Stops at the first element that differs by more than `atol + rtol * |b|`.
pub(super) fn assert_close(x: &[Array], message: &str) -> Result<Vec<Array>> {
    let (a, b) = (x[0].to_f64(), x[1].to_f64());
    let (rtol, atol) = (x[2].to_f64()[0], x[3].to_f64()[0]);
    for (at, (p, q)) in a.iter().zip(&b).enumerate() {
        let same = p == q || (p.is_nan() && q.is_nan());
        let allowed = atol + rtol * q.abs();
        // Infinities are close to themselves alone; what they make of the tolerance says nothing.
        let close = p.is_finite() && q.is_finite() && (p - q).abs() <= allowed;
        if !same && !close {
            let mut place = Vec::new();
            let mut rest = at;
            for &size in x[0].shape.iter().rev() {
                place.push(rest % size);
                rest /= size;
            }
            place.reverse();
            let dtype = x[0].dtype;
            let (p, q) = (shown(dtype, *p), shown(dtype, *q));
            return error(format!(
                "assertion failed: {message}: at {place:?} {p} is not {q}; they may differ by {allowed:.3e}"
            ));
        }
    }
    Ok(Vec::new())
}

/// The shortest decimal of an element.
fn shown(dtype: DType, x: f64) -> String {
    if dtype == DType::F32 {
        (x as f32).to_string()
    } else {
        x.to_string()
    }
}
