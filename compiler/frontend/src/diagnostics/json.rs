//! Findings as JSON, one object per finding. Schema version 1.

use std::fmt::Write;

use super::Diagnostics;
use crate::span::{SourceMap, Span};

/// `{"schema": 1, "diagnostics": [...]}` with code, message, place, label, related places and help.
pub fn to_json(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let items: Vec<String> = diagnostics
        .iter()
        .map(|d| {
            let related: Vec<String> = d
                .related
                .iter()
                .map(|(span, text)| {
                    format!("{{{}, \"text\": {}}}", place(sources, *span), quote(text))
                })
                .collect();
            let help = d.help.as_ref().map_or("null".into(), |h| quote(h));
            format!(
                "{{\"code\": {}, \"message\": {}, {}, \"label\": {}, \"related\": [{}], \"help\": {help}}}",
                quote(d.code),
                quote(&d.message),
                place(sources, d.span),
                quote(&d.label),
                related.join(", ")
            )
        })
        .collect();
    format!(
        "{{\"schema\": 1, \"diagnostics\": [{}], \"omitted\": {}}}",
        items.join(", "),
        diagnostics.omitted
    )
}

fn place(sources: &SourceMap, span: Span) -> String {
    let file = sources.file(span.file);
    let (line, column) = file.line_column(span.start);
    let (end_line, end_column) = file.line_column(span.end);
    format!(
        "\"file\": {}, \"line\": {}, \"column\": {}, \"end_line\": {}, \"end_column\": {}, \"start\": {}, \"end\": {}",
        quote(file.name.as_str()),
        line,
        column,
        end_line,
        end_column,
        span.start,
        span.end
    )
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
