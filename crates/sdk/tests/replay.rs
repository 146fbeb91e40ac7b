//! A run that goes on after a wait, over a journal of several pages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenure_sdk::{Context, Payload, Stop, Worker, join, limits, v1};
use tenure_testkit::app::App;
use tokio_util::sync::CancellationToken;

/// All at once, so that they share commits; each result is as long as it is said to be.
async fn many(
    ctx: Context,
    (steps, bytes): (usize, usize),
    executed: Arc<AtomicUsize>,
) -> Result<Payload, Stop> {
    let step = async |n: usize| {
        let work = |_| async {
            executed.fetch_add(1, Ordering::SeqCst);
            Ok(format!("{n:>bytes$}"))
        };
        ctx.step(&format!("step-{n}")).run(work).await
    };
    let before = join((0..steps).map(step)).await?;
    let signal = ctx.wait_for(&"go".parse()?).await?;
    for (n, result) in before.iter().enumerate() {
        assert_eq!((result.len(), result.trim()), (bytes, n.to_string().as_str()));
    }
    Ok(signal)
}

/// Two pages, and a little.
#[tokio::test]
async fn a_long_journal_is_read_whole_and_nothing_of_it_is_executed_again() {
    goes_on(2 * limits::JOURNAL_PAGE + 7, 8).await;
}

/// Half of it is read again, page by page, while the code asks for it.
#[tokio::test]
async fn what_is_too_much_to_keep_is_read_again() {
    let bytes = 32 << 10;
    goes_on(2 * limits::JOURNAL_KEPT / bytes, bytes).await;
}

/// Executes so many steps, waits, and goes on as a worker that has to replay them.
async fn goes_on(steps: usize, bytes: usize) {
    let app = App::start().await;
    app.publish("many").await;
    let executed = Arc::new(AtomicUsize::new(0));
    let (count, stop) = (executed.clone(), CancellationToken::new());
    let worker = Worker::new(app.client.clone()).pool("many".parse().unwrap());
    let worker = worker.interpreter(move |ctx, _| many(ctx, (steps, bytes), count.clone()));
    let working = tokio::spawn(worker.run(stop.clone()));
    let run = app.create("many", "null").await;
    app.until(&run, |run| run.state() == v1::RunState::Waiting).await;
    let signal = v1::SignalRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        name: "go".into(),
        ..v1::SignalRunRequest::default()
    };
    app.client.runs().signal_run(signal).await.unwrap();
    let ended = app.ended(&run).await;
    assert_eq!(ended.state(), v1::RunState::Succeeded, "{ended:?}");
    assert_eq!(executed.load(Ordering::SeqCst), steps);
    assert_eq!(ended.entries, steps as u64 + 1);
    stop.cancel();
    working.await.unwrap().unwrap();
}
