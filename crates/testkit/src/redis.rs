//! Redis for tests: the shared server, and one that a test may kill.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The URL of the shared Redis, which `TENURE_TEST_REDIS_URL` names, and a prefix that no other test
/// uses there.
///
/// A missing variable is a failure, never a skipped test: `scripts/test` sets it.
pub fn shared() -> (String, String) {
    let url = std::env::var("TENURE_TEST_REDIS_URL")
        .expect("TENURE_TEST_REDIS_URL names no Redis: run the tests by scripts/test");
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    (url, format!("tenure-test-{}-{number}", std::process::id()))
}

/// A Redis of a test's own, at a Unix socket. It dies with this value.
pub struct Server {
    /// Where it listens, also while it is dead.
    pub url: String,
    dir: TempDir,
    /// With its output, so that it can go on writing.
    running: Option<(Child, Lines<BufReader<ChildStdout>>)>,
}

impl Server {
    /// One that [`start`](Self::start) brings up.
    pub fn stopped() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let url = format!("unix://{}/redis.sock", dir.path().display());
        Self { url, dir, running: None }
    }

    /// Starts it, empty; connections are accepted when this returns.
    pub async fn start(&mut self) {
        let child = self.spawn("redis-server").or_else(|_| self.spawn("valkey-server"));
        let mut child = child.expect("redis-server or valkey-server is installed");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        while let Some(line) = said.next_line().await.expect("its output can be read") {
            if line.contains("ready to accept connections") {
                self.running = Some((child, said));
                return;
            }
        }
        panic!("Redis ended while it was starting");
    }

    fn spawn(&self, program: &str) -> std::io::Result<Child> {
        Command::new(program)
            .args(["--port", "0", "--unixsocket", "redis.sock", "--unixsocketperm", "700"])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(self.dir.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Kills it as a crash does; it is gone when this returns.
    pub async fn kill(&mut self) {
        let (mut child, _) = self.running.take().expect("it is running");
        child.kill().await.expect("it can be killed");
    }
}
