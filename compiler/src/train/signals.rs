//! The signals that ask training to stop: it ends after the step in progress, with a checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{Failure, Outcome};

/// The last signal that asked to stop, if any.
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Catches the signals from here on.
    pub fn catch() -> Result<Signals, Failure> {
        let last = Arc::new(AtomicUsize::new(0));
        let mut caught = vec![SIGINT, SIGTERM];
        #[cfg(unix)]
        if !ignored(signal_hook::consts::SIGHUP) {
            caught.push(signal_hook::consts::SIGHUP);
        }
        for signal in caught {
            signal_hook::flag::register_usize(signal, last.clone(), signal as usize)
                .map_err(|e| Failure::environment(format!("cannot catch signals: {e}")))?;
        }
        Ok(Signals(last))
    }

    /// How the command ends because of a signal, if there was one.
    pub fn stopped(&self) -> Option<Outcome> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            n if n == SIGINT as usize => Some(Outcome::Environment),
            n => Some(Outcome::Signal(n as u8)),
        }
    }
}

/// Whether the process was started with the signal ignored, as `nohup` does; known on Linux only.
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok());
    mask.unwrap_or(0) >> (signal - 1) & 1 == 1
}
