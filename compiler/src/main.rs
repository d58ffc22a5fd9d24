//! The `aiai` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    aiai::main()
}
