//! Tensors: a dtype, a shape and contiguous row-major data, owned or mapped from a file.
//!
//! Cloning is cheap: data is shared and copied when one of the sharers writes (`*_mut`).
//! Bytes of a `bool` tensor are 0 or 1, whoever made them.

use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

use crate::dtype::Element;
use crate::memory::AlignedBytes;
use crate::{DType, Error, Result, with_element_type};

/// A dense tensor. Owned data is aligned to 64 bytes, mapped data to its element.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    storage: Storage,
}

#[derive(Clone)]
enum Storage {
    Owned(Arc<AlignedBytes>),
    Mapped { map: Arc<Mmap>, range: Range<usize> },
}

/// The number of elements of a shape.
pub fn element_count(shape: &[usize]) -> Result<usize> {
    // A zero anywhere makes the tensor empty, however large the other sizes.
    if shape.contains(&0) {
        return Ok(0);
    }
    let product = shape
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size));
    product.ok_or_else(|| Error::ShapeOverflow {
        shape: shape.to_vec(),
    })
}

/// The number of bytes of a tensor; at most `isize::MAX`.
pub fn byte_count(dtype: DType, shape: &[usize]) -> Result<usize> {
    let bytes = element_count(shape)?.checked_mul(dtype.bytes());
    let fitting = bytes.filter(|&bytes| bytes <= isize::MAX as usize);
    fitting.ok_or_else(|| Error::ShapeOverflow {
        shape: shape.to_vec(),
    })
}

fn check_length(shape: &[usize], found: usize) -> Result<()> {
    let expected = element_count(shape)?;
    if expected == found {
        return Ok(());
    }
    Err(Error::Length {
        shape: shape.to_vec(),
        expected,
        found,
    })
}

fn check_bools(bytes: &[u8]) -> Result<()> {
    match bytes.iter().position(|&b| b > 1) {
        Some(index) => Err(Error::NotABool {
            value: bytes[index],
            index,
        }),
        None => Ok(()),
    }
}

fn bytes_of<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: elements have no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

impl Tensor {
    /// A tensor of zeros (`false` for bool).
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Tensor> {
        let data = AlignedBytes::zeroed(byte_count(dtype, shape)?)?;
        Ok(Tensor::owned(dtype, shape, data))
    }

    /// A copy of `values` in row-major order.
    pub fn from_slice<T: Element>(shape: &[usize], values: &[T]) -> Result<Tensor> {
        check_length(shape, values.len())?;
        let data = AlignedBytes::copied(bytes_of(values))?;
        Ok(Tensor::owned(T::DTYPE, shape, data))
    }

    /// A `bool` tensor.
    pub fn from_bools(shape: &[usize], values: &[bool]) -> Result<Tensor> {
        check_length(shape, values.len())?;
        let mut data = AlignedBytes::zeroed(values.len())?;
        for (byte, &value) in data.as_mut_slice().iter_mut().zip(values) {
            *byte = value.into();
        }
        Ok(Tensor::owned(DType::Bool, shape, data))
    }

