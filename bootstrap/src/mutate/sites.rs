//! Where a rule can be changed, and how.

use aiai_frontend::ast::{
    self, Arg, BinaryOp, CompareOp, Expr, ExprKind, IndexArg, RuleClassKind, TypeKind, UnaryOp,
};
use aiai_frontend::span::Span;

use super::Edit;

/// Functions that may stand for one another: the same parameters, the same type of result.
const ALIKE: &[&[&str]] = &[
    &[
        "exp", "expm1", "exp2", "log", "log1p", "sqrt", "rsqrt", "tanh", "sin", "cos", "erf",
        "abs", "sign",
    ],
    &["floor", "ceil", "round"],
    &["sigmoid", "silu", "relu", "gelu", "softplus", "tanh"],
    &["is_nan", "is_finite"],
    &["sum", "prod", "max", "min", "mean"],
    &["any", "all"],
    &["argmax", "argmin"],
    &["max", "min"],
    &["scatter_add", "scatter_set", "scatter_max"],
    &["shl", "shr"],
    &["softmax", "log_softmax"],
    &["zeros_like", "ones_like"],
];

/// Functions whose first two arguments do not commute.
const ORDERED: &[&str] = &["pow", "shl", "shr", "concat", "permute"];

struct Sites<'a> {
    file: &'a str,
    edits: &'a mut Vec<Edit>,
    /// Parameters that are values: name and type as written.
    params: Vec<(&'a str, &'a str)>,
}

/// Every edit of a rule, in the order of its text within each part: right side, left side, guard, class, domains.
pub fn collect(file: &str, rule: &ast::Rule, edits: &mut Vec<Edit>) {
    let text = |span: Span| file.get(span.range()).unwrap_or_default();
    let params = rule.params.iter();
    let params = params
        .map(|p| (p.name.name.as_str(), text(p.ty.span)))
        .collect();
    let mut sites = Sites {
        file,
        edits,
        params,
    };
    sites.expr(&rule.rhs);
    sites.expr(&rule.lhs);
    sites.guard(rule);
    sites.class(rule);
    sites.domains(rule);
    sites.dtypes(rule);
}

