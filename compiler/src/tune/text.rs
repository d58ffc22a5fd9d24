//! Schedules as text, and the file that tuning writes.

use aiai_frontend::diagnostics::escape;
use aiai_frontend::elaborate::read_schedules;
use aiai_frontend::span::FileId;
use aiai_ir::schedule::{Condition, Step};
use aiai_ir::{Dim, Relation, Schedule};

use crate::Failure;

/// What the file says in front of the schedules.
pub struct Header {
    pub target: String,
    pub dims: String,
    pub processor: String,
    pub threads: usize,
    pub features: Vec<String>,
    /// What was tried and how it ended.
    pub search: String,
    /// One line for each contraction.
    pub results: Vec<String>,
}

/// The text of a schedule; the formatter makes it canonical.
pub fn schedule(schedule: &Schedule) -> String {
    let mut out = String::new();
    for line in schedule.doc.lines() {
        out.push_str(&format!("/// {line}\n"));
    }
    let (name, pattern) = (schedule.name, schedule.pattern.name());
    out.push_str(&format!("schedule {name} for {pattern} on cpu"));
    let wanted = schedule.features.iter().map(|f| f.to_string());
    let unwanted = schedule.without.iter().map(|f| format!("not {f}"));
    let features: Vec<String> = wanted.chain(unwanted).collect();
    if !features.is_empty() {
        out.push_str(&format!("({})", features.join(", ")));
    }
    let guard: Vec<String> = schedule.guard.iter().map(condition).collect();
    if !guard.is_empty() {
        out.push_str(&format!(" where {}", guard.join(" and ")));
    }
    out.push_str(" {");
    let mut verb = "";
    for step in &schedule.steps {
        let (own, target) = words(step);
        let start = if own == verb {
            ", ".to_owned()
        } else {
            format!("\n  {own} ")
        };
        out.push_str(&start);
        out.push_str(&target);
        verb = own;
    }
    out.push_str("\n}\n");
    out
}

fn words(step: &Step) -> (&'static str, String) {
    match *step {
        Step::Tile { axis, by } => ("tile", format!("{} by {by}", axis.name())),
        Step::Register { axis, by } => ("register", format!("{} by {by}", axis.name())),
        Step::Vectorize { axis, by } => ("vectorize", format!("{} by {by}", axis.name())),
        Step::Unroll { axis, by } => ("unroll", format!("{} by {by}", axis.name())),
        Step::Balance { axis } => ("balance", axis.name().to_owned()),
        Step::Reorder { axis } => ("reorder", axis.name().to_owned()),
        Step::Parallel { axis } => ("parallel", axis.name().to_owned()),
        Step::Pack { part } => ("pack", part.name().to_owned()),
        Step::Inline { part } => ("inline", part.name().to_owned()),
        Step::Prefetch { axis, by } => ("prefetch", format!("{} by {by}", axis.name())),
        Step::Fuse { part } => ("fuse", part.name().to_owned()),
        Step::FuseAt { part, axis } => ("fuse", format!("{} at {}", part.name(), axis.name())),
    }
}

fn condition(condition: &Condition) -> String {
    match *condition {
        Condition::Fact { fact, part, holds } => {
            let not = if holds { "" } else { "not " };
            format!("{not}{}({})", fact.name(), part.name())
        }
        Condition::Size { dim, relation } => {
            let constant = dim
                .terms()
                .iter()
                .find(|t| t.0.is_empty())
                .map_or(0, |t| t.1);
            let rest = dim - Dim::from(constant);
            let negative = rest.terms().first().is_some_and(|t| t.1 < 0);
            let (rest, bound) = match negative {
                true => (-rest, constant),
                false => (rest, -constant),
            };
            let sign = match relation {
                Relation::Zero => "==",
                Relation::NonZero => "!=",
                Relation::NonNegative if negative => "<=",
                Relation::NonNegative => ">=",
            };
            format!("{rest} {sign} {bound}")
        }
    }
}

