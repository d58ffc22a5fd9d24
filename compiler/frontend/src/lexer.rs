//! Tokens of the language, and the rule that decides which line ends end a statement.
//!
//! Every character belongs to a token, is blank, or is reported. Comments are kept beside the
//! tokens, for the formatter. The brackets of the tokens match: where those of the text do not, the
//! finding is reported and the tokens are mended.

use logos::Logos;

use crate::ast::Comment;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::span::{FileId, MAX_FILE_BYTES, Span};

mod brackets;
mod check;

pub(crate) use brackets::{Head, head};
pub use check::{Number, number_value};

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[logos(skip r"[ \t\r]+")]
#[rustfmt::skip]
pub enum Token {
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")] Name,
    #[regex(r"[0-9][A-Za-z0-9_]*", priority = 2)] Int,
    #[regex(r"[0-9][0-9_]*\.[0-9][A-Za-z0-9_]*([eE][+-][0-9][A-Za-z0-9_]*)?")]
    #[regex(r"[0-9][0-9_]*[eE][+-]?[0-9][A-Za-z0-9_]*", priority = 9)] Float,
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)] Text,
    #[regex(r"///[^\n]*", allow_greedy = true)] Doc,
    #[regex(r"//[^\n]*", allow_greedy = true)] Comment,
    #[token("\n")] Newline,
    #[token("(")] LParen,
    #[token(")")] RParen,
    #[token("[")] LBracket,
    #[token("]")] RBracket,
    #[token("{")] LBrace,
    #[token("}")] RBrace,
    #[token(",")] Comma,
    #[token("::")] ColonColon,
    #[token(":")] Colon,
    #[token(";")] Semicolon,
    #[token("...")] Ellipsis,
    #[token("..")] DotDot,
    #[token(".")] Dot,
    #[token("=>")] FatArrow,
    #[token("->")] Arrow,
    #[token("==")] EqEq,
    #[token("!=")] NotEq,
    #[token("<=")] LessEq,
    #[token(">=")] GreaterEq,
    #[token("=")] Eq,
    #[token("<")] Less,
    #[token(">")] Greater,
    #[token("+")] Plus,
    #[token("-")] Minus,
    #[token("*")] Star,
    #[token("/")] Slash,
    #[token("%")] Percent,
    #[token("@")] At,
    #[token("~")] Tilde,

    // Of other languages: reported, and read as what they stand for.
    #[token("**")] StarStar,
    #[token("&&")] AndAnd,
    #[token("||")] OrOr,
    #[token("!")] Bang,
    #[token("..=")] DotDotEq,
    #[token("+=")] #[token("-=")] #[token("*=")] #[token("/=")] #[token("@=")] #[token(":=")] OpAssign,

    /// The end of the file.
    End,
}

impl Token {
    /// How a message names the token where its own text would not do.
    pub fn describe(self) -> &'static str {
        match self {
            Token::Name => "a name",
            Token::Int => "a whole number",
            Token::Float => "a number",
            Token::Text => "a string",
            Token::Doc => "a documentation comment",
            Token::Comment => "a comment",
            Token::Newline => "the end of the line",
            Token::LParen => "`(`",
            Token::RParen => "`)`",
            Token::LBracket => "`[`",
            Token::RBracket => "`]`",
            Token::LBrace => "`{`",
            Token::RBrace => "`}`",
            Token::Comma => "`,`",
            Token::ColonColon => "`::`",
            Token::Colon => "`:`",
            Token::Semicolon => "`;`",
            Token::Ellipsis => "`...`",
            Token::DotDot => "`..`",
            Token::Dot => "`.`",
            Token::FatArrow => "`=>`",
            Token::Arrow => "`->`",
            Token::EqEq => "`==`",
            Token::NotEq => "`!=`",
            Token::LessEq => "`<=`",
            Token::GreaterEq => "`>=`",
            Token::Eq => "`=`",
            Token::Less => "`<`",
            Token::Greater => "`>`",
            Token::Plus => "`+`",
            Token::Minus => "`-`",
            Token::Star => "`*`",
            Token::Slash => "`/`",
            Token::Percent => "`%`",
            Token::At => "`@`",
            Token::Tilde => "`~`",
            Token::StarStar => "`**`",
            Token::AndAnd => "`&&`",
            Token::OrOr => "`||`",
            Token::Bang => "`!`",
            Token::DotDotEq => "`..=`",
            Token::OpAssign => "an assignment",
            Token::End => "the end of the file",
        }
    }

    /// Infix operators: a line that starts with one (other than `-`) goes on, and so does one after it.
    fn is_infix(self) -> bool {
        matches!(
            self,
            Token::Plus
                | Token::Minus
                | Token::Star
                | Token::StarStar
                | Token::Slash
                | Token::Percent
                | Token::At
                | Token::EqEq
                | Token::NotEq
                | Token::Less
                | Token::LessEq
                | Token::Greater
                | Token::GreaterEq
                | Token::AndAnd
                | Token::OrOr
        )
    }
}

/// The tokens of a file, ended by [`Token::End`], and its comments.
#[derive(Debug, Default)]
pub struct Lexed {
    pub tokens: Vec<(Token, Span)>,
    pub comments: Vec<Comment>,
    /// Where brackets were mended and characters skipped, in order: findings about the same place
    /// would only repeat it.
    pub mended: Vec<u32>,
    /// Where a brace was mended: what follows may be read at the wrong level.
    pub unsure_from: Option<u32>,
}

