//! Compiled code with its program: ready to be called.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use super::{Bound, Place, Program, shown_message};
use crate::abi::{self, Context, EntryFn, Profile};
use crate::memory::Arena;
use crate::{DType, Error, Pool, Tensor};

/// Why a call failed, and where in the source.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    pub message: String,
    pub place: Option<Place>,
    /// The arguments do not fit, or are too large: the program itself found nothing wrong.
    pub bad_input: bool,
}

impl RunError {
    pub(super) fn input(message: String) -> RunError {
        RunError {
            message,
            place: None,
            bad_input: true,
        }
    }
}

impl From<Error> for RunError {
    fn from(error: Error) -> RunError {
        RunError::input(error.to_string())
    }
}

/// A row of a profile.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// A kind of step: a kernel's name, or `loop`.
    pub what: String,
    pub place: Option<Place>,
    pub seconds: f64,
    pub calls: u64,
}

/// Weights as the code reads them.
#[derive(Debug, Default)]
pub struct Prepared {
    packed: Vec<Tensor>,
}

impl Prepared {
    /// What the packed weights take, in bytes.
    pub fn bytes(&self) -> usize {
        self.packed.iter().map(|t| t.bytes().len()).sum()
    }
}

/// A compiled function. Calls may be made from several threads; each uses the whole pool.
pub struct Executable {
    program: Program,
    code: EntryFn,
    /// Makes the packed weights.
    prepare: Option<EntryFn>,
    /// Memory of finished calls, to be used again.
    arenas: Mutex<Vec<Arena>>,
    peak: Mutex<usize>,
    /// Frees the code when dropped.
    _memory: Box<dyn Any>,
}

// SAFETY: nothing touches the memory of the code between construction and drop.
unsafe impl Send for Executable {}
// SAFETY: as above; the code itself keeps no state.
unsafe impl Sync for Executable {}

