//! What executes a program: the reference evaluator, or machine code.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use aiai_codegen::Target;
use aiai_frontend::elaborate::{Entry, Program};
use aiai_ir::eval::{self, Array};
use aiai_ir::ops::is_access;
use aiai_ir::{Loc, Module, Schedule, Sym};
use aiai_runtime::program::{self, Executable, ProfileRow};
use aiai_runtime::{Pool, Tensor};

use crate::cli::{Backend, Global};
use crate::{Failure, Outcome, driver, llvm, rules};

/// A backend with its threads: prepares entries.
pub struct Engine {
    backend: Backend,
    pool: Pool,
    /// How computations become loops.
    schedules: Vec<Schedule>,
    /// What the passes do.
    passes: aiai_passes::Options,
    verbose: bool,
}

/// An entry that is ready to run, again and again.
pub struct Prepared<'e> {
    engine: &'e Engine,
    code: Code,
    /// How long the passes and the compilation took.
    pub prepared_in: Duration,
}

enum Code {
    Interp {
        module: Module,
        entry: Sym,
    },
    Native {
        code: Box<Executable>,
        /// Weights as the code reads them, once they are loaded.
        weights: OnceCell<program::Prepared>,
    },
}

/// Why a run failed, and where in the source.
#[derive(Clone, Debug)]
pub struct RunError {
    pub message: String,
    pub loc: Option<Loc>,
    /// The arguments do not fit, or are too large: the program itself found nothing wrong.
    pub bad_input: bool,
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(l) = &self.loc {
            write!(f, "{}:{}:{}: ", l.file, l.line, l.column)?;
        }
        f.write_str(&self.message)
    }
}

impl From<program::RunError> for RunError {
    fn from(error: program::RunError) -> RunError {
        RunError {
            message: error.message,
            loc: error.place.map(|place| Loc {
                file: Sym::new(&place.file),
                line: place.line,
                column: place.column,
            }),
            bad_input: error.bad_input,
        }
    }
}

impl From<eval::EvalError> for RunError {
    fn from(error: eval::EvalError) -> RunError {
        RunError {
            message: error.message,
            loc: error.loc,
            bad_input: error.bad_input,
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        // What is read outside a tensor comes from the numbers of an argument more often than not.
        Failure {
            outcome: if error.bad_input || is_access(&error.message) {
                Outcome::BadInput
            } else {
                Outcome::Finding
            },
            message: error.to_string(),
        }
    }
}

/// The threads that the command line asks for.
pub fn pool(global: &Global) -> Result<Pool, Failure> {
    let pool = match global.threads {
        Some(threads) => Pool::new(threads.into()),
        None => Pool::with_all_cores(),
    };
    pool.map_err(|e| Failure::environment(e.to_string()))
}

impl Engine {
    /// The backend and the number of threads that the command line asks for.
    pub fn new(global: &Global) -> Result<Engine, Failure> {
        Ok(Engine {
            backend: global.backend,
            pool: pool(global)?,
            schedules: Vec::new(),
            passes: rules::options(global)?,
            verbose: global.verbose,
        })
    }

    /// The same with the schedules for a program, where the backend has use for them.
    pub fn for_program(program: &Program, global: &Global) -> Result<Engine, Failure> {
        let mut engine = Engine::new(global)?;
        engine.turn_to(program, global)?;
        Ok(engine)
    }

    /// Takes the schedules of another program.
    pub fn turn_to(&mut self, program: &Program, global: &Global) -> Result<(), Failure> {
        if self.backend == Backend::Llvm {
            self.schedules = driver::schedules(program, global)?;
        }
        Ok(())
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Optimises and compiles an entry. The evaluator has neither profile nor checks for NaN.
    pub fn prepare(
        &self,
        entry: &Entry,
        options: &aiai_codegen::Options,
    ) -> Result<Prepared<'_>, Failure> {
        if self.backend == Backend::Interp && (options.profile || options.check_nan) {
            return Err(Failure::input(
                "`--profile` and `--check-nan` need `--backend cranelift`",
            ));
        }
        let start = Instant::now();
        let mut entry = entry.clone();
        let report = driver::on_a_deep_stack(|| driver::optimize(&mut entry, &self.passes))??;
        if self.verbose {
            rules::explain(&report.trace);
        }
        let code = match self.backend {
            Backend::Interp => Code::Interp {
                module: entry.module,
                entry: entry.name,
            },
            Backend::Cranelift | Backend::Llvm => {
                let Some(function) = entry.module.get(entry.name) else {
                    unreachable!("the pipeline keeps the entry");
                };
                let mut options = options.clone();
                options.schedules.clone_from(&self.schedules);
                let options = &options;
                if self.verbose && self.backend == Backend::Llvm {
                    driver::explain_loops(function, options, &Target::host())?;
                }
                let code = driver::on_a_deep_stack(|| match self.backend {
                    Backend::Llvm => llvm::compile(function, options),
                    Backend::Interp | Backend::Cranelift => {
                        aiai_codegen::compile(function, options)
                            .map_err(|e| Failure::environment(e.to_string()))
                    }
                })??;
                Code::Native {
                    code: Box::new(code),
                    weights: OnceCell::new(),
                }
            }
        };
        Ok(Prepared {
            engine: self,
            code,
            prepared_in: start.elapsed(),
        })
    }
}

impl Prepared<'_> {
    /// Brings the weights among these arguments into the order in which the code reads them. From then on every
    /// run is given the same ones.
    pub fn load(&self, args: &[&Tensor]) -> Result<(), RunError> {
        if let Code::Native { code, weights } = &self.code {
            let args: Vec<Option<&Tensor>> = args.iter().map(|&t| Some(t)).collect();
            let _ = weights.set(code.prepare(&args, &self.engine.pool)?);
        }
        Ok(())
    }

