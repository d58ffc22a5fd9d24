//! Tokens of the language, and the rule that decides which line ends end a statement.
//!
//! Comments are kept beside the tokens, for the formatter.

use logos::Logos;

use crate::ast::Comment;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::span::{FileId, MAX_FILE_BYTES, Span};

/// Digits of one number, at most.
const MAX_NUMBER: usize = 400;

#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[logos(skip r"[ \t\r]+")]
pub enum Token {
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")]
    Name,
    #[regex(r"[0-9][0-9_]*")]
    Int,
    #[regex(r"[0-9][0-9_]*\.[0-9][0-9_]*([eE][+-]?[0-9]+)?")]
    #[regex(r"[0-9][0-9_]*[eE][+-]?[0-9]+")]
    Float,
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    Text,
    #[regex(r"///[^\n]*", allow_greedy = true)]
    Doc,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    Comment,
    #[token("\n")]
    Newline,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,
    #[token(",")]
    Comma,
    #[token("::")]
    ColonColon,
    #[token(":")]
    Colon,
    #[token(";")]
    Semicolon,
    #[token("...")]
    Ellipsis,
    #[token("..")]
    DotDot,
    #[token(".")]
    Dot,
    #[token("=>")]
    FatArrow,
    #[token("->")]
    Arrow,
    #[token("==")]
    EqEq,
    #[token("!=")]
    NotEq,
    #[token("<=")]
    LessEq,
    #[token(">=")]
    GreaterEq,
    #[token("=")]
    Eq,
    #[token("<")]
    Less,
    #[token(">")]
    Greater,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("**")]
    StarStar,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("@")]
    At,
    #[token("~")]
    Tilde,
    #[token("!")]
    Bang,
    #[token("&&")]
    AndAnd,
    #[token("||")]
    OrOr,
    /// The end of the file.
    End,
}

impl Token {
    /// How a message names the token.
    pub fn describe(self) -> &'static str {
        match self {
            Token::Name => "a name",
            Token::Int => "a whole number",
            Token::Float => "a number",
            Token::Text => "a text",
            Token::Doc => "a doc comment",
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
            Token::StarStar => "`**`",
            Token::Star => "`*`",
            Token::Slash => "`/`",
            Token::Percent => "`%`",
            Token::At => "`@`",
            Token::Tilde => "`~`",
            Token::Bang => "`!`",
            Token::AndAnd => "`&&`",
            Token::OrOr => "`||`",
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
}

/// Splits a file into tokens. Only line ends that end a statement are among them.
pub fn lex(text: &str, file: FileId, diagnostics: &mut Diagnostics) -> Lexed {
    let mut lexed = Lexed::default();
    if text.len() > MAX_FILE_BYTES {
        let span = Span {
            file,
            start: 0,
            end: 0,
        };
        let message = format!(
            "the file has {} bytes; the limit is {MAX_FILE_BYTES}",
            text.len()
        );
        diagnostics.push(Diagnostic::new("E0802", span, message));
        lexed.tokens.push((Token::End, span));
        return lexed;
    }
    // A byte-order mark at the start is skipped.
    let from = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut raw = Vec::with_capacity(text.len() / 4);
    let mut tokens = Token::lexer(&text[from..]).spanned();
    while let Some((token, range)) = tokens.next() {
        let span = Span {
            file,
            start: (range.start + from) as u32,
            end: (range.end + from) as u32,
        };
        match token {
            Ok(Token::Comment) => lexed.comments.push(comment(text, span)),
            Ok(Token::Int | Token::Float) if range.len() > MAX_NUMBER => {
                let message = format!("a number of {} characters", range.len());
                let help = format!("the limit is {MAX_NUMBER}");
                let shown = Span {
                    end: span.start + 20,
                    ..span
                };
                diagnostics.push(Diagnostic::new("E0002", shown, message).help(help));
                raw.push((
                    Token::Int,
                    Span {
                        end: span.start,
                        ..span
                    },
                ));
            }
            Ok(token) => raw.push((token, span)),
            Err(()) => unknown(text, span, diagnostics),
        }
    }
    let end = text.len() as u32;
    raw.push((
        Token::End,
        Span {
            file,
            start: end,
            end,
        },
    ));
    lexed.tokens = statement_ends(raw, text);
    lexed
}

/// A comment without its slashes.
fn comment(text: &str, span: Span) -> Comment {
    let line_start = text[..span.start as usize]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let own_line = text[line_start..span.start as usize].trim().is_empty();
    let body = &text[span.start as usize + 2..span.end as usize];
    Comment {
        text: body.trim_end().to_owned(),
        span,
        own_line,
    }
}

fn unknown(text: &str, span: Span, diagnostics: &mut Diagnostics) {
    let found = &text[span.start as usize..];
    let c = found.chars().next().unwrap_or('\0');
    let span = Span {
        end: span.start + c.len_utf8() as u32,
        ..span
    };
    let diagnostic = if c == '"' {
        Diagnostic::new("E0003", span, "a text that does not end on its line")
            .help("close it with `\"`")
    } else if crate::diagnostics::escape(&c.to_string()) != c.to_string() {
        let message = format!("an invisible character, U+{:04X}", u32::from(c));
        Diagnostic::new("E0001", span, message).help("delete it")
    } else {
        let diagnostic = Diagnostic::new("E0001", span, format!("unexpected character `{c}`"));
        match c {
            '&' | '|' => diagnostic.help("use the words `and` and `or`"),
            '^' => diagnostic.help("powers are written `pow(x, n)`"),
            '\'' => diagnostic.help("texts stand in double quotes"),
            '#' => diagnostic.help("comments start with `//`"),
            _ => diagnostic,
        }
    };
    diagnostics.push(diagnostic);
}

/// Drops the line ends that do not end a statement: those inside `()` and `[]`, those before an infix
/// operator other than `-`, a `.` or `=>`, and those after an infix operator, `=`, `=>`, `,`, `:` or an
/// opening brace. `and` and `or` count as infix.
fn statement_ends(raw: Vec<(Token, Span)>, text: &str) -> Vec<(Token, Span)> {
    let word = |span: Span| &text[span.start as usize..span.end as usize];
    let joins = |token: Token, span: Span| {
        token.is_infix() || (token == Token::Name && matches!(word(span), "and" | "or"))
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
                if !open.last().copied().unwrap_or(true) {
                    continue;
                }
                let Some(&(last, last_span)) = out.last() else {
                    continue;
                };
                if matches!(
                    last,
                    Token::Newline
                        | Token::Eq
                        | Token::FatArrow
                        | Token::Comma
                        | Token::Colon
                        | Token::LBrace
                ) || (joins(last, last_span) && !closes_generics(&out))
                {
                    continue;
                }
                // Runs of line ends collapse, so at most one token of look-ahead is scanned twice.
                if raw.get(at + 1).is_some_and(|next| next.0 == Token::Newline) {
                    continue;
                }
                let next = raw.get(at + 1).copied().unwrap_or((Token::End, span));
                let continues = next.0 != Token::Minus && joins(next.0, next.1);
                if continues || matches!(next.0, Token::Dot | Token::FatArrow) {
                    continue;
                }
            }
            _ => {}
        }
        out.push((token, span));
    }
    out
}

/// Whether the last token is a `>` that closes a list of type arguments: then the line ends there.
fn closes_generics(tokens: &[(Token, Span)]) -> bool {
    if tokens.last().is_none_or(|t| t.0 != Token::Greater) {
        return false;
    }
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
