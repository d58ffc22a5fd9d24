//! What machine code is made for: an instruction set, given by name or taken from this machine.

use aiai_runtime::cpu;

/// An instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Sorted names of the features beyond plain x86-64; see [`aiai_runtime::cpu`]. Whoever loads the code
    /// checks them.
    pub features: Vec<String>,
    /// Code is scheduled for this machine, if it is the one it was made on.
    pub host: bool,
}

/// A target that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownTarget(String);

impl Target {
    /// This machine, with all that it has.
    pub fn host() -> Target {
        let here = cpu::features().filter(|f| cpu::has(f) == Some(true));
        Target::of(here, true)
    }

    fn of(features: impl Iterator<Item = &'static str>, host: bool) -> Target {
        let mut features: Vec<String> = features.map(str::to_owned).collect();
        features.sort();
        features.dedup();
        Target { features, host }
    }

    /// Reads `cpu`, `cpu:host`, `cpu:LEVEL`, each with `+FEATURE` any number of times.
    ///
    /// # Errors
    /// A device, level or feature that is not known; the message lists those that are.
    pub fn parse(text: &str) -> Result<Target, UnknownTarget> {
        let (device, rest) = text.split_once(':').unwrap_or((text, "host"));
        if device != "cpu" {
            return Err(UnknownTarget(format!(
                "unknown target `{text}`; there are `cpu`, `cpu:host` and `cpu:LEVEL`"
            )));
        }
        let mut parts = rest.split('+');
        let level = parts.next().unwrap_or("host");
        let base = match level {
            "host" => Target::host(),
            _ => {
                let Some(features) = cpu::level(level) else {
                    let known: Vec<&str> = cpu::levels().collect();
                    return Err(UnknownTarget(format!(
                        "unknown level `{level}` in `{text}`; there are host, {}",
                        known.join(", ")
                    )));
                };
                Target::of(features, false)
            }
        };
        let mut features = base.features;
        for name in parts {
            if cpu::has(name).is_none() {
                let known: Vec<&str> = cpu::features().collect();
                return Err(UnknownTarget(format!(
                    "unknown feature `{name}` in `{text}`; there are {}",
                    known.join(", ")
                )));
            }
            features.push(name.to_owned());
        }
        features.sort();
        features.dedup();
        Ok(Target {
            features,
            host: base.host,
        })
    }

    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        assert_eq!(Target::parse("cpu"), Ok(Target::host()));
        assert_eq!(Target::parse("cpu:host"), Ok(Target::host()));
        let v3 = Target::parse("cpu:x86-64-v3").unwrap();
        assert!(v3.has("avx2") && !v3.has("avx512f") && !v3.host);
        let more = Target::parse("cpu:x86-64-v3+avx512f+fma").unwrap();
        assert!(more.has("avx512f") && more.features.len() == v3.features.len() + 1);
        for wrong in [
            "gpu",
            "cpu:x86-64-v7",
            "cpu:x86-64-v3+warp",
            "cpu:",
            "cpu:host+",
        ] {
            let message = Target::parse(wrong).unwrap_err().to_string();
            assert!(
                message.starts_with("unknown") && message.contains("there are"),
                "{message}"
            );
        }
    }
}
