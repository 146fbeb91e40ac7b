//! Hints between replicas by Redis, and what happens without them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use tenure_core::WorkerId;
use tenure_sdk::{Context, Stop, Worker, v1};
use tenure_server::carrier::{Carrier, Database, Ear, Fallback, Heard, Lost, Redis};
use tenure_server::{Settings, SystemEntropy};
use tenure_store::{Hint, Store};
use tenure_testkit::app::{App, quick};
use tenure_testkit::postgres::database;
use tenure_testkit::redis::{Server, shared};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Far less than a tick in the tests where only hints can wake anybody.
const PROMPTLY: Duration = Duration::from_mins(1);

/// Nobody looks by himself within the life of a test.
fn only_hints() -> Settings {
    let long = Duration::from_hours(1);
    Settings { tick: long, lease_ttl: long, ..Settings::default() }
}

fn redis(url: &str, prefix: &str) -> Arc<Redis> {
    Arc::new(Redis::new(url, prefix, Arc::new(SystemEntropy)).unwrap())
}

/// Two replicas, and a worker that polls at the second.
struct Pair {
    one: App,
    _two: App,
    shutdown: CancellationToken,
    working: JoinHandle<()>,
}

async fn double(_: Context, number: u64) -> Result<u64, Stop> {
    Ok(number * 2)
}

impl Pair {
    /// Over one SQLite in memory, which carries no hints itself.
    async fn start(settings: Settings, one: Arc<dyn Carrier>, two: Arc<dyn Carrier>) -> Self {
        let store = tenure_store::open("sqlite::memory:").await.unwrap();
        Self::over(settings, (store.clone(), one), (store, two)).await
    }

    async fn over(
        settings: Settings,
        one: (Arc<dyn Store>, Arc<dyn Carrier>),
        two: (Arc<dyn Store>, Arc<dyn Carrier>),
    ) -> Self {
        let one = App::carried(one.0, settings.clone(), one.1).await;
        let two = App::carried(two.0, settings, two.1).await;
        one.publish("double").await;
        let shutdown = CancellationToken::new();
        let worker = Worker::new(two.client.clone()).handle("double", double);
        let working = worker.run(shutdown.clone());
        let working = tokio::spawn(async { working.await.unwrap() });
        Self { one, _two: two, shutdown, working }
    }

    /// One run after the other, each created and watched at the first replica and done at the
    /// second: where nobody looks by himself, each takes a hint there and a hint back.
    async fn complete(&self, runs: usize) {
        let all = async {
            for number in 0..runs {
                let run = self.one.create("double", &number.to_string()).await;
                let ended = self.one.ended(&run).await;
                assert_eq!(ended.state(), v1::RunState::Succeeded, "{ended:?}");
            }
        };
        timeout(PROMPTLY, all).await.unwrap();
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.working.await.unwrap();
    }
}

/// What arrives by a carrier that no control plane uses.
fn heard(redis: Arc<Redis>) -> mpsc::UnboundedReceiver<Heard> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let ear: Ear = Arc::new(move |heard| drop(sender.send(heard)));
    tokio::spawn(async move { redis.listen(ear).await });
    receiver
}

fn hint(number: u128) -> Hint {
    Hint::Worker(WorkerId::new(Uuid::from_u128(number)))
}

async fn connected(carriers: &[&Arc<Redis>], connected: bool) {
    for redis in carriers {
        timeout(PROMPTLY, redis.wait_until(connected)).await.unwrap();
    }
}

