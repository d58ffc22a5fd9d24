//! Schedules: from the tree to the data that code generation follows.
//!
//! Names of patterns, axes, verbs and the like come from the tables of `aiai_ir::schedule` alone. A finding is
//! reported where it is, once; a schedule with one is not handed on.

use std::collections::HashMap;

use aiai_ir::schedule::{Axis, DEVICES, Part, Pattern};
use aiai_ir::{Schedule, Sym};

use super::program::Program;
use crate::ast::{self, Ident, Item};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::parse::parse;
use crate::span::{SourceMap, Span};
use crate::suggest::nearest;

mod guard;
mod steps;

/// A source text that holds schedules and nothing else, such as a tuning file.
pub struct ScheduleFile {
    pub sources: SourceMap,
    /// In the order of the text; those with findings are left out.
    pub schedules: Vec<Schedule>,
    pub diagnostics: Diagnostics,
    features: Vec<Ident>,
}

/// The schedules of the library, in order.
pub fn library_schedules() -> Vec<Schedule> {
    let files = crate::stdlib::FILES.iter();
    let texts = files.filter(|(name, _)| name.contains("schedules/"));
    texts
        .flat_map(|(name, text)| read_schedules(name, text).schedules)
        .collect()
}

/// Reads a text of schedules, none or more. Other items are findings.
pub fn read_schedules(name: &str, text: &str) -> ScheduleFile {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let id = sources.add(name, text);
    let file = parse(text, id, &mut diagnostics);
    // Tuning may find nothing better, and says so in comments.
    if !text.trim().is_empty() && diagnostics.iter().all(|d| d.code == "E0119") {
        diagnostics = Diagnostics::default();
    }
    let (mut schedules, mut features) = (Vec::new(), Vec::new());
    if diagnostics.is_empty() {
        for item in &file.items {
            if !matches!(item, Item::Schedule(_)) {
                diagnostics.push(not_a_schedule(item));
            }
        }
        features = features_of(&file.items);
        schedules = elaborate([file.items.as_slice()], &sources, &mut diagnostics);
    }
    diagnostics.sort();
    diagnostics.drop_repeats();
    ScheduleFile {
        sources,
        schedules,
        diagnostics,
        features,
    }
}

impl ScheduleFile {
    /// What schedules ask of processors that none of the `known` features is.
    pub fn check_features(&self, known: &[&str]) -> Diagnostics {
        unknown_features(&self.features, known)
    }
}

impl Program {
    /// Schedules in the order in which they are tried: of the program's own files, the root first, then of
    /// the standard library, each in the order of the text.
    pub fn schedules(&self) -> Result<Vec<Schedule>, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut schedules = self.own_schedules(&mut found);
        let library = &self.files[..self.library_files];
        let items = library.iter().map(|file| file.items.as_slice());
        schedules.extend(elaborate(items, &self.sources, &mut found));
        match found.is_empty() {
            true => Ok(schedules),
            false => Err(found),
        }
    }

    /// The schedules of the program's own files.
    pub(super) fn own_schedules(&self, found: &mut Diagnostics) -> Vec<Schedule> {
        let items = self.own_files().map(|file| file.items.as_slice());
        elaborate(items, &self.sources, found)
    }

    /// What schedules ask of processors that none of the `known` features is, in every file.
    pub fn check_features(&self, known: &[&str]) -> Diagnostics {
        let files = self.files.iter().flat_map(|file| features_of(&file.items));
        unknown_features(&files.collect::<Vec<_>>(), known)
    }
}

fn not_a_schedule(item: &Item) -> Diagnostic {
    let at = match item {
        Item::Use(x) => x.path.first().map_or(x.span, |part| part.span),
        Item::Module(x) => x.name.span,
        Item::Fn(x) => x.name.span,
        Item::Rule(x) => x.name.span,
        Item::Rules(x) => x.name.span,
        Item::Schedule(x) => x.name.span,
        Item::Fuse(x) => x.producer.span,
        Item::Layout(x) => x.op.span,
        Item::Cost(x) | Item::Derivative(x) => x.name.span,
        Item::Test(x) => x.name.span,
        Item::Prop(x) | Item::Bench(x) => x.name.span,
    };
    let message = "a file of schedules holds nothing else";
    Diagnostic::new("E0105", at, message).label("not a schedule")
}

fn features_of(items: &[Item]) -> Vec<Ident> {
    let mut features = Vec::new();
    for item in items {
        if let Item::Schedule(schedule) = item {
            features.extend(schedule.features.iter().map(|f| f.name));
        }
    }
    features
}

fn unknown_features(features: &[Ident], known: &[&str]) -> Diagnostics {
    let mut found = Diagnostics::default();
    for feature in features {
        if !known.contains(&feature.name.as_str()) {
            found.push(unknown("feature", *feature, known));
        }
    }
    found
}

/// A name that is not among those of its kind.
fn unknown(kind: &str, name: Ident, known: &[&str]) -> Diagnostic {
    let message = format!("unknown {kind} `{}`", name.name);
    let help = match nearest(name.name.as_str(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", listed(known)),
    };
    Diagnostic::new("E0703", name.span, message).help(help)
}

/// Names for a message.
pub(super) fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn axis_names(axes: &[Axis]) -> Vec<&'static str> {
    axes.iter().map(|axis| axis.name()).collect()
}

fn part_names(parts: &[Part]) -> Vec<&'static str> {
    parts.iter().map(|part| part.name()).collect()
}

