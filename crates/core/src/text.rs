//! Text that others bring: how long it may be, and what it may not contain.

use std::fmt;

use crate::error::{Error, Result};

/// Refuses text over `limit` bytes, and text with a NUL, which PostgreSQL cannot keep. `what` names
/// it in the error.
pub fn check(what: impl fmt::Display, text: &str, limit: usize) -> Result<()> {
    if text.len() > limit {
        return Err(Error::too_large(format!("{what} in bytes"), text.len(), limit));
    }
    if text.contains('\0') {
        return Err(Error::invalid(format!("{what} contains a NUL character; leave it out")));
    }
    Ok(())
}

/// Money in millionths of a US dollar, to a hundredth of a cent.
pub fn dollars(micros: u64) -> String {
    format!("${}.{:04}", micros / 1_000_000, micros % 1_000_000 / 100)
}

/// The text as it can be kept, for text that describes what has already happened and so cannot be
/// refused: cut to `limit` bytes at a character boundary, each NUL replaced.
pub fn clean(text: &mut String, limit: usize) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
    text.truncate(text.floor_char_boundary(limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_refused_or_replaced() {
        assert!(check("a label", "fine", 4).is_ok());
        let long = check("a label", "fines", 4).unwrap_err();
        assert_eq!(long.to_string(), "a label in bytes is 5; the limit is 4");
        assert!(check("a label", "\0", 4).is_err());
        let mut text = "a\0é".to_owned();
        clean(&mut text, 5);
        assert_eq!(text, "a\u{fffd}");
    }

    #[test]
    fn money_is_shown_to_a_hundredth_of_a_cent() {
        assert_eq!(dollars(1_234_567), "$1.2345");
    }
}
