//! Hand-over: another agent goes on with a conversation, as a run of its own.

use tenure_sdk::{Context, Payload, Stop};
use tenure_spec::AgentTool;
use tenure_spec::conversation::{Answer, CONVERSATION, Conversation};

use super::conversation;
use crate::model::Message;
use crate::tools::step_name;

/// The answer of the agent that goes on.
pub(super) async fn to(
    agent: &AgentTool,
    turn: &Context,
    messages: &[Message],
) -> Result<serde_json::Value, Stop> {
    let conversation =
        Conversation { messages: conversation::history(messages), ..Conversation::default() };
    let data = serde_json::to_vec(&conversation)?.into();
    let input = Payload { content_type: CONVERSATION.into(), encoding: String::new(), data };
    let call = turn.call(&agent.agent, &()).input(input).name(&step_name(&agent.name));
    let answer: Answer = call.version(agent.version()).output().await?;
    Ok(serde_json::from_str(&answer.content).unwrap_or_else(|_| answer.content.into()))
}
