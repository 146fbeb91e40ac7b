//! A backend that is asked, and what comes of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_sdk::{Estimate, Failure, Usage};
use tenure_spec::Model as Spec;
use tenure_spec::backends::{Backend as Declared, Offer, Pool};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::clock::Clock;
use super::fit::{Fit, Known, Unfit, fit, has, name};
use super::health::{Blame, Health, LONGEST_BUSY, Rules, Standing, State, blame};
use super::heard::Heard;
use super::limits::Limiter;
use super::needs::Needs;
use super::order::Seen;
use crate::model::endpoint::{self, Endpoint};
use crate::model::keys::Secret;
use crate::model::remote::{CALL, CALLS, Remote, Remotes};
use crate::model::{Listener, Model as _, Nobody, Reply, Request};

/// How long a call waits for its turn at most: what takes longer had better give its worker back and
/// be tried again later.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is asked of a backend.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// The next message of a conversation; who hears it while it comes.
    Reply(&'a Request, &'a dyn Listener),
    /// The vector of a text.
    Vector(&'a str),
}

/// What it has answered.
pub(super) enum Answer {
    Reply(Reply),
    Vector(Vec<f64>, Usage),
}

impl Answer {
    /// The tokens that its provider counted.
    fn tokens(&self) -> u64 {
        let (Self::Reply(Reply { usage, .. }) | Self::Vector(_, usage)) = self;
        usage.input_tokens + usage.output_tokens
    }
}

/// What went wrong with a call.
pub(super) struct Wrong {
    pub(super) failure: Failure,
    /// Whether somebody has heard a piece of the reply: then no other backend may begin anew.
    pub(super) heard: bool,
}

/// A backend with everything that is known of it at this moment.
pub(super) struct Backend {
    pub(super) declared: Declared,
    key: Option<Secret>,
    rules: Rules,
    permits: Option<Semaphore>,
    pub(super) limiter: Limiter,
    now: Mutex<Now>,
    /// Told whenever what it has changes.
    pub(super) moved: watch::Sender<()>,
    clock: Clock,
}

/// What changes.
#[derive(Default)]
pub(super) struct Now {
    pub(super) health: Health,
    /// The models that it has listed.
    pub(super) listed: Option<Vec<Offer>>,
    /// When it was asked for them, and what went wrong.
    pub(super) checked: Option<(Duration, Option<Failure>)>,
    /// Models that are being pulled, with the percentage that is there.
    pub(super) pulling: BTreeMap<String, u8>,
    /// Models that could not be pulled, and why.
    pub(super) not_pulled: BTreeMap<String, String>,
}

impl Backend {
    pub(super) fn new(
        declared: Declared,
        key: Option<Secret>,
        rules: Rules,
        limiter: Limiter,
        clock: Clock,
    ) -> Self {
        let permits = declared.max_concurrent.map(|most| Semaphore::new(most as usize));
        let (now, moved) = (Mutex::default(), watch::Sender::default());
        Self { declared, key, rules, permits, limiter, now, moved, clock }
    }

    pub(super) fn name(&self) -> &str {
        &self.declared.name
    }