impl<'a> Sites<'a> {
    fn text(&self, span: Span) -> &'a str {
        self.file.get(span.range()).unwrap_or_default()
    }

    fn edit(&mut self, span: Span, with: impl Into<String>, operator: &'static str) {
        let with = with.into();
        self.edits.push(Edit {
            span,
            with,
            operator,
        });
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Int { value, .. } => self.int(expr.span, *value),
            ExprKind::Float { value, .. } => self.float(expr.span, *value),
            ExprKind::Inf => self.edit(expr.span, "3.0e38", "change constant"),
            ExprKind::Nan => self.edit(expr.span, "0.0", "change constant"),
            ExprKind::Bool(value) => self.edit(expr.span, (!value).to_string(), "change constant"),
            ExprKind::Str(_)
            | ExprKind::All
            | ExprKind::Pack(_)
            | ExprKind::Error
            | ExprKind::Instance { .. } => {}
            ExprKind::Name(ident) => self.name(expr.span, ident.name.as_str()),
            ExprKind::Call { function, args, .. } => self.call(expr, function, args),
            ExprKind::Method { receiver, args, .. } => {
                self.expr(receiver);
                args.iter().for_each(|arg| self.expr(&arg.value));
            }
            ExprKind::Field { base, .. } => self.expr(base),
            ExprKind::Index { base, args } => {
                self.expr(base);
                args.iter().for_each(|arg| self.index(arg));
            }
            ExprKind::Unary { op, operand } => {
                let operator = match op {
                    UnaryOp::Neg => "drop a sign",
                    UnaryOp::Not => "drop a negation",
                };
                self.edit(expr.span, self.text(operand.span), operator);
                self.expr(operand);
            }
            ExprKind::Binary {
                op,
                op_span,
                lhs,
                rhs,
            } => self.binary(expr, *op, *op_span, lhs, rhs),
            ExprKind::Tuple(parts) | ExprKind::Array(parts) => self.parts(parts),
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Reduce(reduce) => self.expr(&reduce.body),
            ExprKind::If(branch) => {
                self.expr(&branch.condition);
                self.block(&branch.then);
                self.expr(&branch.otherwise);
            }
            ExprKind::Block(inner) => self.block(inner),
            ExprKind::For(scan) => self.block(&scan.body),
            ExprKind::While(looped) => {
                self.expr(&looped.condition);
                self.block(&looped.body);
            }
            ExprKind::ForEach(each) => self.block(&each.body),
            ExprKind::Grad(grad) => self.block(&grad.body),
        }
    }

    fn block(&mut self, block: &ast::Block) {
        for stmt in &block.stmts {
            match &stmt.kind {
                ast::StmtKind::Let { value, .. } | ast::StmtKind::IndexLet { value, .. } => {
                    self.expr(value)
                }
                ast::StmtKind::Emit(value) | ast::StmtKind::Expr(value) => self.expr(value),
                ast::StmtKind::Error { .. } => {}
            }
        }
        block.tail.iter().for_each(|tail| self.expr(tail));
    }

    fn int(&mut self, span: Span, value: u64) {
        self.edit(span, value.saturating_add(1).to_string(), "off by one");
        if value > 0 {
            self.edit(span, (value - 1).to_string(), "off by one");
        }
    }

    fn float(&mut self, span: Span, value: f64) {
        for other in [value * 2.0, value * 1.0625, -value, value + 1.0] {
            let shown = format!("{other:?}");
            let shown = if other < 0.0 {
                format!("({shown})")
            } else {
                shown
            };
            self.edit(span, shown, "change constant");
        }
    }

    /// A parameter becomes another of the same type; a dimension becomes one more.
    fn name(&mut self, span: Span, name: &str) {
        let own = self.params.iter().find(|p| p.0 == name).map(|p| p.1);
        match own {
            Some(ty) => {
                let others = self.params.iter().filter(|p| p.1 == ty && p.0 != name);
                let others: Vec<&str> = others.map(|p| p.0).collect();
                for other in others {
                    self.edit(span, other, "another parameter");
                }
                if ty == "axis" {
                    self.edit(span, format!("{name} - 1"), "change axis");
                    self.edit(span, format!("{name} + 1"), "change axis");
                    self.edit(span, "0", "change axis");
                }
            }
            None if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                self.edit(span, format!("({name} + 1)"), "off by one");
                self.edit(span, format!("({name} - 1)"), "off by one");
            }
            None => {}
        }
    }

    fn call(&mut self, whole: &Expr, function: &ast::Ident, args: &[Arg]) {
        let name = function.name.as_str();
        for group in ALIKE.iter().filter(|group| group.contains(&name)) {
            for other in group.iter().filter(|other| **other != name) {
                self.edit(function.span, *other, "swap function");
            }
        }
        let mut plain = args.iter().filter(|arg| arg.name.is_none());
        if let Some(first) = plain.next() {
            // The call gives what it was given.
            self.edit(whole.span, self.text(first.value.span), "drop a call");
            if ORDERED.contains(&name)
                && let Some(second) = plain.next()
            {
                self.swap(&first.value, &second.value);
            }
        }
        if name == "select"
            && let [_, yes, no] = args
        {
            self.swap(&yes.value, &no.value);
        }
        let named: Vec<&Arg> = args.iter().filter(|arg| arg.name.is_some()).collect();
        let before_after = named.iter().filter(|a| {
            a.name
                .is_some_and(|n| matches!(n.name.as_str(), "before" | "after"))
        });
        if let [before, after] = before_after.collect::<Vec<_>>().as_slice() {
            self.swap(&before.value, &after.value);
        }
        args.iter().for_each(|arg| self.expr(&arg.value));
    }

    fn index(&mut self, arg: &IndexArg) {
        match arg {
            IndexArg::At(at) => self.expr(at),
            IndexArg::Range { lo, hi, step, .. } => {
                self.expr(lo);
                self.expr(hi);
                if let Some(step) = step {
                    self.expr(step);
                }
            }
            IndexArg::All(_) | IndexArg::Rest(_) => {}
        }
    }

    fn binary(&mut self, whole: &Expr, op: BinaryOp, op_span: Span, lhs: &Expr, rhs: &Expr) {
        let others: &[&str] = match op {
            BinaryOp::Add => &["-", "*"],
            BinaryOp::Sub => &["+", "*"],
            BinaryOp::Mul => &["+", "/"],
            BinaryOp::Div => &["*", "-"],
            BinaryOp::Rem => &["/", "*"],
            BinaryOp::MatMul => &[],
            BinaryOp::And => &["or"],
            BinaryOp::Or => &["and"],
            BinaryOp::Compare(compare) => compares(compare),
        };
        for other in others {
            self.edit(op_span, *other, "swap operator");
        }
        match op {
            BinaryOp::Sub
            | BinaryOp::Div
            | BinaryOp::Rem
            | BinaryOp::MatMul
            | BinaryOp::Compare(_) => {
                self.swap(lhs, rhs);
            }
            BinaryOp::Add | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or => {}
        }
        for kept in [lhs, rhs] {
            self.edit(whole.span, self.text(kept.span), "drop a term");
        }
        self.expr(lhs);
        self.expr(rhs);
    }

    /// Exchanges two parts of an expression, the first before the second.
    fn swap(&mut self, first: &Expr, second: &Expr) {
        let between = Span {
            start: first.span.end,
            end: second.span.start,
            ..first.span
        };
        let (a, b) = (self.text(first.span), self.text(second.span));
        if a != b {
            let text = format!("({b}){}({a})", self.text(between));
            self.edit(first.span.to(second.span), text, "swap operands");
        }
    }

    /// The elements of a permutation, of pads, of shapes.
    fn parts(&mut self, parts: &[Expr]) {
        for pair in parts.windows(2) {
            self.swap(&pair[0], &pair[1]);
        }
        parts.iter().for_each(|part| self.expr(part));
    }

    fn guard(&mut self, rule: &ast::Rule) {
        let clauses = &rule.constraints;
        let all: Vec<&str> = clauses.iter().map(|c| self.text(c.span)).collect();
        let Some((first, last)) = clauses.first().zip(clauses.last()) else {
            return;
        };
        let whole = first.span.to(last.span);
        for dropped in 0..clauses.len() {
            let kept: Vec<&str> = (0..all.len())
                .filter(|k| *k != dropped)
                .map(|k| all[k])
                .collect();
            // A guard that always holds stands for none.
            let text = if kept.is_empty() {
                "0 == 0".to_owned()
            } else {
                kept.join(", ")
            };
            self.edit(whole, text, "drop a guard");
        }
        for clause in clauses {
            let between = Span {
                start: clause.lhs.span.end,
                end: clause.rhs.span.start,
                ..clause.span
            };
            for other in weaker(clause.op) {
                self.edit(between, format!(" {other} "), "change guard");
            }
        }
    }

    fn class(&mut self, rule: &ast::Rule) {
        let span = rule.class.span;
        match rule.class.kind {
            RuleClassKind::Exact => {}
            RuleClassKind::Real => {
                self.edit(span, "exact", "stronger class");
                if rule.class.finite {
                    self.edit(span, "real", "stronger class");
                }
            }
            RuleClassKind::Approx(ulp) => {
                self.edit(span, "exact", "stronger class");
                if ulp > 1.0 {
                    self.edit(span, "approx(0.5 ulp)", "stronger class");
                }
            }
        }
    }

    fn domains(&mut self, rule: &ast::Rule) {
        for param in &rule.params {
            let Some(domain) = &param.domain else {
                continue;
            };
            if matches!(param.ty.kind, TypeKind::Tensor { .. }) {
                let whole = domain.lo.span.to(domain.hi.span);
                self.edit(whole, "-inf..inf", "wider domain");
            } else {
                self.expr(&domain.lo);
            }
        }
    }

    fn dtypes(&mut self, rule: &ast::Rule) {
        for generic in &rule.generics {
            // To fewer dtypes a rule that is right stays right.
            let other = match generic.bound.map(|bound| bound.name.as_str()) {
                Some("float") => "int",
                Some("int" | "signed") => "float",
                Some("unsigned") => "signed",
                Some(_) | None => continue,
            };
            if let Some(bound) = generic.bound {
                self.edit(bound.span, other, "change dtype");
            }
        }
    }
}

/// What a guard can be changed to without saying more than it did: a guard that says more stays right.
fn weaker(op: CompareOp) -> &'static [&'static str] {
    match op {
        CompareOp::Eq => &["!=", "<="],
        CompareOp::Ne => &["=="],
        CompareOp::Lt => &["<=", ">"],
        CompareOp::Le => &[">="],
        CompareOp::Gt => &[">=", "<"],
        CompareOp::Ge => &["<="],
    }
}

fn compares(op: CompareOp) -> &'static [&'static str] {
    match op {
        CompareOp::Eq => &["!=", "<="],
        CompareOp::Ne => &["==", "<"],
        CompareOp::Lt => &["<=", ">"],
        CompareOp::Le => &["<", ">="],
        CompareOp::Gt => &[">=", "<"],
        CompareOp::Ge => &[">", "<="],
    }
}
