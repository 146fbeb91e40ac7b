//! Processes of this program: each does what it is told on standard input, a line of JSON, and
//! answers with another on standard output.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{self, ChildStdin, ChildStdout, Command};

/// One of them. It ends with this value.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    asked: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program in another role. What it has to say to people goes to `NAME.log`.
    pub(crate) fn start(name: &str, role: Command, logs: &Path) -> anyhow::Result<Self> {
        let log =
            File::options().create(true).append(true).open(logs.join(format!("{name}.log")))?;
        let mut role = role;
        role.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut process = role.spawn().with_context(|| format!("{name} cannot be started"))?;
        let asked = process.stdin.take().context("a pipe is missing")?;
        let answers = process.stdout.take().context("a pipe is missing")?;
        let answers = BufReader::new(answers).lines();
        Ok(Self { name: name.to_owned(), process, asked, answers })
    }

    /// Has it do something, and waits for the answer.
    pub(crate) async fn ask<A: DeserializeOwned>(
        &mut self,
        request: &impl Serialize,
    ) -> anyhow::Result<A> {
        let line = format!("{}\n", serde_json::to_string(request)?);
        let answer = async {
            self.asked.write_all(line.as_bytes()).await?;
            self.answers.next_line().await
        };
        let Ok(Some(answer)) = answer.await else {
            bail!("{} has ended by itself; see its log", self.name)
        };
        serde_json::from_str(&answer).with_context(|| format!("{} says `{answer}`", self.name))
    }

    /// The process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().with_context(|| format!("{} has ended by itself", self.name))
    }
}

/// This program, to be started in the role of this name.
pub(crate) fn role(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name);
    Ok(command)
}

/// In such a process: answers whatever is asked, until the one that has started it has gone.
pub(crate) async fn answer<R: DeserializeOwned, A: Serialize>(
    mut work: impl AsyncFnMut(R) -> anyhow::Result<A>,
) -> anyhow::Result<()> {
    let mut requests = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while let Some(request) = requests.next_line().await? {
        let answer = work(serde_json::from_str(&request)?).await?;
        answers.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes()).await?;
        answers.flush().await?;
    }
    Ok(())
}
