//! `aiai tune`: schedules for the contractions of a function, by measurement on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::time::Instant;

use aiai_codegen::{Options, Target};
use aiai_ir::{Function, Schedule};
use aiai_runtime::{Pool, files};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::cli::{Backend, Global, TuneArgs};
use crate::project::Project;
use crate::train::Signals;
use crate::tune::{self, Bench, Found, Journal, Record, Setting, Step, Tuning, Verdict};
use crate::{Ended, Failure, Outcome, backend, driver, llvm, output};

mod report;

use report::Report;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As many candidates as wanted were tried, or there are no more.
    Trials,
    Budget,
    Interrupted(Outcome),
}

pub fn run(args: &TuneArgs, global: &Global) -> Ended {
    if global.backend != Backend::Llvm {
        return Err(Failure::input(
            "schedules are what `--backend llvm` follows; tune with it",
        ));
    }
    llvm::available()?;
    let (target, function) = driver::split_target(&args.target);
    let project = Project::open(&target, global)?;
    let name = project.function(function, &args.target)?;
    let dims = driver::parse_dims(&args.dims)?;
    let mut entry = driver::entry(&project.program, &name, &dims, global)?;
    let options = Options {
        weights: driver::weights(&entry),
        schedules: driver::schedules(&project.program, global)?,
        ..Options::default()
    };
    let passes = crate::rules::options(global)?;
    driver::on_a_deep_stack(|| driver::optimize(&mut entry, &passes))??;
    let Some(function) = entry.module.get(entry.name) else {
        unreachable!("the pipeline keeps the entry");
    };
    let found = tune::find(function, &options, &Target::host())?;
    if found.contractions.is_empty() {
        let reasons: BTreeSet<String> = found.others.into_iter().collect();
        let reasons = reasons.into_iter().collect::<Vec<_>>().join("\n");
        return Err(Failure::input(format!(
            "no contraction of `{name}` gets a schedule that can be tuned; \
             `--schedules` and the program itself can give more:\n{reasons}"
        )));
    }
    // Found out before hours of work are lost.
    files::check_writable(&args.out).map_err(|e| Failure::output(&e))?;
    let pool = backend::pool(global)?;
    let subject = Subject {
        args,
        about: about(args, &project, &name, &options.schedules, &pool),
        function,
        options,
        pool,
    };
    subject.tune(found, global)
}

/// A function to be tuned.
struct Subject<'s> {
    args: &'s TuneArgs,
    about: BTreeMap<String, String>,
    function: &'s Function,
    options: Options,
    pool: Pool,
}

impl Subject<'_> {
    fn tune(&self, found: Found, global: &Global) -> Ended {
        let args = self.args;
        let path = tune::journal_path(&args.out);
        let mut journal = match args.resume {
            true => Journal::resume(&path, &self.about)?,
            false => Journal::create(&path, &self.about)?,
        };
        if global.verbose {
            for other in found.others.iter().collect::<BTreeSet<_>>() {
                output::complain(&format!("left as it is: {other}"));
            }
        }
        let left = found.others.len();
        let (defaults, pool) = (&self.options.schedules, &self.pool);
        let begun = |contraction| Tuning::new(contraction, defaults, args.seed, pool);
        let tunings = found.contractions.into_iter().map(begun);
        let mut tunings = tunings.collect::<Result<Vec<Tuning>, Failure>>()?;
        let signals = Signals::catch()?;
        let start = Instant::now();
        let setting = Setting {
            trials: args.trials as usize,
            over_budget: &|| start.elapsed().as_secs_f64() >= args.budget,
            stopped: &|| signals.stopped().is_some(),
            used: &|candidate| used(candidate, self.function, &self.options),
        };
        let end = search(&mut tunings, &mut journal, &setting, &signals)?;
        let tuned: Vec<Schedule> = tunings.iter().filter_map(report::schedule).collect();
        let model = match end {
            End::Interrupted(_) => None,
            End::Trials | End::Budget if tuned.is_empty() => None,
            End::Trials | End::Budget => self.whole(&tuned, &mut journal, &signals)?,
        };
        let report = Report {
            args,
            about: &self.about,
            threads: pool.threads(),
            tunings: &tunings,
            left,
            ended: match end {
                End::Trials => "trials",
                End::Budget => "budget",
                End::Interrupted(_) => "interrupt",
            },
            model,
        };
        let text = tune::file(&report.header(), &tuned)?;
        files::write_atomically(&args.out, |file| file.write_all(text.as_bytes()))
            .map_err(|e| Failure::output(&e))?;
        if let End::Interrupted(outcome) = end {
            let message = format!(
                "interrupted; {} has the best so far, and `--resume` goes on",
                output::path(&args.out)
            );
            return Err(Failure { outcome, message });
        }
        report.print(global);
        Ok(Outcome::Success)
    }

    /// Seconds of the whole function before and after, on random inputs; nothing where they do not suit it.
    fn whole(
        &self,
        tuned: &[Schedule],
        journal: &mut Journal,
        signals: &Signals,
    ) -> Result<Option<(f64, f64)>, Failure> {
        let texts: Vec<String> = tuned.iter().map(tune::schedule_text).collect();
        // No contraction is called that.
        let (name, text) = ("*", texts.join("\n"));
        if let Some(known) = journal.get(name, &text) {
            return Ok(known.times);
        }
        let measured = || {
            let weights = self.options.weights.clone();
            let bench = Bench::new(self.function.clone(), weights, &self.pool)?;
            let defaults = &self.options.schedules;
            let before = bench.compile(defaults)?;
            let after = bench.compile(&[tuned, defaults.as_slice()].concat())?;
            let stopped = || signals.stopped().is_some();
            tune::by_turns(&bench, (&before, &after), tune::CAREFUL, &stopped)
        };
        let compared = match measured() {
            Ok(Some(compared)) => compared,
            Ok(None) => return Ok(None),
            Err(failure) => {
                output::complain(&format!("the whole is not timed: {}", failure.message));
                return Ok(None);
            }
        };
        let record = Record {
            contraction: name.to_owned(),
            candidate: text,
            verdict: match compared.better() {
                true => Verdict::Better,
                false => Verdict::Slower,
            },
            why: None,
            score: Some(compared.ratio),
            times: Some((compared.before, compared.before * compared.ratio)),
        };
        journal.append(&record)?;
        Ok(record.times)
    }
}

