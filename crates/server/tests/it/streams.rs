//! What steps say while they are executed.

use std::sync::Arc;

use tenure_sdk::{Context, Failure, Retry, Worker, v1};
use tenure_testkit::app::App;
use tokio::sync::Notify;
use tonic::Streaming;
use v1::watch_run_response::Event;

use crate::worker::{Working, create};

async fn watch(app: &App, run: &str, stream: bool) -> Streaming<v1::WatchRunResponse> {
    let request =
        v1::WatchRunRequest { tenant: "default".into(), run: run.into(), after_seq: 0, stream };
    app.client.runs().watch_run(request).await.unwrap().into_inner()
}

async fn next(events: &mut Streaming<v1::WatchRunResponse>) -> Option<Event> {
    events.message().await.unwrap().map(|event| event.event.unwrap())
}

/// The next thing that a step says.
async fn said(events: &mut Streaming<v1::WatchRunResponse>) -> (u32, u64, String) {
    loop {
        if let Event::Published(event) = next(events).await.expect("the watch goes on") {
            assert_eq!((event.key.as_str(), event.kind.as_str()), ("talk", "token"));
            assert_eq!(event.content_type, "text/plain");
            let data = String::from_utf8(event.data.to_vec()).unwrap();
            return (event.attempt, event.index, data);
        }
    }
}

/// A worker whose one step speaks twice, fails, and speaks again; it goes on when it is told to.
fn talker(app: &App, go: &Arc<Notify>) -> Worker {
    let go = go.clone();
    Worker::new(app.client.clone()).handle("talker", move |ctx: Context, (): ()| {
        let go = go.clone();
        async move {
            let retry = Retry { attempts: 2, ..Retry::default() };
            let talk = ctx.step("talk").retry(retry);
            talk.run(|attempt| {
                let go = go.clone();
                async move {
                    go.notified().await;
                    attempt.publisher.text("token", "one");
                    // Dropped where it is, but counted.
                    attempt.publisher.publish("no kind", "text/plain", "lost");
                    attempt.publisher.clone().text("token", "two");
                    go.notified().await;
                    let again = Failure::retryable("again", "once more");
                    if attempt.number == 1 { Err(again) } else { Ok(()) }
                }
            })
            .await
        }
    })
}

#[tokio::test]
async fn who_watches_with_stream_hears_each_attempt_and_others_hear_nothing() {
    let app = App::start().await;
    let go = Arc::new(Notify::new());
    let working = Working::start(talker(&app, &go));
    let run = create(&app, "talker", "null").await;
    let (mut loud, mut quiet) = (watch(&app, &run, true).await, watch(&app, &run, false).await);
    for attempt in [1, 2] {
        go.notify_one();
        assert_eq!(said(&mut loud).await, (attempt, 0, "one".into()));
        assert_eq!(said(&mut loud).await, (attempt, 2, "two".into()));
        go.notify_one();
    }
    let mut last = None;
    while let Some(event) = next(&mut loud).await {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Run(run)) if run.state() == v1::RunState::Succeeded));
    while let Some(event) = next(&mut quiet).await {
        assert!(!matches!(event, Event::Published(_)), "{event:?}");
    }
    assert_eq!(app.keys(&run).await, ["talk"], "nothing of it is in the journal");
    working.drain().await;
}

#[tokio::test]
async fn an_event_that_breaks_the_limits_ends_the_call() {
    let app = App::start().await;
    let event = |kind: &str, size| v1::PublishRequest {
        tenant: "default".into(),
        run: "run_01h455vb4pex5vsknk084sn02q".into(),
        lease: "lse_01h455vb4pex5vsknk084sn02q".into(),
        event: Some(v1::StreamEvent {
            key: "talk".into(),
            kind: kind.into(),
            data: vec![0; size].into(),
            ..v1::StreamEvent::default()
        }),
    };
    let publish = async |event| {
        let answer = app.client.workers().publish(tokio_stream::once(event)).await;
        answer.map(drop).map_err(|status| status.message().to_owned())
    };
    // Of a run that nobody follows, and that there is not: it goes nowhere.
    assert_eq!(publish(event("token", 1)).await, Ok(()));
    let long = publish(event("token", (64 << 10) + 1)).await.unwrap_err();
    assert_eq!(long, "an event of `talk` in bytes is 65537; the limit is 65536");
    let kind = publish(event("", 1)).await.unwrap_err();
    assert!(kind.starts_with("`` is no kind of event"), "{kind}");
}
