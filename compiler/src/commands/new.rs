//! `aiai new`

use std::path::Path;

use crate::{Ended, Failure, Outcome, output};

/// The files of a fresh model.
const FILES: [(&str, &str); 3] = [
    ("model.aiai", include_str!("new/model.aiai")),
    ("model.toml", include_str!("new/model.toml")),
    ("points.csv", include_str!("new/points.csv")),
];

pub fn run(dir: &Path) -> Ended {
    if dir.exists() {
        return Err(Failure::input(format!("{} exists already", dir.display())));
    }
    let fail = |e: std::io::Error| Failure::environment(format!("{}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(fail)?;
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text).map_err(fail)?;
    }
    let dir = dir.display();
    output::print(&format!(
        "made {dir}: `aiai train {dir}` trains it, `aiai test {dir}/model.aiai` tests it"
    ));
    Ok(Outcome::Success)
}
