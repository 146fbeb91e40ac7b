//! What is worth saying about an entry beyond its columns.

use std::time::Duration;

use serde_json::Value;
use tenure_sdk::v1;
use tenure_sdk::v1::opening::Opening;
use tenure_sdk::v1::record::Status;

use super::owners::falls_asleep;
use super::{Begun, done, failure, tokens, usage};
use crate::ui::paint::Paint;
use crate::ui::{text, time};

/// Characters of a result that are shown where it was given by a person.
const RESULT: usize = 48;

/// What an entry says that its columns do not; `begun` is what it is the result of.
pub(super) fn details(record: &v1::Record, begun: Option<Begun>, paint: Paint) -> Option<String> {
    let mut parts = Vec::new();
    match &record.status {
        Some(Status::Failed(why)) => parts.push(paint.bad(format!("failed: {}", failure(why)))),
        Some(Status::Opened(opening)) => parts.push(opened(opening, record, paint)),
        Some(Status::Steered(steering)) => {
            parts.push(paint.notable(steered(&record.key, steering)));
        }
        Some(Status::Succeeded(payload)) if record.kind() == v1::EntryKind::Steering => {
            let given = format!("given: {}", text::short_payload(payload, RESULT));
            parts.push(paint.notable(given));
        }
        Some(Status::Succeeded(payload)) if begun == Some(Begun::Question) => {
            parts.extend(answered(payload));
        }
        Some(Status::Succeeded(payload)) if record.kind() == v1::EntryKind::Model => {
            parts.extend(backend(payload).map(|name| paint.dim(format!("by {name}"))));
        }
        Some(Status::Succeeded(payload)) if falls_asleep(record) => {
            parts.push(paint.dim(sleeps(payload)));
        }
        Some(Status::Succeeded(_)) | None => {}
    }
    // The attempt of a pause is the one that failed before it.
    if record.attempt > 1 && !matches!(record.status, Some(Status::Opened(_))) {
        parts.push(paint.notable(format!("{} attempts", record.attempt)));
    }
    if begun == Some(Begun::Again) {
        parts.push(paint.notable("executed again"));
    }
    if let Some(used) = &record.usage {
        parts.extend(tokens(&usage(used)).map(|tokens| paint.dim(tokens)));
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// The backend of a pool that a reply is from.
fn backend(reply: &v1::Payload) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Reply {
        backend: Option<String>,
    }
    let Reply { backend } = serde_json::from_slice(&reply.data).ok()?;
    backend.map(|name| text::line(&name).into_owned())
}

/// What an opening begins. One that this command is too old to know is a step to it.
pub(super) fn begins(opening: &v1::Opening) -> Begun {
    match &opening.opening {
        Some(Opening::Started(_)) | None => Begun::Step,
        Some(Opening::Again(_)) => Begun::Again,
        Some(Opening::Interrupt(_)) => Begun::Question,
        Some(Opening::Child(_)) => Begun::Call,
    }
}

fn opened(opening: &v1::Opening, record: &v1::Record, paint: Paint) -> String {
    match &opening.opening {
        Some(Opening::Interrupt(question)) => paint.notable(asks(question)),
        Some(Opening::Child(call)) => paint.dim(calls(call)),
        Some(Opening::Again(_)) => paint.notable(again(record)),
        Some(Opening::Started(_)) if record.kind() == v1::EntryKind::Wait => paint.dim("waits"),
        Some(Opening::Started(_)) | None => paint.dim("begun"),
    }
}

/// What was recorded as the time of the attempt is the pause before the next one.
fn again(record: &v1::Record) -> String {
    match time::length(record.duration.as_ref()) {
        Duration::ZERO => "is to be executed again".into(),
        pause => format!("is to be executed again after {}", time::took(pause)),
    }
}

/// `sleeps for 30 d`, from the seconds that were recorded when it began.
fn sleeps(payload: &v1::Payload) -> String {
    let seconds = serde_json::from_slice(&payload.data).unwrap_or(0.0);
    let length = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    format!("sleeps for {}", time::took(length))
}

/// `asks finance: Refund $120 to Ann?`
fn asks(question: &v1::Question) -> String {
    let (whom, title) = (text::line(&question.assignee), text::line(&question.title));
    match (&*whom, &*title) {
        ("", "") => "asks".into(),
        ("", title) => format!("asks: {title}"),
        (whom, "") => format!("asks {whom}"),
        (whom, title) => format!("asks {whom}: {title}"),
    }
}

fn calls(call: &v1::Call) -> String {
    let version = match &*call.version {
        "" => String::new(),
        version => format!("@{}", text::line(version)),
    };
    let how = if call.detached { " and lets it go its way" } else { "" };
    format!("calls {}{version}{how}", text::line(&call.agent))
}

/// `paused by ann: lunch`, from `tenure:pause#7`.
fn steered(key: &str, steering: &v1::Steering) -> String {
    let name = key.split('#').next().and_then(|name| name.strip_prefix("tenure:"));
    let what = match name {
        Some("cancel") => "cancelled",
        Some("pause") => "paused",
        Some("resume") => "resumed",
        Some("retry") => "tried again",
        Some("patch") => "patched",
        Some("prioritize") => "moved in its queue",
        _ => "steered",
    };
    done(what, steering)
}

/// `approve by ann: fine with me`, from the answer as the run's code sees it.
fn answered(payload: &v1::Payload) -> Option<String> {
    let answer: Value = serde_json::from_slice(&payload.data).ok()?;
    let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let by = v1::Steering { actor: word("actor"), reason: word("reason") };
    Some(done(&text::line(&word("decision")), &by))
}
