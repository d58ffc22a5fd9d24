//! The standard library, embedded.

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// Names and texts, in the order of loading.
        pub const FILES: &[(&str, &str)] = &[
            $( (concat!("std/", $name), include_str!(concat!("../../../stdlib/", $name))) ),+
        ];
    };
}

files![
    "activations.aiai",
    "attention.aiai",
    "conv.aiai",
    "linear.aiai",
    "losses.aiai",
    "lstm.aiai",
    "metrics.aiai",
    "norms.aiai",
    "optim.aiai",
    "pool.aiai",
    "prelude.aiai",
    "random.aiai",
    "schedules/cpu.aiai",
    "schedules/cpu_avx2.aiai",
];
