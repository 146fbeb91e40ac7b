//! Many control planes and workers on one PostgreSQL, and a database that goes away.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use tenure_sdk::{Context, Stop, Worker, v1};
use tenure_server::Settings;
use tenure_testkit::app::{App, client};
use tenure_testkit::postgres::{add_checks, database};
use tenure_testkit::proxy::Proxy;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PLANES: usize = 8;
const WORKERS: usize = 16;
const RUNS: usize = 2_000;

async fn three_steps(ctx: Context, number: u64) -> Result<u64, Stop> {
    for step in ["one", "two", "three"] {
        ctx.step(step).run(|_| async { Ok(number) }).await?;
    }
    Ok(number)
}

/// Every lease has an epoch of its own, and every entry says under which it was written. So a run
/// that was never leased twice at the same time has epochs that do not fall along its journal; and
/// as no worker was lost here, it was leased exactly once: epoch 1, one attempt, each key once.
#[tokio::test(flavor = "multi_thread")]
async fn no_run_is_leased_twice_at_the_same_time() {
    database(async |url| {
        let mut apps = Vec::new();
        for _ in 0..PLANES {
            apps.push(
                App::over(tenure_store::open(&url).await.unwrap(), Settings::default()).await,
            );
        }
        add_checks(&url).await;
        apps[0].publish("hello").await;
        let runs = create(&apps).await;
        let shutdown = CancellationToken::new();
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let worker = Worker::new(client(&apps[number % PLANES].url)).capacity(8);
            workers.spawn(worker.handle("hello", three_steps).run(shutdown.clone()));
        }
        let mut seen = JoinSet::new();
        for (number, app) in apps.into_iter().enumerate() {
            // Watched through another replica than the one that created it.
            let mine: Vec<String> =
                runs.iter().skip((number + 3) % PLANES).step_by(PLANES).cloned().collect();
            seen.spawn(async move {
                for run in &mine {
                    check(&app, run).await;
                }
                // Nobody stops serving before the last run has ended.
                (app, mine.len())
            });
        }
        let seen = seen.join_all().await;
        assert_eq!(seen.iter().map(|(_, runs)| runs).sum::<usize>(), RUNS);
        shutdown.cancel();
        workers.join_all().await.into_iter().for_each(Result::unwrap);
    })
    .await;
}

async fn check(app: &App, run: &str) {
    let ended = app.ended(run).await;
    assert_eq!((ended.state(), ended.attempts), (v1::RunState::Succeeded, 1), "{ended:?}");
    let journal = app.journal(run).await;
    let epochs: Vec<u64> = journal.iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, [1, 1, 1], "{run} was leased more than once");
    let key = |entry: v1::Entry| entry.record.unwrap().key;
    assert_eq!(journal.into_iter().map(key).collect::<Vec<_>>(), ["one", "two", "three"]);
}

async fn create(apps: &[App]) -> Vec<String> {
    let mut creating = JoinSet::new();
    for (number, app) in apps.iter().enumerate() {
        let client = app.client.clone();
        creating.spawn(async move {
            let mut runs = Vec::new();
            for input in (number..RUNS).step_by(PLANES) {
                let request = v1::CreateRunRequest {
                    tenant: "default".into(),
                    agent: "hello".into(),
                    input: Some(v1::Payload {
                        data: input.to_string().into(),
                        ..v1::Payload::default()
                    }),
                    ..v1::CreateRunRequest::default()
                };
                runs.push(client.runs().create_run(request).await.unwrap().into_inner().id);
            }
            runs
        });
    }
    creating.join_all().await.concat()
}

/// The `host:port` of a URL.
fn target(url: &str) -> String {
    let rest = url.split_once("//").unwrap().1;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split_once('/').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_loses_nothing_and_is_found_again() {
    database(async |url| {
        let proxy = Arc::new(Proxy::start(target(&url)).await);
        let url = url.replace(&target(&url), &proxy.address.to_string());
        let app = App::over(tenure_store::open(&url).await.unwrap(), Settings::default()).await;
        app.publish("hello").await;
        let before = app.create("hello", "1").await;

        proxy.cut();
        let get = v1::GetRunRequest { tenant: "default".into(), run: before.clone(), wait: None };
        let away = app.client.runs().get_run(get.clone()).await.unwrap_err();
        assert_eq!(away.code(), tonic::Code::Unavailable, "{away:?}");
        assert_eq!(away.message(), "the database is not reachable; try again");
        let create = v1::CreateRunRequest {
            tenant: "default".into(),
            agent: "hello".into(),
            input: Some(v1::Payload { data: "2".into(), ..v1::Payload::default() }),
            idempotency_key: "in-the-dark".into(),
            ..v1::CreateRunRequest::default()
        };
        let away = app.client.runs().create_run(create.clone()).await.unwrap_err();
        assert_eq!(away.code(), tonic::Code::Unavailable, "{away:?}");

        // A worker that starts while the database is away waits for it.
        let shutdown = CancellationToken::new();
        let worker = Worker::new(app.client.clone()).handle("hello", three_steps);
        let working = tokio::spawn(worker.run(shutdown.clone()));
        proxy.mend();
        let (client, request) = (app.client.clone(), create);
        let created = client.retry(|| {
            let (mut runs, request) = (client.runs(), request.clone());
            async move { runs.create_run(request).await }
        });
        let during = created.await.unwrap().id;
        for run in [before, during] {
            let ended = ended(&app, &run).await;
            assert_eq!(ended.state(), v1::RunState::Succeeded, "{ended:?}");
        }
        shutdown.cancel();
        working.await.unwrap().unwrap();
    })
    .await;
}

/// Connections that broke are found out one by one, so a watch may have to be begun again.
async fn ended(app: &App, run: &str) -> v1::Run {
    loop {
        let get = v1::GetRunRequest { tenant: "default".into(), run: run.into(), wait: None };
        if let Ok(found) = app.client.runs().get_run(get).await {
            let found = found.into_inner();
            if found.ended_at.is_some() {
                return found;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
