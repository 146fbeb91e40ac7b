//! Watching over a command until nothing of it is left.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};

use super::request::{Ended, Kept, Outcome, Report, Request};
use super::{WORD, tail, this_program};

/// How long orphans are looked for: each that ends may leave others.
const SEARCH: Duration = Duration::from_secs(5);

/// How far the end of a command reaches.
pub(super) enum Reach {
    /// To everything: this is the first process of a namespace.
    #[cfg(target_os = "linux")]
    Namespace,
    /// To its group of processes, and to orphans that are found in this list of children.
    Children(Option<File>),
}

/// What the command is ended by.
enum Event {
    /// It ended itself.
    Exited(ExitStatus),
    /// The worker has gone, or does not want it any more.
    Unwanted,
}

/// Executes it and tells what became of it. The worker that has gone is told nothing.
pub(super) fn run(request: Request, reach: Reach, missing: Vec<String>) -> ExitCode {
    let begun = Instant::now();
    let mut child = match start(&request, &reach) {
        Ok(child) => child,
        Err(error) => return refuse(format!("it cannot be started: {error}"), missing),
    };
    let output = request.limits.output;
    let stdout = child.stdout.take().map(|from| tail::keep(from, output));
    let stderr = child.stderr.take().map(|from| tail::keep(from, output));
    feed(&mut child, request.stdin);
    let (tell, events) = channel();
    let ended = watch(&child, tell);
    let (status, late) = match next(&events, begun, &request.limits) {
        Next::Exited(status) => (Some(status), false),
        Next::Late => (None, true),
        Next::Unwanted => {
            end(reach, &child);
            return ExitCode::FAILURE;
        }
    };
    end(reach, &child);
    let status = status.or_else(|| last_status(&events));
    // Everything that could write has ended.
    let _ = ended.join();
    let kept = |tail: Option<thread::JoinHandle<Kept>>| {
        tail.and_then(|tail| tail.join().ok()).unwrap_or_default()
    };
    let ended = Ended {
        status: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        late,
        took: begun.elapsed(),
        stdout: kept(stdout),
        stderr: kept(stderr),
    };
    tell_worker(&Report { outcome: Outcome::Ended(ended), missing })
}

/// Tells that it is not executed, and why.
pub(super) fn refuse(why: String, missing: Vec<String>) -> ExitCode {
    tell_worker(&Report { outcome: Outcome::Refused(why), missing })
}

fn tell_worker(report: &Report) -> ExitCode {
    let written = serde_json::to_vec(report).map_err(io::Error::from);
    match written.and_then(|bytes| io::stdout().lock().write_all(&bytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn start(request: &Request, reach: &Reach) -> io::Result<Child> {
    let limits = serde_json::to_string(&request.limits)?;
    let count = if matches!(reach, Reach::Children(_)) { "-" } else { "count" };
    Command::new(this_program())
        .args([WORD, "program", &limits, count])
        .arg(&request.program)
        .args(&request.args)
        .env_clear()
        .envs(&request.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Gives it its input. It may end without having read it.
fn feed(child: &mut Child, text: String) {
    if let Some(mut stdin) = child.stdin.take() {
        thread::spawn(move || stdin.write_all(text.as_bytes()));
    }
}

/// Tells of the end of the command, and of that of the worker, which holds the other end of the
/// standard input. Everything that ends below is reaped; the thread ends when nothing is left.
fn watch(child: &Child, tell: Sender<Event>) -> thread::JoinHandle<()> {
    let gone = tell.clone();
    thread::spawn(move || {
        while matches!(io::stdin().lock().read(&mut [0; 64]), Ok(1..)) {}
        let _ = gone.send(Event::Unwanted);
    });
    let command = Pid::from_child(child);
    thread::spawn(move || {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == command => {
                    let _ = tell.send(Event::Exited(ExitStatus::from_raw(status.as_raw())));
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    })
}

/// What the command is ended by, its time included.
enum Next {
    Exited(ExitStatus),
    Late,
    Unwanted,
}

fn next(events: &Receiver<Event>, begun: Instant, limits: &super::Limits) -> Next {
    match events.recv_timeout(limits.time.saturating_sub(begun.elapsed())) {
        Ok(Event::Exited(status)) => Next::Exited(status),
        Ok(Event::Unwanted) | Err(RecvTimeoutError::Disconnected) => Next::Unwanted,
        Err(RecvTimeoutError::Timeout) => Next::Late,
    }
}

/// How the command ended once it had been made to.
fn last_status(events: &Receiver<Event>) -> Option<ExitStatus> {
    loop {
        match events.recv().ok()? {
            Event::Exited(status) => return Some(status),
            Event::Unwanted => {}
        }
    }
}

/// Ends everything within reach. That something has ended already is fine.
fn end(reach: Reach, child: &Child) {
    match reach {
        // To the first process of a namespace this is all of it, and nothing of it can still fork.
        #[cfg(target_os = "linux")]
        Reach::Namespace => {
            let _ = kill_process_group(Pid::INIT, Signal::KILL);
        }
        Reach::Children(list) => {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            orphans(list);
        }
    }
}

/// Ends those that have left the group: when their parents end, they become children of this
/// process, which finds them in its list.
fn orphans(children: Option<File>) {
    let Some(mut children) = children else { return };
    let begun = Instant::now();
    while begun.elapsed() < SEARCH {
        let mut list = String::new();
        let read = children.rewind().and_then(|()| children.read_to_string(&mut list));
        if read.is_err() || list.trim().is_empty() {
            return;
        }
        for pid in list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::yield_now();
    }
}

/// Where there is nothing to bound a command with but its limits.
#[cfg(not(target_os = "linux"))]
pub(super) fn run_unbounded() -> ExitCode {
    let mut line = String::new();
    let read = io::BufRead::read_line(&mut io::stdin().lock(), &mut line);
    let request = read.ok().and_then(|_| serde_json::from_str::<Request>(&line).ok());
    let Some(request) = request else { return ExitCode::FAILURE };
    let missing = ["files", "network", "processes of its own and their number", "memory"];
    let missing = missing.map(|what| format!("{what}: this system has no means")).to_vec();
    if request.required {
        return refuse("not every bound holds on this machine".into(), missing);
    }
    if let Err(error) = std::env::set_current_dir(request.root.join(&request.directory)) {
        return refuse(format!("its directory cannot be entered: {error}"), missing);
    }
    run(request, Reach::Children(None), missing)
}
