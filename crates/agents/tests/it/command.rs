//! Commands, and what they try to do beside what they are for. The programs are real.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tenure_agents::ModelConfig;
use tenure_agents::tools::command::{Command, Permits};
use tenure_sdk::{Failure, Retry, v1};
use tenure_spec::{CommandTool, Tool};

use crate::rig::{Nobody, Rig, output};

/// A folder `given` to work in, and beside it a secret.
struct Place {
    dir: TempDir,
    permits: Permits,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let given = dir.path().join("given");
        fs::create_dir_all(given.join("sub")).unwrap();
        fs::write(given.join("mine.txt"), "mine").unwrap();
        fs::write(dir.path().join("secret.txt"), "secret").unwrap();
        let permits = Permits {
            sandbox: Some(env!("CARGO_BIN_EXE_tenure-sandbox").into()),
            programs: ["sh", "cat", "bash", "perl", "sleep"].map(String::from).into(),
            environment: [("GREETING", "hello"), ("PATH", "/usr/bin:/bin")]
                .map(|(name, value)| (name.into(), value.into()))
                .into_iter()
                .collect(),
            readable: [].into(),
            files: given,
            write: true,
        };
        Self { dir, permits }
    }

    /// The same with a script that starts the sandbox in other circumstances.
    fn within(script: &str) -> Self {
        let mut place = Self::new();
        let path = place.dir.path().join("sandbox");
        let sandbox = place.permits.sandbox.take().unwrap();
        let script =
            format!("#!/bin/bash\nPATH=/usr/bin:/bin\n{script} {} \"$@\"\n", sandbox.display());
        fs::write(&path, script).unwrap();
        for folder in [place.dir.path(), &path, &place.given()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        place.permits.sandbox = Some(path);
        place
    }

    fn given(&self) -> PathBuf {
        self.dir.path().join("given")
    }

    async fn run(&self, options: &str, arguments: Value) -> Result<Value, Failure> {
        let command = Command::new(spec(options), self.permits.clone(), Retry::NONE);
        command.execute(&arguments).await
    }

    /// What a script of the shell gives, with these options of the tool.
    async fn shell(&self, options: &str, script: &str) -> Value {
        let options = format!("program: bash, args: [-c, '{{script}}'], {SCRIPT}, {options}");
        self.run(&options, json!({"script": script})).await.unwrap()
    }
}

const SCRIPT: &str = "parameters: {type: object, properties: {script: {type: string}}}";

fn spec(options: &str) -> CommandTool {
    let text = format!(
        "
name: a
model: {{provider: scripted, name: s, script: {{turns: [{{text: x}}]}}}}
tools: [{{command: {{name: run, description: Runs., {options}}}}}]
"
    );
    match tenure_spec::parse(&text).unwrap().tools.remove(0) {
        Tool::Command(command) => *command,
        _ => panic!("a command"),
    }
}

/// Whether a process has this word on its command line.
fn lives(word: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.map(|entry| entry.path().join("cmdline")).any(|path| {
        let line = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|arg| arg == word)
    })
}

/// A number of seconds to sleep that no other process sleeps for.
fn seconds() -> String {
    format!("1{:09}", u64::from(std::process::id()) * 1_000 + fastrand())
}

fn fastrand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn a_result_has_status_output_and_errors() {
    let place = Place::new();
    let mut told = place.shell("stdin: true", "pwd; echo bad >&2; exit 3").await;
    assert!(told.as_object_mut().unwrap().remove("milliseconds").unwrap().is_u64());
    let given = format!("{}\n", fs::canonicalize(place.given()).unwrap().display());
    assert_eq!(told, json!({"status": 3, "stdout": given, "stderr": "bad\n"}));

    let given = json!({"stdin": "typed"});
    let told = place.run("program: cat, stdin: true, directory: sub", given).await.unwrap();
    assert_eq!(told["stdout"], "typed");
    let told = place.shell("", "kill -TERM $$").await;
    assert_eq!((&told["signal"], &told["killed"]), (&json!(15), &json!("it ended by signal 15")));
}

#[tokio::test]
async fn what_is_not_permitted_is_not_started() {
    let mut place = Place::new();
    for (options, told) in [
        ("program: ls", "--allow-program ls"),
        ("program: cat, environment: [OPENAI_API_KEY]", "--allow-env OPENAI_API_KEY"),
        ("program: cat, directory: gone", "directory"),
        ("program: cat, directory: up", "directory"),
    ] {
        let _ = symlink("..", place.given().join("up"));
        let failure = place.run(options, json!({})).await.unwrap_err();
        assert!(failure.message.contains(told), "{failure:?}");
        assert_eq!((&*failure.code, failure.retryable), ("command_refused", false));
    }
    place.permits.sandbox = None;
    let failure = place.run("program: cat", json!({})).await.unwrap_err();
    assert!(failure.message.contains("sandbox"), "{failure:?}");
}

#[tokio::test]
async fn every_bound_holds_on_a_machine_like_this() {
    let told = Place::new().shell("isolation: required", "echo fine").await;
    assert_eq!(told["stdout"], "fine\n");
}

