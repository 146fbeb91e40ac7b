//! Runs and steps that are tried again.

use tenure_sdk::{Attempt, Context, Failure, Retry, Stop, Worker, join};

use super::*;
use crate::worker::{Working, create};

const MINUTE: Duration = Duration::from_mins(1);

/// Three branches, of which those fail that the log has not seen often enough.
async fn flaky(ctx: Context, log: Log, retryable: bool) -> Result<u32, Stop> {
    let scopes = [ctx.scope("a")?, ctx.scope("b")?, ctx.scope("c")?];
    let branch = async |(place, scope): (usize, &Context)| {
        let work = |_| async {
            log.note(["a", "b", "c"][place]);
            if place == 1 {
                return Err(Failure { retryable, ..Failure::permanent("down", "not now") });
            }
            Ok(1)
        };
        scope.step("work").retry(Retry::NONE).run(work).await
    };
    Ok(join(scopes.iter().enumerate().map(branch)).await?.into_iter().sum())
}

fn worker(app: &App, log: &Log) -> Worker {
    let log = log.clone();
    Worker::new(app.client.clone())
        .handle("hello", move |ctx, retryable: bool| flaky(ctx, log.clone(), retryable))
}

/// A run that is tried again twice, after a minute and after two.
async fn patient(app: &App, input: &str) -> String {
    let unused = create(app, "hello", input).await;
    cancel(app, &unused).await;
    let retry = v1::RetryPolicy {
        limit: 2,
        backoff: Some(MINUTE.into()),
        max_backoff: Some((5 * MINUTE).into()),
    };
    let request = v1::CreateRunRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        input: Some(json(input)),
        retry: Some(retry),
        ..v1::CreateRunRequest::default()
    };
    app.client.runs().create_run(request).await.unwrap().into_inner().id
}

#[tokio::test]
async fn a_run_that_is_tried_again_executes_what_failed_and_nothing_else() {
    let (app, log) = (App::start().await, Log::default());
    let working = Working::start(worker(&app, &log));
    let run = patient(&app, "true").await;
    app.until(&run, |run| run.retried == 1).await;
    log.take();
    for retried in [2, 3] {
        app.pass((retried - 1) * MINUTE).await;
        app.until(&run, |run| run.retried == retried || run.ended_at.is_some()).await;
        assert_eq!(log.take(), ["b"]);
    }
    let failed = app.ended(&run).await;
    assert_eq!((&*code(&failed), failed.retried), ("down", 2));
    let keys = app.keys(&run).await;
    let tries = keys.iter().filter(|key| *key == "b/work").count();
    assert_eq!((keys.len(), tries), (7, 5), "three failures, reopened twice");
    working.drain().await;
}

#[tokio::test]
async fn a_failure_that_no_attempt_would_mend_ends_the_run() {
    let (app, log) = (App::start().await, Log::default());
    let working = Working::start(worker(&app, &log));
    let run = patient(&app, "false").await;
    let failed = app.ended(&run).await;
    assert_eq!((&*code(&failed), failed.retried, failed.entries), ("down", 0, 3));
    working.drain().await;
}

async fn persistent(ctx: Context, log: Log) -> Result<u32, Stop> {
    let work = |attempt: Attempt| async move { Ok::<_, Failure>(attempt.number) };
    let work = |attempt: Attempt| {
        log.note(attempt.number.to_string());
        let after = Failure::retryable("http_429", "later").after(30 * MINUTE);
        async move { if attempt.number < 3 { Err(after) } else { work(attempt).await } }
    };
    ctx.step("ask").retry(Retry::fixed(3, Duration::from_hours(1))).run(work).await
}

#[tokio::test]
async fn a_step_with_a_long_pause_holds_no_worker_and_keeps_counting() {
    let (app, log) = (App::start().await, Log::default());
    let worker = || {
        let log = log.clone();
        Worker::new(app.client.clone())
            .handle("hello", move |ctx, (): ()| persistent(ctx, log.clone()))
    };
    let first = Working::start(worker());
    let run = create(&app, "hello", "null").await;
    let parked = app.until(&run, is_parked).await;
    assert!(parked.wakes_at.is_some());
    assert_eq!((parked.waits_on, log.take()), (vec!["ask".to_owned()], vec!["1".to_owned()]));
    first.drain().await;
    let second = Working::start(worker());
    for attempt in [2, 3] {
        app.pass(Duration::from_hours(1)).await;
        app.until(&run, |run| run.entries >= 2 * attempt - 1 && run.worker.is_empty()).await;
        while log.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(log.take(), [attempt.to_string()]);
    }
    assert_eq!(output(&app.ended(&run).await), "3");
    assert_eq!(app.keys(&run).await, ["ask"; 5]);
    second.drain().await;
}
