//! `aiai run`

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use aiai_frontend::elaborate::{Entry, Leaf, Shape};
use aiai_ir::Sym;
use aiai_runtime::program::{Place, ProfileRow};
use aiai_runtime::{Tensor, Tokenizer, npy};
use serde_json::{Map, Value, json};

use crate::backend::{self, Engine, runtime_dtype};
use crate::cli::{Global, RunArgs};
use crate::project::{self, Project};
use crate::values::{self, Stream};
use crate::{Ended, Failure, Outcome, driver, output};

pub fn run(args: &RunArgs, global: &Global) -> Ended {
    let (target, function) = driver::split_target(&args.target);
    let project = Project::open(&target, global)?;
    let name = project.function(function, &args.target)?;
    let dims = driver::parse_dims(&args.dims)?;
    let entry = driver::entry(&project.program, &name, &dims, global)?;
    let inputs = Inputs::new(args, &project, &entry)?.fill(&dims)?;
    let engine = Engine::for_program(&project.program, global)?;
    let options = aiai_codegen::Options {
        profile: args.profile,
        check_nan: args.check_nan,
        weights: driver::weights(&entry),
        ..Default::default()
    };
    let prepared = engine.prepare(&entry, &options)?;
    let borrowed: Vec<&Tensor> = inputs.iter().collect();
    prepared.load(&borrowed)?;
    let (results, mut profile) = prepared.run_profiled(&borrowed)?;
    let mut seconds = Vec::new();
    for _ in 0..args.repeat {
        let start = Instant::now();
        // Of several runs the last is profiled: the first also pays for memory and pages.
        (_, profile) = prepared.run_profiled(&borrowed)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let leaves = &entry.signature.result_leaves;
    let names: Vec<String> = leaves.iter().map(|l| result_name(&name, l)).collect();
    if global.json {
        let mut outputs = Map::new();
        for (name, tensor) in names.iter().zip(&results) {
            outputs.insert(name.clone(), values::to_json(&backend::array_of(tensor)));
        }
        let mut object = json!({"schema": 1, "outputs": outputs});
        object["compile_seconds"] = json!(prepared.prepared_in.as_secs_f64());
        object["peak_bytes"] = json!(prepared.peak_bytes());
        if args.repeat > 0 {
            object["seconds"] = json!(seconds);
        }
        if args.profile {
            object["profile"] = profile.iter().map(profile_json).collect::<Vec<_>>().into();
        }
        output::print(&object.to_string());
        return Ok(Outcome::Success);
    }
    let sentences = similarity(&project, &args.text, &results);
    match sentences {
        Some(table) => output::print(&table),
        None => {
            for (name, tensor) in names.iter().zip(&results) {
                output::print(&values::show(name, &backend::array_of(tensor)));
            }
        }
    }
    if args.repeat > 0 {
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2] * 1e3;
        eprintln!("median of {} runs: {median:.3} ms", seconds.len());
    }
    if args.profile {
        eprint!("{}", output::profile(&profile));
    }
    Ok(Outcome::Success)
}

fn profile_json(row: &ProfileRow) -> Value {
    let place = row.place.as_ref().map(Place::to_string);
    json!({"step": row.what, "place": place, "seconds": row.seconds, "calls": row.calls})
}

fn result_name(entry: &str, leaf: &Leaf) -> String {
    if leaf.path.is_empty() {
        entry.to_owned()
    } else {
        format!("{entry}.{}", leaf.path)
    }
}

/// Where the parameters of an entry get their values.
struct Inputs<'a> {
    args: &'a RunArgs,
    project: &'a Project,
    entry: &'a Entry,
    /// Values that are given by name.
    given: HashMap<String, Tensor>,
}

