//! What the micro-kernels mean, for the evaluator: so that lowering is checked without machine code.

use std::cmp::Ordering;

use aiai_ir::eval::{Array, Buffer, Data, Element, KernelOperand, KernelTable, philox4x32};
use aiai_ir::eval::{scalar_binary, scalar_unary};
use aiai_ir::{BinaryKind, DType, Sym, UnaryKind};

/// The kernels that lowering calls.
pub struct Kernels;

type Results = Result<Vec<Array>, String>;

impl KernelTable for Kernels {
    fn run(&self, name: Sym, operands: &mut [KernelOperand]) -> Option<Results> {
        let name = name.as_str().strip_prefix("aiai_")?;
        if let Some(dtype) = name.strip_prefix("gemm_") {
            let dtype = DType::ALL.into_iter().find(|d| d.name() == dtype)?;
            return Some(gemm(dtype, operands));
        }
        if name == "random_bits" {
            return Some(random_bits(operands));
        }
        if name == "argsort" {
            return Some(argsort(operands));
        }
        let row = name.strip_prefix("row_")?.strip_suffix("_f32")?;
        if let Some(kind) = UnaryKind::ALL.iter().find(|k| k.name() == row) {
            return Some(map_row(*kind, operands));
        }
        if let Some(kind) = row.strip_suffix("_number") {
            let kind = BinaryKind::from_name(kind)?;
            return Some(with_number(kind, operands));
        }
        match row {
            "dot" => return Some(dot(operands)),
            "add_lanes" => return Some(add_lanes(operands)),
            "argmax" => return Some(arg_row(f64::gt, operands)),
            "argmin" => return Some(arg_row(f64::lt, operands)),
            _ => {}
        }
        let (kind, start) = match row {
            "sum" => (BinaryKind::Add, 0.0),
            "max" => (BinaryKind::Max, f64::NEG_INFINITY),
            "min" => (BinaryKind::Min, f64::INFINITY),
            _ => return None,
        };
        Some(fold_row(kind, start, operands))
    }
}

fn int(operands: &[KernelOperand], k: usize) -> Result<i64, String> {
    match operands.get(k) {
        Some(KernelOperand::Scalar(x)) if !x.as_ints().is_empty() => Ok(x.as_ints()[0]),
        _ => Err(format!("operand {k} of a kernel is no integer")),
    }
}

fn memory(operands: &[KernelOperand], k: usize) -> Result<&Buffer, String> {
    match operands.get(k) {
        Some(KernelOperand::Memory(buffer)) => Ok(buffer),
        _ => Err(format!("operand {k} of a kernel is no memory")),
    }
}

fn read(operands: &[KernelOperand], k: usize, at: i64) -> Result<Element, String> {
    let buffer = memory(operands, k)?;
    let element = usize::try_from(at)
        .ok()
        .and_then(|at| buffer.elements.get(at));
    match element {
        Some(Some(element)) => Ok(*element),
        Some(None) => Err("a kernel reads memory that nothing has written".into()),
        None => Err(format!("a kernel reads at {at}, outside of its memory")),
    }
}

fn float(operands: &[KernelOperand], k: usize, at: i64) -> Result<f64, String> {
    match read(operands, k, at)? {
        Element::Float(x) => Ok(x),
        Element::Int(_) => Err("a kernel on floats reads integers".into()),
    }
}

fn write(
    operands: &mut [KernelOperand],
    k: usize,
    at: i64,
    element: Element,
) -> Result<(), String> {
    let Some(KernelOperand::Memory(buffer)) = operands.get_mut(k) else {
        return Err(format!("operand {k} of a kernel is no memory"));
    };
    let slot = usize::try_from(at)
        .ok()
        .and_then(|at| buffer.elements.get_mut(at));
    match slot {
        Some(slot) => {
            *slot = Some(element);
            Ok(())
        }
        None => Err(format!("a kernel writes at {at}, outside of its memory")),
    }
}

/// `m n k, a at rows columns, b at rows columns, c at rows columns, accumulate`.
fn gemm(dtype: DType, x: &mut [KernelOperand]) -> Results {
    let (m, n, k) = (int(x, 0)?, int(x, 1)?, int(x, 2)?);
    let matrix = |x: &[KernelOperand], first: usize, row: i64, column: i64| {
        let (at, rows, columns) = (int(x, first + 1)?, int(x, first + 2)?, int(x, first + 3)?);
        Ok::<i64, String>(at + row * rows + column * columns)
    };
    let accumulate = int(x, 15)? != 0;
    for i in 0..m {
        for j in 0..n {
            let c = matrix(x, 11, i, j)?;
            let mut sum = if accumulate { float(x, 11, c)? } else { 0.0 };
            for l in 0..k {
                let a = float(x, 3, matrix(x, 3, i, l)?)?;
                let b = float(x, 7, matrix(x, 7, l, j)?)?;
                let product = scalar_binary(BinaryKind::Mul, dtype, a, b);
                sum = scalar_binary(BinaryKind::Add, dtype, sum, product);
            }
            write(x, 11, c, Element::Float(sum))?;
        }
    }
    Ok(Vec::new())
}

/// `source at, target at, n`. The two may be one buffer, which then is given twice.
fn map_row(kind: UnaryKind, x: &mut [KernelOperand]) -> Results {
    let (from, to, n) = (int(x, 1)?, int(x, 3)?, int(x, 4)?);
    let one_buffer = from == to && memory(x, 0)?.elements == memory(x, 2)?.elements;
    for i in 0..n {
        let value = scalar_unary(kind, DType::F32, float(x, 0, from + i)?);
        // Whichever copy is kept, it has the results.
        write(x, 2, to + i, Element::Float(value))?;
    }
    let result = memory(x, 2)?.clone();
    if let (KernelOperand::Memory(source), true) = (&mut x[0], one_buffer) {
        *source = result;
    }
    Ok(Vec::new())
}

