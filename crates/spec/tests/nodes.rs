//! The nodes of graphs that are agents, tools, people and several things at a time.

use tenure_spec::graph::{Action, Asks, Condition};
use tenure_spec::parse;

const DESK: &str = "
name: desk
kind: graph
graph:
  nodes:
  - name: look
    do: {tool: {tool: {name: http_request, hosts: [a.example]}, arguments: {url: 'https://a.example/{{.input}}'}}}
    next: [{when: {expression: 'output.status == 200 && size(vars) > 0'}, to: each}, {to: ask}]
  - name: each
    do:
      map:
        over: look
        template: '{{.index}}: {{.item}}'
        at_once: 2
        keep_failures: true
        do:
          parallel:
            branches:
              short: {do: {prompt: {system: Be brief.}}}
              long: {do: {call: {agent: writer, version: stable}}, input: item}
    retry: {attempts: 2, backoff: 0s, max_backoff: 0s}
    next: [{to: write}]
  - name: write
    do: {agent: {instructions: 'Write about {{.input}}.', tools: [read_file], output: {type: object}, limits: {turns: 3}}}
    next: [{to: ask}]
  - name: ask
    do: {interrupt: {title: 'Send {{.input}}?', assignee: ann, timeout: 2d, default: reject}}
    next: [{when: {equals: approve}, to: pick}, {to: end}]
  - name: pick
    do: {interrupt: {kind: choice, choices: [red, 3]}}
    next: [{to: end}]
";

fn problems(nodes: &str) -> String {
    let text = format!("{{name: a, kind: graph, graph: {{nodes: [{nodes}]}}}}");
    parse(&text).expect_err(&text).to_string()
}

fn node(action: &str) -> String {
    format!("{{name: a, do: {action}, next: [{{to: end}}]}}")
}

#[test]
fn every_node_is_read_and_reads_back() {
    let spec = parse(DESK).unwrap();
    let nodes = &spec.graph.as_ref().unwrap().nodes;
    assert!(matches!(&nodes[0].action, Action::Tool(tool) if tool.called() == "http_request"));
    assert!(matches!(nodes[0].next[0].when, Some(Condition::Expression(_))));
    let Action::Map(map) = &nodes[1].action else { panic!("{:?}", nodes[1]) };
    assert_eq!((map.at_once, map.keep_failures, map.action.inner().len()), (2, true, 2));
    assert!(matches!(&nodes[3].action, Action::Interrupt(ask) if ask.kind == Asks::Approval));
    let text = String::from_utf8(spec.canonical()).unwrap();
    assert_eq!(parse(&text).unwrap(), spec);
    let schema = jsonschema::draft202012::new(&tenure_spec::schema()).unwrap();
    let document = serde_json::from_str(&text).unwrap();
    let problems: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn all_mistakes_of_the_nodes_are_told_at_once() {
    let nodes = [
        "{tool: {tool: read_fil, arguments: {path: '{{.a', deep: [{x: '{{nope 1}}'}]}}}",
        "{tool: {tool: {agent: {agent: b, description: c, manner: transfer}}}}",
        "{call: {agent: Up, versoin: 1}}",
        "{agent: {instructions: '{{', tools: [read_file, read_file], output: {type: 3}}}",
        "{interrupt: {kind: choice, schema: {}, default: approve, timeout: 1d}}",
        "{interrupt: {choices: [a], default: reject}}",
        "{map: {over: inputs, at_once: 100, do: {parallel: {branches: {b: {do: promt, input: itm}}}}}}",
        "{parallel: {branches: {}}}",
        "{map: {template: '{{end}}'}}",
    ];
    let nodes = nodes.iter().enumerate().map(|(place, action)| {
        let to = if place == 8 { "end".into() } else { format!("n{}", place + 1) };
        format!("{{name: n{place}, do: {action}, next: [{{to: {to}}}]}}")
    });
    insta::assert_snapshot!(problems(&nodes.collect::<Vec<_>>().join(", ")));
}

#[test]
fn what_is_done_at_the_same_time_has_bounds() {
    let nested = |depth: usize| "{map: {do: ".repeat(depth) + "pass" + &"}}".repeat(depth);
    assert!(problems(&node(&nested(4))).contains("more than 3 of `map` and `parallel`"));
    assert!(
        parse(&format!("{{name: a, kind: graph, graph: {{nodes: [{}]}}}}", node(&nested(3))))
            .is_ok()
    );
    let branches: Vec<_> = (0..33).map(|n| format!("b{n}: {{do: pass}}")).collect();
    let many = format!("{{parallel: {{branches: {{{}}}}}}}", branches.join(", "));
    assert!(problems(&node(&many)).contains("33 branches, more than 32"));
}

#[test]
fn a_timeout_that_would_not_hold_is_refused() {
    for (action, part) in [
        ("{call: {agent: b}}", "`limits.time` of the agent"),
        ("{map: {do: {interrupt: {}}}}", "the `timeout` inside it"),
    ] {
        let told =
            problems(&format!("{{name: a, do: {action}, timeout: 3s, next: [{{to: end}}]}}"));
        assert!(
            told.starts_with("graph.nodes[0].timeout: does not hold") && told.contains(part),
            "{told}"
        );
    }
    let fan = "{name: a, do: {map: {do: {prompt: {}}}}, timeout: 3s, next: [{to: end}]}";
    assert!(parse(&format!("{{name: a, kind: graph, graph: {{nodes: [{fan}]}}}}")).is_ok());
}

#[test]
fn conditions_are_read_with_the_document() {
    let told = |when: &str| {
        problems(&format!(
            "{{name: a, do: pass, next: [{{when: {{expression: \"{when}\"}}, to: end}}]}}"
        ))
    };
    assert!(
        told("output.n >").starts_with("graph.nodes[0].next[0].when.expression: is no condition")
    );
    assert!(told("outptu.n > 3").contains("unknown variable `outptu` (did you mean `output`?)"));
}
