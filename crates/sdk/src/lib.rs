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
pub use step::{Attempt, IN_DOUBT, Reconciled, Retry, Step, TIMEOUT};
pub use stop::Stop;
pub use tenure_core::{
    Decision, EntryKind, Error, ErrorKind, Failure, Key, Name, Payload, QuestionKind, RunId,
    Timestamp, Usage, limits,
};
/// The messages of the wire, for what the typed calls do not cover.
pub use tenure_proto::v1;
pub use worker::{Observer, Worker, shutdown_signal};
