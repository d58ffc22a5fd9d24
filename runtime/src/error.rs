//! The typed errors of the runtime: every failure that input or the environment can cause.

use std::path::{Path, PathBuf};

use crate::DType;

/// What went wrong, with the values that disagree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The number of elements or bytes of a shape does not fit the address space.
    #[error("a tensor of shape {shape:?} does not fit in memory")]
    ShapeOverflow {
        /// The shape as it was asked for.
        shape: Vec<usize>,
    },
    /// The allocator refused.
    #[error("out of memory: cannot allocate {bytes} bytes")]
    OutOfMemory {
        /// The size of the refused request.
        bytes: usize,
    },
    /// Data and shape disagree.
    #[error("shape {shape:?} takes {expected} elements, the data has {found}")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// Elements that the shape takes.
        expected: usize,
        /// Elements that the data has.
        found: usize,
    },
    /// An operation needs one dtype and got another.
    #[error("expected dtype {expected}, found {found}")]
    DType {
        /// The dtype that is needed.
        expected: DType,
        /// The dtype that is there.
        found: DType,
    },
    /// A `bool` byte that is neither 0 nor 1.
    #[error("byte {value} at element {index} is not a bool: it must be 0 or 1")]
    NotABool {
        /// The offending byte.
        value: u8,
        /// Its position in row-major order.
        index: usize,
    },
    /// The operating system refused an operation on a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A folder, a pipe or a device stands where a file is wanted.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A file is not what its format says.
    #[error("{}: invalid {format}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that it was read as.
        format: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A line of a text file is not what its format says.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A file has no entry of this name.
    #[error("{}: no entry `{name}`; the file has {}", path.display(), list(available))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The entry that was asked for.
        name: String,
        /// The entries that are there, sorted.
        available: Vec<String>,
    },
    /// The tokenizer refused its definition or a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A task of the thread pool panicked. This is a bug of the program that ran the task.
    #[error("a parallel task panicked: {0}")]
    Panicked(String),
}

/// Results of the runtime.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn io(path: &Path, source: std::io::Error) -> Error {
        Error::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub fn format(path: &Path, format: &'static str, problem: impl Into<String>) -> Error {
        Error::Format {
            path: path.to_owned(),
            format,
            problem: problem.into(),
        }
    }
}

/// At most eight names, then how many more.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "none".into();
    }
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
