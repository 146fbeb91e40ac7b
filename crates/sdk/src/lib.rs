//! What a Rust user of Tenure depends on: [`Client`] to ask for runs, [`Worker`] to execute them,
//! and [`Context`], through which a run's code does everything that must happen once.
//!
//! ```no_run
//! use tenure_sdk::{Client, Context, Stop, Worker, shutdown_signal};
//!
//! async fn hello(ctx: Context, name: String) -> Result<String, Stop> {
//!     let greeting = ctx.step("greet").run(|_| async { Ok(format!("hello, {name}")) }).await?;
//!     Ok(greeting.to_uppercase())
//! }
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     let client = Client::connect("http://127.0.0.1:7700", "default".parse()?)?;
//!     Worker::new(client).handle("hello", hello).run(shutdown_signal()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # What the code of a run may do
//!
//! After a crash, a deploy or a wait, the code runs again from its start, and every step that was
//! recorded answers from the journal. So between steps the code must do the same again: no clocks,
//! random numbers or I/O except through the [`Context`], and nothing awaited that is not the
//! context's. Branches that run at the same time ([`join`]) each work in a scope of their own.
//!
//! # People, and other runs
//!
//! Whatever the code waits for, the run is parked meanwhile and costs nothing: for an answer, the end
//! of a run that it called, a signal ([`Context::wait_for`]), a time ([`Context::sleep`]).
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use tenure_sdk::{Approval, Context, Failure, Stop};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Mail {
//!     to: String,
//!     text: String,
//! }
//! # async fn deliver(_: &Mail, _: String) -> Result<(), Failure> { Ok(()) }
//!
//! async fn campaign(ctx: Context, topic: String) -> Result<String, Stop> {
//!     // Another agent writes it, as a run of its own.
//!     let mail: Mail = ctx.call("writer", &topic).output().await?;
//!     // A person decides, and may change it.
//!     let mail = match ctx.approve("send", &mail).await? {
//!         Approval::Approved(mail) => mail,
//!         other => return Ok(format!("not sent: {other:?}")),
//!     };
//!     // It is never sent twice: if that is in doubt after a crash, a person is asked.
//!     let send = ctx.step("send").input(&mail).once();
//!     send.run(|attempt| deliver(&mail, attempt.idempotency_key)).await?;
//!     Ok(format!("sent to {}", mail.to))
//! }
//! ```
//!
//! # What happens when something fails
//!
//! An [attempt](Attempt) of a step that fails is tried again as its [`Retry`] says; then its failure is
//! recorded, and the code gets it as [`Stop::Failed`]. Passed on with `?` it fails the run. If that
//! failure is retryable and the run was created with a retry policy, the run is tried again: what
//! succeeded answers from the journal, the steps that failed so are executed again.
#![warn(missing_docs)]

mod call;
mod client;
mod context;
mod entropy;
mod interrupt;
mod payload;
mod step;
mod stop;
pub mod worker;

pub use call::Call;
pub use client::{Client, error};
pub use context::{ArtifactRef, Context, TIMED_OUT, join};
pub use interrupt::{Answer, Approval, Interrupt};
pub use step::{ALLOWANCE_SPENT, Attempt, IN_DOUBT, Publisher, Reconciled, Retry, Step, TIMEOUT};
pub use stop::Stop;
pub use tenure_core::allowance::Estimate;
pub use tenure_core::{
    Budget, Decision, Digest, EntryKind, Error, ErrorKind, Failure, Key, Name, Payload,
    QuestionKind, RunId, Timestamp, Usage, limits,
};
/// The messages of the wire, for what the typed calls do not cover.
pub use tenure_proto::v1;
pub use worker::{Observer, Worker, shutdown_signal};
