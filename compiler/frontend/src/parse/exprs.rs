//! Expressions.

use aiai_ir::Sym;

use super::{KEYWORDS, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::{Number, Token, number_value};
use crate::span::Span;

/// Binding strengths, loosest first. Comparisons do not chain.
fn binary_op(token: Token, word: &str) -> Option<(BinaryOp, u8)> {
    Some(match token {
        Token::Name if word == "or" => (BinaryOp::Or, 1),
        Token::Name if word == "and" => (BinaryOp::And, 2),
        Token::OrOr => (BinaryOp::Or, 1),
        Token::AndAnd => (BinaryOp::And, 2),
        Token::StarStar => (BinaryOp::Mul, 6),
        Token::EqEq => (BinaryOp::Compare(CompareOp::Eq), 4),
        Token::NotEq => (BinaryOp::Compare(CompareOp::Ne), 4),
        Token::Less => (BinaryOp::Compare(CompareOp::Lt), 4),
        Token::LessEq => (BinaryOp::Compare(CompareOp::Le), 4),
        Token::Greater => (BinaryOp::Compare(CompareOp::Gt), 4),
        Token::GreaterEq => (BinaryOp::Compare(CompareOp::Ge), 4),
        Token::Plus => (BinaryOp::Add, 5),
        Token::Minus => (BinaryOp::Sub, 5),
        Token::Star => (BinaryOp::Mul, 6),
        Token::Slash => (BinaryOp::Div, 6),
        Token::Percent => (BinaryOp::Rem, 6),
        Token::At => (BinaryOp::MatMul, 6),
        _ => return None,
    })
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const SUM: u8 = 5;
const NEGATION: u8 = 7;

impl Parser<'_> {
    /// The right-hand side of a statement: an expression or a reduction.
    pub(super) fn rhs(&mut self) -> Parsed<Expr> {
        if self.starts_reduction() {
            self.nested(|p| p.reduction())
        } else {
            self.expr()
        }
    }

    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.nested(|p| p.binary(0))
    }

    /// An expression without comparisons, as dimensions are: a `>` after it closes a list.
    pub(super) fn dim_expr(&mut self) -> Parsed<Expr> {
        self.nested(|p| p.binary(SUM))
    }

    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.prefix(least)?;
        loop {
            let Some((op, strength)) = binary_op(self.peek(), self.word()) else {
                return Ok(left);
            };
            if strength < least {
                return Ok(left);
            }
            let op_span = self.advance();
            let right = self.nested(|p| p.binary(strength + 1))?;
            let span = left.span.to(right.span);
            let (lhs, rhs) = (Box::new(left), Box::new(right));
            left = Expr::new(
                ExprKind::Binary {
                    op,
                    op_span,
                    lhs,
                    rhs,
                },
                span,
            );
            self.bounded(&left)?;
            if strength == COMPARISON
                && binary_op(self.peek(), "").is_some_and(|o| o.1 == COMPARISON)
            {
                if self.peek() == Token::Greater
                    && matches!(self.peek_at(1), Token::LParen | Token::Dot)
                {
                    return Err(self.bare_generics(op_span));
                }
                let message = "comparisons do not chain";
                let diagnostic = Diagnostic::new("E0107", self.span(), message)
                    .related(op_span, "the first comparison")
                    .help("join two comparisons with `and`: `a < b and b < c`");
                return Err(self.report(diagnostic));
            }
        }
    }

    /// Reports `zeros<N>()`, of which `<` is at a place.
    pub(super) fn bare_generics(&mut self, open: Span) -> super::Failed {
        let before = self.text[..open.start as usize].trim_end();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let name = &before[before.trim_end_matches(is_part).len()..];
        let message = "generic arguments of a value stand behind `::`";
        let diagnostic = Diagnostic::new("E0101", open, message);
        self.report(diagnostic.help(format!("write `{name}::<...>`")))
    }

    fn prefix(&mut self, least: u8) -> Parsed<Expr> {
        let start = self.span();
        let op = match (self.peek(), self.word()) {
            (Token::Minus, _) => UnaryOp::Neg,
            (Token::Bang, _) | (_, "not") => UnaryOp::Not,
            _ => return self.postfix(),
        };
        self.advance();
        let strength = if op == UnaryOp::Neg {
            NEGATION
        } else {
            NOT.max(least)
        };
        let operand = Box::new(self.nested(|p| p.binary(strength))?);
        let span = start.to(operand.span);
        Ok(Expr::new(ExprKind::Unary { op, operand }, span))
    }

    pub(super) fn postfix(&mut self) -> Parsed<Expr> {
        let mut base = self.primary()?;
        loop {
            let start = base.span;
            let kind = match self.peek() {
                Token::LBracket => {
                    let open = self.advance();
                    let (args, _) = self.items(Token::RBracket, open, |p| p.index_arg())?;
                    ExprKind::Index {
                        base: Box::new(base),
                        args,
                    }
                }
                Token::Dot => {
                    self.advance();
                    self.member_access(base)?
                }
                Token::LParen => {
                    let message = "only functions and methods can be called";
                    let diagnostic = Diagnostic::new("E0117", start, message);
                    let before = self.text[..start.start as usize].trim_end();
                    let help = if before.ends_with("grad") {
                        "`grad x { ... }` gives the value of a block and its gradient by `x`"
                    } else {
                        "multiplication is written `*`"
                    };
                    return Err(self.report(diagnostic.help(help)));
                }
                _ => return Ok(base),
            };
            base = Expr::new(kind, start.to(self.last_span()));
            self.bounded(&base)?;
        }
    }

    /// Gives the file up where a tree has grown too high without brackets.
    fn bounded(&mut self, expr: &Expr) -> Parsed<()> {
        if expr.depth < MAX_DEPTH {
            return Ok(());
        }
        self.too_deep();
        Err(super::Failed)
    }

    /// A field or a method behind the dot.
    fn member_access(&mut self, base: Expr) -> Parsed<ExprKind> {
        let member = if self.peek() == Token::Int {
            let span = self.advance();
            Ident {
                name: Sym::new(&self.text[span.range()]),
                span,
            }
        } else {
            let number = matches!(base.kind, ExprKind::Int { .. });
            if number && self.peek() != Token::Name {
                let text = &self.text[base.span.range()];
                let finding = Diagnostic::new("E0101", self.last_span(), "a number ends in a dot");
                return Err(self.report(finding.help(format!("write `{text}.0`"))));
            }
            self.ident("the name of a field or method")?
        };
        let mut generics = Vec::new();
        if self.peek() == Token::ColonColon {
            self.advance();
            generics = self.generic_args()?;
        }
        if self.peek() != Token::LParen {
            return Ok(ExprKind::Field {
                base: Box::new(base),
                field: member,
            });
        }
        let args = self.args()?;
        Ok(ExprKind::Method {
            receiver: Box::new(base),
            method: member,
            generics,
            args,
        })
    }

    fn args(&mut self) -> Parsed<Vec<Arg>> {
        let open = self.expect(Token::LParen)?;
        Ok(self.items(Token::RParen, open, |p| p.arg())?.0)
    }

    pub(super) fn arg(&mut self) -> Parsed<Arg> {
        if self.peek() == Token::Name && self.peek_at(1) == Token::Eq {
            let name = self.ident("the name of an argument")?;
            self.advance();
            return Ok(Arg {
                name: Some(name),
                value: self.rhs()?,
            });
        }
        Ok(Arg {
            name: None,
            value: self.rhs()?,
        })
    }

    fn index_arg(&mut self) -> Parsed<IndexArg> {
        match self.peek() {
            Token::Ellipsis => return Ok(IndexArg::Rest(self.advance())),
            Token::DotDot => {
                let span = self.advance();
                if matches!(self.peek(), Token::Comma | Token::RBracket) {
                    return Ok(IndexArg::All(span));
                }
                return Err(self.open_range(span));
            }
            Token::Colon => {
                let diagnostic =
                    Diagnostic::new("E0114", self.span(), "a range is not written with `:`");
                let help = "write `lo..hi`, and `..` alone for the whole axis";
                return Err(self.report(diagnostic.help(help)));
            }
            _ => {}
        }
        let lo = self.expr()?;
        if !self.at_dots() {
            return Ok(IndexArg::At(lo));
        }
        self.dots()?;
        let hi = self.expr()?;
        let step = if self.accept_word("by") {
            Some(self.expr()?)
        } else {
            None
        };
        let span = lo.span.to(self.last_span());
        Ok(IndexArg::Range { lo, hi, step, span })
    }

    /// Whether `..` is next, or what another language writes for it.
    pub(super) fn at_dots(&self) -> bool {
        matches!(self.peek(), Token::DotDot | Token::DotDotEq)
    }

    /// The `..` of a range; its other end must follow.
    pub(super) fn dots(&mut self) -> Parsed<()> {
        if !self.at_dots() {
            return Err(self.unexpected("`..`"));
        }
        let span = self.advance();
        match self.peek() {
            Token::RBracket | Token::RParen | Token::Comma | Token::Newline | Token::LBrace => {
                Err(self.open_range(span))
            }
            _ => Ok(()),
        }
    }

    fn open_range(&mut self, span: Span) -> super::Failed {
        let diagnostic = Diagnostic::new("E0114", span, "a range needs both ends");
        self.report(diagnostic.help("write `0..n`, or `..` alone for the whole axis"))
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let kind = match self.peek() {
            Token::Int | Token::Float => self.number(),
            Token::LParen => return self.parenthesised(),
            Token::LBracket => {
                let open = self.advance();
                let (items, _) = self.items(Token::RBracket, open, |p| p.expr())?;
                ExprKind::Array(items)
            }
            Token::LBrace => ExprKind::Block(Box::new(self.block()?)),
            Token::Text => {
                let span = self.advance();
                ExprKind::Str(self.text_value(span))
            }
            Token::DotDot => {
                let span = self.advance();
                if self.peek() == Token::Name
                    && matches!(self.peek_at(1), Token::Comma | Token::RParen)
                {
                    let name = self.ident("the name of a pack")?;
                    let span = start.to(self.last_span());
                    return Ok(Expr::new(ExprKind::Pack(name), span));
                }
                if !matches!(self.peek(), Token::Comma | Token::RParen) {
                    return Err(self.open_range(span));
                }
                ExprKind::All
            }
            Token::Name => return self.word_expr(),
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(Expr::new(kind, start.to(self.last_span())))
    }

    fn number(&mut self) -> ExprKind {
        let text = &self.text[self.advance().range()];
        let name = || Sym::new(text);
        match number_value(text) {
            Some(Number::Int(value)) => ExprKind::Int {
                value,
                text: name(),
            },
            Some(Number::Float(value)) => ExprKind::Float {
                value,
                text: name(),
            },
            None => ExprKind::Error,
        }
    }

    /// `(e)`, a tuple, or a parenthesised reduction.
    fn parenthesised(&mut self) -> Parsed<Expr> {
        let open = self.advance();
        if self.accept(Token::RParen) {
            return Ok(Expr::new(
                ExprKind::Tuple(Vec::new()),
                open.to(self.last_span()),
            ));
        }
        let first = self.rhs()?;
        if self.peek() != Token::Comma {
            let end = self.close(Token::RParen, open, true)?;
            return Ok(Expr::new(ExprKind::Paren(Box::new(first)), open.to(end)));
        }
        self.advance();
        let (rest, end) = self.items(Token::RParen, open, |p| p.rhs())?;
        let parts = std::iter::once(first).chain(rest).collect();
        Ok(Expr::new(ExprKind::Tuple(parts), open.to(end)))
    }

    fn word_expr(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let kind = match self.word() {
            "true" | "false" => {
                let value = self.word() == "true";
                self.advance();
                ExprKind::Bool(value)
            }
            "if" => self.if_expr()?,
            "for" => self.for_expr()?,
            "while" => self.while_expr()?,
            "grad" => self.grad_expr()?,
            word if KEYWORDS.contains(&word) => return Err(self.unexpected("an expression")),
            _ if self.starts_reduction() => {
                let message = "a reduction inside an expression needs parentheses";
                let diagnostic = Diagnostic::new("E0113", start, message);
                let help = "write `(sum i: ...)`; its body extends as far as it can";
                return Err(self.report(diagnostic.help(help)));
            }
            _ => {
                let name = self.ident("an expression")?;
                let mut generics = Vec::new();
                let generic = self.accept(Token::ColonColon);
                if generic {
                    generics = self.generic_args()?;
                }
                match (self.peek() == Token::LParen, generic, name.name.as_str()) {
                    (true, _, _) => ExprKind::Call {
                        function: name,
                        generics,
                        args: self.args()?,
                    },
                    (false, true, _) => ExprKind::Instance { name, generics },
                    (false, false, "inf") => ExprKind::Inf,
                    (false, false, "nan") => ExprKind::Nan,
                    (false, false, _) => ExprKind::Name(name),
                }
            }
        };
        Ok(Expr::new(kind, start.to(self.last_span())))
    }

    /// Whether `sum d:`, `sum d in`, `sum d, e:` or `sum<f32> d` comes next.
    fn starts_reduction(&self) -> bool {
        if self.reduce_word().is_none() {
            return false;
        }
        match self.peek_at(1) {
            Token::Name => !matches!(
                self.word_at(1),
                "and" | "or" | "by" | "with" | "in" | "else" | "max"
            ),
            Token::Less => {
                let tokens = [self.peek_at(2), self.peek_at(3), self.peek_at(4)];
                tokens == [Token::Name, Token::Greater, Token::Name]
                    && (matches!(self.peek_at(5), Token::Colon | Token::Comma)
                        || self.word_at(5) == "in")
            }
            _ => false,
        }
    }

    fn reduce_word(&self) -> Option<ReduceWord> {
        ReduceWord::ALL
            .into_iter()
            .find(|r| r.word() == self.word())
    }

    fn reduction(&mut self) -> Parsed<Expr> {
        let word = self.reduce_word().unwrap_or(ReduceWord::Sum);
        let word_span = self.advance();
        let mut accumulator = None;
        if self.accept(Token::Less) {
            accumulator = Some(self.ident("an element type")?);
            self.expect(Token::Greater)?;
        }
        let mut indices = vec![self.binder()?];
        while self.accept(Token::Comma) {
            indices.push(self.binder()?);
        }
        self.expect(Token::Colon)?;
        let body = self.rhs()?;
        let span = word_span.to(body.span);
        let reduce = Reduce {
            word,
            word_span,
            accumulator,
            indices,
            body,
        };
        Ok(Expr::new(ExprKind::Reduce(Box::new(reduce)), span))
    }
}
