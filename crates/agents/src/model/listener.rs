//! Who hears a reply while it comes.

use tenure_sdk::Publisher;

/// Hears the pieces of a reply in their order. It must not block.
pub trait Listener: Send + Sync {
    /// A piece of the text.
    fn text(&self, piece: &str);

    /// A piece of what the model thinks before it answers.
    fn reasoning(&self, piece: &str);

    /// Whether anybody hears it: without, the reply may come in one piece.
    fn listens(&self) -> bool {
        true
    }
}

/// Those who watch the run: events of the kinds `token` and `reasoning`.
impl Listener for Publisher {
    fn text(&self, piece: &str) {
        Self::text(self, "token", piece);
    }

    fn reasoning(&self, piece: &str) {
        Self::text(self, "reasoning", piece);
    }
}

/// Nobody.
pub struct Nobody;

impl Listener for Nobody {
    fn text(&self, _: &str) {}

    fn reasoning(&self, _: &str) {}

    fn listens(&self) -> bool {
        false
    }
}
