//! Steps: what each is about, its size, and how the sizes of one axis fit into one another.

use std::collections::HashMap;

use aiai_ir::schedule::{Axis, Pattern, Step, Subject, Verb};

use super::{Checker, axis_names, listed, unknown};
use crate::ast::{self, Ident, Target};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Steps of one schedule, each axis and part counted.
const MAX_STEPS: usize = 256;
/// The largest number behind `by`.
const MAX_BY: i64 = 1 << 20;

/// The size of a block of an axis.
#[derive(Clone, Copy)]
struct Block {
    size: i64,
    span: Span,
}

/// The sizes of the blocks of one axis.
#[derive(Default)]
struct Blocks {
    /// In the order of the steps.
    tiles: Vec<Block>,
    register: Option<Block>,
    vectorize: Option<Block>,
}

impl Checker {
    pub(super) fn steps(&mut self, defs: &[ast::Step]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut blocks: HashMap<Axis, Blocks> = HashMap::new();
        let mut said: HashMap<(Verb, aiai_ir::Sym), Span> = HashMap::new();
        let mut count = 0;
        for def in defs {
            count += def.targets.len();
            if count > MAX_STEPS {
                let message = format!("a schedule of more than {MAX_STEPS} steps");
                self.report(Diagnostic::new("E0802", def.span, message));
                break;
            }
            let Some(verb) = Verb::from_name(def.verb.name.as_str()) else {
                let names: Vec<&str> = Verb::ALL.iter().map(|verb| verb.name()).collect();
                self.report(unknown("step", def.verb, &names));
                continue;
            };
            for target in &def.targets {
                let Some(step) = self.step(verb, target) else {
                    continue;
                };
                let first = said.insert((verb, target.name.name), target.name.span);
                match first {
                    Some(first) if !self.nests(step) => {
                        said.insert((verb, target.name.name), first);
                        self.twice(verb, target.name, first);
                    }
                    _ => {
                        note(&mut blocks, step, target);
                        steps.push(step);
                    }
                }
            }
        }
        for axis in Axis::ALL {
            if let Some(blocks) = blocks.get(axis) {
                self.nested(*axis, blocks);
            }
        }
        steps
    }

    fn step(&mut self, verb: Verb, target: &Target) -> Option<Step> {
        let place = match target.at {
            Some(at) => Some(self.place(verb, at)?),
            None => None,
        };
        // Of an unknown pattern, which is reported, any axis and part may be named.
        match verb.subject(self.pattern.unwrap_or(Pattern::Contract)) {
            Subject::Axes(axes) => {
                let axis = self.axis(target.name)?;
                if self.pattern.is_some() && !axes.contains(&axis) {
                    self.does_not_fit(verb, target.name, axes);
                    return None;
                }
                let by = self.by(verb, target)?;
                Some(match verb {
                    Verb::Tile => Step::Tile { axis, by },
                    Verb::Register => Step::Register { axis, by },
                    Verb::Vectorize => Step::Vectorize { axis, by },
                    Verb::Unroll => Step::Unroll { axis, by },
                    Verb::Balance => Step::Balance { axis },
                    Verb::Reorder => Step::Reorder { axis },
                    Verb::Parallel => Step::Parallel { axis },
                    Verb::Prefetch => Step::Prefetch { axis, by },
                    Verb::Pack | Verb::Inline | Verb::Fuse => return None,
                })
            }
            Subject::Parts(parts) => {
                let what = format!("`{}`", verb.name());
                let part = self.part(target.name, &what, parts)?;
                self.by(verb, target)?;
                Some(match verb {
                    Verb::Pack => Step::Pack { part },
                    Verb::Inline => Step::Inline { part },
                    Verb::Fuse => match place {
                        None => Step::Fuse { part },
                        Some(axis) => Step::FuseAt { part, axis },
                    },
                    Verb::Tile
                    | Verb::Register
                    | Verb::Vectorize
                    | Verb::Unroll
                    | Verb::Balance
                    | Verb::Reorder
                    | Verb::Parallel
                    | Verb::Prefetch => return None,
                })
            }
        }
    }

    /// Whether a step may be said of an axis again: it is cut into blocks of several sizes.
    fn nests(&self, step: Step) -> bool {
        match step {
            Step::Tile { axis, .. } => self.pattern.is_none_or(|p| p.nests_tiles(axis)),
            _ => false,
        }
    }

    /// Reports a step about an axis that the pattern has, but that the verb is not about there.
    fn does_not_fit(&mut self, verb: Verb, name: Ident, axes: &[Axis]) {
        let pattern = self.pattern.map_or("the pattern", Pattern::name);
        let message = format!(
            "`{}` cannot be about `{}` of `{pattern}`",
            verb.name(),
            name.name
        );
        let help = match axes {
            [] => format!("`{pattern}` has no such step"),
            _ => format!("it can be about {}", listed(&axis_names(axes))),
        };
        self.report(Diagnostic::new("E0704", name.span, message).help(help));
    }

