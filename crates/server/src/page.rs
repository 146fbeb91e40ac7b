//! Page tokens: where a list goes on, opaque to clients.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tenure_core::{Error, Result, limits};

/// How many objects a page has: what was asked for, within the limit, which is also the default.
pub(crate) fn size(asked: u32) -> usize {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => limits::PAGE,
        some => some.min(limits::PAGE),
    }
}

/// The token for going on after `last`.
pub(crate) fn token(last: impl std::fmt::Display) -> String {
    URL_SAFE_NO_PAD.encode(last.to_string())
}

/// Where a token says to go on; an empty one says from the start.
pub(crate) fn after<T: FromStr>(token: &str) -> Result<Option<T>> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::invalid("page_token is not one of ours: leave it out to start again");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    text.parse().map(Some).map_err(|_| wrong())
}

/// A page and the token of the next: `found` was asked for one more than the page holds.
pub(crate) fn cut<T>(
    mut found: Vec<T>,
    size: usize,
    place: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    if found.len() <= size {
        return (found, String::new());
    }
    found.truncate(size);
    let next = found.last().map(|last| token(place(last))).unwrap_or_default();
    (found, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_next_page() {
        let (page, next) = cut(vec![1, 2, 3], 2, ToString::to_string);
        assert_eq!(page, [1, 2]);
        assert_eq!(after::<u32>(&next).unwrap(), Some(2));
        assert_eq!(cut(vec![1, 2], 2, ToString::to_string).1, "");
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for bad in ["?", "eA", "_w"] {
            assert!(after::<u32>(bad).is_err(), "{bad}");
        }
        assert_eq!((size(0), size(7), size(u32::MAX)), (200, 7, 200));
    }
}
