//! A case file: the commands to run on it, and the transcript that they must leave.
//!
//! Commands are the leading `// run:` lines: `// run: emit --ir tensor`. `FILE` stands for the case's own path, which is put
//! last where it is not named. The transcript is the trailing block of lines that begin with `//=`, or the sibling
//! file `NAME.expect`. Files that cannot carry comments (bytes that are not text, nothing at all) have their
//! `// run:` lines in `NAME.expect` as well.

use std::fs;
use std::path::{Path, PathBuf};

/// Begins every line of a transcript inside a case file.
const MARK: &str = "//=";
/// A transcript longer than this goes to a file of its own.
const INLINE_LINES: usize = 40;

pub struct Case {
    /// Relative to `tests/cases`.
    pub path: PathBuf,
    pub commands: Vec<Vec<String>>,
    expected: String,
    expect_file: PathBuf,
    expect_header: String,
    body: Option<String>,
}

impl Case {
    /// Reads a case, or says what is wrong with it; `None` where it has no commands and thus is not a case.
    pub fn read(cases: &Path, path: &Path) -> Result<Option<Case>, String> {
        let bytes = fs::read(cases.join(path)).map_err(|e| format!("{}: {e}", path.display()))?;
        let source = String::from_utf8(bytes).ok();
        let expect_file = cases.join(path).with_extension("expect");
        let beside = fs::read_to_string(&expect_file).ok();
        let inside = source.as_deref().map(commands).unwrap_or_default();
        if !inside.is_empty() {
            let source = source.unwrap_or_default();
            let (body, block) = split_transcript(&source);
            let expected = beside.unwrap_or(block);
            let body = Some(body);
            return Ok(Some(Case {
                path: path.into(),
                commands: inside,
                expected,
                expect_file,
                expect_header: String::new(),
                body,
            }));
        }
        let Some(beside) = beside else {
            return Ok(None);
        };
        let header: String = beside
            .lines()
            .take_while(|l| l.starts_with("// run:"))
            .map(|l| format!("{l}\n"))
            .collect();
        if header.is_empty() {
            return Err(format!("{}: no `// run:` line", path.display()));
        }
        let expected = beside[header.len()..].to_string();
        Ok(Some(Case {
            path: path.into(),
            commands: commands(&header),
            expected,
            expect_file,
            expect_header: header,
            body: None,
        }))
    }

    /// Compares a transcript with the expected one; the error shows the first line that differs.
    pub fn compare(&self, actual: &str) -> Result<(), String> {
        if actual == self.expected {
            return Ok(());
        }
        let (mut want, mut got) = (self.expected.lines(), actual.lines());
        for number in 1.. {
            match (want.next(), got.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    let show =
                        |line: Option<&str>| line.map_or("(end)".to_string(), |l| format!("`{l}`"));
                    let at = self.path.display();
                    return Err(format!(
                        "{at}: line {number} of the transcript\n    expected {}\n    got      {}",
                        show(a),
                        show(b)
                    ));
                }
            }
        }
        Err(format!("{}: line ends differ", self.path.display()))
    }

    /// Writes the transcript as the expected one, beside or inside the case.
    pub fn bless(&self, cases: &Path, actual: &str) -> std::io::Result<()> {
        let beside = self.body.is_none()
            || actual.lines().count() > INLINE_LINES
            || self.expect_file.exists();
        let Some(body) = self.body.as_deref().filter(|_| !beside) else {
            fs::write(&self.expect_file, format!("{}{actual}", self.expect_header))?;
            return match &self.body {
                Some(body) => fs::write(cases.join(&self.path), body),
                None => Ok(()),
            };
        };
        let mut text = body.trim_end().to_string() + "\n\n";
        for line in actual.lines() {
            text.push_str(&format!("{MARK} {line}"));
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        fs::write(cases.join(&self.path), text)
    }
}

fn commands(source: &str) -> Vec<Vec<String>> {
    let lines = source.lines().map_while(|l| l.strip_prefix("// run:"));
    lines.map(words).collect()
}

/// Splits at blanks; double quotes hold blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in line.split('"').enumerate() {
        match i % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_string)),
            _ => words.push(part.to_string()),
        }
    }
    words
}

fn split_transcript(source: &str) -> (String, String) {
    let lines: Vec<&str> = source.lines().collect();
    let start = lines
        .iter()
        .rposition(|l| !l.starts_with(MARK))
        .map_or(0, |i| i + 1);
    let body = lines[..start].join("\n").trim_end().to_string() + "\n";
    let strip = |l: &&str| {
        format!(
            "{}\n",
            l[MARK.len()..].strip_prefix(' ').unwrap_or_default()
        )
    };
    (body, lines[start..].iter().map(strip).collect())
}
