//! Tables of numbers from CSV files.
//!
//! The first row is a header if any of its cells is not a number. All rows have as many cells as the
//! first. A cell that is not a finite number is an error, with its line, once its column is asked for;
//! so a file may have columns of text that nobody uses.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A table: named columns of finite numbers.
pub struct Table {
    path: PathBuf,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    name: Option<String>,
    values: Vec<f64>,
    /// The first cell that is not a number: its line and text.
    bad: Option<(u64, String)>,
}

impl Table {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Table> {
        let file = crate::files::open(path)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(file);
        let mut table = Table {
            path: path.to_owned(),
            columns: Vec::new(),
            rows: 0,
        };
        let mut record = csv::StringRecord::new();
        let mut is_first = true;
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(table.read_error(error)),
            }
            let line = record.position().map_or(0, csv::Position::line);
            if is_first {
                table.start(&record);
                is_first = false;
                if table.has_header() {
                    continue;
                }
            }
            table.push(&record, line)?;
        }
        if is_first {
            return Err(Error::format(path, "CSV file", "it is empty"));
        }
        Ok(table)
    }

    /// The number of rows, the header aside.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Whether the file names its columns.
    pub fn has_header(&self) -> bool {
        self.columns.iter().any(|column| column.name.is_some())
    }

    /// The names of the header.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .filter_map(|column| column.name.as_deref())
    }

    /// The position of the column of that name.
    pub fn position(&self, name: &str) -> Result<usize> {
        let found = self
            .columns
            .iter()
            .position(|column| column.name.as_deref() == Some(name));
        found.ok_or_else(|| Error::Missing {
            path: self.path.clone(),
            name: name.to_owned(),
            available: self.names().map(str::to_owned).collect(),
        })
    }

    /// The numbers of a column, one per row.
    pub fn column(&self, index: usize) -> Result<&[f64]> {
        let Some(column) = self.columns.get(index) else {
            let problem = format!("no column {index}; it has {}", self.columns.len());
            return Err(Error::format(&self.path, "CSV file", problem));
        };
        match &column.bad {
            None => Ok(&column.values),
            Some((line, text)) => {
                let name = column.name.clone().unwrap_or_else(|| index.to_string());
                let problem = match text.as_str() {
                    "" => format!("column `{name}` is empty"),
                    text => format!("column `{name}` has {text:?}, not a finite number"),
                };
                Err(self.line_error(*line, problem))
            }
        }
    }

    /// Makes the columns from the first row; takes names from it if it is a header.
    fn start(&mut self, record: &csv::StringRecord) {
        let is_header = record.iter().any(|cell| cell.parse::<f64>().is_err());
        self.columns = record
            .iter()
            .map(|cell| Column {
                // A byte-order mark is no part of a name.
                name: is_header.then(|| cell.trim_start_matches('\u{feff}').to_owned()),
                values: Vec::new(),
                bad: None,
            })
            .collect();
    }

    fn push(&mut self, record: &csv::StringRecord, line: u64) -> Result<()> {
        if record.len() != self.columns.len() {
            let (found, expected) = (record.len(), self.columns.len());
            let problem = format!("{found} cells, the first row has {expected}");
            return Err(self.line_error(line, problem));
        }
        for (column, cell) in self.columns.iter_mut().zip(record) {
            let value = cell.parse::<f64>().ok().filter(|v| v.is_finite());
            if value.is_none() && column.bad.is_none() {
                const SHOWN: usize = 40;
                column.bad = Some((line, cell.chars().take(SHOWN).collect()));
            }
            let reserved = column.values.try_reserve(1);
            reserved.map_err(|_| Error::OutOfMemory {
                bytes: size_of::<f64>(),
            })?;
            column.values.push(value.unwrap_or(f64::NAN));
        }
        self.rows += 1;
        Ok(())
    }

    fn read_error(&self, error: csv::Error) -> Error {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => Error::io(&self.path, source),
            csv::ErrorKind::Utf8 { .. } => self.line_error(line, "not UTF-8".into()),
            other => self.line_error(line, format!("{other:?}")),
        }
    }

    fn line_error(&self, line: u64, problem: String) -> Error {
        Error::Line {
            path: self.path.clone(),
            line,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8]) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        Table::open(&path)
    }

    fn problem(result: Result<impl Sized>) -> String {
        let text = result
            .err()
            .map_or_else(|| "none".into(), |e| e.to_string());
        text.rsplit_once("t.csv")
            .map_or(text.clone(), |(_, rest)| rest.to_owned())
    }

    #[test]
    fn headers_are_detected() {
        let table = open(b"\xEF\xBB\xBFx, y\n1,2\n\n3,\"4e1\"\n").unwrap();
        assert_eq!(table.names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((table.rows(), table.columns()), (2, 2));
        assert_eq!(
            table.column(table.position("y").unwrap()).unwrap(),
            [2.0, 40.0]
        );
        let table = open(b"1,2\n3,4\n").unwrap();
        assert!(!table.has_header());
        assert_eq!(table.column(0).unwrap(), [1.0, 3.0]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert_eq!(problem(open(b"")), ": invalid CSV file: it is empty");
        assert_eq!(
            problem(open(b"a,b\n1,2\n1\n")),
            ":3: 1 cells, the first row has 2"
        );
        assert_eq!(problem(open(b"a\n1\n\xff\n")), ":3: not UTF-8");
        let table = open(b"a,b,c\n1,nan,x\n1,,2\n").unwrap();
        assert_eq!(table.column(0).unwrap(), [1.0, 1.0]);
        assert_eq!(
            problem(table.column(1)),
            ":2: column `b` has \"nan\", not a finite number"
        );
        assert_eq!(
            problem(table.column(2)),
            ":2: column `c` has \"x\", not a finite number"
        );
        assert_eq!(
            problem(table.column(3)),
            ": invalid CSV file: no column 3; it has 3"
        );
        assert_eq!(
            problem(table.position("d")),
            ": no entry `d`; the file has a, b, c"
        );
        let table = open(b"a,b\n1,\n").unwrap();
        assert_eq!(problem(table.column(1)), ":2: column `b` is empty");
        assert!(matches!(
            Table::open(Path::new("/none.csv")),
            Err(Error::Io { .. })
        ));
    }
}
