//! The words and the rules of Tenure, without I/O.
//!
//! Nothing in this crate reads a clock, makes an id, rolls a die or talks to anybody: time, ids and
//! random numbers are arguments. So every rule is a plain function of values, and the control
//! plane, the in-memory model of the tests and a simulator all run the very same code.
//!
//! Start with [`run`]: the states of a run, one file per command, and the [`Transition`] that a
//! command answers with. [`journal`] says what an entry is, [`key`] how it is named, [`limits`]
//! what is bounded, [`error`] what can go wrong.
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod agent;
pub mod allowance;
pub mod budget;
pub mod digest;
pub mod error;
pub mod id;
pub mod interrupt;
pub mod journal;
pub mod key;
pub mod lease;
pub mod limits;
pub mod message;
pub mod name;
pub mod payload;
pub mod queue;
pub mod run;
pub mod steering;
pub mod stream;
pub mod text;
pub mod time;
pub mod transition;
pub mod wait;
pub mod why;

pub use budget::Budget;
pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use id::{AgentId, ArtifactId, InterruptId, LeaseId, RunId, TenantId, WorkerId};
pub use interrupt::{Answer, Interrupt, InterruptState};
pub use journal::{Entry, EntryKind, EntryStatus, Failure, Record, Usage};
pub use key::{Key, Scope};
pub use lease::Lease;
pub use message::Message;
pub use name::Name;
pub use payload::Payload;
pub use run::{Run, RunState, StateName};
pub use steering::Steering;
pub use stream::StreamEvent;
pub use time::Timestamp;
pub use transition::{Change, Effect, Transition};
pub use wait::{Call, Decision, Opening, Question, QuestionKind};
