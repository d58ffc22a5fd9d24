//! Guards: a conjunction of comparisons of sizes and of facts about operands.

use aiai_ir::dim::Atom;
use aiai_ir::schedule::{Axis, COPIED, Condition, FUNCTIONS, Fact, Part, Pattern, SUMS, WEIGHTS};
use aiai_ir::{Dim, Facts, Relation, Truth};

use super::{Checker, axis_names, unknown};
use crate::ast::{Arg, BinaryOp, CompareOp, Expr, ExprKind, GenericArg, Ident, UnaryOp};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Conditions of one guard.
const MAX_CONDITIONS: usize = 64;
/// Names and numbers in one comparison, after `%` is written out.
const MAX_WEIGHT: usize = 1024;
/// Conditions that are taken as given when a later one is decided. Deciding is quartic in their number and in
/// the number of divisions, so what has more of them is left to the run.
const MAX_ASSUMED: usize = 8;
const MAX_TERMS: usize = 8;
const MAX_DIVISIONS: usize = 3;

/// A size, and how many names and numbers its normal form has at most.
struct Size {
    dim: Dim,
    weight: usize,
}

impl Checker {
    pub(super) fn guard(&mut self, expr: &Expr) -> Vec<Condition> {
        let mut parts = Vec::new();
        conjuncts(expr, &mut parts);
        if let Some(first) = parts.get(MAX_CONDITIONS) {
            let message = format!("a guard of more than {MAX_CONDITIONS} conditions");
            self.report(Diagnostic::new("E0802", first.span, message));
            return Vec::new();
        }
        let before = self.found.len();
        let conditions: Vec<(Condition, Span)> = parts
            .iter()
            .filter_map(|part| Some((self.condition(part)?, part.span)))
            .collect();
        if self.found.len() == before {
            self.can_hold(&conditions);
        }
        conditions
            .into_iter()
            .map(|condition| condition.0)
            .collect()
    }

    fn condition(&mut self, expr: &Expr) -> Option<Condition> {
        match &expr.peel().kind {
            ExprKind::Binary {
                op: BinaryOp::Compare(op),
                lhs,
                rhs,
                ..
            } => self.comparison(*op, lhs, rhs, expr.span),
            ExprKind::Binary {
                op: BinaryOp::Or,
                op_span,
                ..
            } => {
                let message = "`or` cannot stand in a guard";
                let help = "write two schedules: the first one whose guard holds is used";
                self.report(Diagnostic::new("E0706", *op_span, message).help(help));
                None
            }
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => self.negated(operand, expr.span),
            ExprKind::Call {
                function,
                generics,
                args,
            } => self.fact(*function, generics, args, true, expr.span),
            ExprKind::Bool(false) => {
                self.report(Diagnostic::new("E0707", expr.span, "the guard never holds"));
                None
            }
            ExprKind::Error => None,
            _ => {
                self.not_a_condition(expr.span, "expected a condition");
                None
            }
        }
    }

    /// What stands behind `not`.
    fn negated(&mut self, operand: &Expr, span: Span) -> Option<Condition> {
        match &operand.peel().kind {
            ExprKind::Call {
                function,
                generics,
                args,
            } => self.fact(*function, generics, args, false, span),
            ExprKind::Binary {
                op: BinaryOp::Compare(op),
                ..
            } => {
                let opposite = match op {
                    CompareOp::Eq => CompareOp::Ne,
                    CompareOp::Ne => CompareOp::Eq,
                    CompareOp::Lt => CompareOp::Ge,
                    CompareOp::Le => CompareOp::Gt,
                    CompareOp::Gt => CompareOp::Le,
                    CompareOp::Ge => CompareOp::Lt,
                };
                let message = "`not` stands before facts only";
                let help = format!("compare with `{}`", opposite.symbol());
                self.report(Diagnostic::new("E0706", span, message).help(help));
                None
            }
            ExprKind::Error => None,
            _ => {
                self.not_a_condition(operand.span, "`not` stands before facts only");
                None
            }
        }
    }

    fn not_a_condition(&mut self, span: Span, message: &str) {
        let help = "conditions compare sizes, `rows >= 4`, or ask for a fact, `dense(right)`";
        self.report(Diagnostic::new("E0706", span, message).help(help));
    }