    /// A copy of native-endian bytes.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Tensor> {
        let expected = byte_count(dtype, shape)?;
        if bytes.len() != expected {
            return Err(Error::Length {
                shape: shape.to_vec(),
                expected: expected / dtype.bytes(),
                found: bytes.len() / dtype.bytes(),
            });
        }
        if dtype == DType::Bool {
            check_bools(bytes)?;
        }
        Ok(Tensor::owned(dtype, shape, AlignedBytes::copied(bytes)?))
    }

    /// A rank-0 tensor.
    pub fn scalar<T: Element>(value: T) -> Result<Tensor> {
        Tensor::from_slice(&[], &[value])
    }

    /// Values converted from f64: integers truncate and saturate, `bool` is "not zero".
    pub fn from_f64(dtype: DType, shape: &[usize], values: &[f64]) -> Result<Tensor> {
        check_length(shape, values.len())?;
        let mut tensor = Tensor::zeros(dtype, shape)?;
        tensor.write_f64(0, values)?;
        Ok(tensor)
    }

    /// Writes values, converted as [`Tensor::from_f64`] does, from element `start` on. Those beyond the
    /// end are ignored.
    pub fn write_f64(&mut self, start: usize, values: &[f64]) -> Result<()> {
        with_element_type!(self.dtype, T => {
            for (to, &from) in self.as_mut_slice::<T>()?.iter_mut().skip(start).zip(values) {
                *to = <T as Element>::from_f64(from);
            }
        }, bool => {
            for (to, &from) in self.unique_bytes()?.iter_mut().skip(start).zip(values) {
                *to = (from != 0.0).into();
            }
        });
        Ok(())
    }

    /// The bytes `range` of a mapped file as a tensor. Where they are not aligned to the element,
    /// they are copied.
    pub fn mapped(
        dtype: DType,
        shape: &[usize],
        map: &Arc<Mmap>,
        range: Range<usize>,
    ) -> Result<Tensor> {
        let bytes = map.get(range.clone()).unwrap_or_default();
        let aligned = (bytes.as_ptr() as usize).is_multiple_of(dtype.bytes());
        if bytes.is_empty() || !aligned || bytes.len() != byte_count(dtype, shape)? {
            return Tensor::from_bytes(dtype, shape, bytes);
        }
        if dtype == DType::Bool {
            check_bools(bytes)?;
        }
        Ok(Tensor {
            dtype,
            shape: shape.to_vec(),
            storage: Storage::Mapped {
                map: map.clone(),
                range,
            },
        })
    }

    fn owned(dtype: DType, shape: &[usize], data: AlignedBytes) -> Tensor {
        Tensor {
            dtype,
            shape: shape.to_vec(),
            storage: Storage::Owned(Arc::new(data)),
        }
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes().len() / self.dtype.bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The data in native byte order.
    pub fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Owned(data) => data.as_slice(),
            Storage::Mapped { map, range } => &map[range.clone()],
        }
    }

    /// The elements; an error if `T` is not the dtype.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        self.expect_dtype(T::DTYPE)?;
        let bytes = self.bytes();
        // SAFETY: the dtype says that these bytes are whole elements; owned data is aligned to 64
        // bytes and `mapped` copies what is not aligned to its element.
        Ok(unsafe {
            std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>())
        })
    }

    /// The elements for writing; copies data that is shared or mapped.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        self.expect_dtype(T::DTYPE)?;
        let bytes = self.unique_bytes()?;
        let (start, len) = (bytes.as_mut_ptr(), bytes.len() / size_of::<T>());
        // SAFETY: owned data, aligned to 64 bytes, borrowed exclusively; see `as_slice`.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.cast(), len) })
    }

    /// The elements of a `bool` tensor.
    pub fn bools(&self) -> Result<&[bool]> {
        self.expect_dtype(DType::Bool)?;
        let bytes = self.bytes();
        // SAFETY: every byte of a bool tensor is 0 or 1.
        Ok(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) })
    }

    /// The data for reading by compiled code.
    pub fn as_ptr(&self) -> *const u8 {
        self.bytes().as_ptr()
    }

    /// The data for writing by compiled code, which must keep bool bytes 0 or 1. Copies data that
    /// is shared or mapped.
    pub fn as_mut_ptr(&mut self) -> Result<*mut u8> {
        Ok(self.unique_bytes()?.as_mut_ptr())
    }

    /// The same data under another shape with as many elements.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Tensor> {
        check_length(shape, self.len())?;
        Ok(Tensor {
            shape: shape.to_vec(),
            ..self.clone()
        })
    }

    /// The elements as f64 in row-major order; 64-bit integers round.
    pub fn to_f64_vec(&self) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        let bytes = self.len().saturating_mul(size_of::<f64>());
        let reserved = values.try_reserve_exact(self.len());
        reserved.map_err(|_| Error::OutOfMemory { bytes })?;
        with_element_type!(self.dtype, T => {
            values.extend(self.as_slice::<T>()?.iter().map(|&v| <T as Element>::to_f64(v)));
        }, bool => {
            values.extend(self.bytes().iter().map(|&b| f64::from(b)));
        });
        Ok(values)
    }

    fn expect_dtype(&self, expected: DType) -> Result<()> {
        if self.dtype == expected {
            return Ok(());
        }
        Err(Error::DType {
            expected,
            found: self.dtype,
        })
    }

    fn unique_bytes(&mut self) -> Result<&mut [u8]> {
        let exclusive = match &mut self.storage {
            Storage::Owned(data) => Arc::get_mut(data).is_some(),
            Storage::Mapped { .. } => false,
        };
        if !exclusive {
            self.storage = Storage::Owned(Arc::new(AlignedBytes::copied(self.bytes())?));
        }
        match &mut self.storage {
            Storage::Owned(data) => match Arc::get_mut(data) {
                Some(data) => Ok(data.as_mut_slice()),
                None => unreachable!("made exclusive above"),
            },
            Storage::Mapped { .. } => unreachable!("made owned above"),
        }
    }
}

