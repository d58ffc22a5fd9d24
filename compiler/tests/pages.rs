//! The programs on the pages for users are true: they check, and their tests pass.

use std::path::Path;
use std::process::Command;

/// The blocks of a page that are marked as programs.
fn programs(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (None, "```aiai") => open = Some(String::new()),
            (Some(_), "```") => found.extend(open.take()),
            (Some(program), line) => {
                program.push_str(line);
                program.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

#[test]
fn programs_on_pages_pass_their_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let mut findings = Vec::new();
    for page in ["README.md", "docs/language.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let programs = programs(&text);
        assert!(!programs.is_empty(), "{page} shows no program");
        for (at, program) in programs.iter().enumerate() {
            let file = folder.path().join(format!("program_{at}.aiai"));
            std::fs::write(&file, program).unwrap();
            for command in ["check", "test"] {
                let mut aiai = Command::new(env!("CARGO_BIN_EXE_aiai"));
                let done = aiai.arg(command).arg(&file).output().unwrap();
                if !done.status.success() {
                    let (out, err) = (done.stdout, done.stderr);
                    let said = String::from_utf8_lossy(&[out, err].concat()).into_owned();
                    findings.push(format!("{page}, program {at}, {command}:\n{program}{said}"));
                }
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
}

#[test]
fn the_commands_of_the_readme_work_in_their_order() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(readme).expect("the page");
    let commands: Vec<&str> = text.lines().filter(|l| l.starts_with("aiai ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    let folder = tempfile::tempdir().expect("a folder");
    for command in commands {
        let words = command.split_whitespace().take_while(|w| *w != "#");
        let ran = Command::new(env!("CARGO_BIN_EXE_aiai"))
            .args(words.skip(1))
            .current_dir(folder.path())
            .output()
            .expect("the binary runs");
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{command}: {error}");
    }
}