/// A schedule as the front end reads it from its text, or what it says against it.
pub fn checked(made: &Schedule) -> Result<Schedule, String> {
    let mut read = read_schedules("candidate", &schedule(made));
    if let Some(found) = read.diagnostics.iter().next() {
        return Err(found.message.clone());
    }
    match read.schedules.pop() {
        Some(read) if read.steps == made.steps => Ok(read),
        _ => Err("it does not read back".into()),
    }
}

/// The file of schedules, in the canonical format.
pub fn file(header: &Header, schedules: &[Schedule]) -> Result<String, Failure> {
    let mut lines = vec![
        format!(
            "Made by `aiai tune`: schedules for {}{}.",
            header.target, header.dims
        ),
        "They were measured on the machine below; on others the library's may be better.".into(),
        String::new(),
        format!("aiai {}, --backend llvm", env!("CARGO_PKG_VERSION")),
        format!(
            "processor: {}, {} threads",
            header.processor, header.threads
        ),
    ];
    lines.extend(wrapped("features:", &header.features));
    lines.push(header.search.clone());
    lines.extend(header.results.iter().cloned());
    let mut out = String::new();
    for line in lines {
        out.push_str(format!("// {}", escape(&line)).trim_end());
        out.push('\n');
    }
    if schedules.is_empty() {
        out.push_str("//\n// Nothing was better than the schedules that were there.\n");
        return Ok(out);
    }
    for made in schedules {
        out.push('\n');
        out.push_str(&schedule(made));
    }
    aiai_frontend::fmt::format(&out, FileId(0)).map_err(|found| {
        let what = found.iter().next().map_or("", |d| d.message.as_str());
        Failure::environment(format!(
            "a bug in aiai: the file of schedules is not valid: {what}"
        ))
    })
}

/// Words in lines of less than the width of the format.
fn wrapped(title: &str, words: &[String]) -> Vec<String> {
    let mut lines = vec![title.to_owned()];
    for word in words {
        let full = lines.last().is_some_and(|l| l.len() + word.len() > 90);
        if full {
            lines.push(" ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_read_back() {
        let text = "/// A note.\nschedule s for contract on cpu(avx2, fma, not avx512f) where rows >= 4 and columns % 16 == 0 \
            and 1 - 2 * rows + summed / 3 < 12 and batch != 2 and not dense(out) and constant(right) {\n  \
            tile rows by 16, columns by 96\n  tile columns by 48\n  reorder rows, columns\n  parallel batch\n  \
            pack left\n  pack right\n  register rows by 8, columns by 48\n  vectorize columns by 16\n  \
            unroll summed by 2\n  prefetch summed by 8\n  fuse epilogue\n}\n";
        let read = read_schedules("s", text);
        assert!(read.diagnostics.is_empty());
        let again = read_schedules("s", &schedule(&read.schedules[0]));
        assert!(again.diagnostics.is_empty());
        let (first, again) = (&read.schedules[0], &again.schedules[0]);
        assert_eq!((&first.guard, &first.steps), (&again.guard, &again.steps));
        assert_eq!((&first.features, &first.doc), (&again.features, &again.doc));
        assert_eq!(first.without, again.without);
        assert_eq!(first.without.len(), 1);
    }

    #[test]
    fn files_are_canonical() {
        let header = Header {
            target: "`f` of model.aiai".into(),
            dims: " with B = 2".into(),
            processor: "one\nline".into(),
            threads: 2,
            features: vec!["avx512f".into(); 30],
            search: "4 candidates".into(),
            results: Vec::new(),
        };
        for schedules in [
            Vec::new(),
            read_schedules(
                "s",
                "schedule s for contract on cpu { vectorize columns by 8 }",
            )
            .schedules,
        ] {
            let text = file(&header, &schedules).expect("a file");
            let formatted = aiai_frontend::fmt::format(&text, FileId(0)).ok();
            assert!(
                schedules.is_empty() || formatted.as_ref() == Some(&text),
                "{text}"
            );
            assert!(text.lines().all(|l| l.len() <= 100), "{text}");
            let read = read_schedules("s", &text);
            assert!(read.diagnostics.is_empty() && read.schedules.len() == schedules.len());
        }
    }
}
