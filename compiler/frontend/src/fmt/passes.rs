//! What chooses: `fuse` and `layout`.

use super::comments::Extent;
use super::doc::{Doc, concat_doc};
use super::items::braces;
use super::{CONTINUED, Formatter};
use crate::ast::{Choice, Constraint, Fuse, Layout};

impl Formatter<'_> {
    pub(super) fn fuse(&mut self, fuse: &Fuse) -> Doc {
        let head: Vec<Doc> = vec![
            "fuse ".into(),
            fuse.producer.name.as_str().into(),
            " into ".into(),
            fuse.consumer.name.as_str().into(),
            self.guard(&fuse.constraints),
        ];
        Doc::Concat(head).group()
    }

    pub(super) fn layout(&mut self, layout: &Layout) -> Doc {
        let head: Vec<Doc> = vec![
            "layout ".into(),
            layout.op.name.as_str().into(),
            self.guard(&layout.constraints),
        ];
        let last = layout.constraints.last();
        let mut from = last.map_or(layout.op.span.end, |constraint| constraint.span.end);
        let end = layout.span.end.saturating_sub(1);
        let mut entries = Vec::new();
        for choice in &layout.choices {
            let extent = Extent {
                start: choice.span.start,
                end: choice.span.end,
            };
            self.entry(extent, &mut from, end, &mut entries, |f| f.choice(choice));
        }
        self.last_comments(from, end, &mut entries);
        concat_doc![Doc::Concat(head).group(), " ", braces(entries)]
    }

    fn guard(&mut self, constraints: &[Constraint]) -> Doc {
        match constraints {
            [] => Doc::NIL,
            _ => concat_doc![Doc::Line, self.constraints(constraints)].nest(CONTINUED),
        }
    }

    fn choice(&mut self, choice: &Choice) -> Doc {
        let mut parts: Vec<Doc> = vec![
            choice.part.name.as_str().into(),
            ": ".into(),
            choice.form.name.as_str().into(),
        ];
        for (at, size) in choice.sizes.iter().enumerate() {
            parts.push(if at == 0 { "(" } else { ", " }.into());
            parts.push(self.source(size.span).into());
        }
        if !choice.sizes.is_empty() {
            parts.push(")".into());
        }
        Doc::Concat(parts)
    }
}
