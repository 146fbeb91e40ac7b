//! What is heard of a reply, and when the first of it.

use std::sync::OnceLock;
use std::time::Duration;

use super::clock::Clock;
use crate::model::Listener;

/// Passes a reply on, and remembers when it began.
pub(super) struct Heard<'a> {
    told: &'a dyn Listener,
    clock: &'a Clock,
    begun: OnceLock<Duration>,
    first: OnceLock<Duration>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(told: &'a dyn Listener, clock: &'a Clock) -> Self {
        Self { told, clock, begun: OnceLock::new(), first: OnceLock::new() }
    }

    /// The call itself begins: its turn has come.
    pub(super) fn begin(&self) {
        self.begun.get_or_init(|| self.clock.now());
    }

    /// Whether there was a piece of the reply.
    pub(super) fn anything(&self) -> bool {
        self.first.get().is_some()
    }

    /// How long the first piece took; without one, how long it has been by now.
    pub(super) fn latency(&self) -> Duration {
        let first = self.first.get().copied().unwrap_or_else(|| self.clock.now());
        first.saturating_sub(self.begun.get().copied().unwrap_or(first))
    }

    fn hear(&self, piece: &str) {
        if !piece.is_empty() {
            self.first.get_or_init(|| self.clock.now());
        }
    }
}

impl Listener for Heard<'_> {
    fn text(&self, piece: &str) {
        self.hear(piece);
        self.told.text(piece);
    }

    fn reasoning(&self, piece: &str) {
        self.hear(piece);
        self.told.reasoning(piece);
    }

    fn listens(&self) -> bool {
        self.told.listens()
    }
}
