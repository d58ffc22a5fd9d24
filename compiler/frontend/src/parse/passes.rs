//! What chooses: `fuse` and `layout`.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::{Number, Token, number_value};

const FUSE_FORM: &str = "write `fuse producer into consumer where guard`";
const LAYOUT_FORM: &str = "a choice is `part: form` or `part: form(n)`, as in `right: blocked(16)`";

impl Parser<'_> {
    pub(super) fn fuse(&mut self, doc: Doc) -> Parsed<Fuse> {
        let start = self.advance();
        let producer = self.ident("a class of operations, such as `elementwise`")?;
        if !self.accept_word("into") {
            let message = format!("expected `into`, found {}", self.found());
            let diagnostic = Diagnostic::new("E0121", self.here(), message);
            return Err(self.report(diagnostic.help(FUSE_FORM)));
        }
        let consumer = self.ident("a class of operations, such as `elementwise`")?;
        let constraints = self.constraints(&mut [])?;
        Ok(Fuse {
            doc,
            producer,
            consumer,
            constraints,
            span: start.to(self.last_span()),
        })
    }

    pub(super) fn layout(&mut self, doc: Doc) -> Parsed<Layout> {
        let start = self.advance();
        let op = self.ident("a class of operations, such as `contract`")?;
        let constraints = self.constraints(&mut [])?;
        let open = self.expect(Token::LBrace)?;
        let mut choices = Vec::new();
        loop {
            self.skip_ends();
            self.anchor = self.span().start;
            let doc = self.doc();
            self.undocumented(&doc);
            if matches!(self.peek(), Token::RBrace | Token::End) {
                break;
            }
            match self.choice() {
                Ok(choice) => choices.push(choice),
                Err(Failed) if self.stopped => return Err(Failed),
                Err(Failed) => self.skip_statement(),
            }
        }
        let end = self.close(Token::RBrace, open, false)?;
        Ok(Layout {
            doc,
            op,
            constraints,
            choices,
            span: start.to(end),
        })
    }

    fn choice(&mut self) -> Parsed<Choice> {
        let part = self.ident("a part of the operation, such as `right`")?;
        if !self.accept(Token::Colon) {
            return Err(self.not_a_choice("`:`"));
        }
        let form = self.ident("a layout, such as `blocked(16)`")?;
        let mut sizes = Vec::new();
        if self.peek() == Token::LParen {
            let open = self.advance();
            sizes = self.items(Token::RParen, open, |p| p.size())?.0;
        }
        let span = part.span.to(self.last_span());
        match self.peek() {
            Token::Newline | Token::Semicolon | Token::RBrace | Token::Doc | Token::End => {
                Ok(Choice {
                    part,
                    form,
                    sizes,
                    span,
                })
            }
            _ => Err(self.not_a_choice("the end of the line")),
        }
    }

    fn size(&mut self) -> Parsed<By> {
        if self.peek() != Token::Int {
            return Err(self.not_a_choice("a whole number"));
        }
        let span = self.advance();
        match number_value(&self.text[span.range()]) {
            Some(Number::Int(value)) => Ok(By { value, span }),
            // Reported by the lexer.
            Some(Number::Float(_)) | None => Err(Failed),
        }
    }

    /// Reports a choice of another form.
    fn not_a_choice(&mut self, wanted: &str) -> Failed {
        let message = format!("expected {wanted}, found {}", self.found());
        let diagnostic = Diagnostic::new("E0121", self.here(), message);
        self.report(diagnostic.help(LAYOUT_FORM))
    }
}
