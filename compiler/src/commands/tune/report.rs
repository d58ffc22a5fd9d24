//! What tuning found: in the head of the file, for a person, as JSON.

use std::collections::BTreeMap;

use aiai_ir::Schedule;
use aiai_ir::schedule::Axis;
use serde_json::{Value, json};

use crate::cli::{Global, TuneArgs};
use crate::output;
use crate::tune::{Header, Tuning};

pub struct Report<'r> {
    pub args: &'r TuneArgs,
    pub about: &'r BTreeMap<String, String>,
    pub threads: usize,
    pub tunings: &'r [Tuning<'r>],
    /// How many contractions are left as they are.
    pub left: usize,
    pub ended: &'static str,
    /// Seconds of the whole function before and after.
    pub model: Option<(f64, f64)>,
}

/// The schedule of a contraction that is better than the default, with its times.
pub fn schedule(tuning: &Tuning) -> Option<Schedule> {
    let best = tuning.best.as_ref()?;
    let doc = format!(
        "{}; by `{}` it takes {}.",
        time(best.after),
        tuning.contraction.base.name,
        time(best.before)
    );
    Some(Schedule {
        doc,
        ..best.schedule.clone()
    })
}

/// A contraction and how far it is, in a line.
pub fn progress(tuning: &Tuning) -> String {
    let gain = tuning.best.as_ref().map_or(1.0, |b| b.before / b.after);
    format!("{} x{gain:.2}", tuning.contraction.name)
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.3} s"),
        s if s >= 1e-3 => format!("{:.3} ms", s * 1e3),
        s => format!("{:.2} us", s * 1e6),
    }
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

impl Report<'_> {
    fn get(&self, key: &str) -> String {
        self.about.get(key).cloned().unwrap_or_default()
    }

    fn tried(&self) -> usize {
        self.tunings.iter().map(|t| t.counts.tried).sum()
    }

    /// What was searched, and why it ended.
    fn search(&self) -> String {
        let ended = match self.ended {
            "budget" => format!("; the budget of {} s ended it", self.args.budget),
            "interrupt" => "; an interrupt ended it".to_owned(),
            _ => String::new(),
        };
        let left = match self.left {
            0 => String::new(),
            left => format!(", {left} left as they are"),
        };
        format!(
            "{} for {}{left}, seed {}{ended}",
            count(self.tried(), "candidate"),
            count(self.tunings.len(), "contraction"),
            self.args.seed
        )
    }

    /// The times of the whole model.
    fn whole(&self) -> Option<String> {
        let (before, after) = self.model?;
        Some(format!("all: {}, before {}", time(after), time(before)))
    }

    pub fn header(&self) -> Header {
        let dims = self.get("dims");
        Header {
            target: self.args.target.clone(),
            dims: if dims.is_empty() {
                dims
            } else {
                format!(" with {dims}")
            },
            processor: self.get("processor"),
            threads: self.threads,
            features: self.get("features").split(' ').map(str::to_owned).collect(),
            search: self.search(),
            results: self.tunings.iter().map(line).chain(self.whole()).collect(),
        }
    }

    pub fn print(&self, global: &Global) {
        let out = output::path(&self.args.out);
        if global.json {
            let contractions: Vec<Value> = self.tunings.iter().map(object).collect();
            let model = self
                .model
                .map(|(before, after)| json!({"before_seconds": before, "after_seconds": after}));
            let object = json!({
                "schema": 1, "out": self.args.out.to_string_lossy(), "processor": self.get("processor"),
                "threads": self.threads, "seed": self.args.seed, "tried": self.tried(),
                "ended": self.ended, "left": self.left, "contractions": contractions, "model": model,
            });
            output::print(&object.to_string());
            return;
        }
        for line in self.tunings.iter().map(line).chain(self.whole()) {
            output::print(&line);
        }
        output::print(&format!("{}\n{out}", self.search()));
    }
}

/// A contraction in a line.
fn line(tuning: &Tuning) -> String {
    let contraction = &tuning.contraction;
    let base = contraction.base.name;
    let uses = match contraction.uses {
        1 => String::new(),
        uses => format!(", {uses} times"),
    };
    let found = match &tuning.best {
        Some(best) => format!("{}, by `{base}` {}", time(best.after), time(best.before)),
        None => format!("nothing better than `{base}`"),
    };
    format!("{}: {found}{uses}", contraction.name)
}

fn object(tuning: &Tuning) -> Value {
    let contraction = &tuning.contraction;
    let (counts, best) = (tuning.counts, tuning.best.as_ref());
    let place = contraction
        .loc
        .map(|l| format!("{}:{}:{}", l.file, l.line, l.column));
    json!({
        "name": contraction.name.as_str(), "default": contraction.base.name.as_str(), "place": place,
        "uses": contraction.uses, "batch": contraction.size(Axis::Batch), "rows": contraction.size(Axis::Rows),
        "columns": contraction.size(Axis::Columns), "summed": contraction.size(Axis::Summed),
        "tried": counts.tried, "unfit": counts.unfit, "broken": counts.broken,
        "before_seconds": best.map(|b| b.before), "after_seconds": best.map(|b| b.after),
    })
}
