//! Ops that move elements.

use super::array::{Array, Data, for_each_index, strides};
use super::scalar::{float2, int2};
use super::{Result, error};
use crate::{BinaryKind, DType, ScatterKind};

pub fn iota(dtype: DType, shape: &[usize], axis: usize) -> Array {
    let mut out = Vec::new();
    for_each_index(shape, |index| out.push(index[axis] as i64));
    if dtype.is_float() {
        Array::floats(dtype, shape.to_vec(), out.into_iter().map(|x| x as f64))
    } else {
        Array::ints(dtype, shape.to_vec(), out)
    }
}

/// The elements of x at the positions that `place` gives for every index of a shape.
fn moved(x: &Array, shape: Vec<usize>, mut place: impl FnMut(&[usize]) -> usize) -> Array {
    let mut positions = Vec::with_capacity(shape.iter().product());
    for_each_index(&shape, |index| positions.push(place(index)));
    x.pick(shape, positions.into_iter())
}

pub fn broadcast(x: &Array, shape: &[usize], axes: &[usize]) -> Array {
    let own = strides(&x.shape);
    moved(x, shape.to_vec(), |index| {
        let terms = axes.iter().enumerate();
        terms
            .map(|(k, &a)| {
                if x.shape[k] == 1 {
                    0
                } else {
                    index[a] * own[k]
                }
            })
            .sum()
    })
}

pub fn permute(x: &Array, axes: &[usize]) -> Array {
    let own = strides(&x.shape);
    let shape = axes.iter().map(|&a| x.shape[a]).collect();
    moved(x, shape, |index| {
        index.iter().zip(axes).map(|(i, &a)| i * own[a]).sum()
    })
}

pub fn slice(x: &Array, starts: &[i64], limits: &[i64], steps: &[i64]) -> Result<Array> {
    let own = strides(&x.shape);
    let mut shape = Vec::new();
    for k in 0..x.shape.len() {
        let (start, limit, step) = (starts[k], limits[k], steps[k]);
        if step < 1 || start < 0 || limit < start || limit > x.shape[k] as i64 {
            return error(format!(
                "the slice {start}..{limit} by {step} leaves an axis of {}",
                x.shape[k]
            ));
        }
        shape.push(((limit - start + step - 1) / step) as usize);
    }
    Ok(moved(x, shape, |index| {
        index
            .iter()
            .enumerate()
            .map(|(k, &i)| (starts[k] as usize + i * steps[k] as usize) * own[k])
            .sum()
    }))
}

pub fn pad(x: &Array, value: &Array, low: &[i64], high: &[i64]) -> Result<Array> {
    if low.iter().chain(high).any(|&n| n < 0) {
        return error("padding by a negative amount");
    }
    let shape: Vec<usize> = (0..x.shape.len())
        .map(|k| x.shape[k] + low[k] as usize + high[k] as usize)
        .collect();
    let out_strides = strides(&shape);
    let mut out = value.filled(shape);
    let mut from = 0;
    for_each_index(&x.shape, |index| {
        let to = index
            .iter()
            .enumerate()
            .map(|(k, i)| (i + low[k] as usize) * out_strides[k])
            .sum();
        out.copy_from(to, x, from);
        from += 1;
    });
    Ok(out)
}

pub fn concat(parts: &[Array], axis: usize) -> Array {
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
    let inner: usize = shape[axis + 1..].iter().product();
    // An empty result may have any number of rows.
    let outer: usize = match shape.contains(&0) {
        true => 0,
        false => shape[..axis].iter().product(),
    };
    let mut data = match &parts[0].data {
        Data::Float(_) => Data::Float(Vec::new()),
        Data::Int(_) => Data::Int(Vec::new()),
    };
    for row in 0..outer {
        for part in parts {
            let width = part.shape[axis] * inner;
            let range = row * width..(row + 1) * width;
            match (&mut data, &part.data) {
                (Data::Float(out), Data::Float(x)) => out.extend(&x[range]),
                (Data::Int(out), Data::Int(x)) => out.extend(&x[range]),
                _ => {}
            }
        }
    }
    let mut out = Array {
        dtype: parts[0].dtype,
        shape,
        data,
        error: None,
    };
    if parts.iter().any(|p| p.error.is_some()) {
        let errors: Vec<Array> = parts.iter().map(super::bound::errors).collect();
        out.error = Some(concat(&errors, axis).to_f64());
    }
    out
}

pub fn reverse(x: &Array, axes: &[usize]) -> Array {
    let own = strides(&x.shape);
    moved(x, x.shape.clone(), |index| {
        let turned = |k: usize| {
            if axes.contains(&k) {
                x.shape[k] - 1 - index[k]
            } else {
                index[k]
            }
        };
        (0..index.len()).map(|k| turned(k) * own[k]).sum()
    })
}

