//! The journal replay engine, without I/O.
//!
//! Give it the journal of a run. For each thing that the run's code asks for, it answers from the
//! journal, or says what has to happen:
//!
//! | the code asks for | the engine answers |
//! |---|---|
//! | a step that the journal has | [`Answer::Recorded`]: its result, nothing runs |
//! | a step that the journal has with another input or kind | [`Answer::Mismatch`]: both sides, named |
//! | a step that the journal does not have | [`Answer::Execute`]: run it, then [`Engine::finish`] |
//! | a signal that has arrived | [`Answer::Arrived`]: record it, then use it |
//! | a signal that has not | [`Answer::Suspend`]: park, when nothing else is in flight |
//! | a sleep | [`Asleep`]: since when, or that it begins now |
//!
//! | the engine | its caller |
//! |---|---|
//! | names every step (scope, name, ordinal) | runs user code and steps |
//! | decides recorded / execute / suspend / mismatch | waits, retries, keeps time |
//! | counts what is in flight | commits the records it is given, in that order |
//!
//! The engine never logs, sleeps or makes ids: the same history and the same questions give the
//! same answers, so that a journal from production can be replayed in a unit test.
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

mod engine;
mod mismatch;

pub use engine::{Answer, Asleep, Command, Engine, Finished};
pub use mismatch::{Mismatch, Side};
