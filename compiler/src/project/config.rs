//! `model.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keys::explain;
use crate::Failure;
use crate::files::read_text;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub model: ModelSection,
    pub train: Option<TrainSection>,
    pub data: Option<DataSection>,
    pub weights: Option<WeightsSection>,
    pub tokenizer: Option<TokenizerSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSection {
    pub file: PathBuf,
    /// What commands take where they are given no function.
    pub entry: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSection {
    pub init: String,
    pub step: String,
    pub evaluate: String,
    pub epochs: u64,
    pub batch_size: usize,
    pub eval_batch_size: Option<usize>,
    pub seed: u64,
    pub checkpoint: PathBuf,
    pub checkpoint_every: u64,
}

#[derive(Debug, Default)]
pub struct DataSection {
    pub path: PathBuf,
    pub folds: Option<PathBuf>,
    pub fold: Option<u64>,
    /// By the name of the parameter that a table fills.
    pub tables: BTreeMap<String, TableSection>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table of examples; other keys of `[data]` are `path`, `folds`, `fold`"
)]
pub struct TableSection {
    pub columns: Option<String>,
    pub array: Option<String>,
    pub scale: Option<f64>,
    pub shift: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsSection {
    pub path: PathBuf,
    #[serde(default)]
    pub ignore: Vec<String>,
    #[serde(default)]
    pub map: BTreeMap<String, Source>,
}

impl WeightsSection {
    /// A file whose names are those of the leaves; it may have more.
    pub fn plain(path: PathBuf) -> WeightsSection {
        WeightsSection {
            path,
            ignore: vec!["*".into()],
            map: BTreeMap::new(),
        }
    }
}

/// Where a leaf comes from: the name of a tensor, or what is done with one or several.
#[derive(Clone, Debug)]
pub enum Source {
    Name(String),
    Recipe(Recipe),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub from: Option<String>,
    pub fuse: Option<Vec<String>>,
    #[serde(default)]
    pub axis: usize,
    pub split: Option<usize>,
    #[serde(default)]
    pub part: usize,
    pub transpose: Option<Vec<usize>>,
    #[serde(default)]
    pub reshape: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerSection {
    pub path: PathBuf,
    pub max_length: usize,
    #[serde(default = "ids")]
    pub ids: String,
    #[serde(default = "mask")]
    pub mask: String,
}

fn ids() -> String {
    "id".into()
}

fn mask() -> String {
    "mask".into()
}

impl Default for ModelSection {
    fn default() -> ModelSection {
        ModelSection {
            file: "model.aiai".into(),
            entry: None,
        }
    }
}

impl Default for TrainSection {
    fn default() -> TrainSection {
        TrainSection {
            init: "init".into(),
            step: "step".into(),
            evaluate: "evaluate".into(),
            epochs: 10,
            batch_size: 32,
            eval_batch_size: None,
            seed: 0,
            checkpoint: "checkpoint.safetensors".into(),
            checkpoint_every: 1,
        }
    }
}

impl Config {
    pub fn read(path: &Path) -> Result<Config, Failure> {
        let text = read_text(path)?;
        let config: Config = toml::from_str(&text)
            .map_err(|e| Failure::input(format!("{}: {}", path.display(), explain(&e))))?;
        config
            .check()
            .map_err(|e| Failure::input(format!("{}: {e}", path.display())))?;
        Ok(config)
    }

    /// What stands for a program without a `model.toml`.
    pub fn bare(program: &Path) -> Config {
        let mut config = Config::default();
        config.model.file = program.file_name().map(PathBuf::from).unwrap_or_default();
        config
    }

    fn check(&self) -> Result<(), String> {
        // Products of these fit in 64 bits.
        const MOST: u64 = u32::MAX as u64;
        if let Some(train) = &self.train {
            if train.batch_size == 0 || train.eval_batch_size == Some(0) {
                return Err("a batch has at least one example".into());
            }
            if train.checkpoint_every == 0 || train.epochs == 0 {
                return Err("`epochs` and `checkpoint_every` are at least 1".into());
            }
            let sizes = [Some(train.batch_size), train.eval_batch_size];
            let sizes = sizes.into_iter().flatten().map(|size| size as u64);
            if sizes.chain([train.epochs]).any(|n| n > MOST) {
                return Err(format!("`epochs` and batch sizes are at most {MOST}"));
            }
        }
        if self
            .data
            .as_ref()
            .is_some_and(|d| d.fold.is_some() && d.folds.is_none())
        {
            return Err("`data.fold` needs `data.folds`, the fold of each example".into());
        }
        for (name, table) in self.data.iter().flat_map(|d| &d.tables) {
            if table.columns.is_some() == table.array.is_some() {
                return Err(format!("`data.{name}` needs either `columns` or `array`"));
            }
        }
        for (name, source) in self.weights.iter().flat_map(|w| &w.map) {
            if let Source::Recipe(recipe) = source
                && recipe.from.is_some() == recipe.fuse.is_some()
            {
                return Err(format!(
                    "`weights.map.\"{name}\"` needs either `from` or `fuse`"
                ));
            }
        }
        Ok(())
    }
}
