//! Brackets that do not match: found, reported once, and mended.
//!
//! Where every bracket matches, nothing is done. Otherwise matching is led by what cannot stand in
//! a bracket (`let` directly within parentheses) and by indentation, which is what people go by.

use super::{Token, awaits_more, goes_on};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::span::Span;

/// How deeply brackets may nest; see [`crate::ast::MAX_DEPTH`].
const MAX_OPEN: usize = crate::ast::MAX_DEPTH as usize;

/// Tokens whose brackets match, and where they were changed.
pub(super) struct Balanced {
    pub tokens: Vec<(Token, Span)>,
    pub mended: Vec<u32>,
    pub unsure_from: Option<u32>,
}

/// What a word at the start of a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// `let`, `emit`.
    Statement,
    /// `param`, `state`, `field`.
    Field,
    /// `fn`: an item or a member.
    Function,
    /// `module`, `test`, ...
    Item,
}

/// What a word begins, given the token after it.
pub(crate) fn head(word: &str, next: Token) -> Option<Head> {
    match (word, next) {
        ("let" | "emit", _) => Some(Head::Statement),
        ("param" | "state" | "field", Token::Name) => Some(Head::Field),
        ("fn", Token::Name) => Some(Head::Function),
        (
            "module" | "prop" | "bench" | "rule" | "rules" | "schedule" | "fuse" | "layout"
            | "cost" | "derivative" | "use",
            Token::Name,
        ) => Some(Head::Item),
        ("test", Token::Text) => Some(Head::Item),
        _ => None,
    }
}

pub(super) fn balance(
    text: &str,
    tokens: Vec<(Token, Span)>,
    diagnostics: &mut Diagnostics,
) -> Balanced {
    match strict(&tokens) {
        Strict::Matching => Balanced {
            tokens,
            mended: Vec::new(),
            unsure_from: None,
        },
        Strict::TooDeep(at) => {
            let (_, span) = tokens[at];
            let message = format!("brackets nested more than {MAX_OPEN} levels deep");
            let help = "give parts a name with `let`; the rest of the file is not read";
            diagnostics.push(Diagnostic::new("E0801", span, message).help(help));
            let end = Span {
                start: span.start,
                end: span.start,
                ..span
            };
            Balanced {
                tokens: vec![(Token::End, end)],
                mended: Vec::new(),
                unsure_from: None,
            }
        }
        Strict::Wrong => {
            let mut mender = Mender::new(text, diagnostics);
            mender.run(&tokens);
            let Mender {
                out,
                mended,
                unsure_from,
                ..
            } = mender;
            Balanced {
                tokens: out,
                mended,
                unsure_from,
            }
        }
    }
}

enum Strict {
    Matching,
    /// At the token of this number.
    TooDeep(usize),
    Wrong,
}

fn strict(tokens: &[(Token, Span)]) -> Strict {
    let mut open = Vec::new();
    let mut wrong = false;
    for (at, &(token, _)) in tokens.iter().enumerate() {
        if let Some(close) = closing(token) {
            if open.len() == MAX_OPEN {
                return Strict::TooDeep(at);
            }
            open.push(close);
        } else if is_closing(token) && !wrong {
            wrong = open.pop() != Some(token);
        } else if is_closing(token) {
            open.pop();
        }
    }
    if wrong || !open.is_empty() {
        Strict::Wrong
    } else {
        Strict::Matching
    }
}

fn closing(token: Token) -> Option<Token> {
    match token {
        Token::LParen => Some(Token::RParen),
        Token::LBracket => Some(Token::RBracket),
        Token::LBrace => Some(Token::RBrace),
        _ => None,
    }
}

fn is_closing(token: Token) -> bool {
    matches!(token, Token::RParen | Token::RBracket | Token::RBrace)
}

/// An open bracket.
#[derive(Clone, Copy)]
struct Open {
    token: Token,
    span: Span,
    /// Columns before the first token of its line.
    indent: u32,
    /// The same of the line where its statement starts.
    level: u32,
}

struct Mender<'a> {
    text: &'a str,
    diagnostics: &'a mut Diagnostics,
    out: Vec<(Token, Span)>,
    open: Vec<Open>,
    mended: Vec<u32>,
    unsure_from: Option<u32>,
}

