//! The context: through which a run's code does everything that must happen once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tenure_core::{
    ArtifactId, Digest, EntryKind, EntryStatus, Key, Name, Payload, Record, RunId, Scope, Timestamp,
};
use tenure_replay::{Answer, Asleep, Finished};

use crate::entropy;
use crate::step::{Retry, Step, decode};
use crate::stop::Stop;
use crate::worker::leased::Leased;

/// A run as its code sees it, at one place of the program. Cloning is cheap.
#[derive(Clone)]
pub struct Context {
    leased: Arc<Leased>,
    scope: Scope,
}

/// An artifact that the run has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Its id, `art_…`.
    pub id: String,
    /// Its name in the run.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// How many bytes it has.
    pub size: u64,
}

impl Context {
    pub(crate) fn new(leased: Arc<Leased>) -> Self {
        Self { leased, scope: Scope::root() }
    }

    pub(crate) fn leased(&self) -> &Leased {
        &self.leased
    }

    pub(crate) fn place(&self) -> &Scope {
        &self.scope
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.leased.run
    }

    /// The agent's name.
    pub fn agent(&self) -> &Name {
        &self.leased.agent
    }

    /// The version that the run is pinned to.
    pub fn version(&self) -> u32 {
        self.leased.version
    }

    /// How many leases of the run were taken up before this one.
    pub fn attempt(&self) -> u32 {
        self.leased.attempts
    }

    /// The version's specification as canonical JSON.
    pub fn spec(&self) -> &Bytes {
        &self.leased.spec
    }

    /// Describes a step called `name` (of `A-Z a-z 0-9 . _ - :`) at this place. Steps of one name
    /// in one scope are told apart by the order in which they are run.
    pub fn step(&self, name: &str) -> Step {
        Step::new(self.clone(), name)
    }

    /// A place of its own below this one: what is done there has keys that start with `name`,
    /// which may have several segments (`turn/3`). Opened again under the same name it is another.
    pub fn scope(&self, name: &str) -> Result<Self, Stop> {
        let scope = self.leased.engine().scope(&self.scope, name)?;
        Ok(Self { leased: self.leased.clone(), scope })
    }

    /// The time, the same in every replay.
    pub async fn now(&self) -> Result<Timestamp, Stop> {
        let micros = self.marker("now", || entropy::now().micros()).await?;
        Ok(Timestamp::from_micros(micros))
    }

    /// A random number, the same in every replay.
    pub async fn random(&self) -> Result<u64, Stop> {
        self.marker("random", entropy::random).await
    }

    /// A note in the journal, written once.
    pub async fn log(&self, message: impl Into<String>) -> Result<(), Stop> {
        let message = message.into();
        self.marker("log", || message.clone()).await.map(|_: String| ())
    }

    async fn marker<T>(&self, name: &str, value: impl Fn() -> T) -> Result<T, Stop>
    where
        T: Serialize + serde::de::DeserializeOwned,
    {
        let work = |_| std::future::ready(Ok(value()));
        self.step(name).kind(EntryKind::Marker).retry(Retry::NONE).run(work).await
    }

    /// Sleeps for this long, counted from the first time that the code came here, by the database's
    /// clock. While nothing else is in flight the run is parked and costs nothing, for years if it
    /// has to; a crash or deploy in between changes nothing.
    pub async fn sleep(&self, length: Duration) -> Result<(), Stop> {
        let asleep = self.leased.engine().sleep(&self.scope)?;
        let (key, left) = match asleep {
            Asleep::Since(key, began) => (key, length.saturating_sub(self.leased.age(began))),
            Asleep::Begin(key) => {
                self.leased.append(self.fall_asleep(&key, length)?).await?;
                (key, length)
            }
            Asleep::Mismatch(mismatch) => return Err(Stop::Blocked((*mismatch).into())),
        };
        self.leased.sleep(key, left).await;
        Ok(())
    }

    /// The record that a sleep begins with: its own time is all that counts, the length is for
    /// people who read the journal.
    fn fall_asleep(&self, key: &Key, length: Duration) -> Result<Record, Stop> {
        let length = serde_json::to_vec(&length.as_secs_f64())?;
        let finished = Finished {
            status: EntryStatus::Succeeded(Payload::json(length)),
            attempt: 1,
            duration: Duration::ZERO,
            usage: None,
        };
        Ok(self.leased.engine().finish(key, finished)?)
    }

    /// Waits for the next signal of this name and gives what it brings. While nothing else is in
    /// flight the run is parked and costs nothing; its code runs again when the signal is there.
    pub async fn wait_for(&self, signal: &Name) -> Result<Payload, Stop> {
        let mut inbox = self.leased.inbox();
        let mut answer = self.leased.engine().wait(&self.scope, signal)?;
        let mut waiting = None;
        loop {
            match answer {
                Answer::Recorded(EntryStatus::Succeeded(payload)) => {
                    return Ok(payload);
                }
                Answer::Recorded(failed) => {
                    return decode::<()>("wait", failed).map(|()| Payload::default());
                }
                Answer::Mismatch(mismatch) => return Err(Stop::Blocked((*mismatch).into())),
                Answer::Arrived(record) => {
                    self.leased.append(record.clone()).await?;
                    answer = Answer::Recorded(record.status);
                }
                Answer::Suspend(key) => {
                    waiting.get_or_insert_with(|| self.leased.in_flight(&key));
                    inbox.changed().await?;
                    answer = self.leased.engine().poll_wait(&key, signal);
                }
                Answer::Execute(_) => {
                    return Err(Stop::failed("internal", "a wait was answered as a step"));
                }
            }
        }
    }

    /// Writes an artifact of the run, once. `name` is of `A-Z a-z 0-9 . _ - :`, unique in the run.
    pub async fn put_artifact(
        &self,
        name: &str,
        content_type: &str,
        data: Bytes,
    ) -> Result<ArtifactRef, Stop> {
        let input = (name, content_type, Digest::of(&data).to_string());
        let step = self.step(&format!("artifact:{name}")).kind(EntryKind::Artifact).input(&input);
        step.run(|_| async {
            let size = data.len() as u64;
            let put = self.leased.put_artifact(name, content_type, data.clone()).await?;
            // The control plane knows the artifact under this id for ever.
            put.id.parse::<ArtifactId>()?;
            Ok(ArtifactRef { id: put.id, name: name.to_owned(), digest: put.digest, size })
        })
        .await
    }
}

/// Runs branches at the same time and gives their results in their order. All of them end before
/// the first failure is answered, so that what a sibling has done is recorded. Each branch must
/// work in a [scope](Context::scope) of its own.
pub async fn join<T>(
    branches: impl IntoIterator<Item = impl Future<Output = Result<T, Stop>>>,
) -> Result<Vec<T>, Stop> {
    join_all(branches).await.into_iter().collect()
}
