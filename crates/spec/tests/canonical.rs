//! Equal meaning, equal bytes; and back again.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tenure_spec::{Spec, from_json, parse, schema};

fn canonical(text: &str) -> String {
    String::from_utf8(parse(text).expect("valid").canonical()).expect("JSON is UTF-8")
}

const FULL: &str = "
name: digest
description: Digests files.
pool: gpu
model:
  provider: scripted
  name: demo
  temperature: 0.7
  max_tokens: 100
  base_url: http://localhost:8080/v1
  script:
    latency: 1500ms
    turns:
    - text: I look at {{ input.topic }}.
      calls: [{tool: list_files, arguments: {z: 1.0, a: [0.1, null]}}]
    - calls: [{tool: digest_file, arguments: {path: '{{ item }}'}, each: /files}]
    - text: done
    answer: It says {{ question }}.
instructions: |
  Do it.
tools: [digest_file, {name: http_request, hosts: [b.example.com, A.example.com]}, list_files]
output: {type: object, properties: {n: {type: integer}}, required: [n]}
limits: {turns: 5, tokens: 100000, cost: 0.1, tool_calls: 9, time: 90m, then: ask}
policy:
  default: deny
  rules:
    - {tools: ['*_file'], when: args.path != '/etc', then: ask, reason: why, assignee: ann, timeout: 60m}
retry: {attempts: 5, backoff: 500ms, max_backoff: 120s}
";

#[test]
fn defaults_are_written_out() {
    insta::assert_snapshot!(canonical("name: a\nkind: external"), @r#"{"instructions":"","kind":"external","limits":{"then":"fail","turns":20},"name":"a","pool":"default","retry":{"attempts":3,"backoff":"1s","max_backoff":"1m"},"tools":[]}"#);
}

#[test]
fn everything_is_kept() {
    insta::assert_snapshot!(canonical(FULL), @r#"{"description":"Digests files.","instructions":"Do it.\n","kind":"agent","limits":{"cost":0.1,"then":"ask","time":"90m","tokens":100000,"tool_calls":9,"turns":5},"model":{"base_url":"http://localhost:8080/v1","max_tokens":100,"name":"demo","provider":"scripted","script":{"answer":"It says {{ question }}.","latency":"1500ms","turns":[{"calls":[{"arguments":{"a":[0.1,null],"z":1},"tool":"list_files"}],"text":"I look at {{ input.topic }}."},{"calls":[{"arguments":{"path":"{{ item }}"},"each":"/files","tool":"digest_file"}]},{"calls":[],"text":"done"}]},"temperature":0.7},"name":"digest","output":{"properties":{"n":{"type":"integer"}},"required":["n"],"type":"object"},"policy":{"default":"deny","mode":"enforce","rules":[{"assignee":"ann","reason":"why","then":"ask","timeout":"1h","tools":["*_file"],"when":"args.path != '/etc'"}]},"pool":"gpu","retry":{"attempts":5,"backoff":"500ms","max_backoff":"2m"},"tools":["digest_file",{"hosts":["a.example.com","b.example.com"],"name":"http_request"},"list_files"]}"#);
}

#[test]
fn equal_meaning_has_equal_bytes() {
    let short = "name: a\nmodel: {provider: ollama, name: m}\ntools: [read_file]";
    for long in [
        r#"{"tools": [{"name": "read_file"}], "model": {"name": "m", "provider": "ollama"}, "name": "a"}"#,
        "# comment\nmodel:\n  name: 'm'\n  provider: ollama\nname: \"a\"\ntools: [read_file]\npool: default",
        "name: a\nkind: agent\nmodel: {provider: ollama, name: m}\ntools: [read_file]\nlimits: {turns: 20.0}",
        "name: a\nmodel: {provider: ollama, name: m}\ntools: [read_file]\nretry: {backoff: 1000ms, max_backoff: 1m}",
    ] {
        assert_eq!(canonical(short), canonical(long));
    }
    assert_ne!(canonical(short), canonical(&short.replace("ollama", "openai")));
}

#[test]
fn the_schema_describes_every_field() {
    fn check(path: &str, value: &Value) {
        for (name, property) in value["properties"].as_object().unwrap_or(&Map::new()) {
            // Rules about fields that are described elsewhere, and words that say which case it is.
            let rule = ["if", "then", "anyOf", "oneOf"];
            let rule = rule.iter().any(|word| path.contains(&format!("/{word}")));
            let rule = rule || property.is_boolean();
            assert!(
                rule || property["description"].is_string(),
                "{path}.{name} has no description"
            );
        }
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, inner)| check(&format!("{path}/{key}"), inner));
            }
            Value::Array(list) => list.iter().for_each(|inner| check(path, inner)),
            _ => {}
        }
    }
    check("", &schema());
    // Other crates of a build may turn on that maps keep their order.
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(schema()) });
}

