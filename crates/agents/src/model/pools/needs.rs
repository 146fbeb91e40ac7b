//! What a request needs of a backend.

use tenure_spec::backends::Purpose;
use tenure_spec::{Model, Provider};

use crate::model::{Message, Request, estimated_tokens};

/// Tokens that a reply is expected to have where nothing limits it: a page of text.
const REPLY: u64 = 1_024;

/// What a request needs of the one who answers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    /// The model's name; empty for the backend's own.
    pub(super) model: &'a str,
    /// The only provider that may answer.
    pub(super) provider: Option<Provider>,
    pub(super) purpose: Purpose,
    /// Whether tools may be called.
    pub(super) tools: bool,
    /// Whether the answer has to fit a schema.
    pub(super) output: bool,
    /// Tokens of the request and its reply, more or less.
    pub(super) tokens: u64,
}

impl<'a> Needs<'a> {
    /// For a reply.
    pub(super) fn of_chat(model: &'a Model, request: &Request) -> Self {
        let reply = model.max_tokens.map_or(REPLY, u64::from);
        Self {
            model: &model.name,
            provider: model.provider,
            purpose: Purpose::Chat,
            tools: !request.tools.is_empty(),
            output: request.output.is_some(),
            tokens: estimated_tokens(size(request)) + reply,
        }
    }

    /// For a vector.
    pub(super) fn of_text(model: &'a Model, text: &str) -> Self {
        Self {
            model: &model.name,
            provider: model.provider,
            purpose: Purpose::Embed,
            tools: false,
            output: false,
            tokens: estimated_tokens(text.len()),
        }
    }
}

/// Bytes of everything that a model reads of a request.
fn size(request: &Request) -> usize {
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len());
    let output = request.output.as_ref().map_or(0, |schema| schema.to_string().len());
    let messages = request.messages.iter().map(message);
    request.system.len() + output + tools.sum::<usize>() + messages.sum::<usize>()
}

fn message(message: &Message) -> usize {
    let calls = match message {
        Message::Assistant { calls, .. } => calls.as_slice(),
        Message::System { .. } | Message::User { .. } | Message::Tool { .. } => &[],
    };
    let calls = calls.iter().map(|call| call.name.len() + call.arguments.to_string().len());
    message.text().len() + calls.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Definition;

    #[test]
    fn four_bytes_are_a_token_and_the_reply_counts() {
        let mut request =
            Request { messages: vec![Message::user("x".repeat(400))], ..Request::default() };
        let mut model = Model::in_pool("p", "m");
        assert_eq!(Needs::of_chat(&model, &request).tokens, 100 + REPLY);
        model.max_tokens = Some(50);
        request.system = "y".repeat(40);
        let needs = Needs::of_chat(&model, &request);
        assert_eq!((needs.tokens, needs.tools, needs.output), (160, false, false));
        let (name, description) = ("t".repeat(20), "d".repeat(18));
        request.tools = vec![Definition { name, description, parameters: json!({}) }];
        let needs = Needs::of_chat(&model, &request);
        assert_eq!((needs.tokens, needs.tools), (170, true));
        assert_eq!(Needs::of_text(&model, "12345").tokens, 2);
    }
}
