//! Contractions, point by point in row-major order of the index space.

use super::array::{Array, Data, for_each_index, round, strides, wrap};
use super::{Result, error};
use crate::DType;

/// Per coordinate, the terms (index, coefficient) and the offset.
pub type Map = Vec<(Vec<(usize, i64)>, i64)>;

/// The map as one linear form per tensor, checked to stay inside over the whole space.
struct Linear {
    coefficients: Vec<i64>,
    offset: i64,
}

fn linear(map: &Map, shape: &[usize], space: &[usize]) -> Result<Linear> {
    let mut form = Linear {
        coefficients: vec![0; space.len()],
        offset: 0,
    };
    for (((terms, offset), &size), stride) in map.iter().zip(shape).zip(strides(shape)) {
        let (mut low, mut high) = (*offset, *offset);
        for &(index, coefficient) in terms {
            let reach = coefficient * (space[index] as i64 - 1).max(0);
            low += reach.min(0);
            high += reach.max(0);
            form.coefficients[index] += coefficient * stride as i64;
        }
        if low < 0 || high >= size as i64 {
            return error(format!(
                "an access from {low} to {high} leaves an axis of size {size}"
            ));
        }
        form.offset += offset * stride as i64;
    }
    Ok(form)
}

impl Linear {
    fn at(&self, index: &[usize]) -> usize {
        let sum: i64 = self
            .coefficients
            .iter()
            .zip(index)
            .map(|(c, &i)| c * i as i64)
            .sum();
        (self.offset + sum) as usize
    }
}

pub fn contract(
    operands: &[Array],
    space: &[usize],
    maps: &[Map],
    out: &Map,
    shape: &[usize],
    acc: DType,
) -> Result<Array> {
    let dtype = operands[0].dtype;
    let count: usize = shape.iter().product();
    if space.contains(&0) {
        return Ok(zeros(dtype, shape.to_vec(), count));
    }
    let forms: Result<Vec<Linear>> = operands
        .iter()
        .zip(maps)
        .map(|(x, map)| linear(map, &x.shape, space))
        .collect();
    let (forms, out) = (forms?, linear(out, shape, space)?);
    if dtype.is_float() {
        let data: Vec<&[f64]> = operands
            .iter()
            .map(|x| {
                if let Data::Float(v) = &x.data {
                    v.as_slice()
                } else {
                    &[]
                }
            })
            .collect();
        let mut sums = vec![0.0; count];
        for_each_index(space, |index| {
            let mut product = data[0][forms[0].at(index)];
            for (form, x) in forms.iter().zip(&data).skip(1) {
                product = round(acc, product * x[form.at(index)]);
            }
            let slot = &mut sums[out.at(index)];
            *slot = round(acc, *slot + product);
        });
        return Ok(Array::floats(dtype, shape.to_vec(), sums));
    }
    let mut sums = vec![0i64; count];
    for_each_index(space, |index| {
        let mut product = 1i64;
        for (form, x) in forms.iter().zip(operands) {
            product = wrap(acc, product.wrapping_mul(x.as_ints()[form.at(index)]));
        }
        let slot = &mut sums[out.at(index)];
        *slot = wrap(acc, slot.wrapping_add(product));
    });
    Ok(Array::ints(dtype, shape.to_vec(), sums))
}

/// The elements of a window: each from its place in the operand.
pub fn window(x: &Array, space: &[usize], map: &Map) -> Result<Array> {
    if space.contains(&0) {
        return Ok(zeros(x.dtype, space.to_vec(), 0));
    }
    let form = linear(map, &x.shape, space)?;
    let mut places = Vec::with_capacity(space.iter().product());
    for_each_index(space, |index| places.push(form.at(index)));
    Ok(x.pick(space.to_vec(), places.into_iter()))
}

fn zeros(dtype: DType, shape: Vec<usize>, count: usize) -> Array {
    if dtype.is_float() {
        Array::floats(dtype, shape, std::iter::repeat_n(0.0, count))
    } else {
        Array::ints(dtype, shape, std::iter::repeat_n(0, count))
    }
}