#[test]
fn the_schema_and_the_reader_agree() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let full: Value = serde_json::from_slice(&parse(FULL).unwrap().canonical()).unwrap();
    assert!(validator.is_valid(&full));
    let model = json!({"provider": "openai", "name": "m"});
    let with = |field: &str, value: Value| {
        let mut document = json!({"name": "a", "model": model});
        document[field] = value;
        document
    };
    for document in [
        json!({}),
        json!({"name": "a"}),
        json!({"name": "a", "kind": "agent"}),
        json!({"name": "a", "kind": "external"}),
        with("name", json!("-")),
        with("name", json!("x".repeat(129))),
        with("pool", json!(null)),
        with("modle", json!(1)),
        with("tools", json!(["fly"])),
        with("tools", json!(["http_request"])),
        with("tools", json!([{"name": "read_file"}, {"name": "http_request", "hosts": ["a.b"]}])),
        with("tools", json!([{"name": "read_file", "hosts": ["a.b"]}])),
        with("tools", json!([{"name": "http_request", "hosts": ["https://a.b"]}])),
        with("limits", json!({"turns": 1001})),
        with("limits", json!({"tokens": null})),
        with("limits", json!({"time": "1h"})),
        with("retry", json!({"backoff": 1})),
        with("retry", json!({"attempts": 20})),
        with("output", json!("text")),
        with("model", json!({"provider": "scripted", "name": "m"})),
        with(
            "model",
            json!({"provider": "openai", "name": "m", "script": {"turns": [{"text": ""}]}}),
        ),
        with("model", json!({"provider": "scripted", "name": "m", "script": {"turns": [{}]}})),
        with(
            "model",
            json!({"provider": "scripted", "name": "m", "script": {"turns": [{"calls": []}]}}),
        ),
        with(
            "model",
            json!({"provider": "scripted", "name": "m", "script": {"turns": [{"text": "a", "calls": []}]}}),
        ),
        with("model", json!({"provider": "openai", "name": "m", "api_key": "x"})),
        with("model", json!({"provider": "openai", "name": "m", "base_url": "http://a/v1"})),
        with("model", json!({"provider": "openai", "name": "m", "base_url": "http://a?k=v"})),
        with("model", json!({"provider": "openai", "name": "m", "temperature": 2})),
    ] {
        let read = from_json(document.clone());
        assert_eq!(validator.is_valid(&document), read.is_ok(), "{document}: {read:?}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn span() -> impl Strategy<Value = String> {
    (1_u32..1_000, prop_oneof!["ms", "s", "m"]).prop_map(|(number, unit)| format!("{number}{unit}"))
}

prop_compose! {
    fn any_document()(
        name in "[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?",
        instructions in any::<String>(),
        arguments in prop::collection::btree_map(any::<String>(), any_json(), 0..4),
        temperature in 0.0..=2.0_f64,
        latency in span(),
        time in span(),
        backoff in span(),
        each in prop::option::of("(/[a-z~]{0,0}[a-z]{1,5}){0,3}"),
        hosts in prop::collection::btree_set("[a-z]{1,8}(\\.[a-z]{2,3})?", 1..4),
    ) -> Value {
        let mut call = json!({"tool": "read_file", "arguments": arguments});
        if let Some(each) = each {
            call["each"] = each.into();
        }
        json!({
            "name": name,
            "instructions": instructions,
            "model": {
                "provider": "scripted", "name": "m", "temperature": temperature,
                "script": {"latency": latency, "turns": [{"text": instructions, "calls": [call]}]},
            },
            "tools": ["list_files", {"name": "http_request", "hosts": hosts}],
            "limits": {"time": time},
            "retry": {"backoff": backoff},
        })
    }
}

fn reread(spec: &Spec) -> Spec {
    let text = String::from_utf8(spec.canonical()).expect("JSON is UTF-8");
    parse(&text).expect("a canonical form is a document")
}

proptest! {
    #[test]
    fn the_canonical_form_reads_back(document in any_document()) {
        let spec = from_json(document).unwrap();
        let again = reread(&spec);
        prop_assert_eq!(&again, &spec);
        prop_assert_eq!(again.canonical(), spec.canonical());
    }

    #[test]
    fn any_value_is_read_or_refused(value in any_json()) {
        let _ = from_json(json!({"name": value, "model": value, "tools": value, "output": value, "limits": value}));
        let _ = from_json(value);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), yaml in "[-a:{}\\[\\]&*!|>'\"#%@ ,?~\n\t0<]{0,40}") {
        let _ = parse(&text);
        let _ = parse(&yaml);
    }
}
