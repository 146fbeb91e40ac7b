//! Names that people choose: of tenants, agents, pools and aliases.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::limits;

/// A name: 1 to 128 of `a-z 0-9 . _ -`, beginning and ending with a letter or digit.
///
/// Lower case and ASCII only, so that it can stand in a URL, a file name, a metric label and a
/// journal key as it is. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn allowed(byte: u8) -> bool {
    edge(byte) || matches!(byte, b'.' | b'_' | b'-')
}

fn edge(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let edges =
            bytes.first().is_some_and(|b| edge(*b)) && bytes.last().is_some_and(|b| edge(*b));
        if edges && bytes.len() <= limits::NAME && bytes.iter().all(|b| allowed(*b)) {
            return Ok(Self(text.into()));
        }
        Err(Error::invalid(format!(
            "`{}` is not a name: use 1 to {} of a-z, 0-9, `.`, `_`, `-`, with a letter or digit at both ends",
            text.escape_debug().take(64).collect::<String>(),
            limits::NAME
        )))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_ascii_with_solid_ends() {
        for good in ["a", "0", "document-digest", "a.b_c-d", &"x".repeat(128)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "é", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