async fn command(url: &str, words: &[&[u8]]) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::Cmd::new();
    command.arg(words).exec_async(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_alone_wakes_the_other_replica() {
    let (url, prefix) = shared();
    let (one, two) = (redis(&url, &prefix), redis(&url, &prefix));
    let pair = Pair::start(only_hints(), one.clone(), two.clone()).await;
    connected(&[&one, &two], true).await;
    pair.complete(20).await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_takes_what_steps_say_to_the_replica_where_somebody_watches() {
    let mut server = Server::stopped();
    server.start().await;
    let (one, two) = (redis(&server.url, "tenure"), redis(&server.url, "tenure"));
    let store = tenure_store::open("sqlite::memory:").await.unwrap();
    let here = App::carried(store.clone(), quick(), one.clone()).await;
    let there = App::carried(store, quick(), two.clone()).await;
    connected(&[&one, &two], true).await;
    here.publish("talker").await;
    let heard = Arc::new(Notify::new());
    let ear = heard.clone();
    let talk = move |ctx: Context, (): ()| {
        let heard = ear.clone();
        async move {
            let step = ctx.step("talk").run(async |attempt| {
                // When the other side begins to listen, nobody here can know.
                while heard.notified().now_or_never().is_none() {
                    attempt.publisher.text("token", "hello");
                    tokio::task::yield_now().await;
                }
                Ok(())
            });
            step.await
        }
    };
    let shutdown = CancellationToken::new();
    let working = Worker::new(there.client.clone()).handle("talker", talk).run(shutdown.clone());
    let working = tokio::spawn(async { working.await.unwrap() });
    // Twice: a connection that was made again follows what the first did.
    for _ in 0..2 {
        let run = here.create("talker", "null").await;
        let request =
            v1::WatchRunRequest { tenant: "default".into(), run, after_seq: 0, stream: true };
        let mut events = here.client.runs().watch_run(request).await.unwrap().into_inner();
        let mut told = 0;
        while let Some(event) = timeout(PROMPTLY, events.message()).await.unwrap().unwrap() {
            if let Some(v1::watch_run_response::Event::Published(event)) = event.event {
                assert_eq!((event.key.as_str(), &event.data[..]), ("talk", &b"hello"[..]));
                told += 1;
                if told == 1 {
                    server.kill().await;
                    connected(&[&one, &two], false).await;
                    server.start().await;
                    connected(&[&one, &two], true).await;
                }
                // The queues hold no more than this from before.
                if told == 10_000 {
                    heard.notify_one();
                }
            }
        }
        assert!(told >= 10_000, "{told}");
    }
    shutdown.cancel();
    working.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_the_channel_is_ignored() {
    let (url, prefix) = shared();
    let (one, two) = (redis(&url, &prefix), redis(&url, &prefix));
    let pair = Pair::start(only_hints(), one.clone(), two.clone()).await;
    connected(&[&one, &two], true).await;
    let channel = format!("{prefix}:hints");
    let long = vec![b' '; 1 << 20];
    let nonsense: [&[u8]; 5] = [b"hello", b"p x y", b"\xff\xfe\x00", b"r 1 2", &long];
    for text in nonsense {
        command(&url, &[b"PUBLISH", channel.as_bytes(), text]).await;
    }
    pair.complete(5).await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_keeps_installations_apart() {
    let ((url, ours), (_, theirs)) = (shared(), shared());
    let (here, there) = (redis(&url, &ours), redis(&url, &theirs));
    let mut all = (heard(here.clone()), heard(there.clone()));
    connected(&[&here, &there], true).await;
    here.announce(&[hint(1)]).await.unwrap();
    there.announce(&[hint(2)]).await.unwrap();
    assert_eq!(all.0.recv().await, Some(Heard::Hint(hint(1))));
    assert_eq!(all.1.recv().await, Some(Heard::Hint(hint(2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_is_missed_by_nobody_and_found_again() {
    let mut server = Server::stopped();
    let (one, two) = (redis(&server.url, "tenure"), redis(&server.url, "tenure"));
    // It is away at the start, too.
    let pair = Pair::start(quick(), one.clone(), two.clone()).await;
    pair.complete(5).await;
    server.start().await;
    connected(&[&one, &two], true).await;
    pair.complete(5).await;

    server.kill().await;
    connected(&[&one, &two], false).await;
    assert_eq!(one.announce(&[hint(1)]).await, Err(Lost));
    pair.complete(20).await;

    server.start().await;
    let third = redis(&server.url, "tenure");
    let mut heard = heard(third.clone());
    connected(&[&one, &two, &third], true).await;
    pair.complete(1).await;
    // Only the two replicas announce here.
    let first = timeout(PROMPTLY, heard.recv()).await.unwrap();
    assert!(matches!(first, Some(Heard::Hint(_))), "{first:?}");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_holds_nobody_up() {
    let mut server = Server::stopped();
    server.start().await;
    let (one, two) = (redis(&server.url, "tenure"), redis(&server.url, "tenure"));
    let pair = Pair::start(quick(), one.clone(), two.clone()).await;
    connected(&[&one, &two], true).await;
    command(&server.url, &[b"CLIENT", b"PAUSE", b"3000", b"ALL"]).await;
    // Who has nothing to say does not notice.
    let hint = [hint(1)];
    let said = async { tokio::join!(one.announce(&hint), two.announce(&hint)) };
    let ((), said) = tokio::join!(pair.complete(20), said);
    assert_eq!(said, (Err(Lost), Err(Lost)));
    connected(&[&one, &two], false).await;
    connected(&[&one, &two], true).await;
    pair.stop().await;
}

/// Loses every hint.
struct Void;

#[async_trait]
impl Carrier for Void {
    async fn announce(&self, _: &[Hint]) -> Result<(), Lost> {
        Err(Lost)
    }

    async fn listen(&self, _: Ear) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_complete_without_any_hint() {
    let pair = Pair::start(quick(), Arc::new(Void), Arc::new(Void)).await;
    pair.complete(20).await;
    pair.stop().await;
}

/// A carrier that says when it listens.
struct Attentive<C>(C, Arc<Notify>);

#[async_trait]
impl<C: Carrier> Carrier for Attentive<C> {
    async fn announce(&self, hints: &[Hint]) -> Result<(), Lost> {
        self.0.announce(hints).await
    }

    async fn listen(&self, ear: Ear) {
        tokio::join!(self.0.listen(ear), async { self.1.notify_one() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_carries_what_redis_does_not() {
    database(async |url| {
        let away = Server::stopped();
        let replica = async || {
            let store = tenure_store::open(&url).await.unwrap();
            let redis = Redis::new(&away.url, "tenure", Arc::new(SystemEntropy)).unwrap();
            let both = Fallback::new(redis, Database::new(store.clone()));
            let listens = Arc::new(Notify::new());
            let carrier: Arc<dyn Carrier> = Arc::new(Attentive(both, listens.clone()));
            ((store, carrier), listens)
        };
        let ((one, one_listens), (two, two_listens)) = (replica().await, replica().await);
        let pair = Pair::over(only_hints(), one, two).await;
        one_listens.notified().await;
        two_listens.notified().await;
        pair.complete(20).await;
        pair.stop().await;
    })
    .await;
}
