//! Tuning: a search for the sizes in schedules, by measurement. docs/tuning.md says exactly what happens.
//!
//! A candidate is used only if the front end and code generation take it, it computes what the default computes,
//! and it is faster by more than the noise.

mod bench;
mod contraction;
mod journal;
mod machine;
mod search;
mod space;
mod text;
mod trial;

pub use bench::{Bench, CAREFUL, by_turns};
pub use contraction::{Found, find};
pub use journal::{Journal, Record, Verdict, path as journal_path};
pub use machine::processor;
pub use text::{Header, file, schedule as schedule_text};
pub use trial::{Setting, Step, Tuning};
