//! The use cases with the SDK's worker on the other end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tenure_sdk::{Context, Stop, Worker, join, v1};
use tenure_testkit::app::App;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A worker in this process.
pub(crate) struct Working {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Working {
    pub(crate) fn start(worker: Worker) -> Self {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { worker.run(stop).await.unwrap() });
        Self { shutdown, task }
    }

    pub(crate) async fn drain(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Agents are published by the worker when it starts, so a run can only be created after that.
pub(crate) async fn create(app: &App, agent: &str, input: &str) -> String {
    let get = v1::GetVersionRequest {
        tenant: "default".into(),
        agent: agent.into(),
        version: String::new(),
    };
    while app.client.agents().get_version(get.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    app.create(agent, input).await
}

#[tokio::test]
async fn a_run_goes_from_its_creation_to_its_output() {
    let app = App::start().await;
    let worker =
        Worker::new(app.client.clone()).handle("hello", |ctx: Context, name: String| async move {
            let greeting =
                ctx.step("greet").run(|_| async { Ok(format!("hello, {name}")) }).await?;
            let scopes = [ctx.scope("left")?, ctx.scope("right")?];
            let branches = scopes.iter().map(Context::random);
            let numbers = join(branches).await?;
            ctx.log("nearly there").await?;
            ctx.now().await?;
            Ok::<_, Stop>(format!("{greeting} ({} numbers)", numbers.len()))
        });
    let working = Working::start(worker);
    let run = create(&app, "hello", "\"world\"").await;
    let ended = app.ended(&run).await;
    assert_eq!(ended.output.unwrap().data, "\"hello, world (2 numbers)\"");
    let mut keys = app.keys(&run).await;
    keys[1..3].sort();
    assert_eq!(keys, ["greet", "left/random", "right/random", "log", "now"]);
    working.drain().await;
}

#[tokio::test]
async fn recorded_steps_are_not_executed_again_after_a_drain() {
    let app = App::start().await;
    let (first, second) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let reached = Arc::new(Notify::new());
    let held = Arc::new(Notify::new());
    let worker = || {
        let (first, second) = (first.clone(), second.clone());
        let (reached, held) = (reached.clone(), held.clone());
        Worker::new(app.client.clone()).handle("hello", move |ctx: Context, (): ()| {
            let (first, second) = (first.clone(), second.clone());
            let (reached, held) = (reached.clone(), held.clone());
            async move {
                ctx.step("first")
                    .run(|_| async { Ok(first.fetch_add(1, Ordering::SeqCst)) })
                    .await?;
                let work = |_| async {
                    if second.fetch_add(1, Ordering::SeqCst) == 0 {
                        reached.notify_one();
                        held.notified().await;
                    }
                    Ok(())
                };
                ctx.step("second").run(work).await?;
                ctx.step("third").run(|_| async { Ok(()) }).await?;
                Ok::<_, Stop>(())
            }
        })
    };
    let one = Working::start(worker());
    let run = create(&app, "hello", "null").await;
    reached.notified().await;
    one.shutdown.cancel();
    held.notify_one();
    one.drain().await;
    // Drained at a step boundary: what was in flight is recorded, the next step did not begin.
    let parked = app.run(&run).await;
    assert_eq!((parked.state(), parked.entries), (v1::RunState::Queued, 2));
    let two = Working::start(worker());
    let ended = app.ended(&run).await;
    assert_eq!((ended.state(), ended.attempts), (v1::RunState::Succeeded, 1));
    assert_eq!((first.load(Ordering::SeqCst), second.load(Ordering::SeqCst)), (1, 1));
    two.drain().await;
}

#[tokio::test]
async fn a_failed_step_fails_the_run_and_a_retryable_one_is_tried_again() {
    use tenure_sdk::Failure;
    let app = App::start().await;
    let worker =
        Worker::new(app.client.clone()).handle("hello", |ctx: Context, (): ()| async move {
            let quick = tenure_sdk::Retry {
                attempts: 3,
                backoff: std::time::Duration::ZERO,
                ..Default::default()
            };
            let flaky = |attempt: tenure_sdk::Attempt| async move {
                if attempt.number < 3 {
                    Err(Failure::retryable("flaky", "not yet"))
                } else {
                    Ok(attempt.number)
                }
            };
            ctx.step("flaky").retry(quick).run(flaky).await?;
            ctx.step("broken")
                .run(|_| async { Err::<(), _>(Failure::permanent("broken", "for good")) })
                .await?;
            Ok::<_, Stop>(())
        });
    let working = Working::start(worker);
    let run = create(&app, "hello", "null").await;
    let ended = app.ended(&run).await;
    assert_eq!(
        (ended.state(), ended.failure.unwrap().code),
        (v1::RunState::Failed, "broken".into())
    );
    let attempts: Vec<u32> =
        app.journal(&run).await.into_iter().map(|entry| entry.record.unwrap().attempt).collect();
    assert_eq!(attempts, [3, 1]);
    working.drain().await;
}

#[tokio::test]
async fn a_panic_fails_its_run_and_no_other() {
    let app = App::start().await;
    let worker =
        Worker::new(app.client.clone()).handle("hello", |_: Context, fine: bool| async move {
            assert!(fine, "a bug in user code");
            Ok::<_, Stop>(())
        });
    let working = Working::start(worker);
    let bad = create(&app, "hello", "false").await;
    let good = create(&app, "hello", "true").await;
    assert_eq!(app.ended(&bad).await.failure.unwrap().code, "panic");
    assert_eq!(app.ended(&good).await.state(), v1::RunState::Succeeded);
    working.drain().await;
}

#[tokio::test]
async fn code_that_no_longer_fits_its_journal_blocks_the_run() {
    let app = App::start().await;
    let reached = Arc::new(Notify::new());
    let worker = |input: &'static str| {
        let reached = reached.clone();
        Worker::new(app.client.clone()).handle("hello", move |ctx: Context, (): ()| {
            let reached = reached.clone();
            async move {
                ctx.step("charge").input(&input).run(|_| async { Ok(()) }).await?;
                reached.notify_one();
                ctx.wait_for(&"go".parse()?).await?;
                Ok::<_, Stop>(())
            }
        })
    };
    let old = Working::start(worker("10 EUR"));
    let run = create(&app, "hello", "null").await;
    reached.notified().await;
    old.drain().await;
    let new = Working::start(worker("99 EUR"));
    let signal = v1::SignalRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        name: "go".into(),
        ..v1::SignalRunRequest::default()
    };
    app.client.runs().signal_run(signal).await.unwrap();
    let blocked = app.until(&run, |run| run.failure.is_some()).await;
    assert_eq!(blocked.state(), v1::RunState::Waiting);
    let message = blocked.failure.unwrap().message;
    assert!(
        message.contains("entry `charge` does not fit the code: expected a step with input"),
        "{message}"
    );
    new.drain().await;
    // With the code that it was made by, it goes on where it was.
    let old = Working::start(worker("10 EUR"));
    let retry = v1::RetryRunRequest { tenant: "default".into(), run: run.clone(), steering: None };
    app.client.runs().retry_run(retry.clone()).await.unwrap();
    assert_eq!(app.ended(&run).await.state(), v1::RunState::Succeeded);
    let ended = app.client.runs().retry_run(retry).await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::FailedPrecondition);
    old.drain().await;
}

