//! Expressions, statements, patterns.

use aiai_ir::Sym;

use super::{CompareOp, GenericArg, Ident};
use crate::span::Span;

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
    /// The height of the tree; at most [`super::MAX_DEPTH`].
    pub depth: u16,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `12`, `0xff`, `1_000`.
    Int { value: u64, text: Sym },
    /// `1.5`, `1e-6`. `value` is the nearest f64; round from `text` to narrower types.
    Float { value: f64, text: Sym },
    /// `inf`.
    Inf,
    /// `nan`.
    Nan,
    /// `true`, `false`.
    Bool(bool),
    /// `"text"`; only as a compile-time argument.
    Str(String),
    /// `x`, `self`, `D`.
    Name(Ident),
    /// `Mlp::<64, 128>` that is not called: the receiver of `.init(key)`.
    Instance {
        name: Ident,
        generics: Vec<GenericArg>,
    },
    /// `f(x, axis = 0)`, `zeros::<B, H>()`, `f32(n)`, `Mlp(up = u)`.
    Call {
        function: Ident,
        generics: Vec<GenericArg>,
        args: Vec<Arg>,
    },
    /// `net.apply(x)`, `self.set(m = m)`.
    Method {
        receiver: Box<Expr>,
        method: Ident,
        generics: Vec<GenericArg>,
        args: Vec<Arg>,
    },
    /// `self.lr`.
    Field { base: Box<Expr>, field: Ident },
    /// `x[t, 0..n, .., 0..H by S, ...]`, and `x[i * S + u]` in index equations.
    Index {
        base: Box<Expr>,
        args: Vec<IndexArg>,
    },
    /// `-x`, `not x`.
    Unary { op: UnaryOp, operand: Box<Expr> },
    /// `a + b`; the operator has its own place.
    Binary {
        op: BinaryOp,
        op_span: Span,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    /// `(a, b)`, `(a,)`, `()`.
    Tuple(Vec<Expr>),
    /// `..` as an element of a tuple: all of an axis, as in `at = (n, .., pos, ..)`.
    All,
    /// `..S` as an element of a tuple: the dimensions of a pack, as in `(N, ..S)`.
    Pack(Ident),
    /// `[a, b]`: stacked along a new first axis.
    Array(Vec<Expr>),
    /// `(e)`: kept for the formatter; means `e`.
    Paren(Box<Expr>),
    /// `sum<f32> d in 0..D, e: body`.
    Reduce(Box<Reduce>),
    /// `if c { a } else { b }`.
    If(Box<If>),
    /// `for t in 0..T with h = h0 { ... }`, `for layer in self.layers with h = x { ... }`.
    For(Box<For>),
    /// `for each p, g in (net, grads) { ... }`.
    ForEach(Box<ForEach>),
    /// `while c with s = s0 max n { ... }`.
    While(Box<While>),
    /// `grad (net, x) { ... }`.
    Grad(Box<Grad>),
    /// `{ ... }`.
    Block(Box<Block>),
    /// Did not parse; reported.
    Error,
}

impl Expr {
    /// The expression within any parentheses.
    pub fn peel(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The name, if the expression is nothing but a name.
    pub fn as_name(&self) -> Option<Ident> {
        match self.peel().kind {
            ExprKind::Name(ident) => Some(ident),
            _ => None,
        }
    }
}

/// An argument of a call; `axis = 0` has a name.
#[derive(Clone, Debug)]
pub struct Arg {
    pub name: Option<Ident>,
    pub value: Expr,
}

impl Arg {
    pub fn span(&self) -> Span {
        match self.name {
            Some(name) => name.span.to(self.value.span),
            None => self.value.span,
        }
    }
}

/// One entry between the brackets of an index or slice.
#[derive(Clone, Debug)]
pub enum IndexArg {
    /// A position; the axis goes away.
    At(Expr),
    /// `lo..hi`, `lo..hi by step`.
    Range {
        lo: Expr,
        hi: Expr,
        step: Option<Expr>,
        span: Span,
    },
    /// `..`: all of one axis.
    All(Span),
    /// `...`: all axes not named.
    Rest(Span),
}

impl IndexArg {
    pub fn span(&self) -> Span {
        match self {
            IndexArg::At(expr) => expr.span,
            IndexArg::Range { span, .. } | IndexArg::All(span) | IndexArg::Rest(span) => *span,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    MatMul,
    And,
    Or,
    Compare(CompareOp),
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::MatMul => "@",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Compare(op) => op.symbol(),
        }
    }

