//! The lock that keeps a second process from opening the same file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Result, StoreError};

/// The lock on a database file. The operating system releases it when the process ends, however it
/// ends, so there is nothing to clean up after a crash.
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock in a file next to the database: SQLite has locks of its own on the database,
    /// which closing any second handle to it would drop.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push("-lock");
        let path = PathBuf::from(path);
        let failed = |problem: String| StoreError::File { path: database.into(), problem };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| failed(format!("{} cannot be opened: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(failed(
                "it is open in another process; stop that one, or use another file".into(),
            )),
            Err(TryLockError::Error(error)) => {
                Err(failed(format!("{} cannot be locked: {error}", path.display())))
            }
        }
    }
}
