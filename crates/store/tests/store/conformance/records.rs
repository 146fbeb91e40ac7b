//! Journal, inbox, artifacts.

use std::time::Duration;

use bytes::Bytes;
use tenure_core::agent::Artifact;
use tenure_core::run::{Outcome, Topic};
use tenure_core::{
    ArtifactId, Budget, Call, Digest, Effect, EntryKind, EntryStatus, Failure, Key, Opening,
    Payload, Question, Record, RunId, TenantId,
};
use tenure_store::StoreError;

use super::Any;
use crate::world::{START, TTL, World, ann, applied, commit, name, question, record, usage};

fn succeeded(bytes: usize) -> EntryStatus {
    EntryStatus::Succeeded(Payload::json(vec![b'x'; bytes]))
}

fn one_of_each() -> Vec<Record> {
    let failed = EntryStatus::Failed(Failure::retryable("http_503", "über ’lastet"));
    let mut records = vec![record("plan", succeeded(3)), record("turn/1/tool:x#1", failed)];
    let kinds = EntryKind::ALL.into_iter().filter(|kind| *kind != EntryKind::Steering);
    for (place, kind) in kinds.enumerate() {
        let usage = (kind == EntryKind::Model).then(|| usage("m-1", i64::MAX as u64 - 4));
        let empty = EntryStatus::Succeeded(Payload::default());
        let key = format!("kind/{place}").parse().unwrap();
        let duration = Duration::ZERO;
        let more = Record { key, kind, usage, input: None, duration, ..record("x", empty) };
        records.push(more);
    }
    records
}

pub(super) async fn an_entry_comes_back_as_it_was_saved(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let records = one_of_each();
    let run = world.commit(&run, records.clone(), None).await;
    let entries = world.store.read_journal(world.tenant, run.id, 0, 99, 1 << 20).await.unwrap();
    assert_eq!(
        entries.iter().map(|entry| &entry.record).collect::<Vec<_>>(),
        records.iter().collect::<Vec<_>>()
    );
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!((entry.seq, entry.epoch, entry.at), (seq, run.epoch, START));
    }
    assert_eq!(world.stored(&run).await.usage, run.usage);
}

pub(super) async fn what_an_entry_opens_comes_back(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let call = Call {
        agent: name("reader"),
        version: "stable".into(),
        input: Payload::json("[1]"),
        detached: true,
        budget: Budget { tokens: Some(9), ..Budget::default() },
    };
    let openings = [
        Opening::Started,
        Opening::Again,
        Opening::Interrupt(Box::new(question())),
        Opening::Interrupt(Box::default()),
        Opening::Child(Box::new(call)),
    ];
    let records: Vec<_> = openings
        .into_iter()
        .zip(0..)
        .map(|(opening, place)| record(&format!("open/{place}"), EntryStatus::Opened(opening)))
        .collect();
    let run = world.commit(&run, records.clone(), None).await;
    let entries = world.store.read_journal(world.tenant, run.id, 0, 99, 1 << 20).await.unwrap();
    assert_eq!(entries.into_iter().map(|entry| entry.record).collect::<Vec<_>>(), records);
    assert_eq!(world.stored(&run).await, run);
}

pub(super) async fn steering_is_on_record(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let block = Outcome::Block(Failure::permanent("mismatch", "it changed"));
    let blocked = world.commit(&run, vec![record("a", succeeded(1))], Some(block)).await;
    let key = blocked_key();
    world
        .act(&blocked, |run, now| {
            run.patch(key.clone(), succeeded(2), ann("the réport is out"), now).unwrap()
        })
        .await;
    let entries = world.store.read_journal(world.tenant, run.id, 1, 99, 1 << 20).await.unwrap();
    let records: Vec<_> = entries.iter().map(|entry| &entry.record).collect();
    assert_eq!(records[0].status, EntryStatus::Steered(ann("the réport is out")));
    assert_eq!(records[0].key.as_str(), "tenure:patch#2");
    assert_eq!((&records[1].key, &records[1].status), (&key, &succeeded(2)));
    assert!(records.iter().all(|record| record.kind == EntryKind::Steering));
}

fn blocked_key() -> Key {
    "turn/1/fetch".parse().unwrap()
}

pub(super) async fn a_page_of_a_journal_ends_by_number_or_bytes(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let long = EntryStatus::Failed(Failure::permanent("", "y".repeat(100)));
    let records = vec![
        record("a", succeeded(100)),
        record("b", long),
        record("c", succeeded(0)),
        record("d", succeeded(1)),
    ];
    let run = world.commit(&run, records, None).await;
    let page = async |after, limit, bytes| {
        let read = world.store.read_journal(world.tenant, run.id, after, limit, bytes);
        read.await.unwrap().into_iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 99, 1000).await, [1, 2, 3, 4]);
    assert_eq!(page(0, 2, 1000).await, [1, 2]);
    assert_eq!(page(2, 99, 1000).await, [3, 4]);
    assert_eq!(page(0, 99, 0).await, [1], "at least one");
    assert_eq!(page(0, 99, 99).await, [1]);
    assert_eq!(page(0, 99, 100).await, [1, 2], "until the bytes are passed");
    assert_eq!(page(0, 99, 200).await, [1, 2, 3, 4]);
    assert_eq!(page(2, 99, 0).await, [3, 4]);
    assert!(page(4, 99, 1000).await.is_empty(), "it ends there");
    assert!(page(u64::MAX, 99, usize::MAX).await.is_empty());
    // What is opened counts with all that may be long in it.
    let schema = Question { schema: "{}".repeat(50), ..Question::default() };
    let opened = EntryStatus::Opened(Opening::Interrupt(Box::new(schema)));
    world.commit(&run, vec![record("e", opened), record("f", succeeded(1))], None).await;
    assert_eq!(page(4, 99, 99).await, [5]);
    assert_eq!(page(4, 99, 100).await, [5, 6]);
    let nobody = RunId::new(world.id());
    assert_eq!(world.store.read_journal(world.tenant, nobody, 0, 9, 9).await.unwrap(), []);
}

