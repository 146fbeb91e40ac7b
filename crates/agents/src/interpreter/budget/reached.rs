//! A limit that is reached: the question to a person, and the failure.

use serde::Deserialize;
use serde_json::{Value, json};
use tenure_sdk::{Approval, Context, Decision, Failure, Stop};

use super::limit::Limit;

/// A limit that the next step would go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) limit: Limit,
    pub(super) used: u64,
    pub(super) allowed: u64,
    /// How much the run was given: nobody can allow more.
    pub(super) most: Option<u64>,
}

/// What a person answers who is asked for more.
#[derive(Deserialize)]
struct Raised {
    /// The new limit, in the unit of the specification; a time in seconds.
    raise_to: f64,
}

impl Reached {
    /// Whether nobody can allow more: it is all that the run was given.
    pub(super) fn is_final(self) -> bool {
        self.most.is_some_and(|most| most <= self.allowed.max(self.used))
    }

    /// Asks a person for more; the new limit, in the unit of the specification.
    pub(super) async fn ask(self, place: &Context) -> Result<f64, Stop> {
        let Self { limit, used, allowed, most } = self;
        let more = allowed.saturating_mul(2).min(most.unwrap_or(u64::MAX));
        let about = json!({
            "limit": limit.name(),
            "used": limit.number(used),
            "allowed": limit.number(allowed),
            "raise_to": limit.number(more),
        });
        let (has, of, to) = (limit.shown(used), limit.shown(allowed), limit.shown(more));
        let most = most.map(|most| {
            format!(" It was given {} at most: no more is possible here.", limit.shown(most))
        });
        let most = most.unwrap_or_default();
        let question = place.interrupt(&format!("limit:{}", limit.name()));
        let question = question.payload(&about).schema(&self.schema());
        let question =
            question.title(format!("It has used {has} of {of}. May it go on, up to {to}?{most}"));
        let decisions = [Decision::Approve, Decision::Edit, Decision::Reject];
        match question.decisions(decisions).approval::<Raised>().await? {
            Approval::Approved(raised) => Ok(raised.raise_to),
            Approval::Rejected { reason, actor } => {
                let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                Err(Stop::Failed(self.failure(&format!("; {actor} did not raise it{why}"))))
            }
            Approval::Responded(_) => Err(Stop::Failed(self.failure(""))),
        }
    }

    fn schema(self) -> Value {
        let Self { limit, used, most, .. } = self;
        let mut amount = json!({"type": "number", "exclusiveMinimum": limit.number(used)});
        if let Some(most) = most {
            amount["maximum"] = limit.number(most);
        }
        json!({"type": "object", "properties": {"raise_to": amount}, "required": ["raise_to"]})
    }

    /// Why a run ends here.
    pub(super) fn failure(self, why: &str) -> Failure {
        let Self { limit, used, allowed, most } = self;
        let (name, used, allowed) = (limit.name(), limit.shown(used), limit.shown(allowed));
        let message = match most.filter(|_| self.is_final()) {
            Some(most) => format!(
                "the run has used {used} of the {} that it was given, without a final answer; give it or its caller a higher `{name}`, or ask for less",
                limit.shown(most)
            ),
            None => format!(
                "the run has used {used} of {allowed} without a final answer{why}; raise `limits.{name}` or ask for less"
            ),
        };
        Failure::permanent(format!("limit_{name}"), message)
    }
}
