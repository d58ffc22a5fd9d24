//! A stage on disk: admitted rules and the evidence for each.
//!
//! ```text
//! bootstrap/stages/1/
//!   manifest.json         what is admitted, in order, with digests; the only list
//!   rules/NAME.aiai       the text that was judged
//!   evidence/NAME.json    the verdict on it
//!   lock                  held while an admission is under way
//! ```
//!
//! JSON here is canonical: keys in order, two blanks a level, one newline at the end. A file takes its name when it
//! is whole, the manifest last: what it does not list was never admitted. Digests find accidents and clumsy
//! forgery; a verdict that was made up is found by judging again from the recorded seed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::gate::{Options, Report, Step};

/// Of the files of a stage.
pub const SCHEMA: u32 = 1;

/// Why a stage cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
    /// Evidence that is not what was written: nothing of it is believed.
    #[error("{path}: refused: {why}")]
    Tampered { path: String, why: String },
}

impl StageError {
    fn io(path: &Path, error: io::Error) -> StageError {
        StageError::Io {
            path: path.display().to_string(),
            error,
        }
    }

    fn tampered(path: &Path, why: impl Into<String>) -> StageError {
        StageError::Tampered {
            path: path.display().to_string(),
            why: why.into(),
        }
    }
}

/// The evidence for one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub schema: u32,
    pub rule: String,
    /// SHA-256 of the text that was judged.
    pub text: String,
    pub options: Options,
    /// SHA-256 over the rules that were admitted before.
    pub admitted: String,
    pub versions: Versions,
    pub report: Report,
}

/// What judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub aiai: String,
    pub solver: String,
}

/// One line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    pub rule: String,
    /// SHA-256 of `rules/NAME.aiai`.
    pub text: String,
    /// SHA-256 of `evidence/NAME.json`.
    pub evidence: String,
}

/// The list of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: u32,
    pub stage: u32,
    /// In order of admission.
    pub rules: Vec<Admitted>,
}

/// A stage that nobody else changes while this value lives.
pub struct Stage {
    folder: PathBuf,
    manifest: Manifest,
    _lock: File,
}

/// The hexadecimal SHA-256 of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of a set of admitted files.
pub fn digest_of(files: &[(String, String)]) -> String {
    let each: Vec<String> = files
        .iter()
        .map(|(_, text)| digest(text.as_bytes()))
        .collect();
    digest(each.join("\n").as_bytes())
}

/// Canonical JSON.
fn canonical(value: &impl Serialize) -> Result<String, serde_json::Error> {
    // By way of `Value`, whose keys are in order.
    let value: Value = serde_json::to_value(value)?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

impl Stage {
    /// Opens a stage, making its folder where there is none, and waits until no other admission is under way.
    ///
    /// # Errors
    /// Where the folder cannot be used, or what it holds is not what was written.
    pub fn open(folder: &Path, waiting: &dyn Fn()) -> Result<Stage, StageError> {
        for part in ["rules", "evidence"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(|e| StageError::io(&path, e))?;
        }
        let path = folder.join("lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| StageError::io(&path, e))?;
        if lock.try_lock().is_err() {
            waiting();
            lock.lock().map_err(|e| StageError::io(&path, e))?;
        }
        let manifest = read_manifest(folder)?;
        verify(folder, &manifest)?;
        Ok(Stage {
            folder: folder.to_owned(),
            manifest,
            _lock: lock,
        })
    }

    /// The files of admitted rules: names and texts.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn files(&self) -> Result<Vec<(String, String)>, StageError> {
        files_of(&self.folder, &self.manifest.rules)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Admits a rule: its text, its evidence, and last the manifest.
    ///
    /// # Errors
    /// Where a file cannot be written, or the name is taken.
    pub fn admit(&mut self, text: &str, evidence: &Evidence) -> Result<PathBuf, StageError> {
        let name = &evidence.rule;
        let path = evidence_path(&self.folder, name);
        if self.manifest.rules.iter().any(|known| known.rule == *name) {
            return Err(StageError::tampered(
                &path,
                "a rule of this name is admitted already",
            ));
        }
        let sealed = seal(evidence).map_err(|e| StageError::io(&path, io::Error::other(e)))?;
        write_whole(&rule_path(&self.folder, name), text.as_bytes())?;
        write_whole(&path, sealed.as_bytes())?;
        let mut manifest = self.manifest.clone();
        manifest.rules.push(Admitted {
            rule: name.clone(),
            text: digest(text.as_bytes()),
            evidence: digest(sealed.as_bytes()),
        });
        let list = self.folder.join("manifest.json");
        let written =
            canonical(&manifest).map_err(|e| StageError::io(&list, io::Error::other(e)))?;
        write_whole(&list, written.as_bytes())?;
        self.manifest = manifest;
        Ok(path)
    }
}

/// The files of the rules that were admitted to a stage before another, or of all where it is not among them. Changes
/// nothing and waits for nobody.
///
/// # Errors
/// Where one cannot be read, or is not what was written.
pub fn files_before(folder: &Path, rule: &str) -> Result<Vec<(String, String)>, StageError> {
    let manifest = read_manifest(folder)?;
    verify(folder, &manifest)?;
    let rules = &manifest.rules;
    let end = rules.iter().position(|known| known.rule == rule);
    files_of(folder, &rules[..end.unwrap_or(rules.len())])
}

fn files_of(folder: &Path, rules: &[Admitted]) -> Result<Vec<(String, String)>, StageError> {
    let read = |admitted: &Admitted| {
        let path = rule_path(folder, &admitted.rule);
        let text = fs::read_to_string(&path).map_err(|e| StageError::io(&path, e))?;
        Ok((path.display().to_string(), text))
    };
    rules.iter().map(read).collect()
}

/// Every file that the manifest lists is as it was written.
fn verify(folder: &Path, manifest: &Manifest) -> Result<(), StageError> {
    for admitted in &manifest.rules {
        let text = rule_path(folder, &admitted.rule);
        let evidence = evidence_path(folder, &admitted.rule);
        for (path, wanted) in [(&text, &admitted.text), (&evidence, &admitted.evidence)] {
            let bytes = fs::read(path).map_err(|e| StageError::io(path, e))?;
            if digest(&bytes) != *wanted {
                return Err(StageError::tampered(
                    path,
                    "it is not the file that the manifest lists",
                ));
            }
        }
        read_evidence(&evidence)?;
    }
    Ok(())
}

fn rule_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("rules").join(format!("{name}.aiai"))
}

fn evidence_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("evidence").join(format!("{name}.json"))
}

