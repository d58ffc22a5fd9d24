//! `aiai build`: a model as a library that needs no aiai.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aiai_codegen::{Object, Options, Target};
use aiai_frontend::elaborate::{Entry, Leaf, Shape};
use aiai_runtime::program::Package;
use aiai_runtime::{Tensor, safetensors};
use serde_json::json;

use crate::cli::{Backend, BuildArgs, Global};
use crate::project::{self, Project, WeightsSection};
use crate::{Ended, Failure, Outcome, driver, llvm, output, rules};

mod header;
mod link;

pub fn run(args: &BuildArgs, global: &Global) -> Ended {
    let target = Target::parse(&args.target).map_err(|e| Failure::input(e.to_string()))?;
    let place = Place::new(&args.out)?;
    let (file, function) = driver::split_target(&args.model);
    let mut project = Project::open(&file, global)?;
    if let Some(path) = &args.weights {
        let path = std::path::absolute(path).map_err(|e| Failure::input(e.to_string()))?;
        project.config.weights = Some(WeightsSection::plain(path));
    }
    let name = project.function(function, &args.model)?;
    let dims = driver::parse_dims(&args.dims)?;
    let mut entry = driver::entry(&project.program, &name, &dims, global)?;
    let weights = weights(args, &project, &entry)?;
    let start = Instant::now();
    let passes = rules::options(global)?;
    let done = driver::on_a_deep_stack(|| driver::optimize(&mut entry, &passes))??;
    if global.verbose {
        rules::explain(&done.trace);
    }
    let options = Options {
        weights: weight_numbers(&entry, &weights),
        schedules: match global.backend {
            Backend::Llvm => driver::schedules(&project.program, global)?,
            Backend::Interp | Backend::Cranelift => Vec::new(),
        },
        ..Options::default()
    };
    let symbol = place.entry();
    let code = driver::on_a_deep_stack(|| object(&entry, &options, &target, &symbol, global))??;
    let seconds = start.elapsed().as_secs_f64();
    let package = Package {
        features: target.features,
        weights: weights.keys().cloned().collect(),
        program: code.program,
    };
    let descriptor = aiai_codegen::descriptor(&package, &place.symbol(), &place.entry())
        .map_err(|e| Failure::environment(format!("the object file: {e}")))?;
    let header = header::text(&place.name, &package);
    let files = Files {
        code: &code.bytes,
        descriptor: &descriptor,
        header: &header,
        weights: &weights,
    };
    let made = files.write(&place)?;
    report(&made, seconds, global);
    Ok(Outcome::Success)
}

/// Where the files go: a folder and the name that they share.
pub struct Place {
    pub folder: PathBuf,
    /// An identifier of C.
    pub name: String,
}

impl Place {
    fn new(out: &Path) -> Result<Place, Failure> {
        let name = out.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
        if !starts || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Failure::input(format!(
                "`--out {}`: the last part names the library and is an identifier of C: letters, digits, `_`",
                output::path(out)
            )));
        }
        let folder = out.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        if !folder.is_dir() {
            return Err(Failure::input(format!(
                "{}: no such folder",
                output::path(&folder)
            )));
        }
        Ok(Place {
            folder,
            name: name.to_owned(),
        })
    }

    /// The symbol of the compiled code.
    fn entry(&self) -> String {
        format!("{}_entry", self.name)
    }

    /// The symbol that users of the library pass on.
    pub fn symbol(&self) -> String {
        format!("{}_program", self.name)
    }
}

/// Which parameters are weights.
fn weight_numbers(entry: &Entry, weights: &BTreeMap<String, Tensor>) -> Vec<usize> {
    let leaves = entry.signature.params.iter().flat_map(|p| &p.2);
    let is_weight = |l: &(usize, &Leaf)| weights.contains_key(&l.1.path);
    leaves.enumerate().filter(is_weight).map(|l| l.0).collect()
}

fn object(
    entry: &Entry,
    options: &Options,
    target: &Target,
    symbol: &str,
    global: &Global,
) -> Result<Object, Failure> {
    let Some(function) = entry.module.get(entry.name) else {
        unreachable!("the pipeline keeps the entry");
    };
    if global.verbose && global.backend == Backend::Llvm {
        driver::explain_loops(function, options, target)?;
    }
    match global.backend {
        Backend::Interp => Err(Failure::input(
            "the evaluator makes no code; `--backend` is `cranelift` or `llvm`",
        )),
        Backend::Cranelift => aiai_codegen::object(function, options, target, symbol)
            .map_err(|e| Failure::environment(e.to_string())),
        Backend::Llvm => llvm::object(function, options, target, symbol),
    }
}

/// The parameters of modules, where the project says where they come from.
fn weights(
    args: &BuildArgs,
    project: &Project,
    entry: &Entry,
) -> Result<BTreeMap<String, Tensor>, Failure> {
    if args.no_weights || project.config.weights.is_none() {
        return Ok(BTreeMap::new());
    }
    let params = entry.signature.params.iter();
    let modules = params.filter(|p| !matches!(p.1, Shape::Tensor | Shape::Key));
    let leaves: Vec<&Leaf> = modules.flat_map(|p| &p.2).collect();
    let tensors = project::fill(project, &leaves)?;
    let names = leaves.iter().map(|leaf| leaf.path.clone());
    Ok(names.zip(tensors).collect())
}

/// What is written.
struct Files<'a> {
    code: &'a [u8],
    descriptor: &'a [u8],
    header: &'a str,
    weights: &'a BTreeMap<String, Tensor>,
}

impl Files<'_> {
    /// Makes every file in a folder of its own, and moves them once all are whole.
    fn write(&self, place: &Place) -> Result<Vec<PathBuf>, Failure> {
        let io = |error: std::io::Error| {
            Failure::environment(format!("{}: {error}", output::path(&place.folder)))
        };
        let work = tempfile::Builder::new()
            .prefix(".aiai-")
            .tempdir_in(&place.folder)
            .map_err(io)?;
        let name = &place.name;
        let at = |file: &str| work.path().join(file);
        std::fs::write(at("code.o"), self.code).map_err(io)?;
        std::fs::write(at("descriptor.o"), self.descriptor).map_err(io)?;
        let mut names = vec![
            format!("{name}.o"),
            format!("lib{name}.so"),
            format!("{name}.h"),
            link::RUNTIME.to_owned(),
        ];
        std::fs::write(at(link::RUNTIME), link::ARCHIVE).map_err(io)?;
        std::fs::write(at(&names[2]), self.header).map_err(io)?;
        if !self.weights.is_empty() {
            names.push(format!("{name}.safetensors"));
            let path = at(&names[names.len() - 1]);
            safetensors::save(&path, self.weights, &BTreeMap::new())
                .map_err(|e| Failure::output(&e))?;
        }
        link::link(work.path(), place)?;
        let mut made = Vec::new();
        for file in &names {
            let to = place.folder.join(file);
            std::fs::rename(at(file), &to).map_err(io)?;
            made.push(to);
        }
        Ok(made)
    }
}

fn report(made: &[PathBuf], seconds: f64, global: &Global) {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    if global.json {
        let files: Vec<_> = made
            .iter()
            .map(|path| json!({"path": path.to_string_lossy(), "bytes": size(path)}))
            .collect();
        let object = json!({"schema": 1, "files": files, "compile_seconds": seconds});
        output::print(&object.to_string());
        return;
    }
    for path in made {
        output::print(&format!("{:>12}  {}", size(path), output::path(path)));
    }
}
