//! What happens when the tenant's or the agent's allowance is used up in the midst of a run.

use serde_json::{Value, json};
use tenure_sdk::{ALLOWANCE_SPENT, Approval, Context, Decision, Failure, Stop};
use tenure_spec::AtLimit;

use super::Budget;

impl Budget {
    /// What a model was asked for, or nothing if it is to be asked again, because there was nothing to
    /// pay it with and somebody has seen to that. That there was not is on record, as the failure of a
    /// step that asked nobody; so every replay asks the same questions. With `then: ask` the run waits
    /// for a person; otherwise it ends: a last turn would have to be paid as well.
    pub(in crate::interpreter) async fn paid<T>(
        &self,
        place: &Context,
        asked: Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        match asked {
            Err(Stop::Failed(failure))
                if failure.code == ALLOWANCE_SPENT && self.limits.then == AtLimit::Ask =>
            {
                wait(place, failure).await?;
                Ok(None)
            }
            asked => asked.map(Some),
        }
    }
}

/// Waits until a person says that the run may try again.
async fn wait(place: &Context, spent: Failure) -> Result<(), Stop> {
    let about = json!({"spent": spent.message});
    let title = format!("It cannot go on: {}. Try again?", spent.message);
    let question = place.interrupt("allowance").title(title).payload(&about);
    match question.decisions([Decision::Approve, Decision::Reject]).approval::<Value>().await? {
        Approval::Approved(_) => Ok(()),
        Approval::Rejected { .. } | Approval::Responded(_) => Err(Stop::Failed(spent)),
    }
}
