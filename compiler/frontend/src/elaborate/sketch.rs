//! Sketches of rules: what their left sides look like, read off the text.

use std::cell::Cell;

use aiai_ir::ops::{ArgKind, BinaryKind, Row, ScatterKind, UnaryKind};
use aiai_ir::{AttributeKind, DType, Op, OpName, ReduceKind, RuleInfo, Sketch, Sym};

use super::Elaborator;
use super::operators::compare_kind;
use super::sums::product;
use crate::ast::{
    self, Arg, BinaryOp, Block, Expr, ExprKind, ForSource, Ident, IndexArg, PatternKind, Reduce,
    ReduceWord, StmtKind, UnaryOp,
};

/// Expressions of one side that are looked at, at most; what functions do that it calls counts.
const MOST_EXPRESSIONS: usize = 1000;

/// What an expression is.
#[derive(Clone)]
enum Term {
    /// A number that is known while a rule is elaborated: arithmetic on it leaves no op.
    Known(Option<f64>),
    /// An attribute above 0.
    Positive,
    /// The same of sizes. In a program that does not know them they are values.
    Size,
    Value(Sketch),
}

impl Term {
    /// As the operand of an op.
    fn operand(self) -> Sketch {
        match self {
            Term::Known(value) => value.map_or(Sketch::Splat(None), Sketch::number),
            Term::Positive => Sketch::Splat(None),
            Term::Size => Sketch::Other(Vec::new()),
            Term::Value(sketch) => sketch,
        }
    }

    fn size(&self) -> usize {
        match self {
            Term::Value(sketch) => sketch.size(),
            Term::Known(_) | Term::Positive | Term::Size => 1,
        }
    }
}

fn other(parts: Vec<Sketch>) -> Term {
    Term::Value(Sketch::Other(parts))
}

/// Reads sides of one rule.
pub(super) struct Sketcher<'a, 'p> {
    elaborator: &'a Elaborator<'p>,
    info: &'a RuleInfo,
    /// Expressions that are looked at before the rest is left open.
    budget: Cell<usize>,
}

/// What names stand for, the innermost last, where it is no rule's own.
#[derive(Default)]
struct Scope<'e> {
    names: Vec<(Sym, Term)>,
    indices: Vec<&'e Ident>,
    /// In a function that the rule calls: names of the rule are not in sight.
    called: bool,
    /// What the function leaves open, dtypes among them.
    generics: Vec<Sym>,
}

impl<'a, 'p> Sketcher<'a, 'p> {
    pub fn new(elaborator: &'a Elaborator<'p>, info: &'a RuleInfo) -> Sketcher<'a, 'p> {
        let budget = Cell::new(MOST_EXPRESSIONS);
        Sketcher {
            elaborator,
            info,
            budget,
        }
    }

    pub fn side(&self, expr: &Expr) -> Sketch {
        self.term(expr, &Scope::default()).operand()
    }

    /// Takes what looking at so many expressions costs; whether there was enough.
    fn spend(&self, count: usize) -> bool {
        let left = self.budget.get().checked_sub(count);
        self.budget.set(left.unwrap_or(0));
        left.is_some()
    }

    fn term(&self, expr: &Expr, scope: &Scope) -> Term {
        if !self.spend(1) {
            return other(Vec::new());
        }
        match &expr.kind {
            ExprKind::Int { value, .. } => Term::Known(Some(*value as f64)),
            ExprKind::Float { value, .. } => Term::Known(Some(*value)),
            ExprKind::Inf => Term::Known(Some(f64::INFINITY)),
            ExprKind::Nan | ExprKind::Bool(_) => Term::Known(None),
            ExprKind::Name(name) => self.name(name.name, scope),
            ExprKind::Paren(inner) => self.term(inner, scope),
            ExprKind::Unary { op, operand } => unary(*op, self.term(operand, scope)),
            ExprKind::Binary { op, lhs, rhs, .. } => {
                binary(*op, self.term(lhs, scope), self.term(rhs, scope))
            }
            ExprKind::Call { function, args, .. } => self.call(*function, args, scope),
            ExprKind::Index { base, args } => self.index(base, args, scope),
            ExprKind::Tuple(_) => other(Vec::new()),
            ExprKind::Reduce(reduce) => self.reduction(reduce, scope),
            ExprKind::Block(block) => self.block(block, Scope::within(scope)),
            ExprKind::For(scan) => match scan.source {
                ForSource::Range { .. } => op(Row::Scan, Vec::new()),
                ForSource::List(_) => other(Vec::new()),
            },
            ExprKind::While(_) => op(Row::While, Vec::new()),
            ExprKind::Str(_)
            | ExprKind::Instance { .. }
            | ExprKind::Method { .. }
            | ExprKind::Field { .. }
            | ExprKind::All
            | ExprKind::Pack(_)
            | ExprKind::Array(_)
            | ExprKind::If(_)
            | ExprKind::ForEach(_)
            | ExprKind::Grad(_)
            | ExprKind::Error => other(Vec::new()),
        }
    }

