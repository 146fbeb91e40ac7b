//! A completion in chunks, as server-sent events.
//!
//! What was sent cannot be taken back, so nothing is sent that may not be part of the message:
//! all that was sent, put together, is the content of the same completion without a stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tenure_core::{Error, Payload, StreamEvent};
use tenure_spec::conversation::Answer;
use tenure_store::FullRun;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::Api;
use super::caller::Caller;
use super::chat::Asked;
use super::completion::{self, Completion};
use super::refusal::Refusal;
use super::run::{self, QUIET};
use super::voice::{self, Voice};
use crate::service::{RunEvent, WatchRun};

/// How often a quiet stream gives a sign of life: below the idle timeout of common proxies.
const ALIVE: Duration = Duration::from_secs(15);
/// Chunks that wait for a slow client; then it holds up nobody but itself.
const BUFFER: usize = 64;

impl Api {
    /// The body of a response that tells a run. The run goes on whoever listens.
    pub(super) async fn tell(
        &self,
        caller: &Caller,
        asked: Asked,
        full: &FullRun,
    ) -> Result<Body, Refusal> {
        let version = self.version(caller, full).await?;
        let completion = Completion::of(full, &version, asked.model);
        let voice = voice::is_final(&version, &asked.conversation).then(Voice::default);
        let what = WatchRun { stream: voice.is_some(), ..QUIET };
        let events = self.service.watch_run(&caller.tenant()?, full.run.id, what).await?;
        let events = events.take_until(self.shutdown.clone().cancelled_owned());
        let (sender, receiver) = mpsc::channel(BUFFER);
        let include_usage = asked.include_usage;
        let teller = Teller { completion, include_usage, voice, sent: String::new(), sender };
        let broken = run::stopping(caller, full.run.id);
        let request = caller.request.clone();
        tokio::spawn(async move {
            // An error here is that nobody listens any more.
            let _ = teller.tell(Box::pin(events), broken, &request).await;
        });
        Ok(Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>)))
    }
}

/// The client has gone.
struct Gone;

struct Teller {
    completion: Completion,
    include_usage: bool,
    /// What the model says meanwhile, if that is part of the message for sure.
    voice: Option<Voice>,
    /// The content that was sent so far.
    sent: String,
    sender: mpsc::Sender<Bytes>,
}

impl Teller {
    /// Tells all of it; `broken` is what there is to say if the events end before the run.
    async fn tell(
        mut self,
        mut events: impl Stream<Item = Result<RunEvent, Error>> + Unpin,
        broken: Refusal,
        request: &str,
    ) -> Result<(), Gone> {
        self.chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None).await?;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = tokio::time::sleep(ALIVE) => {
                    self.send(": the run goes on\n\n".into()).await?;
                    continue;
                }
                () = self.sender.closed() => return Err(Gone),
            };
            let full = match event {
                Some(Ok(RunEvent::Run(full))) => full,
                Some(Ok(RunEvent::Published(event))) => {
                    self.hear(&event).await?;
                    continue;
                }
                Some(Ok(RunEvent::Entry(_) | RunEvent::Missed(_))) => continue,
                Some(Err(error)) => return self.refuse(&error.into(), request).await,
                None => return self.refuse(&broken, request).await,
            };
            match run::ended(&full) {
                None => {}
                Some(Ok(output)) => return self.finish(&full, &output, request).await,
                Some(Err(refusal)) => return self.refuse(&refusal, request).await,
            }
        }
    }

    /// The rest of the message, its calls, why it ends, and what was used.
    async fn finish(mut self, full: &FullRun, output: &Payload, request: &str) -> Result<(), Gone> {
        let Answer { content, tool_calls, finish_reason } = completion::answer(output);
        let Some(rest) = content.strip_prefix(&*self.sent) else {
            return self.refuse(&restarted(full), request).await;
        };
        self.say(rest).await?;
        for (place, call) in tool_calls.iter().enumerate() {
            for delta in completion::call_deltas(place, call) {
                self.chunk(&delta, None).await?;
            }
        }
        self.chunk(&json!({}), Some(finish_reason.as_str())).await?;
        if self.include_usage {
            self.event(&self.completion.used(&full.run.usage)).await?;
        }
        self.send("data: [DONE]\n\n".into()).await
    }

    /// Sends what is new in what the model says, unless it says something else than was sent
    /// already: an earlier attempt did, and this one may come to the same yet.
    async fn hear(&mut self, event: &StreamEvent) -> Result<(), Gone> {
        let said = self.voice.as_mut().and_then(|voice| voice.hear(event));
        match said.and_then(|said| said.strip_prefix(&*self.sent)).map(ToOwned::to_owned) {
            Some(new) => self.say(&new).await,
            None => Ok(()),
        }
    }

    /// Sends the next part of the content.
    async fn say(&mut self, text: &str) -> Result<(), Gone> {
        if text.is_empty() {
            return Ok(());
        }
        self.sent.push_str(text);
        self.chunk(&json!({"content": text}), None).await
    }

    async fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Result<(), Gone> {
        let mut chunk = self.completion.chunk(delta, finish_reason);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        self.event(&chunk).await
    }

    /// The stream ends with an error, which clients raise.
    async fn refuse(&self, refusal: &Refusal, request: &str) -> Result<(), Gone> {
        refusal.log(request);
        self.event(&refusal.body()).await
    }

    async fn event(&self, value: &Value) -> Result<(), Gone> {
        self.send(format!("data: {value}\n\n").into()).await
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.sender.send(bytes).await.map_err(|_| Gone)
    }
}

/// A worker died, and the next one's model said something else than what was sent already.
fn restarted(full: &FullRun) -> Refusal {
    let run = full.run.id;
    let message = format!(
        "run {run} was taken over in mid-sentence and said something else then; the same request \
         with the same Idempotency-Key gets what it said in the end"
    );
    Refusal::stuck(run, "stream_restarted", message)
}
