//! Durations as Go writes them: `1m30s`, `300ms`, `1.5h`.

use std::time::Duration;

use crate::bounds::MAX_SPAN;
use crate::node::Node;
use crate::span::Span;

/// Units with their seconds, those that begin like another one first.
const UNITS: [(&str, f64); 8] = [
    ("ms", 1e-3),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ns", 1e-9),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
];

/// A duration above zero, in whole milliseconds, rounded up.
pub(super) fn read(at: &Node<'_>) -> Option<Span> {
    let hint = "write it like `10s`, `1m30s` or `300ms`";
    let Some(seconds) = seconds(&at.text(usize::MAX)?) else {
        return at.problem("is not a duration", hint);
    };
    if seconds <= 0.0 {
        return at.problem("nothing ends in no time", "give a longer time, or remove it");
    }
    if seconds > MAX_SPAN.as_secs_f64() {
        return at.problem("is longer than 365 days", hint);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a year")]
    let millis = (seconds * 1e3).ceil() as u64;
    Some(Span(Duration::from_millis(millis)))
}

fn seconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut sum = 0.0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, scale) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        sum += number * scale;
        rest = &rest[end + unit.len()..];
        if rest.is_empty() {
            return Some(sign * sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_s_durations() {
        for (text, found) in [
            ("10s", Some(10.0)),
            ("1m30s", Some(90.0)),
            ("1.5h", Some(5400.0)),
            ("300ms", Some(0.3)),
            (".5s", Some(0.5)),
            ("-1s", Some(-1.0)),
            ("0", Some(0.0)),
            ("10", None),
            ("", None),
            ("s", None),
            ("1s2", None),
            ("1 s", None),
            ("1d", None),
        ] {
            assert_eq!(seconds(text), found, "{text}");
        }
    }
}
