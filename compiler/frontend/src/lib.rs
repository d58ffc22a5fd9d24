//! Source text to IR: lexer, grammar, names, types, diagnostics.
//!
//! This crate does no I/O: files come through a loader.

pub mod ast;
pub mod diagnostics;
pub mod elaborate;
pub mod fmt;
pub mod lexer;
pub mod parse;
pub mod span;
pub mod stdlib;
pub mod suggest;

/// The version of the grammar in `docs/grammar.md`.
pub const GRAMMAR_VERSION: u32 = 4;
