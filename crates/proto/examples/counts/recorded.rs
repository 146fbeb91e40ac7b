//! What is recorded, and on what.

use std::collections::BTreeMap;
use std::env::consts::{ARCH, OS};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{count, paths};

/// Seen from the top of the repository, where `scripts/counts` goes.
const FILE: &str = "crates/proto/examples/counts/recorded.json";

/// Instructions of each path, and what they depend on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Recorded {
    /// The compiler, such as `1.95.0`.
    pub(crate) rustc: String,
    /// The machine, such as `x86_64-linux`.
    pub(crate) machine: String,
    /// Instructions of one execution, by the name of the path.
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Recorded {
    /// What the repository has.
    pub(crate) fn read() -> Result<Self> {
        let text = std::fs::read(FILE)
            .with_context(|| format!("{FILE} cannot be read: run scripts/counts --record"))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{FILE} is damaged: run scripts/counts --record"))
    }

    /// What this machine counts.
    pub(crate) fn now() -> Result<Self> {
        let counted = paths::names().map(|name| Ok((name.to_owned(), count::instructions(name)?)));
        Ok(Self {
            rustc: rustc()?,
            machine: format!("{ARCH}-{OS}"),
            instructions: counted.collect::<Result<_>>()?,
        })
    }

    /// Puts this into the repository.
    pub(crate) fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(FILE, text).with_context(|| format!("{FILE} cannot be written"))
    }
}

/// The version of the compiler here, without what else it says.
fn rustc() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("rustc is missing")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.split_whitespace().nth(1).context("rustc has not said its version")?;
    Ok(version.to_owned())
}
