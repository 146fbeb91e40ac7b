//! A model of a pool: whichever of its backends answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tenure_sdk::{Estimate, Failure, Usage};
use tenure_spec::Model as Spec;
use tenure_spec::backends::Purpose;
use tokio::time::{Instant, sleep};

use super::backend::{Answer, Backend, Question, Wrong};
use super::fit::{Fit, Unfit};
use super::health::{Blame, Standing, blame};
use super::needs::Needs;
use super::order::{Seen, order};
use super::{Group, Pools};
use crate::model::remote::Remotes;
use crate::model::{Listener, Model, Reply, Request};

/// How often a call that waits for its turn looks whether others have given something back.
const GLANCE: Duration = Duration::from_millis(500);

/// A model of a pool.
pub struct Pooled {
    pools: Arc<Vec<Group>>,
    place: usize,
    remotes: Remotes,
    /// What the specification wants, beside the pool.
    wish: Spec,
}

/// A backend and what it is asked for.
type Choice = (Arc<Backend>, Fit);

#[async_trait]
impl Model for Pooled {
    async fn reply(&self, request: &Request, told: &dyn Listener) -> Result<Reply, Failure> {
        let needs = Needs::of_chat(&self.wish, request);
        match self.ask(&needs, Question::Reply(request, told)).await? {
            Answer::Reply(reply) => Ok(reply),
            Answer::Vector(..) => Err(mixed_up()),
        }
    }

    /// What the dearest of those that can answer would take. One whose price is not known makes the
    /// whole not known.
    fn estimate(&self, request: &Request) -> Estimate {
        let needs = Needs::of_chat(&self.wish, request);
        let Group { pool, backends, .. } = self.group();
        let fits = backends.iter().filter_map(|one| Some((one, one.seen(pool, &needs).ok()?.0)));
        let each =
            fits.map(|(backend, fit)| backend.estimate(&self.remotes, &self.wish, &fit, request));
        let dearest = each.reduce(|a, b| Estimate {
            cost_micros: a.cost_micros.zip(b.cost_micros).map(|(a, b)| a.max(b)),
            tokens: a.tokens.max(b.tokens),
        });
        dearest.unwrap_or(Estimate { cost_micros: None, tokens: needs.tokens })
    }
}

impl Pooled {
    /// A model of the pool that `wish` names.
    pub(super) fn open(pools: &Pools, wish: &Spec) -> Result<Self, Failure> {
        let name = wish.pool.as_deref().unwrap_or_default();
        let place = pools.groups.iter().position(|group| group.pool.name == name);
        let place = place.ok_or_else(|| missing(name, pools))?;
        let (pools, remotes) = (pools.groups.clone(), pools.remotes.clone());
        Ok(Self { pools, place, remotes, wish: wish.clone() })
    }

    /// The vector of a text.
    pub(in crate::model) async fn embed(&self, text: &str) -> Result<(Vec<f64>, Usage), Failure> {
        let needs = Needs::of_text(&self.wish, text);
        match self.ask(&needs, Question::Vector(text)).await? {
            Answer::Vector(vector, usage) => Ok((vector, usage)),
            Answer::Reply(_) => Err(mixed_up()),
        }
    }

    fn group(&self) -> &Group {
        &self.pools[self.place]
    }

    /// Asks one backend after the other until one answers. Those whose limits leave no room are waited
    /// for when all others have failed.
    async fn ask(&self, needs: &Needs<'_>, question: Question<'_>) -> Result<Answer, Failure> {
        let (mut left, mut failed) = (self.choose(needs)?, Vec::new());
        let begun = Instant::now();
        loop {
            let mut full = Vec::new();
            for (backend, fit) in left {
                if let Err(wait) = backend.limiter.take(needs.tokens).await {
                    full.push((wait, (backend, fit)));
                    continue;
                }
                match self.ask_one(&backend, &fit, question, needs.tokens).await? {
                    Ok(answer) => return Ok(answer),
                    Err(Wrong { failure, heard }) => {
                        failed.push(failure);
                        // A watcher who has heard a piece is told to forget it by the next attempt
                        // only.
                        if heard {
                            return Err(self.nobody_answered(failed));
                        }
                    }
                }
            }
            let waited = begun.elapsed();
            let (soon, late): (Vec<_>, _) = full
                .into_iter()
                .partition(|(wait, (backend, _))| waited + *wait <= backend.patience());
            if soon.is_empty() {
                failed.extend(late.iter().map(|(wait, (backend, _))| limited(backend, *wait)));
                return Err(self.nobody_answered(failed));
            }
            let shortest = soon.iter().map(|(wait, _)| *wait).min().unwrap_or_default();
            sleep(shortest.min(GLANCE)).await;
            left = soon.into_iter().map(|(_, choice)| choice).collect();
        }
    }

