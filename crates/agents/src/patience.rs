//! How long a server asks to be left alone.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The pause that the header `Retry-After` asks for in seconds. A date is passed over: it is of the
/// server's clock, and the ordinary pause does as well.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_and_anything_else_is_passed_over() {
        let read = |value: &'static str| {
            asked(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]))
        };
        assert_eq!(read(" 120 "), Some(Duration::from_mins(2)));
        assert_eq!(read("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(asked(&HeaderMap::new()), None);
    }
}
