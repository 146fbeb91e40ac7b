//! The faults, and the order in which a seed deals them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::options::Database;
use crate::processes::LEASE_TTL;

/// What is done to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) what: What,
    pub(crate) whom: Party,
    /// Which of these, counted from 0.
    pub(crate) place: usize,
    /// How long it lasts at most; what only has a moment has none.
    pub(crate) length: Duration,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// SIGKILL. It is started again at once.
    Killed,
    /// SIGSTOP, and later SIGCONT.
    Stopped,
    /// Shut down in an orderly way and started again.
    Restarted,
    /// All connections break, and every new one.
    Cut,
    /// Nothing goes through, and nobody is told.
    Silent,
    /// As before, but only what the client sends.
    Mute,
    /// As before, but only what the server answers.
    Deaf,
    /// Everything is late, and not equally.
    Slow,
    /// Requests are done, their answers do not come, and then the connections break.
    AnswersLost,
}

/// Who it can be done to: a process, or a link between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Party {
    Worker,
    ControlPlane,
    Postgres,
    /// From a worker to the control planes.
    WorkerLink,
    /// From a control plane to PostgreSQL.
    DatabaseLink,
    /// From the client to the control planes.
    ClientLink,
    Redis,
    /// From a control plane to Redis.
    RedisLink,
}

/// What can be done to a link.
const TROUBLES: [What; 6] =
    [What::Cut, What::Silent, What::Mute, What::Deaf, What::Slow, What::AnswersLost];
/// A stopped worker has lost its leases when it goes on; it does as soon as another is at its work.
const STOPPED: [Duration; 2] = [LEASE_TTL.saturating_mul(3), LEASE_TTL.saturating_mul(5)];
/// Everything else that lasts.
const LASTS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(2_500)];
/// Requests that are under way lose their answers; that takes no longer.
const ANSWERS_LOST: Duration = Duration::from_millis(300);

/// Every kind of fault that there can be, as often as a round deals it.
pub(crate) fn kinds(database: Database, owned: bool, redis: bool) -> Vec<(What, Party)> {
    use Party::{ClientLink, ControlPlane, DatabaseLink, Postgres, Worker, WorkerLink};
    use Party::{Redis, RedisLink};
    let mut kinds = vec![(What::Killed, ControlPlane), (What::Stopped, ControlPlane)];
    // What a frozen worker does when it wakes up is over in a moment, so three of these.
    kinds.extend([(What::Stopped, Worker); 3]);
    kinds.extend(TROUBLES.map(|what| (what, WorkerLink)));
    kinds.extend(TROUBLES.map(|what| (what, ClientLink)));
    if matches!(database, Database::Postgres) {
        kinds.extend(TROUBLES.map(|what| (what, DatabaseLink)));
        if owned {
            kinds.extend([(What::Killed, Postgres), (What::Restarted, Postgres)]);
        }
    }
    if redis {
        kinds.extend([(What::Killed, Redis), (What::Stopped, Redis)]);
        // Hints have no answers that could be lost.
        kinds.extend([What::Cut, What::Silent, What::Slow].map(|what| (what, RedisLink)));
    }
    kinds
}

/// Deals faults: all kinds in an order of chance, then all of them again.
pub(crate) struct Dealer {
    kinds: Vec<(What, Party)>,
    left: Vec<(What, Party)>,
    dealt: usize,
    workers: usize,
    control_planes: usize,
    random: fastrand::Rng,
}

