//! The tuning of one contraction: candidates are checked, verified, and measured against the best so far.

use aiai_codegen::Target;
use aiai_ir::Schedule;
use aiai_ir::schedule::Pattern;
use aiai_runtime::{Pool, Tensor};

use super::bench::{Bench, CAREFUL, Code, QUICK, by_turns, difference};
use super::contraction::Contraction;
use super::journal::{Journal, Record, Verdict};
use super::search::Search;
use super::space::{Point, Space};
use super::text;
use crate::{Failure, driver, output};

/// A contraction with what is known about its schedules.
pub struct Tuning<'p> {
    pub contraction: Contraction,
    pub best: Option<Best>,
    pub counts: Counts,
    search: Search,
    bench: Bench<'p>,
    defaults: &'p [Schedule],
    /// Made when something is measured.
    codes: Option<Codes>,
}

/// A schedule that is better than the default.
#[derive(Clone)]
pub struct Best {
    pub schedule: Schedule,
    /// Seconds of the default and of this one.
    pub before: f64,
    pub after: f64,
}

/// Candidates by what became of them.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub tried: usize,
    pub unfit: usize,
    /// That computed something else, or of which no code could be made: defects of the compiler.
    pub broken: usize,
}

struct Codes {
    default: Code,
    /// The best so far, where it is not the default.
    best: Option<Code>,
    wanted: Vec<Tensor>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Tried,
    /// There are no more candidates, or as many as wanted were tried.
    Done,
    /// A candidate would have to be measured, and may not.
    OverBudget,
    Interrupted,
}

/// What surrounds a step.
pub struct Setting<'a> {
    /// Candidates of each contraction, at most.
    pub trials: usize,
    pub over_budget: &'a dyn Fn() -> bool,
    pub stopped: &'a dyn Fn() -> bool,
    /// Whether a schedule is used in the whole function.
    pub used: &'a dyn Fn(&Schedule) -> Result<bool, Failure>,
}

