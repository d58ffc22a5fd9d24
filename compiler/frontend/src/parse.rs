//! The parser: recursive descent over tokens, with precedence climbing for operators.
//!
//! It always returns a tree. After an error it goes on at the next statement or item, so that one
//! mistake gives one finding. Nesting is bounded, so hostile input cannot exhaust the stack.

use aiai_ir::Sym;

use crate::ast::{File, Ident, MAX_DEPTH};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::lexer::{Lexed, Token, lex};
use crate::span::{FileId, Span};

mod blocks;
mod exprs;
mod items;
mod types;

/// Words that cannot be names, some of them kept for later.
const KEYWORDS: &[&str] = &[
    "and", "by", "each", "else", "emit", "false", "fn", "for", "grad", "if", "in", "let", "not",
    "or", "own", "true", "while", "with", "where", "module", "use",
];

/// Reads a file from its tokens.
pub fn parse(text: &str, id: FileId, diagnostics: &mut Diagnostics) -> File {
    let Lexed { tokens, comments } = lex(text, id, diagnostics);
    let mut parser = Parser {
        text,
        tokens: &tokens,
        at: 0,
        depth: 0,
        diagnostics,
        stopped: false,
    };
    let items = parser.file();
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
    tokens: &'a [(Token, Span)],
    at: usize,
    depth: u16,
    diagnostics: &'a mut Diagnostics,
    /// Set when the file is given up: nested too deeply.
    stopped: bool,
}

impl Parser<'_> {
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

    fn advance(&mut self) -> Span {
        let span = self.span();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        span
    }

    fn word(&self) -> &str {
        self.word_at(0)
    }

    /// The text of a name token; empty for any other token.
    fn word_at(&self, ahead: usize) -> &str {
        match self.tokens.get(self.at + ahead) {
            Some((Token::Name, span)) if !self.stopped => {
                &self.text[span.start as usize..span.end as usize]
            }
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
        while self.peek() == Token::Newline || self.peek() == Token::Semicolon {
            self.advance();
        }
    }

    /// How messages name the next token.
    fn found(&self) -> String {
        match self.peek() {
            Token::Name | Token::Int | Token::Float => {
                let span = self.span();
                let text = &self.text[span.start as usize..span.end as usize];
                let short: String = text.chars().take(30).collect();
                format!("`{short}`")
            }
            token => token.describe().to_owned(),
        }
    }

    /// Reports that something else stands where `wanted` was expected.
    fn unexpected(&mut self, wanted: &str) -> Failed {
        if self.stopped {
            return Failed;
        }
        let message = format!("expected {wanted}, found {}", self.found());
        let mut span = self.span();
        if self.peek() == Token::Newline || self.peek() == Token::End {
            // Point behind the last token, where the missing piece belongs.
            let end = self.last_span().end;
            span = Span {
                start: end,
                end: end + 1,
                ..span
            };
            if end as usize >= self.text.len() {
                span.end = end;
            }
        }
        let mut diagnostic =
            Diagnostic::new("E0101", span, message).label(format!("expected {wanted}"));
        if let Some(help) = self.slip() {
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
        Failed
    }

    /// Advice for slips that people bring along from other languages.
    fn slip(&self) -> Option<&'static str> {
        match (self.peek(), self.word()) {
            (Token::StarStar, _) => Some("powers are written `pow(x, n)`"),
            (Token::AndAnd, _) => Some("write `and`"),
            (Token::OrOr, _) => Some("write `or`"),
            (Token::Bang, _) => Some("write `not`"),
            (Token::Eq, _) => Some("`=` binds in `let`; to compare, write `==`"),
            (Token::Semicolon, _) => Some("statements end at the end of the line"),
            (_, "def" | "func" | "function") => Some("functions start with `fn`"),
            (_, "return") => Some("the last expression of a block is its value"),
            (_, "class" | "struct") => Some("modules start with `module`"),
            (_, "import" | "from") => Some("other files are named by `use`"),
            (_, "var" | "const" | "mut") => Some("values are bound by `let`"),
            _ => None,
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

    /// Expects the bracket that closes the one at `open`.
    fn close(&mut self, token: Token, open: Span) -> Parsed<Span> {
        if self.peek() == token {
            return Ok(self.advance());
        }
        if self.stopped {
            return Err(Failed);
        }
        let message = format!("expected {}, found {}", token.describe(), self.found());
        let at_end = matches!(self.peek(), Token::End | Token::Newline);
        let span = if at_end {
            self.last_span()
        } else {
            self.span()
        };
        let code = if at_end { "E0102" } else { "E0101" };
        let mut diagnostic = Diagnostic::new(code, span, message).related(open, "opened here");
        if let Some(help) = self.slip() {
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
        Err(Failed)
    }

    fn ident(&mut self, what: &str) -> Parsed<Ident> {
        if self.peek() == Token::Name && !KEYWORDS.contains(&self.word()) {
            let name = Sym::new(self.word());
            return Ok(Ident {
                name,
                span: self.advance(),
            });
        }
        Err(self.unexpected(what))
    }

    /// Reports that the program nests too deeply, and gives the file up.
    fn too_deep(&mut self) {
        if !self.stopped {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            let diagnostic = Diagnostic::new("E0801", self.span(), message);
            self.diagnostics
                .push(diagnostic.help("give parts a name with `let`"));
            self.stopped = true;
        }
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

    /// Items between brackets, separated by commas; the opening bracket has been taken.
    fn items<T>(
        &mut self,
        close: Token,
        open: Span,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<(Vec<T>, Span)> {
        let mut items = Vec::new();
        loop {
            self.skip_newlines();
            if self.peek() == close {
                return Ok((items, self.advance()));
            }
            items.push(item(self)?);
            self.skip_newlines();
            if !self.accept(Token::Comma) {
                return Ok((items, self.close(close, open)?));
            }
        }
    }

    /// Moves to the end of the statement: past balanced brackets, up to a line end or a closing brace.
    fn skip_statement(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.peek() {
                Token::End => return,
                Token::Newline if depth == 0 => return,
                Token::RBrace if depth == 0 => return,
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
    }
}
