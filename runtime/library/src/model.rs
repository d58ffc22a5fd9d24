//! A model that is open: its code, its weights and its threads.

use std::ffi::CString;
use std::path::Path;

use aiai_runtime::abi::EntryFn;
use aiai_runtime::program::{Bound, Executable, Package, Place, Prepared, RunError, Slot};
use aiai_runtime::{DType, Error, Pool, SafeTensors, Tensor, cpu};
use serde_json::json;

use crate::dlpack::{DLTensor, View};
use crate::{Code, Failure};

/// What [`crate::aiai_open`] gives.
pub struct Model {
    executable: Executable,
    /// For every parameter its weight; `None` where it is an input.
    weights: Vec<Option<Tensor>>,
    prepared: Prepared,
    pool: Pool,
    signature: CString,
}

impl Model {
    /// Opens a model.
    ///
    /// # Safety
    /// The package is that of the code.
    pub unsafe fn open(
        package: Package,
        (entry, prepare): (EntryFn, Option<EntryFn>),
        weights: Option<&Path>,
        threads: i32,
    ) -> Result<Model, Failure> {
        let missing = cpu::missing(&package.features);
        if !missing.is_empty() {
            let message = format!("this processor lacks {}", missing.join(", "));
            return Err(Failure::new(Code::Cpu, message));
        }
        let program = package.program;
        let is_weight = |slot: &Slot| package.weights.contains(&slot.name);
        let file = match (weights, program.params.iter().any(is_weight)) {
            (Some(path), true) => Some(SafeTensors::open(path).map_err(of_weights)?),
            (None, true) => {
                let message = "the model has weights, and `weights` is null";
                return Err(Failure::new(Code::Weights, message));
            }
            (_, false) => None,
        };
        let weight = |slot: &Slot| match &file {
            Some(file) if is_weight(slot) => weight(file, slot).map(Some),
            _ => Ok(None),
        };
        let weights: Vec<Option<Tensor>> = program
            .params
            .iter()
            .map(weight)
            .collect::<Result<_, _>>()?;
        let pool = match usize::try_from(threads) {
            Ok(count @ 1..) => Pool::new(count),
            _ => Pool::with_all_cores(),
        };
        let pool = pool.map_err(|e| Failure::new(Code::Memory, e.to_string()))?;
        let shown = |slots: &mut dyn Iterator<Item = &Slot>| -> Vec<serde_json::Value> {
            let shown = |slot: &Slot| {
                let shape: Vec<&str> = slot.shape.iter().map(|s| s.text.as_str()).collect();
                json!({"name": slot.name, "dtype": slot.dtype.name(), "shape": shape})
            };
            slots.map(shown).collect()
        };
        let signature = json!({
            "schema": 1,
            "name": program.name,
            "features": package.features,
            "threads": pool.threads(),
            "inputs": shown(&mut program.params.iter().filter(|slot| !is_weight(slot))),
            "outputs": shown(&mut program.results.iter()),
        });
        let signature = CString::new(signature.to_string()).unwrap_or_default();
        // SAFETY: the caller's promise; code of a library is never unloaded while it is used.
        let executable = unsafe { Executable::new(program, entry, prepare, Box::new(())) };
        let known: Vec<Option<&Tensor>> = weights.iter().map(Option::as_ref).collect();
        let prepared = executable
            .prepare(&known, &pool)
            .map_err(|e| Failure::new(Code::Weights, located(e)))?;
        Ok(Model {
            executable,
            prepared,
            weights,
            pool,
            signature,
        })
    }

    pub fn signature(&self) -> &CString {
        &self.signature
    }

    /// The shape of an output for these inputs.
    pub fn shape(&self, inputs: &[&DLTensor], index: i32) -> Result<Vec<usize>, Failure> {
        let views = self.inputs(inputs)?;
        let bound = self.bind(&views)?;
        let results = &self.executable.program().results;
        let result = usize::try_from(index).ok().and_then(|k| results.get(k));
        let Some(result) = result else {
            let count = results.len();
            let message = format!("there is no output {index}; the model has {count}");
            return Err(Failure::new(Code::Argument, message));
        };
        self.executable
            .program()
            .shape(result, &bound)
            .map_err(of_shape)
    }

    /// Computes the outputs.
    ///
    /// # Safety
    /// The data of the tensors is there, and that of outputs may be written.
    pub unsafe fn call(&self, inputs: &[&DLTensor], outputs: &[&DLTensor]) -> Result<(), Failure> {
        let views = self.inputs(inputs)?;
        let bound = self.bind(&views)?;
        // SAFETY: the caller's promise.
        let copies = unsafe { copies(&views, self.input_slots()) }?;
        let dense = views.iter().zip(&copies);
        let dense: Vec<*const u8> = dense
            .map(|(view, copy)| copy.as_ref().map_or(view.data.cast_const(), Tensor::as_ptr))
            .collect();
        let results = self.outputs(outputs, &bound)?;
        apart(&views, &copies, &results)?;
        let mut given = dense.iter();
        let sources = self.weights.iter().map(|weight| match weight {
            Some(tensor) => Some(tensor.as_ptr()),
            None => given.next().copied(),
        });
        let sources: Option<Vec<*const u8>> = sources.collect();
        let Some(sources) = sources else {
            return Err(Failure::new(Code::Internal, "an input is missing"));
        };
        let targets: Vec<*mut u8> = results.iter().map(|view| view.data).collect();
        // SAFETY: shapes, dtypes and alignment were checked; outputs are dense and apart.
        let outcome = unsafe {
            self.executable
                .call_raw(&bound, &sources, &self.prepared, &targets, &self.pool, None)
        };
        outcome.map_err(|error| {
            let code = match error.bad_input {
                true => Code::Memory,
                false => Code::Program,
            };
            Failure::new(code, located(error))
        })
    }

