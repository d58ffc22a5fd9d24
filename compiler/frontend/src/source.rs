//! Source files and places in them.

use aiai_ir::{Loc, Sym};

/// A byte range of one file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `other`, both of one file.
    pub fn to(self, other: Span) -> Span {
        Span { end: other.end.max(self.end), ..self }
    }
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name shown to the user.
    pub name: String,
    pub text: String,
    /// Byte offsets at which lines start.
    lines: Vec<u32>,
}

/// Every file of a program, by number.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

/// A line and a column, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> u32 {
        let text = text.into();
        let starts = text.bytes().enumerate().filter(|b| b.1 == b'\n').map(|b| b.0 as u32 + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        self.files.push(SourceFile { name: name.into(), text, lines });
        self.files.len() as u32 - 1
    }

    pub fn file(&self, number: u32) -> &SourceFile {
        &self.files[number as usize]
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        &self.file(span.file).text[span.start as usize..span.end as usize]
    }

    /// Where a span starts.
    pub fn place(&self, span: Span) -> Place {
        self.file(span.file).place(span.start)
    }

    /// Where a span starts, for the IR.
    pub fn loc(&self, span: Span) -> Loc {
        let file = self.file(span.file);
        let line = file.line_of(span.start);
        let column = span.start - file.lines[line] + 1;
        Loc { file: Sym::new(&file.name), line: line as u32 + 1, column }
    }
}

impl SourceFile {
    /// The number, from 0, of the line that holds a byte.
    pub fn line_of(&self, offset: u32) -> usize {
        self.lines.partition_point(|&start| start <= offset) - 1
    }

    /// The text of a line without its end, and the offset at which it starts.
    pub fn line(&self, number: usize) -> (&str, u32) {
        let start = self.lines[number];
        let end = self.lines.get(number + 1).map_or(self.text.len(), |&e| e as usize);
        (self.text[start as usize..end].trim_end_matches(['\n', '\r']), start)
    }

    pub fn place(&self, offset: u32) -> Place {
        let line = self.line_of(offset);
        let before = &self.text[self.lines[line] as usize..offset as usize];
        Place { line: line as u32 + 1, column: before.chars().count() as u32 + 1 }
    }
}
