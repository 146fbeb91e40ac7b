//! Templates of graphs: Go's `text/template`, as `gotmpl` implements it.
//!
//! Everything that has to be known about the library is here: which values it is given, and what it
//! is kept from doing.

mod blocks;
mod functions;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::{Template, TemplateError, Value as GoValue};
use serde_json::{Map, Value};

use crate::node::Node;

use crate::bounds::{TEMPLATE_NESTING, TEMPLATE_OUTPUT, TEMPLATE_ROUNDS};

pub use value::{fill, fill_fields};

/// Where the language of templates is described.
pub(crate) const HELP: &str = "see https://pkg.go.dev/text/template";

/// What Go calls a template that has no name of its own.
const NAME: &str = "template";

/// Why a text is no template, or a template could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem(String);

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TemplateProblem {}

impl From<TemplateError> for TemplateProblem {
    fn from(error: TemplateError) -> Self {
        let text = error.to_string();
        Self(text.strip_prefix("template: template:").unwrap_or(&text).trim_start().into())
    }
}

/// Whether a text is a template that calls nothing but what there is.
pub(crate) fn check(text: &str) -> Result<(), TemplateProblem> {
    parse(text)?;
    match functions::unknown(text) {
        None => Ok(()),
        Some((name, line)) => {
            Err(TemplateProblem(format!("{line}: function `{name}` is not defined")))
        }
    }
}

/// Reads a template.
pub(crate) fn read(at: &Node<'_>) -> Option<String> {
    let text = at.text(usize::MAX)?;
    match check(&text) {
        Ok(()) => Some(text),
        Err(problem) => at.problem(format!("is not a template: {problem}"), HELP),
    }
}

/// Fills a template in. `variables` is what it calls `.`; a name that is not among them is written
/// as `<no value>`, as Go does. A text that grows beyond what a step may give is refused.
pub fn render(text: &str, variables: &Map<String, Value>) -> Result<String, TemplateProblem> {
    let template = parse(text)?;
    let data = GoValue::Map(Arc::new(fields(variables)));
    let mut out = Bounded(String::new());
    template.execute_fmt(&mut out, &data).map_err(|error| match error {
        TemplateError::Write => {
            TemplateProblem(format!("it makes more than {TEMPLATE_OUTPUT} bytes"))
        }
        error => error.into(),
    })?;
    Ok(out.0)
}

/// A value as Go prints it with `%v`: `map[a:1 b:[x y]]`, `<nil>`.
pub fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => go(other).to_string(),
    }
}

/// The library ends its own recursion at a hundred blocks inside each other, but neither at
/// parentheses nor at `else if`.
fn parse(text: &str) -> Result<Template, TemplateProblem> {
    if parentheses(text) > TEMPLATE_NESTING || text.matches("else").count() > TEMPLATE_NESTING {
        let message =
            format!("it has more than {TEMPLATE_NESTING} `(` inside each other, or `else`");
        return Err(TemplateProblem(message));
    }
    let template = Template::new(NAME).max_range_iters(TEMPLATE_ROUNDS);
    let template = template.func("json", functions::json).parse(text)?;
    match blocks::problem(text) {
        None => Ok(template),
        Some(problem) => Err(TemplateProblem(problem)),
    }
}

/// How many parentheses are open at once, texts between actions included.
fn parentheses(text: &str) -> usize {
    let mut open = 0_usize;
    let mut most = 0;
    for byte in text.bytes() {
        match byte {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => continue,
        }
        most = most.max(open);
    }
    most
}

fn fields(map: &Map<String, Value>) -> BTreeMap<Arc<str>, GoValue> {
    map.iter().map(|(name, value)| (Arc::from(name.as_str()), go(value))).collect()
}

fn go(value: &Value) -> GoValue {
    match value {
        Value::Null => GoValue::Nil,
        Value::Bool(truth) => GoValue::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => GoValue::Int(whole),
            None => GoValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => GoValue::String(Arc::from(text.as_str())),
        Value::Array(list) => GoValue::List(list.iter().map(go).collect()),
        Value::Object(map) => GoValue::Map(Arc::new(fields(map))),
    }
}

/// A text that stops growing.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > TEMPLATE_OUTPUT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(template: &str) -> Result<String, String> {
        let variables = json!({
            "input": "hello",
            "n": 1_000_000,
            "f": 8.256,
            "list": [1, 2.5, "x", null, true],
            "a-b": {"c": "<d>"},
        });
        let variables = variables.as_object().unwrap();
        render(template, variables).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_language_is_go_s() {
        for (template, text) in [
            ("{{.input}} {{.n}} {{.f}}", "hello 1000000 8.256"),
            ("a {{- .input -}} b", "ahellob"),
            ("{{if eq .input \"hello\"}}y{{else}}n{{end}}", "y"),
            (
                "{{range $i, $e := .list}}{{$i}}={{$e}};{{end}}",
                "0=1;1=2.5;2=x;3=<no value>;4=true;",
            ),
            ("{{with index . \"a-b\"}}{{.c | html}}{{end}}", "&lt;d&gt;"),
            ("{{printf \"%05d|%q\" .n .input}} {{len .input}}", "1000000|\"hello\" 5"),
            ("{{.nothing}}", "<no value>"),
            ("{{.list}}", "[1 2.5 x <nil> true]"),
            ("{{and .input (not .nothing)}} {{or \"\" .input}} {{gt .n 3}}", "true hello true"),
            ("{{json .list}} {{.f | json}}", "[1,2.5,\"x\",null,true] 8.256"),
            ("{{/* quiet {{if}} */}}{{$x := 3}}{{$x}}", "3"),
            ("{{if \"}}{{end}}\"}}{{- `}}` -}}{{end}}", "}}"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (template, part) in [
            ("{{.input", "1:"),
            ("{{.a-b}}", "unexpected character"),
            ("{{if .input}}", "unexpected EOF"),
            ("{{if .input}}{{else}}", "unexpected EOF"),
            ("a\n{{.input}}{{ end }}b", "2: unexpected {{end}}"),
            ("{{range .list}}{{with .}}{{end}}", "unexpected EOF"),
            ("a\n{{if .input}}{{print (upper .input)}}{{end}}", "2: function `upper`"),
        ] {
            let problem = check(template).expect_err(template).to_string();
            assert!(problem.contains(part), "{template}: {problem}");
        }
        assert!(rendered("{{index .list 9}}").is_err());
        assert!(rendered("{{json .list .f}}").is_err());
    }

    #[test]
    fn excess_is_refused() {
        let nested = |count: usize| "(".repeat(count) + "1" + &")".repeat(count);
        assert!(check(&format!("{{{{{}}}}}", nested(100_000))).is_err());
        let blocks = "{{if .input}}".repeat(20_000) + &"{{end}}".repeat(20_000);
        assert!(check(&blocks).is_err());
        let chain = "{{if .input}}".to_owned() + &"{{else if .n}}".repeat(20_000) + "{{end}}";
        assert!(check(&chain).is_err());
        assert!(rendered("{{range 1000000}}{{range 1000000}}x{{end}}{{end}}").is_err());
        assert!(rendered("{{range 200000}}{{printf \"%0900d\" 1}}{{end}}").is_err());
        assert!(rendered("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}").is_err());
    }
}
