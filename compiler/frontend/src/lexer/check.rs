//! What single tokens get wrong: characters, numbers, strings, operators of other languages.

use super::Token;
use crate::diagnostics::{Diagnostic, Diagnostics, escape, is_hidden};
use crate::span::Span;

/// The longest number, in characters.
const MAX_NUMBER: usize = 256;
/// The longest name, in characters.
const MAX_NAME: usize = 256;

pub(super) struct Check<'a> {
    pub text: &'a str,
    pub diagnostics: &'a mut Diagnostics,
    /// Where characters were skipped.
    pub unread: Vec<u32>,
    /// The last character that has no place in the language, and where it ends.
    pub last_unexpected: Option<(char, u32)>,
}

impl Check<'_> {
    fn report(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: &str) {
        self.diagnostics
            .push(Diagnostic::new(code, span, message).help(help));
    }

    /// Reports what is wrong with a token.
    pub fn token(&mut self, token: Token, span: Span) {
        match token {
            Token::Name => self.name(span),
            Token::Int | Token::Float => self.number(span),
            Token::Text => self.string(span),
            Token::Doc => self.hidden_in(span),
            Token::StarStar | Token::AndAnd | Token::OrOr | Token::Bang | Token::DotDotEq => {
                self.foreign_operator(token, span);
            }
            _ => {}
        }
    }

    fn name(&mut self, span: Span) {
        if span.range().len() > MAX_NAME {
            let shown = Span {
                end: span.start + 32,
                ..span
            };
            let message = format!("a name of {} characters", span.range().len());
            self.report("E0803", shown, message, &format!("the limit is {MAX_NAME}"));
        }
    }

    fn number(&mut self, span: Span) {
        let text = &self.text[span.range()];
        if text.len() > MAX_NUMBER {
            let shown = Span {
                end: span.start + 32,
                ..span
            };
            let message = format!("a number of {} characters", text.len());
            return self.report(
                "E0002",
                shown,
                message,
                &format!("the limit is {MAX_NUMBER}"),
            );
        }
        match number(text) {
            Ok(_) => {}
            Err(Bad::Large(limit)) => {
                let message = format!("`{text}` is too large");
                self.report("E0002", span, message, limit);
            }
            Err(Bad::Form(help)) => {
                let message = format!("`{text}` is not a number");
                self.report("E0002", span, message, help);
            }
        }
    }

    fn string(&mut self, span: Span) {
        self.hidden_in(span);
        let text = &self.text[span.range()];
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if c != '\\' {
                continue;
            }
            if let Some((_, escaped)) = chars.next()
                && !matches!(escaped, '\\' | '"' | 'n' | 't')
            {
                let start = span.start + at as u32;
                let place = Span {
                    start,
                    end: start + 1 + escaped.len_utf8() as u32,
                    ..span
                };
                let message = format!("unknown escape `\\{}`", escape(&escaped.to_string()));
                self.report(
                    "E0006",
                    place,
                    message,
                    "the escapes are `\\\\`, `\\\"`, `\\n` and `\\t`",
                );
            }
        }
    }

    /// Looks for hidden characters in a comment or string: the first is reported.
    pub fn hidden_in(&mut self, span: Span) {
        let text = &self.text[span.range()];
        let hidden = |&(_, c): &(usize, char)| is_hidden(c) && !matches!(c, '\t' | '\r');
        if let Some((at, c)) = text.char_indices().find(hidden) {
            let start = span.start + at as u32;
            self.hidden(
                c,
                Span {
                    start,
                    end: start + c.len_utf8() as u32,
                    ..span
                },
            );
        }
    }

    fn hidden(&mut self, c: char, span: Span) {
        let number = u32::from(c);
        if c.is_control() {
            let message = format!("a control character, U+{number:04X}");
            self.report("E0005", span, message, "delete it");
        } else {
            let message = format!("an invisible character, U+{number:04X}");
            let help = "delete it: it can make the text look different from what it means";
            self.report("E0005", span, message, help);
        }
    }

    /// Reports what no token starts with; gives where to go on.
    pub fn unknown(&mut self, span: Span) -> u32 {
        self.unread.push(span.start);
        let rest = &self.text[span.start as usize..];
        let line = rest.find('\n').unwrap_or(rest.len());
        let Some(c) = rest.chars().next() else {
            return span.end;
        };
        let one = Span {
            end: span.start + c.len_utf8() as u32,
            ..span
        };
        if c == '"' {
            // What may close brackets around the string is left out of it.
            let text = rest[..line].trim_end_matches([' ', '\r', '{', ')', ']', ',']);
            let whole = Span {
                end: span.start + text.len().max(1) as u32,
                ..span
            };
            let shown = if whole.range().len() > 64 { one } else { whole };
            let message = "this string does not end on its line";
            self.report("E0003", shown, message, "close it with `\"`");
            return whole.end;
        }
        if c == '#' {
            self.report(
                "E0007",
                one,
                "`#` does not start a comment",
                "comments start with `//`",
            );
            return span.start + line as u32;
        }
        if is_hidden(c) {
            // A run of them is one finding, and so is a command to a terminal.
            let command = rest.strip_prefix("\u{1b}[").and_then(|rest| {
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | ';' | '?'))?;
                Some(2 + end + rest[end..].chars().next()?.len_utf8())
            });
            if let Some(length) = command {
                self.hidden(
                    c,
                    Span {
                        end: span.start + length as u32,
                        ..span
                    },
                );
                return span.start + length as u32;
            }
            let run: usize = rest
                .chars()
                .take_while(|&c| is_hidden(c) && c != '\n')
                .map(char::len_utf8)
                .sum();
            self.hidden(c, one);
            return span.start + run as u32;
        }
        let help = match c {
            '&' => "write `and`",
            '|' => "write `or`; there are no anonymous functions",
            '^' => "for powers write `pow(x, n)`; for bits, `xor(a, b)`",
            '\'' | '`' | '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' => {
                "strings stand in plain double quotes, `\"`"
            }
            '\u{2212}' | '\u{2013}' | '\u{2014}' => "the minus sign is `-`",
            '\u{d7}' | '\u{b7}' => "multiplication is `*`",
            '\u{f7}' => "division is `/`",
            '\u{2264}' => "write `<=`",
            '\u{2265}' => "write `>=`",
            '\u{2260}' => "write `!=`",
            '\u{2192}' => "write `->`",
            '\u{21d2}' => "write `=>`",
            '\u{a0}' | '\u{3000}' => "use a plain space",
            '?' => "write `if c { a } else { b }`, or for every element `select(c, a, b)`",
            '$' | '\\' => "the language has no use for it",
            c if c.is_alphabetic() => "names are of the letters a to z and A to Z, digits and `_`",
            _ => "delete it",
        };
        // The other one of a pair is no finding of its own.
        let again = self.last_unexpected.is_some_and(|(last, end)| {
            last == c && !self.text[end as usize..one.start as usize].contains('\n')
        });
        if !again {
            self.report("E0001", one, format!("unexpected character `{c}`"), help);
        }
        self.last_unexpected = Some((c, one.end));
        one.end
    }

    /// A comment of another language, reported. Gives where it ends.
    pub fn block_comment(&mut self, start: Span) -> u32 {
        let rest = &self.text[start.start as usize + 2..];
        let open = Span {
            end: start.start + 2,
            ..start
        };
        let message = "comments do not go from `/*` to `*/`";
        self.report(
            "E0007",
            open,
            message,
            "comments start with `//`, on every line",
        );
        let length = rest.find("*/").map_or(rest.len(), |at| at + 2);
        open.end + length as u32
    }

    /// The token that an unknown character stands for, so that parsing goes on without another finding.
    pub fn stands_for(&self, span: Span) -> Option<Token> {
        match self.text[span.start as usize..].chars().next()? {
            '&' => Some(Token::AndAnd),
            '|' => Some(Token::OrOr),
            '^' | '\u{d7}' | '\u{b7}' | '\u{f7}' => Some(Token::Star),
            '\u{2212}' | '\u{2013}' | '\u{2014}' => Some(Token::Minus),
            '\u{2264}' => Some(Token::LessEq),
            '\u{2265}' => Some(Token::GreaterEq),
            '\u{2260}' => Some(Token::NotEq),
            '\u{2192}' => Some(Token::Arrow),
            '\u{21d2}' => Some(Token::FatArrow),
            '"' => Some(Token::Text),
            c if c.is_alphabetic() => Some(Token::Name),
            _ => None,
        }
    }

    fn foreign_operator(&mut self, token: Token, span: Span) {
        let help = match token {
            Token::AndAnd => "write `and`",
            Token::OrOr => "write `or`",
            Token::Bang => "write `not`",
            Token::StarStar => "powers are written `pow(x, n)`",
            _ => "ranges leave out their end: write `lo..hi + 1`",
        };
        let message = format!(
            "`{}` is not an operator of this language",
            &self.text[span.range()]
        );
        self.report("E0108", span, message, help);
    }
}

