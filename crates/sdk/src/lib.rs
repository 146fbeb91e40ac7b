//! What a Rust user of Tenure depends on: client, worker runtime, Context.
