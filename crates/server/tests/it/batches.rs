//! Commits of many runs in one call.

use insta::assert_snapshot;
use tenure_core::limits;
use tenure_sdk::v1;
use v1::commit_result::Result as Committed;

use crate::{Hand, append, end, said, succeed};

impl Hand {
    async fn commit_all(
        &self,
        commits: Vec<v1::CommitRequest>,
    ) -> Result<Vec<Committed>, tonic::Status> {
        let request = v1::BatchCommitRequest { commits };
        let answered = self.app.client.workers().batch_commit(request).await?.into_inner();
        Ok(answered.results.into_iter().map(|result| result.result.unwrap()).collect())
    }

    async fn lease_some(&self, number: usize) -> Vec<v1::LeasedRun> {
        let mut leased = Vec::new();
        for _ in 0..number {
            self.create(|_| ()).await;
            leased.push(self.leased().await);
        }
        leased
    }
}

fn committed(result: &Committed) -> &v1::CommitResponse {
    match result {
        Committed::Committed(response) => response,
        Committed::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[tokio::test]
async fn each_commit_has_its_answer_in_its_place() {
    let hand = Hand::start().await;
    let leased = hand.lease_some(5).await;
    let keys = ["a", "b", "c", "d", "e"];
    let of = |(number, run): (usize, &v1::LeasedRun)| append(run, 1, &keys[..=number]);
    let first: Vec<_> = leased.iter().enumerate().map(of).collect();
    let answers = hand.commit_all(first.clone()).await.unwrap();
    let next = |answers: &[Committed]| -> Vec<u64> {
        answers.iter().map(|answer| committed(answer).next_seq).collect()
    };
    assert_eq!(next(&answers), [2, 3, 4, 5, 6]);
    let turned: Vec<_> = first.into_iter().rev().collect();
    let again = hand.commit_all(turned).await.unwrap();
    assert_eq!(next(&again), [6, 5, 4, 3, 2], "the same again, in another order");
    for (number, run) in leased.iter().enumerate() {
        assert_eq!(hand.app.keys(&run.run).await, keys[..=number]);
    }
}

/// What one is refused for harms nobody else, whatever is decided with it.
#[tokio::test]
async fn one_that_is_refused_is_refused_alone() {
    let hand = Hand::start().await;
    let leased = hand.lease_some(4).await;
    let mut commits: Vec<_> = leased.iter().map(|run| append(run, 1, &["a"])).collect();
    commits[1].expected_seq = 3;
    commits[2].run = "nobody".into();
    commits[3] = end(&leased[3], 1, succeed());
    let answers = hand.commit_all(commits).await.unwrap();
    let refused: Vec<_> = answers[1..3]
        .iter()
        .map(|answer| match answer {
            Committed::Refused(refusal) => (refusal.code, refusal.kind.as_str(), &refusal.message),
            Committed::Committed(response) => panic!("{response:?}"),
        })
        .collect();
    let said = format!("{refused:?}").replace(&leased[1].run, "run_…");
    assert_snapshot!(said, @r#"[(9, "wrong_state", "the journal of run_… ends at entry 0: entry 3 would leave a gap"), (3, "invalid", "`nobody` is not a run id: expected `run_` and 26 characters")]"#);
    assert_eq!((committed(&answers[0]).next_seq, committed(&answers[3]).next_seq), (2, 1));
    assert_eq!(hand.app.run(&leased[3].run).await.state(), v1::RunState::Succeeded);
    for (run, keys) in leased.iter().zip([&["a"][..], &[], &[], &[]]) {
        assert_eq!(hand.app.keys(&run.run).await, keys);
    }
}

/// Not what a worker should do, and not what may go wrong either.
#[tokio::test]
async fn two_commits_of_one_run_are_done_in_their_order() {
    let hand = Hand::start().await;
    let run = hand.lease_some(1).await.remove(0);
    let commits = vec![
        append(&run, 1, &["a"]),
        append(&run, 2, &["b", "c"]),
        append(&run, 2, &["other"]),
        end(&run, 4, succeed()),
        append(&run, 4, &["late"]),
    ];
    let answers = hand.commit_all(commits).await.unwrap();
    let done: Vec<bool> =
        answers.iter().map(|answer| matches!(answer, Committed::Committed(_))).collect();
    assert_eq!(done, [true, true, false, true, false], "{answers:?}");
    assert_eq!(hand.app.keys(&run.run).await, ["a", "b", "c"]);
    assert_eq!(hand.app.run(&run.run).await.state(), v1::RunState::Succeeded);
}

#[tokio::test]
async fn an_empty_batch_and_one_that_is_too_large_are_refused() {
    let hand = Hand::start().await;
    let none = hand.commit_all(Vec::new()).await.unwrap_err();
    assert_snapshot!(said(&none), @"InvalidArgument: commits is empty: send at least one");
    let run = hand.lease_some(1).await.remove(0);
    let commits = vec![append(&run, 1, &["a"]); limits::LEASES + 1];
    let many = hand.commit_all(commits).await.unwrap_err();
    assert_snapshot!(said(&many), @"OutOfRange: the number of commits in one batch is 501; the limit is 500");
    assert!(hand.app.keys(&run.run).await.is_empty());
}
