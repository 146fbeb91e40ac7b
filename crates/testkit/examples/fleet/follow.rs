//! One run from its creation to its end, as its client lives it.

use std::time::Duration;

use tenure_sdk::v1;
use tokio::time::sleep;
use v1::watch_run_response::Event;

use crate::agent::GO;
use crate::clients::{Clients, Sent, tenant};
use crate::ledger::Call;

/// The pause before a watch that was cut is begun again.
const AGAIN: Duration = Duration::from_millis(50);

/// Creates the run with this number, does what it waits for, and watches it to its end.
pub(crate) async fn live(clients: &Clients, agent: &str, number: u64) {
    let lived = async {
        let run = clients.create(agent, number).await?;
        Followed { clients, number, run, after_seq: 0, signalled: false }.follow().await
    };
    if let Err(problem) = lived.await {
        clients.ledger().problems.push(format!("run {number}: {problem:#}"));
    }
}

struct Followed<'a> {
    clients: &'a Clients,
    number: u64,
    run: String,
    /// The last entry that was seen.
    after_seq: u64,
    signalled: bool,
}

impl Followed<'_> {
    async fn follow(&mut self) -> anyhow::Result<()> {
        while !self.watch().await? {
            self.clients.ledger().cut();
            sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Watches until the run has ended or the connection has; whether it was the run.
    async fn watch(&mut self) -> anyhow::Result<bool> {
        let (client, sent) = (self.clients.of(self.number), Sent::default());
        let request = v1::WatchRunRequest {
            tenant: tenant(client),
            run: self.run.clone(),
            after_seq: self.after_seq,
            stream: false,
        };
        let watch = client.retry(|| {
            sent.again();
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.watch_run(request).await }
        });
        let mut events = self.clients.answered(Call::Watch, &sent, watch).await?;
        while let Ok(Some(response)) = events.message().await {
            match response.event {
                Some(Event::Entry(entry)) => self.see_entry(entry).await?,
                Some(Event::Run(run)) if run.ended_at.is_some() => {
                    self.known(|known| known.ended = Some(run));
                    return Ok(true);
                }
                Some(Event::Run(run)) => self.see_run(&run).await?,
                Some(Event::Published(_) | Event::Missed(_)) | None => {}
            }
        }
        Ok(false)
    }

    async fn see_entry(&mut self, entry: v1::Entry) -> anyhow::Result<()> {
        self.after_seq = entry.seq;
        let asked = asked(&entry);
        self.known(|known| known.journal.push(entry));
        if let Some(key) = asked {
            self.clients.answer(&self.run, self.number, &key).await?;
        }
        Ok(())
    }

    async fn see_run(&mut self, run: &v1::Run) -> anyhow::Result<()> {
        let waits = run.waits_on.iter().any(|key| *key == format!("signal:{GO}"));
        if waits && !self.signalled {
            self.signalled = true;
            self.clients.signal(&self.run, self.number).await?;
        }
        Ok(())
    }

    fn known(&self, note: impl FnOnce(&mut crate::ledger::Known)) {
        note(self.clients.ledger().runs.entry(self.number).or_default());
    }
}

/// The key of the question that an entry opens.
fn asked(entry: &v1::Entry) -> Option<String> {
    let record = entry.record.as_ref()?;
    let Some(v1::record::Status::Opened(opening)) = &record.status else { return None };
    let question = matches!(opening.opening, Some(v1::opening::Opening::Interrupt(_)));
    question.then(|| record.key.clone())
}
