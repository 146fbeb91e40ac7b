//! What a document says about itself, for scripts that have no model to read it: its first heading
//! and its first sentence. Crude on purpose; nothing is decided by it.

/// Lines that are looked at: what a document is about stands at its beginning.
const LINES: usize = 200;
/// Words of a sentence; what is longer is cut.
const WORDS: usize = 50;
/// Words that a line must have to begin a paragraph: less is a caption, a date, a name.
const PROSE: usize = 3;

/// Beginnings of lines that are Markdown's or data's own: headings, lists, quotes, tables, HTML,
/// pictures, front matter, JSON.
const MARKS: [&str; 15] =
    ["#", "- ", "* ", "+ ", "> ", "|", "<", "![", "---", "===", "***", "{", "}", "[", "\""];

/// The first heading of a Markdown document without its marks; empty if there is none.
pub(super) fn heading(text: &str) -> String {
    let heading = lines(text).find_map(|line| {
        let title = line.trim_start_matches('#');
        let marks = line.len() - title.len();
        ((1..=6).contains(&marks) && title.starts_with(' ')).then(|| title.trim())
    });
    heading.unwrap_or_default().into()
}

/// The first sentence of the first paragraph of prose; empty if there is none.
pub(super) fn sentence(text: &str) -> String {
    let paragraph =
        lines(text).skip_while(|line| !begins_prose(line)).take_while(|line| in_prose(line));
    let words: Vec<_> = paragraph.flat_map(str::split_whitespace).take(WORDS + 1).collect();
    let end = (0..words.len()).find(|place| ends_sentence(&words, *place));
    match end {
        Some(last) if last < WORDS => words[..=last].join(" "),
        _ if words.len() > WORDS => format!("{} …", words[..WORDS].join(" ")),
        _ => words.join(" "),
    }
}

/// The trimmed lines of the beginning, without blocks of code.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().take(LINES).map(str::trim).filter(move |line| {
        let fence = line.starts_with("```") || line.starts_with("~~~");
        code ^= fence;
        !code && !fence
    })
}

fn in_prose(line: &str) -> bool {
    !line.is_empty() && !MARKS.iter().any(|mark| line.starts_with(mark)) && !is_numbered(line)
}

fn begins_prose(line: &str) -> bool {
    in_prose(line) && line.split_whitespace().count() >= PROSE
}

/// Whether the line is an item of a numbered list: `3. …`.
fn is_numbered(line: &str) -> bool {
    line.split_once(['.', ')']).is_some_and(|(number, rest)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && rest.starts_with(' ')
    })
}

fn ends_sentence(words: &[&str], place: usize) -> bool {
    let word = words[place].trim_end_matches(['*', '_', '`', '"', '\'', ')', '”', '’']);
    let goes_on = words.get(place + 1).is_some_and(|next| next.starts_with(char::is_lowercase));
    match word.strip_suffix('.') {
        Some(stem) => !goes_on && !is_abbreviation(stem),
        None => !goes_on && word.ends_with(['!', '?']),
    }
}

/// `3.`, `J.`, `e.g.`: none of them ends a sentence.
fn is_abbreviation(stem: &str) -> bool {
    let stem = stem.trim_start_matches(['(', '*', '_', '"']);
    let short = stem.chars().count() < 2 || stem.bytes().all(|byte| byte.is_ascii_digit());
    short || ["e.g", "i.e", "cf", "vs", "Dr", "Mr", "Mrs", "No", "St"].contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_found_outside_of_code() {
        for (text, title) in [
            ("# 3. YAML is read by `x`\n\nText.", "3. YAML is read by `x`"),
            ("```sh\n# a comment\n```\n\n## Use of C#\n", "Use of C#"),
            ("#!/bin/sh\n#tag\nNo heading", ""),
            ("", ""),
        ] {
            assert_eq!(heading(text), title, "{text}");
        }
    }

    #[test]
    fn a_sentence_ends_where_a_reader_ends_it() {
        for (text, first) in [
            ("# T\n\nOne for us\nall. Two.", "One for us all."),
            (
                "In Section 3. of the text (e.g. here) it goes on. End",
                "In Section 3. of the text (e.g. here) it goes on.",
            ),
            (
                "It is read by v1.2 of `a.b`; do not edit. Next.",
                "It is read by v1.2 of `a.b`; do not edit.",
            ),
            ("**Is it so?** Yes.", "**Is it so?**"),
            ("There are two kinds:\n\n- one\n- two", "There are two kinds:"),
            (
                "---\ntitle: x\n---\n\n1. first of a list\n\n| a | b |\n\nThe real beginning. More.",
                "The real beginning.",
            ),
            (
                "Status: accepted\n\nAgents are written in YAML, by people and by strangers.",
                "Agents are written in YAML, by people and by strangers.",
            ),
            ("{\n  \"a long key\": \"with a long text\"\n}", ""),
            ("", ""),
        ] {
            assert_eq!(sentence(text), first, "{text}");
        }
    }

    #[test]
    fn an_endless_sentence_is_cut() {
        let cut = sentence(&"word ".repeat(1_000));
        assert_eq!((cut.split(' ').count(), cut.ends_with("word …")), (WORDS + 1, true));
        assert_eq!(sentence(&"word ".repeat(WORDS)).split(' ').count(), WORDS);
    }
}
