//! `aiai emit`

use std::path::Path;

use aiai_codegen::Target;
use aiai_frontend::elaborate::Entry;
use aiai_ir::{Function, Module, PrintOptions, Stage, mlir, print_module, verify};

use crate::cli::{Backend, Form, Global};
use crate::files::read_text;
use crate::project::Project;
use crate::{Ended, Failure, Outcome, driver, llvm, output, rules};

/// The passes that make and change loops, in order.
const LOOP_PASSES: &[&str] = &["lower", "memory"];

/// What to print, and how.
pub struct Options<'a> {
    pub form: Form,
    pub after: Option<&'a str>,
    pub dims: &'a [String],
    pub locations: bool,
    /// Print which rules fire instead.
    pub firings: bool,
    /// What machine code is for.
    pub processor: &'a str,
}

/// What the forms show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Dialect,
    Tensor,
    Loop,
    Machine,
}

impl Form {
    fn level(self) -> Level {
        match self {
            Form::Irdl => Level::Dialect,
            Form::Tensor | Form::Mlir => Level::Tensor,
            Form::Loop | Form::MlirLoop => Level::Loop,
            Form::MlirLlvm | Form::Llvm | Form::Asm => Level::Machine,
        }
    }
}

pub fn run(target: Option<&str>, options: &Options<'_>, global: &Global) -> Ended {
    let processor = Target::parse(options.processor).map_err(|e| Failure::input(e.to_string()))?;
    check_pass(options)?;
    if options.form == Form::Irdl {
        output::print(&mlir::declaration());
        return Ok(Outcome::Success);
    }
    let target = target.ok_or_else(|| Failure::input("emit what? Name a file"))?;
    let (file, function) = driver::split_target(target);
    let text = if file.extension().is_none_or(|e| e != "mlir") {
        compiled(target, options, &processor, global)?
    } else if let Some(function) = function {
        let shown = output::path(&file);
        let message = format!("{shown} is printed as a whole: leave out `:{function}`");
        return Err(Failure::input(message));
    } else {
        imported(&file, options)?
    };
    output::print(&text);
    Ok(Outcome::Success)
}