    /// A variable, a parameter, an attribute or a size.
    fn name(&self, name: Sym, scope: &Scope) -> Term {
        if scope.indices.iter().any(|index| index.name == name) {
            return other(Vec::new());
        }
        if let Some((_, term)) = scope.names.iter().rev().find(|found| found.0 == name) {
            return match self.spend(term.size()) {
                true => term.clone(),
                false => other(Vec::new()),
            };
        }
        if scope.called {
            return Term::Size;
        }
        let found = self.info.params.iter().position(|param| param.name == name);
        match found {
            Some(number) if self.info.params[number].constant => Term::Value(Sketch::Splat(None)),
            Some(number) => Term::Value(Sketch::Param(number)),
            None => match self.info.attributes.iter().find(|found| found.0 == name) {
                Some((_, AttributeKind::Int { low: 1.., .. })) => Term::Positive,
                Some(_) => Term::Known(None),
                None => Term::Size,
            },
        }
    }

    /// A slice, where all positions are known; else values picked at positions.
    fn index(&self, base: &Expr, args: &[IndexArg], scope: &Scope) -> Term {
        let known = |arg: &IndexArg| match arg {
            IndexArg::At(at) => !matches!(self.term(at, scope), Term::Value(_)),
            IndexArg::Range { .. } | IndexArg::All(_) | IndexArg::Rest(_) => true,
        };
        let slices = args.iter().all(known);
        match self.term(base, scope).operand() {
            // A part of a tuple, or of what may be one.
            Sketch::Other(_) => other(Vec::new()),
            // Along an axis of size 1 there is nothing to slice.
            base if slices => Term::Value(base),
            base => other(vec![base]),
        }
    }

    /// A sum of products of elements is a contraction, if every index of the sum stands in one of them.
    fn reduction(&self, reduce: &Reduce, scope: &Scope) -> Term {
        let mut inner = Scope::within(scope);
        inner
            .indices
            .extend(reduce.indices.iter().map(|index| &index.name));
        let mut factors = Vec::new();
        product(&reduce.body, &mut factors);
        let mut left: Vec<Sym> = reduce.indices.iter().map(|index| index.name.name).collect();
        let mut bases = Vec::new();
        for factor in &factors {
            let ExprKind::Index { base, args } = &factor.peel().kind else {
                return other(Vec::new());
            };
            let mut indices = Vec::new();
            let plain = args.iter().all(|arg| match arg {
                IndexArg::At(at) => {
                    let mut here = Vec::new();
                    let plain = self.affine(at, &inner, &mut here);
                    indices.extend(here);
                    plain
                }
                IndexArg::Range { .. } | IndexArg::All(_) | IndexArg::Rest(_) => false,
            });
            if !plain || indices.is_empty() {
                return other(Vec::new());
            }
            left.retain(|index| !indices.contains(index));
            bases.push(self.term(base, scope).operand());
        }
        if reduce.word == ReduceWord::Sum && bases.len() > 1 && left.is_empty() {
            op(Row::Contract, bases)
        } else {
            other(Vec::new())
        }
    }

