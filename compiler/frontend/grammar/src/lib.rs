//! The grammar of `docs/grammar.md` as an LR(1) specification.
//!
//! It accepts or refuses, and builds nothing: the compiler's own parser is written by hand, for its
//! messages. That this crate builds is the proof that the grammar has no conflict; a test of the front
//! end compares the two.

use lalrpop_util::lalrpop_mod;

lalrpop_mod!(
    #[allow(clippy::all, unused_parens, unused_imports)]
    grammar
);

/// A terminal, by its spelling: `"fn"`, `"("`; classes are `name`, `int`, `float`, `string`, `doc`,
/// `NEWLINE`, and `reducer` for a reducer word that starts a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal(pub &'static str);

/// Whether the terminals are a file; otherwise the number of the first that does not fit.
pub fn accepts(terminals: &[Terminal]) -> Result<(), usize> {
    use lalrpop_util::ParseError;
    let tokens = terminals
        .iter()
        .enumerate()
        .map(|(at, &terminal)| (at, terminal, at + 1));
    match grammar::FileParser::new().parse(tokens) {
        Ok(()) => Ok(()),
        Err(
            ParseError::InvalidToken { location } | ParseError::UnrecognizedEof { location, .. },
        ) => Err(location),
        Err(ParseError::UnrecognizedToken { token, .. } | ParseError::ExtraToken { token }) => {
            Err(token.0)
        }
        Err(ParseError::User { error }) => Err(error),
    }
}