/// Splits a file into tokens. Only line ends that end a statement are among them.
pub fn lex(text: &str, file: FileId, diagnostics: &mut Diagnostics) -> Lexed {
    if text.len() > MAX_FILE_BYTES {
        let span = Span::new(file, 0, 0);
        let message = format!(
            "the file has {} bytes; the limit is {MAX_FILE_BYTES}",
            text.len()
        );
        diagnostics.push(Diagnostic::new("E0802", span, message));
        return Lexed {
            tokens: vec![(Token::End, span)],
            ..Lexed::default()
        };
    }
    let mut lexed = Lexed::default();
    let mut check = check::Check {
        text,
        diagnostics,
        unread: Vec::new(),
        last_unexpected: None,
    };
    let raw = raw_tokens(text, file, &mut check, &mut lexed.comments);
    lexed.mended = std::mem::take(&mut check.unread);
    let balanced = brackets::balance(text, raw, diagnostics);
    lexed.mended.extend(balanced.mended);
    lexed.mended.sort_unstable();
    lexed.unsure_from = balanced.unsure_from;
    lexed.tokens = statement_ends(balanced.tokens, text);
    lexed
}

/// Every token, all line ends among them. A byte-order mark at the start is skipped.
fn raw_tokens(
    text: &str,
    file: FileId,
    check: &mut check::Check,
    comments: &mut Vec<Comment>,
) -> Vec<(Token, Span)> {
    let mut from = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut raw: Vec<(Token, Span)> = Vec::with_capacity(text.len() / 4);
    let mut tokens = Token::lexer(&text[from..]);
    while let Some(token) = tokens.next() {
        let range = tokens.span();
        let span = Span::new(file, (range.start + from) as u32, (range.end + from) as u32);
        match token {
            Ok(Token::Comment) => {
                check.hidden_in(span);
                let own_line = raw.last().is_none_or(|last| last.0 == Token::Newline);
                let body = text[span.range()][2..].trim_end().to_owned();
                comments.push(Comment {
                    text: body,
                    span,
                    own_line,
                });
            }
            Ok(Token::Slash) if text[span.end as usize..].starts_with('*') => {
                from = check.block_comment(span) as usize;
                tokens = Token::lexer(&text[from..]);
            }
            Ok(token) => {
                check.token(token, span);
                raw.push((token, span));
            }
            Err(()) => {
                let end = check.unknown(span);
                from = end as usize;
                tokens = Token::lexer(&text[from..]);
                if let Some(token) = check.stands_for(span) {
                    raw.push((token, Span { end, ..span }));
                }
            }
        }
    }
    let end = text.len() as u32;
    raw.push((Token::End, Span::new(file, end, end)));
    raw
}

/// Drops the line ends that do not end a statement: those inside `()` and `[]`; those before an infix
/// operator other than `-`, or before `.`, `=>`, `->`, `~`, `where`, `else`; those after an infix
/// operator, `=`, `=>`, `->`, `~`, `where`, `,`, `:` or an opening brace. `and` and `or` are infix.
fn statement_ends(raw: Vec<(Token, Span)>, text: &str) -> Vec<(Token, Span)> {
    let word = |(token, span): (Token, Span)| {
        if token == Token::Name {
            &text[span.range()]
        } else {
            ""
        }
    };
    let mut out: Vec<(Token, Span)> = Vec::with_capacity(raw.len());
    // For each open bracket, whether line ends count inside it.
    let mut open: Vec<bool> = Vec::new();
    for (at, &(token, span)) in raw.iter().enumerate() {
        match token {
            Token::LParen | Token::LBracket => open.push(false),
            Token::LBrace => open.push(true),
            Token::RParen | Token::RBracket | Token::RBrace => {
                open.pop();
            }
            Token::Newline => {
                let counts = open.last().copied().unwrap_or(true);
                let (Some(&last), Some(&next)) = (out.last(), raw.get(at + 1)) else {
                    continue;
                };
                // Of a run of line ends the last decides.
                if !counts || last.0 == Token::Newline || next.0 == Token::Newline {
                    continue;
                }
                let awaits = match last.0 {
                    Token::Comma | Token::Colon | Token::LBrace => true,
                    Token::Greater => !closes_generics(&out),
                    token => awaits_more(token, word(last)),
                };
                if awaits || goes_on(next.0, word(next)) {
                    continue;
                }
            }
            _ => {}
        }
        out.push((token, span));
    }
    out
}

/// Whether a statement cannot end behind a token.
fn awaits_more(token: Token, word: &str) -> bool {
    match token {
        Token::Eq | Token::FatArrow | Token::Arrow | Token::Tilde => true,
        Token::Name => matches!(word, "and" | "or" | "where"),
        other => other.is_infix(),
    }
}

/// Whether a token at the start of a line goes on with the statement before.
fn goes_on(token: Token, word: &str) -> bool {
    match token {
        Token::Minus => false,
        Token::Dot | Token::FatArrow | Token::Arrow | Token::Tilde => true,
        Token::Name => matches!(word, "and" | "or" | "where" | "else"),
        other => other.is_infix(),
    }
}

/// Whether the last token is a `>` that closes a list of type arguments: then the line ends there.
fn closes_generics(tokens: &[(Token, Span)]) -> bool {
    let mut depth = 0usize;
    for (at, (token, _)) in tokens.iter().enumerate().rev().take(200) {
        match token {
            Token::Greater => depth += 1,
            Token::Less => {
                depth -= 1;
                if depth == 0 {
                    return at > 0 && matches!(tokens[at - 1].0, Token::Name | Token::ColonColon);
                }
            }
            Token::Newline | Token::LBrace | Token::RBrace | Token::Eq => return false,
            _ => {}
        }
    }
    false
}
