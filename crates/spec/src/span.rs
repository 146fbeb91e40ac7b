//! Lengths of time as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::bounds::MAX_SPAN;
use crate::node::Node;

/// A length of time, from zero to 365 days in whole milliseconds. Its text form is a whole number
/// and one unit: `250ms`, `90s`, `10m`, `2h`, `7d`. It prints in the largest unit that fits
/// exactly, so that equal spans are equal text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// Units with their milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const GRAMMAR: &str = "^[0-9]{1,18}(ms|s|m|h|d)$";
const HINT: &str = "write a whole number and a unit, such as `500ms`, `90s`, `10m` or `2h`";

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// [`Span::read`] for spans in which something has to happen.
    pub(crate) fn read_filled(node: &Node<'_>) -> Option<Self> {
        let time = Self::read(node)?;
        if time == Self::default() {
            return node.problem("nothing ends in zero time", "give a longer time, or remove it");
        }
        Some(time)
    }

    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let Some(text) = node.value.as_str() else {
            return node.problem("must be a span of time", HINT);
        };
        text.parse().map_err(|error: InvalidSpan| node.problem::<()>(error.to_string(), HINT)).ok()
    }
}

/// Why a text is not a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidSpan {
    /// It is not a whole number and a unit.
    Grammar,
    /// It is longer than 365 days.
    TooLong,
}

impl fmt::Display for InvalidSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grammar => "is not a span of time",
            Self::TooLong => "is longer than 365 days",
        })
    }
}

impl std::error::Error for InvalidSpan {}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| scale);
        let (Some(scale), true) = (scale, (1..=18).contains(&digits)) else {
            return Err(InvalidSpan::Grammar);
        };
        let number: u64 = number.parse().map_err(|_| InvalidSpan::Grammar)?;
        let span = number.checked_mul(*scale).map(Duration::from_millis);
        span.filter(|span| *span <= MAX_SPAN).map(Self).ok_or(InvalidSpan::TooLong)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let exact = |scale: u64| millis.is_multiple_of(u128::from(scale));
        match UNITS.iter().find(|(_, scale)| millis > 0 && exact(*scale)) {
            Some((unit, scale)) => write!(f, "{}{unit}", millis / u128::from(*scale)),
            None => f.write_str("0s"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: a whole number and a unit (ms, s, m, h, d), at most 365 days.",
            "pattern": GRAMMAR,
            "examples": ["500ms", "90s", "10m", "2h"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_in_the_largest_exact_unit() {
        for (text, printed) in [
            ("90s", "90s"),
            ("60s", "1m"),
            ("120m", "2h"),
            ("1500ms", "1500ms"),
            ("365d", "365d"),
            ("48h", "2d"),
            ("0ms", "0s"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn refuses_anything_else() {
        for text in
            ["", "90", "s", "-1s", "1.5s", "1h30m", "1 s", "1S", "٣s", "9999999999999999999s"]
        {
            assert_eq!(text.parse::<Span>(), Err(InvalidSpan::Grammar), "{text}");
        }
        for text in ["366d", "999999999999999999d"] {
            assert_eq!(text.parse::<Span>(), Err(InvalidSpan::TooLong), "{text}");
        }
    }
}
