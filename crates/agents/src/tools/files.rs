//! The one folder that file tools can see.
//!
//! Paths come from a model, so they are hostile. They are resolved by `cap-std`: below an open
//! directory, with `openat2(RESOLVE_BENEATH)` where the kernel has it and component by component
//! elsewhere. `..`, absolute paths and symbolic links that lead outside are refused *while* the
//! path is walked. A check of the canonical path before opening would be a race: between check and
//! opening, a link can be put in place of what was checked.

mod pattern;
mod search;
mod walk;
mod write;

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use tenure_sdk::Failure;
use tokio::sync::Mutex;

use pattern::Wanted;
use walk::Walk;

pub use search::{Findings, Found, MATCHES, Search};
pub use write::{Edit, Plan, Written};

/// Bytes of a file that is read as a whole: what a model can take in, with room in a payload.
pub const FILE: u64 = 256 << 10;
/// Files in one listing.
pub const FILES: usize = 1_000;
/// A folder and everything below it, to read only unless it is made writable. Cloning is cheap.
#[derive(Clone)]
pub struct Files {
    root: Arc<Dir>,
    writable: bool,
    /// Held by whoever edits, from reading a file to writing it.
    pub(super) editing: Arc<Mutex<()>>,
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
        let root = Dir::open_ambient_dir(folder, ambient_authority())?;
        Ok(Self { root: Arc::new(root), writable: false, editing: Arc::default() })
    }

    /// The same folder, to be written if `writable`.
    #[must_use]
    pub fn writable(self, writable: bool) -> Self {
        Self { writable, ..self }
    }

    /// The text of a file of at most [`FILE`] bytes in UTF-8.
    pub async fn read(&self, path: &str) -> Result<String, Failure> {
        let (files, path) = (self.clone(), path.to_owned());
        blocking(move || files.read_now(&path)).await
    }

    /// Text files; or those whose path ends as `pattern` does (`.md`), whose name matches it
    /// (`*_test.py`), or whose path does (`notes/**/*.md`).
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
        let mut files = Vec::new();
        let mut walk = Walk::new(wanted, |path, entry| {
            if files.len() == FILES {
                return Ok(false);
            }
            files.push(Listed { path: path.into(), size: entry.metadata()?.len() });
            Ok(true)
        });
        walk.folder(&self.root, "", 0).map_err(|error| unreadable("the folder", &error))?;
        let more = walk.cut;
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Listing { files, more })
    }
}

fn unreadable(path: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::permanent("file_not_found", format!("there is no file `{path}`"))
        }
        io::ErrorKind::PermissionDenied => Failure::permanent(
            "file_forbidden",
            format!("`{path}` may not be used; paths are relative to the given folder"),
        ),
        _ => Failure::permanent("file_error", format!("`{path}` cannot be read: {error}")),
    }
}

async fn blocking<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    let ended = |error| {
        Failure::retryable("file_error", format!("the work on files was interrupted: {error}"))
    };
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
