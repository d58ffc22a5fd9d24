//! `aiai emit`

use aiai_codegen::Target;
use aiai_ir::{Function, PrintOptions, print_module};

use crate::cli::{Backend, Form, Global};
use crate::project::Project;
use crate::{Ended, Failure, Outcome, driver, llvm, output};

/// The passes that make and change loops, in order.
const LOOP_PASSES: &[&str] = &["lower", "memory"];

/// What to print, and how.
pub struct Options<'a> {
    pub form: Form,
    pub after: Option<&'a str>,
    pub dims: &'a [String],
    pub locations: bool,
    /// What machine code is for.
    pub processor: &'a str,
}

pub fn run(target: &str, options: &Options<'_>, global: &Global) -> Ended {
    let Options {
        form,
        after,
        locations,
        ..
    } = *options;
    let processor = Target::parse(options.processor).map_err(|e| Failure::input(e.to_string()))?;
    let (file, function) = driver::split_target(target);
    let project = Project::open(&file, global)?;
    let dims = driver::parse_dims(options.dims)?;
    let name = project.function(function, target)?;
    let mut entry = driver::entry(&project.program, &name, &dims, global)?;
    let (tensor, loops) = (aiai_passes::PASSES, LOOP_PASSES);
    let known = match form {
        Form::Tensor => [&["source"], tensor].concat(),
        Form::Loop => loops.to_vec(),
        Form::Mlir | Form::Llvm | Form::Asm => Vec::new(),
    };
    if known.is_empty() && after.is_some() {
        return Err(Failure::input(
            "`--after` goes with `--ir tensor` and `--ir loop`",
        ));
    }
    if let Some(pass) = after.filter(|p| !known.contains(p)) {
        return Err(Failure::input(format!(
            "unknown pass `{pass}`; at this level they are {}",
            known.join(", ")
        )));
    }
    if after != Some("source") {
        let options = aiai_passes::Options {
            verify_each: true,
            stop_after: after.filter(|_| form == Form::Tensor).map(str::to_owned),
        };
        driver::optimize(&mut entry, &options)?;
    }
    if form == Form::Loop {
        // What the backend that is asked for makes of it.
        let scheduled = global.backend == Backend::Llvm;
        let schedules = match scheduled {
            true => driver::schedules(&project.program, global)?,
            false => Vec::new(),
        };
        let weights = driver::weights(&entry);
        let lowering = aiai_codegen::lower::Lowering {
            check_nan: false,
            schedules: &schedules,
            weights: if scheduled { &weights } else { &[] },
            vectors: scheduled,
            inlined: if scheduled { aiai_mlir::INLINED } else { &[] },
        };
        let mut lowered = aiai_ir::Module::default();
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
        entry.module = lowered;
    }
    let text = match form {
        Form::Tensor | Form::Loop => print_module(&entry.module, PrintOptions { locations }),
        Form::Mlir | Form::Llvm | Form::Asm => {
            let Some(function) = entry.module.get(entry.name) else {
                unreachable!("the pipeline keeps the entry");
            };
            let options = aiai_codegen::Options {
                weights: driver::weights(&entry),
                schedules: driver::schedules(&project.program, global)?,
                ..Default::default()
            };
            if global.verbose {
                driver::explain_loops(function, &options, &processor)?;
            }
            driver::on_a_deep_stack(|| machine_text(function, &options, form, &processor))??
        }
    };
    output::print(&text);
    Ok(Outcome::Success)
}

/// The stages behind the loops.
fn machine_text(
    function: &Function,
    options: &aiai_codegen::Options,
    form: Form,
    processor: &Target,
) -> Result<String, Failure> {
    if form != Form::Mlir {
        return llvm::emit(function, options, form == Form::Asm, processor);
    }
    let loops = aiai_mlir::planned(function, options, processor);
    Ok(aiai_mlir::text(&loops, aiai_mlir::ENTRY, processor).module)
}
