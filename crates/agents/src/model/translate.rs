//! Our requests and replies in genai's words.

use genai::chat::{
    ChatMessage, ChatRequest, ChatResponse, ContentPart, MessageContent, StopReason, Tool,
    ToolResponse,
};
use serde_json::{Map, Value};
use tenure_sdk::Usage;

use super::{Definition, Message, Reply, Request, ToolCall};

pub(super) fn request(request: &Request) -> ChatRequest {
    let mut chat = ChatRequest::new(messages(&request.messages));
    chat.system = Some(request.system.clone()).filter(|system| !system.is_empty());
    chat.tools =
        Some(request.tools.iter().map(tool).collect()).filter(|all: &Vec<_>| !all.is_empty());
    chat
}

/// Results of one turn become one message: providers want all answers to a message's calls together.
fn messages(messages: &[Message]) -> Vec<ChatMessage> {
    let is_tool = |message: &Message| matches!(message, Message::Tool { .. });
    let groups = messages.chunk_by(|a, b| is_tool(a) && is_tool(b));
    groups.filter_map(group).collect()
}

fn group(messages: &[Message]) -> Option<ChatMessage> {
    match messages.first()? {
        Message::System { text } => Some(ChatMessage::system(text.as_str())),
        Message::User { text } => Some(ChatMessage::user(text.as_str())),
        Message::Assistant { text, calls } => Some(assistant(text, calls)),
        Message::Tool { .. } => {
            let results = messages.iter().filter_map(result).map(ContentPart::ToolResponse);
            Some(ChatMessage::tool(MessageContent::from_parts(results.collect::<Vec<_>>())))
        }
    }
}

fn assistant(text: &str, calls: &[ToolCall]) -> ChatMessage {
    let text = (!text.is_empty()).then(|| ContentPart::Text(text.into()));
    let calls = calls.iter().map(|call| ContentPart::ToolCall(their_call(call)));
    let parts: Vec<_> = text.into_iter().chain(calls).collect();
    ChatMessage::assistant(MessageContent::from_parts(parts))
}

fn result(message: &Message) -> Option<ToolResponse> {
    match message {
        Message::Tool { call, name, text } => {
            Some(ToolResponse::new(call.as_str(), text.as_str()).with_fn_name(name.as_str()))
        }
        Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => None,
    }
}

fn tool(definition: &Definition) -> Tool {
    Tool::new(definition.name.as_str())
        .with_description(definition.description.as_str())
        .with_schema(definition.parameters.clone())
}

fn their_call(call: &ToolCall) -> genai::chat::ToolCall {
    genai::chat::ToolCall {
        call_id: call.id.clone(),
        fn_name: call.name.clone(),
        fn_arguments: call.arguments.clone(),
        thought_signatures: Some(call.signatures.clone()).filter(|all| !all.is_empty()),
    }
}

/// What a provider answered, in the end.
pub(super) struct Answered {
    pub(super) content: MessageContent,
    pub(super) usage: genai::chat::Usage,
    pub(super) stop: Option<StopReason>,
}

/// Why an answer is no reply.
#[derive(Debug, PartialEq)]
pub(super) enum NoReply {
    /// It cannot be read, for this reason.
    Invalid(String),
    /// It has neither text nor calls.
    Empty,
    /// The provider withheld it.
    Filtered,
}

impl From<ChatResponse> for Answered {
    fn from(response: ChatResponse) -> Self {
        Self { content: response.content, usage: response.usage, stop: response.stop_reason }
    }
}

pub(super) fn reply(model: &str, answered: Answered) -> Result<Reply, NoReply> {
    let Answered { content, usage, stop } = answered;
    let cut = stop.as_ref().is_some_and(StopReason::is_max_tokens);
    let calls = content.tool_calls().into_iter().map(our_call).collect();
    let calls = match calls {
        // What was cut in the middle of a call has half of its arguments.
        Err(_) if cut => Vec::new(),
        calls => calls.map_err(NoReply::Invalid)?,
    };
    let text = content.into_joined_texts().unwrap_or_default();
    if text.trim().is_empty() && calls.is_empty() && !cut {
        let filtered = matches!(stop, Some(StopReason::ContentFilter(_)));
        return Err(if filtered { NoReply::Filtered } else { NoReply::Empty });
    }
    Ok(Reply { text, calls, cut, backend: None, usage: self::usage(model, &usage) })
}

fn our_call(call: &genai::chat::ToolCall) -> Result<ToolCall, String> {
    Ok(ToolCall {
        id: call.call_id.clone(),
        name: call.fn_name.clone(),
        arguments: arguments(call)?,
        signatures: call.thought_signatures.clone().unwrap_or_default(),
    })
}

/// Some providers give the arguments as a text, and a stream gives them so if the text is no JSON. No
/// text at all stands for no arguments.
fn arguments(call: &genai::chat::ToolCall) -> Result<Value, String> {
    let Some(text) = call.fn_arguments.as_str() else { return Ok(call.fn_arguments.clone()) };
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let wrong =
        |error| format!("the arguments of its call of `{}` are no JSON: {error}", call.fn_name);
    serde_json::from_str(text).map_err(wrong)
}

pub(super) fn usage(model: &str, usage: &genai::chat::Usage) -> Usage {
    let count = |tokens: Option<i32>| tokens.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let prompt = usage.prompt_tokens_details.as_ref();
    let completion = usage.completion_tokens_details.as_ref();
    Usage {
        model: model.into(),
        input_tokens: count(usage.prompt_tokens),
        output_tokens: count(usage.completion_tokens),
        cached_tokens: count(prompt.and_then(|details| details.cached_tokens)),
        reasoning_tokens: count(completion.and_then(|details| details.reasoning_tokens)),
        ..Usage::default()
    }
}
