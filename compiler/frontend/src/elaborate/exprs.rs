//! Expressions, blocks and patterns: dispatch to what handles each kind.

use aiai_ir::DType;

use super::Elaborator;
use super::context::Cx;
use super::operators::Operand;
use super::value::Val;
use crate::ast::{Block, Expr, ExprKind, Ident, Pattern, PatternKind, Stmt, StmtKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elaborator<'_> {
    /// The value of an expression; `hint` is the dtype that its surroundings want of literals.
    pub(crate) fn expr(&mut self, cx: &mut Cx, expr: &Expr, hint: Option<DType>) -> Val {
        let outer = cx.b.loc;
        cx.b.loc = Some(self.sources.loc(expr.span));
        let val = self.expr_inner(cx, expr, hint);
        cx.b.loc = outer;
        val
    }

    fn expr_inner(&mut self, cx: &mut Cx, expr: &Expr, hint: Option<DType>) -> Val {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int { value, .. } => match i64::try_from(*value) {
                Ok(value) => Val::Dim(value.into()),
                Err(_) => self.error("E0002", span, "a whole number that does not fit in 64 bits"),
            },
            ExprKind::Float { value, .. } => Val::Float(*value),
            ExprKind::Inf => Val::Float(f64::INFINITY),
            ExprKind::Nan => Val::Float(f64::NAN),
            ExprKind::Bool(value) => Val::Bool(*value),
            ExprKind::Str(text) => Val::Str(text.clone()),
            ExprKind::Name(name) => self.name(cx, *name),
            ExprKind::Paren(inner) => self.expr(cx, inner, hint),
            ExprKind::Unary { op, operand } => {
                let val = self.expr(cx, operand, hint);
                self.unary_op(
                    cx,
                    *op,
                    Operand {
                        val,
                        span: operand.span,
                    },
                    span,
                )
            }
            ExprKind::Binary { op, lhs, rhs, .. } => {
                let a = Operand {
                    val: self.expr(cx, lhs, hint),
                    span: lhs.span,
                };
                let b = Operand {
                    val: self.expr(cx, rhs, hint),
                    span: rhs.span,
                };
                self.binary_op(cx, *op, a, b, span)
            }
            ExprKind::Tuple(parts) => {
                let mut vals = Vec::with_capacity(parts.len());
                for part in parts {
                    match (&part.kind, self.expr(cx, part, hint)) {
                        (ExprKind::Pack(_), Val::Tuple(dims)) => vals.extend(dims),
                        (_, val) => vals.push(val),
                    }
                }
                self.small(Val::Tuple(vals), span)
            }
            ExprKind::All => Val::All,
            ExprKind::Pack(name) => match cx.env.bound.get(&name.name) {
                Some(super::value::GArg::Pack(dims)) => {
                    let dims = dims.iter().map(|dim| Val::Dim(cx.facts.normalize(*dim)));
                    Val::Tuple(dims.collect())
                }
                _ => {
                    let message = format!("`{}` is no pack of dimensions", name.name);
                    self.error("E0201", name.span, message)
                }
            },
            ExprKind::Array(items) => self.array(cx, items, hint, span),
            ExprKind::Call {
                function,
                generics,
                args,
            } => self.call(cx, *function, generics, args, hint, span),
            ExprKind::Method {
                receiver,
                method,
                generics,
                args,
            } => self.method(cx, receiver, *method, generics, args, span),
            ExprKind::Instance { name, .. } => {
                let message = format!("`{}` is not a value by itself", name.name);
                let diagnostic = Diagnostic::new("E0304", span, message);
                self.fail(diagnostic.help("call it, or make an instance with `.init(key)`"))
            }
            ExprKind::Field { base, field } => {
                let base_val = self.expr(cx, base, None);
                self.field(base_val, *field)
            }
            ExprKind::Index { base, args } => self.slice(cx, base, args, span),
            ExprKind::Reduce(reduce) => self.reduction(cx, reduce, span),
            ExprKind::If(branch) => self.if_expr(cx, branch, hint, span),
            ExprKind::For(scan) => self.for_expr(cx, scan, span),
            ExprKind::ForEach(each) => self.for_each(cx, each, span),
            ExprKind::While(looped) => self.while_expr(cx, looped, span),
            ExprKind::Grad(grad) => self.grad(cx, grad, span),
            ExprKind::Block(block) => self.block(cx, block, hint),
            ExprKind::Error => Val::Poison,
        }
    }

    /// The value of a block; its variables end with it.
    pub(crate) fn block(&mut self, cx: &mut Cx, block: &Block, hint: Option<DType>) -> Val {
        let mark = cx.enter();
        for stmt in &block.stmts {
            self.statement(cx, stmt);
        }
        let val = match &block.tail {
            Some(tail) => self.expr(cx, tail, hint),
            None => Val::unit(),
        };
        cx.leave(mark);
        val
    }

    fn statement(&mut self, cx: &mut Cx, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Let { pattern, value } => {
                let val = self.expr(cx, value, None);
                self.bind_pattern(cx, pattern, val, value.span);
            }
            StmtKind::IndexLet {
                name,
                indices,
                value,
            } => {
                let val = self.equation(cx, indices, value);
                cx.bind(name.name, val, name.span);
            }
            StmtKind::Emit(value) => {
                let val = self.expr(cx, value, None);
                self.emit(cx, val, stmt.span);
            }
            StmtKind::Expr(value) => match self.expr(cx, value, None) {
                Val::Tuple(parts) if parts.is_empty() => {}
                Val::Poison => {}
                other => {
                    let message = format!("{} that nothing uses", other.kind());
                    let diagnostic = Diagnostic::new("E0304", value.span, message);
                    let help = match &value.kind {
                        ExprKind::Unary {
                            op: crate::ast::UnaryOp::Neg,
                            ..
                        } => {
                            "a line that starts with `-` is a new statement; to go on with a \
                             subtraction, end the line before with the `-`"
                        }
                        _ => "bind it with `let`, or make it the last line",
                    };
                    self.report(diagnostic.help(help));
                }
            },
            StmtKind::Error { binds } => {
                for name in binds {
                    cx.bind(name.name, Val::Poison, name.span);
                }
            }
        }
    }

    /// Binds the names of a pattern to the parts of a value.
    pub(crate) fn bind_pattern(&mut self, cx: &mut Cx, pattern: &Pattern, val: Val, span: Span) {
        match &pattern.kind {
            PatternKind::Wildcard => {}
            PatternKind::Name(name) => cx.bind(name.name, val, name.span),
            PatternKind::Tuple(parts) => match val {
                Val::Tuple(vals) if vals.len() == parts.len() => {
                    for (part, val) in parts.iter().zip(vals) {
                        self.bind_pattern(cx, part, val, span);
                    }
                }
                other => {
                    if !other.is_poison() {
                        let found = match &other {
                            Val::Tuple(vals) => format!("a tuple of {}", vals.len()),
                            other => other.kind().to_owned(),
                        };
                        let message = format!(
                            "the pattern has {} parts, the value is {found}",
                            parts.len()
                        );
                        let diagnostic = Diagnostic::new("E0304", pattern.span, message);
                        self.report(diagnostic.related(span, "this value"));
                    }
                    for name in pattern.names() {
                        cx.bind(name.name, Val::Poison, name.span);
                    }
                }
            },
        }
    }

    /// A field of a module, or a part of a tuple by number.
    pub(crate) fn field(&mut self, base: Val, field: Ident) -> Val {
        match base {
            Val::Poison => Val::Poison,
            Val::Record(record) => {
                if let Some((_, val)) = record.fields.iter().find(|f| f.0 == field.name) {
                    return val.clone();
                }
                let module = self.modules[record.module].def.name;
                let message = format!("`{}` has no field `{}`", module.name, field.name);
                let names = record.fields.iter().map(|f| f.0.as_str());
                let mut diagnostic = Diagnostic::new("E0206", field.span, message);
                if let Some(near) = crate::suggest::nearest(field.name.as_str(), names) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                self.fail(diagnostic.related(module.span, "declared here"))
            }
            Val::Tuple(parts) => match field.name.as_str().parse::<usize>() {
                Ok(at) if at < parts.len() => parts[at].clone(),
                _ => {
                    let message =
                        format!("a tuple of {} has no part `{}`", parts.len(), field.name);
                    self.error("E0206", field.span, message)
                }
            },
            other => {
                let message = format!("{} has no field `{}`", other.kind(), field.name);
                let diagnostic = Diagnostic::new("E0206", field.span, message);
                self.fail(match field.name.as_str() {
                    "T" => diagnostic.help("write `transpose(x)`"),
                    "shape" | "size" | "ndim" => {
                        diagnostic.help("the names in its type are its sizes: `N` is an `i64`")
                    }
                    "dtype" => diagnostic
                        .help("dtypes are known when compiling: write a parameter `T: float`"),
                    _ => diagnostic,
                })
            }
        }
    }
}