    /// Whether a place is certainly a sum of multiples of indices, each once, whose names are collected.
    fn affine(&self, expr: &Expr, scope: &Scope, indices: &mut Vec<Sym>) -> bool {
        match &expr.kind {
            ExprKind::Paren(inner) => self.affine(inner, scope, indices),
            ExprKind::Name(name) if scope.indices.iter().any(|i| i.name == name.name) => {
                let new = !indices.contains(&name.name);
                indices.push(name.name);
                new
            }
            ExprKind::Binary {
                op: BinaryOp::Add | BinaryOp::Sub,
                lhs,
                rhs,
                ..
            } => self.affine(lhs, scope, indices) && self.affine(rhs, scope, indices),
            ExprKind::Binary {
                op: BinaryOp::Mul,
                lhs,
                rhs,
                ..
            } => {
                (self.is_not_zero(lhs, scope) && self.affine(rhs, scope, indices))
                    || (self.is_not_zero(rhs, scope) && self.affine(lhs, scope, indices))
            }
            _ => !matches!(self.term(expr, scope), Term::Value(_)),
        }
    }

    fn block<'e>(&self, block: &'e Block, mut scope: Scope<'e>) -> Term {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Let { pattern, value } => {
                    let term = self.term(value, &scope);
                    match pattern.kind {
                        PatternKind::Name(name) => scope.names.push((name.name, term)),
                        _ => scope.leave_open(pattern.names()),
                    }
                }
                StmtKind::IndexLet {
                    name,
                    indices,
                    value,
                } => {
                    let known = scope.indices.len();
                    scope
                        .indices
                        .extend(indices.iter().map(|index| &index.name));
                    let term = match &value.peel().kind {
                        ExprKind::Reduce(reduce) => self.reduction(reduce, &scope),
                        _ => other(Vec::new()),
                    };
                    scope.indices.truncate(known);
                    scope.names.push((name.name, term));
                }
                StmtKind::Emit(_) | StmtKind::Expr(_) => {}
                StmtKind::Error { binds } => scope.leave_open(binds.clone()),
            }
        }
        match &block.tail {
            Some(tail) => self.term(tail, &scope),
            None => other(Vec::new()),
        }
    }

    fn call(&self, function: Ident, args: &[Arg], scope: &Scope) -> Term {
        let name = function.name;
        if let Some(id) = self.elaborator.find_fn(name, function.span) {
            return self.call_fn(self.elaborator.fns[id].def, args, scope);
        }
        if self.elaborator.find_module(name, function.span).is_some() {
            return other(Vec::new());
        }
        let plain = args.iter().take_while(|arg| arg.name.is_none());
        let terms: Vec<Term> = plain.map(|arg| self.term(&arg.value, scope)).collect();
        if scope.generics.contains(&name) {
            return match terms.into_iter().next() {
                Some(Term::Value(of)) => Term::Value(of),
                _ => other(Vec::new()),
            };
        }
        if let Some(to) = self.dtypes(name, scope) {
            let from = args
                .first()
                .and_then(|arg| self.dtypes_of(&arg.value, scope));
            let converts = from.is_some_and(|from| !from.iter().any(|dtype| to.contains(dtype)));
            return match terms.into_iter().next() {
                Some(Term::Value(of)) if converts => moved(Row::Cast, of),
                Some(Term::Value(of)) => Term::Value(of),
                _ => other(Vec::new()),
            };
        }
        let name = name.as_str();
        // Of what is known the value may be computed at once.
        if !terms.is_empty() && !terms.iter().any(|term| matches!(term, Term::Value(_))) {
            return match (name, terms.as_slice()) {
                ("full", &[Term::Known(value)]) => Term::Value(Term::Known(value).operand()),
                _ => other(Vec::new()),
            };
        }
        // Of what is known to be true or false one branch is taken.
        if name == "select" && !matches!(terms.first(), Some(Term::Value(_))) {
            return other(Vec::new());
        }
        let operands: Vec<Sketch> = terms.into_iter().map(Term::operand).collect();
        let unary = UnaryKind::from_name(name).map(|kind| Op::Unary { kind });
        let binary = BinaryKind::from_name(name).map(|kind| Op::Binary { kind });
        let reduce = ReduceKind::from_name(name).map(|kind| Op::Reduce {
            kind,
            axes: Vec::new(),
            acc: DType::F32,
        });
        let named = match operands.len() {
            1 => unary.or(reduce),
            2 => binary,
            _ => None,
        };
        match named {
            Some(found) => op(found, operands),
            None if name == "concat" => match args.first().map(|arg| &arg.value.peel().kind) {
                Some(ExprKind::Tuple(parts)) if parts.len() > 1 => {
                    let parts = parts.iter().map(|part| self.term(part, scope).operand());
                    op(Row::Concat, parts.collect())
                }
                _ => other(operands),
            },
            None if name == "pad" && operands.len() == 1 && !self.pads(args, scope) => {
                other(operands)
            }
            None => called(name, operands),
        }
    }

    /// What dtypes a name may stand for, if it stands for dtypes.
    fn dtypes(&self, name: Sym, scope: &Scope) -> Option<Vec<DType>> {
        if let Ok(dtype) = name.as_str().parse::<DType>() {
            return Some(vec![dtype]);
        }
        let mut generic = self.info.dtypes.iter().filter(|_| !scope.called);
        let (_, bound) = generic.find(|found| found.0 == name)?;
        let all = DType::ALL.iter().copied();
        Some(all.filter(|dtype| bound.holds(*dtype)).collect())
    }

    /// What dtypes an expression may have, where that is seen at once.
    fn dtypes_of(&self, expr: &Expr, scope: &Scope) -> Option<Vec<DType>> {
        match &expr.peel().kind {
            ExprKind::Call { function, .. } => {
                let (name, at) = (function.name, function.span);
                let own = self.elaborator.find_fn(name, at).is_some()
                    || self.elaborator.find_module(name, at).is_some()
                    || scope.generics.contains(&name);
                self.dtypes(name, scope).filter(|_| !own)
            }
            ExprKind::Name(name) if !scope.called && !scope.has(name.name) => {
                let mut params = self.info.params.iter().zip(&self.info.types);
                let (_, ty) = params.find(|(param, _)| param.name == name.name)?;
                self.dtypes(ty.dtype, scope)
            }
            _ => None,
        }
    }

    /// Whether it is certain that there is something to pad with.
    fn pads(&self, args: &[Arg], scope: &Scope) -> bool {
        let amounts = args.iter().filter(|arg| {
            let name = arg.name.map(|name| name.name);
            name.is_some_and(|name| matches!(name.as_str(), "before" | "after"))
        });
        let mut amounts = amounts.map(|arg| &arg.value);
        amounts.any(|amount| self.is_not_zero(amount, scope))
    }

    /// Whether it is certain that a number or a size is none that is 0 and known.
    fn is_not_zero(&self, expr: &Expr, scope: &Scope) -> bool {
        match self.term(expr, scope) {
            Term::Positive => true,
            Term::Known(value) => value.is_some_and(|value| value != 0.0),
            // A size of the rule has a name in every instance.
            Term::Size => !scope.called && expr.as_name().is_some(),
            Term::Value(_) => false,
        }
    }

    /// The body of a function with what it is called with.
    fn call_fn(&self, def: &ast::Function, args: &[Arg], scope: &Scope) -> Term {
        let mut inner = Scope {
            called: true,
            generics: def.generics.iter().map(|g| g.name.name).collect(),
            ..Scope::default()
        };
        for (number, param) in def.params.iter().enumerate() {
            let named = |arg: &&Arg| arg.name.is_some_and(|name| name.name == param.name.name);
            let placed = args.get(number).filter(|arg| arg.name.is_none());
            let arg = args.iter().find(named).or(placed);
            let default = param.default.as_ref();
            let term = match (arg, default) {
                (Some(arg), _) => self.term(&arg.value, scope),
                (None, Some(default)) => self.term(default, &inner),
                (None, None) => other(Vec::new()),
            };
            // What is no tensor is none in the body, and the other way round.
            let term = match (term, param.constant) {
                (Term::Value(of), false) => Term::Value(of),
                (Term::Value(_), true) => Term::Known(None),
                (term, true) => term,
                (_, false) => other(Vec::new()),
            };
            inner.names.push((param.name.name, term));
        }
        // What it gives is a value, even if it is known.
        Term::Value(self.block(&def.body, inner).operand())
    }
}

