//! The worker of the bare reference: does the same steps as the product's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::wire::{Append, Assigned, End, FromWorker, from_worker, to_worker};
use crate::seen::Seen;
use crate::task::{Task, filler};

type Said = mpsc::UnboundedSender<FromWorker>;

/// A run whose code waits for its steps to be durable.
struct Running {
    durable: mpsc::UnboundedSender<()>,
    /// Steps that are not.
    left: u32,
}

/// Works until the server ends the stream, which is an error.
pub(crate) async fn work(url: &str, seen: Arc<Seen>) -> anyhow::Result<()> {
    let (said, to_server) = mpsc::unbounded_channel();
    let mut client = super::connect(url).await?;
    let mut heard = client.work(UnboundedReceiverStream::new(to_server)).await?.into_inner();
    let mut runs = HashMap::new();
    while let Some(message) = heard.message().await? {
        match message.message {
            Some(to_worker::Message::Assigned(run)) => {
                let task: Task = serde_json::from_slice(&run.input)?;
                seen.started(&task);
                let (durable, acknowledged) = mpsc::unbounded_channel();
                runs.insert(run.run.clone(), Running { durable, left: task.steps });
                tokio::spawn(execute(run, task, said.clone(), acknowledged, seen.clone()));
            }
            Some(to_worker::Message::Appended(appended)) => go_on(&mut runs, &appended.run),
            None => {}
        }
    }
    bail!("the server has ended")
}

fn go_on(runs: &mut HashMap<Bytes, Running>, run: &Bytes) {
    let Some(running) = runs.get_mut(run) else { return };
    // Who does not listen any more has failed, and said so.
    let _ = running.durable.send(());
    running.left -= 1;
    if running.left == 0 {
        runs.remove(run);
    }
}

async fn execute(
    run: Assigned,
    task: Task,
    said: Said,
    mut acknowledged: mpsc::UnboundedReceiver<()>,
    seen: Arc<Seen>,
) -> anyhow::Result<()> {
    for seq in 1..=task.steps {
        let began = Instant::now();
        let payload = filler(task.bytes).into();
        let (name, id) = ("step".to_owned(), run.run.clone());
        let append = Append { run: id, epoch: run.epoch, seq, name, payload };
        said.send(FromWorker { message: Some(from_worker::Message::Append(append)) })?;
        if acknowledged.recv().await.is_none() {
            bail!("the server has ended");
        }
        seen.step(began.elapsed());
    }
    let output = serde_json::to_vec(&task)?.into();
    let end = End { run: run.run, epoch: run.epoch, output };
    said.send(FromWorker { message: Some(from_worker::Message::End(end)) })?;
    Ok(())
}