impl<'a> Mender<'a> {
    fn new(text: &'a str, diagnostics: &'a mut Diagnostics) -> Mender<'a> {
        let (out, open, mended) = (Vec::new(), Vec::new(), Vec::new());
        Mender {
            text,
            diagnostics,
            out,
            open,
            mended,
            unsure_from: None,
        }
    }

    fn run(&mut self, tokens: &[(Token, Span)]) {
        let (mut line_start, mut first, mut indent, mut level) = (0, true, 0, 0);
        let mut last = (Token::Newline, "");
        for (at, &(token, span)) in tokens.iter().enumerate() {
            if token == Token::Newline {
                (line_start, first) = (span.end, true);
                self.out.push((token, span));
                continue;
            }
            let word = match token {
                Token::Name => &self.text[span.range()],
                _ => "",
            };
            if first {
                indent = span.start - line_start;
                if !awaits_more(last.0, last.1) && !goes_on(token, word) {
                    level = indent;
                }
                let next = tokens.get(at + 1).map_or(Token::End, |t| t.0);
                if let Some(head) = head(word, next) {
                    self.start(head, span, indent);
                }
            }
            match token {
                Token::LParen | Token::LBracket | Token::LBrace => {
                    self.open.push(Open {
                        token,
                        span,
                        indent,
                        level: level.min(indent),
                    });
                    self.out.push((token, span));
                }
                Token::RBrace => self.close_brace(span, first.then_some(indent)),
                Token::RParen | Token::RBracket => self.close(token, span, &tokens[at + 1..]),
                Token::End => self.finish(span),
                _ => self.out.push((token, span)),
            }
            first = false;
            last = (token, word);
        }
    }

    /// A line begins with a word that tells where it stands.
    fn start(&mut self, head: Head, span: Span, indent: u32) {
        self.drop_parens(span, "but a new statement starts here");
        if head == Head::Statement {
            return;
        }
        while let Some(open) = self.open.last().copied() {
            if open.level < indent {
                return;
            }
            self.unclosed(open, span, "but this starts at its level");
            self.shut();
        }
    }

    /// Closes the parentheses and brackets that are open within the innermost brace.
    fn drop_parens(&mut self, span: Span, why: &str) {
        let mut reported = false;
        while let Some(open) = self
            .open
            .last()
            .copied()
            .filter(|o| o.token != Token::LBrace)
        {
            if !reported {
                self.unclosed(open, span, why);
                reported = true;
            }
            self.mended.push(open.span.start);
            self.shut();
        }
    }

    fn close_brace(&mut self, span: Span, indent: Option<u32>) {
        self.drop_parens(span, "but the block ends here");
        while let (Some(open), Some(indent)) = (self.open.last().copied(), indent) {
            // It stands to the left of the line that opened: it closes another one.
            if open.level <= indent || self.open.len() == 1 {
                break;
            }
            self.unclosed(open, span, "this brace is not at its level");
            self.shut();
        }
        let extra = match (self.open.last(), indent) {
            (None, _) => true,
            (Some(open), Some(indent)) => indent > open.indent,
            (Some(_), None) => false,
        };
        if extra {
            return self.stray(span, "}");
        }
        self.open.pop();
        self.out.push((Token::RBrace, span));
    }

    fn close(&mut self, token: Token, span: Span, rest: &[(Token, Span)]) {
        let within: Vec<Open> = self
            .open
            .iter()
            .rev()
            .take_while(|o| o.token != Token::LBrace)
            .copied()
            .collect();
        let Some(found) = within.iter().position(|o| closing(o.token) == Some(token)) else {
            // The wrong kind of bracket, or none open.
            return match within.first() {
                Some(open) if closes_in(rest, closing(open.token), self.lines(open, span)) => {
                    self.stray(span, sign(token));
                }
                Some(open) => {
                    let (wrong, right) = (sign(token), sign(closing(open.token).unwrap_or(token)));
                    let message = format!("`{}` is closed by `{wrong}`", sign(open.token));
                    let diagnostic = Diagnostic::new("E0104", span, message)
                        .label(format!("`{right}` was expected"))
                        .related(open.span, "opened here");
                    self.diagnostics.push(diagnostic);
                    self.mended.push(open.span.start);
                    self.shut();
                }
                None => self.stray(span, sign(token)),
            };
        };
        for (at, open) in within.iter().take(found).enumerate() {
            if at == 0 {
                self.unclosed(*open, span, "but this closes what is around it");
            }
            self.shut();
        }
        self.open.pop();
        self.out.push((token, span));
    }

    /// Whether a bracket was opened on another line than that of a place.
    fn lines(&self, open: &Open, place: Span) -> bool {
        self.text[open.span.start as usize..place.start as usize].contains('\n')
    }

    fn finish(&mut self, end: Span) {
        self.drop_parens(end, "but the file ends here");
        if let Some(open) = self.open.last().copied() {
            self.unclosed(open, end, "but the file ends here");
        }
        while !self.open.is_empty() {
            self.shut();
        }
        self.out.push((Token::End, end));
    }

    /// Closes the innermost bracket where the last line ended.
    fn shut(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let mut at = self.out.len();
        while at > 0 && self.out[at - 1].0 == Token::Newline {
            at -= 1;
        }
        let before = if at > 0 {
            self.out[at - 1].1.after()
        } else {
            open.span.after()
        };
        self.out
            .insert(at, (closing(open.token).unwrap_or(open.token), before));
    }

    fn unclosed(&mut self, open: Open, noticed: Span, why: &str) {
        self.mended.push(open.span.start);
        let is_brace = open.token == Token::LBrace;
        if is_brace && self.unsure_from.is_some() {
            return;
        }
        let message = format!("this `{}` is never closed", sign(open.token));
        let diagnostic = Diagnostic::new("E0102", open.span, message).related(noticed, why);
        self.diagnostics.push(diagnostic);
        if is_brace {
            self.unsure_from = Some(noticed.start);
        }
    }

    fn stray(&mut self, span: Span, sign: &str) {
        self.mended.push(span.start);
        if sign == "}" {
            if self.unsure_from.is_some() {
                return;
            }
            self.unsure_from = Some(span.start);
        }
        let message = format!("`{sign}` closes nothing");
        let help = "delete it, or add the bracket that it should close";
        self.diagnostics
            .push(Diagnostic::new("E0104", span, message).help(help));
    }
}

/// Whether a bracket is closed before its line ends, or if it goes over several `lines` before a brace.
fn closes_in(rest: &[(Token, Span)], wanted: Option<Token>, lines: bool) -> bool {
    let mut depth = 0u32;
    for &(token, _) in rest {
        match token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth > 0 => depth -= 1,
            Token::RParen | Token::RBracket => return Some(token) == wanted,
            Token::Newline if lines => {}
            Token::Newline | Token::LBrace | Token::RBrace | Token::End => return false,
            _ => {}
        }
    }
    false
}

fn sign(token: Token) -> &'static str {
    match token {
        Token::LParen => "(",
        Token::RParen => ")",
        Token::LBracket => "[",
        Token::RBracket => "]",
        Token::LBrace => "{",
        _ => "}",
    }
}