impl<'p> Tuning<'p> {
    pub fn new(
        contraction: Contraction,
        defaults: &'p [Schedule],
        seed: u64,
        pool: &'p Pool,
    ) -> Result<Tuning<'p>, Failure> {
        let space = Space::new(&contraction.base, &contraction.sizes);
        let alone = &contraction.alone;
        Ok(Tuning {
            bench: Bench::new(alone.function.clone(), alone.weights.clone(), pool)?,
            search: Search::new(space, seed),
            contraction,
            best: None,
            counts: Counts::default(),
            defaults,
            codes: None,
        })
    }

    /// Tries one candidate, or takes from the journal what became of it.
    pub fn step(&mut self, journal: &mut Journal, setting: &Setting) -> Result<Step, Failure> {
        // Unfit candidates cost nothing, but there may be many.
        const MOST_UNFIT: usize = 16;
        let Counts { tried, unfit, .. } = self.counts;
        if tried >= setting.trials || unfit >= setting.trials.saturating_mul(MOST_UNFIT) {
            return Ok(Step::Done);
        }
        let Some(point) = self.search.propose() else {
            return Ok(Step::Done);
        };
        let candidate = Schedule {
            name: self.contraction.name,
            guard: self.contraction.guard(),
            steps: self.search.space.steps(&point),
            doc: String::new(),
            loc: None,
            ..self.contraction.base.clone()
        };
        let shown = text::schedule(&candidate);
        let name = self.contraction.name.to_string();
        let record = match journal.get(&name, &shown) {
            Some(record) => record.clone(),
            None if (setting.over_budget)() => return Ok(Step::OverBudget),
            None => {
                let mut record = Record {
                    contraction: name,
                    candidate: shown,
                    verdict: Verdict::Unfit,
                    why: None,
                    score: None,
                    times: None,
                };
                if !self.judge(&candidate, &mut record, setting)? {
                    return Ok(Step::Interrupted);
                }
                journal.append(&record)?;
                record
            }
        };
        self.enter(&point, candidate, &record);
        Ok(Step::Tried)
    }

    /// Counts a candidate, and remembers it where it is the best.
    fn enter(&mut self, point: &Point, candidate: Schedule, record: &Record) {
        match record.verdict {
            Verdict::Unfit => self.counts.unfit += 1,
            Verdict::Failed | Verdict::Wrong => {
                self.counts.tried += 1;
                self.counts.broken += 1;
                let why = record.why.as_deref().unwrap_or("");
                output::complain(&format!(
                    "a bug in aiai: by this schedule `{}` is wrong: {why}\n{}",
                    record.contraction, record.candidate
                ));
            }
            Verdict::Slower => self.counts.tried += 1,
            Verdict::Better => {
                self.counts.tried += 1;
                if let Some((before, after)) = record.times {
                    self.best = Some(Best {
                        schedule: candidate,
                        before,
                        after,
                    });
                }
            }
        }
        self.search.report(point, record.score);
    }

    /// Completes the record of a candidate. Whether it was measured to the end.
    fn judge(
        &mut self,
        candidate: &Schedule,
        record: &mut Record,
        setting: &Setting,
    ) -> Result<bool, Failure> {
        let stopped = setting.stopped;
        if let Err(why) = self.fits(candidate)? {
            record.why = Some(why);
            return Ok(true);
        }
        let alone = self.alone(candidate);
        let code = match self.bench.compile(&[alone]) {
            Ok(code) => code,
            Err(failure) => {
                (record.verdict, record.why) = (Verdict::Failed, Some(failure.message));
                return Ok(true);
            }
        };
        let codes = match self.codes.take() {
            Some(codes) => codes,
            None => self.known_codes()?,
        };
        let codes = self.codes.insert(codes);
        let found = self.bench.run(&code);
        let differs = match found {
            Ok(found) => difference(&codes.wanted, &found)?,
            Err(failure) => Some(failure.message),
        };
        if differs.is_some() {
            (record.verdict, record.why) = (Verdict::Wrong, differs);
            return Ok(true);
        }
        let known = self.best.as_ref().map_or(1.0, |b| b.after / b.before);
        let incumbent = codes.best.as_ref().unwrap_or(&codes.default);
        let Some(quick) = by_turns(&self.bench, (incumbent, &code), QUICK, stopped)? else {
            return Ok(false);
        };
        record.verdict = Verdict::Slower;
        record.score = Some(known * quick.cautious());
        if !quick.better() {
            return Ok(true);
        }
        if !(setting.used)(candidate)? {
            record.verdict = Verdict::Unfit;
            record.why = Some("it fits the contraction alone only".into());
            return Ok(true);
        }
        // Of many candidates one looks good by chance: it is measured again, against the default.
        let pair = (&codes.default, &code);
        let Some(careful) = by_turns(&self.bench, pair, CAREFUL, stopped)? else {
            return Ok(false);
        };
        record.score = Some(careful.cautious());
        if careful.better() && careful.ratio < known {
            record.verdict = Verdict::Better;
            // The ratio is steadier than the two times.
            record.times = Some((careful.before, careful.before * careful.ratio));
            codes.best = Some(code);
        }
        Ok(true)
    }

    /// The default, and what an earlier run found to be the best, as code.
    fn known_codes(&self) -> Result<Codes, Failure> {
        let default = self.bench.compile(self.defaults)?;
        let best = self.best.as_ref().map(|b| self.alone(&b.schedule));
        let best = best
            .map(|schedule| self.bench.compile(&[schedule]))
            .transpose()?;
        Ok(Codes {
            wanted: self.bench.run(&default)?,
            default,
            best,
        })
    }

    /// A candidate for the contraction alone.
    fn alone(&self, candidate: &Schedule) -> Schedule {
        Schedule {
            guard: self.contraction.own_guard(),
            ..candidate.clone()
        }
    }

    /// Whether the front end and code generation take a candidate; if not, why.
    fn fits(&self, candidate: &Schedule) -> Result<Result<(), String>, Failure> {
        if let Err(why) = text::checked(candidate) {
            return Ok(Err(why));
        }
        let options = self.bench.options(&[self.alone(candidate)]);
        let function = self.bench.function();
        let loops =
            driver::on_a_deep_stack(|| aiai_mlir::planned(function, &options, &Target::host()))?;
        let mut notes = loops.notes;
        notes.retain(|note| note.pattern == Pattern::Contract);
        let reasons: Vec<String> = notes.iter().map(|note| note.what.clone()).collect();
        Ok(match notes.iter().all(|note| note.scheduled.is_some()) {
            true => Ok(()),
            false => Err(reasons.join("; ")),
        })
    }
}
