//! What goes where: results to standard output, progress and diagnostics to standard error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use aiai_frontend::diagnostics::escape;
use aiai_runtime::program::{Place, ProfileRow};

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

/// Prints a result. Where it cannot be written the program ends: quietly if the reader went away.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    if let Err(error) = write!(out, "{text}{newline}").and_then(|()| out.flush()) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        complain(&format!("standard output: {error}"));
        std::process::exit(3);
    }
}

/// Says on standard error what went wrong. No control character reaches the terminal, and long lines
/// are cut.
pub fn complain(message: &str) {
    const LINE: usize = 1000;
    for (number, line) in message.lines().enumerate() {
        let start = if number == 0 { "aiai: " } else { "" };
        // Nothing can be done where standard error is gone, too.
        let _ = writeln!(io::stderr(), "{start}{}", printable(line, LINE));
    }
}

/// Says something on standard error that is not an error.
pub fn note(line: &str) {
    const LINE: usize = 2000;
    let _ = writeln!(io::stderr(), "{}", printable(line, LINE));
}

/// A path as messages and results show it.
pub fn path(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

/// A text without what would move the cursor or colour the terminal, cut to a number of characters.
pub fn printable(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).collect();
    if out.len() < text.len() {
        out.push_str("...");
    }
    escape(&out)
}

/// A profile as a table, longest first.
pub fn profile(rows: &[ProfileRow]) -> String {
    let total: f64 = rows.iter().map(|r| r.seconds).sum();
    let mut out = String::from("      ms      %  calls  step                place\n");
    for row in rows {
        let place = row.place.as_ref().map_or(String::new(), Place::to_string);
        let share = 100.0 * row.seconds / total.max(1e-12);
        let milliseconds = row.seconds * 1e3;
        let (calls, what) = (row.calls, &row.what);
        out.push_str(&format!(
            "{milliseconds:8.3} {share:6.1} {calls:6}  {what:<18}  {place}\n"
        ));
    }
    out
}

/// Losses over epochs as a line plot.
pub fn plot(losses: &[f64]) -> String {
    use textplots::{Chart, Plot, Shape};
    let points: Vec<(f32, f32)> = losses
        .iter()
        .enumerate()
        .map(|(i, &loss)| (i as f32 + 1.0, loss as f32))
        .collect();
    if points.len() < 2 {
        return String::new();
    }
    let shape = Shape::Lines(&points);
    let mut chart = Chart::new(120, 40, 1.0, points.len() as f32);
    let chart = chart.lineplot(&shape);
    chart.axis();
    chart.figures();
    format!("loss by epoch\n{chart}\n")
}
