//! Tables of examples and their folds.

use std::path::Path;

use aiai_frontend::elaborate::Leaf;
use aiai_runtime::csv::Table;
use aiai_runtime::{Tensor, npy};
use sha2::{Digest, Sha256};

use super::Project;
use super::config::{DataSection, TableSection};
use crate::Failure;
use crate::backend::runtime_dtype;

/// All examples in memory: per table one tensor whose first axis counts them.
pub struct Data {
    tables: Vec<(String, Tensor)>,
    /// Examples that are trained on, in file order.
    pub train: Vec<usize>,
    /// Examples that are evaluated, in file order.
    pub held_out: Vec<usize>,
    /// Whether the two are apart.
    pub has_folds: bool,
    pub fold: u64,
    /// SHA-256 of the files.
    pub digest: String,
}

/// Where numbers come from.
enum File {
    Csv(Table),
    Npz(std::path::PathBuf),
}

impl Data {
    /// Reads the tables of a project. `wanted` says what parameters take.
    pub fn read(project: &Project, wanted: &[&Leaf], fold: Option<u64>) -> Result<Data, Failure> {
        let Some(section) = &project.config.data else {
            return Err(Failure::input("`model.toml` has no `[data]` to train on"));
        };
        let path = project.path(&section.path);
        let file = if path.extension().is_some_and(|e| e == "npz") {
            File::Npz(path.clone())
        } else {
            File::Csv(Table::open(&path)?)
        };
        let mut tables = Vec::new();
        let mut rows: Option<(String, usize)> = None;
        for (name, table) in &section.tables {
            let Some(leaf) = wanted.iter().find(|l| l.path == *name) else {
                let names: Vec<&str> = wanted.iter().map(|l| l.path.as_str()).collect();
                return Err(Failure::input(format!(
                    "`[data.{name}]` fills no parameter; those left are {}",
                    names.join(", ")
                )));
            };
            let tensor = read_table(&path, &file, name, table, leaf)?;
            let count = tensor.shape()[0];
            match &rows {
                Some((other, known)) if *known != count => {
                    return Err(Failure::input(format!(
                        "`{name}` has {count} examples, `{other}` {known}"
                    )));
                }
                _ => rows = Some((name.clone(), count)),
            }
            tables.push((name.clone(), tensor));
        }
        let rows = rows.map_or(0, |(_, count)| count);
        if rows == 0 {
            return Err(Failure::input(format!("{}: no examples", path.display())));
        }
        let mut digest = Sha256::new();
        hash_file(&mut digest, &path)?;
        if let (Some(fold), None) = (fold, &section.folds) {
            return Err(Failure::input(format!(
                "`--fold {fold}` needs the fold of each example: `folds = \"FILE.csv\"` under `[data]` \
                 of `model.toml`"
            )));
        }
        let fold = fold.or(section.fold).unwrap_or(0);
        let (train, held_out) = split(project, section, rows, fold, &mut digest)?;
        let digest = digest
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        Ok(Data {
            tables,
            train,
            held_out,
            has_folds: section.folds.is_some(),
            fold,
            digest,
        })
    }

    /// The rows of a table, by position.
    pub fn rows(&self, name: &str, positions: &[usize]) -> Option<Result<Tensor, Failure>> {
        let (_, table) = self.tables.iter().find(|t| t.0 == name)?;
        let mut shape = table.shape().to_vec();
        let width = table.bytes().len() / shape[0];
        shape[0] = positions.len();
        let mut bytes = Vec::with_capacity(width * positions.len());
        for &row in positions {
            bytes.extend_from_slice(&table.bytes()[row * width..(row + 1) * width]);
        }
        Some(Tensor::from_bytes(table.dtype(), &shape, &bytes).map_err(Failure::from))
    }
}

fn hash_file(digest: &mut Sha256, path: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(path)
        .map_err(|e| Failure::input(format!("cannot read {}: {e}", path.display())))?;
    digest.update(&bytes);
    Ok(())
}

