//! Searching the texts of a folder.

use std::io::{self, Read as _};

use cap_std::fs::DirEntry;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use tenure_sdk::Failure;

use super::walk::Walk;
use super::{Files, Wanted, blocking, unreadable};

/// Lines that one search finds: more is no answer, and a model would pay for each.
pub const MATCHES: usize = 200;
/// Bytes of a file that is searched; longer ones are data, not text that somebody wrote.
const FILE: u64 = 1 << 20;
/// Bytes that one search reads: a second's work, not a minute's.
const TOTAL: u64 = 256 << 20;
/// Characters of a line that are told.
const LINE: usize = 300;
/// Bytes of a compiled pattern: bounds what a model's pattern can cost.
const PROGRAM: usize = 1 << 20;

/// What to search for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The text, or the regular expression.
    pub text: String,
    /// Whether the text is a regular expression.
    pub regex: bool,
    /// Whether `a` is `A`.
    pub ignore_case: bool,
    /// Which files, as [`Files::list`] has it; empty for all.
    pub files: String,
    /// Lines before and after each that are told, too.
    pub context: usize,
}

/// A line with the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The file's path below the folder.
    pub path: String,
    /// The number of the line, from 1.
    pub line: usize,
    /// The line, and those around it if they were asked for.
    pub text: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// At most [`MATCHES`], by path and line.
    pub matches: Vec<Found>,
    /// Whether the search ended before it had seen everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Files {
    /// Lines with a text. Files that are hidden, longer than 1 MiB or no text in UTF-8 are left out.
    pub async fn search(&self, search: Search) -> Result<Findings, Failure> {
        let pattern = search.pattern()?;
        let wanted = match search.files.as_str() {
            "" => Wanted::All,
            files => Wanted::parse(files)?,
        };
        let files = self.clone();
        blocking(move || files.search_now(&pattern, &wanted, search.context)).await
    }

    fn search_now(
        &self,
        pattern: &Regex,
        wanted: &Wanted,
        context: usize,
    ) -> Result<Findings, Failure> {
        let (mut matches, mut total) = (Vec::new(), 0);
        let mut walk = Walk::new(wanted, |path, entry| {
            let text = read(entry).unwrap_or_default();
            total += text.len() as u64;
            find(pattern, path, &text, context, &mut matches);
            Ok(matches.len() <= MATCHES && total <= TOTAL)
        });
        walk.folder(&self.root, "", 0).map_err(|error| unreadable("the folder", &error))?;
        let more = walk.cut;
        matches.truncate(MATCHES);
        Ok(Findings { matches, more })
    }
}

impl Search {
    fn pattern(&self) -> Result<Regex, Failure> {
        let text = if self.regex { self.text.clone() } else { regex::escape(&self.text) };
        let mut pattern = RegexBuilder::new(&text);
        let pattern = pattern.case_insensitive(self.ignore_case).size_limit(PROGRAM);
        pattern.build().map_err(|error| {
            let message = format!("`{}` is no regular expression: {error}", self.text);
            Failure::permanent("search_pattern", message)
        })
    }
}

/// The text of a file that can be searched. What may not be read hides its own text only.
fn read(entry: &DirEntry) -> Option<String> {
    let readable = |entry: &DirEntry| -> io::Result<Option<String>> {
        if entry.metadata()?.len() > FILE {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        entry.open()?.take(FILE).read_to_end(&mut bytes)?;
        Ok(String::from_utf8(bytes).ok())
    };
    readable(entry).ok().flatten().filter(|text| !text.contains('\0'))
}

fn find(pattern: &Regex, path: &str, text: &str, context: usize, found: &mut Vec<Found>) {
    let lines: Vec<&str> = text.lines().collect();
    for (place, _) in lines.iter().enumerate().filter(|(_, line)| pattern.is_match(line)) {
        if found.len() > MATCHES {
            return;
        }
        let around = place.saturating_sub(context)..lines.len().min(place + context + 1);
        let shown = lines[around].iter().map(|line| short(line));
        let text = shown.collect::<Vec<_>>().join("\n");
        found.push(Found { path: path.into(), line: place + 1, text });
    }
}

fn short(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into(),
    }
}
