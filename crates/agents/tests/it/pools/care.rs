//! What models backends have, and that they get those that they should.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tenure_agents::model::Nobody;
use tenure_agents::model::pools::State;
use tenure_spec::Model as Spec;

use super::{always, models, question, report, said};
use crate::double::{Answer, Double, json as answer};

/// An Ollama server with these models, which can be told to fail.
struct Ollama {
    server: Double,
    has: Arc<Mutex<BTreeSet<String>>>,
    fails: Arc<AtomicBool>,
    /// What is pulled waits for this.
    open: Arc<AtomicBool>,
}

impl Ollama {
    async fn with(names: &[&str]) -> Self {
        let has = names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let has = Arc::new(Mutex::new(has));
        let (fails, open) = (Arc::<AtomicBool>::default(), Arc::new(AtomicBool::new(true)));
        let state = (has.clone(), fails.clone(), open.clone());
        let server = Double::with(move |asked| {
            let (has, fails, open) = &state;
            let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
            let name = || body["model"].as_str().unwrap().to_owned();
            match asked.line.as_str() {
                "GET /api/tags" => Some(tags(&has.lock().unwrap())),
                "POST /api/pull" => {
                    while !open.load(Ordering::Acquire) {
                        std::thread::yield_now();
                    }
                    let fails = fails.load(Ordering::Acquire);
                    if !fails {
                        has.lock().unwrap().insert(name());
                    }
                    Some(pulled(fails))
                }
                "DELETE /api/delete" => {
                    has.lock().unwrap().remove(&name());
                    Some(answer(200, &json!({})))
                }
                "POST /api/chat" if has.lock().unwrap().contains(&name()) => Some(chat()),
                _ => Some(answer(404, &json!({"error": "model not found"}))),
            }
        });
        Self { server: server.await, has, fails, open }
    }

    fn file(&self, pool: &str) -> String {
        format!(
            "[[backend]]\nname = 'gpu'\nprovider = 'ollama'\nbase_url = '{}'\n\
             [[pool]]\nname = 'p'\nbackends = ['gpu']\n{pool}",
            self.server.url
        )
    }

    fn has(&self) -> Vec<String> {
        self.has.lock().unwrap().iter().cloned().collect()
    }

    fn asked(&self, line: &str) -> usize {
        self.server.asked().iter().filter(|asked| asked.line == line).count()
    }
}

fn tags(names: &BTreeSet<String>) -> Answer {
    let models: Vec<_> = names.iter().map(|name| json!({"name": name, "model": name})).collect();
    answer(200, &json!({"models": models}))
}

fn pulled(fails: bool) -> Answer {
    let layer = |done: u64| json!({"status": "pulling", "digest": "sha256:1", "total": 100, "completed": done});
    let last = if fails { json!({"error": "disk full"}) } else { json!({"status": "success"}) };
    let lines = [json!({"status": "pulling manifest"}), layer(10), layer(100), last];
    let body = lines.map(|line| format!("{line}\n")).concat();
    (200, vec![("content-type", "application/x-ndjson".into())], body)
}

