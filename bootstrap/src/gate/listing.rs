//! The rules of a file, each with the text that it is judged in: one that is ill-typed does not take the others along.

use std::ops::Range;

use aiai_frontend::ast;
use aiai_frontend::elaborate::{Program, check};

use super::candidate::{File, MOST_BYTES, NoFiles, rules_of};
use crate::worker::Listed;

/// Bytes of the texts of all rules together, at most: every rule of a file with a fault has one of its own.
const MOST_TOGETHER: usize = 32 << 20;

/// A rule that the front end refuses, and where it stands with its documentation.
struct Faulty {
    name: String,
    range: Range<usize>,
}

/// The rules of a file in their order.
///
/// # Errors
/// What is wrong with the file beside its rules, for people.
pub fn list(name: &str, text: &str) -> Result<Vec<Listed>, String> {
    let faulty = faulty(name, text);
    let together = || rules_of(&check(name, text, &NoFiles)).len() * text.len();
    if faulty.is_empty() || together() > MOST_TOGETHER {
        return Ok(File::read(name, text)?.listed());
    }
    let kept = blanked(text, faulty.iter().map(|f| &f.range));
    let mut listed = match check(name, &kept, &NoFiles) {
        program if rules_of(&program).is_empty() => Vec::new(),
        _ => File::read(name, &kept)?.listed(),
    };
    for rule in &mut listed {
        rule.within = Some(kept.clone());
    }
    for (at, rule) in faulty.iter().enumerate() {
        let others = faulty.iter().enumerate().filter(|(k, _)| *k != at);
        listed.push(Listed {
            name: rule.name.clone(),
            alone: text.get(rule.range.clone()).unwrap_or_default().to_owned(),
            within: Some(blanked(text, others.map(|(_, f)| &f.range))),
        });
    }
    Ok(listed)
}

/// The rules that hold all that the front end finds wrong; none where it finds something elsewhere.
fn faulty(name: &str, text: &str) -> Vec<Faulty> {
    let mut aside: Vec<Faulty> = Vec::new();
    if text.len() > MOST_BYTES {
        return aside;
    }
    loop {
        let kept = blanked(text, aside.iter().map(|f| &f.range));
        let program = check(name, &kept, &NoFiles);
        if program.diagnostics.is_empty() {
            return aside;
        }
        let found = held(&program);
        // A finding outside of every rule: the file is at fault.
        if found.is_empty() {
            return Vec::new();
        }
        aside.extend(found);
    }
}

/// The rules in which something was found.
fn held(program: &Program) -> Vec<Faulty> {
    let inside = |rule: &&&ast::Rule| {
        let range = rule.span.range();
        let mut places = program.diagnostics.iter().map(|d| d.span);
        places.any(|place| range.contains(&(place.start as usize)))
    };
    let rules = rules_of(program);
    let found = rules.iter().filter(inside).map(|rule| Faulty {
        name: rule.name.name.to_string(),
        range: match rule.doc.lines.is_empty() {
            true => rule.span.range(),
            false => rule.doc.span.range().start..rule.span.range().end,
        },
    });
    found.collect()
}

/// The text with blanks where the ranges are, so that everything else keeps its place.
fn blanked<'r>(text: &str, ranges: impl Iterator<Item = &'r Range<usize>>) -> String {
    let mut text = text.to_owned();
    for range in ranges {
        let Some(part) = text.get(range.clone()) else {
            continue;
        };
        let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
        let blanks: String = part.bytes().map(blank).collect();
        text.replace_range(range.clone(), &blanks);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "rules some {
  /// Right.
  rule twice(x: f32[..S]) exact { --x => x }

  /// Its sides are of different types.
  rule narrows(x: f32[N]) exact { x + x => sum(x) }

  rule unbound(x: f32[N]) exact { x + x => x + y }
}
";

    fn names(listed: &[Listed]) -> Vec<&str> {
        listed.iter().map(|l| l.name.as_str()).collect()
    }

    #[test]
    fn an_ill_typed_rule_stands_alone_with_its_fault() {
        let listed = list("some.aiai", FILE).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(names(&listed), ["twice", "narrows", "unbound"]);
        let within = |at: usize| listed[at].within.as_deref().unwrap_or(FILE);
        assert!(File::read("some.aiai", within(0)).is_ok());
        for (at, code, line) in [(1, "E0701", ":6:"), (2, "E0201", ":8:")] {
            let why = File::read("some.aiai", within(at))
                .err()
                .unwrap_or_default();
            assert!(why.contains(code) && why.contains(line), "{why}");
            assert_eq!(why.matches("error[").count(), 1, "{why}");
        }
    }

    #[test]
    fn a_fault_beside_the_rules_is_the_file_s() {
        let text = format!("{FILE}\nfn f(x: f32[N]) -> f32[N] {{ z }}\n");
        assert!(list("some.aiai", &text).is_err());
        assert!(list("some.aiai", "rules some { rule twice").is_err());
    }

    #[test]
    fn a_file_of_right_rules_is_judged_as_it_is() {
        let text = "rule twice(x: f32[..S]) exact { --x => x }";
        let listed = list("some.aiai", text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(names(&listed), ["twice"]);
        assert_eq!(listed[0].within, None);
    }
}
