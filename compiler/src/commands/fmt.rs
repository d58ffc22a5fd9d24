//! `aiai fmt`

use std::path::{Path, PathBuf};

use aiai_frontend::diagnostics::render;
use aiai_frontend::fmt::format;
use aiai_frontend::span::SourceMap;

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
                output::print(&format!("{}: not formatted", file.display()));
                outcome = Outcome::Finding;
            }
            Ok(formatted) => replace(file, &formatted)?,
            Err(found) => {
                for diagnostic in found.iter() {
                    eprintln!("{}", render(diagnostic, &sources, output::colored(global)));
                }
                return Ok(Outcome::BadInput);
            }
        }
    }
    Ok(outcome)
}

/// Writes beside the file, then renames: the file is never half-written.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    let shown = file.display();
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, file))
        .map_err(|e| Failure::environment(format!("{shown}: {e}")))
}
