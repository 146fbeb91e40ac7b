//! Servers that are programs, over their standard input and output.

use std::fmt::Write as _;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};
use tenure_sdk::Failure;
use tenure_spec::McpTools;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Reach;
use super::trouble::Trouble;
use crate::secrets::Receiver;

/// How long a program may take to end when its input has ended; then its group is killed.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of what a program last said on standard error that are kept for messages.
const LAST_WORDS: usize = 1_024;
/// How long a message waits for them.
const LISTENING: Duration = Duration::from_millis(200);

/// A program that runs. Dropped, it ends, with all processes of its group.
pub(super) struct Program {
    group: Option<Group>,
    last_words: Arc<Mutex<String>>,
    /// Closed when the program says no more.
    silent: watch::Receiver<()>,
}

/// What a program is spoken with through.
pub(super) type Pipes = (ChildStdout, ChildStdin);

/// Starts the server's program, if the worker allows it.
pub(super) fn start(server: &McpTools, reach: &Reach) -> Result<(Program, Pipes), Trouble> {
    let command = server.command.as_deref().unwrap_or_default();
    if !reach.programs.iter().any(|program| program == command) {
        return Err(Trouble::Forbidden(forbidden(command)));
    }
    let variables = reach.secrets.fill_all(&server.env, Receiver::Program);
    let variables = variables.map_err(Trouble::Forbidden)?;
    let mut process = Command::new(command);
    process.args(&server.args).env_clear().envs(reach.variables.iter()).envs(variables);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    process.process_group(0);
    if reach.folder.is_dir() {
        process.current_dir(&reach.folder);
    }
    let failed = |error: io::Error| Trouble::Unreachable(format!("`{command}`: {error}"));
    let mut child = process.spawn().map_err(failed)?;
    let pipes = (child.stdout.take(), child.stdin.take(), child.stderr.take());
    let last_words = Arc::<Mutex<String>>::default();
    let (speaks, silent) = watch::channel(());
    let group = Some(Group { leader: child.id(), child });
    let program = Program { group, last_words: last_words.clone(), silent };
    let (Some(output), Some(input), Some(errors)) = pipes else {
        return Err(failed(io::ErrorKind::BrokenPipe.into()));
    };
    tokio::spawn(listen(errors, last_words, speaks));
    Ok((program, (output, input)))
}

/// Keeps the end of what a program says, and reads on, so that it never waits for a reader.
async fn listen(mut errors: ChildStderr, last_words: Arc<Mutex<String>>, _: watch::Sender<()>) {
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = errors.read(&mut buffer).await {
        let mut kept = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let cut = kept.len().saturating_sub(LAST_WORDS);
        let cut = (cut..=kept.len()).find(|at| kept.is_char_boundary(*at)).unwrap_or_default();
        kept.drain(..cut);
    }
}

impl Program {
    /// A message with what the program last said.
    pub(super) async fn explain(&self, message: String) -> String {
        // Its end may be seen before its words.
        let _ = tokio::time::timeout(LISTENING, self.silent.clone().changed()).await;
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let mut message = message;
        if let Some(line) = words.trim().lines().last() {
            // Writing to a string does not fail.
            let _ = write!(message, "; its last words: {line}");
        }
        message
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let Some(mut group) = self.group.take() else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Its input ends with the connection, which is how a server is asked to end.
                let _ = tokio::time::timeout(GRACE, group.child.wait()).await;
            });
        }
    }
}

/// A program and all that it has started, which are killed where this is dropped.
struct Group {
    child: Child,
    /// The id of the program, and of its group.
    leader: Option<u32>,
}

impl Drop for Group {
    fn drop(&mut self) {
        // What has ended already cannot be killed, which is as good.
        #[cfg(unix)]
        if let Some(leader) = self.leader.and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        let _ = self.child.start_kill();
    }
}

fn forbidden(command: &str) -> Failure {
    let message = format!(
        "the worker may not start `{command}`; start it with `--allow-program {command}` if it may"
    );
    Failure::permanent("program_forbidden", message)
}
