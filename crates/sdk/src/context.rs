//! The context: through which a run's code does everything that must happen once.

mod artifacts;
mod waits;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_core::{ArtifactId, Budget, Digest, EntryKind, Name, RunId, Scope, Timestamp};

use crate::call::Call;
use crate::client::Client;
use crate::entropy;
use crate::interrupt::{Approval, Interrupt};
use crate::step::{Retry, Step};
use crate::stop::Stop;
use crate::worker::leased::Leased;

pub use waits::TIMED_OUT;

/// A run as its code sees it, at one place of the program. Cloning is cheap.
#[derive(Clone)]
pub struct Context {
    leased: Arc<Leased>,
    scope: Scope,
    budget: Budget,
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
        let budget = leased.budget;
        Self { leased, scope: Scope::root(), budget }
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

    /// The tenant that the run belongs to.
    pub fn tenant(&self) -> &Name {
        self.leased.tenant()
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

    /// A client that speaks for the run's tenant. What it does is not recorded: ask it inside a step.
    pub fn client(&self) -> &Client {
        &self.leased.client
    }

    /// The version's specification as canonical JSON.
    pub fn spec(&self) -> &Bytes {
        &self.leased.spec
    }

    /// Describes a step called `name` (of `A-Z a-z 0-9 . _ - :`) at this place. Steps of one name
    /// in one scope are told apart by the order in which they are run.
    pub fn step<'r>(&self, name: &str) -> Step<'r> {
        Step::new(self.clone(), name)
    }

    /// Describes a question to a person or system, called `name` like a step.
    pub fn interrupt(&self, name: &str) -> Interrupt {
        Interrupt::new(self.clone(), name)
    }

    /// Asks whether `name` may be done with these arguments, in an interrupt called `approve:NAME`,
    /// and waits for the answer. Whoever answers may change the arguments: use those that come back.
    pub async fn approve<T>(&self, name: &str, arguments: &T) -> Result<Approval<T>, Stop>
    where
        T: Serialize + DeserializeOwned,
    {
        let interrupt = self.interrupt(&format!("approve:{name}"));
        interrupt.title(format!("May `{name}` go on?")).payload(arguments).approval().await
    }

    /// Describes a call of another agent with this input.
    pub fn call<I: Serialize + ?Sized>(&self, agent: &str, input: &I) -> Call {
        Call::new(self.clone(), agent, input)
    }

    /// A place of its own below this one: what is done there has keys that start with `name`,
    /// which may have several segments (`turn/3`). Opened again under the same name it is another.
    pub fn scope(&self, name: &str) -> Result<Self, Stop> {
        let scope = self.leased.engine().scope(&self.scope, name)?;
        Ok(Self { leased: self.leased.clone(), scope, budget: self.budget })
    }

    /// What may be used here at most: what the run was given when it was created, or less
    /// [`within`](Self::within) a part of it. It is the same in every replay. What the code itself
    /// consumes, it has to compare with this; what it calls is given no more.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// The same place, from which no more than this is handed down to whatever is called.
    #[must_use]
    pub fn within(&self, budget: Budget) -> Self {
        Self { budget: self.budget.tighter(budget), ..self.clone() }
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
        T: Serialize + DeserializeOwned,
    {
        let work = |_| std::future::ready(Ok(value()));
        self.step(name).kind(EntryKind::Marker).retry(Retry::NONE).run(work).await
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
