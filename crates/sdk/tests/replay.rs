//! A run that goes on after a wait, over a journal of several pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenure_sdk::{Context, Payload, Stop, Worker, join, limits, v1};
use tenure_testkit::app::App;
use tokio_util::sync::CancellationToken;

/// Two pages, and a little.
const STEPS: usize = 2 * limits::JOURNAL_PAGE + 7;

/// All at once, so that they share commits.
async fn many(ctx: Context, executed: Arc<AtomicUsize>) -> Result<Payload, Stop> {
    let step = async |n: usize| {
        let work = |_| async { Ok(executed.fetch_add(1, Ordering::SeqCst)) };
        ctx.step(&format!("step-{n}")).run(work).await
    };
    let before = join((0..STEPS).map(step)).await?;
    let signal = ctx.wait_for(&"go".parse()?).await?;
    assert_eq!(before.len(), STEPS);
    Ok(signal)
}

#[tokio::test]
async fn a_long_journal_is_read_whole_and_nothing_of_it_is_executed_again() {
    let app = App::start().await;
    app.publish("many").await;
    let executed = Arc::new(AtomicUsize::new(0));
    let (count, stop) = (executed.clone(), CancellationToken::new());
    let worker = Worker::new(app.client.clone()).pool("many".parse().unwrap());
    let worker = worker.interpreter(move |ctx, _| many(ctx, count.clone()));
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
    assert_eq!(executed.load(Ordering::SeqCst), STEPS);
    assert_eq!(ended.entries, STEPS as u64 + 1);
    stop.cancel();
    working.await.unwrap().unwrap();
}
