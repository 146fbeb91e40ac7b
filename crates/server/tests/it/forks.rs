//! Forks and checks: what another run has recorded, again.

use insta::assert_snapshot;
use tenure_sdk::v1;

use crate::{Hand, append, end, fail, json, record, said, succeed};

impl Hand {
    async fn fork(
        &self,
        run: &str,
        with: impl FnOnce(&mut v1::ForkRunRequest),
    ) -> Result<v1::Run, tonic::Status> {
        let mut request = v1::ForkRunRequest {
            tenant: "default".into(),
            run: run.into(),
            ..v1::ForkRunRequest::default()
        };
        with(&mut request);
        Ok(self.app.client.runs().fork_run(request).await?.into_inner())
    }

    /// A finished run: two steps with a tool between and behind them.
    async fn finished(&self) -> String {
        let run = self.create(|request| request.input = Some(json("7"))).await;
        let leased = self.leased().await;
        let mut request = append(&leased, 1, &["plan", "tool:a", "act", "tool:b"]);
        for place in [1, 3] {
            request.records[place].set_kind(v1::EntryKind::Tool);
        }
        request.records[0].usage =
            Some(v1::Usage { model: "m".into(), input_tokens: 5, ..v1::Usage::default() });
        self.commit(request).await.unwrap();
        self.commit(end(&leased, 5, succeed())).await.unwrap();
        run
    }
}

#[tokio::test]
async fn a_fork_begins_with_what_was_recorded_before_a_step() {
    let hand = Hand::start().await;
    let run = hand.finished().await;
    let fork = hand.fork(&run, |request| request.from_step = "act".into()).await.unwrap();
    assert_eq!(hand.app.keys(&fork.id).await, ["plan", "tool:a"]);
    assert_eq!((fork.entries, fork.usage.clone().unwrap().input_tokens), (2, 0), "paid once");
    let leased = hand.leased().await;
    assert_eq!((&leased.run, leased.next_seq, leased.entries.len()), (&fork.id, 3, 2));
    assert_eq!(leased.input.clone().unwrap(), json("7"));
    hand.commit(append(&leased, 3, &["act"])).await.unwrap();
    let epochs: Vec<u64> =
        hand.app.journal(&fork.id).await.iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, [0, 0, leased.epoch]);
    assert_eq!(hand.app.keys(&run).await.len(), 4, "the source is as it was");
}

#[tokio::test]
async fn tools_can_be_taken_from_behind_the_step_as_well() {
    let hand = Hand::start().await;
    let run = hand.finished().await;
    let recorded = |request: &mut v1::ForkRunRequest| {
        request.from_step = "act".into();
        request.set_tools(v1::ForkTools::Recorded);
        request.input = Some(json("8"));
    };
    let fork = hand.fork(&run, recorded).await.unwrap();
    assert_eq!(hand.app.keys(&fork.id).await, ["plan", "tool:a", "tool:b"]);
    assert_eq!(hand.leased().await.input.unwrap(), json("8"));
}

#[tokio::test]
async fn a_dead_letter_is_requeued_without_the_failure_that_ended_it() {
    let hand = Hand::start().await;
    let run = hand.create(|_| ()).await;
    let leased = hand.leased().await;
    let mut request = append(&leased, 1, &["plan", "fetch"]);
    let why = v1::Failure { code: "http_503".into(), message: "it broke".into(), retryable: true };
    request.records[1].status = Some(v1::record::Status::Failed(why));
    hand.commit(request).await.unwrap();
    hand.commit(end(&leased, 3, fail("http_503", true))).await.unwrap();
    let list = v1::ListRunsRequest {
        tenant: "default".into(),
        failure_code: "http_503".into(),
        ..v1::ListRunsRequest::default()
    };
    let dead = hand.app.client.runs().list_runs(list).await.unwrap().into_inner().runs;
    assert_eq!(dead.iter().map(|run| &run.id).collect::<Vec<_>>(), [&run]);
    let again = hand.fork(&run, |_| ()).await.unwrap();
    assert_eq!(hand.app.keys(&again.id).await, ["plan"]);
}

#[tokio::test]
async fn a_fork_from_nowhere_and_one_twice() {
    let hand = Hand::start().await;
    let run = hand.finished().await;
    let nowhere =
        hand.fork(&run, |request| request.from_step = "nowhere".into()).await.unwrap_err();
    assert_snapshot!(said(&nowhere).replace(&run, "run_…"), @"NotFound: run_… has no entry `nowhere` to fork from");
    let wrong = hand.fork(&run, |request| request.from_step = "a b".into()).await.unwrap_err();
    assert!(said(&wrong).starts_with("InvalidArgument: from_step: `a b` is not a journal key"));
    let version = hand.fork(&run, |request| request.version = "9".into()).await.unwrap_err();
    assert_snapshot!(said(&version), @"NotFound: agent `hello` has no version 9");
    let once = |request: &mut v1::ForkRunRequest| request.idempotency_key = "again".into();
    let first = hand.fork(&run, once).await.unwrap();
    let second = hand.fork(&run, once).await.unwrap();
    assert_eq!(first.id, second.id);
}

#[tokio::test]
async fn a_check_has_the_journal_of_the_run_it_checks_and_writes_nothing() {
    let hand = Hand::start().await;
    let run = hand.finished().await;
    let request =
        v1::CheckRunRequest { tenant: "default".into(), run: run.clone(), version: String::new() };
    let check = hand.app.client.runs().check_run(request).await.unwrap().into_inner();
    assert_eq!(check.checks, run);
    let leased = hand.leased().await;
    let checked = leased.check.clone().unwrap();
    assert_eq!((&checked.run, checked.entries, leased.entries.len()), (&run, 4, 4));
    assert_eq!((leased.next_seq, leased.input.clone().unwrap()), (1, json("7")));
    let page =
        v1::ReadJournalRequest { tenant: "default".into(), run: check.id.clone(), after_seq: 2 };
    let page = hand.app.client.workers().read_journal(page).await.unwrap().into_inner();
    assert_eq!(page.entries.len(), 2);
    let mut write = append(&leased, 1, &[]);
    write.records = vec![record("new", "1")];
    let refused = hand.commit(write).await.unwrap_err();
    assert_snapshot!(said(&refused).replace(&check.id, "run_…"), @"InvalidArgument: run_… only checks: nothing is recorded");
    hand.commit(end(&leased, 1, succeed())).await.unwrap();
    let list = v1::ListRunsRequest { tenant: "default".into(), ..v1::ListRunsRequest::default() };
    let listed = hand.app.client.runs().list_runs(list).await.unwrap().into_inner().runs;
    assert_eq!(
        listed.iter().map(|run| &run.id).collect::<Vec<_>>(),
        [&run],
        "checks are not listed"
    );
}
