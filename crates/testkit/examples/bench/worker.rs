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
use crate::system::{CROWD, ONE};
use crate::task::{AGENT, Task, filler, since};

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

/// Branches that a run with many steps makes them in.
const BRANCHES: u32 = 100;

async fn product(options: &options::Worker, seen: Arc<Seen>) -> anyhow::Result<()> {
    let mut worker = Worker::new(app::client(&options.url)).capacity(options.capacity);
    if options.crowd {
        worker = worker.tenants([CROWD.parse()?, ONE.parse()?]);
    }
    let worker = worker.handle(AGENT, move |context, task| execute(context, task, seen.clone()));
    worker.run(CancellationToken::new()).await?;
    Ok(())
}

async fn execute(context: Context, task: Task, seen: Arc<Seen>) -> Result<Task, Stop> {
    seen.started(&task);
    if task.parks {
        park(&context, &task, &seen).await?;
    } else {
        steps(&context, task.steps, task.bytes, &seen).await?;
    }
    Ok(task)
}

async fn steps(context: &Context, steps: u32, bytes: usize, seen: &Seen) -> Result<(), Stop> {
    for _ in 0..steps {
        let began = Instant::now();
        context.step("step").run(|_| async { Ok(filler(bytes)) }).await?;
        seen.step(began.elapsed());
    }
    Ok(())
}

/// Has a journal of so many entries, and goes on when somebody has answered.
async fn park(context: &Context, task: &Task, seen: &Seen) -> Result<(), Stop> {
    if task.steps < BRANCHES * BRANCHES {
        steps(context, task.steps, task.bytes, seen).await?;
    } else {
        let branch = |number: u32| async move {
            let scope = context.scope(&format!("branch-{number}"))?;
            steps(&scope, task.steps / BRANCHES, task.bytes, seen).await
        };
        tenure_sdk::join((0..BRANCHES).map(branch)).await?;
    }
    let answer = context.interrupt("go-on").ask::<()>().await?;
    let answered = answer.reason.parse().unwrap_or_default();
    let step = async |_| {
        seen.resumed(since(answered));
        Ok(())
    };
    context.step("new").run(step).await
}
