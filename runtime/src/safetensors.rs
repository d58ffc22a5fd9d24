//! The safetensors format: named tensors behind a JSON header, mapped rather than read.
//!
//! Layout: the length of the header (u64, little endian), the header, the data. The header maps every
//! name to a dtype, a shape and a range of the data; `__metadata__` maps strings to strings. Everything
//! about a file is checked when it is opened: the header's size, its keys, and that the ranges fit
//! their tensors and cover the data without overlap or gap, as the format demands.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::tensor::byte_count;
use crate::{DType, Error, Result, Tensor, files};

/// The largest header that is read, in bytes.
pub const MAX_HEADER: usize = 100_000_000;
const FORMAT: &str = "safetensors file";
const LENGTH_BYTES: usize = 8;

const _: () = assert!(
    cfg!(target_endian = "little"),
    "tensors are mapped as they are in the file"
);

/// An open safetensors file.
pub struct SafeTensors {
    path: PathBuf,
    map: Arc<Mmap>,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

/// What the header says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Bytes of the file.
    range: Range<usize>,
}

impl SafeTensors {
    /// Maps a file and checks its header.
    pub fn open(path: &Path) -> Result<SafeTensors> {
        let map = files::map(path)?;
        let fail = |problem| Error::format(path, FORMAT, problem);
        let header = header_of(&map).map_err(fail)?;
        let data_start = LENGTH_BYTES + header.len();
        let parsed: Header = serde_json::from_slice(header)
            .map_err(|e| fail(format!("its header is not as the format demands: {e}")))?;
        let entries = place(parsed.tensors, data_start, map.len()).map_err(fail)?;
        Ok(SafeTensors {
            path: path.to_owned(),
            map,
            entries,
            metadata: parsed.metadata,
        })
    }

    /// The tensors, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// What the header says of a tensor, if the file has it.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The strings under `__metadata__`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// A tensor that shares the mapped file.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let entry = self.entries.get(name).ok_or_else(|| Error::Missing {
            path: self.path.clone(),
            name: name.to_owned(),
            available: self.entries.keys().cloned().collect(),
        })?;
        Tensor::mapped(entry.dtype, &entry.shape, &self.map, entry.range.clone())
    }
}

/// The bytes of the header.
fn header_of(file: &[u8]) -> std::result::Result<&[u8], String> {
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(format!(
            "it has {} bytes, fewer than a header length takes",
            file.len()
        ));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER as u64 {
        return Err(format!(
            "its header would have {length} bytes; at most {MAX_HEADER} are read"
        ));
    }
    rest.get(..length as usize).ok_or_else(|| {
        let left = rest.len();
        format!("its header would have {length} bytes, the file has only {left} more")
    })
}

/// Turns offsets into ranges of the file, and checks them.
fn place(
    tensors: BTreeMap<String, RawEntry>,
    data_start: usize,
    file_length: usize,
) -> std::result::Result<BTreeMap<String, Entry>, String> {
    let mut entries = BTreeMap::new();
    for (name, raw) in tensors {
        let dtype = dtype_of(&raw.dtype)
            .ok_or_else(|| format!("`{name}` has dtype `{}`, which is not supported", raw.dtype))?;
        let bytes = byte_count(dtype, &raw.shape).map_err(|e| format!("`{name}`: {e}"))?;
        let [low, high] = raw.data_offsets;
        let available = file_length - data_start;
        if low > high || high > available {
            return Err(format!(
                "`{name}` has offsets {low}..{high}; the data has {available} bytes"
            ));
        }
        if high - low != bytes {
            let (shape, found) = (raw.shape, high - low);
            return Err(format!(
                "`{name}` is {dtype}{shape:?} of {bytes} bytes, its offsets hold {found}"
            ));
        }
        let entry = Entry {
            dtype,
            shape: raw.shape,
            range: data_start + low..data_start + high,
        };
        entries.insert(name, entry);
    }
    check_cover(&entries, data_start, file_length)?;
    Ok(entries)
}

