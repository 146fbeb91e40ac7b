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
    if command.follow {
        let mut follower = Follower::new(session.ui);
        watch(&session.client, &command.run, |event| follower.take(event)).await?;
        return follower.finish();
    }
    let run = session.run(&command.run).await?;
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
    timeline: Option<Timeline>,
}

impl Follower {
    pub(crate) fn new(ui: Ui) -> Self {
        Self { ui, timeline: None }
    }

    /// Shows what is new. The run's own changes are for programs only.
    pub(crate) fn take(&mut self, event: Event) -> Result<(), Problem> {
        if self.ui.is_json() {
            return self.ui.event(&v1::WatchRunResponse { event: Some(event) });
        }
        match (event, &mut self.timeline) {
            (Event::Run(run), None) => {
                let timeline = Timeline::new(&run, &[], self.ui.paint());
                self.ui.line(timeline.heading())?;
                self.timeline = Some(timeline);
            }
            (Event::Entry(entry), Some(timeline)) => {
                self.ui.line(timeline.entry(&entry).join("\n"))?;
            }
            // A watch begins with the run, so no entry comes without a timeline.
            (Event::Run(_), Some(_)) | (Event::Entry(_), None) => {}
        }
        Ok(())
    }

    /// The last line.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.timeline {
            Some(timeline) => Ok(self.ui.line(timeline.totals())?),
            None => Ok(()),
        }
    }
}
