//! Findings as text for a terminal: message, source line, carets, both sides, help.
//!
//! Text from the source is escaped: no control or direction-changing character reaches the terminal.

use std::fmt::Write;

use super::Diagnostic;
use crate::span::{SourceMap, Span};

/// Longer source lines are cut around the place of interest.
const WIDTH: usize = 140;

/// The finding as several lines, each ended by a newline.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool) -> String {
    let paint = |style: &'static str, text: &str| {
        if color {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let mut out = String::new();
    let head = paint("1;31", &format!("error[{}]", diagnostic.code));
    let _ = writeln!(out, "{head}: {}", escape(&diagnostic.message));
    let mut places: Vec<(Span, &str, bool)> = vec![(diagnostic.span, &diagnostic.label, true)];
    places.extend(
        diagnostic
            .related
            .iter()
            .map(|(span, text)| (*span, text.as_str(), false)),
    );
    let last_line = |span: Span| sources.file(span.file).line_of(span.start) + 1;
    let margin = places
        .iter()
        .map(|p| last_line(p.0))
        .max()
        .unwrap_or(1)
        .to_string()
        .len();
    let mut shown_file = None;
    for (span, label, primary) in places {
        if shown_file != Some(span.file) || primary {
            let (line, column) = sources.file(span.file).line_column(span.start);
            let name = escape(sources.file(span.file).name.as_str());
            let arrow = if primary { "-->" } else { ":::" };
            let _ = writeln!(
                out,
                "{:margin$}{} {name}:{}:{}",
                "",
                paint("1;34", arrow),
                line,
                column
            );
            shown_file = Some(span.file);
        }
        snippet(&mut out, sources, span, label, primary, margin, &paint);
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(
            out,
            "{:margin$} {} {}",
            "",
            paint("1;34", "= help:"),
            escape(help)
        );
    }
    out
}

fn snippet(
    out: &mut String,
    sources: &SourceMap,
    span: Span,
    label: &str,
    primary: bool,
    margin: usize,
    paint: &impl Fn(&'static str, &str) -> String,
) {
    let file = sources.file(span.file);
    let number = file.line_of(span.start);
    let range = file.line_range(number);
    let (start, line) = (range.start as u32, &file.text[range]);
    let from = (span.start - start) as usize;
    let to = ((span.end.max(span.start + 1) - start) as usize)
        .min(line.len())
        .max(from);
    let from = from.min(line.len());
    let before = clip_before(&escape(&line[..from]));
    let marked = escape(&line[from..to]);
    let room = WIDTH.saturating_sub(before.chars().count());
    let marked: String = marked.chars().take(room.max(1)).collect();
    let after: String = escape(&line[to..])
        .chars()
        .take(room.saturating_sub(marked.chars().count()))
        .collect();
    let bar = paint("1;34", "|");
    let gutter = paint("1;34", &format!("{:margin$}", number + 1));
    let _ = writeln!(out, "{gutter} {bar} {before}{marked}{after}");
    let (mark, style) = if primary {
        ("^", "1;31")
    } else {
        ("-", "1;34")
    };
    let carets = mark.repeat(marked.chars().count().max(1));
    let label = if label.is_empty() {
        carets
    } else {
        format!("{carets} {}", escape(label))
    };
    let pad = " ".repeat(before.chars().count());
    let _ = writeln!(out, "{:margin$} {bar} {pad}{}", "", paint(style, &label));
}

/// The end of a long text, behind an ellipsis.
fn clip_before(text: &str) -> String {
    let count = text.chars().count();
    if count <= WIDTH / 2 {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count - WIDTH / 2).collect();
    format!("...{kept}")
}

/// The text with tabs widened and every character that could steer a terminal made visible.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() || is_direction_control(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that change the direction of text or hide in it.
pub(crate) fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Characters that are not seen: controls, those that change the direction of text, and the others
/// of no width.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || is_direction_control(c)
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}
