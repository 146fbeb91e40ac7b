//! Text of others, made safe to print; numbers and payloads as people read them.

use std::borrow::Cow;

use tenure_sdk::v1;

/// Characters that move the cursor, change colours or the direction of reading: a name or message
/// must not be able to rewrite what the terminal shows.
fn steers(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(|char| steers(char) && !keep(char)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if steers(char) && !keep(char) {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    Cow::Owned(safe)
}

/// Text that stays on its line.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Text of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |char| matches!(char, '\n' | '\t'))
}

/// The beginning of a text on one line, at most `width` characters.
pub(crate) fn short(text: &str, width: usize) -> String {
    let line = line(text.trim());
    match line.char_indices().nth(width) {
        None => line.into_owned(),
        Some(_) => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-/:@=,".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", line(word).replace('\'', r"'\''")))
}

/// `1 entry`, `2 entries`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + 6);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `812 B`, `3.4 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", tenths(1024)),
        _ => format!("{} MiB", tenths(1_048_576)),
    }
}

/// What a payload says, or how large it is if it says nothing to people.
pub(crate) fn payload(payload: &v1::Payload) -> String {
    let readable = payload.encoding.is_empty();
    match std::str::from_utf8(&payload.data) {
        Ok(text) if readable => lines(&unquoted(payload, text)).into_owned(),
        _ => {
            let size = size(payload.data.len() as u64);
            format!("({} of {})", size, line(&payload.content_type))
        }
    }
}

/// What a payload says on one line, at most `width` characters.
pub(crate) fn short_payload(content: &v1::Payload, width: usize) -> String {
    let json = content.content_type == tenure_core::Payload::JSON && content.encoding.is_empty();
    match serde_json::from_slice::<serde_json::Value>(&content.data) {
        Ok(value) if json => short(&value.to_string(), width),
        _ => short(&payload(content), width),
    }
}

/// A JSON string as the text that it is; other JSON with line breaks.
fn unquoted<'a>(payload: &v1::Payload, text: &'a str) -> Cow<'a, str> {
    if payload.content_type != tenure_core::Payload::JSON {
        return text.into();
    }
    match serde_json::from_str(text) {
        Ok(serde_json::Value::String(inner)) => inner.into(),
        Ok(value) => format!("{value:#}").into(),
        Err(_) => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(line("a\u{1b}[2Jb\nc"), r"a\u{1b}[2Jb\nc");
        assert_eq!(lines("a\n\tb\r"), "a\n\tb\\r");
        assert_eq!(line("evil\u{202e}txt"), r"evil\u{202e}txt");
        assert!(matches!(line("Grüße 👋"), Cow::Borrowed(_)));
    }

    #[test]
    fn numbers_are_grouped_and_sizes_have_units() {
        let grouped = [0, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1023, 1536, 3 << 20].map(size), ["0 B", "1023 B", "1.5 KiB", "3.0 MiB"]);
        assert_eq!(count(1, "entry", "entries"), "1 entry");
        assert_eq!(count(2000, "entry", "entries"), "2,000 entries");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!((short(" Grüße ", 5), short("Grüße", 4)), ("Grüße".into(), "Grü…".into()));
        assert_eq!(short("a\nb", 9), r"a\nb");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_as_one() {
        let words = ["blue", "", "it's", "$(reboot)", "a b"].map(quoted);
        assert_eq!(words, ["blue", "''", r"'it'\''s'", "'$(reboot)'", "'a b'"]);
    }

    #[test]
    fn a_payload_is_shown_as_what_it_is() {
        let content = |content_type: &str, data: &'static [u8]| v1::Payload {
            content_type: content_type.into(),
            data: data.into(),
            ..v1::Payload::default()
        };
        let shown = |content_type, data| payload(&content(content_type, data));
        assert_eq!(shown("application/json", br#""a\nb""#), "a\nb");
        assert_eq!(shown("application/json", b"[1]"), "[\n  1\n]");
        assert_eq!(shown("text/plain", b"hello"), "hello");
        assert_eq!(shown("image/png", b"\xff\xfe"), "(2 B of image/png)");
        let short = |content_type, data| short_payload(&content(content_type, data), 8);
        assert_eq!(short("application/json", b"[1,\n 2]"), "[1,2]");
        assert_eq!(short("application/json", b"\"hello there\""), "\"hello …");
        assert_eq!(short("text/plain", b"hello"), "hello");
    }
}