    /// Where it is.
    pub(super) fn endpoint(&self, remotes: &Remotes) -> Result<Endpoint, Failure> {
        let Declared { provider, base_url, .. } = &self.declared;
        endpoint::at(*provider, base_url.as_deref(), self.key.as_ref(), remotes.config())
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Now> {
        // Nothing can panic while it is held.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self) -> Standing {
        self.now().health.standing(self.rules, self.clock.now())
    }

    /// Whether it is known to have a model, or to get it.
    pub(super) fn has(&self, pool: &Pool, name: &str) -> bool {
        let now = self.now();
        let known = Known { listed: now.listed.as_deref(), ..Known::default() };
        has(&self.declared, pool, known, name)
    }

    /// What it would be asked for in a pool, and how it stands.
    pub(super) fn seen(&self, pool: &Pool, needs: &Needs<'_>) -> Result<(Fit, Seen), Unfit> {
        let (now, time) = (self.now(), self.clock.now());
        let name = name(&self.declared, pool, needs).unwrap_or_default();
        let known = Known {
            listed: now.listed.as_deref(),
            not_pulled: now.not_pulled.get(name).map(String::as_str),
            gone: now.health.lacks(name, time),
        };
        let fit = fit(&self.declared, pool, known, needs)?;
        let takes = self.declared.max_concurrent.map_or(CALLS, |most| most as usize);
        #[expect(clippy::cast_precision_loss, reason = "counts of calls are small")]
        let busy = now.health.in_flight as f64 / takes as f64;
        let seen = Seen {
            standing: now.health.standing(self.rules, time),
            busy,
            latency: now.health.latency,
            later: fit.coming || now.health.failed_lately(time),
        };
        Ok((fit, seen))
    }

    /// What a reply may take here.
    pub(super) fn estimate(
        &self,
        remotes: &Remotes,
        wish: &Spec,
        fit: &Fit,
        request: &Request,
    ) -> Estimate {
        match self.remote(remotes, wish, fit) {
            Ok(remote) => remote.estimate(request),
            Err(_) => Estimate::default(),
        }
    }

    /// The model that it is asked for.
    fn remote(&self, remotes: &Remotes, wish: &Spec, fit: &Fit) -> Result<Remote, Failure> {
        let provider = Some(self.declared.provider);
        let model = Spec { pool: None, provider, name: fit.offer.name.clone(), ..wish.clone() };
        Ok(remotes.open_at(&model, self.endpoint(remotes)?))
    }

    /// How long a call may wait for its turn.
    pub(super) fn patience(&self) -> Duration {
        self.declared.timeout.map_or(PATIENCE, |span| span.0.min(PATIENCE))
    }

    /// Tells the limiter what a call has had for which so many tokens were reserved.
    async fn settle(&self, reserved: u64, answer: &Result<Answer, Failure>, heard: bool) {
        let had = match answer {
            Ok(answer) => answer.tokens(),
            Err(_) if heard => reserved,
            Err(_) => 0,
        };
        // A provider that says nothing has not given them away.
        let unsaid = answer.is_ok() && had == 0;
        self.limiter.settle(reserved, if unsaid { reserved } else { had }).await;
        if let Err(failure) = answer
            && let Blame::Load(Some(pause)) = blame(failure)
        {
            self.limiter.pause(pause.min(LONGEST_BUSY)).await;
        }
    }

    /// Asks it, within its time; so many tokens are reserved for it.
    pub(super) async fn ask(
        &self,
        remotes: &Remotes,
        wish: &Spec,
        fit: &Fit,
        question: Question<'_>,
        reserved: u64,
    ) -> Result<Answer, Wrong> {
        let Some(_flight) = self.begin() else {
            self.limiter.settle(reserved, 0).await;
            return Err(Wrong { failure: down(self.name()), heard: false });
        };
        let told = match question {
            Question::Reply(_, told) if fit.offer.streaming => told,
            Question::Reply(..) | Question::Vector(_) => &Nobody,
        };
        let heard = Heard::new(told, &self.clock);
        let limit = self.declared.timeout.map_or(CALL, |span| span.0);
        let asked = timeout(limit, self.asked(remotes, wish, fit, question, &heard)).await;
        let answer = asked.unwrap_or_else(|_| Err(late(&fit.offer.name, limit)));
        self.note(&fit.offer.name, answer.as_ref().err(), heard.latency());
        self.settle(reserved, &answer, heard.anything()).await;
        answer.map_err(|failure| Wrong { failure, heard: heard.anything() })
    }

    async fn asked(
        &self,
        remotes: &Remotes,
        wish: &Spec,
        fit: &Fit,
        question: Question<'_>,
        heard: &Heard<'_>,
    ) -> Result<Answer, Failure> {
        if fit.coming {
            self.wait_for_pull(&fit.offer.name).await?;
        }
        let _permit = match &self.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        heard.begin();
        let remote = self.remote(remotes, wish, fit)?;
        match question {
            Question::Reply(request, _) => {
                let reply = remote.reply(request, heard).await?;
                Ok(Answer::Reply(Reply { backend: Some(self.name().into()), ..reply }))
            }
            Question::Vector(text) => {
                let (vector, usage) = remote.embed(text).await?;
                Ok(Answer::Vector(vector, usage))
            }
        }
    }

    /// Waits for a model that is being pulled.
    async fn wait_for_pull(&self, model: &str) -> Result<(), Failure> {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            if let Some(pulled) = self.pulled(model) {
                return pulled;
            }
            // The sender is `self`, so it cannot be gone.
            let _ = moved.changed().await;
        }
    }

    /// What has become of the pull of a model, if it is over.
    fn pulled(&self, model: &str) -> Option<Result<(), Failure>> {
        let now = self.now();
        if let Some(why) = now.not_pulled.get(model) {
            let message = format!("backend `{}` could not pull `{model}`: {why}", self.name());
            return Some(Err(Failure::retryable("model_not_pulled", message)));
        }
        let same = |offer: &Offer| self.declared.provider.same_model(&offer.name, model);
        now.listed.iter().flatten().any(same).then_some(Ok(()))
    }

    fn begin(&self) -> Option<Flight<'_>> {
        let begun = self.now().health.begin(self.rules, self.clock.now());
        begun.then_some(Flight(self))
    }

    fn note(&self, model: &str, failure: Option<&Failure>, latency: Duration) {
        let time = self.clock.now();
        self.change(|now| match failure {
            None => now.health.answered(latency),
            Some(failure) => now.health.failed(model, failure, time),
        });
    }

    /// Changes what is known of it, and says so in the log if it stands otherwise now.
    pub(super) fn change(&self, change: impl FnOnce(&mut Now)) {
        let time = self.clock.now();
        let (before, after, error) = {
            let mut now = self.now();
            let before = State::from(now.health.standing(self.rules, time));
            change(&mut now);
            (before, now.health.standing(self.rules, time), now.health.error.clone())
        };
        self.moved.send_replace(());
        let (name, why) = (self.name(), error.unwrap_or_default());
        match after {
            after if State::from(after) == before => {}
            Standing::Up => tracing::info!("backend `{name}` is up"),
            Standing::Degraded => tracing::info!("backend `{name}` is degraded: {why}"),
            Standing::Down(pause) => tracing::warn!(
                "backend `{name}` is down: {why}; it is left alone for {} s",
                pause.as_secs_f64().ceil()
            ),
        }
    }
}

/// A call that is open. It ends however it ends, also when nobody waits for it any more.
struct Flight<'a>(&'a Backend);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.now().health.end();
    }
}

/// Another call was faster to try it again.
fn down(name: &str) -> Failure {
    Failure::retryable("model_pool_down", format!("backend `{name}` is being tried again"))
}

fn late(model: &str, limit: Duration) -> Failure {
    let message = format!("model `{model}` did not answer within {} s", limit.as_secs_f64());
    Failure::retryable("model_timeout", message)
}
