//! Findings as text for a terminal: message, source lines, carets with both sides' labels, help.
//!
//! Text from the source is escaped: no control or direction-changing character reaches the terminal.

use std::fmt::Write;

use super::Diagnostic;
use crate::span::{FileId, SourceMap, Span};

/// Longer source lines are cut around the place of interest.
const WIDTH: usize = 140;

/// Red and bold: the finding and its primary place.
const PRIMARY: &str = "1;31";
/// Blue and bold: margins and the other places.
const SECONDARY: &str = "1;34";

/// The finding as several lines, each ended by a newline.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, color: bool) -> String {
    let mut marks = vec![Mark {
        span: diagnostic.span,
        label: &diagnostic.label,
        primary: true,
    }];
    let related = diagnostic.related.iter();
    marks.extend(related.map(|(span, label)| Mark {
        span: *span,
        label,
        primary: false,
    }));
    let number = |mark: &Mark| sources.file(mark.span.file).line_of(mark.span.start) + 1;
    let margin = marks
        .iter()
        .map(number)
        .max()
        .unwrap_or(1)
        .to_string()
        .len();
    let mut renderer = Renderer {
        sources,
        color,
        margin,
        out: String::new(),
    };
    renderer.head(diagnostic);
    let mut files: Vec<FileId> = Vec::new();
    for mark in &marks {
        if !files.contains(&mark.span.file) {
            files.push(mark.span.file);
        }
    }
    for file in files {
        let marks = marks
            .iter()
            .filter(|mark| mark.span.file == file)
            .copied()
            .collect();
        renderer.file(marks);
    }
    if let Some(help) = &diagnostic.help {
        let equals = renderer.paint(SECONDARY, "= help:");
        let _ = writeln!(renderer.out, "{:margin$} {equals} {}", "", escape(help));
    }
    renderer.out
}

/// A place to point at.
#[derive(Clone, Copy)]
struct Mark<'a> {
    span: Span,
    label: &'a str,
    primary: bool,
}

struct Renderer<'a> {
    sources: &'a SourceMap,
    color: bool,
    /// Columns of the line numbers.
    margin: usize,
    out: String,
}

impl Renderer<'_> {
    fn paint(&self, style: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn head(&mut self, diagnostic: &Diagnostic) {
        let head = self.paint(PRIMARY, &format!("error[{}]", diagnostic.code));
        let _ = writeln!(self.out, "{head}: {}", escape(&diagnostic.message));
    }

    /// The marks of one file, in the order of their lines.
    fn file(&mut self, mut marks: Vec<Mark>) {
        let main = marks
            .iter()
            .find(|mark| mark.primary)
            .or(marks.first())
            .copied();
        let Some(main) = main else { return };
        let file = self.sources.file(main.span.file);
        let (line, column) = file.line_column(main.span.start);
        let arrow = self.paint(SECONDARY, if main.primary { "-->" } else { ":::" });
        let name = escape(file.name.as_str());
        let margin = self.margin;
        let _ = writeln!(self.out, "{:margin$}{arrow} {name}:{line}:{column}", "");
        self.bar();
        marks.sort_by_key(|mark| (file.line_of(mark.span.start), !mark.primary, mark.span));
        let mut last: Option<usize> = None;
        while let Some(first) = marks.first() {
            let number = file.line_of(first.span.start);
            let count = marks
                .iter()
                .take_while(|m| file.line_of(m.span.start) == number)
                .count();
            if last.is_some_and(|last| last + 1 < number) {
                let dots = self.paint(SECONDARY, "...");
                let _ = writeln!(self.out, "{dots}");
            }
            let on_line: Vec<Mark> = marks.drain(..count).collect();
            self.line(number, &on_line);
            last = Some(number);
        }
    }

    fn bar(&mut self) {
        let bar = self.paint(SECONDARY, "|");
        let margin = self.margin;
        let _ = writeln!(self.out, "{:margin$} {bar}", "");
    }

    /// A source line, and a line of carets for each mark. The line is cut if it is long.
    fn line(&mut self, number: usize, marks: &[Mark]) {
        let Some(first) = marks.first() else { return };
        let file = self.sources.file(first.span.file);
        let range = file.line_range(number);
        let line = &file.text[range.clone()];
        let at = |offset: u32| clamp(line, (offset as usize).saturating_sub(range.start));
        let window = window(line, at(first.span.start));
        let (bar, margin) = (self.paint(SECONDARY, "|"), self.margin);
        let shown = format!("{:margin$}", number + 1);
        let gutter = self.paint(SECONDARY, &shown);
        let dots = if window.start > 0 { "..." } else { "" };
        let _ = writeln!(
            self.out,
            "{gutter} {bar} {dots}{}",
            escape(&line[window.clone()])
        );
        for mark in marks {
            let (from, to) = (at(mark.span.start), at(mark.span.end));
            if !window.contains(&from) && from != window.end {
                continue;
            }
            let before = escape(&line[window.start..from]).chars().count() + dots.len();
            let marked = escape(&line[from..to.clamp(from, window.end)])
                .chars()
                .count()
                .max(1);
            let (sign, style) = if mark.primary {
                ("^", PRIMARY)
            } else {
                ("-", SECONDARY)
            };
            let space = if mark.label.is_empty() { "" } else { " " };
            let text = format!("{}{space}{}", sign.repeat(marked), escape(mark.label));
            let text = self.paint(style, &text);
            let _ = writeln!(self.out, "{:margin$} {bar} {:before$}{text}", "", "");
        }
    }
}

/// The nearest boundary of a character at or before `offset`.
fn clamp(line: &str, offset: usize) -> usize {
    let mut offset = offset.min(line.len());
    while !line.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The bytes of a line that are shown: all of it, or as much as fits around `focus`.
fn window(line: &str, focus: usize) -> std::ops::Range<usize> {
    let start = if line.len() <= WIDTH {
        0
    } else {
        clamp(line, focus.saturating_sub(WIDTH / 2))
    };
    start..clamp(line, start + WIDTH)
}

/// The text with tabs widened and every character that could steer a terminal made visible.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if is_hidden(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that are not seen: controls, those that change the direction of text, and the others
/// of no width.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}
