//! The worker as a child process that is started again whenever it dies.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What is logged unless `RUST_LOG` says otherwise.
pub(super) const LOG: &str = "warn";
/// How long a worker may take to give back its runs.
const GRACE: Duration = Duration::from_secs(7);
/// A worker that lived shorter than this did not die of its work,
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// and the next one is not started at once: first and longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How workers are started.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) url: String,
    pub(super) tenant: String,
    /// The directory whose files agents may read.
    pub(super) files: Option<PathBuf>,
    /// Have each step announced on standard output.
    pub(super) announce_steps: bool,
    /// After how many steps the first worker starts no more; the others are not held.
    pub(super) hold_after: Option<u32>,
}

/// What happens to workers.
#[derive(Debug)]
pub(super) enum Event {
    Started {
        pid: u32,
    },
    /// A worker printed this.
    Line(String),
    /// A worker has ended without being asked; everything that it printed came before.
    Died {
        pid: u32,
        how: String,
    },
    /// There is no further worker.
    Failed(io::Error),
}

/// The supervisor of one worker at a time.
#[derive(Debug)]
pub(super) struct Workers {
    kill: mpsc::Sender<()>,
    events: mpsc::UnboundedReceiver<Event>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Workers {
    /// Starts the first worker. It and its successors end when `stop` is cancelled.
    pub(super) fn start(options: Options, stop: CancellationToken) -> io::Result<Self> {
        let (kill, killed) = mpsc::channel(1);
        let (sender, events) = mpsc::unbounded_channel();
        let first = Worker::spawn(&options, &sender)?;
        let options = Options { hold_after: None, ..options };
        let supervisor = Supervisor { options, sender, killed, stop: stop.clone() };
        let task = tokio::spawn(supervisor.run(first));
        Ok(Self { kill, events, stop, task })
    }

    /// The next thing that happens; never returns after the end.
    pub(super) async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Kills the worker with SIGKILL: it gets no chance to do anything.
    pub(super) fn kill(&self) {
        // Full: it is being killed already. Closed: there is none.
        let _ = self.kill.try_send(());
    }

    /// Ends the worker and waits for it.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // The task ends within the grace by itself; if it panicked, the child went with it.
        let _ = self.task.await;
    }
}

struct Supervisor {
    options: Options,
    sender: mpsc::UnboundedSender<Event>,
    killed: mpsc::Receiver<()>,
    stop: CancellationToken,
}

impl Supervisor {
    async fn run(mut self, first: Worker) {
        let mut worker = first;
        let mut pause = PAUSES.0;
        while let Some(lived) = self.attend(worker).await {
            if lived >= SHORT_LIFE {
                pause = PAUSES.0;
            } else if tokio::time::timeout(pause, self.stop.cancelled()).await.is_ok() {
                return;
            } else {
                pause = (pause * 2).min(PAUSES.1);
            }
            worker = match Worker::spawn(&self.options, &self.sender) {
                Ok(next) => next,
                Err(error) => return drop(self.sender.send(Event::Failed(error))),
            };
        }
    }

    /// Stays with a worker until it has died (how long it lived) or was stopped (`None`).
    async fn attend(&mut self, mut worker: Worker) -> Option<Duration> {
        let mut murdered = false;
        let status = loop {
            tokio::select! {
                status = worker.child.wait() => break status,
                () = self.stop.cancelled() => {
                    worker.stop().await;
                    return None;
                }
                Some(()) = self.killed.recv() => {
                    murdered = true;
                    // An error means that it is dead already, which `wait` will tell.
                    let _ = worker.child.start_kill();
                }
            }
        };
        let how = status.map_or_else(|error| error.to_string(), how);
        // What it printed is in the pipe still, and belongs before its death.
        let _ = worker.reader.await;
        let _ = self.sender.send(Event::Died { pid: worker.pid, how });
        // A worker that we killed may have its successor at once.
        Some(if murdered { SHORT_LIFE } else { worker.started.elapsed() })
    }
}

/// One worker process.
struct Worker {
    pid: u32,
    child: Child,
    /// What it notices our death by. Kept apart from `child`, whose `wait` would close it.
    stdin: Option<ChildStdin>,
    started: Instant,
    reader: JoinHandle<()>,
}

impl Worker {
    fn spawn(options: &Options, sender: &mpsc::UnboundedSender<Event>) -> io::Result<Self> {
        let mut child = command(options)?.spawn()?;
        let pid = child.id().unwrap_or_default();
        let _ = sender.send(Event::Started { pid });
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let reader = tokio::spawn(read(stdout, sender.clone()));
        Ok(Self { pid, child, stdin, started: Instant::now(), reader })
    }

    /// Asks it to end by closing its standard input, and insists after a while.
    async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn command(options: &Options) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", "--exit-with-parent", "--url", &options.url]);
    command.args(["--tenant", &options.tenant]);
    if let Some(files) = &options.files {
        command.arg("--files").arg(files);
    }
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", LOG);
    }
    if options.announce_steps {
        command.arg("--announce-steps");
    }
    if let Some(steps) = options.hold_after {
        command.args(["--hold-after", &steps.to_string()]);
    }
    // A group of its own keeps the terminal's Ctrl-C from it, so that it is us who end it, in order.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
    Ok(command)
}

async fn read(stdout: Option<ChildStdout>, sender: mpsc::UnboundedSender<Event>) {
    let Some(stdout) = stdout else { return };
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = sender.send(Event::Line(line));
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (_, Some(9)) => "SIGKILL".into(),
        (Some(code), _) => format!("status {code}"),
        (None, _) => status.to_string(),
    }
}