#[tokio::test]
async fn files_outside_are_neither_read_nor_written() {
    let place = Place::new();
    let outside = place.dir.path().join("secret.txt");
    let secret = outside.display();
    symlink(&outside, place.given().join("link.txt")).unwrap();
    for script in [
        "cat /etc/shadow".to_owned(),
        format!("cat {secret}"),
        "cat ../secret.txt".into(),
        "cat link.txt".into(),
        "ln ../secret.txt hard.txt && cat hard.txt".into(),
        "ls /root /home /var /tmp".into(),
        format!("cat /proc/{}/environ", std::process::id()),
        "cat /proc/1/root/etc/shadow".into(),
        "mount -t tmpfs none .".into(),
        "unshare -Ur cat /etc/shadow".into(),
    ] {
        let told = place.shell("", &script).await;
        assert_ne!(told["status"], 0, "{script}: {told}");
        assert!(!told.to_string().contains("secret\""), "{script}: {told}");
    }
    for target in [secret.to_string(), "../new.txt".into(), "link.txt".into(), "/tmp/x".into()] {
        place.shell("", &format!("echo hacked > {target}; rm -f {target}; mv mine.txt ..")).await;
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
    assert!(!place.dir.path().join("new.txt").exists());
    assert!(!place.dir.path().join("mine.txt").exists());
}

#[tokio::test]
async fn the_own_folder_is_written_only_where_that_is_permitted() {
    let mut place = Place::new();
    let script = "echo tmp > $TMPDIR/x && cat $TMPDIR/x; echo new > sub/new.txt";
    assert_eq!(place.shell("", script).await["status"], 0);
    assert_eq!(fs::read_to_string(place.given().join("sub/new.txt")).unwrap(), "new\n");
    place.permits.write = false;
    let told = place.shell("", "echo tmp > $TMPDIR/x && cat $TMPDIR/x; echo 2 > sub/new.txt").await;
    assert_eq!((&told["stdout"], &told["status"]), (&json!("tmp\n"), &json!(1)));
    // Only the directory of the command, not all of the worker's folder.
    assert_ne!(place.shell("directory: sub", "cat ../mine.txt").await["status"], 0);
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for_and_permitted() {
    let place = Place::new();
    let told = place.shell("environment: [GREETING]", "printenv | cut -d= -f1 | sort").await;
    let names: Vec<&str> = told["stdout"].as_str().unwrap().split_whitespace().collect();
    // The shell adds three of its own.
    let own = ["OLDPWD", "PWD", "SHLVL", "_"];
    let given: Vec<_> = names.into_iter().filter(|name| !own.contains(name)).collect();
    assert_eq!(given, ["GREETING", "HOME", "LANG", "PATH", "TMPDIR"]);
    let told =
        place.shell("", "cat /proc/*/environ | tr '\\0' '\\n'; ls /proc | grep -c '^[0-9]'").await;
    assert!(!told.to_string().contains("CARGO"), "{told}");
}

#[tokio::test]
async fn without_the_network_nobody_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let place = Place::new();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} || perl -e 'use Socket; socket(S, AF_UNIX, \
         SOCK_STREAM, 0) or die $!; socket(S, AF_INET, SOCK_STREAM, 0) or die $!'"
    );
    let told = place.shell("", &script).await;
    assert_ne!(told["status"], 0, "{told}");
    assert!(listener.accept().is_err(), "0 connections");
    let told = place.shell("network: true", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")).await;
    assert_eq!(told["status"], 0, "{told}");
    assert!(listener.accept().is_ok());
}

