//! Does today's code still agree with a journal?

use tenure_sdk::{Context, Failure, Stop, Worker};

use super::*;
use crate::worker::{Working, create};

/// What differs between two deploys.
#[derive(Clone, Copy, PartialEq)]
enum Code {
    Same,
    OtherInput,
    OneMoreStep,
    Panics,
}

async fn book(ctx: Context, log: Log, code: Code) -> Result<(), Stop> {
    assert!(code != Code::Panics, "a bug in user code");
    let input = if code == Code::OtherInput { 99 } else { 10 };
    let work = |name: &'static str| {
        log.note(name);
        async { Ok::<_, Failure>(()) }
    };
    ctx.step("plan").input(&input).run(|_| work("plan")).await?;
    if code == Code::OneMoreStep {
        ctx.log("new").await?;
        ctx.step("new").run(|_| work("new")).await?;
    }
    ctx.now().await?;
    ctx.wait_for(&"go".parse()?).await?;
    ctx.step("act").run(|_| work("act")).await
}

fn worker(app: &App, log: &Log, code: Code) -> Worker {
    let log = log.clone();
    Worker::new(app.client.clone()).handle("hello", move |ctx, (): ()| book(ctx, log.clone(), code))
}

/// Has the run checked by this worker, and says how that ended.
async fn check_by(app: &App, run: &str, worker: Worker) -> String {
    let working = Working::start(worker);
    let request = v1::CheckRunRequest {
        tenant: "default".into(),
        run: run.into(),
        ..v1::CheckRunRequest::default()
    };
    let check = app.client.runs().check_run(request).await.unwrap().into_inner();
    let ended = app.ended(&check.id).await;
    working.drain().await;
    assert_eq!(ended.entries, 0, "a check records nothing");
    if ended.failure.is_some() { code(&ended) } else { output(&ended) }
}

/// The same with this code.
async fn check(app: &App, log: &Log, run: &str, with: Code) -> String {
    let found = check_by(app, run, worker(app, log, with)).await;
    assert!(log.take().is_empty(), "and executes nothing");
    found
}

#[tokio::test]
async fn a_check_says_where_code_and_journal_part() {
    let (app, log) = (App::start().await, Log::default());
    let working = Working::start(worker(&app, &log, Code::Same));
    let run = create(&app, "hello", "null").await;
    app.until(&run, is_parked).await;
    working.drain().await;
    log.take();
    let parked = r#"{"entries":2,"next":["signal:go"]}"#;
    assert_eq!(check(&app, &log, &run, Code::Same).await, parked);
    let added = r#"{"entries":2,"next":["log"]}"#;
    assert_eq!(check(&app, &log, &run, Code::OneMoreStep).await, added);
    assert_eq!(check(&app, &log, &run, Code::OtherInput).await, "mismatch");
    assert_eq!(check(&app, &log, &run, Code::Panics).await, "panic");
    let without_code = Worker::new(app.client.clone()).pool("hello".parse().unwrap());
    assert_eq!(check_by(&app, &run, without_code).await, "no_code");

    // The signal is in the inbox; a check does not take it.
    signal(&app, &run, "go", "null").await;
    assert_eq!(check_paused(&app, &log, &run).await, parked);
    let working = Working::start(worker(&app, &log, Code::Same));
    resume(&app, &run).await;
    app.ended(&run).await;
    working.drain().await;
    log.take();
    let ended = r#"{"entries":6,"next":[]}"#;
    assert_eq!(check(&app, &log, &run, Code::Same).await, ended);
}

/// Checks a run that rests, so that the worker does not go on with it.
async fn check_paused(app: &App, log: &Log, run: &str) -> String {
    pause(app, run).await;
    let entries = app.run(run).await.entries;
    let found = check(app, log, run, Code::Same).await;
    assert!(found.contains(&format!("\"entries\":{entries}")), "{found}");
    found.replace(&entries.to_string(), "2")
}
