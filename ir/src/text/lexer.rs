//! Tokens of the IR text.

use super::parse::ParseError;

/// A token with the byte position where it starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name: letters, digits, `_` and `.`.
    Word(String),
    /// `@name` or `@"name"`.
    Symbol(String),
    /// `%3`
    Value(u32),
    /// Without a sign.
    Int(u64),
    /// A float literal, or its bits as `0x...`.
    Bits(u64),
    Text(String),
    /// One punctuation mark; `->` and two-character comparisons are one mark.
    Mark(&'static str),
    End,
}

const MARKS: [&str; 20] = [
    "->", "==", "!=", ">=", "(", ")", "[", "]", "{", "}", ",", ":", "=", "+", "-", "*", "/", "<",
    ">", ";",
];

/// Splits `source` into tokens, the last of which is [`Token::End`].
pub fn lex(source: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            let (token, length) =
                token(rest).ok_or_else(|| ParseError::at(source, at, "unexpected character"))?;
            tokens.push((token, at));
            length
        };
        at += length;
    }
    tokens.push((Token::End, source.len()));
    Ok(tokens)
}

fn token(rest: &str) -> Option<(Token, usize)> {
    let first = rest.chars().next()?;
    let run = |from: usize, keep: fn(char) -> bool| {
        rest[from..]
            .find(|c| !keep(c))
            .map_or(rest.len(), |n| n + from)
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if first.is_ascii_alphabetic() || first == '_' {
        let end = run(0, word);
        return Some((Token::Word(rest[..end].into()), end));
    }
    if first == '"' {
        let (text, length) = text(rest)?;
        return Some((Token::Text(text), length));
    }
    if first == '@' {
        if rest[1..].starts_with('"') {
            let (text, length) = text(&rest[1..])?;
            return Some((Token::Symbol(text), length + 1));
        }
        let end = run(1, word);
        return (end > 1).then(|| (Token::Symbol(rest[1..end].into()), end));
    }
    if first == '%' {
        let end = run(1, |c| c.is_ascii_digit());
        return Some((Token::Value(rest[1..end].parse().ok()?), end));
    }
    if let Some(hex) = rest.strip_prefix("0x") {
        let end = hex
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(hex.len());
        return Some((
            Token::Bits(u64::from_str_radix(&hex[..end], 16).ok()?),
            end + 2,
        ));
    }
    if first.is_ascii_digit() {
        let end = run(0, |c| c.is_ascii_digit());
        if rest[end..].starts_with('.') {
            let end = run(end + 1, |c| c.is_ascii_digit());
            return Some((Token::Bits(rest[..end].parse::<f64>().ok()?.to_bits()), end));
        }
        return Some((Token::Int(rest[..end].parse().ok()?), end));
    }
    let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark))?;
    Some((Token::Mark(mark), mark.len()))
}

/// A quoted text with the escapes `\"`, `\\`, `\n` and `\u{hex}`.
fn text(rest: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, at + 1)),
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                'u' => {
                    let (open, _) = chars.next()?;
                    let close = rest[open..].find('}')? + open;
                    let code = u32::from_str_radix(rest.get(open + 1..close)?, 16).ok()?;
                    text.push(char::from_u32(code)?);
                    while chars.next()?.0 < close {}
                }
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
    None
}
