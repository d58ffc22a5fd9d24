//! The text form of the IR: printer and parser. Print, then parse, is the identity.

mod attribute;
mod lexer;
mod parse;
mod print;

pub use attribute::Attribute;
pub use parse::{ParseError, Parser, parse_module};
pub use print::{PrintOptions, print_function, print_module};
