//! Models with what surrounds them: a folder with `model.toml`, or a bare program. See docs/models.md.

use std::path::{Path, PathBuf};

use aiai_frontend::elaborate::Program;

use crate::cli::Global;
use crate::{Failure, driver};

mod config;
mod data;
mod keys;
mod weights;

pub use config::{Config, TrainSection, WeightsSection};
pub use data::Data;
pub use weights::fill;

/// A program with its configuration.
pub struct Project {
    /// What paths of the configuration are relative to.
    pub folder: PathBuf,
    pub config: Config,
    pub program: Program,
}

impl Project {
    /// Opens a folder, a `model.toml` or a bare program, and checks the program.
    pub fn open(target: &Path, global: &Global) -> Result<Project, Failure> {
        let is_config = target.extension().is_some_and(|e| e == "toml");
        let (folder, config) = if target.is_dir() || is_config {
            let path = if is_config {
                target.to_owned()
            } else {
                target.join("model.toml")
            };
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            (folder, Config::read(&path)?)
        } else {
            let folder = target.parent().unwrap_or(Path::new("")).to_owned();
            (folder, Config::bare(target))
        };
        let program = driver::load(&folder.join(&config.model.file), global)?;
        Ok(Project {
            folder,
            config,
            program,
        })
    }

    /// The function that a command takes: the one it is given, or the entry of the configuration, or
    /// `main`, or the only one there is. `target` is how the command names the project.
    pub fn function(&self, given: Option<&str>, target: &str) -> Result<String, Failure> {
        if let Some(name) = given.or(self.config.model.entry.as_deref()) {
            return Ok(name.to_owned());
        }
        let names = self.program.functions();
        match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => Err(Failure::input(format!("{target}: no function in it"))),
            _ if names.contains(&"main") => Ok("main".to_owned()),
            _ => {
                let targets: Vec<String> = names.iter().map(|n| format!("{target}:{n}")).collect();
                let targets = targets.join("`, `");
                Err(Failure::input(format!(
                    "which function? There is no `main`; name one: `{targets}`"
                )))
            }
        }
    }

    /// A path of the configuration.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.folder.join(relative)
    }
}