/// Whether the pass to stop behind is one of the level.
fn check_pass(options: &Options<'_>) -> Result<(), Failure> {
    let known = match options.form.level() {
        Level::Tensor => [&["source"], aiai_passes::PASSES].concat(),
        Level::Loop => LOOP_PASSES.to_vec(),
        Level::Dialect | Level::Machine => Vec::new(),
    };
    if known.is_empty() && options.after.is_some() {
        return Err(Failure::input(
            "`--after` goes with `--ir tensor`, `--ir loop`, `--ir mlir` and `--ir mlir-loop`",
        ));
    }
    match options.after.filter(|p| !known.contains(p)) {
        Some(pass) => Err(Failure::input(format!(
            "unknown pass `{pass}`; at this level they are {}",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

/// A module of MLIR, as it is.
fn imported(file: &Path, options: &Options<'_>) -> Result<String, Failure> {
    let shown = output::path(file);
    if options.after.is_some() || !options.dims.is_empty() {
        let message =
            format!("{shown}: `--after` and `--dim` go with programs; this is printed as it is");
        return Err(Failure::input(message));
    }
    let source = read_text(file)?;
    driver::on_a_deep_stack(|| {
        let (module, stage) =
            mlir::import(&source).map_err(|e| Failure::input(format!("{shown}:{e}")))?;
        let fits = match options.form.level() {
            Level::Tensor => stage != Stage::Loop,
            Level::Loop => stage == Stage::Loop || verify(&module, Stage::Loop).is_ok(),
            Level::Dialect | Level::Machine => false,
        };
        if fits {
            return Ok(module_text(&module, options));
        }
        let what = match stage {
            Stage::Loop => "loops: `--ir loop` or `--ir mlir-loop` prints them",
            Stage::Source | Stage::Differentiated | Stage::Primitive | Stage::Fused => {
                "tensors: `--ir tensor` or `--ir mlir` prints them"
            }
        };
        Err(Failure::input(format!("{shown} holds {what}")))
    })?
}

/// A program behind the passes asked for.
fn compiled(
    target: &str,
    options: &Options<'_>,
    processor: &Target,
    global: &Global,
) -> Result<String, Failure> {
    let Options { form, after, .. } = *options;
    let (file, function) = driver::split_target(target);
    let project = Project::open(&file, global)?;
    let dims = driver::parse_dims(options.dims)?;
    let name = project.function(function, target)?;
    let mut entry = driver::entry(&project.program, &name, &dims, global)?;
    if after != Some("source") {
        let passes = aiai_passes::Options {
            verify_each: true,
            stop_after: after
                .filter(|_| form.level() == Level::Tensor)
                .map(str::to_owned),
            ..rules::options(global)?
        };
        let report = driver::on_a_deep_stack(|| driver::optimize(&mut entry, &passes))??;
        if options.firings {
            return Ok(match global.json {
                true => rules::described(&report.trace).to_string(),
                false => rules::text(&report.trace),
            });
        }
        if global.verbose {
            rules::explain(&report.trace);
        }
    }
    match form.level() {
        Level::Dialect | Level::Tensor => {}
        Level::Loop => entry.module = loops(&entry, &project, after, global)?,
        Level::Machine => {
            let Some(function) = entry.module.get(entry.name) else {
                unreachable!("the pipeline keeps the entry");
            };
            let options = aiai_codegen::Options {
                weights: driver::weights(&entry),
                schedules: driver::schedules(&project.program, global)?,
                ..Default::default()
            };
            if global.verbose {
                driver::explain_loops(function, &options, processor)?;
            }
            let text = || machine_text(function, &options, form, processor);
            return driver::on_a_deep_stack(text)?;
        }
    }
    Ok(module_text(&entry.module, options))
}

fn module_text(module: &Module, options: &Options<'_>) -> String {
    let locations = options.locations;
    match options.form {
        Form::Mlir | Form::MlirLoop => mlir::export(module, PrintOptions { locations }),
        Form::Tensor | Form::Loop | Form::Irdl | Form::MlirLlvm | Form::Llvm | Form::Asm => {
            print_module(module, PrintOptions { locations })
        }
    }
}

/// What the backend that is asked for makes of a program behind all passes.
fn loops(
    entry: &Entry,
    project: &Project,
    after: Option<&str>,
    global: &Global,
) -> Result<Module, Failure> {
    let scheduled = global.backend == Backend::Llvm;
    let schedules = match scheduled {
        true => driver::schedules(&project.program, global)?,
        false => Vec::new(),
    };
    let target = aiai_codegen::Target::host();
    let schedules: Vec<_> = schedules
        .into_iter()
        .filter(|s| s.is_for(|feature| target.has(feature)))
        .collect();
    let weights = driver::weights(entry);
    let lowering = aiai_codegen::lower::Lowering {
        check_nan: false,
        schedules: &schedules,
        weights: if scheduled { &weights } else { &[] },
        inlined: if scheduled {
            aiai_codegen::lower::INLINED
        } else {
            &[]
        },
    };
    let mut lowered = Module::default();
    for function in entry.module.functions.values() {
        let loops = aiai_codegen::lower::lower_with(function, &lowering);
        let prepare = loops.prepare.map(|mut function| {
            let name = aiai_runtime::abi::prepare_symbol(function.name.as_str());
            function.name = name.as_str().into();
            function
        });
        for mut function in std::iter::once(loops.main).chain(prepare) {
            if after != Some("lower") {
                aiai_codegen::memory::plan(&mut function);
            }
            lowered.insert(function);
        }
    }
    Ok(lowered)
}

/// The stages behind the loops.
fn machine_text(
    function: &Function,
    options: &aiai_codegen::Options,
    form: Form,
    processor: &Target,
) -> Result<String, Failure> {
    if form != Form::MlirLlvm {
        return llvm::emit(function, options, form == Form::Asm, processor);
    }
    let loops = aiai_mlir::planned(function, options, processor);
    Ok(aiai_mlir::text(&loops, aiai_mlir::ENTRY, processor).module)
}