    /// How tightly it binds; all but comparisons group from the left, comparisons do not chain.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And => 2,
            BinaryOp::Compare(_) => 4,
            BinaryOp::Add | BinaryOp::Sub => 5,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::MatMul => 6,
        }
    }
}

/// The word of a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceWord {
    Sum,
    Prod,
    Max,
    Min,
    Any,
    All,
    ArgMax,
    ArgMin,
}

impl ReduceWord {
    pub const ALL: [ReduceWord; 8] = [
        ReduceWord::Sum,
        ReduceWord::Prod,
        ReduceWord::Max,
        ReduceWord::Min,
        ReduceWord::Any,
        ReduceWord::All,
        ReduceWord::ArgMax,
        ReduceWord::ArgMin,
    ];

    pub fn word(self) -> &'static str {
        match self {
            ReduceWord::Sum => "sum",
            ReduceWord::Prod => "prod",
            ReduceWord::Max => "max",
            ReduceWord::Min => "min",
            ReduceWord::Any => "any",
            ReduceWord::All => "all",
            ReduceWord::ArgMax => "argmax",
            ReduceWord::ArgMin => "argmin",
        }
    }
}

/// `sum<f32> d in 0..D, e: body`.
#[derive(Clone, Debug)]
pub struct Reduce {
    pub word: ReduceWord,
    pub word_span: Span,
    /// The dtype in which it accumulates, `<f32>` or `<T>`.
    pub accumulator: Option<Ident>,
    /// Never empty.
    pub indices: Vec<Binder>,
    pub body: Expr,
}

/// An index that an equation or a reduction binds, with its range where one is written.
#[derive(Clone, Debug)]
pub struct Binder {
    pub name: Ident,
    pub range: Option<(Expr, Expr)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct If {
    pub condition: Expr,
    pub then: Block,
    /// `Block` or `If`; `Error` where an `else` was missing, which is reported.
    pub otherwise: Expr,
}

#[derive(Clone, Debug)]
pub struct For {
    pub var: Ident,
    pub source: ForSource,
    pub carry: Option<Carry>,
    pub body: Block,
}

/// What a `for` runs over.
#[derive(Clone, Debug)]
pub enum ForSource {
    /// `lo..hi by step`: a scan.
    Range {
        lo: Expr,
        hi: Expr,
        step: Option<Expr>,
    },
    /// A list of submodules: unrolled at compile time.
    List(Expr),
}

/// `with pattern = init`: what one iteration hands to the next.
#[derive(Clone, Debug)]
pub struct Carry {
    pub pattern: Pattern,
    pub init: Expr,
}

/// `for each vars in over`; the parser sees to it that there are as many of one as of the other.
#[derive(Clone, Debug)]
pub struct ForEach {
    pub vars: Vec<Ident>,
    pub over: Vec<Expr>,
    pub body: Block,
    /// `over` was written in parentheses, `(net, grads)`.
    pub parenthesized: bool,
}

#[derive(Clone, Debug)]
pub struct While {
    pub condition: Expr,
    pub carry: Carry,
    /// `max n`: the most iterations; needed under `grad`.
    pub max: Option<Expr>,
    pub body: Block,
}

/// The value is `(value, gradient)`: what the block gives, and the gradient of it (of its first
/// element if it is a tuple) with respect to the targets, structured as they are.
#[derive(Clone, Debug)]
pub struct Grad {
    /// Names or fields of names; never empty.
    pub targets: Vec<Expr>,
    /// Written `(a, b)`: the gradient is a tuple even for one target.
    pub tuple: bool,
    pub body: Block,
}

/// `{ statements; value }`.
#[derive(Clone, Debug)]
pub struct Block {
    pub stmts: Vec<Stmt>,
    /// The last statement, where it is an expression: the value of the block.
    pub tail: Option<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `let (a, b) = e`.
    Let { pattern: Pattern, value: Expr },
    /// `let y[b, i in 0..N] = e`.
    IndexLet {
        name: Ident,
        indices: Vec<Binder>,
        value: Expr,
    },
    /// `emit h`.
    Emit(Expr),
    /// An expression that is not the value of the block: an assertion.
    Expr(Expr),
    /// Did not parse; reported. A `let` that did not parse gives the names that it would have
    /// bound, so that their uses are not reported too.
    Error { binds: Vec<Ident> },
}

#[derive(Clone, Debug)]
pub struct Pattern {
    pub kind: PatternKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum PatternKind {
    Name(Ident),
    /// `_`: the value is not used.
    Wildcard,
    Tuple(Vec<Pattern>),
}

impl Pattern {
    /// Every name that the pattern binds, from left to right.
    pub fn names(&self) -> Vec<Ident> {
        let mut names = Vec::new();
        self.collect(&mut names);
        names
    }