/// The ranges follow each other from the start of the data to the end of the file.
fn check_cover(
    entries: &BTreeMap<String, Entry>,
    data_start: usize,
    file_length: usize,
) -> std::result::Result<(), String> {
    let mut order: Vec<(&String, &Entry)> = entries.iter().collect();
    order.sort_by_key(|(_, entry)| (entry.range.start, entry.range.end));
    let (mut position, mut before) = (data_start, "the header");
    for (name, entry) in order {
        if entry.range.start != position {
            let how = if entry.range.start < position {
                "overlaps"
            } else {
                "leaves a gap after"
            };
            return Err(format!("`{name}` {how} {before}"));
        }
        (position, before) = (entry.range.end, name);
    }
    if position != file_length {
        return Err(format!(
            "{} bytes follow after {before}",
            file_length - position
        ));
    }
    Ok(())
}

/// Names of dtypes in the format.
const DTYPES: [(&str, DType); 13] = [
    ("BOOL", DType::Bool),
    ("I8", DType::I8),
    ("I16", DType::I16),
    ("I32", DType::I32),
    ("I64", DType::I64),
    ("U8", DType::U8),
    ("U16", DType::U16),
    ("U32", DType::U32),
    ("U64", DType::U64),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F32", DType::F32),
    ("F64", DType::F64),
];

fn dtype_of(name: &str) -> Option<DType> {
    DTYPES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|&(_, dtype)| dtype)
}

fn name_of(dtype: DType) -> &'static str {
    DTYPES
        .iter()
        .find(|&&(_, d)| d == dtype)
        .map_or("", |&(name, _)| name)
}

