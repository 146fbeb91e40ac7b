//! Times as people say them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tenure_core::Timestamp;

/// A moment of a message; the beginning of time if it was left out.
pub(crate) fn moment(at: Option<&pbjson_types::Timestamp>) -> Timestamp {
    at.map_or_else(Timestamp::default, |at| {
        let micros = at.seconds.saturating_mul(1_000_000);
        Timestamp::from_micros(micros.saturating_add(i64::from(at.nanos) / 1_000))
    })
}

/// A length of time of a message; zero if it was left out.
pub(crate) fn length(duration: Option<&pbjson_types::Duration>) -> Duration {
    duration.map_or(Duration::ZERO, |duration| {
        let seconds = u64::try_from(duration.seconds).unwrap_or(0);
        Duration::new(seconds, u32::try_from(duration.nanos).unwrap_or(0))
    })
}

/// A length of time as messages say it.
pub(crate) fn wire(length: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(length.subsec_nanos()).unwrap_or(0),
    }
}

/// The time by this machine's clock: good enough to say how long ago something was.
#[expect(clippy::disallowed_methods, reason = "for people to read; nothing is decided by it")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// `<1 ms`, `203 ms`, `1.2 s`, `3 min 4 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() == 0 => "<1 ms".into(),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => tenths(duration),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86400, "d", seconds / 3600 % 24, "h"),
    }
}

/// Time since a start, in a form whose lines can be compared: `0.2 s`, `1.2 s`, `3 min 4 s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => tenths(duration),
        _ => took(duration),
    }
}

fn tenths(duration: Duration) -> String {
    format!("{}.{} s", duration.as_secs(), duration.subsec_millis() / 100)
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// `now`, `3 s ago`, `5 min ago`, `2 h ago`, `3 d ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.since(then).as_secs() {
        0 => "now".into(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} d ago", seconds / 86400),
    }
}

/// `in 3 min 4 s`, or how long ago it was.
pub(crate) fn when(then: Timestamp, now: Timestamp) -> String {
    match then.since(now) {
        Duration::ZERO => ago(then, now),
        left => format!("in {}", took(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_unit_that_fits() {
        let shown = [0, 1, 203, 1_000, 1_290, 59_999, 60_000, 184_000, 7_500_000, 273_600_000]
            .map(|millis| took(Duration::from_millis(millis)));
        insta::assert_snapshot!(shown.join(", "), @"<1 ms, 1 ms, 203 ms, 1.0 s, 1.2 s, 59.9 s, 1 min, 3 min 4 s, 2 h 5 min, 3 d 4 h");
        assert_eq!(elapsed(Duration::from_millis(203)), "0.2 s");
        assert_eq!(elapsed(Duration::from_secs(61)), "1 min 1 s");
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let shown = [0, 3, 59, 60, 7_199, 7_200, 172_800]
            .map(|seconds| ago(now - Duration::from_secs(seconds), now));
        insta::assert_snapshot!(shown.join(", "), @"now, 3 s ago, 59 s ago, 1 min ago, 1 h ago, 2 h ago, 2 d ago");
        // The server's clock may be ahead of ours.
        assert_eq!(ago(now + Duration::from_secs(5), now), "now");
        assert_eq!(when(now + Duration::from_secs(5), now), "in 5.0 s");
        assert_eq!(when(now - Duration::from_secs(5), now), "5 s ago");
    }

    #[test]
    fn what_the_wire_leaves_out_is_zero() {
        assert_eq!(moment(None), Timestamp::default());
        assert_eq!(length(None), Duration::ZERO);
        let at = pbjson_types::Timestamp { seconds: 2, nanos: 3_000 };
        assert_eq!(moment(Some(&at)), Timestamp::from_micros(2_000_003));
    }
}
