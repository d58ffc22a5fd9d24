//! Where a rule may speak of ranks and axes: as an axis, with whole numbers added or taken away.
//!
//! What is proved for low ranks holds for all since every op treats a pack as a whole. A number that is made of a
//! rank or an axis (`f32(rank::<..S>())`, `k / 3`) is another program at each rank, and says at rank 4 what it did not
//! say before. So does an axis that is chosen by arithmetic other than + and -.

use aiai_ir::rule::MOST_RANK;
use aiai_ir::{AttributeKind, RuleInfo};

/// A part of a text: a name, a number, or one character.
type Token<'t> = &'t str;

/// The first rank or axis that stands elsewhere, as it is written, in the text of a rule or of the functions beside it.
pub fn misplaced(text: &str, helpers: &str, info: &RuleInfo) -> Option<String> {
    let is_axis = |kind| {
        matches!(
            kind,
            AttributeKind::Axis | AttributeKind::Axes | AttributeKind::Permutation
        )
    };
    let attributes = info.attributes.iter().filter(|a| is_axis(a.1));
    let names: Vec<&str> = attributes.map(|a| a.0.as_str()).collect();
    let beside = tokens(helpers);
    let counts = |at: &usize| {
        // What a function does with a constant is not followed.
        is_rank(&beside, *at) && !may_stand(&beside, *at, &[])
            || beside[*at] == "const" && !names.is_empty()
    };
    if let Some(at) = (0..beside.len()).find(counts) {
        return Some(beside[at].to_owned());
    }
    let tokens = tokens(text);
    // Behind the parameters: those declare the names.
    let begin = end_of_parameters(&tokens)?;
    let found = (begin..tokens.len()).find(|&at| {
        let counts = names.contains(&tokens[at]) || is_rank(&tokens, at);
        counts && !may_stand(&tokens, at, &names)
    });
    found.map(|at| tokens[at].to_owned())
}

/// A name in the text of a rule that a size of one of its packs has as well: those of `..S` are S0, S1 and so on.
pub fn captured(text: &str, info: &RuleInfo) -> Option<String> {
    let of_pack = |token: &&str| {
        info.packs.iter().any(|pack| {
            let digits = token.strip_prefix(pack.as_str());
            digits.is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_ascii_digit()))
        })
    };
    tokens(text).into_iter().find(of_pack).map(str::to_owned)
}

/// An axis by number that no rank at which rules are judged tells from a named one: `axis = 5` of
/// `x: f32[..S, A, B, C, D, E, F]` is a named axis up to rank 5 of the pack.
pub fn distant(text: &str, info: &RuleInfo) -> Option<String> {
    let tokens = tokens(text);
    let starts = tokens
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| matches!(pair, ["axis" | "axes", "="]))
        .map(|(at, _)| at + 2);
    let far = |at: usize| {
        let number = tokens[at].parse::<usize>().unwrap_or(0);
        let from_end = usize::from(tokens[at - 1] == "-");
        (number >= MOST_RANK + from_end).then(|| tokens[at].to_owned())
    };
    let mut found = starts.flat_map(|start| {
        let list = tokens[start..].first() == Some(&"(");
        let end = match list {
            true => closing(&tokens, start),
            false => {
                let ends = |t: &Token<'_>| matches!(*t, "," | ")" | "}");
                let length = tokens[start..].iter().position(ends);
                start + length.unwrap_or(0)
            }
        };
        start..end
    });
    match info.packs.is_empty() {
        true => None,
        false => found.find_map(far),
    }
}

