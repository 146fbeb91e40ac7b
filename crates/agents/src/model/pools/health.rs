//! How well a backend is, from what came of its calls. Pure: the time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tenure_sdk::Failure;

/// The longest pause of a backend that fails again each time it is tried: an operator who has mended
/// it does not want to wait longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// How long a backend goes behind the others after a failure: the next attempts of a step come
/// within seconds, and had better go elsewhere.
const RECENT: Duration = Duration::from_secs(10);
/// How long a backend that answered 429 is left alone if it does not say: a twelfth of the minute
/// that providers count in.
const BUSY: Duration = Duration::from_secs(5);
/// How long it is left alone at most, whatever it says.
pub(super) const LONGEST_BUSY: Duration = Duration::from_mins(10);
/// How long a model is not asked of a backend that does not have it.
const GONE: Duration = Duration::from_mins(1);
/// Such models that are remembered of a backend: specifications name what they like.
const MISSED: usize = 1_000;
/// How much the last call counts in the latency: after five others a slow one is forgotten.
const WEIGHT: f64 = 0.3;

/// When a backend is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Failures in a row.
    pub(super) failures: u32,
    /// The first pause; it doubles with every failure after it.
    pub(super) pause: Duration,
}

/// How a backend stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It answers.
    Up,
    /// Its last call failed, or it is being tried again.
    Degraded,
    /// It is left alone for so long.
    Down(Duration),
}

/// [`Standing`] as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It answers.
    Up,
    /// Its last call failed, or it is being tried again.
    Degraded,
    /// It is left alone for a while.
    Down,
}

/// Who is to blame for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The backend is not well.
    Backend,
    /// The backend does not let us in, and will not the next time either.
    Refusal,
    /// The backend does not have the model.
    Model,
    /// The backend has too much to do, and said perhaps for how long.
    Load(Option<Duration>),
    /// The reply is no good. Another one may be.
    Reply,
    /// The request: no backend would answer it otherwise.
    Request,
}

/// What a backend's calls have come to.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// In a row.
    failures: u32,
    last_failed: Option<Duration>,
    /// It lets nobody in, or cannot be reached at all: no need to count.
    closed: bool,
    /// A single call finds out whether it is back.
    probing: bool,
    busy_until: Option<Duration>,
    gone: BTreeMap<String, Duration>,
    pub(super) in_flight: usize,
    pub(super) latency: Option<Duration>,
    /// The code of the last failure.
    pub(super) error: Option<String>,
}

pub(super) fn blame(failure: &Failure) -> Blame {
    match failure.code.as_str() {
        "model_http_401" | "model_http_402" | "model_http_403" | "model_key_missing"
        | "model_address" => Blame::Refusal,
        "model_http_404" => Blame::Model,
        "model_http_429" => Blame::Load(failure.retry_after),
        "model_http_503" if failure.retry_after.is_some() => Blame::Load(failure.retry_after),
        "model_timeout" | "model_connection" | "model_stream_broken" | "model_stream_failed" => {
            Blame::Backend
        }
        code if code.starts_with("model_http_") && failure.retryable => Blame::Backend,
        _ if failure.retryable => Blame::Reply,
        _ => Blame::Request,
    }
}

impl Health {
    /// How it stands now.
    pub(super) fn standing(&self, rules: Rules, now: Duration) -> Standing {
        let left = |until: Duration| until.checked_sub(now).filter(|left| !left.is_zero());
        if let Some(left) = self.busy_until.and_then(left) {
            return Standing::Down(left);
        }
        let Some(last) = self.last_failed.filter(|_| self.failures > 0) else {
            return Standing::Up;
        };
        match self.pause(rules) {
            Some(pause) if left(last + pause).is_some() => {
                Standing::Down(left(last + pause).unwrap_or_default())
            }
            // Who tries it again has not come back yet.
            Some(pause) if self.probing => Standing::Down(pause),
            _ => Standing::Degraded,
        }
    }

    /// Whether it failed so lately that another one had better be asked first.
    pub(super) fn failed_lately(&self, now: Duration) -> bool {
        self.failures > 0 && self.last_failed.is_some_and(|last| now < last + RECENT)
    }

    /// Whether it has said that it does not have this model.
    pub(super) fn lacks(&self, model: &str, now: Duration) -> bool {
        self.gone.get(model).is_some_and(|since| now < *since + GONE)
    }

    /// How long it is left alone after its last failure, if it is.
    fn pause(&self, rules: Rules) -> Option<Duration> {
        let beyond = if self.closed {
            self.failures.saturating_sub(1)
        } else {
            self.failures.checked_sub(rules.failures)?
        };
        Some(LONGEST_PAUSE.min(rules.pause.saturating_mul(1 << beyond.min(16))))
    }

    /// A call begins; whether it may.
    pub(super) fn begin(&mut self, rules: Rules, now: Duration) -> bool {
        match self.standing(rules, now) {
            Standing::Down(_) => return false,
            Standing::Degraded => self.probing = self.pause(rules).is_some(),
            Standing::Up => {}
        }
        self.in_flight += 1;
        true
    }