    /// The axis behind `at`.
    fn place(&mut self, verb: Verb, name: Ident) -> Option<Axis> {
        let axis = self.axis(name)?;
        let places = verb.places();
        if places.contains(&axis) {
            return Some(axis);
        }
        let message = match places {
            [] => format!("`{}` takes no `at`", verb.name()),
            _ => format!("`{}` cannot be at `{}`", verb.name(), name.name),
        };
        let help = match places {
            [] => format!("what is fused can be: `{} ... at`", Verb::Fuse.name()),
            _ => format!("it can be at {}", listed(&axis_names(places))),
        };
        self.report(Diagnostic::new("E0704", name.span, message).help(help));
        None
    }

    /// The number behind `by`; 1 where there is none and none belongs.
    fn by(&mut self, verb: Verb, target: &Target) -> Option<i64> {
        let name = target.name;
        match (verb.takes_by(), target.by) {
            (false, None) => Some(1),
            (false, Some(by)) => {
                let message = format!("`{}` takes no number", verb.name());
                let diagnostic = Diagnostic::new("E0704", by.span, message);
                let help = format!("write `{} {}`", verb.name(), name.name);
                self.report(diagnostic.help(help));
                None
            }
            (true, None) => {
                let message = format!("`{}` needs a number", verb.name());
                let help = format!("write `{} {} by n`", verb.name(), name.name);
                self.report(Diagnostic::new("E0704", name.span.after(), message).help(help));
                None
            }
            (true, Some(by)) => {
                let value = i64::try_from(by.value).ok();
                let value = value.filter(|n| (1..=MAX_BY).contains(n));
                if value.is_none() {
                    let message = format!("`by {}` is out of range", by.value);
                    let help = format!("it is at least 1 and at most {MAX_BY}");
                    self.report(Diagnostic::new("E0704", by.span, message).help(help));
                }
                value
            }
        }
    }

    fn twice(&mut self, verb: Verb, name: Ident, first: Span) {
        let message = match verb.places() {
            [] => format!("`{} {}` stands here twice", verb.name(), name.name),
            // With `at` and without.
            _ => format!("`{} {}` is said twice", verb.name(), name.name),
        };
        let diagnostic =
            Diagnostic::new("E0705", name.span, message).related(first, "the first time");
        let help = match verb {
            Verb::Register if self.pattern == Some(Pattern::Contract) => {
                "`tile` cuts an axis into blocks of several sizes"
            }
            _ => "delete one of the two",
        };
        self.report(diagnostic.help(help));
    }

    /// The blocks of an axis fit into one another: tiles in their order, then what stays in registers, then
    /// what is in one vector. Tiles of attention's columns are of sums, which neither holds.
    fn nested(&mut self, axis: Axis, blocks: &Blocks) {
        let is_summed = axis == Axis::Columns && self.pattern == Some(Pattern::Attention);
        let mut chain = match is_summed {
            true => Vec::new(),
            false => blocks.tiles.clone(),
        };
        chain.extend(blocks.register);
        chain.extend(blocks.vectorize);
        for pair in chain.windows(2) {
            let (coarse, fine) = (pair[0], pair[1]);
            if coarse.size % fine.size == 0 {
                continue;
            }
            let message = format!(
                "blocks of {} do not divide blocks of {} `{}`",
                fine.size,
                coarse.size,
                axis.name()
            );
            let near = (1..=fine.size.min(coarse.size))
                .rev()
                .find(|size| coarse.size % size == 0)
                .unwrap_or(1);
            let diagnostic = Diagnostic::new("E0705", fine.span, message)
                .label(format!("does not divide {}", coarse.size))
                .related(coarse.span, "the blocks around it");
            self.report(diagnostic.help(format!("the next smaller size that fits is {near}")));
        }
    }
}

/// Enters the block of a step that makes one.
fn note(blocks: &mut HashMap<Axis, Blocks>, step: Step, target: &Target) {
    let span = target.by.map_or(target.name.span, |by| by.span);
    let block = |size| Block { size, span };
    match step {
        Step::Tile { axis, by } => blocks.entry(axis).or_default().tiles.push(block(by)),
        Step::Register { axis, by } => blocks.entry(axis).or_default().register = Some(block(by)),
        Step::Vectorize { axis, by } => blocks.entry(axis).or_default().vectorize = Some(block(by)),
        Step::Unroll { .. }
        | Step::Balance { .. }
        | Step::Reorder { .. }
        | Step::Parallel { .. }
        | Step::Pack { .. }
        | Step::Inline { .. }
        | Step::Prefetch { .. }
        | Step::Fuse { .. }
        | Step::FuseAt { .. } => {}
    }
}
