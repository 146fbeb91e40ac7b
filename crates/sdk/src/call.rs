//! Calls: a run has another agent do something, as a run of its own.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_core::{
    Budget, Call as Called, Digest, EntryKind, EntryStatus, Failure, Key, Opening, Payload, Usage,
};
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
    budget: Budget,
    input: Result<Payload, Failure>,
}

impl Call {
    pub(crate) fn new<I: Serialize + ?Sized>(context: Context, agent: &str, input: &I) -> Self {
        let what = format!("the input of the call of `{agent}`");
        Self {
            budget: context.budget(),
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

    /// What it may use at most, the runs that it calls itself included; in any case no more than
    /// [`Context::budget`]. It is not part of what the call is: code that gives another budget than it
    /// did when the call was made finds the call that was made.
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget: self.budget.tighter(budget), ..self }
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
        self.metered().await.map(|(outcome, _)| outcome)
    }

    /// The same, with what it has used in total: the runs that it called itself included, whether it
    /// succeeded or not.
    pub async fn metered<T: DeserializeOwned>(self) -> Result<(Result<T, Failure>, Usage), Stop> {
        let agent = self.agent.clone();
        let Opened { context, key, wait, call } = self.open()?;
        let status = context.outcome(wait, || Opening::Child(Box::new(call)), None).await?;
        let used = context.leased().engine().used(&key);
        match ended(status) {
            Ok(output) => Ok((decode(&agent, &output).map(Ok)?, used)),
            Err(Stop::Failed(failure)) => Ok((Err(failure), used)),
            Err(stop) => Err(stop),
        }
    }

    /// Calls it and does not wait for its end. Unless it is [detached](Self::detached) it is cancelled
    /// when this run ends.
    pub async fn start(self) -> Result<(), Stop> {
        let Opened { context, wait, call, .. } = self.open()?;
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
    fn open(self) -> Result<Opened, Stop> {
        let Self { context, agent, name, version, detached, budget, input } = self;
        let input = input.map_err(Stop::Failed)?;
        let name = name.unwrap_or_else(|| format!("child:{agent}"));
        let call = Called { agent: agent.parse()?, version, input, detached, budget };
        let asked = format!("{}\n{}", call.agent, Digest::of(&call.input.data));
        let command = Command {
            scope: context.place(),
            name: &name,
            kind: EntryKind::Child,
            input: Some(Digest::of(asked)),
        };
        let (key, wait) = context.leased().engine().call(&command)?;
        Ok(Opened { context, key, wait, call })
    }
}

/// A call, and what the journal has of it.
struct Opened {
    context: Context,
    key: Key,
    wait: Wait,
    call: Called,
}

fn decode<T: DeserializeOwned>(agent: &str, output: &Payload) -> Result<T, Stop> {
    payload::decode(output).map_err(|error| {
        let message = format!("the output of `{agent}` does not fit the code: {error}");
        Stop::Blocked(Failure::permanent("mismatch", message))
    })
}
