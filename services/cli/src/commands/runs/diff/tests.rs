use tenure_sdk::v1::record::Status;

use super::*;
use crate::input::json_payload;
use crate::ui::paint::Paint;

fn record(key: &str, value: i64) -> v1::Record {
    v1::Record {
        key: key.into(),
        status: Some(Status::Succeeded(json_payload(&value.into()))),
        input_digest: vec![1].into(),
        ..v1::Record::default()
    }
}

fn journal(records: &[v1::Record]) -> Journal {
    let entry =
        |record: &v1::Record| v1::Entry { record: Some(record.clone()), ..v1::Entry::default() };
    Journal { run: v1::Run::default(), entries: records.iter().map(entry).collect() }
}

fn opened(key: &str) -> v1::Record {
    let opening = v1::opening::Opening::Started(v1::Started {});
    let status = Status::Opened(v1::Opening { opening: Some(opening) });
    v1::Record { status: Some(status), ..record(key, 0) }
}

fn rendered(a: &Journal, b: &Journal) -> String {
    let rows = rows(results(a), results(b));
    format!("{}\n{}", table(&rows).render(Paint::plain()), summary(&rows))
}

#[test]
fn two_journals_stand_side_by_side() {
    let a = journal(&[record("a", 1), record("b", 2), record("c", 3), opened("pay")]);
    let input = v1::Record { input_digest: vec![2].into(), ..record("a", 1) };
    let b = journal(&[record("new", 7), input, record("c", 4), record("more", 8), opened("pay")]);
    insta::assert_snapshot!(rendered(&a, &b), @r"
               KEY        A         B
    same       (input)
    only in B  new                  7
    differs    a          input 01  input 02
    only in A  b          2
    differs    c          3         4
    only in B  more                 8
    same       pay        begun     begun
    same       (outcome)
    3 same · 2 differs · 1 only in A · 2 only in B
    ");
}

#[test]
fn the_same_work_is_the_same_whatever_happened_to_the_run() {
    let by = v1::Steering { actor: "ann".into(), reason: "lunch".into() };
    let paused = v1::Record { status: Some(Status::Steered(by)), ..record("tenure:pause#2", 0) };
    let patched = v1::Record { input_digest: vec![].into(), ..record("b", 2) };
    let a = journal(&[record("a", 1), paused, opened("b"), patched]);
    let b = journal(&[record("a", 1), record("b", 2)]);
    assert_eq!(summary(&rows(results(&a), results(&b))), "4 same");
}

#[test]
fn another_outcome_is_a_difference() {
    let failure = v1::Failure { code: "gone".into(), message: "no".into(), retryable: false };
    let (a, mut b) = (journal(&[]), journal(&[]));
    b.run.failure = Some(failure);
    assert_eq!(summary(&rows(results(&a), results(&b))), "1 same · 1 differs");
    let value = object(&a.run, &b.run, &rows(results(&a), results(&b)));
    assert_eq!(value["entries"][1]["verdict"], "differs");
    assert_eq!(value["entries"][1]["b"]["failed"]["code"], "gone");
}

#[test]
fn the_order_of_names_in_json_is_no_difference() {
    let record = |json: &str| {
        let payload = v1::Payload { data: json.to_owned().into(), ..json_payload(&().into()) };
        v1::Record { status: Some(Status::Succeeded(payload)), ..record("a", 0) }
    };
    let (a, b) = (journal(&[record(r#"{"a":1,"b":2}"#)]), journal(&[record(r#"{"b":2, "a":1}"#)]));
    assert_eq!(summary(&rows(results(&a), results(&b))), "3 same");
}