    /// Runs the entry on the leaves of its parameters; gives the leaves of its result.
    pub fn run(&self, args: &[&Tensor]) -> Result<Vec<Tensor>, RunError> {
        match &self.code {
            Code::Interp { module, entry } => {
                let options = eval::Options::default();
                if let Some(large) = args.iter().find(|t| t.len() > options.max_elements) {
                    return Err(RunError {
                        message: format!(
                            "a tensor of shape {:?} is too large for the evaluator",
                            large.shape()
                        ),
                        loc: None,
                        bad_input: true,
                    });
                }
                let args: Vec<Array> = args.iter().map(|t| array_of(t)).collect();
                let results = eval::run(module, *entry, &args, &options);
                let results = results.map_err(RunError::from)?;
                let tensors: Result<_, _> = results.iter().map(tensor_of).collect();
                tensors.map_err(|e| RunError {
                    message: e.to_string(),
                    loc: None,
                    bad_input: true,
                })
            }
            Code::Native { code, weights } => {
                let pool = &self.engine.pool;
                let results = match weights.get() {
                    Some(weights) => code.run_prepared(args, weights, pool),
                    None => code.run(args, pool),
                };
                results.map_err(RunError::from)
            }
        }
    }

    /// The same, with how long each step took where the entry was prepared for that.
    pub fn run_profiled(
        &self,
        args: &[&Tensor],
    ) -> Result<(Vec<Tensor>, Vec<ProfileRow>), RunError> {
        match &self.code {
            Code::Interp { .. } => Ok((self.run(args)?, Vec::new())),
            Code::Native { code, .. } if code.program().packed.is_empty() => {
                Ok(code.run_profiled(args, &self.engine.pool)?)
            }
            // The backend that packs weights has no profile.
            Code::Native { .. } => Ok((self.run(args)?, Vec::new())),
        }
    }

    /// The most memory that a run took beside its arguments and results, where that is known.
    pub fn peak_bytes(&self) -> Option<usize> {
        match &self.code {
            Code::Interp { .. } => None,
            Code::Native { code, .. } => Some(code.peak_bytes()),
        }
    }
}

/// A failure as the evaluator tells it, with the elements that differ, where it fails at the same place.
pub fn explained(entry: &Entry, error: RunError, args: &[Tensor]) -> RunError {
    let options = eval::Options {
        max_elements: 1 << 20,
        max_steps: 1 << 26,
        ..Default::default()
    };
    let mut entry = entry.clone();
    let large = args.iter().any(|t| t.len() > options.max_elements);
    if large || driver::optimize(&mut entry, &aiai_passes::Options::default()).is_err() {
        return error;
    }
    let args: Vec<Array> = args.iter().map(array_of).collect();
    match eval::run(&entry.module, entry.name, &args, &options) {
        Err(told) if told.loc == error.loc => told.into(),
        _ => error,
    }
}

/// The runtime's name of a dtype.
pub fn runtime_dtype(dtype: aiai_ir::DType) -> aiai_runtime::DType {
    aiai_runtime::DType::ALL[dtype as usize]
}

fn ir_dtype(dtype: aiai_runtime::DType) -> aiai_ir::DType {
    aiai_ir::DType::ALL[dtype as usize]
}

/// The elements of a tensor as the evaluator holds them.
pub fn array_of(tensor: &Tensor) -> Array {
    let (dtype, shape) = (ir_dtype(tensor.dtype()), tensor.shape().to_vec());
    let array = Array::from_bytes(dtype, shape, tensor.bytes());
    array.unwrap_or_else(|| unreachable!("a tensor has as many bytes as its shape takes"))
}

/// An array of the evaluator as a tensor.
pub fn tensor_of(array: &Array) -> aiai_runtime::Result<Tensor> {
    let dtype = runtime_dtype(array.dtype);
    Tensor::from_bytes(dtype, &array.shape, &array.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtypes_have_the_same_order_in_both_crates() {
        for dtype in aiai_ir::DType::ALL {
            assert_eq!(dtype.name(), runtime_dtype(dtype).name());
            assert_eq!(ir_dtype(runtime_dtype(dtype)), dtype);
        }
    }
}
