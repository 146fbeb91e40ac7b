//! Calls: a run has another agent do something, as a run of its own.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{Call as Called, Digest, EntryKind, EntryStatus, Failure, Opening, Payload};
use tenure_replay::{Command, Wait};

use crate::context::Context;
use crate::interrupt::ended;
use crate::payload;
use crate::stop::Stop;

/// A call of another agent that is being described; [`output`](Call::output) or one of its siblings
/// makes it.
///
/// The agent is executed as a run of its own, once, by whatever worker serves its pool. While it runs
/// and nothing else is in flight the caller is parked. Unless it is [detached](Call::detached) it is
/// cancelled when its caller ends.
#[must_use = "nobody is called until its output is asked for"]
pub struct Call {
    context: Context,
    agent: String,
    name: Option<String>,
    version: String,
    detached: bool,
    input: Result<Payload, Failure>,
}

impl Call {
    pub(crate) fn new<I: Serialize + ?Sized>(context: Context, agent: &str, input: &I) -> Self {
        let what = format!("the input of the call of `{agent}`");
        Self {
            context,
            agent: agent.to_owned(),
            name: None,
            version: String::new(),
            detached: false,
            input: payload::encode("invalid_input", what, input),
        }
    }

    /// What it is given, instead of a value as JSON; at most [`limits::PAYLOAD`](tenure_core::limits::PAYLOAD).
    pub fn input(self, input: Payload) -> Self {
        let what = format!("the input of the call of `{}`", self.agent);
        let input = input.checked(what);
        let input = input.map_err(|error| Failure::permanent("invalid_input", error.to_string()));
        Self { input, ..self }
    }

    /// Which version: a number or an alias; the newest at that moment unless said otherwise.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: version.into(), ..self }
    }

    /// It goes on when its caller ends.
    pub fn detached(self) -> Self {
        Self { detached: true, ..self }
    }

    /// What the call is called in the journal; `child:AGENT` unless said otherwise. Calls of one name
    /// in one scope are told apart by their order.
    pub fn name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Calls it and gives its output. If it fails or is cancelled, so does this, as
    /// [`Stop::Failed`].
    pub async fn output<T: DeserializeOwned>(self) -> Result<T, Stop> {
        self.outcome().await?.map_err(Stop::Failed)
    }

    /// Calls it and gives its output, or why there is none. Its failure is final: it has been tried as
    /// often as its own policy says.
    pub async fn outcome<T: DeserializeOwned>(self) -> Result<Result<T, Failure>, Stop> {
        let agent = self.agent.clone();
        let (context, wait, call) = self.open()?;
        let status = context.outcome(wait, || Opening::Child(Box::new(call)), None).await?;
        match ended(status) {
            Ok(output) => Ok(Ok(payload::decode(&output).map_err(|error| {
                let message = format!("the output of `{agent}` does not fit the code: {error}");
                Stop::Blocked(Failure::permanent("mismatch", message))
            })?)),
            Err(Stop::Failed(failure)) => Ok(Err(failure)),
            Err(stop) => Err(stop),
        }
    }

    /// Calls it and does not wait for its end. Unless it is [detached](Self::detached) it is cancelled
    /// when this run ends.
    pub async fn start(self) -> Result<(), Stop> {
        let (context, wait, call) = self.open()?;
        match wait {
            Wait::Begin(key) => {
                let leased = context.leased();
                let _in_flight = leased.in_flight(&key);
                let begun = leased.engine().begin(&key, Opening::Child(Box::new(call)))?;
                leased.append(begun).await
            }
            Wait::Suspend(key, _) => {
                context.leased().engine().abandon(&key);
                Ok(())
            }
            Wait::Mismatch(mismatch) => Err(Stop::Blocked((*mismatch).into())),
            Wait::Recorded(EntryStatus::Failed(failure)) => Err(Stop::Failed(failure)),
            Wait::Recorded(_) | Wait::Elsewhere(_) | Wait::Arrived(_) => Ok(()),
        }
    }

    /// What the journal has of it.
    fn open(self) -> Result<(Context, Wait, Called), Stop> {
        let Self { context, agent, name, version, detached, input } = self;
        let input = input.map_err(Stop::Failed)?;
        let name = name.unwrap_or_else(|| format!("child:{agent}"));
        let call = Called { agent: agent.parse()?, version, input, detached };
        let asked = format!("{}\n{}", call.agent, Digest::of(&call.input.data));
        let command = Command {
            scope: context.place(),
            name: &name,
            kind: EntryKind::Child,
            input: Some(Digest::of(asked)),
        };
        let wait = context.leased().engine().open(&command)?;
        Ok((context, wait, call))
    }
}
