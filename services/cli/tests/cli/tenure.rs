//! Starting `tenure`, and hearing what it says.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// `tenure` with these arguments, and nothing of the environment of whoever tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// A process whose lines are JSON.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: Receiver<Value>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines() {
                let line = serde_json::from_str(&line.unwrap()).unwrap();
                // Nobody may be listening any more.
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that is so.
    pub(crate) fn until(&self, so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the line comes");
            if so(&line) {
                return line;
            }
        }
    }
}

/// `tenure dev` in a directory of its own. It is killed when this is dropped.
pub(crate) struct Dev {
    pub(crate) dir: TempDir,
    pub(crate) process: Process,
    pub(crate) url: String,
    /// The process id of its worker.
    pub(crate) worker: u64,
    /// Its worker writes here too.
    stderr: Option<ChildStderr>,
}

impl Dev {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command(&["dev", "--listen", "127.0.0.1:0", "--output", "json"]);
        command.current_dir(dir.path()).stderr(Stdio::piped());
        let mut process = Process::start(command);
        let stderr = process.child.stderr.take();
        let listening = process.until(|line| line["event"] == "listening");
        let started = process.until(|line| line["event"] == "worker_started");
        let url = listening["url"].as_str().unwrap().to_owned();
        Self { dir, process, url, worker: started["pid"].as_u64().unwrap(), stderr }
    }

    /// A file in its directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A command for it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.args(["--url", &self.url]).current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args))
    }

    /// What a command that succeeds says in JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--output", "json"]].concat());
        assert_eq!(ended.status, 0, "{args:?}: {}", ended.err);
        serde_json::from_str(&ended.out).unwrap()
    }

    /// What a command says in JSON, whatever its exit status.
    pub(crate) fn json_of(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&ended.out).unwrap()
    }

    /// Waits until a run is in a state.
    pub(crate) fn until(&self, run: &str, state: &str) {
        let mut follow =
            Process::start(self.command(&["journal", run, "--follow", "--output", "json"]));
        follow.until(|event| event["run"]["state"] == state);
        follow.child.kill().unwrap();
        follow.child.wait().unwrap();
    }

    /// Waits for the end of a run; the run then.
    pub(crate) fn ended(&self, run: &str) -> Value {
        let followed = self.run(&["journal", run, "--follow"]);
        assert_eq!(followed.status, 0, "{}", followed.err);
        self.json(&["runs", "get", run])
    }

    /// Waits until nobody can write to standard error any more: until it and all its children,
    /// which share it, have ended. What they wrote.
    pub(crate) fn all_ended(&mut self) -> String {
        let (mut stderr, (sender, said)) = (self.stderr.take().unwrap(), channel());
        std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            sender.send(text)
        });
        said.recv_timeout(PATIENCE).expect("all of it ends")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
    }
}

/// What a command has said.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = output.status.code().expect("it was not killed");
        Self { status, out: text(output.stdout), err: text(output.stderr) }
    }
}