/// Same dtype, shape and bits.
impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.bytes() == other.bytes()
    }
}

/// Dtype and shape, and the values of small tensors.
impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)?;
        match self.to_f64_vec() {
            Ok(values) if values.len() <= 16 => write!(f, " {values:?}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        for shape in [&[usize::MAX, 2][..], &[1 << 40, 1 << 40], &[1 << 62, 4]] {
            assert!(matches!(
                Tensor::zeros(DType::F32, shape),
                Err(Error::ShapeOverflow { .. })
            ));
        }
        assert!(matches!(
            Tensor::zeros(DType::F64, &[1 << 56]),
            Err(Error::OutOfMemory { .. })
        ));
        let empty = Tensor::zeros(DType::F64, &[1 << 62, 0, 1 << 62]).unwrap();
        assert!(empty.is_empty());
        assert_eq!(empty.as_slice::<f64>().unwrap(), &[] as &[f64]);
    }

    #[test]
    fn wrong_lengths_dtypes_and_bools_are_errors() {
        assert!(matches!(
            Tensor::from_slice(&[3], &[1.0f32, 2.0]),
            Err(Error::Length {
                expected: 3,
                found: 2,
                ..
            })
        ));
        let tensor = Tensor::from_slice(&[2], &[1.0f32, 2.0]).unwrap();
        assert!(matches!(tensor.as_slice::<i32>(), Err(Error::DType { .. })));
        assert!(tensor.reshaped(&[3]).is_err());
        assert!(matches!(
            Tensor::from_bytes(DType::Bool, &[2], &[1, 2]),
            Err(Error::NotABool { value: 2, index: 1 })
        ));
        assert!(Tensor::from_bytes(DType::F32, &[1], &[0; 3]).is_err());
    }

    #[test]
    fn writing_does_not_reach_a_clone() {
        let mut a = Tensor::from_slice(&[2], &[1i32, 2]).unwrap();
        let b = a.clone();
        a.as_mut_slice::<i32>().unwrap()[0] = 9;
        assert_eq!(a.as_slice::<i32>().unwrap(), [9, 2]);
        assert_eq!(b.as_slice::<i32>().unwrap(), [1, 2]);
        assert_eq!(a.as_ptr() as usize % 64, 0);
    }

    #[test]
    fn bools_convert() {
        let t = Tensor::from_f64(DType::Bool, &[3], &[0.0, -2.0, f64::NAN]).unwrap();
        assert_eq!(t.bools().unwrap(), [false, true, true]);
        assert_eq!(t, Tensor::from_bools(&[3], &[false, true, true]).unwrap());
        assert_eq!(t.to_f64_vec().unwrap(), [0.0, 1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn small_integers_round_trip_through_every_dtype(values in prop::collection::vec(0u8..=1, 0..20)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            for dtype in DType::ALL {
                let tensor = Tensor::from_f64(dtype, &[values.len()], &values).unwrap();
                prop_assert_eq!(tensor.to_f64_vec().unwrap(), values.clone());
                let copy = Tensor::from_bytes(dtype, tensor.shape(), tensor.bytes()).unwrap();
                prop_assert_eq!(copy, tensor);
            }
        }
    }
}
