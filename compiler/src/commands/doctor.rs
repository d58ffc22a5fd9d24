//! `aiai doctor`

use crate::cli::Global;
use crate::{Ended, Outcome, output};

pub fn run(global: &Global) -> Ended {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let backends = match cfg!(feature = "llvm") {
        true => vec!["interp", "cranelift", "llvm"],
        false => vec!["interp", "cranelift"],
    };
    let library: Vec<&str> = aiai_frontend::stdlib::FILES.iter().map(|f| f.0).collect();
    if global.json {
        let value = serde_json::json!({
            "schema": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "target": std::env::consts::ARCH,
            "threads": threads,
            "backends": backends,
            "library": library,
        });
        output::print(&value.to_string());
        return Ok(Outcome::Success);
    }
    output::print(&format!(
        "aiai {}\nprocessor  {}, {threads} threads\nbackends   {}\nlibrary    {} files",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        backends.join(", "),
        library.len(),
    ));
    Ok(Outcome::Success)
}
