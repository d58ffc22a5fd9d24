//! `aiai explain`

use aiai_frontend::diagnostics::{CODES, code};

use crate::cli::Global;
use crate::{Ended, Failure, Outcome, output};

pub fn run(name: Option<&str>, global: &Global) -> Ended {
    let Some(name) = name else {
        let lines: Vec<String> = CODES
            .iter()
            .map(|c| format!("{}  {}", c.code, c.title))
            .collect();
        output::print(&lines.join("\n"));
        return Ok(Outcome::Success);
    };
    let Some(row) = code(name) else {
        return Err(Failure::input(format!(
            "unknown code `{name}`; `aiai explain` lists them"
        )));
    };
    if global.json {
        let value = serde_json::json!({"schema": 1, "code": row.code, "title": row.title, "page": row.page});
        output::print(&value.to_string());
    } else {
        output::print(row.page);
    }
    Ok(Outcome::Success)
}
