//! The examples, read from their folders.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_spec::Script;

/// One example and how it is played.
pub(super) struct Example {
    /// Its documents below `examples/`; the first is the one that is run.
    pub(super) documents: &'static [&'static str],
    /// The folder that its workers see.
    pub(super) files: Option<&'static str>,
    /// The programs that its agents may start; they may then write, too.
    pub(super) programs: &'static [&'static str],
    /// The script of its workers' model, for a graph that names none.
    pub(super) script: Option<&'static str>,
    /// The input of its run, a text.
    pub(super) input: &'static str,
    /// A part of its output, in JSON.
    pub(super) output: &'static str,
}

/// Where the examples are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

impl Example {
    /// One with nothing but a document, an input and a part of the output.
    pub(super) const fn of(
        documents: &'static [&'static str],
        input: &'static str,
        output: &'static str,
    ) -> Self {
        Self { documents, files: None, programs: &[], script: None, input, output }
    }

    /// The texts of its documents.
    pub(super) fn texts(&self) -> Vec<String> {
        self.documents.iter().map(|path| text(&folder().join(path))).collect()
    }

    pub(super) fn script(&self) -> Option<Script> {
        Some(tenure_spec::script(&text(&folder().join(self.script?))).unwrap())
    }

    /// The files that its workers see, each a path and a text.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        if let Some(seen) = self.files {
            let root = folder().join(seen);
            collect(&root, &root, &mut files);
        }
        files
    }
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.push((name.to_owned(), text(&path)));
        }
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
