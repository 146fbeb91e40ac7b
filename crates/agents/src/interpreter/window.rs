//! What of a conversation a model still sees.
//!
//! The first message, which is the task, always; then the latest ones that fit. A result of a tool is
//! never parted from its call. With a summary, the model itself sums up what it will not see any
//! more, in a step of its own; and half of the window is emptied at once, so that this is rare.

use tenure_sdk::{Attempt, Context, EntryKind, Stop};
use tenure_spec::Window;

use super::agent::Agent;
use super::budget::Purse;
use crate::model::{Message, Nobody, Reply, Request, estimated_tokens};

/// What a model is asked to do with the part of a conversation that it will not see again.
const SUM_UP: &str = "Sum up this conversation for yourself, who will go on with it and see nothing \
    else of it: what was asked, what was found out, what was decided, what is left to do. Keep names, \
    numbers and paths as they are.";

/// The part of a conversation that a model sees.
pub(super) struct View<'a> {
    window: Option<&'a Window>,
    /// The messages from here on are seen, and the first one.
    from: usize,
    /// What those between say.
    summary: Option<String>,
}

impl<'a> View<'a> {
    pub(super) fn new(window: Option<&'a Window>) -> Self {
        Self { window, from: 1, summary: None }
    }

    /// Leaves behind what does not fit any more. What is left follows from the messages alone.
    pub(super) async fn move_on(
        &mut self,
        agent: &Agent,
        turn: &Context,
        messages: &[Message],
        purse: &mut Purse<'_>,
    ) -> Result<(), Stop> {
        let Some(window) = self.window else { return Ok(()) };
        let from = begin(messages, self.from, window);
        if from == self.from {
            return Ok(());
        }
        if window.summary {
            let left = &messages[self.from.min(from)..from];
            let reply = loop {
                let asked = sum_up(agent, turn, self.summary.as_deref(), left).await;
                if let Some(reply) = purse.paid(turn, asked).await? {
                    break reply;
                }
            };
            purse.spend(&reply.usage);
            self.summary = Some(reply.text);
        }
        self.from = from;
        Ok(())
    }

    /// The messages that are seen.
    pub(super) fn of(&self, messages: &[Message]) -> Vec<Message> {
        let (first, rest) = messages.split_at(messages.len().min(1));
        let rest = &rest[self.from.saturating_sub(1).min(rest.len())..];
        let summary = self.summary.as_ref().map(|text| Message::user(recalled(text)));
        first.iter().cloned().chain(summary).chain(rest.iter().cloned()).collect()
    }
}

fn recalled(summary: &str) -> String {
    format!("What happened so far, summed up:\n{summary}")
}

async fn sum_up(
    agent: &Agent,
    turn: &Context,
    before: Option<&str>,
    left: &[Message],
) -> Result<Reply, Stop> {
    let told = before.map(|text| Message::user(recalled(text)));
    let asked = Message::user(SUM_UP);
    let messages: Vec<_> = told.into_iter().chain(left.iter().cloned()).chain([asked]).collect();
    let step = turn.step("summary").kind(EntryKind::Model).input(&messages).retry(agent.retry);
    let request = Request { system: agent.system.clone(), messages, ..Request::default() };
    step.run_metered(async |attempt: Attempt| {
        let tenants = &agent.tools.guard().tenants;
        crate::ask(tenants, turn, &attempt, &*agent.model, &request, &Nobody).await
    })
    .await
}

/// Where the messages that fit begin: not before `from`, not inside a turn, and never after the last
/// turn's beginning, whatever it takes.
fn begin(messages: &[Message], from: usize, window: &Window) -> usize {
    let all = messages.iter().skip(from);
    if fits(all.len(), all.map(tokens).sum(), window, 1) {
        return from;
    }
    let share = if window.summary { 2 } else { 1 };
    let mut found = None;
    let mut seen = 0;
    for (place, message) in messages.iter().enumerate().skip(from).rev() {
        seen += tokens(message);
        let fit = fits(messages.len() - place, seen, window, share);
        if !matches!(message, Message::Tool { .. }) && (fit || found.is_none()) {
            found = Some(place);
        }
        if !fit && found.is_some() {
            break;
        }
    }
    found.unwrap_or(from)
}

/// Whether so many messages of so many tokens fit into this share of a window: `2` for its half.
fn fits(messages: usize, tokens: u64, window: &Window, share: u64) -> bool {
    let most = |most: u32| (u64::from(most) / share).max(1);
    window.tokens.is_none_or(|most| tokens <= most / share)
        && window.messages.is_none_or(|count| messages as u64 <= most(count))
}

/// The tokens of a message, more or less, calls included.
fn tokens(message: &Message) -> u64 {
    estimated_tokens(message.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(turns: usize) -> Vec<Message> {
        let call =
            |place: usize| Message::Assistant { text: format!("call {place}"), calls: vec![] };
        let result = |place: usize| Message::Tool {
            call: format!("c{place}"),
            name: "t".into(),
            text: "x".repeat(400),
        };
        let turns = (0..turns).flat_map(|place| [call(place), result(place)]);
        [Message::user("task")].into_iter().chain(turns).collect()
    }

    fn window(messages: Option<u32>, tokens: Option<u64>) -> Window {
        Window { messages, tokens, summary: false }
    }

    #[test]
    fn a_result_is_never_parted_from_its_call() {
        let messages = conversation(10);
        for (window, from) in [
            (window(Some(20), None), 1),
            (window(Some(19), None), 3),
            (window(Some(5), None), 17),
            (window(None, Some(210)), 17),
            // The last turn is seen even if it does not fit.
            (window(None, Some(1)), 19),
            (window(Some(1), None), 19),
        ] {
            assert_eq!(begin(&messages, 1, &window), from, "{window:?}");
        }
    }

    #[test]
    fn the_task_is_always_seen() {
        let messages = conversation(3);
        let mut view = View::new(None);
        assert_eq!(view.of(&messages), messages);
        view.from = 5;
        view.summary = Some("two calls".into());
        let seen = view.of(&messages);
        assert_eq!((seen.len(), seen[0].text()), (4, "task"));
        assert!(seen[1].text().ends_with("two calls"), "{seen:?}");
        assert_eq!(view.of(&messages[..1]).len(), 2);
    }

    #[test]
    fn a_summary_empties_half_of_the_window() {
        let messages = conversation(10);
        let window = Window { summary: true, ..window(Some(8), None) };
        assert_eq!(begin(&messages, 1, &window), 17);
        assert_eq!(begin(&messages[..17 + 4], 17, &window), 17);
    }
}