fn read_manifest(folder: &Path) -> Result<Manifest, StageError> {
    let path = folder.join("manifest.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(Manifest {
                schema: SCHEMA,
                stage: number_of(folder),
                rules: Vec::new(),
            });
        }
        Err(e) => return Err(StageError::io(&path, e)),
    };
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|e| StageError::tampered(&path, e.to_string()))?;
    if manifest.schema != SCHEMA {
        return Err(StageError::tampered(
            &path,
            format!("schema {}, not {SCHEMA}", manifest.schema),
        ));
    }
    // Names become paths.
    let plain = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match manifest.rules.iter().find(|a| !plain(&a.rule)) {
        Some(odd) => Err(StageError::tampered(
            &path,
            format!("`{}` is no name of a rule", odd.rule),
        )),
        None => Ok(manifest),
    }
}

/// The number that a folder is named by; 1 where it is not.
fn number_of(folder: &Path) -> u32 {
    let name = folder.file_name().and_then(|n| n.to_str());
    name.and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Evidence with the digest over all of it.
fn seal(evidence: &Evidence) -> Result<String, serde_json::Error> {
    let body = canonical(evidence)?;
    canonical(
        &json!({ "digest": digest(body.as_bytes()), "evidence": serde_json::to_value(evidence)? }),
    )
}

/// Reads evidence and checks its digest and its form.
///
/// # Errors
/// Where it cannot be read, or is not as it was written.
pub fn read_evidence(path: &Path) -> Result<Evidence, StageError> {
    let text = fs::read_to_string(path).map_err(|e| StageError::io(path, e))?;
    let refuse = |why: String| StageError::tampered(path, why);
    let value: Value = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    if canonical(&value).map_err(|e| refuse(e.to_string()))? != text {
        return Err(refuse(
            "it is not canonical JSON: somebody changed it".to_owned(),
        ));
    }
    let body = canonical(&value["evidence"]).map_err(|e| refuse(e.to_string()))?;
    if value["digest"].as_str() != Some(digest(body.as_bytes()).as_str()) {
        return Err(refuse("its digest is not that of what it says".to_owned()));
    }
    let evidence: Evidence =
        serde_json::from_value(value["evidence"].clone()).map_err(|e| refuse(e.to_string()))?;
    if evidence.schema != SCHEMA {
        return Err(refuse(format!("schema {}, not {SCHEMA}", evidence.schema)));
    }
    if !evidence.report.accepted() || evidence.report.rule != evidence.rule {
        return Err(refuse("the report in it accepts no such rule".to_owned()));
    }
    Ok(evidence)
}

/// The text that evidence is about, from the file beside it.
///
/// # Errors
/// Where it cannot be read, or is another text.
pub fn text_of(path: &Path, evidence: &Evidence) -> Result<String, StageError> {
    let folder = path
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let file = rule_path(folder, &evidence.rule);
    let text = fs::read_to_string(&file).map_err(|e| StageError::io(&file, e))?;
    if digest(text.as_bytes()) != evidence.text {
        return Err(StageError::tampered(
            &file,
            "it is not the text that was judged",
        ));
    }
    Ok(text)
}

/// How a judgement that was made again differs from the recorded one. Timings of step 12 are attestations and may;
/// so may what depends on other rules where those are not the same.
pub fn replay_differs(recorded: &Report, again: &Report, same_rules: bool) -> Option<String> {
    if recorded.verdict != again.verdict {
        return Some(format!(
            "judged again it is {:?}: {}",
            again.verdict,
            again.why.as_deref().unwrap_or_default()
        ));
    }
    if (recorded.algebra, recorded.float) != (again.algebra, again.float) {
        return Some("judged again its evidence is of another kind".to_owned());
    }
    let may = |step: Step| match step {
        Step::Profit => true,
        Step::Termination | Step::Derivable | Step::Pairs => !same_rules,
        _ => false,
    };
    let steps = recorded.steps.iter().zip(&again.steps);
    let odd = steps.filter(|(a, _)| !may(a.step)).find(|(a, b)| a != b);
    match odd {
        Some((step, _)) => Some(format!(
            "step {} ({}) comes out differently",
            step.number,
            step.step.name()
        )),
        None if recorded.steps.len() != again.steps.len() => {
            Some("another number of steps".to_owned())
        }
        None => None,
    }
}

/// Writes a file that takes its name only when it is whole.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StageError> {
    let failed = |e: io::Error| StageError::io(path, e);
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("file");
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error of the write says more than that of the clean-up.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Purpose;

    fn evidence(rule: &str, text: &str) -> Evidence {
        let mut report = Report::new("rules.aiai", rule, 7);
        report.class = "exact".to_owned();
        Evidence {
            schema: SCHEMA,
            rule: rule.to_owned(),
            text: digest(text.as_bytes()),
            options: Options::new(Purpose::Check, 7),
            admitted: digest_of(&[]),
            versions: Versions {
                aiai: "0".to_owned(),
                solver: "none".to_owned(),
            },
            report,
        }
    }

    #[test]
    fn what_is_admitted_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("1");
        let mut stage = Stage::open(&folder, &|| {}).expect("a new stage");
        let path = stage
            .admit("text", &evidence("a", "text"))
            .expect("admitted");
        assert!(
            stage.admit("text", &evidence("a", "text")).is_err(),
            "twice"
        );
        drop(stage);
        let stage = Stage::open(&folder, &|| {}).expect("as it was written");
        assert_eq!(stage.manifest().rules.len(), 1);
        let read = read_evidence(&path).expect("sound");
        assert_eq!(text_of(&path, &read).expect("the text"), "text");
    }

    #[test]
    fn what_was_changed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("1");
        let mut stage = Stage::open(&folder, &|| {}).expect("a new stage");
        let path = stage
            .admit("text", &evidence("a", "text"))
            .expect("admitted");
        drop(stage);
        let good = fs::read_to_string(&path).expect("written");
        for (from, to) in [
            ("\"seed\": 7", "\"seed\": 8"),
            ("\"none\"", "\"proved\""),
            ("  ", " "),
        ] {
            fs::write(&path, good.replacen(from, to, 1)).expect("changed");
            assert!(
                matches!(read_evidence(&path), Err(StageError::Tampered { .. })),
                "{from}"
            );
            assert!(Stage::open(&folder, &|| {}).is_err());
        }
        fs::write(&path, &good).expect("restored");
        fs::write(rule_path(&folder, "a"), "other text").expect("changed");
        assert!(Stage::open(&folder, &|| {}).is_err());
    }

    #[test]
    fn other_rules_beside_excuse_no_other_kind_of_evidence() {
        let recorded = evidence("a", "text").report;
        let mut again = recorded.clone();
        again.push(Step::Pairs, crate::gate::Status::Passed, "with 3", 3, None);
        let mut told = recorded.clone();
        told.push(Step::Pairs, crate::gate::Status::Passed, "with 2", 2, None);
        assert!(replay_differs(&told, &again, true).is_some());
        assert_eq!(replay_differs(&told, &again, false), None);
        told.algebra = crate::gate::AlgebraKind::Proved;
        assert!(replay_differs(&told, &again, false).is_some());
    }

    #[test]
    fn two_admissions_take_turns() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("1");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let folder = &folder;
                scope.spawn(move || {
                    let mut stage = Stage::open(folder, &|| {}).expect("a stage");
                    let name = format!("r{number}");
                    stage
                        .admit("text", &evidence(&name, "text"))
                        .expect("admitted");
                });
            }
        });
        let stage = Stage::open(&folder, &|| {}).expect("whole");
        assert_eq!(stage.manifest().rules.len(), 8);
    }
}
