//! The programs that the language must express: they check without a finding.

use std::fs;
use std::path::Path;

use aiai_frontend::diagnostics::render;
use aiai_frontend::elaborate::{Loader, check};

/// The cases use nothing beside the standard library.
struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, path: &[&str]) -> Result<(String, String), String> {
        Err(format!("no file {}", path.join("/")))
    }
}

#[test]
fn the_programs_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/programs");
    let mut wrong = String::new();
    let mut count = 0;
    let mut files: Vec<_> = fs::read_dir(folder).expect("folder").flatten().collect();
    files.sort_by_key(|entry| entry.file_name());
    for entry in files {
        let text = fs::read_to_string(entry.path()).expect("readable");
        let program = check(&entry.file_name().to_string_lossy(), &text, &NoFiles);
        for diagnostic in program.diagnostics.iter() {
            wrong.push_str(&render(diagnostic, &program.sources, false));
            wrong.push('\n');
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(count, 12);
}
