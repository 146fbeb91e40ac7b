use serde_json::Value;
use tenure_core::{Payload, Timestamp};
use tenure_sdk::v1;

use super::{state, title, word};
use crate::problem::Problem;
use crate::session::Session;
use crate::ui::table::Table;
use crate::ui::{text, time};

/// Choices that are written out as commands; a person reads no more.
const CHOICES: usize = 8;

/// One interrupt with everything that somebody needs who is to answer it.
pub(super) fn show(session: &Session, interrupt: &v1::Interrupt) -> Result<(), Problem> {
    if session.ui.is_json() {
        return session.ui.object(interrupt);
    }
    let (ui, paint) = (session.ui, session.ui.paint());
    ui.line(properties(interrupt, time::now()).render(paint))?;
    for (heading, block) in blocks(interrupt) {
        ui.line(format!("\n{}\n{}", paint.bold(heading), block.trim_end()))?;
    }
    if interrupt.state() == v1::InterruptState::Open {
        ui.line(format!("\n{}", paint.bold("answer it with")))?;
        for command in answers(session, interrupt) {
            ui.line(format!("  {command}"))?;
        }
    }
    Ok(())
}

fn properties(interrupt: &v1::Interrupt, now: Timestamp) -> Table {
    let question = interrupt.question.clone().unwrap_or_default();
    let ago = |at| time::ago(time::moment(at), now);
    let mut table = Table::properties();
    table.property("interrupt", &interrupt.id);
    table.property("question", title(interrupt));
    if interrupt.state() != v1::InterruptState::Open {
        table.property("state", state(interrupt, now));
    }
    table.property("kind", kind(question.kind()));
    table.property("for", &question.assignee);
    table.property("agent", &interrupt.agent);
    table.property("run", &interrupt.run);
    table.property("key", &interrupt.key);
    table.property("opened", ago(interrupt.opened_at.as_ref()));
    if interrupt.state() == v1::InterruptState::Open {
        table.property("due", deadline(interrupt, &question, now));
        table.property("allowed", allowed(&question));
    }
    let reason = interrupt.answer.as_ref().map(|answer| answer.reason.clone());
    table.property("reason", reason.unwrap_or_default());
    table
        .property("ended", interrupt.ended_at.as_ref().map(|at| ago(Some(at))).unwrap_or_default());
    table
}

fn kind(kind: v1::QuestionKind) -> &'static str {
    match kind {
        v1::QuestionKind::Approval => "approval",
        v1::QuestionKind::Input => "input",
        v1::QuestionKind::Choice => "choice",
        v1::QuestionKind::Unspecified => "",
    }
}

/// How long there is time, and what happens then.
fn deadline(interrupt: &v1::Interrupt, question: &v1::Question, now: Timestamp) -> String {
    let Some(due_at) = &interrupt.due_at else { return "never".into() };
    let when = time::when(time::moment(Some(due_at)), now);
    let then = match question.default_decision() {
        v1::Decision::Unspecified => "the wait fails (timed_out)".into(),
        default => format!("it counts as `{}`", word(default)),
    };
    format!("{when}, then {then}")
}

fn allowed(question: &v1::Question) -> String {
    question.decisions().map(word).collect::<Vec<_>>().join(", ")
}

/// What does not fit a line, with its heading.
fn blocks(interrupt: &v1::Interrupt) -> Vec<(&'static str, String)> {
    let question = interrupt.question.clone().unwrap_or_default();
    let payload = |payload: Option<v1::Payload>| {
        payload.map(|payload| text::payload(&payload)).unwrap_or_default()
    };
    let schema = v1::Payload {
        content_type: Payload::JSON.into(),
        data: question.schema.into(),
        ..v1::Payload::default()
    };
    let value = interrupt.answer.clone().unwrap_or_default().value;
    let blocks = [
        ("what it is about", payload(question.payload)),
        ("schema of the value", payload(Some(schema))),
        ("value of the answer", payload(value)),
    ];
    blocks.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect()
}

