//! Every chain of a corpus loads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::report::Report;

/// Loads all files below a folder that are chains, or requests with one.
pub(crate) fn load(folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    for path in files(folder)? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let Ok(document) = serde_json::from_str::<Value>(&text) else { continue };
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if is_chain(&document) {
            report.chain(&name, tenure_spec::read(&text));
        }
    }
    Ok(())
}

/// A schema has `tasks` among its properties only.
fn is_chain(document: &Value) -> bool {
    let chain = document.get("chain").unwrap_or(document);
    chain.get("tasks").is_some_and(Value::is_array)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
