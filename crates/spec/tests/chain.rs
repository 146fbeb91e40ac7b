//! Chains as documents: what they are compiled to, what is refused, and what is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use serde_json::{Value, json};
use tenure_spec::graph::{Action, Condition, Parse};
use tenure_spec::{DataType, Document, GraphNode, parse, read};

/// A chain of one task with these fields.
fn one(fields: &Value) -> String {
    let mut task = json!({
        "id": "a", "handler": "noop",
        "transition": {"branches": [{"operator": "default", "goto": "end"}]},
    });
    for (name, value) in fields.as_object().unwrap() {
        task[name] = value.clone();
    }
    json!({"id": "c", "tasks": [task]}).to_string()
}

fn node(text: &str) -> GraphNode {
    parse(text).unwrap().graph.unwrap().nodes.remove(0)
}

fn problems(text: &str) -> String {
    parse(text).expect_err("the chain has mistakes").to_string()
}

fn warnings(text: &str) -> Vec<String> {
    let Document { warnings, .. } = read(text).unwrap();
    warnings.iter().map(ToString::to_string).collect()
}

const REQUEST: &str = r#"{
    "input": "Which rivers?", "INPUTTYPE": "String",
    "chain": {
        "id": "Rivers of it", "debug": true, "token_limit": 100,
        "tasks": [
            {
                "id": "ask", "handler": "raw_string", "systemInstruction": "Be brief.",
                "execute_config": {"model": "m", "models": ["n"], "provider": "ollama", "temperature": 0.2},
                "retry_on_failure": 2, "timeout": "1m30s",
                "transition": {"on_failure": "sorry", "branches": [
                    {"operator": "default", "goto": "rate"},
                    {"operator": "contains", "when": "none", "goto": ""}
                ]}
            },
            {
                "id": "rate", "handler": "parse_number", "prompt_template": "Rate {{.ask}}",
                "compose": {"with_var": "ask"},
                "transition": {"branches": [{"operator": "in_range", "when": "1 - 5", "goto": "ask"}, {"operator": "gt", "when": "5", "goto": "end"}]}
            },
            {"id": "sorry", "handler": "raise_error", "transition": {"branches": []}}
        ]
    }
}"#;

#[test]
fn a_request_becomes_a_graph() {
    let Document { spec, warnings } = read(REQUEST).unwrap();
    let graph = spec.graph.as_ref().unwrap();
    assert_eq!((spec.name.as_str(), graph.debug), ("rivers-of-it", true));
    assert_eq!((graph.input.kind, graph.token_limit), (Some(DataType::String), Some(100)));
    assert_eq!(graph.input.default, Some(json!("Which rivers?")));
    let ask = &graph.nodes[0];
    let Action::Prompt(prompt) = &ask.action else { panic!("{ask:?}") };
    assert_eq!((prompt.system.as_str(), &prompt.parse), ("Be brief.", &Parse::Text));
    assert_eq!(prompt.model.names, ["m", "n"]);
    assert_eq!(ask.timeout.unwrap().to_string(), "90s");
    assert_eq!((ask.retry.clone().unwrap().attempts, ask.visits), (3, Some(1000)));
    let to: Vec<_> = ask.next.iter().map(|way| (way.when.is_some(), way.to.as_str())).collect();
    assert_eq!(to, [(true, "end"), (false, "rate")], "the default comes last");
    assert_eq!(graph.nodes[1].next[0].when, Some(Condition::Between([1.0, 5.0])));
    assert_eq!((&graph.nodes[2].action, graph.nodes[2].next.len()), (&Action::Fail, 0));
    let told: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(told, ["chain.tasks[0]", "chain.id"]);
    let text = String::from_utf8(spec.canonical()).unwrap();
    assert_eq!(parse(&text).unwrap(), spec, "the graph is a document of its own");
}

#[test]
fn every_handler_has_its_action_under_both_names() {
    let action = |handler: &str| {
        let fields =
            json!({"handler": handler, "valid_conditions": {"y": true}, "hook": {"name": "h"}});
        node(&one(&fields)).action
    };
    for (old, new) in [
        ("raw_string", "prompt_to_string"),
        ("condition_key", "prompt_to_condition"),
        ("parse_number", "prompt_to_int"),
        ("parse_score", "prompt_to_float"),
        ("parse_range", "prompt_to_range"),
        ("embedding", "text_to_embedding"),
        ("model_execution", "chat_completion"),
    ] {
        assert_eq!(action(old), action(new));
    }
    assert!(matches!(action("hook"), Action::Hook(_)));
    assert!(matches!(action("convert_to_openai_chat_response"), Action::OpenaiResponse(_)));
    assert_eq!(action("parse_transition"), Action::Command);
    assert_eq!(action("noop"), Action::Pass);
}

#[test]
fn mistakes_are_told_where_the_author_wrote_them() {
    let text = r#"{"id": "c", "tasks": [
        {"id": "a", "handler": "raw_strin", "timeout": "soon", "prompt_template": "{{.input",
         "transition": {"on_failure": "z", "branches": [
            {"operator": "default", "goto": "end"}, {"operator": "==", "when": "a", "goto": "end"},
            {"operator": "in_range", "when": "5-1", "goto": "end"}, {"operator": ">", "when": "many", "goto": "bb"}]}},
        {"id": "b", "handler": "hook", "input_var": "inputt", "compose": {"with_var": "ghost", "strategy": "glue"},
         "transition": {"branches": []}},
        {"handler": "condition_key", "retry_on_failure": "two", "transition": {"branches": [{"operator": "default", "goto": "end"}]}}
    ]}"#;
    insta::assert_snapshot!(problems(text));
    insta::assert_snapshot!(problems(r#"{"id": "c", "tasks": []}"#), @"tasks: has no tasks (write at least one task)");
    insta::assert_snapshot!(problems(r#"{"inputType": "blob", "chain": {"tasks": [1]}}"#), @"
    inputType: unknown data type `blob` (did you mean `bool`?)
    chain.tasks[0]: must be an object, not a number (write `field: value` lines)
    chain.id: is missing (give the chain an id, which becomes the agent's name)
    ");
}

#[test]
fn what_later_versions_added_loads_with_a_warning() {
    let routed = one(&json!({"handler": "route"}));
    assert_eq!(node(&routed).action, Action::Fail);
    assert!(node(&routed).template.unwrap().contains("`route`"));
    insta::assert_snapshot!(warnings(&routed).join("\n"), @"tasks[0]: the handler `route` is of a later version of contenox: the task fails when a run comes to it (use the handlers of the reference, or write a graph of your own)");
    let tuned = one(&json!({
        "handler": "chat_completion", "colour": "red",
        "execute_config": {"model": "{{var:model}}", "provider": "vllm", "shift": true, "tools": [], "max_tokens": 9},
    }));
    insta::assert_snapshot!(warnings(&tuned).join("\n"), @"
    tasks[0].colour: is not known and ignored (use one of: id, description, handler, system_instruction, systemInstruction, prompt_template, output_template, input_var, input_max_bytes, valid_conditions, execute_config, hook, tools, compose, print, timeout, transition, retry_on_failure)
    tasks[0].execute_config.shift: `shift` is of a later version of contenox, and passed over (remove it if it does not matter)
    tasks[0].execute_config.model: the macro `{{var:model}}` is of a later version of contenox, and passed over (remove it if it does not matter)
    tasks[0].execute_config.provider: provider `vllm` is not known and ignored (use one of: openai, anthropic, gemini, ollama)
    ");
}
