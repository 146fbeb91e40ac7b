//! Limits of providers: in one worker, and shared by several.

use std::time::Duration;

use serde_json::json;
use tenure_agents::ModelConfig;
use tenure_agents::model::pools::SharedLimits;
use tenure_agents::model::{BackendConfig, Models, Nobody};
use tenure_spec::Model as Spec;
use tenure_testkit::redis;

use super::{Clock, always, answered, ask, backend, config, models, question, report, said};
use crate::double::{Double, json as answer};

/// One backend with these limits, in a pool `p`.
fn limited(url: &str, limits: &str) -> String {
    backend("a", url, limits) + "[[pool]]\nname = 'p'\nbackends = ['a']\n"
}

/// A worker with this file that shares its limits with others.
fn worker(file: &str, shared: &SharedLimits) -> (Models, Clock) {
    let (config, clock) = config(file);
    let backends = BackendConfig { limits: Some(shared.clone()), ..config.backends };
    (Models::new(ModelConfig { backends, ..config }).unwrap(), clock)
}

#[tokio::test]
async fn a_call_that_does_not_fit_goes_to_the_next_one() {
    let (first, second) = (always(said("A")).await, always(said("B")).await);
    let file = backend("a", &first.url, "requests_per_minute = 2")
        + &backend("b", &second.url, "requests_per_minute = 1\ntimeout = '50ms'")
        + "[[pool]]\nname = 'p'\nbackends = ['a', 'b']\n";
    let (models, clock) = models(&file.replace("= 2", "= 2\ntimeout = '50ms'"));
    assert_eq!(answered(&models, 3).await, "aab");
    let failure = ask(&models).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_rate_limited", true));
    let after = failure.retry_after.unwrap();
    assert!(after <= Duration::from_secs(30) && after > Duration::from_secs(25), "{after:?}");
    assert_eq!((first.asked().len(), second.asked().len()), (2, 1));
    clock.pass(Duration::from_secs(30));
    assert_eq!(answered(&models, 1).await, "a");
}

#[tokio::test]
async fn a_call_waits_for_its_turn() {
    let server = always(said("A")).await;
    let (models, clock) = models(&limited(&server.url, "requests_per_minute = 1"));
    assert_eq!(answered(&models, 1).await, "a");
    let waiting = tokio::spawn(async move { ask(&models).await });
    tokio::task::yield_now().await;
    assert_eq!(server.asked().len(), 1);
    clock.pass(Duration::from_mins(1));
    assert_eq!(waiting.await.unwrap().unwrap().text, "A");
}

#[tokio::test]
async fn what_was_reserved_and_not_used_is_given_back() {
    let server = always(said("A")).await;
    let (models, _) = models(&limited(&server.url, "tokens_per_minute = 5000\ntimeout = '50ms'"));
    let wish = Spec { max_tokens: Some(4_900), ..Spec::in_pool("p", "m") };
    let model = models.open(&wish).unwrap();
    // The double says that each of them had 18 tokens.
    for _ in 0..3 {
        model.reply(&question(), &Nobody).await.unwrap();
    }
}

