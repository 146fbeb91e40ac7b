//! The worker's side.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tenure_sdk::Failure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Report, Request, WORD};

/// How much longer than the command's own time the sandbox may take: to start, and to end what
/// hangs in the kernel.
const GRACE: Duration = Duration::from_secs(20);
/// Bytes of a report: twice the longest output, written as widely as JSON can.
const REPORT: u64 = 2 << 20;

/// Executes a request with the help of `helper`. Dropped, it ends the command and all it has started.
/// An error tells that nobody knows what has become of it.
pub(crate) async fn run(helper: &Path, request: &Request) -> Result<Report, Failure> {
    let mut line = serde_json::to_vec(request).map_err(|error| lost(&error.to_string()))?;
    line.push(b'\n');
    let mut child = start(helper, request.network).map_err(|error| {
        let message = format!("the sandbox `{}` cannot be started: {error}", helper.display());
        Failure::retryable("sandbox_unavailable", message)
    })?;
    // Held to the end: its end tells the sandbox to end.
    let stdin = child.stdin.take();
    let report = timeout(request.limits.time.saturating_add(GRACE), talk(&mut child, stdin, &line));
    let report = report.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let bytes = report.map_err(|error| lost(&error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|_| lost("it ended without telling what happened"))
}

fn start(helper: &Path, network: bool) -> std::io::Result<Child> {
    Command::new(helper)
        .args([WORD, "outer"])
        .args(network.then_some("--network"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A signal to the worker's group, as Ctrl-C is, is not meant for commands.
        .process_group(0)
        .spawn()
}

async fn talk(
    child: &mut Child,
    stdin: Option<tokio::process::ChildStdin>,
    line: &[u8],
) -> std::io::Result<Vec<u8>> {
    let gone = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let (mut stdin, stdout) = (stdin.ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
    stdin.write_all(line).await?;
    let mut report = Vec::new();
    stdout.take(REPORT).read_to_end(&mut report).await?;
    drop(stdin);
    child.wait().await?;
    Ok(report)
}

fn lost(why: &str) -> Failure {
    let message = format!("the sandbox was lost, and nobody knows what the command did: {why}");
    Failure::permanent("sandbox_lost", message)
}
