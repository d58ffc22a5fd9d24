//! What goes where: results to standard output, progress and diagnostics to standard error.

use std::io::{self, IsTerminal, Write};

use crate::cli::{Global, When};

/// A reader that goes away ends the program quietly.
pub fn quiet_pipes() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info
            .payload()
            .downcast_ref::<String>()
            .map_or("", String::as_str);
        if text.contains("Broken pipe") {
            std::process::exit(0);
        }
        eprintln!("aiai: internal error: this is a bug in aiai, not in your program");
        default(info);
    }));
}

/// Whether diagnostics are coloured.
pub fn colored(global: &Global) -> bool {
    match global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// Prints a result.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    if write!(out, "{text}{newline}")
        .and_then(|()| out.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}
