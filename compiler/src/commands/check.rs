//! `aiai check`

use std::path::PathBuf;

use crate::cli::Global;
use crate::{Ended, Outcome, driver, output};

pub fn run(files: &[PathBuf], global: &Global) -> Ended {
    let mut outcome = Outcome::Success;
    for file in files {
        let program = driver::parse(file)?;
        if !program.diagnostics.is_empty() {
            driver::report(&program, &program.diagnostics, global);
            outcome = Outcome::BadInput;
        } else if global.json {
            driver::report(&program, &program.diagnostics, global);
        } else {
            output::print(&format!("{}: ok", output::path(file)));
        }
    }
    Ok(outcome)
}
