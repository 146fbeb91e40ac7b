//! Going through a folder.

use std::io;

use cap_std::fs::{Dir, DirEntry};

use super::Wanted;

/// Entries of folders that one walk looks at, and folders inside each other: the first is more than
/// a project has without what its tools build, the second more than anybody nests.
const ENTRIES: usize = 100_000;
const DEPTH: usize = 32;

/// A walk through a folder and what is below it.
pub(super) struct Walk<'a, F> {
    wanted: &'a Wanted,
    /// Is given each file with its path; says whether the walk goes on.
    visit: F,
    seen: usize,
    /// Whether it ended before it had seen everything.
    pub(super) cut: bool,
}

impl<'a, F> Walk<'a, F>
where
    F: FnMut(&str, &DirEntry) -> io::Result<bool>,
{
    pub(super) fn new(wanted: &'a Wanted, visit: F) -> Self {
        Self { wanted, visit, seen: 0, cut: false }
    }

    /// Goes through a folder by name, so that a walk that is cut is always cut at the same file.
    pub(super) fn folder(&mut self, dir: &Dir, path: &str, depth: usize) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in dir.entries()? {
            let entry = entry?;
            self.seen += 1;
            if self.seen > ENTRIES {
                self.cut = true;
                break;
            }
            // A name that is no text cannot be told to a model.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, entry));
            }
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries
            .iter()
            .try_for_each(|(name, entry)| self.entry(&format!("{path}{name}"), name, entry, depth))
    }

    fn entry(&mut self, path: &str, name: &str, entry: &DirEntry, depth: usize) -> io::Result<()> {
        // Hidden files are settings and version control, not documents.
        if name.starts_with('.') || self.cut {
            return Ok(());
        }
        // Links are left out: their targets are met under their own names, or lie outside.
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEPTH {
            // A folder that may not be read hides its files, not those of its neighbours.
            return match entry.open_dir() {
                Ok(dir) => self.folder(&dir, &format!("{path}/"), depth + 1),
                Err(_) => Ok(()),
            };
        }
        if kind.is_file() && self.wanted.has(path) {
            self.cut = !(self.visit)(path, entry)?;
        }
        Ok(())
    }
}
