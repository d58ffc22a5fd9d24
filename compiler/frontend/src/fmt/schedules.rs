//! Schedules.

use super::comments::Extent;
use super::doc::{Doc, concat_doc};
use super::items::braces;
use super::{CONTINUED, Formatter};
use crate::ast::{Schedule, Step};

impl Formatter<'_> {
    pub(super) fn schedule(&mut self, schedule: &Schedule) -> Doc {
        let mut head: Vec<Doc> = vec![
            "schedule ".into(),
            schedule.name.name.as_str().into(),
            " for ".into(),
            schedule.pattern.name.as_str().into(),
            " on ".into(),
            schedule.device.name.as_str().into(),
        ];
        let mut from = schedule.device.span.end;
        if let Some(last) = schedule.features.last() {
            from = last.span.end;
            let items = schedule.features.iter();
            let items = items.map(|f| (f.span.start, f)).collect();
            head.push(self.list("(", items, ")", from, |_, f| {
                let not = if f.wanted { "" } else { "not " };
                concat_doc![not, f.name.name.as_str()]
            }));
        }
        if let Some(guard) = &schedule.guard {
            from = guard.span.end;
            head.push(concat_doc![Doc::Line, "where ", self.expr(guard)].nest(CONTINUED));
        }
        let end = schedule.span.end.saturating_sub(1);
        let mut entries = Vec::new();
        for step in &schedule.steps {
            let extent = Extent {
                start: step.span.start,
                end: step.span.end,
            };
            self.entry(extent, &mut from, end, &mut entries, |f| f.step(step));
        }
        self.last_comments(from, end, &mut entries);
        concat_doc![Doc::Concat(head).group(), " ", braces(entries)]
    }

    fn step(&mut self, step: &Step) -> Doc {
        let mut parts: Vec<Doc> = vec![step.verb.name.as_str().into(), " ".into()];
        for (at, target) in step.targets.iter().enumerate() {
            if at > 0 {
                parts.extend([",".into(), Doc::Line]);
            }
            parts.push(target.name.name.as_str().into());
            if let Some(by) = target.by {
                parts.extend([" by ".into(), self.source(by.span).into()]);
            }
            if let Some(at) = target.at {
                parts.extend([" at ".into(), at.name.as_str().into()]);
            }
        }
        Doc::Concat(parts).nest(CONTINUED).group()
    }
}
