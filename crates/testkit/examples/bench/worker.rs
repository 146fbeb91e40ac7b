//! The workers: the product's, through the SDK as its users have it, and that of the bare reference.

use std::sync::Arc;
use std::time::Instant;

use tenure_sdk::{Context, Stop, Worker};
use tenure_testkit::app;
use tokio_util::sync::CancellationToken;

use crate::child;
use crate::floor;
use crate::options;
use crate::seen::Seen;
use crate::task::{AGENT, Task, filler};

/// Works, and says what it has seen whenever it is asked.
pub(crate) async fn work(options: options::Worker) -> anyhow::Result<()> {
    let seen = Arc::new(Seen::new());
    let answering = child::answer(async |()| Ok(seen.take()));
    if options.floor {
        tokio::select! {
            answered = answering => answered,
            worked = floor::work(&options.url, seen.clone()) => worked,
        }
    } else {
        tokio::select! {
            answered = answering => answered,
            worked = product(&options, seen.clone()) => worked,
        }
    }
}

async fn product(options: &options::Worker, seen: Arc<Seen>) -> anyhow::Result<()> {
    let worker = Worker::new(app::client(&options.url)).capacity(options.capacity);
    let worker = worker.handle(AGENT, move |context, task| execute(context, task, seen.clone()));
    worker.run(CancellationToken::new()).await?;
    Ok(())
}

async fn execute(context: Context, task: Task, seen: Arc<Seen>) -> Result<Task, Stop> {
    seen.started(&task);
    for _ in 0..task.steps {
        let began = Instant::now();
        context.step("step").run(|_| async { Ok(filler(task.bytes)) }).await?;
        seen.step(began.elapsed());
    }
    Ok(task)
}
