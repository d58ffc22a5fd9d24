//! Aligned memory whose allocation can fail, and the store that reuses it between calls.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Alignment of owned tensor data and of arena blocks: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// An owned block of bytes, aligned to [`ALIGNMENT`]. Its contents are always initialised.
pub struct AlignedBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the block is owned; shared references only read it.
unsafe impl Send for AlignedBytes {}
// SAFETY: as above.
unsafe impl Sync for AlignedBytes {}

fn layout(len: usize) -> Result<Layout> {
    Layout::from_size_align(len, ALIGNMENT).map_err(|_| Error::OutOfMemory { bytes: len })
}

/// Refuses what the machine does not have. The system grants more than there is and kills the process
/// once it is used, so large requests are compared with what is left.
pub fn check_available(bytes: usize) -> Result<()> {
    const LARGE: usize = 256 << 20;
    if bytes >= LARGE && bytes > available() {
        return Err(Error::OutOfMemory { bytes });
    }
    Ok(())
}

/// Bytes that can be had without harm to other processes; all there are where the system does not tell.
fn available() -> usize {
    let number = |path: &str, name: &str| -> Option<usize> {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let kibibytes = |name| Some(number("/proc/meminfo", name)?.saturating_mul(1024));
    let machine =
        kibibytes("MemAvailable:").map(|m| m.saturating_add(kibibytes("SwapFree:").unwrap_or(0)));
    let group = number("/sys/fs/cgroup/memory.max", "")
        .or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes", ""));
    machine
        .unwrap_or(usize::MAX)
        .min(group.unwrap_or(usize::MAX))
}

impl AlignedBytes {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Result<AlignedBytes> {
        let layout = layout(len)?;
        if len == 0 {
            return Ok(AlignedBytes {
                start: NonNull::without_provenance(ALIGNMENT_NONZERO),
                len,
            });
        }
        check_available(len)?;
        // SAFETY: the layout has a size above 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) });
        let start = start.ok_or(Error::OutOfMemory { bytes: len })?;
        Ok(AlignedBytes { start, len })
    }

    /// A copy of `bytes`.
    pub fn copied(bytes: &[u8]) -> Result<AlignedBytes> {
        let mut copy = AlignedBytes::zeroed(bytes.len())?;
        copy.as_mut_slice().copy_from_slice(bytes);
        Ok(copy)
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` points to `len` initialised bytes (or is aligned and `len` is 0).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

const ALIGNMENT_NONZERO: std::num::NonZero<usize> = match std::num::NonZero::new(ALIGNMENT) {
    Some(alignment) => alignment,
    None => unreachable!(),
};

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        if let (Ok(layout), 1..) = (layout(self.len), self.len) {
            // SAFETY: allocated in `zeroed` with this very layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

/// Blocks of uninitialised memory for compiled code, kept for reuse from call to call.
///
/// A compiled function asks for one block at entry and gives it back when it returns.
#[derive(Default)]
pub struct Arena {
    state: Mutex<ArenaState>,
}

#[derive(Default)]
struct ArenaState {
    free: Vec<Block>,
    used: Vec<Block>,
    live: usize,
    peak: usize,
    /// The last request that could not be met, in bytes.
    refused: usize,
}

struct Block {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a block is only an address and a size; who may touch the memory is the caller's affair.
unsafe impl Send for Block {}

impl Arena {
    pub fn new() -> Arena {
        Arena::default()
    }

    /// A block of at least `bytes` bytes, aligned to [`ALIGNMENT`], uninitialised. It stays valid
    /// until it is given to [`Arena::release`] or the arena is dropped.
    pub fn acquire(&self, bytes: usize) -> Result<NonNull<u8>> {
        let wanted = bytes.max(1);
        let mut state = self.lock();
        state
            .used
            .try_reserve(1)
            .map_err(|_| Error::OutOfMemory { bytes })?;
        state
            .free
            .try_reserve(1)
            .map_err(|_| Error::OutOfMemory { bytes })?;
        let fitting = (0..state.free.len())
            .filter(|&i| state.free[i].len >= wanted)
            .min_by_key(|&i| state.free[i].len);
        let block = match fitting {
            Some(i) => state.free.swap_remove(i),
            None => {
                // Too small ones would only pile up beside the new block.
                state.free.clear();
                Block::new(wanted).inspect_err(|_| state.refused = wanted)?
            }
        };
        let start = block.start;
        state.live += block.len;
        state.peak = state.peak.max(state.live);
        state.used.push(block);
        Ok(start)
    }

    /// Gives a block back. An address that `acquire` did not return is ignored.
    pub fn release(&self, start: *mut u8) {
        let mut state = self.lock();
        if let Some(i) = state.used.iter().rposition(|b| b.start.as_ptr() == start) {
            let block = state.used.swap_remove(i);
            state.live -= block.len;
            state.free.push(block);
        }
    }

    /// The most bytes that were handed out at one time.
    pub fn peak_bytes(&self) -> usize {
        self.lock().peak
    }

    /// The last request that could not be met, in bytes.
    pub fn refused_bytes(&self) -> usize {
        self.lock().refused
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ArenaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Block {
    fn new(len: usize) -> Result<Block> {
        check_available(len)?;
        // SAFETY: `len` is above 0: `acquire` asks for at least one byte.
        let start = NonNull::new(unsafe { alloc(layout(len)?) });
        let start = start.ok_or(Error::OutOfMemory { bytes: len })?;
        Ok(Block { start, len })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Ok(layout) = layout(self.len) {
            // SAFETY: allocated in `new` with this very layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_reused_and_counted() {
        let arena = Arena::new();
        let first = arena.acquire(1000).unwrap();
        assert_eq!(first.as_ptr() as usize % ALIGNMENT, 0);
        arena.release(first.as_ptr());
        let again = arena.acquire(500).unwrap();
        assert_eq!(first, again);
        let second = arena.acquire(0).unwrap();
        assert_ne!(second, again);
        assert_eq!(arena.peak_bytes(), 1001);
        arena.release(std::ptr::null_mut());
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(matches!(
            Arena::new().acquire(usize::MAX),
            Err(Error::OutOfMemory { .. })
        ));
        assert!(matches!(
            Arena::new().acquire(1 << 60),
            Err(Error::OutOfMemory { .. })
        ));
        assert!(AlignedBytes::zeroed(1 << 60).is_err());
        assert_eq!(AlignedBytes::zeroed(0).unwrap().as_slice(), &[] as &[u8]);
    }
}
