//! `aiai doctor`

use aiai_runtime::cpu;

use crate::cli::Global;
use crate::{Ended, Outcome, cache, output};

pub fn run(global: &Global) -> Ended {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let backends = match cfg!(feature = "llvm") {
        true => vec!["interp", "cranelift", "llvm"],
        false => vec!["interp", "cranelift"],
    };
    let library: Vec<&str> = aiai_frontend::stdlib::FILES.iter().map(|f| f.0).collect();
    let cache = cache::folder();
    let cached = cache.as_deref().map(cache::contents);
    let features: Vec<&str> = cpu::features()
        .filter(|f| cpu::has(f) == Some(true))
        .collect();
    if global.json {
        let value = serde_json::json!({
            "schema": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "target": std::env::consts::ARCH,
            "threads": threads,
            "features": features,
            "backends": backends,
            "library": library,
            "cache": cache,
            "cached_bytes": cached.map(|c| c.1),
        });
        output::print(&value.to_string());
        return Ok(Outcome::Success);
    }
    let cache = match (cache, cached) {
        (Some(folder), Some((entries, bytes))) => format!(
            "{}, {entries} entries, {:.1} MB",
            output::path(&folder),
            bytes as f64 * 1e-6
        ),
        _ => format!("none; `{}` names a folder", cache::VARIABLE),
    };
    output::print(&format!(
        "aiai {}\nprocessor  {}, {threads} threads\nfeatures   {}\nbackends   {}\nlibrary    {} files\ncache      {cache}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        features.join(" "),
        backends.join(", "),
        library.len(),
    ));
    Ok(Outcome::Success)
}
