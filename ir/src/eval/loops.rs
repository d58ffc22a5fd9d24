//! The loop level: buffers, loads, stores, loops; vectors are in `vectors.rs`. Reads of unwritten memory and accesses out of range
//! are errors.

use super::array::{Array, Data, strides};
use super::{EvalError, Frame, Machine, Result, error};
use crate::module::{OpNode, Value};
use crate::{DType, Op, Sym, Type};

/// Memory that holds a tensor; `None` where nothing was written yet.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub dtype: DType,
    pub elements: Vec<Option<Element>>,
}

/// One element in its wide form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    Float(f64),
    Int(i64),
}

/// What micro-kernels mean: on buffers and scalars, in operand order.
pub trait KernelTable {
    /// Runs a kernel on memory; `None` for an unknown name.
    fn run(
        &self,
        name: Sym,
        operands: &mut [KernelOperand],
    ) -> Option<std::result::Result<Vec<Array>, String>>;
}

/// An operand of a kernel.
pub enum KernelOperand {
    Scalar(Array),
    Memory(Buffer),
}

/// No kernel is known.
pub struct NoKernels;

impl KernelTable for NoKernels {
    fn run(
        &self,
        _: Sym,
        _: &mut [KernelOperand],
    ) -> Option<std::result::Result<Vec<Array>, String>> {
        None
    }
}

impl<'a> Frame<'a> {
    /// Gives parameters their values; those of buffer type become memory. Returns the buffers that are
    /// outputs: all of them, in order, where there are any.
    pub(super) fn bind_args(&mut self, args: Vec<Array>) -> Result<Vec<(Value, Vec<usize>)>> {
        let mut outputs = Vec::new();
        for (&value, arg) in self.function.body.args.iter().zip(args) {
            if let Type::Buffer { .. } = self.function.ty(value) {
                outputs.push((value, arg.shape.clone()));
                let buffer = Buffer {
                    dtype: arg.dtype,
                    elements: elements(&arg).map(Some).collect(),
                };
                self.memory.push(buffer);
                self.buffers[value.0 as usize] = Some(self.memory.len() - 1);
            } else {
                self.values[value.0 as usize] = Some(arg);
            }
        }
        Ok(outputs)
    }

    /// What the buffers of the parameters hold at the end.
    pub(super) fn read_outputs(&self, outputs: &[(Value, Vec<usize>)]) -> Vec<Array> {
        outputs
            .iter()
            .filter_map(|(value, shape)| {
                let buffer = &self.memory[self.buffers[value.0 as usize]?];
                Some(to_array(buffer, shape.clone()))
            })
            .collect()
    }

    pub(super) fn memory_of(&mut self, value: Value) -> Result<&mut Buffer> {
        match self.buffers[value.0 as usize] {
            Some(at) => Ok(&mut self.memory[at]),
            None => error("a buffer is used before it is made"),
        }
    }

    /// The row-major position of an element, checked.
    fn position(&self, buffer: Value, indices: &[Value]) -> Result<usize> {
        self.position_along(buffer, indices, 0)
    }

    /// The same, some elements further along the last axis.
    pub(super) fn position_along(
        &self,
        buffer: Value,
        indices: &[Value],
        along: i64,
    ) -> Result<usize> {
        let shape = self.shape(self.function.ty(buffer).shape())?;
        let mut at = 0;
        for (k, ((&index, size), stride)) in
            indices.iter().zip(&shape).zip(strides(&shape)).enumerate()
        {
            let along = if k + 1 == shape.len() { along } else { 0 };
            let i = self.get(index)?.as_ints()[0].saturating_add(along);
            if i < 0 || i as u64 >= *size as u64 {
                return error(format!(
                    "index {i} is out of range for an axis of size {size}"
                ));
            }
            at += i as usize * stride;
        }
        Ok(at)
    }
}

