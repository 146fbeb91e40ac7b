//! Runs that call runs.

use insta::assert_snapshot;
use tenure_core::limits;
use tenure_sdk::v1;
use v1::opening::Opening;

use crate::{Hand, append, end, json, opened, record, steering, succeed, suspend};

fn call(agent: &str, detached: bool) -> Opening {
    Opening::Child(v1::Call {
        agent: agent.into(),
        input: Some(json("7")),
        detached,
        ..v1::Call::default()
    })
}

fn child(key: &str, opening: Opening) -> v1::Record {
    v1::Record { kind: v1::EntryKind::Child.into(), ..opened(key, opening) }
}

impl Hand {
    /// A parked run that has called `hello` under each of these keys, and the calls as they come up.
    async fn calling(&self, keys: &[&str], detached: bool) -> (String, Vec<v1::LeasedRun>) {
        let parent = self.create(|_| ()).await;
        let leased = self.leased().await;
        let records = keys.iter().map(|key| child(key, call("hello", detached))).collect();
        let request = v1::CommitRequest { records, ..end(&leased, 1, suspend(0, keys)) };
        self.commit(request).await.unwrap();
        let mut children = Vec::new();
        for _ in keys {
            children.push(self.leased().await);
        }
        (parent, children)
    }

    pub(crate) async fn cancel(&self, run: &str) {
        let request = v1::CancelRunRequest {
            tenant: "default".into(),
            run: run.into(),
            steering: Some(steering("ann", "enough")),
        };
        self.app.client.runs().cancel_run(request).await.unwrap();
    }
}

#[tokio::test]
async fn results_come_up_and_a_failure_is_a_value() {
    let hand = Hand::start().await;
    let (parent, children) = hand.calling(&["child:hello", "child:hello#1"], false).await;
    for child in &children {
        let row = hand.app.run(&child.run).await;
        assert_eq!(row.parent, parent);
        assert_eq!(child.input.clone().unwrap(), json("7"));
    }
    hand.commit(end(&children[0], 1, succeed())).await.unwrap();
    hand.commit(end(&children[1], 1, crate::fail("broken", false))).await.unwrap();
    hand.app.until(&parent, |run| run.state() == v1::RunState::Queued).await;
    let leased = hand.leased().await;
    assert_eq!(leased.run, parent);
    // The second may arrive a moment later.
    while hand.inbox(&parent).await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let results: Vec<_> = hand.inbox(&parent).await.into_iter().map(|item| item.result).collect();
    assert!(results.iter().any(|result| matches!(result, Some(v1::inbox_item::Result::Payload(output)) if output.data == "42")));
    assert!(results.iter().any(|result| matches!(result, Some(v1::inbox_item::Result::Failure(why)) if why.code == "broken")));
}

fn budget(tokens: u64) -> v1::Budget {
    v1::Budget { tokens: Some(tokens), ..v1::Budget::default() }
}

#[tokio::test]
async fn a_called_run_is_given_no_more_than_its_caller_has() {
    let hand = Hand::start().await;
    hand.create(|request| request.budget = Some(budget(100))).await;
    let leased = hand.leased().await;
    assert_eq!(leased.budget, Some(budget(100)));
    let keys = ["child:hello", "child:hello#1", "child:hello#2"];
    let calls =
        keys.into_iter().zip([Some(budget(900)), Some(budget(30)), None]).map(|(key, budget)| {
            let Opening::Child(call) = call("hello", false) else { unreachable!() };
            child(key, Opening::Child(v1::Call { budget, ..call }))
        });
    let request =
        v1::CommitRequest { records: calls.collect(), ..end(&leased, 1, suspend(0, &keys)) };
    hand.commit(request).await.unwrap();
    let mut given = Vec::new();
    for _ in keys {
        let child = hand.leased().await;
        assert_eq!(hand.app.run(&child.run).await.budget, child.budget);
        given.push(child.budget.unwrap().tokens.unwrap());
    }
    given.sort_unstable();
    assert_eq!(given, [30, 100, 100]);
}

#[tokio::test]
async fn the_caller_is_told_what_a_called_run_has_used_whatever_came_of_it() {
    let hand = Hand::start().await;
    let (parent, children) = hand.calling(&["child:hello"], false).await;
    let used = v1::Usage { input_tokens: 7, unpriced: true, ..v1::Usage::default() };
    let tool = v1::Record {
        kind: v1::EntryKind::Tool.into(),
        usage: Some(used.clone()),
        ..record("tool:ask", "1")
    };
    let request = end(&children[0], 1, crate::fail("broken", false));
    hand.commit(v1::CommitRequest { records: vec![tool], ..request }).await.unwrap();
    hand.app.until(&parent, |run| run.state() == v1::RunState::Queued).await;
    let told = hand.inbox(&parent).await.remove(0).usage.unwrap();
    assert_eq!(told, v1::Usage { tool_calls: 1, ..used });

    // The caller's own record says it again, and that is no usage of its own.
    let leased = hand.leased().await;
    let usage = Some(told.clone());
    let status = Some(v1::record::Status::Failed(v1::Failure::default()));
    let kind = v1::EntryKind::Child.into();
    let ended = v1::Record { kind, status, usage, ..record("child:hello", "") };
    let request = v1::CommitRequest { records: vec![ended], ..end(&leased, 2, succeed()) };
    hand.commit(request).await.unwrap();
    let run = hand.app.ended(&parent).await;
    assert_eq!(run.called, Some(told));
    assert_eq!(run.usage, Some(v1::Usage { tool_calls: 1, ..v1::Usage::default() }));
}

