//! Property tests of rules: both sides on the evaluator, over sizes and values that rewrites go wrong on.
//!
//! The result depends on the rule, the seed and the number of cases alone. A rule is convicted by one case that no
//! correct rule could show, or by a suspicion that fresh arguments confirm; what cannot be decided is counted.

use aiai_ir::Rule;
use aiai_ir::eval::Array;

mod compare;
mod counterexample;
mod element;
mod exhaustive;
pub(crate) mod given;
mod shrink;
mod sizes;
mod source;
mod twin;
mod values;
mod windows;

pub use counterexample::Counterexample;
pub use exhaustive::{ExhaustiveReport, exhaustive};
pub use values::working_range;

use aiai_ir::random::Random;
use compare::{Judge, Verdict};
use shrink::{Failing, Shrinker};
use sizes::{SizeSource, Sizes, Wish};
use values::{Theme, ValueSource};

/// How much is tried.
#[derive(Clone, Debug)]
pub struct TestOptions {
    pub seed: u64,
    /// Sets of arguments.
    pub cases: u64,
    /// Elements of a tensor of either side, at most.
    pub max_elements: usize,
    /// Steps of one run of a side, at most.
    pub max_steps: u64,
}

impl Default for TestOptions {
    fn default() -> TestOptions {
        TestOptions {
            seed: 0,
            cases: 1000,
            max_elements: 1 << 13,
            max_steps: 1 << 18,
        }
    }
}

/// What the tests of a rule found.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// Sets of arguments tried.
    pub cases: u64,
    /// Those on which at least one element was compared.
    pub compared: u64,
    /// Those on which nothing could be decided.
    pub undecided: u64,
    /// Those on which the left side stops with an error, so that nothing is claimed.
    pub left_stops: u64,
    /// Those without elements in the results, and those beyond the limits.
    pub empty: u64,
    /// Whether sizes were found that satisfy the guard and the types.
    pub sizes_found: bool,
    pub seed: u64,
    pub failure: Option<Counterexample>,
}

impl TestReport {
    /// Why the tests say nothing of the rule, where they do not: no sizes satisfy the guard, or next to nothing
    /// could be compared.
    pub fn inconclusive(&self) -> Option<String> {
        if self.failure.is_some() {
            return None;
        }
        if !self.sizes_found {
            return Some("no sizes were found that satisfy the guard and the types".into());
        }
        if self.compared * 20 < self.cases {
            return Some(format!(
                "of {} cases {} were compared: {} undecided, {} where the left side stops, {} without results",
                self.cases, self.compared, self.undecided, self.left_stops, self.empty
            ));
        }
        None
    }
}

/// Sizes of a rule drawn for one test, and how often the left side stops on each.
const MOST_SIZES: usize = 160;

/// The wishes of sizes in turns.
const WISHES: [Wish; 16] = [
    Wish::Small,
    Wish::Distinct,
    Wish::Medium,
    Wish::Single,
    Wish::Small,
    Wish::Empty,
    Wish::Distinct,
    Wish::Mentioned,
    Wish::Small,
    Wish::Edge,
    Wish::Medium,
    Wish::Single,
    Wish::Small,
    Wish::Distinct,
    Wish::Mentioned,
    Wish::Huge,
];

/// Tries a rule on random arguments.
pub fn test(rule: &Rule, options: &TestOptions) -> TestReport {
    let sizes = SizeSource::new(rule, options.max_elements);
    let values = ValueSource::new(rule);
    let judge = Judge::new(rule, options.max_elements, options.max_steps);
    let mut report = TestReport {
        cases: 0,
        compared: 0,
        undecided: 0,
        left_stops: 0,
        empty: 0,
        sizes_found: false,
        seed: options.seed,
        failure: None,
    };
    let drawn = draw_sizes(&sizes, &values, &judge, options);
    judge.take_time();
    report.sizes_found = !drawn.is_empty();
    if drawn.is_empty() {
        return report;
    }
    if let Some(found) = beyond_memory(rule, &sizes, options, &mut report) {
        report.failure = Some(found);
        return report;
    }
    let themes = Theme::of(rule.class);
    for case in 0..options.cases {
        let mut random = Random::stream(options.seed, case);
        let theme = themes[case as usize % themes.len()];
        let sizes_at = &drawn[random.below(drawn.len())];
        let Some(inputs) = values.draw(&mut random, sizes_at, theme) else {
            continue;
        };
        report.cases += 1;
        match judge.judge(&inputs, sizes_at) {
            Verdict::Agree { compared: 0, .. } | Verdict::Unfit => report.empty += 1,
            Verdict::Agree { .. } => report.compared += 1,
            Verdict::Undecided => report.undecided += 1,
            Verdict::LeftStops => report.left_stops += 1,
            Verdict::Differ(difference) => {
                report.compared += 1;
                let failing = Failing {
                    sizes: sizes_at.clone(),
                    inputs,
                    difference: *difference,
                };
                judge.take_time();
                if convicts(&judge, &values, &failing, theme, &mut random) {
                    let small = Shrinker::new(&judge, &sizes, &values).shrink(failing, theme);
                    report.failure = Some(counterexample(rule, small));
                    return report;
                }
            }
        }
    }
    report
}

