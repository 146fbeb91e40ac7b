//! Interrupts: what runs ask, and the one answer that each gets.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tenure_sdk::v1;
use v1::opening::Opening;

use crate::{Hand, append, end, opened, said, succeed, suspend};

const SCHEMA: &str =
    r#"{"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}"#;

fn question() -> v1::Question {
    v1::Question {
        kind: v1::QuestionKind::Approval.into(),
        title: "send this mail?".into(),
        payload: Some(crate::json(r#"{"to": "bob"}"#)),
        schema: SCHEMA.into(),
        assignee: "role:lead".into(),
        ..v1::Question::default()
    }
}

fn answer(decision: v1::Decision, value: Option<&str>) -> v1::Answer {
    v1::Answer {
        decision: decision.into(),
        value: value.map(crate::json),
        reason: String::new(),
        actor: "ann".into(),
    }
}

/// The answer as the run's code sees it, whatever the order of its fields.
fn read(message: &v1::Payload) -> Value {
    serde_json::from_slice(&message.data).unwrap()
}

impl Hand {
    /// A parked run with a question under each of these keys.
    async fn asking(&self, keys: &[&str], question: v1::Question) -> String {
        let run = self.create(|_| ()).await;
        let leased = self.leased().await;
        let ask = |key: &&str| opened(key, Opening::Interrupt(question.clone()));
        let request = v1::CommitRequest {
            records: keys.iter().map(ask).collect(),
            ..end(&leased, 1, suspend(0, keys))
        };
        self.commit(request).await.unwrap();
        run
    }

    async fn open(&self) -> Vec<v1::Interrupt> {
        let request = v1::ListInterruptsRequest {
            tenant: "default".into(),
            ..v1::ListInterruptsRequest::default()
        };
        self.app.client.inbox().list_interrupts(request).await.unwrap().into_inner().interrupts
    }

    async fn resolve(
        &self,
        interrupt: &str,
        answer: v1::Answer,
    ) -> Result<v1::Interrupt, tonic::Status> {
        let request = v1::ResolveInterruptRequest {
            tenant: "default".into(),
            interrupt: interrupt.into(),
            answer: Some(answer),
        };
        Ok(self.app.client.inbox().resolve_interrupt(request).await?.into_inner())
    }

    async fn refused(&self, interrupt: &str, answer: v1::Answer) -> String {
        let refused = self.resolve(interrupt, answer).await.unwrap_err();
        said(&refused).replace(interrupt, "int_…").split(" at 2").next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn each_question_is_answered_alone_and_once() {
    let hand = Hand::start().await;
    let run = hand.asking(&["left/approve", "right/approve"], question()).await;
    let open = hand.open().await;
    let keys: Vec<&str> = open.iter().map(|interrupt| interrupt.key.as_str()).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(hand.app.run(&run).await.open_interrupts, 2);
    let left = open.iter().find(|interrupt| interrupt.key == "left/approve").unwrap();
    assert_eq!((&*left.agent, &left.run), ("hello", &run));
    let asked = left.question.clone().unwrap();
    assert_eq!(asked.decisions.len(), 3, "an approval may be approved, edited or rejected");

    let done = hand.resolve(&left.id, answer(v1::Decision::Approve, None)).await.unwrap();
    assert_eq!(done.state(), v1::InterruptState::Answered);
    let again = hand.resolve(&left.id, answer(v1::Decision::Approve, None)).await.unwrap();
    assert_eq!(done, again, "the same answer again returns the same");
    let other = hand.refused(&left.id, answer(v1::Decision::Reject, None)).await;
    assert_snapshot!(other, @"AlreadyExists: int_… was answered with `approve` by ann");
    assert_eq!(hand.open().await.len(), 1, "the other one is still open");

    let leased = hand.leased().await;
    let inbox = hand.inbox(&run).await;
    assert_eq!((leased.inbox, inbox.len()), (1, 1), "delivered once");
    assert_eq!(inbox[0].topic, Some(v1::inbox_item::Topic::Wait("left/approve".into())));
    let Some(v1::inbox_item::Result::Payload(message)) = &inbox[0].result else { panic!() };
    assert_eq!(read(message), json!({"decision": "approve", "reason": "", "actor": "ann"}));
    hand.commit(end(&leased, 3, succeed())).await.unwrap();
    assert!(hand.open().await.is_empty(), "what a run asked is closed with it");
    let right = open.iter().find(|interrupt| interrupt.key == "right/approve").unwrap();
    let late = hand.refused(&right.id, answer(v1::Decision::Approve, None)).await;
    assert_snapshot!(late, @"FailedPrecondition: int_… was closed");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused_with_the_reason() {
    let hand = Hand::start().await;
    hand.asking(&["approve"], question()).await;
    let id = &hand.open().await[0].id;
    let edit = |value| answer(v1::Decision::Edit, Some(value));
    assert_snapshot!(hand.refused(id, edit("{}")).await, @r#"InvalidArgument: the value does not fit the schema: "to" is a required property"#);
    assert_snapshot!(hand.refused(id, edit(r#"{"to": 7}"#)).await, @r#"InvalidArgument: the value does not fit the schema: /to: 7 is not of type "string""#);
    assert_snapshot!(hand.refused(id, edit("nonsense")).await, @"InvalidArgument: the value is not JSON: expected ident at line 1 column 2");
    assert_snapshot!(hand.refused(id, answer(v1::Decision::Edit, None)).await, @"InvalidArgument: `edit` needs a value");
    assert_snapshot!(hand.refused(id, answer(v1::Decision::Respond, Some("1"))).await, @"InvalidArgument: the value does not fit the schema: 1 is not of type \"object\"");
    assert_snapshot!(hand.refused(id, answer(v1::Decision::Respond, Some(r#"{"to": "x"}"#))).await, @"InvalidArgument: int_… cannot be answered with `respond`: it allows approve, edit, reject");
    assert_snapshot!(hand.refused(id, answer(v1::Decision::Approve, Some("1"))).await, @"InvalidArgument: `approve` takes no value; leave it out");
    assert_snapshot!(hand.refused(id, v1::Answer::default()).await, @"InvalidArgument: answer.decision is missing");
    let huge = format!(r#"{{"to": "{}"}}"#, "x".repeat(2 << 20));
    assert_snapshot!(hand.refused(id, edit(&huge)).await, @"OutOfRange: the value of an answer in bytes is 2097162; the limit is 1048576");
    let ten_megabytes = format!(r#"{{"to": "{}"}}"#, "x".repeat(10 << 20));
    assert!(hand.refused(id, edit(&ten_megabytes)).await.starts_with("OutOfRange"));
    assert_eq!(hand.open().await.len(), 1, "it is still open");
}

#[tokio::test]
async fn an_answer_from_outside_the_tenant_finds_nothing() {
    let hand = Hand::start().await;
    hand.asking(&["approve"], question()).await;
    let id = hand.open().await[0].id.clone();
    let tenant = v1::CreateTenantRequest { name: "other".into() };
    hand.app.client.tenants().create_tenant(tenant).await.unwrap();
    let request = v1::ResolveInterruptRequest {
        tenant: "other".into(),
        interrupt: id.clone(),
        answer: Some(answer(v1::Decision::Approve, None)),
    };
    let foreign = hand.app.client.inbox().resolve_interrupt(request).await.unwrap_err();
    assert_snapshot!(said(&foreign).replace(&id, "int_…"), @"NotFound: there is no interrupt int_…");
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused_when_it_is_asked() {
    let hand = Hand::start().await;
    hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let question = v1::Question { schema: r#"{"type": "nonsense"}"#.into(), ..question() };
    let request = v1::CommitRequest {
        records: vec![opened("approve", Opening::Interrupt(question))],
        ..append(&leased, 1, &[])
    };
    let refused = hand.commit(request).await.unwrap_err();
    assert!(
        said(&refused)
            .starts_with("InvalidArgument: the schema of `approve`: it is not a JSON Schema"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_deadline_ends_the_wait_with_its_default_or_as_timed_out() {
    let hand = Hand::start().await;
    let timeout = Some(Duration::from_mins(5).into());
    let with_default =
        v1::Question { timeout, default_decision: v1::Decision::Reject.into(), ..question() };
    let run = hand.asking(&["with"], with_default.clone()).await;
    let without = v1::Question { default_decision: 0, ..with_default };
    let other = hand.asking(&["without"], without).await;
    let open = hand.open().await;
    hand.app.pass(Duration::from_secs(299)).await;
    assert_eq!(hand.app.service.time_out().await.unwrap(), 0);
    hand.app.pass(Duration::from_secs(2)).await;
    hand.app.until(&run, |run| run.state() != v1::RunState::Waiting).await;
    hand.app.until(&other, |run| run.state() != v1::RunState::Waiting).await;
    let result = |items: Vec<v1::InboxItem>| items[0].result.clone().unwrap();
    let v1::inbox_item::Result::Payload(message) = result(hand.inbox(&run).await) else { panic!() };
    let default = json!({
        "decision": "reject",
        "reason": "nobody answered in time",
        "actor": "tenure",
        "timed_out": true,
    });
    assert_eq!(read(&message), default);
    let v1::inbox_item::Result::Failure(late) = result(hand.inbox(&other).await) else { panic!() };
    assert_eq!(late.code, "timed_out");
    let late = hand.refused(&open[0].id, answer(v1::Decision::Approve, None)).await;
    assert_snapshot!(late, @"FailedPrecondition: int_… timed out");
}

#[tokio::test]
async fn a_deadline_in_the_past_is_over_at_once_and_one_far_away_never() {
    let hand = Hand::start().await;
    let now = v1::Question { timeout: Some(Duration::ZERO.into()), ..question() };
    let run = hand.asking(&["now"], now).await;
    hand.app.until(&run, |run| run.state() != v1::RunState::Waiting).await;
    let ages = Duration::from_hours(24 * 365 * 1_000);
    let far = v1::Question { timeout: Some(ages.into()), ..question() };
    let leased = hand.leased().await;
    assert_eq!(leased.run, run);
    hand.ask(&leased, 2, "far", Opening::Interrupt(far)).await;
    let open = hand.open().await;
    assert!(open[0].due_at.unwrap().seconds > 32_500_000_000, "in the year 3000");
    assert_eq!(hand.app.service.time_out().await.unwrap(), 0);
}

#[tokio::test]
async fn many_are_listed_across_runs_and_answered_together() {
    let hand = Hand::start().await;
    for _ in 0..5 {
        hand.asking(&["approve"], question()).await;
    }
    let list = async |with: &dyn Fn(&mut v1::ListInterruptsRequest)| {
        let mut request = v1::ListInterruptsRequest {
            tenant: "default".into(),
            ..v1::ListInterruptsRequest::default()
        };
        with(&mut request);
        hand.app.client.inbox().list_interrupts(request).await.unwrap().into_inner()
    };
    let first = list(&|request| request.page_size = 3).await;
    assert_eq!(first.interrupts.len(), 3);
    let rest = list(&|request| request.page_token.clone_from(&first.next_page_token)).await;
    assert_eq!((rest.interrupts.len(), &*rest.next_page_token), (2, ""));
    assert_eq!(list(&|request| request.agent = "hello".into()).await.interrupts.len(), 5);
    assert_eq!(list(&|request| request.assignee = "role:lead".into()).await.interrupts.len(), 5);
    assert!(list(&|request| request.assignee = "bob".into()).await.interrupts.is_empty());
    assert!(
        list(&|request| request.min_age = Some(Duration::from_hours(1).into()))
            .await
            .interrupts
            .is_empty()
    );
    hand.app.pass(Duration::from_hours(2)).await;
    assert_eq!(
        list(&|request| request.min_age = Some(Duration::from_hours(1).into()))
            .await
            .interrupts
            .len(),
        5
    );

    let all = list(&|_| ()).await.interrupts;
    hand.resolve(&all[2].id, answer(v1::Decision::Reject, None)).await.unwrap();
    let request = v1::ResolveInterruptsRequest {
        tenant: "default".into(),
        interrupts: all.iter().map(|interrupt| interrupt.id.clone()).collect(),
        answer: Some(answer(v1::Decision::Approve, None)),
    };
    let resolved =
        hand.app.client.inbox().resolve_interrupts(request).await.unwrap().into_inner().resolved;
    let refused: Vec<usize> = (0..5)
        .filter(|place| matches!(resolved[*place].result, Some(v1::resolved::Result::Refused(_))))
        .collect();
    assert_eq!(refused, [2], "one that is refused does not keep the others from being answered");
}

#[tokio::test]
async fn an_answer_races_with_the_deadline_and_one_of_them_wins() {
    for round in 0..20 {
        let hand = Hand::start().await;
        let question = v1::Question { timeout: Some(Duration::from_secs(1).into()), ..question() };
        let run = hand.asking(&["approve"], question).await;
        let id = hand.open().await[0].id.clone();
        hand.app.pass(Duration::from_secs(2)).await;
        let (answered, _) = tokio::join!(
            hand.resolve(&id, answer(v1::Decision::Approve, None)),
            hand.app.service.time_out(),
        );
        hand.leased().await;
        let inbox = hand.inbox(&run).await;
        assert_eq!(inbox.len(), 1, "round {round}");
        let got_answer = matches!(inbox[0].result, Some(v1::inbox_item::Result::Payload(_)));
        assert_eq!(answered.is_ok(), got_answer, "round {round}: acknowledged is what counts");
    }
}