    /// The parameters that are inputs.
    fn input_slots(&self) -> impl Iterator<Item = &Slot> {
        let slots = self.executable.program().params.iter().zip(&self.weights);
        slots
            .filter(|(_, weight)| weight.is_none())
            .map(|(slot, _)| slot)
    }

    fn inputs(&self, tensors: &[&DLTensor]) -> Result<Vec<View>, Failure> {
        let slots: Vec<&Slot> = self.input_slots().collect();
        counted("inputs", slots.len(), tensors.len())?;
        let pairs = slots.iter().zip(tensors);
        pairs
            // SAFETY: whoever calls the library promises that tensors are as DLPack says.
            .map(|(slot, tensor)| unsafe { View::of(&slot.name, tensor) })
            .collect()
    }

    fn outputs(&self, tensors: &[&DLTensor], bound: &Bound) -> Result<Vec<View>, Failure> {
        let program = self.executable.program();
        counted("outputs", program.results.len(), tensors.len())?;
        let mut views = Vec::new();
        for (slot, tensor) in program.results.iter().zip(tensors) {
            // SAFETY: as for inputs.
            let view = unsafe { View::of(&slot.name, tensor) }?;
            let shape = program.shape(slot, bound).map_err(of_shape)?;
            if view.dtype != slot.dtype {
                let (name, found) = (&slot.name, view.dtype);
                let message = format!("the output `{name}` is {}, got {found}", slot.dtype);
                return Err(Failure::new(Code::Argument, message));
            }
            if view.shape != shape {
                let (name, found) = (&slot.name, &view.shape);
                let message = format!("the output `{name}` has the shape {shape:?}, got {found:?}");
                return Err(Failure::new(Code::Shape, message));
            }
            if !view.is_dense() {
                let message = format!("the output `{}` is not dense and row-major", slot.name);
                return Err(Failure::new(Code::Argument, message));
            }
            views.push(view);
        }
        Ok(views)
    }

    /// The sizes of a call with these inputs and the weights.
    fn bind(&self, views: &[View]) -> Result<Bound, Failure> {
        let mut given = views.iter();
        let shapes = self.weights.iter().map(|weight| match weight {
            Some(tensor) => Some((tensor.dtype(), tensor.shape())),
            None => given.next().map(|view| (view.dtype, view.shape.as_slice())),
        });
        let shapes: Option<Vec<(DType, &[usize])>> = shapes.collect();
        let shapes = shapes.unwrap_or_default();
        self.executable.program().bind(&shapes).map_err(of_shape)
    }
}

fn counted(what: &str, expected: usize, found: usize) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    let message = format!("the model has {expected} {what}, got {found}");
    Err(Failure::new(Code::Argument, message))
}

/// Dense copies of the views that need one. Bytes of bools are looked at.
unsafe fn copies<'s>(
    views: &[View],
    slots: impl Iterator<Item = &'s Slot>,
) -> Result<Vec<Option<Tensor>>, Failure> {
    let copy = |(view, slot): (&View, &Slot)| {
        if view.is_dense() && view.dtype != DType::Bool {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { view.gathered() };
        match Tensor::from_bytes(view.dtype, &view.shape, &bytes) {
            Ok(tensor) => Ok(Some(tensor)),
            Err(error @ Error::NotABool { .. }) => {
                let message = format!("`{}`: {error}", slot.name);
                Err(Failure::new(Code::Argument, message))
            }
            Err(error) => Err(Failure::new(Code::Memory, error.to_string())),
        }
    };
    views.iter().zip(slots).map(copy).collect()
}

/// Outputs overlap neither each other nor an input that is read in place.
fn apart(views: &[View], copies: &[Option<Tensor>], results: &[View]) -> Result<(), Failure> {
    let read = views.iter().zip(copies).filter(|(_, copy)| copy.is_none());
    let read: Vec<&View> = read.map(|(view, _)| view).collect();
    for (k, result) in results.iter().enumerate() {
        let own = result.range();
        let overlaps = |other: &&View| {
            let other = other.range();
            own.start < other.end && other.start < own.end
        };
        if read.iter().any(overlaps) || results.iter().take(k).any(|r| overlaps(&r)) {
            let message = format!("the output {k} shares memory with another tensor");
            return Err(Failure::new(Code::Argument, message));
        }
    }
    Ok(())
}

fn weight(file: &SafeTensors, slot: &Slot) -> Result<Tensor, Failure> {
    let tensor = file.tensor(&slot.name).map_err(of_weights)?;
    let shape: Vec<usize> = slot
        .shape
        .iter()
        .map(|size| size.eval(&[]).and_then(|s| usize::try_from(s).ok()))
        .collect::<Option<_>>()
        .unwrap_or_default();
    if tensor.dtype() != slot.dtype || tensor.shape() != shape {
        let (name, dtype, found) = (&slot.name, tensor.dtype(), tensor.shape());
        let message = format!("the weight `{name}` is `{slot}`, the file has {dtype}{found:?}");
        return Err(Failure::new(Code::Weights, message));
    }
    Ok(tensor)
}

fn of_weights(error: Error) -> Failure {
    Failure::new(Code::Weights, error.to_string())
}

fn of_shape(error: RunError) -> Failure {
    Failure::new(Code::Shape, located(error))
}

fn located(error: RunError) -> String {
    let place = error.place.as_ref().map(Place::to_string);
    place.map_or(error.message.clone(), |place| {
        format!("{place}: {}", error.message)
    })
}
