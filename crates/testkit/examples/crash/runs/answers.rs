//! People: they answer what runs ask, sometimes twice, and sometimes two of them at once.

use std::sync::Arc;

use tenure_sdk::{Client, Error, ErrorKind, v1};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::{Outcome, Reply};
use super::sight::{Sight, some_time};
use super::{REPEATED, Runs};
use crate::program::{self, AGENT, Answer, Ask, Fate, Part};

/// The longest pause before an answer, in milliseconds.
const ANSWER_MILLIS: u64 = 1_500;

/// One question.
struct Question {
    run: String,
    key: String,
    ask: Ask,
}

impl Runs {
    /// Answers what a run asks, until it has ended.
    pub(super) async fn answer_all(
        self: &Arc<Self>,
        run: &str,
        input: u64,
        sight: &watch::Sender<Sight>,
    ) {
        if program::fate(input) == Fate::Cancelled {
            return;
        }
        let (mut people, mut asked) = (JoinSet::new(), 0);
        let mut seen = sight.subscribe();
        loop {
            let news = |sight: &Sight| sight.ended || sight.asked.len() > asked;
            let Ok(sight) = seen.wait_for(news).await.map(|sight| sight.clone()) else { return };
            for key in &sight.asked[asked..] {
                let Some(ask) = asks(input, key) else { continue };
                let question = Question { run: run.to_owned(), key: key.clone(), ask };
                let this = self.clone();
                people.spawn(async move { this.answer(&question).await });
            }
            asked = sight.asked.len();
            if sight.ended {
                people.join_all().await;
                return;
            }
        }
    }

    async fn answer(&self, question: &Question) {
        if let Err(error) = Box::pin(self.try_answer(question)).await {
            let Question { run, key, .. } = question;
            self.ledger().problems.push(format!("{run}: the answer to {key}: {error}"));
        }
    }

    /// By one or two people, in some time. What has a deadline is answered shortly before or after
    /// it, or not at all.
    async fn try_answer(&self, question: &Question) -> Result<(), Error> {
        let mut random = fastrand::Rng::new();
        match question.ask.deadline {
            Some(_) if random.u8(..3) == 0 => return Ok(()),
            Some((length, _)) => {
                let length = u64::try_from(length.as_millis()).unwrap_or(ANSWER_MILLIS);
                some_time(length + length / 2).await;
            }
            None => some_time(ANSWER_MILLIS).await,
        }
        let id = self.interrupt(question).await?;
        let answer = Answer::draw(&mut random);
        let other = answer.other(&mut random);
        let first = self.resolve(&self.client, question, &id, answer);
        let second = self.resolve(&self.rival, question, &id, other);
        match random.usize(..REPEATED) {
            0 => tokio::try_join!(first, second).map(drop),
            1 => {
                first.await?;
                second.await
            }
            2 => {
                first.await?;
                self.ledger().repeated += 1;
                self.resolve(&self.client, question, &id, answer).await
            }
            _ => first.await,
        }
    }

    /// The id of a question, by the inbox.
    async fn interrupt(&self, question: &Question) -> Result<String, Error> {
        let of_run = self.interrupts(&question.run).await?;
        let it = of_run.into_iter().find(|interrupt| interrupt.key == question.key);
        let missing = || Error::not_found(format!("{} is not in the inbox", question.key));
        it.map(|interrupt| interrupt.id).ok_or_else(missing)
    }

    /// All questions of a run, or of all runs if it is empty.
    pub(crate) async fn interrupts(&self, run: &str) -> Result<Vec<v1::Interrupt>, Error> {
        let (tenant, run) = (self.client.tenant().to_string(), run.to_owned());
        let mut request =
            v1::ListInterruptsRequest { tenant, run, all: true, ..Default::default() };
        let mut all = Vec::new();
        loop {
            let list = || {
                let (mut inbox, request) = (self.client.inbox(), request.clone());
                async move { inbox.list_interrupts(request).await }
            };
            let page = self.client.retry(list).await?;
            all.extend(page.interrupts);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Sends an answer until it is taken or refused.
    async fn resolve(
        &self,
        person: &Client,
        question: &Question,
        id: &str,
        answer: Answer,
    ) -> Result<(), Error> {
        let request = v1::ResolveInterruptRequest {
            tenant: person.tenant().to_string(),
            interrupt: id.to_owned(),
            answer: Some(answer.wire("ann@example.com")),
        };
        let mut sent = 0_usize;
        let resolve = || {
            sent += 1;
            let (mut inbox, request) = (person.inbox(), request.clone());
            async move { inbox.resolve_interrupt(request).await }
        };
        let outcome = match person.retry(resolve).await {
            Ok(_) => Outcome::Taken,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Outcome::Conflict,
            Err(error) if error.kind() == ErrorKind::WrongState => Outcome::Late,
            Err(error) => return Err(error),
        };
        let Question { run, key, .. } = question;
        let reply = Reply { run: run.clone(), key: key.clone(), answer, outcome };
        let mut ledger = self.ledger();
        ledger.unknown += sent.saturating_sub(1);
        ledger.replies.push(reply);
        Ok(())
    }
}

/// What the run with this input asks under this key.
fn asks(input: u64, key: &str) -> Option<Ask> {
    let program = program::of(AGENT, input);
    let places = program::places(&program.parts);
    places.into_iter().find(|place| place.key == key).and_then(|place| match place.part {
        Part::Ask(ask) => Some(*ask),
        _ => None,
    })
}