/// `source at, number, target at, n`. The source may be the target.
fn with_number(kind: BinaryKind, x: &mut [KernelOperand]) -> Results {
    let (from, to, n) = (int(x, 1)?, int(x, 4)?, int(x, 5)?);
    let number = match &x[2] {
        KernelOperand::Scalar(number) => match &number.data {
            Data::Float(number) => number[0],
            Data::Int(_) => return Err("a number is no float".into()),
        },
        KernelOperand::Memory(_) => return Err("a number is no memory".into()),
    };
    for i in 0..n {
        let value = scalar_binary(kind, DType::F32, float(x, 0, from + i)?, number);
        write(x, 3, to + i, Element::Float(value))?;
    }
    Ok(Vec::new())
}

/// `source at, n`: the place of the first NaN, or of the first that no other is better than.
fn arg_row(better: fn(&f64, &f64) -> bool, x: &mut [KernelOperand]) -> Results {
    let (from, n) = (int(x, 1)?, int(x, 2)?);
    let mut best: Option<(i64, f64)> = None;
    for i in 0..n {
        let value = float(x, 0, from + i)?;
        let wins =
            |(_, known): (i64, f64)| !known.is_nan() && (value.is_nan() || better(&value, &known));
        if best.is_none_or(wins) {
            best = Some((i, value));
        }
    }
    Ok(vec![Array::i64(best.map_or(-1, |b| b.0))])
}

/// `source at, sums at, n`: element i is added to sum i modulo 64.
fn add_lanes(x: &mut [KernelOperand]) -> Results {
    let (from, to, n) = (int(x, 1)?, int(x, 3)?, int(x, 4)?);
    for i in 0..n {
        let at = to + i % aiai_runtime::kernels::LANES as i64;
        let (sum, term) = (float(x, 2, at)?, float(x, 0, from + i)?);
        let sum = scalar_binary(BinaryKind::Add, DType::F32, sum, term);
        write(x, 2, at, Element::Float(sum))?;
    }
    Ok(Vec::new())
}

/// `a at, b at, n`.
fn dot(x: &mut [KernelOperand]) -> Results {
    let (a, b, n) = (int(x, 1)?, int(x, 3)?, int(x, 4)?);
    let mut total = 0.0;
    for i in 0..n {
        let product = scalar_binary(
            BinaryKind::Mul,
            DType::F32,
            float(x, 0, a + i)?,
            float(x, 2, b + i)?,
        );
        total = scalar_binary(BinaryKind::Add, DType::F32, total, product);
    }
    Ok(vec![Array::floats(DType::F32, Vec::new(), [total])])
}

/// `source at, n`.
fn fold_row(kind: BinaryKind, start: f64, x: &mut [KernelOperand]) -> Results {
    let (from, n) = (int(x, 1)?, int(x, 2)?);
    let mut total = start;
    for i in 0..n {
        total = scalar_binary(kind, DType::F32, total, float(x, 0, from + i)?);
    }
    Ok(vec![Array::floats(DType::F32, Vec::new(), [total])])
}

/// `key at, first, target at, n`.
fn random_bits(x: &mut [KernelOperand]) -> Results {
    let word = |x: &[KernelOperand], at| match read(x, 0, at)? {
        Element::Int(word) => Ok(word as u32),
        Element::Float(_) => Err("a key of floats".to_owned()),
    };
    let at = int(x, 1)?;
    let key = [word(x, at)?, word(x, at + 1)?];
    let (first, to, n) = (int(x, 2)?, int(x, 4)?, int(x, 5)?);
    for i in 0..n {
        let place = (first + i) as u64;
        let block = place / 4;
        let words = philox4x32(key, [block as u32, (block >> 32) as u32, 0, 0]);
        let word = Element::Int(i64::from(words[(place % 4) as usize]));
        write(x, 3, to + i, word)?;
    }
    Ok(Vec::new())
}

/// `dtype, keys at, stride, n, descending, places at`.
fn argsort(x: &mut [KernelOperand]) -> Results {
    let dtype = DType::ALL.get(int(x, 0)? as usize).copied();
    let dtype = dtype.ok_or("an unknown dtype")?;
    let (from, stride, n) = (int(x, 2)?, int(x, 3)?, int(x, 4)?);
    let (descending, to) = (int(x, 5)? != 0, int(x, 7)?);
    let keys: Result<Vec<Element>, String> =
        (0..n).map(|i| read(x, 1, from + i * stride)).collect();
    let keys = keys?;
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_by(|&a, &b| {
        let order = compare(dtype, keys[a], keys[b]);
        if descending { order.reverse() } else { order }
    });
    for (i, place) in (0..n).zip(places) {
        write(x, 6, to + i * stride, Element::Int(place as i64))?;
    }
    Ok(Vec::new())
}

fn compare(dtype: DType, a: Element, b: Element) -> Ordering {
    match (a, b) {
        (Element::Int(a), Element::Int(b)) if dtype == DType::U64 => (a as u64).cmp(&(b as u64)),
        (Element::Int(a), Element::Int(b)) => a.cmp(&b),
        (Element::Float(a), Element::Float(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.total_cmp(&b),
            (a, b) => a.cmp(&b),
        },
        _ => Ordering::Equal,
    }
}
