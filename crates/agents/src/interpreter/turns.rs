//! The loop between a model and its tools.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::{Context, EntryKind, Failure, Stop, Usage, join};
use tenure_spec::AgentTool;
use tenure_spec::conversation::Answer;

use super::agent::Agent;
use super::answer::{self, Verdict};
use super::budget::{Budget, Turn};
use super::conversation::{self, Client, Start};
use super::transfer;
use super::window::View;
use crate::model::{Message, Reply, Request, ToolCall};

/// What a model is told when it gets its last turn.
const WRAP_UP: &str = "A limit of this run is reached and no tool can be called any more. Answer now, with what you have.";

/// What a conversation comes to.
pub(super) enum Ended {
    /// The final answer.
    Answered(Value),
    /// The message for a client that keeps the conversation.
    Said(Answer),
}

/// The whole conversation; gives the final answer, or what a client has to hear.
pub(super) async fn take(
    agent: &Agent,
    ctx: &Context,
    start: Start,
    budget: &mut Budget,
) -> Result<Ended, Stop> {
    let Start { mut messages, client } = start;
    let client = client.as_ref();
    let mut view = View::new(agent.window.as_ref());
    loop {
        let turn = budget.next_turn(ctx).await?;
        if turn.last {
            messages.push(Message::user(WRAP_UP));
        }
        view.move_on(agent, &turn.scope, &messages, budget).await?;
        let Asked { mut reply, guarded } = ask(agent, client, &turn, view.of(&messages)).await?;
        budget.spend(&reply.usage);
        if reply.cut && client.is_some() {
            return Ok(Ended::Said(conversation::cut(reply)));
        }
        messages.push(said(&reply));
        let theirs = handed_over(client, &mut reply);
        let mut transfer = None;
        if !reply.calls.is_empty() && !turn.last {
            let made = call(agent, &turn, &reply, guarded, budget).await?;
            messages.extend(made.results);
            transfer = made.transfer;
        }
        if !theirs.is_empty() {
            return Ok(Ended::Said(conversation::handed(reply.text, theirs)));
        }
        if let Some(to) = transfer {
            let answer = transfer::to(&to, &turn.scope, &messages).await?;
            return Ok(ended(client, answer));
        }
        if !reply.calls.is_empty() && !turn.last {
            continue;
        }
        if let Some(complaint) = client.and_then(Client::complaint) {
            messages.push(Message::user(complaint));
            continue;
        }
        match answer::judge(agent.output.as_ref(), &turn.scope, &reply.text).await? {
            Verdict::Final(answer) => return Ok(ended(client, answer)),
            Verdict::Wrong(problem) => messages.push(Message::user(problem)),
        }
    }
}

fn ended(client: Option<&Client>, answer: Value) -> Ended {
    match client {
        Some(_) => Ended::Said(conversation::said(answer)),
        None => Ended::Answered(answer),
    }
}

/// Takes out of a reply the calls that are the client's to make.
fn handed_over(client: Option<&Client>, reply: &mut Reply) -> Vec<ToolCall> {
    let Some(client) = client else { return Vec::new() };
    let calls = std::mem::take(&mut reply.calls);
    let (theirs, ours) = calls.into_iter().partition(|call| client.makes(call));
    reply.calls = ours;
    theirs
}

/// A reply, and whether the tenant had a policy for its calls when it came.
#[derive(Serialize, Deserialize)]
struct Asked {
    #[serde(flatten)]
    reply: Reply,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guarded: bool,
}

/// Asks the model for its next message. The fingerprint is that of the conversation: a replay that
/// comes to this turn with another one must not be given this reply.
async fn ask(
    agent: &Agent,
    client: Option<&Client>,
    turn: &Turn,
    messages: Vec<Message>,
) -> Result<Asked, Stop> {
    let step = turn.scope.step("model").kind(EntryKind::Model).input(&messages).retry(agent.retry);
    let request =
        Request { system: agent.system.clone(), messages, tools: offered(agent, client, turn) };
    let asked: Asked = step.run_metered(|_| answered(agent, &turn.scope, &request)).await?;
    if asked.reply.cut && client.is_none() {
        let message = "the reply was cut at the model's limit of tokens; raise `model.max_tokens`";
        return Err(Stop::failed("model_reply_cut", message));
    }
    Ok(asked)
}

async fn answered(
    agent: &Agent,
    turn: &Context,
    request: &Request,
) -> Result<(Asked, Usage), Failure> {
    let (reply, usage) = crate::ask(&*agent.model, request).await?;
    let guarded = !reply.calls.is_empty() && agent.tools.guard().is_needed(turn).await;
    Ok((Asked { reply, guarded }, usage))
}

/// The tools that may be called in a turn.
fn offered(agent: &Agent, client: Option<&Client>, turn: &Turn) -> Vec<crate::model::Definition> {
    if turn.last {
        return Vec::new();
    }
    let theirs = client.map(Client::tools).unwrap_or_default();
    [agent.tools.definitions().as_slice(), theirs].concat()
}

fn said(reply: &Reply) -> Message {
    Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() }
}

/// What the calls of a reply gave.
struct Made {
    /// The messages that tell the model.
    results: Vec<Message>,
    /// Who goes on with the conversation, if it is handed over: the first whom it is handed to.
    transfer: Option<AgentTool>,
}

/// Makes all calls of a reply at the same time, and gives their results in the reply's order.
async fn call(
    agent: &Agent,
    turn: &Turn,
    reply: &Reply,
    guarded: bool,
    budget: &mut Budget,
) -> Result<Made, Stop> {
    let metered = agent.tools.metered(&reply.calls);
    if !budget.admit_calls(&turn.scope, reply.calls.len(), metered).await? {
        let results = reply.calls.iter().map(ToolCall::not_made).collect();
        return Ok(Made { results, transfer: None });
    }
    // Opened in order, before any of them runs: a call's place must not depend on timing.
    let scopes = (0..reply.calls.len()).map(|place| turn.scope.scope(&format!("call/{place}")));
    let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    let calls = scopes.iter().zip(&reply.calls);
    let made =
        join(calls.map(|(scope, call)| agent.tools.call_guarded(scope, call, guarded))).await?;
    let mut results = Vec::with_capacity(made.len());
    let mut transfer = None;
    for (message, output) in made {
        budget.spend(&output.usage);
        results.push(message);
        transfer = transfer.or(output.transfer);
    }
    Ok(Made { results, transfer })
}
