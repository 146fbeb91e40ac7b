//! Runs whose models are those of a pool.

use std::sync::Arc;

use serde_json::json;
use tenure_agents::model::Nobody;
use tenure_agents::model::{Asked, Router as _, Wanted};
use tenure_spec::graph::Candidates;
use tenure_spec::{Model as Spec, Provider};

use super::{always, backend, config, models, pool, question, said};
use crate::double::{Double, json as answer};
use crate::remote::completion;
use crate::rig::{Rig, output};
use crate::takeover::Counter;

#[tokio::test]
async fn who_answered_is_in_the_journal_and_a_replay_asks_nobody() {
    let function = json!({"name": "list_files", "arguments": "{}"});
    let calls = json!([{"id": "c1", "type": "function", "function": function}]);
    let calls = json!({"role": "assistant", "content": null, "tool_calls": calls});
    let bad = always(answer(500, &json!({}))).await;
    let good = Double::start(vec![completion(&calls, "tool_calls"), said("done")]).await;
    let (config, _) = config(&pool("fallback", &[&bad, &good]));
    let rig = Rig::with(&[("a.md", "# A")]).await;
    rig.publish("{name: sample, model: {pool: p, name: m}, tools: [list_files]}").await;

    // Dies when the first reply is recorded.
    let first = Counter::holding(1);
    let process = rig.process(config.clone(), first.clone());
    let run = rig.app.create("sample", "null").await;
    first.held.notified().await;
    let dead = rig.app.run(&run).await.worker;
    process.kill();
    let _successor = rig.process(config, Arc::new(Counter::default()));
    let run = rig.ended_after(&dead, &run).await;

    assert_eq!(output(&run), "done");
    let replies = rig.results(&run, "/model").await;
    let who: Vec<_> = replies.iter().map(|reply| reply["backend"].as_str().unwrap()).collect();
    assert_eq!(who, ["b", "b"]);
    assert_eq!(good.asked().len(), 2, "the recorded reply is not asked for again");
    assert_eq!(bad.asked().len(), 2, "each worker finds out for itself");
}

#[tokio::test]
async fn nodes_of_a_graph_find_the_pool_that_has_their_model() {
    let chat = always(said("A")).await;
    let vector = json!({
        "object": "list", "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    });
    let vectors = always(answer(200, &vector)).await;
    let file = format!(
        "{}{}[[pool]]\nname = 'p'\nbackends = ['a']\n[[pool]]\nname = 'v'\npurpose = 'embed'\nbackends = ['b']",
        backend("a", &chat.url, ""),
        backend("b", &vectors.url, "")
    );
    let (models, _) = models(&file);
    for (names, providers, default, found) in [
        (vec!["m"], vec![], None, true),
        (vec!["m"], vec![Provider::Openai], None, true),
        (vec![], vec![], Some(Spec::in_pool("p", "")), true),
        (vec![], vec![Provider::Openai], Some(Spec::in_pool("p", "")), true),
        (vec!["m"], vec![Provider::Gemini], None, false),
        (vec!["gpt-4o"], vec![], None, false),
    ] {
        let names = names.into_iter().map(Into::into).collect();
        let candidates = Candidates { names, providers, ..Candidates::default() };
        let default = default.as_ref();
        let wanted = Wanted { kind: Asked::Chat, candidates: &candidates, default, attempt: 1 };
        let reply = models.reply(&wanted, &question(), &Nobody).await;
        assert_eq!(reply.is_ok(), found, "{candidates:?}: {reply:?}");
        assert!(found || reply.unwrap_err().code == "model_key_missing");
        let wanted = Wanted { kind: Asked::Vector, ..wanted };
        if default.is_none() {
            assert_eq!(models.embed(&wanted, "hello").await.is_ok(), found);
        }
    }
    let embed = Candidates::default();
    let pool = Spec::in_pool("p", "m");
    let wanted =
        Wanted { kind: Asked::Vector, candidates: &embed, default: Some(&pool), attempt: 1 };
    let failure = models.embed(&wanted, "hello").await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("model_pool_unfit", false));
}
