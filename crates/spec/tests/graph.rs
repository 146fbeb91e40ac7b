//! Graphs as documents: what is read, what is refused, and where.

use tenure_spec::graph::{Action, Condition};
use tenure_spec::{Kind, parse};

const TRIAGE: &str = "
name: triage
kind: graph
model: {provider: ollama, name: m}
graph:
  input: {type: string, default: Hello}
  token_limit: 4000
  nodes:
  - name: urgent
    do: {prompt: {system: Answer yes or no., parse: {condition: {'yes': true, 'no': false}}}}
    template: 'Is this urgent? {{.input}}'
    timeout: 30s
    retry: {attempts: 2, backoff: 0s, max_backoff: 0s}
    next:
    - {when: {equals: 'true'}, to: page}
    - {to: rate}
    on_failure: page
  - name: rate
    do: {prompt: {parse: score, model: {names: [a, b], providers: [openai], temperature: 0.5}}}
    input: input
    visits: 3
    print: 'rated {{.rate}}'
    next:
    - {when: {above: 5}, to: page}
    - {when: {between: [2, 5]}, to: end}
    - {to: rate}
  - name: page
    do: {hook: {name: pager, args: {who: me}}}
    input: input
    compose: {with: input, strategy: override}
    next: [{to: end}]
";

fn problems(text: &str) -> String {
    parse(text).expect_err("the document has mistakes").to_string()
}

#[test]
fn a_graph_is_read_and_reads_back() {
    let spec = parse(TRIAGE).unwrap();
    assert_eq!(spec.kind, Kind::Graph);
    let graph = spec.graph.as_ref().unwrap();
    assert_eq!(graph.nodes[1].next[1].when, Some(Condition::Between([2.0, 5.0])));
    assert!(matches!(&graph.nodes[2].action, Action::Hook(hook) if hook.args["who"] == "me"));
    let text = String::from_utf8(spec.canonical()).unwrap();
    let again = parse(&text).unwrap();
    assert_eq!(again, spec);
    assert_eq!(again.canonical(), spec.canonical());
    let schema = jsonschema::draft202012::new(&tenure_spec::schema()).unwrap();
    let problems: Vec<_> = schema
        .iter_errors(&serde_json::from_str(&text).unwrap())
        .map(|error| error.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn all_mistakes_of_a_graph_are_told_at_once() {
    let text = "
name: a
kind: graph
instructions: Be nice.
graph:
  input: {type: sting}
  nodes:
  - name: one
    do: promt
    template: '{{.input'
    next: [{when: {equals: a, above: 3}, to: tow}, {to: end}]
  - name: two
    do: {prompt: {parse: nummer, model: {providers: [opnai]}}}
    input: inputs
    compose: {with: ghost, strategy: overide}
    next: [{when: {between: [5, 1]}, to: two}, {to: end}]
    on_failure: thre
  - name: two
    do: {hook: {}}
  - {name: end, do: fail, next: [{to: end}]}
";
    insta::assert_snapshot!(problems(text));
}

#[test]
fn a_loop_needs_a_bound_and_a_graph_an_end() {
    let text = |visits: &str, to: &str| {
        format!(
            "{{name: a, kind: graph, graph: {{nodes: [
                {{name: x, do: pass, next: [{{to: y}}]}},
                {{name: y, do: pass, {visits} next: [{{when: {{equals: a}}, to: {to}}}, {{to: x}}]}}]}}}}"
        )
    };
    insta::assert_snapshot!(problems(&text("", "end")), @"graph.nodes[0]: the loop x → y → x has no bound (give one of its nodes `visits`, such as `visits: 10`)");
    insta::assert_snapshot!(problems(&text("visits: 3,", "y")), @r"
    graph.nodes[0].next: no way leads to an end (let one lead to `end`)
    graph.nodes[1].next: no way leads to an end (let one lead to `end`)
    ");
    assert!(parse(&text("visits: 3,", "end")).is_ok());
}

#[test]
fn a_graph_of_a_thousand_nodes_is_checked_without_recursion() {
    let node = |n: usize| {
        let to = if n < 999 { format!("n{}", n + 1) } else { "end".into() };
        format!("{{name: n{n}, do: pass, next: [{{to: {to}}}]}}")
    };
    let nodes: Vec<_> = (0..1_000).map(node).collect();
    let text = format!("{{name: a, kind: graph, graph: {{nodes: [{}]}}}}", nodes.join(","));
    parse(&text).unwrap();
    let looped = text.replace("to: end", "to: n0");
    assert!(problems(&looped).contains("has no bound"));
    let more = text.replace("{name: n0,", "{name: more, do: pass, next: [{to: end}]}, {name: n0,");
    assert!(problems(&more).contains("more than the 1000 allowed"));
}

#[test]
fn what_belongs_to_another_kind_is_refused() {
    let graph = "graph: {nodes: [{name: a, do: pass, next: [{to: end}]}]}";
    let agent = format!("{{name: a, model: {{provider: ollama, name: m}}, {graph}}}");
    assert!(problems(&agent).starts_with("graph: only a graph has nodes"));
    assert!(problems("{name: a, kind: graph}").starts_with("graph: is missing"));
    let tools = format!("{{name: a, kind: graph, tools: [read_file], output: {{}}, {graph}}}");
    assert_eq!(problems(&tools).matches("is not of a graph").count(), 2);
}
