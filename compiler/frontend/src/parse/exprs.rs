//! Expressions.

use aiai_ir::Sym;

use super::{KEYWORDS, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Token;

/// Binding strengths, loosest first. Comparisons do not chain.
fn binary_op(token: Token, word: &str) -> Option<(BinaryOp, u8)> {
    Some(match token {
        Token::Name if word == "or" => (BinaryOp::Or, 1),
        Token::Name if word == "and" => (BinaryOp::And, 2),
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
                let diagnostic = Diagnostic::new("E0101", self.span(), "comparisons do not chain");
                self.diagnostics
                    .push(diagnostic.help("join two comparisons with `and`"));
                return Err(super::Failed);
            }
        }
    }

    fn prefix(&mut self, least: u8) -> Parsed<Expr> {
        let start = self.span();
        let op = match (self.peek(), self.word()) {
            (Token::Minus, _) => UnaryOp::Neg,
            (_, "not") => UnaryOp::Not,
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

    fn postfix(&mut self) -> Parsed<Expr> {
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
                    self.diagnostics
                        .push(Diagnostic::new("E0101", self.span(), message));
                    return Err(super::Failed);
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
                if matches!(self.peek(), Token::Comma | Token::RBracket | Token::Newline) {
                    return Ok(IndexArg::All(span));
                }
                let diagnostic = Diagnostic::new("E0101", span, "a range needs both ends")
                    .help("write `0..n`, or `..` alone for the whole axis");
                self.diagnostics.push(diagnostic);
                return Err(super::Failed);
            }
            _ => {}
        }
        let lo = self.expr()?;
        if !self.accept(Token::DotDot) {
            return Ok(IndexArg::At(lo));
        }
        let hi = self.expr()?;
        let step = if self.accept_word("by") {
            Some(self.expr()?)
        } else {
            None
        };
        let span = lo.span.to(self.last_span());
        Ok(IndexArg::Range { lo, hi, step, span })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let kind = match self.peek() {
            Token::Int => self.int()?,
            Token::Float => {
                let text = self.number_text();
                let value = text.parse().unwrap_or(f64::INFINITY);
                ExprKind::Float {
                    value,
                    text: Sym::new(&text),
                }
            }
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
                self.advance();
                ExprKind::All
            }
            Token::Name => return self.word_expr(),
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(Expr::new(kind, start.to(self.last_span())))
    }

    pub(super) fn number_text(&mut self) -> String {
        let span = self.advance();
        self.text[span.start as usize..span.end as usize].replace('_', "")
    }

    fn int(&mut self) -> Parsed<ExprKind> {
        let span = self.span();
        let text = self.number_text();
        match text.parse() {
            Ok(value) => Ok(ExprKind::Int {
                value,
                text: Sym::new(&text),
            }),
            Err(_) => {
                if !text.is_empty() {
                    let message = "a whole number that does not fit in 64 bits";
                    self.diagnostics
                        .push(Diagnostic::new("E0002", span, message));
                }
                Ok(ExprKind::Error)
            }
        }
    }

    /// `(e)`, a tuple, or a parenthesised reduction.
    fn parenthesised(&mut self) -> Parsed<Expr> {
        let open = self.advance();
        self.skip_newlines();
        if self.accept(Token::RParen) {
            return Ok(Expr::new(
                ExprKind::Tuple(Vec::new()),
                open.to(self.last_span()),
            ));
        }
        let first = self.rhs()?;
        self.skip_newlines();
        if self.peek() != Token::Comma {
            let end = self.close(Token::RParen, open)?;
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
            "grad" => {
                self.advance();
                let wrt = self.postfix()?;
                let tuple = matches!(wrt.kind, ExprKind::Tuple(_));
                let targets = match wrt.kind {
                    ExprKind::Tuple(parts) if !parts.is_empty() => parts,
                    ExprKind::Tuple(_) => {
                        return Err(self.unexpected("something to differentiate by"));
                    }
                    _ => vec![wrt],
                };
                ExprKind::Grad(Box::new(Grad {
                    targets,
                    tuple,
                    body: self.block()?,
                }))
            }
            word if KEYWORDS.contains(&word) => return Err(self.unexpected("an expression")),
            _ if self.starts_reduction() => {
                let message = "a reduction inside an expression needs parentheses";
                let diagnostic = Diagnostic::new("E0101", start, message);
                let help = "write `(sum i: ...)`; its body extends as far as it can";
                self.diagnostics.push(diagnostic.help(help));
                return Err(super::Failed);
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
                self.word_at(2).parse::<aiai_ir::DType>().is_ok()
                    && self.peek_at(3) == Token::Greater
                    && self.peek_at(4) == Token::Name
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

    fn if_expr(&mut self) -> Parsed<ExprKind> {
        self.advance();
        let condition = self.expr()?;
        let then = self.block()?;
        if self.peek() == Token::Newline && self.word_at(1) == "else" {
            self.advance();
        }
        if self.word() != "else" {
            return Err(self.unexpected("`else` (an `if` is an expression)"));
        }
        self.advance();
        let start = self.span();
        let kind = if self.word() == "if" {
            self.nested(|p| p.if_expr())?
        } else {
            ExprKind::Block(Box::new(self.block()?))
        };
        let otherwise = Expr::new(kind, start.to(self.last_span()));
        Ok(ExprKind::If(Box::new(If {
            condition,
            then,
            otherwise,
        })))
    }

    fn carry(&mut self) -> Parsed<Carry> {
        let pattern = self.pattern()?;
        self.expect(Token::Eq)?;
        Ok(Carry {
            pattern,
            init: self.expr()?,
        })
    }

    fn for_expr(&mut self) -> Parsed<ExprKind> {
        self.advance();
        if self.accept_word("each") {
            return self.for_each();
        }
        let var = self.ident("the name of the loop variable")?;
        self.expect_word("in")?;
        let lo = self.expr()?;
        let source = if self.accept(Token::DotDot) {
            let hi = self.expr()?;
            let step = if self.accept_word("by") {
                Some(self.expr()?)
            } else {
                None
            };
            ForSource::Range { lo, hi, step }
        } else {
            ForSource::List(lo)
        };
        let carry = if self.accept_word("with") {
            Some(self.carry()?)
        } else {
            None
        };
        let body = self.block()?;
        Ok(ExprKind::For(Box::new(For {
            var,
            source,
            carry,
            body,
        })))
    }

    fn for_each(&mut self) -> Parsed<ExprKind> {
        let mut vars = vec![self.ident("a name for the leaves")?];
        while self.accept(Token::Comma) {
            vars.push(self.ident("a name for the leaves")?);
        }
        self.expect_word("in")?;
        let source = self.expr()?;
        let span = source.span;
        let parenthesized = matches!(source.kind, ExprKind::Tuple(_) | ExprKind::Paren(_));
        let over = match source.kind {
            ExprKind::Tuple(parts) => parts,
            ExprKind::Paren(inner) => vec![*inner],
            _ => vec![source],
        };
        if over.len() != vars.len() {
            let message = format!("{} names for {} values", vars.len(), over.len());
            let names = vars[0].span.to(vars[vars.len() - 1].span);
            let diagnostic = Diagnostic::new("E0101", names, message);
            self.diagnostics
                .push(diagnostic.related(span, "one name for each of these"));
            return Err(super::Failed);
        }
        let body = self.block()?;
        Ok(ExprKind::ForEach(Box::new(ForEach {
            vars,
            over,
            body,
            parenthesized,
        })))
    }

    fn while_expr(&mut self) -> Parsed<ExprKind> {
        self.advance();
        let condition = self.expr()?;
        if self.word() != "with" {
            return Err(self.unexpected("`with` and the state of the loop"));
        }
        self.advance();
        let carry = self.carry()?;
        let max = if self.accept_word("max") {
            Some(self.expr()?)
        } else {
            None
        };
        let body = self.block()?;
        Ok(ExprKind::While(Box::new(While {
            condition,
            carry,
            max,
            body,
        })))
    }
}
