//! Source text to IR: lexer, grammar, names, types, diagnostics.

pub mod ast;
pub mod span;
