//! Which files somebody means.

use globset::{GlobBuilder, GlobMatcher};
use tenure_sdk::Failure;

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

/// Which files somebody means, by their paths below the folder.
pub(super) enum Wanted {
    /// All of them.
    All,
    /// Documents.
    Text,
    /// Those whose path ends so.
    Ending(String),
    /// Those whose name matches.
    Name(GlobMatcher),
    /// Those whose path matches.
    Path(GlobMatcher),
}

impl Wanted {
    /// An ending (`.md`), a pattern of names (`*_test.py`) or of paths (`src/**/*.rs`).
    pub(super) fn parse(pattern: &str) -> Result<Self, Failure> {
        match (pattern.contains(['*', '?', '[', '{']), pattern.contains('/')) {
            (false, _) if pattern.is_empty() => Ok(Self::Text),
            (false, _) => Ok(Self::Ending(pattern.into())),
            (true, false) => glob(pattern).map(Self::Name),
            (true, true) => glob(pattern).map(Self::Path),
        }
    }

    pub(super) fn has(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Text => TEXT.iter().any(|ending| path.to_ascii_lowercase().ends_with(ending)),
            Self::Ending(ending) => path.ends_with(ending.as_str()),
            Self::Name(glob) => glob.is_match(path.rsplit('/').next().unwrap_or(path)),
            Self::Path(glob) => glob.is_match(path),
        }
    }
}

fn glob(pattern: &str) -> Result<GlobMatcher, Failure> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
        let message = format!(
            "pattern `{pattern}` is not understood ({}): give an ending such as `.md`, or a \
             pattern such as `src/**/*.rs`",
            error.kind()
        );
        Failure::permanent("file_pattern", message)
    })?;
    Ok(glob.compile_matcher())
}
