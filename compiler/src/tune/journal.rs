//! The journal of a search: what was tried, one JSON object a line, the first of which says what it is about.
//!
//! Lines are only ever added, each as soon as it is known, so that a search that was killed goes on where it
//! stood. A last line without its end is what was being written; it is dropped.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use aiai_runtime::files;
use serde::{Deserialize, Serialize};

use crate::{Failure, output};

/// The version of the lines.
const SCHEMA: u32 = 1;
/// A journal that is larger is none.
const MOST_BYTES: u64 = 1 << 28;

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The front end or code generation does not take it.
    Unfit,
    /// No code could be made.
    Failed,
    /// It computes something else.
    Wrong,
    /// It is not faster by more than the noise.
    Slower,
    /// It is the best so far.
    Better,
}

/// A candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub contraction: String,
    /// The schedule as text.
    pub candidate: String,
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its time relative to the default's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Seconds of the default and of the candidate, measured by turns, of the best so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<(f64, f64)>,
}

#[derive(Serialize, Deserialize)]
struct First {
    schema: u32,
    about: BTreeMap<String, String>,
}

/// A journal that is open.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// By contraction and candidate.
    known: HashMap<(String, String), Record>,
}

/// Where the journal of a file of schedules is.
pub fn path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".journal");
    name.into()
}

impl Journal {
    /// Begins a journal; one of before is replaced.
    pub fn create(path: &Path, about: &BTreeMap<String, String>) -> Result<Journal, Failure> {
        let first = First {
            schema: SCHEMA,
            about: about.clone(),
        };
        let line = line(&first)?;
        files::write_atomically(path, |file| file.write_all(line.as_bytes()))
            .map_err(|e| Failure::output(&e))?;
        Ok(Journal {
            path: path.to_owned(),
            file: open(path)?,
            known: HashMap::new(),
        })
    }

    /// Goes on with a journal about the same.
    pub fn resume(path: &Path, about: &BTreeMap<String, String>) -> Result<Journal, Failure> {
        let shown = output::path(path);
        let mut bytes = Vec::new();
        let file = files::open(path)?;
        let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|e| Failure::input(format!("{shown}: {e}")))?;
        let none = || Failure::input(format!("{shown}: no journal of `aiai tune`"));
        if bytes.len() as u64 > MOST_BYTES {
            return Err(none());
        }
        let whole = bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|_| none())?;
        let mut lines = text.lines();
        let first: First = lines
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(none)?;
        if first.schema != SCHEMA {
            return Err(none());
        }
        for (key, ours) in about {
            let theirs = first.about.get(key).map_or("nothing", String::as_str);
            if theirs != ours {
                return Err(Failure::input(format!(
                    "{shown}: the journal of another search: its {key} is {theirs}, here it is {ours}; \
                     without `--resume` a new one begins",
                )));
            }
        }
        let mut known = HashMap::new();
        for (number, line) in lines.enumerate() {
            let record: Record = serde_json::from_str(line).map_err(|e| {
                Failure::input(format!(
                    "{shown}:{}: not a line of a journal: {e}",
                    number + 2
                ))
            })?;
            let key = (record.contraction.clone(), record.candidate.clone());
            known.insert(key, record);
        }
        let file = open(path)?;
        file.set_len(whole as u64).map_err(|e| failed(path, &e))?;
        Ok(Journal {
            path: path.to_owned(),
            file,
            known,
        })
    }

    pub fn get(&self, contraction: &str, candidate: &str) -> Option<&Record> {
        self.known
            .get(&(contraction.to_owned(), candidate.to_owned()))
    }

    /// Adds what became of a candidate.
    pub fn append(&mut self, record: &Record) -> Result<(), Failure> {
        let line = line(record)?;
        let written = self.file.write_all(line.as_bytes());
        written
            .and_then(|()| self.file.flush())
            .map_err(|e| failed(&self.path, &e))
    }
}

fn line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|e| Failure::environment(format!("the journal: {e}")))?;
    Ok(text + "\n")
}

fn open(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .append(true)
        .open(path)
        .map_err(|e| failed(path, &e))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::environment(format!("{}: {error}", output::path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(processor: &str) -> BTreeMap<String, String> {
        [("processor".to_owned(), processor.to_owned())].into()
    }

    fn record(candidate: &str) -> Record {
        Record {
            contraction: "c".into(),
            candidate: candidate.into(),
            verdict: Verdict::Better,
            why: None,
            score: Some(0.1 + 0.2),
            times: Some((1e-3, 2e-3 / 3.0)),
        }
    }

    fn said(result: Result<Journal, Failure>) -> String {
        result.err().map_or(String::new(), |f| f.message)
    }

    #[test]
    fn journals_survive_what_was_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.aiai.journal");
        let mut journal = Journal::create(&path, &about("p")).expect("a journal");
        journal.append(&record("a")).expect("written");
        journal.append(&record("b")).expect("written");
        drop(journal);
        let whole = std::fs::read(&path).expect("the journal");
        std::fs::write(&path, &whole[..whole.len() - 3]).expect("written");
        let mut journal = Journal::resume(&path, &about("p")).expect("a journal");
        assert_eq!(journal.get("c", "a"), Some(&record("a")));
        assert_eq!(journal.get("c", "b"), None);
        journal.append(&record("b")).expect("written");
        assert_eq!(std::fs::read(&path).expect("the journal"), whole);
    }

    #[test]
    fn other_journals_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.aiai.journal");
        assert!(said(Journal::resume(&path, &about("p"))).contains("No such file"));
        Journal::create(&path, &about("p")).expect("a journal");
        let refused = said(Journal::resume(&path, &about("q")));
        assert!(
            refused.contains("its processor is p, here it is q"),
            "{refused}"
        );
        let good = std::fs::read_to_string(&path).expect("the journal");
        for bad in [
            "",
            "{\"schema\"",
            "{}\n",
            "nonsense\n",
            "{\"schema\":2,\"about\":{}}\n",
        ] {
            std::fs::write(&path, bad).expect("written");
            let refused = said(Journal::resume(&path, &about("p")));
            assert!(
                refused.contains("no journal of `aiai tune`"),
                "{bad}: {refused}"
            );
        }
        std::fs::write(&path, good + "nonsense\n").expect("written");
        let refused = said(Journal::resume(&path, &about("p")));
        assert!(refused.contains(":2: not a line of a journal"), "{refused}");
    }
}
