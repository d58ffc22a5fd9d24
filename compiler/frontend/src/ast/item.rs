//! Items: what stands at the top level of a file, and the members of modules.

use super::{Block, Doc, Expr, Ident, Text, TypeExpr};
use crate::span::Span;

/// A top-level item.
#[derive(Clone, Debug)]
pub enum Item {
    Use(Use),
    Module(Module),
    Fn(Function),
    Rule(Rule),
    Rules(RuleGroup),
    Schedule(Schedule),
    Fuse(Fuse),
    Layout(Layout),
    /// `cost contract(points: i64, read: i64, written: i64) -> i64 { ... }`.
    Cost(Function),
    /// `derivative tanh(x: T[..S], y: T[..S], g: T[..S]) -> T[..S] { ... }`.
    Derivative(Function),
    Test(Test),
    Prop(Prop),
    Bench(Prop),
}

impl Item {
    pub fn span(&self) -> Span {
        match self {
            Item::Use(x) => x.span,
            Item::Module(x) => x.span,
            Item::Fn(x) => x.span,
            Item::Rule(x) => x.span,
            Item::Rules(x) => x.span,
            Item::Schedule(x) => x.span,
            Item::Fuse(x) => x.span,
            Item::Layout(x) => x.span,
            Item::Cost(x) | Item::Derivative(x) => x.span,
            Item::Test(x) => x.span,
            Item::Prop(x) | Item::Bench(x) => x.span,
        }
    }

    pub fn doc(&self) -> &Doc {
        match self {
            Item::Use(x) => &x.doc,
            Item::Module(x) => &x.doc,
            Item::Fn(x) => &x.doc,
            Item::Rule(x) => &x.doc,
            Item::Rules(x) => &x.doc,
            Item::Schedule(x) => &x.doc,
            Item::Fuse(x) => &x.doc,
            Item::Layout(x) => &x.doc,
            Item::Cost(x) | Item::Derivative(x) => &x.doc,
            Item::Test(x) => &x.doc,
            Item::Prop(x) | Item::Bench(x) => &x.doc,
        }
    }
}

/// `use nets.layers` makes the items of `nets/layers.aiai`, found beside this file, visible here;
/// `use nets.layers: Mlp, Attention as Attn` only those named.
#[derive(Clone, Debug)]
pub struct Use {
    pub doc: Doc,
    /// `[nets, layers]`; never empty.
    pub path: Vec<Ident>,
    /// `None`: everything.
    pub names: Option<Vec<UseName>>,
    pub span: Span,
}

/// One name of a `use`, with the name that it gets here.
#[derive(Clone, Debug)]
pub struct UseName {
    pub name: Ident,
    pub alias: Option<Ident>,
}

/// `module Name<generics> where ... { members }`.
#[derive(Clone, Debug)]
pub struct Module {
    pub doc: Doc,
    pub name: Ident,
    pub generics: Vec<GenericParam>,
    pub constraints: Vec<Constraint>,
    pub members: Vec<Member>,
    pub span: Span,
}

/// What a module holds.
#[derive(Clone, Debug)]
pub enum Member {
    Leaf(Leaf),
    Submodule(Submodule),
    Fn(Function),
}

impl Member {
    pub fn span(&self) -> Span {
        match self {
            Member::Leaf(x) => x.span,
            Member::Submodule(x) => x.span,
            Member::Fn(x) => x.span,
        }
    }

    pub fn doc(&self) -> &Doc {
        match self {
            Member::Leaf(x) => &x.doc,
            Member::Submodule(x) => &x.doc,
            Member::Fn(x) => &x.doc,
        }
    }
}

/// `param wq, wk: f32[D, H] ~ glorot_uniform(fan_in = D)`, `state mean: f32[C] ~ zeros`,
/// `field lr: f32 = 0.001`. Several names share the type and the initial value.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub doc: Doc,
    pub kind: LeafKind,
    /// Never empty.
    pub names: Vec<Ident>,
    /// A tensor, or a type parameter that stands for a module (`state m: M`).
    pub ty: TypeExpr,
    pub init: LeafInit,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKind {
    /// Differentiated, saved with the weights.
    Param,
    /// Saved with the weights, not differentiated.
    State,
    /// A plain value such as a learning rate: neither differentiated nor moved by an optimiser.
    Field,
}

impl LeafKind {
    pub fn word(self) -> &'static str {
        match self {
            LeafKind::Param => "param",
            LeafKind::State => "state",
            LeafKind::Field => "field",
        }
    }
}

/// Where the first value of a leaf comes from.
#[derive(Clone, Debug)]
pub enum LeafInit {
    /// It must be given when the module is built.
    None,
    /// `~ he_normal(fan_in = 9 * C)`.
    Drawn(Initializer),
    /// `= 0.001`.
    Value(Expr),
}

/// A call of an initialiser: `zeros`, `normal(std = 0.02)`.
#[derive(Clone, Debug)]
pub struct Initializer {
    pub name: Ident,
    pub args: Vec<super::Arg>,
    /// From the name to the closing parenthesis.
    pub span: Span,
}

/// `norm: LayerNorm<D>` or `layers: [Block<D>; N]`.
#[derive(Clone, Debug)]
pub struct Submodule {
    pub doc: Doc,
    pub names: Vec<Ident>,
    pub ty: TypeExpr,
    pub span: Span,
}

