//! `tenure journal`.

use serde_json::json;
use tenure_sdk::v1;
use tenure_sdk::v1::watch_run_response::Event;

use crate::cli::Journal;
use crate::problem::Problem;
use crate::session::{Session, answer};
use crate::timeline::Timeline;
use crate::ui::Ui;
use crate::watch::watch;

pub(crate) async fn journal(session: &Session, command: Journal) -> Result<(), Problem> {
    let run = session.run(&command.run).await?;
    if command.follow {
        let mut follower = Follower::new(session.ui, &run)?;
        watch(&session.client, &command.run, |event| follower.take(event)).await?;
        return follower.finish();
    }
    let entries = entries(session, &command.run).await?;
    session.ui.tell(&json!({"run": run, "entries": entries}), render(session.ui, &run, &entries))
}

/// The whole journal of a run.
pub(crate) async fn entries(session: &Session, run: &str) -> Result<Vec<v1::Entry>, Problem> {
    let mut entries: Vec<v1::Entry> = Vec::new();
    loop {
        let request = v1::ListEntriesRequest {
            tenant: session.tenant(),
            run: run.to_owned(),
            after_seq: entries.last().map_or(0, |entry| entry.seq),
            page_size: 0,
        };
        let page = answer!(session.client.runs().list_entries(request))?;
        let more = page.more && !page.entries.is_empty();
        entries.extend(page.entries);
        if !more {
            return Ok(entries);
        }
    }
}

/// A journal as a timeline with its totals.
pub(crate) fn render(ui: Ui, run: &v1::Run, entries: &[v1::Entry]) -> String {
    let mut timeline = Timeline::new(run, entries, ui.paint());
    let mut lines = vec![timeline.heading()];
    for entry in entries {
        lines.extend(timeline.entry(entry));
    }
    lines.push(timeline.totals());
    lines.join("\n")
}

/// Shows a journal while it grows.
#[derive(Debug)]
pub(crate) struct Follower {
    ui: Ui,
    timeline: Timeline,
}

impl Follower {
    /// Begins with the heading: a watch sends the entries that are there before it sends the run.
    pub(crate) fn new(ui: Ui, run: &v1::Run) -> Result<Self, Problem> {
        let timeline = Timeline::new(run, &[], ui.paint());
        if !ui.is_json() {
            ui.line(timeline.heading())?;
        }
        Ok(Self { ui, timeline })
    }

    /// Shows what is new. The run's own changes are for programs only.
    pub(crate) fn take(&mut self, event: Event) -> Result<(), Problem> {
        if self.ui.is_json() {
            return self.ui.event(&v1::WatchRunResponse { event: Some(event) });
        }
        if let Event::Entry(entry) = event {
            self.ui.line(self.timeline.entry(&entry).join("\n"))?;
        }
        Ok(())
    }

    /// The last line.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.ui.is_json() {
            return Ok(());
        }
        Ok(self.ui.line(self.timeline.totals())?)
    }
}
