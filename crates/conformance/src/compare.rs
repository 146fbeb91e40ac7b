//! What is different between what must come out and what did.

use std::fmt::Debug;

use serde_json::Value;
use tenure_spec::{DataType, Problems};

use crate::case::{Case, Step};
use crate::rig::{Ended, Found};

/// Fields that are different each time.
const VOLATILE: [&str; 4] = ["id", "created", "timestamp", "system_fingerprint"];

/// Each difference in a line; none if the case passed. Failures are compared by the fact and the
/// task, not by their wording.
pub(crate) fn differences(case: &Case, found: &Found) -> Vec<String> {
    match found {
        Found::Refused(problems) => refused(case, problems),
        Found::Ended(ended) => run(case, ended),
    }
}

/// A refusal is a failure that comes earlier: nothing has run.
fn refused(case: &Case, problems: &Problems) -> Vec<String> {
    if case.expect.error.is_none() {
        return vec![format!("refused: {problems}")];
    }
    let Some(task) = case.failing() else { return Vec::new() };
    let place =
        case.tasks().iter().position(|it| it.get("id").and_then(Value::as_str) == Some(&task));
    let path = format!("chain.tasks[{}]", place.unwrap_or_default());
    if problems.0.iter().any(|problem| problem.path.starts_with(&path)) {
        return Vec::new();
    }
    vec![format!("task `{task}` must be refused, not: {problems}")]
}

fn run(case: &Case, ended: &Ended) -> Vec<String> {
    let expect = &case.expect;
    let mut found = Vec::new();
    match (&expect.error, &ended.output) {
        (Some(_), Err(message)) => found.extend(wrong_task(case, message)),
        (Some(error), Ok(output)) => found.push(format!("must fail ({error}), and gave {output}")),
        (None, Err(message)) => found.push(format!("must succeed, and failed: {message}")),
        (None, Ok(output)) => {
            let wanted = expect.output.as_ref().unwrap_or(&Value::Null);
            found.extend(other("output", same(wanted, output), wanted, output));
            let (wanted, is) =
                (expect.output_type.as_deref().unwrap_or_default(), &ended.output_type);
            found.extend(other("output type", wanted == is, &wanted, is));
        }
    }
    found.extend(list("step", &expect.steps, &ended.steps, same_step));
    found.extend(list("model call", &expect.model_calls, &ended.model_calls, same_call));
    found.extend(list("hook call", &expect.hook_calls, &ended.hook_calls, same));
    found
}

fn wrong_task(case: &Case, message: &str) -> Option<String> {
    let task = case.failing()?;
    let named = message.contains(&format!("`{task}`"));
    (!named).then(|| format!("task `{task}` must fail, not: {message}"))
}

fn list<T: Debug>(what: &str, wanted: &[T], are: &[T], same: fn(&T, &T) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (place, (wanted, is)) in wanted.iter().zip(are).enumerate() {
        found.extend(other(&format!("{what} {}", place + 1), same(wanted, is), wanted, is));
    }
    found.extend(wanted.iter().skip(are.len()).map(|it| format!("{what} is missing: {it:?}")));
    found.extend(are.iter().skip(wanted.len()).map(|it| format!("{what} is one too many: {it:?}")));
    found
}

fn other(what: &str, same: bool, wanted: &impl Debug, is: &impl Debug) -> Option<String> {
    (!same).then(|| format!("{what}\n      must be {wanted:?}\n      and is  {is:?}"))
}

fn same_step(wanted: &Step, is: &Step) -> bool {
    let text = |kind: &str, wanted: &str, is: &str| is_structure(kind) || wanted == is;
    wanted.task == is.task
        && wanted.task_handler == is.task_handler
        && wanted.input_type == is.input_type
        && wanted.output_type == is.output_type
        && wanted.transition == is.transition
        && wanted.error.is_empty() == is.error.is_empty()
        && text(&wanted.input_type, &wanted.input, &is.input)
        && text(&wanted.output_type, &wanted.output, &is.output)
}

/// Kinds that the reference prints as Go structures with the time of day in them.
fn is_structure(kind: &str) -> bool {
    let structures = [DataType::ChatHistory, DataType::OpenaiChat, DataType::OpenaiChatResponse];
    structures.iter().any(|structure| structure.name() == kind)
}

/// The corpus does not say which models an embedding was made with, unless it does.
fn same_call(wanted: &Value, is: &Value) -> bool {
    match (wanted.as_object(), is.as_object()) {
        (Some(wanted), Some(is)) if wanted.get("kind") == Some(&"embed".into()) => {
            wanted.iter().all(|(name, value)| is.get(name).is_some_and(|is| same(value, is)))
        }
        _ => same(wanted, is),
    }
}

/// Equal but for what is different each time; numbers by their value.
fn same(wanted: &Value, is: &Value) -> bool {
    match (wanted, is) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            (a - b).abs() <= 1e-6 * a.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let steady = |name: &&String| !VOLATILE.contains(&name.as_str());
            let names = |map: &serde_json::Map<String, Value>| {
                map.keys().filter(steady).cloned().collect::<std::collections::BTreeSet<_>>()
            };
            names(a) == names(b) && names(a).iter().all(|name| same(&a[name], &b[name]))
        }
        _ => wanted == is,
    }
}
