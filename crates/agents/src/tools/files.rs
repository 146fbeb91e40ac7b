//! The one folder that file tools can see.
//!
//! Paths come from a model, so they are hostile. They are resolved by `cap-std`: below an open
//! directory, with `openat2(RESOLVE_BENEATH)` where the kernel has it and component by component
//! elsewhere. `..`, absolute paths and symbolic links that lead outside are refused *while* the
//! path is walked. A check of the canonical path before opening would be a race: between check and
//! opening, a link can be put in place of what was checked.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};
use serde::{Deserialize, Serialize};
use tenure_sdk::Failure;

/// Bytes of a file that is read as a whole: what a model can take in, with room in a payload.
pub const FILE: u64 = 256 << 10;
/// Files in one listing.
pub const FILES: usize = 1_000;
/// Entries of folders that one listing looks at, and folders inside each other.
const ENTRIES: usize = 100_000;
const DEPTH: usize = 32;

/// Endings of files that are listed unless a pattern asks for others.
const TEXT: [&str; 18] = [
    ".md",
    ".markdown",
    ".txt",
    ".text",
    ".rst",
    ".adoc",
    ".org",
    ".tex",
    ".html",
    ".htm",
    ".xml",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".yaml",
    ".yml",
    ".toml",
];

/// A folder and everything below it, to read only. Cloning is cheap.
#[derive(Clone)]
pub struct Files {
    root: Arc<Dir>,
}

/// One file of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its path below the folder, with `/`.
    pub path: String,
    /// Its bytes.
    pub size: u64,
}

/// The files of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// At most [`FILES`], by path.
    pub files: Vec<Listed>,
    /// Whether there are files beyond the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Files {
    /// Opens the folder. It is the last path that is taken on trust.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { root: Arc::new(Dir::open_ambient_dir(folder, ambient_authority())?) })
    }

    /// The text of a file of at most [`FILE`] bytes in UTF-8.
    pub async fn read(&self, path: &str) -> Result<String, Failure> {
        let (files, path) = (self.clone(), path.to_owned());
        blocking(move || files.read_now(&path)).await
    }

    /// Text files, or those whose path ends as `pattern` does: `.md`, `*.md`, `notes/**/*.md`.
    pub async fn list(&self, pattern: &str) -> Result<Listing, Failure> {
        let wanted = Wanted::parse(pattern)?;
        let files = self.clone();
        blocking(move || files.list_now(&wanted)).await
    }

    fn read_now(&self, path: &str) -> Result<String, Failure> {
        let fail = |error: &io::Error| unreadable(path, error);
        // Opening a pipe or a device can wait for ever, so what it is comes first.
        let meta = self.root.metadata(path).map_err(|error| fail(&error))?;
        if !meta.is_file() {
            return Err(Failure::permanent("file_kind", format!("`{path}` is not a file")));
        }
        let file = self.root.open(path).map_err(|error| fail(&error))?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file of the limit from a longer one that still grows.
        file.take(FILE + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
        if bytes.len() as u64 > FILE {
            let size = meta.len();
            let message = format!("`{path}` has {size} bytes; files of up to {FILE} can be read");
            return Err(Failure::permanent("file_size", message));
        }
        String::from_utf8(bytes)
            .map_err(|_| Failure::permanent("file_text", format!("`{path}` is not text in UTF-8")))
    }

    fn list_now(&self, wanted: &Wanted) -> Result<Listing, Failure> {
        let mut walk = Walk { wanted, seen: 0, listing: Listing::default() };
        walk.folder(&self.root, "", 0).map_err(|error| unreadable("the folder", &error))?;
        let mut listing = walk.listing;
        listing.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(listing)
    }
}

/// Which files a listing is about.
enum Wanted {
    Text,
    Under { folder: String, ending: String },
}

impl Wanted {
    fn parse(pattern: &str) -> Result<Self, Failure> {
        if pattern.is_empty() {
            return Ok(Self::Text);
        }
        let (folder, rest) = match pattern.split_once("**/") {
            Some((folder, rest)) => (folder, rest),
            None => ("", pattern),
        };
        let ending = rest.trim_start_matches('*');
        if [folder, ending].iter().any(|part| part.contains(['*', '?', '[', '{'])) {
            let message = format!(
                "pattern `{pattern}` is not understood: give an ending such as `.md` or `notes/**/*.md`"
            );
            return Err(Failure::permanent("file_pattern", message));
        }
        Ok(Self::Under { folder: folder.into(), ending: ending.into() })
    }

    fn has(&self, path: &str) -> bool {
        match self {
            Self::Text => TEXT.iter().any(|ending| path.to_ascii_lowercase().ends_with(ending)),
            Self::Under { folder, ending } => path.starts_with(folder) && path.ends_with(ending),
        }
    }
}

struct Walk<'a> {
    wanted: &'a Wanted,
    seen: usize,
    listing: Listing,
}

impl Walk<'_> {
    /// Goes through a folder by name, so that a listing that is cut is always cut at the same file.
    fn folder(&mut self, dir: &Dir, path: &str, depth: usize) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in dir.entries()? {
            let entry = entry?;
            self.seen += 1;
            if self.seen > ENTRIES {
                self.listing.more = true;
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
        if name.starts_with('.') || self.listing.more {
            return Ok(());
        }
        // Links are left out: their targets are listed under their own names, or lie outside.
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEPTH {
            // A folder that may not be read hides its files, not those of its neighbours.
            return match entry.open_dir() {
                Ok(dir) => self.folder(&dir, &format!("{path}/"), depth + 1),
                Err(_) => Ok(()),
            };
        }
        if kind.is_file() && self.wanted.has(path) {
            self.listing.more = self.listing.files.len() == FILES;
            if !self.listing.more {
                let size = entry.metadata()?.len();
                self.listing.files.push(Listed { path: path.into(), size });
            }
        }
        Ok(())
    }
}

fn unreadable(path: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::permanent("file_not_found", format!("there is no file `{path}`"))
        }
        io::ErrorKind::PermissionDenied => Failure::permanent(
            "file_forbidden",
            format!("`{path}` may not be read; paths are relative to the given folder"),
        ),
        _ => Failure::permanent("file_error", format!("`{path}` cannot be read: {error}")),
    }
}

async fn blocking<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    let ended =
        |error| Failure::retryable("file_error", format!("reading was interrupted: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