/// FIRST-WINS, below the rules: only a transition that was made by hand can try.
pub(super) async fn an_entry_is_written_once(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let before = world.commit(&run, vec![record("a", succeeded(1))], None).await;
    let next = commit(&before, vec![record("b", succeeded(1))], None);
    let mut forged = applied(before.commit(next, START, TTL).unwrap());
    for effect in &mut forged.effects {
        if let Effect::Append(entry) = effect {
            entry.seq = 1;
        }
    }
    let mut tx = world.store.begin().await.unwrap();
    let error = tx.save(&[forged]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

pub(super) async fn an_inbox_knows_its_sources(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create().await;
    let mut sent = Vec::new();
    for source in ["signal:1", "signal:é"] {
        let payload = Payload::json(format!("\"{source}\""));
        let deliver = world.act(&run, |run, now| {
            let topic = Topic::Signal(name("approved"));
            run.deliver(source.into(), topic, Ok(payload), None, now).unwrap()
        });
        sent.push(deliver.await);
    }
    let stranger = TenantId::new(world.id());
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.inbox_sources(&[]).await.unwrap().is_empty());
    let ask = |tenant, source: &str| (tenant, run.id, source.to_owned());
    let asked = [
        ask(world.tenant, "signal:2"),
        ask(world.tenant, "signal:é"),
        ask(stranger, "signal:1"),
        ask(world.tenant, "signal:1"),
        ask(world.tenant, "signal:1"),
    ];
    assert_eq!(tx.inbox_sources(&asked).await.unwrap(), [false, true, false, true, true]);
    drop(tx);

    let items = world.store.read_inbox(world.tenant, run.id, 0, 9).await.unwrap();
    assert_eq!(items.iter().map(|item| item.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((&*items[1].source, items[1].at), ("signal:é", START));
    assert_eq!(items[1].result.as_ref().unwrap().data, "\"signal:é\"");
    assert_eq!(world.store.read_inbox(world.tenant, run.id, 1, 9).await.unwrap(), items[1..]);
    assert_eq!(world.store.read_inbox(world.tenant, run.id, 0, 1).await.unwrap(), items[..1]);
    assert_eq!(world.stored(&run).await.inbox, 2);
}

pub(super) async fn a_wait_may_end_with_a_failure(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create().await;
    let failure = Failure::permanent("timed_out", "nobody änswered");
    let topic = Topic::Wait("turn/1/ask#1".parse().unwrap());
    let run = world
        .act(&run, |run, now| {
            let usage = Some(usage("", 7));
            run.deliver("child:1".into(), topic.clone(), Err(failure.clone()), usage, now).unwrap()
        })
        .await;
    let items = world.store.read_inbox(world.tenant, run.id, 0, 9).await.unwrap();
    assert_eq!((&items[0].topic, &items[0].result), (&topic, &Err(failure)));
}

pub(super) async fn an_artifact_is_written_once(store: Any) {
    let mut world = World::new(store).await;
    let run = world.create_leased().await;
    let mut artifact = |name: &str, data: &'static [u8]| Artifact {
        id: ArtifactId::new(world.id()),
        run: run.id,
        name: name.into(),
        content_type: "text/plain".into(),
        digest: Digest::of(data),
        data: Bytes::from_static(data),
        created_at: START,
    };
    let (report, other) = (artifact("Report é.txt", b"tides"), artifact("Report é.txt", b"else"));
    let empty = artifact("a", b"");
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.put_artifact(world.tenant, &report).await.unwrap(), None);
    assert_eq!(tx.put_artifact(world.tenant, &empty).await.unwrap(), None);
    assert_eq!(tx.put_artifact(world.tenant, &other).await.unwrap().as_ref(), Some(&report));
    tx.commit().await.unwrap();

    let store = &world.store;
    let rows = store.list_artifacts(world.tenant, run.id).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.size).collect::<Vec<_>>(), [5, 0]);
    assert_eq!(rows[0].artifact, Artifact { data: Bytes::new(), ..report.clone() });
    let found = store.find_artifact(world.tenant, run.id, "Report é.txt").await.unwrap();
    assert_eq!(found, Some(report));
    assert_eq!(store.find_artifact(world.tenant, run.id, "b").await.unwrap(), None);
}
