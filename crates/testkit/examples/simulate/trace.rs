//! The trace: every event as a line. Its digest tells whether two simulations were the same one.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use tenure_core::Digest;

/// Bytes of lines that are digested at a time.
const BLOCK: usize = 64 << 10;

/// What has happened. Lines are kept only if somebody will read them.
pub(crate) struct Trace {
    /// The digest of everything before `block`.
    digest: Digest,
    block: String,
    events: u64,
    kept: Option<Vec<Line>>,
}

/// One event.
pub(crate) struct Line {
    /// Which run it is about, if it is about one.
    pub(crate) run: Option<u128>,
    pub(crate) text: String,
}

impl Trace {
    /// An empty trace; `keep` its lines, or only their digest.
    pub(crate) fn new(keep: bool) -> Self {
        let kept = keep.then(Vec::new);
        Self { digest: Digest::of(""), block: String::new(), events: 0, kept }
    }

    /// Writes down what happened at this moment of the simulation.
    pub(crate) fn note(&mut self, now: Duration, run: Option<u128>, what: impl Display) {
        let begin = self.block.len();
        let (seconds, micros) = (now.as_secs(), now.subsec_micros());
        // Writing to a string cannot fail.
        let _ = write!(self.block, "{seconds:3}.{micros:06} {what}");
        self.events += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(Line { run, text: self.block[begin..].to_owned() });
        }
        if self.block.len() > BLOCK {
            self.digest = self.digest();
            self.block.clear();
        }
    }

    /// The digest of all lines so far.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of([&self.digest.as_bytes()[..], self.block.as_bytes()].concat())
    }

    /// How many lines there are.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The lines, if they were kept.
    pub(crate) fn into_lines(self) -> Vec<Line> {
        self.kept.unwrap_or_default()
    }
}
