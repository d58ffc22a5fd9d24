//! The compile cache: object files on disk, found by what they were made of.
//!
//! An entry is one file named by its key, a digest of all that decides the code: the IR, the symbol, the options,
//! the target, the backend and this build of aiai. It is written beside its place and renamed, so that another
//! process, or a process that is killed, never shows half of one; two that write the same entry write the
//! same bytes. What is read is checked against the digest that it carries. The cache only saves time: where
//! it cannot be used, that is said and the code is compiled.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aiai_codegen::{Object, Options, Target};
use aiai_ir::{Function, PrintOptions, print_function};
use aiai_runtime::{Program, files};
use sha2::{Digest, Sha256};

use crate::output;

/// The variable that names the folder; empty means no cache.
pub const VARIABLE: &str = "AIAI_CACHE";
/// The first bytes of an entry; the number is the version of its layout.
const MAGIC: &[u8; 8] = b"aiaiobj1";
const DIGEST: usize = 32;
/// Beyond this the entries that were used longest ago are removed.
const MOST_BYTES: u64 = 1 << 30;

/// What an entry is found by.
pub struct Key(String);

impl Key {
    pub fn new(
        function: &Function,
        backend: &str,
        symbol: &str,
        options: &Options,
        target: &Target,
    ) -> Key {
        let text = print_function(function, PrintOptions { locations: true });
        let parts = [
            env!("AIAI_BUILD"),
            backend,
            symbol,
            &format!("{options:?} {target:?}"),
            &text,
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Key(hex(&digest.finalize()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Where entries are; `None` where there is no cache.
pub fn folder() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os(VARIABLE) {
        return (!given.is_empty()).then(|| given.into());
    }
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty());
    let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")))?;
    Some(base.join("aiai"))
}

/// How many entries there are, and their bytes.
pub fn contents(folder: &Path) -> (usize, u64) {
    let entries = entries(folder);
    (entries.len(), entries.iter().map(|e| e.bytes).sum())
}

/// The entry of a key. One that is damaged is said and passed over.
pub fn read(key: &Key) -> Option<Object> {
    let path = folder()?.join(&key.0);
    if !path.exists() {
        return None;
    }
    let map = match files::map(&path) {
        Ok(map) => map,
        Err(error) => {
            output::complain(&format!("the compile cache is not read: {error}"));
            return None;
        }
    };
    let Some(object) = decode(&map) else {
        complain_of_entry(key, "it is damaged");
        return None;
    };
    // The time of the last use decides what goes first; where it cannot be set, that of making does.
    if let Ok(file) = std::fs::File::open(&path) {
        let _ = file.set_modified(SystemTime::now());
    }
    Some(object)
}

/// Says that an entry is made again, and why.
pub fn complain_of_entry(key: &Key, why: &str) {
    let name = folder().unwrap_or_default().join(&key.0);
    let name = output::path(&name);
    output::complain(&format!(
        "{name}: an entry of the compile cache is made again: {why}"
    ));
}

/// Stores an entry. Where that fails, it is said; nothing else depends on it.
pub fn write(key: &Key, object: &Object) {
    let Some(folder) = folder() else { return };
    let written = std::fs::create_dir_all(&folder)
        .map_err(|e| aiai_runtime::Error::io(&folder, e))
        .and_then(|()| {
            let bytes = encode(object);
            files::write_atomically(&folder.join(&key.0), |file| {
                std::io::Write::write_all(file, &bytes)
            })
        });
    match written {
        Ok(()) => trim(&folder),
        Err(error) => output::complain(&format!("the compile cache is not written: {error}")),
    }
}

/// Magic, digest of the rest, length of the program, program as JSON, object file.
fn encode(object: &Object) -> Vec<u8> {
    let program = serde_json::to_vec(&object.program).unwrap_or_default();
    let mut payload = (program.len() as u64).to_le_bytes().to_vec();
    payload.extend_from_slice(&program);
    payload.extend_from_slice(&object.bytes);
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&Sha256::digest(&payload));
    out.extend_from_slice(&payload);
    out
}

fn decode(bytes: &[u8]) -> Option<Object> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (digest, payload) = rest.split_at_checked(DIGEST)?;
    if Sha256::digest(payload).as_slice() != digest {
        return None;
    }
    let (length, rest) = payload.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (program, object) = rest.split_at_checked(length)?;
    let program: Program = serde_json::from_slice(program).ok()?;
    Some(Object {
        program,
        bytes: object.to_vec(),
    })
}

struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The files that have names as keys do.
fn entries(folder: &Path) -> Vec<Entry> {
    let Ok(found) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let entry = |found: std::fs::DirEntry| {
        let name = found.file_name();
        let named =
            name.len() == 2 * DIGEST && name.to_str()?.bytes().all(|b| b.is_ascii_hexdigit());
        let data = found.metadata().ok().filter(|_| named)?;
        Some(Entry {
            path: found.path(),
            bytes: data.len(),
            used: data.modified().ok()?,
        })
    };
    found.flatten().filter_map(entry).collect()
}

/// Removes what was used longest ago until the rest is small enough.
fn trim(folder: &Path) {
    let mut entries = entries(folder);
    let mut bytes: u64 = entries.iter().map(|e| e.bytes).sum();
    entries.sort_by_key(|e| e.used);
    for entry in entries {
        if bytes <= MOST_BYTES {
            break;
        }
        // Another process may have removed it.
        let _ = std::fs::remove_file(&entry.path);
        bytes = bytes.saturating_sub(entry.bytes);
    }
}
