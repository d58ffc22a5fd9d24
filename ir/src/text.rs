//! The text form of the IR: printer and parser. Print, then parse, is the identity.

mod attribute;
mod lexer;
mod parse;
mod print;

pub use attribute::Attribute;
pub(crate) use parse::parse_dim;
pub use parse::{ParseError, Parser, parse_module};
pub(crate) use print::relation_text;
pub use print::{PrintOptions, print_function, print_module};
