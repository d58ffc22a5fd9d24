//! The syntax tree of a source file.
//!
//! Every node carries the [`Span`] of its text. Trees come from the parser, which bounds their
//! depth by [`MAX_DEPTH`]: walking or dropping one recursively is safe. A part that did not parse
//! is an `Error` node, and its diagnostic has been reported; consumers stay silent about it.
//! Comments are kept beside the tree, in [`File::comments`], for the formatter.

mod expr;
mod item;
mod ty;

use aiai_ir::Sym;

use crate::span::{FileId, Span};

pub use expr::*;
pub use item::*;
pub use ty::*;

/// How deeply expressions, types and brackets may nest.
pub const MAX_DEPTH: u16 = 256;

/// A name as written at one place.
#[derive(Clone, Copy, Debug)]
pub struct Ident {
    pub name: Sym,
    pub span: Span,
}

/// A quoted string, escapes resolved.
#[derive(Clone, Debug)]
pub struct Text {
    pub value: String,
    pub span: Span,
}

/// The `///` lines before an item, without the slashes and one space after them.
#[derive(Clone, Debug, Default)]
pub struct Doc {
    pub lines: Vec<String>,
    /// From the first line to the last; meaningless where there is no line.
    pub span: Span,
}

impl Doc {
    /// The lines joined.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// A `//` comment, without the slashes.
#[derive(Clone, Debug)]
pub struct Comment {
    pub text: String,
    pub span: Span,
    /// Nothing but blanks stands before it on its line.
    pub own_line: bool,
}

/// One source file.
#[derive(Clone, Debug)]
pub struct File {
    pub id: FileId,
    pub items: Vec<Item>,
    /// In the order of the text.
    pub comments: Vec<Comment>,
}
