//! Training: the loop, and what belongs to it. docs/models.md says exactly what happens.

mod checkpoint;
mod contract;
mod order;
mod signals;

pub use checkpoint::Checkpoint;
pub use contract::{Contract, Filled};
pub use order::{Order, Purpose, derive_key};
pub use signals::Signals;