#[tokio::test]
async fn a_waiting_run_is_parked_and_goes_on_with_what_arrives() {
    let app = App::start().await;
    let starts = Arc::new(AtomicU32::new(0));
    let worker = {
        let starts = starts.clone();
        Worker::new(app.client.clone()).handle("hello", move |ctx: Context, (): ()| {
            starts.fetch_add(1, Ordering::SeqCst);
            async move {
                let first = ctx.wait_for(&"go".parse()?).await?;
                let second = ctx.wait_for(&"go".parse()?).await?;
                Ok::<_, Stop>(format!("{:?} then {:?}", first.data, second.data))
            }
        })
    };
    let working = Working::start(worker);
    let run = create(&app, "hello", "null").await;
    app.until(&run, |run| run.state() == v1::RunState::Waiting).await;
    for text in ["one", "two"] {
        let signal = v1::SignalRunRequest {
            tenant: "default".into(),
            run: run.clone(),
            name: "go".into(),
            payload: Some(v1::Payload { data: text.into(), ..v1::Payload::default() }),
            request_id: text.into(),
        };
        app.client.runs().signal_run(signal).await.unwrap();
    }
    let ended = app.ended(&run).await;
    assert_eq!(ended.output.unwrap().data, r#""b\"one\" then b\"two\"""#);
    assert!(starts.load(Ordering::SeqCst) >= 2, "it was parked, and started again");
    working.drain().await;
}

#[tokio::test]
async fn a_cancelled_run_stops_where_it_is() {
    let app = App::start().await;
    let reached = Arc::new(Notify::new());
    let worker = {
        let reached = reached.clone();
        Worker::new(app.client.clone()).handle("hello", move |ctx: Context, (): ()| {
            let reached = reached.clone();
            async move {
                let endless = |_| async {
                    reached.notify_one();
                    std::future::pending::<()>().await;
                    Ok(())
                };
                ctx.step("endless").run(endless).await?;
                Ok::<_, Stop>(())
            }
        })
    };
    let working = Working::start(worker);
    let run = create(&app, "hello", "null").await;
    reached.notified().await;
    let cancel = v1::CancelRunRequest {
        tenant: "default".into(),
        run: run.clone(),
        steering: Some(crate::steering("ann", "enough")),
    };
    app.client.runs().cancel_run(cancel).await.unwrap();
    let ended = app.ended(&run).await;
    assert_eq!((ended.state(), ended.entries), (v1::RunState::Cancelled, 1));
    working.drain().await;
}

#[tokio::test]
async fn an_artifact_is_written_once() {
    let app = App::start().await;
    let worker =
        Worker::new(app.client.clone()).handle("hello", |ctx: Context, (): ()| async move {
            let made = ctx.put_artifact("report.md", "text/markdown", "# Report".into()).await?;
            Ok::<_, Stop>(made.size)
        });
    let working = Working::start(worker);
    let run = create(&app, "hello", "null").await;
    assert_eq!(app.ended(&run).await.output.unwrap().data, "8");
    assert_eq!(app.keys(&run).await, ["artifact:report.md"]);
    let get = v1::GetArtifactRequest {
        tenant: "default".into(),
        run: run.clone(),
        name: "report.md".into(),
    };
    let artifact = app.client.runs().get_artifact(get).await.unwrap().into_inner();
    assert_eq!((&*artifact.data, &*artifact.content_type), (&b"# Report"[..], "text/markdown"));
    working.drain().await;
}

#[tokio::test]
async fn a_sleep_lasts_as_long_as_the_database_says_and_holds_no_worker() {
    let app = App::start().await;
    let worker =
        Worker::new(app.client.clone()).handle("hello", |ctx: Context, days: u64| async move {
            ctx.step("before").run(|_| async { Ok(()) }).await?;
            ctx.sleep(std::time::Duration::from_hours(24 * days)).await?;
            ctx.step("after").run(|_| async { Ok(()) }).await?;
            Ok::<_, Stop>(days)
        });
    let working = Working::start(worker.capacity(1));
    let run = create(&app, "hello", "7").await;
    let day = std::time::Duration::from_hours(24);
    app.until(&run, |run| run.state() == v1::RunState::Waiting && run.wakes_at.is_some()).await;
    // The one permit of the worker is free for others meanwhile.
    let nap = create(&app, "hello", "0").await;
    assert_eq!(app.ended(&nap).await.state(), v1::RunState::Succeeded);
    app.pass(6 * day).await;
    assert_eq!(app.run(&run).await.entries, 2);
    app.pass(day).await;
    let ended = app.ended(&run).await;
    assert_eq!((ended.state(), ended.attempts), (v1::RunState::Succeeded, 1));
    assert_eq!(app.keys(&run).await, ["before", "sleep", "after"]);
    working.drain().await;
}