/// Arguments for each window of a rule.
const WINDOW_DRAWS: u64 = 3;

/// Tries a rule at positions of dimensions that no memory holds, where its sides allow that.
fn beyond_memory(
    rule: &Rule,
    sizes: &SizeSource,
    options: &TestOptions,
    report: &mut TestReport,
) -> Option<Counterexample> {
    for (number, window) in windows::windows(rule, sizes).into_iter().enumerate() {
        let values = ValueSource::new(&window.rule);
        let judge = Judge::new(&window.rule, options.max_elements, options.max_steps);
        for draw in 0..WINDOW_DRAWS {
            let stream = u64::MAX - 2 - number as u64 * WINDOW_DRAWS - draw;
            let mut random = Random::stream(options.seed, stream);
            let inputs = values.draw(&mut random, &window.small, Theme::Ordinary)?;
            report.cases += 1;
            match judge.judge(&inputs, &window.small) {
                Verdict::Differ(difference) if difference.firm => {
                    let mut failing = Failing {
                        sizes: window.small.clone(),
                        inputs,
                        difference: *difference,
                    };
                    let why = format!(
                        "at positions from {} of large dimensions: {}",
                        window.offset, failing.difference.why
                    );
                    failing.difference.why = why;
                    let mut found = counterexample(rule, failing);
                    found.sizes = window.large;
                    found.beyond_memory = true;
                    return Some(found);
                }
                Verdict::Agree { compared, .. } if compared > 0 => report.compared += 1,
                Verdict::Undecided => report.undecided += 1,
                _ => report.empty += 1,
            }
        }
    }
    None
}

/// Sizes of every wish that satisfy the guard, on which the left side does not stop whatever the values.
fn draw_sizes(
    source: &SizeSource,
    values: &ValueSource,
    judge: &Judge,
    options: &TestOptions,
) -> Vec<Sizes> {
    let mut drawn: Vec<Sizes> = Vec::new();
    let mut random = Random::stream(options.seed, u64::MAX);
    let wanted = if source.syms.is_empty() {
        1
    } else {
        MOST_SIZES.min(options.cases as usize)
    };
    for round in 0..wanted {
        let wish = WISHES[round % WISHES.len()];
        if let Some(sizes) = source.draw(&mut random, wish) {
            drawn.push(sizes);
        }
    }
    if drawn.is_empty()
        && let Some(sizes) = source.draw(&mut random, Wish::Any)
    {
        drawn.push(sizes);
    }
    let usable = |sizes: &Sizes| {
        let mut random = Random::stream(options.seed, u64::MAX - 1);
        // Where many runs take too long, it is not for the sizes.
        judge.hurries()
            || (0..3).any(|_| {
                let inputs = values.draw(&mut random, sizes, Theme::Whole);
                let stops = |inputs: Vec<Array>| {
                    matches!(
                        judge.judge(&inputs, sizes),
                        Verdict::LeftStops | Verdict::Unfit
                    )
                };
                inputs.is_some_and(|inputs| !stops(inputs))
            })
    };
    let (good, stopping): (Vec<Sizes>, Vec<Sizes>) = drawn.into_iter().partition(usable);
    if good.is_empty() { stopping } else { good }
}

/// Fresh arguments of the same sizes, for a suspicion.
const RETESTS: usize = 8;

/// Whether a difference convicts: at once, or because it shows again on most fresh arguments.
fn convicts(
    judge: &Judge,
    values: &ValueSource,
    failing: &Failing,
    theme: Theme,
    random: &mut Random,
) -> bool {
    if failing.difference.firm {
        return true;
    }
    let mut again = 0;
    for _ in 0..RETESTS {
        let inputs = match theme {
            Theme::Special | Theme::Strange => values.refresh(random, &failing.inputs),
            _ => match values.draw(random, &failing.sizes, theme) {
                Some(inputs) => inputs,
                None => continue,
            },
        };
        if matches!(judge.judge(&inputs, &failing.sizes), Verdict::Differ(_)) {
            again += 1;
        }
    }
    again * 4 >= RETESTS * 3
}

fn counterexample(rule: &Rule, failing: Failing) -> Counterexample {
    let Failing {
        sizes,
        inputs,
        difference,
    } = failing;
    let size = |dim: &aiai_ir::Dim| {
        let value = dim.eval(&|sym| sizes.get(&sym).copied()).unwrap_or(0);
        usize::try_from(value).unwrap_or(0)
    };
    let result = |ty: aiai_ir::Type| (ty.dtype(), ty.shape().iter().map(size).collect());
    let results = rule.lhs.result_types().into_iter().map(result).collect();
    let mut named: Vec<_> = sizes.iter().map(|(sym, size)| (*sym, *size)).collect();
    named.sort();
    let names = rule.params.iter().map(|param| param.name);
    Counterexample {
        rule: rule.name,
        instance: rule.instance.clone(),
        sizes: named,
        inputs: names.zip(inputs).collect(),
        left: difference.left,
        right: difference.right,
        at: difference.at,
        result: difference.result,
        results,
        right_stops: difference.right_stops,
        why: difference.why,
        beyond_memory: false,
        source: None,
    }
}
