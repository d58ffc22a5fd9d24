//! The standard library, embedded.

macro_rules! files {
    ($(#[doc = $doc:literal])+ $list:ident: $($name:literal),+ $(,)?) => {
        $(#[doc = $doc])+
        pub const $list: &[(&str, &str)] = &[
            $( (concat!("std/", $name), include_str!(concat!("../../../stdlib/", $name))) ),+
        ];
    };
}

files![
    /// Names and texts, in the order of loading.
    FILES:
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

files![
    /// The rules of the library, a family to a file. They are no part of programs.
    RULES:
    "rules/algebra.aiai",
    "rules/bits.aiai",
    "rules/broadcast.aiai",
    "rules/casts.aiai",
    "rules/comparison.aiai",
    "rules/concat.aiai",
    "rules/contractions.aiai",
    "rules/control.aiai",
    "rules/convolutions.aiai",
    "rules/folding.aiai",
    "rules/functions.aiai",
    "rules/gathers.aiai",
    "rules/index.aiai",
    "rules/logic.aiai",
    "rules/normalisation.aiai",
    "rules/pad.aiai",
    "rules/permute.aiai",
    "rules/reductions.aiai",
    "rules/reshape.aiai",
    "rules/reverse.aiai",
    "rules/scans.aiai",
    "rules/scatters.aiai",
    "rules/select.aiai",
    "rules/slice.aiai",
    "rules/sorting.aiai",
    "rules/strength.aiai",
];
