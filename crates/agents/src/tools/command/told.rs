//! What the model is told of a command.

use serde_json::{Value, json};
use tenure_spec::CommandTool;

use crate::sandbox::{Ended, Kept};

const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;
const SIGKILL: i32 = 9;
const SIGSYS: i32 = 31;

/// The result of a command that was executed. What did not happen is left out.
pub(super) fn result(spec: &CommandTool, ended: &Ended, missing: &[String]) -> Value {
    let mut result = json!({
        "stdout": ended.stdout.text,
        "stderr": ended.stderr.text,
        "milliseconds": u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
    });
    match (ended.status, ended.signal) {
        (Some(status), _) => result["status"] = json!(status),
        (None, signal) => result["signal"] = json!(signal),
    }
    if let Some(why) = killed(spec, ended) {
        result["killed"] = json!(why);
    }
    for (name, kept) in [("stdout_cut", &ended.stdout), ("stderr_cut", &ended.stderr)] {
        if let Some(why) = cut(kept) {
            result[name] = json!(why);
        }
    }
    if !missing.is_empty() {
        result["not_bounded"] = json!(missing);
    }
    result
}

fn killed(spec: &CommandTool, ended: &Ended) -> Option<String> {
    if ended.late {
        return Some(format!("it ran longer than {} and was ended", spec.time));
    }
    Some(match ended.signal? {
        SIGXCPU => format!("a process used a processor for longer than {}", spec.time),
        SIGXFSZ => "it wrote a file of more than 1 GiB".into(),
        SIGSYS => "it made a system call of another kind of machine".into(),
        SIGKILL => {
            "it was killed by the machine or by itself: perhaps it used too much memory".into()
        }
        signal => format!("it ended by signal {signal}"),
    })
}

fn cut(kept: &Kept) -> Option<String> {
    (kept.cut > 0).then(|| format!("this is the end; {} bytes before it are left out", kept.cut))
}
