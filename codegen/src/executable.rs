//! Compiled functions and how they are called.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aiai_ir::ops::shown_message;
use aiai_ir::{Dim, Function, Loc, Require, Sym, Type};
use aiai_runtime::abi::{self, Context, EntryFn, Profile};
use aiai_runtime::memory::Arena;
use aiai_runtime::{DType, Pool, Tensor};

use crate::tables::Site;

/// Why a call failed, and where in the source.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    pub message: String,
    pub loc: Option<Loc>,
    /// The arguments do not fit, or are too large: the program itself found nothing wrong.
    pub bad_input: bool,
}

/// A row of a profile.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// A kind of step: a kernel's name, or `loop`.
    pub what: String,
    pub loc: Option<Loc>,
    pub seconds: f64,
    pub calls: u64,
}

/// A parameter or result.
struct Slot {
    name: Sym,
    ty: Type,
    dtype: DType,
}

/// A compiled function. Calls may be made from several threads; each uses the whole pool.
pub struct Executable {
    name: Sym,
    params: Vec<Slot>,
    results: Vec<Slot>,
    requires: Vec<Require>,
    /// What the code's table of dimensions holds.
    dims: Vec<Dim>,
    sites: Vec<Site>,
    code: EntryFn,
    /// Memory of finished calls, to be used again.
    arenas: Mutex<Vec<Arena>>,
    peak: Mutex<usize>,
    /// Frees the code when dropped.
    _memory: Box<dyn Any>,
}

/// What a backend made of a function.
pub struct MachineCode {
    pub entry: EntryFn,
    /// What the code's table of dimensions holds, in order.
    pub dims: Vec<Dim>,
    pub sites: Vec<Site>,
    /// Holds the code, and frees it when dropped.
    pub memory: Box<dyn Any>,
}

// SAFETY: nothing touches the memory of the code between construction and drop.
unsafe impl Send for Executable {}
// SAFETY: as above; the code itself keeps no state.
unsafe impl Sync for Executable {}

