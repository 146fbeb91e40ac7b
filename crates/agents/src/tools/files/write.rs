//! Changing files: where the operator of the worker permits it, and never half of one.

use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions};
use serde::{Deserialize, Serialize};
use similar::TextDiff;
use tenure_sdk::{Digest, Failure};

use super::{FILE, Files, blocking, unreadable};

/// Bytes of a diff that are told.
const DIFF: usize = 8 << 10;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its path below the folder.
    pub path: String,
    /// Its bytes.
    pub size: u64,
}

/// An edit of one file: every `old` becomes `new`.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The file's path below the folder.
    pub path: String,
    /// The text that is replaced.
    pub old: String,
    /// What replaces it.
    pub new: String,
    /// Whether it may occur more than once.
    pub all: bool,
}

/// What an edit is about to do. Made before anything is changed and recorded, it tells a later
/// worker whether the edit has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// SHA-256 of the file as it was.
    pub before: String,
    /// SHA-256 of the file as it will be.
    pub after: String,
    /// How often the text occurs.
    pub replaced: usize,
    /// The lines that change, at most 8 KiB of them.
    pub diff: String,
}

impl Files {
    /// Writes a text of at most [`FILE`] bytes, in place of what was there; folders are made.
    /// Whoever reads the file sees the old text or the new one.
    pub async fn write(&self, path: &str, text: &str) -> Result<Written, Failure> {
        let (files, path, text) = (self.clone(), path.to_owned(), text.to_owned());
        blocking(move || {
            files.write_now(&path, &text)?;
            Ok(Written { size: text.len() as u64, path })
        })
        .await
    }

    /// What an edit would do. Changes nothing.
    pub async fn plan(&self, edit: &Edit) -> Result<Plan, Failure> {
        let (files, edit) = (self.clone(), edit.clone());
        blocking(move || {
            files.permitted(&edit.path)?;
            let text = files.read_now(&edit.path)?;
            let (changed, replaced) = edit.apply(&text)?;
            let diff = diff(&text, &changed);
            Ok(Plan { before: digest(&text), after: digest(&changed), replaced, diff })
        })
        .await
    }

    /// Makes an edit that was planned, unless it has been made.
    pub async fn edit(&self, edit: &Edit, plan: &Plan) -> Result<(), Failure> {
        let (files, edit, plan) = (self.clone(), edit.clone(), plan.clone());
        blocking(move || {
            let text = files.read_now(&edit.path)?;
            match digest(&text) {
                found if found == plan.after => Ok(()),
                found if found == plan.before => files.write_now(&edit.path, &edit.apply(&text)?.0),
                _ => Err(changed(&edit.path)),
            }
        })
        .await
    }

    fn write_now(&self, path: &str, text: &str) -> Result<(), Failure> {
        self.permitted(path)?;
        if text.len() as u64 > FILE {
            let message = format!("`{path}` would have {} bytes; the limit is {FILE}", text.len());
            return Err(Failure::permanent("file_size", message));
        }
        let fail = |error: io::Error| unwritable(path, &error);
        let (folder, name) = self.place(Path::new(path)).map_err(fail)?;
        if folder.symlink_metadata(&name).is_ok_and(|meta| meta.is_dir()) {
            return Err(Failure::permanent("file_kind", format!("`{path}` is a folder")));
        }
        replace(&folder, &name, text).map_err(fail)
    }

    /// Whether a path may be written at all.
    fn permitted(&self, path: &str) -> Result<(), Failure> {
        if !self.writable {
            let message = "this worker's folder is to read only; its operator permits writing with \
                `--files-write`";
            return Err(Failure::permanent("file_read_only", message));
        }
        if hidden(Path::new(path)) {
            return Err(Failure::permanent("file_hidden", hidden_message(path)));
        }
        Ok(())
    }

    /// The folder that a file is in, made if need be, and the file's name.
    fn place(&self, path: &Path) -> io::Result<(Dir, PathBuf)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Some(parent) = parent else { return Ok((self.root.try_clone()?, name.into())) };
        self.root.create_dir_all(parent)?;
        // A link may lead to what is hidden though its own name is not.
        if hidden(&self.root.canonicalize(parent)?) {
            return Err(io::Error::other("it leads to a hidden folder"));
        }
        Ok((self.root.open_dir(parent)?, name.into()))
    }
}

impl Edit {
    /// The text after the edit, and how often `old` occurred.
    fn apply(&self, text: &str) -> Result<(String, usize), Failure> {
        let path = &self.path;
        match text.matches(&self.old).count() {
            0 => {
                let message = format!("`old` does not occur in `{path}`; read the file again");
                Err(Failure::permanent("edit_not_found", message))
            }
            many @ 2.. if !self.all => {
                let message = format!(
                    "`old` occurs {many} times in `{path}`: give more of the text around it, or \
                     set `all`"
                );
                Err(Failure::permanent("edit_ambiguous", message))
            }
            count => Ok((text.replace(&self.old, &self.new), count)),
        }
    }
}

/// Writes beside the file and moves it into its place.
fn replace(folder: &Dir, name: &Path, text: &str) -> io::Result<()> {
    let mut random = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let beside = format!(".tenure-{:016x}", u64::from_ne_bytes(random));
    let written = fill(folder, &beside, name, text);
    if written.is_err() {
        // What is left would only be in the way; why it is left is the error.
        let _ = folder.remove_file(&beside);
    }
    written
}

fn fill(folder: &Dir, beside: &str, name: &Path, text: &str) -> io::Result<()> {
    let mut file = folder.open_with(beside, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(text.as_bytes())?;
    // A program stays one that can be executed.
    if let Ok(old) = folder.symlink_metadata(name)
        && old.is_file()
    {
        file.set_permissions(old.permissions())?;
    }
    // The step's record says that it is written: it must be, even if the power fails.
    file.sync_all()?;
    folder.rename(beside, folder, name)
}

/// Hidden files are version control and settings, which other programs act on: a hook of git is
/// executed by whoever commits next.
fn hidden(path: &Path) -> bool {
    let hidden = |part: Component<'_>| match part {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    path.components().any(hidden)
}

fn hidden_message(path: &str) -> String {
    format!("`{path}` is hidden; files and folders whose name begins with a dot are not written")
}

fn changed(path: &str) -> Failure {
    let message = format!("`{path}` has been changed meanwhile; read it again");
    Failure::permanent("edit_conflict", message)
}

fn unwritable(path: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied => unreadable(path, error),
        _ => Failure::permanent("file_error", format!("`{path}` cannot be written: {error}")),
    }
}

fn digest(text: &str) -> String {
    Digest::of(text).to_string()
}

fn diff(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = diff.unified_diff().context_radius(2).missing_newline_hint(false).to_string();
    if text.len() > DIFF {
        let end = (0..=DIFF).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n…");
    }
    text
}