    /// A call is over, well or not, or given up.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.probing = false;
    }

    /// A call was answered, and began to be after so long.
    pub(super) fn answered(&mut self, after: Duration) {
        self.failures = 0;
        self.closed = false;
        let mean = self.latency.unwrap_or(after);
        self.latency = Some(mean.mul_f64(1.0 - WEIGHT) + after.mul_f64(WEIGHT));
    }

    /// A call of a model has failed.
    pub(super) fn failed(&mut self, model: &str, failure: &Failure, now: Duration) {
        self.error = Some(failure.code.clone());
        match blame(failure) {
            Blame::Backend => self.count(now),
            Blame::Refusal => self.close(now),
            Blame::Model => self.lose(model, now),
            Blame::Load(pause) => self.leave_alone(pause.unwrap_or(BUSY), now),
            Blame::Reply | Blame::Request => {}
        }
    }

    /// It does not have this model.
    fn lose(&mut self, model: &str, now: Duration) {
        self.gone.retain(|_, since| now < *since + GONE);
        if self.gone.len() < MISSED {
            self.gone.insert(model.into(), now);
        }
    }

    /// Nobody calls for so long.
    pub(super) fn leave_alone(&mut self, pause: Duration, now: Duration) {
        self.busy_until = self.busy_until.max(Some(now + pause.min(LONGEST_BUSY)));
    }

    /// It was asked what models it has, and has answered.
    pub(super) fn reached(&mut self) {
        if self.closed {
            (self.failures, self.closed) = (0, false);
        }
        self.gone.clear();
    }

    /// It was asked what models it has, in vain.
    pub(super) fn not_reached(&mut self, failure: &Failure, now: Duration) {
        self.error = Some(failure.code.clone());
        // Not every server has a list of its models.
        if matches!(blame(failure), Blame::Backend | Blame::Refusal) {
            self.close(now);
        }
    }

    fn close(&mut self, now: Duration) {
        self.count(now);
        self.closed = true;
    }

    fn count(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.last_failed = Some(now);
    }
}

impl From<Standing> for State {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Up => Self::Up,
            Standing::Degraded => Self::Degraded,
            Standing::Down(_) => Self::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { failures: 3, pause: Duration::from_secs(30) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn timeout() -> Failure {
        Failure::retryable("model_timeout", "late")
    }

    #[test]
    fn three_failures_in_a_row_close_it_and_one_call_finds_out_whether_it_is_back() {
        let mut health = Health::default();
        for second in [0, 1] {
            health.failed("m", &timeout(), at(second));
            assert_eq!(health.standing(RULES, at(second)), Standing::Degraded);
        }
        health.failed("m", &timeout(), at(2));
        assert_eq!(health.standing(RULES, at(2)), Standing::Down(at(30)));
        assert!(!health.begin(RULES, at(31)));
        assert_eq!(health.standing(RULES, at(32)), Standing::Degraded);
        assert!(health.begin(RULES, at(32)) && !health.begin(RULES, at(32)), "one at a time");
        health.end();
        health.failed("m", &timeout(), at(33));
        assert_eq!(health.standing(RULES, at(33)), Standing::Down(at(60)), "twice as long");
        assert!(health.begin(RULES, at(93)));
        health.end();
        health.answered(at(1));
        assert_eq!(health.standing(RULES, at(94)), Standing::Up);
        assert!(health.begin(RULES, at(94)) && health.begin(RULES, at(94)));
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let mut health = Health::default();
        (0..1_000).for_each(|_| health.failed("m", &timeout(), at(0)));
        assert_eq!(health.standing(RULES, at(0)), Standing::Down(LONGEST_PAUSE));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let mut health = Health::default();
        for _ in 0..5 {
            health.failed("m", &timeout(), at(0));
            health.failed("m", &timeout(), at(0));
            health.answered(at(1));
        }
        assert_eq!(health.standing(RULES, at(0)), Standing::Up);
    }

    #[test]
    fn who_is_to_blame_decides() {
        let retryable = |code: &str| Failure::retryable(code, "x");
        let permanent = |code: &str| Failure::permanent(code, "x");
        let later = Failure { retry_after: Some(at(20)), ..retryable("model_http_429") };
        for (failure, blamed, standing) in [
            (permanent("model_http_401"), Blame::Refusal, Standing::Down(at(30))),
            (permanent("model_http_403"), Blame::Refusal, Standing::Down(at(30))),
            (permanent("model_http_404"), Blame::Model, Standing::Up),
            (permanent("model_http_400"), Blame::Request, Standing::Up),
            (permanent("model_filtered"), Blame::Request, Standing::Up),
            (retryable("model_http_500"), Blame::Backend, Standing::Degraded),
            (retryable("model_connection"), Blame::Backend, Standing::Degraded),
            (retryable("model_reply_invalid"), Blame::Reply, Standing::Up),
            (retryable("model_http_429"), Blame::Load(None), Standing::Down(BUSY)),
            (later, Blame::Load(Some(at(20))), Standing::Down(at(20))),
        ] {
            let mut health = Health::default();
            health.failed("m", &failure, at(0));
            assert_eq!((blame(&failure), health.standing(RULES, at(0))), (blamed, standing));
            assert_eq!(health.lacks("m", at(0)), blamed == Blame::Model);
            assert!(!health.lacks("m", GONE));
        }
    }

    #[test]
    fn a_server_that_cannot_be_listed_is_closed_until_it_can() {
        let mut health = Health::default();
        health.not_reached(&Failure::permanent("model_http_404", "no list"), at(0));
        assert_eq!(health.standing(RULES, at(0)), Standing::Up);
        health.not_reached(&Failure::retryable("model_connection", "refused"), at(0));
        assert_eq!(health.standing(RULES, at(0)), Standing::Down(at(30)));
        health.reached();
        assert_eq!(health.standing(RULES, at(0)), Standing::Up);
    }

    #[test]
    fn the_latency_follows_the_last_calls() {
        let mut health = Health::default();
        health.answered(at(10));
        assert_eq!(health.latency, Some(at(10)));
        (0..20).for_each(|_| health.answered(at(1)));
        assert!(health.latency.unwrap() < Duration::from_millis(1_010), "{health:?}");
    }
}
