//! What the parser says of what it did not expect, and where it goes on.

use super::{Failed, Parsed, Parser};
use crate::diagnostics::Diagnostic;
use crate::lexer::{Head, Token, head};
use crate::span::Span;

/// Words of the compile-time half that is not part of this version.
const RESERVED: &[&str] = &["kernel"];

impl Parser<'_> {
    /// Adds a finding, unless it would only repeat one about brackets.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) -> Failed {
        let at = diagnostic.span.start.max(self.span().start);
        let first = self.mended.partition_point(|&place| place < self.anchor);
        let end = self.statement_end().max(at);
        let mended = self.mended.get(first).is_some_and(|&place| place <= end);
        let unsure = self.unsure_from.is_some_and(|from| at >= from);
        if !self.stopped && !mended && !unsure {
            self.diagnostics.push(diagnostic);
        }
        Failed
    }

    /// Where the line of the next token ends.
    fn statement_end(&self) -> u32 {
        let ends = |t: &&(Token, Span)| matches!(t.0, Token::Newline | Token::End);
        let end = self.tokens[self.at..].iter().find(ends);
        end.map_or(u32::MAX, |end| end.1.start)
    }

    /// How messages name the next token.
    pub(super) fn found(&self) -> String {
        match self.peek() {
            Token::Name | Token::Int | Token::Float | Token::OpAssign => {
                let text = &self.text[self.span().range()];
                let short: String = text.chars().take(30).collect();
                format!("`{short}`")
            }
            Token::RBrace => "the end of the block".to_owned(),
            token => token.describe().to_owned(),
        }
    }

    /// The next token; behind the last one if the line ends there, where the missing piece belongs.
    pub(super) fn here(&self) -> Span {
        let last = self.last_span();
        let gap = self
            .text
            .get(last.end as usize..self.span().start as usize)
            .unwrap_or("");
        if matches!(self.peek(), Token::Newline | Token::End) || gap.contains('\n') {
            last.after()
        } else {
            self.span()
        }
    }

    /// Reports that something else stands where `wanted` was expected.
    pub(super) fn unexpected(&mut self, wanted: &str) -> Failed {
        if let Some(diagnostic) = self.slip() {
            return self.report(diagnostic);
        }
        let message = format!("expected {wanted}, found {}", self.found());
        let mut diagnostic =
            Diagnostic::new("E0101", self.here(), message).label(format!("expected {wanted}"));
        if wanted == "an expression" && self.peek() == Token::Ellipsis {
            diagnostic = diagnostic.help("in a type, `..` stands for any axes");
        }
        if wanted == "`{`" && self.peek() == Token::Colon {
            diagnostic = diagnostic.help("blocks stand in braces: `{ ... }`");
        }
        if wanted == "`{`" && self.ends_parameters() {
            diagnostic = diagnostic.help("the type of the result stands behind `->`");
        }
        if wanted == "`=`" && self.peek() == Token::Comma {
            diagnostic = diagnostic.help("several names stand in brackets: `let (a, b) = ...`");
        }
        if wanted == "an expression" && (self.peek(), self.peek_at(1)) == (Token::Dot, Token::Int) {
            let digits = &self.text[self.tokens[self.at + 1].1.range()];
            if digits.len() < 30 {
                diagnostic = diagnostic.help(format!("write `0.{digits}`"));
            }
        }
        if wanted == "an expression" && self.at > 0 {
            let (before, span) = self.tokens[self.at - 1];
            if before == Token::Less && self.peek() == Token::Greater {
                let both = span.to(self.span());
                let message = "`<>` is not an operator of this language";
                return self.report(Diagnostic::new("E0108", both, message).help("write `!=`"));
            }
            if matches!(
                before,
                Token::Plus | Token::Minus | Token::Star | Token::Slash | Token::At
            ) {
                let text = format!("`{}` needs a right side", &self.text[span.range()]);
                diagnostic = diagnostic.related(span, text);
            }
        }
        self.report(diagnostic)
    }

    /// Whether the last token closed the parameters of a function, and a type follows.
    fn ends_parameters(&self) -> bool {
        let last = self.at.checked_sub(1).map(|at| self.tokens[at].0);
        last == Some(Token::RParen)
            && self.peek() == Token::Name
            && matches!(self.peek_at(1), Token::LBracket | Token::LBrace)
    }

    /// Reports a keyword where a name was expected.
    pub(super) fn reserved(&mut self, what: &str) -> Failed {
        let word = self.word();
        let message = format!("expected {what}, found the keyword `{word}`");
        let diagnostic = Diagnostic::new("E0111", self.span(), message);
        self.report(diagnostic.label("a keyword cannot be a name"))
    }

    /// A finding for a slip that people bring along from other languages.
    fn slip(&self) -> Option<Diagnostic> {
        let (code, message, help) = match (self.peek(), self.word()) {
            (Token::Semicolon, _) => (
                "E0109",
                "unexpected `;`",
                "statements end at the end of their line: delete it",
            ),
            (Token::OpAssign, _) => return Some(self.changed()),
            (Token::Eq, _) => (
                "E0101",
                "unexpected `=`",
                "to compare, write `==`; to bind, `let`",
            ),
            (Token::DotDotEq, _) => return None,
            (_, "def" | "func" | "function" | "fun") => {
                ("E0108", "functions are not declared this way", "write `fn`")
            }
            (_, "return") if self.peek_at(1) != Token::LParen => (
                "E0108",
                "there is no `return`",
                "the last expression of a block is its value",
            ),
            (_, "class" | "struct") if self.peek_at(1) == Token::Name => (
                "E0108",
                "records are not declared this way",
                "write `module`",
            ),
            (_, "import" | "from") if self.peek_at(1) == Token::Name => (
                "E0108",
                "files are not named this way",
                "write `use file: Name`",
            ),
            (_, "elif" | "elseif") => ("E0108", "unexpected `elif`", "write `else if`"),
            (_, "then") => (
                "E0108",
                "there is no `then`",
                "write `if c { a } else { b }`",
            ),
            (_, "lambda") => (
                "E0108",
                "there are no anonymous functions",
                "declare a function with `fn`",
            ),
            _ => return None,
        };
        Some(Diagnostic::new(code, self.span(), message).help(help))
    }

    /// `x += 1`.
    fn changed(&self) -> Diagnostic {
        let text = |span: Span| &self.text[span.range()];
        let name = match self.at.checked_sub(1).map(|at| self.tokens[at]) {
            Some((Token::Name, span)) if span.range().len() < 40 => text(span),
            _ => "x",
        };
        match text(self.span()).trim_end_matches('=') {
            ":" => Diagnostic::new("E0106", self.span(), "a binding without `let`")
                .help(format!("write `let {name} = ...`")),
            operator => Diagnostic::new("E0106", self.span(), "values are never changed").help(
                format!("bind a new one: `let {name} = {name} {operator} ...`"),
            ),
        }
    }

    /// Expects the bracket that closes the one at `open`; a comma may be what is missing.
    pub(super) fn close(&mut self, token: Token, open: Span, comma: bool) -> Parsed<Span> {
        if self.peek() == token {
            return Ok(self.advance());
        }
        if let Some(diagnostic) = self.slip() {
            return Err(self.report(diagnostic));
        }
        let wanted = match comma {
            true => format!("`,` or {}", token.describe()),
            false => token.describe().to_owned(),
        };
        let message = format!("expected {wanted}, found {}", self.found());
        let mut diagnostic =
            Diagnostic::new("E0101", self.here(), message).label(format!("expected {wanted}"));
        if open.end < self.last_span().start {
            diagnostic = diagnostic.related(open, "opened here");
        }
        if self.peek() == Token::Colon && token == Token::RParen {
            diagnostic = diagnostic.help("arguments are named with `=`: `axis = 0`");
        }
        if self.peek() == Token::Colon && token == Token::RBracket {
            diagnostic.code = "E0114";
            diagnostic.message = "a range is not written with `:`".to_owned();
            diagnostic = diagnostic.help("write `lo..hi`, and `..` alone for the whole axis");
        }
        Err(self.report(diagnostic))
    }

    /// Reports semicolons between statements, once for each place.
    pub(super) fn semicolons(&mut self) {
        while self.peek() == Token::Semicolon {
            if let Some(diagnostic) = self.slip() {
                self.report(diagnostic);
            }
            self.advance();
        }
    }

    /// Moves past line ends; semicolons among them are reported.
    pub(super) fn skip_ends(&mut self) {
        self.skip_newlines();
        while self.peek() == Token::Semicolon {
            self.semicolons();
            self.skip_newlines();
        }
    }

    /// What the next word would begin at the start of a line.
    pub(super) fn head(&self) -> Option<Head> {
        head(self.word(), self.peek_at(1))
    }

    /// Moves to the end of the statement: past balanced brackets, up to a line end or a closing brace.
    pub(super) fn skip_statement(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.peek() {
                Token::End => return,
                Token::Newline | Token::RBrace if depth == 0 => return,
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
    }

    /// Moves to the next line outside of brackets that starts an item.
    pub(super) fn skip_item(&mut self) {
        loop {
            self.skip_statement();
            if !self.accept(Token::RBrace) {
                self.skip_newlines();
            }
            let starts = matches!(self.head(), Some(Head::Function | Head::Item));
            if starts || matches!(self.peek(), Token::End | Token::Doc) {
                return;
            }
        }
    }

    /// Reports what cannot stand at the top level.
    pub(super) fn not_an_item(&mut self) -> Failed {
        let word = self.word();
        let span = self.span();
        if RESERVED.contains(&word) && self.peek_at(1) == Token::Name {
            let message = format!("`{word}` is not part of this version of the language");
            return self.report(Diagnostic::new("E0111", span, message));
        }
        if let Some(diagnostic) = self.slip() {
            return self.report(diagnostic);
        }
        let items = "`fn`, `module`, `test`, `prop`, `bench`, `rule`, `rules`, `schedule` or `use`";
        let message = match self.head() {
            Some(Head::Statement) => format!("`{word}` cannot stand at the top level"),
            Some(Head::Field) => format!("`{word}` stands in a module only"),
            _ => format!("expected an item, found {}", self.found()),
        };
        let diagnostic = Diagnostic::new("E0105", span, message);
        self.report(diagnostic.help(format!("an item starts with {items}")))
    }

    /// Reports an item inside a block, and moves past it.
    pub(super) fn nested_item(&mut self) -> Failed {
        let message = format!("a `{}` cannot stand inside a block", self.word());
        let diagnostic = Diagnostic::new("E0105", self.span(), message);
        self.report(diagnostic.help("move it to the top level of the file"))
    }
}
