//! Diagnostics: what is wrong with a program, where, and what to do about it.

use std::collections::HashSet;

use crate::span::{FileId, Span};

mod codes;
mod json;
mod render;

pub use codes::{CODES, Code, code};
pub use json::to_json;
pub use render::{escape, render};

pub(crate) use render::is_hidden;

/// One finding. The code names a page of `docs/errors/`.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub code: &'static str,
    pub message: String,
    pub span: Span,
    /// Said under the primary span; may be empty.
    pub label: String,
    /// Other places that take part in the disagreement.
    pub related: Vec<(Span, String)>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic {
            code,
            message,
            span,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    pub fn related(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.related.push((span, text.into()));
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// How many findings are kept of one program; more are counted only.
const KEPT: usize = 200;

/// The findings of a program, at most one per primary span.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    places: HashSet<Span>,
    /// Findings beyond those kept.
    pub omitted: usize,
}

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.places.insert(diagnostic.span) {
            return;
        }
        if self.found.len() < KEPT {
            self.found.push(diagnostic)
        } else {
            self.omitted += 1
        }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many findings are kept.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Takes the findings from a number on out again.
    pub fn take_from(&mut self, from: usize) -> Vec<Diagnostic> {
        let taken = self.found.split_off(from);
        taken.iter().for_each(|d| {
            self.places.remove(&d.span);
        });
        taken
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter()
    }

    pub fn extend(&mut self, others: Diagnostics) {
        self.omitted += others.omitted;
        others.found.into_iter().for_each(|d| self.push(d));
    }

    /// Keeps the first of several findings that say the same of one file: a name that is unknown is
    /// so at every use.
    pub fn drop_repeats(&mut self) {
        let mut said = HashSet::new();
        self.found.retain(|d| {
            let names = matches!(d.code, "E0201" | "E0205" | "E0401" | "E0703");
            !names || said.insert((d.code, d.span.file, d.message.clone()))
        });
    }

    /// Drops the braces of a file that close nothing because the one that opens is missing, which is said
    /// at its place.
    pub fn drop_strays(&mut self, file: FileId) {
        let of_file = |d: &Diagnostic| d.span.file == file;
        let missing = |d: &Diagnostic| of_file(d) && d.message.starts_with("expected `{`");
        if self.found.iter().any(missing) {
            let stray = |d: &Diagnostic| of_file(d) && d.message.starts_with("`}` closes nothing");
            self.found.retain(|d| !stray(d));
        }
    }

    /// By file and position, so that output does not depend on the order of checking.
    pub fn sort(&mut self) {
        self.found.sort_by_key(|d| d.span);
    }
}
