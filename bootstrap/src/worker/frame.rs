//! Messages between the gate and its workers: a mark, a length, JSON.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::solver::Answered;
use crate::gate::{AlgebraKind, Report, Setup, Task};
use crate::selftest::Found;

/// To a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// First: what all tasks share.
    Setup(Box<Setup>),
    /// Which rules a file holds.
    List {
        file: String,
        text: String,
    },
    Judge(Box<Task>),
    /// Mutants of the rule that the task names, so many at most.
    Mutate {
        task: Box<Task>,
        most: usize,
    },
    /// Only prove the rules of the task.
    Prove(Box<Task>),
    /// What the solver said.
    Solved(Answered),
    /// The model that it named, if any.
    Modelled(Option<String>),
}

/// From a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    Ready,
    /// The worker could not confine itself; nothing was read.
    Unconfined(String),
    /// A question for the solver.
    Solve {
        script: String,
    },
    /// One that also asks for values.
    Model {
        script: String,
    },
    Listed(Result<Vec<Listed>, Report>),
    Judged(Vec<Report>),
    Mutated(Vec<Found>),
    Proved(Vec<Proved>),
    /// The task could not be done.
    Failed(String),
}

/// A rule of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    /// A file with this rule alone, and the functions beside it.
    pub alone: String,
    /// The text to judge it in, where that is not the whole file: without the other rules that are ill-typed.
    pub within: Option<String>,
}

/// The proof of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proved {
    pub rule: String,
    pub algebra: AlgebraKind,
    pub detail: String,
    pub float_proved: bool,
    /// The argument.
    pub steps: Vec<String>,
}

const MARK: [u8; 4] = *b"aiai";

/// Bytes of a message, at most.
pub const MOST: u32 = 64 << 20;

/// Writes a message.
///
/// # Errors
/// Where the other end is gone, or the message is too long.
pub fn send<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).ok().filter(|n| *n <= MOST);
    let length = length.ok_or_else(|| io::Error::other("a message is too long"))?;
    to.write_all(&MARK)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads a message.
///
/// # Errors
/// Where the other end is gone, or what it wrote is no message.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut head = [0u8; 8];
    from.read_exact(&mut head)?;
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if head[..4] != MARK || length > MOST {
        return Err(io::Error::other("not a message"));
    }
    // Read as it comes: a length alone takes no memory.
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Reply::Failed("no".to_owned())).expect("written");
        let back: Reply = receive(&mut bytes.as_slice()).expect("read");
        assert!(matches!(back, Reply::Failed(why) if why == "no"));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [
            &b""[..],
            b"aiai",
            b"garbage!garbage",
            b"aiai\xff\xff\xff\xff",
            b"aiai\x05\0\0\0{}",
        ] {
            assert!(receive::<Reply>(&mut &*bytes).is_err());
        }
    }
}
