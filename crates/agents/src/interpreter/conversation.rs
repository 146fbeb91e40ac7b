//! Runs whose input is a conversation that a client keeps, with tools of the client's own.

use serde_json::Value;
use tenure_sdk::{Failure, Payload};
use tenure_spec::Spec;
use tenure_spec::conversation::{
    Answer, CONVERSATION, Call, ClientTool, Conversation, FinishReason, MESSAGE, Said, ToolChoice,
};

use super::input;
use crate::model::{Definition, Message, Reply, ToolCall};

/// What a run begins with, and what a client has to do with it.
pub(super) struct Start {
    /// What was said so far.
    pub(super) messages: Vec<Message>,
    /// The client, if it keeps the conversation.
    pub(super) client: Option<Client>,
}

/// Somebody who keeps the conversation and has tools of its own.
pub(super) struct Client {
    tools: Vec<Definition>,
    choice: ToolChoice,
}

/// Reads the input of a run. What a conversation asks for goes into the specification.
pub(super) fn start(payload: &Payload, spec: &mut Spec) -> Result<Start, Failure> {
    let Some(conversation) = read(payload)? else {
        return Ok(Start { messages: vec![Message::user(input::text(payload)?)], client: None });
    };
    if let Some(model) = &mut spec.model {
        model.temperature = conversation.temperature.or(model.temperature);
        model.max_tokens = conversation.max_tokens.into_iter().chain(model.max_tokens).min();
    }
    if conversation.output.is_some() {
        spec.output.clone_from(&conversation.output);
    }
    let tools = conversation.offered().map(definition).collect();
    let client = Client { tools, choice: conversation.tool_choice };
    Ok(Start { messages: messages(&conversation.messages), client: Some(client) })
}

/// The conversation that a payload is; `None` if it is something else.
pub(super) fn read(payload: &Payload) -> Result<Option<Conversation>, Failure> {
    if payload.content_type != CONVERSATION || !payload.encoding.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&payload.data).map(Some).map_err(|error| {
        let message = format!("the input of the run is no conversation: {error}");
        Failure::permanent("input_unusable", message)
    })
}

/// The output of a run whose client keeps the conversation.
pub(super) fn written(answer: &Answer) -> Result<Payload, serde_json::Error> {
    let data = serde_json::to_vec(answer)?.into();
    Ok(Payload { content_type: MESSAGE.into(), encoding: String::new(), data })
}

impl Start {
    /// Refuses tools of a client that are called like the agent's own.
    pub(super) fn check(&self, own: &[Definition]) -> Result<(), Failure> {
        let tools = self.client.iter().flat_map(|client| &client.tools);
        let mut taken = tools.filter(|tool| own.iter().any(|own| own.name == tool.name));
        let Some(taken) = taken.next() else { return Ok(()) };
        let name = &taken.name;
        let message =
            format!("the agent has a tool `{name}` of its own: call the client's another");
        Err(Failure::permanent("input_unusable", message))
    }
}

impl Client {
    pub(super) fn tools(&self) -> &[Definition] {
        &self.tools
    }

    /// Whether a call is the client's to make.
    pub(super) fn makes(&self, call: &ToolCall) -> bool {
        self.tools.iter().any(|tool| tool.name == call.name)
    }

    /// What a model is told that has answered where it had to call.
    pub(super) fn complaint(&self) -> Option<String> {
        let told = match &self.choice {
            ToolChoice::Function(name) => format!("the tool `{name}`"),
            ToolChoice::Required => "one of the tools that you were given".into(),
            ToolChoice::Auto | ToolChoice::None => return None,
        };
        Some(format!("Do not answer yet: call {told} first."))
    }
}

/// A conversation as another agent is given it.
pub(super) fn history(messages: &[Message]) -> Vec<Said> {
    let said = |message: &Message| match message.clone() {
        Message::System { text } => Said::System { content: text },
        Message::User { text } => Said::User { content: text },
        Message::Assistant { text, calls } => {
            let tool_calls = calls.into_iter().map(their_call).collect();
            Said::Assistant { content: text, tool_calls }
        }
        Message::Tool { call, text, .. } => Said::Tool { tool_call_id: call, content: text },
    };
    messages.iter().map(said).collect()
}

/// The message that hands calls over to the client.
pub(super) fn handed(text: String, calls: Vec<ToolCall>) -> Answer {
    let tool_calls = calls.into_iter().map(their_call).collect();
    Answer { content: text, tool_calls, finish_reason: FinishReason::ToolCalls }
}

/// The message of a reply that was cut.
pub(super) fn cut(reply: Reply) -> Answer {
    Answer { finish_reason: FinishReason::Length, ..Answer::text(reply.text) }
}

/// The message of a final answer.
pub(super) fn said(answer: Value) -> Answer {
    match answer {
        Value::String(text) => Answer::text(text),
        other => Answer::text(other.to_string()),
    }
}

fn definition(tool: &ClientTool) -> Definition {
    Definition {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
    }
}

fn their_call(call: ToolCall) -> Call {
    let arguments = match call.arguments {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Call::new(call.id, call.name, arguments)
}

fn our_call(call: &Call) -> ToolCall {
    let written = &call.function.arguments;
    ToolCall {
        id: call.id.clone(),
        name: call.function.name.clone(),
        arguments: serde_json::from_str(written).unwrap_or_else(|_| written.as_str().into()),
        signatures: Vec::new(),
    }
}

fn messages(said: &[Said]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::with_capacity(said.len());
    for one in said {
        let message = match one.clone() {
            Said::System { content } => Message::System { text: content },
            Said::User { content } => Message::User { text: content },
            Said::Assistant { content, tool_calls } => {
                let calls = tool_calls.iter().map(our_call).collect();
                Message::Assistant { text: content, calls }
            }
            Said::Tool { tool_call_id, content } => {
                let name = called(&messages, &tool_call_id);
                Message::Tool { call: tool_call_id, name, text: content }
            }
        };
        messages.push(message);
    }
    messages
}

/// The name of the tool that the latest call of this id is of.
fn called(messages: &[Message], id: &str) -> String {
    let calls = messages.iter().rev().filter_map(|message| match message {
        Message::Assistant { calls, .. } => Some(calls),
        _ => None,
    });
    let call = calls.flatten().find(|call| call.id == id);
    call.map(|call| call.name.clone()).unwrap_or_default()
}