impl Dealer {
    /// Of these kinds, to so many.
    pub(crate) fn new(
        kinds: Vec<(What, Party)>,
        (workers, control_planes): (usize, usize),
        seed: u64,
    ) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { kinds, left: Vec::new(), dealt: 0, workers, control_planes, random }
    }

    /// The next fault.
    pub(crate) fn deal(&mut self) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            self.random.shuffle(&mut self.left);
        }
        self.dealt += 1;
        let (what, whom) = self.left.pop().unwrap_or((What::Killed, Party::Worker));
        let place = self.random.usize(..self.count(whom));
        Fault { what, whom, place, length: self.length(what, whom) }
    }

    /// Whether there was one of each kind.
    pub(crate) fn round(&self) -> bool {
        self.dealt >= self.kinds.len()
    }

    /// A worker, in whatever order.
    pub(crate) fn worker(&mut self) -> usize {
        self.random.usize(..self.workers)
    }

    fn count(&self, whom: Party) -> usize {
        match whom {
            Party::Worker | Party::WorkerLink => self.workers,
            Party::ControlPlane | Party::DatabaseLink | Party::RedisLink => self.control_planes,
            Party::Postgres | Party::ClientLink | Party::Redis => 1,
        }
    }

    fn length(&mut self, what: What, whom: Party) -> Duration {
        let [least, most] = match (what, whom) {
            (What::Killed | What::Restarted, _) => return Duration::ZERO,
            (What::AnswersLost, _) => return ANSWERS_LOST,
            (What::Stopped, Party::Worker) => STOPPED,
            _ => LASTS,
        };
        least + most.saturating_sub(least).mul_f64(self.random.f64())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::Cut => "cut",
            Self::Silent => "silent",
            Self::Mute => "silent one way",
            Self::Deaf => "silent the other way",
            Self::Slow => "slow",
            Self::AnswersLost => "losing answers",
        })
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "workers",
            Self::ControlPlane => "control planes",
            Self::Postgres => "PostgreSQL",
            Self::WorkerLink => "worker to control plane",
            Self::DatabaseLink => "control plane to PostgreSQL",
            Self::ClientLink => "client to control plane",
            Self::Redis => "Redis",
            Self::RedisLink => "control plane to Redis",
        })
    }
}

impl Fault {
    /// Whether a worker may lose a lease by it. The control planes and the database are everybody's:
    /// one that hangs may keep the row of any run locked.
    pub(crate) fn hits(&self, worker: &str) -> bool {
        match self.whom {
            Party::Worker | Party::WorkerLink => place_of(worker) == Some(self.place),
            Party::ControlPlane | Party::Postgres | Party::DatabaseLink => true,
            // Hints decide nothing.
            Party::ClientLink | Party::Redis | Party::RedisLink => false,
        }
    }
}

/// The name of the how-manieth process in this place.
pub(crate) fn worker_name(place: usize, started: u64) -> String {
    format!("worker-{place}.{started}")
}

/// The place that a worker's process is in.
pub(crate) fn place_of(worker: &str) -> Option<usize> {
    worker.strip_prefix("worker-")?.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_each_kind_and_a_seed_deals_the_same_again() {
        let kinds = kinds(Database::Postgres, true, true);
        let deal = |seed| {
            let mut dealer = Dealer::new(kinds.clone(), (4, 2), seed);
            let dealt: Vec<Fault> = kinds.iter().map(|_| dealer.deal()).collect();
            assert!(dealer.round());
            dealt
        };
        let mut dealt: Vec<_> = deal(1).iter().map(|fault| (fault.what, fault.whom)).collect();
        let mut all = kinds.clone();
        dealt.sort_unstable();
        all.sort_unstable();
        assert_eq!(dealt, all);
        assert_eq!(deal(1), deal(1));
        assert_ne!(deal(1), deal(2));
    }

    #[test]
    fn a_worker_is_hit_by_what_happens_in_its_place() {
        let fault = |whom| Fault { what: What::Cut, whom, place: 1, length: Duration::ZERO };
        let worker = worker_name(1, 7);
        assert!(fault(Party::WorkerLink).hits(&worker));
        assert!(!fault(Party::WorkerLink).hits(&worker_name(11, 7)));
        assert!(fault(Party::DatabaseLink).hits(&worker));
        for whom in [Party::ClientLink, Party::Redis, Party::RedisLink] {
            assert!(!fault(whom).hits(&worker));
        }
    }
}
