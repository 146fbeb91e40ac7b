//! The loop between a model and its tools.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::{Attempt, Context, EntryKind, Failure, Stop, Usage, join};
use tenure_spec::AgentTool;
use tenure_spec::conversation::Answer;

use super::agent::Agent;
use super::answer::{self, Verdict};
use super::budget::{Purse, Turn};
use super::control::Control;
use super::conversation::{self, Client, Start};
use super::transfer;
use super::window::View;
use crate::model::{Definition, Message, Reply, Request, ToolCall};

/// What a model is told when it gets its last turn.
const WRAP_UP: &str = "A limit of this run is reached and no tool can be called any more. Answer now, with what you have.";

/// What a conversation comes to.
pub(super) enum Ended {
    /// The final answer.
    Answered(Value),
    /// The message for a client that keeps the conversation.
    Said(Answer),
}

/// The whole conversation; gives the final answer, or what a client has to hear. It ends at the
/// latest where the budgets in `purse` do.
pub(super) async fn take(
    agent: &Agent,
    ctx: &Context,
    start: Start,
    purse: &mut Purse<'_>,
    control: &mut dyn Control,
) -> Result<Ended, Stop> {
    let Start { mut messages, client } = start;
    let client = client.as_ref();
    let mut view = View::new(agent.window.as_ref());
    for number in 0.. {
        let turn = purse.next_turn(ctx.scope(&format!("turn/{number}"))?).await?;
        if turn.last {
            messages.push(Message::user(WRAP_UP));
        }
        view.move_on(agent, &turn.scope, &messages, purse).await?;
        let tools = offered(agent, client, &turn, control);
        let asked = loop {
            let (messages, tools) = (view.of(&messages), tools.clone());
            let asked = ask(agent, &turn, messages, tools, client.is_some()).await;
            if let Some(asked) = purse.paid(&turn.scope, asked).await? {
                break asked;
            }
        };
        let Asked { mut reply, guarded } = asked;
        purse.spend(&reply.usage);
        if reply.cut && client.is_some() {
            return Ok(Ended::Said(conversation::cut(reply)));
        }
        messages.push(said(&reply));
        let theirs = handed_over(client, &mut reply);
        let mut transfer = None;
        if !reply.calls.is_empty() && !turn.last {
            let made = call(agent, &turn, &reply, guarded, purse, control).await?;
            messages.extend(made.results);
            transfer = made.transfer;
        }
        if !theirs.is_empty() {
            return Ok(Ended::Said(conversation::handed(reply.text, theirs)));
        }
        if control.is_over() {
            return Ok(Ended::Answered(reply.text.into()));
        }
        if let Some(to) = transfer {
            // All that is left goes along: this run is over.
            let place = turn.scope.within(purse.share(1));
            let answer = transfer::to(&to, &place, &messages).await?;
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
    Err(Stop::failed("limit_turns", "there are no more turns than can be counted"))
}

/// [`take`], for a conversation that nobody keeps outside: gives the final answer.
pub(super) async fn answer(
    agent: &Agent,
    ctx: &Context,
    messages: Vec<Message>,
    purse: &mut Purse<'_>,
    control: &mut dyn Control,
) -> Result<Value, Stop> {
    match take(agent, ctx, Start { messages, client: None }, purse, control).await? {
        Ended::Answered(answer) => Ok(answer),
        Ended::Said(answer) => Ok(answer.content.into()),
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
pub(super) struct Asked {
    #[serde(flatten)]
    pub(super) reply: Reply,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guarded: bool,
}

/// Asks the model for its next message. The fingerprint is that of the conversation: a replay that
/// comes to this turn with another one must not be given this reply.
pub(super) async fn ask(
    agent: &Agent,
    turn: &Turn,
    messages: Vec<Message>,
    tools: Vec<Definition>,
    may_be_cut: bool,
) -> Result<Asked, Stop> {
    let step = turn.scope.step("model").kind(EntryKind::Model).input(&messages).retry(agent.retry);
    let output = agent.output.as_ref().map(|output| output.schema().clone());
    let request = Request { system: agent.system.clone(), messages, tools, output };
    let asked = step.run_metered(async |attempt: Attempt| {
        answered(agent, &turn.scope, &request, &attempt).await
    });
    let asked: Asked = asked.await?;
    if asked.reply.cut && !may_be_cut {
        let message = "the reply was cut at the model's limit of tokens; raise `model.max_tokens`";
        return Err(Stop::failed("model_reply_cut", message));
    }
    Ok(asked)
}

async fn answered(
    agent: &Agent,
    turn: &Context,
    request: &Request,
    attempt: &Attempt,
) -> Result<(Asked, Usage), Failure> {
    let guard = agent.tools.guard();
    let (model, told) = (&*agent.model, &attempt.publisher);
    let (reply, usage) = crate::ask(&guard.tenants, turn, attempt, model, request, told).await?;
    let guarded = !reply.calls.is_empty() && guard.is_needed(turn).await;
    Ok((Asked { reply, guarded }, usage))
}

/// The tools that may be called in a turn.
fn offered(
    agent: &Agent,
    client: Option<&Client>,
    turn: &Turn,
    control: &dyn Control,
) -> Vec<Definition> {
    if turn.last {
        return Vec::new();
    }
    let theirs = client.map(Client::tools).unwrap_or_default();
    [agent.tools.definitions().as_slice(), &control.definitions(), theirs].concat()
}

pub(super) fn said(reply: &Reply) -> Message {
    Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() }
}

/// What the calls of a reply gave.
struct Made {
    /// The messages that tell the model.
    results: Vec<Message>,
    /// Who goes on with the conversation, if it is handed over: the first whom it is handed to.
    transfer: Option<AgentTool>,
}

/// Makes all calls of a reply, and gives their results in the reply's order.
async fn call(
    agent: &Agent,
    turn: &Turn,
    reply: &Reply,
    guarded: bool,
    purse: &mut Purse<'_>,
    control: &mut dyn Control,
) -> Result<Made, Stop> {
    let mut taken = Vec::with_capacity(reply.calls.len());
    let mut open = Vec::new();
    for (place, call) in reply.calls.iter().enumerate() {
        let result = control.take(call).map(|result| call.result(&result));
        if result.is_none() {
            // Opened in order, before any of them runs: a call's place must not depend on timing.
            open.push((turn.scope.scope(&format!("call/{place}"))?, call));
        }
        taken.push(result);
    }
    let Made { results, transfer } = call_tools(agent, turn, &open, guarded, purse).await?;
    let mut results = results.into_iter();
    let results = taken.into_iter().filter_map(|taken| taken.or_else(|| results.next()));
    Ok(Made { results: results.collect(), transfer })
}

/// Makes these calls of tools at the same time.
async fn call_tools(
    agent: &Agent,
    turn: &Turn,
    open: &[(Context, &ToolCall)],
    guarded: bool,
    purse: &mut Purse<'_>,
) -> Result<Made, Stop> {
    let metered = agent.tools.metered(open.iter().map(|(_, call)| *call));
    if !open.is_empty() && !purse.admit_calls(&turn.scope, open.len(), metered).await? {
        let results = open.iter().map(|(_, call)| call.not_made()).collect();
        return Ok(Made { results, transfer: None });
    }
    let share = purse.share(metered);
    let calls = open
        .iter()
        .map(async |(scope, call)| agent.tools.call(&scope.within(share), call, guarded).await);
    let made = join(calls).await?;
    let mut results = Vec::with_capacity(made.len());
    let mut transfer = None;
    for (message, output) in made {
        purse.spend(&output.usage);
        results.push(message);
        transfer = transfer.or(output.transfer);
    }
    Ok(Made { results, transfer })
}
