//! What a model says while it says it, where that is part of the answer for sure.

use tenure_core::StreamEvent;
use tenure_core::agent::Version;
use tenure_spec::Kind;
use tenure_spec::conversation::Conversation;

/// The first turn of an agent, which is also the last if there are no tools of its own.
const TURN: &str = "turn/0/model";
/// The kind of event that is a piece of the text.
const TOKEN: &str = "token";

/// Whether the first thing that the model says is the answer. It need not be where the agent has
/// tools, whose results it may look at first, or where the answer has to have a form and may be
/// told to be given again.
pub(super) fn is_final(version: &Version, asked: &Conversation) -> bool {
    let spec = str::from_utf8(&version.spec).ok().and_then(|spec| tenure_spec::parse(spec).ok());
    let one_turn = spec.is_some_and(|spec| {
        spec.kind == Kind::Agent && spec.tools.is_empty() && spec.output.is_none()
    });
    one_turn && asked.output.is_none() && !asked.tool_choice.is_forced()
}

/// The text of the latest attempt, as far as it was heard without a gap.
#[derive(Debug, Default)]
pub(super) struct Voice {
    epoch: u64,
    attempt: u32,
    /// The index of the next piece.
    next: u64,
    text: String,
}

impl Voice {
    /// All that was said, if this is the next piece of it.
    pub(super) fn hear(&mut self, event: &StreamEvent) -> Option<&str> {
        if event.key.as_str() != TURN || event.kind != TOKEN {
            return None;
        }
        let (heard, known) = ((event.epoch, event.attempt), (self.epoch, self.attempt));
        if heard > known {
            let (epoch, attempt) = heard;
            *self = Self { epoch, attempt, ..Self::default() };
        }
        if heard < known || event.index != self.next {
            return None;
        }
        self.next += 1;
        self.text.push_str(str::from_utf8(&event.data).ok()?);
        Some(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(attempt: u32, index: u64, text: &'static str) -> StreamEvent {
        StreamEvent {
            key: TURN.parse().unwrap(),
            epoch: 1,
            attempt,
            index,
            kind: TOKEN.into(),
            content_type: "text/plain".into(),
            data: text.into(),
        }
    }

    #[test]
    fn a_voice_is_heard_without_gaps_and_begins_anew_with_each_attempt() {
        let mut voice = Voice::default();
        assert_eq!(voice.hear(&piece(1, 0, "a")), Some("a"));
        assert_eq!(voice.hear(&piece(1, 2, "c")), None, "the second piece is missing");
        assert_eq!(voice.hear(&piece(1, 1, "b")), Some("ab"));
        assert_eq!(voice.hear(&piece(2, 0, "x")), Some("x"));
        assert_eq!(voice.hear(&piece(1, 2, "c")), None, "that attempt is over");
        let other = StreamEvent { key: "turn/1/model".parse().unwrap(), ..piece(2, 1, "y") };
        assert_eq!(voice.hear(&other), None);
    }
}
