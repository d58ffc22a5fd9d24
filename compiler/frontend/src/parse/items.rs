//! Top-level items, fields, functions and rules.

use super::{Failed, Parsed, Parser};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::{Head, Token};
use crate::span::Span;

impl Parser<'_> {
    pub(super) fn file(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            self.skip_ends();
            self.anchor = self.span().start;
            let doc = self.doc();
            if self.peek() == Token::End {
                self.undocumented(&doc);
                if items.is_empty() {
                    self.no_items();
                }
                return items;
            }
            match self.item(doc) {
                Ok(item) => items.push(item),
                Err(Failed) => self.skip_item(),
            }
        }
    }

    /// Reports a file that defines nothing, unless what was found in it already says why.
    fn no_items(&mut self) {
        if self.diagnostics.iter().any(|d| d.span.file == self.file) {
            return;
        }
        let (what, label) = if self.text.trim_start_matches('\u{feff}').trim().is_empty() {
            ("the file is empty", "")
        } else {
            ("the file defines nothing", "there are only comments")
        };
        let start = Span::new(self.file, 0, 0);
        let diagnostic = Diagnostic::new("E0119", start, what).label(label);
        self.report(diagnostic.help("a program has an item, such as `fn main() -> f32[] { 1.0 }`"));
    }

    /// Reports documentation with nothing behind it.
    pub(super) fn undocumented(&mut self, doc: &Doc) {
        // Where a brace is missing, it may stand before an item.
        if !doc.lines.is_empty() && self.unsure_from.is_none() {
            let diagnostic = Diagnostic::new("E0110", doc.span, "documentation of nothing");
            self.report(diagnostic.help("`///` stands before what it documents; else write `//`"));
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
            "schedule" => Item::Schedule(self.schedule(doc)?),
            "fuse" => Item::Fuse(self.fuse(doc)?),
            "layout" => Item::Layout(self.layout(doc)?),
            "cost" => Item::Cost(self.function(doc)?),
            "derivative" => Item::Derivative(self.function(doc)?),
            _ => return Err(self.not_an_item()),
        };
        if !matches!(
            self.peek(),
            Token::Newline | Token::Semicolon | Token::End | Token::Doc
        ) {
            return Err(self.unexpected("the end of the line"));
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

    /// The conditions of a `where`; bounds among them go to the generic parameters.
    pub(super) fn constraints(&mut self, generics: &mut [GenericParam]) -> Parsed<Vec<Constraint>> {
        let mut constraints = Vec::new();
        if !self.accept_word("where") {
            return Ok(constraints);
        }
        loop {
            if self.peek() == Token::Name && self.peek_at(1) == Token::Colon {
                self.bound(generics)?;
            } else {
                constraints.push(self.constraint()?);
            }
            if !self.accept(Token::Comma) {
                return Ok(constraints);
            }
        }
    }

    /// `T: float` of a generic parameter `T`.
    fn bound(&mut self, generics: &mut [GenericParam]) -> Parsed<()> {
        let name = self.ident("a name")?;
        self.advance();
        let bound = self.ident("a bound such as `float`")?;
        match generics.iter_mut().find(|g| g.name.name == name.name) {
            Some(generic) if generic.bound.is_none() && !generic.pack => {
                generic.bound = Some(bound);
            }
            Some(_) => {
                let message = format!("`{}` has another meaning already", name.name);
                self.report(Diagnostic::new("E0202", name.span, message));
            }
            None => {
                let message = format!("`{}` is no generic parameter", name.name);
                let help = format!(
                    "declare it in front of the parameters: `<{}: {}>`",
                    name.name, bound.name
                );
                self.report(Diagnostic::new("E0201", name.span, message).help(help));
            }
        }
        Ok(())
    }

    fn constraint(&mut self) -> Parsed<Constraint> {
        let start = self.span();
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
        Ok(Constraint { op, lhs, rhs, span })
    }

    fn module(&mut self, doc: Doc) -> Parsed<Module> {
        let start = self.advance();
        let name = self.ident("the name of the module")?;
        let mut generics = self.generic_params()?;
        let constraints = self.constraints(&mut generics)?;
        let open = self.expect(Token::LBrace)?;
        let mut members = Vec::new();
        loop {
            self.skip_ends();
            self.anchor = self.span().start;
            let doc = self.doc();
            if matches!(self.peek(), Token::RBrace | Token::End) {
                self.undocumented(&doc);
                break;
            }
            match self.member(doc) {
                Ok(member) => members.push(member),
                Err(Failed) if self.stopped => return Err(Failed),
                Err(Failed) => self.skip_statement(),
            }
        }
        let end = self.close(Token::RBrace, open, false)?;
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
        match self.head() {
            Some(Head::Function) => return self.function(doc).map(Member::Fn),
            Some(Head::Statement | Head::Item) => return Err(self.not_a_member()),
            Some(Head::Field) | None => {}
        }
        if self.peek() != Token::Name {
            return Err(self.not_a_member());
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
        let mut names = vec![self.ident("the name of a member")?];
        while self.accept(Token::Comma) {
            names.push(self.ident("the name of a field")?);
        }
        if kind.is_none() && names.len() == 1 && self.peek() != Token::Colon {
            self.at -= 1;
            return Err(self.not_a_member());
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
        if kind.is_none() && !matches!(init, LeafInit::None) {
            let name = names[0].name;
            let message = format!("`{name}` has an initial value, but is no leaf");
            let diagnostic = Diagnostic::new("E0105", names[0].span, message);
            return Err(self.report(diagnostic.help(format!("write `param {name}: ...`"))));
        }
        if !matches!(
            self.peek(),
            Token::Newline | Token::Semicolon | Token::RBrace | Token::Doc
        ) {
            return Err(self.unexpected("the end of the line"));
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

    /// Reports what cannot stand in a module.
    fn not_a_member(&mut self) -> Failed {
        let message = match self.head() {
            Some(_) => format!("`{}` cannot stand in a module", self.word()),
            None => format!("expected a member of the module, found {}", self.found()),
        };
        let kinds = ["param", "state", "field", "fn"];
        let help = match crate::suggest::nearest(self.word(), kinds) {
            Some(near) if self.head().is_none() => format!("did you mean `{near}`?"),
            _ => "members are `param`, `state`, `field`, `fn`, and submodules `name: Module<...>`"
                .to_owned(),
        };
        let diagnostic = Diagnostic::new("E0105", self.span(), message);
        self.report(diagnostic.help(help))
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

    /// A function, or what is written as one behind another word.
    fn function(&mut self, doc: Doc) -> Parsed<Function> {
        let start = match self.word() {
            "cost" | "derivative" => self.advance(),
            _ => self.expect_word("fn")?,
        };
        let name = self.ident("the name of the function")?;
        let mut generics = self.generic_params()?;
        let params = self.params()?;
        let ret = self.result_type()?;
        let constraints = self.constraints(&mut generics)?;
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

    fn result_type(&mut self) -> Parsed<Option<TypeExpr>> {
        if matches!(self.peek(), Token::Colon | Token::FatArrow) {
            let message = format!("a result type does not follow {}", self.peek().describe());
            let diagnostic = Diagnostic::new("E0108", self.span(), message);
            self.report(diagnostic.help("write `->`"));
            self.advance();
            return self.ty().map(Some);
        }
        if self.accept(Token::Arrow) {
            self.ty().map(Some)
        } else {
            Ok(None)
        }
    }

    fn prop(&mut self, doc: Doc) -> Parsed<Prop> {
        let start = self.advance();
        let name = self.ident("a name")?;
        let mut generics = self.generic_params()?;
        let params = self.params()?;
        let constraints = self.constraints(&mut generics)?;
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

    pub(super) fn params(&mut self) -> Parsed<Vec<Param>> {
        let open = self.expect(Token::LParen)?;
        let (params, _) = self.items(Token::RParen, open, |p| p.param())?;
        Ok(params)
    }

    fn param(&mut self) -> Parsed<Param> {
        let start = self.span();
        let own = self.accept_word("own");
        let constant = self.accept_word("const");
        let name = self.ident("the name of a parameter")?;
        if matches!(self.peek(), Token::Comma | Token::RParen) {
            return Err(self.untyped(name));
        }
        self.expect(Token::Colon)?;
        let ty = self.ty()?;
        let mut domain = None;
        if self.accept_word("in") {
            let lo = self.dim_expr()?;
            self.dots()?;
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

    fn untyped(&mut self, name: Ident) -> Failed {
        let (message, help) = match name.name.as_str() {
            "self" => (
                "`self` is not a parameter",
                "delete it: in a module, `self` is always there",
            ),
            _ => (
                "a parameter without a type",
                "types are written at signatures: `x: f32[N]`",
            ),
        };
        self.report(Diagnostic::new("E0115", name.span, message).help(help))
    }

    fn test(&mut self, doc: Doc) -> Parsed<Test> {
        let start = self.advance();
        if self.peek() != Token::Text {
            return Err(self.unexpected("the name of the test in quotes"));
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
}