/// A header as it is written.
struct Header {
    tensors: BTreeMap<String, RawEntry>,
    metadata: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Header, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Header, A::Error> {
                let mut tensors = BTreeMap::new();
                let mut metadata = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "__metadata__" && metadata.is_none() {
                        metadata = Some(map.next_value::<BTreeMap<String, String>>()?);
                    } else if key == "__metadata__" || tensors.contains_key(&key) {
                        map.next_value::<IgnoredAny>()?;
                        return Err(A::Error::custom(format!("duplicate key `{key}`")));
                    } else {
                        tensors.insert(key, map.next_value()?);
                    }
                }
                let metadata = metadata.unwrap_or_default();
                Ok(Header { tensors, metadata })
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// Writes tensors and metadata; the file appears at once and whole. The same input gives the same
/// bytes: larger elements come first, which keeps all data aligned, then names decide.
pub fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut order: Vec<(&String, &Tensor)> = tensors.iter().collect();
    order.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().bytes()));
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut position = 0;
    for (name, tensor) in &order {
        let end = position + tensor.bytes().len();
        let entry = serde_json::json!({
            "dtype": name_of(tensor.dtype()),
            "shape": tensor.shape(),
            "data_offsets": [position, end],
        });
        header.insert((*name).clone(), entry);
        position = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // Spaces, so that the data starts on a cache line.
    let padded = (header.len() + LENGTH_BYTES).next_multiple_of(crate::memory::ALIGNMENT);
    header.resize(padded - LENGTH_BYTES, b' ');
    files::write_atomically(path, |file| {
        use std::io::Write;
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        order
            .iter()
            .try_for_each(|(_, tensor)| file.write_all(tensor.bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(header: &str, data: usize) -> Result<SafeTensors> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.resize(file.len() + data, 0);
        open_bytes(&file)
    }

    fn open_bytes(file: &[u8]) -> Result<SafeTensors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, file).unwrap();
        SafeTensors::open(&path)
    }

    fn problem(header: &str, data: usize) -> String {
        match open(header, data) {
            Ok(_) => "none".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}"#,
                "offsets 0..9; the data has 8",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
                "offsets 8..0",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
                "of 12 bytes, its offsets hold 8",
            ),
            (
                r#"{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#,
                "dtype `F8_E4M3`",
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[9223372036854775808,4],"data_offsets":[0,8]}}"#,
                "does not fit in memory",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
                "`b` overlaps a",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
                "`b` leaves a gap after a",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]}}"#,
                "2 bytes follow after a",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
                "duplicate key `a`",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[-8],"data_offsets":[0,8]}}"#,
                "header is not as",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1}}"#,
                "unknown field `x`",
            ),
            (r#"{"a":[[[["#, "header is not as"),
            ("", "header is not as"),
        ];
        for (header, expected) in cases {
            let found = problem(header, 8);
            assert!(found.contains(expected), "{header}: {found}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(problem(&deep, 0).contains("header is not as"));
    }

    #[test]
    fn headers_that_cannot_be() {
        for (file, expected) in [
            (vec![], "0 bytes"),
            (vec![1, 2, 3], "3 bytes"),
            (
                (200_000_000u64).to_le_bytes().to_vec(),
                "would have 200000000 bytes; at most",
            ),
            (u64::MAX.to_le_bytes().to_vec(), "at most"),
            (5u64.to_le_bytes().to_vec(), "the file has only 0 more"),
        ] {
            let error = open_bytes(&file).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_missing_tensor_is_named_with_what_is_there() {
        let file = open(
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
            2,
        )
        .unwrap();
        let error = file.tensor("b").unwrap_err().to_string();
        assert!(error.ends_with("no entry `b`; the file has a"), "{error}");
    }

    #[test]
    fn unaligned_data_and_bad_bools() {
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        for spaces in 0..4 {
            let file = open(&format!("{header}{}", " ".repeat(spaces)), 4).unwrap();
            assert_eq!(file.tensor("a").unwrap().as_slice::<f32>().unwrap(), [0.0]);
        }
        let header = r#"{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.push(7);
        let file = open_bytes(&bytes).unwrap();
        assert!(matches!(
            file.tensor("a"),
            Err(Error::NotABool { value: 7, index: 0 })
        ));
    }

    #[test]
    fn every_dtype_round_trips() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut tensors = BTreeMap::new();
        for dtype in DType::ALL {
            let tensor = Tensor::from_f64(dtype, &[1, 3], &[0.0, 1.0, 1.0]).unwrap();
            tensors.insert(format!("t.{dtype}"), tensor);
        }
        tensors.insert("empty".into(), Tensor::zeros(DType::F64, &[0, 4]).unwrap());
        tensors.insert("scalar \"\n".into(), Tensor::scalar(1.5f32).unwrap());
        let metadata = BTreeMap::from([("step".to_owned(), "12".to_owned())]);
        save(&path, &tensors, &metadata).unwrap();
        let first = std::fs::read(&path).unwrap();
        let file = SafeTensors::open(&path).unwrap();
        assert_eq!(file.metadata(), &metadata);
        assert_eq!(file.entries().count(), tensors.len());
        for (name, tensor) in &tensors {
            assert_eq!(&file.tensor(name).unwrap(), tensor, "{name}");
        }
        // A mapped tensor outlives the file's replacement.
        let kept = file.tensor("t.f32").unwrap();
        save(&path, &tensors, &metadata).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        assert_eq!(&kept, &tensors["t.f32"]);
    }

    proptest! {
        #[test]
        fn damaged_files_do_not_panic(position in 0usize..200, byte: u8, cut in 0usize..300) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.safetensors");
            let tensors = BTreeMap::from([
                ("a".to_owned(), Tensor::from_slice(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]).unwrap()),
                ("b".to_owned(), Tensor::from_bools(&[2], &[true, false]).unwrap()),
            ]);
            save(&path, &tensors, &BTreeMap::new()).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            if let Some(at) = bytes.get_mut(position) {
                *at = byte;
            }
            bytes.truncate(cut.max(1));
            if let Ok(file) = open_bytes(&bytes) {
                let names: Vec<String> = file.entries().map(|(n, _)| n.to_owned()).collect();
                for name in names {
                    let _ = file.tensor(&name);
                }
            }
        }
    }
}
