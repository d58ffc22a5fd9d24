//! `aiai fmt`

use std::io::Write;
use std::path::{Path, PathBuf};

use aiai_frontend::diagnostics::render;
use aiai_frontend::fmt::format;
use aiai_frontend::span::SourceMap;
use aiai_runtime::files::write_atomically;

use crate::cli::Global;
use crate::files::read_text;
use crate::{Ended, Failure, Outcome, output};

pub fn run(check: bool, files: &[PathBuf], global: &Global) -> Ended {
    let mut outcome = Outcome::Success;
    for file in files {
        let text = read_text(file)?;
        let mut sources = SourceMap::default();
        let id = sources.add(file.to_string_lossy().as_ref(), text.as_str());
        match format(&text, id) {
            Ok(formatted) if formatted == text => {}
            Ok(_) if check => {
                output::print(&format!("{}: not formatted", output::path(file)));
                if outcome != Outcome::BadInput {
                    outcome = Outcome::Finding;
                }
            }
            Ok(formatted) => replace(file, &formatted)?,
            Err(found) => {
                for diagnostic in found.iter() {
                    eprintln!("{}", render(diagnostic, &sources, output::colored(global)));
                }
                outcome = Outcome::BadInput;
            }
        }
    }
    Ok(outcome)
}

/// The file is never half-written.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    write_atomically(file, |to| to.write_all(text.as_bytes())).map_err(|e| Failure::output(&e))
}
