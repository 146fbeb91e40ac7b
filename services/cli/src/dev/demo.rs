//! `tenure dev --demo`: the first minute with Tenure.
//!
//! An agent reads a folder of documents, its worker is killed halfway, and the next worker finishes
//! the job without doing anything twice. The first worker is held at a step boundary before it is
//! killed: only so can "nothing was executed twice" be promised rather than hoped for.

mod act;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tenure_core::StateName;
use tenure_sdk::v1;

use crate::cli::{Dev, Global};
use crate::commands::{apply, artifacts, journal, run};
use crate::dev::documents::Documents;
use crate::dev::evidence::halfway;
use crate::dev::provider::Choice;
use crate::dev::workers::{Options, Workers};
use crate::dev::{PORT, Stack, plane};
use crate::problem::Problem;
use crate::session::{Session, answer, wire_state};
use crate::ui::{Ui, text};
use act::{Act, Outcome};

/// The agent of the demo, a file that users copy from.
const EXAMPLE: &str = include_str!("../../../../examples/document-digest/agent.yaml");
/// Short, so that the takeover comes while somebody is watching.
const LEASE_TTL: Duration = Duration::from_secs(3);
/// What the demo's runs are found by.
const LABEL: (&str, &str) = ("demo", "tenure-dev");
/// Lines of the report that are printed.
const REPORT_LINES: usize = 16;

