//! Blocks, statements, patterns and binders.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::{Head, Token};
use crate::span::Span;

impl Parser<'_> {
    pub(super) fn block(&mut self) -> Parsed<Block> {
        let anchor = self.anchor;
        let block = self.nested(|p| p.block_inner());
        self.anchor = anchor;
        block
    }

    fn block_inner(&mut self) -> Parsed<Block> {
        let open = self.expect(Token::LBrace)?;
        let mut stmts: Vec<Stmt> = Vec::new();
        loop {
            self.skip_ends();
            if self.peek() == Token::Doc {
                self.stray_doc();
                continue;
            }
            if matches!(self.peek(), Token::RBrace | Token::End) {
                break;
            }
            let start = self.at;
            self.anchor = self.span().start;
            match self.statement_to_its_end() {
                Ok(stmt) => stmts.push(stmt),
                Err(Failed) if self.stopped => return Err(Failed),
                Err(Failed) => {
                    let kind = StmtKind::Error {
                        binds: self.bound_by(start),
                    };
                    let span = self.tokens[start].1.to(self.last_span());
                    stmts.push(Stmt { kind, span });
                    self.skip_statement();
                }
            }
        }
        let end = self.close(Token::RBrace, open, false)?;
        let tail = match stmts.pop_if(|last| is_tail(last)) {
            Some(Stmt {
                kind: StmtKind::Expr(value),
                ..
            }) => Some(value),
            Some(Stmt { span, .. }) => Some(Expr::new(ExprKind::Error, span)),
            None => None,
        };
        Ok(Block {
            stmts,
            tail,
            span: open.to(end),
        })
    }

    /// A statement, and that its line ends there.
    fn statement_to_its_end(&mut self) -> Parsed<Stmt> {
        if matches!(self.head(), Some(Head::Function | Head::Item | Head::Field)) {
            return Err(self.nested_item());
        }
        let stmt = self.statement()?;
        match self.peek() {
            Token::Newline | Token::Semicolon | Token::RBrace | Token::Doc | Token::End => Ok(stmt),
            Token::Eq if matches!(stmt.kind, StmtKind::Expr(_)) => Err(self.missing_let(&stmt)),
            Token::OpAssign => Err(self.unexpected("the end of the line")),
            Token::Comma if self.unclosed_generics().is_some() => {
                let open = self.unclosed_generics().unwrap_or(stmt.span);
                Err(self.bare_generics(open))
            }
            _ => {
                let message = format!("expected the end of the line, found {}", self.found());
                let mut diagnostic = Diagnostic::new("E0103", self.span(), message)
                    .label("the statement before it is complete");
                diagnostic = match self.bracketed_reduction() {
                    Some(word) => diagnostic.help(format!(
                        "a reduction over an index is written `{word} i: ...`, without brackets"
                    )),
                    None => diagnostic.help(self.what_else(&stmt)),
                };
                Err(self.report(diagnostic))
            }
        }
    }

    /// What may have been meant where a statement goes on.
    fn what_else(&self, stmt: &Stmt) -> String {
        let text = &self.text[stmt.span.range()];
        let words = ["let", "emit", "if", "for", "while", "grad"];
        let next = "put the next statement on a line of its own".to_owned();
        match (self.peek(), self.word()) {
            (_, "if") => "write `if c { a } else { b }`".to_owned(),
            (_, "as") => "convert with the name of the type: `f32(x)`".to_owned(),
            (Token::ColonColon, _) => "what belongs to a value stands behind a dot".to_owned(),
            (Token::Name, _) if matches!(stmt.kind, StmtKind::Expr(_)) => {
                let near = crate::suggest::nearest(text, words);
                near.map_or(next, |word| format!("did you mean `{word}`?"))
            }
            _ => next,
        }
    }

    /// The `<` of `Linear<2, 3>`, where the next token is its comma.
    fn unclosed_generics(&self) -> Option<Span> {
        let [.., (Token::Name, _), (Token::Less, open), _] = self.tokens[..self.at] else {
            return None;
        };
        let ends = |t: &&(Token, Span)| matches!(t.0, Token::Newline | Token::End);
        let rest = &self.tokens[self.at..];
        let line = rest.iter().take_while(|t| !ends(t));
        line.clone().any(|t| t.0 == Token::Greater).then_some(open)
    }

    /// The reducer of `sum[i]` just before the next token.
    fn bracketed_reduction(&self) -> Option<&str> {
        let before = &self.tokens[..self.at];
        let (Token::RBracket, _) = before.last()? else {
            return None;
        };
        let open = before.iter().rposition(|t| t.0 == Token::LBracket)?;
        let (Token::Name, span) = before[open.checked_sub(1)?] else {
            return None;
        };
        let word = &self.text[span.range()];
        let reducers = [
            "sum", "prod", "max", "min", "any", "all", "argmax", "argmin",
        ];
        reducers.contains(&word).then_some(word)
    }

    fn missing_let(&mut self, stmt: &Stmt) -> Failed {
        let place = &self.text[stmt.span.range()];
        let place = if place.len() > 40 { "x" } else { place };
        let help = match place.strip_prefix("self.") {
            Some(field) => format!("nothing is changed; a copy is made: `self.set({field} = ...)`"),
            None => format!("write `let {place} = ...`; a value is bound once and never changed"),
        };
        let diagnostic = Diagnostic::new("E0106", stmt.span, "a binding without `let`");
        self.report(diagnostic.help(help))
    }

    fn stray_doc(&mut self) {
        self.anchor = self.span().start;
        // Where a brace is missing, it may stand before an item.
        if self.unsure_from.is_none() {
            let message = "documentation of nothing";
            let help = "`///` stands before items and members; elsewhere write `//`";
            self.report(Diagnostic::new("E0110", self.span(), message).help(help));
        }
        while self.accept(Token::Doc) {
            self.skip_newlines();
        }
    }

    /// The names that a `let` which could not be read would have bound.
    fn bound_by(&self, start: usize) -> Vec<Ident> {
        let mut names = Vec::new();
        let word = |at: usize| {
            let (token, span) = self.tokens[at];
            if token == Token::Name {
                &self.text[span.range()]
            } else {
                ""
            }
        };
        if word(start) != "let" {
            return names;
        }
        for at in start + 1..self.tokens.len() {
            let (token, span) = self.tokens[at];
            match token {
                Token::Name => names.push(Ident {
                    name: aiai_ir::Sym::new(word(at)),
                    span,
                }),
                Token::LParen | Token::RParen | Token::Comma => {}
                _ => break,
            }
        }
        names
    }

    fn statement(&mut self) -> Parsed<Stmt> {
        let start = self.span();
        let kind = match self.word() {
            "let" => self.let_statement()?,
            "emit" => {
                self.advance();
                StmtKind::Emit(self.rhs()?)
            }
            "var" | "const" | "mut" if self.peek_at(1) == Token::Name => {
                let message = format!("`{}` does not bind values", self.word());
                let diagnostic = Diagnostic::new("E0108", start, message);
                return Err(self.report(diagnostic.help("write `let`")));
            }
            "return" if self.peek_at(1) != Token::LParen => {
                return Err(self.unexpected("a statement"));
            }
            _ => StmtKind::Expr(self.rhs()?),
        };
        Ok(Stmt {
            kind,
            span: start.to(self.last_span()),
        })
    }

    fn let_statement(&mut self) -> Parsed<StmtKind> {
        self.advance();
        if self.word() == "mut" && self.peek_at(1) == Token::Name {
            let diagnostic = Diagnostic::new("E0108", self.span(), "values are never changed");
            let help =
                "delete `mut`; to change a value, bind a new one, or carry it through a loop";
            return Err(self.report(diagnostic.help(help)));
        }
        if self.peek() == Token::Name && self.peek_at(1) == Token::LBracket {
            let name = self.ident("a name")?;
            let open = self.advance();
            let (indices, _) = self.items(Token::RBracket, open, |p| p.binder())?;
            self.expect(Token::Eq)?;
            let value = self.rhs()?;
            return Ok(StmtKind::IndexLet {
                name,
                indices,
                value,
            });
        }
        let pattern = self.pattern()?;
        if self.peek() == Token::Colon {
            self.let_type()?;
        }
        self.expect(Token::Eq)?;
        let value = self.rhs()?;
        Ok(StmtKind::Let { pattern, value })
    }

    /// Reports a type in a `let`, and reads past it.
    fn let_type(&mut self) -> Parsed<()> {
        let start = self.advance();
        self.ty()?;
        let span = start.to(self.last_span());
        let diagnostic = Diagnostic::new("E0115", span, "a type cannot be written in a `let`");
        self.report(diagnostic.help("types are inferred; for another dtype, cast: `f32(x)`"));
        Ok(())
    }

    /// `i` or `i in 0..N`
    pub(super) fn binder(&mut self) -> Parsed<Binder> {
        let name = self.ident("the name of an index")?;
        let mut range = None;
        if self.accept_word("in") {
            let lo = self.dim_expr()?;
            self.dots()?;
            range = Some((lo, self.dim_expr()?));
        }
        Ok(Binder {
            name,
            range,
            span: name.span.to(self.last_span()),
        })
    }

    pub(super) fn pattern(&mut self) -> Parsed<Pattern> {
        self.nested(|p| {
            let start = p.span();
            if p.accept(Token::LParen) {
                let (parts, end) = p.items(Token::RParen, start, |p| p.pattern())?;
                return Ok(Pattern {
                    kind: PatternKind::Tuple(parts),
                    span: start.to(end),
                });
            }
            let name = p.ident("a name or a tuple of names")?;
            let kind = match name.name.as_str() {
                "_" => PatternKind::Wildcard,
                _ => PatternKind::Name(name),
            };
            Ok(Pattern {
                kind,
                span: name.span,
            })
        })
    }
}

/// Whether a last statement is the value of its block; one that could not be read may be.
fn is_tail(stmt: &Stmt) -> bool {
    match &stmt.kind {
        StmtKind::Expr(_) => true,
        StmtKind::Error { binds } => binds.is_empty(),
        _ => false,
    }
}