impl Executable {
    /// The function as an executable.
    ///
    /// # Safety
    /// The code must be that of the function: it reads as many parameters and dimensions as the function
    /// has, and lives as long as its memory.
    pub unsafe fn new(source: &Function, machine: MachineCode) -> Executable {
        let slots = |values: &[aiai_ir::Value], names: &[Sym]| {
            let slot = |(&value, &name): (&aiai_ir::Value, &Sym)| {
                let ty = source.ty(value).clone();
                let dtype = DType::ALL[ty.dtype() as usize];
                Slot { name, ty, dtype }
            };
            values.iter().zip(names).map(slot).collect::<Vec<Slot>>()
        };
        Executable {
            name: source.name,
            params: slots(source.params(), &source.param_names),
            results: slots(&source.body.yields, &source.result_names),
            requires: source.requires.clone(),
            dims: machine.dims,
            sites: machine.sites,
            code: machine.entry,
            arenas: Mutex::default(),
            peak: Mutex::new(0),
            _memory: machine.memory,
        }
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
        self.call(args, pool, None)
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
        let profile = Profile::new(self.sites.len());
        let results = self.call(args, pool, Some(&profile))?;
        let mut rows: Vec<ProfileRow> = std::iter::zip(&self.sites, profile.totals())
            .filter(|(_, (_, calls))| *calls > 0)
            .map(|(site, (nanoseconds, calls))| ProfileRow {
                what: site.what.clone(),
                loc: site.loc,
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
        pool: &Pool,
        profile: Option<&Profile>,
    ) -> Result<Vec<Tensor>, RunError> {
        let sizes = self.bind(args)?;
        let value_of = |sym: Sym| sizes.get(&sym).copied();
        let mut table = Vec::with_capacity(self.dims.len());
        for &dim in &self.dims {
            table.push(self.dim(dim, &value_of)?);
        }
        let mut results = Vec::with_capacity(self.results.len());
        for slot in &self.results {
            let mut shape = Vec::new();
            for &dim in slot.ty.shape() {
                let size = self.dim(dim, &value_of)?;
                let size = usize::try_from(size).map_err(|_| {
                    plain(format!(
                        "`{}`: the size `{dim}` is {size}, below 0",
                        slot.name
                    ))
                })?;
                shape.push(size);
            }
            let tensor = Tensor::zeros(slot.dtype, &shape);
            results.push(tensor.map_err(|e| plain(e.to_string()))?);
        }
        let inputs: Vec<*const u8> = args.iter().map(|t| t.as_ptr()).collect();
        let mut outputs = Vec::with_capacity(results.len());
        for tensor in &mut results {
            outputs.push(tensor.as_mut_ptr().map_err(|e| plain(e.to_string()))?);
        }
        let arena = self.lock_arenas().pop().unwrap_or_default();
        let mut context = Context::new(pool, &arena, profile);
        // SAFETY: the tables have as many entries as the code reads, of the sizes that it was told.
        let status = unsafe {
            (self.code)(
                &mut context,
                inputs.as_ptr(),
                outputs.as_ptr(),
                table.as_ptr(),
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
        Ok(results)
    }

    fn lock_arenas(&self) -> std::sync::MutexGuard<'_, Vec<Arena>> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dim(&self, dim: Dim, value_of: &impl Fn(Sym) -> Option<i64>) -> Result<i64, RunError> {
        dim.eval(value_of).ok_or_else(|| {
            plain(format!(
                "`{}`: the size `{dim}` is too large, or divides by zero",
                self.name
            ))
        })
    }

    fn failure(&self, status: i32, context: &Context<'_>) -> RunError {
        let site = abi::site_of_status(status).and_then(|s| self.sites.get(s as usize));
        if let Some(site) = site {
            let shown = context.failure;
            return RunError {
                message: shown_message(&site.what, &[shown.a, shown.b]),
                loc: site.loc,
                bad_input: false,
            };
        }
        plain(match context.error_of_status(status) {
            Some(error) => error.to_string(),
            None => format!("the code returned the unknown status {status}"),
        })
    }

    /// What the shapes of the arguments bind the named dimensions to.
    fn bind(&self, args: &[&Tensor]) -> Result<HashMap<Sym, i64>, RunError> {
        if args.len() != self.params.len() {
            let (name, expected, found) = (self.name, self.params.len(), args.len());
            return Err(plain(format!(
                "`{name}` takes {expected} arguments, got {found}"
            )));
        }
        let mut sizes: HashMap<Sym, i64> = HashMap::new();
        for (slot, arg) in self.params.iter().zip(args) {
            if slot.dtype != arg.dtype() || slot.ty.rank() != arg.shape().len() {
                let (dtype, shape) = (arg.dtype(), arg.shape());
                return Err(plain(format!(
                    "`{}` is `{}`, got {dtype}{shape:?}",
                    slot.name, slot.ty
                )));
            }
            for (dim, &size) in slot.ty.shape().iter().zip(arg.shape()) {
                if let Some(sym) = dim.as_sym() {
                    sizes.entry(sym).or_insert(size as i64);
                }
            }
        }
        for (slot, arg) in self.params.iter().zip(args) {
            for (dim, &size) in slot.ty.shape().iter().zip(arg.shape()) {
                let expected = dim.eval(&|sym| sizes.get(&sym).copied());
                if expected != Some(size as i64) {
                    let expected = expected.map_or("unknown".into(), |e| e.to_string());
                    let name = slot.name;
                    return Err(plain(format!(
                        "`{name}`: `{dim}` is {expected}, got {size}"
                    )));
                }
            }
        }
        for require in &self.requires {
            let value = self.dim(require.dim, &|sym| sizes.get(&sym).copied())?;
            if !require.relation.holds(value) {
                return Err(RunError {
                    message: require.message.clone(),
                    loc: require.loc,
                    bad_input: true,
                });
            }
        }
        Ok(sizes)
    }
}

fn plain(message: String) -> RunError {
    RunError {
        message,
        loc: None,
        bad_input: true,
    }
}
