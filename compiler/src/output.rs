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

/// A text without what would move the cursor or colour the terminal, cut to a number of characters.
pub fn printable(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        out.push_str("...");
    }
    out
}

/// A profile as a table, longest first.
pub fn profile(rows: &[aiai_codegen::ProfileRow]) -> String {
    let total: f64 = rows.iter().map(|r| r.seconds).sum();
    let mut out = String::from("      ms      %  calls  step                place\n");
    for row in rows {
        let place = match row.loc {
            Some(l) => format!("{}:{}:{}", l.file, l.line, l.column),
            None => String::new(),
        };
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
