//! Schedules: the head, the guard, the steps.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::{Head, Number, Token, number_value};
use crate::span::Span;

const FORM: &str = "a schedule is `schedule name for pattern on cpu where guard { steps }`";
const STEP_FORM: &str =
    "a step is `verb name by n`, as in `tile columns by 64`, `verb name at axis` or `verb name`";

impl Parser<'_> {
    pub(super) fn schedule(&mut self, doc: Doc) -> Parsed<Schedule> {
        let start = self.advance();
        let name = self.ident("the name of the schedule")?;
        self.schedule_word("for")?;
        let pattern = self.ident("what the schedule is for, such as `contract`")?;
        self.schedule_word("on")?;
        let device = self.ident("a device such as `cpu`")?;
        let mut features = Vec::new();
        if self.peek() == Token::LParen {
            let open = self.advance();
            features = self.items(Token::RParen, open, Self::feature)?.0;
        }
        let guard = match self.accept_word("where") {
            true => Some(self.expr()?),
            false => None,
        };
        let open = self.schedule_brace(guard.is_some())?;
        let steps = self.steps()?;
        let end = self.close(Token::RBrace, open, false)?;
        Ok(Schedule {
            doc,
            name,
            pattern,
            device,
            features,
            guard,
            steps,
            span: start.to(end),
        })
    }

    /// `name` or `not name`.
    fn feature(&mut self) -> Parsed<Feature> {
        let start = self.here();
        let wanted = !self.accept_word("not");
        let name = self.ident("a feature of the processor")?;
        Ok(Feature {
            name,
            wanted,
            span: start.to(name.span),
        })
    }

    /// A word of the head.
    fn schedule_word(&mut self, word: &str) -> Parsed<()> {
        if self.accept_word(word) {
            return Ok(());
        }
        let message = format!("expected `{word}`, found {}", self.found());
        let diagnostic = Diagnostic::new("E0120", self.here(), message);
        Err(self.report(diagnostic.help(FORM)))
    }

    /// The brace that opens the steps.
    fn schedule_brace(&mut self, guarded: bool) -> Parsed<Span> {
        let separated = guarded && self.peek() == Token::Comma;
        let conditional = !guarded && self.word() == "if";
        if !separated && !conditional {
            return self.expect(Token::LBrace);
        }
        let help = match separated {
            true => "join conditions with `and`",
            false => "write `where`",
        };
        let message = format!("expected `{{`, found {}", self.found());
        let diagnostic = Diagnostic::new("E0120", self.here(), message);
        Err(self.report(diagnostic.help(help)))
    }

    /// The steps that can be read, up to the closing brace.
    fn steps(&mut self) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            self.skip_ends();
            self.anchor = self.span().start;
            let doc = self.doc();
            self.undocumented(&doc);
            if matches!(self.peek(), Token::RBrace | Token::End) {
                return Ok(steps);
            }
            match self.step() {
                Ok(step) => steps.push(step),
                Err(Failed) if self.stopped => return Err(Failed),
                Err(Failed) => self.skip_statement(),
            }
        }
    }

    fn step(&mut self) -> Parsed<Step> {
        if matches!(self.head(), Some(Head::Function | Head::Statement)) {
            let message = format!("`{}` cannot stand in a schedule", self.word());
            let diagnostic = Diagnostic::new("E0105", self.span(), message);
            return Err(self.report(diagnostic.help(STEP_FORM)));
        }
        if self.peek() != Token::Name {
            return Err(self.not_a_step("a step"));
        }
        let verb = self.ident("a step")?;
        let mut targets = vec![self.target()?];
        while self.accept(Token::Comma) {
            targets.push(self.target()?);
        }
        let span = verb.span.to(self.last_span());
        match self.peek() {
            Token::Newline | Token::Semicolon | Token::RBrace | Token::Doc | Token::End => {
                Ok(Step {
                    verb,
                    targets,
                    span,
                })
            }
            _ => Err(self.not_a_step("the end of the line")),
        }
    }

    fn target(&mut self) -> Parsed<Target> {
        if self.peek() != Token::Name {
            return Err(self.not_a_step("an axis or a part"));
        }
        let name = self.ident("an axis or a part")?;
        if self.accept_word("at") {
            if self.peek() != Token::Name {
                return Err(self.not_a_step("an axis"));
            }
            let at = Some(self.ident("an axis")?);
            return Ok(Target { name, by: None, at });
        }
        if !self.accept_word("by") {
            let (by, at) = (None, None);
            return Ok(Target { name, by, at });
        }
        if self.peek() != Token::Int {
            return Err(self.not_a_step("a whole number"));
        }
        let span = self.advance();
        let value = match number_value(&self.text[span.range()]) {
            Some(Number::Int(value)) => value,
            // Reported by the lexer.
            Some(Number::Float(_)) | None => return Err(Failed),
        };
        let by = Some(By { value, span });
        Ok(Target { name, by, at: None })
    }

    /// Reports a step of another form.
    fn not_a_step(&mut self, wanted: &str) -> Failed {
        let message = format!("expected {wanted}, found {}", self.found());
        let help = match (self.peek(), wanted) {
            (Token::Int | Token::Eq, "the end of the line") => "write `by` before the number",
            (_, "a whole number") => "sizes are whole numbers of at least 1",
            _ => STEP_FORM,
        };
        let diagnostic = Diagnostic::new("E0120", self.here(), message);
        self.report(diagnostic.help(help))
    }
}
