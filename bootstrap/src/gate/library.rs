//! The admitted rules, as a judgement needs them: those that could touch a candidate.

use aiai_ir::{Function, Instance, Rule, RuleInfo, RuleSet};
use aiai_passes::rewrite::{self, Float, Source};

use super::candidate::File;

/// Admitted rules.
#[derive(Default)]
pub struct Library {
    /// Names, and the texts of the rules alone.
    entries: Vec<(String, String)>,
    rules: Option<rewrite::Library>,
}

/// A file of rules, as the engine asks for them.
pub(super) struct Rules(pub File);

impl Source for Rules {
    fn infos(&self) -> Vec<RuleInfo> {
        self.0.infos.clone()
    }

    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        self.0.program.instantiate(wanted)
    }
}

impl Library {
    /// Reads files of admitted rules.
    ///
    /// # Errors
    /// Where one of them is not well formed: the gate does not judge against what it cannot read.
    pub fn read(files: &[(String, String)]) -> Result<Library, String> {
        let mut library = Library::default();
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for (name, text) in files {
            let file = File::read(name, text).map_err(|e| format!("{name}: {e}"))?;
            library.entries.extend(file.texts());
            sources.push(Box::new(Rules(file)));
        }
        if !sources.is_empty() {
            library.rules = Some(rewrite::Library::new(sources, Float::All));
        }
        Ok(library)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a rule of exactly this text is admitted.
    pub fn holds(&self, text: &str) -> bool {
        self.entries.iter().any(|(_, known)| known == text)
    }

    /// Whether a rule of this name is admitted that says something else.
    pub fn differs(&self, name: &str, text: &str) -> bool {
        self.entries
            .iter()
            .any(|(known, other)| known == name && other != text)
    }

    /// Instances of the rules that could fire on a function or on what becomes of it, but for the rule of
    /// exactly the given text.
    pub fn touching(&self, function: &Function, except: &str) -> Vec<Rule> {
        let Some(rules) = &self.rules else {
            return Vec::new();
        };
        let same = self.entries.iter().find(|(_, text)| text == except);
        let same = same.map(|(name, _)| name.as_str());
        let fitting = rules.rules_for_forms(function);
        let others = fitting
            .instances()
            .iter()
            .filter(|rule| same != Some(rule.name.as_str()));
        others.map(|rule| Rule::clone(rule)).collect()
    }
}
