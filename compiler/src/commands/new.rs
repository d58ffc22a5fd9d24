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
    write(dir).map_err(|e| Failure::environment(format!("{}: {e}", dir.display())))?;
    let dir = output::path(dir);
    output::print(&format!(
        "made {dir}: `aiai train {dir}` trains it, `aiai test {dir}/model.aiai` tests it"
    ));
    Ok(Outcome::Success)
}

/// Makes the folder with its files, or leaves nothing.
fn write(dir: &Path) -> std::io::Result<()> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::create_dir(dir)?;
    let written = FILES
        .iter()
        .try_for_each(|(name, text)| std::fs::write(dir.join(name), text));
    if written.is_err() {
        // It was made above, so nothing else is in it.
        let _ = std::fs::remove_dir_all(dir);
    }
    written
}
