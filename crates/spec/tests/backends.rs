//! The file of backends: what it says, and what is wrong with it.

use tenure_spec::backends::{KeyPlace, Purpose, Routing};
use tenure_spec::{Backends, Provider, Span};

const GOOD: &str = r#"
[[backend]]
name = "eu"
provider = "openai"
base_url = "https://eu.example.com/v1"
key = "env://EU_KEY"
models = ["gpt-4o", { name = "tiny", context = 4096, tools = false }]
max_concurrent = 8
requests_per_minute = 500
tokens_per_minute = 200_000
timeout = "2m"

[[backend]]
name = "gpu"
provider = "ollama"
key = "file:///run/secrets/gpu"

[[pool]]
name = "chat"
policy = "least_busy"
backends = ["eu", "gpu"]
models = ["qwen3:4b"]
failures = 2
pause = "10s"

[[pool]]
name = "vectors"
purpose = "embed"
backends = ["gpu"]
"#;

#[test]
fn a_file_says_which_backends_there_are() {
    let all = Backends::read(GOOD).unwrap();
    let eu = all.backend("eu").unwrap();
    assert_eq!(
        (eu.provider, eu.key.clone()),
        (Provider::Openai, Some(KeyPlace::Variable("EU_KEY".into())))
    );
    assert_eq!((eu.max_concurrent, eu.tokens_per_minute), (Some(8), Some(200_000)));
    assert_eq!(eu.timeout, Some(Span::seconds(120)));
    let tiny = eu.offer("tiny").unwrap();
    assert_eq!(
        (tiny.context, tiny.tools, tiny.streaming, tiny.embeddings),
        (Some(4096), false, true, true)
    );
    assert!(all.backend("gpu").unwrap().models.is_none());
    let [chat, vectors] = all.pools.as_slice() else { panic!("{all:?}") };
    assert_eq!((chat.policy, chat.purpose, chat.failures), (Routing::LeastBusy, Purpose::Chat, 2));
    assert_eq!(
        (vectors.policy, vectors.purpose, vectors.pause),
        (Routing::Fallback, Purpose::Embed, Span::seconds(30))
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let bad = r#"
        [[backend]]
        name = "eu"
        provider = "opnai"
        key = "sk-very-secret"
        max_concurent = 3
        [[backend]]
        name = "eu"
        provider = "openai"
        base_url = "ftp://x"
        models = ["gpt-4o", { name = "m", contxt = 1 }]
        timeout = "0s"
        [[backend]]
        name = "claude"
        provider = "anthropic"
        models = ["claude"]
        requests_per_minute = 0
        [[pool]]
        name = "chat"
        policy = "round-robin"
        backends = ["ue", "eu", "eu"]
        [[pool]]
        name = "vectors"
        purpose = "embed"
        backends = ["claude"]
        models = ["clade"]
        [[pool]]
        name = "vectors"
        backends = []
        remove_undeclared = true
    "#;
    let problems = Backends::read(bad).unwrap_err().to_string();
    assert!(!problems.contains("sk-very-secret"), "{problems}");
    insta::assert_snapshot!(problems);
}

#[test]
fn what_is_no_toml_says_where() {
    let problems = Backends::read("[[backend]\nname = 1").unwrap_err().to_string();
    assert!(problems.contains("line 1"), "{problems}");
    let empty = Backends::read("").unwrap_err().to_string();
    assert!(empty.starts_with("backend: is missing"), "{empty}");
}

#[test]
fn ollama_leaves_out_a_tag() {
    assert!(Provider::Ollama.same_model("qwen3", "qwen3:latest"));
    assert!(!Provider::Ollama.same_model("qwen3", "qwen3:4b"));
    assert!(!Provider::Openai.same_model("m", "m:latest"));
}

#[test]
fn the_example_is_right() {
    let all = Backends::read(include_str!("../../../examples/models.toml")).unwrap();
    assert_eq!((all.backends.len(), all.pools.len()), (3, 2));
}
