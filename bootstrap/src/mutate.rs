//! Mutants of rules: one small change each to the text of a rule, most of which make it wrong.
//!
//! Works on the syntax tree of one rule and edits its text by spans. Mutants come in a fixed order; whether
//! one is a rule at all is for the front end to say, whether it is wrong for a witness ([`crate::witness`]).

use std::collections::BTreeSet;

use aiai_frontend::ast;
use aiai_frontend::span::Span;

mod sites;

/// A changed rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The name of the rule that it was.
    pub rule: String,
    /// What was done, as `swap operator`.
    pub operator: &'static str,
    /// From what to what, and where.
    pub change: String,
    /// The text of the rule with the change.
    pub text: String,
}

/// An edit of the text of a rule.
pub(crate) struct Edit {
    pub span: Span,
    pub with: String,
    pub operator: &'static str,
}

/// Every mutant of a rule, in a fixed order, no text twice. `file` is the text of the file that it stands in.
pub fn mutants(file: &str, rule: &ast::Rule) -> Vec<Mutant> {
    let mut edits = Vec::new();
    sites::collect(file, rule, &mut edits);
    let start = rule.span.start as usize;
    let original = file.get(rule.span.range()).unwrap_or_default();
    let mut seen = BTreeSet::from([original.to_owned()]);
    let mut found = Vec::new();
    for edit in edits {
        let range = edit.span.range();
        if range.start < start || range.end < range.start || range.end - start > original.len() {
            continue;
        }
        let (Some(before), Some(old), Some(after)) = (
            original.get(..range.start - start),
            original.get(range.start - start..range.end - start),
            original.get(range.end - start..),
        ) else {
            continue;
        };
        let text = format!("{before}{}{after}", edit.with);
        if !seen.insert(text.clone()) {
            continue;
        }
        found.push(Mutant {
            rule: rule.name.name.to_string(),
            operator: edit.operator,
            change: format!("`{}` becomes `{}`", one_line(old), one_line(&edit.with)),
            text,
        });
    }
    found
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