#[tokio::test]
async fn a_bomb_of_processes_is_bounded_and_ends() {
    let (place, sleep) = (Place::new(), seconds());
    let script = format!("bomb() {{ sleep {sleep} & bomb | bomb & }}; bomb; sleep {sleep}");
    let begun = Instant::now();
    let told = place.shell("time: 2s, processes: 40", &script).await;
    assert!(told["killed"].as_str().unwrap().contains("2s"), "{told}");
    assert!(told["stderr"].as_str().unwrap().contains("fork"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(!lives(&sleep));
}

#[tokio::test]
async fn only_the_end_of_a_long_output_is_kept() {
    let told = Place::new().shell("output: 1024", "yes x | head -c 100000000; echo end").await;
    let output = told["stdout"].as_str().unwrap();
    assert!(output.len() == 1024 && output.ends_with("x\nend\n"), "{output}");
    assert!(told["stdout_cut"].as_str().unwrap().contains("99998980 bytes"), "{told}");
}

#[tokio::test]
async fn memory_and_processor_are_bounded() {
    let place = Place::new();
    let perl = r#"exec perl -e 'my $x = "x" x (1 << 30); print length $x'"#;
    let told = place.shell("memory: 128", perl).await;
    assert!(told["status"] != 0 && told["stdout"] == "", "{told}");
    assert_eq!(place.shell("memory: 4096", perl).await["stdout"], "1073741824");

    let told = place.shell("time: 1s", "while :; do :; done").await;
    assert!(told["killed"].as_str().unwrap().contains("1s"), "{told}");
    let told =
        place.shell("time: 1s", "(while :; do :; done) & (while :; do :; done) & wait").await;
    assert!(told["signal"] == 9 || told["status"] == 0, "{told}");
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let place = Place::new();
    for (options, end) in [("", "exit 0"), ("time: 1s", "sleep 100")] {
        let sleep = seconds();
        let script =
            format!("setsid -f sleep {sleep}; (setsid sh -c 'sleep {sleep} & disown' &); {end}");
        place.shell(options, &script).await;
        assert!(!lives(&sleep), "{end}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_its_command() {
    let (place, sleep) = (Place::new(), seconds());
    let options = "program: bash, args: [-c, '{script}'], ".to_owned() + SCRIPT;
    let script = format!("setsid -f sleep {sleep}; sleep {sleep}");
    let call = place.run(&options, json!({"script": script}));
    let started = async {
        while !lives(&sleep) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        told = call => panic!("it ended: {told:?}"),
        () = started => {}
    }
    let begun = Instant::now();
    while lives(&sleep) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it lives on");
        tokio::task::yield_now().await;
    }
}

/// Starts a program where no further namespace may be made, as in many containers.
const NO_NAMESPACES: &str =
    "exec unshare -Ur bash -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"' -";

#[tokio::test]
async fn without_namespaces_the_rest_holds_and_the_result_says_so() {
    let place = Place::within(NO_NAMESPACES);
    let sleep = seconds();
    let script = format!(
        "setsid -f sleep {sleep}; kill -9 $PPID; cat ../secret.txt /etc/shadow /proc/$PPID/environ; \
         perl -e 'use Socket; socket(S, AF_INET, SOCK_STREAM, 0) or die'; echo end"
    );
    let told = place.shell("", &script).await;
    assert_eq!(told["stdout"], "end\n", "{told}");
    assert!(told["stderr"].as_str().unwrap().contains("Died"), "{told}");
    assert!(told["not_bounded"][0].as_str().unwrap().contains("namespaces"), "{told}");
    assert!(!lives(&sleep));

    let told = place.shell("time: 1s", &format!("setsid -f sleep {sleep}; sleep {sleep}")).await;
    assert!(told["killed"].is_string(), "{told}");
    assert!(!lives(&sleep));

    let required = place.run("program: cat, isolation: required", json!({})).await.unwrap_err();
    assert!(required.message.contains("namespaces"), "{required:?}");
}

#[tokio::test]
async fn a_worker_that_is_not_root_bounds_processes_exactly() {
    // Who is not root has nothing to give up: the other tests are about them.
    let place = match fs::metadata("/proc/self").unwrap().uid() {
        0 => Place::within("exec setpriv --reuid 65534 --regid 65534 --clear-groups"),
        _ => Place::new(),
    };
    let script = "for i in $(seq 60); do sleep 9 & done 2>/dev/null; jobs | wc -l";
    let told = place.shell("processes: 100, isolation: required", script).await;
    assert_eq!(told["stdout"], "60\n", "{told}");
    let told = place.shell("processes: 20, time: 2s", script).await;
    assert!(told["killed"].is_string(), "{told}");
    let told = place.shell("", "cat /etc/shadow ../secret.txt").await;
    assert_eq!(told["stdout"], "", "{told}");
}

#[tokio::test]
async fn a_command_whose_worker_dies_is_not_repeated_but_asked_about() {
    let sleep = seconds();
    let document = format!(
        "
name: doubtful
model:
  provider: scripted
  name: s
  script: {{turns: [{{calls: [{{tool: deploy}}]}}, {{text: '{{{{ last }}}}'}}]}}
tools:
- command:
    name: deploy
    description: Deploys.
    program: bash
    args: [-c, 'echo deployed >> log.txt; exec sleep {sleep}']
"
    );
    let mut rig = Rig::with(&[]).await;
    rig.base.files_write = true;
    rig.base.programs = vec!["bash".into()];
    rig.base.sandbox = Some(env!("CARGO_BIN_EXE_tenure-sandbox").into());
    rig.publish(&document).await;
    let process = rig.process(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("doubtful", "null").await;
    let log = rig.files.path().join("log.txt");
    while !log.exists() || !lives(&sleep) {
        tokio::task::yield_now().await;
    }
    let dead = rig.app.run(&run).await.worker;
    process.kill();
    let _successor = rig.process(ModelConfig::default(), Arc::new(Nobody));
    rig.taken_after(&dead, &run).await;

    let question = rig.app.question(&run).await;
    assert!(question.key.ends_with("doubt:tool:deploy"), "{question:?}");
    rig.app.answer(&question, v1::Decision::Reject, "").await;
    let ended = rig.app.ended(&run).await;
    assert!(output(&ended).as_str().unwrap().contains("error"), "{ended:?}");
    assert_eq!(fs::read_to_string(log).unwrap(), "deployed\n");
    assert!(!lives(&sleep), "it ended with its worker");
}
