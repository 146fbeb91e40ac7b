//! Which backends are asked, and in what order. Pure: what is known of them, and the cursor, are
//! arguments.

use std::time::Duration;

use tenure_spec::backends::Routing;

use super::health::Standing;

/// Backends that one attempt asks at most: when four have failed, the trouble is hardly theirs.
const TRIES: usize = 4;

/// A backend that fits, as it is at the moment of the choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) standing: Standing,
    /// Calls that are open, for each that it takes.
    pub(super) busy: f64,
    /// How long it took lately to begin to answer; not known before the first call.
    pub(super) latency: Option<Duration>,
    /// It failed just now, or its model is not there yet.
    pub(super) later: bool,
}

/// The places in `seen` of those to ask, the first one first. Those that are down are not asked;
/// those that are full, not ready, or have just failed come last. `cursor` grows with every choice.
pub(super) fn order(policy: Routing, seen: &[Seen], cursor: usize) -> Vec<usize> {
    let up = |place: &usize| !matches!(seen[*place].standing, Standing::Down(_));
    if policy == Routing::Fixed {
        return (0..seen.len().min(1)).filter(up).collect();
    }
    let mut places: Vec<usize> = (0..seen.len()).filter(up).collect();
    let turn = cursor.checked_rem(places.len()).unwrap_or_default();
    match policy {
        Routing::Fixed | Routing::Fallback => {}
        Routing::RoundRobin => places.rotate_left(turn),
        Routing::LeastBusy => {
            // Of those that are equally busy each in its turn.
            places.rotate_left(turn);
            places.sort_by(|a, b| seen[*a].busy.total_cmp(&seen[*b].busy));
        }
        // One that nobody knows yet comes first: so it becomes known.
        Routing::LowestLatency => places.sort_by_key(|place| seen[*place].latency),
    }
    places.sort_by_key(|place| seen[*place].later || seen[*place].busy >= 1.0);
    places.truncate(TRIES);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Seen = Seen { standing: Standing::Up, busy: 0.0, latency: None, later: false };
    const DOWN: Seen = Seen { standing: Standing::Down(Duration::from_secs(1)), ..UP };

    fn busy(busy: f64) -> Seen {
        Seen { busy, ..UP }
    }

    fn latency(millis: u64) -> Seen {
        Seen { latency: Some(Duration::from_millis(millis)), ..UP }
    }

    #[test]
    fn each_policy_has_its_order() {
        let degraded = Seen { standing: Standing::Degraded, ..UP };
        let later = Seen { later: true, ..UP };
        for (policy, seen, cursor, wanted) in [
            (Routing::Fixed, &[UP, UP][..], 1, &[0][..]),
            (Routing::Fixed, &[DOWN, UP], 0, &[]),
            (Routing::Fixed, &[later, UP], 0, &[0]),
            (Routing::Fallback, &[UP, UP, UP], 1, &[0, 1, 2]),
            (Routing::Fallback, &[DOWN, UP, UP], 0, &[1, 2]),
            (Routing::Fallback, &[degraded, UP], 0, &[0, 1]),
            (Routing::Fallback, &[later, UP, UP], 0, &[1, 2, 0]),
            (Routing::Fallback, &[busy(1.0), UP], 0, &[1, 0]),
            (Routing::Fallback, &[busy(0.9), UP], 0, &[0, 1]),
            (Routing::Fallback, &[UP; 9], 0, &[0, 1, 2, 3]),
            (Routing::Fallback, &[], 3, &[]),
            (Routing::Fallback, &[DOWN, DOWN], 0, &[]),
            (Routing::RoundRobin, &[UP, UP, UP], 0, &[0, 1, 2]),
            (Routing::RoundRobin, &[UP, UP, UP], 1, &[1, 2, 0]),
            (Routing::RoundRobin, &[UP, UP, UP], usize::MAX, &[0, 1, 2]),
            (Routing::RoundRobin, &[UP, DOWN, UP], 1, &[2, 0]),
            (Routing::LeastBusy, &[busy(0.5), busy(0.1), busy(0.3)], 0, &[1, 2, 0]),
            (Routing::LeastBusy, &[UP, UP, busy(0.3)], 1, &[1, 0, 2]),
            (Routing::LowestLatency, &[latency(9), latency(3), UP], 0, &[2, 1, 0]),
            (Routing::LowestLatency, &[latency(9), DOWN, latency(3)], 0, &[2, 0]),
        ] {
            assert_eq!(order(policy, seen, cursor), wanted, "{policy:?} {seen:?} {cursor}");
        }
    }
}
