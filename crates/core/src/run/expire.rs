//! Expire: time is up, for a lease or for a cancel.

use std::time::Duration;

use super::{Run, RunState};
use crate::journal::Failure;
use crate::limits;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// What `now` means for the run: a deadline that has passed ends it, a lease whose time is up
    /// goes back to the queue or ends the run as *exhausted*, a cancel whose grace is over ends it
    /// by force. `None` when nothing is due, which is how a sweep that read an old row finds out.
    pub fn expire(&self, now: Timestamp) -> Option<Transition> {
        if self.state.is_terminal() {
            return None;
        }
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        let Some(lease) = self.lease_held() else {
            return late.then(|| self.too_late(now));
        };
        let forced = self.cancel_asked().is_some_and(|(_, force_at)| force_at <= now);
        let mut ended = match self.cancel_asked() {
            _ if !forced && !late && !lease.expired(now) => return None,
            Some((by, _)) => self.cancelled(by.clone(), now),
            None if late => self.too_late(now),
            None => self.lose_lease(lease.started, now),
        };
        ended.effects.push(Effect::WakeOwner(lease.worker));
        Some(ended)
    }

    fn too_late(&self, now: Timestamp) -> Transition {
        let at = self.deadline.unwrap_or(now);
        let message = format!("it had not ended when its deadline passed at {at}");
        let failure = Failure::permanent("deadline", message);
        self.to_rest(RunState::Failed { failure, at: now }, now)
    }

    fn lose_lease(&self, started: bool, now: Timestamp) -> Transition {
        let mut lost = self.clone();
        if started {
            lost.stalled += 1;
        } else {
            lost.offers += 1;
        }
        match lost.exhausted() {
            Some(failure) => lost.to_rest(RunState::Failed { failure, at: now }, now),
            None => lost.to_queue(now + pause(lost.stalled), now),
        }
    }

    fn exhausted(&self) -> Option<Failure> {
        let why = if self.attempts >= self.max_attempts {
            format!("its worker was lost in each of {} attempts", self.attempts)
        } else if self.stalled >= limits::MAX_STALLED {
            format!("its worker was lost {} times in a row without a new entry", self.stalled)
        } else if self.offers >= limits::MAX_OFFERS {
            format!("{} offers in a row were not taken up by the worker they went to", self.offers)
        } else {
            return None;
        };
        Some(Failure::permanent("exhausted", format!("exhausted: {why}")))
    }
}

/// The pause before the next offer: none after the first loss, which is what deploys and crashes
/// look like; then it doubles, because the run itself is the suspect.
fn pause(stalled: u32) -> Duration {
    match stalled {
        0 | 1 => Duration::ZERO,
        more => limits::STALL_BACKOFF.saturating_mul(1 << (more - 2).min(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles() {
        let seconds: Vec<u64> = (0..6).map(|stalled| pause(stalled).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8]);
        assert_eq!(pause(u32::MAX), Duration::from_secs(1 << 30));
    }
}
