//! Texts that cannot be read, and texts made to hurt.

use serde_json::{Value, json};
use tenure_spec::{MAX_DOCUMENT_BYTES, MAX_NESTING, from_json, parse};

fn problem(text: &str) -> String {
    let problems = parse(text).expect_err("the document is refused");
    assert_eq!(problems.0.len(), 1, "{problems}");
    problems.to_string()
}

#[test]
fn syntax_errors_name_line_and_column() {
    insta::assert_snapshot!(problem("name: a\nmodel: {provider: openai"), @"line 2, column 8: unclosed bracket '{' (correct the document here)");
    insta::assert_snapshot!(problem("name: a\n\tpool: b"), @"line 1, column 7: while scanning a plain scalar, found a tab (correct the document here)");
    insta::assert_snapshot!(problem("name: a\nkind: 'agent"), @"line 2, column 7: unclosed quote (correct the document here)");
    insta::assert_snapshot!(problem("name: a\n  pool: b"), @"line 2, column 7: mapping values are not allowed in this context (correct the document here)");
    insta::assert_snapshot!(problem(r#"{"name": "a", "kind": }"#), @"kind: has no value (give a text or remove it)");
}

#[test]
fn duplicate_keys_are_refused() {
    insta::assert_snapshot!(problem("name: a\nkind: external\nname: b"), @"line 3, column 1: duplicate key `name` (correct the document here)");
    insta::assert_snapshot!(problem("name: a\nlimits: {turns: 1, turns: 2}"), @"line 2, column 20: duplicate key `turns` (correct the document here)");
    insta::assert_snapshot!(problem(r#"{"name": "a", "name": "b"}"#), @"line 1, column 20: duplicate key `name` (correct the document here)");
    insta::assert_snapshot!(problem(r#"{"name": "a", "limits": {"turns": 1, "\u0074urns": 2}}"#), @"line 1, column 49: duplicate key `turns` (correct the document here)");
}

#[test]
fn what_yaml_can_do_and_json_cannot_is_refused() {
    insta::assert_snapshot!(problem("name: &n a\npool: *n"), @"line 1, column 10: anchors and aliases (`&name`, `*name`) are refused (write the value out at each place)");
    insta::assert_snapshot!(problem("name: a\n<<: {pool: b}"), @"line 2, column 1: merge keys (`<<`) are refused (write the merged fields out)");
    insta::assert_snapshot!(problem("name: a\n---\nname: b"), @"line 3, column 1: a second document begins here (put each document into a file of its own)");
    insta::assert_snapshot!(problem("name: !secret a"), @"line 1, column 15: unsupported tag `!secret` (correct the document here)");
    insta::assert_snapshot!(problem("name: a\nmodel: {temperature: .nan}"), @"line 2, column 22: value `.nan` is not a finite number (correct the document here)");
}

#[test]
fn words_of_yaml_1_1_are_texts() {
    let text = "name: 'no'\nkind: external\npool: no\ndescription: on";
    let spec = parse(text).unwrap();
    assert_eq!((spec.pool.as_str(), spec.description.as_deref()), ("no", Some("on")));
}

#[test]
fn json_keeps_its_own_escapes() {
    let spec =
        parse(r#"{"name":"a","kind":"external","instructions":"\ud83d\ude00\/\u00e9"}"#).unwrap();
    assert_eq!(spec.instructions, "😀/é");
}

#[test]
fn large_documents_are_refused() {
    let document = |bytes| format!("name: a\nkind: external\ninstructions: {}", "x".repeat(bytes));
    assert!(parse(&document(MAX_DOCUMENT_BYTES - 1_000)).is_ok());
    insta::assert_snapshot!(problem(&document(MAX_DOCUMENT_BYTES)), @"document has 262181 bytes, more than the 262144 allowed (move long texts into files that the agent reads)");
    let escapes = format!("name: a\nkind: external\ninstructions: \"{}\"", r"\0".repeat(100_000));
    assert!(problem(&escapes).contains("600"), "the canonical form keeps the limit too");
}

#[test]
fn deep_documents_are_refused() {
    for depth in [MAX_NESTING, 200, 100_000] {
        let json = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(problem(&json).contains("nested"), "{}", problem(&json));
        let yaml = format!("b: c\na: {}{}", "[".repeat(depth), "]".repeat(depth));
        // Far too deep, the YAML scanner gives up before the reader sees anything.
        let found = problem(&yaml);
        assert!(found.contains("nested") || found.contains("recursion limit"), "{found}");
    }
    insta::assert_snapshot!(problem(&format!("a: {}{}", "[".repeat(70), "]".repeat(70))), @"line 1, column 67: document is nested more than 64 deep (correct the document here)");
    let steps: Vec<String> = (0..400).map(|depth| " ".repeat(depth) + "a:").collect();
    let steps = steps.join("\n");
    assert!(problem(&steps).contains("nested"), "{}", problem(&steps));

    let deep = (0..MAX_NESTING).fold(Value::Null, |inside, _| json!([inside]));
    let found = from_json(json!({ "a": deep })).unwrap_err().to_string();
    assert!(found.contains("nested"), "{found}");
}

#[test]
fn nasty_texts_do_not_panic() {
    for text in [
        "\u{feff}",
        "\0",
        "{",
        "}",
        "[[[",
        "? ?",
        "? [a]: b",
        "- - -",
        "--- ---",
        "%YAML 9.9\n---\na",
        "!!binary x",
        "*a",
        "&a",
        "&a [*a]",
        "'",
        "\"\\u",
        "|",
        ">-\n",
        "a: |9\n b",
        "{a",
        "{,}",
        "[,]",
        "!<",
        "@",
        "`",
        "1e999",
        "{\"a\": 1e999}",
        "\u{85}\u{2028}",
        "name: \u{fffd}",
        "{}{}",
        "...",
        "# c\r",
        "null: null",
        "~: ~",
        "99999999999999999999999999999999999999999999",
        "output: {pattern: '('}",
        "tools: [[[]]]",
        "!!map {a: b}",
        "output: {type: string, pattern: '(((a+)+)+)+$'}",
        "limits: {tokens: -1}",
        "limits: {turns: 1e3}",
    ] {
        parse(text).unwrap_err();
    }
}
