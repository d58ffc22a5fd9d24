//! What rules cost the compiler: making instances, the decision tree, matching, beside trying rule by rule.
//!
//! `cargo run --release -p aiai-passes --example matching -- RULES.aiai... -- MODEL.aiai...`

use std::path::Path;
use std::time::Instant;

use aiai_frontend::elaborate::{Loader, Program, check, rule_library};
use aiai_ir::{Function, Instance, RuleInfo, RuleSet};
use aiai_passes::rewrite::cost::Costs;
use aiai_passes::rewrite::{Float, Library, Limits, Rewriter, Rules, Source, Survey};
use aiai_passes::{Options, optimize};

struct Files;

impl Loader for Files {
    fn load(&self, from: &str, path: &[&str]) -> Result<(String, String), String> {
        let name = Path::new(from).with_file_name(format!("{}.aiai", path.join("/")));
        let text = std::fs::read_to_string(&name).map_err(|e| e.to_string())?;
        Ok((name.to_string_lossy().into_owned(), text))
    }
}

struct OfProgram(Program);

impl Source for OfProgram {
    fn infos(&self) -> Vec<RuleInfo> {
        self.0.rule_infos()
    }

    fn instantiate(&self, wanted: &[(usize, Instance)]) -> RuleSet {
        let start = Instant::now();
        let set = self.0.instantiate(wanted);
        println!(
            "  {} instances asked for, {} made in {:?}",
            wanted.len(),
            set.rules.len(),
            start.elapsed()
        );
        set
    }
}

fn load(path: &str) -> Program {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let program = check(path, &text, &Files);
    for found in program.diagnostics.iter() {
        println!("{path}: {}", found.message);
    }
    program
}

/// The functions of a program that are entries, as rules meet them.
fn functions(path: &str) -> Vec<Function> {
    let program = load(path);
    let mut found = Vec::new();
    for name in program.functions() {
        let Ok(entry) = program.entry(name, &Default::default()) else {
            continue;
        };
        let mut module = entry.module;
        let options = Options {
            stop_after: Some("differentiate".into()),
            ..Options::default()
        };
        if optimize(&mut module, entry.name, &options).is_ok()
            && let Some(function) = module.get(entry.name)
        {
            let mut function = function.clone();
            aiai_passes::cse::merge_common(&mut function);
            aiai_passes::dce::eliminate_dead_code(&mut function);
            found.push(function);
        }
    }
    found
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (rules, models) = match args.iter().position(|a| a == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (&args[..], &[][..]),
    };
    let start = Instant::now();
    let texts: Vec<(String, String)> = rules
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
            (path.clone(), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = texts
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    let program = rule_library(&files);
    let sources: Vec<Box<dyn Source>> = vec![Box::new(OfProgram(program))];
    println!("rules read in {:?}", start.elapsed());
    let start = Instant::now();
    let library = Library::new(sources, Float::All);
    println!(
        "{} rules listed in {:?}",
        library.infos().count(),
        start.elapsed()
    );
    for model in models {
        for function in functions(model) {
            one(&library, model, &function);
        }
    }
}

/// Times `work` and says what it gave; the least of several runs.
fn timed<T>(runs: usize, mut work: impl FnMut() -> T) -> (T, f64) {
    let mut best = f64::INFINITY;
    let mut last = None;
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        last = Some(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    (last.expect("at least one run"), best * 1e3)
}

fn one(library: &Library, model: &str, function: &Function) {
    let mut ops = 0;
    function.body.walk(&mut |_| ops += 1);
    let (made, first) = timed(1, || library.rules_for(function));
    let (_, again) = timed(5, || library.rules_for(function));
    let (_, tree) = timed(5, || Rules::shared(made.instances().to_vec()));
    // All instances that the types admit, whatever the ops are: more to try, as a set without a library has.
    let all = library.rules_for_types(function);
    let survey = Survey::new(&all, function);
    let (compiled, fast) = timed(20, || survey.compiled());
    let (slow_fits, slow) = timed(5, || survey.one_by_one());
    assert_eq!(compiled, slow_fits, "both find the same");
    let mut rewritten = function.clone();
    let (trace, greedy) = timed(1, || library.greedy(&mut rewritten, &Limits::default()));
    let mut after = 0;
    rewritten.body.walk(&mut |_| after += 1);
    let mut saturated = function.clone();
    let (found, saturating) = timed(1, || library.saturate(&mut saturated, &Limits::default()));
    let costs = Costs::of(function);
    let cost = |f: &Function| costs.region(f, &f.body);
    let all_costs = [function, &rewritten, &saturated].map(cost);
    println!(
        "{model}:{}: {ops} ops, {} instances ({first:.2} ms first, {again:.2} ms again, tree {tree:.2} ms); \
matching {} instances {fast:.3} ms by the tree, {slow:.3} ms one by one: {:.1} times; {} fits; greedy {greedy:.2} ms, \
{} firings, {after} ops behind",
        function.name,
        made.instances().len(),
        all.instances().len(),
        slow / fast,
        compiled.len(),
        trace.firings.len(),
    );
    println!(
        "  saturated in {saturating:.1} ms, {} firings, limit {:?}; cost {} as written, {} greedily, {} saturated",
        found.firings.len(),
        found.limit_hit,
        all_costs[0],
        all_costs[1],
        all_costs[2],
    );
    let mut counts: Vec<(String, usize)> = Vec::new();
    for firing in &trace.firings {
        match counts.iter_mut().find(|c| c.0 == firing.rule.as_str()) {
            Some(count) => count.1 += 1,
            None => counts.push((firing.rule.to_string(), 1)),
        }
    }
    println!("  {counts:?} {:?}", trace.limit_hit);
}
