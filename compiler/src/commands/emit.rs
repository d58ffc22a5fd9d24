//! `aiai emit`

use aiai_ir::{PrintOptions, print_module};

use crate::cli::{Form, Global};
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
    let program = driver::load(&file, global)?;
    let dims = driver::parse_dims(dims)?;
    let mut entry = driver::entry(&program, function.unwrap_or("main"), &dims, global)?;
    let Form::Tensor = form;
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
    output::print(&print_module(&entry.module, PrintOptions { locations }));
    Ok(Outcome::Success)
}