impl<'a> Machine<'a> {
    pub(super) fn loop_op(&mut self, frame: &mut Frame<'a>, node: &'a OpNode) -> Result<()> {
        match &node.op {
            Op::Alloc { dtype, shape } => {
                let shape = frame.shape(shape)?;
                let count = self.count(&shape)?;
                frame.memory.push(Buffer {
                    dtype: *dtype,
                    elements: vec![None; count],
                });
                frame.buffers[node.results[0].0 as usize] = Some(frame.memory.len() - 1);
            }
            Op::Free => {
                let at = node.operands[0];
                frame.memory_of(at)?.elements.fill(None);
            }
            Op::Data { value } => {
                let array = Array::from_literal(value);
                let elements = elements(&array).map(Some).collect();
                frame.memory.push(Buffer {
                    dtype: value.dtype,
                    elements,
                });
                frame.buffers[node.results[0].0 as usize] = Some(frame.memory.len() - 1);
            }
            Op::View { .. } => {
                frame.buffers[node.results[0].0 as usize] =
                    frame.buffers[node.operands[0].0 as usize];
            }
            Op::Load => {
                self.spend(0)?;
                let at = frame.position(node.operands[0], &node.operands[1..])?;
                let buffer = frame.memory_of(node.operands[0])?;
                let dtype = buffer.dtype;
                let Some(element) = buffer.elements[at] else {
                    return error("a read of memory that nothing has written");
                };
                frame.values[node.results[0].0 as usize] = Some(scalar(dtype, element));
            }
            Op::Store => {
                self.spend(0)?;
                let element = elements(frame.get(node.operands[0])?).next();
                let at = frame.position(node.operands[1], &node.operands[2..])?;
                frame.memory_of(node.operands[1])?.elements[at] = element;
            }
            Op::LoadVector { .. } | Op::StoreVector | Op::Fma | Op::Shuffle { .. } => {
                self.vector_op(frame, node)?;
            }
            Op::Prefetch => {}
            Op::For { step, .. } => {
                let bound = |frame: &Frame, k: usize| Ok(frame.get(node.operands[k])?.as_ints()[0]);
                let (low, high): (i64, i64) = (bound(frame, 0)?, bound(frame, 1)?);
                let carries: Result<Vec<Array>> = node.operands[2..]
                    .iter()
                    .map(|&v| frame.get(v).cloned())
                    .collect();
                let mut carries = carries?;
                let mut i = low;
                while i < high {
                    let mut args = vec![Array::i64(i)];
                    args.append(&mut carries);
                    carries = self.region(frame, &node.regions[0], &args)?;
                    i += step;
                }
                for (&value, result) in node.results.iter().zip(carries) {
                    frame.values[value.0 as usize] = Some(result);
                }
            }
            Op::Parallel { .. } => {
                let count = frame.get(node.operands[0])?.as_ints()[0];
                for i in 0..count {
                    self.region(frame, &node.regions[0], &[Array::i64(i)])?;
                }
            }
            Op::Kernel { name, .. } => self.kernel(frame, node, *name)?,
            other => return error(format!("`{}` is not a loop-level op", other.name())),
        }
        Ok(())
    }

    fn kernel(&mut self, frame: &mut Frame<'a>, node: &'a OpNode, name: Sym) -> Result<()> {
        let mut operands = Vec::new();
        for &value in &node.operands {
            operands.push(match frame.buffers[value.0 as usize] {
                Some(at) => KernelOperand::Memory(frame.memory[at].clone()),
                None => KernelOperand::Scalar(frame.get(value)?.clone()),
            });
        }
        let results = match self.options.kernels.run(name, &mut operands) {
            Some(Ok(results)) => results,
            Some(Err(message)) => {
                return Err(EvalError {
                    loc: node.loc,
                    ..EvalError::new(message)
                });
            }
            None => return error(format!("unknown kernel `{name}`")),
        };
        for (&value, operand) in node.operands.iter().zip(operands) {
            if let (Some(at), KernelOperand::Memory(buffer)) =
                (frame.buffers[value.0 as usize], operand)
            {
                frame.memory[at] = buffer;
            }
        }
        for (&value, result) in node.results.iter().zip(results) {
            frame.values[value.0 as usize] = Some(result);
        }
        Ok(())
    }
}

pub(super) fn elements(array: &Array) -> impl Iterator<Item = Element> + '_ {
    (0..array.len()).map(|i| match &array.data {
        Data::Float(x) => Element::Float(x[i]),
        Data::Int(x) => Element::Int(x[i]),
    })
}

fn scalar(dtype: DType, element: Element) -> Array {
    match element {
        Element::Float(x) => Array::floats(dtype, Vec::new(), [x]),
        Element::Int(x) => Array::ints(dtype, Vec::new(), [x]),
    }
}

/// The elements as an array; what nothing wrote is 0.
pub fn to_array(buffer: &Buffer, shape: Vec<usize>) -> Array {
    let written = buffer.elements.iter();
    if buffer.dtype.is_float() {
        Array::floats(
            buffer.dtype,
            shape,
            written.map(|e| {
                if let Some(Element::Float(x)) = e {
                    *x
                } else {
                    0.0
                }
            }),
        )
    } else {
        Array::ints(
            buffer.dtype,
            shape,
            written.map(|e| if let Some(Element::Int(x)) = e { *x } else { 0 }),
        )
    }
}