fn chat() -> Answer {
    let said = json!({"role": "assistant", "content": "Hi."});
    answer(
        200,
        &json!({"model": "m", "message": said, "done": true, "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1}),
    )
}

#[tokio::test]
async fn declared_models_are_pulled_and_others_are_left_alone() {
    let ollama = Ollama::with(&["old:7b", "b:latest"]).await;
    let (models, _) = models(&ollama.file("models = ['a:1b', 'b']"));
    models.pools().keep_once().await;
    assert_eq!(ollama.has(), ["a:1b", "b:latest", "old:7b"]);
    assert_eq!(ollama.asked("POST /api/pull"), 1, "`b` is there as `b:latest`");
    models.pools().keep_once().await;
    assert_eq!((ollama.asked("POST /api/pull"), ollama.asked("DELETE /api/delete")), (1, 0));
    // Somebody removes it; it comes back.
    ollama.has.lock().unwrap().remove("a:1b");
    models.pools().keep_once().await;
    assert_eq!(ollama.asked("POST /api/pull"), 2);
    let reply = models.open(&Spec::in_pool("p", "")).unwrap().reply(&question(), &Nobody).await;
    assert_eq!(reply.unwrap().usage.model, "a:1b", "the first of the pool");
}

#[tokio::test]
async fn what_nobody_declares_is_removed_if_the_pool_wants_it() {
    let ollama = Ollama::with(&["old:7b", "b:latest"]).await;
    let (models, _) = models(&ollama.file("models = ['b']\nremove_undeclared = true"));
    models.pools().keep_once().await;
    assert_eq!(ollama.has(), ["b:latest"]);
}

#[tokio::test]
async fn a_pull_that_fails_is_told_and_tried_again() {
    let ollama = Ollama::with(&[]).await;
    ollama.fails.store(true, Ordering::Release);
    let (models, _) = models(&ollama.file("models = ['a:1b']"));
    models.pools().keep_once().await;
    assert_eq!(report(&models, "gpu").missing, ["a:1b"]);
    let model = models.open(&Spec::in_pool("p", "a:1b")).unwrap();
    let failure = model.reply(&question(), &Nobody).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_pool_unfit", true));
    assert!(failure.message.contains("could not pull its model: disk full"), "{failure:?}");
    ollama.fails.store(false, Ordering::Release);
    models.pools().keep_once().await;
    assert_eq!(model.reply(&question(), &Nobody).await.unwrap().text, "Hi.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_call_waits_for_a_model_that_is_being_pulled() {
    let ollama = Ollama::with(&[]).await;
    ollama.open.store(false, Ordering::Release);
    let (models, _) = models(&ollama.file("models = ['a:1b']"));
    let keeper = tokio::spawn({
        let pools = models.pools().clone();
        async move { pools.keep_once().await }
    });
    while report(&models, "gpu").pulling.is_empty() {
        tokio::task::yield_now().await;
    }
    let model = models.open(&Spec::in_pool("p", "a:1b")).unwrap();
    let call = tokio::spawn(async move { model.reply(&question(), &Nobody).await });
    while report(&models, "gpu").in_flight == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ollama.asked("POST /api/chat"), 0);
    ollama.open.store(true, Ordering::Release);
    assert_eq!(call.await.unwrap().unwrap().text, "Hi.");
    keeper.await.unwrap();
}

#[tokio::test]
async fn a_model_that_is_being_pulled_is_asked_of_who_has_it() {
    let (empty, full) = (Ollama::with(&[]).await, Ollama::with(&["a:1b"]).await);
    empty.fails.store(true, Ordering::Release);
    let second = format!(
        "[[backend]]\nname = 'b'\nprovider = 'ollama'\nbase_url = '{}'\n{}",
        full.server.url,
        empty.file("models = ['a:1b']").replace("['gpu']", "['gpu', 'b']")
    );
    let (models, _) = models(&second);
    models.pools().check().await;
    let model = models.open(&Spec::in_pool("p", "a:1b")).unwrap();
    assert_eq!(model.reply(&question(), &Nobody).await.unwrap().backend.unwrap(), "b");
    assert_eq!(empty.asked("POST /api/chat"), 0);
}

#[tokio::test]
async fn a_backend_that_declares_nothing_is_asked_what_it_has() {
    let list = json!({"object": "list", "data": [{"id": "m", "max_model_len": 1100}, {"id": "n"}]});
    let server = Double::with(move |asked| {
        Some(if asked.line.starts_with("GET") { answer(200, &list) } else { said("A") })
    });
    let server = server.await;
    let file = format!(
        "[[backend]]\nname = 'a'\nprovider = 'openai'\nbase_url = '{}/v1'\nkey = 'env://K'\n\
         [[pool]]\nname = 'p'\nbackends = ['a']",
        server.url
    );
    let (models, _) = models(&file);
    models.pools().keep_once().await;
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /v1/models");
    assert_eq!(asked.headers["authorization"], format!("Bearer {}", crate::remote::KEY));
    let report = report(&models, "a");
    assert_eq!((report.models, report.state), (vec!["m".into(), "n".into()], State::Up));
    for (name, problem) in [("n", None), ("o", Some("does not have `o`"))] {
        let model = models.open(&Spec::in_pool("p", name)).unwrap();
        let failure = model.reply(&question(), &Nobody).await.err();
        assert_eq!(failure.is_some(), problem.is_some());
        assert!(failure.is_none_or(|failure| failure.message.contains(problem.unwrap())));
    }
    // Its context came with the list.
    let long = tenure_agents::model::Message::user("x".repeat(400));
    let long = tenure_agents::model::Request { messages: vec![long], ..Default::default() };
    let failure = models.open(&Spec::in_pool("p", "m")).unwrap().reply(&long, &Nobody).await;
    assert!(failure.unwrap_err().message.contains("takes 1100 tokens"));
}

#[tokio::test]
async fn a_check_says_who_is_down() {
    let (good, bad) =
        (always(answer(200, &json!({"data": []}))).await, always(answer(401, &json!({}))).await);
    let nobody = "http://127.0.0.1:1";
    let no_list = always(answer(404, &json!({}))).await;
    let urls = [&*good.url, &*bad.url, nobody, &*no_list.url];
    let file: String = ["a", "b", "c", "d"]
        .iter()
        .zip(urls)
        .map(|(name, url)| super::backend(name, url, ""))
        .collect();
    let (models, _) = models(&file);
    let reports = models.pools().check().await;
    let states: Vec<_> =
        reports.iter().map(|report| (report.state, report.problem.as_deref())).collect();
    assert_eq!((states[0], states[3].0), ((State::Up, None), State::Up));
    assert_eq!(reports[0].missing, ["m"]);
    assert_eq!((states[1].0, states[2].0), (State::Down, State::Down));
    assert!(
        states[1].1.unwrap().starts_with("model_http_401")
            && states[2].1.unwrap().starts_with("model_connection")
    );
}
