//! The clients: each call is sent until it is answered, and how often that was is written down.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde::Serialize;
use tenure_sdk::{Client, Error, v1};
use tokio::time::Instant;

use crate::agent::{EDIT, ERRAND, GO, JOURNEY, Letter, Plan};
use crate::ledger::{Call, Known, Ledger};
use crate::log;

/// All of them; they share a ledger.
pub(crate) struct Clients {
    clients: Vec<Client>,
    ledger: Mutex<Ledger>,
}

/// How often one call was sent.
#[derive(Default)]
pub(crate) struct Sent(AtomicUsize);

impl Sent {
    /// Once more.
    pub(crate) fn again(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clients {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        Self { clients, ledger: Mutex::default() }
    }

    /// The client of the run with this number.
    pub(crate) fn of(&self, number: u64) -> &Client {
        &self.clients[usize::try_from(number).unwrap_or_default() % self.clients.len()]
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer to a call, and notes what it took.
    pub(crate) async fn answered<T>(
        &self,
        call: Call,
        sent: &Sent,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        let answer = answer.await;
        let sent = sent.0.load(Ordering::Relaxed);
        self.ledger().answered(call, sent, began.elapsed());
        answer.with_context(|| format!("`{call}` was refused, sent {sent} times"))
    }

    /// Makes the agents known as their workers do, so that runs can be created at once.
    pub(crate) async fn publish(&self) -> anyhow::Result<()> {
        let client = self.of(0);
        for agent in [JOURNEY, ERRAND] {
            let document = format!("{{name: {agent}, kind: external, pool: {agent}}}");
            let request = v1::PublishVersionRequest { tenant: tenant(client), document };
            client.agents().publish_version(request).await?;
        }
        Ok(())
    }

    /// Creates the run with this number; its id.
    pub(crate) async fn create(&self, agent: &str, number: u64) -> anyhow::Result<String> {
        let (client, sent, asked) = (self.of(number), Sent::default(), log::now());
        let request = v1::CreateRunRequest {
            tenant: tenant(client),
            agent: agent.into(),
            input: Some(json(&number)?),
            idempotency_key: format!("fleet-{number}"),
            ..v1::CreateRunRequest::default()
        };
        let create = client.retry(|| {
            sent.again();
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.create_run(request).await }
        });
        let id = Box::pin(self.answered(Call::Create, &sent, create)).await?.id;
        let output = if agent == JOURNEY { Plan::of(number).output() } else { vec![number; 2] };
        let known = Known { id: id.clone(), asked, output, ..Known::default() };
        self.ledger().runs.insert(number, known);
        Ok(id)
    }

    /// Sends a run the signal that it waits for.
    pub(crate) async fn signal(&self, run: &str, number: u64) -> anyhow::Result<()> {
        let (client, sent) = (self.of(number), Sent::default());
        let request = v1::SignalRunRequest {
            tenant: tenant(client),
            run: run.into(),
            name: GO.into(),
            payload: Some(json(&number)?),
            request_id: GO.into(),
        };
        self.ledger().runs.entry(number).or_default().signalled = Some(log::now());
        let signal = client.retry(|| {
            sent.again();
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.signal_run(request).await }
        });
        self.answered(Call::Signal, &sent, signal).await.map(drop)
    }

    /// Answers the question that a run asks under this key.
    pub(crate) async fn answer(&self, run: &str, number: u64, key: &str) -> anyhow::Result<()> {
        let (client, sent) = (self.of(number), Sent::default());
        let open = self.open(run, number).await?;
        let asked = open.into_iter().find(|interrupt| interrupt.key == key);
        let asked = asked.with_context(|| format!("{key} of {run} is not in the inbox"))?;
        let request = v1::ResolveInterruptRequest {
            tenant: tenant(client),
            interrupt: asked.id,
            answer: Some(decide(number)?),
        };
        let resolve = client.retry(|| {
            sent.again();
            let (mut inbox, request) = (client.inbox(), request.clone());
            async move { inbox.resolve_interrupt(request).await }
        });
        self.answered(Call::Answer, &sent, resolve).await.map(drop)
    }

    async fn open(&self, run: &str, number: u64) -> anyhow::Result<Vec<v1::Interrupt>> {
        let (client, sent) = (self.of(number), Sent::default());
        let request = v1::ListInterruptsRequest {
            tenant: tenant(client),
            run: run.into(),
            ..v1::ListInterruptsRequest::default()
        };
        let list = client.retry(|| {
            sent.again();
            let (mut inbox, request) = (client.inbox(), request.clone());
            async move { inbox.list_interrupts(request).await }
        });
        Ok(self.answered(Call::ListInterrupts, &sent, list).await?.interrupts)
    }
}

/// The answer to the question of the run with this number.
fn decide(number: u64) -> anyhow::Result<v1::Answer> {
    let edited = Plan::of(number).edited();
    let decision = if edited { v1::Decision::Edit } else { v1::Decision::Approve };
    let letter = edited.then_some(Letter { number: number + EDIT });
    Ok(v1::Answer {
        decision: decision.into(),
        value: letter.as_ref().map(json).transpose()?,
        actor: "fleet".into(),
        ..v1::Answer::default()
    })
}

pub(crate) fn tenant(client: &Client) -> String {
    client.tenant().to_string()
}

fn json(value: &impl Serialize) -> anyhow::Result<v1::Payload> {
    let data = serde_json::to_vec(value)?.into();
    Ok(v1::Payload { content_type: "application/json".into(), encoding: String::new(), data })
}
