//! Copies of journals, which forks begin with.

use std::time::Duration;

use tenure_core::run::Outcome;
use tenure_core::wait::Opening;
use tenure_core::{Entry, EntryKind, EntryStatus, Failure, Key, Payload, Record, Run, RunId};
use tenure_store::{Prefix, StoreError};

use super::Any;
use crate::world::{START, World, ann, asks, calls, question, record, usage};

fn succeeded(text: &str) -> EntryStatus {
    EntryStatus::Succeeded(Payload::json(text.to_owned()))
}

fn failed(code: &str) -> EntryStatus {
    EntryStatus::Failed(Failure::retryable(code, "it was not well"))
}

fn tool(key: &str, status: EntryStatus) -> Record {
    Record { kind: EntryKind::Tool, usage: Some(usage("m-1", 7)), ..record(key, status) }
}

fn opened(key: &str, opening: Opening) -> Record {
    record(key, EntryStatus::Opened(opening))
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// A run that asked, called, failed, was tried again, and was patched.
async fn eventful(world: &mut World) -> Run {
    let run = world.create_leased().await;
    let records = vec![
        record("plan", succeeded("1")),
        tool("tool:send", EntryStatus::Opened(Opening::Started)),
        tool("tool:send", succeeded("2")),
        asks("ask", question()),
        record("ask", succeeded("3")),
        calls("call", false),
        record("flaky", failed("http_503")),
        tool("tool:odd", failed("http_500")),
    ];
    let failure = Failure::retryable("http_503", "it was not well");
    let again = vec![key("flaky")];
    let retry = Outcome::Fail { failure, retry_after: Some(Duration::ZERO), again };
    let run = world.commit(&run, records, Some(retry)).await;
    let run = world.start(&run).await;
    let records = vec![record("flaky", succeeded("4")), opened("risky", Opening::Started)];
    let block = Outcome::Block(Failure::permanent("in_doubt", "it may have happened"));
    let run = world.commit(&run, records, Some(block)).await;
    let patch =
        |run: &Run, now| run.patch(key("risky"), succeeded("5"), ann("I looked"), now).unwrap();
    let run = world.act(&run, patch).await;
    let run = world.start(&run).await;
    let records = vec![
        record("then", failed("bad")),
        tool("tool:late", succeeded("6")),
        record("last", succeeded("7")),
    ];
    world.commit(&run, records, None).await
}

async fn copy(world: &mut World, run: &Run, prefix: Prefix) -> Option<Vec<Entry>> {
    let to = RunId::new(world.id());
    let mut tx = world.store.begin().await.unwrap();
    let copied = tx.copy_journal(run.tenant, run.id, to, &prefix).await.unwrap();
    tx.commit().await.unwrap();
    let copies = world.store.read_journal(run.tenant, to, 0, 99, 1 << 20).await.unwrap();
    assert_eq!(copies.len() as u64, copied.unwrap_or(0));
    for (copy, seq) in copies.iter().zip(1..) {
        assert_eq!((copy.seq, copy.epoch, copy.at), (seq, 0, START));
    }
    copied.map(|_| copies)
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.record.key.as_str()).collect()
}

pub(super) async fn a_copy_has_the_results(store: Any) {
    let mut world = World::new(store).await;
    let run = eventful(&mut world).await;
    world.store.set_clock(Some(START + Duration::from_secs(9))).await.unwrap();
    let copies = copy(&mut world, &run, Prefix::default()).await.unwrap();
    assert_eq!(
        keys(&copies),
        ["plan", "tool:send", "ask", "tool:odd", "flaky", "risky", "then", "tool:late", "last"]
    );
    assert_eq!(copies[1].record, tool("tool:send", succeeded("2")));
    assert_eq!(copies[4].record.status, succeeded("4"), "the one that counts");
    assert_eq!(copies[5].record.kind, EntryKind::Steering);
    let original = world.store.read_journal(run.tenant, run.id, 0, 99, 1 << 20).await.unwrap();
    assert_eq!(original.len() as u64, run.next_seq - 1);
}

pub(super) async fn a_copy_stops_before_a_key(store: Any) {
    let mut world = World::new(store).await;
    let run = eventful(&mut world).await;
    let before = |text: &str| Prefix { before: Some(key(text)), ..Prefix::default() };
    let copies = copy(&mut world, &run, before("tool:odd")).await.unwrap();
    assert_eq!(keys(&copies), ["plan", "tool:send", "ask", "flaky"]);
    assert_eq!(copies[3].record.status, failed("http_503"), "as it stood there");
    let copies = copy(&mut world, &run, before("tool:send")).await.unwrap();
    assert_eq!(keys(&copies), ["plan"], "at the entry that opened it");
    assert_eq!(copy(&mut world, &run, before("plan")).await, Some(Vec::new()));
    assert_eq!(copy(&mut world, &run, before("nothing")).await, None);
    let nobody = Run { id: RunId::new(world.id()), ..run };
    assert_eq!(copy(&mut world, &nobody, before("plan")).await, None);
    assert_eq!(copy(&mut world, &nobody, Prefix::default()).await, Some(Vec::new()));
}

pub(super) async fn a_copy_may_have_later_tools(store: Any) {
    let mut world = World::new(store).await;
    let run = eventful(&mut world).await;
    let before = |text: &str| Prefix { before: Some(key(text)), tools: true, without: None };
    let copies = copy(&mut world, &run, before("ask")).await.unwrap();
    assert_eq!(keys(&copies), ["plan", "tool:send", "tool:odd", "tool:late"]);
    let copies = copy(&mut world, &run, before("tool:send")).await.unwrap();
    assert_eq!(keys(&copies), ["plan", "tool:odd", "tool:late"], "without what is to be redone");
}

pub(super) async fn a_copy_may_leave_out_a_failure(store: Any) {
    let mut world = World::new(store).await;
    let run = eventful(&mut world).await;
    let without = |code: &str, message: &str| Prefix {
        without: Some(Failure::permanent(code, message)),
        ..Prefix::default()
    };
    let copies = copy(&mut world, &run, without("bad", "it was not well")).await.unwrap();
    assert_eq!(
        keys(&copies),
        ["plan", "tool:send", "ask", "tool:odd", "flaky", "risky", "tool:late", "last"]
    );
    let copies = copy(&mut world, &run, without("bad", "else")).await.unwrap();
    assert_eq!(copies.len(), 9);
    let copies = copy(&mut world, &run, without("http_503", "it was not well")).await.unwrap();
    assert_eq!(copies.len(), 9, "it was mended");
}

/// What is to be tried again is not taken over as it failed.
pub(super) async fn a_copy_leaves_out_what_is_to_be_tried_again(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let records = vec![record("flaky", failed("a")), tool("tool:x", failed("b"))];
    let failure = Failure::retryable("a", "it was not well");
    let again = vec![key("flaky"), key("tool:x")];
    let retry = Outcome::Fail { failure, retry_after: Some(Duration::ZERO), again };
    let run = world.commit(&run, records, Some(retry)).await;
    assert_eq!(copy(&mut world, &run, Prefix::default()).await, Some(Vec::new()));
}

pub(super) async fn a_copy_goes_into_an_empty_journal(store: Any) {
    let mut world = World::new(store).await;
    let run = eventful(&mut world).await;
    let mut tx = world.store.begin().await.unwrap();
    let copied = tx.copy_journal(run.tenant, run.id, run.id, &Prefix::default()).await;
    assert!(matches!(copied, Err(StoreError::Conflict(_))), "{copied:?}");
    assert!(tx.commit().await.is_err());
}
