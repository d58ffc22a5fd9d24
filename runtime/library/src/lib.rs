//! The C interface of compiled libraries: what `aiai build` links with the code of a model.
//!
//! `docs/abi.md` describes it for its users; the header that `aiai build` writes declares it.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use aiai_runtime::abi::{EntryFn, INTERFACE};
use aiai_runtime::program::Package;

mod dlpack;
mod model;

pub use dlpack::{DLDataType, DLDevice, DLTensor};
pub use model::Model;

/// A compiled model, as its object file holds it.
#[repr(C)]
pub struct Program {
    /// [`INTERFACE`] of the compiler that made it.
    pub version: u64,
    pub entry: EntryFn,
    /// Packs the weights for it; null where there is nothing to pack.
    pub prepare: Option<EntryFn>,
    /// A [`Package`] as JSON.
    pub package: *const u8,
    pub package_bytes: u64,
}

/// What a function of the interface returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    Ok = 0,
    /// A tensor or pointer that cannot be used: null, of another dtype, misaligned, on a device.
    Argument = 1,
    /// Shapes that disagree with the signature, with each other, or with a `where`.
    Shape = 2,
    /// A check of the program itself: an index out of range, an assertion.
    Program = 3,
    /// No memory.
    Memory = 4,
    /// The processor lacks instructions that the library was compiled for.
    Cpu = 5,
    /// The file of weights is not there, damaged, or not that of this model.
    Weights = 6,
    /// The object file and the library are of different versions.
    Version = 7,
    /// A defect of aiai.
    Internal = 8,
}

/// A code with what it says to people.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
        }
    }
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Runs the body of a function of the interface; nothing unwinds out of it.
fn guarded(body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return Code::Ok as i32,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(
            Code::Internal,
            "the library panicked; this is a defect of aiai",
        ),
    };
    let text = failure.message.replace('\0', " ");
    MESSAGE.with(|message| *message.borrow_mut() = CString::new(text).unwrap_or_default());
    failure.code as i32
}

/// What the last call on this thread that failed says; empty where none did. Valid until the next failure.
#[unsafe(no_mangle)]
pub extern "C" fn aiai_message() -> *const c_char {
    MESSAGE.with(|message| message.borrow().as_ptr())
}

/// Makes a model ready to be called: checks the processor, reads the weights, starts the threads.
///
/// `weights` may be null where the model has none. `threads` below 1 means one for every core.
///
/// # Safety
/// `program` is that of an object file or null, `weights` a string that ends with 0 or null, `model` a
/// place for a pointer or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_open(
    program: *const Program,
    weights: *const c_char,
    threads: i32,
    model: *mut *mut Model,
) -> i32 {
    guarded(|| {
        if model.is_null() {
            return Err(Failure::new(Code::Argument, "`model` is null"));
        }
        // SAFETY: not null; the caller's promise.
        unsafe { model.write(std::ptr::null_mut()) };
        // SAFETY: the caller's promise.
        let Some(program) = (unsafe { program.as_ref() }) else {
            return Err(Failure::new(Code::Argument, "`program` is null"));
        };
        if program.version != INTERFACE {
            let found = program.version;
            let message =
                format!("the model has version {found} of the interface, the library {INTERFACE}");
            return Err(Failure::new(Code::Version, message));
        }
        let bytes = usize::try_from(program.package_bytes).unwrap_or(0);
        // SAFETY: a program of this version has as many bytes.
        let package = unsafe { std::slice::from_raw_parts(program.package, bytes) };
        let package: Package = serde_json::from_slice(package)
            .map_err(|e| Failure::new(Code::Internal, format!("the program is damaged: {e}")))?;
        let path = match weights.is_null() {
            true => None,
            // SAFETY: the caller's promise.
            false => Some(
                unsafe { CStr::from_ptr(weights) }
                    .to_string_lossy()
                    .into_owned(),
            ),
        };
        // SAFETY: the object file holds the package beside the code that it belongs to.
        let opened = unsafe {
            Model::open(
                package,
                (program.entry, program.prepare),
                path.as_deref().map(Path::new),
                threads,
            )
        }?;
        // SAFETY: not null; the caller's promise.
        unsafe { model.write(Box::into_raw(Box::new(opened))) };
        Ok(())
    })
}

