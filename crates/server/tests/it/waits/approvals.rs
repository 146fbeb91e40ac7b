//! People are asked.

use tenure_sdk::{
    Answer, Approval, Context, Decision, EntryKind, QuestionKind, Stop, Worker, join,
};

use super::*;
use crate::worker::{Working, create};

/// Two tool calls at the same time, each of which needs approval.
async fn send_both(ctx: Context, log: Log) -> Result<Vec<String>, Stop> {
    let scopes = [("left", ctx.scope("left")?), ("right", ctx.scope("right")?)];
    let send = async |(name, scope): &(&str, Context)| match scope
        .approve("send", &format!("to {name}"))
        .await?
    {
        Approval::Approved(to) => {
            let step = scope.step("send").kind(EntryKind::Tool).input(&to);
            step.run(|_| async {
                log.note(to.clone());
                Ok(to.clone())
            })
            .await
        }
        Approval::Rejected { reason, actor } => Ok(format!("{actor} says no: {reason}")),
        Approval::Responded(value) => Ok(value.to_string()),
    };
    join(scopes.iter().map(send)).await
}

fn sending(log: &Log) -> impl FnOnce(Worker) -> Worker + use<> {
    let log = log.clone();
    move |worker| worker.handle("hello", move |ctx, (): ()| send_both(ctx, log.clone()))
}

#[tokio::test]
async fn parallel_calls_wait_for_their_own_approvals_and_each_runs_once() {
    let (app, log) = (App::start().await, Log::default());
    let first = Doomed::start(&app, sending(&log));
    let run = create(&app, "hello", "null").await;
    let open = asked(&app, &run, 2).await;
    let keys: Vec<_> = open.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["left/approve:send", "right/approve:send"]);
    assert_eq!(app.run(&run).await.waits_on, keys);
    answer(&app, &open[0], v1::Decision::Approve, None).await.unwrap();
    app.until(&run, |run| is_parked(run) && run.entries == 4).await;
    first.lose(&app, &run).await;
    answer(&app, &open[1], v1::Decision::Edit, Some("\"elsewhere\"")).await.unwrap();
    let second = Working::start(sending(&log)(Worker::new(app.client.clone())));
    let ended = app.ended(&run).await;
    assert_eq!(output(&ended), r#"["to left","elsewhere"]"#);
    assert_eq!(log.take(), ["to left", "elsewhere"]);
    second.drain().await;
}

#[tokio::test]
async fn what_is_rejected_is_not_done_and_the_code_hears_why() {
    let (app, log) = (App::start().await, Log::default());
    let working = Working::start(sending(&log)(Worker::new(app.client.clone())));
    let run = create(&app, "hello", "null").await;
    for one in asked(&app, &run, 2).await {
        answer(&app, &one, v1::Decision::Reject, None).await.unwrap();
    }
    let ended = app.ended(&run).await;
    assert_eq!(output(&ended), r#"["ann says no: because","ann says no: because"]"#);
    assert!(log.take().is_empty());
    working.drain().await;
}

/// Asks for a number, with a default if there is one.
async fn number(ctx: Context, default: bool) -> Result<String, Stop> {
    let interrupt = ctx
        .interrupt("how_many")
        .kind(if default { QuestionKind::Approval } else { QuestionKind::Input })
        .title("How many?")
        .payload("seats")
        .schema_of::<u32>()
        .assignee("role:lead")
        .timeout(Duration::from_hours(1));
    let interrupt = if default { interrupt.default_to(Decision::Reject) } else { interrupt };
    let answer: Answer<u32> = interrupt.ask().await?;
    Ok(format!("{} {:?} {}", answer.decision.as_str(), answer.value, answer.timed_out))
}

#[tokio::test]
async fn an_answer_has_the_type_that_was_asked_for() {
    let app = App::start().await;
    let working = Working::start(Worker::new(app.client.clone()).handle("hello", number));
    let run = create(&app, "hello", "false").await;
    let open = asked(&app, &run, 1).await.remove(0);
    let question = open.question.clone().unwrap();
    assert_eq!((&*question.title, &*question.assignee), ("How many?", "role:lead"));
    assert_eq!(question.payload.unwrap().data, "\"seats\"");
    let wrong = answer(&app, &open, v1::Decision::Respond, Some("-1")).await.unwrap_err();
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
    answer(&app, &open, v1::Decision::Respond, Some("7")).await.unwrap();
    assert_eq!(output(&app.ended(&run).await), r#""respond Some(7) false""#);
    working.drain().await;
}

#[tokio::test]
async fn when_nobody_answers_the_default_counts_or_the_wait_fails() {
    let app = App::start().await;
    let working = Working::start(Worker::new(app.client.clone()).handle("hello", number));
    let with = create(&app, "hello", "true").await;
    let without = create(&app, "hello", "false").await;
    for run in [&with, &without] {
        asked(&app, run, 1).await;
    }
    app.pass(Duration::from_hours(1)).await;
    assert_eq!(output(&app.ended(&with).await), r#""reject None true""#);
    assert_eq!(code(&app.ended(&without).await), "timed_out");
    working.drain().await;
}

async fn choose(ctx: Context, (): ()) -> Result<Option<String>, Stop> {
    let answer = ctx.interrupt("colour").choices(&["red", "green"]).ask().await?;
    Ok(answer.value)
}

#[tokio::test]
async fn a_choice_is_one_of_those_that_were_offered() {
    let app = App::start().await;
    let working = Working::start(Worker::new(app.client.clone()).handle("hello", choose));
    let run = create(&app, "hello", "null").await;
    let open = asked(&app, &run, 1).await.remove(0);
    assert_eq!(open.question.clone().unwrap().title, "colour");
    let other = answer(&app, &open, v1::Decision::Respond, Some("\"pink\"")).await;
    assert_eq!(other.unwrap_err().code(), tonic::Code::InvalidArgument);
    answer(&app, &open, v1::Decision::Respond, Some("\"red\"")).await.unwrap();
    assert_eq!(output(&app.ended(&run).await), "\"red\"");
    working.drain().await;
}
