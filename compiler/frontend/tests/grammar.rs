//! The parser and the LR(1) grammar agree on every source of the repository, valid or broken.

use std::fs;
use std::path::{Path, PathBuf};

use aiai_frontend::diagnostics::Diagnostics;
use aiai_frontend::lexer::{Token, lex};
use aiai_frontend::parse::parse;
use aiai_frontend::span::{FileId, Span};
use aiai_grammar::{Terminal, accepts};

const WORDS: &[&str] = &[
    "and",
    "as",
    "by",
    "const",
    "each",
    "else",
    "emit",
    "false",
    "fn",
    "for",
    "grad",
    "if",
    "in",
    "let",
    "not",
    "or",
    "own",
    "true",
    "where",
    "while",
    "with",
    "module",
    "param",
    "state",
    "field",
    "test",
    "prop",
    "bench",
    "rule",
    "rules",
    "schedule",
    "on",
    "fuse",
    "into",
    "layout",
    "cost",
    "derivative",
    "use",
    "exact",
    "real",
    "approx",
    "ulp",
    "finite",
    "max",
];

const SIGNS: &[&str] = &[
    "(", ")", "[", "]", "{", "}", ",", ":", "::", ";", "...", "..", ".", "=>", "->", "==", "!=",
    "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "@", "~",
];

const REDUCERS: &[&str] = &[
    "sum", "prod", "max", "min", "any", "all", "argmax", "argmin",
];

/// The terminals of a source.
fn terminals(text: &str) -> Vec<Terminal> {
    let tokens = lex(text, FileId(0), &mut Diagnostics::default()).tokens;
    let mut out = Vec::new();
    for at in 0..tokens.len() {
        out.extend(terminal(text, &tokens[at..]));
    }
    out
}

fn terminal(text: &str, tokens: &[(Token, Span)]) -> Option<Terminal> {
    let (token, span) = *tokens.first()?;
    let spelling = text.get(span.range()).unwrap_or("");
    let kind = |ahead: usize| tokens.get(ahead).map(|t| t.0);
    let word = |ahead: usize| {
        tokens
            .get(ahead)
            .and_then(|t| text.get(t.1.range()))
            .unwrap_or("")
    };
    Some(Terminal(match token {
        Token::End => return None,
        Token::Newline => "NEWLINE",
        Token::Doc => "doc",
        Token::Int => "int",
        Token::Float => "float",
        Token::Text => "string",
        Token::Name => {
            let index =
                |ahead| kind(ahead) == Some(Token::Name) && !WORDS[..21].contains(&word(ahead));
            let typed = kind(1) == Some(Token::Less) && kind(3) == Some(Token::Greater) && index(4);
            if REDUCERS.contains(&spelling) && (index(1) || typed) {
                "reducer"
            } else {
                WORDS
                    .iter()
                    .find(|w| **w == spelling)
                    .copied()
                    .unwrap_or("name")
            }
        }
        _ => SIGNS
            .iter()
            .find(|s| **s == spelling)
            .copied()
            .unwrap_or("~"),
    }))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "aiai") {
            found.push(path);
        }
    }
}

#[test]
fn both_accept_the_same_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in [
        "stdlib",
        "examples",
        "tests/cases",
        "compiler/frontend/tests",
    ] {
        sources(&root.join(folder), &mut found);
    }
    found.sort();
    let (mut wrong, mut valid) = (String::new(), 0);
    for path in found {
        // Some cases are not text.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let mut diagnostics = Diagnostics::default();
        parse(&text, FileId(0), &mut diagnostics);
        // Findings that are not about the grammar: characters, documentation, counts, names.
        let codes: Vec<&str> = diagnostics.iter().map(|d| d.code).collect();
        let beside = |c: &&str| {
            *c < "E0100" || matches!(*c, "E0110" | "E0116" | "E0119" | "E0201" | "E0803")
        };
        if codes.iter().any(beside)
            || codes
                .iter()
                .all(|c| matches!(*c, "E0102" | "E0104" | "E0108"))
                && !codes.is_empty()
        {
            continue;
        }
        let accepted = accepts(&terminals(&text));
        if accepted.is_ok() != codes.is_empty() {
            wrong += &format!(
                "{}: parser {codes:?}, grammar {accepted:?}\n",
                path.display()
            );
        }
        valid += usize::from(codes.is_empty());
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(valid > 30);
}

/// FNV-1a of the grammar that [`aiai_frontend::GRAMMAR_VERSION`] is the version of. Where the grammar changes,
/// both change.
const GRAMMAR_DIGEST: u64 = 0xa62af114c37aa9af;

#[test]
fn the_version_changes_with_the_grammar() {
    let text = include_str!("../grammar/src/grammar.lalrpop");
    let code = text.lines().map(str::trim);
    let code = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let digest = code
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    assert_eq!(
        digest, GRAMMAR_DIGEST,
        "another grammar: give it another version"
    );
    let page = include_str!("../../../docs/grammar.md");
    let version = format!("This is version {}.", aiai_frontend::GRAMMAR_VERSION);
    assert!(page.contains(&version), "{version}");
}