#[tokio::test]
async fn what_cannot_be_called_is_the_result_of_the_call() {
    let hand = Hand::start().await;
    let parent = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.ask(&leased, 1, "child:nobody", call("nobody", false)).await;
    hand.app.until(&parent, |run| run.state() == v1::RunState::Queued).await;
    let Some(v1::inbox_item::Result::Failure(why)) = hand.inbox(&parent).await.remove(0).result
    else {
        panic!()
    };
    assert_snapshot!(format!("{}: {}", why.code, why.message), @"not_found: there is no agent `nobody`");
}

#[tokio::test]
async fn an_agent_without_a_version_cannot_be_called() {
    let hand = Hand::start().await;
    let create = v1::CreateAgentRequest { tenant: "default".into(), name: "empty".into() };
    hand.app.client.agents().create_agent(create).await.unwrap();
    let parent = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    hand.ask(&leased, 1, "child:empty", call("empty", false)).await;
    hand.app.until(&parent, |run| run.state() == v1::RunState::Queued).await;
    let Some(v1::inbox_item::Result::Failure(why)) = hand.inbox(&parent).await.remove(0).result
    else {
        panic!()
    };
    assert_snapshot!(format!("{}: {}", why.code, why.message), @"wrong_state: agent `empty` has no version yet");
}

#[tokio::test]
async fn cancelling_goes_down_but_not_to_what_is_detached() {
    let hand = Hand::start().await;
    let (parent, children) = hand.calling(&["child:hello", "child:hello#1"], false).await;
    let (other, detached) = hand.calling(&["child:hello"], true).await;
    for child in children.iter().chain(&detached) {
        hand.commit(append(child, 1, &["work"])).await.unwrap();
    }
    hand.cancel(&parent).await;
    hand.cancel(&other).await;
    for child in &children {
        let asked = hand.app.until(&child.run, |run| run.cancel_requested).await;
        assert!(asked.steering.unwrap().reason.contains(&parent));
        hand.commit(end(child, 2, v1::outcome::Outcome::Cancelled(v1::Cancelled {})))
            .await
            .unwrap();
        hand.app.ended(&child.run).await;
    }
    while hand.app.service.deliver().await.unwrap() > 0 {}
    hand.commit(end(&detached[0], 2, succeed())).await.unwrap();
    assert_eq!(hand.app.ended(&detached[0].run).await.state(), v1::RunState::Succeeded);
}

#[tokio::test]
async fn parent_and_child_may_end_in_the_same_instant() {
    for _ in 0..10 {
        let hand = Hand::start().await;
        let (parent, children) = hand.calling(&["child:hello"], false).await;
        let done = end(&children[0], 1, succeed());
        let ((), done) = tokio::join!(hand.cancel(&parent), hand.commit(done));
        let ended = hand.app.ended(&children[0].run).await;
        assert_eq!(ended.state() == v1::RunState::Succeeded, done.is_ok());
        assert_eq!(hand.app.ended(&parent).await.state(), v1::RunState::Cancelled);
        while hand.app.service.deliver().await.unwrap() > 0 {}
    }
}

#[tokio::test]
async fn a_call_whose_caller_ended_first_is_not_made() {
    let hand = Hand::start().await;
    let parent = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let records = vec![child("child:hello", call("hello", false))];
    // Called and ended in one commit: the message is still to be delivered.
    hand.commit(v1::CommitRequest { records, ..end(&leased, 1, succeed()) }).await.unwrap();
    hand.app.ended(&parent).await;
    while hand.app.service.deliver().await.unwrap() > 0 {}
    let request =
        v1::ListRunsRequest { tenant: "default".into(), parent, ..v1::ListRunsRequest::default() };
    assert!(hand.app.client.runs().list_runs(request).await.unwrap().into_inner().runs.is_empty());
}

#[tokio::test]
async fn an_agent_that_calls_itself_is_stopped_by_the_depth_limit() {
    let hand = Hand::start().await;
    hand.create(|_| ()).await;
    for _ in 0..limits::DEPTH {
        let leased = hand.leased().await;
        hand.ask(&leased, 1, "child:hello", call("hello", false)).await;
    }
    let deepest = hand.leased().await;
    hand.ask(&deepest, 1, "child:hello", call("hello", false)).await;
    hand.app.until(&deepest.run, |run| run.state() == v1::RunState::Queued).await;
    let Some(v1::inbox_item::Result::Failure(why)) =
        hand.inbox(&deepest.run).await.remove(0).result
    else {
        panic!()
    };
    assert_snapshot!(format!("{}: {}", why.code, why.message), @"too_large: the run would be 17 calls deep; the limit is 16: does an agent call itself?");
}
