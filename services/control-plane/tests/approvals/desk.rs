//! The desk: where one run is created, watched and answered, over gRPC.

use anyhow::{Context as _, bail};
use serde::Serialize;
use tenure_sdk::{Client, v1};
use tenure_testkit::app;
use v1::watch_run_response::Event;

use crate::agent::AGENT;

/// A client and its run.
pub(crate) struct Desk {
    client: Client,
    run: String,
}

impl Desk {
    /// Creates the run, with this input.
    pub(crate) async fn open(url: &str, input: &impl Serialize) -> anyhow::Result<Self> {
        let client = app::client(url);
        let (tenant, agent) = (client.tenant().to_string(), AGENT.to_owned());
        // As its worker does, which may not be that far yet.
        let document = format!("{{name: {AGENT}, kind: external, pool: {AGENT}}}");
        let request = v1::PublishVersionRequest { tenant: tenant.clone(), document };
        client.agents().publish_version(request).await?;
        let input = Some(json(input)?);
        let request = v1::CreateRunRequest { tenant, agent, input, ..Default::default() };
        let run = client.runs().create_run(request).await?.into_inner().id;
        Ok(Self { client, run })
    }

    /// All questions of the run, in the order of their keys.
    pub(crate) async fn questions(&self) -> anyhow::Result<Vec<v1::Interrupt>> {
        let request = v1::ListInterruptsRequest {
            tenant: self.client.tenant().to_string(),
            run: self.run.clone(),
            all: true,
            ..v1::ListInterruptsRequest::default()
        };
        let list = || {
            let (mut inbox, request) = (self.client.inbox(), request.clone());
            async move { inbox.list_interrupts(request).await }
        };
        let mut listed = self.client.retry(list).await?.interrupts;
        listed.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(listed)
    }

    /// Approves a question, with other arguments if some are given.
    pub(crate) async fn approve(
        &self,
        question: &v1::Interrupt,
        instead: Option<u32>,
    ) -> anyhow::Result<()> {
        let decision = if instead.is_some() { v1::Decision::Edit } else { v1::Decision::Approve };
        let answer = v1::Answer {
            decision: decision.into(),
            value: instead.as_ref().map(json).transpose()?,
            actor: "ann@example.com".into(),
            ..v1::Answer::default()
        };
        let request = v1::ResolveInterruptRequest {
            tenant: self.client.tenant().to_string(),
            interrupt: question.id.clone(),
            answer: Some(answer),
        };
        let resolve = || {
            let (mut inbox, request) = (self.client.inbox(), request.clone());
            async move { inbox.resolve_interrupt(request).await }
        };
        self.client.retry(resolve).await?;
        Ok(())
    }

    /// Waits until the run is so, and gives it.
    pub(crate) async fn until(&self, so: impl Fn(&v1::Run) -> bool) -> anyhow::Result<v1::Run> {
        let found = self.watch(|event| match event {
            Event::Run(run) if so(&run) => Some(run),
            _ => None,
        });
        found.await
    }

    /// Waits until the journal has a result under this key.
    pub(crate) async fn recorded(&self, key: &str) -> anyhow::Result<()> {
        let found = self.watch(|event| match event {
            Event::Entry(entry) => entry.record.filter(|record| record.key == key).map(drop),
            _ => None,
        });
        found.await
    }

    /// Looks at what there is and at what comes, until it is found.
    async fn watch<T>(&self, find: impl Fn(Event) -> Option<T>) -> anyhow::Result<T> {
        let (tenant, run) = (self.client.tenant().to_string(), self.run.clone());
        let request = v1::WatchRunRequest { tenant, run, after_seq: 0, stream: false };
        let watch = || {
            let (mut runs, request) = (self.client.runs(), request.clone());
            async move { runs.watch_run(request).await }
        };
        let mut events = self.client.retry(watch).await?;
        let mut last = None;
        while let Some(event) = events.message().await? {
            let event = event.event.context("an event says what it is")?;
            last = Some(event.clone());
            if let Some(found) = find(event) {
                return Ok(found);
            }
        }
        bail!("the run never was so; at the end it is {last:?}")
    }
}

fn json(value: &impl Serialize) -> anyhow::Result<v1::Payload> {
    let data = serde_json::to_vec(value)?.into();
    Ok(v1::Payload { content_type: "application/json".into(), encoding: String::new(), data })
}