fn is_rank(tokens: &[Token<'_>], at: usize) -> bool {
    tokens[at] == "rank" && tokens.get(at + 1) == Some(&":")
}

/// Where the first list in parentheses ends.
fn end_of_parameters(tokens: &[Token<'_>]) -> Option<usize> {
    let open = tokens.iter().position(|t| *t == "(")?;
    Some(closing(tokens, open))
}

/// The place of the bracket that closes the one at `open`; the last token where none does.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

/// Whether the token stands in an argument `axis = ...` or `axes = ...` that only adds and subtracts, or is an attribute
/// and an argument by itself.
fn may_stand(tokens: &[Token<'_>], at: usize, names: &[&str]) -> bool {
    let mut open = at;
    let mut depth = 0usize;
    // Outwards to the call whose argument this is; tuples are looked through.
    while open > 0 {
        open -= 1;
        match tokens[open] {
            ")" | "]" | "}" => depth += 1,
            // The place that a permutation gives an axis, `p[k]`.
            "[" if depth == 0 && open > 0 && names.contains(&tokens[open - 1]) => {}
            "[" | "{" if depth == 0 => return false,
            "(" if depth == 0 => {
                let before = open.checked_sub(1).map_or("", |k| tokens[k]);
                if is_name(before) || before == ">" {
                    break;
                }
            }
            "(" | "[" | "{" => depth -= 1,
            _ => {}
        }
    }
    let argument = argument_of(tokens, open, at);
    match argument {
        [name] => names.contains(name),
        ["axis" | "axes", "=", value @ ..] => value.iter().all(|token| {
            let plain = ["(", ")", "[", "]", ",", "+", "-", ".", ":", "<", ">"];
            plain.contains(token) || is_name(token) || token.chars().all(|c| c.is_ascii_digit())
        }),
        _ => false,
    }
}

/// The tokens of the argument around a place, of the call whose parenthesis is at `open`.
fn argument_of<'s, 't>(tokens: &'s [Token<'t>], open: usize, at: usize) -> &'s [Token<'t>] {
    let close = closing(tokens, open);
    let (mut begin, mut depth) = (open + 1, 0usize);
    for k in open + 1..close {
        match tokens[k] {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            "," if depth == 0 && k > at => return &tokens[begin..k],
            "," if depth == 0 => begin = k + 1,
            _ => {}
        }
    }
    &tokens[begin.min(close)..close]
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        let mut rest = code.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match word(first) {
                true => rest.find(|c| !word(c)).unwrap_or(rest.len()),
                false => first.len_utf8(),
            };
            let (token, behind) = rest.split_at(length);
            tokens.push(token);
            rest = behind.trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::super::candidate::File;
    use super::misplaced;

    fn of(rule: &str) -> Option<String> {
        let file = File::read("r.aiai", rule).unwrap_or_else(|why| panic!("{why}"));
        misplaced(rule, &file.helpers(), &file.infos[0])
    }

    #[test]
    fn axes_may_be_moved_by_whole_numbers() {
        for right in [
            "rule r(x: f32[..P, N, ..S]) exact { reverse(reverse(x, axis = rank::<..P>()), axis = rank::<..P>()) => x }",
            "rule r(x: f32[..P, N, ..Q, M, ..S]) exact {
  max(max(x, axis = rank::<..P>() + 1 + rank::<..Q>()), axis = rank::<..P>()) =>
    max(x, axes = (rank::<..P>(), rank::<..P>() + 1 + rank::<..Q>()))
}",
            "rule r(x: f32[..S], const k: axis) exact { reverse(reverse(x, axis = k), axis = k) => x }",
            "rule r(x: f32[..S], const p: permutation, const q: permutation) exact {
  permute(permute(x, p), q) => permute(x, permute(p, q))
}",
        ] {
            assert_eq!(of(right), None, "{right}");
        }
    }

    #[test]
    fn the_rules_of_the_library_speak_of_axes_as_axes() {
        for (name, text) in aiai_frontend::stdlib::RULES {
            let file = File::read(name, text).unwrap_or_else(|why| panic!("{why}"));
            for (index, info) in file.infos.iter().enumerate() {
                let rule = file.candidate_with(index, 1).expect("an instance");
                assert_eq!(
                    misplaced(rule.text(), &file.helpers(), info),
                    None,
                    "{name}: {}",
                    info.name
                );
            }
        }
    }

    #[test]
    fn numbers_made_of_ranks_are_found() {
        for (wrong, what) in [
            (
                "rule r(x: f32[..S]) exact { (x + x) * 1.0 => x * f32(2 + rank::<..S>() / 4) }",
                "rank",
            ),
            (
                "rule r(x: f32[..S]) real { x + x => x * f32(rank::<..S>()) }",
                "rank",
            ),
            (
                "rule r(x: f32[..S], const k: axis) exact {
  reverse(reverse(reverse(x, axis = k), axis = k), axis = k) => reverse(x, axis = k - k / 3)
}",
                "k",
            ),
        ] {
            assert_eq!(of(wrong).as_deref(), Some(what), "{wrong}");
        }
    }
}
