//! Documents: text with places where a line may be broken, and the printer that breaks them.
//! Wadler, "A prettier printer", 2003; with comments that force the groups around them open.

use std::borrow::Cow;

/// Text whose line breaks are still open.
#[derive(Clone, Debug)]
pub enum Doc {
    Text(Cow<'static, str>),
    /// A space, or a line break where the group is broken.
    Line,
    /// Nothing, or a line break where the group is broken.
    Soft,
    /// Always a line break.
    Hard,
    /// Text for a broken group only: a trailing comma.
    IfBroken(&'static str),
    Concat(Vec<Doc>),
    /// Line breaks inside are indented by so many columns more.
    Nest(usize, Box<Doc>),
    /// On one line if it fits; `true` if it holds something that needs a line of its own.
    Group(Box<Doc>, bool),
}

impl Doc {
    pub const NIL: Doc = Doc::Text(Cow::Borrowed(""));

    pub fn nest(self, columns: usize) -> Doc {
        Doc::Nest(columns, Box::new(self))
    }

    pub fn group(self) -> Doc {
        let forced = self.is_forced();
        Doc::Group(Box::new(self), forced)
    }

    /// Whether a line break is certain.
    pub fn is_forced(&self) -> bool {
        match self {
            Doc::Hard => true,
            Doc::Text(_) | Doc::Line | Doc::Soft | Doc::IfBroken(_) => false,
            Doc::Concat(parts) => parts.iter().any(Doc::is_forced),
            Doc::Nest(_, inner) => inner.is_forced(),
            Doc::Group(_, forced) => *forced,
        }
    }

    /// How many columns it takes on one line; `None` where it needs several.
    pub fn flat_width(&self) -> Option<usize> {
        match self {
            Doc::Text(text) => Some(text.chars().count()),
            Doc::Line => Some(1),
            Doc::Soft | Doc::IfBroken(_) => Some(0),
            Doc::Hard => None,
            Doc::Concat(parts) => parts.iter().map(Doc::flat_width).sum(),
            Doc::Nest(_, inner) | Doc::Group(inner, _) => inner.flat_width(),
        }
    }
}

impl From<&'static str> for Doc {
    fn from(text: &'static str) -> Doc {
        Doc::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Doc {
    fn from(text: String) -> Doc {
        Doc::Text(Cow::Owned(text))
    }
}

/// Puts documents side by side.
macro_rules! concat_doc {
    ($($part:expr),+ $(,)?) => { $crate::fmt::doc::Doc::Concat(vec![$($part.into()),+]) };
}
pub(crate) use concat_doc;

/// The documents with `between` between each two.
pub fn join(docs: impl IntoIterator<Item = Doc>, between: &Doc) -> Doc {
    let mut parts = Vec::new();
    for doc in docs {
        if !parts.is_empty() {
            parts.push(between.clone());
        }
        parts.push(doc);
    }
    Doc::Concat(parts)
}

/// Lays the document out in lines of at most `width` columns where that is possible.
pub fn print(doc: &Doc, width: usize) -> String {
    let mut printer = Printer {
        out: String::new(),
        column: 0,
        indent: 0,
        width,
    };
    let mut stack = vec![(0, true, doc)];
    while let Some((indent, broken, doc)) = stack.pop() {
        match doc {
            Doc::Text(text) => printer.text(text),
            Doc::IfBroken(text) if broken => printer.text(text),
            Doc::IfBroken(_) => {}
            Doc::Hard => printer.line_break(indent),
            Doc::Line | Doc::Soft if broken => printer.line_break(indent),
            Doc::Line => printer.text(" "),
            Doc::Soft => {}
            Doc::Concat(parts) => {
                stack.extend(parts.iter().rev().map(|part| (indent, broken, part)));
            }
            Doc::Nest(columns, inner) => stack.push((indent + columns, broken, inner)),
            Doc::Group(inner, forced) => {
                let column = printer.column.max(printer.indent);
                let fits = !forced && fits(inner, &stack, width.saturating_sub(column));
                stack.push((indent, !fits, inner));
            }
        }
    }
    printer.out
}

struct Printer {
    out: String,
    column: usize,
    /// Written before the next text of a fresh line, so that no line ends in blanks.
    indent: usize,
    width: usize,
}

impl Printer {
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        debug_assert!(self.width > 0);
        if self.column == 0 {
            self.out.extend(std::iter::repeat_n(' ', self.indent));
            self.column = self.indent;
        }
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line_break(&mut self, indent: usize) {
        self.out.push('\n');
        self.column = 0;
        self.indent = indent;
    }
}

/// Whether `doc`, on one line, and what follows it up to the next line break take at most `room`.
fn fits(doc: &Doc, rest: &[(usize, bool, &Doc)], room: usize) -> bool {
    let mut room = room;
    let mut stack = vec![(false, doc)];
    let mut rest = rest.iter().rev();
    loop {
        let (broken, doc) = match stack.pop() {
            Some(next) => next,
            None => match rest.next() {
                Some(&(_, broken, doc)) => (broken, doc),
                None => return true,
            },
        };
        let taken = match doc {
            Doc::Text(text) => text.chars().count(),
            Doc::IfBroken(text) if broken => text.len(),
            Doc::IfBroken(_) => 0,
            Doc::Hard => return true,
            Doc::Line | Doc::Soft if broken => return true,
            Doc::Line => 1,
            Doc::Soft => 0,
            Doc::Concat(parts) => {
                stack.extend(parts.iter().rev().map(|part| (broken, part)));
                0
            }
            Doc::Nest(_, inner) => {
                stack.push((broken, inner));
                0
            }
            Doc::Group(inner, forced) => {
                stack.push((broken || *forced, inner));
                0
            }
        };
        if taken > room {
            return false;
        }
        room -= taken;
    }
}
