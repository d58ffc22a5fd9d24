//! Types, generic parameters and arguments.

use super::{Parsed, Parser};
use crate::ast::{ExprKind, GenericArg, GenericParam, TypeDim, TypeExpr, TypeKind};
use crate::diagnostics::Diagnostic;
use crate::lexer::Token;

impl Parser<'_> {
    pub(super) fn ty(&mut self) -> Parsed<TypeExpr> {
        self.nested(|p| p.ty_inner())
    }

    fn ty_inner(&mut self) -> Parsed<TypeExpr> {
        let start = self.span();
        let kind = match self.peek() {
            Token::LParen => {
                let open = self.advance();
                TypeKind::Tuple(self.items(Token::RParen, open, |p| p.ty())?.0)
            }
            Token::LBracket => {
                let open = self.advance();
                let elem = Box::new(self.ty()?);
                if matches!(self.peek(), Token::RBracket | Token::Comma) {
                    let message = "a tensor without its element type";
                    let diagnostic = Diagnostic::new("E0115", open, message);
                    return Err(self.report(diagnostic.help("write `f32[...]`")));
                }
                self.expect(Token::Semicolon)?;
                let len = Box::new(self.expr()?);
                self.close(Token::RBracket, open, false)?;
                TypeKind::List { elem, len }
            }
            _ => {
                let name = self.ident("a type")?;
                match self.peek() {
                    Token::LBracket => {
                        let open = self.advance();
                        let (dims, _) = self.items(Token::RBracket, open, |p| p.type_dim())?;
                        TypeKind::Tensor { elem: name, dims }
                    }
                    Token::Less => TypeKind::Named {
                        name,
                        args: self.generic_args()?,
                    },
                    _ => TypeKind::Named {
                        name,
                        args: Vec::new(),
                    },
                }
            }
        };
        let depth = match &kind {
            TypeKind::Tuple(parts) => parts.iter().map(|p| p.depth).max().unwrap_or(0) + 1,
            TypeKind::List { elem, .. } => elem.depth + 1,
            _ => 1,
        };
        Ok(TypeExpr {
            kind,
            span: start.to(self.last_span()),
            depth,
        })
    }

    fn type_dim(&mut self) -> Parsed<TypeDim> {
        if self.peek() == Token::DotDot {
            let span = self.advance();
            if self.peek() == Token::Name {
                return Ok(TypeDim::Pack(self.ident("the name of a pack")?));
            }
            return Ok(TypeDim::Rest(span));
        }
        self.dim_expr().map(TypeDim::Dim)
    }

    /// `<` arguments `>`; the `<` is next.
    pub(super) fn generic_args(&mut self) -> Parsed<Vec<GenericArg>> {
        let open = self.expect(Token::Less)?;
        let (args, _) = self.items(Token::Greater, open, |p| p.generic_arg())?;
        Ok(args)
    }

    fn generic_arg(&mut self) -> Parsed<GenericArg> {
        if self.accept(Token::DotDot) {
            return Ok(GenericArg::Pack(self.ident("the name of a pack")?));
        }
        let is_type = matches!(self.peek(), Token::LBracket)
            || (self.peek() == Token::Name
                && matches!(self.peek_at(1), Token::Less | Token::LBracket));
        if is_type {
            return self.ty().map(GenericArg::Type);
        }
        let dim = self.dim_expr()?;
        Ok(match dim.kind {
            ExprKind::Name(name) => GenericArg::Name(name),
            _ => GenericArg::Dim(dim),
        })
    }

    /// `<D, T: float, ..S>`, or nothing.
    pub(super) fn generic_params(&mut self) -> Parsed<Vec<GenericParam>> {
        if self.peek() != Token::Less {
            return Ok(Vec::new());
        }
        let open = self.advance();
        let (params, _) = self.items(Token::Greater, open, |p| {
            let start = p.span();
            let pack = p.accept(Token::DotDot);
            let name = p.ident("the name of a generic parameter")?;
            let bound = if p.accept(Token::Colon) {
                Some(p.ident("a bound")?)
            } else {
                None
            };
            Ok(GenericParam {
                name,
                pack,
                bound,
                span: start.to(p.last_span()),
            })
        })?;
        Ok(params)
    }
}