    fn collect(&self, names: &mut Vec<Ident>) {
        match &self.kind {
            PatternKind::Name(ident) => names.push(*ident),
            PatternKind::Wildcard => {}
            PatternKind::Tuple(parts) => parts.iter().for_each(|part| part.collect(names)),
        }
    }
}

impl ExprKind {
    /// One more than the greatest height among the parts that can nest.
    fn depth(&self) -> u16 {
        let block = |b: &Block| b.depth();
        let deepest = match self {
            ExprKind::Int { .. }
            | ExprKind::Float { .. }
            | ExprKind::Inf
            | ExprKind::Nan
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Name(_)
            | ExprKind::Instance { .. }
            | ExprKind::All
            | ExprKind::Pack(_)
            | ExprKind::Error => 0,
            ExprKind::Call { args, .. } => max_depth(args.iter().map(|a| &a.value)),
            ExprKind::Method { receiver, args, .. } => {
                receiver.depth.max(max_depth(args.iter().map(|a| &a.value)))
            }
            ExprKind::Field { base, .. } => base.depth,
            ExprKind::Index { base, args } => args.iter().fold(base.depth, |d, arg| match arg {
                IndexArg::At(e) => d.max(e.depth),
                IndexArg::Range { lo, hi, .. } => d.max(lo.depth).max(hi.depth),
                IndexArg::All(_) | IndexArg::Rest(_) => d,
            }),
            ExprKind::Unary { operand, .. } => operand.depth,
            ExprKind::Binary { lhs, rhs, .. } => lhs.depth.max(rhs.depth),
            ExprKind::Tuple(parts) | ExprKind::Array(parts) => max_depth(parts.iter()),
            ExprKind::Paren(inner) => inner.depth,
            ExprKind::Reduce(reduce) => reduce.body.depth,
            ExprKind::If(branch) => branch
                .condition
                .depth
                .max(block(&branch.then))
                .max(branch.otherwise.depth),
            ExprKind::For(scan) => block(&scan.body),
            ExprKind::ForEach(each) => block(&each.body),
            ExprKind::While(looped) => looped.condition.depth.max(block(&looped.body)),
            ExprKind::Grad(grad) => block(&grad.body),
            ExprKind::Block(inner) => block(inner),
        };
        deepest.saturating_add(1)
    }
}

impl Expr {
    /// An expression of the height that its parts give it.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        let depth = kind.depth();
        Expr { kind, span, depth }
    }
}

impl Block {
    /// The greatest height among its expressions.
    pub fn depth(&self) -> u16 {
        let stmts = self.stmts.iter().map(|stmt| match &stmt.kind {
            StmtKind::Let { value, .. } | StmtKind::IndexLet { value, .. } => value.depth,
            StmtKind::Emit(value) | StmtKind::Expr(value) => value.depth,
            StmtKind::Error { .. } => 0,
        });
        stmts
            .chain(self.tail.iter().map(|tail| tail.depth))
            .max()
            .unwrap_or(0)
    }
}

fn max_depth<'a>(exprs: impl Iterator<Item = &'a Expr>) -> u16 {
    exprs.map(|e| e.depth).max().unwrap_or(0)
}
