//! Runs that rest, and runs that somebody helps on.

use tenure_sdk::{Context, Stop, Worker};
use tokio::sync::Semaphore;

use super::*;
use crate::worker::{Working, create};

/// Two steps, each of which waits for a permit, and a signal.
async fn two_steps(ctx: Context, log: Log, gate: Arc<Semaphore>) -> Result<(), Stop> {
    for name in ["one", "two"] {
        let work = |_| async {
            log.note(name);
            gate.acquire().await?.forget();
            Ok(())
        };
        ctx.step(name).run(work).await?;
    }
    ctx.wait_for(&"go".parse()?).await?;
    Ok(())
}

fn stepping(app: &App, log: &Log, gate: &Arc<Semaphore>) -> Worker {
    let (log, gate) = (log.clone(), gate.clone());
    let code = move |ctx, (): ()| two_steps(ctx, log.clone(), gate.clone());
    Worker::new(app.client.clone()).handle("hello", code)
}

async fn noted(log: &Log, what: &str) {
    while log.take() != [what] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_running_run_rests_behind_the_step_it_is_at() {
    let (app, log, gate) = (App::start().await, Log::default(), Arc::new(Semaphore::new(0)));
    let working = Working::start(stepping(&app, &log, &gate));
    let run = create(&app, "hello", "null").await;
    noted(&log, "one").await;
    assert!(pause(&app, &run).await.pause_requested);
    gate.add_permits(1);
    let paused = app.until(&run, |run| run.wait_reason() == v1::WaitReason::Paused).await;
    assert_eq!(paused.attempts, 0, "a rest costs nothing");
    assert!(log.take().is_empty(), "no step was begun");
    gate.add_permits(1);
    resume(&app, &run).await;
    app.until(&run, |run| run.wait_reason() == v1::WaitReason::Inbox).await;
    assert_eq!(log.take(), ["two"]);

    // Parked, it rests at once, and what arrives does not wake it.
    pause(&app, &run).await;
    signal(&app, &run, "go", "null").await;
    assert_eq!(app.run(&run).await.wait_reason(), v1::WaitReason::Paused);
    resume(&app, &run).await;
    assert_eq!(app.ended(&run).await.state(), v1::RunState::Succeeded);
    let steps = ["one", "two", "signal:go"];
    let keys = app.keys(&run).await;
    let own: Vec<_> = keys.iter().filter(|key| !key.starts_with("tenure:")).collect();
    assert_eq!(own, steps);
    assert_eq!(keys.len(), steps.len() + 4, "who paused and resumed it is on record");
    working.drain().await;
}

#[tokio::test]
async fn a_pause_that_is_taken_back_lets_the_run_go_on() {
    let (app, log, gate) = (App::start().await, Log::default(), Arc::new(Semaphore::new(0)));
    let working = Working::start(stepping(&app, &log, &gate));
    let run = create(&app, "hello", "null").await;
    noted(&log, "one").await;
    pause(&app, &run).await;
    resume(&app, &run).await;
    gate.add_permits(2);
    app.until(&run, |run| run.wait_reason() == v1::WaitReason::Inbox).await;
    assert_eq!(app.keys(&run).await, ["one", "two"], "it never rested");
    working.drain().await;
}

async fn charge(ctx: Context, amount: u32) -> Result<Option<u32>, Stop> {
    let charged = ctx.step("charge").input(&amount).run(|_| async { Ok(Some(amount)) }).await?;
    ctx.wait_for(&"go".parse()?).await?;
    Ok(charged)
}

/// A run that was begun by other code and does not fit this one.
async fn blocked(app: &App) -> (String, Working) {
    let worker = |amount| {
        let code = move |ctx, (): ()| charge(ctx, amount);
        Worker::new(app.client.clone()).handle("hello", code)
    };
    let old = Working::start(worker(10));
    let run = create(app, "hello", "null").await;
    app.until(&run, is_parked).await;
    old.drain().await;
    signal(app, &run, "go", "null").await;
    let new = Working::start(worker(99));
    let blocked = app.until(&run, |run| run.wait_reason() == v1::WaitReason::Blocked).await;
    assert_eq!(code(&blocked), "mismatch");
    (run, new)
}

async fn patch(app: &App, run: &str, key: &str, text: &str) {
    let request = v1::PatchRunRequest {
        tenant: "default".into(),
        run: run.into(),
        key: key.into(),
        result: Some(v1::patch_run_request::Result::Payload(json(text))),
        steering: Some(steering("ann", "by hand")),
    };
    app.client.runs().patch_run(request).await.unwrap();
}

#[tokio::test]
async fn a_blocked_run_goes_on_with_what_somebody_gives_the_step() {
    let app = App::start().await;
    for result in ["99", "null"] {
        let (run, working) = blocked(&app).await;
        patch(&app, &run, "charge", result).await;
        assert_eq!(output(&app.ended(&run).await), result);
        assert_eq!(
            app.keys(&run).await,
            ["charge", "tenure:patch#2", "charge", "signal:go"],
            "who did that is on record"
        );
        working.drain().await;
    }
}
