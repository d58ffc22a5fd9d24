//! A place in a text of MLIR: words, marks, quoted texts.
//!
//! Nesting is bounded, and so is the work that names for longer texts can cause.

use super::encode::Misfit;
use crate::text::ParseError;

/// Regions, attributes, types and parentheses may nest this deep.
const MAX_DEPTH: usize = 200;

/// A cursor over a text.
pub struct Cursor<'s> {
    source: &'s str,
    pub at: usize,
    depth: usize,
    /// What may still be made.
    budget: usize,
}

impl<'s> Cursor<'s> {
    pub fn new(source: &'s str) -> Cursor<'s> {
        Cursor {
            source,
            at: 0,
            depth: 0,
            budget: (1 << 24) + 4 * source.len(),
        }
    }

    /// An error at the next token.
    pub fn error(&mut self, message: impl Into<String>) -> ParseError {
        self.space();
        self.error_at(self.at, message)
    }

    pub fn error_at(&self, offset: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.source, offset.min(self.source.len()), message)
    }

    pub fn misfit(&self, misfit: Misfit) -> ParseError {
        self.error_at(misfit.offset, misfit.message)
    }

    /// Takes so much of what may be made.
    pub fn charge(&mut self, amount: usize) -> Result<(), ParseError> {
        match self.budget.checked_sub(amount) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.error("too large when written out")),
        }
    }

    /// Runs `inner` one level deeper.
    pub fn deeper(&mut self) -> Result<(), ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        Ok(())
    }

    pub fn shallower(&mut self) {
        self.depth -= 1;
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// Passes over blanks and comments.
    pub fn space(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// The next character that is not blank.
    pub fn peek(&mut self) -> Option<char> {
        self.space();
        self.rest().chars().next()
    }

    /// Whether the text goes on so.
    pub fn sees(&mut self, mark: &str) -> bool {
        self.space();
        self.rest().starts_with(mark)
    }

    pub fn accept(&mut self, mark: &str) -> bool {
        let found = self.sees(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    pub fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.accept(mark) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{mark}`")))
        }
    }

    /// Characters from here on.
    pub fn run(&mut self, keep: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// A word such as `func.func`, if it is next.
    pub fn word(&mut self) -> Option<&'s str> {
        let first = self.peek()?;
        if !(first.is_ascii_alphabetic() || first == '_') {
            return None;
        }
        Some(self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.')))
    }

    pub fn accept_word(&mut self, word: &str) -> bool {
        let start = self.at;
        let found = self.word() == Some(word);
        if !found {
            self.at = start;
        }
        found
    }

    pub fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.accept_word(word) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{word}`")))
        }
    }

    /// What follows `%`, `#`, `!` or `^` in a name, the mark included.
    pub fn name(&mut self, mark: &str) -> Result<&'s str, ParseError> {
        self.space();
        let start = self.at;
        self.expect(mark)?;
        let digit = self.rest().starts_with(|c: char| c.is_ascii_digit());
        let run = if digit {
            self.run(|c| c.is_ascii_digit())
        } else {
            self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '-'))
        };
        if run.is_empty() {
            return Err(self.error(format!("expected a name behind `{mark}`")));
        }
        Ok(&self.source[start..self.at])
    }

    /// Digits as a number.
    pub fn number<T: std::str::FromStr>(&mut self) -> Result<T, ParseError> {
        self.space();
        let start = self.at;
        let digits = self.run(|c| c.is_ascii_digit());
        digits
            .parse()
            .map_err(|_| self.error_at(start, "expected a number in range"))
    }

    /// Digits as a number, with an optional sign.
    pub fn int(&mut self) -> Result<i64, ParseError> {
        self.space();
        let start = self.at;
        self.accept("-");
        self.space();
        self.run(|c| c.is_ascii_digit());
        let text: String = self.source[start..self.at].split_whitespace().collect();
        text.parse()
            .map_err(|_| self.error_at(start, "expected an integer"))
    }

    /// A quoted text: `\n`, `\t`, `\\`, `\"` and bytes as two hexadecimal digits are escaped.
    pub fn text(&mut self) -> Result<String, ParseError> {
        self.space();
        let start = self.at;
        self.expect("\"")?;
        let mut bytes = Vec::new();
        let mut rest = self.rest().bytes();
        let fail = || self.error_at(start, "expected a quoted text");
        loop {
            match rest.next().ok_or_else(fail)? {
                b'"' => break,
                b'\n' => return Err(fail()),
                b'\\' => {
                    let escape = rest.next().ok_or_else(fail)?;
                    let digit = |b: u8| char::from(b).to_digit(16);
                    bytes.push(match escape {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'\\' | b'"' => escape,
                        first => {
                            let second = rest.next().ok_or_else(fail)?;
                            let pair = digit(first).zip(digit(second));
                            let (high, low) = pair.ok_or_else(fail)?;
                            (high << 4 | low) as u8
                        }
                    });
                }
                byte => bytes.push(byte),
            }
        }
        self.at = self.source.len() - rest.len();
        String::from_utf8(bytes).map_err(|_| self.error_at(start, "not UTF-8 text"))
    }

    /// `@name` or `@"name"`
    pub fn symbol(&mut self) -> Result<String, ParseError> {
        self.expect("@")?;
        if self.rest().starts_with('"') {
            return self.text();
        }
        let name = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '-'));
        if name.is_empty() {
            return Err(self.error("expected a name behind `@`"));
        }
        Ok(name.to_owned())
    }

    /// Passes over what stands up to the bracket that closes one opened before.
    pub fn skip_to_close(&mut self) -> Result<(), ParseError> {
        let mut open = 1usize;
        loop {
            match self.peek() {
                None => return Err(self.error("expected `)`")),
                Some('"') => {
                    self.text()?;
                    continue;
                }
                Some('(') => open += 1,
                Some(')') if open == 1 => return Ok(()),
                Some(')') => open -= 1,
                Some(_) => {}
            }
            let length = self.rest().chars().next().map_or(0, char::len_utf8);
            self.at += length;
        }
    }
}
