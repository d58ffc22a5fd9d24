//! The `aiai` command.
fn main() {}
