//! What a request needs of a backend.

use tenure_spec::backends::Purpose;
use tenure_spec::{Model, Provider};

use crate::model::{Request, estimated, estimated_tokens};

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
        let usage = estimated(request, model.max_tokens);
        Self {
            model: &model.name,
            provider: model.provider,
            purpose: Purpose::Chat,
            tools: !request.tools.is_empty(),
            output: request.output.is_some(),
            tokens: usage.input_tokens + usage.output_tokens,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Definition, Message, REPLY_TOKENS};

    #[test]
    fn four_bytes_are_a_token_and_the_reply_counts() {
        let mut request =
            Request { messages: vec![Message::user("x".repeat(400))], ..Request::default() };
        let mut model = Model::in_pool("p", "m");
        assert_eq!(Needs::of_chat(&model, &request).tokens, 100 + REPLY_TOKENS);
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