/// A number as it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(u64),
    Float(f64),
}

/// Why a number cannot be read.
enum Bad {
    /// With the limit.
    Large(&'static str),
    /// With what to write instead.
    Form(&'static str),
}

/// The value of a number; `None` for one that has been reported.
pub fn number_value(text: &str) -> Option<Number> {
    if text.len() > MAX_NUMBER {
        None
    } else {
        number(text).ok()
    }
}

fn number(text: &str) -> Result<Number, Bad> {
    let digits: String = text.chars().filter(|&c| c != '_').collect();
    let radix = match digits.get(..2) {
        Some("0x") => 16,
        Some("0b") => 2,
        _ => 10,
    };
    if radix != 10 {
        let digits = &digits[2..];
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(Bad::Form(
                "after `0x` stand hexadecimal digits, after `0b` binary ones",
            ));
        }
        let value = u64::from_str_radix(digits, radix);
        return value
            .map(Number::Int)
            .map_err(|_| Bad::Large("the largest is 0xffffffffffffffff"));
    }
    if digits.chars().all(|c| c.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(Bad::Form("leave out the leading zeros"));
        }
        let value = digits.parse();
        return value
            .map(Number::Int)
            .map_err(|_| Bad::Large("the largest whole number is 18446744073709551615"));
    }
    let form = "numbers have no suffix: for another type write a cast such as `f32(1.5)`";
    let exponent_only = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !digits.chars().all(exponent_only) {
        return Err(Bad::Form(form));
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Number::Float(value)),
        Ok(_) => Err(Bad::Large(
            "the largest number is about 1.8e308; infinity is `inf`",
        )),
        Err(_) => Err(Bad::Form(form)),
    }
}
