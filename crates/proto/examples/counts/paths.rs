//! The paths that are counted: what each step of each run goes through in memory.

use std::hint::black_box;
use std::iter;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use prost::Message as _;
use tenure_core::run::{Commit, Committed};
use tenure_core::{Entry, EntryKind, Run, RunId, Scope};
use tenure_proto::{convert, v1};
use tenure_replay::{Answer, Command, Engine};

use crate::count::MOST;
use crate::samples::{self, Asked, Leased};

/// A path: its name, and what executes it so often.
type Path = (&'static str, fn(usize) -> Result<()>);

/// All of them. What is large is encoded and decoded in amounts that a busy system has.
const PATHS: [Path; 9] = [
    ("decide a step", |times| repeat(times, samples::step, decide)),
    ("decide the end of a run", |times| repeat(times, samples::end, decide)),
    ("replay 100 steps", |times| repeat(times, || samples::journal(100), replay)),
    ("encode a commit", |times| repeat(times, samples::asked, |asked| Ok(encode_commit(asked)))),
    ("decode a commit", |times| repeat(times, encoded_commit, decode_commit)),
    ("encode a batch of 20 commits", |times| {
        repeat(times, samples::batch, |batch| Ok(encode_batch(batch)))
    }),
    ("decode a batch of 20 commits", |times| repeat(times, encoded_batch, decode_batch)),
    ("encode a leased run with 20 entries", |times| {
        repeat(times, samples::leased, |leased| Ok(encode_run(leased)))
    }),
    ("decode a leased run with 20 entries", |times| repeat(times, encoded_run, decode_run)),
];

/// The names of all paths.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PATHS.into_iter().map(|(name, _)| name)
}

/// Executes the path with this name so often, at most [`MOST`] times.
pub(crate) fn execute(name: &str, times: usize) -> Result<()> {
    let path = PATHS.into_iter().find(|(known, _)| *known == name);
    let (_, execute) = path.with_context(|| format!("there is no path `{name}`"))?;
    execute(times)
}

/// Executes a path on inputs made before. Always [`MOST`] are made, and what is left of them is
/// forgotten: so processes differ in how often they execute the path, and in nothing else.
fn repeat<I, O>(
    times: usize,
    input: impl Fn() -> Result<I>,
    path: impl Fn(I) -> Result<O>,
) -> Result<()> {
    let inputs = iter::repeat_with(input).take(MOST).collect::<Result<Vec<I>>>()?;
    let mut inputs = inputs.into_iter();
    for input in inputs.by_ref().take(times) {
        black_box(path(black_box(input))?);
    }
    std::mem::forget(inputs);
    Ok(())
}

fn decide((run, commit): (Run, Commit)) -> Result<Committed> {
    Ok(run.commit(commit, samples::NOW, samples::TTL)?)
}

/// From the journal in memory to the first step that is not in it.
fn replay(journal: Vec<Entry>) -> Result<Engine> {
    let steps = journal.len();
    let mut engine = Engine::new(journal)?;
    let scope = engine.scope(&Scope::root(), "turn")?;
    let (kind, input) = (EntryKind::Tool, Some(samples::FINGERPRINT));
    let command = Command { scope: &scope, name: "tool:search", kind, input };
    for _ in 0..steps {
        ensure!(matches!(engine.step(&command)?, Answer::Recorded(_)), "a step is not recorded");
    }
    ensure!(matches!(engine.step(&command)?, Answer::Execute(_)), "a step too many is recorded");
    Ok(engine)
}

fn encode_commit(asked: Asked) -> Vec<u8> {
    commit_out(asked).encode_to_vec()
}

fn encode_batch(batch: Vec<Asked>) -> Vec<u8> {
    let commits = batch.into_iter().map(commit_out).collect();
    v1::BatchCommitRequest { commits }.encode_to_vec()
}

fn commit_out(Asked { beginning, record }: Asked) -> v1::CommitRequest {
    v1::CommitRequest { records: vec![convert::record(record)], ..beginning }
}

fn encoded_commit() -> Result<Bytes> {
    Ok(encode_commit(samples::asked()?).into())
}

fn encoded_batch() -> Result<Bytes> {
    Ok(encode_batch(samples::batch()?).into())
}

fn decode_commit(bytes: Bytes) -> Result<(RunId, Commit)> {
    commit_in(v1::CommitRequest::decode(bytes)?)
}

fn decode_batch(bytes: Bytes) -> Result<Vec<(RunId, Commit)>> {
    v1::BatchCommitRequest::decode(bytes)?.commits.into_iter().map(commit_in).collect()
}

fn commit_in(request: v1::CommitRequest) -> Result<(RunId, Commit)> {
    Ok((request.run.parse()?, convert::commit_in(request)?))
}

fn encode_run(Leased { run, lease, input, journal }: Leased) -> Vec<u8> {
    let wire = v1::LeasedRun {
        run: run.to_string(),
        lease: lease.to_string(),
        ttl: Some(convert::duration(samples::TTL)),
        next_seq: journal.len() as u64 + 1,
        input: Some(convert::payload(input)),
        entries: journal.into_iter().map(convert::entry).collect(),
        leased_at: Some(convert::timestamp(samples::NOW)),
        ..v1::LeasedRun::default()
    };
    wire.encode_to_vec()
}

fn encoded_run() -> Result<Bytes> {
    Ok(encode_run(samples::leased()?).into())
}

fn decode_run(bytes: Bytes) -> Result<Leased> {
    let wire = v1::LeasedRun::decode(bytes)?;
    Ok(Leased {
        run: wire.run.parse()?,
        lease: wire.lease.parse()?,
        input: convert::payload_in(wire.input),
        journal: wire.entries.into_iter().map(convert::entry_in).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_executed() {
        for name in names() {
            execute(name, 1).unwrap();
        }
        assert!(execute("decide a lot", 1).is_err());
    }

    #[test]
    fn what_is_encoded_is_what_is_decoded() {
        let (sent, came) = (samples::asked().unwrap(), encoded_commit().unwrap());
        assert_eq!(decode_commit(came).unwrap().1.records, [sent.record]);
        let (sent, came) = (samples::leased().unwrap(), encoded_run().unwrap());
        assert_eq!(decode_run(came).unwrap(), sent);
        assert_eq!(decode_batch(encoded_batch().unwrap()).unwrap().len(), 20);
    }
}
