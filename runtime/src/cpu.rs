//! Instruction sets: features by name, whether this machine has them, and the levels that group them.

/// A feature of x86-64 that code may be compiled for.
struct Feature {
    name: &'static str,
    here: fn() -> bool,
}

/// Rows of the table of features: the name is what `is_x86_feature_detected!` and Cranelift call it.
macro_rules! features {
    ($($name:tt)+) => {
        &[$(Feature {
            name: $name,
            #[cfg(target_arch = "x86_64")]
            here: || std::arch::is_x86_feature_detected!($name),
            #[cfg(not(target_arch = "x86_64"))]
            here: || false,
        }),+]
    };
}

static FEATURES: &[Feature] = features! {
    "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b"
    "avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe"
    "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl"
    "avx512vnni" "avx512vbmi" "avx512vbmi2" "avx512bitalg" "avx512vpopcntdq" "avx512ifma" "avx512bf16"
    "avxvnni" "gfni" "aes" "vaes" "pclmulqdq" "vpclmulqdq" "sha" "adx"
};

/// The levels of the x86-64 psABI, lowest first: how many rows of the table each takes.
const LEVELS: &[(&str, usize)] = &[
    ("x86-64", 0),
    ("x86-64-v2", 6),
    ("x86-64-v3", 14),
    ("x86-64-v4", 19),
];

/// Every feature that a target can name.
pub fn features() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().map(|f| f.name)
}

/// Every level that a target can name, lowest first.
pub fn levels() -> impl Iterator<Item = &'static str> {
    LEVELS.iter().map(|l| l.0)
}

/// The features of a level, those of lower levels included.
pub fn level(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    let (_, count) = LEVELS.iter().find(|l| l.0 == name)?;
    Some(features().take(*count))
}

/// Whether this machine has a feature; `None` where the name is unknown.
pub fn has(name: &str) -> Option<bool> {
    let feature = FEATURES.iter().find(|f| f.name == name)?;
    Some((feature.here)())
}

/// The features of a list that this machine lacks, unknown ones included.
pub fn missing(wanted: &[String]) -> Vec<&str> {
    let lacks = |name: &&str| has(name) != Some(true);
    wanted.iter().map(String::as_str).filter(lacks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_grow() {
        let counts: Vec<usize> = levels().map(|l| level(l).unwrap().count()).collect();
        assert!(counts.is_sorted() && counts.len() == 4);
        let third: Vec<&str> = level("x86-64-v3").unwrap().collect();
        assert!(third.contains(&"fma") && third.contains(&"popcnt") && !third.contains(&"avx512f"));
        assert_eq!(level("x86-64-v4").unwrap().last(), Some("avx512vl"));
        assert!(level("x86-64-v9").is_none());
    }

    #[test]
    fn what_is_unknown_is_missing() {
        assert_eq!(has("warp-drive"), None);
        assert_eq!(missing(&["warp-drive".into()]), ["warp-drive"]);
        let here: Vec<String> = features()
            .filter(|f| has(f) == Some(true))
            .map(str::to_owned)
            .collect();
        assert!(missing(&here).is_empty());
    }
}
