//! What the protos say about what they declare.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Comments by file and place.
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    pub(super) fn read(pool: &DescriptorPool) -> Self {
        let mut all = HashMap::new();
        for file in pool.files() {
            let info = &file.file_descriptor_proto().source_code_info;
            for location in info.iter().flat_map(|info| &info.location) {
                if let Some(text) = &location.leading_comments {
                    let lines: Vec<_> = text.lines().map(str::trim).collect();
                    let text = lines.join("\n").trim().to_owned();
                    all.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self(all)
    }

    /// The comment before a declaration; empty if there is none.
    pub(super) fn of(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        let found = self.0.get(&(file.name().to_owned(), path.to_vec()));
        found.map(String::as_str).unwrap_or_default()
    }
}
