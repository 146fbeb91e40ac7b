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

fn begun(key: &str, kind: v1::EntryKind, opening: v1::opening::Opening) -> v1::Record {
    let status = Status::Opened(v1::Opening { opening: Some(opening) });
    v1::Record { status: Some(status), ..record(key, kind, 0) }
}

fn steered(key: &str, actor: &str, reason: &str) -> v1::Record {
    let by = v1::Steering { actor: actor.into(), reason: reason.into() };
    v1::Record { status: Some(Status::Steered(by)), ..record(key, v1::EntryKind::Steering, 0) }
}

fn gave(json: &str, record: v1::Record) -> v1::Record {
    let payload = v1::Payload {
        content_type: tenure_core::Payload::JSON.into(),
        data: json.to_owned().into(),
        ..v1::Payload::default()
    };
    v1::Record { status: Some(Status::Succeeded(payload)), ..record }
}

#[test]
fn what_begins_and_ends_under_one_key_can_be_followed() {
    use v1::EntryKind::{Child, Step, Tool, Wait};
    use v1::opening::Opening;
    let question = v1::Question {
        title: "Refund $120?".into(),
        assignee: "finance".into(),
        ..v1::Question::default()
    };
    let call = v1::Call { agent: "mailer".into(), version: "2".into(), ..v1::Call::default() };
    let answer = r#"{"decision": "approve", "actor": "ann", "reason": "fine"}"#;
    let entries = [
        entry(1, 1, 100, begun("approve", Wait, Opening::Interrupt(question))),
        entry(2, 1, 150, begun("child:mailer", Child, Opening::Child(call))),
        entry(3, 3, 60_000, gave(answer, record("approve", Wait, 0))),
        entry(4, 3, 61_000, record("child:mailer", Child, 0)),
        entry(5, 3, 62_000, begun("pay", Tool, Opening::Started(v1::Started {}))),
        entry(6, 5, 75_000, broken("pay", "bad gateway")),
        entry(7, 6, 75_000, begun("pay", Step, Opening::Again(v1::Again {}))),
        entry(8, 7, 85_000, record("pay", Tool, 900)),
        entry(9, 8, 90_000, steered("tenure:pause#9", "ann", "lunch")),
        entry(10, 9, 95_000, steered("tenure:resume#10", "ann", "")),
        entry(11, 10, 95_500, record("mail", Tool, 10)),
        entry(12, 12, 99_000, steered("tenure:patch#12", "ann", "sent by hand")),
        entry(13, 12, 99_000, gave("null", record("thank", v1::EntryKind::Steering, 0))),
        entry(14, 13, 99_500, begun("close", Step, Opening::Started(v1::Started {}))),
    ];
    insta::assert_snapshot!(rendered(&entries), @r"
     SEQ         AT       TOOK  KIND      KEY
       1      0.1 s             wait      approve           asks finance: Refund $120?
       2      0.1 s             child     child:mailer      calls mailer@2
                     ──── goes on after 59.8 s: epoch 1 → 3 ────
       3      1 min             wait      approve           approve by ann: fine
       4  1 min 1 s             child     child:mailer
       5  1 min 2 s             tool      pay               begun
                     ──── taken over after 13.0 s: epoch 3 → 5 ────
       6  1 min 15 s     900 ms  tool      pay               failed: bad gateway (http_500) · 3 attempts
       7  1 min 15 s             step      pay               is to be executed again
                     ──── goes on after 10.0 s: epoch 5 → 7 ────
       8  1 min 25 s     900 ms  tool      pay               executed again
       9  1 min 30 s             steering  tenure:pause#9    paused by ann: lunch
      10  1 min 35 s             steering  tenure:resume#10  resumed by ann
                     ──── goes on after 10.5 s: epoch 7 → 10 ────
      11  1 min 35 s      10 ms  tool      mail
      12  1 min 39 s             steering  tenure:patch#12   patched by ann: sent by hand
      13  1 min 39 s             steering  thank             given: null
                     ──── goes on after 4.0 s: epoch 10 → 13 ────
      14  1 min 39 s             step      close             begun
    14 entries in 1 min 39 s · 1 wait · 1 child · 3 tool · 4 steering · 1 failed · 1 still open · taken over once
    ");
}

#[test]
fn only_a_lost_owner_is_taken_over_from() {
    let entries = [
        entry(1, 1, 0, record("a", v1::EntryKind::Step, 1)),
        entry(2, 3, 5_000, record("signal:go", v1::EntryKind::Wait, 1)),
        entry(3, 5, 9_000, record("b", v1::EntryKind::Step, 1)),
        entry(4, 5, 9_000, gave("2592000.0", record("sleep#1", v1::EntryKind::Wait, 0))),
        entry(5, 7, 2_592_009_000, record("c", v1::EntryKind::Step, 1)),
    ];
    let shown = rendered(&entries);
    assert!(shown.contains("sleeps for 30 d"), "{shown}");
    assert!(shown.contains("goes on after 30 d: epoch 5 → 7"), "{shown}");
    assert!(shown.contains("goes on after 5.0 s: epoch 1 → 3"), "{shown}");
    assert!(shown.contains("taken over after 4.0 s: epoch 3 → 5"), "{shown}");
    assert!(shown.ends_with("taken over once"), "{shown}");
}

#[test]
fn what_was_copied_is_told_from_what_was_done() {
    let entries = [
        entry(1, 0, 0, record("a", v1::EntryKind::Step, 1)),
        entry(2, 2, 5_000, steered("tenure:patch#2", "ann", "")),
        entry(3, 3, 6_000, record("b", v1::EntryKind::Step, 1)),
        entry(4, 5, 9_000, record("c", v1::EntryKind::Step, 1)),
    ];
    insta::assert_snapshot!(rendered(&entries), @r"
     SEQ         AT       TOOK  KIND      KEY
       1      0.0 s       1 ms  step      a
                     ──── forked: what stands above is another run's ────
       2      5.0 s             steering  tenure:patch#2  patched by ann
       3      6.0 s       1 ms  step      b
                     ──── taken over after 3.0 s: epoch 3 → 5 ────
       4      9.0 s       1 ms  step      c
    4 entries in 9.0 s · 3 step · 1 steering · taken over once
    ");
}

#[test]
fn a_price_that_is_not_known_is_not_left_out() {
    let shown = |cost_micros, unpriced| {
        let (input_tokens, output_tokens) = (1_000, 5);
        let usage = v1::Usage {
            input_tokens,
            output_tokens,
            cost_micros,
            unpriced,
            ..v1::Usage::default()
        };
        tokens(&super::usage(&usage)).unwrap()
    };
    assert_eq!(shown(0, false), "1,000 tokens in, 5 out");
    assert_eq!(shown(0, true), "1,000 tokens in, 5 out, price not known");
    assert_eq!(shown(1_200, false), "1,000 tokens in, 5 out for $0.0012");
    assert_eq!(shown(1_200, true), "1,000 tokens in, 5 out for more than $0.0012");
}

#[test]
fn who_answered_for_a_pool_is_told() {
    let told = |data: &str| {
        let reply = v1::Payload { data: data.to_owned().into(), ..v1::Payload::default() };
        let status = Some(Status::Succeeded(reply));
        let record = v1::Record { status, ..model("turn/1/model", (10, 5), 0) };
        details::details(&record, None, Paint::plain()).unwrap()
    };
    assert_eq!(told(r#"{"text": "x", "backend": "gpu"}"#), "by gpu · 10 tokens in, 5 out");
    assert_eq!(told(r#"{"text": "x"}"#), "10 tokens in, 5 out");
    assert_eq!(told("[0.5]"), "10 tokens in, 5 out");
}
