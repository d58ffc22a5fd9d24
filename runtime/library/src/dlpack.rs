//! Tensors as DLPack lays them out in memory, and what of them compiled code can take.

use std::ffi::c_void;

use aiai_runtime::DType;

use crate::{Code, Failure};

/// `DLDevice` of DLPack.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DLDevice {
    /// 1 is the CPU.
    pub device_type: i32,
    pub device_id: i32,
}

/// `DLDataType` of DLPack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DLDataType {
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
}

/// `DLTensor` of DLPack: a view of memory that somebody else owns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DLTensor {
    pub data: *mut c_void,
    pub device: DLDevice,
    pub ndim: i32,
    pub dtype: DLDataType,
    pub shape: *mut i64,
    /// In elements; null for dense and row-major.
    pub strides: *mut i64,
    /// In bytes, from `data`.
    pub byte_offset: u64,
}

/// DLPack's codes of kinds of numbers.
const INT: u8 = 0;
const UINT: u8 = 1;
const FLOAT: u8 = 2;
const BFLOAT: u8 = 4;
const BOOL: u8 = 6;
/// `kDLCPU`.
const CPU: i32 = 1;
/// No tensor of ours has more axes.
const MOST_AXES: i32 = 64;

/// A tensor of DLPack that was looked at: a dtype of ours, sizes and strides that are there.
pub struct View {
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// In elements.
    strides: Vec<i64>,
    /// Aligned to the element; not null unless there is no element.
    pub data: *mut u8,
    /// How many elements there are.
    pub count: usize,
}

/// The dtype that DLPack means.
fn dtype_of(found: DLDataType) -> Option<DType> {
    let wanted = |dtype: DType| {
        let code = match dtype {
            DType::Bool => BOOL,
            DType::I8 | DType::I16 | DType::I32 | DType::I64 => INT,
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => UINT,
            DType::F16 | DType::F32 | DType::F64 => FLOAT,
            DType::BF16 => BFLOAT,
        };
        DLDataType {
            code,
            bits: dtype.bytes() as u8 * 8,
            lanes: 1,
        }
    };
    DType::ALL.into_iter().find(|d| wanted(*d) == found)
}

impl View {
    /// Looks at a tensor, not at its data.
    ///
    /// # Safety
    /// Shape and strides, where they are not null, have `ndim` numbers.
    pub unsafe fn of(name: &str, tensor: &DLTensor) -> Result<View, Failure> {
        let wrong = |what: String| Failure::new(Code::Argument, format!("`{name}`: {what}"));
        let device = tensor.device.device_type;
        if device != CPU {
            return Err(wrong(format!(
                "it is on a device of type {device}, not in main memory (1)"
            )));
        }
        let DLDataType { code, bits, lanes } = tensor.dtype;
        let dtype = dtype_of(tensor.dtype).ok_or_else(|| {
            wrong(format!(
                "no dtype has code {code}, {bits} bits, {lanes} lanes"
            ))
        })?;
        if !(0..=MOST_AXES).contains(&tensor.ndim) {
            return Err(wrong(format!("`ndim` is {}", tensor.ndim)));
        }
        let rank = tensor.ndim as usize;
        let numbers = |what: &str, from: *mut i64| {
            if rank == 0 {
                return Ok(Vec::new());
            }
            if from.is_null() {
                return Err(wrong(format!("`{what}` is null")));
            }
            // SAFETY: not null; the caller's promise.
            Ok(unsafe { std::slice::from_raw_parts(from, rank) }.to_vec())
        };
        let sizes = numbers("shape", tensor.shape)?;
        let shape = sizes.iter().map(|&s| usize::try_from(s));
        let shape: Vec<usize> = shape
            .collect::<Result<_, _>>()
            .map_err(|_| wrong(format!("a size of {sizes:?} is below 0")))?;
        let bytes =
            aiai_runtime::tensor::byte_count(dtype, &shape).map_err(|e| wrong(e.to_string()))?;
        let strides = match tensor.strides.is_null() {
            true => dense(&shape),
            false => numbers("strides", tensor.strides)?,
        };
        let offset = usize::try_from(tensor.byte_offset).unwrap_or(usize::MAX);
        let data = tensor.data.cast::<u8>().wrapping_add(offset);
        let count = bytes / dtype.bytes();
        if count > 0 && tensor.data.is_null() {
            return Err(wrong("`data` is null".into()));
        }
        if count > 0 && !data.addr().is_multiple_of(dtype.bytes()) {
            let bytes = dtype.bytes();
            return Err(wrong(format!(
                "its data is not aligned to its {bytes} bytes an element"
            )));
        }
        Ok(View {
            dtype,
            shape,
            strides,
            data,
            count,
        })
    }

    /// Whether the elements lie side by side in row-major order.
    pub fn is_dense(&self) -> bool {
        let expected = dense(&self.shape);
        let axes = self.shape.iter().zip(&self.strides).zip(&expected);
        self.count == 0 || axes.into_iter().all(|((&size, a), b)| size == 1 || a == b)
    }

    /// The bytes that a dense tensor takes, as addresses.
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = self.data.addr();
        start..start + self.count * self.dtype.bytes()
    }

    /// The elements in row-major order.
    ///
    /// # Safety
    /// The data can be read, as far as shape and strides reach.
    pub unsafe fn gathered(&self) -> Vec<u8> {
        let width = self.dtype.bytes();
        let mut out = Vec::with_capacity(self.count * width);
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..self.count {
            let steps = index.iter().zip(&self.strides);
            let offset = steps.fold(0i64, |sum, (&i, &s)| {
                sum.wrapping_add((i as i64).wrapping_mul(s))
            });
            let from = self
                .data
                .wrapping_offset((offset as isize).wrapping_mul(width as isize));
            // SAFETY: the element of a valid index; the caller's promise.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(from, width) });
            for (axis, place) in index.iter_mut().enumerate().rev() {
                *place += 1;
                if *place < self.shape[axis] {
                    break;
                }
                *place = 0;
            }
        }
        out
    }
}

fn dense(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].wrapping_mul(shape[axis] as i64);
    }
    strides
}
