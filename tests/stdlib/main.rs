//! The standard library's own tests pass in the reference evaluator.

use aiai_frontend::elaborate::{Loader, TestKind, check};
use aiai_ir::eval;

struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
        Err("there are no other files".into())
    }
}

#[test]
fn tests_of_the_library_hold() {
    let mut failures = Vec::new();
    let mut passed = 0;
    for (name, text) in aiai_frontend::stdlib::FILES {
        let program = check(name, text, &NoFiles);
        for (index, (kind, title)) in program.tests().iter().enumerate() {
            if *kind != TestKind::Test {
                continue;
            }
            let entry = program.test_entry(index, 0).expect("elaborates: another test says so");
            match eval::run(&entry.module, entry.name, &[], &eval::Options::default()) {
                Ok(_) => passed += 1,
                Err(e) => failures.push(format!("{name}: {title}: {e} at {:?}", e.loc)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 15, "only {passed} tests ran");
}