    fn fact(
        &mut self,
        name: Ident,
        generics: &[GenericArg],
        args: &[Arg],
        holds: bool,
        span: Span,
    ) -> Option<Condition> {
        let Some(fact) = Fact::from_name(name.name.as_str()) else {
            let names: Vec<&str> = Fact::ALL.iter().map(|fact| fact.name()).collect();
            self.report(unknown("fact", name, &names));
            return None;
        };
        let part = match args {
            [Arg { name: None, value }] if generics.is_empty() => value.as_name(),
            _ => None,
        };
        let Some(part) = part else {
            let message = format!("`{}` asks about one part", fact.name());
            let example = self.parts().first().unwrap_or(&Part::Left);
            let help = format!("write `{}({})`", fact.name(), example.name());
            self.report(Diagnostic::new("E0706", span, message).help(help));
            return None;
        };
        let what = format!("`{}`", fact.name());
        let part = self.part(part, &what, fact.parts())?;
        Some(Condition::Fact { fact, part, holds })
    }

    fn comparison(
        &mut self,
        op: CompareOp,
        lhs: &Expr,
        rhs: &Expr,
        span: Span,
    ) -> Option<Condition> {
        // Both, so that what is wrong on either side is said.
        let (lhs, rhs) = (self.size(lhs), self.size(rhs));
        let (a, b) = (lhs?, rhs?);
        let difference = match op {
            CompareOp::Eq | CompareOp::Ne | CompareOp::Ge => a.dim - b.dim,
            CompareOp::Gt => a.dim - b.dim - Dim::from(1),
            CompareOp::Le => b.dim - a.dim,
            CompareOp::Lt => b.dim - a.dim - Dim::from(1),
        };
        let relation = match op {
            CompareOp::Eq => Relation::Zero,
            CompareOp::Ne => Relation::NonZero,
            CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le => Relation::NonNegative,
        };
        let weight = a.weight.saturating_add(b.weight);
        let dim = self.bounded(difference, weight, span)?.dim;
        Some(Condition::Size { dim, relation })
    }

    /// Arithmetic over the numbers of indices of axes.
    fn size(&mut self, expr: &Expr) -> Option<Size> {
        let (dim, weight) = match &expr.peel().kind {
            ExprKind::Int { value, .. } => match i64::try_from(*value) {
                Ok(value) => (Dim::from(value), 1),
                Err(_) => (Dim::overflow(), 1),
            },
            ExprKind::Name(name) => (Dim::sym(self.size_of(*name)?), 1),
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => {
                let operand = self.size(operand)?;
                (-operand.dim, operand.weight)
            }
            ExprKind::Binary { op, lhs, rhs, .. } => {
                return self.operation(*op, lhs, rhs, expr.span);
            }
            ExprKind::Error => return None,
            _ => {
                let message = "not a size";
                let names = axis_names(self.axes()).join("`, `");
                let help = format!("sizes are made of `{names}`, whole numbers and arithmetic");
                self.report(Diagnostic::new("E0706", expr.span, message).help(help));
                return None;
            }
        };
        self.bounded(dim, weight, expr.span)
    }

