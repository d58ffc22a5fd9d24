//! Interned names. Equality, order and hash are by content, so no result depends on interning order.

use std::collections::HashSet;
use std::fmt;
use std::sync::{LazyLock, RwLock};

/// An interned name: of a dimension, a function, a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sym(&'static str);

static NAMES: LazyLock<RwLock<HashSet<&'static str>>> = LazyLock::new(Default::default);

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
