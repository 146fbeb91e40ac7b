//! Waits for a time, alone and against a signal.

use tenure_sdk::{Context, Stop, Timestamp, Worker};

use super::*;
use crate::worker::{Working, create};

const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

/// Waits for `go` for an hour, and then for another one for as long as it takes.
async fn patient(ctx: Context, (): ()) -> Result<(bool, String), Stop> {
    let go = "go".parse()?;
    let first = ctx.wait_for_within(&go, HOUR).await?;
    let second = ctx.wait_for(&go).await?;
    Ok((first.is_some(), String::from_utf8_lossy(&second.data).into_owned()))
}

fn worker(app: &App) -> Worker {
    Worker::new(app.client.clone()).handle("patient", patient)
}

/// A run that is parked in its first wait, and no worker.
async fn parked(app: &App) -> String {
    let working = Working::start(worker(app));
    let run = create(app, "patient", "null").await;
    let parked = app.until(&run, is_parked).await;
    assert_eq!(parked.waits_on, ["signal:go"]);
    assert!(parked.wakes_at.is_some(), "its time is up some day");
    working.drain().await;
    run
}

/// The outcome of the first wait and the signal that the second one got.
async fn outcome(app: &App, run: &str) -> String {
    let working = Working::start(worker(app));
    let ended = app.ended(run).await;
    assert_eq!(app.keys(run).await, ["signal:go", "signal:go", "signal:go#1"]);
    working.drain().await;
    output(&ended)
}

#[tokio::test]
async fn a_signal_in_time_ends_the_wait() {
    let app = App::start().await;
    let run = parked(&app).await;
    for text in ["1", "2"] {
        signal(&app, &run, "go", text).await;
    }
    assert_eq!(outcome(&app, &run).await, r#"[true,"2"]"#);
}

#[tokio::test]
async fn a_signal_that_comes_too_late_is_for_the_next_wait() {
    let app = App::start().await;
    let run = parked(&app).await;
    app.pass(HOUR).await;
    let working = Working::start(worker(&app));
    app.until(&run, |run| is_parked(run) && run.waits_on == ["signal:go#1"]).await;
    working.drain().await;
    signal(&app, &run, "go", "1").await;
    assert_eq!(outcome(&app, &run).await, r#"[false,"1"]"#);
}

#[tokio::test]
async fn a_signal_that_was_there_when_somebody_looked_counts() {
    let app = App::start().await;
    let run = parked(&app).await;
    // Both have happened before a worker comes: it reads the inbox first.
    for text in ["1", "2"] {
        signal(&app, &run, "go", text).await;
    }
    app.pass(2 * HOUR).await;
    assert_eq!(outcome(&app, &run).await, r#"[true,"2"]"#);
}

#[tokio::test]
async fn a_time_that_has_passed_is_no_wait_and_a_far_one_does_not_overflow() {
    let app = App::start().await;
    let until = |ctx: Context, micros: i64| async move {
        ctx.sleep_until(Timestamp::from_micros(micros)).await
    };
    let for_years = |ctx: Context, years: u32| async move { ctx.sleep(years * YEAR).await };
    let worker = Worker::new(app.client.clone())
        .handle("until", until)
        .handle("years", for_years)
        .handle("forever", |ctx: Context, (): ()| async move { ctx.sleep(Duration::MAX).await });
    let working = Working::start(worker);
    for past in ["0", "-9223372036854775808"] {
        let run = create(&app, "until", past).await;
        assert_eq!(app.ended(&run).await.state(), v1::RunState::Succeeded);
    }
    // The first of January of the year 3000.
    let far = create(&app, "until", "32503680000000000").await;
    let parked = app.until(&far, is_parked).await;
    let wakes = parked.wakes_at.unwrap().seconds;
    assert!((wakes - 32_503_680_000).abs() < 60, "{wakes}");
    let thousand = create(&app, "years", "1000").await;
    let parked = app.until(&thousand, is_parked).await;
    let days = (parked.wakes_at.unwrap().seconds - parked.created_at.unwrap().seconds) / 86_400;
    assert_eq!(days, 365_000);
    let forever = create(&app, "forever", "null").await;
    assert!(app.until(&forever, is_parked).await.wakes_at.is_some());
    app.pass(1000 * YEAR).await;
    assert_eq!(app.ended(&thousand).await.state(), v1::RunState::Succeeded);
    assert_eq!(app.ended(&far).await.state(), v1::RunState::Succeeded);
    working.drain().await;
}
