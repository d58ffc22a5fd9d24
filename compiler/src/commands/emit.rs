//! `aiai emit`

use aiai_ir::{PrintOptions, print_module};

use crate::cli::{Form, Global};
use crate::project::Project;
use crate::{Ended, Failure, Outcome, driver, output};

pub fn run(
    target: &str,
    form: Form,
    after: Option<&str>,
    dims: &[String],
    locations: bool,
    global: &Global,
) -> Ended {
    let (file, function) = driver::split_target(target);
    let project = Project::open(&file, global)?;
    let dims = driver::parse_dims(dims)?;
    let name = function.unwrap_or(&project.config.model.entry);
    let mut entry = driver::entry(&project.program, name, &dims, global)?;
    if form == Form::Loop && after.is_some() {
        return Err(Failure::input(
            "`--ir loop` is what comes after all passes; `--after` goes with `--ir tensor`",
        ));
    }
    if after != Some("source") {
        if let Some(pass) = after.filter(|p| !aiai_passes::PASSES.contains(p)) {
            let known = aiai_passes::PASSES.join(", ");
            return Err(Failure::input(format!(
                "unknown pass `{pass}`; the passes are source, {known}"
            )));
        }
        let options = aiai_passes::Options {
            verify_each: true,
            stop_after: after.map(str::to_owned),
        };
        driver::optimize(&mut entry, &options)?;
    }
    if form == Form::Loop {
        let mut lowered = aiai_ir::Module::default();
        for function in entry.module.functions.values() {
            lowered.insert(aiai_codegen::lower::lower(function, false));
        }
        entry.module = lowered;
    }
    output::print(&print_module(&entry.module, PrintOptions { locations }));
    Ok(Outcome::Success)
}