/// Ends a model; null is ignored. No call may be running.
///
/// # Safety
/// `model` comes from [`aiai_open`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_close(model: *mut Model) {
    if !model.is_null() {
        // SAFETY: the caller's promise.
        let owned = unsafe { Box::from_raw(model) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    }
}

/// The inputs and outputs of a model as JSON. Valid until the model is closed; null for null.
///
/// # Safety
/// `model` comes from [`aiai_open`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_signature(model: *const Model) -> *const c_char {
    // SAFETY: the caller's promise.
    match unsafe { model.as_ref() } {
        Some(model) => model.signature().as_ptr(),
        None => std::ptr::null(),
    }
}

/// Writes the shape that output `index` has for these inputs; nothing is computed. `capacity` is how many
/// sizes there is room for; an output has as many as its rank.
///
/// # Safety
/// As [`aiai_call`]; `shape` has room for `capacity` sizes. The data of the inputs is not read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_shape(
    model: *const Model,
    inputs: *const *const DLTensor,
    input_count: i32,
    index: i32,
    shape: *mut i64,
    capacity: i32,
) -> i32 {
    guarded(|| {
        // SAFETY: the caller's promise.
        let (model, inputs) = unsafe { (opened(model)?, list("inputs", inputs, input_count)?) };
        let sizes = model.shape(&inputs, index)?;
        if shape.is_null() && !sizes.is_empty() {
            return Err(Failure::new(Code::Argument, "`shape` is null"));
        }
        if usize::try_from(capacity).is_ok_and(|c| c < sizes.len()) || capacity < 0 {
            let rank = sizes.len();
            let message = format!("`shape` has room for {capacity} sizes, the output has {rank}");
            return Err(Failure::new(Code::Argument, message));
        }
        for (k, &size) in sizes.iter().enumerate() {
            // SAFETY: there is room; the caller's promise.
            unsafe { shape.add(k).write(size as i64) };
        }
        Ok(())
    })
}

/// Computes the outputs from the inputs. Several threads may call one model at a time.
///
/// # Safety
/// `model` comes from [`aiai_open`]. The lists have as many tensors as is said; their shapes, strides and data
/// are as DLPack says, and the data of outputs may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aiai_call(
    model: *const Model,
    inputs: *const *const DLTensor,
    input_count: i32,
    outputs: *const *const DLTensor,
    output_count: i32,
) -> i32 {
    guarded(|| {
        // SAFETY: the caller's promise.
        let (model, inputs, outputs) = unsafe {
            (
                opened(model)?,
                list("inputs", inputs, input_count)?,
                list("outputs", outputs, output_count)?,
            )
        };
        // SAFETY: the caller's promise.
        unsafe { model.call(&inputs, &outputs) }
    })
}

unsafe fn opened<'m>(model: *const Model) -> Result<&'m Model, Failure> {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    model.ok_or_else(|| Failure::new(Code::Argument, "`model` is null"))
}

/// The tensors of a list, none of them null.
unsafe fn list<'t>(
    what: &str,
    tensors: *const *const DLTensor,
    count: i32,
) -> Result<Vec<&'t DLTensor>, Failure> {
    let Ok(count) = usize::try_from(count) else {
        let message = format!("the number of {what} is {count}");
        return Err(Failure::new(Code::Argument, message));
    };
    if count > 0 && tensors.is_null() {
        return Err(Failure::new(Code::Argument, format!("`{what}` is null")));
    }
    let tensor = |k: usize| {
        // SAFETY: the caller's promise.
        let tensor = unsafe { (*tensors.add(k)).as_ref() };
        tensor.ok_or_else(|| Failure::new(Code::Argument, format!("`{what}[{k}]` is null")))
    };
    (0..count).map(tensor).collect()
}
