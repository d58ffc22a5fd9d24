//! Expressions, statements, patterns.

use super::comments::{Extent, line};
use super::doc::{Doc, concat_doc, join};
use super::items::braces;
use super::{CONTINUED, Formatter, INDENT};
use crate::ast::*;

impl Formatter<'_> {
    /// `{ ... }`: on one line if it is nothing but a short value.
    pub(super) fn block(&mut self, block: &Block) -> Doc {
        match &block.tail {
            Some(tail)
                if block.stmts.is_empty()
                    && !is_spread(tail)
                    && !self.comments.any_before(block.span.end) =>
            {
                let body = concat_doc![Doc::Line, self.expr(tail)].nest(INDENT);
                concat_doc!["{", body, Doc::Line, "}"].group()
            }
            _ => self.open_block(block),
        }
    }

    /// `{ ... }` with each statement on a line of its own.
    pub(super) fn open_block(&mut self, block: &Block) -> Doc {
        let end = block.span.end.saturating_sub(1);
        let (mut from, mut entries) = (block.span.start + 1, Vec::new());
        for stmt in &block.stmts {
            let extent = Extent {
                start: stmt.span.start,
                end: stmt.span.end,
            };
            self.entry(extent, &mut from, end, &mut entries, |f| f.stmt(stmt));
        }
        if let Some(tail) = &block.tail {
            let extent = Extent {
                start: tail.span.start,
                end: tail.span.end,
            };
            self.entry(extent, &mut from, end, &mut entries, |f| f.expr(tail));
        }
        self.last_comments(from, end, &mut entries);
        braces(entries)
    }

    fn stmt(&mut self, stmt: &Stmt) -> Doc {
        match &stmt.kind {
            StmtKind::Let { pattern, value } => {
                self.binding(concat_doc!["let ", pattern_doc(pattern)], value)
            }
            StmtKind::IndexLet {
                name,
                indices,
                value,
            } => {
                let items = indices
                    .iter()
                    .map(|binder| (binder.span.start, binder))
                    .collect();
                let list = self.list("[", items, "]", value.span.start, |f, b| f.binder(b));
                self.binding(concat_doc!["let ", name.name.as_str(), list], value)
            }
            StmtKind::Emit(value) => concat_doc!["emit ", self.expr(value)],
            StmtKind::Expr(value) => self.expr(value),
            StmtKind::Error { .. } => self.source(stmt.span).into(),
        }
    }

    /// `head = value`, broken after the `=` unless the value opens a bracket that can be broken.
    fn binding(&mut self, head: Doc, value: &Expr) -> Doc {
        let hugs = hugs(value);
        let value = self.expr(value);
        if hugs {
            return concat_doc![head, " = ", value];
        }
        let rest = concat_doc![Doc::Line, value].nest(CONTINUED).group();
        concat_doc![head, " =", rest]
    }

    fn binder(&mut self, binder: &Binder) -> Doc {
        match &binder.range {
            None => binder.name.name.as_str().into(),
            Some((lo, hi)) => {
                concat_doc![
                    binder.name.name.as_str(),
                    " in ",
                    self.expr(lo),
                    "..",
                    self.expr(hi)
                ]
            }
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Doc {
        let end = expr.span.end;
        match &expr.kind {
            ExprKind::Int { .. } | ExprKind::Float { .. } | ExprKind::Str(_) | ExprKind::Error => {
                self.source(expr.span).into()
            }
            ExprKind::Inf => "inf".into(),
            ExprKind::Nan => "nan".into(),
            ExprKind::Bool(true) => "true".into(),
            ExprKind::Bool(false) => "false".into(),
            ExprKind::All => "..".into(),
            ExprKind::Pack(name) => concat_doc!["..", name.name.as_str()],
            ExprKind::Name(name) => name.name.as_str().into(),
            ExprKind::Instance { name, generics } => {
                concat_doc![name.name.as_str(), self.turbofish(generics)]
            }
            ExprKind::Call {
                function,
                generics,
                args,
            } => {
                concat_doc![
                    function.name.as_str(),
                    self.turbofish(generics),
                    self.args(args, end)
                ]
            }
            ExprKind::Method {
                receiver,
                method,
                generics,
                args,
            } => {
                let receiver = self.expr(receiver);
                let generics = self.turbofish(generics);
                concat_doc![
                    receiver,
                    ".",
                    method.name.as_str(),
                    generics,
                    self.args(args, end)
                ]
            }
            ExprKind::Field { base, field } => {
                concat_doc![self.expr(base), ".", field.name.as_str()]
            }
            ExprKind::Index { base, args } => {
                let base = self.expr(base);
                let items = args.iter().map(|arg| (arg.span().start, arg)).collect();
                concat_doc![
                    base,
                    self.list("[", items, "]", end, |f, arg| f.index_arg(arg))
                ]
            }
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => concat_doc!["-", self.expr(operand)],
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => concat_doc!["not ", self.expr(operand)],
            ExprKind::Binary { .. } => {
                let mut parts = Vec::new();
                self.chain(expr, &mut parts);
                Doc::Concat(parts).nest(CONTINUED).group()
            }
            ExprKind::Tuple(parts) if parts.len() == 1 => {
                concat_doc!["(", self.expr(&parts[0]), ",)"]
            }
            ExprKind::Tuple(parts) => self.exprs("(", parts, ")", end),
            ExprKind::Array(parts) => self.exprs("[", parts, "]", end),
            ExprKind::Paren(inner) => {
                let inner = concat_doc![Doc::Soft, self.expr(inner)].nest(INDENT);
                concat_doc!["(", inner, Doc::Soft, ")"].group()
            }
            ExprKind::Reduce(reduce) => self.reduce(reduce),
            ExprKind::If(branch) => self.if_expr(branch).group(),
            ExprKind::For(scan) => self.for_expr(scan),
            ExprKind::ForEach(each) => self.for_each(each),
            ExprKind::While(looped) => self.while_expr(looped),
            ExprKind::Grad(grad) => self.grad(grad),
            ExprKind::Block(block) => self.block(block),
        }
    }

    /// Operands of operators of one strength, flat in a list with the operators between them. A
    /// line breaks after the operator, but before a comparison.
    fn chain(&mut self, expr: &Expr, parts: &mut Vec<Doc>) {
        let ExprKind::Binary { op, lhs, rhs, .. } = &expr.kind else {
            let doc = self.expr(expr);
            return parts.push(doc);
        };
        match &lhs.kind {
            ExprKind::Binary { op: inner, .. } if inner.precedence() == op.precedence() => {
                self.chain(lhs, parts);
            }
            _ => {
                let doc = self.expr(lhs);
                parts.push(doc);
            }
        }
        let rhs = self.expr(rhs);
        if matches!(op, BinaryOp::Compare(_)) {
            parts.extend([Doc::Line, op.symbol().into(), " ".into(), rhs]);
        } else {
            parts.extend([" ".into(), op.symbol().into(), Doc::Line, rhs]);
        }
    }

    fn turbofish(&mut self, generics: &[GenericArg]) -> Doc {
        if generics.is_empty() {
            Doc::NIL
        } else {
            concat_doc!["::", self.generic_args(generics)]
        }
    }

    pub(super) fn args(&mut self, args: &[Arg], end: u32) -> Doc {
        let items = args.iter().map(|arg| (arg.span().start, arg)).collect();
        self.list("(", items, ")", end, |f, arg| {
            let value = f.expr(&arg.value);
            match arg.name {
                Some(name) => concat_doc![name.name.as_str(), " = ", value],
                None => value,
            }
        })
    }

    fn exprs(&mut self, open: &'static str, parts: &[Expr], close: &'static str, end: u32) -> Doc {
        let items = parts.iter().map(|part| (part.span.start, part)).collect();
        self.list(open, items, close, end, |f, part| f.expr(part))
    }

    /// A bracketed list: on one line, or with each element on a line of its own and a comma behind
    /// the last. `end` is not before the closing bracket.
    pub(super) fn list<T>(
        &mut self,
        open: &'static str,
        items: Vec<(u32, T)>,
        close: &'static str,
        end: u32,
        mut build: impl FnMut(&mut Self, T) -> Doc,
    ) -> Doc {
        if items.is_empty() {
            return concat_doc![open, close];
        }
        let starts: Vec<u32> = items.iter().map(|item| item.0).collect();
        let mut parts = vec![Doc::Soft];
        for (at, (start, item)) in items.into_iter().enumerate() {
            for comment in self.comments.before(start) {
                parts.extend([line(comment), Doc::Hard]);
            }
            let next = starts.get(at + 1).copied();
            parts.push(build(self, item));
            parts.push(if next.is_some() {
                ",".into()
            } else {
                Doc::IfBroken(",")
            });
            // A comment behind the element stays on its line.
            let behind = self.comments.before_on_line(next.unwrap_or(end));
            if let Some(comment) = behind {
                parts.extend([" ".into(), line(comment), Doc::Hard]);
            } else if next.is_some() {
                parts.push(Doc::Line);
            }
        }
        if matches!(parts.last(), Some(Doc::Hard)) {
            parts.pop();
            let body = Doc::Concat(parts).nest(INDENT);
            return concat_doc![open, body, Doc::Hard, close].group();
        }
        let body = Doc::Concat(parts).nest(INDENT);
        concat_doc![open, body, Doc::Soft, close].group()
    }

    fn index_arg(&mut self, arg: &IndexArg) -> Doc {
        match arg {
            IndexArg::At(expr) => self.expr(expr),
            IndexArg::All(_) => "..".into(),
            IndexArg::Rest(_) => "...".into(),
            IndexArg::Range { lo, hi, step, .. } => self.range(lo, hi, step.as_ref()),
        }
    }

    fn range(&mut self, lo: &Expr, hi: &Expr, step: Option<&Expr>) -> Doc {
        let range = concat_doc![self.expr(lo), "..", self.expr(hi)];
        match step {
            Some(step) => concat_doc![range, " by ", self.expr(step)],
            None => range,
        }
    }

    fn reduce(&mut self, reduce: &Reduce) -> Doc {
        let mut head: Vec<Doc> = vec![reduce.word.word().into()];
        if let Some(accumulator) = &reduce.accumulator {
            head.push(concat_doc!["<", accumulator.name.as_str(), ">"]);
        }
        head.push(" ".into());
        let indices: Vec<Doc> = reduce
            .indices
            .iter()
            .map(|index| self.binder(index))
            .collect();
        head.push(join(indices, &", ".into()));
        head.push(":".into());
        let body = concat_doc![Doc::Line, self.expr(&reduce.body)].nest(CONTINUED);
        concat_doc![Doc::Concat(head), body].group()
    }

    fn if_expr(&mut self, branch: &If) -> Doc {
        let condition = self.expr(&branch.condition);
        let both = is_short(&branch.then)
            && !self.comments.any_before(branch.otherwise.span.end)
            && match &branch.otherwise.kind {
                ExprKind::Block(block) => is_short(block),
                _ => false,
            };
        let inner = |f: &mut Self, block: &Block| match (&block.tail, both) {
            (Some(tail), true) => {
                let body = concat_doc![Doc::Line, f.expr(tail)].nest(INDENT);
                concat_doc!["{", body, Doc::Line, "}"]
            }
            _ => f.open_block(block),
        };
        let then = inner(self, &branch.then);
        let otherwise = match &branch.otherwise.kind {
            ExprKind::Block(block) => inner(self, block),
            ExprKind::If(next) => self.if_expr(next),
            _ => self.expr(&branch.otherwise),
        };
        concat_doc!["if ", condition, " ", then, " else ", otherwise]
    }

    fn carry(&mut self, carry: &Carry) -> Doc {
        concat_doc![
            " with ",
            pattern_doc(&carry.pattern),
            " = ",
            self.expr(&carry.init)
        ]
    }

    fn for_expr(&mut self, scan: &For) -> Doc {
        let source = match &scan.source {
            ForSource::Range { lo, hi, step } => self.range(lo, hi, step.as_ref()),
            ForSource::List(list) => self.expr(list),
        };
        let carry = scan
            .carry
            .as_ref()
            .map_or(Doc::NIL, |carry| self.carry(carry));
        let head = concat_doc!["for ", scan.var.name.as_str(), " in ", source, carry, " "];
        concat_doc![head, self.block(&scan.body)]
    }

    fn for_each(&mut self, each: &ForEach) -> Doc {
        let vars = join(
            each.vars.iter().map(|var| var.name.as_str().into()),
            &", ".into(),
        );
        let over: Vec<Doc> = each.over.iter().map(|over| self.expr(over)).collect();
        let over = join(over, &", ".into());
        let over = if each.parenthesized {
            concat_doc!["(", over, ")"]
        } else {
            over
        };
        concat_doc!["for each ", vars, " in ", over, " ", self.block(&each.body)]
    }

    fn while_expr(&mut self, looped: &While) -> Doc {
        let condition = self.expr(&looped.condition);
        let carry = self.carry(&looped.carry);
        let max = match &looped.max {
            Some(max) => concat_doc![" max ", self.expr(max)],
            None => Doc::NIL,
        };
        concat_doc![
            "while ",
            condition,
            carry,
            max,
            " ",
            self.block(&looped.body)
        ]
    }

    fn grad(&mut self, grad: &Grad) -> Doc {
        let targets: Vec<Doc> = grad
            .targets
            .iter()
            .map(|target| self.expr(target))
            .collect();
        let targets = match (grad.tuple, targets.len()) {
            (true, 1) => concat_doc!["(", join(targets, &", ".into()), ",)"],
            (true, _) => concat_doc!["(", join(targets, &", ".into()), ")"],
            (false, _) => join(targets, &", ".into()),
        };
        concat_doc!["grad ", targets, " ", self.block(&grad.body)]
    }
}

fn pattern_doc(pattern: &Pattern) -> Doc {
    match &pattern.kind {
        PatternKind::Name(name) => name.name.as_str().into(),
        PatternKind::Wildcard => "_".into(),
        PatternKind::Tuple(parts) => {
            concat_doc!["(", join(parts.iter().map(pattern_doc), &", ".into()), ")"]
        }
    }
}

/// Whether a value opens a bracket or block at its end, so that it may start on the line of its `=`.
fn hugs(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Call { args, .. } | ExprKind::Method { args, .. } => !args.is_empty(),
        ExprKind::Array(_) | ExprKind::Tuple(_) | ExprKind::Paren(_) | ExprKind::Block(_) => true,
        _ => is_spread(value),
    }
}

/// Whether a value has blocks that are always printed on several lines, or may be.
fn is_spread(value: &Expr) -> bool {
    matches!(
        value.kind,
        ExprKind::If(_)
            | ExprKind::For(_)
            | ExprKind::ForEach(_)
            | ExprKind::While(_)
            | ExprKind::Grad(_)
            | ExprKind::Block(_)
    )
}

/// Whether a block is nothing but a value.
fn is_short(block: &Block) -> bool {
    block.stmts.is_empty() && block.tail.as_ref().is_some_and(|tail| !is_spread(tail))
}
