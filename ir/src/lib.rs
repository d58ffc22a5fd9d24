//! The typed SSA IR: types, dimensions, op table, builder, text form, MLIR form, verifier, reference evaluator.
//!
//! This crate does no I/O and knows neither source text nor machines.

pub mod affine;
pub mod builder;
pub mod dim;
pub mod dtype;
pub mod eval;
pub mod literal;
pub mod mlir;
pub mod module;
mod names;
pub mod ops;
pub mod policy;
pub mod random;
pub mod rule;
pub mod schedule;
pub mod sketch;
pub mod sym;
pub mod text;
pub mod types;
pub mod verify;

pub use affine::{AffineExpr, AffineMap};
pub use builder::Builder;
pub use dim::{Dim, Facts, MAX_TERMS, Relation, Truth};
pub use dtype::DType;
pub use literal::{Literal, Scalar};
pub use module::{Function, Library, Loc, Module, OpNode, Region, Require, Value};
pub use ops::{ArgKind, BinaryKind, CompareKind, FuseKind, Op, ReduceKind, ScatterKind, UnaryKind};
pub use rule::{
    Attribute as RuleAttribute, AttributeKind, DTypeBound, FloatClass, Instance, ParamType, Rule,
    RuleInfo, RuleParam, RuleSet,
};
pub use schedule::Schedule;
pub use sketch::{OpName, Sketch};
pub use sym::Sym;
pub use text::{PrintOptions, parse_module, print_function, print_module};
pub use types::{Shape, Type};
pub use verify::{Stage, VerifyError, verify};
