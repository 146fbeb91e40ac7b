//! A hint and its one text, whoever carries it between processes.

use tenure_core::{Name, RunId, TenantId, WorkerId};
use uuid::Uuid;

/// What may have changed, told between processes on one database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// This pool has ready runs.
    Pool(TenantId, Name),
    /// This run changed.
    Run(TenantId, RunId),
    /// This run has ended.
    Ended(TenantId, RunId),
    /// Somebody, in the process with this number, wants to be told of this run for a while, wherever
    /// it changes.
    Watched(TenantId, RunId, u64),
    /// There is news for this worker.
    Worker(WorkerId),
}

impl Hint {
    /// The hint as a short line of text.
    pub fn encode(&self) -> String {
        match self {
            Self::Pool(tenant, pool) => format!("p {} {pool}", tenant.uuid().simple()),
            Self::Run(tenant, run) => of_run('r', *tenant, *run),
            Self::Ended(tenant, run) => of_run('e', *tenant, *run),
            Self::Watched(tenant, run, by) => {
                let (tenant, run) = (tenant.uuid().simple(), run.uuid().simple());
                format!("l {tenant} {run} {by:016x}")
            }
            Self::Worker(worker) => format!("w {}", worker.uuid().simple()),
        }
    }

    /// The hint that a text is; `None` for one of a release that knows more kinds, and for nonsense.
    pub fn decode(text: &str) -> Option<Self> {
        // No more words than tell a hint from a text that is too long to be one.
        let words: Vec<_> = text.splitn(5, ' ').collect();
        let id = |word: &str| Uuid::try_parse(word).ok();
        match words[..] {
            ["p", tenant, pool] => {
                Some(Self::Pool(TenantId::new(id(tenant)?), pool.parse::<Name>().ok()?))
            }
            ["r", tenant, run] => Some(Self::Run(TenantId::new(id(tenant)?), RunId::new(id(run)?))),
            ["e", tenant, run] => {
                Some(Self::Ended(TenantId::new(id(tenant)?), RunId::new(id(run)?)))
            }
            ["l", tenant, run, by] => {
                let by = u64::from_str_radix(by, 16).ok()?;
                Some(Self::Watched(TenantId::new(id(tenant)?), RunId::new(id(run)?), by))
            }
            ["w", worker] => Some(Self::Worker(WorkerId::new(id(worker)?))),
            _ => None,
        }
    }
}

fn of_run(kind: char, tenant: TenantId, run: RunId) -> String {
    format!("{kind} {} {}", tenant.uuid().simple(), run.uuid().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_survives_the_channel() {
        let id = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);
        let pool = "document-digest".parse().unwrap();
        for hint in [
            Hint::Pool(TenantId::new(id), pool),
            Hint::Run(TenantId::new(id), RunId::new(id)),
            Hint::Ended(TenantId::new(id), RunId::new(id)),
            Hint::Watched(TenantId::new(id), RunId::new(id), 7),
            Hint::Worker(WorkerId::new(id)),
        ] {
            assert_eq!(Hint::decode(&hint.encode()), Some(hint));
        }
        for nonsense in
            ["", "x 1 2", "p", "w w w", "r 1 2", "\n", "w 01890a5dac96774bbcceb302099a805"]
        {
            assert_eq!(Hint::decode(nonsense), None, "{nonsense:?}");
        }
    }
}
