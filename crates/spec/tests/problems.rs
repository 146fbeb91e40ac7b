//! Every mistake of a document is reported at once, with its place and what to do.

use tenure_spec::parse;

/// The problems of a document, one per line.
fn problems(text: &str) -> String {
    parse(text).expect_err("the document has mistakes").to_string()
}

#[test]
fn ten_mistakes_are_ten_problems() {
    let text = "
name: Not A Name
kind: agnet
pool: -x
modle: {}
model: {provider: opnai, api_key: sk-123, temperature: 9}
tools: [read_fiel, http_request]
limits: {turns: 0}
retry: {backoff: 5}
";
    let found = parse(text).unwrap_err();
    insta::assert_snapshot!(found, @r#"
    modle: unknown field (did you mean `model`?)
    kind: unknown kind `agnet` (did you mean `agent`?)
    name: is not a name (use a-z, 0-9, `.`, `_` and `-`, with a letter or digit at both ends)
    pool: is not a name (use a-z, 0-9, `.`, `_` and `-`, with a letter or digit at both ends)
    model.api_key: unknown field (no key ever stands in a document: the worker reads keys from its environment)
    model.provider: unknown provider `opnai` (did you mean `openai`?)
    model.name: is missing (name the model as its provider does)
    model.temperature: 9 is out of range (write a number from 0 to 2)
    tools[0]: unknown tool `read_fiel` (did you mean `read_file`?)
    tools[1]: http_request needs `hosts` (list the hosts it may reach: `{name: http_request, hosts: [api.example.com]}`)
    limits.turns: 0 is out of range (write a whole number from 1 to 1000)
    retry.backoff: must be a span of time (write a whole number and a unit, such as `500ms`, `90s`, `10m` or `2h`)
    "#);
    assert_eq!(found.0.len(), 12);
    assert!(found.0.iter().all(|problem| problem.hint.is_some()));
    assert!(!found.to_string().contains("sk-123"));
}

#[test]
fn an_empty_object_lacks_name_and_model() {
    insta::assert_snapshot!(problems("{}"), @r#"
    name: is missing (give the agent a name, such as `name: my-agent`)
    model: is missing (say which model to ask, or set `kind: external`)
    "#);
}

#[test]
fn only_an_object_is_a_document() {
    for text in ["", "null", "- a", "just words", "7", "# a comment"] {
        assert!(problems(text).starts_with("document must be an object"), "{text}");
    }
}

#[test]
fn values_of_the_wrong_type() {
    let text = "
name: 1.5
description: true
pool:
model: openai
instructions: [a]
tools: read_file
output: text
limits: 3
retry: {attempts: three, backoff: soon, max_backoff: 400d}
";
    insta::assert_snapshot!(problems(text), @r#"
    name: must be a text, not a number (write it in quotes)
    description: must be a text, not true or false (write it in quotes)
    pool: has no value (give a text or remove it)
    model: must be an object, not a text (write `field: value` lines)
    instructions: must be a text, not a list (write one text value)
    tools: must be a list, not a text (write one `- …` line for each element, or `[…]`)
    output: must be an object, not a text (write `field: value` lines)
    limits: must be an object, not a number (write `field: value` lines)
    retry.attempts: must be a whole number, not a text (write a whole number from 1 to 20)
    retry.backoff: is not a span of time (write a whole number and a unit, such as `500ms`, `90s`, `10m` or `2h`)
    retry.max_backoff: is longer than 365 days (write a whole number and a unit, such as `500ms`, `90s`, `10m` or `2h`)
    "#);
}

#[test]
fn keys_never_stand_in_a_document() {
    let text = "
name: a
api-key: x
model:
  provider: openai
  name: m
  token: x
  base_url: https://user:pass@example.com/v1
";
    insta::assert_snapshot!(problems(text), @r#"
    api-key: unknown field (no key ever stands in a document: the worker reads keys from its environment)
    model.token: unknown field (no key ever stands in a document: the worker reads keys from its environment)
    model.base_url: has more than host, port and path (remove user, password, query and fragment; keys come from the worker's environment)
    "#);
}

#[test]
fn models() {
    let text = "
name: a
model:
  provider: openai
  name: ''
  base_url: ftp://example.com
  max_tokens: 0
  temperature: -0.5
  script: {}
";
    insta::assert_snapshot!(problems(text), @r#"
    model.name: is empty (write at least one character)
    model.base_url: is not a web address (begin it with `https://` or `http://`)
    model.script: only a scripted model plays a script (remove it, or set `provider: scripted`)
    model.temperature: -0.5 is out of range (write a number from 0 to 2)
    model.max_tokens: 0 is out of range (write a whole number from 1 to 10000000)
    "#);
    for url in ["https://", "https:///v1", "https://a b", "http://a?key=1"] {
        let text = format!("name: a\nmodel: {{provider: openai, name: m, base_url: '{url}'}}");
        assert!(problems(&text).starts_with("model.base_url: "), "{url}");
    }
}

#[test]
fn scripts() {
    let text = "
name: a
model:
  provider: scripted
  name: s
  script:
    latency: fast
    answer: 1
    turns:
    - {}
    - calls: []
    - calls: [{arguments: [1], each: files}, {tool: '', argumnts: {}}]
    - text: fine
";
    insta::assert_snapshot!(problems(text), @r#"
    model.script.latency: is not a span of time (write a whole number and a unit, such as `500ms`, `90s`, `10m` or `2h`)
    model.script.turns[0]: neither says nor calls anything (give `text`, `calls` or both)
    model.script.turns[1]: neither says nor calls anything (give `text`, `calls` or both)
    model.script.turns[2].calls[0].tool: is missing (name the tool to call)
    model.script.turns[2].calls[0].arguments: must be an object, not a list (write `field: value` lines)
    model.script.turns[2].calls[0].each: is not a JSON pointer (write it like `/files` (`~0` stands for `~` and `~1` for `/`))
    model.script.turns[2].calls[1].argumnts: unknown field (did you mean `arguments`?)
    model.script.turns[2].calls[1].tool: is empty (write at least one character)
    model.script.answer: must be a text, not a number (write it in quotes)
    "#);
    insta::assert_snapshot!(problems("name: a\nmodel: {provider: scripted, name: s}"), @"model.script: is missing (write what the scripted model says)");
    insta::assert_snapshot!(
        problems("name: a\nmodel: {provider: scripted, name: s, script: {turns: []}}"), @"model.script.turns: is empty (write at least one turn)");
}

#[test]
fn tools() {
    let text = "
name: a
kind: external
tools:
- read_file
- {name: read_file}
- {name: read_file, hosts: [a.b]}
- {name: http_request, hosts: []}
- {name: http_request, hosts: [https://a.b, '*.b', a.b, A.b, 'a:80', 127.0.0.1]}
- {hosts: [a]}
- fly
- 7
";
    insta::assert_snapshot!(problems(text), @r#"
    tools[1]: tool `read_file` is listed twice (remove one of the two)
    tools[2].hosts: unknown field (use one of: name)
    tools[2]: tool `read_file` is listed twice (remove one of the two)
    tools[3].hosts: is empty (list the hosts it may reach: `{name: http_request, hosts: [api.example.com]}`)
    tools[4].hosts[0]: is not a host name (write the name alone, such as `api.example.com`: no scheme, port, path or wildcard)
    tools[4].hosts[1]: is not a host name (write the name alone, such as `api.example.com`: no scheme, port, path or wildcard)
    tools[4].hosts[3]: host `a.b` is listed twice (remove one of the two)
    tools[4].hosts[4]: is not a host name (write the name alone, such as `api.example.com`: no scheme, port, path or wildcard)
    tools[5]: names no tool (give it a `name`, or one source, such as `{agent: {agent: researcher, …}}`)
    tools[6]: unknown tool `fly` (use one of: list_files, read_file, search_files, write_file, edit_file, digest_file, todo, time, write_artifact, list_artifacts, read_artifact, http_request)
    tools[7]: must be a text, not a number (write it in quotes)
    "#);
}

#[test]
fn commands() {
    let text = "
name: a
model: {provider: scripted, name: s, script: {turns: [{text: x}]}}
tools:
- command: {name: run, description: d}
- command: {name: 'no name', description: d, program: p, directory: ../x, time: 0s, memory: 1}
- command: {name: env, description: d, program: p, environment: [A=B], effect: twice, isolation: no}
- command:
    name: args
    description: d
    program: p
    stdin: true
    args: ['a{list}', '{stdin}']
    parameters:
      type: object
      properties:
        stdin: {type: string}
        list: {type: array, items: {type: string}}
        gone: {type: string}
        form: {type: object}
- {command: {name: both, description: d, program: p}, agent: {agent: x, description: d}}
";
    insta::assert_snapshot!(problems(text), @"
    tools[0].command.program: is missing (name the program, such as `program: python3`)
    tools[1].command.name: is not a tool's name (use A-Z, a-z, 0-9, `_` and `-`, at most 64 characters)
    tools[1].command.directory: leads out of the worker's folder (give a path below it, such as `src`)
    tools[1].command.time: nothing ends in zero time (give a longer time, or remove it)
    tools[1].command.memory: 1 is out of range (write a whole number from 16 to 1048576)
    tools[2].command.isolation: unknown isolation `no` (use one of: preferred, required)
    tools[2].command.environment[0]: is not a variable's name (use A-Z, a-z, 0-9 and `_`)
    tools[2].command.effect: unknown effect `twice` (use one of: read, idempotent, once)
    tools[3].command.parameters.stdin: is the standard input (call the parameter otherwise)
    tools[3].command.parameters.list: is a part of the argument `a{list}` (a list becomes several arguments: write `{list}` alone)
    tools[3].command.parameters.gone: is used nowhere (write `{gone}` in `args`)
    tools[3].command.parameters.form: can become no argument (give it `type: string`, `integer`, `number`, `boolean`, or `array` of strings)
    tools[4]: names no tool (give it a `name`, or one source, such as `{agent: {agent: researcher, …}}`)
    ");
}

#[test]
fn output_schemas() {
    let text = "
name: a
kind: external
output:
  type: objekt
  properties: {x: {minimum: low}, y: {required: yes}}
";
    insta::assert_snapshot!(problems(text), @r#"
    output.properties.x.minimum: is not valid JSON Schema: value is not of type "number" (see https://json-schema.org/understanding-json-schema)
    output.properties.y.required: is not valid JSON Schema: value is not of type "array" (see https://json-schema.org/understanding-json-schema)
    output.type: is not valid JSON Schema: value is not valid under any of the schemas listed in the 'anyOf' keyword (see https://json-schema.org/understanding-json-schema)
    "#);
    let remote = "name: a\nkind: external\noutput: {$ref: 'https://example.com/a.json'}";
    insta::assert_snapshot!(problems(remote), @"output: refers to another document, `https://example.com/a.json` (nothing is fetched: copy the schema into `$defs` and refer to it as `#/$defs/…`)");
    let nowhere = remote.replace("https://example.com/a.json", "#/$defs/none");
    insta::assert_snapshot!(problems(&nowhere), @"output: is not valid JSON Schema: Pointer '/$defs/none' does not exist (see https://json-schema.org/understanding-json-schema)");
    let pattern = "name: a\nkind: external\noutput: {pattern: '('}";
    insta::assert_snapshot!(problems(pattern), @r#"output: is not valid JSON Schema: "(" is not a "regex" (see https://json-schema.org/understanding-json-schema)"#);
    for other in ["file:///etc/passwd", "other.json", "//example.com/a"] {
        let found = problems(&remote.replace("https://example.com/a.json", other));
        assert!(found.starts_with("output: refers to another document"), "{found}");
    }
    insta::assert_snapshot!(
        problems("name: a\nkind: external\noutput: {$schema: 'https://example.com/s'}"), @"output.$schema: is not a known dialect (use `https://json-schema.org/draft/2020-12/schema`, or remove `$schema`)");
}

#[test]
fn the_second_pause_is_not_shorter_than_the_first() {
    insta::assert_snapshot!(
        problems("name: a\nkind: external\nretry: {backoff: 2m, max_backoff: 60s}\nlimits: {time: 0s}"),
        @r#"
    limits.time: nothing ends in zero time (give a longer time, or remove it)
    retry.max_backoff: is shorter than the first pause of 2m (give at least 2m, or a shorter `backoff`)
    "#);
    let spec = parse("name: a\nkind: external\nretry: {backoff: 2m}").unwrap();
    assert_eq!(spec.retry.max_backoff, spec.retry.backoff);
}

#[test]
fn no_more_than_a_hundred_problems() {
    let text = format!("name: a\nkind: external\ntools: [{}]", "x,".repeat(5_000));
    assert_eq!(parse(&text).unwrap_err().0.len(), 100);
}

#[test]
fn a_pool_stands_for_a_provider() {
    assert!(tenure_spec::parse("name: a\nmodel: {pool: chat}").is_ok());
    assert!(tenure_spec::parse("name: a\nmodel: {pool: chat, name: m, max_tokens: 5}").is_ok());
    let both = "name: a\nmodel: {pool: chat, provider: openai, name: m}";
    insta::assert_snapshot!(problems(both), @"model.provider: does not go with `pool` (remove one of them: a pool names backends)");
    assert!(problems("name: a\nmodel: {pool: ''}").starts_with("model.pool: is empty"));
}