/// `fn name<generics>(params) -> ret where ... { body }`. In a module, `self` is implicit.
#[derive(Clone, Debug)]
pub struct Function {
    pub doc: Doc,
    pub name: Ident,
    pub generics: Vec<GenericParam>,
    pub params: Vec<Param>,
    /// `None`: the function returns nothing, `()`.
    pub ret: Option<TypeExpr>,
    pub constraints: Vec<Constraint>,
    pub body: Block,
    pub span: Span,
}

impl Function {
    /// From the doc's end to the body: what a message about the signature points at.
    pub fn signature_span(&self) -> Span {
        Span {
            end: self.body.span.start,
            ..self.span
        }
    }
}

/// `D`, `T: float`, `..S`, `M: module`. Without a bound it is a dimension, or a module where it
/// stands as a type.
#[derive(Clone, Debug)]
pub struct GenericParam {
    pub name: Ident,
    /// Written `..S`: a pack of dimensions.
    pub pack: bool,
    pub bound: Option<Ident>,
    pub span: Span,
}

/// A parameter of a function, rule, property or benchmark.
#[derive(Clone, Debug)]
pub struct Param {
    /// The caller gives the value up: it may be updated in place.
    pub own: bool,
    /// Known at compile time, given as an attribute; never a tensor at run time.
    pub constant: bool,
    pub name: Ident,
    pub ty: TypeExpr,
    pub default: Option<Expr>,
    /// `in -8..8`, for the inputs of properties and benchmarks only.
    pub domain: Option<Domain>,
    pub span: Span,
}

/// The half-open range from which inputs are drawn.
#[derive(Clone, Debug)]
pub struct Domain {
    pub lo: Expr,
    pub hi: Expr,
}

/// One condition of a `where`: `H * K == D`. Both sides are dimension expressions. (`T: float` stands
/// with the generic parameter.)
#[derive(Clone, Debug)]
pub struct Constraint {
    pub op: CompareOp,
    pub lhs: Expr,
    pub rhs: Expr,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl CompareOp {
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }
}

/// `rule name(params) class where guard { lhs => rhs }`.
#[derive(Clone, Debug)]
pub struct Rule {
    pub doc: Doc,
    pub name: Ident,
    pub generics: Vec<GenericParam>,
    pub params: Vec<Param>,
    pub class: RuleClass,
    /// The guard.
    pub constraints: Vec<Constraint>,
    pub lhs: Expr,
    pub rhs: Expr,
    pub span: Span,
}

/// What a rule claims of its two sides.
#[derive(Clone, Debug)]
pub struct RuleClass {
    pub kind: RuleClassKind,
    /// `finite` stands after the class: the claim is for finite inputs only.
    pub finite: bool,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RuleClassKind {
    Exact,
    Real,
    /// `approx(2 ulp)`.
    Approx(f64),
}

/// `rules name { rule ... }`.
#[derive(Clone, Debug)]
pub struct RuleGroup {
    pub doc: Doc,
    pub name: Ident,
    pub rules: Vec<Rule>,
    pub span: Span,
}

/// `fuse producer into consumer where guard`. Names of classes are plain names here; elaboration knows them.
#[derive(Clone, Debug)]
pub struct Fuse {
    pub doc: Doc,
    pub producer: Ident,
    pub consumer: Ident,
    pub constraints: Vec<Constraint>,
    pub span: Span,
}

/// `layout op where guard { part: blocked(16) }`.
#[derive(Clone, Debug)]
pub struct Layout {
    pub doc: Doc,
    pub op: Ident,
    pub constraints: Vec<Constraint>,
    pub choices: Vec<Choice>,
    pub span: Span,
}

/// `right: blocked(16)`.
#[derive(Clone, Debug)]
pub struct Choice {
    pub part: Ident,
    pub form: Ident,
    /// The numbers in parentheses.
    pub sizes: Vec<By>,
    pub span: Span,
}

/// `schedule name for pattern on device(features) where guard { steps }`. Names of patterns, axes and the
/// like are plain names here; elaboration knows them.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub doc: Doc,
    pub name: Ident,
    pub pattern: Ident,
    pub device: Ident,
    pub features: Vec<Feature>,
    pub guard: Option<Expr>,
    pub steps: Vec<Step>,
    pub span: Span,
}

/// What a schedule asks of processors: `avx2`, `not avx512f`.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    pub name: Ident,
    pub wanted: bool,
    pub span: Span,
}

/// `tile columns by 768, summed by 512`.
#[derive(Clone, Debug)]
pub struct Step {
    pub verb: Ident,
    /// Never empty.
    pub targets: Vec<Target>,
    pub span: Span,
}

/// What a step is about: `columns by 768`, `right`, `epilogue at rows`.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: Ident,
    pub by: Option<By>,
    /// The axis behind `at`.
    pub at: Option<Ident>,
}

impl Target {
    pub fn span(&self) -> Span {
        let last = self.at.map(|at| at.span).or(self.by.map(|by| by.span));
        last.map_or(self.name.span, |last| self.name.span.to(last))
    }
}

/// The number behind `by`.
#[derive(Clone, Copy, Debug)]
pub struct By {
    pub value: u64,
    pub span: Span,
}

/// `test "name" { ... }`.
#[derive(Clone, Debug)]
pub struct Test {
    pub doc: Doc,
    pub name: Text,
    pub body: Block,
    pub span: Span,
}

/// `prop name(x: f32[N] in -8..8) where N >= 1 { ... }`; a `bench` has the same form.
#[derive(Clone, Debug)]
pub struct Prop {
    pub doc: Doc,
    pub name: Ident,
    pub generics: Vec<GenericParam>,
    pub params: Vec<Param>,
    pub constraints: Vec<Constraint>,
    pub body: Block,
    pub span: Span,
}
