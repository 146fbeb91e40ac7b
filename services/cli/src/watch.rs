//! Watching a run until it ends, across restarts of the control plane.

use std::time::Duration;

use tenure_core::{Error, ErrorKind};
use tenure_sdk::v1::watch_run_response::Event;
use tenure_sdk::{Client, v1};

use crate::problem::Problem;
use crate::session::has_ended;

/// Connections in a row that may fail: a minute or so, enough for a control plane to restart.
const RECONNECTS: u32 = 60;
/// Between two connections.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a watch stands.
struct Watch<'a> {
    client: &'a Client,
    run: &'a str,
    after_seq: u64,
    last: Option<v1::Run>,
    failures: u32,
}

/// Hands every event of the run to `each`, each entry once, and returns the run as it ended.
pub(crate) async fn watch(
    client: &Client,
    run: &str,
    mut each: impl FnMut(Event) -> Result<(), Problem>,
) -> Result<v1::Run, Problem> {
    let mut watch = Watch { client, run, after_seq: 0, last: None, failures: 0 };
    loop {
        let broken = watch.connection(&mut each).await?.err();
        match (watch.last.take_if(|run| has_ended(run)), broken) {
            (Some(run), _) => return Ok(run),
            (None, Some(error)) if !watch.may_reconnect(&error) => return Err(error.into()),
            // A stream that ends before its run does: the control plane is stopping.
            (None, _) => watch.failures += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Watch<'_> {
    /// One connection to its end. The inner error is the connection's, the outer one `each`'s.
    async fn connection(
        &mut self,
        each: &mut impl FnMut(Event) -> Result<(), Problem>,
    ) -> Result<Result<(), Error>, Problem> {
        let request = v1::WatchRunRequest {
            tenant: self.client.tenant().to_string(),
            run: self.run.to_owned(),
            after_seq: self.after_seq,
            stream: false,
        };
        let mut events = match self.client.runs().watch_run(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Ok(Err(tenure_sdk::error(&status))),
        };
        loop {
            match events.message().await {
                Ok(Some(v1::WatchRunResponse { event: Some(event) })) => self.take(event, each)?,
                // An event that this command is too old to know.
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Ok(())),
                Err(status) => return Ok(Err(tenure_sdk::error(&status))),
            }
        }
    }

    fn take(
        &mut self,
        event: Event,
        each: &mut impl FnMut(Event) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.failures = 0;
        match &event {
            Event::Run(run) => self.last = Some(run.clone()),
            Event::Entry(entry) if entry.seq <= self.after_seq => return Ok(()),
            Event::Entry(entry) => self.after_seq = entry.seq,
            Event::Published(_) | Event::Missed(_) => {}
        }
        each(event)
    }

    /// A watch that never began is not tried again: the address is probably wrong.
    fn may_reconnect(&self, error: &Error) -> bool {
        // A connection that is cut in the middle of a stream reads as internal.
        let cut = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal);
        self.last.is_some() && cut && self.failures < RECONNECTS
    }
}
