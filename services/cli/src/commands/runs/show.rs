//! One run with everything that is known about it.

use tenure_core::{StateName, Timestamp};
use tenure_sdk::v1;

use super::{find, state};
use crate::commands::inbox;
use crate::problem::Problem;
use crate::session::{self, Session};
use crate::timeline;
use crate::ui::table::Table;
use crate::ui::{text, time};

/// Questions that are shown with their commands; the inbox has all of them.
const QUESTIONS: usize = 5;
/// Called runs that are shown; the list of runs has all of them.
const CHILDREN: usize = 10;

pub(super) async fn show(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    if session.ui.is_json() {
        return session.ui.object(run);
    }
    session.ui.line(properties(run, time::now()).render(session.ui.paint()))?;
    questions(session, run).await?;
    children(session, run).await?;
    for (title, payload) in [("input", &run.input), ("output", &run.output)] {
        if let Some(payload) = payload.as_ref().filter(|payload| !payload.data.is_empty()) {
            heading(session, title)?;
            session.ui.line(text::payload(payload).trim_end())?;
        }
    }
    Ok(())
}

fn heading(session: &Session, title: &str) -> Result<(), Problem> {
    Ok(session.ui.line(format!("\n{}", session.ui.paint().bold(title)))?)
}

/// What the run asks, with the commands to answer it.
async fn questions(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    if run.open_interrupts == 0 {
        return Ok(());
    }
    let (open, more) = inbox::open_of_run(session, &run.id, QUESTIONS).await?;
    heading(session, "asks")?;
    for interrupt in open {
        session.ui.line(inbox::title(&interrupt))?;
        for command in inbox::answers(session, &interrupt) {
            session.ui.line(format!("  {command}"))?;
        }
    }
    if more {
        let all = session.command(&format!("inbox list --run {}", text::quoted(&run.id)));
        session.ui.line(format!("and more: '{all}'"))?;
    }
    Ok(())
}

/// The runs that it has called.
async fn children(session: &Session, run: &v1::Run) -> Result<(), Problem> {
    let parent = run.id.clone();
    let tenant = session.tenant();
    let request = v1::ListRunsRequest { tenant, parent, ..v1::ListRunsRequest::default() };
    let found = find(session, request, CHILDREN).await?;
    if found.runs.is_empty() {
        return Ok(());
    }
    heading(session, "has called")?;
    let mut table = Table::new(["", "", ""], "");
    for child in &found.runs {
        let agent = format!("{}@{}", child.agent, child.version);
        table.row([child.id.clone(), agent, state(child)]);
    }
    session.ui.line(table.render(session.ui.paint()))?;
    if !found.next_page_token.is_empty() {
        let all = session.command(&format!("runs list --parent {}", text::quoted(&run.id)));
        session.ui.line(format!("and more: '{all}'"))?;
    }
    Ok(())
}

fn properties(run: &v1::Run, now: Timestamp) -> Table {
    let mut table = Table::properties();
    table.property("run", &run.id);
    table.property("agent", format!("{} version {}", run.agent, run.version));
    table.property("state", state(run));
    table.property("why", run.failure.as_ref().map(timeline::failure).unwrap_or_default());
    table.property("steered", steered(run).unwrap_or_default());
    table.property("waits on", run.waits_on.join("\n"));
    times(&mut table, run, now);
    place(&mut table, run);
    table.property("steps", text::thousands(run.entries));
    table.property("leases", text::thousands(run.attempts.into()));
    table.property("retried", times_retried(run.retried));
    used(&mut table, run);
    table.property("labels", labels(run));
    table
}

/// What somebody did to the run, or asked of its worker.
fn steered(run: &v1::Run) -> Option<String> {
    let what = match session::state(run) {
        Some(StateName::Cancelled) => "cancelled",
        Some(StateName::Running) if run.cancel_requested => "asked to end",
        Some(StateName::Running) => "asked to rest",
        _ => "paused",
    };
    run.steering.as_ref().map(|by| timeline::done(what, by))
}

fn times(table: &mut Table, run: &v1::Run, now: Timestamp) {
    let when = |at| time::when(time::moment(at), now);
    table.property("wakes", run.wakes_at.as_ref().map(|at| wakes(at, now)).unwrap_or_default());
    table.property("created", when(run.created_at.as_ref()));
    table.property("took", took(run).unwrap_or_default());
    if run.ended_at.is_none() {
        table.property(
            "deadline",
            run.deadline.as_ref().map(|at| when(Some(at))).unwrap_or_default(),
        );
    }
}