/// For every point of the index tensors, the offset that the addressed axes give.
fn addresses(x: &Array, indices: &[Array], axes: &[usize]) -> Result<Vec<usize>> {
    let own = strides(&x.shape);
    let mut out = vec![0; indices[0].len()];
    for (index, &axis) in indices.iter().zip(axes) {
        for (slot, &i) in out.iter_mut().zip(index.as_ints()) {
            if i < 0 || i as u64 >= x.shape[axis] as u64 {
                return error(format!(
                    "index {i} is out of range for an axis of size {}",
                    x.shape[axis]
                ));
            }
            *slot += i as usize * own[axis];
        }
    }
    Ok(out)
}

/// Shape and offsets of the axes that are not addressed; no offsets where they are `unused`.
fn window(x: &Array, axes: &[usize], unused: bool) -> (Vec<usize>, Vec<usize>) {
    let own = strides(&x.shape);
    let rest: Vec<usize> = (0..x.shape.len()).filter(|k| !axes.contains(k)).collect();
    let shape: Vec<usize> = rest.iter().map(|&k| x.shape[k]).collect();
    let mut offsets = Vec::new();
    if unused {
        return (shape, offsets);
    }
    for_each_index(&shape, |index| {
        offsets.push(index.iter().zip(&rest).map(|(i, &k)| i * own[k]).sum())
    });
    (shape, offsets)
}

pub fn gather(x: &Array, indices: &[Array], axes: &[usize]) -> Result<Array> {
    let places = addresses(x, indices, axes)?;
    let (inner, offsets) = window(x, axes, places.is_empty());
    let shape: Vec<usize> = indices[0].shape.iter().chain(&inner).copied().collect();
    let positions = places
        .iter()
        .flat_map(|p| offsets.iter().map(move |o| p + o));
    Ok(x.pick(shape, positions))
}

pub fn scatter(operands: &[Array], axes: &[usize], kind: ScatterKind) -> Result<Array> {
    let [x, indices @ .., updates] = operands else {
        return error("scatter without operands");
    };
    let places = addresses(x, indices, axes)?;
    let (_, offsets) = window(x, axes, places.is_empty());
    let mut out = x.clone();
    let combine = match kind {
        ScatterKind::Set => None,
        ScatterKind::Add => Some(BinaryKind::Add),
        ScatterKind::Max => Some(BinaryKind::Max),
        ScatterKind::Min => Some(BinaryKind::Min),
    };
    let targets = places
        .iter()
        .flat_map(|p| offsets.iter().map(move |o| p + o));
    for (from, to) in targets.enumerate() {
        match (combine, &mut out.data, &updates.data) {
            (None, _, _) => out.copy_from(to, updates, from),
            (Some(kind), Data::Float(y), Data::Float(u)) => {
                y[to] = super::array::round(x.dtype, float2(kind, y[to], u[from]));
            }
            (Some(kind), Data::Int(y), Data::Int(u)) => y[to] = int2(kind, x.dtype, y[to], u[from]),
            _ => {}
        }
    }
    Ok(out)
}

fn starts(x: &Array, positions: &[Array], sizes: &[usize]) -> Result<Vec<usize>> {
    let mut out = Vec::new();
    for (k, position) in positions.iter().enumerate() {
        let at = position.as_ints()[0];
        if at < 0 || at as u64 + sizes[k] as u64 > x.shape[k] as u64 {
            return error(format!(
                "position {at} with size {} leaves an axis of {}",
                sizes[k], x.shape[k]
            ));
        }
        out.push(at as usize);
    }
    Ok(out)
}

pub fn dynamic_slice(x: &Array, positions: &[Array], sizes: &[usize]) -> Result<Array> {
    let starts = starts(x, positions, sizes)?;
    let own = strides(&x.shape);
    Ok(moved(x, sizes.to_vec(), |index| {
        index
            .iter()
            .enumerate()
            .map(|(k, i)| (starts[k] + i) * own[k])
            .sum()
    }))
}

pub fn dynamic_update(x: &Array, part: &Array, positions: &[Array]) -> Result<Array> {
    let starts = starts(x, positions, &part.shape)?;
    let own = strides(&x.shape);
    let mut out = x.clone();
    let mut from = 0;
    for_each_index(&part.shape, |index| {
        let to = index
            .iter()
            .enumerate()
            .map(|(k, i)| (starts[k] + i) * own[k])
            .sum();
        out.copy_from(to, part, from);
        from += 1;
    });
    Ok(out)
}
