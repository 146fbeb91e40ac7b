//! Cases as the corpus writes them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// All cases of a file.
#[derive(Deserialize)]
pub(crate) struct Suite {
    /// Names of cases, each with a remark behind a space or without, in which the original may be
    /// improved on.
    quirks: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// A chain, what it is given, and what must come out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) chain: Value,
    #[serde(default)]
    pub(crate) input: Value,
    #[serde(default)]
    pub(crate) input_type: Value,
    /// Replies of the model, one for each call.
    #[serde(default)]
    pub(crate) model: Vec<Line>,
    /// Answers of the hooks; the last one is repeated.
    #[serde(default)]
    pub(crate) hooks: BTreeMap<String, Vec<Value>>,
    pub(crate) expect: Expect,
}

/// What the model does at one call.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Line {
    #[serde(default)]
    pub(crate) reply: String,
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
}

/// What must come out.
#[derive(Deserialize)]
pub(crate) struct Expect {
    pub(crate) error: Option<String>,
    pub(crate) output: Option<Value>,
    #[serde(rename = "outputType")]
    pub(crate) output_type: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) model_calls: Vec<Value>,
    #[serde(default)]
    pub(crate) hook_calls: Vec<Value>,
}

/// One attempt of a task.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    #[serde(rename = "taskID")]
    pub(crate) task: String,
    pub(crate) task_handler: String,
    pub(crate) input_type: String,
    pub(crate) output_type: String,
    pub(crate) transition: String,
    pub(crate) error: String,
    pub(crate) input: String,
    pub(crate) output: String,
}

impl Suite {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    pub(crate) fn is_quirk(&self, name: &str) -> bool {
        self.quirks.iter().any(|quirk| quirk.split(' ').next() == Some(name))
    }
}

impl Case {
    /// The request as its user sent it.
    pub(crate) fn document(&self) -> String {
        json!({"input": self.input, "inputType": self.input_type, "chain": self.chain}).to_string()
    }

    /// The tasks by their places.
    pub(crate) fn tasks(&self) -> &[Value] {
        self.chain.get("tasks").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The task that must fail, if the case says which.
    pub(crate) fn failing(&self) -> Option<String> {
        let error = self.expect.error.as_deref()?;
        let named = error.strip_prefix("task ").and_then(|rest| rest.split([' ', ':']).next());
        let ids: Vec<_> = self.tasks().iter().filter_map(|task| task.get("id")?.as_str()).collect();
        let named = named.filter(|name| ids.contains(name)).map(ToOwned::to_owned);
        named.or_else(|| self.expect.steps.last().map(|step| step.task.clone()))
    }
}