/// What must be the same where a search goes on.
fn about(
    args: &TuneArgs,
    project: &Project,
    function: &str,
    schedules: &[Schedule],
    pool: &Pool,
) -> BTreeMap<String, String> {
    let mut program = Sha256::new();
    for file in project.program.sources.files() {
        program.update(file.text.as_bytes());
    }
    let mut start = Sha256::new();
    for schedule in schedules {
        let Schedule {
            name,
            pattern,
            features,
            without,
            guard,
            steps,
            ..
        } = schedule;
        start.update(format!(
            "{name:?} {pattern:?} {features:?} {without:?} {guard:?} {steps:?}\n"
        ));
    }
    let hex = |digest: Sha256| {
        let bytes = digest.finalize();
        bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let mut dims = args.dims.clone();
    dims.sort_unstable();
    let pairs = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("build", env!("AIAI_BUILD").to_owned()),
        ("processor", tune::processor()),
        ("features", Target::host().features.join(" ")),
        ("threads", pool.threads().to_string()),
        ("program", hex(program)),
        ("function", function.to_owned()),
        ("dims", dims.join(" ")),
        ("schedules", hex(start)),
        ("seed", args.seed.to_string()),
    ];
    pairs.map(|(k, v)| (k.to_owned(), v)).into()
}

/// Whether some contraction of the function gets the schedule.
fn used(schedule: &Schedule, function: &Function, options: &Options) -> Result<bool, Failure> {
    let mut options = options.clone();
    options.schedules.insert(0, schedule.clone());
    let plan = || aiai_mlir::planned(function, &options, &Target::host());
    let notes = driver::on_a_deep_stack(plan)?.notes;
    let mut fits = notes
        .iter()
        .filter_map(|n| n.scheduled.as_ref())
        .flat_map(|s| &s.fits);
    Ok(fits.any(|fit| fit.schedule == schedule.name))
}

/// One candidate of each contraction after the other, until all are done.
fn search(
    tunings: &mut [Tuning],
    journal: &mut Journal,
    setting: &Setting,
    signals: &Signals,
) -> Result<End, Failure> {
    let bar = progress_bar(setting.trials * tunings.len());
    let mut open: Vec<usize> = (0..tunings.len()).collect();
    let mut short = false;
    while !open.is_empty() {
        let mut next = Vec::new();
        for &at in &open {
            if let Some(outcome) = signals.stopped() {
                bar.abandon();
                return Ok(End::Interrupted(outcome));
            }
            let step = tunings[at].step(journal, setting)?;
            match step {
                Step::Tried => next.push(at),
                Step::Done => {}
                // What the journal knows of the others still counts.
                Step::OverBudget => short = true,
                // The signal is seen above.
                Step::Interrupted => next.push(at),
            }
            bar.set_position(tunings.iter().map(|t| t.counts.tried as u64).sum());
            bar.set_message(report::progress(&tunings[at]));
        }
        open = next;
    }
    bar.finish_and_clear();
    Ok(if short { End::Budget } else { End::Trials })
}

fn progress_bar(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    let style = "{bar:30} candidate {pos} of {len}  {msg}  {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
