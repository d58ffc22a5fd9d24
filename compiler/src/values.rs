//! Values on the command line: parsed from text, drawn at random, printed.

use aiai_ir::eval::{Array, philox4x32};
use aiai_ir::{DType, Literal};
use aiai_runtime::Tensor;
use serde_json::{Value, json};

use crate::Failure;
use crate::backend::runtime_dtype;
use crate::output::printable;

/// Characters of a value that a message repeats.
const SHOWN: usize = 60;

/// A value such as `3`, `[1, 2.5]`, `[[true], [false]]` as an array of the dtype.
pub fn parse(text: &str, dtype: DType) -> Result<Array, Failure> {
    let shown = printable(text, SHOWN);
    let value: Value = serde_json::from_str(text).map_err(|e| {
        Failure::input(format!(
            "`{shown}` is not a number or a list of numbers: {e}"
        ))
    })?;
    let mut shape = Vec::new();
    let mut numbers = Vec::new();
    collect(&value, 0, &mut shape, &mut numbers)
        .ok_or_else(|| Failure::input(format!("`{shown}` is not a regular list of numbers")))?;
    if let Some(bad) = numbers.iter().find(|&&x| !holds(dtype, x)) {
        return Err(Failure::input(format!("`{shown}`: {bad} is no {dtype}")));
    }
    Ok(if dtype.is_float() {
        Array::floats(dtype, shape, numbers)
    } else {
        Array::ints(dtype, shape, numbers.into_iter().map(|x| x as i64))
    })
}

/// Whether a number is a value of the dtype, up to rounding of floats.
pub fn holds(dtype: DType, x: f64) -> bool {
    if dtype.is_float() {
        x.is_finite()
    } else {
        Literal::f64(dtype, x).element(0).as_f64() == x
    }
}

fn collect(value: &Value, depth: usize, shape: &mut Vec<usize>, out: &mut Vec<f64>) -> Option<()> {
    match value {
        Value::Array(items) => {
            match shape.get(depth) {
                None if out.is_empty() => shape.push(items.len()),
                Some(&n) if n == items.len() => {}
                _ => return None,
            }
            items
                .iter()
                .try_for_each(|item| collect(item, depth + 1, shape, out))
        }
        _ if shape.len() != depth => None,
        Value::Number(n) => n.as_f64().map(|x| out.push(x)),
        Value::Bool(b) => {
            out.push(f64::from(u8::from(*b)));
            Some(())
        }
        _ => None,
    }
}

/// A stream of random numbers in [0, 1), the same for the same seed.
pub struct Stream {
    key: [u32; 2],
    at: u64,
}

impl Stream {
    pub fn new(seed: u64) -> Stream {
        Stream {
            key: [seed as u32, (seed >> 32) as u32],
            at: 0,
        }
    }

    pub fn unit(&mut self) -> f64 {
        let block = philox4x32(self.key, [self.at as u32, (self.at >> 32) as u32, 1, 0]);
        self.at += 1;
        f64::from(block[0]) / 4_294_967_296.0
    }

    /// A tensor with elements in `low..high`.
    pub fn tensor(
        &mut self,
        dtype: DType,
        shape: &[usize],
        low: f64,
        high: f64,
    ) -> Result<Tensor, Failure> {
        const CHUNK: usize = 1 << 16;
        let mut tensor = Tensor::zeros(runtime_dtype(dtype), shape)?;
        for start in (0..tensor.len()).step_by(CHUNK) {
            let count = CHUNK.min(tensor.len() - start);
            let draw = |_| {
                let x = low + (high - low) * self.unit();
                match dtype {
                    _ if dtype.is_float() => x,
                    DType::Bool => f64::from(u8::from(x >= (low + high) / 2.0)),
                    _ => x.floor(),
                }
            };
            let values: Vec<f64> = (0..count).map(draw).collect();
            tensor.write_f64(start, &values)?;
        }
        Ok(tensor)
    }
}

/// An array as nested lists. Infinities and NaN, which JSON lacks, are the texts "inf", "-inf", "nan".
pub fn to_json(array: &Array) -> Value {
    let flat: Vec<Value> = array
        .to_f64()
        .into_iter()
        .map(|x| match array.dtype {
            DType::Bool => json!(x != 0.0),
            _ if array.dtype.is_float() => float(array.dtype, x),
            _ => json!(x as i64),
        })
        .collect();
    nest(&flat, &array.shape)
}

fn float(dtype: DType, x: f64) -> Value {
    if x.is_nan() {
        return json!("nan");
    }
    if x.is_infinite() {
        return json!(if x > 0.0 { "inf" } else { "-inf" });
    }
    // The shortest decimal that reads back as the same f32.
    let short = if dtype == DType::F32 {
        (x as f32).to_string().parse().unwrap_or(x)
    } else {
        x
    };
    json!(short)
}

fn nest(flat: &[Value], shape: &[usize]) -> Value {
    match shape.split_first() {
        None => flat.first().cloned().unwrap_or(Value::Null),
        Some((&count, rest)) => {
            let width: usize = rest.iter().product();
            Value::Array(
                (0..count)
                    .map(|i| nest(&flat[i * width..(i + 1) * width], rest))
                    .collect(),
            )
        }
    }
}

/// An array for a person: its type, then its elements, long ones cut.
pub fn show(name: &str, array: &Array) -> String {
    let dims: Vec<String> = array.shape.iter().map(usize::to_string).collect();
    let head = format!("{name}: {}[{}]", array.dtype, dims.join(", "));
    let values = array.to_f64();
    let shown: Vec<String> = values
        .iter()
        .take(64)
        .map(|x| number(array.dtype, *x))
        .collect();
    let more = if values.len() > shown.len() {
        format!(" ... {} more", values.len() - shown.len())
    } else {
        String::new()
    };
    format!("{head} = {}{more}", shown.join(" "))
}

fn number(dtype: DType, x: f64) -> String {
    match dtype {
        DType::Bool => (x != 0.0).to_string(),
        DType::F32 => (x as f32).to_string(),
        _ => x.to_string(),
    }
}
