//! Vectors of the loop level: masked loads and stores, fused multiply-add, shuffles.

use super::array::{Array, Data};
use super::loops::{Element, elements};
use super::{Frame, Machine, Result, error};
use crate::module::{OpNode, Value};
use crate::{DType, Op};

impl<'a> Machine<'a> {
    pub(super) fn vector_op(&mut self, frame: &mut Frame<'a>, node: &'a OpNode) -> Result<()> {
        let result = match &node.op {
            Op::LoadVector { lanes, stride } => {
                Some(self.load_vector(frame, node, *lanes, *stride)?)
            }
            Op::StoreVector => {
                self.store_vector(frame, node)?;
                None
            }
            Op::Fma => Some(fma(
                frame.get(node.operands[0])?,
                frame.get(node.operands[1])?,
                frame.get(node.operands[2])?,
            )),
            Op::Shuffle { lanes } => {
                let [a, b] = [0, 1].map(|k| frame.get(node.operands[k]));
                Some(shuffle(a?, b?, lanes))
            }
            other => return error(format!("`{}` is not an op on vectors", other.name())),
        };
        if let (Some(&value), Some(array)) = (node.results.first(), result) {
            frame.values[value.0 as usize] = Some(array);
        }
        Ok(())
    }

    fn load_vector(
        &mut self,
        frame: &mut Frame<'a>,
        node: &'a OpNode,
        lanes: i64,
        stride: i64,
    ) -> Result<Array> {
        let buffer = node.operands[0];
        let (count, indices) = count_and_indices(frame, &node.operands[1..])?;
        let dtype = frame.function.ty(buffer).dtype();
        let zero = match dtype.is_float() {
            true => Element::Float(0.0),
            false => Element::Int(0),
        };
        let mut found = vec![zero; lanes as usize];
        for (lane, place) in (0..count).zip(&mut found) {
            self.spend(0)?;
            let at = frame.position_along(buffer, indices, lane * stride)?;
            match frame.memory_of(buffer)?.elements[at] {
                Some(element) => *place = element,
                None => return error("a read of memory that nothing has written"),
            }
        }
        Ok(vector(dtype, &found))
    }

    fn store_vector(&mut self, frame: &mut Frame<'a>, node: &'a OpNode) -> Result<()> {
        let buffer = node.operands[1];
        let (count, indices) = count_and_indices(frame, &node.operands[2..])?;
        let values: Vec<Element> = elements(frame.get(node.operands[0])?).collect();
        for (lane, value) in (0..count).zip(values) {
            self.spend(0)?;
            let at = frame.position_along(buffer, indices, lane)?;
            frame.memory_of(buffer)?.elements[at] = Some(value);
        }
        Ok(())
    }
}

/// The operands behind a buffer: indices, then how many lanes count.
fn count_and_indices<'o>(frame: &Frame, operands: &'o [Value]) -> Result<(i64, &'o [Value])> {
    match operands.split_last() {
        Some((&count, indices)) => Ok((frame.get(count)?.as_ints()[0], indices)),
        None => error("a vector without a count"),
    }
}

fn vector(dtype: DType, elements: &[Element]) -> Array {
    let shape = vec![elements.len()];
    let ints = elements.iter().map(|e| match e {
        Element::Int(x) => *x,
        Element::Float(x) => *x as i64,
    });
    let floats = elements.iter().map(|e| match e {
        Element::Float(x) => *x,
        Element::Int(x) => *x as f64,
    });
    match dtype.is_float() {
        true => Array::floats(dtype, shape, floats),
        false => Array::ints(dtype, shape, ints),
    }
}

fn fma(a: &Array, b: &Array, c: &Array) -> Array {
    let (Data::Float(x), Data::Float(y), Data::Float(z)) = (&a.data, &b.data, &c.data) else {
        return a.clone();
    };
    let once = |i: usize| match a.dtype {
        DType::F64 => x[i].mul_add(y[i], z[i]),
        DType::F32 => f64::from((x[i] as f32).mul_add(y[i] as f32, z[i] as f32)),
        // Products of halves are exact in f64.
        _ => x[i] * y[i] + z[i],
    };
    Array::floats(a.dtype, a.shape.clone(), (0..x.len()).map(once))
}

fn shuffle(a: &Array, b: &Array, lanes: &[usize]) -> Array {
    let both: Vec<Element> = elements(a).chain(elements(b)).collect();
    let chosen: Vec<Element> = lanes.iter().map(|&lane| both[lane]).collect();
    vector(a.dtype, &chosen)
}
