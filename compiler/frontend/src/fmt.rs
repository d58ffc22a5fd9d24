//! The canonical format: one text for one tree, comments kept.
//!
//! Lines have at most [`WIDTH`] columns where that is possible; indentation is two spaces. Printing
//! and parsing again gives the same tree, and formatting twice the same text. Layout is a function
//! of the tree, except that a blank line between statements or fields is kept (never two).

mod comments;
mod doc;
mod exprs;
mod items;
mod passes;
mod schedules;
mod types;

use comments::Comments;

use crate::diagnostics::Diagnostics;
use crate::parse::parse;
use crate::span::{FileId, Span};

/// The longest line, in characters.
pub const WIDTH: usize = 100;

/// Columns of one level of indentation.
const INDENT: usize = 2;
/// Columns by which a line that goes on is indented more than its statement.
const CONTINUED: usize = 4;

/// The canonical text of a file, or why it does not parse.
pub fn format(text: &str, id: FileId) -> Result<String, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let file = parse(text, id, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let mut formatter = Formatter {
        text,
        comments: Comments::new(&file.comments),
    };
    let document = formatter.file(&file);
    let mut out = doc::print(&document, WIDTH);
    out.truncate(out.trim_end().len());
    if !out.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

/// Turns nodes to documents, in the order of the text, taking the comments that it passes.
struct Formatter<'a> {
    text: &'a str,
    comments: Comments<'a>,
}

impl Formatter<'_> {
    /// The text of a node as it was written.
    fn source(&self, span: Span) -> String {
        self.text.get(span.range()).unwrap_or("").to_owned()
    }

    /// Whether a blank line stands between two places.
    fn blank_between(&self, from: u32, to: u32) -> bool {
        let between = self.text.get(from as usize..to as usize).unwrap_or("");
        let mut lines = between.split('\n').skip(1).peekable();
        while let Some(line) = lines.next() {
            if line.trim().is_empty() && lines.peek().is_some() {
                return true;
            }
        }
        false
    }
}