pub(super) async fn demo(global: &Global, ui: Ui, command: &Dev) -> Result<ExitCode, Problem> {
    let here = std::env::current_dir()?;
    let documents = Documents::find(command.files.as_deref(), &here)?;
    let choice = Choice::of(|name| std::env::var(name).ok());

    let mut stack = Stack::start(global, ui, command, address(command), LEASE_TTL).await?;
    let version = publish(&stack, choice).await?;
    cancel_abandoned(&stack, &version.agent).await?;
    let hold_after = halfway(documents.count, choice == Choice::Scripted);
    let options = options(&stack, &documents, hold_after);
    let mut workers = Workers::start(options, stack.shutdown.clone())?;
    let run = start(&stack.session, &version).await?;
    let files = text::count(documents.count as u64, "document", "documents");
    let dir = documents.dir.strip_prefix(&here).unwrap_or(&documents.dir).display();
    stack.say(&format!("{} started: digest {files} in {dir}", run.id))?;

    let proven = show(&mut stack, &mut workers, &run, global, command).await;
    stack.stop(workers).await?;
    if !proven? && command.exit {
        return Err(Problem::new("the demo has not shown what it promises")
            .hint("each line with ✗ above says what is missing"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Publishes the example with the model that there is.
async fn publish(stack: &Stack, choice: Choice) -> Result<v1::Version, Problem> {
    let spec = tenure_spec::parse(EXAMPLE)
        .map_err(|problems| Problem::new(format!("the example is broken:\n{problems}")))?;
    let published = apply::publish(&stack.session, choice.document(EXAMPLE, spec)).await?;
    stack.say(&apply::sentence(&published))?;
    stack.say(&choice.sentence())?;
    choice.hint().map_or(Ok(()), |hint| stack.say(&hint))?;
    Ok(published.version.unwrap_or_default())
}

/// Everything from the start of the run on; whether it proves what the demo is about.
async fn show(
    stack: &mut Stack,
    workers: &mut Workers,
    run: &v1::Run,
    global: &Global,
    command: &Dev,
) -> Result<bool, Problem> {
    let Some(outcome) = Act::new(stack, workers, run).play().await? else {
        return Err(Problem::new("the demo was interrupted before its end")
            .hint("its run is kept; the next demo cancels it and starts another"));
    };
    let proven = finish(stack, &outcome).await?;
    if !command.exit {
        what_next(stack, global, &outcome)?;
        stack.run(workers).await?;
    }
    Ok(proven)
}

/// The usual port, or any if it is taken and none was asked for.
fn address(command: &Dev) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    match command.listen {
        Some(address) => address,
        None if plane::is_taken(usual) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        None => usual,
    }
}

fn options(stack: &Stack, documents: &Documents, hold_after: u32) -> Options {
    Options {
        files: Some(documents.dir.clone()),
        announce_steps: true,
        hold_after: Some(hold_after),
        ..stack.worker_options()
    }
}

/// Ends what an interrupted demo has left: its steps would be counted as this one's.
async fn cancel_abandoned(stack: &Stack, agent: &str) -> Result<(), Problem> {
    let session = &stack.session;
    let open = [StateName::Queued, StateName::Running, StateName::Waiting];
    let request = v1::ListRunsRequest {
        tenant: session.tenant(),
        agent: agent.to_owned(),
        states: open.map(wire_state).into(),
        ..v1::ListRunsRequest::default()
    };
    let runs = answer!(session.client.runs().list_runs(request))?.runs;
    let ours = |run: &&v1::Run| run.labels.get(LABEL.0).is_some_and(|value| value == LABEL.1);
    for run in runs.iter().filter(ours) {
        let (tenant, run) = (session.tenant(), run.id.clone());
        stack.say(&format!("{run}, left by an interrupted demo, is cancelled"))?;
        let (actor, reason) = ("tenure dev".into(), "its demo was interrupted".into());
        let steering = Some(v1::Steering { actor, reason });
        answer!(session.client.runs().cancel_run(v1::CancelRunRequest { tenant, run, steering }))?;
    }
    Ok(())
}

async fn start(session: &Session, version: &v1::Version) -> Result<v1::Run, Problem> {
    let request = v1::CreateRunRequest {
        tenant: session.tenant(),
        agent: version.agent.clone(),
        version: version.number.to_string(),
        labels: [(LABEL.0.to_owned(), LABEL.1.to_owned())].into(),
        ..v1::CreateRunRequest::default()
    };
    run::create(session, request).await
}

/// Shows what came of it; whether it proves what the demo is about.
async fn finish(stack: &Stack, outcome: &Outcome) -> Result<bool, Problem> {
    let (teller, session, run) = (stack.teller, &stack.session, outcome.run.id.as_str());
    report(stack, run).await?;
    teller.phase("the journal: what was done, and by whom")?;
    let entries = journal::entries(session, run).await?;
    teller.plain(journal::render(session.ui, &outcome.run, &entries))?;
    teller.phase("what this has shown")?;
    let (good, lines) = match outcome.evidence.verdict(&outcome.run) {
        Ok(lines) => (true, lines),
        Err(lines) => (false, lines),
    };
    let paint = teller.paint();
    let mark = if good { paint.good("✓") } else { paint.bad("✗") };
    for line in lines {
        teller.plain(format!("{mark} {}", text::line(&line)))?;
    }
    Ok(good)
}

/// The first artifact of the run, or the beginning of it.
async fn report(stack: &Stack, run: &str) -> Result<(), Problem> {
    let Some(first) = artifacts::of_run(&stack.session, run).await?.into_iter().next() else {
        return Ok(());
    };
    let artifact = artifacts::fetch(&stack.session, run, &first.name).await?;
    stack.teller.phase(&format!("the report: {}", text::line(&artifact.name)))?;
    let report = String::from_utf8_lossy(&artifact.data);
    let lines: Vec<&str> = report.lines().collect();
    for line in lines.iter().take(REPORT_LINES) {
        stack.teller.plain(format!("  {}", text::lines(line)).trim_end())?;
    }
    if lines.len() > REPORT_LINES {
        let more = format!("  … and {} lines more", lines.len() - REPORT_LINES);
        stack.teller.plain(stack.teller.paint().dim(more))?;
    }
    Ok(())
}

fn what_next(stack: &Stack, global: &Global, outcome: &Outcome) -> Result<(), Problem> {
    let url = stack.plane.url();
    // Whoever came by `cargo run` has no `tenure` on the path.
    let built = std::env::var_os("CARGO_MANIFEST_DIR").is_some();
    let mut tenure = if built { "cargo run -q --" } else { "tenure" }.to_owned();
    if url != global.url {
        tenure = format!("{tenure} --url {url}");
    }
    let run = text::line(&outcome.run.id);
    stack.teller.phase("try next, in another terminal")?;
    for (command, what) in [
        (format!("{tenure} run document-digest --follow"), "another run, step by step"),
        (format!("kill -9 {}", outcome.worker), "kill its worker yourself"),
        (format!("{tenure} runs list"), "all runs"),
        (format!("{tenure} runs get {run}"), "this one"),
        (format!("{tenure} artifacts get {run} report.md"), "its report"),
        (format!("{tenure} agents get document-digest"), "what the agent is"),
    ] {
        let what = stack.teller.paint().dim(format!("# {what}"));
        stack.teller.plain(format!("  {command:<62}  {what}"))?;
    }
    stack.teller.plain("\nEverything stays up until Ctrl-C.")
}
