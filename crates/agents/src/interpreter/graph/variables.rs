//! The variables of a run: its input, and what its nodes gave.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tenure_sdk::Failure;
use tenure_spec::graph::GraphNode;
use tenure_spec::{DataType, template};

use super::data::Data;

/// All variables, as values and as templates see them.
#[derive(Clone)]
pub(super) struct Variables {
    values: BTreeMap<String, Data>,
    map: Map<String, Value>,
}

impl Variables {
    pub(super) fn new(input: &Data) -> Self {
        let mut variables = Self { values: BTreeMap::new(), map: Map::new() };
        variables.set("input", input);
        variables
    }

    pub(super) fn set(&mut self, name: &str, data: &Data) {
        self.map.insert(name.into(), seen(data));
        self.values.insert(name.into(), data.clone());
    }

    pub(super) fn get(&self, name: &str) -> Result<&Data, Failure> {
        self.values.get(name).ok_or_else(|| {
            let message = format!("the variable `{name}` has no value yet");
            Failure::permanent("graph_variable", message)
        })
    }

    /// The value that a path such as `search.found` leads to: a variable, or a field in one.
    pub(super) fn at(&self, path: &str) -> Result<&Value, Failure> {
        if self.values.contains_key(path) {
            return Ok(&self.get(path)?.value);
        }
        let mut fields = path.split('.');
        let first = &self.get(fields.next().unwrap_or_default())?.value;
        fields
            .try_fold(first, |value, field| value.get(field))
            .ok_or_else(|| Failure::permanent("graph_variable", format!("there is no `{path}`")))
    }

    /// What templates know.
    pub(super) fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// What a node is given, `last` being the last output.
    pub(super) fn input(&self, node: &GraphNode, last: &Data) -> Result<Data, Failure> {
        let input = node.input.as_deref().map_or(Ok(last), |name| self.get(name))?;
        self.filled(node.template.as_deref(), input)
    }

    /// What a template makes of the variables, or the input if there is none.
    pub(super) fn filled(&self, template: Option<&str>, input: &Data) -> Result<Data, Failure> {
        let Some(text) = template else {
            return Ok(input.clone());
        };
        Ok(Data::new(DataType::String, self.render("template", text)?))
    }

    /// Fills a template in; `field` is where it stands.
    pub(super) fn render(&self, field: &str, text: &str) -> Result<String, Failure> {
        template::render(text, &self.map).map_err(|problem| {
            Failure::permanent("graph_template", format!("`{field}`: {problem}"))
        })
    }
}

/// A conversation is a Go structure where templates like this were first written, so its fields
/// have these names too: `{{(index .input.Messages 0).Content}}`.
fn seen(data: &Data) -> Value {
    match data.kind {
        DataType::ChatHistory | DataType::OpenaiChat | DataType::OpenaiChatResponse => {
            with_go_names(&data.value)
        }
        _ => data.value.clone(),
    }
}

fn with_go_names(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(with_go_names).collect(),
        Value::Object(map) => {
            let both = map.iter().flat_map(|(name, value)| {
                let value = with_go_names(value);
                [(go_name(name), value.clone()), (name.clone(), value)]
            });
            Value::Object(both.collect())
        }
        plain => plain.clone(),
    }
}

fn go_name(name: &str) -> String {
    if name == "id" {
        return "ID".into();
    }
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('_').filter_map(word).collect()
}