/// Where it stands among other runs.
fn place(table: &mut Table, run: &v1::Run) {
    table.property("pool", &run.pool);
    let priority = if run.priority == 0 { String::new() } else { run.priority.to_string() };
    table.property("priority", priority);
    table.property("concurrency key", &run.concurrency_key);
    table.property("worker", &run.worker);
    table.property("called by", &run.parent);
    table.property("checks", &run.checks);
}

/// What it may use, and what it has used.
fn used(table: &mut Table, run: &v1::Run) {
    let usage = |usage: Option<&v1::Usage>| usage.map(timeline::usage).unwrap_or_default();
    let (own, called) = (usage(run.usage.as_ref()), usage(run.called.as_ref()));
    table.property("budget", run.budget.as_ref().map(timeline::budget).unwrap_or_default());
    table.property("usage", timeline::used(&own).unwrap_or_default());
    if let Some(by_called) = timeline::used(&called) {
        let mut total = own;
        total.add(&called);
        table.property("of called runs", by_called);
        table.property("in total", timeline::used(&total).unwrap_or_default());
    }
}

fn times_retried(times: u32) -> String {
    match times {
        0 => String::new(),
        1 => "once, as it had failed".into(),
        times => format!("{times} times, as it had failed"),
    }
}

/// When a run goes on by itself; nothing once that is due, for then it only waits for a worker.
fn wakes(at: &pbjson_types::Timestamp, now: Timestamp) -> String {
    match time::moment(Some(at)) {
        at if at <= now => String::new(),
        at => time::when(at, now),
    }
}

pub(super) fn took(run: &v1::Run) -> Option<String> {
    let ended = time::moment(Some(run.ended_at.as_ref()?));
    Some(time::took(ended.since(time::moment(run.created_at.as_ref()))))
}

fn labels(run: &v1::Run) -> String {
    let labels = run.labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::paint::Paint;

    const NOW: i64 = 1_700_000_000;

    fn shown(run: &v1::Run) -> String {
        properties(run, Timestamp::from_micros(NOW * 1_000_000)).render(Paint::plain())
    }

    fn at(seconds: i64) -> pbjson_types::Timestamp {
        pbjson_types::Timestamp { seconds: NOW + seconds, nanos: 0 }
    }

    #[test]
    fn a_run_is_shown_without_what_it_does_not_have() {
        let mut run = v1::Run { id: "run_1".into(), ..v1::Run::default() };
        run.set_state(v1::RunState::Succeeded);
        run.labels.insert("b".into(), "2".into());
        run.labels.insert("a".into(), "1".into());
        let text = shown(&run);
        assert!(text.contains("a=1\n"), "{text}");
        for absent in
            ["worker", "priority", "concurrency", "called by", "paused", "deadline", "retried"]
        {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
    }

    #[test]
    fn a_paused_run_says_who_paused_it_and_all_that_bounds_it() {
        let mut run = v1::Run {
            id: "run_1".into(),
            agent: "digest".into(),
            version: 3,
            pool: "default".into(),
            steering: Some(v1::Steering { actor: "ann".into(), reason: "lunch".into() }),
            created_at: Some(at(-90)),
            deadline: Some(at(600)),
            priority: -2,
            concurrency_key: "session-7".into(),
            parent: "run_0".into(),
            retried: 2,
            entries: 12,
            budget: Some(v1::Budget {
                cost_micros: Some(100_000),
                tokens: Some(50_000),
                tool_calls: Some(1),
            }),
            usage: Some(v1::Usage {
                input_tokens: 1_200,
                output_tokens: 30,
                cost_micros: 5_000,
                tool_calls: 2,
                ..v1::Usage::default()
            }),
            called: Some(v1::Usage { tool_calls: 1, unpriced: true, ..v1::Usage::default() }),
            ..v1::Run::default()
        };
        run.set_state(v1::RunState::Waiting);
        run.set_wait_reason(v1::WaitReason::Paused);
        insta::assert_snapshot!(shown(&run), @r"
        run              run_1
        agent            digest version 3
        state            waiting (paused)
        steered          paused by ann: lunch
        created          1 min ago
        deadline         in 10 min
        pool             default
        priority         -2
        concurrency key  session-7
        called by        run_0
        steps            12
        leases           0
        retried          2 times, as it had failed
        budget           $0.1000, 50,000 tokens, 1 call of a tool
        usage            1,200 tokens in, 30 out for $0.0050, 2 calls of tools
        of called runs   1 call of a tool
        in total         1,200 tokens in, 30 out for more than $0.0050, 3 calls of tools
        ");
    }
}