    /// Asks one backend. What is the request's fault is an error; what is the backend's is a result.
    async fn ask_one(
        &self,
        backend: &Backend,
        fit: &Fit,
        question: Question<'_>,
        reserved: u64,
    ) -> Result<Result<Answer, Wrong>, Failure> {
        let asked = backend.ask(&self.remotes, &self.wish, fit, question, reserved).await;
        let Wrong { failure, heard } = match asked {
            Ok(answer) => return Ok(Ok(answer)),
            Err(wrong) => wrong,
        };
        let name = backend.name();
        tracing::debug!("backend `{name}` has not answered: {}", failure.code);
        let is_theirs = blame(&failure) != Blame::Request;
        let failure = Failure { message: format!("`{name}`: {}", failure.message), ..failure };
        if is_theirs { Ok(Err(Wrong { failure, heard })) } else { Err(failure) }
    }

    /// Those to ask, the first one first.
    fn choose(&self, needs: &Needs<'_>) -> Result<Vec<Choice>, Failure> {
        let Group { pool, backends, cursor } = self.group();
        if pool.purpose != needs.purpose {
            return Err(wrong_purpose(&pool.name, pool.purpose));
        }
        let cursor = cursor.fetch_add(1, Ordering::Relaxed);
        let (mut fits, mut seen, mut unfit) = (Vec::new(), Vec::new(), Vec::new());
        for backend in backends {
            match backend.seen(pool, needs) {
                Ok((fit, how)) => {
                    fits.push((backend.clone(), fit));
                    seen.push(how);
                }
                Err(why) => unfit.push((backend.name(), why)),
            }
        }
        let places = order(pool.policy, &seen, cursor);
        if places.is_empty() {
            return Err(self.nobody_to_ask(&fits, &seen, &unfit));
        }
        Ok(places.into_iter().map(|place| fits[place].clone()).collect())
    }

    /// All that could answer are down, or none can.
    fn nobody_to_ask(&self, fits: &[Choice], seen: &[Seen], unfit: &[(&str, Unfit)]) -> Failure {
        let pool = &self.group().pool.name;
        let mut told: Vec<_> =
            unfit.iter().map(|(name, why)| format!("`{name}` {}", why.told())).collect();
        if fits.is_empty() {
            let message = format!("no backend of pool `{pool}` can answer: {}", told.join("; "));
            let retryable = unfit.iter().any(|(_, why)| why.may_pass());
            return Failure { retryable, ..Failure::permanent("model_pool_unfit", message) };
        }
        let mut soonest = None;
        for ((backend, _), seen) in fits.iter().zip(seen) {
            let Standing::Down(left) = seen.standing else { continue };
            soonest = Some(soonest.map_or(left, |least: Duration| least.min(left)));
            let error = backend.now().health.error.clone().unwrap_or_default();
            told.push(format!(
                "`{}` is left alone for {} s after {error}",
                backend.name(),
                left.as_secs_f64().ceil()
            ));
        }
        let message = format!("every backend of pool `{pool}` is down: {}", told.join("; "));
        Failure { retry_after: soonest, ..Failure::retryable("model_pool_down", message) }
    }

    /// One failure of all those that were asked.
    fn nobody_answered(&self, mut failed: Vec<Failure>) -> Failure {
        let retryable = failed.iter().any(|failure| failure.retryable);
        let again = || failed.iter().filter(|failure| failure.retryable);
        // Whoever says nothing can be asked at once.
        let retry_after = again().map(|failure| failure.retry_after).min().flatten();
        let code = again().next_back().or(failed.last()).map(|failure| failure.code.clone());
        let code = code.unwrap_or_else(|| "model_pool_down".into());
        if failed.len() == 1 {
            return failed.remove(0);
        }
        let told: Vec<_> = failed.into_iter().map(|failure| failure.message).collect();
        let pool = &self.group().pool.name;
        let message = format!("no backend of pool `{pool}` has answered: {}", told.join("; "));
        Failure { code, message, retryable, retry_after }
    }
}

/// The limits of a backend leave no room in time.
fn limited(backend: &Backend, wait: Duration) -> Failure {
    let message = format!(
        "`{}` has no room for another call for {} s, by its limits of a minute or because its \
         provider asked for a pause",
        backend.name(),
        wait.as_secs_f64().ceil()
    );
    Failure { retry_after: Some(wait), ..Failure::retryable("model_rate_limited", message) }
}

fn missing(name: &str, pools: &Pools) -> Failure {
    let known: Vec<_> = pools.groups.iter().map(|group| group.pool.name.as_str()).collect();
    let known = if known.is_empty() {
        "it was started without `--models FILE`".into()
    } else {
        format!("it has: {}", known.join(", "))
    };
    let message = format!("the worker has no pool of backends `{name}`: {known}");
    Failure::permanent("model_pool_missing", message)
}

fn wrong_purpose(pool: &str, purpose: Purpose) -> Failure {
    let what = match purpose {
        Purpose::Chat => "replies, and a vector is asked for",
        Purpose::Embed => "vectors, and a reply is asked for",
    };
    Failure::permanent("model_pool_unfit", format!("pool `{pool}` is for {what}"))
}

fn mixed_up() -> Failure {
    Failure::permanent("model_request", "a backend has answered something else than was asked")
}
