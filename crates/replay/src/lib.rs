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
//! | a step that pauses before its next attempt | [`Answer::Again`]: go on when the pause is over |
//! | a step that must not happen twice, started without a result | [`Answer::InDoubt`]: find out |
//! | a question or a call that the journal does not have | [`Wait::Begin`]: record that it is open |
//! | a signal, an answer, the end of a call that has arrived | [`Wait::Arrived`]: record it, then use it |
//! | one that has not | [`Wait::Suspend`]: park, when nothing else is in flight |
//! | a sleep | [`Asleep`]: since when, or that it begins now |
//!
//! | the engine | its caller |
//! |---|---|
//! | names every step (scope, name, ordinal) | runs user code and steps |
//! | decides what is recorded and what has to happen | waits, retries, keeps time |
//! | counts what is in flight and what is waited for | commits the records it is given, in that order |
//!
//! The engine never logs, sleeps or makes ids: the same history and the same questions give the
//! same answers, so that a journal from production can be replayed in a unit test.
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

mod answer;
mod engine;
mod mismatch;

pub use answer::{Again, Answer, Asleep, Command, Finished, Wait};
pub use engine::Engine;
pub use mismatch::{Mismatch, Side};