/// Training and held-out examples.
fn split(
    project: &Project,
    section: &DataSection,
    rows: usize,
    fold: u64,
    digest: &mut Sha256,
) -> Result<(Vec<usize>, Vec<usize>), Failure> {
    let Some(folds) = &section.folds else {
        return Ok(((0..rows).collect(), (0..rows).collect()));
    };
    let path = project.path(folds);
    let table = Table::open(&path)?;
    hash_file(digest, &path)?;
    let folds = table.column(0)?;
    if folds.len() != rows {
        return Err(Failure::input(format!(
            "{} has {} rows for {rows} examples",
            path.display(),
            folds.len()
        )));
    }
    let (held_out, train): (Vec<usize>, Vec<usize>) =
        (0..rows).partition(|&row| folds[row] == fold as f64);
    if held_out.is_empty() || train.is_empty() {
        let what = if held_out.is_empty() {
            "no example is in"
        } else {
            "every example is in"
        };
        return Err(Failure::input(format!(
            "{}: {what} fold {fold}",
            path.display()
        )));
    }
    Ok((train, held_out))
}

fn read_table(
    path: &Path,
    file: &File,
    name: &str,
    table: &TableSection,
    leaf: &Leaf,
) -> Result<Tensor, Failure> {
    let dims: Vec<String> = leaf.shape.iter().map(ToString::to_string).collect();
    let ty = format!("{}[{}]", leaf.dtype, dims.join(", "));
    let rest: Option<Vec<usize>> = leaf.shape[1..]
        .iter()
        .map(|d| usize::try_from(d.as_const()?).ok())
        .collect();
    let Some(rest) = rest else {
        return Err(Failure::input(format!(
            "`{name}` is {ty}; sizes after the batch must be known"
        )));
    };
    let width: usize = rest.iter().product();
    let (values, rows, held) = match (file, &table.columns, &table.array) {
        (File::Csv(csv), Some(columns), _) => from_csv(csv, columns)?,
        (File::Npz(npz), _, Some(array)) => {
            let tensor = npy::load_from_npz(npz, array)?;
            let rows = tensor.shape().first().copied().unwrap_or(0);
            let held = tensor.len().checked_div(rows).unwrap_or(0);
            (tensor.to_f64_vec()?, rows, held)
        }
        (File::Csv(_), ..) => {
            return Err(Failure::input(format!(
                "`[data.{name}]`: a CSV file has `columns`"
            )));
        }
        (File::Npz(_), ..) => {
            return Err(Failure::input(format!(
                "`[data.{name}]`: an .npz file has `array`s"
            )));
        }
    };
    if held != width {
        let columns = table
            .columns
            .as_deref()
            .or(table.array.as_deref())
            .unwrap_or("");
        return Err(Failure::input(format!(
            "`{name}` is {ty}, {width} numbers an example; `{columns}` holds {held}"
        )));
    }
    let (scale, shift) = (table.scale.unwrap_or(1.0), table.shift.unwrap_or(0.0));
    let values: Vec<f64> = values.iter().map(|v| v * scale + shift).collect();
    check_range(path, name, leaf.dtype, &values, width)?;
    let shape: Vec<usize> = std::iter::once(rows).chain(rest).collect();
    Ok(Tensor::from_f64(
        runtime_dtype(leaf.dtype),
        &shape,
        &values,
    )?)
}

/// The numbers of some columns, row by row, the number of rows, and of columns.
fn from_csv(csv: &Table, columns: &str) -> Result<(Vec<f64>, usize, usize), Failure> {
    let range = columns
        .split_once("..")
        .and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    let indices: Vec<usize> = match range {
        // The last is asked for first: a range may be of any length.
        Some(range) if range.end > csv.columns() => {
            csv.column(range.end - 1)?;
            Vec::new()
        }
        Some(range) => range.collect(),
        None => vec![csv.position(columns)?],
    };
    let parts: Vec<&[f64]> = indices
        .iter()
        .map(|&i| csv.column(i))
        .collect::<Result<_, _>>()?;
    let rows = csv.rows();
    let values = (0..rows)
        .flat_map(|row| parts.iter().map(move |p| p[row]))
        .collect();
    Ok((values, rows, parts.len()))
}

/// Every number must be a value of the dtype, up to rounding of floats.
fn check_range(
    path: &Path,
    name: &str,
    dtype: aiai_ir::DType,
    values: &[f64],
    width: usize,
) -> Result<(), Failure> {
    let bad = values.iter().position(|&v| !crate::values::holds(dtype, v));
    match bad {
        None => Ok(()),
        Some(at) => Err(Failure::input(format!(
            "{}: example {} of `{name}` has {}, which is no {dtype}",
            path.display(),
            at / width.max(1),
            values[at]
        ))),
    }
}
