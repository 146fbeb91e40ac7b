//! The way of what steps say to the control plane: one call for all runs of a worker, which opens with
//! the first event, and a short queue before it. Who speaks never waits.

use tenure_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::{Backoff, Client};

/// Events that wait to be sent; more are dropped. With 64 KiB each at most 16 MiB.
const QUEUE: usize = 256;
/// Events that wait in the call itself.
const ON_THE_WAY: usize = 16;

/// Takes the events of all runs of a worker. The call ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Publishing(mpsc::Sender<v1::PublishRequest>);

impl Publishing {
    /// Begins with the first event.
    pub(super) fn start(client: Client) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        tokio::spawn(forward(client, queue));
        Self(sender)
    }

    /// Sends an event, or drops it.
    pub(crate) fn send(&self, event: v1::PublishRequest) {
        let _ = self.0.try_send(event);
    }
}

async fn forward(client: Client, mut queue: mpsc::Receiver<v1::PublishRequest>) {
    let mut backoff = Backoff::default();
    while let Some(first) = queue.recv().await {
        match call(&client, first, &mut queue).await {
            Ok(()) => backoff = Backoff::default(),
            Err(status) => {
                let pause = backoff.next();
                tracing::debug!(
                    "events do not go out: {}; again in {pause:?}",
                    crate::error(&status)
                );
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// One call, until it ends or there will be no more events.
async fn call(
    client: &Client,
    first: v1::PublishRequest,
    queue: &mut mpsc::Receiver<v1::PublishRequest>,
) -> Result<(), tonic::Status> {
    let (sender, events) = mpsc::channel(ON_THE_WAY);
    let mut workers = client.workers();
    let answered = workers.publish(ReceiverStream::new(events));
    tokio::pin!(answered);
    let send = async move {
        let mut next = Some(first);
        while let Some(event) = next {
            if sender.send(event).await.is_err() {
                break;
            }
            next = queue.recv().await;
        }
    };
    tokio::select! {
        answer = &mut answered => return answer.map(drop),
        () = send => {}
    }
    answered.await.map(drop)
}
