//! Generates the recogniser; a conflict in the grammar fails the build.

fn main() {
    if let Err(error) = lalrpop::process_src() {
        panic!("the grammar: {error}");
    }
}