impl<'e> Scope<'e> {
    fn within(outer: &Scope<'e>) -> Scope<'e> {
        Scope {
            names: outer.names.clone(),
            indices: outer.indices.clone(),
            called: outer.called,
            generics: outer.generics.clone(),
        }
    }

    fn has(&self, name: Sym) -> bool {
        self.names.iter().any(|found| found.0 == name)
    }

    fn leave_open(&mut self, names: Vec<Ident>) {
        let open = names.into_iter().map(|name| (name.name, other(Vec::new())));
        self.names.extend(open);
    }
}

fn unary(op: UnaryOp, operand: Term) -> Term {
    let kind = match op {
        UnaryOp::Neg => UnaryKind::Neg,
        UnaryOp::Not => UnaryKind::Not,
    };
    match (operand, op) {
        // The integer 0 has no sign, and the float 0.0 has one.
        (Term::Known(value), UnaryOp::Neg) => {
            Term::Known(value.filter(|&value| value != 0.0).map(|value| -value))
        }
        (Term::Value(operand), _) => self::op(Op::Unary { kind }, vec![operand]),
        (Term::Known(_) | Term::Positive, _) => Term::Known(None),
        (Term::Size, _) => Term::Size,
    }
}

fn binary(op: BinaryOp, lhs: Term, rhs: Term) -> Term {
    match (&lhs, &rhs) {
        (Term::Value(_), _) | (_, Term::Value(_)) => {}
        (Term::Size, _) | (_, Term::Size) => return Term::Size,
        // A remainder is an op where the numbers are no sizes.
        _ if op == BinaryOp::Rem => return Term::Size,
        _ => return Term::Known(None),
    }
    let operands = vec![lhs.operand(), rhs.operand()];
    let kind = match op {
        BinaryOp::Add => BinaryKind::Add,
        BinaryOp::Sub => BinaryKind::Sub,
        BinaryOp::Mul => BinaryKind::Mul,
        BinaryOp::Div => BinaryKind::Div,
        BinaryOp::Rem => BinaryKind::Rem,
        BinaryOp::And => BinaryKind::And,
        BinaryOp::Or => BinaryKind::Or,
        BinaryOp::MatMul => return self::op(Row::Contract, operands),
        BinaryOp::Compare(op) => {
            let kind = compare_kind(op);
            return self::op(Op::Compare { kind }, operands);
        }
    };
    self::op(Op::Binary { kind }, operands)
}

/// A call of a builtin whose op has another name, or which has several ops.
fn called(name: &str, mut operands: Vec<Sketch>) -> Term {
    let (axis, axes) = (0, Vec::new());
    let kind = name.strip_prefix("scatter_").map(ScatterKind::from_name);
    match (name, operands.len()) {
        ("select", 3) => op(Row::Select, operands),
        ("argmax", 1) => {
            let kind = ArgKind::Max;
            op(Op::ArgReduce { kind, axis }, operands)
        }
        ("argmin", 1) => {
            let kind = ArgKind::Min;
            op(Op::ArgReduce { kind, axis }, operands)
        }
        ("sort" | "argsort", 1) => op(Row::Sort, operands),
        ("reverse", 1) => op(Row::Reverse, operands),
        ("pad", 1) => op(Row::Pad, operands),
        ("broadcast", 1..) => moved(Row::Broadcast, operands.swap_remove(0)),
        ("reshape", 1..) => moved(Row::Reshape, operands.swap_remove(0)),
        ("permute" | "transpose", 1..) => moved(Row::Permute, operands.swap_remove(0)),
        ("slice", 1..) => moved(Row::Slice, operands.swap_remove(0)),
        ("stop_gradient" | "full", 1..) => Term::Value(operands.swap_remove(0)),
        ("zeros" | "zeros_like", _) => Term::Value(Sketch::number(0.0)),
        ("ones" | "ones_like", _) => Term::Value(Sketch::number(1.0)),
        ("iota", _) => op(Row::Iota, Vec::new()),
        ("rank", _) => Term::Size,
        (_, 3) => match kind {
            Some(Some(kind)) => op(Op::Scatter { axes, kind }, operands),
            _ => other(operands),
        },
        _ => other(operands),
    }
}

fn op(name: impl Into<OpName>, operands: Vec<Sketch>) -> Term {
    Term::Value(Sketch::Op(name.into(), operands))
}

/// Written movement. Copies of one number may be a constant, and a tuple is moved by no op.
fn moved(by: Row, of: Sketch) -> Term {
    Term::Value(match of {
        Sketch::Splat(_) | Sketch::Other(_) => of,
        of => Sketch::Moved(by.into(), Box::new(of)),
    })
}
