//! Runs that call runs.

use tenure_sdk::{Context, Failure, Stop, Worker, join};

use super::*;
use crate::worker::{Working, create};

/// Every seventh of them fails.
async fn child(ctx: Context, number: u32) -> Result<u32, Stop> {
    if number.is_multiple_of(7) {
        return Err(Stop::failed("seventh", format!("{number} is one of them")));
    }
    ctx.step("double").run(|_| async { Ok(2 * number) }).await
}

/// Calls many and adds up what they give.
async fn parent(ctx: Context, children: u32) -> Result<(u32, usize), Stop> {
    let call = async |number: u32| {
        let outcome = ctx.call("child", &number).outcome::<u32>().await?;
        Ok::<Result<u32, Failure>, Stop>(outcome)
    };
    let outcomes = join((0..children).map(call)).await?;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    Ok((outcomes.into_iter().flatten().sum(), failed))
}

/// Passes the failure of its child on.
async fn strict(ctx: Context, number: u32) -> Result<u32, Stop> {
    ctx.call("child", &number).name("the_one").output().await
}

/// Waits until it is told to end.
async fn endless(ctx: Context, (): ()) -> Result<(), Stop> {
    ctx.wait_for(&"end".parse()?).await.map(drop)
}

async fn family(ctx: Context, (): ()) -> Result<(), Stop> {
    ctx.call("endless", &()).detached().start().await?;
    let scopes = [ctx.scope("tied")?, ctx.scope("free")?];
    let tied = scopes[0].call("endless", &()).output::<()>();
    let free = scopes[1].call("endless", &()).detached().output::<()>();
    tokio::try_join!(tied, free).map(drop)
}

fn worker(app: &App) -> Worker {
    Worker::new(app.client.clone())
        .handle("child", child)
        .handle("parent", parent)
        .handle("strict", strict)
        .handle("endless", endless)
        .handle("family", family)
        .capacity(32)
}

/// The children of a run: id and state.
async fn children(app: &App, parent: &str) -> Vec<v1::Run> {
    let request = v1::ListRunsRequest {
        tenant: "default".into(),
        parent: parent.into(),
        ..v1::ListRunsRequest::default()
    };
    let mut runs = app.client.runs().list_runs(request).await.unwrap().into_inner().runs;
    runs.sort_by(|one, other| one.id.cmp(&other.id));
    runs
}

#[tokio::test]
async fn two_hundred_children_bring_their_results_and_failures_are_values() {
    let app = App::start().await;
    let working = Working::start(worker(&app));
    create(&app, "endless", "null").await;
    let run = create(&app, "parent", "200").await;
    let ended = app.ended(&run).await;
    let fine: u32 = (0..200).filter(|number| number % 7 != 0).map(|number| 2 * number).sum();
    assert_eq!(output(&ended), format!("[{fine},29]"));
    assert_eq!(ended.entries, 400, "each call is opened once and ends once");
    working.drain().await;
}

#[tokio::test]
async fn a_childs_failure_is_passed_on_unless_it_is_taken_as_a_value() {
    let app = App::start().await;
    let working = Working::start(worker(&app));
    let bad = create(&app, "strict", "14").await;
    let good = create(&app, "strict", "3").await;
    let failed = app.ended(&bad).await;
    assert_eq!(code(&failed), "seventh");
    assert_eq!(app.keys(&bad).await, ["the_one", "the_one"]);
    assert_eq!(output(&app.ended(&good).await), "6");
    let unknown = create(&app, "family", "null").await;
    app.until(&unknown, is_parked).await;
    working.drain().await;
}

#[tokio::test]
async fn children_end_with_their_caller_and_those_that_are_detached_do_not() {
    let app = App::start().await;
    let working = Working::start(worker(&app));
    let run = create(&app, "family", "null").await;
    let waits = ["free/child:endless", "tied/child:endless"];
    app.until(&run, |run| is_parked(run) && run.waits_on == waits).await;
    let all = loop {
        let all = children(&app, &run).await;
        if all.len() == 3 {
            break all;
        }
        tokio::task::yield_now().await;
    };
    for child in &all {
        app.until(&child.id, is_parked).await;
    }
    cancel(&app, &run).await;
    app.ended(&run).await;
    let cancelled = loop {
        let ended = |run: &v1::Run| run.state() == v1::RunState::Cancelled;
        let cancelled = children(&app, &run).await.into_iter().filter(ended).count();
        if cancelled > 0 {
            break cancelled;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(cancelled, 1);
    let left = children(&app, &run).await;
    let left: Vec<_> = left.iter().filter(|child| is_parked(child)).collect();
    assert_eq!(left.len(), 2);
    for child in left {
        signal(&app, &child.id, "end", "null").await;
        assert_eq!(app.ended(&child.id).await.state(), v1::RunState::Succeeded);
    }
    working.drain().await;
}
