use super::*;

fn at(millis: i64) -> pbjson_types::Timestamp {
    let nanos = i32::try_from(millis % 1_000 * 1_000_000).unwrap();
    pbjson_types::Timestamp { seconds: 1_700_000_000 + millis / 1_000, nanos }
}

fn entry(seq: u64, epoch: u64, millis: i64, record: v1::Record) -> v1::Entry {
    v1::Entry { seq, epoch, at: Some(at(millis)), record: Some(record) }
}

fn record(key: &str, kind: v1::EntryKind, took_millis: i32) -> v1::Record {
    v1::Record {
        key: key.into(),
        kind: kind.into(),
        attempt: 1,
        duration: Some(pbjson_types::Duration { seconds: 0, nanos: took_millis * 1_000_000 }),
        status: Some(Status::Succeeded(v1::Payload::default())),
        ..v1::Record::default()
    }
}

fn model(key: &str, tokens: (u64, u64), cost_micros: u64) -> v1::Record {
    let (input_tokens, output_tokens) = tokens;
    let usage = v1::Usage { input_tokens, output_tokens, cost_micros, ..v1::Usage::default() };
    v1::Record { usage: Some(usage), ..record(key, v1::EntryKind::Model, 203) }
}

fn broken(key: &str, message: &str) -> v1::Record {
    let failure = v1::Failure { code: "http_500".into(), message: message.into(), retryable: true };
    v1::Record {
        status: Some(Status::Failed(failure)),
        attempt: 3,
        ..record(key, v1::EntryKind::Tool, 900)
    }
}

fn rendered(entries: &[v1::Entry]) -> String {
    let run = v1::Run { created_at: Some(at(0)), ..v1::Run::default() };
    let mut timeline = Timeline::new(&run, entries, Paint::plain());
    let mut lines = vec![timeline.heading()];
    lines.extend(entries.iter().flat_map(|entry| timeline.entry(entry)).collect::<Vec<_>>());
    lines.push(timeline.totals());
    lines.join("\n")
}

#[test]
fn a_journal_reads_as_a_story() {
    let entries = [
        entry(1, 1, 210, model("turn/1/model", (1_312, 45), 2_500)),
        entry(2, 1, 215, record("turn/1/tool:list_files", v1::EntryKind::Tool, 0)),
        entry(3, 3, 4_400, broken("turn/2/tool:http_request#1", "bad\u{1b}[31m gateway\n")),
        entry(4, 3, 64_400, model("turn/3/model", (2_000, 300), 0)),
    ];
    insta::assert_snapshot!(rendered(&entries), @r"
     SEQ         AT       TOOK  KIND      KEY
       1      0.2 s     203 ms  model     turn/1/model                1,312 tokens in, 45 out for $0.0025
       2      0.2 s      <1 ms  tool      turn/1/tool:list_files
                     ──── taken over after 4.1 s: epoch 1 → 3 ────
       3      4.4 s     900 ms  tool      turn/2/tool:http_request#1  failed: bad\u{1b}[31m gateway (http_500) · 3 attempts
       4  1 min 4 s     203 ms  model     turn/3/model                2,000 tokens in, 300 out
    4 entries in 1 min 4 s · 2 model · 2 tool · 3,312 tokens in, 345 out for $0.0025 · 1 failed · taken over once
    ");
}

#[test]
fn an_empty_journal_has_totals_too() {
    insta::assert_snapshot!(rendered(&[]), @r"
     SEQ         AT       TOOK  KIND      KEY
    nothing is recorded yet
    ");
}