#[tokio::test]
async fn tokens_count_as_the_provider_counts_them() {
    let usage = json!({"prompt_tokens": 5_000, "completion_tokens": 1_000, "total_tokens": 6_000});
    let message = json!({"role": "assistant", "content": "A"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let reply =
        json!({"object": "chat.completion", "model": "m", "choices": [choice], "usage": usage});
    let server = always(answer(200, &reply)).await;
    let (models, clock) =
        models(&limited(&server.url, "tokens_per_minute = 6000\ntimeout = '50ms'"));
    assert_eq!(answered(&models, 1).await, "a");
    let failure = ask(&models).await.unwrap_err();
    assert_eq!(failure.code, "model_rate_limited");
    assert!(failure.retry_after.unwrap() > Duration::from_secs(9), "{failure:?}");
    clock.pass(Duration::from_secs(11));
    assert_eq!(answered(&models, 1).await, "a");
}

#[tokio::test]
async fn a_call_that_failed_gives_its_tokens_back() {
    let server = Double::start(vec![answer(500, &json!({})), said("A")]).await;
    let (models, _) = models(&limited(&server.url, "tokens_per_minute = 1500\ntimeout = '50ms'"));
    assert_eq!(ask(&models).await.unwrap_err().code, "model_http_500");
    assert_eq!(answered(&models, 1).await, "a");
}

#[tokio::test]
async fn two_workers_share_what_a_provider_lets_them_have() {
    let server = always(said("A")).await;
    let file = limited(
        &server.url,
        "requests_per_minute = 3\ntokens_per_minute = 1000000\ntimeout = '50ms'",
    );
    let (url, prefix) = redis::shared();
    let shared = || SharedLimits::new(&url, &prefix).unwrap();
    let (one, _) = worker(&file, &shared());
    let (two, clock) = worker(&file, &shared());
    assert_eq!((answered(&one, 2).await, answered(&two, 1).await), ("aa".into(), "a".into()));
    for models in [&one, &two] {
        assert_eq!(ask(models).await.unwrap_err().code, "model_rate_limited");
    }
    assert_eq!(server.asked().len(), 3);
    // The clock of a worker decides nothing.
    clock.pass(Duration::from_hours(1));
    assert_eq!(ask(&two).await.unwrap_err().code, "model_rate_limited");
    // Another prefix is another installation.
    let (other, _) = worker(&file, &SharedLimits::new(&url, &format!("{prefix}-x")).unwrap());
    assert_eq!(answered(&other, 1).await, "a");
}

#[tokio::test]
async fn what_is_settled_in_redis_counts_for_all() {
    let server = always(said("A")).await;
    let file = limited(&server.url, "tokens_per_minute = 1500\ntimeout = '50ms'");
    let (url, prefix) = redis::shared();
    let shared = || SharedLimits::new(&url, &prefix).unwrap();
    let ((one, _), (two, _)) = (worker(&file, &shared()), worker(&file, &shared()));
    // Some 1026 tokens are reserved each time, and 18 had.
    for models in [&one, &two, &one, &two] {
        assert_eq!(answered(models, 1).await, "a");
    }
}

#[tokio::test]
async fn a_pause_that_a_provider_asks_for_holds_for_all_workers() {
    let busy = (429, vec![("retry-after", "20".into())], "{}".into());
    let server = Double::start(vec![busy]).await;
    let file = limited(&server.url, "timeout = '50ms'");
    let (url, prefix) = redis::shared();
    let shared = || SharedLimits::new(&url, &prefix).unwrap();
    let ((one, _), (two, _)) = (worker(&file, &shared()), worker(&file, &shared()));
    assert_eq!(ask(&one).await.unwrap_err().code, "model_http_429");
    let failure = ask(&two).await.unwrap_err();
    assert_eq!((&*failure.code, server.asked().len()), ("model_rate_limited", 1));
    let after = failure.retry_after.unwrap();
    assert!(after > Duration::from_secs(15) && after <= Duration::from_secs(20), "{after:?}");
}

#[tokio::test]
async fn a_worker_counts_by_itself_while_redis_is_away() {
    let server = always(said("A")).await;
    let file = limited(&server.url, "requests_per_minute = 3\ntimeout = '50ms'");
    let mut redis = redis::Server::stopped();
    redis.start().await;
    let shared = || SharedLimits::new(&redis.url, "t").unwrap();
    let ((one, _), (two, clock)) = (worker(&file, &shared()), worker(&file, &shared()));
    assert_eq!((answered(&one, 1).await, answered(&two, 1).await), ("a".into(), "a".into()));
    redis.kill().await;
    // Each has had one of its three.
    assert_eq!((answered(&one, 2).await, answered(&two, 2).await), ("aa".into(), "aa".into()));
    for models in [&one, &two] {
        assert_eq!(ask(models).await.unwrap_err().code, "model_rate_limited");
    }
    clock.pass(Duration::from_secs(20));
    assert_eq!(answered(&two, 1).await, "a");
}

#[tokio::test]
async fn limits_hold_back_nobody_who_has_none() {
    let server = always(said("A")).await;
    let (models, _) = models(&limited(&server.url, ""));
    assert_eq!(answered(&models, 20).await, "a".repeat(20));
    let reply = models.open(&Spec::in_pool("p", "m")).unwrap().reply(&question(), &Nobody).await;
    assert!(reply.is_ok() && report(&models, "a").in_flight == 0);
}

#[test]
fn a_wrong_address_of_redis_is_told_without_its_password() {
    for wrong in ["", "http://:sesame@localhost", "rediss://:sesame@localhost#insecure"] {
        let why = SharedLimits::new(wrong, "t").unwrap_err();
        assert!(!why.contains("sesame"), "{why}");
    }
}
