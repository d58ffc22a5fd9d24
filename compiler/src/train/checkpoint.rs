//! Checkpoints: the state as safetensors, with what must agree when training goes on.

use std::collections::BTreeMap;
use std::path::Path;

use aiai_frontend::elaborate::Leaf;
use aiai_runtime::{SafeTensors, Tensor, safetensors};

use crate::Failure;
use crate::backend::runtime_dtype;

/// Where training stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Steps done.
    pub step: u64,
    /// What must be the same in the run that goes on: seed, fold, batch size, epochs, digests.
    pub identity: BTreeMap<String, String>,
    /// Training losses of the epochs that are complete.
    pub losses: Vec<f64>,
    /// The sum of the losses of the epoch in progress, each times its examples.
    pub partial: f64,
}

impl Checkpoint {
    pub fn save(&self, path: &Path, leaves: &[Leaf], state: &[Tensor]) -> Result<(), Failure> {
        let names = leaves.iter().map(|l| l.path.clone());
        let tensors: BTreeMap<String, Tensor> = names.zip(state.iter().cloned()).collect();
        let mut metadata = self.identity.clone();
        metadata.insert("aiai.step".into(), self.step.to_string());
        // As bits: text of decimals is for people.
        let bits = |x: f64| format!("{:016x}", x.to_bits());
        let losses: Vec<String> = self.losses.iter().map(|x| bits(*x)).collect();
        metadata.insert("aiai.losses".into(), losses.join(" "));
        metadata.insert("aiai.partial".into(), bits(self.partial));
        safetensors::save(path, &tensors, &metadata).map_err(|e| Failure::output(&e))
    }

    /// Reads a checkpoint of the same training.
    pub fn load(
        path: &Path,
        leaves: &[Leaf],
        identity: &BTreeMap<String, String>,
    ) -> Result<(Checkpoint, Vec<Tensor>), Failure> {
        let file = SafeTensors::open(path)?;
        let metadata = file.metadata();
        for (key, ours) in identity {
            let theirs = metadata.get(key).map_or("nothing", String::as_str);
            if theirs != ours {
                let what = key.trim_start_matches("aiai.").replace('_', " ");
                return Err(Failure::input(format!(
                    "{}: a checkpoint of another training: its {what} is {theirs}, here it is {ours}",
                    path.display()
                )));
            }
        }
        let parsed = || {
            let bits = |t: &str| u64::from_str_radix(t, 16).ok().map(f64::from_bits);
            let losses = metadata.get("aiai.losses")?.split_whitespace().map(bits);
            Some(Checkpoint {
                step: metadata.get("aiai.step")?.parse().ok()?,
                identity: identity.clone(),
                losses: losses.collect::<Option<_>>()?,
                partial: bits(metadata.get("aiai.partial")?)?,
            })
        };
        let Some(checkpoint) = parsed() else {
            return Err(Failure::input(format!(
                "{}: no checkpoint of aiai",
                path.display()
            )));
        };
        let mut state = Vec::new();
        for leaf in leaves {
            let tensor = file.tensor(&leaf.path)?;
            let shape: Vec<Option<i64>> = leaf.shape.iter().map(|d| d.as_const()).collect();
            let found = tensor.shape().iter().map(|&n| Some(n as i64));
            if tensor.dtype() != runtime_dtype(leaf.dtype) || !found.eq(shape.iter().copied()) {
                return Err(Failure::input(format!(
                    "{}: `{}` has another type than in the program",
                    path.display(),
                    leaf.path
                )));
            }
            state.push(tensor);
        }
        Ok((checkpoint, state))
    }
}