impl Executable {
    /// The code as an executable; `memory` holds it, and frees it when dropped.
    ///
    /// # Safety
    /// The code must be that of the program, `prepare` among it where it has packed weights: it reads as many parameters and sizes as the program has,
    /// and lives as long as its memory.
    pub unsafe fn new(
        program: Program,
        code: EntryFn,
        prepare: Option<EntryFn>,
        memory: Box<dyn Any>,
    ) -> Executable {
        Executable {
            program,
            code,
            prepare,
            arenas: Mutex::default(),
            peak: Mutex::new(0),
            _memory: memory,
        }
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The most memory that one call held beside its inputs and results, in bytes.
    pub fn peak_bytes(&self) -> usize {
        *self.peak.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the function on the threads of the pool.
    ///
    /// # Errors
    /// Arguments that do not fit, a broken requirement, an index out of range, a failed assertion, no
    /// memory.
    pub fn run(&self, args: &[&Tensor], pool: &Pool) -> Result<Vec<Tensor>, RunError> {
        // What does not fit is refused before anything reads it.
        let shapes: Vec<(DType, &[usize])> = args.iter().map(|t| (t.dtype(), t.shape())).collect();
        self.program.bind(&shapes)?;
        let known: Vec<Option<&Tensor>> = args.iter().map(|&t| Some(t)).collect();
        let prepared = self.prepare(&known, pool)?;
        self.call(args, &prepared, pool, None)
    }

    /// Brings weights into the order in which the code reads them. Only parameters that were weights when the
    /// code was made need be known.
    ///
    /// # Errors
    /// Weights that do not fit, no memory.
    pub fn prepare(&self, args: &[Option<&Tensor>], pool: &Pool) -> Result<Prepared, RunError> {
        let Some(prepare) = self.prepare.filter(|_| !self.program.packed.is_empty()) else {
            return Ok(Prepared::default());
        };
        let shapes: Vec<Option<(DType, &[usize])>> = args
            .iter()
            .map(|t| t.map(|t| (t.dtype(), t.shape())))
            .collect();
        let bound = self.program.bind_some(&shapes)?;
        let mut packed = Vec::with_capacity(self.program.packed.len());
        for slot in &self.program.packed {
            let shape = self.program.shape(slot, &bound)?;
            packed.push(Tensor::zeros(slot.dtype, &shape)?);
        }
        let inputs: Vec<*const u8> = args
            .iter()
            .map(|t| t.map_or(std::ptr::null(), |t| t.as_ptr()))
            .collect();
        let outputs = packed.iter_mut().map(Tensor::as_mut_ptr);
        let outputs = outputs.collect::<crate::Result<Vec<*mut u8>>>()?;
        // SAFETY: tensors of the shapes that were bound; the code reads weights alone.
        unsafe { self.enter(prepare, &bound, &inputs, &outputs, pool, None) }?;
        Ok(Prepared { packed })
    }

    /// Runs the function with weights that were prepared from these arguments.
    ///
    /// # Errors
    /// As [`Executable::run`].
    pub fn run_prepared(
        &self,
        args: &[&Tensor],
        prepared: &Prepared,
        pool: &Pool,
    ) -> Result<Vec<Tensor>, RunError> {
        self.call(args, prepared, pool, None)
    }

    /// Tensors of zeros of the types that the results of these arguments have.
    ///
    /// # Errors
    /// Arguments that do not fit, no memory.
    pub fn results_for(&self, args: &[&Tensor]) -> Result<Vec<Tensor>, RunError> {
        Ok(self.results(args)?.1)
    }

    /// Runs the function and writes its results over tensors of their dtypes and shapes, whatever is in them.
    ///
    /// # Errors
    /// As [`Executable::run`]; results that do not fit.
    pub fn run_into(
        &self,
        args: &[&Tensor],
        results: &mut [Tensor],
        pool: &Pool,
    ) -> Result<(), RunError> {
        let shapes: Vec<(DType, &[usize])> = args.iter().map(|t| (t.dtype(), t.shape())).collect();
        let bound = self.program.bind(&shapes)?;
        let slots = &self.program.results;
        let mut fits = slots.len() == results.len();
        for (slot, result) in slots.iter().zip(results.iter()) {
            let shape = self.program.shape(slot, &bound)?;
            fits &= result.dtype() == slot.dtype && result.shape() == shape;
        }
        if !fits {
            return Err(RunError::input("the results have other types".into()));
        }
        let known: Vec<Option<&Tensor>> = args.iter().map(|&t| Some(t)).collect();
        let prepared = self.prepare(&known, pool)?;
        self.write(&bound, args, &prepared, results, pool, None)
    }

    /// Runs the function and says how long each step took, slowest first. The function must have been
    /// compiled with `profile`.
    ///
    /// # Errors
    /// As [`Executable::run`].
    pub fn run_profiled(
        &self,
        args: &[&Tensor],
        pool: &Pool,
    ) -> Result<(Vec<Tensor>, Vec<ProfileRow>), RunError> {
        let sites = &self.program.sites;
        let profile = Profile::new(sites.len());
        let results = self.call(args, &Prepared::default(), pool, Some(&profile))?;
        let mut rows: Vec<ProfileRow> = std::iter::zip(sites, profile.totals())
            .filter(|(_, (_, calls))| *calls > 0)
            .map(|(site, (nanoseconds, calls))| ProfileRow {
                what: site.what.clone(),
                place: site.place.clone(),
                seconds: nanoseconds as f64 * 1e-9,
                calls,
            })
            .collect();
        rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        Ok((results, rows))
    }

    fn call(
        &self,
        args: &[&Tensor],
        prepared: &Prepared,
        pool: &Pool,
        profile: Option<&Profile>,
    ) -> Result<Vec<Tensor>, RunError> {
        let (bound, mut results) = self.results(args)?;
        self.write(&bound, args, prepared, &mut results, pool, profile)?;
        Ok(results)
    }

    /// The sizes that follow from arguments, and tensors of zeros for the results.
    fn results(&self, args: &[&Tensor]) -> Result<(Bound, Vec<Tensor>), RunError> {
        let shapes: Vec<(DType, &[usize])> = args.iter().map(|t| (t.dtype(), t.shape())).collect();
        let bound = self.program.bind(&shapes)?;
        let mut results = Vec::with_capacity(self.program.results.len());
        for slot in &self.program.results {
            let shape = self.program.shape(slot, &bound)?;
            results.push(Tensor::zeros(slot.dtype, &shape)?);
        }
        Ok((bound, results))
    }

    /// Calls the code with arguments and results of the shapes that were bound.
    fn write(
        &self,
        bound: &Bound,
        args: &[&Tensor],
        prepared: &Prepared,
        results: &mut [Tensor],
        pool: &Pool,
        profile: Option<&Profile>,
    ) -> Result<(), RunError> {
        let inputs: Vec<*const u8> = args.iter().map(|t| t.as_ptr()).collect();
        let outputs = results.iter_mut().map(Tensor::as_mut_ptr);
        let outputs = outputs.collect::<crate::Result<Vec<*mut u8>>>()?;
        // SAFETY: tensors of the shapes that were bound; what can be written to has no other owner.
        unsafe { self.call_raw(bound, &inputs, prepared, &outputs, pool, profile) }
    }

    /// Runs the function on memory of the caller's.
    ///
    /// # Errors
    /// An index out of range, a failed assertion, no memory.
    ///
    /// # Safety
    /// There is an input for every parameter and an output for every result, dense and row-major, of the
    /// dtypes and shapes that `bound` follows from, aligned to the element; bools are 0 or 1; outputs overlap
    /// neither each other nor an input.
    pub unsafe fn call_raw(
        &self,
        bound: &Bound,
        inputs: &[*const u8],
        prepared: &Prepared,
        outputs: &[*mut u8],
        pool: &Pool,
        profile: Option<&Profile>,
    ) -> Result<(), RunError> {
        if prepared.packed.len() != self.program.packed.len() {
            return Err(RunError::input("the weights are not prepared".into()));
        }
        let packed = prepared.packed.iter().map(Tensor::as_ptr);
        let inputs: Vec<*const u8> = inputs.iter().copied().chain(packed).collect();
        // SAFETY: the caller's promise; packed weights were made by the code itself.
        unsafe { self.enter(self.code, bound, &inputs, outputs, pool, profile) }
    }

    /// Calls an entry.
    ///
    /// # Safety
    /// As for [`Executable::call_raw`].
    unsafe fn enter(
        &self,
        entry: EntryFn,
        bound: &Bound,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        pool: &Pool,
        profile: Option<&Profile>,
    ) -> Result<(), RunError> {
        let arena = self.lock_arenas().pop().unwrap_or_default();
        let mut context = Context::new(pool, &arena, profile);
        // SAFETY: the caller's promise.
        let status = unsafe {
            entry(
                &mut context,
                inputs.as_ptr(),
                outputs.as_ptr(),
                bound.table.as_ptr(),
            )
        };
        if status != abi::OK {
            // Blocks that were not given back go with the arena.
            return Err(self.failure(status, &context));
        }
        let mut peak = self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        *peak = (*peak).max(arena.peak_bytes());
        drop(peak);
        self.lock_arenas().push(arena);
        Ok(())
    }

    fn lock_arenas(&self) -> std::sync::MutexGuard<'_, Vec<Arena>> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, status: i32, context: &Context<'_>) -> RunError {
        let site = abi::site_of_status(status).and_then(|s| self.program.sites.get(s as usize));
        if let Some(site) = site {
            let shown = context.failure;
            return RunError {
                message: shown_message(&site.what, shown.a, shown.b),
                place: site.place.clone(),
                bad_input: false,
            };
        }
        RunError::input(match context.error_of_status(status) {
            Some(error) => error.to_string(),
            None => format!("the code returned the unknown status {status}"),
        })
    }
}
