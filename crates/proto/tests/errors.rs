//! `docs/errors.md` is printed from the table in `status.rs`, and this keeps it so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::path::Path;

use tenure_core::ErrorKind;
use tenure_proto::status;

fn meaning(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::Invalid => {
            ("the request is wrong and stays wrong", "correct the field that the message names")
        }
        ErrorKind::Unauthenticated => {
            ("nobody knows who is asking", "send credentials that are valid now")
        }
        ErrorKind::Forbidden => {
            ("the caller is known and may not do this", "ask somebody who may, or for the role")
        }
        ErrorKind::NotFound => {
            ("no such object, or one of another tenant", "check the name or id, and the tenant")
        }
        ErrorKind::AlreadyExists => (
            "the name, key or place is taken by something else",
            "choose another; a worker drops the run",
        ),
        ErrorKind::WrongState => {
            ("the object's state does not allow this", "look at the object, then decide again")
        }
        ErrorKind::LeaseLost => {
            ("the worker does not own the run (any more)", "drop the run and forget it")
        }
        ErrorKind::TooLarge => {
            ("over a size limit, which the message names", "send less, or split it")
        }
        ErrorKind::TooMany => ("over a rate or a count", "try again later, with backoff"),
        ErrorKind::Unavailable => (
            "a part that Tenure needs is away",
            "try again, with backoff; it may have taken effect, so give what you create a key or an id",
        ),
        ErrorKind::Internal => {
            ("a bug or damaged data", "look into the control plane's log for the request id")
        }
    }
}

fn document() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Printed from `crates/proto/src/status.rs` by a test; do not edit. `TENURE_UPDATE=1 cargo test -p tenure-proto` prints it again.\n\n\
         Every error has one of these kinds, the same over every transport. The kind's word travels \
         in the gRPC metadata key `tenure-error-kind`. The message names the object and says what to \
         do; what only an operator may see is in the log of the control plane, under the id that the \
         client gets as `x-request-id`.\n\n\
         | kind | gRPC | HTTP | try again | what it says | what to do |\n|---|---|---|---|---|---|\n",
    );
    for kind in ErrorKind::ALL {
        let (code, http) = (format!("{:?}", status::code(kind)), status::http(kind));
        let retry = if kind.retryable() { "yes" } else { "no" };
        let (says, todo) = meaning(kind);
        let kind = kind.as_str();
        writeln!(text, "| `{kind}` | {code} | {http} | {retry} | {says} | {todo} |").unwrap();
    }
    text
}

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let text = document();
    if std::env::var_os("TENURE_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "docs/errors.md is out of date: run this test with TENURE_UPDATE=1");
}