impl<'a> Inputs<'a> {
    fn new(
        args: &'a RunArgs,
        project: &'a Project,
        entry: &'a Entry,
    ) -> Result<Inputs<'a>, Failure> {
        let mut inputs = Inputs {
            args,
            project,
            entry,
            given: HashMap::new(),
        };
        for arg in &args.args {
            let (name, value) = pair("--arg", arg)?;
            let leaf = inputs.leaf(name)?;
            let array = values::parse(value, leaf.dtype)?;
            inputs.give(name, backend::tensor_of(&array)?)?;
        }
        for input in &args.inputs {
            let (name, path) = pair("--input", input)?;
            inputs.leaf(name)?;
            inputs.give(name, npy::load(Path::new(path))?)?;
        }
        inputs.tokenize()?;
        Ok(inputs)
    }

    fn leaves(&self) -> impl Iterator<Item = &'a Leaf> + use<'a> {
        self.entry.signature.params.iter().flat_map(|p| &p.2)
    }

    fn leaf(&self, name: &str) -> Result<&'a Leaf, Failure> {
        self.leaves().find(|l| l.path == name).ok_or_else(|| {
            let known: Vec<&str> = self.leaves().map(|l| l.path.as_str()).collect();
            Failure::input(format!(
                "no parameter `{name}`; there are {}",
                known.join(", ")
            ))
        })
    }

    fn give(&mut self, name: &str, tensor: Tensor) -> Result<(), Failure> {
        match self.given.insert(name.to_owned(), tensor) {
            None => Ok(()),
            Some(_) => Err(Failure::input(format!("`{name}` is given twice"))),
        }
    }

    /// Turns the texts into token ids and their mask.
    fn tokenize(&mut self) -> Result<(), Failure> {
        if self.args.text.is_empty() {
            return Ok(());
        }
        let Some(section) = &self.project.config.tokenizer else {
            return Err(Failure::input(
                "`--text` needs a `[tokenizer]` in `model.toml`",
            ));
        };
        let path = self.project.path(&section.path);
        let tokenizer = Tokenizer::open(&path, section.max_length)?;
        let batch = tokenizer.encode(&self.args.text)?;
        for (name, part) in [(&section.ids, &batch.ids), (&section.mask, &batch.mask)] {
            let leaf = self.leaf(name)?;
            self.give(name, batch.tensor(runtime_dtype(leaf.dtype), part)?)?;
        }
        Ok(())
    }

    /// A value for every leaf: given, from the weights, or drawn.
    fn fill(
        mut self,
        dims: &std::collections::BTreeMap<String, i64>,
    ) -> Result<Vec<Tensor>, Failure> {
        let mut sizes: HashMap<Sym, i64> = dims.iter().map(|(n, s)| (Sym::new(n), *s)).collect();
        for leaf in self.leaves() {
            if let Some(tensor) = self.given.get(&leaf.path) {
                for (dim, &size) in leaf.shape.iter().zip(tensor.shape()) {
                    if let Some(sym) = dim.as_sym() {
                        sizes.entry(sym).or_insert(size as i64);
                    }
                }
            }
        }
        if self.project.config.weights.is_some() {
            let params = self.entry.signature.params.iter();
            let modules = params.filter(|p| !matches!(p.1, Shape::Tensor | Shape::Key));
            let leaves: Vec<&Leaf> = modules
                .flat_map(|p| &p.2)
                .filter(|l| !self.given.contains_key(&l.path))
                .collect();
            let tensors = project::fill(self.project, &leaves)?;
            for (leaf, tensor) in leaves.iter().zip(tensors) {
                self.given.insert(leaf.path.clone(), tensor);
            }
        }
        let mut stream = self.args.random.map(Stream::new);
        let mut out = Vec::new();
        for leaf in self.leaves() {
            let tensor = match (self.given.remove(&leaf.path), &mut stream) {
                (Some(tensor), _) => tensor,
                (None, Some(stream)) => drawn(leaf, stream, &sizes)?,
                (None, None) => return Err(missing(leaf)),
            };
            out.push(tensor);
        }
        Ok(out)
    }
}

fn pair<'s>(option: &str, text: &'s str) -> Result<(&'s str, &'s str), Failure> {
    text.split_once('=')
        .ok_or_else(|| Failure::input(format!("`{option} {text}`: expected NAME=VALUE")))
}

fn missing(leaf: &Leaf) -> Failure {
    Failure::input(format!(
        "the parameter `{0}` has no value; give it with `--arg {0}=...` or `--input {0}=FILE.npy`, \
         or draw it with `--random SEED`",
        leaf.path
    ))
}

fn drawn(leaf: &Leaf, stream: &mut Stream, sizes: &HashMap<Sym, i64>) -> Result<Tensor, Failure> {
    let shape: Option<Vec<usize>> = leaf
        .shape
        .iter()
        .map(|d| usize::try_from(d.eval(&|s| sizes.get(&s).copied().or(Some(3)))?).ok())
        .collect();
    let shape =
        shape.ok_or_else(|| Failure::input(format!("`{}` has no usable shape", leaf.path)))?;
    // Integers are places or classes more often than not.
    let (low, high) = if leaf.dtype.is_float() {
        (-1.0, 1.0)
    } else {
        (0.0, 2.0)
    };
    stream.tensor(leaf.dtype, &shape, low, high)
}

/// How alike the sentences are: for a model of text whose result is one vector per sentence.
fn similarity(project: &Project, texts: &[String], results: &[Tensor]) -> Option<String> {
    project.config.tokenizer.as_ref()?;
    let [vectors] = results else { return None };
    let [rows, width] = vectors.shape() else {
        return None;
    };
    if *rows != texts.len() || *rows == 0 {
        return None;
    }
    let values = vectors.to_f64_vec().ok()?;
    let vector = |i: usize| &values[i * width..(i + 1) * width];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let cosine = |i: usize, j: usize| {
        let (a, b) = (vector(i), vector(j));
        dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
    };
    let mut lines = vec![format!(
        "cosine similarity of {rows} sentences ({width} numbers each)"
    )];
    let header: String = (1..=*rows).map(|j| format!("{j:>7}")).collect();
    lines.push(format!("   {header}"));
    for (i, text) in texts.iter().enumerate() {
        let row: String = (0..*rows)
            .map(|j| format!("{:>7.3}", cosine(i, j)))
            .collect();
        lines.push(format!(
            "{:>3}{row}  {}",
            i + 1,
            output::printable(text, 60)
        ));
    }
    Some(lines.join("\n"))
}
