//! Expressions with blocks: conditions, loops, differentiation.

use super::{Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Token;

impl Parser<'_> {
    pub(super) fn if_expr(&mut self) -> Parsed<ExprKind> {
        let start = self.advance();
        let condition = self.expr()?;
        let then = self.block()?;
        if self.word() != "else" {
            if matches!(self.word(), "elif" | "elseif") {
                return Err(self.unexpected("`else`"));
            }
            let diagnostic = Diagnostic::new("E0112", start, "an `if` without `else`");
            let help = "an `if` is an expression: say with `else` what it is otherwise";
            return Err(self.report(diagnostic.help(help)));
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

    pub(super) fn for_expr(&mut self) -> Parsed<ExprKind> {
        self.advance();
        if self.accept_word("each") {
            return self.for_each();
        }
        let var = self.ident("the name of the loop variable")?;
        if self.peek() == Token::Eq {
            let message = "a loop variable runs `in` a range";
            let diagnostic = Diagnostic::new("E0101", self.span(), message);
            return Err(self.report(diagnostic.help("write `in` in place of `=`")));
        }
        self.expect_word("in")?;
        let lo = self.expr()?;
        let source = if self.at_dots() {
            self.dots()?;
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
            let count =
                |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            let message = format!(
                "{} for {}",
                count(vars.len(), "name"),
                count(over.len(), "value")
            );
            let names = vars[0].span.to(vars[vars.len() - 1].span);
            let diagnostic = Diagnostic::new("E0116", names, message);
            return Err(self.report(diagnostic.related(span, "one name for each of these")));
        }
        let body = self.block()?;
        Ok(ExprKind::ForEach(Box::new(ForEach {
            vars,
            over,
            body,
            parenthesized,
        })))
    }

    pub(super) fn while_expr(&mut self) -> Parsed<ExprKind> {
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

    /// `grad x { ... }`, `grad (net, x) { ... }`.
    pub(super) fn grad_expr(&mut self) -> Parsed<ExprKind> {
        self.advance();
        if self.peek() == Token::LBrace {
            return Err(self.unexpected("what to differentiate by"));
        }
        let by = self.postfix()?;
        let (span, tuple) = (by.span, matches!(by.kind, ExprKind::Tuple(_)));
        let targets = match by.kind {
            ExprKind::Tuple(parts) => parts,
            _ => vec![by],
        };
        if targets.is_empty() {
            let diagnostic = Diagnostic::new("E0101", span, "nothing to differentiate by");
            return Err(self.report(diagnostic.help("name the values: `grad (net, x) { ... }`")));
        }
        let body = self.block()?;
        Ok(ExprKind::Grad(Box::new(Grad {
            targets,
            tuple,
            body,
        })))
    }
}