    fn operation(&mut self, op: BinaryOp, lhs: &Expr, rhs: &Expr, span: Span) -> Option<Size> {
        let (left, right) = match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => {
                let (left, right) = (self.size(lhs), self.size(rhs));
                (left?, right?)
            }
            BinaryOp::MatMul | BinaryOp::And | BinaryOp::Or | BinaryOp::Compare(_) => {
                let message = format!("`{}` does not give a size", op.symbol());
                let help = "sizes are computed with `+`, `-`, `*`, `/` and `%`";
                self.report(Diagnostic::new("E0706", span, message).help(help));
                return None;
            }
        };
        let (a, b) = (left.dim, right.dim);
        let sum = left.weight.saturating_add(right.weight);
        let weight = match op {
            BinaryOp::Mul => sum.saturating_mul(left.weight.min(right.weight)),
            BinaryOp::Rem => sum.saturating_mul(2),
            _ => sum,
        };
        if weight > MAX_WEIGHT {
            return self.bounded(Dim::overflow(), weight, span);
        }
        let divides = matches!(op, BinaryOp::Div | BinaryOp::Rem);
        if divides && b.as_const().is_none_or(|n| n < 1) && !b.is_overflow() {
            let message = "sizes are divided by whole numbers of at least 1 only";
            self.report(Diagnostic::new("E0706", rhs.span, message));
            return None;
        }
        let dim = match op {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::Mul => a * b,
            BinaryOp::Div => a.floor_div(b),
            _ => a - a.floor_div(b) * b,
        };
        self.bounded(dim, weight, span)
    }

    /// A size, if it is small enough; reported if not.
    fn bounded(&mut self, dim: Dim, weight: usize, span: Span) -> Option<Size> {
        if !dim.is_overflow() && weight <= MAX_WEIGHT {
            return Some(Size { dim, weight });
        }
        let message = match weight <= MAX_WEIGHT {
            true => "a size that does not fit in 64 bits",
            false => "a condition with too many terms",
        };
        self.report(Diagnostic::new("E0802", span, message));
        None
    }

    /// The axis whose number of indices a name stands for, or another number that the pattern has; reported if it is none.
    fn size_of(&mut self, name: Ident) -> Option<&'static str> {
        let text = name.name.as_str();
        let numbers = [
            (WEIGHTS, Pattern::Contract),
            (COPIED, Pattern::Contract),
            (FUNCTIONS, Pattern::Rows),
            (SUMS, Pattern::Rows),
        ];
        let fits = |of: Pattern| self.pattern.is_none_or(|pattern| pattern == of);
        let numbers = numbers.iter().filter(|(_, of)| fits(*of)).map(|n| n.0);
        if let Some(number) = numbers.clone().find(|&number| number == text) {
            return Some(number);
        }
        if Fact::from_name(name.name.as_str()).is_some() {
            let message = format!("`{}` is a fact, not a size", name.name);
            let pattern = self.pattern.unwrap_or(Pattern::Contract);
            let diagnostic = Diagnostic::new("E0706", name.span, message);
            let example = pattern.parts().first();
            self.report(match example {
                Some(part) => diagnostic.help(format!("write `{}({})`", name.name, part.name())),
                None => diagnostic,
            });
            return None;
        }
        if Axis::from_name(text).is_none() && Part::from_name(text).is_none() {
            let sizes: Vec<&str> = axis_names(self.axes()).into_iter().chain(numbers).collect();
            self.report(unknown("size", name, &sizes));
            return None;
        }
        self.axis(name).map(Axis::name)
    }

    /// Reports a condition that cannot hold by itself, or not beside those before it.
    fn can_hold(&mut self, conditions: &[(Condition, Span)]) {
        let mut known = Facts::default();
        let mut assumed = 0;
        for (at, (condition, span)) in conditions.iter().enumerate() {
            match *condition {
                Condition::Size { dim, .. } if !is_simple(dim) => {}
                Condition::Size { dim, relation } => {
                    if Facts::default().check(relation, dim) == Truth::False {
                        self.never(*span, None);
                        return;
                    }
                    if known.check(relation, dim) == Truth::False {
                        self.never(*span, Some("the conditions before it"));
                        return;
                    }
                    if assumed < MAX_ASSUMED {
                        known.assume(relation, dim);
                        assumed += 1;
                    }
                }
                Condition::Fact { fact, part, holds } => {
                    let opposite = Condition::Fact {
                        fact,
                        part,
                        holds: !holds,
                    };
                    if conditions[..at].iter().any(|before| before.0 == opposite) {
                        self.never(*span, Some("its opposite before it"));
                        return;
                    }
                }
            }
        }
    }

    fn never(&mut self, span: Span, beside: Option<&str>) {
        let label = match beside {
            Some(beside) => format!("cannot hold beside {beside}"),
            None => "holds for no sizes".to_owned(),
        };
        let diagnostic = Diagnostic::new("E0707", span, "the guard never holds").label(label);
        self.report(diagnostic.help("so the schedule is never used"));
    }
}

/// Whether questions about a size are answered quickly.
fn is_simple(dim: Dim) -> bool {
    dim.terms().len() <= MAX_TERMS && divisions(dim) <= MAX_DIVISIONS
}

/// How many floor divisions a size has, those within others counted too.
fn divisions(dim: Dim) -> usize {
    let atoms = dim.terms().iter().flat_map(|(monomial, _)| monomial);
    atoms
        .map(|(atom, _)| match *atom {
            Atom::Sym(_) => 0,
            Atom::Div(a, b) => 1 + divisions(a) + divisions(b),
        })
        .sum()
}

/// What `and` joins, from left to right.
fn conjuncts<'a>(expr: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match &expr.peel().kind {
        ExprKind::Binary {
            op: BinaryOp::And,
            lhs,
            rhs,
            ..
        } => {
            conjuncts(lhs, parts);
            conjuncts(rhs, parts);
        }
        _ => parts.push(expr),
    }
}
