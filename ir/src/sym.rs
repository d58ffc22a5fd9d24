//! Interned names. Order and hash are by content, so no result depends on interning order.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, RwLock};

use rustc_hash::FxHashSet;

/// An interned name: of a dimension, a function, a file.
#[derive(Clone, Copy, Eq)]
pub struct Sym(&'static str);

static NAMES: LazyLock<RwLock<FxHashSet<&'static str>>> = LazyLock::new(Default::default);

impl Sym {
    /// Interns `text`. The text is kept for the life of the process, once.
    pub fn new(text: &str) -> Sym {
        if let Some(known) = NAMES.read().unwrap_or_else(|e| e.into_inner()).get(text) {
            return Sym(known);
        }
        let mut names = NAMES.write().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = names.get(text) {
            return Sym(known);
        }
        let leaked: &'static str = Box::leak(text.to_owned().into_boxed_str());
        names.insert(leaked);
        Sym(leaked)
    }

    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl PartialEq for Sym {
    /// Equal names are interned once, so they are at the same place.
    fn eq(&self, other: &Sym) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Hash for Sym {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Ord for Sym {
    fn cmp(&self, other: &Sym) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        self.0.cmp(other.0)
    }
}

impl PartialOrd for Sym {
    fn partial_cmp(&self, other: &Sym) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Sym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Sym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl From<&str> for Sym {
    fn from(text: &str) -> Sym {
        Sym::new(text)
    }
}
