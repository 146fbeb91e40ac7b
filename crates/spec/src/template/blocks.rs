//! Blocks and their ends. The library takes the end of a text for the end of a block, and an end
//! without a block for the end of the text; Go refuses both.

const OPENING: [&str; 5] = ["if", "range", "with", "block", "define"];

/// What is wrong with the blocks of a text that is a template otherwise, with the line.
pub(super) fn problem(text: &str) -> Option<String> {
    let mut open = 0_usize;
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        rest = &rest[start + 2..];
        match word(rest) {
            word if OPENING.contains(&word) => open += 1,
            "end" if open == 0 => {
                let line = text[..text.len() - rest.len()].lines().count();
                return Some(format!("{line}: unexpected {{{{end}}}}"));
            }
            "end" => open -= 1,
            _ => {}
        }
        rest = after(rest);
    }
    (open > 0).then(|| "unexpected EOF: an `{{end}}` is missing".into())
}

/// The first word of an action.
fn word(action: &str) -> &str {
    let action = action.strip_prefix('-').unwrap_or(action).trim_start();
    let end = action.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(action.len());
    &action[..end]
}

/// What follows the action that the text begins with.
fn after(action: &str) -> &str {
    let comment = action.strip_prefix('-').unwrap_or(action).trim_start().starts_with("/*");
    let action = match action.find("*/") {
        Some(end) if comment => &action[end..],
        _ => action,
    };
    let mut quote = None;
    let mut escaped = false;
    for (place, byte) in action.bytes().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(b'"' | b'\''), b'\\') => escaped = true,
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            (None, b'}') if action[place..].starts_with("}}") => return &action[place + 2..],
            _ => {}
        }
    }
    ""
}
