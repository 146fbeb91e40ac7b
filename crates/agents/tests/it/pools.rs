//! Pools of backends against servers that speak the wire formats.

mod care;
mod limits;
mod runs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tenure_agents::backends::Backends;
use tenure_agents::model::pools::{Clock, Report, State};
use tenure_agents::model::{BackendConfig, Message, Models, Nobody, Reply, Request};
use tenure_agents::{ModelConfig, Secret};
use tenure_sdk::Failure;
use tenure_spec::Model as Spec;
use tokio::sync::Notify;

use crate::double::{Answer, Double, cut, events, json as answer};
use crate::remote::{KEY, completion};
use crate::streaming::Heard;

/// The models of a file of backends, and the clock that they go by.
pub(crate) fn models(file: &str) -> (Models, Clock) {
    let (config, clock) = config(file);
    (Models::new(config).unwrap(), clock)
}

/// What a worker is told with this file; every backend with a key has the same.
pub(crate) fn config(file: &str) -> (ModelConfig, Clock) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (all, clock) = (Backends::read(file).unwrap(), Clock::default());
    let with_key = all.backends.iter().filter(|backend| backend.key.is_some());
    let keys = with_key.map(|one| (one.name.clone(), Secret::new(KEY))).collect();
    let backends = BackendConfig { all, keys, limits: None, clock: clock.clone() };
    (ModelConfig { backends, ..ModelConfig::default() }, clock)
}

/// A backend that speaks OpenAI's format.
fn backend(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[backend]]\nname = '{name}'\nprovider = 'openai'\nbase_url = '{url}'\nmodels = ['m']\n{more}\n"
    )
}

/// Backends `a`, `b` … at these servers, in a pool `p` of this policy.
fn pool(policy: &str, servers: &[&Double]) -> String {
    let names = ["a", "b", "c"];
    let named = names.iter().zip(servers);
    let backends = named.map(|(name, server)| backend(name, &server.url, ""));
    let backends = backends.collect::<String>();
    format!(
        "{backends}[[pool]]\nname = 'p'\npolicy = '{policy}'\nbackends = {:?}\n",
        &names[..servers.len()]
    )
}

pub(crate) fn said(text: &str) -> Answer {
    completion(&json!({"role": "assistant", "content": text}), "stop")
}

/// One that always answers so.
pub(crate) async fn always(answered: Answer) -> Double {
    Double::with(move |_| Some(answered.clone())).await
}

pub(crate) fn question() -> Request {
    Request { messages: vec![Message::user("Well?")], ..Request::default() }
}

async fn ask(models: &Models) -> Result<Reply, Failure> {
    models.open(&Spec::in_pool("p", "m")).unwrap().reply(&question(), &Nobody).await
}

/// Who answers these many calls.
async fn answered(models: &Models, calls: usize) -> String {
    let mut names = String::new();
    for _ in 0..calls {
        names.push_str(&ask(models).await.unwrap().backend.unwrap());
    }
    names
}

fn report(models: &Models, name: &str) -> Report {
    models.pools().reports().into_iter().find(|report| report.backend == name).unwrap()
}

