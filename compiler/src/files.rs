//! Reading source files: the only way from disk into the front end.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aiai_frontend::elaborate::Loader;
use aiai_frontend::span::MAX_FILE_BYTES;

use crate::Failure;

/// Loads files beside the file that uses them.
pub struct Disk;

impl Loader for Disk {
    fn load(&self, from: &str, path: &[&str]) -> Result<(String, String), String> {
        let mut file: PathBuf = Path::new(from).parent().unwrap_or(Path::new("")).to_owned();
        file.extend(path);
        file.set_extension("aiai");
        let text = read_text(&file).map_err(|e| e.message)?;
        Ok((file.to_string_lossy().into_owned(), text))
    }
}

/// The source files that paths name: of a folder, every `.aiai` file in it and below, in order.
/// Names that begin with a dot are passed over, and so are links to folders.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        collect(path, &mut found)?;
        if found.len() == before {
            let shown = path.display();
            return Err(Failure::input(format!("{shown}: no `.aiai` file in it")));
        }
    }
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let failed = |e: std::io::Error| Failure::input(format!("{}: {e}", path.display()));
    let mut entries = Vec::new();
    for entry in path.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        let source = path.extension().is_some_and(|e| e == "aiai") && !kind.is_dir();
        if !hidden && (kind.is_dir() || source) {
            entries.push(path);
        }
    }
    entries.sort_unstable();
    entries.iter().try_for_each(|entry| collect(entry, found))
}

/// The text of a source file. A file that is too large, missing, or not UTF-8 is an error.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| Failure::input(format!("{shown}: {e}")))?;
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES as u64 + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::input(format!("{shown}: {e}")))?;
    if bytes.len() as u64 >= limit {
        return Err(Failure::input(format!(
            "{shown}: larger than {MAX_FILE_BYTES} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        Failure::input(format!(
            "error[E0004]: {shown}:{line}: not UTF-8 text (byte {at})"
        ))
    })
}
