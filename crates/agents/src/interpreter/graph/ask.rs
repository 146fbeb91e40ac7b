//! Nodes that ask models.

use tenure_sdk::{Attempt, EntryKind, Failure, Stop};
use tenure_spec::graph::{Action, Candidates, Prompt};

use super::attempt::{Failed, Made, Outcome, Visit, caught, no_conversation};
use super::chat::{self, Chat};
use super::data::vector;
use super::{Machine, State, parse};
use crate::model::{Asked, Message, Reply, Request, Wanted};

impl Machine<'_> {
    pub(super) async fn prompt(
        &self,
        visit: &Visit<'_>,
        prompt: &Prompt,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let text = match visit.input.text() {
            Ok(text) => text,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let empty = || parse::empty(&prompt.parse);
        if text.is_empty() {
            return Ok(Err(Failed::with(no_text(), empty())));
        }
        let request = Request {
            system: prompt.system.clone(),
            messages: vec![Message::user(text)],
            ..Request::default()
        };
        let reply = self.ask(visit, &prompt.model, &request, state).await?;
        Ok(reply.map_err(|failure| Failed::with(failure, empty())).and_then(|reply| {
            parse::apply(&prompt.parse, reply.text.trim())
                .map_err(|why| Failed::with(Failure::permanent("graph_reply", why), empty()))
        }))
    }

    pub(super) async fn chat(
        &self,
        visit: &Visit<'_>,
        node: &tenure_spec::graph::Chat,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let Some(mut chat) = Chat::of(visit.input) else {
            return Ok(Err(no_conversation(visit.input).into()));
        };
        chat.instruct(&node.system);
        let count = |text: &str| self.routes.router.tokens(text);
        if chat.input_tokens == 0 {
            chat.input_tokens = chat.messages.iter().map(|said| count(&chat::content(said))).sum();
        }
        if let Some(limit) = self.graph.token_limit.filter(|limit| chat.input_tokens > *limit) {
            return Ok(Err(too_long(chat.input_tokens, limit).into()));
        }
        let candidates = chat::candidates(&node.model, visit.input);
        let request = Request { messages: chat.request(), ..Request::default() };
        let reply = match self.ask(visit, &candidates, &request, state).await? {
            Ok(reply) => reply,
            Err(failure) => return Ok(Err(failure.into())),
        };
        chat.output_tokens = count(&reply.text);
        chat.messages.push(chat::said("assistant", &reply.text));
        Ok(Ok(Outcome { output: chat.data(), value: "executed".into() }))
    }

    /// Asks a model; the reply is recorded.
    async fn ask(
        &self,
        visit: &Visit<'_>,
        candidates: &Candidates,
        request: &Request,
        state: &mut State,
    ) -> Result<Result<Reply, Failure>, Stop> {
        state.budget.admit(visit.scope).await?;
        let wanted = self.wanted(visit, candidates);
        let reply = loop {
            let asked = self.reply(visit, &wanted, request).await;
            if let Some(reply) = state.budget.paid(visit.scope, asked).await.transpose() {
                break reply;
            }
        };
        let reply: Result<Reply, Failure> = caught(reply)?;
        if let Ok(reply) = &reply {
            state.budget.spend(&reply.usage);
        }
        Ok(reply.and_then(whole))
    }

    async fn reply(
        &self,
        visit: &Visit<'_>,
        wanted: &Wanted<'_>,
        request: &Request,
    ) -> Result<Reply, Stop> {
        let step = visit.step("model", EntryKind::Model);
        let step = step.input(&(&request.system, &request.messages));
        let router = &self.routes.router;
        step.run_metered(async |attempt: Attempt| {
            let estimate = || router.estimate(wanted, request);
            self.interpreter.parts.tenants.reserve(visit.scope, &attempt, estimate).await?;
            let reply = router.reply(wanted, request, &attempt.publisher).await?;
            let usage = reply.usage.clone();
            Ok((reply, usage))
        })
        .await
    }

    pub(super) async fn embed(
        &self,
        visit: &Visit<'_>,
        candidates: &Candidates,
        state: &mut State,
    ) -> Result<Made, Stop> {
        let text = match visit.input.text() {
            Ok(text) => text,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let outcome = |numbers: &[f64]| Outcome { output: vector(numbers), value: "ok".into() };
        if text.is_empty() {
            return Ok(Err(Failed::with(no_text(), outcome(&[]))));
        }
        state.budget.admit(visit.scope).await?;
        let wanted = self.wanted(visit, candidates);
        let step = visit.step("embed", EntryKind::Model).input(&text);
        let made = step.run_metered(async |_| self.routes.router.embed(&wanted, &text).await);
        let made: Result<Vec<f64>, Failure> = caught(made.await)?;
        Ok(made
            .map(|numbers| outcome(&numbers))
            .map_err(|failure| Failed::with(failure, outcome(&[]))))
    }

    fn wanted<'w>(&'w self, visit: &Visit<'_>, candidates: &'w Candidates) -> Wanted<'w> {
        let kind = match visit.action {
            Action::Chat(_) => Asked::Chat,
            Action::Embed(_) => Asked::Vector,
            _ => Asked::Prompt,
        };
        Wanted { kind, candidates, default: self.base.model.as_ref(), attempt: visit.attempt }
    }
}

fn whole(reply: Reply) -> Result<Reply, Failure> {
    if reply.cut {
        let message = "the reply was cut at the model's limit of tokens; raise `max_tokens`";
        return Err(Failure::permanent("model_reply_cut", message));
    }
    Ok(reply)
}

fn no_text() -> Failure {
    Failure::permanent("graph_input", "its input is an empty text")
}

fn too_long(tokens: u64, limit: u64) -> Failure {
    let message =
        format!("the conversation has {tokens} tokens, more than the {limit} of `token_limit`");
    Failure::permanent("graph_tokens", message)
}