#[tokio::test]
async fn each_policy_asks_whom_it_says() {
    let servers = [always(said("A")).await, always(said("B")).await, always(said("C")).await];
    let servers: Vec<_> = servers.iter().collect();
    for (policy, wanted) in
        [("fixed", "aaaa"), ("fallback", "aaaa"), ("round_robin", "abca"), ("least_busy", "abca")]
    {
        let (models, _) = models(&pool(policy, &servers));
        assert_eq!(answered(&models, 4).await, wanted, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_busy_one_is_passed_over() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (begins, opened) = (begun.clone(), open.clone());
    // The first call is held until all others are through.
    let slow = Double::with(move |_| {
        begins.notify_one();
        while !opened.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Some(said("A"))
    });
    let (slow, quick) = (slow.await, always(said("B")).await);
    let (models, _) = models(&pool("least_busy", &[&slow, &quick]));
    let first = tokio::spawn({
        let models = models.clone();
        async move { ask(&models).await }
    });
    begun.notified().await;
    assert_eq!(report(&models, "a").in_flight, 1);
    assert_eq!(answered(&models, 3).await, "bbb");
    open.store(true, Ordering::Release);
    assert_eq!(first.await.unwrap().unwrap().backend.unwrap(), "a");
    assert_eq!(report(&models, "a").in_flight, 0);
}

#[tokio::test]
async fn the_quickest_is_asked_once_all_are_known() {
    let quick = always(said("B")).await;
    let slow = Arc::new(std::sync::OnceLock::<Clock>::new());
    let clock = slow.clone();
    let slow_one = Double::with(move |_| {
        clock.get().unwrap().pass(Duration::from_secs(9));
        Some(said("A"))
    });
    let slow_one = slow_one.await;
    let (models, clock) = models(&pool("lowest_latency", &[&slow_one, &quick]));
    slow.set(clock).unwrap();
    assert_eq!(answered(&models, 4).await, "abbb");
    assert!(report(&models, "a").latency_ms.unwrap() >= 9_000);
}

#[tokio::test]
async fn what_is_the_backends_own_fault_goes_to_the_next_one() {
    let error = |status| answer(status, &json!({"error": {"message": format!("no, {KEY}")}}));
    let html = (200, vec![("content-type", "text/html".into())], "<html>".into());
    for (bad, state) in [
        (error(500), State::Degraded),
        (error(503), State::Degraded),
        (error(429), State::Down),
        (error(401), State::Down),
        (error(403), State::Down),
        (error(404), State::Up),
        (html, State::Up),
        (said(" "), State::Up),
    ] {
        let (first, second) = (always(bad.clone()).await, always(said("B")).await);
        let (models, _) = models(&pool("fallback", &[&first, &second]));
        let reply = ask(&models).await.unwrap();
        assert_eq!((reply.backend.as_deref(), &*reply.text), (Some("b"), "B"), "{bad:?}");
        assert_eq!(report(&models, "a").state, state, "{bad:?}");
        assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_backend_that_is_silent_or_gone_is_passed_over() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let good = always(said("B")).await;
    for (url, code) in [(url.as_str(), "model_timeout"), ("http://127.0.0.1:1", "model_connection")]
    {
        let file = backend("a", url, "timeout = '50ms'")
            + &backend("b", &good.url, "")
            + "[[pool]]\nname = 'p'\nbackends = ['a', 'b']";
        let (models, _) = models(&file);
        assert_eq!(ask(&models).await.unwrap().backend.unwrap(), "b");
        assert_eq!(report(&models, "a").last_error.unwrap(), code);
    }
}

#[tokio::test]
async fn what_the_request_is_to_blame_for_goes_nowhere_else() {
    let bad = always(answer(400, &json!({"error": {"message": "no such field"}}))).await;
    let good = always(said("B")).await;
    let (models, _) = models(&pool("fallback", &[&bad, &good]));
    let failure = ask(&models).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_http_400", false));
    assert!(failure.message.starts_with("`a`: "), "{}", failure.message);
    assert_eq!((good.asked().len(), report(&models, "a").state), (0, State::Up));
}

#[tokio::test]
async fn fixed_goes_nowhere_else_either() {
    let (bad, good) = (always(answer(500, &json!({}))).await, always(said("B")).await);
    let (models, _) = models(&pool("fixed", &[&bad, &good]));
    assert_eq!(ask(&models).await.unwrap_err().code, "model_http_500");
    assert!(good.asked().is_empty());
}

#[tokio::test]
async fn when_nobody_answers_every_reason_is_told() {
    let busy = (429, vec![("retry-after", "20".into())], "{}".into());
    let (busy, wrong) = (always(busy).await, always(answer(401, &json!({}))).await);
    let (models, clock) = models(&pool("fallback", &[&busy, &wrong]));
    let failure = ask(&models).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_http_429", true));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(20)));
    assert!(failure.message.contains("`a`: ") && failure.message.contains("`b`: "), "{failure:?}");

    clock.pass(Duration::from_secs(5));
    let failure = ask(&models).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_pool_down", true));
    assert!(failure.retry_after.unwrap() <= Duration::from_secs(15), "{failure:?}");
    assert_eq!((busy.asked().len(), wrong.asked().len()), (1, 1), "both are left alone");
}

#[tokio::test]
async fn a_stream_that_breaks_is_not_begun_anew_in_the_same_attempt() {
    let piece = json!({"choices": [{"index": 0, "delta": {"content": "Half"}}]});
    let bad = always(cut(events(&[piece]))).await;
    let good = always(said("Whole.")).await;
    let (models, _) = models(&pool("fallback", &[&bad, &good]));
    let model = models.open(&Spec::in_pool("p", "m")).unwrap();
    let heard = Heard::default();
    let failure = model.reply(&question(), &heard).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_stream_broken", true));
    assert_eq!((&*heard.all(), good.asked().len()), ("Half", 0));
    // The next attempt tells watchers to begin anew, and asks another one first.
    let heard = Heard::default();
    let reply = model.reply(&question(), &heard).await.unwrap();
    assert_eq!((reply.backend.as_deref(), &*heard.all()), (Some("b"), "Whole."));
}

#[tokio::test]
async fn a_stream_that_breaks_before_anybody_heard_it_is_asked_of_the_next_one() {
    let (bad, good) = (always(cut(events(&[]))).await, always(said("Whole.")).await);
    let (models, _) = models(&pool("fallback", &[&bad, &good]));
    let heard = Heard::default();
    let model = models.open(&Spec::in_pool("p", "m")).unwrap();
    let reply = model.reply(&question(), &heard).await.unwrap();
    assert_eq!((reply.backend.as_deref(), &*heard.all()), (Some("b"), "Whole."));
}

#[tokio::test]
async fn a_backend_that_keeps_failing_is_left_alone_and_tried_again() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let ill = Double::with(move |_| {
        Some(if is_well.load(Ordering::Acquire) { said("A") } else { answer(500, &json!({})) })
    });
    let (ill, good) = (ill.await, always(said("B")).await);
    let file = pool("fallback", &[&ill, &good]) + "failures = 2\npause = '30s'";
    let (models, clock) = models(&file);
    let later = Duration::from_secs(11);
    assert_eq!(answered(&models, 1).await, "b");
    clock.pass(later);
    assert_eq!(answered(&models, 1).await, "b");
    assert_eq!((report(&models, "a").state, ill.asked().len()), (State::Down, 2));
    clock.pass(later);
    assert_eq!(answered(&models, 3).await, "bbb");
    assert_eq!(ill.asked().len(), 2, "it is left alone");

    clock.pass(Duration::from_secs(20));
    assert_eq!((report(&models, "a").state, &*answered(&models, 1).await), (State::Degraded, "b"));
    assert_eq!((report(&models, "a").state, ill.asked().len()), (State::Down, 3), "tried once");
    well.store(true, Ordering::Release);
    clock.pass(Duration::from_secs(61));
    assert_eq!(answered(&models, 2).await, "aa");
    assert_eq!(report(&models, "a").state, State::Up);
}

#[tokio::test]
async fn a_backend_has_its_own_key_and_sends_it_to_its_own_address() {
    let server = always(said("A")).await;
    let file =
        backend("a", &server.url, "key = 'env://K'") + "[[pool]]\nname = 'p'\nbackends = ['a']";
    let (models, _) = models(&file);
    ask(&models).await.unwrap();
    assert_eq!(server.asked()[0].headers["authorization"], format!("Bearer {KEY}"));
    assert!(!format!("{:?}", models.pools().reports()).contains(KEY));
}

#[tokio::test]
async fn a_request_goes_where_it_fits() {
    let server = always(said("A")).await;
    let small = "models = [{name = 'm', context = 2000, tools = false}]";
    let small = backend("a", &server.url, "").replace("models = ['m']", small);
    let large = backend("b", &server.url, "");
    let file = format!(
        "{small}{large}[[pool]]\nname = 'p'\nbackends = ['a', 'b']\n[[pool]]\nname = 's'\nbackends = ['a']"
    );
    let (models, _) = models(&file);
    let long = Request { messages: vec![Message::user("x".repeat(8_000))], ..Request::default() };
    let tools = Request { tools: crate::remote::request().tools, ..question() };
    for (request, who) in [(question(), "a"), (long.clone(), "b"), (tools, "b")] {
        let model = models.open(&Spec::in_pool("p", "m")).unwrap();
        assert_eq!(model.reply(&request, &Nobody).await.unwrap().backend.unwrap(), who);
    }
    let failure = models.open(&Spec::in_pool("s", "")).unwrap().reply(&long, &Nobody).await;
    let failure = failure.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_pool_unfit", false));
    assert!(
        failure.message.contains("`a` takes 2000 tokens, and the request has about 3024"),
        "{failure:?}"
    );
    let failure = models.open(&Spec::in_pool("s", "x")).unwrap().reply(&long, &Nobody).await;
    assert!(failure.unwrap_err().message.contains("`a` does not have `x`"));
}

#[tokio::test]
async fn a_pool_that_is_not_there_is_named() {
    let server = always(said("A")).await;
    let (models, _) = models(&pool("fixed", &[&server]));
    let failure = models.open(&Spec::in_pool("q", "m")).err().unwrap();
    assert_eq!(failure.code, "model_pool_missing");
    assert!(failure.message.ends_with("it has: p"), "{}", failure.message);
}
