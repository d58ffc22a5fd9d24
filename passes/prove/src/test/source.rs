//! The sides of a rule in its text, with the names that an instance fills in replaced by what they stand for.
//!
//! Only tokens are read: brackets, names, comments and strings. The text has been checked by the front end.

use aiai_ir::{DType, Instance, RuleAttribute, Sym};

/// The two sides of a rule as they are written.
#[derive(Clone, Debug)]
pub struct RuleText {
    pub lhs: String,
    pub rhs: String,
}

impl RuleText {
    /// The sides of the rule of this name in a text that holds it.
    pub fn find(text: &str, name: &str) -> Option<RuleText> {
        let tokens = tokens(text);
        let words: Vec<&Token> = tokens.iter().filter(|t| !t.is_space()).collect();
        let at = words
            .windows(2)
            .position(|w| w[0].text == "rule" && w[1].text == name)?;
        let mut depth = 0i32;
        let (mut open, mut arrow) = (None, None);
        for token in &words[at + 2..] {
            match token.text {
                "(" | "[" | "{" => {
                    if token.text == "{" && depth == 0 && open.is_none() {
                        open = Some(token.start + 1);
                    }
                    depth += 1;
                }
                ")" | "]" | "}" => {
                    depth -= 1;
                    if token.text == "}" && depth == 0 {
                        let (open, (end, begin)) = (open?, arrow?);
                        return Some(RuleText {
                            lhs: text.get(open..end)?.trim().to_owned(),
                            rhs: text.get(begin..token.start)?.trim().to_owned(),
                        });
                    }
                }
                "=>" if depth == 1 && open.is_some() => {
                    arrow = Some((token.start, token.start + 2))
                }
                _ => {}
            }
        }
        None
    }

    /// A side with dtypes, dimensions, packs and attributes written out.
    pub fn concrete(&self, side: &str, instance: &Instance, sizes: &[(Sym, i64)]) -> String {
        let tokens = tokens(side);
        let mut out = String::with_capacity(side.len());
        let mut k = 0;
        while k < tokens.len() {
            let token = &tokens[k];
            let next = tokens.get(k + 1).map_or("", |t| t.text);
            if token.text == ".." && instance.ranks.keys().any(|pack| pack.as_str() == next) {
                let dims = pack_sizes(next, sizes, instance);
                k += 2;
                if dims.is_empty() {
                    // The comma goes too.
                    let mut skip = k;
                    while tokens.get(skip).is_some_and(Token::is_space) {
                        skip += 1;
                    }
                    if tokens.get(skip).is_some_and(|t| t.text == ",") {
                        k = skip + 1;
                        while tokens.get(k).is_some_and(Token::is_space) {
                            k += 1;
                        }
                    }
                }
                out.push_str(&dims.join(", "));
                continue;
            }
            let member = out.ends_with('.') && !out.ends_with("..");
            let named = named_argument(&tokens[k + 1..]);
            match replacement(token.text, instance, sizes) {
                Some(text) if !member && !named => out.push_str(&text),
                _ => out.push_str(token.text),
            }
            k += 1;
        }
        out
    }
}

/// Whether a single `=` follows: the name is that of an argument.
fn named_argument(rest: &[Token]) -> bool {
    rest.iter()
        .find(|t| !t.is_space())
        .is_some_and(|t| t.text == "=")
}

fn pack_sizes(pack: &str, sizes: &[(Sym, i64)], instance: &Instance) -> Vec<String> {
    let rank = instance
        .ranks
        .iter()
        .find(|(name, _)| name.as_str() == pack)
        .map_or(0, |found| *found.1);
    let size = |k: usize| {
        let name = format!("{pack}{k}");
        let found = sizes.iter().find(|(sym, _)| sym.as_str() == name);
        found.map_or_else(|| "1".to_owned(), |(_, value)| value.to_string())
    };
    (0..rank).map(size).collect()
}

fn replacement(name: &str, instance: &Instance, sizes: &[(Sym, i64)]) -> Option<String> {
    let dtype: Option<DType> = instance
        .dtypes
        .iter()
        .find(|(n, _)| n.as_str() == name)
        .map(|found| *found.1);
    if let Some(dtype) = dtype {
        return Some(dtype.to_string());
    }
    if let Some((_, value)) = instance.attributes.iter().find(|(n, _)| n.as_str() == name) {
        return Some(match value {
            RuleAttribute::Int(value) if *value < 0 => format!("({value})"),
            RuleAttribute::Int(value) => value.to_string(),
            RuleAttribute::Bool(value) => value.to_string(),
            RuleAttribute::Axes(axes) => match axes.as_slice() {
                [one] => format!("({one},)"),
                axes => {
                    let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
                    format!("({})", axes.join(", "))
                }
            },
        });
    }
    sizes
        .iter()
        .find(|(sym, _)| sym.as_str() == name)
        .map(|(_, value)| value.to_string())
}

#[derive(Debug)]
struct Token<'t> {
    text: &'t str,
    start: usize,
}

impl Token<'_> {
    fn is_space(&self) -> bool {
        self.text.starts_with(char::is_whitespace) || self.text.starts_with("//")
    }
}

/// Names and numbers, spaces, comments, strings, `..`, `...`, operators of two characters; else one character each.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        let rest = &text[start..];
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        } else if first.is_whitespace() {
            rest.find(|c: char| !c.is_whitespace())
        } else if rest.starts_with("//") {
            rest.find('\n')
        } else if first == '"' {
            rest[1..].find('"').map(|end| end + 2)
        } else {
            let several = ["...", "..", "=>", "==", "!=", "<=", ">=", "->", "::"];
            let one = several.iter().find(|s| rest.starts_with(**s));
            Some(one.map_or(first.len_utf8(), |s| s.len()))
        };
        let length = length.unwrap_or(rest.len());
        found.push(Token {
            text: &rest[..length],
            start,
        });
        start += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_found_and_written_out() {
        let text = "rules r {\n  /// rule other { }\n  rule other(x: f32[]) exact { x => x }\n  rule it<T: float>(x: T[..S, N], const k: axis) real where N > 0 {\n    reshape(x, (..S, N)) / N => sum(x * T(N), axis = k)\n  }\n}\n";
        let found = RuleText::find(text, "it").unwrap();
        assert_eq!(found.lhs, "reshape(x, (..S, N)) / N");
        let mut instance = Instance::default();
        instance.ranks.insert("S".into(), 0);
        instance.dtypes.insert("T".into(), DType::F16);
        instance
            .attributes
            .insert("k".into(), RuleAttribute::Int(1));
        let sizes = [("N".into(), 3)];
        assert_eq!(
            found.concrete(&found.lhs, &instance, &sizes),
            "reshape(x, (3)) / 3"
        );
        assert_eq!(
            found.concrete(&found.rhs, &instance, &sizes),
            "sum(x * f16(3), axis = 1)"
        );
    }
}
