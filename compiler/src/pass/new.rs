//! `aiai pass new`

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use crate::{Ended, Failure, Outcome, output};

const TEMPLATE: &str = include_str!("new.aiai");

pub fn run(name: &str) -> Ended {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !first || !name.chars().all(plain) {
        return Err(Failure::input(format!(
            "`{name}` is no name of a rule: small letters, digits and `_`, a letter first"
        )));
    }
    let path = PathBuf::from(format!("{name}.aiai"));
    let text = TEMPLATE.replace("my_rule", name);
    if aiai_frontend::fmt::format(&text, aiai_frontend::span::FileId(0)).is_err() {
        return Err(Failure::input(format!(
            "`{name}` is a word of the language and names no rule"
        )));
    }
    let made = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    match made {
        Ok(()) => {
            output::print(&format!(
                "{}: change it, then `aiai pass check {}`",
                path.display(),
                path.display()
            ));
            Ok(Outcome::Success)
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Failure::input(format!(
            "{}: it exists already",
            path.display()
        ))),
        Err(e) => Err(Failure::environment(format!("{}: {e}", path.display()))),
    }
}
