//! The variables of a run: its input, and what its nodes gave.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tenure_sdk::Failure;
use tenure_spec::graph::GraphNode;
use tenure_spec::{DataType, template};

use super::data::Data;

/// All variables, as values and as templates see them.
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

    /// What templates know.
    pub(super) fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// What a node is given, `last` being the last output.
    pub(super) fn input(&self, node: &GraphNode, last: &Data) -> Result<Data, Failure> {
        let input = node.input.as_deref().map_or(Ok(last), |name| self.get(name))?;
        let Some(text) = &node.template else {
            return Ok(input.clone());
        };
        let text = template::render(text, &self.map);
        let text = text.map_err(|problem| {
            Failure::permanent("graph_template", format!("`template`: {problem}"))
        })?;
        Ok(Data::new(DataType::String, text))
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
