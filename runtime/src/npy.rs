//! NumPy's array formats: `.npy`, and `.npz`, a zip archive of such.
//!
//! All dtypes of tensors but bf16, which NumPy does not have. Read are versions 1 to 3, either byte
//! order, either element order; written is version 1, little endian, row-major.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::tensor::byte_count;
use crate::{DType, Error, Result, Tensor, files};

mod header;

use header::Header;

const FORMAT: &str = "npy array";

/// Reads an `.npy` file.
pub fn load(path: &Path) -> Result<Tensor> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    read(BufReader::new(file), path, "")
}

/// Reads every array of an `.npz` file, by name.
pub fn load_npz(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let mut archive = open_archive(path)?;
    let names = member_names(&archive, path)?;
    let mut arrays = BTreeMap::new();
    for name in names {
        let tensor = read_member(&mut archive, path, &name)?;
        arrays.insert(
            name.strip_suffix(".npy").unwrap_or(&name).to_owned(),
            tensor,
        );
    }
    Ok(arrays)
}

/// Reads one array of an `.npz` file.
pub fn load_from_npz(path: &Path, name: &str) -> Result<Tensor> {
    let mut archive = open_archive(path)?;
    let member = format!("{name}.npy");
    let known = member_names(&archive, path)?;
    if !known.contains(&member) {
        let strip = |n: &String| n.strip_suffix(".npy").unwrap_or(n).to_owned();
        let mut available: Vec<String> = known.iter().map(strip).collect();
        available.sort();
        return Err(Error::Missing {
            path: path.to_owned(),
            name: name.to_owned(),
            available,
        });
    }
    read_member(&mut archive, path, &member)
}

/// Writes an `.npy` file; it appears at once and whole.
pub fn save(path: &Path, tensor: &Tensor) -> Result<()> {
    let header = header::write(tensor.dtype(), tensor.shape()).ok_or_else(|| no_bf16(path))?;
    files::write_atomically(path, |file| {
        file.write_all(&header)?;
        file.write_all(tensor.bytes())
    })
}

/// Writes an `.npz` file, not compressed; it appears at once and whole. The same arrays give the same
/// bytes.
pub fn save_npz(path: &Path, arrays: &BTreeMap<String, Tensor>) -> Result<()> {
    let headers: Option<Vec<Vec<u8>>> = arrays
        .values()
        .map(|t| header::write(t.dtype(), t.shape()))
        .collect();
    let headers = headers.ok_or_else(|| no_bf16(path))?;
    files::write_atomically(path, |file| {
        // The archive writer seeks back to fill in sizes, so it gets the file itself.
        let mut archive = ZipWriter::new(file.get_ref().try_clone()?);
        for ((name, tensor), header) in arrays.iter().zip(&headers) {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(DateTime::default())
                .large_file(tensor.bytes().len() >= u32::MAX as usize);
            archive.start_file(format!("{name}.npy"), options)?;
            archive.write_all(header)?;
            archive.write_all(tensor.bytes())?;
        }
        archive.finish()?;
        Ok(())
    })
}

fn no_bf16(path: &Path) -> Error {
    Error::format(path, FORMAT, "NumPy has no bf16; cast to f32 first")
}

fn open_archive(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| zip_error(path, "", e))
}

fn member_names<R: Read + Seek>(archive: &ZipArchive<R>, path: &Path) -> Result<Vec<String>> {
    let names = archive.file_names().map(|name| Ok(name?.into_owned()));
    names
        .collect::<zip::result::ZipResult<_>>()
        .map_err(|e| zip_error(path, "", e))
}

fn read_member<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    path: &Path,
    name: &str,
) -> Result<Tensor> {
    let member = archive
        .by_name(name)
        .map_err(|e| zip_error(path, name, e))?;
    read(member, path, name)
}

fn zip_error(path: &Path, name: &str, error: zip::result::ZipError) -> Error {
    let member = if name.is_empty() {
        String::new()
    } else {
        format!("`{name}`: ")
    };
    Error::format(path, "npz archive", format!("{member}{error}"))
}

/// Reads an array; `member` is its name in an archive, or empty.
fn read(mut from: impl Read, path: &Path, member: &str) -> Result<Tensor> {
    let of = if member.is_empty() {
        String::new()
    } else {
        format!("`{member}`: ")
    };
    let fail = |problem: String| Error::format(path, FORMAT, format!("{of}{problem}"));
    let header = Header::read(&mut from).map_err(fail)?;
    let expected = byte_count(header.dtype, &header.shape)?;
    let mut bytes = Vec::new();
    // Memory grows with what is really there, whatever the header claims.
    let limit = expected as u64 + 1;
    let found = from
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| fail(e.to_string()))?;
    if found != expected {
        let more = if found > expected { "more" } else { "fewer" };
        let shape = &header.shape;
        return Err(fail(format!(
            "shape {shape:?} takes {expected} bytes of data, there are {more}"
        )));
    }
    if header.swap_bytes {
        for element in bytes.chunks_exact_mut(header.dtype.bytes()) {
            element.reverse();
        }
    }
    if header.column_major {
        bytes = row_major(&bytes, header.dtype, &header.shape);
    }
    Tensor::from_bytes(header.dtype, &header.shape, &bytes)
}

/// The elements of a column-major array in row-major order.
fn row_major(bytes: &[u8], dtype: DType, shape: &[usize]) -> Vec<u8> {
    let size = dtype.bytes();
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = size;
    for &extent in shape {
        strides.push(stride);
        // An empty array may have any extents; its strides are not used.
        stride = stride.wrapping_mul(extent);
    }
    let mut result = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    while result.len() < bytes.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        result.extend_from_slice(&bytes[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    result
}

#[cfg(test)]
mod tests;
