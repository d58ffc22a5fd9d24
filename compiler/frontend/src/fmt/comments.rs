//! Comments and the places that they keep.

use super::Formatter;
use super::doc::{Doc, concat_doc};
use crate::ast::Comment;

/// The comments of a file that have not been printed yet.
pub struct Comments<'a> {
    rest: &'a [Comment],
}

impl<'a> Comments<'a> {
    pub fn new(all: &'a [Comment]) -> Comments<'a> {
        Comments { rest: all }
    }

    /// Takes the comments that start before a place.
    pub fn before(&mut self, end: u32) -> &'a [Comment] {
        let count = self
            .rest
            .partition_point(|comment| comment.span.start < end);
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    /// Takes a comment that stands behind `from` on the same line, before `end`.
    pub fn trailing(&mut self, text: &str, from: u32, end: u32) -> Option<&'a Comment> {
        let (first, rest) = self.rest.split_first()?;
        let start = first.span.start;
        let between = text.get(from as usize..start as usize).unwrap_or("\n");
        if start < from || start >= end || between.contains('\n') {
            return None;
        }
        self.rest = rest;
        Some(first)
    }

    /// Takes a comment before a place that is not alone on its line.
    pub fn before_on_line(&mut self, end: u32) -> Option<&'a Comment> {
        let (first, rest) = self.rest.split_first()?;
        if first.own_line || first.span.start >= end {
            return None;
        }
        self.rest = rest;
        Some(first)
    }

    pub fn any_before(&self, end: u32) -> bool {
        self.rest
            .first()
            .is_some_and(|comment| comment.span.start < end)
    }
}

/// A comment as text.
pub fn line(comment: &Comment) -> Doc {
    format!("//{}", comment.text).into()
}

/// One entry of a list of lines: what stands above it, itself, what stands behind it.
pub struct Entry {
    pub doc: Doc,
    /// A blank line above it is kept.
    pub blank_above: bool,
}

/// A node of a list of lines: where its text starts and ends.
#[derive(Clone, Copy)]
pub struct Extent {
    pub start: u32,
    pub end: u32,
}

impl Formatter<'_> {
    /// An entry of a list of lines, with the comments above, within and behind it. `from` is where
    /// the entry before it ended, `end` where the list ends.
    pub fn entry(
        &mut self,
        extent: Extent,
        from: &mut u32,
        end: u32,
        entries: &mut Vec<Entry>,
        build: impl FnOnce(&mut Self) -> Doc,
    ) {
        for comment in self.comments.before(extent.start) {
            let blank_above = self.blank_between(*from, comment.span.start);
            entries.push(Entry {
                doc: line(comment),
                blank_above,
            });
            *from = comment.span.end;
        }
        let blank_above = self.blank_between(*from, extent.start);
        let mut doc = build(self);
        // Comments at places that have no line of their own move above.
        for (at, comment) in self.comments.before(extent.end).iter().enumerate() {
            let blank_above = at == 0 && blank_above;
            entries.push(Entry {
                doc: line(comment),
                blank_above,
            });
        }
        *from = extent.end;
        if let Some(comment) = self.comments.trailing(self.text, extent.end, end) {
            doc = concat_doc![doc, " ", line(comment)];
            *from = comment.span.end;
        }
        entries.push(Entry { doc, blank_above });
    }

    /// The comments between the last entry and the end of the list.
    pub fn last_comments(&mut self, from: u32, end: u32, entries: &mut Vec<Entry>) {
        let mut from = from;
        for comment in self.comments.before(end) {
            let blank_above = self.blank_between(from, comment.span.start);
            entries.push(Entry {
                doc: line(comment),
                blank_above,
            });
            from = comment.span.end;
        }
    }
}

/// Entries on lines of their own.
pub fn lines(entries: Vec<Entry>) -> Doc {
    let mut parts = Vec::new();
    for entry in entries {
        if !parts.is_empty() {
            parts.push(Doc::Hard);
            if entry.blank_above {
                parts.push(Doc::Hard);
            }
        }
        parts.push(entry.doc);
    }
    Doc::Concat(parts)
}
