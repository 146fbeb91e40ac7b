//! Is replay linear? Journals of 100, 1,000, 10,000 and 100,000 steps, interleaved in one run, so
//! that noise hits all of them alike. Prints the time per step: median, lowest and highest of the
//! rounds, and the ratio of the medians to that at 100 steps. `cargo bench -p tenure-replay`.
#![expect(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark, not a product")]

use std::time::{Duration, Instant};

use tenure_core::{Digest, Entry, EntryKind, EntryStatus, Payload, Record, Scope, Timestamp};
use tenure_replay::{Answer, Command, Engine};

const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];
const ROUNDS: usize = 21;
/// Steps in one sample, whatever the journal's size: small journals are replayed many times.
const SAMPLE: u32 = 100_000;

fn journal(steps: u32) -> Vec<Entry> {
    let scope = Scope::root().child("turn", 0).unwrap();
    let entry = |n: u32| Entry {
        seq: u64::from(n) + 1,
        epoch: 1,
        at: Timestamp::default(),
        record: Record {
            key: scope.key("tool:search", n).unwrap(),
            kind: EntryKind::Tool,
            status: EntryStatus::Succeeded(Payload::json(vec![b'x'; 256])),
            input: Some(Digest::of(n.to_le_bytes())),
            attempt: 1,
            duration: Duration::ZERO,
            usage: None,
        },
    };
    (0..steps).map(entry).collect()
}

/// From the journal in memory to the first step that is not in it.
fn replay(journal: Vec<Entry>) {
    let steps = u32::try_from(journal.len()).unwrap();
    let mut engine = Engine::new(journal).unwrap();
    let scope = engine.scope(&Scope::root(), "turn").unwrap();
    let ask = |n: u32| Command {
        scope: &scope,
        name: "tool:search",
        kind: EntryKind::Tool,
        input: Some(Digest::of(n.to_le_bytes())),
    };
    for n in 0..steps {
        assert!(matches!(engine.step(&ask(n)).unwrap(), Answer::Recorded(_)));
    }
    assert!(matches!(engine.step(&ask(steps)).unwrap(), Answer::Execute(_)));
}

/// Nanoseconds per step.
fn sample(journal: &[Entry]) -> f64 {
    let times = SAMPLE / u32::try_from(journal.len()).unwrap();
    let copies: Vec<Vec<Entry>> = (0..times).map(|_| journal.to_vec()).collect();
    let start = Instant::now();
    copies.into_iter().for_each(replay);
    start.elapsed().as_nanos() as f64 / f64::from(SAMPLE)
}

fn main() {
    let journals = SIZES.map(journal);
    let mut samples = SIZES.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (journal, samples) in journals.iter().zip(&mut samples) {
            samples.push(sample(journal));
        }
    }
    println!("{:>8}  {:>10}  {:>19}  {:>6}", "steps", "ns/step", "lowest – highest", "ratio");
    let mut first = None;
    for (steps, mut samples) in SIZES.into_iter().zip(samples) {
        samples.sort_by(f64::total_cmp);
        let (low, median, high) = (samples[0], samples[ROUNDS / 2], samples[ROUNDS - 1]);
        let ratio = median / *first.get_or_insert(median);
        println!("{steps:>8}  {median:>10.0}  {low:>8.0} – {high:>8.0}  {ratio:>6.2}");
    }
}
