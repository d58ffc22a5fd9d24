//! Rules: groups of them, their classes and their sides.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::{Number, Token, number_value};
use crate::span::Span;

impl Parser<'_> {
    pub(super) fn rules(&mut self, doc: Doc) -> Parsed<RuleGroup> {
        let start = self.advance();
        let name = self.ident("the name of the rules")?;
        let open = self.expect(Token::LBrace)?;
        let mut rules = Vec::new();
        loop {
            self.skip_ends();
            self.anchor = self.span().start;
            let doc = self.doc();
            if matches!(self.peek(), Token::RBrace | Token::End) {
                self.undocumented(&doc);
                break;
            }
            match self.rule(doc) {
                Ok(rule) => rules.push(rule),
                Err(Failed) if self.stopped => return Err(Failed),
                Err(Failed) => self.skip_statement(),
            }
        }
        let end = self.close(Token::RBrace, open, false)?;
        Ok(RuleGroup {
            doc,
            name,
            rules,
            span: start.to(end),
        })
    }

    pub(super) fn rule(&mut self, doc: Doc) -> Parsed<Rule> {
        let start = self.expect_word("rule")?;
        let name = self.ident("the name of the rule")?;
        let mut generics = self.generic_params()?;
        let params = self.params()?;
        let class = self.rule_class()?;
        let constraints = self.constraints(&mut generics)?;
        let open = self.expect(Token::LBrace)?;
        let (lhs, rhs, end) = match self.sides(open) {
            Ok(sides) => sides,
            Err(Failed) => {
                while !self.stopped && !matches!(self.peek(), Token::RBrace | Token::End) {
                    self.skip_statement();
                    self.skip_newlines();
                }
                self.accept(Token::RBrace);
                return Err(Failed);
            }
        };
        Ok(Rule {
            doc,
            name,
            generics,
            params,
            class,
            constraints,
            lhs,
            rhs,
            span: start.to(end),
        })
    }

    /// What stands in the braces of a rule, and the closing one.
    fn sides(&mut self, open: Span) -> Parsed<(Expr, Expr, Span)> {
        self.skip_newlines();
        let lhs = self.rhs()?;
        self.fat_arrow()?;
        let rhs = self.rhs()?;
        self.skip_newlines();
        Ok((lhs, rhs, self.close(Token::RBrace, open, false)?))
    }

    fn fat_arrow(&mut self) -> Parsed<()> {
        if self.accept(Token::FatArrow) {
            return Ok(());
        }
        let message = format!(
            "expected `=>` between the sides of the rule, found {}",
            self.found()
        );
        let mut diagnostic = Diagnostic::new("E0118", self.here(), message);
        if matches!(self.peek(), Token::Arrow | Token::Eq | Token::EqEq) {
            diagnostic = diagnostic.help("write `=>`");
        }
        Err(self.report(diagnostic))
    }

    fn rule_class(&mut self) -> Parsed<RuleClass> {
        let start = self.span();
        let kind = match self.word() {
            "exact" => RuleClassKind::Exact,
            "real" => RuleClassKind::Real,
            "approx" => {
                self.advance();
                let open = self.expect(Token::LParen)?;
                let bound = match self.peek() {
                    Token::Int | Token::Float => {
                        match number_value(&self.text[self.advance().range()]) {
                            Some(Number::Int(value)) => value as f64,
                            Some(Number::Float(value)) => value,
                            None => 0.0,
                        }
                    }
                    _ => return Err(self.unexpected("a number of ulp")),
                };
                self.expect_word("ulp")?;
                self.close(Token::RParen, open, false)?;
                RuleClassKind::Approx(bound)
            }
            _ => {
                let message = format!("expected the class of the rule, found {}", self.found());
                let diagnostic = Diagnostic::new("E0118", self.here(), message);
                return Err(
                    self.report(diagnostic.help("a class is `exact`, `real` or `approx(n ulp)`"))
                );
            }
        };
        if !matches!(kind, RuleClassKind::Approx(_)) {
            self.advance();
        }
        let finite = self.accept_word("finite");
        Ok(RuleClass {
            kind,
            finite,
            span: start.to(self.last_span()),
        })
    }
}
