//! What machine this is, in words.

use aiai_frontend::diagnostics::escape;

/// The processor as it calls itself, where the system says; else the architecture.
pub fn processor() -> String {
    let said = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = said.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then_some(value)
    });
    let model = model.map_or(std::env::consts::ARCH, str::trim);
    escape(model)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
