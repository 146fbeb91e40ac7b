//! The worker, a process of its own: an agent with two tools, each of which needs approval.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tenure_sdk::{Approval, Context, EntryKind, Stop, Worker, join, shutdown_signal};
use tenure_testkit::app;
use tenure_testkit::processes::end_with_parent;

/// The agent's name.
pub(crate) const AGENT: &str = "clerk";
/// Its tools, in the order of their results.
pub(crate) const TOOLS: [&str; 2] = ["book", "pay"];
/// The scope of what is executed, rather than waited for, while the worker is killed.
pub(crate) const WATCH: &str = "watch";
/// Names the control plane, and makes this program a worker.
pub(crate) const URL: &str = "TENURE_TEST_WORKER";
/// Names the file of all calls.
pub(crate) const CALLS: &str = "TENURE_TEST_CALLS";

/// What a tool is asked for.
pub(crate) const ASKED: u32 = 100;

/// In which moment the first worker is killed; the input of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Killed {
    /// No worker has the run: it waits for the second approval.
    Parked,
    /// The worker has its lease, and executes a step beside the second approval.
    AtWork,
}

/// One call of a tool, as the tool saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) tool: String,
    pub(crate) amount: u32,
}

/// The file of all calls: what is in it has happened, whoever died afterwards.
#[derive(Clone)]
pub(crate) struct Calls(PathBuf);

impl Calls {
    pub(crate) fn of(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// All of them, in their order.
    pub(crate) fn read(&self) -> io::Result<Vec<Call>> {
        let text = std::fs::read_to_string(&self.0)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn write(&self, tool: &str, amount: u32) -> io::Result<()> {
        let line = serde_json::to_string(&Call { tool: tool.to_owned(), amount })? + "\n";
        let mut file = File::options().create(true).append(true).open(&self.0)?;
        file.write_all(line.as_bytes())
    }
}

/// Works until it is killed, or until the test has gone, however that ended.
pub(crate) async fn work(url: &str) -> anyhow::Result<()> {
    end_with_parent();
    let calls = Calls::of(std::env::var_os(CALLS).context("TENURE_TEST_CALLS names no file")?);
    let agent = move |context, killed| agent(context, killed, calls.clone());
    Worker::new(app::client(url)).handle(AGENT, agent).run(shutdown_signal()).await?;
    Ok(())
}

async fn agent(context: Context, killed: Killed, calls: Calls) -> Result<Vec<u32>, Stop> {
    let busy = (killed == Killed::AtWork).then_some(WATCH);
    let branches = TOOLS.into_iter().chain(busy);
    let branches = branches.map(|name| Ok((name, context.scope(name)?)));
    let branches = branches.collect::<Result<Vec<_>, Stop>>()?;
    let branch = async |(name, scope): &(&str, Context)| match *name {
        WATCH => watch(scope, &calls).await,
        tool => call(scope, tool, &calls).await,
    };
    join(branches.iter().map(branch)).await
}

/// Calls a tool as far as it is approved.
async fn call(context: &Context, tool: &str, calls: &Calls) -> Result<u32, Stop> {
    let amount = match context.approve(tool, &ASKED).await? {
        Approval::Approved(amount) => amount,
        Approval::Rejected { .. } | Approval::Responded(_) => return Ok(0),
    };
    let step = context.step(tool).kind(EntryKind::Tool).input(&amount);
    step.run(|_| async {
        calls.write(tool, amount)?;
        Ok(amount)
    })
    .await
}

/// A step that does not end in the worker that executes it first.
async fn watch(context: &Context, calls: &Calls) -> Result<u32, Stop> {
    let step = context.step(WATCH).run(|_| async {
        calls.write(WATCH, 0)?;
        let executions = calls.read()?.into_iter().filter(|call| call.tool == WATCH).count();
        if executions == 1 {
            std::future::pending::<()>().await;
        }
        Ok(0)
    });
    step.await
}