/// The commands that answer an interrupt.
pub(crate) fn answers(session: &Session, interrupt: &v1::Interrupt) -> Vec<String> {
    let id = text::quoted(&interrupt.id);
    let question = interrupt.question.clone().unwrap_or_default();
    let words = question.decisions().flat_map(|decision| match decision {
        v1::Decision::Approve => vec![format!("approve {id}")],
        v1::Decision::Edit => vec![format!("approve {id} --edit JSON")],
        v1::Decision::Reject => vec![format!("reject {id} --reason WHY")],
        v1::Decision::Respond => respond(&id, &question.schema),
        v1::Decision::Unspecified => vec![],
    });
    words.map(|words| session.command(&format!("inbox {words}"))).collect()
}

/// A command for each choice where there are few, else one for any value.
fn respond(id: &str, schema: &str) -> Vec<String> {
    match choices(schema) {
        choices if (1..=CHOICES).contains(&choices.len()) => {
            let answer = |choice: &String| format!("answer {id} {}", text::quoted(choice));
            choices.iter().map(answer).collect()
        }
        _ => vec![format!("answer {id} VALUE")],
    }
}

/// What a schema lets one choose from, as it is written on a command line.
fn choices(schema: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let choices = schema["enum"].as_array().cloned().unwrap_or_default();
    let written = |choice: Value| match choice {
        // A text that begins so would be read as a file, as standard input or as an option.
        Value::String(text) if !text.starts_with(['@', '-']) => text,
        other => other.to_string(),
    };
    choices.into_iter().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::paint::Paint;

    fn asked() -> v1::Interrupt {
        let mut question = v1::Question {
            title: "Refund $120 to Ann?".into(),
            assignee: "finance".into(),
            ..v1::Question::default()
        };
        question.set_kind(v1::QuestionKind::Approval);
        question.set_default_decision(v1::Decision::Reject);
        question.decisions = vec![v1::Decision::Approve.into(), v1::Decision::Reject.into()];
        let at = |seconds| Some(pbjson_types::Timestamp { seconds, nanos: 0 });
        let mut interrupt = v1::Interrupt {
            id: "int_1".into(),
            run: "run_1".into(),
            agent: "refunds".into(),
            key: "approve".into(),
            question: Some(question),
            opened_at: at(1_000),
            due_at: at(4_600),
            ..v1::Interrupt::default()
        };
        interrupt.set_state(v1::InterruptState::Open);
        interrupt
    }

    #[test]
    fn a_question_says_what_happens_when_nobody_answers() {
        let now = Timestamp::from_micros(1_060_000_000);
        insta::assert_snapshot!(properties(&asked(), now).render(Paint::plain()), @r"
        interrupt  int_1
        question   Refund $120 to Ann?
        kind       approval
        for        finance
        agent      refunds
        run        run_1
        key        approve
        opened     1 min ago
        due        in 59 min, then it counts as `reject`
        allowed    approve, reject
        ");
    }

    #[test]
    fn what_is_about_a_question_is_shown_if_there_is_any() {
        assert!(blocks(&asked()).is_empty());
        let mut interrupt = asked();
        let question = interrupt.question.as_mut().unwrap();
        question.schema = r#"{"type":"string"}"#.into();
        let shown = blocks(&interrupt);
        assert_eq!(shown, [("schema of the value", "{\n  \"type\": \"string\"\n}".into())]);
    }

    #[test]
    fn a_choice_is_offered_as_commands() {
        let schema = r#"{"enum": ["blue", "it's red", 3, "-x"]}"#;
        insta::assert_snapshot!(respond("int_1", schema).join("\n"), @r#"
        answer int_1 blue
        answer int_1 'it'\''s red'
        answer int_1 3
        answer int_1 '"-x"'
        "#);
        assert_eq!(respond("int_1", r#"{"type": "string"}"#), ["answer int_1 VALUE"]);
        assert_eq!(respond("int_1", ""), ["answer int_1 VALUE"]);
    }
}
