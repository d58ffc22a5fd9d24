//! The parser: recursive descent over tokens, with precedence climbing for operators.
//!
//! It always returns a tree. After an error it goes on at the next statement, member or item, so that
//! one mistake gives one finding. Nesting is bounded, so hostile input cannot exhaust the stack.
//! `docs/grammar.md` is the grammar that it follows.

use aiai_ir::Sym;

use crate::ast::{File, Ident, MAX_DEPTH};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::lexer::{Lexed, Token, lex};
use crate::span::{FileId, Span};

mod blocks;
mod control;
mod errors;
mod exprs;
mod items;
mod passes;
mod rules;
mod schedules;
mod types;

/// Words that cannot be names. Words that start items and members (`module`, `param`, `test`, ...)
/// are names everywhere else.
pub(crate) const KEYWORDS: &[&str] = &[
    "and", "as", "by", "const", "each", "else", "emit", "false", "fn", "for", "grad", "if", "in",
    "let", "not", "or", "own", "true", "where", "while", "with",
];

/// Reads a file. Findings go to `diagnostics`; the tree has `Error` nodes in their places.
pub fn parse(text: &str, id: FileId, diagnostics: &mut Diagnostics) -> File {
    let Lexed {
        tokens,
        comments,
        mended,
        unsure_from,
    } = lex(text, id, diagnostics);
    let mut parser = Parser {
        text,
        file: id,
        tokens: &tokens,
        at: 0,
        depth: 0,
        diagnostics,
        stopped: false,
        anchor: 0,
        mended,
        unsure_from,
    };
    let items = parser.file();
    diagnostics.drop_strays(id);
    File {
        id,
        items,
        comments,
    }
}

/// Stands for a finding that has been reported: the caller recovers or gives up too.
pub(crate) struct Failed;

type Parsed<T> = Result<T, Failed>;

struct Parser<'a> {
    text: &'a str,
    file: FileId,
    tokens: &'a [(Token, Span)],
    at: usize,
    depth: u16,
    diagnostics: &'a mut Diagnostics,
    /// Set when the file is given up: nested too deeply.
    stopped: bool,
    /// Where the statement, member or item that is being read starts.
    anchor: u32,
    /// Where the lexer mended brackets, in order.
    mended: Vec<u32>,
    /// From where on the lexer is unsure of the braces.
    unsure_from: Option<u32>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token {
        if self.stopped {
            Token::End
        } else {
            self.tokens[self.at].0
        }
    }

    fn peek_at(&self, ahead: usize) -> Token {
        self.tokens.get(self.at + ahead).map_or(Token::End, |t| t.0)
    }

    fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    /// The span of the token before this one.
    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].1
    }

    /// Takes the next token, whose span it gives.
    fn advance(&mut self) -> Span {
        let span = self.span();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        span
    }

    fn word(&self) -> &'a str {
        self.word_at(0)
    }

    /// The text of a name token; empty for any other token.
    fn word_at(&self, ahead: usize) -> &'a str {
        match self.tokens.get(self.at + ahead) {
            Some((Token::Name, span)) if !self.stopped => &self.text[span.range()],
            _ => "",
        }
    }

    fn accept(&mut self, token: Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.advance();
        }
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.advance();
        }
        found
    }

    fn skip_newlines(&mut self) {
        while self.peek() == Token::Newline {
            self.advance();
        }
    }

    fn expect(&mut self, token: Token) -> Parsed<Span> {
        if self.peek() == token {
            Ok(self.advance())
        } else {
            Err(self.unexpected(token.describe()))
        }
    }

    fn expect_word(&mut self, word: &str) -> Parsed<Span> {
        if self.word() == word {
            Ok(self.advance())
        } else {
            Err(self.unexpected(&format!("`{word}`")))
        }
    }

    /// A name; `what` says for a message what it names.
    fn ident(&mut self, what: &str) -> Parsed<Ident> {
        if self.peek() != Token::Name {
            return Err(self.unexpected(what));
        }
        if KEYWORDS.contains(&self.word()) {
            return Err(self.reserved(what));
        }
        let name = Sym::new(self.word());
        Ok(Ident {
            name,
            span: self.advance(),
        })
    }

    /// Runs `inner` one level deeper; at the limit the file is given up.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            self.too_deep();
            return Err(Failed);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Reports that the program nests too deeply, and gives the file up.
    fn too_deep(&mut self) {
        if !self.stopped {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            let help = "give parts a name with `let`; the rest of the file is not read";
            self.diagnostics
                .push(Diagnostic::new("E0801", self.span(), message).help(help));
            self.stopped = true;
        }
    }

    /// Items between brackets, separated by commas; the opening bracket has been taken.
    fn items<T>(
        &mut self,
        close: Token,
        open: Span,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<(Vec<T>, Span)> {
        let mut items = Vec::new();
        loop {
            if self.peek() == close {
                return Ok((items, self.advance()));
            }
            items.push(item(self)?);
            if !self.accept(Token::Comma) {
                return Ok((items, self.close(close, open, true)?));
            }
        }
    }
}
