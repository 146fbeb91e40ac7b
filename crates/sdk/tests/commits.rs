//! The commits of many runs share calls; each is answered by itself, whatever happens to the others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};

use futures::future::{BoxFuture, join_all};
use tenure_sdk::{Client, Context, Decision, Payload, Stop, Worker, v1};
use tenure_testkit::app::{App, client};
use tenure_testkit::proxy::{Flow, Proxy};
use tokio::sync::Barrier;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::{Channel, Endpoint, Server};

/// The worker protocol of a control plane behind it, with the calls counted by their name.
#[derive(Clone)]
struct Gate {
    behind: Channel,
    calls: Arc<Mutex<HashMap<String, usize>>>,
    /// As a control plane that knows no batches.
    older: bool,
}

impl Gate {
    /// In front of `app`; and where it listens.
    async fn start(app: &App, older: bool) -> (Self, String) {
        let behind = Endpoint::from_shared(app.url.clone()).unwrap().connect_lazy();
        let gate = Self { behind, calls: Arc::default(), older };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(gate.clone());
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (gate, url)
    }

    fn calls(&self, name: &str) -> usize {
        self.calls.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl tonic::server::NamedService for Gate {
    const NAME: &'static str = "tenure.v1.WorkerService";
}

impl Service<http::Request<Body>> for Gate {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let unknown = self.older && name == "BatchCommit";
        *self.calls.lock().unwrap().entry(name).or_default() += 1;
        let mut behind = self.behind.clone();
        Box::pin(async move {
            if unknown {
                return Ok(tonic::Status::unimplemented("what is that?").into_http());
            }
            let ready = std::future::poll_fn(|task| behind.poll_ready(task)).await;
            let answer = match ready {
                Ok(()) => behind.call(request).await,
                Err(error) => Err(error),
            };
            Ok(answer
                .unwrap_or_else(|error| tonic::Status::unavailable(error.to_string()).into_http()))
        })
    }
}

const RUNS: usize = 64;
const STEPS: usize = 8;

/// Starts a worker of the pool `many` for all runs; it ends with what is given back.
fn work<F, Fut>(client: Client, code: F) -> DropGuard
where
    F: Fn(Context, Payload) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Payload, Stop>> + Send + 'static,
{
    let stop = CancellationToken::new();
    let pool = "many".parse().unwrap();
    let worker = Worker::new(client).pool(pool).capacity(RUNS).interpreter(code);
    tokio::spawn(worker.run(stop.clone()));
    stop.drop_guard()
}

/// Steps that all runs end at the same time.
async fn in_step(ctx: Context, together: Arc<Barrier>) -> Result<Payload, Stop> {
    for _ in 0..STEPS {
        let wait = || async {
            together.wait().await;
            Ok(())
        };
        ctx.step("step").run(|_| wait()).await?;
    }
    Ok(Payload::default())
}

async fn create(app: &App) -> Vec<String> {
    app.publish("many").await;
    join_all((0..RUNS).map(|n| app.create("many", if n == 0 { "0" } else { "1" }))).await
}

async fn assert_succeeded(app: &App, runs: &[String]) {
    for run in runs {
        let ended = app.ended(run).await;
        assert_eq!(ended.state(), v1::RunState::Succeeded, "{ended:?}");
        assert_eq!(ended.entries, STEPS as u64);
    }
}

#[tokio::test]
async fn many_runs_commit_through_few_calls() {
    let app = App::start().await;
    let (gate, url) = Gate::start(&app, false).await;
    let together = Arc::new(Barrier::new(RUNS));
    let _worker = work(client(&url), move |ctx, _| in_step(ctx, together.clone()));
    let runs = create(&app).await;
    assert_succeeded(&app, &runs).await;
    // The steps, and the end.
    let (commits, calls) = (RUNS * (STEPS + 1), gate.calls("BatchCommit"));
    assert!(calls * 8 <= commits, "{commits} commits took {calls} calls");
    assert_eq!(gate.calls("Commit"), 0);
}

#[tokio::test]
async fn a_control_plane_that_knows_no_batches_gets_one_commit_after_the_other() {
    let app = App::start().await;
    let (gate, url) = Gate::start(&app, true).await;
    let together = Arc::new(Barrier::new(RUNS));
    let _worker = work(client(&url), move |ctx, _| in_step(ctx, together.clone()));
    let runs = create(&app).await;
    assert_succeeded(&app, &runs).await;
    assert_eq!(gate.calls("Commit"), RUNS * (STEPS + 1));
    let asked = gate.calls("BatchCommit");
    assert!(asked <= RUNS, "it was asked {asked} times");
}

#[tokio::test]
async fn a_commit_that_is_refused_does_no_harm_to_the_others() {
    let app = App::start().await;
    let (gate, url) = Gate::start(&app, false).await;
    let together = Arc::new(Barrier::new(RUNS));
    let _worker = work(client(&url), move |ctx, input: Payload| {
        let together = together.clone();
        async move {
            together.wait().await;
            if &*input.data == b"0" {
                // Nobody can respond without a value: the control plane does not take it.
                ctx.interrupt("ask").default_to(Decision::Respond).ask::<()>().await?;
            }
            ctx.step("step").run(|_| async { Ok(()) }).await?;
            Ok(Payload::default())
        }
    });
    let runs = create(&app).await;
    let refused = app.ended(&runs[0]).await;
    assert_eq!(refused.state(), v1::RunState::Failed, "{refused:?}");
    assert!(refused.failure.unwrap().message.contains("the default of `ask`"));
    for run in &runs[1..] {
        let ended = app.ended(run).await;
        assert_eq!((ended.state(), ended.entries), (v1::RunState::Succeeded, 1), "{ended:?}");
    }
    assert!(gate.calls("BatchCommit") < RUNS);
}

#[tokio::test]
async fn commits_whose_answers_are_lost_are_sent_again_and_take_effect_once() {
    let app = App::start().await;
    let proxy = Proxy::start(app.url.trim_start_matches("http://").to_owned()).await;
    let url = format!("http://{}", proxy.address);
    let executed = Arc::new(Mutex::new(0));
    let (together, count) = (Arc::new(Barrier::new(RUNS + 1)), executed.clone());
    let release = together.clone();
    let _worker = work(client(&url), move |ctx, _| {
        let (together, count) = (together.clone(), count.clone());
        async move {
            for _ in 0..STEPS {
                let wait = || async {
                    *count.lock().unwrap() += 1;
                    together.wait().await;
                    together.wait().await;
                    Ok(())
                };
                ctx.step("step").run(|_| wait()).await?;
            }
            Ok(Payload::default())
        }
    });
    let runs = create(&app).await;
    for step in 1..=STEPS as u64 {
        // All are at this step, so what they did before has been answered.
        release.wait().await;
        if step != 3 {
            release.wait().await;
            continue;
        }
        proxy.flow(Flow::Open, Flow::Silent);
        release.wait().await;
        // The control plane has them all, and nobody knows it.
        join_all(runs.iter().map(|run| app.until(run, |run| run.entries == step))).await;
        proxy.hang_up();
        proxy.mend();
    }
    assert_succeeded(&app, &runs).await;
    assert_eq!(*executed.lock().unwrap(), RUNS * STEPS);
}
