//! Top-level items, fields, functions and rules.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Token;

/// Words that start an item, for recovery.
const STARTERS: &[&str] = &[
    "use", "module", "fn", "rules", "rule", "test", "prop", "bench",
];

/// Words of the compile-time half that is not part of this version.
const RESERVED: &[&str] = &["fuse", "layout", "schedule", "kernel", "cost", "derivative"];

impl Parser<'_> {
    pub(super) fn file(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            let doc = self.doc();
            if self.peek() == Token::End {
                return items;
            }
            let start = self.span();
            match self.item(doc) {
                Ok(item) => items.push(item),
                Err(Failed) => self.skip_item(start.start),
            }
        }
    }

    /// Moves to the next word that starts an item at the start of a line, past where the item began.
    fn skip_item(&mut self, began: u32) {
        loop {
            let start = self.span().start as usize;
            let at_line_start = start == 0 || self.text.as_bytes()[start - 1] == b'\n';
            let starts = STARTERS.contains(&self.word()) || self.peek() == Token::Doc;
            let past = self.span().start > began;
            if self.peek() == Token::End || (starts && at_line_start && past) {
                return;
            }
            self.advance();
        }
    }

    /// The lines of `///` that come next, without their marks.
    pub(super) fn doc(&mut self) -> Doc {
        let mut doc = Doc::default();
        loop {
            self.skip_newlines();
            if self.peek() != Token::Doc {
                return doc;
            }
            let span = self.advance();
            let text = &self.text[span.start as usize + 3..span.end as usize];
            doc.span = if doc.lines.is_empty() {
                span
            } else {
                doc.span.to(span)
            };
            doc.lines
                .push(text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned());
        }
    }

    fn item(&mut self, doc: Doc) -> Parsed<Item> {
        let item = match self.word() {
            "use" => Item::Use(self.use_item(doc)?),
            "module" => Item::Module(self.module(doc)?),
            "fn" => Item::Fn(self.function(doc)?),
            "prop" => Item::Prop(self.prop(doc)?),
            "bench" => Item::Bench(self.prop(doc)?),
            "test" => Item::Test(self.test(doc)?),
            "rule" => Item::Rule(self.rule(doc)?),
            "rules" => Item::Rules(self.rules(doc)?),
            word if RESERVED.contains(&word) => {
                let message = format!("`{word}` is not part of this version of the language");
                self.diagnostics
                    .push(Diagnostic::new("E0101", self.span(), message));
                return Err(Failed);
            }
            _ => return Err(self.unexpected("an item such as `fn`, `module` or `test`")),
        };
        if !matches!(self.peek(), Token::Newline | Token::End | Token::Doc) {
            return Err(self.unexpected("the end of the item"));
        }
        Ok(item)
    }

    fn use_item(&mut self, doc: Doc) -> Parsed<Use> {
        let start = self.advance();
        let mut path = vec![self.ident("the name of a file")?];
        while self.accept(Token::Dot) {
            path.push(self.ident("the name of a file")?);
        }
        let mut names = None;
        if self.accept(Token::Colon) {
            let mut list = vec![self.use_name()?];
            while self.accept(Token::Comma) {
                list.push(self.use_name()?);
            }
            names = Some(list);
        }
        Ok(Use {
            doc,
            path,
            names,
            span: start.to(self.last_span()),
        })
    }

    fn use_name(&mut self) -> Parsed<UseName> {
        let name = self.ident("the name of an item")?;
        let alias = if self.accept_word("as") {
            Some(self.ident("another name")?)
        } else {
            None
        };
        Ok(UseName { name, alias })
    }

    fn constraints(&mut self) -> Parsed<Vec<Constraint>> {
        let mut constraints = Vec::new();
        // The clause may stand on the line below the signature.
        if self.peek() == Token::Newline && self.word_at(1) == "where" {
            self.advance();
        }
        if self.accept_word("where") {
            constraints.push(self.constraint()?);
            while self.accept(Token::Comma) {
                constraints.push(self.constraint()?);
            }
        }
        Ok(constraints)
    }

    fn constraint(&mut self) -> Parsed<Constraint> {
        let start = self.span();
        if self.peek() == Token::Name && self.peek_at(1) == Token::Colon {
            let name = self.ident("a name")?;
            self.advance();
            let bound = self.ident("a bound such as `float`")?;
            return Ok(Constraint::Bound {
                name,
                bound,
                span: start.to(bound.span),
            });
        }
        let lhs = self.dim_expr()?;
        let op = match self.peek() {
            Token::EqEq => CompareOp::Eq,
            Token::NotEq => CompareOp::Ne,
            Token::Less => CompareOp::Lt,
            Token::LessEq => CompareOp::Le,
            Token::Greater => CompareOp::Gt,
            Token::GreaterEq => CompareOp::Ge,
            _ => return Err(self.unexpected("a comparison such as `==`")),
        };
        self.advance();
        let rhs = self.dim_expr()?;
        let span = start.to(rhs.span);
        Ok(Constraint::Compare { op, lhs, rhs, span })
    }

    fn module(&mut self, doc: Doc) -> Parsed<Module> {
        let start = self.advance();
        let name = self.ident("the name of the module")?;
        let generics = self.generic_params()?;
        let constraints = self.constraints()?;
        let open = self.expect(Token::LBrace)?;
        let mut members = Vec::new();
        loop {
            let doc = self.doc();
            if self.peek() == Token::RBrace || self.peek() == Token::End {
                break;
            }
            let before = self.at;
            match self.member(doc) {
                Ok(member) => members.push(member),
                Err(Failed) => {
                    self.skip_statement();
                    if self.at == before {
                        self.advance();
                    }
                }
            }
        }
        let end = self.close(Token::RBrace, open)?;
        Ok(Module {
            doc,
            name,
            generics,
            constraints,
            members,
            span: start.to(end),
        })
    }

    fn member(&mut self, doc: Doc) -> Parsed<Member> {
        let start = self.span();
        if self.word() == "fn" {
            return self.function(doc).map(Member::Fn);
        }
        let kind = match (self.word(), self.peek_at(1)) {
            ("param", Token::Name) => Some(LeafKind::Param),
            ("state", Token::Name) => Some(LeafKind::State),
            ("field", Token::Name) => Some(LeafKind::Field),
            _ => None,
        };
        if kind.is_some() {
            self.advance();
        }
        let what = "a member: `param`, `state`, `field`, `name: Module` or `fn`";
        let mut names = vec![self.ident(what)?];
        while self.accept(Token::Comma) {
            names.push(self.ident("the name of a field")?);
        }
        self.expect(Token::Colon)?;
        let ty = self.ty()?;
        let init = if self.accept(Token::Tilde) {
            LeafInit::Drawn(self.initializer()?)
        } else if self.accept(Token::Eq) {
            LeafInit::Value(self.expr()?)
        } else {
            LeafInit::None
        };
        let span = start.to(self.last_span());
        if !matches!(self.peek(), Token::Newline | Token::RBrace | Token::Doc) {
            return Err(self.unexpected("the end of the field"));
        }
        Ok(match kind {
            Some(kind) => Member::Leaf(Leaf {
                doc,
                kind,
                names,
                ty,
                init,
                span,
            }),
            None => Member::Submodule(Submodule {
                doc,
                names,
                ty,
                span,
            }),
        })
    }

    fn initializer(&mut self) -> Parsed<Initializer> {
        let name = self.ident("the name of an initialiser")?;
        let mut args = Vec::new();
        if self.peek() == Token::LParen {
            let open = self.advance();
            args = self.items(Token::RParen, open, |p| p.arg())?.0;
        }
        Ok(Initializer {
            name,
            args,
            span: name.span.to(self.last_span()),
        })
    }

    fn function(&mut self, doc: Doc) -> Parsed<Function> {
        let start = self.expect_word("fn")?;
        let name = self.ident("the name of the function")?;
        let generics = self.generic_params()?;
        let params = self.params()?;
        if self.peek() == Token::Newline && self.peek_at(1) == Token::Arrow {
            self.advance();
        }
        let ret = if self.accept(Token::Arrow) {
            Some(self.ty()?)
        } else {
            None
        };
        let constraints = self.constraints()?;
        if self.peek() == Token::Newline && self.peek_at(1) == Token::LBrace {
            self.advance();
        }
        let body = self.block()?;
        let span = start.to(body.span);
        Ok(Function {
            doc,
            name,
            generics,
            params,
            ret,
            constraints,
            body,
            span,
        })
    }

    fn prop(&mut self, doc: Doc) -> Parsed<Prop> {
        let start = self.advance();
        let name = self.ident("a name")?;
        let generics = self.generic_params()?;
        let params = self.params()?;
        let constraints = self.constraints()?;
        let body = self.block()?;
        let span = start.to(body.span);
        Ok(Prop {
            doc,
            name,
            generics,
            params,
            constraints,
            body,
            span,
        })
    }

    fn params(&mut self) -> Parsed<Vec<Param>> {
        let open = self.expect(Token::LParen)?;
        let (params, _) = self.items(Token::RParen, open, |p| p.param())?;
        Ok(params)
    }

    fn param(&mut self) -> Parsed<Param> {
        let start = self.span();
        let own = self.word() == "own" && self.peek_at(1) == Token::Name;
        let constant = self.word() == "const" && self.peek_at(1) == Token::Name;
        if own || constant {
            self.advance();
        }
        let name = self.ident("the name of a parameter")?;
        self.expect(Token::Colon)?;
        let ty = self.ty()?;
        let mut domain = None;
        if self.accept_word("in") {
            let lo = self.dim_expr()?;
            self.expect(Token::DotDot)?;
            domain = Some(Domain {
                lo,
                hi: self.dim_expr()?,
            });
        }
        let default = if self.accept(Token::Eq) {
            Some(self.expr()?)
        } else {
            None
        };
        let span = start.to(self.last_span());
        Ok(Param {
            own,
            constant,
            name,
            ty,
            default,
            domain,
            span,
        })
    }

    fn test(&mut self, doc: Doc) -> Parsed<Test> {
        let start = self.advance();
        if self.peek() != Token::Text {
            return Err(self.unexpected("the title of the test, as a text"));
        }
        let span = self.advance();
        let name = Text {
            value: self.text_value(span),
            span,
        };
        let body = self.block()?;
        let span = start.to(body.span);
        Ok(Test {
            doc,
            name,
            body,
            span,
        })
    }

    /// What a quoted text stands for.
    pub(super) fn text_value(&self, span: crate::span::Span) -> String {
        let text = &self.text[span.start as usize + 1..span.end as usize - 1];
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => {}
                },
                (c, false) => out.push(c),
            }
        }
        out
    }

    fn rules(&mut self, doc: Doc) -> Parsed<RuleGroup> {
        let start = self.advance();
        let name = self.ident("the name of the rules")?;
        let open = self.expect(Token::LBrace)?;
        let mut rules = Vec::new();
        loop {
            let doc = self.doc();
            if self.peek() != Token::Name {
                break;
            }
            rules.push(self.rule(doc)?);
        }
        let end = self.close(Token::RBrace, open)?;
        Ok(RuleGroup {
            doc,
            name,
            rules,
            span: start.to(end),
        })
    }

    fn rule(&mut self, doc: Doc) -> Parsed<Rule> {
        let start = self.expect_word("rule")?;
        let name = self.ident("the name of the rule")?;
        let generics = self.generic_params()?;
        let params = self.params()?;
        let class = self.rule_class()?;
        let constraints = self.constraints()?;
        let open = self.expect(Token::LBrace)?;
        self.skip_newlines();
        let lhs = self.rhs()?;
        self.expect(Token::FatArrow)?;
        let rhs = self.rhs()?;
        self.skip_newlines();
        let end = self.close(Token::RBrace, open)?;
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

    fn rule_class(&mut self) -> Parsed<RuleClass> {
        let start = self.span();
        let kind = match self.word() {
            "exact" => RuleClassKind::Exact,
            "real" => RuleClassKind::Real,
            "approx" => {
                self.advance();
                let open = self.expect(Token::LParen)?;
                let bound = match self.peek() {
                    Token::Int | Token::Float => self.number_text().parse().unwrap_or(0.0),
                    _ => return Err(self.unexpected("a number of ulp")),
                };
                self.expect_word("ulp")?;
                self.close(Token::RParen, open)?;
                RuleClassKind::Approx(bound)
            }
            _ => return Err(self.unexpected("a class: `exact`, `real` or `approx(n ulp)`")),
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
