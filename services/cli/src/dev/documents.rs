//! The documents that the demo reads, found without being told where.

use std::fs;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// Endings of what the tool `list_files` takes for text.
const TEXT: [&str; 18] = [
    "md", "markdown", "txt", "text", "rst", "adoc", "org", "tex", "html", "htm", "xml", "csv",
    "tsv", "json", "jsonl", "yaml", "yml", "toml",
];
/// Folders inside each other that are looked into.
const DEPTH: usize = 32;

/// A directory and how many text files are in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Documents {
    pub(super) dir: PathBuf,
    pub(super) count: usize,
}

impl Documents {
    /// The directory that was asked for, or `docs` here or in a directory above.
    pub(super) fn find(wanted: Option<&Path>, here: &Path) -> Result<Self, Problem> {
        let hint = "go to a checkout of Tenure, or name a directory of texts with --files DIR";
        let dir = match wanted {
            Some(dir) if dir.is_dir() => dir.to_owned(),
            Some(dir) => {
                let message = format!("--files {}: no such directory", dir.display());
                return Err(Problem::new(message));
            }
            None => above(here).ok_or_else(|| {
                let message = format!("no directory `docs` in {} or above it", here.display());
                Problem::new(message).hint(hint)
            })?,
        };
        match count(&dir, 0) {
            0 => Err(Problem::new(format!("{} has no text files", dir.display())).hint(hint)),
            count => Ok(Self { dir, count }),
        }
    }
}

/// `docs` here or above, but not above the checkout: what is there is none of the demo's business.
fn above(here: &Path) -> Option<PathBuf> {
    let root = here.ancestors().position(|dir| dir.join(".git").exists());
    let within = here.ancestors().take(root.map_or(usize::MAX, |root| root + 1));
    within.map(|dir| dir.join("docs")).find(|dir| dir.is_dir())
}

/// Counts by the rules of `list_files`: no hidden files, no links.
fn count(dir: &Path, depth: usize) -> usize {
    // A folder that may not be read has nothing for the demo either.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let counts = visible.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() && depth < DEPTH => count(&entry.path(), depth + 1),
        Ok(kind) if kind.is_file() => usize::from(is_text(&entry.path())),
        _ => 0,
    });
    counts.sum()
}

fn is_text(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| TEXT.contains(&ending.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        dir
    }

    #[test]
    fn docs_are_found_from_below() {
        let root = tree(&["docs/a.md", "docs/adr/b.MD", "docs/c.png", "docs/.d.md", "src/x/y.rs"]);
        let found = Documents::find(None, &root.path().join("src/x")).unwrap();
        assert_eq!(found, Documents { dir: root.path().join("docs"), count: 2 });
    }

    #[test]
    fn what_is_missing_is_said() {
        let root = tree(&["docs/a.md", "repo/.git/HEAD", "repo/empty/a.png"]);
        let find = |dir: &str| {
            let dir = root.path().join("repo").join(dir);
            Documents::find(Some(&dir), root.path()).unwrap_err().render()
        };
        assert!(find("empty").contains("has no text files"));
        assert!(find("absent").contains("no such directory"));
        let nowhere = Documents::find(None, &root.path().join("repo/empty")).unwrap_err().render();
        assert!(nowhere.contains("no directory `docs`") && nowhere.contains("--files"));
    }
}
