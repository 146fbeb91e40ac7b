//! The file of backends with the keys that it names, and a look at how they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tenure_agents::backends::{self, Backend, KeyPlace};
use tenure_agents::model::pools::{Report, State};
use tenure_agents::model::{BackendConfig, Models};
use tenure_agents::{ModelConfig, Secret};

/// How the backends of a file are.
#[derive(Args, Clone, Debug)]
pub struct Backends {
    /// File with the backends of models and their pools.
    #[arg(id = "file", long = "models", value_name = "FILE", env = "TENURE_MODELS")]
    pub models: PathBuf,
    /// For people, or JSON for programs.
    // Its id is that of the option of the `tenure` command, which is the same one there.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Who reads the output. The option of the `tenure` command is the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables and sentences.
    Text,
    /// JSON only: one object, or one line per event.
    Json,
}

impl Backends {
    /// Asks each backend once, with the worker's own keys for those that have none, and writes to
    /// standard output; whether all answer.
    pub async fn show(&self, models: &ModelConfig) -> anyhow::Result<bool> {
        let config = ModelConfig { backends: read(&self.models)?, ..models.clone() };
        let models = Models::new(config).map_err(anyhow::Error::msg)?;
        let reports = models.pools().check().await;
        let text = match self.output {
            Output::Text => table(&reports),
            Output::Json => format!("{}\n", serde_json::to_string_pretty(&reports)?),
        };
        io::stdout().write_all(text.as_bytes())?;
        Ok(reports.iter().all(|report| report.state != State::Down))
    }
}

/// The backends of a file and their keys.
pub(crate) fn read(path: &Path) -> anyhow::Result<BackendConfig> {
    let text = fs::read_to_string(path).with_context(|| format!("--models {}", path.display()))?;
    let read = with_keys(&text, |name| env::var(name).ok());
    read.map_err(|problems| anyhow::anyhow!("the backends of {}:\n{problems}", path.display()))
}

fn with_keys(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BackendConfig, String> {
    let all = backends::Backends::read(text).map_err(|problems| problems.to_string())?;
    let (mut keys, mut problems) = (BTreeMap::new(), Vec::new());
    for (index, backend) in all.backends.iter().enumerate() {
        match key(backend, &variable) {
            Ok(Some(key)) => drop(keys.insert(backend.name.clone(), key)),
            Ok(None) => {}
            Err(problem) => problems.push(format!("backend[{index}].key: {problem}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    Ok(BackendConfig { all, keys, ..BackendConfig::default() })
}

/// The key of a backend that has one of its own.
fn key(
    backend: &Backend,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, String> {
    let value = match &backend.key {
        None => return Ok(None),
        Some(KeyPlace::Variable(name)) => {
            variable(name).ok_or_else(|| format!("there is no variable {name}; set it"))?
        }
        Some(KeyPlace::File(path)) => {
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    match value.trim() {
        "" => Err("the key is empty".into()),
        key => Ok(Some(Secret::new(key))),
    }
}

fn table(reports: &[Report]) -> String {
    let rows = reports.iter().map(|report| {
        let state = match report.state {
            State::Up => "up",
            State::Degraded => "degraded",
            State::Down => "down",
        };
        [
            report.backend.clone(),
            state.into(),
            report.provider.into(),
            report.address.clone(),
            report.pools.join(","),
            report.models.len().to_string(),
            remark(report),
        ]
    });
    let head = ["BACKEND", "STATE", "PROVIDER", "ADDRESS", "POOLS", "MODELS", ""];
    let rows: Vec<_> = std::iter::once(head.map(String::from)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..head.len()).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// What an operator should know about a backend.
fn remark(report: &Report) -> String {
    let problem = report.problem.clone();
    let missing =
        (!report.missing.is_empty()).then(|| format!("lacks {}", report.missing.join(", ")));
    problem.into_iter().chain(missing).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        [[backend]]
        name = 'a'
        provider = 'openai'
        key = 'env://A_KEY'
        [[backend]]
        name = 'b'
        provider = 'ollama'
        key = 'file:///no/such/file'
    ";

    #[test]
    fn keys_are_found_or_all_of_them_are_missed() {
        let problems = with_keys(FILE, |_| None).unwrap_err();
        assert!(problems.contains("backend[0].key: there is no variable A_KEY"), "{problems}");
        assert!(problems.contains("backend[1].key: /no/such/file: "), "{problems}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "sk-two\n").unwrap();
        let text = FILE.replace("/no/such/file", &file.display().to_string());
        let config = with_keys(&text, |_| Some("sk-one".into())).unwrap();
        assert_eq!(config.keys["b"], Secret::new("sk-two"));
        assert!(!format!("{config:?}").contains("sk-"), "{config:?}");
        assert!(with_keys(&text, |_| Some(" ".into())).unwrap_err().contains("is empty"));
    }

    #[test]
    fn the_table_is_for_people() {
        let report = Report {
            backend: "gpu".into(),
            provider: "ollama",
            address: "http://gpu:11434/".into(),
            pools: vec!["chat".into()],
            state: State::Down,
            in_flight: 0,
            latency_ms: None,
            last_error: None,
            problem: Some("model_connection: refused".into()),
            models: vec!["m".into()],
            missing: vec![],
            pulling: BTreeMap::new(),
            checked_seconds_ago: Some(0),
        };
        let text = table(&[report]);
        assert_eq!(
            text,
            "BACKEND  STATE  PROVIDER  ADDRESS            POOLS  MODELS\n\
             gpu      down   ollama    http://gpu:11434/  chat   1       model_connection: refused\n"
        );
    }
}