/// The schedules of some files without findings; no two of them have one name.
fn elaborate<'a>(
    files: impl IntoIterator<Item = &'a [Item]>,
    sources: &SourceMap,
    found: &mut Diagnostics,
) -> Vec<Schedule> {
    let mut named: HashMap<Sym, Span> = HashMap::new();
    let mut schedules = Vec::new();
    for item in files.into_iter().flatten() {
        let Item::Schedule(def) = item else { continue };
        let mut checker = Checker {
            pattern: None,
            found: Vec::new(),
        };
        if let Some(first) = named.insert(def.name.name, def.name.span) {
            named.insert(def.name.name, first);
            let message = format!("`{}` is defined twice", def.name.name);
            let diagnostic = Diagnostic::new("E0202", def.name.span, message);
            checker.report(diagnostic.related(first, "first defined here"));
        }
        let schedule = checker.schedule(def, sources);
        let sound = checker.found.is_empty();
        checker.found.into_iter().for_each(|d| found.push(d));
        schedules.extend(schedule.filter(|_| sound));
    }
    schedules
}

/// Checks one schedule.
struct Checker {
    /// `None`: unknown, which is reported; then any axis and part may stand.
    pattern: Option<Pattern>,
    found: Vec<Diagnostic>,
}

impl Checker {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    fn schedule(&mut self, def: &ast::Schedule, sources: &SourceMap) -> Option<Schedule> {
        self.pattern = Pattern::from_name(def.pattern.name.as_str());
        if self.pattern.is_none() {
            let names: Vec<&str> = Pattern::ALL.iter().map(|p| p.name()).collect();
            self.report(unknown("pattern", def.pattern, &names));
        }
        self.device(def.device);
        let named = |wanted: bool| {
            let features = def.features.iter().filter(move |f| f.wanted == wanted);
            features.map(|f| f.name.name).collect()
        };
        let guard = def.guard.as_ref().map_or(Vec::new(), |g| self.guard(g));
        let steps = self.steps(&def.steps);
        Some(Schedule {
            name: def.name.name,
            pattern: self.pattern?,
            features: named(true),
            without: named(false),
            guard,
            steps,
            doc: def.doc.text(),
            loc: Some(sources.loc(def.name.span)),
        })
    }

    fn device(&mut self, device: Ident) {
        if DEVICES.contains(&device.name.as_str()) {
            return;
        }
        let other = ["cuda", "gpu", "llvm", "nvidia"];
        if other.contains(&device.name.as_str()) {
            let message = format!("there are no schedules for `{}` yet", device.name);
            let help = format!("schedules are written for {}", listed(DEVICES));
            self.report(Diagnostic::new("E0703", device.span, message).help(help));
        } else {
            self.report(unknown("device", device, DEVICES));
        }
    }

    /// The axis of that name, if the pattern has it; reported if not.
    fn axis(&mut self, name: Ident) -> Option<Axis> {
        let Some(axis) = Axis::from_name(name.name.as_str()) else {
            let diagnostic = match Part::from_name(name.name.as_str()) {
                Some(part) => {
                    let message = format!("`{}` is a part, not an axis", part.name());
                    let help = format!("axes are {}", listed(&axis_names(self.axes())));
                    Diagnostic::new("E0704", name.span, message).help(help)
                }
                None => unknown("axis", name, &axis_names(self.axes())),
            };
            self.report(diagnostic);
            return None;
        };
        if self.axes().contains(&axis) {
            return Some(axis);
        }
        let axes = axis_names(self.axes());
        self.lacks(name, "axes", &axes);
        None
    }

    /// The part of that name, if the pattern has it and it is among those `allowed`; reported if not.
    fn part(&mut self, name: Ident, what: &str, allowed: &[Part]) -> Option<Part> {
        let names = part_names(allowed);
        let Some(part) = Part::from_name(name.name.as_str()) else {
            if Axis::from_name(name.name.as_str()).is_some() {
                let message = format!("`{}` is an axis; {what} is about parts", name.name);
                let diagnostic = Diagnostic::new("E0704", name.span, message);
                self.report(diagnostic.help(format!("parts are {}", listed(&names))));
            } else {
                self.report(unknown("part", name, &names));
            }
            return None;
        };
        if !self.parts().contains(&part) {
            let parts = part_names(self.parts());
            self.lacks(name, "parts", &parts);
            return None;
        }
        if !allowed.contains(&part) {
            let message = format!("{what} cannot be about `{}`", part.name());
            let diagnostic = Diagnostic::new("E0704", name.span, message);
            let help = match (self.pattern, names.as_slice()) {
                (Some(pattern), []) => format!("`{}` has no such step", pattern.name()),
                _ => format!("it can be about {}", listed(&names)),
            };
            self.report(diagnostic.help(help));
            return None;
        }
        Some(part)
    }

    fn axes(&self) -> &'static [Axis] {
        self.pattern.map_or(Axis::ALL, Pattern::axes)
    }

    fn parts(&self) -> &'static [Part] {
        self.pattern.map_or(Part::ALL, Pattern::parts)
    }

    /// Reports an axis or a part that the pattern does not have.
    fn lacks(&mut self, name: Ident, kind: &str, has: &[&str]) {
        let pattern = self.pattern.map_or("the pattern", Pattern::name);
        let message = format!("`{pattern}` has no `{}`", name.name);
        let help = match has {
            [] => format!("`{pattern}` has no {kind} that can be named"),
            _ => format!("its {kind} are {}", listed(has)),
        };
        self.report(Diagnostic::new("E0704", name.span, message).help(help));
    }
}
