//! Blocks, statements, patterns and binders.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Token;

impl Parser<'_> {
    pub(super) fn block(&mut self) -> Parsed<Block> {
        self.nested(|p| p.block_inner())
    }

    fn block_inner(&mut self) -> Parsed<Block> {
        let open = self.expect(Token::LBrace)?;
        let mut stmts: Vec<Stmt> = Vec::new();
        loop {
            self.skip_newlines();
            while self.peek() == Token::Doc {
                self.advance();
                self.skip_newlines();
            }
            if matches!(self.peek(), Token::RBrace | Token::End) {
                break;
            }
            if self.statement_end_missing(&stmts) {
                self.skip_statement();
                continue;
            }
            let start = self.at;
            match self.statement() {
                Ok(stmt) => stmts.push(stmt),
                Err(Failed) if self.stopped => return Err(Failed),
                Err(Failed) => {
                    stmts.push(Stmt {
                        kind: StmtKind::Error {
                            binds: self.bound_by(start),
                        },
                        span: self.last_span(),
                    });
                    self.skip_statement();
                }
            }
        }
        let end = self.close(Token::RBrace, open)?;
        let tail = match stmts.pop() {
            Some(Stmt {
                kind: StmtKind::Expr(value),
                ..
            }) => Some(value),
            Some(Stmt {
                kind: StmtKind::Error { binds },
                span,
            }) if binds.is_empty() => Some(Expr::new(ExprKind::Error, span)),
            Some(other) => {
                stmts.push(other);
                None
            }
            None => None,
        };
        Ok(Block {
            stmts,
            tail,
            span: open.to(end),
        })
    }

    /// Reports a statement that does not start on a line of its own.
    fn statement_end_missing(&mut self, stmts: &[Stmt]) -> bool {
        let Some(last) = stmts.last() else {
            return false;
        };
        if self.tokens[self.at - 1].0 == Token::Newline
            || matches!(last.kind, StmtKind::Error { .. })
        {
            return false;
        }
        let before = self.last_span();
        if self.text[before.end as usize..self.span().start as usize].contains('\n') {
            return false;
        }
        let message = format!("expected the end of the statement, found {}", self.found());
        let mut diagnostic = Diagnostic::new("E0103", self.span(), message);
        if let Some(help) = self.slip() {
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
        true
    }

    /// The names that a `let` which could not be read would have bound.
    fn bound_by(&self, start: usize) -> Vec<Ident> {
        let mut names = Vec::new();
        let word = |at: usize| {
            let (token, span) = self.tokens[at];
            let text = &self.text[span.start as usize..span.end as usize];
            if token == Token::Name { text } else { "" }
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
            _ => {
                let value = self.rhs()?;
                if self.peek() == Token::Eq {
                    let diagnostic = Diagnostic::new(
                        "E0101",
                        self.span(),
                        "expected the end of the statement, found `=`",
                    )
                    .help("values are bound with `let`, and never changed");
                    self.diagnostics.push(diagnostic);
                    return Err(Failed);
                }
                StmtKind::Expr(value)
            }
        };
        Ok(Stmt {
            kind,
            span: start.to(self.last_span()),
        })
    }

    fn let_statement(&mut self) -> Parsed<StmtKind> {
        self.advance();
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
        self.expect(Token::Eq)?;
        let value = self.rhs()?;
        Ok(StmtKind::Let { pattern, value })
    }

    /// `i` or `i in 0..N`
    pub(super) fn binder(&mut self) -> Parsed<Binder> {
        let name = self.ident("the name of an index")?;
        let mut range = None;
        if self.accept_word("in") {
            let from = self.dim_expr()?;
            self.expect(Token::DotDot)?;
            range = Some((from, self.dim_expr()?));
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
            let wildcard = name.name.as_str() == "_";
            let kind = if wildcard {
                PatternKind::Wildcard
            } else {
                PatternKind::Name(name)
            };
            Ok(Pattern {
                kind,
                span: name.span,
            })
        })
    }
}
